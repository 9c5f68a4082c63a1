//! Leaving a part of the protocol out must give an outage, or the search could not have found one.

use super::search::{Found, Scenario, search};
use super::state::{Ablation, number, secret};
use super::{
    CLIENT, IN_TURN, REREAD_NO_PAUSE, SERVER, SINGLE, STAGED, TWO_PASSWORDS, canary, elsewhere, first, forgetful, holds, late,
    rollback, roomy, scenario,
};
use crate::model::id::VersionId;
use crate::model::names;

/// Searches `scenario` with a part of the protocol left out.
fn without(ablation: Ablation, mut scenario: Scenario) -> Found {
    scenario.setup.ablation = Some(ablation);
    let found = search(&scenario);
    let Some((what, way)) = &found.violation else { return found };
    let steps = way.iter().filter(|step| !step.starts_with("then ") && !step.starts_with("end: ")).count();
    println!("ablation {ablation:?}: {} states, {what}, {steps} steps", found.states);
    found
}

/// Leaves a part of the protocol out of `scenario`; the outage that is found must be this one.
fn breaks(ablation: Ablation, scenario: Scenario, outage: &str) {
    let found = without(ablation, scenario);
    let Some((what, way)) = found.violation else {
        panic!("{ablation:?}: nothing was violated in {} states, {} stuck", found.states, found.stuck);
    };
    assert_eq!(what, outage, "{ablation:?}\n  {}", way.join("\n  "));
}

/// The version in force at first.
fn old() -> VersionId {
    VersionId::from("g0")
}

/// The first attempt at replacing `generation`.
fn attempt(generation: Option<&VersionId>) -> VersionId {
    names::slot(&secret(), generation, 0)
}

/// The first attempt at replacing the version in force at first.
fn new() -> VersionId {
    attempt(Some(&old()))
}

fn dead(version: &VersionId) -> String {
    format!("I2: the current version {version} does not work")
}

fn stranded(version: &VersionId) -> String {
    format!("I1: consumer 0 runs version {version}, which does not work")
}

#[test]
fn without_tombstones_a_credential_in_use_is_deleted() {
    let of = || roomy(scenario(SERVER, 2, 0));
    breaks(Ablation::NoTombstone, of(), &dead(&new()));
    // Not for want of leases, which are left out with them.
    let kept = without(Ablation::NoLease, of());
    assert_eq!((kept.violation.map(|(what, _)| what), kept.stuck), (None, 0));
    println!("tombstones and no leases: {} states", kept.states);
}

#[test]
fn without_a_lease_a_consumer_is_given_a_dead_value() {
    breaks(Ablation::NoLease, late(scenario(SERVER, 2, 0)), &stranded(&old()));
}

/// To a run that began before, nothing has happened: the label is where it was, and the value that it tried is approved.
#[test]
fn a_label_moved_back_is_moved_forward_again_by_a_run_that_began_before() {
    breaks(
        Ablation::LabelMove,
        rollback(SERVER, 2, 0),
        &format!("I10: version {}, which a person rolled back, is in force again", new()),
    );
}

#[test]
fn a_roll_back_that_does_not_ask_meets_a_retired_value() {
    breaks(Ablation::NoFate, rollback(SERVER, 2, 0), &dead(&names::rollback(&secret(), &new())));
}

#[test]
fn a_verdict_that_changes_promotes_what_was_refused() {
    let outage = format!("I7: version {}, which the canary refused, was rejected and is in force", new());
    breaks(Ablation::NoVerdict, canary(SERVER, 2, 0), &outage);
}

#[test]
fn a_first_value_that_the_store_puts_in_force_by_itself_is_known_to_nobody() {
    for capabilities in [CLIENT, IN_TURN, TWO_PASSWORDS] {
        breaks(Ablation::NoPlaceholder, first(scenario(capabilities, 1, 0)), &dead(&attempt(None)));
    }
    let outage = "I3: the value at the target is neither current nor pending";
    breaks(Ablation::NoPlaceholder, first(scenario(SINGLE, 1, 0)), outage);
}

