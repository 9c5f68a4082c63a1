//! Explores every reachable state of the real engine over a small world, and shows that each part of the protocol is needed.
//!
//! One run and three faults, two runs and two, three runs and none; two rotations in a row; a canary that refuses; a person who
//! rolls back; a value in wrong hands; somebody else's credential. In every state the invariants hold, and from every state the
//! goal can be reached without another fault.

mod faults;
mod search;
mod sweeps;
mod together;
mod world;

use search::{Found, Scenario, search};
use world::{Ablation, Setup};

use crate::model::rotator::IamAccessKey;
use crate::world::{Capabilities, Issuer, Overlap};

/// An access key: issued by the server, two at once.
const SERVER: Capabilities = IamAccessKey::CAPABILITIES;
/// As [`SERVER`], and what was issued can be read again.
const REREAD: Capabilities = Capabilities { reread: true, ..SERVER };
/// A key pair of ours, let in beside the old one.
const CLIENT: Capabilities = Capabilities { issuer: Issuer::Client, ..SERVER };
/// A deploy key: cannot be disabled, only deleted.
const DELETE_ONLY: Capabilities = Capabilities { disable: false, ..CLIENT };
/// A password replaced in place.
const SINGLE: Capabilities =
    Capabilities { issuer: Issuer::Client, overlap: Overlap::Single, disable: false, delete: false, ..SERVER };

/// A set of keys: each value is made from the one before, and nobody validates it.
const STAGED: Capabilities = Capabilities { follows: true, ..Capabilities::UNVALIDATED };

fn scenario(capabilities: Capabilities, rotators: usize, faults: u8) -> Scenario {
    let setup = Setup {
        capabilities,
        consumers: 1,
        canary: false,
        late: false,
        foreign: false,
        picky: false,
        forgetful: false,
        ablation: None,
    };
    Scenario { setup, rotators, faults, wanted: 1, whims: 0, rollback: false, late_whim: false, leak: false }
}

fn canary(capabilities: Capabilities, rotators: usize, faults: u8) -> Scenario {
    let mut scenario = Scenario { whims: 1, ..scenario(capabilities, rotators, faults) };
    (scenario.setup.canary, scenario.setup.consumers) = (true, 2);
    scenario
}

/// No help from a limit of two credentials.
fn roomy(mut scenario: Scenario) -> Scenario {
    scenario.setup.capabilities.overlap = Overlap::Dual { max: 3 };
    scenario
}

/// Consumers that hold nothing yet.
fn late(mut scenario: Scenario) -> Scenario {
    scenario.setup.late = true;
    scenario
}

/// The first new value does not fit.
fn picky(mut scenario: Scenario) -> Scenario {
    scenario.setup.picky = true;
    scenario
}

/// A store that removes versions without a label.
fn forgetful(mut scenario: Scenario) -> Scenario {
    scenario.setup.forgetful = true;
    scenario
}

fn rollback(capabilities: Capabilities, rotators: usize, faults: u8) -> Scenario {
    Scenario { whims: 1, rollback: true, ..scenario(capabilities, rotators, faults) }
}

/// Searches `scenario`; nothing may be violated and no state may be stuck.
fn holds(name: &str, scenario: &Scenario) -> Found {
    let begun = std::time::Instant::now();
    let found = search(scenario);
    let seconds = begun.elapsed().as_secs_f64();
    println!("explored {} states, {} steps, {} goals, {seconds:.1} s: {name}", found.states, found.transitions, found.goals);
    if let Some((what, way)) = &found.violation {
        panic!("{name}: {what}\n  {}", way.join("\n  "));
    }
    assert_eq!(found.stuck, 0, "{name}: {} states are stuck\n  {}", found.stuck, found.stuck_way.join("\n  "));
    assert!(found.goals > 0, "{name}: no goal was reached");
    found
}

#[test]
fn server_issued_one_run_three_faults() {
    let two = |scenario: Scenario| Scenario { setup: Setup { consumers: 2, ..scenario.setup.clone() }, ..scenario };
    holds("server-issued, 2 consumers, 1 run, 3 faults", &two(scenario(SERVER, 1, 3)));
    holds("re-readable, 2 consumers, 1 run, 3 faults", &two(scenario(REREAD, 1, 3)));
    holds("server-issued, canary refuses once, 1 run, 2 faults", &canary(SERVER, 1, 2));
    holds("server-issued, roll-back, 1 run, 3 faults", &rollback(SERVER, 1, 3));
    holds("server-issued, two rotations, 1 run, 3 faults", &Scenario { wanted: 2, ..scenario(SERVER, 1, 3) });
    holds("server-issued, leaked, 1 run, 3 faults", &Scenario { leak: true, ..scenario(SERVER, 1, 3) });
}

#[test]
fn server_issued_two_runs_two_faults() {
    holds("server-issued, 2 runs, 2 faults", &scenario(SERVER, 2, 2));
}

#[test]
fn server_issued_to_consumers_that_hold_nothing() {
    holds("server-issued, new consumer, 2 runs", &late(scenario(SERVER, 2, 0)));
    holds("server-issued, new consumer, 1 run, 3 faults", &late(scenario(SERVER, 1, 3)));
}

#[test]
#[ignore = "takes minutes; `scripts/figures explore` runs it"]
fn server_issued_two_rotations_two_runs() {
    holds("server-issued, two rotations, 2 runs", &Scenario { wanted: 2, ..scenario(SERVER, 2, 0) });
}

#[test]
#[ignore = "takes minutes; `scripts/figures explore` runs it"]
fn server_issued_rolled_back_by_a_person() {
    holds("server-issued, roll-back, 2 runs", &rollback(SERVER, 2, 0));
}

