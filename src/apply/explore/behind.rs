//! Reads to which nothing is answered, or what was so before the last change; three runs at once; clocks that differ.

use super::search::Scenario;
use super::{CLIENT, IN_TURN, SERVER, SHAPES, SINGLE, canary, holds, picky, rollback, scenario};
use crate::world::Overlap;

fn behind(mut scenario: Scenario) -> Scenario {
    scenario.behind = true;
    scenario
}

#[test]
fn any_shape_with_one_run_and_reads_that_are_behind() {
    for (shape, capabilities) in SHAPES {
        holds(&format!("{shape}, reads behind, 1 run, 2 faults"), &behind(scenario(capabilities, 1, 2)));
        holds(&format!("{shape}, reads behind, canary refuses once, 1 run, 1 fault"), &behind(canary(capabilities, 1, 1)));
        if capabilities.overlap != Overlap::Unvalidated {
            holds(
                &format!("{shape}, reads behind, the first does not fit, 1 run, 2 faults"),
                &behind(picky(scenario(capabilities, 1, 2))),
            );
        }
    }
}

/// A test; of a `large` search, one on demand.
macro_rules! search {
    (small $name:ident $body:block) => {
        #[test]
        fn $name() $body
    };
    (large $name:ident $body:block) => {
        #[test]
        #[ignore = "takes minutes; `scripts/figures explore` runs it"]
        fn $name() $body
    };
}

/// Two runs and three of each shape, in tests of their own.
macro_rules! several_runs {
    ($($name:ident: $capabilities:ident, two $two:ident, three $three:ident;)*) => {$(
        mod $name {
            use super::super::{$capabilities, holds, scenario};

            search!($two two_runs_and_a_read_that_is_behind {
                holds(concat!(stringify!($name), ", reads behind, 2 runs, 1 fault"), &super::behind(scenario($capabilities, 2, 1)));
            });

            search!($three three_runs_and_a_fault {
                holds(concat!(stringify!($name), ", 3 runs, 1 fault"), &scenario($capabilities, 3, 1));
            });
        }
    )*};
}

several_runs! {
    server_issued: SERVER, two large, three large;
    server_issued_never_disabled: SERVER_NO_PAUSE, two large, three large;
    rereadable: REREAD, two large, three large;
    rereadable_never_disabled: REREAD_NO_PAUSE, two large, three large;
    client_chosen: CLIENT, two large, three large;
    delete_only: DELETE_ONLY, two large, three large;
    disable_only: DISABLE_ONLY, two large, three large;
    logins_in_turn: IN_TURN, two large, three large;
    two_passwords: TWO_PASSWORDS, two large, three large;
    in_place: SINGLE, two small, three large;
    of_several_values: STAGED, two small, three large;
    unvalidated: UNVALIDATED, two small, three small;
}

/// The other way round than in every other search: the clock of the target is ahead of ours, and that of the store behind.
#[test]
fn clocks_that_differ_the_other_way_round_change_nothing() {
    for (shape, mut scenario) in [
        ("server-issued", scenario(SERVER, 1, 2)),
        ("server-issued, roll-back", rollback(SERVER, 1, 1)),
        ("client-chosen", scenario(CLIENT, 2, 0)),
        ("logins in turn", scenario(IN_TURN, 1, 2)),
        ("in place", scenario(SINGLE, 2, 0)),
    ] {
        let ahead = super::search::search(&scenario);
        scenario.setup.skew = -scenario.setup.skew;
        let found = holds(&format!("{shape}, the target's clock ahead"), &scenario);
        assert_eq!((found.states, found.transitions, found.goals), (ahead.states, ahead.transitions, ahead.goals), "{shape}");
    }
}
