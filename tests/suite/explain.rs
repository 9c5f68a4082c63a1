//! What is explained of a decision, for people and for programs side by side: the lines of rule and control, values, limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use slm::evaluate::evaluate;
use slm::load::{Files, load};
use slm::model::assessment::Assessment;
use slm::model::catalog::Catalog;
use slm::model::snapshot::{Completeness, Population, Resource, Snapshot, Unseen, Value};
use slm::model::time::Timestamp;
use slm::policy::Rules;
use slm::report::explain::{Explained, human, json as for_programs, matching};

const KEYS: &str = r#"id = "KEY-01"
title = "Keys are young"
statement = "Every key is at most 90 days old."
kind = "config"
severity = "high"
owner = "security"
remedy = "escalate"
collect-every = "1d"
evidence-ttl = "26h"
artefact = "the list"
api = ["vault:list"]

[population]
entities = ["Vault::Secret"]
definition = "every key"

[population.where]
is_key = true

[rule]
requires = ["created", "keys"]

[criteria]
soc2 = ["CC6.1"]
"#;

const RULE: &str = r#"// Keys.
@id("KEY-01")
permit (
  principal is Slm::Collector,
  action == Control::Action::"KEY-01",
  resource is Vault::Secret
) when {
  resource has created && resource.created <= context.now &&
  context.now.durationSince(resource.created) <= duration("90d") &&
  resource has keys && (resource.keys < 3 || resource has expires && resource.expires.durationSince(context.now) >= duration("36h"))
};
"#;

const SCHEMA: &str = r#"namespace Vault {
  entity Secret = { "created"?: datetime, "expires"?: datetime, "keys"?: Long, "is_key"?: Bool };
}
namespace Slm { entity Collector; }
namespace Control {
  action "KEY-01" appliesTo { principal: [Slm::Collector], resource: [Vault::Secret], context: { now: datetime } };
}
"#;

const EXCEPTION: &str = r#"control = "KEY-01"
resource = "vault:local/old"
reason = "the vendor is slow"
compensating = "it opens one door"
ticket = "SEC-1"
requester = "platform"
approver = "security"
approved = "2026-10-01T00:00:00Z"
expires = "2026-12-01T00:00:00Z"
"#;

