//! What is explored of one shape is explored of every shape to which it can happen.

use super::search::Scenario;
use super::{SHAPES, holds, rollback, roomy, scenario};
use crate::world::{Capabilities, Issuer, Overlap};

#[test]
fn any_shape_in_wrong_hands() {
    for (name, capabilities) in SHAPES {
        holds(&format!("{name}, leaked, 1 run, 2 faults"), &Scenario { leak: true, ..scenario(capabilities, 1, 2) });
    }
}

#[test]
fn any_shape_rolled_back_by_a_person() {
    for (name, capabilities) in SHAPES {
        holds(&format!("{name}, roll-back, 1 run, 1 fault"), &rollback(capabilities, 1, 1));
    }
}

#[test]
fn any_shape_rotated_twice() {
    for (name, capabilities) in SHAPES {
        holds(&format!("{name}, two rotations, 1 run, 1 fault"), &Scenario { wanted: 2, ..scenario(capabilities, 1, 1) });
    }
}

/// Where every name is declared there is no room for anybody else's.
#[test]
fn any_shape_beside_a_credential_that_a_person_made() {
    let beside = |(_, kind): &(&str, _)| matches!(kind, Capabilities { overlap: Overlap::Dual { .. }, follows: false, .. });
    for (name, capabilities) in SHAPES.into_iter().filter(beside) {
        let mut scenario = scenario(capabilities, 1, 2);
        scenario.setup.foreign = true;
        // What a server issues needs a place of its own.
        let scenario = if capabilities.issuer == Issuer::Server { roomy(scenario) } else { scenario };
        holds(&format!("{name} beside a foreign one, 1 run, 2 faults"), &scenario);
    }
}
