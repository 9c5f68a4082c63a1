//! The starter repo with lines and tokens of shipped files deleted, doubled, swapped, retyped and spliced in.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::policy::Rules;

/// The repo that `slm init` writes, and an exception.
const REPO: [(&str, &str); 9] = [
    ("slm.toml", include_str!("../cli/starter/slm.toml")),
    ("controls/rot/ROT-01.toml", include_str!("../cli/starter/ROT-01.toml")),
    ("controls/rot/ROT-02.toml", include_str!("../cli/starter/ROT-02.toml")),
    ("controls/frameworks/soc2.toml", include_str!("../cli/starter/soc2.toml")),
    ("credentials/session-key.toml", include_str!("../cli/starter/session-key.toml")),
    ("exceptions/old.toml", include_str!("../../fuzz/seeds/exception.toml")),
    ("policies/guards.cedar", include_str!("../cli/starter/guards.cedar")),
    ("policies/rot.cedar", include_str!("../cli/starter/rot.cedar")),
    (rules::SCHEMA, include_str!("../cli/starter/schema.cedarschema")),
];
/// Where lines and tokens are spliced in from.
const DONORS: [&str; 8] = [
    include_str!("../../slm.toml"),
    include_str!("../../controls/rot/ROT-01.toml"),
    include_str!("../../controls/iam/IAM-05.toml"),
    include_str!("../../controls/frameworks/iso27001.toml"),
    include_str!("../../fuzz/seeds/credential.toml"),
    include_str!("../../policies/rot.cedar"),
    include_str!("../../policies/iam.cedar"),
    include_str!("../../policies/guards.cedar"),
];
/// One value of every type TOML has, and some that only look like what is wanted.
const VALUES: [&str; 16] = [
    "1",
    "-1",
    "9223372036854775807",
    "1.5",
    "nan",
    "true",
    "\"\"",
    "\"x\"",
    "\"30d\"",
    "\"\"\"a\nb\"\"\"",
    "[]",
    "[[1]]",
    "[{}]",
    "{ a = 1 }",
    "1979-05-27",
    "2024-10-01T00:00:00Z",
];

