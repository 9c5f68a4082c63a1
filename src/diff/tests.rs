//! Comparisons over built texts.

use std::sync::Arc;

use super::replay::{Day, Replayer};
use super::*;
use crate::model::assessment::Status;
use crate::model::catalog::*;
use crate::model::difference::{Effort, Fate, Flip, Means, Step, Way};
use crate::model::made::{self, ago, now, place};
use crate::model::period::day;
use crate::model::plan::HeldBecause;
use crate::model::snapshot::{Completeness, Population, Resource, Unseen, Value};
use crate::model::time::Limit;

const RULES: &str = r#"
@id("young") permit (principal, action == Control::Action::"ROT-01", resource is Vault::Secret) when {
  resource has created && resource.created <= context.now && context.now.durationSince(resource.created) <= duration("90d")
};
@id("tier") permit (principal, action == Control::Action::"ROT-02", resource is Vault::Secret) when {
  resource has created && resource has max_age_days && resource.created <= context.now &&
  context.now.durationSince(resource.created).toMilliseconds() <= resource.max_age_days * 86400000
};
@id("may-rotate") permit (principal, action == Slm::Action::"rotate", resource) when { context.share_percent <= 25 };
"#;

fn control(id: &str) -> Control {
    let criterion = if id == "ROT-01" { "CC6.1" } else { "CC6.2" };
    Control { requires: vec!["created".into()], criteria: [("soc2".into(), vec![criterion.into()])].into(), ..made::control(id) }
}

fn credential() -> Credential {
    Credential {
        secret: SecretRef { name: "s060".to_owned(), ..made::credential("db").secret },
        policy: made::every(90),
        consumers: vec![made::consumer("app")],
        ..made::credential("db")
    }
}

fn exception(id: &str, days: i64) -> Exception {
    Exception { expires: Limit::days(days).after(now()), ..made::exception(id) }
}

fn catalog() -> Catalog {
    let tiers = [("standard".to_owned(), Limit::days(90))].into();
    let settings = Settings { limits: RunLimits { rotate_percent: 100, ..RunLimits::default() }, tiers, ..made::settings() };
    let file = |text: &str| PolicyFile { path: String::new(), text: Arc::from(text) };
    let criterion = |id: &str| {
        let text = Criterion { title: format!("title of {id}"), group: String::new(), summary: String::new(), manual: false };
        (id.into(), text)
    };
    let criteria = ["CC6.1", "CC6.2"].map(criterion).into();
    let soc2 = Framework { id: "soc2".into(), name: "SOC 2".to_owned(), criteria, place: place() };
    Catalog {
        settings,
        controls: ["ROT-01", "ROT-02"].map(|id| (id.into(), control(id))).into(),
        frameworks: [("soc2".into(), soc2)].into(),
        credentials: [("db".into(), credential())].into(),
        exceptions: [].into(),
        attestations: [].into(),
        policies: vec![file(RULES)],
        schema: file("namespace Slm { entity Runner; }"),
    }
}

fn changed(change: impl FnOnce(&mut Catalog)) -> Catalog {
    let mut catalog = catalog();
    change(&mut catalog);
    catalog
}

fn rule(from: &str, to: &str) -> Catalog {
    assert!(RULES.contains(from), "{from}");
    changed(|catalog| catalog.policies[0].text = RULES.replacen(from, to, 1).into())
}

fn secret(days: i64) -> Resource {
    let id = format!("s{days:03}");
    let facts = vec![
        ("created".into(), Value::Time(ago(days))),
        ("max_age_days".into(), Value::Long(90)),
        ("name".into(), Value::Text(id.as_str().into())),
        ("version".into(), Value::Text("v1".into())),
    ];
    Resource::new(id.as_str().into(), facts)
}

fn snapshot(taken: Timestamp, resources: Vec<Resource>) -> Snapshot {
    let vault = Population {
        source: "local".into(),
        scope: ".".to_owned(),
        entity: "Vault::Secret".into(),
        completeness: Completeness::Complete,
        resources: Arc::new(resources),
    };
    Snapshot { taken, populations: vec![vault], receipts: Vec::new() }
}

