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

/// Two runs and three of each shape, in tests of their own.
macro_rules! several_runs {
    ($($(#[$large:meta])? $name:ident: $capabilities:ident,)*) => {$(
        mod $name {
            use super::super::{$capabilities, holds, scenario};

            #[test]
            $(#[$large])?
            fn two_runs_and_a_read_that_is_behind() {
                holds(concat!(stringify!($name), ", reads behind, 2 runs, 1 fault"), &super::behind(scenario($capabilities, 2, 1)));
            }

            #[test]
            #[ignore = "takes minutes; `scripts/figures explore` runs it"]
            fn three_runs_and_a_fault() {
                holds(concat!(stringify!($name), ", 3 runs, 1 fault"), &scenario($capabilities, 3, 1));
            }
        }
    )*};
}

several_runs! {
    #[ignore = "takes minutes; `scripts/figures explore` runs it"]
    server_issued: SERVER,
    #[ignore = "takes minutes; `scripts/figures explore` runs it"]
    rereadable: REREAD,
    #[ignore = "takes minutes; `scripts/figures explore` runs it"]
    client_chosen: CLIENT,
    #[ignore = "takes minutes; `scripts/figures explore` runs it"]
    delete_only: DELETE_ONLY,
    #[ignore = "takes minutes; `scripts/figures explore` runs it"]
    logins_in_turn: IN_TURN,
    #[ignore = "takes minutes; `scripts/figures explore` runs it"]
    two_passwords: TWO_PASSWORDS,
    in_place: SINGLE,
    unvalidated: UNVALIDATED,
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