fn files() -> Files {
    Files(REPO.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
}

fn at() -> Timestamp {
    "2024-10-15T00:00:00Z".parse().unwrap()
}

/// Loads, and asserts what holds of any text: a catalog that compiles, or errors; each on one line, with a place in its file.
fn sound(files: &Files) -> Loaded {
    let loaded = load(files, at());
    let wrong = loaded.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_ne!(loaded.catalog.is_some(), wrong, "{:?}", loaded.diagnostics);
    for found in &loaded.diagnostics {
        assert!(![Some(&found.message), found.help.as_ref()].into_iter().flatten().any(|line| line.contains(char::is_control)));
        let text = files.0.get(&found.place.file).map_or("", String::as_str);
        assert!(text.get(found.place.span.clone()).is_some(), "{found:?}");
    }
    if let Some(Err(error)) = loaded.catalog.as_ref().map(Rules::compile) {
        panic!("what was checked does not compile: {error}");
    }
    loaded
}

#[test]
fn the_repo_that_is_mutated_is_right() {
    assert_eq!(sound(&files()).diagnostics, []);
}

#[test]
fn a_rule_id_with_control_characters_is_not_sent_to_the_terminal() {
    let rule = "@id(\"a\\n\u{1b}[31m\0\")\npermit (principal, action == Control::Action::\"ROT-01\", resource) when { 1 == 2 };\n";
    let mut files = files();
    files.0.insert("policies/x.cedar".to_owned(), rule.to_owned());
    let found = sound(&files).diagnostics;
    assert!(found.iter().any(|found| found.message.contains(r"rule `a\n\u{1b}[31m\u{0}`")), "{found:?}");
}

/// Numbers of the lines of `text` that give a key its whole value.
fn assignments(text: &str) -> Vec<usize> {
    let whole = |line: &str| line.contains(" = ") && !line.starts_with('#') && toml::from_str::<toml::Table>(line).is_ok();
    text.lines().enumerate().filter(|(_, line)| whole(line)).map(|(at, _)| at).collect()
}

#[test]
fn a_value_of_the_wrong_type_is_never_taken_for_a_right_one() {
    let mut tried = 0;
    for (path, text) in REPO.into_iter().filter(|(path, _)| path.ends_with(".toml")) {
        for number in assignments(text) {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            let key = lines[number].split(" = ").next().unwrap().to_owned();
            lines[number] = format!("{key} = 1.5");
            let mut files = files();
            files.0.insert(path.to_owned(), lines.join("\n"));
            let found = sound(&files).diagnostics;
            assert!(found.iter().any(|found| found.severity == Severity::Error && found.place.file == path), "{path} {key}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn a_key_given_twice_is_pointed_at() {
    for (path, text) in REPO.into_iter().filter(|(path, _)| path.ends_with(".toml")) {
        for number in assignments(text) {
            let mut lines: Vec<_> = text.lines().collect();
            lines.insert(number, lines[number]);
            let mut files = files();
            files.0.insert(path.to_owned(), lines.join("\n"));
            let found = sound(&files).diagnostics;
            assert!(found.iter().any(|found| found.code == "slm::toml-syntax" && found.place.file == path), "{path} {number}");
        }
    }
}

/// What is done to one part of a file.
#[derive(Clone, Debug)]
enum Mutation {
    Delete,
    Double,
    Swap(Index),
    Value(usize),
    Splice(usize, Index),
    Graft(usize, Index),
    Truncate,
}

fn mutation() -> impl Strategy<Value = (Index, Mutation)> {
    let what = prop_oneof![
        Just(Mutation::Delete),
        Just(Mutation::Double),
        any::<Index>().prop_map(Mutation::Swap),
        (0..VALUES.len()).prop_map(Mutation::Value),
        (0..DONORS.len(), any::<Index>()).prop_map(|(donor, part)| Mutation::Splice(donor, part)),
        (0..DONORS.len(), any::<Index>()).prop_map(|(donor, part)| Mutation::Graft(donor, part)),
        Just(Mutation::Truncate),
    ];
    (any::<Index>(), what)
}

/// Lines of TOML, words and signs of Cedar; joined they are `text` again.
fn parts(path: &str, text: &str) -> Vec<String> {
    if path.ends_with(".toml") {
        return text.split_inclusive('\n').map(str::to_owned).collect();
    }
    text.split_inclusive(|one: char| !one.is_alphanumeric() && one != '_').map(str::to_owned).collect()
}

fn mutate(path: &str, parts: &mut Vec<String>, at: Index, what: &Mutation) {
    if parts.is_empty() {
        return;
    }
    let at = at.index(parts.len());
    let donor = |donor: usize| self::parts(path, DONORS[donor]);
    match what {
        Mutation::Delete => drop(parts.remove(at)),
        Mutation::Double => parts.insert(at, parts[at].clone()),
        Mutation::Swap(other) => {
            let other = other.index(parts.len());
            parts.swap(at, other);
        }
        Mutation::Value(value) => {
            let key = parts[at].split(" = ").next().unwrap_or_default().trim_end().to_owned();
            parts[at] = if path.ends_with(".toml") { format!("{key} = {}\n", VALUES[*value]) } else { VALUES[*value].to_owned() };
        }
        Mutation::Splice(from, part) => {
            let donor = donor(*from);
            parts.insert(at, donor[part.index(donor.len())].clone());
        }
        Mutation::Graft(from, part) => {
            parts.truncate(at);
            let donor = donor(*from);
            parts.extend_from_slice(&donor[part.index(donor.len())..]);
        }
        Mutation::Truncate => {
            let half = parts[at].chars().count() / 2;
            parts[at] = parts[at].chars().take(half).collect();
            parts.truncate(at + 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_repo_gives_complaints_or_a_catalog_that_compiles(
        which in 0..REPO.len(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let (path, text) = REPO[which];
        let mut parts = parts(path, text);
        for (at, what) in &mutations {
            mutate(path, &mut parts, *at, what);
        }
        let mut files = files();
        files.0.insert(path.to_owned(), parts.concat());
        sound(&files);
    }
}
