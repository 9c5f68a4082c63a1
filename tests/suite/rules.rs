//! Every rule of the shipped catalogue against its table of cases, natively and under plain Cedar, and once more with an exception.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cedar_policy::Decision as CedarDecision;
use serde::Deserialize;
use slm::evaluate::evaluate;
use slm::host::files::read_work_tree;
use slm::load::{Files, load};
use slm::model::assessment::{Status, Subject};
use slm::model::catalog::{Catalog, Exception};
use slm::model::diagnostic::{Diagnostic, Place};
use slm::model::id::{ControlId, EntityType, ExceptionId, ResourceId, SourceId};
use slm::model::snapshot::{Completeness, Population, Resource, Snapshot, Unseen, Value};
use slm::model::time::{Limit, Timestamp};
use slm::policy::{GuardFacts, Rules, Verdict, oracle};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    now: String,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    entity: String,
    status: String,
    #[serde(default)]
    attributes: BTreeMap<String, toml::Value>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shipped() -> Catalog {
    let files = Files(read_work_tree(root()).unwrap());
    let loaded = load(&files, "2026-11-24T00:00:00Z".parse().unwrap());
    let complaints: Vec<&Diagnostic> = loaded.diagnostics.iter().collect();
    loaded.catalog.unwrap_or_else(|| panic!("{complaints:#?}"))
}

fn value(value: &toml::Value) -> Value {
    match value {
        toml::Value::Boolean(yes) => Value::Bool(*yes),
        toml::Value::Integer(number) => Value::Long(*number),
        toml::Value::String(text) => Value::Text(Arc::from(text.as_str())),
        toml::Value::Datetime(instant) => Value::Time(instant.to_string().parse().unwrap()),
        other => panic!("a case cannot hold {other:?}"),
    }
}