/// Both texts compiled, for `then`.
fn both<T>(base: &Catalog, head: &Catalog, then: impl FnOnce(&Text<'_>, &Text<'_>) -> T) -> T {
    let rules = (Rules::compile(base).unwrap(), Rules::compile(head).unwrap());
    let side = |name: &str| Side { name: name.to_owned(), config: format!("config of {name}") };
    then(&Text { side: side("base"), catalog: base, rules: &rules.0 }, &Text { side: side("head"), catalog: head, rules: &rules.1 })
}

/// What is other, without anything recorded and without a solver.
fn compared(head: &Catalog) -> Difference {
    both(&catalog(), head, |base, head| diff(&Input { base, head, at: now(), proofs: &Proofs::new(), seen: None }))
}

fn seen(base: &Catalog, head: &Catalog, resources: Vec<Resource>, plan: Option<&Plan>) -> Difference {
    let (run, snapshot) = (RunId::from("r1"), snapshot(now(), resources));
    both(base, head, |base, head| {
        let seen = Some(Seen { run: &run, snapshot: &snapshot, at: now(), plan });
        diff(&Input { base, head, at: now(), proofs: &Proofs::new(), seen })
    })
}

/// Control, way and edits as `key before after way`.
fn told(difference: &Difference) -> Vec<(String, Way, Vec<String>)> {
    let one = |edit: &crate::model::difference::Edit| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} {} {} {}", edit.what, text(&edit.before), text(&edit.after), edit.way.map_or("-", Way::word))
    };
    difference.controls.iter().map(|it| (it.control.to_string(), it.way, it.edits.iter().map(one).collect())).collect()
}

#[test]
fn the_same_text_is_equal_and_asks_nothing() {
    let same = compared(&catalog());
    assert!(same.is_equal() && same.controls.is_empty());
    assert_eq!(both(&catalog(), &catalog(), questions), Vec::<String>::new());
}

