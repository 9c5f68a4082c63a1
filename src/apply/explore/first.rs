//! A first value where the store puts in force by itself whatever is written first, and a value in force of which nobody can tell which
//! credential it is.

use super::search::Scenario;
use super::{
    CLIENT, DELETE_ONLY, IN_TURN, REREAD, SERVER, SHAPES, SINGLE, TWO_PASSWORDS, canary, first, holds, nameless, picky, roomy,
    scenario,
};
use crate::world::Overlap;

#[test]
fn a_first_value_is_let_in_and_tried_before_it_is_in_force_one_run_three_faults() {
    for (name, capabilities) in SHAPES {
        holds(&format!("{name}, no value yet, 1 run, 3 faults"), &first(scenario(capabilities, 1, 3)));
    }
}

#[test]
fn a_first_value_by_two_runs() {
    for (name, capabilities) in
        [("server-issued", SERVER), ("re-readable", REREAD), ("client-chosen", CLIENT), ("in place", SINGLE)]
    {
        holds(&format!("{name}, no value yet, 2 runs"), &first(scenario(capabilities, 2, 0)));
    }
    holds("in place, no value yet, 2 runs, 1 fault", &first(scenario(SINGLE, 2, 1)));
    holds("logins in turn, no value yet, 2 runs", &first(scenario(IN_TURN, 2, 0)));
}

#[test]
fn a_first_value_that_does_not_fit_or_that_a_canary_refuses_is_never_in_force() {
    holds("server-issued, no value yet, canary refuses once, 1 run, 2 faults", &first(canary(SERVER, 1, 2)));
    holds("client-chosen, no value yet, canary refuses once, 1 run, 2 faults", &first(canary(CLIENT, 1, 2)));
    holds("server-issued, no value yet, the first does not fit, 1 run, 3 faults", &first(picky(scenario(SERVER, 1, 3))));
    holds("client-chosen, no value yet, the first is declined, 1 run, 3 faults", &first(picky(scenario(CLIENT, 1, 3))));
    holds("in place, no value yet, the first is declined, 1 run, 3 faults", &first(picky(scenario(SINGLE, 1, 3))));
}

#[test]
fn after_a_first_value_comes_a_second() {
    for (name, capabilities) in [("server-issued", SERVER), ("in place", SINGLE), ("logins in turn", IN_TURN)] {
        let twice = Scenario { wanted: 2, ..first(scenario(capabilities, 1, 2)) };
        holds(&format!("{name}, no value yet, two rotations, 1 run, 2 faults"), &twice);
    }
}

/// It is neither ended nor replaced, whoever made it and whatever goes wrong, until a person has said which it is.
#[test]
fn what_does_not_tell_which_credential_it_is_is_left_as_it_is_until_a_person_stores_it_anew() {
    for (name, capabilities) in SHAPES.into_iter().filter(|(_, kind)| kind.overlap != Overlap::Unvalidated) {
        holds(&format!("{name}, in force without a name, 1 run, 3 faults"), &nameless(scenario(capabilities, 1, 3)));
    }
    holds("server-issued, in force without a name, 2 runs", &nameless(scenario(SERVER, 2, 0)));
    holds(
        "server-issued, in force without a name, leaked, 1 run, 3 faults",
        &Scenario { leak: true, ..nameless(scenario(SERVER, 1, 3)) },
    );
    holds("delete only, in force without a name, three at once, 1 run, 3 faults", &nameless(roomy(scenario(DELETE_ONLY, 1, 3))));
    holds("two passwords, in force without a name, 2 runs", &nameless(scenario(TWO_PASSWORDS, 2, 0)));
}
