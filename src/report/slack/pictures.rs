//! Every message in every state, as files beside this one: what a channel shows, read as text.

use super::tests::{bad, read, settings, shown};
use super::*;
use crate::model::assessment::{Decision, Status};
use crate::model::catalog::Severity;
use crate::model::drift::{Ending, Share};
use crate::model::notify::{AlertOn, AlertSettings};
use crate::model::standing::Phase;
use crate::report::alerts::firing;
use crate::report::drift::tests::{at, decision, ending, full, world};

fn on(on: AlertOn) -> AlertSettings {
    let severity = (on == AlertOn::Overdue).then_some(Severity::Low);
    AlertSettings { below: 95, severity, ..AlertSettings::new(on, vec!["ops".to_owned()]) }
}

/// What is told of `drift` when `told` was told before, with alerts on `ons`.
fn told_with(drift: &Drift, told: &Told, edits: bool, ons: &[AlertOn]) -> Vec<Step> {
    let alerts: Vec<AlertSettings> = ons.iter().copied().map(on).collect();
    let alerts = firing(drift, &alerts, "ops");
    steps(&Say { drift, settings: &settings(), told, alerts, edits, asked: false })
}

/// Messages as text, each with the way it goes.
fn picture(steps: &[Step]) -> String {
    let way = |step: &Step| match &step.way {
        Way::Show => "new message",
        Way::Below(_) => "below it",
        Way::Change(_) => "in place of what was there",
    };
    let all: Vec<String> = steps.iter().map(|step| format!("--- {}\n{}", way(step), read(&step.notice.body))).collect();
    if all.is_empty() { "nothing is sent".to_owned() } else { all.join("\n\n") }
}

/// What was told of a run in which all was clean.
fn clean_before() -> Told {
    shown(Told::default(), &told_with(&world().drift(), &Told::default(), true, &[]))
}

/// The messages of one run after a clean one.
fn after_clean(drift: &Drift) -> String {
    picture(&told_with(drift, &clean_before(), true, &[]))
}

#[test]
fn the_state_of_a_day_in_every_state() {
    let first = |drift: &Drift| picture(&told_with(drift, &Told::default(), true, &[]));
    insta::assert_snapshot!("state_clean", first(&world().drift()));
    insta::assert_snapshot!("state_first_run_with_something_of_everything", {
        let mut drift = full().drift();
        drift.exceptions = vec![ending(false, "2026-12-01T06:00:00Z")];
        first(&drift)
    });
    insta::assert_snapshot!("state_worse_and_its_thread", after_clean(&full().drift()));
    let told = shown(clean_before(), &told_with(&bad().drift(), &clean_before(), true, &[]));
    let better = world().was("ROT-01", "app/db", Status::NonCompliant).is("ROT-01", "app/db", Status::Compliant);
    insta::assert_snapshot!("state_better_and_its_thread", picture(&told_with(&better.drift(), &told, true, &[])));
    let mut old = world();
    old.now = at("2026-11-26T06:00:00Z");
    insta::assert_snapshot!("state_data_is_old", first(&old.drift()));
    let lost = world().was("ROT-01", "app/gone", Status::NonCompliant).blind("list secrets: denied");
    insta::assert_snapshot!("state_nothing_seen", after_clean(&lost.drift()));
    let mut broken = world();
    broken.broken = vec!["`runs/2026/11/23/r1.json` is not what the log has".to_owned()];
    insta::assert_snapshot!("state_evidence_is_broken", after_clean(&broken.drift()));
}

#[test]
fn a_webhook_that_cannot_edit_in_every_state() {
    let of = |drift: &Drift, told: &Told| told_with(drift, told, false, &AlertOn::ALL);
    let first = of(&world().drift(), &Told::default());
    let told = shown(Told::default(), &first);
    let worse = of(&bad().drift(), &told);
    let told = shown(told, &worse);
    let better = world().was("ROT-01", "app/db", Status::NonCompliant).is("ROT-01", "app/db", Status::Compliant).drift();
    let all = [("first run", first), ("worse", worse), ("better", of(&better, &told))];
    let text: Vec<String> = all.iter().map(|(name, steps)| format!("=== {name}\n{}", picture(steps))).collect();
    insta::assert_snapshot!("webhook", text.join("\n\n"));
}