/// What is done to a control, and what is told of it.
type Case = (fn(&mut Control), Way, &'static str);

#[test]
fn each_limit_of_a_control_has_its_sense() {
    let edit = |change: fn(&mut Control)| {
        told(&compared(&changed(|catalog| change(catalog.controls.get_mut("ROT-01").unwrap())))).remove(0)
    };
    let cases: [Case; 9] = [
        (|one| one.evidence_ttl = Limit::days(30), Way::Looser, "evidence-ttl 1d 30d looser"),
        (|one| one.evidence_ttl = Limit::seconds(3600), Way::Tighter, "evidence-ttl 1d 1h tighter"),
        (|one| one.collect_every = Limit::days(7), Way::Looser, "collect-every 1d 7d looser"),
        (|one| one.severity = Severity::Low, Way::Looser, "severity high low looser"),
        (|one| one.severity = Severity::Critical, Way::Tighter, "severity high critical tighter"),
        (|one| one.requires.clear(), Way::Looser, "rule.requires created - looser"),
        (|one| one.entities.push("Aws::Secret".into()), Way::Tighter, "population.entities - Aws::Secret tighter"),
        (|one| one.applies_where.push(("prod".into(), Value::Bool(true))), Way::Looser, "population.where.prod - true looser"),
        (|one| one.title = "Another".to_owned(), Way::Equal, "title title of ROT-01 Another -"),
    ];
    for (change, way, expected) in cases {
        assert_eq!(edit(change), ("ROT-01".to_owned(), way, vec![expected.to_owned()]));
    }
    let (_, way, edits) = edit(|one| (one.evidence_ttl, one.severity) = (Limit::days(2), Severity::Critical));
    assert_eq!((way, edits.len()), (Way::Incomparable, 2));
}

#[test]
fn a_control_that_comes_asks_for_more_and_one_that_goes_for_less_and_takes_its_criteria_along() {
    let gone = changed(|catalog| drop(catalog.controls.remove("ROT-02")));
    let difference = compared(&gone);
    let one = &difference.controls[0];
    assert_eq!((one.control.as_str(), one.fate, one.way), ("ROT-02", Fate::Removed, Way::Looser));
    let lost = &difference.criteria_lost[0];
    assert_eq!((lost.criterion.as_str(), lost.title.as_str(), lost.before.len()), ("CC6.2", "title of CC6.2", 1));
    assert_eq!(difference.criteria_gained, []);
    let back = both(&gone, &catalog(), |base, head| diff(&Input { base, head, at: now(), proofs: &Proofs::new(), seen: None }));
    assert_eq!((back.controls[0].fate, back.controls[0].way), (Fate::Added, Way::Tighter));
    assert_eq!((back.criteria_lost.len(), back.criteria_gained[0].after[0].as_str()), (0, "ROT-02"));
    // What waits for a collector answers for nothing.
    let waits = changed(|catalog| catalog.controls.get_mut("ROT-02").unwrap().needs = Some("a collector".to_owned()));
    assert_eq!(compared(&waits).criteria_lost[0].criterion.as_str(), "CC6.2");
}

#[test]
fn policies_in_another_form_are_equal_and_others_are_not_proved_without_a_solver() {
    let form = compared(&rule(
        "resource has created && resource.created <= context.now && ",
        "// why\n  resource has created\n && resource.created <= context.now && ",
    ));
    let proof = form.controls[0].proof.clone().unwrap();
    assert_eq!((form.controls[0].way, proof.way, proof.means), (Way::Equal, Way::Equal, Means::SamePolicies));
    assert!(form.is_equal());
    let renamed = compared(&rule("@id(\"young\")", "@id(\"old\")"));
    assert_eq!(renamed.controls[0].proof.as_ref().unwrap().means, Means::SamePolicies);

    let head = rule("duration(\"90d\")", "duration(\"365d\")");
    let other = compared(&head);
    assert_eq!((other.controls.len(), other.controls[0].way, other.is_equal()), (1, Way::NotProved, false));
    assert_eq!(other.controls[0].proof.as_ref().unwrap().means, Means::Unproved("no solver was asked".to_owned()));
    both(&catalog(), &head, |base, head| {
        let asked = questions(base, head);
        assert_eq!(asked, ["Control::Action::\"ROT-01\""]);
        let proved = Proof { way: Way::Looser, means: Means::Solver, newly_allowed: None, newly_denied: None };
        let proofs = Proofs::from([(asked[0].clone(), proved.clone())]);
        let difference = diff(&Input { base, head, at: now(), proofs: &proofs, seen: None });
        assert_eq!((difference.controls[0].way, difference.controls[0].proof.clone()), (Way::Looser, Some(proved)));
    });
}

#[test]
fn an_exception_loosens_its_control_from_now_on_by_its_dates() {
    let with =
        |all: &[Exception]| changed(|catalog| catalog.exceptions = all.iter().map(|one| (one.id.clone(), one.clone())).collect());
    let of = |base: &Catalog, head: &Catalog| {
        let difference = both(base, head, |base, head| diff(&Input { base, head, at: now(), proofs: &Proofs::new(), seen: None }));
        let ways: Vec<_> = difference.exceptions.iter().map(|one| (one.fate, one.way)).collect();
        let control = difference.controls.first().map(|one| (one.way, one.proof.as_ref().map(|proof| proof.means.clone())));
        (ways, control)
    };
    let none = with(&[]);
    let dates = |way| Some((way, Some(Means::Dates)));
    assert_eq!(of(&none, &with(&[exception("e", 30)])), (vec![(Fate::Added, Way::Looser)], dates(Way::Looser)));
    assert_eq!(of(&with(&[exception("e", 30)]), &none), (vec![(Fate::Removed, Way::Tighter)], dates(Way::Tighter)));
    let (short, long) = (with(&[exception("e", 30)]), with(&[exception("e", 60)]));
    assert_eq!(of(&short, &long), (vec![(Fate::Changed, Way::Looser)], dates(Way::Looser)));
    assert_eq!(of(&long, &short), (vec![(Fate::Changed, Way::Tighter)], dates(Way::Tighter)));
    // Approved again: that it did not permit while it waited for that is no matter now.
    let renewed = with(&[Exception { approved: ago(1), ..exception("e", 60) }]);
    assert_eq!(of(&short, &renewed), (vec![(Fate::Changed, Way::Looser)], dates(Way::Looser)));
    assert_eq!(of(&none, &with(&[exception("e", -1)])), (vec![(Fate::Added, Way::Equal)], dates(Way::Equal)));
    let other = with(&[Exception { resource: "s091".into(), ..exception("e", 30) }]);
    let (ways, control) = of(&short, &other);
    assert_eq!(ways, [(Fate::Removed, Way::Tighter), (Fate::Added, Way::Looser)]);
    assert_eq!(control, dates(Way::Incomparable));
}

#[test]
fn limits_of_settings_and_credentials_are_compared_as_numbers() {
    let head = changed(|catalog| {
        catalog.settings.tiers = [("standard".to_owned(), Limit::days(365)), ("gold".to_owned(), Limit::days(30))].into();
        catalog.settings.limits.rotate_percent = 50;
        let policy = &mut catalog.credentials.get_mut("db").unwrap().policy;
        (policy.rotate_every, policy.max_validity, policy.allow_gap) =
            (Limit::days(30), Some(Limit::days(40)), Some(Limit::seconds(60)));
    });
    let difference = compared(&head);
    let edits = |all: &[crate::model::difference::Edit]| -> Vec<_> { all.iter().map(|one| (one.what.clone(), one.way)).collect() };
    let expected = [
        ("tiers.limits.gold".to_owned(), Some(Way::Incomparable)),
        ("tiers.limits.standard".to_owned(), Some(Way::Looser)),
        ("tiers.default".to_owned(), None),
        ("limits.rotate-percent".to_owned(), Some(Way::Tighter)),
    ];
    assert_eq!(edits(&difference.settings), [expected[0].clone(), expected[1].clone(), expected[3].clone()]);
    let expected =
        [("policy.rotate-every", Way::Tighter), ("policy.max-validity", Way::Tighter), ("policy.allow-gap", Way::Looser)];
    assert_eq!(edits(&difference.credentials[0].edits), expected.map(|(what, way)| (what.to_owned(), Some(way))));
    let fewer = changed(|catalog| drop(catalog.credentials.remove("db")));
    assert_eq!(compared(&fewer).credentials[0].fate, Fate::Removed);
}

#[test]
fn a_guard_tells_what_it_permits_now_and_held_before() {
    let head = rule("context.share_percent <= 25", "context.share_percent <= 50 && !context.incomplete");
    let base = catalog();
    let due = vec![secret(60)];
    let plan = Plan {
        format: 1,
        at: now(),
        config: String::new(),
        snapshot: String::new(),
        actions: Vec::new(),
        held: vec![crate::model::plan::Held {
            kind: crate::model::plan::ActionKind::Rotate {
                credential: "db".into(),
                secret: credential().secret,
                generation: None,
                rotation: "r".into(),
                consumers: Vec::new(),
            },
            reason: crate::model::plan::Reason::NoValue,
            because: HeldBecause::NothingPermits,
            outlook: None,
        }],
        together: Vec::new(),
        preflight: Vec::new(),
        usage: Vec::new(),
    };
    let difference = seen(&base, &head, due, Some(&plan));
    let guard = &difference.guards[0];
    assert_eq!((guard.action.as_str(), guard.proof.way, difference.guards.len()), ("rotate", Way::NotProved, 1));
    let asked = |all: &[crate::model::difference::Guarded]| -> Vec<_> {
        all.iter().map(|one| (one.credential.to_string(), one.incomplete, one.share, one.planned)).collect()
    };
    assert_eq!(asked(&guard.permits), [("db".to_owned(), false, (26, 50), true)]);
    assert_eq!(asked(&guard.holds), [("db".to_owned(), true, (0, 25), true)]);
    assert_eq!(guard.permits[0].rules, ["may-rotate".into()]);
}

#[test]
fn a_shorter_period_makes_a_rotation_due_and_brings_its_consumers_a_new_value() {
    let head = changed(|catalog| catalog.credentials.get_mut("db").unwrap().policy.rotate_every = Limit::days(30));
    let difference = seen(&catalog(), &head, vec![secret(60)], None);
    let follows = difference.consequences.unwrap();
    let due = &follows.due[0];
    let expected = (Some(Limit::days(90).after(ago(60))), Some(Limit::days(30).after(ago(60))), true);
    assert_eq!((due.before, due.after, due.newly_due), expected);
    assert_eq!((follows.steps.len(), &follows.steps[0].before, &follows.steps[0].after), (1, &None, &Some(Step::Planned)));
    assert_eq!(follows.consumers, [("db".into(), "app".into())]);
    let back = seen(&head, &catalog(), vec![secret(60)], None).consequences.unwrap();
    assert_eq!((back.steps[0].after.clone(), back.due[0].newly_due, back.consumers.len()), (None, false, 0));
}

/// The days before now, each seen by `of`, judged under `catalog()` and `head`.
fn replayed(head: &Catalog, days: i64, of: impl Fn(i64) -> Vec<Resource>) -> crate::model::difference::Replay {
    both(&catalog(), head, |base, head| {
        let mut replayer = Replayer::new(base, head);
        let mut before: Option<Snapshot> = None;
        for at in (0..days).rev() {
            let mut seen = snapshot(ago(at), of(at));
            // As it is read: what did not change is the same in memory.
            if let Some(old) = before.filter(|old| old.populations == seen.populations) {
                seen.populations = old.populations;
            }
            let day = |base, head| Day { date: day(ago(at)), at: ago(at), base, head };
            match joined(base, head, &seen) {
                Some((old, new)) => replayer.day(&day(&old, &new)),
                None => replayer.day(&day(&seen, &seen)),
            }
            before = Some(seen);
        }
        replayer.finish(0).unwrap()
    })
}

fn flip(id: &str, before: Status, after: Status) -> Flip {
    Flip { entity: "Vault::Secret".into(), resource: Some(id.into()), before: Some(before), after: Some(after) }
}

#[test]
fn days_are_judged_under_both_texts_and_only_where_something_can_have_changed() {
    let head = rule("duration(\"90d\")", "duration(\"95d\")");
    // One secret that crosses 90 days on the seventh of ten days, and two that stay young or old.
    let all = |_| vec![secret(10), secret(93), secret(200)];
    let replay = replayed(&head, 10, all);
    assert_eq!((replay.judged, replay.days), (vec!["ROT-01".into()], 10));
    let one = &replay.controls[0];
    assert_eq!(one.flips, [flip("s093", Status::NonCompliant, Status::Compliant)]);
    let dates: Vec<_> = one.days.iter().map(|(date, number)| (date.to_string(), *number)).collect();
    assert_eq!(dates, [("2026-11-22".to_owned(), 1), ("2026-11-23".to_owned(), 1), ("2026-11-24".to_owned(), 1)]);
    // Three at first under each text, one again when it crossed 90 days by the old text.
    assert_eq!(replay.effort, Effort { made: 7, kept: 53 });
}

#[test]
fn what_changed_from_one_day_to_the_next_is_judged_as_all_of_it_would_be() {
    let head = rule("duration(\"90d\")", "duration(\"60d\")");
    // Every day another secret is new, and the oldest is gone.
    let all = |at: i64| (0..80).map(|n| secret(at + n)).chain((at % 3 == 0).then(|| secret(901))).collect::<Vec<_>>();
    let by_day = |at: i64| {
        let mut all = all(at);
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.dedup_by(|a, b| a.id == b.id);
        all
    };
    let replay = replayed(&head, 30, by_day);
    let mut expected = Vec::new();
    for at in (0..30).rev() {
        let all = by_day(at);
        let flips = all.iter().filter(|one| {
            let age = now().as_second() - one.instant("created").unwrap().as_second() - at * Limit::DAY;
            (60 * Limit::DAY..=90 * Limit::DAY).contains(&age) && age > 60 * Limit::DAY
        });
        let count = flips.count() as u64;
        expected.extend((count > 0).then(|| (day(ago(at)), count)));
    }
    assert_eq!(replay.controls[0].days, expected);
    assert!(replay.effort.made < replay.effort.kept, "{:?}", replay.effort);
}

#[test]
fn a_tier_of_slm_toml_changes_what_was_seen_of_secrets_and_so_what_is_said_of_them() {
    let head = changed(|catalog| catalog.settings.tiers = [("standard".to_owned(), Limit::days(50))].into());
    let replay = replayed(&head, 1, |_| vec![secret(40), secret(60)]);
    assert_eq!(replay.judged, ["ROT-01".into(), "ROT-02".into()], "both read when a secret was made");
    assert_eq!(replay.controls.len(), 1);
    assert_eq!(replay.controls[0].flips, [flip("s060", Status::Compliant, Status::NonCompliant)]);
}

#[test]
fn a_new_control_is_told_by_what_it_would_have_found() {
    let head = changed(|catalog| {
        catalog.controls.insert("ROT-03".into(), control("ROT-03"));
        catalog.policies[0].text = format!(
            "{RULES}@id(\"new\") permit (principal, action == Control::Action::\"ROT-03\", resource) when {{ resource has created && resource.created >= datetime(\"2026-11-01\") }};"
        )
        .into();
    });
    let replay = replayed(&head, 2, |_| vec![secret(5), secret(100)]);
    let found = Flip { before: None, ..flip("s100", Status::Compliant, Status::NonCompliant) };
    assert_eq!(replay.controls[0].flips, [found]);
    assert_eq!(replay.controls[0].days.len(), 2);
}

#[test]
fn a_population_that_was_not_seen_whole_is_not_told_unless_only_one_text_asks_for_it() {
    let hole = |entity: &str| Population {
        source: "prod".into(),
        scope: "1/eu-west-1".to_owned(),
        entity: entity.into(),
        completeness: Completeness::Incomplete { cause: Unseen::Denied, detail: "list: denied".to_owned() },
        resources: Arc::default(),
    };
    let head = changed(|catalog| catalog.controls.get_mut("ROT-01").unwrap().entities.push("Aws::Secret".into()));
    let replay = both(&catalog(), &head, |base, head| {
        let mut replayer = Replayer::new(base, head);
        let mut seen = snapshot(now(), vec![secret(5)]);
        seen.populations.extend([hole("Aws::Secret"), hole("Vault::Secret")]);
        replayer.day(&Day { date: day(now()), at: now(), base: &seen, head: &seen });
        replayer.finish(3).unwrap()
    });
    let whole = Flip { entity: "Aws::Secret".into(), resource: None, before: None, after: Some(Status::NoEvidence) };
    assert_eq!((replay.controls[0].flips.clone(), replay.days_without_run), (vec![whole], 3));
}

#[test]
fn evidence_that_is_stale_by_one_text_alone_reads_differently() {
    let head = changed(|catalog| catalog.controls.get_mut("ROT-01").unwrap().evidence_ttl = Limit::seconds(60));
    let replay = both(&catalog(), &head, |base, head| {
        let mut replayer = Replayer::new(base, head);
        for (at, late) in [(ago(1), 0), (now(), 90)] {
            let seen = snapshot(Limit::seconds(-late).after(at), vec![secret(5)]);
            replayer.day(&Day { date: day(at), at, base: &seen, head: &seen });
        }
        replayer.finish(0).unwrap()
    });
    assert_eq!(replay.controls[0].flips, [flip("s005", Status::Compliant, Status::NoEvidence)]);
    assert_eq!(replay.controls[0].days, [(day(now()), 1)]);
}
