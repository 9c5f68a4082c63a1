//! A small valid config repo with one file replaced or added, and what must hold of whatever loading makes of it.

use std::sync::{Arc, LazyLock};

use cedar_policy::Decision;

use crate::load::{Files, Loaded, load};
use crate::model::catalog::Catalog;
use crate::model::diagnostic::Severity;
use crate::model::id::EntityType;
use crate::model::snapshot::{Attribute, Resource, Value};
use crate::model::time::{Limit, Timestamp};
use crate::policy::{Rules, Verdict, oracle};
use crate::report::diagnostics;

/// As little as loads without a complaint: most of the time goes into Cedar, by the length of what it parses.
const FILES: [(&str, &str); 6] = [
    ("slm.toml", "[source.local]\nvault = { path = \"v\", identity = \"i\" }\n[source.org]\ngithub = { org = \"acme\", token-env = \"TOKEN\" }\n"),
    ("controls/rot/ROT-01.toml", include_str!("../../src/cli/starter/ROT-01.toml")),
    ("controls/frameworks/soc2.toml", include_str!("../../src/cli/starter/soc2.toml")),
    ("credentials/key.toml", include_str!("../seeds/credential.toml")),
    (RULES, include_str!("../seeds/rules.cedar")),
    (SCHEMA, include_str!("../seeds/schema.cedarschema")),
];
const RULES: &str = "policies/rot.cedar";
const SCHEMA: &str = "policies/schema.cedarschema";

/// Files the TOML target replaces or adds, by the first byte of its input.
pub const TOML: [&str; 5] =
    ["slm.toml", "controls/rot/ROT-01.toml", "controls/frameworks/soc2.toml", "credentials/key.toml", "exceptions/x.toml"];
/// Files the Cedar target replaces or adds, by the first byte of its input.
pub const CEDAR: [&str; 3] = ["policies/x.cedar", RULES, SCHEMA];

static REPO: LazyLock<Files> = LazyLock::new(|| {
    let files = Files(FILES.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect());
    // INVARIANT: with an error of its own in it, no input would ever get as far as a catalog.
    let Loaded { catalog, diagnostics, .. } = load(&files, now());
    assert!(catalog.is_some() && diagnostics.is_empty(), "the repo around what is fuzzed loads clean: {diagnostics:?}");
    files
});

/// Every rule sees this as `context.now`.
fn now() -> Timestamp {
    Limit::days(20_000).after(Timestamp::UNIX_EPOCH)
}

/// Loads the repo with `data` behind its first byte as the file of `paths` that this byte names. Bytes that are not UTF-8 never get
/// as far as loading.
pub fn with(paths: &[&str], data: &[u8]) -> Option<Catalog> {
    let (choice, rest) = data.split_first()?;
    let text = std::str::from_utf8(rest).ok()?;
    let mut files = REPO.clone();
    files.0.insert(paths[usize::from(*choice) % paths.len()].to_owned(), text.to_owned());
    let Loaded { catalog, diagnostics, .. } = load(&files, now());
    let wrong = diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_ne!(catalog.is_some(), wrong, "a catalog, or errors: {diagnostics:?}");
    for found in &diagnostics {
        let lines = [Some(&found.message), found.help.as_ref()].into_iter().flatten();
        lines.for_each(|line| assert!(!line.contains(char::is_control), "one line: {found:?}"));
        let text = files.0.get(&found.place.file).map_or("", String::as_str);
        assert!(text.get(found.place.span.clone()).is_some(), "a place in the file: {found:?}");
    }
    let said = diagnostics::human(&diagnostics, &files.0, false);
    diagnostics.iter().for_each(|found| assert!(said.contains(found.code), "said: {found:?}"));
    catalog
}

/// Compiles the rules of `catalog`, which passed every check, and asks Cedar whether it agrees with the native verdicts.
pub fn judge(catalog: &Catalog) {
    let rules = Rules::compile(catalog).unwrap_or_else(|error| panic!("what was checked must compile: {error}"));
    let action = "Control::Action::\"ROT-01\"";
    let slice = rules.slice(action);
    for resource in resources() {
        let entity = EntityType::from("Vault::Secret");
        let native = Rules::judge(slice, &entity, &resource, now());
        let cedar = oracle::authorize(&rules, action, &entity, &resource, now());
        let same = match (&native, &cedar) {
            (Verdict::Error(_), Err(_)) => true,
            (Verdict::Permitted(_) | Verdict::Excepted(_), Ok(decision)) => *decision == Decision::Allow,
            (Verdict::Forbidden(_) | Verdict::NothingPermits, Ok(decision)) => *decision == Decision::Deny,
            _ => false,
        };
        assert!(same, "{resource:?}: {native:?}, and Cedar says {cedar:?}");
        let flips = Rules::flips_at(slice, &entity, &resource, now());
        assert!(flips.is_none_or(|at| at > now()), "{resource:?} flips at {flips:?}");
    }
}

/// A secret of which nothing was observed, a young one, an old one, and one from the future.
fn resources() -> impl Iterator<Item = Resource> {
    let created = [None, Some(19_990), Some(19_000), Some(20_001)];
    created.into_iter().map(|created| {
        let facts = |day: i64| -> Vec<Attribute> {
            vec![
                (Arc::from("created"), Value::Time(Limit::days(day).after(Timestamp::UNIX_EPOCH))),
                (Arc::from("declared"), Value::Bool(day % 2 == 0)),
                (Arc::from("max_age_days"), Value::Long(if day > 20_000 { i64::MAX } else { 60 })),
                (Arc::from("owner"), Value::Text(Arc::from("platform"))),
            ]
        };
        Resource::new("vault:local/app/session-key".into(), created.map(facts).unwrap_or_default())
    })
}
