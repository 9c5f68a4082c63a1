//! The way back: what a roll-back does, step by step, and when nothing can come back.

use super::*;

#[test]
fn a_roll_back_first_keeps_the_old_value_as_a_new_version() {
    let o = Observation { fate: Some(Ending::Rollback), ..tail(SERVER) };
    acts(&o, Mutation::Restore { to: "back".into() });
    let empty = Observation { restore: Some(slot("back", Content::Empty)), ..o.clone() };
    acts(&empty, Mutation::Restore { to: "back".into() });
    blocked(&Observation { restore: Some(slot("back", tomb())), ..o.clone() }, "version back cannot bring a value back");
    blocked(&Observation { restore: None, ..o }, "not known what was in force before");
}

#[test]
fn a_roll_back_enables_the_old_credential_before_it_is_promoted() {
    let mut o = Observation { fate: Some(Ending::Rollback), restore: Some(slot("back", value("old"))), ..tail(SERVER) };
    acts(&o, promote_to("back"));
    o.keys[0].active = false;
    acts(&o, change("old", KeyChange::Enable));
    o.keys[0].role = Role::Foreign;
    assert!(!matches!(decide(&o), Step::Act(Mutation::Change { .. })));
}

#[test]
fn what_was_being_ended_is_let_in_at_once_and_put_in_force_when_no_run_is_left_that_was_ending_it() {
    let restore = Some(slot("back", value("old")));
    let last = Some(Last::Revive { wait: Some(at(9)) });
    let mut o = Observation { fate: Some(Ending::Retire), last, restore, ..tail(SERVER) };
    (o.keys[0].active, o.marks.disabled, o.marks.refused) = (false, Some(at(2)), Some(at(3)));
    o.soaked = Some(Gate::Open);
    acts(&Observation { restore: Some(slot("back", Content::Absent)), ..o.clone() }, Mutation::Restore { to: "back".into() });
    acts(&o, change("old", KeyChange::Enable));
    o.keys[0].active = true;
    waits(&o, Some(at(9)), "may still be ending");
    acts(
        &Observation { consumers: vec![place("c", "g", "v")], ..o.clone() },
        Mutation::Activate { consumer: "c".into(), version: "g".into() },
    );
    o.last = Some(Last::Revive { wait: None });
    acts(&o, promote_to("back"));
    o.keys.remove(0);
    o.keys.push(key("older", Role::Older));
    o.keys[1].active = false;
    acts(&o, change("older", KeyChange::Delete));
}

#[test]
fn a_roll_back_to_a_login_that_holds_an_attempt_by_now_is_as_if_nobody_had_asked() {
    let restore = Slot { over: Some("s0".into()), ..slot("back", value("old")) };
    let attempt = Slot { installed: true, ..slot("s0", value("old")) };
    let mut o = Observation { fate: Some(Ending::Rollback), restore: Some(restore), ..due(CLIENT) };
    o.slots[0] = attempt;
    o.keys.push(key("old", Role::Candidate));
    o.marks.done = None;
    assert_eq!(taken(&o), Some(&"s0".into()));
    acts(&o, Mutation::Judge { slot: "s0".into() });
    o.slots[0].verdict = Some(Verdict::Approve);
    acts(&o, promote_to("s0"));
    // It is not even kept: that would take the label from the attempt.
    let absent = Slot { over: Some("s0".into()), ..slot("back", Content::Absent) };
    acts(&Observation { restore: Some(absent), ..o.clone() }, promote_to("s0"));
    // What only ends a rotation leaves the attempt to the one that began it, and notes that nothing is left of this.
    acts(&Observation { due: false, ..o }, Mutation::Mark(Mark::Done));
}

#[test]
fn a_value_that_comes_back_to_a_login_used_in_turn_is_let_in_as_its_own_version_first() {
    let restore = Slot { over: Some("before".into()), ..slot("back", value("old")) };
    let mut o = Observation { fate: Some(Ending::Rollback), restore: Some(restore), ..tail(Capabilities::IN_TURN) };
    for active in [true, false] {
        o.keys[0].active = active;
        acts(&o, Mutation::Install { version: "back".into(), over: Some("before".into()) });
    }
    o.restore = Some(Slot { over: Some("back".into()), ..slot("back", value("old")) });
    acts(&o, change("old", KeyChange::Enable));
    o.keys[0].active = true;
    acts(&o, promote_to("back"));
}

#[test]
fn a_roll_back_to_a_credential_that_is_gone_keeps_nothing_and_says_that_nothing_came_back() {
    let restores = [slot("back", value("gone")), slot("back", Content::Absent)];
    for restore in restores {
        let o = Observation { fate: Some(Ending::Rollback), restore: Some(restore), gone: true, ..due(SERVER) };
        // Who rotates forward goes forward.
        acts(&o, Mutation::Create { slot: "s0".into() });
        let mut o = Observation { due: false, ..o };
        o.keys.push(key("older", Role::Older));
        (o.marks, o.soaked) = (Marks { promoted: Some(at(1)), ..Marks::default() }, None);
        acts(&o, change("older", KeyChange::Disable));
        o.keys.pop();
        acts(&o, Mutation::Prove);
        o.marks.refused = Some(at(3));
        acts(&o, Mutation::Mark(Mark::Done));
        o.marks.done = Some(at(4));
        blocked(&o, "is gone and does not come back; the value in force stays until `slm rotate` replaces it");
        // What was to come back after it was disabled likewise; and nobody asked of a value that is only gone.
        let revived = Observation { fate: Some(Ending::Retire), last: Some(Last::Revive { wait: None }), ..o.clone() };
        blocked(&revived, "does not come back");
        assert_eq!(decide(&Observation { fate: Some(Ending::Retire), ..o }), Step::Done);
    }
}

#[test]
fn a_version_that_cannot_be_read_brings_nothing_back() {
    let o = Observation { fate: Some(Ending::Rollback), restore: Some(slot("back", Content::Unreadable)), ..tail(SERVER) };
    blocked(&o, "version back, which brings a value back, cannot be read");
}

#[test]
fn a_roll_back_in_place_installs_the_old_value_and_then_promotes_it() {
    let mut restore = Slot { over: Some("g".into()), ..slot("back", value("user")) };
    let mut o = Observation { fate: Some(Ending::Rollback), restore: Some(restore.clone()), ..calm(SINGLE) };
    acts(&o, Mutation::Install { version: "back".into(), over: Some("g".into()) });
    restore.installed = true;
    o.restore = Some(restore);
    acts(&o, promote_to("back"));
    o.restore = Some(slot("back", Content::Value(None)));
    acts(&o, Mutation::Install { version: "back".into(), over: None });
    o.capabilities = SERVER;
    acts(&o, promote_to("back"));
}
