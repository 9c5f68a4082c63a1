//! Whatever a config repo can declare of a rotator has a shape that is explored.

use std::collections::BTreeSet;

use super::shapes::{SHAPES, with_two};
use crate::model::rotator::{DeclaredIssuer, DeclaredOverlap, Exec, ExecCaps, Http, RotatorConfig};
use crate::model::time::Limit;

/// Whatever a program may be declared to do.
fn programs() -> Vec<ExecCaps> {
    let mut all = Vec::new();
    for flags in 0_u8..64 {
        let flag = |n: u8| (flags >> n) & 1 == 1;
        all.push(ExecCaps {
            issuer: if flag(0) { DeclaredIssuer::Client } else { DeclaredIssuer::Server },
            overlap: if flag(1) { DeclaredOverlap::Dual } else { DeclaredOverlap::Single },
            max: if flag(2) { 2 } else { 3 },
            disable: flag(3),
            delete: flag(4),
            reread: flag(5),
        });
    }
    all.retain(|caps| caps.contradiction().is_none());
    all
}

/// Whatever a vendor may be declared to do.
fn vendors() -> Vec<Http> {
    let whole = r#"
        create = { url = "https://a/{{ name }}" }
        validate = { url = "https://a" }
        list = { url = "https://a" }
        delete = { url = "https://a/{{ id }}" }
        issued = { id = "/id", value = "/value" }
        listed = { items = "", id = "/id", name = "/name", whole = true, active = { "/active" = true } }
    "#;
    let pause = "disable = { url = \"https://a/{{ id }}\" }\nenable = { url = \"https://a/{{ id }}\" }\n";
    let read = "read = { url = \"https://a/{{ id }}\" }\n";
    let texts = ["", "max = 2\n"].into_iter().flat_map(|max| {
        [String::new(), pause.to_owned(), read.to_owned(), format!("{pause}{read}")].map(|more| format!("{max}{more}{whole}"))
    });
    let all: Vec<Http> = texts.map(|text| toml::from_str(&text).unwrap()).collect();
    assert!(all.iter().all(|http| http.contradictions().is_empty()));
    all
}

/// One of each kind; where what it can do is declared, one of each of that.
fn declared() -> Vec<RotatorConfig> {
    use RotatorConfig as Kind;
    let server = r#"{ host = "db", dbname = "db", sslmode = "require", admin-env = "ADMIN" }"#;
    let users = "users = [\"a\", \"b\"]";
    let account = format!("user = \"a\"\nserver = {server}");
    let in_turn = |role: &str| format!("{users}\n{role} = \"r\"\nserver = {server}");
    let one = |text: &str| toml::from_str(text).unwrap();
    let mut all = vec![
        Kind::Random(toml::from_str("length = 32").unwrap()),
        Kind::Keyset(toml::from_str("drop-after = \"1h\"").unwrap()),
        Kind::AwsIamAccessKey(toml::from_str("user = \"a\"").unwrap()),
        Kind::GithubDeployKey(toml::from_str("source = \"g\"\nrepo = \"a/b\"").unwrap()),
        Kind::AwsManaged(toml::from_str("").unwrap()),
        Kind::PostgresAlternating(toml::from_str(&in_turn("owner-role")).unwrap()),
        Kind::PostgresPassword(toml::from_str(&account).unwrap()),
        Kind::MysqlAlternating(toml::from_str(&in_turn("role")).unwrap()),
        Kind::MysqlDual(one(&account)),
        Kind::MysqlPassword(one(&account)),
        Kind::Manual(Box::new(toml::from_str("steps = \"ask\"").unwrap())),
        Kind::Observe(toml::from_str("").unwrap()),
    ];
    let program = |caps| Exec { command: vec!["p".to_owned()], timeout: Limit::seconds(1), env: Vec::new(), caps };
    all.extend(programs().into_iter().map(|caps| Kind::Exec(program(caps))));
    all.extend(vendors().into_iter().map(|http| Kind::Http(Box::new(http))));
    all
}

/// A new kind is named here by the compiler, and then belongs into [`declared`].
fn nth(config: &RotatorConfig) -> usize {
    match config {
        RotatorConfig::Random(_) => 0,
        RotatorConfig::Keyset(_) => 1,
        RotatorConfig::AwsIamAccessKey(_) => 2,
        RotatorConfig::GithubDeployKey(_) => 3,
        RotatorConfig::AwsManaged(_) => 4,
        RotatorConfig::Exec(_) => 5,
        RotatorConfig::Http(_) => 6,
        RotatorConfig::PostgresAlternating(_) => 7,
        RotatorConfig::PostgresPassword(_) => 8,
        RotatorConfig::MysqlAlternating(_) => 9,
        RotatorConfig::MysqlDual(_) => 10,
        RotatorConfig::MysqlPassword(_) => 11,
        RotatorConfig::Manual(_) => 12,
        RotatorConfig::Observe(_) => 13,
    }
}

#[test]
fn whatever_can_be_declared_has_a_shape_that_is_explored_and_no_shape_is_explored_for_nothing() {
    let all = declared();
    let kinds: BTreeSet<usize> = all.iter().map(nth).collect();
    assert_eq!(kinds, (0..14).collect());
    let mut met = BTreeSet::new();
    for config in &all {
        let capabilities = config.capabilities();
        let shape = SHAPES.iter().find(|(_, shape)| *shape == with_two(capabilities));
        let Some((name, _)) = shape else { panic!("{}: {capabilities:?} is not explored", config.kind()) };
        met.insert(*name);
    }
    assert_eq!(met, SHAPES.iter().map(|(name, _)| *name).collect());
    assert_eq!((programs().len(), vendors().len()), (16, 8));
}