fn tables() -> BTreeMap<String, Table> {
    let folder = root().join("fixtures/rules");
    let mut tables = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        tables.insert(name, toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    tables
}

fn world(case: &Case, now: Timestamp) -> Snapshot {
    let attributes = case.attributes.iter().map(|(name, raw)| (Arc::from(name.as_str()), value(raw))).collect();
    let population = Population {
        source: SourceId::from("test"),
        scope: ".".to_owned(),
        entity: EntityType::from(&case.entity),
        completeness: Completeness::Complete,
        resources: vec![Resource::new(ResourceId::from("it"), attributes)].into(),
    };
    Snapshot { taken: now, populations: vec![population], receipts: Vec::new() }
}

/// The catalog with only `control`.
fn alone(catalog: &Catalog, control: &ControlId) -> Catalog {
    let mut one = catalog.clone();
    one.controls.retain(|id, _| id == control);
    one.exceptions.clear();
    one
}

fn status(catalog: &Catalog, rules: &Rules, snapshot: &Snapshot, now: Timestamp) -> Status {
    let assessment = evaluate(catalog, rules, snapshot, now);
    let of_resource = |subject: &Subject| matches!(subject, Subject::Resource { .. });
    let mut decisions = assessment.decisions.iter().filter(|decision| of_resource(&decision.subject));
    let status = decisions.next().map(|decision| decision.status);
    status.unwrap_or_else(|| panic!("nothing was judged: {:?}", assessment.decisions))
}

#[test]
fn every_rule_agrees_with_its_table_natively_and_under_cedar() {
    let catalog = shipped();
    let rules = Rules::compile(&catalog).unwrap();
    let tables = tables();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for (name, table) in &tables {
        let control = ControlId::from(name);
        if !catalog.controls.contains_key(&control) {
            wrong.push(format!("{name}: no such control"));
            continue;
        }
        let one = alone(&catalog, &control);
        let now: Timestamp = table.now.parse().unwrap();
        for case in &table.case {
            cases += 1;
            let snapshot = world(case, now);
            let got = status(&one, &rules, &snapshot, now);
            if got.word() != case.status {
                wrong.push(format!("{name} {}: {} instead of {}", case.name, got.word(), case.status));
            }
            let action = format!("Control::Action::{name:?}");
            let population = &snapshot.populations[0];
            let cedar = oracle::authorize(&rules, &action, &population.entity, &population.resources[0], now);
            let agrees = match got {
                Status::Compliant => cedar == Ok(CedarDecision::Allow),
                Status::NonCompliant => cedar == Ok(CedarDecision::Deny),
                // Out of scope, or a required attribute is missing: Cedar is not asked. A missing attribute must not be permitted.
                Status::NoEvidence => cedar != Ok(CedarDecision::Allow) || !case.name.starts_with("missing"),
                _ => true,
            };
            if !agrees {
                wrong.push(format!("{name} {}: {} here, {cedar:?} under Cedar", case.name, got.word()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(tables.len(), catalog.controls.len(), "every control has a table");
}

#[test]
fn every_table_has_pass_fail_and_missing_cases() {
    let mut wrong = Vec::new();
    for (name, table) in tables() {
        let has = |status: &str| table.case.iter().any(|case| case.status == status);
        wrong.extend(
            ["compliant", "non-compliant", "no-evidence"]
                .iter()
                .filter(|status| !has(status))
                .map(|status| format!("{name} has no {status} case")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands on both sides of a limit of time, one attribute moved: at it, a second and 23 hours beyond it, and beyond now.
#[test]
fn every_rule_that_counts_time_has_its_boundary_cases() {
    let rules = Rules::compile(&shipped()).unwrap();
    let (mut wrong, mut looked) = (Vec::new(), 0);
    for (name, table) in tables() {
        let slice = rules.slice(&format!("Control::Action::{name:?}"));
        let Some(rule) = slice.iter().find(|rule| rule.text.contains("durationSince")) else { continue };
        looked += 1;
        let case = |end: &str| {
            let found = table.case.iter().find(|case| case.name == end || case.name == end.replace("plus", "minus"));
            found.ok_or_else(|| format!("{name} has no case `{end}`"))
        };
        // A rule that looks ahead of now is not met by what is past.
        let ahead = rule.text.contains("durationSince(context.now)") && !rule.text.contains("context.now.durationSince");
        let beyond = if ahead { "past" } else { "future" };
        wrong.extend(case(beyond).map_or_else(Some, |case| (case.status != "non-compliant").then(|| format!("{name} {beyond}"))));
        for (end, seconds) in [("limit-plus-1s", 1), ("limit-plus-23h", 23 * 3_600)] {
            match (case("exactly-limit"), case(end)) {
                (Ok(at), Ok(over)) if at.status != over.status && moved(at, over) == Some(seconds) => {}
                (Err(missing), _) | (_, Err(missing)) => wrong.push(missing),
                _ => wrong.push(format!("{name} {end} is not `exactly-limit` moved by {seconds} s over the limit")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked > 30, "{looked}");
}

/// By how many seconds the one instant in which `a` and `b` differ was moved.
fn moved(a: &Case, b: &Case) -> Option<i64> {
    let differ = |(name, at): &(&String, &toml::Value)| b.attributes.get(*name) != Some(*at);
    let mut moved = a.attributes.iter().filter(differ);
    let (name, from) = moved.next().filter(|_| a.attributes.len() == b.attributes.len() && moved.next().is_none())?;
    match (value(from), value(b.attributes.get(name)?)) {
        (Value::Time(from), Value::Time(to)) => Some((to.as_second() - from.as_second()).abs()),
        _ => None,
    }
}

/// What AWS promises to do is no evidence of what it did.
#[test]
fn no_schedule_makes_an_overdue_secret_young_nor_a_young_one_old() {
    let catalog = shipped();
    let rules = Rules::compile(&catalog).unwrap();
    let (one, table) = (alone(&catalog, &ControlId::from("ROT-01")), &tables()["ROT-01"]);
    let now: Timestamp = table.now.parse().unwrap();
    let mut overdue = 0;
    for case in &table.case {
        for (rule, days) in
            [("rate(10 days)", Some(10)), ("rate(4 hours)", Some(1)), ("rate(60 days)", Some(60)), ("cron(0 16 1,15 * ? *)", None)]
        {
            for enabled in [true, false] {
                let mut attributes = case.attributes.clone();
                attributes.insert("rotation_enabled".to_owned(), enabled.into());
                attributes.insert("rotation_rule".to_owned(), rule.into());
                attributes.remove("rotation_days");
                attributes.extend(days.map(|days: i64| ("rotation_days".to_owned(), days.into())));
                let case = Case { name: case.name.clone(), entity: case.entity.clone(), status: case.status.clone(), attributes };
                let snapshot = world(&case, now);
                assert_eq!(status(&one, &rules, &snapshot, now).word(), case.status, "{} with {rule}", case.name);
                let population = &snapshot.populations[0];
                let cedar =
                    oracle::authorize(&rules, "Control::Action::\"ROT-01\"", &population.entity, &population.resources[0], now);
                if case.status == "non-compliant" {
                    overdue += 1;
                    assert_eq!(cedar, Ok(CedarDecision::Deny), "{} with {rule}", case.name);
                }
            }
        }
    }
    assert!(overdue > 100, "{overdue}");
}

#[test]
fn an_exception_lifts_a_breach_until_it_lapses_and_no_longer() {
    let mut catalog = shipped();
    let tables = tables();
    for (name, table) in &tables {
        let exception = exception(name, table.now.parse().unwrap());
        catalog.exceptions.insert(exception.id.clone(), exception);
    }
    let rules = Rules::compile(&catalog).unwrap();
    let mut wrong = Vec::new();
    for (name, table) in &tables {
        let now: Timestamp = table.now.parse().unwrap();
        let one = alone(&catalog, &ControlId::from(name));
        let Some(case) = table.case.iter().find(|case| case.status == "non-compliant" && case.name == "fail") else {
            wrong.push(format!("{name} has no case `fail`"));
            continue;
        };
        let (last, lapsed) = (Limit::seconds(Limit::DAY - 1).after(now), Limit::days(1).after(now));
        let [before, until, after] = [now, last, lapsed].map(|at| status(&one, &rules, &world(case, at), at));
        if [before, until] != [Status::Excepted; 2] || after == Status::Excepted {
            let words = [before.word(), until.word(), after.word()].join(", ");
            wrong.push(format!("{name}: {words}, in force, a second before its end, and lapsed"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn exception(control: &str, now: Timestamp) -> Exception {
    Exception {
        id: ExceptionId::from(control),
        control: ControlId::from(control),
        resource: ResourceId::from("it"),
        reason: "test".to_owned(),
        compensating: "test".to_owned(),
        ticket: "T-1".to_owned(),
        requester: "a".to_owned(),
        approver: "b".to_owned(),
        approved: now,
        earlier: Vec::new(),
        expires: Limit::days(1).after(now),
        place: Place { file: "exceptions/test.toml".to_owned(), span: 0..0 },
    }
}

/// What the guards of `policies` say of `verb` on a credential that can be tried before.
fn permitted(rules: &Rules, verb: &str, share_percent: i64, incomplete: bool, verifiable: bool) -> bool {
    let facts = GuardFacts {
        credential: "db".to_owned(),
        owner: "platform".to_owned(),
        kind: "postgres-alternating".to_owned(),
        issuer: "client".to_owned(),
        overlap: 2,
        verifiable,
        disable: true,
        delete: false,
        reread: false,
        source: "prod".to_owned(),
        consumers: 1,
        share_percent,
        incomplete,
    };
    match rules.guard(verb, &facts, "2026-11-24T00:00:00Z".parse().unwrap()) {
        Verdict::Permitted(by) => {
            assert!(!by.is_empty(), "{verb}");
            true
        }
        Verdict::NothingPermits => false,
        other => panic!("{verb}: {other:?}"),
    }
}

#[test]
fn the_shipped_guards_permit_nothing_where_something_was_not_seen_and_a_quarter_of_the_credentials_a_run() {
    let rules = Rules::compile(&shipped()).unwrap();
    for verb in ["rotate", "deliver", "rotate_leak", "retire"] {
        assert!(permitted(&rules, verb, 0, false, true), "{verb}");
        assert!(!permitted(&rules, verb, 0, true, true), "{verb} of what was not seen");
    }
    for verb in ["rotate", "deliver"] {
        assert!(permitted(&rules, verb, 25, false, false) && !permitted(&rules, verb, 26, false, true), "{verb}");
    }
    for verb in ["rotate_leak", "retire"] {
        assert!(permitted(&rules, verb, 100, false, true) && !permitted(&rules, verb, 0, false, false), "{verb} untried");
    }
    assert!(permitted(&rules, "collect", 100, true, false), "reading is always allowed");
    assert!(!permitted(&rules, "sync", 0, false, true));
}

#[test]
fn a_control_nobody_observes_is_no_evidence_never_compliant() {
    let catalog = shipped();
    let rules = Rules::compile(&catalog).unwrap();
    let now: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let assessment = evaluate(&catalog, &rules, &Snapshot { taken: now, populations: Vec::new(), receipts: Vec::new() }, now);
    assert_eq!(assessment.decisions.len(), catalog.controls.len());
    assert!(assessment.decisions.iter().all(|decision| decision.status == Status::NoEvidence));
    assert_eq!(assessment.gaps.len(), catalog.controls.len());
}

#[test]
fn a_population_cut_short_adds_a_decision_without_evidence() {
    let catalog = shipped();
    let rules = Rules::compile(&catalog).unwrap();
    let table = &tables()["ROT-01"];
    let now: Timestamp = table.now.parse().unwrap();
    let case = table.case.iter().find(|case| case.status == "compliant").unwrap();
    let mut snapshot = world(case, now);
    snapshot.populations[0].completeness =
        Completeness::Incomplete { cause: Unseen::Denied, detail: "page 2: AccessDenied".to_owned() };
    let one = alone(&catalog, &ControlId::from("ROT-01"));
    let assessment = evaluate(&one, &rules, &snapshot, now);
    let words: Vec<&str> = assessment.decisions.iter().map(|decision| decision.status.word()).collect();
    assert!(words.contains(&"no-evidence"), "{words:?}");
    assert_eq!(assessment.gaps.len(), 1);
}

#[test]
fn the_flip_instant_is_where_the_status_really_changes() {
    let catalog = shipped();
    let rules = Rules::compile(&catalog).unwrap();
    for (name, table) in tables() {
        let now: Timestamp = table.now.parse().unwrap();
        for case in table.case {
            let snapshot = world(&case, now);
            let population = &snapshot.populations[0];
            let (entity, resource) = (&population.entity, &population.resources[0]);
            let slice = rules.slice(&format!("Control::Action::{name:?}"));
            if let Some(flip) = Rules::flips_at(slice, entity, resource, now) {
                let just_before = Timestamp::from_millisecond(flip.as_millisecond() - 1).unwrap();
                let kind = |at| std::mem::discriminant(&Rules::judge(slice, entity, resource, at));
                assert!(kind(now) == kind(just_before) && kind(now) != kind(flip), "{name} {}", case.name);
            }
        }
    }
}
