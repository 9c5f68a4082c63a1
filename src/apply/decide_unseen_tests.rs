//! What cannot be read, what another kind left behind, and what consumers go on with or may use: which of it holds what.

use super::*;
use crate::apply::observation::Left;

#[test]
fn an_attempt_that_cannot_be_read_is_left_to_who_can_and_once_rejected_makes_way() {
    let mut o = due(SERVER);
    o.slots[0] = slot("s0", Content::Unreadable);
    blocked(&o, "attempt s0 cannot be read");
    blocked(&with_leak(o.clone()), "attempt s0 cannot be read");
    o.slots[0].verdict = Some(Verdict::Reject { settled: true });
    acts(&o, Mutation::Create { slot: "s1".into() });
    // What is to be ended is ended all the same.
    let mut o = Observation { due: true, ..tail(SERVER) };
    o.slots[0] = slot("s0", Content::Unreadable);
    acts(&o, Mutation::Fate(Ending::Retire));
}

fn with_leak(o: Observation) -> Observation {
    Observation { leak: true, ..o }
}

#[test]
fn a_version_that_cannot_be_read_may_hold_what_is_in_no_other_and_holds_up_nothing_else() {
    let unread = |o: Observation| Observation { unreadable: vec!["old-1".into()], ..o };
    blocked(
        &unread(unknown(due(SERVER), "lost", None)),
        "credential lost is in no version that could be read, and may be in old-1",
    );
    acts(&unread(due(SERVER)), Mutation::Create { slot: "s0".into() });
    acts(&unread(tail(SERVER)), Mutation::Fate(Ending::Retire));
    acts(&unread(with_candidate(due(SERVER), Some(Verdict::Approve))), promote_to("s0"));
    assert_eq!(decide(&unread(calm(SERVER))), Step::Done);
}

#[test]
fn what_another_kind_left_behind_holds_until_a_person_says_that_it_is_ended() {
    let left = |ended| Some(Left { version: Some("g0".into()), ended });
    for rest in [due(Capabilities::UNVALIDATED), calm(Capabilities::UNVALIDATED)] {
        let o = Observation { left: left(false), ..rest };
        blocked(&o, "version g0 was let in while another kind was declared");
        blocked(&o, "add g0 to `ended-elsewhere`");
        acts(&Observation { left: left(true), ..o }, Mutation::Mark(Mark::Done));
    }
    let leaked = Observation { left: left(false), leak: true, ..due(Capabilities::UNVALIDATED) };
    acts(&leaked, Mutation::Prepare { slot: "s0".into() });
}

#[test]
fn while_the_value_in_force_does_not_tell_which_credential_it_is_nothing_is_made_and_nothing_ended() {
    let shape = r#"`{"id": …}`"#;
    for capabilities in [SERVER, CLIENT, SINGLE] {
        let mut o = Observation { force: Force::Nameless(shape), ..due(capabilities) };
        blocked(&o, &format!("since version g does not name it; store the same one as {shape}"));
        blocked(&Observation { leak: true, ..o.clone() }, "which credential is in force is not known");
        for role in [Role::Unknown { wait: None, used: None }, Role::Older, Role::Condemned, Role::Foreign] {
            o.keys = vec![key("used", role)];
            blocked(&o, "which credential is in force is not known");
        }
        // Whoever stored it wants it run.
        o.consumers = vec![place("c", "g0", "g0")];
        acts(&o, deliver("c", "g"));
    }
}

#[test]
fn what_consumers_go_on_with_counts_from_when_all_of_them_run_the_new_version() {
    let adopted = Mutation::Mark(Mark::Adopted);
    let mut o = Observation { lingers: true, gate: Gate::Until(at(9), "held".to_owned()), ..tail(SERVER) };
    o.consumers = vec![place("c", "g", "g0")];
    acts(&o, Mutation::Activate { consumer: "c".into(), version: "g".into() });
    o.consumers = vec![Place { id: "c".into(), canary: false, sight: Sight::Unseen("down".to_owned()) }];
    blocked(&o, "consumer `c` was not seen");
    o.consumers = vec![place("c", "g", "g")];
    acts(&o, adopted.clone());
    assert_eq!(decide(&Observation { leak: true, gate: Gate::Open, ..o.clone() }), Step::Act(Mutation::Fate(Ending::Retire)));
    waits(&Observation { lingers: false, ..o.clone() }, Some(at(9)), "held");
    o.marks.adopted = Some(at(3));
    waits(&o, Some(at(9)), "held");
    // So it is before the next of several values is made.
    let staged = Capabilities { follows: true, ..Capabilities::UNVALIDATED };
    let mut o = Observation { lingers: true, gate: Gate::Until(at(9), "held".to_owned()), ..due(staged) };
    o.marks = Marks { promoted: Some(at(1)), ..Marks::default() };
    acts(&o, adopted);
    o.marks.adopted = Some(at(3));
    waits(&o, Some(at(9)), "held");
}

#[test]
fn before_a_first_value_a_person_is_asked_to_end_what_was_rejected_and_a_consumer_may_use() {
    let rejected = |id: &str, key: &str, settled| Slot { verdict: Some(Verdict::Reject { settled }), ..slot(id, value(key)) };
    let mut o = Observation {
        generation: None,
        force: Force::Nothing,
        due: true,
        slots: vec![rejected("s0", "k0", true), rejected("s1", "k1", false), slot("s2", Content::Absent)],
        keys: vec![key("k0", Role::Rejected("s0".into())), key("k1", Role::Rejected("s1".into()))],
        consumers: vec![Place { canary: true, ..place("c", "s1", "s0") }],
        ..calm(SERVER)
    };
    let wait = Step::Wait(None, "until no run can hand out what was rejected, so that it may be ended".to_owned());
    assert_eq!(decide(&o), wait, "one may still be handed out");
    o.slots[1] = rejected("s1", "k1", true);
    let asked = "consumer `c` holds what was rejected, and there is no value yet that could take its place; delete at the target a \
                 credential that it does not run, or take both from it";
    assert_eq!(decide(&o), Step::Blocked(asked.to_owned()));
    // The person did so.
    let gone = o.keys.pop();
    assert_eq!(decide(&o), Step::Act(Mutation::Create { slot: "s2".into() }));
    o.keys.extend(gone);
    o.consumers = vec![Place { canary: true, sight: Sight::Seen(ConsumerView::default()), id: "c".into() }];
    assert_eq!(decide(&o), key("k0", Role::Rejected("s0".into())).change(KeyChange::Delete));
    // With a value in force the consumer is brought back to it.
    (o.generation, o.force, o.consumers) = (Some("g".into()), Force::Value, vec![Place { canary: true, ..place("c", "s1", "s0") }]);
    assert!(matches!(decide(&o), Step::Act(Mutation::Deliver { version, .. }) if version == VersionId::from("g")));
}

#[test]
fn that_a_value_is_in_wrong_hands_is_written_down_before_anything_else() {
    let o = Observation { untold: Some("g".into()), fate: Some(Ending::Rollback), ..due(SERVER) };
    acts(&o, Mutation::Leak("g".into()));
    let told = Observation { untold: None, ..o };
    assert_ne!(decide(&told), Step::Act(Mutation::Leak("g".into())));
    // Without the lease nothing is written.
    let late = Observation { untold: Some("g".into()), leased: false, ..due(SERVER) };
    waits(&late, None, "the lease is spent");
}
