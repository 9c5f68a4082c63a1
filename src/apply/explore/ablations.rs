//! Leaving a part of the protocol out must give an outage, or the search could not have found one.

use super::search::{Scenario, search};
use super::state::Ablation;
use super::{
    CLIENT, IN_TURN, SERVER, SINGLE, STAGED, TWO_PASSWORDS, canary, first, forgetful, holds, late, rollback, roomy, scenario,
};

/// Leaves a part of the protocol out of `scenario`; an outage must be found.
fn breaks(ablation: Ablation, mut scenario: Scenario) {
    scenario.setup.ablation = Some(ablation);
    let found = search(&scenario);
    let Some((what, way)) = found.violation else {
        panic!("{ablation:?}: nothing was violated in {} states, {} stuck", found.states, found.stuck);
    };
    let steps = way.iter().filter(|step| !step.starts_with("then ") && !step.starts_with("end: ")).count();
    println!("ablation {ablation:?}: {} states, {what}, {steps} steps", found.states);
}

#[test]
fn without_tombstones_a_credential_in_use_is_deleted() {
    breaks(Ablation::NoTombstone, roomy(scenario(SERVER, 2, 0)));
}

#[test]
fn without_a_lease_a_consumer_is_given_a_dead_value() {
    breaks(Ablation::NoLease, late(scenario(SERVER, 2, 0)));
}

#[test]
fn a_label_moved_back_is_moved_forward_again_by_a_stale_run() {
    breaks(Ablation::LabelMove, rollback(SERVER, 2, 0));
}

#[test]
fn a_roll_back_that_does_not_ask_meets_a_retired_value() {
    breaks(Ablation::NoFate, rollback(SERVER, 2, 0));
}

#[test]
fn a_verdict_that_changes_promotes_what_was_refused() {
    breaks(Ablation::NoVerdict, canary(SERVER, 2, 0));
}

#[test]
fn a_first_value_that_the_store_puts_in_force_by_itself_is_known_to_nobody() {
    for capabilities in [CLIENT, SINGLE, IN_TURN, TWO_PASSWORDS] {
        breaks(Ablation::NoPlaceholder, first(scenario(capabilities, 1, 0)));
    }
}

/// A run dies after it had a key issued, and before it recorded it: what closes the slot of that key is in force.
#[test]
fn a_closed_slot_that_the_store_puts_in_force_by_itself_is_no_credential() {
    breaks(Ablation::NoPlaceholder, first(scenario(SERVER, 1, 1)));
}

#[test]
fn a_rejected_value_deleted_at_once_is_still_handed_out() {
    breaks(Ablation::RejectedAtOnce, canary(SERVER, 2, 0));
}

#[test]
fn a_value_that_comes_back_while_a_run_still_ends_it_is_in_force_and_dead() {
    breaks(Ablation::RevivedAtOnce, rollback(SERVER, 2, 0));
}

#[test]
fn the_next_of_several_values_made_at_once_leaves_a_consumer_two_behind() {
    breaks(Ablation::Unsettled, late(Scenario { wanted: 2, ..scenario(STAGED, 2, 0) }));
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
    breaks(Ablation::Overwrite, roomy(scenario(SERVER, 2, 0)));
}

/// AWS removes versions without a label, and its own rotations take `AWSPENDING` for themselves.
#[test]
fn a_slot_with_the_label_of_aws_is_lost_to_a_rotation_that_aws_begins() {
    breaks(Ablation::Pending, forgetful(scenario(SINGLE, 1, 0)));
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
    let mut mixed = scenario(CLIENT, 1, 0);
    mixed.setup.ablation = Some(Ablation::OneClock);
    let found = search(&mixed);
    assert!(found.violation.is_none() && found.stuck == found.states && found.goals == 0, "{found:?}");
    println!("ablation OneClock: {} states, all of them stuck", found.states);
}