/// A run dies after it had a key issued, and before it recorded it: what closes the slot of that key is in force.
#[test]
fn a_closed_slot_that_the_store_puts_in_force_by_itself_is_no_credential() {
    breaks(Ablation::NoPlaceholder, first(scenario(SERVER, 1, 1)), &dead(&attempt(None)));
}

#[test]
fn a_rejected_value_deleted_at_once_is_still_handed_out() {
    breaks(Ablation::RejectedAtOnce, canary(SERVER, 2, 0), &stranded(&new()));
}

#[test]
fn a_value_that_comes_back_while_a_run_still_ends_it_is_in_force_and_dead() {
    breaks(Ablation::RevivedAtOnce, rollback(SERVER, 2, 0), &dead(&names::rollback(&secret(), &new())));
}

#[test]
fn the_next_of_several_values_made_at_once_leaves_a_consumer_two_behind() {
    let outage = "I8: consumer 0 has a value that is not next to the one in force";
    breaks(Ablation::Unsettled, late(Scenario { wanted: 2, ..scenario(STAGED, 2, 0) }), outage);
}

/// Not an outage here: the second credential is in no slot, and so its slot is closed and it is deleted.
#[test]
fn a_creation_sent_twice_by_the_client_library_leaves_nothing_behind() {
    let mut twice = roomy(scenario(SERVER, 1, 2));
    twice.setup.ablation = Some(Ablation::Retries);
    holds("server-issued, sent twice, 1 run, 2 faults", &twice);
}

#[test]
fn a_slot_written_twice_loses_the_value_in_use() {
    breaks(Ablation::Overwrite, roomy(scenario(SERVER, 2, 0)), &stranded(&new()));
}

/// Two runs both had a key issued, and both are told that theirs was kept. Nobody ends the second: it is in no slot and in no tombstone,
/// and in a version, which might be somebody else's.
#[test]
fn a_version_with_a_name_of_its_own_keeps_a_credential_that_nobody_ends() {
    let found = without(Ablation::NoToken, roomy(scenario(REREAD_NO_PAUSE, 2, 0)));
    assert!(found.violation.is_none() && found.stuck > 0, "{found:?}");
    let (way, state) = (found.stuck_way.join("\n  "), found.stuck_at.unwrap());
    let slots = [&old(), &new()].map(|version| state.values.get(version).and_then(|value| number(value)));
    let left: Vec<_> = state.keys.values().filter(|key| !state.is_lost(key) && !slots.contains(&Some(key.number))).collect();
    assert!(!left.is_empty() && left.iter().all(|key| key.active), "{:?}\n  {way}", state.keys);
    println!("ablation NoToken: {} states, I4: no goal is reached from {} of them", found.states, found.stuck);
}

/// AWS removes versions without a label, and its own rotations take `AWSPENDING` for themselves.
#[test]
fn a_slot_with_the_label_of_aws_is_lost_to_a_rotation_that_aws_begins() {
    breaks(Ablation::Pending, forgetful(scenario(SINGLE, 1, 0)), "I3: the value at the target is neither current nor pending");
}

/// A key that is in no slot any more is ended, and another is made: what a server issues is lost and nothing else.
#[test]
fn a_slot_with_the_label_of_aws_costs_an_attempt_where_the_server_issues_the_value() {
    let mut labelled = forgetful(canary(SERVER, 1, 0));
    labelled.setup.ablation = Some(Ablation::Pending);
    holds("server-issued, canary, the label of AWS, 1 run", &labelled);
}

/// The store's clock is ahead of the target's: what was used a moment ago was then used long after now.
#[test]
fn an_instant_told_by_another_clock_holds_the_end_up_for_ever() {
    let mixed = scenario(CLIENT, 1, 0);
    let found = without(Ablation::OneClock, mixed);
    assert!(found.violation.is_none() && found.stuck == found.states && found.goals == 0, "{found:?}");
    println!("ablation OneClock: {} states, all of them stuck", found.states);
}

#[test]
fn a_refusal_of_what_another_target_lets_in_is_taken_for_its_end() {
    breaks(Ablation::Mine, elsewhere(scenario(SERVER, 1, 0)), "I11: the value before is let in elsewhere, and its end was noted");
}
