//! Explores every reachable state of the real engine over a small world, and shows that each part of the protocol is needed.

mod search;
mod world;

use search::{Found, Scenario, search};
use world::{Ablation, Setup};

use crate::world::{Capabilities, Issuer, Overlap};

const SERVER: Capabilities = Capabilities {
    issuer: Issuer::Server,
    overlap: Overlap::Dual { max: 2 },
    reread: false,
    follows: false,
    disable: true,
    delete: true,
};

fn scenario(capabilities: Capabilities, rotators: usize, faults: u8) -> Scenario {
    let setup = Setup { capabilities, consumers: 1, canary: false, foreign: false, ablation: None };
    Scenario { setup, rotators, faults, wanted: 1, whims: 0, rollback: false, leak: false }
}

/// Searches `scenario`; nothing may be violated and no state may be stuck.
fn holds(name: &str, scenario: &Scenario) -> Found {
    let begun = std::time::Instant::now();
    let found = search(scenario);
    eprintln!("{name}: {} states, {} transitions, {} goals, {:.1?}", found.states, found.transitions, found.goals, begun.elapsed());
    if let Some((what, way)) = &found.violation {
        panic!("{name}: {what}\n  {}", way.join("\n  "));
    }
    assert_eq!(found.stuck, 0, "{name}: {} states are stuck\n  {}", found.stuck, found.stuck_way.join("\n  "));
    assert!(found.goals > 0, "{name}: no goal was reached");
    found
}

#[test]
fn one_run_and_three_faults() {
    holds("server-issued", &scenario(SERVER, 1, 3));
}

#[test]
fn two_runs_and_a_fault() {
    holds("server-issued, 2 runs, 0 faults", &scenario(SERVER, 2, 0));
    holds("server-issued, 2 runs, 1 fault", &scenario(SERVER, 2, 1));
}

const CLIENT: Capabilities = Capabilities { issuer: Issuer::Client, ..SERVER };
const SINGLE: Capabilities = Capabilities { issuer: Issuer::Client, overlap: Overlap::Single, disable: false, delete: false, ..SERVER };

#[test]
fn shapes() {
    for faults in [0, 1] {
        for runs in [1, 2] {
            holds("client-chosen", &scenario(CLIENT, runs, faults));
            holds("in place", &scenario(SINGLE, runs, faults));
            holds("unvalidated", &scenario(Capabilities::UNVALIDATED, runs, faults));
            holds("rereadable", &scenario(Capabilities { reread: true, ..SERVER }, runs, faults));
            holds("delete only", &scenario(Capabilities { disable: false, ..CLIENT }, runs, faults));
        }
    }
}
