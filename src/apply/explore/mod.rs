//! Explores every reachable state of the real engine over a small world, and shows that each part of the protocol is needed.
//!
//! One run and three faults, two runs and two, three runs and none; two rotations in a row; a canary that refuses; a person who
//! rolls back; a value in wrong hands; somebody else's credential. In every state the invariants hold, and from every state the
//! goal can be reached without another fault.

mod ablations;
mod behind;
mod declared;
mod every;
mod faults;
mod first;
mod leaked;
mod logins;
mod node;
mod pairs;
mod readers;
mod rig;
mod search;
mod shapes;
mod state;
mod stop;
mod sweeps;
mod together;
mod world;

use search::{Found, Scenario, search};
use shapes::{
    CLIENT, DELETE_ONLY, DISABLE_ONLY, IN_TURN, REREAD, REREAD_NO_PAUSE, SERVER, SERVER_NO_PAUSE, SHAPES, SINGLE, STAGED,
    TWO_PASSWORDS, UNVALIDATED,
};
use state::{Begins, Setup};

use crate::world::{Capabilities, Overlap};

/// Ticks between the clocks of the store and the target, and as many again between each and ours.
const SKEW: i64 = 1_000;

fn scenario(capabilities: Capabilities, rotators: usize, faults: u8) -> Scenario {
    let setup = Setup {
        capabilities,
        consumers: 1,
        canary: false,
        begins: Begins::InForce,
        late: false,
        foreign: false,
        picky: false,
        forgetful: false,
        skew: SKEW,
        dark: false,
        ablation: None,
    };
    Scenario {
        setup,
        rotators,
        faults,
        behind: false,
        wanted: 1,
        whims: 0,
        rollback: false,
        by_hand: false,
        late_whim: false,
        leak: false,
        resumed: false,
    }
}

