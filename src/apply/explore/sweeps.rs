//! Sweeps of faults over every kind of rotator, with and without a canary.

use super::faults::{Mode, asked, delivered, oldest, outages, run, slm, tried};
use super::pairs::{Paired, Sweep, alike, sweep};
use super::search::Scenario;
use super::{
    CLIENT, DELETE_ONLY, DISABLE_ONLY, IN_TURN, REREAD, REREAD_NO_PAUSE, SERVER, SERVER_NO_PAUSE, SHAPES, SINGLE, STAGED,
    TWO_PASSWORDS, UNVALIDATED, canary, first, late, leaked, picky, rollback, roomy, scenario,
};
use crate::model::outcome::Fate;

type Shape = (&'static str, Scenario);

fn server() -> Vec<Shape> {
    let leak = Scenario { leak: true, ..scenario(SERVER, 1, 0) };
    vec![
        ("server-issued", scenario(SERVER, 1, 0)),
        ("server-issued, canary", canary(SERVER, 1, 0)),
        ("server-issued, three at once", roomy(scenario(SERVER, 1, 0))),
        ("server-issued, new consumer", late(scenario(SERVER, 1, 0))),
        ("server-issued, leaked", leak),
        ("server-issued, leaked and cut off", leaked(scenario(SERVER, 1, 0))),
        ("server-issued, the first does not fit", picky(scenario(SERVER, 1, 0))),
    ]
}

fn server_again() -> Vec<Shape> {
    vec![
        ("server-issued, rolled back", rollback(SERVER, 1, 0)),
        ("server-issued, brought back when disabled", Scenario { late_whim: true, ..rollback(SERVER, 1, 0) }),
        ("server-issued, two rotations", Scenario { wanted: 2, ..scenario(SERVER, 1, 0) }),
        ("re-readable", scenario(REREAD, 1, 0)),
        ("re-readable, canary", canary(REREAD, 1, 0)),
        ("server-issued, never disabled", scenario(SERVER_NO_PAUSE, 1, 0)),
        ("re-readable, never disabled", scenario(REREAD_NO_PAUSE, 1, 0)),
    ]
}

fn client() -> Vec<Shape> {
    let mut foreign = scenario(CLIENT, 1, 0);
    foreign.setup.foreign = true;
    vec![
        ("client-chosen", scenario(CLIENT, 1, 0)),
        ("client-chosen, canary", canary(CLIENT, 1, 0)),
        ("client-chosen, rolled back", rollback(CLIENT, 1, 0)),
        ("client-chosen, brought back when disabled", Scenario { late_whim: true, ..rollback(CLIENT, 1, 0) }),
        ("client-chosen, the first is declined", picky(scenario(CLIENT, 1, 0))),
        ("client-chosen, beside a foreign one", foreign),
        ("delete only", scenario(DELETE_ONLY, 1, 0)),
        ("delete only, canary", canary(DELETE_ONLY, 1, 0)),
        ("disable only", scenario(DISABLE_ONLY, 1, 0)),
    ]
}

fn other() -> Vec<Shape> {
    vec![
        ("in place", scenario(SINGLE, 1, 0)),
        ("in place, the first is declined", picky(scenario(SINGLE, 1, 0))),
        ("in place, canary", canary(SINGLE, 1, 0)),
        ("in place, rolled back", rollback(SINGLE, 1, 0)),
        ("unvalidated", scenario(UNVALIDATED, 1, 0)),
        ("unvalidated, canary", canary(UNVALIDATED, 1, 0)),
        ("of several values", scenario(STAGED, 1, 0)),
        ("of several values, canary", canary(STAGED, 1, 0)),
    ]
}

fn database() -> Vec<Shape> {
    vec![
        ("logins in turn", scenario(IN_TURN, 1, 0)),
        ("logins in turn, canary", canary(IN_TURN, 1, 0)),
        ("logins in turn, rolled back", rollback(IN_TURN, 1, 0)),
        ("logins in turn, two rotations", Scenario { wanted: 2, ..scenario(IN_TURN, 1, 0) }),
        ("logins in turn, the first is declined", picky(scenario(IN_TURN, 1, 0))),
        ("two passwords", scenario(TWO_PASSWORDS, 1, 0)),
        ("two passwords, canary", canary(TWO_PASSWORDS, 1, 0)),
        ("two passwords, rolled back", rollback(TWO_PASSWORDS, 1, 0)),
        ("two passwords, two rotations", Scenario { wanted: 2, ..scenario(TWO_PASSWORDS, 1, 0) }),
        ("two passwords, the first is declined", picky(scenario(TWO_PASSWORDS, 1, 0))),
    ]
}

/// Nothing was ever written into the store, which puts in force by itself whatever is written first.
fn none_yet() -> Vec<Shape> {
    vec![
        ("server-issued, no value yet", first(scenario(SERVER, 1, 0))),
        ("server-issued, no value yet, canary", first(canary(SERVER, 1, 0))),
        ("client-chosen, no value yet", first(scenario(CLIENT, 1, 0))),
        ("logins in turn, no value yet", first(scenario(IN_TURN, 1, 0))),
        ("two passwords, no value yet", first(scenario(TWO_PASSWORDS, 1, 0))),
        ("in place, no value yet", first(scenario(SINGLE, 1, 0))),
        ("unvalidated, no value yet", first(scenario(UNVALIDATED, 1, 0))),
    ]
}

/// Every single fault of each shape, and every pair of those that are `paired`.
fn swept(shapes: &[Shape], paired: Paired) -> Sweep {
    let mut all = Sweep::default();
    for (name, scenario) in shapes {
        all += sweep(name, scenario, paired);
    }
    all
}

/// Nothing may be violated, lost or left behind.
fn survive(shapes: &[Shape]) {
    let all = survived(shapes);
    assert!(all.singles > 300 * shapes.len() && all.doubles > 30_000 * shapes.len(), "{all:?}");
}

fn survived(shapes: &[Shape]) -> Sweep {
    let all = swept(shapes, Paired::OfEachEffect);
    println!(
        "faults: {} shapes, {} singles, {} of them wrong, {} pairs, {} of them wrong, {} leaks",
        shapes.len(),
        all.singles,
        all.single_violations,
        all.doubles,
        all.double_violations,
        all.leaks
    );
    assert_eq!((all.single_violations, all.double_violations, all.leaks), (0, 0, 0));
    all
}

#[test]
fn a_server_issued_credential_survives_faults_at_any_call() {
    survive(&server());
}

#[test]
fn a_server_issued_credential_survives_faults_when_it_comes_back_or_goes_on() {
    survive(&server_again());
}

#[test]
fn a_client_chosen_credential_survives_faults_at_any_call() {
    survive(&client());
}

#[test]
fn a_value_in_place_or_that_nobody_validates_survives_faults_at_any_call() {
    survive(&other());
}

#[test]
fn a_login_used_in_turn_or_with_two_passwords_survives_faults_at_any_call() {
    survive(&database());
}

#[test]
fn a_first_value_survives_faults_at_any_call() {
    let shapes = none_yet();
    let all = survived(&shapes);
    assert!(all.singles > 60 * shapes.len() && all.doubles > 1_000 * shapes.len(), "{all:?}");
}

/// Two values are rejected, neither for a fault of its own, before there is a first one that their canary could be brought back to.
#[test]
fn a_first_value_whose_canary_holds_two_that_were_rejected_is_made_once_a_person_ends_one() {
    let scenario = first(canary(SERVER, 1, 0));
    let calls = |faults: &[(usize, Mode)]| run(&scenario, faults, slm).calls;
    let clean = calls(&[]);
    let mut most = 0;
    for one in (0..clean.len()).filter(|call| clean[*call]).map(|call| (call, Mode::Ancient)) {
        let single = calls(&[one]);
        for two in (one.0 + 1..single.len()).filter(|call| !single[*call]).map(|call| (call, Mode::Denied)) {
            let asked = asked(&scenario, &[one, two]);
            assert!(asked.is_some_and(|asked| asked < 2), "{one:?}, {two:?}: {asked:?}");
            most = most.max(asked.unwrap_or_default());
        }
    }
    assert_eq!(most, 1, "nobody was asked");
}

/// A process is cut off, and the next is told once what was so before anything was done: the value of an attempt is not found, say, whose
/// login is listed with it.
#[test]
fn logins_in_turn_survive_the_oldest_answer_wherever_the_process_before_was_cut_off() {
    let shapes: Vec<Shape> = database().into_iter().filter(|(name, _)| name.starts_with("logins in turn")).collect();
    let all = swept(&shapes, Paired::OldAfterCut);
    println!("the oldest answer after a cut {all:?}");
    assert_eq!((all.single_violations, all.double_violations, all.leaks), (0, 0, 0));
    assert!(all.doubles > 1_000 * shapes.len(), "{all:?}");
}

/// What a run has in common with others is not run again.
#[test]
fn what_runs_share_changes_the_end_of_none() {
    let shapes = [server(), server_again(), client(), other(), database()];
    let compared: usize = shapes.iter().flatten().map(|(_, scenario)| alike(scenario, 10_007)).sum();
    assert!(compared > 500, "{compared} pairs were compared");
}

/// The harness finds what it looks for.
#[test]
fn a_tool_that_deletes_the_oldest_credential_does_not_survive_them() {
    let found = outages(&scenario(SERVER, 1, 0), oldest);
    println!("deletes the oldest: {found} outages");
    assert!(found > 2, "{found} outages");
    assert_eq!(outages(&scenario(SERVER, 1, 0), slm), 0);
}

#[test]
fn a_new_credential_that_is_not_known_everywhere_yet_is_tried_again_and_not_rejected() {
    assert_eq!(tried(&scenario(SERVER, 1, 0), 3, 300), "approve");
    assert!(tried(&scenario(SERVER, 1, 0), 3, 0).starts_with("reject "));
    assert_eq!(tried(&scenario(SERVER, 1, 0), 0, 0), "approve");
}

#[test]
fn a_bare_delivery_ends_and_leaves_every_credential_as_it_is() {
    for (_, capabilities) in SHAPES {
        let (fate, before, after) = delivered(&late(scenario(capabilities, 1, 0)));
        assert_eq!(fate, Some(Fate::Done), "{capabilities:?}");
        assert_eq!((&before.keys, &before.registers, &before.values), (&after.keys, &after.registers, &after.values));
        assert!(after.consumers.iter().flatten().all(|held| held.version == after.current));
    }
}