/// A drift on which the alert `on` is due and nothing else that alerts.
fn due(on: AlertOn) -> Drift {
    let mut drift = world().is("ROT-01", "app/key", Status::Compliant).drift();
    match on {
        AlertOn::RotationFailed => drift.failed = world().failed("key", "the target refused it").drift().failed,
        AlertOn::HalfDone => {
            let mut half = world().stands("db", Phase::Delivering);
            half.standings[0].1.since = Some(at("2026-11-24T02:00:00Z"));
            drift.half_done = half.drift().half_done;
        }
        AlertOn::Overdue => drift.new = bad().drift().new,
        AlertOn::Expiring => {
            let mut soon = world();
            let flips_at = Some(at("2026-12-01T06:00:00Z"));
            soon.decisions.push(Decision { flips_at, ..decision("ROT-01", "stray", Status::Compliant) });
            drift.breaches = soon.drift().breaches;
            drift.exceptions = vec![ending(false, "2026-12-01T06:00:00Z")];
        }
        AlertOn::Coverage => drift.coverage.compliant = Share { part: 94, whole: 100 },
        AlertOn::StaleEvidence => {
            let mut old = world();
            old.now = at("2026-11-26T06:00:00Z");
            drift.stale = old.drift().stale;
            drift.at = old.now;
        }
        AlertOn::Integrity => drift.broken = vec!["`runs/2026/11/23/r1.json` is not what the log has".to_owned()],
        AlertOn::Silent => {
            drift.unseen = world().blind("list secrets: denied").drift().unseen;
            drift.silent = Some(crate::model::time::Limit::days(2));
        }
        AlertOn::ExceptionExpired => drift.exceptions = vec![ending(true, "2026-11-20T06:00:00Z")],
    }
    drift
}

#[test]
fn each_of_the_nine_alerts_when_it_is_given_and_when_it_is_over() {
    for on in AlertOn::ALL {
        let before = shown(Told::default(), &told_with(&world().drift(), &Told::default(), true, &[]));
        let given = told_with(&due(on), &before, true, &[on]);
        let alerts: Vec<Step> = given.iter().filter(|step| matches!(step.effect, Effect::Alert(_))).cloned().collect();
        let told = shown(before, &given);
        let well = Drift { at: at("2026-11-28T06:00:00Z"), ..world().is("ROT-01", "app/key", Status::Compliant).drift() };
        let over: Vec<Step> = told_with(&well, &told, true, &[on])
            .into_iter()
            .filter(|step| matches!(step.effect, Effect::Nothing | Effect::Over(_)) && !step.notice.key.starts_with("details:"))
            .collect();
        assert_eq!((alerts.len() * 2, alerts.is_empty()), (over.len(), false), "{on:?}");
        let text = format!("=== given\n{}\n\n=== over\n{}", picture(&alerts), picture(&over));
        insta::assert_snapshot!(format!("alert_{}", on.as_str()), text);
    }
}

#[test]
fn what_each_of_five_edits_of_a_policy_leads_to() {
    let open = || world().was("ROT-01", "app/db", Status::NonCompliant);
    let told = shown(clean_before(), &told_with(&bad().drift(), &clean_before(), true, &[]));
    let mut excepted = open().is("ROT-01", "app/db", Status::Excepted).drift();
    excepted.exceptions = vec![ending(false, "2026-12-01T06:00:00Z")];
    let edits = [
        ("looser: what was open is met", open().is("ROT-01", "app/db", Status::Compliant).drift(), &told),
        ("tighter: what was met is not", bad().drift(), &clean_before()),
        ("refactor: the same is open", open().is("ROT-01", "app/db", Status::NonCompliant).drift(), &told),
        (
            "new control: two are not met",
            world().is("ROT-02", "app/db", Status::NonCompliant).is("ROT-02", "app/key", Status::NoEvidence).drift(),
            &clean_before(),
        ),
        ("new exception: what was open is lifted", excepted, &told),
    ];
    let text: Vec<String> =
        edits.iter().map(|(name, drift, told)| format!("=== {name}\n{}", picture(&told_with(drift, told, true, &[])))).collect();
    insta::assert_snapshot!("five_edits", text.join("\n\n"));
}