fn now() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn catalog() -> Catalog {
    let files = [
        (
            "slm.toml",
            "[tiers]\ndefault = \"standard\"\nlimits = { standard = \"60d\" }\n\n[source.local]\nvault = { path = \"vault.age\", identity = \"../id\" }\n",
        ),
        ("controls/key/KEY-01.toml", KEYS),
        ("controls/frameworks/soc2.toml", include_str!("../../src/cli/starter/soc2.toml")),
        ("policies/key.cedar", RULE),
        ("policies/schema.cedarschema", SCHEMA),
        ("exceptions/slow.toml", EXCEPTION),
    ];
    let files: BTreeMap<String, String> = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    let loaded = load(&Files(files), now());
    loaded.catalog.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

fn secret(name: &str, created: &str, keys: Option<i64>, is_key: bool) -> Resource {
    let mut attributes: Vec<(Arc<str>, Value)> =
        vec![("created".into(), Value::Time(created.parse().unwrap())), ("is_key".into(), Value::Bool(is_key))];
    attributes.extend(keys.map(|keys| ("keys".into(), Value::Long(keys))));
    if keys == Some(3) {
        attributes.push(("expires".into(), Value::Time("2026-11-02T00:00:00Z".parse().unwrap())));
    }
    Resource::new(format!("vault:local/{name}").into(), attributes)
}

/// One of every way a decision can end.
fn judged(catalog: &Catalog, rules: &Rules) -> Assessment {
    let resources = vec![
        secret("bare", "2026-10-01T00:00:00Z", None, true),
        secret("many", "2026-10-01T00:00:00Z", Some(3), true),
        secret("no-key", "2026-10-01T00:00:00Z", Some(1), false),
        secret("old", "2026-01-01T00:00:00Z", Some(1), true),
        secret("young", "2026-10-01T00:00:00Z", Some(1), true),
    ];
    let seen = |scope: &str, completeness, resources| Population {
        source: "local".into(),
        scope: scope.to_owned(),
        entity: "Vault::Secret".into(),
        completeness,
        resources: Arc::new(resources),
    };
    let denied = Completeness::Incomplete { cause: Unseen::Denied, detail: "could not list: denied".to_owned() };
    let populations = vec![seen(".", Completeness::Complete, resources), seen("other", denied, Vec::new())];
    evaluate(catalog, rules, &Snapshot { taken: now(), populations, receipts: Vec::new() }, now())
}

/// What a terminal shows of each, after the text of the control and its rules.
const SHOWN: &str = "
  no-evidence   vault:local/bare  not observed: keys
    control  controls/key/KEY-01.toml:21 (`requires`)
    created = 2026-10-01T00:00:00Z (31d ago)
    is_key = true
  non-compliant vault:local/many  no rule permits it
    rule     policies/key.cedar:2
    control  controls/key/KEY-01.toml:21 (`requires`)
    created = 2026-10-01T00:00:00Z (31d ago)
    expires = 2026-11-02T00:00:00Z (in 1d)
    is_key = true
    keys = 3
    limit    age of created at most 90d
    limit    keys under 3
    limit    time left until expires at least 36h
  not-applicable vault:local/no-key  outside the population
    control  controls/key/KEY-01.toml:17 (`where`)
    created = 2026-10-01T00:00:00Z (31d ago)
    is_key = false
    keys = 1
  excepted      vault:local/old  only exception slow permits it
    rule     exceptions/slow.toml:1
    control  controls/key/KEY-01.toml:21 (`requires`)
    created = 2026-01-01T00:00:00Z (304d ago)
    is_key = true
    keys = 1
    changes at 2026-12-01T00:00:00Z, in 30d
  compliant     vault:local/young  permitted by KEY-01
    rule     policies/key.cedar:2
    control  controls/key/KEY-01.toml:21 (`requires`)
    created = 2026-10-01T00:00:00Z (31d ago)
    is_key = true
    keys = 1
    limit    age of created at most 90d
    limit    keys under 3
    changes at 2026-12-30T00:00:00.001Z, in 59d
  no-evidence   all Vault::Secret of local other  could not list: denied
    control  controls/key/KEY-01.toml:14 (`entities`)
";

#[test]
fn a_decision_points_at_its_rule_and_its_control_and_shows_values_limits_and_when_it_flips() {
    let catalog = catalog();
    let rules = Rules::compile(&catalog).unwrap();
    let assessment = judged(&catalog, &rules);
    let decisions = matching(&assessment, "KEY-01");
    let explained = Explained { catalog: &catalog, rules: &rules, assessment: &assessment, decisions: &decisions, manual: &[] };
    let shown = human(&explained);
    assert!(
        shown.starts_with("KEY-01  Keys are young\n  Every key is at most 90 days old.\n  controls/key/KEY-01.toml:1\n"),
        "{shown}"
    );
    for rule in ["  rule KEY-01  policies/key.cedar:2\n", "  rule exception:slow  exceptions/slow.toml:1\n"] {
        assert!(shown.contains(rule), "{rule}{shown}");
    }
    let (_, last) = shown.rsplit_once("\n\n").unwrap();
    assert_eq!(format!("\n{last}"), SHOWN);
}

#[test]
fn programs_are_told_the_same_as_people_are_shown() {
    let catalog = catalog();
    let rules = Rules::compile(&catalog).unwrap();
    let assessment = judged(&catalog, &rules);
    let decisions = matching(&assessment, "KEY-01");
    let said =
        for_programs(&Explained { catalog: &catalog, rules: &rules, assessment: &assessment, decisions: &decisions, manual: &[] });
    let rule = json!({ "id": "KEY-01", "file": "policies/key.cedar", "line": 2 });
    let exception = json!({ "id": "exception:slow", "file": "exceptions/slow.toml", "line": 1 });
    assert_eq!(
        said["controls"],
        json!([{
            "id": "KEY-01", "title": "Keys are young", "owner": "security", "severity": "high",
            "file": "controls/key/KEY-01.toml", "line": 1, "rules": [rule, exception], "signature": null,
        }])
    );
    let decisions = said["decisions"].as_array().unwrap();
    assert_eq!(
        decisions[4],
        json!({
            "control": "KEY-01", "status": "compliant", "because": { "permitted": ["KEY-01"] },
            "subject": { "resource": { "entity": "Vault::Secret", "id": "vault:local/young" } },
            "observed": [["created", { "time": "2026-10-01T00:00:00Z" }], ["is_key", { "bool": true }], ["keys", { "long": 1 }]],
            "flips_at": "2026-12-30T00:00:00.001Z",
            "rules": [rule],
            "written": { "file": "controls/key/KEY-01.toml", "line": 21, "key": "requires" },
            "limits": [
                {
                    "rule": "KEY-01", "attribute": "created", "measure": "age", "sense": "at-most", "limit": 7_776_000_000_i64,
                    "text": "age of created at most 90d",
                },
                { "rule": "KEY-01", "attribute": "keys", "measure": "number", "sense": "under", "limit": 3, "text": "keys under 3" },
            ],
        })
    );
    // Of the others, what programs are told beside what people are shown.
    let of = |at: usize| {
        let one: &Json = &decisions[at];
        (
            one["status"].as_str().unwrap(),
            &one["rules"],
            one["written"]["line"].as_u64().unwrap(),
            one["limits"].as_array().unwrap().len(),
        )
    };
    let (none, excepted, ruled) = (json!([]), json!([exception]), json!([rule]));
    assert_eq!(of(0), ("no-evidence", &none, 21, 0));
    assert_eq!(of(1), ("non-compliant", &ruled, 21, 3));
    assert_eq!(of(2), ("not-applicable", &none, 17, 0));
    assert_eq!(of(3), ("excepted", &excepted, 21, 0));
    assert_eq!(of(5), ("no-evidence", &none, 14, 0));
}

#[test]
fn of_many_members_the_gravest_are_told_in_depth_and_all_are_counted() {
    let catalog = catalog();
    let rules = Rules::compile(&catalog).unwrap();
    let many = |count: usize| {
        let mut resources: Vec<Resource> =
            (0..count).map(|number| secret(&format!("young-{number:03}"), "2026-10-01T00:00:00Z", Some(1), true)).collect();
        resources.push(secret("zz-late", "2026-01-01T00:00:00Z", Some(1), true));
        let population = Population {
            source: "local".into(),
            scope: ".".to_owned(),
            entity: "Vault::Secret".into(),
            completeness: Completeness::Complete,
            resources: Arc::new(resources),
        };
        let snapshot = Snapshot { taken: now(), populations: vec![population], receipts: Vec::new() };
        let assessment = evaluate(&catalog, &rules, &snapshot, now());
        let decisions = matching(&assessment, "KEY-01");
        human(&Explained { catalog: &catalog, rules: &rules, assessment: &assessment, decisions: &decisions, manual: &[] })
    };
    let shown = many(800);
    assert!(shown.contains("\n  judged for 801:\n    non-compliant       1  no rule permits it\n    compliant         800  permitted by KEY-01\n\n  non-compliant vault:local/zz-late  no rule permits it\n"), "{shown}");
    assert!(
        shown.ends_with("\n  and 781 more: `--format json` has all, and `slm explain` of one by its id has that one\n"),
        "{shown}"
    );
    assert_eq!((shown.matches("\n  compliant     vault:local/").count(), shown.lines().count() < 300), (19, true), "{shown}");
    let few = many(19);
    assert!(!few.contains("judged for") && few.matches("\n  compliant     vault:local/").count() == 19, "{few}");
}