/// The value in force is in wrong hands; one run is told, until it has written it down, and every other goes on with what it finds.
fn leaked(scenario: Scenario) -> Scenario {
    Scenario { leak: true, resumed: true, ..scenario }
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

/// Nothing was ever written into the store.
fn first(mut scenario: Scenario) -> Scenario {
    scenario.setup.begins = Begins::Nothing;
    scenario
}

/// The value in force does not tell which credential it is.
fn nameless(mut scenario: Scenario) -> Scenario {
    scenario.setup.begins = Begins::Nameless;
    scenario
}

/// The value in force is let in by another target than the one that is declared, until a person ends it there.
fn elsewhere(mut scenario: Scenario) -> Scenario {
    scenario.setup.begins = Begins::Elsewhere;
    roomy(Scenario { whims: 1, by_hand: true, ..scenario })
}

/// A version that nobody may read any more.
fn dark(mut scenario: Scenario) -> Scenario {
    scenario.setup.dark = true;
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

/// Searches `scenario` and says what was found.
fn explored(name: &str, scenario: &Scenario) -> Found {
    let begun = std::time::Instant::now();
    let found = search(scenario);
    let (seconds, wrong) = (begun.elapsed().as_secs_f64(), usize::from(found.violation.is_some()));
    let Found { states, transitions, goals, asking, stuck, .. } = &found;
    println!(
        "explored {states} states, {transitions} steps, {goals} goals, {asking} asking, {wrong} violations, {stuck} stuck, {seconds:.1} s: {name}"
    );
    found
}

/// Searches `scenario`; nothing may be violated and no state may be stuck.
fn holds(name: &str, scenario: &Scenario) -> Found {
    let found = explored(name, scenario);
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
fn server_issued_and_never_disabled_one_run_three_faults() {
    holds("server-issued, never disabled, 1 run, 3 faults", &scenario(SERVER_NO_PAUSE, 1, 3));
    holds("server-issued, never disabled, canary refuses once, 1 run, 1 fault", &canary(SERVER_NO_PAUSE, 1, 1));
    holds("re-readable, never disabled, 1 run, 3 faults", &scenario(REREAD_NO_PAUSE, 1, 3));
}

#[test]
fn server_issued_and_never_disabled_two_runs_two_faults() {
    holds("server-issued, never disabled, 2 runs, 2 faults", &scenario(SERVER_NO_PAUSE, 2, 2));
    holds("re-readable, never disabled, 2 runs, 2 faults", &scenario(REREAD_NO_PAUSE, 2, 2));
}

#[test]
fn client_chosen_two_runs_two_faults() {
    holds("client-chosen, 1 run, 3 faults", &scenario(CLIENT, 1, 3));
    holds("client-chosen, 2 runs, 2 faults", &scenario(CLIENT, 2, 2));
    holds("client-chosen, canary refuses once, 1 run, 2 faults", &canary(CLIENT, 1, 2));
}

#[test]
fn client_chosen_rolled_back_or_only_deleted() {
    holds("client-chosen, roll-back, 2 runs", &rollback(CLIENT, 2, 0));
    holds("client-chosen, delete only, 1 run, 3 faults", &scenario(DELETE_ONLY, 1, 3));
    holds("client-chosen, delete only, 2 runs, 2 faults", &scenario(DELETE_ONLY, 2, 2));
}

#[test]
fn client_chosen_and_never_deleted_two_runs_two_faults() {
    holds("client-chosen, disable only, 1 run, 3 faults", &scenario(DISABLE_ONLY, 1, 3));
    holds("client-chosen, disable only, 2 runs, 2 faults", &scenario(DISABLE_ONLY, 2, 2));
    holds("client-chosen, disable only, canary refuses once, 1 run, 1 fault", &canary(DISABLE_ONLY, 1, 1));
}

#[test]
fn in_place_two_runs_two_faults() {
    holds("in place, 1 run, 3 faults", &scenario(SINGLE, 1, 3));
    holds("in place, 2 runs, 2 faults", &scenario(SINGLE, 2, 2));
    holds("in place, two rotations, 1 run, 3 faults", &Scenario { wanted: 2, ..scenario(SINGLE, 1, 3) });
    holds("in place, roll-back, 2 runs", &rollback(SINGLE, 2, 0));
}

#[test]
fn unvalidated_two_runs_two_faults() {
    holds("unvalidated, 1 run, 3 faults", &scenario(UNVALIDATED, 1, 3));
    holds("unvalidated, 2 runs, 2 faults", &scenario(UNVALIDATED, 2, 2));
    holds("unvalidated, canary refuses once, 2 runs, 1 fault", &canary(UNVALIDATED, 2, 1));
}

#[test]
fn unvalidated_rolled_back_by_a_person() {
    holds("unvalidated, roll-back, 2 runs", &rollback(UNVALIDATED, 2, 0));
    holds("unvalidated, roll-back, 1 run, 3 faults", &rollback(UNVALIDATED, 1, 3));
}

#[test]
fn of_several_values_no_consumer_has_one_that_is_not_next_to_the_one_in_force() {
    let twice = |rotators, faults| Scenario { wanted: 2, ..scenario(STAGED, rotators, faults) };
    let mut two = twice(1, 1);
    two.setup.consumers = 2;
    holds("of several values, two in a row, 2 consumers, 1 run, 1 fault", &two);
    holds("of several values, two in a row, 1 run, 2 faults", &twice(1, 2));
    holds("of several values, two in a row, 2 runs", &twice(2, 0));
    holds("of several values, 1 run, 3 faults", &scenario(STAGED, 1, 3));
    holds("of several values, 2 runs, 2 faults", &scenario(STAGED, 2, 2));
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

#[test]
fn logins_in_turn_one_run_three_faults() {
    holds("logins in turn, 1 run, 3 faults", &scenario(IN_TURN, 1, 3));
    holds("logins in turn, two rotations, 1 run, 3 faults", &Scenario { wanted: 2, ..scenario(IN_TURN, 1, 3) });
    holds("logins in turn, roll-back, 1 run, 3 faults", &rollback(IN_TURN, 1, 3));
    holds("logins in turn, canary refuses once, 1 run, 2 faults", &canary(IN_TURN, 1, 2));
    holds("logins in turn, the first is declined, 1 run, 3 faults", &picky(scenario(IN_TURN, 1, 3)));
}

#[test]
fn logins_in_turn_two_runs_two_faults() {
    holds("logins in turn, 2 runs, 2 faults", &scenario(IN_TURN, 2, 2));
    holds("logins in turn, roll-back, 2 runs", &rollback(IN_TURN, 2, 0));
}

/// A person switches the login before off and then wants its value back, while a run gives the login its next one.
#[test]
fn a_value_whose_login_another_has_taken_does_not_come_back_and_nothing_is_lost() {
    let found = holds("logins in turn, switched off by hand and rolled back, 1 run, 1 fault", &by_hand(1, 1));
    assert!(found.taken > 0, "no attempt took the place of the value before");
    holds("logins in turn, switched off by hand and rolled back, unlabelled removed, 1 run", &forgetful(by_hand(1, 0)));
}

/// Of two runs one brings the value back while the other, which looked before, gives its login the next one.
#[test]
#[ignore = "takes minutes; `scripts/figures explore` runs it"]
fn a_value_whose_login_another_run_is_about_to_take_comes_back_as_a_version_of_its_own() {
    holds("logins in turn, switched off by hand and rolled back, 2 runs", &by_hand(2, 0));
}

fn by_hand(rotators: usize, faults: u8) -> Scenario {
    Scenario { whims: 2, by_hand: true, wanted: 2, ..rollback(IN_TURN, rotators, faults) }
}

#[test]
fn two_passwords_one_run_three_faults() {
    holds("two passwords, 1 run, 3 faults", &scenario(TWO_PASSWORDS, 1, 3));
    holds("two passwords, two rotations, 1 run, 3 faults", &Scenario { wanted: 2, ..scenario(TWO_PASSWORDS, 1, 3) });
    holds("two passwords, roll-back, 1 run, 3 faults", &rollback(TWO_PASSWORDS, 1, 3));
    holds("two passwords, canary refuses once, 1 run, 2 faults", &canary(TWO_PASSWORDS, 1, 2));
    holds("two passwords, the first is declined, 1 run, 3 faults", &picky(scenario(TWO_PASSWORDS, 1, 3)));
}

#[test]
fn two_passwords_two_runs_two_faults() {
    holds("two passwords, 2 runs, 2 faults", &scenario(TWO_PASSWORDS, 2, 2));
    holds("two passwords, roll-back, 2 runs", &rollback(TWO_PASSWORDS, 2, 0));
}

/// Its end is noted when a person has ended it there, and not before.
#[test]
fn a_value_that_is_let_in_elsewhere_is_never_noted_as_ended_before_it_is() {
    holds("server-issued, the first let in elsewhere, 1 run, 2 faults", &elsewhere(scenario(SERVER, 1, 2)));
    holds("server-issued, the first let in elsewhere, 2 runs", &elsewhere(scenario(SERVER, 2, 0)));
    holds("client-chosen, the first let in elsewhere, 1 run, 2 faults", &elsewhere(scenario(CLIENT, 1, 2)));
    holds(
        "server-issued, the first let in elsewhere, leaked, 1 run, 1 fault",
        &Scenario { leak: true, ..elsewhere(scenario(SERVER, 1, 1)) },
    );
}

/// It holds up nothing but the end of a credential that is recorded nowhere else.
#[test]
fn a_version_that_nobody_may_read_holds_up_no_rotation() {
    holds("client-chosen, a version unreadable, 1 run, 2 faults", &dark(scenario(CLIENT, 1, 2)));
    holds("client-chosen, a version unreadable, 2 runs", &dark(scenario(CLIENT, 2, 0)));
    holds("in place, a version unreadable, 1 run, 2 faults", &dark(scenario(SINGLE, 1, 2)));
    for leak in [false, true] {
        let lost =
            explored("server-issued, a version unreadable, 1 run, 1 fault", &dark(Scenario { leak, ..scenario(SERVER, 1, 1) }));
        assert!(lost.violation.is_none() && lost.goals > 0, "{:?}", lost.violation);
        assert!(lost.stuck > 0, "a credential that may be in it was ended");
    }
}

/// Nothing can be done and nothing is touched.
#[test]
fn a_credential_that_a_person_made_is_left_alone() {
    let mut blocked = scenario(SERVER, 2, 1);
    blocked.setup.foreign = true;
    let found = explored("server-issued beside a foreign one, 2 runs, 1 fault", &blocked);
    assert!(found.violation.is_none() && found.goals == 0, "{:?}", found.violation);
    assert_eq!(found.stuck, found.states);
    let mut room = scenario(CLIENT, 1, 2);
    room.setup.foreign = true;
    holds("client-chosen beside a foreign one, 1 run, 2 faults", &room);
}