#[test]
fn server_issued_with_a_canary_that_refuses() {
    holds("server-issued, canary refuses once, 2 runs", &canary(SERVER, 2, 0));
}

#[test]
fn server_issued_in_wrong_hands() {
    holds("server-issued, leaked, 2 runs", &Scenario { leak: true, ..scenario(SERVER, 2, 0) });
}

#[test]
fn rereadable_two_runs_two_faults() {
    holds("re-readable, 2 runs, 2 faults", &scenario(REREAD, 2, 2));
}

#[test]
fn client_chosen_two_runs_two_faults() {
    holds("client-chosen, 2 runs, 2 faults", &scenario(CLIENT, 2, 2));
    holds("client-chosen, canary refuses once, 1 run, 2 faults", &canary(CLIENT, 1, 2));
}

#[test]
fn client_chosen_rolled_back_or_only_deleted() {
    holds("client-chosen, roll-back, 2 runs", &rollback(CLIENT, 2, 0));
    holds("client-chosen, delete only, 2 runs, 2 faults", &scenario(DELETE_ONLY, 2, 2));
}

#[test]
fn in_place_two_runs_two_faults() {
    holds("in place, 2 runs, 2 faults", &scenario(SINGLE, 2, 2));
    holds("in place, two rotations, 1 run, 3 faults", &Scenario { wanted: 2, ..scenario(SINGLE, 1, 3) });
    holds("in place, roll-back, 2 runs", &rollback(SINGLE, 2, 0));
}

#[test]
fn unvalidated_three_runs_two_faults() {
    holds("unvalidated, 2 runs, 2 faults", &scenario(Capabilities::UNVALIDATED, 2, 2));
    holds("unvalidated, 3 runs, 1 fault", &scenario(Capabilities::UNVALIDATED, 3, 1));
    holds("unvalidated, canary refuses once, 2 runs, 1 fault", &canary(Capabilities::UNVALIDATED, 2, 1));
}

#[test]
fn unvalidated_rolled_back_by_a_person() {
    holds("unvalidated, roll-back, 2 runs", &rollback(Capabilities::UNVALIDATED, 2, 0));
    holds("unvalidated, roll-back, 1 run, 3 faults", &rollback(Capabilities::UNVALIDATED, 1, 3));
}

#[test]
fn of_several_values_no_consumer_has_one_that_is_not_next_to_the_one_in_force() {
    let twice = |rotators, faults| Scenario { wanted: 2, ..scenario(STAGED, rotators, faults) };
    let mut two = twice(1, 1);
    two.setup.consumers = 2;
    holds("of several values, two in a row, 2 consumers, 1 run, 1 fault", &two);
    holds("of several values, two in a row, 1 run, 2 faults", &twice(1, 2));
    holds("of several values, two in a row, 2 runs", &twice(2, 0));
    holds("of several values, roll-back, 1 run, 2 faults", &rollback(STAGED, 1, 2));
    holds("of several values, canary refuses once, 1 run, 1 fault", &canary(STAGED, 1, 1));
}

#[test]
fn a_value_that_does_not_fit_is_replaced_before_anybody_has_it() {
    holds("server-issued, the first does not fit, 1 run, 3 faults", &picky(scenario(SERVER, 1, 3)));
    holds("server-issued, canary, the first does not fit, 1 run, 1 fault", &picky(canary(SERVER, 1, 1)));
    holds("re-readable, the first does not fit, 1 run, 3 faults", &picky(scenario(REREAD, 1, 3)));
    holds("client-chosen, the first is declined, 1 run, 3 faults", &picky(scenario(CLIENT, 1, 3)));
    holds("client-chosen, the first is declined, 2 runs", &picky(scenario(CLIENT, 2, 0)));
    holds("in place, the first is declined, 1 run, 3 faults", &picky(scenario(SINGLE, 1, 3)));
    holds("in place, the first is declined, 2 runs, 1 fault", &picky(scenario(SINGLE, 2, 1)));
}

#[test]
fn a_store_that_removes_versions_without_a_label_loses_nothing_that_matters() {
    let twice = Scenario { wanted: 2, ..scenario(SERVER, 1, 1) };
    holds("server-issued, unlabelled removed, 1 run, 3 faults", &forgetful(scenario(SERVER, 1, 3)));
    holds("server-issued, unlabelled removed, two rotations, 1 run, 1 fault", &forgetful(twice));
    holds("server-issued, unlabelled removed, roll-back, 1 run, 1 fault", &forgetful(rollback(SERVER, 1, 1)));
    holds("client-chosen, unlabelled removed, 1 run, 3 faults", &forgetful(scenario(CLIENT, 1, 3)));
    holds("in place, unlabelled removed, 2 runs", &forgetful(scenario(SINGLE, 2, 0)));
    holds("in place, unlabelled removed, roll-back, 1 run, 2 faults", &forgetful(rollback(SINGLE, 1, 2)));
}

/// Nothing can be done and nothing is touched.
#[test]
fn a_credential_that_a_person_made_is_left_alone() {
    let mut blocked = scenario(SERVER, 2, 1);
    blocked.setup.foreign = true;
    let found = search(&blocked);
    assert!(found.violation.is_none() && found.goals == 0, "{:?}", found.violation);
    assert_eq!(found.stuck, found.states);
    let mut room = scenario(CLIENT, 1, 2);
    room.setup.foreign = true;
    holds("client-chosen beside a foreign one, 1 run, 2 faults", &room);
}

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