#[test]
fn what_is_hostile_is_text_in_every_place_where_it_may_stand() {
    let words = "<!channel> <@U99999999> *b* _i_ ~s~ `c` <https://evil.example|x> &amp; \u{202e}txt acme/board/ceo ghp_canary000 https://me:canary-1@host/";
    let mut hostile = full().failed("db", words).blind(words).is("ROT-01", words, Status::NonCompliant).was(
        "ROT-02",
        words,
        Status::NonCompliant,
    );
    hostile.catalog.controls.get_mut("ROT-01").unwrap().owner = words.to_owned();
    hostile.catalog.credentials.get_mut("key").unwrap().owner = words.to_owned();
    hostile.broken = vec![words.to_owned()];
    let mut drift = hostile.drift();
    drift.notes = vec![words.to_owned()];
    drift.exceptions =
        vec![Ending { resource: words.to_owned(), requester: words.to_owned(), ..ending(true, "2026-11-20T06:00:00Z") }];
    drift.unmanaged.names = vec![words.to_owned()];
    let text = picture(&told_with(&drift, &clean_before(), true, &AlertOn::ALL));
    for wrong in ["<!channel", "<@U9", "<https://evil", "ceo", "canary"] {
        assert!(!text.contains(wrong), "`{wrong}` is in {text}");
    }
    insta::assert_snapshot!("hostile", text);
}

#[test]
fn another_run_in_which_nothing_changed_tells_nothing_though_its_evidence_is_elsewhere() {
    let told = shown(clean_before(), &told_with(&full().drift(), &clean_before(), true, &[]));
    let mut next = full().was("ROT-01", "app/db", Status::NonCompliant);
    next.before.retain(|(control, _, _)| control.as_str() != "ROT-02");
    next.before.push(("ROT-02".into(), crate::report::drift::tests::subject("app/key"), Status::NonCompliant));
    let mut drift = next.drift();
    drift.run.id = "r3".into();
    drift.run.commit = "cd".repeat(20);
    drift.run.path = "runs/2026/11/24/r3.json".to_owned();
    assert_eq!(picture(&told_with(&drift, &told, true, &[])), "nothing is sent");
}

#[test]
fn every_line_of_what_is_open_has_its_owner_its_age_what_to_do_and_a_link_to_its_evidence() {
    let mut drift = full().blind("list secrets: denied").was("ROT-01", "app/gone", Status::NonCompliant).drift();
    drift.exceptions = vec![ending(true, "2026-11-20T06:00:00Z"), ending(false, "2026-12-01T06:00:00Z")];
    let mut old = world();
    old.now = at("2026-11-26T06:00:00Z");
    drift.stale = old.drift().stale;
    let mut seen = 0;
    for step in told_with(&drift, &Told { run: Some("r1".into()), ..Told::default() }, true, &[]) {
        let text = read(&step.notice.body);
        let mut title = "";
        for line in text.lines() {
            title = line.strip_prefix("[section] ").unwrap_or(title);
            let Some(line) = line.strip_prefix("• ") else { continue };
            seen += 1;
            assert!(line.contains("|evidence>") || title == "*Nobody declared*", "{title} {line}");
            assert!(line.contains(" · owner ") || ["*Nobody declared*", "*Not seen*"].contains(&title), "{title} {line}");
            let done = ["*Resolved*", "*Nobody declared*"].contains(&title) || line.contains("slm rotates it before");
            assert!(line.contains("· next") || done, "{title} {line}");
            let aged = ["d of ", "since ", "old", "2026-1", "was "].iter().any(|word| line.contains(word));
            assert!(aged || ["*Nobody declared*", "*Not seen*", "*Rotations*"].contains(&title), "{title} {line}");
        }
    }
    assert!(seen >= 12, "{seen} lines");
}
