//! Every rule of the decision in words, one small observation each; what holds of any observation is in `decide_props.rs`.

use super::*;
use crate::apply::observation::{Key, Marks};
use crate::model::rotator::{Capabilities, IamAccessKey};
use crate::world::ConsumerView;

#[path = "decide_props.rs"]
mod props;
#[path = "decide_rollback_tests.rs"]
mod rollback;
#[path = "decide_unseen_tests.rs"]
mod unseen;

/// An access key: issued by the server, two at once.
const SERVER: Capabilities = IamAccessKey::CAPABILITIES;
const CLIENT: Capabilities = Capabilities { issuer: Issuer::Client, ..SERVER };
const SINGLE: Capabilities = Capabilities { overlap: Overlap::Single, disable: false, delete: false, ..CLIENT };

fn at(second: i64) -> Timestamp {
    Timestamp::new(second, 0).unwrap()
}

fn slot(id: &str, content: Content) -> Slot {
    Slot { id: id.into(), content, verdict: None, over: None, installed: false, unfit: None, refused: None }
}

fn value(key: &str) -> Content {
    Content::Value(Some(key.into()))
}

fn tomb() -> Content {
    Content::Tombstone(BTreeSet::new())
}

fn key(id: &str, role: Role) -> Key {
    Key { id: id.into(), active: true, version: None, role }
}

fn place(id: &str, stored: &str, running: &str) -> Place {
    let view = ConsumerView { stored: Some(stored.into()), running: Some(running.into()), ..ConsumerView::default() };
    Place { id: id.into(), canary: false, sight: Sight::Seen(view) }
}

/// Generation `g` is in force with key `k`; consumer `c` runs it; nothing is due and nothing is left behind.
fn calm(capabilities: Capabilities) -> Observation {
    Observation {
        capabilities,
        generation: Some("g".into()),
        force: Force::Value,
        due: false,
        leak: false,
        untold: None,
        tail: true,
        lingers: false,
        slots: vec![slot("s0", Content::Absent), slot("s1", Content::Absent)],
        restore: Some(slot("back", Content::Absent)),
        fate: None,
        last: None,
        keys: vec![key("k", Role::Current)],
        installed: None,
        gone: false,
        left: None,
        unreadable: Vec::new(),
        consumers: vec![place("c", "g", "g")],
        marks: Marks {
            promoted: Some(at(1)),
            adopted: Some(at(1)),
            disabled: Some(at(2)),
            refused: Some(at(3)),
            done: Some(at(4)),
        },
        gate: Gate::Open,
        soaked: Some(Gate::Open),
        shut: None,
        behind: Vec::new(),
        leased: true,
    }
}

/// As [`calm`], and the generation is to be left.
fn due(capabilities: Capabilities) -> Observation {
    Observation { due: true, ..calm(capabilities) }
}

/// As [`calm`], with key `old` of an earlier generation and nothing noted after the promotion.
fn tail(capabilities: Capabilities) -> Observation {
    let keys = vec![key("old", Role::Older), key("k", Role::Current)];
    let marks = Marks { promoted: Some(at(1)), ..Marks::default() };
    Observation { keys, marks, soaked: None, ..calm(capabilities) }
}

/// The slot `s0` holds key `new`.
fn with_candidate(mut o: Observation, verdict: Option<Verdict>) -> Observation {
    o.slots[0] = Slot { verdict, installed: true, ..slot("s0", value("new")) };
    o.keys.push(key("new", Role::Candidate));
    o
}

fn unknown(mut o: Observation, id: &str, wait: Option<Timestamp>) -> Observation {
    o.keys.push(key(id, Role::Unknown { wait, used: None }));
    o
}

fn acts(o: &Observation, mutation: Mutation) {
    assert_eq!(decide(o), Step::Act(mutation));
}

fn change(key: &str, change: KeyChange) -> Mutation {
    Mutation::Change { key: key.into(), seen: None, change }
}

fn deliver(consumer: &str, version: &str) -> Mutation {
    Mutation::Deliver { consumer: consumer.into(), version: version.into() }
}

fn promote_to(to: &str) -> Mutation {
    Mutation::Promote { from: Some("g".into()), to: to.into() }
}

fn blocked(o: &Observation, with: &str) {
    let step = decide(o);
    assert!(matches!(&step, Step::Blocked(why) if why.contains(with)), "{step:?}");
}

fn waits(o: &Observation, until: Option<Timestamp>, with: &str) {
    let step = decide(o);
    assert!(matches!(&step, Step::Wait(late, why) if *late == until && why.contains(with)), "{step:?}");
}

#[test]
fn nothing_is_left_to_do_when_all_is_in_order() {
    for capabilities in [SERVER, CLIENT, SINGLE, Capabilities::UNVALIDATED] {
        assert_eq!(decide(&calm(capabilities)), Step::Done);
    }
}

#[test]
fn without_a_lease_what_would_be_done_waits_and_what_is_done_stays_done() {
    waits(&Observation { leased: false, ..due(SERVER) }, None, "the lease is spent");
    assert_eq!(decide(&Observation { leased: false, ..calm(SERVER) }), Step::Done);
}

#[test]
fn a_promotion_is_noted_when_it_left_something_behind_and_before_consumers_are_told() {
    let mut o = tail(SERVER);
    (o.marks.promoted, o.consumers) = (None, vec![place("c", "g0", "g0")]);
    acts(&o, Mutation::Mark(Mark::Promoted));
    acts(&Observation { tail: false, ..o.clone() }, deliver("c", "g"));
    acts(&Observation { keys: vec![key("k", Role::Current)], ..o.clone() }, deliver("c", "g"));
    o.generation = None;
    assert!(!matches!(decide(&o), Step::Act(Mutation::Mark(_))));
}

#[test]
fn in_place_what_is_installed_is_judged_and_promoted_before_anything_else() {
    let mut o = with_candidate(due(SINGLE), None);
    o.consumers = vec![place("c", "other", "other")];
    o.installed = Some("s0".into());
    acts(&o, Mutation::Judge { slot: "s0".into() });
    o.slots[0].verdict = Some(Verdict::Approve);
    acts(&o, promote_to("s0"));
    o.slots[0].installed = false;
    acts(&o, deliver("c", "g"));
    (o.slots[0].installed, o.due) = (true, false);
    acts(&o, deliver("c", "g"));
}

#[test]
fn in_place_a_rejected_value_is_replaced_by_the_one_in_force() {
    let mut o = due(SINGLE);
    o.slots[0] = Slot { verdict: Some(Verdict::Reject { settled: false }), ..slot("s0", value("user")) };
    o.installed = Some("s0".into());
    acts(&o, Mutation::Install { version: "g".into(), over: Some("s0".into()) });
    o.installed = Some("somebody's".into());
    blocked(&o, "version somebody's, which is neither");
    o.installed = Some("g".into());
    acts(&o, Mutation::Prepare { slot: "s1".into() });
    (o.installed, o.generation) = (Some("s0".into()), None);
    acts(&o, Mutation::Prepare { slot: "s1".into() });
    let (installed, generation) = (Some("x".into()), Some("g".into()));
    assert_eq!(decide(&Observation { installed, generation, ..calm(SERVER) }), Step::Done);
}

#[test]
fn in_place_a_value_that_only_the_target_has_already_is_not_replaced() {
    let mut o = with_candidate(due(SINGLE), None);
    (o.slots[0].installed, o.installed) = (false, Some("s0".into()));
    acts(&o, Mutation::Install { version: "s0".into(), over: None });
}

#[test]
fn a_consumer_is_given_what_it_must_store_before_any_is_asked_to_run_it() {
    let o = Observation { consumers: vec![place("a", "g", "g0"), place("b", "g0", "g0")], ..calm(SERVER) };
    acts(&o, deliver("b", "g"));
    let o = Observation { consumers: vec![place("a", "g", "g"), place("b", "g", "g0")], ..o };
    acts(&o, Mutation::Activate { consumer: "b".into(), version: "g".into() });
    assert_eq!(decide(&Observation { generation: None, ..o }), Step::Done);
}

#[test]
fn a_canary_is_given_a_new_value_first_and_nobody_else_is() {
    let mut o = with_candidate(due(SERVER), None);
    o.consumers.push(Place { canary: true, ..place("bird", "g", "g") });
    acts(&o, deliver("bird", "s0"));
    o.slots[0].installed = false;
    acts(&o, Mutation::Judge { slot: "s0".into() });
    o.capabilities = Capabilities::UNVALIDATED;
    acts(&o, deliver("bird", "s0"));
    (o.capabilities, o.slots[0].installed, o.due) = (SERVER, true, false);
    assert_eq!(decide(&o), Step::Done);
    (o.capabilities, o.slots[0].installed, o.due) = (SINGLE, false, true);
    acts(&o, Mutation::Install { version: "s0".into(), over: None });
}

#[test]
fn a_canary_is_given_back_what_is_in_force_when_the_new_value_is_rejected() {
    let mut o = with_candidate(due(SERVER), Some(Verdict::Reject { settled: true }));
    (o.keys[1].role, o.consumers) = (Role::Rejected("s0".into()), vec![Place { canary: true, ..place("bird", "s0", "s0") }]);
    acts(&o, deliver("bird", "g"));
}

#[test]
fn what_is_condemned_is_ended_as_far_as_its_kind_can() {
    let mut o = calm(SERVER);
    o.keys.insert(0, key("lost", Role::Condemned));
    acts(&o, change("lost", KeyChange::Delete));
    o.capabilities.delete = false;
    acts(&o, change("lost", KeyChange::Disable));
    o.keys[0].active = false;
    assert_eq!(decide(&o), Step::Done);
    o.capabilities.delete = true;
    acts(&o, change("lost", KeyChange::Delete));
    o.keys[0].active = true;
    (o.capabilities.delete, o.capabilities.disable) = (false, false);
    assert_eq!(decide(&o), Step::Done);
    o.capabilities = Capabilities { delete: true, ..SINGLE };
    assert_eq!(decide(&o), Step::Done);
}

#[test]
fn a_consumer_that_was_not_seen_holds_everything_but_the_end_of_what_is_condemned() {
    let unseen = Place { sight: Sight::Unseen("no answer".to_owned()), ..place("c", "g", "g") };
    let mut o = Observation { consumers: vec![unseen], ..due(SERVER) };
    blocked(&o, "consumer `c` was not seen: no answer");
    acts(&Observation { leak: true, ..o.clone() }, Mutation::Create { slot: "s0".into() });
    o.consumers[0].sight = Sight::Refused("g".into(), "full".to_owned());
    blocked(&o, "consumer `c` was not seen: full");
    o.keys.push(key("lost", Role::Condemned));
    acts(&o, change("lost", KeyChange::Delete));
}

#[test]
fn a_canary_that_refuses_the_new_value_rejects_it_and_no_other_refusal_does() {
    let mut o = with_candidate(due(SERVER), None);
    o.consumers = vec![Place { canary: true, sight: Sight::Refused("s0".into(), "no".to_owned()), ..place("bird", "g", "g") }];
    acts(&o, Mutation::Reject { slot: "s0".into(), why: "consumer `bird` refused it: no".to_owned() });
    acts(
        &Observation { leak: true, ..o.clone() },
        Mutation::Reject { slot: "s0".into(), why: "consumer `bird` refused it: no".to_owned() },
    );
    o.consumers[0].canary = false;
    blocked(&o, "consumer `bird`");
    o.consumers[0] = Place { canary: true, sight: Sight::Refused("g".into(), "no".to_owned()), ..place("bird", "g", "g") };
    blocked(&o, "consumer `bird`");
}

#[test]
fn what_was_rejected_is_ended_once_it_is_settled_and_nobody_holds_it() {
    let mut o = with_candidate(due(SERVER), Some(Verdict::Reject { settled: true }));
    o.keys[1].role = Role::Rejected("s0".into());
    acts(&o, change("new", KeyChange::Delete));
    acts(&Observation { capabilities: Capabilities { delete: false, ..SERVER }, ..o.clone() }, change("new", KeyChange::Disable));
    let never = |o: &Observation| assert!(!matches!(decide(o), Step::Act(Mutation::Change { .. })), "{:?}", decide(o));
    o.slots[0].verdict = Some(Verdict::Reject { settled: false });
    never(&o);
    o.slots[0].verdict = Some(Verdict::Reject { settled: true });
    (o.due, o.generation) = (false, None);
    o.consumers = vec![place("c", "s0", "g")];
    never(&o);
    o.consumers = vec![place("c", "g", "s0")];
    never(&o);
    (o.leak, o.consumers[0].sight) = (true, Sight::Unseen("away".to_owned()));
    never(&o);
    o.consumers = vec![place("c", "g", "g")];
    acts(&o, change("new", KeyChange::Delete));
    o.keys[1].role = Role::Rejected("another".into());
    never(&o);
}

#[test]
fn the_old_credential_goes_step_by_step_and_each_step_waits_for_the_one_before() {
    let mut o = tail(SERVER);
    acts(&o, Mutation::Fate(Ending::Retire));
    o.fate = Some(Ending::Retire);
    acts(&o, change("old", KeyChange::Disable));
    o.keys[0].active = false;
    acts(&o, Mutation::Mark(Mark::Disabled));
    (o.marks.disabled, o.soaked) = (Some(at(2)), Some(Gate::Until(at(9), "soaks".to_owned())));
    acts(&o, Mutation::Prove);
    o.marks.refused = Some(at(3));
    waits(&o, Some(at(9)), "soaks");
    o.soaked = Some(Gate::Shut("held".to_owned()));
    waits(&o, None, "held");
    o.soaked = Some(Gate::Open);
    acts(&o, Mutation::NoReturn);
    o.last = Some(Last::Delete);
    acts(&o, change("old", KeyChange::Delete));
    o.keys.remove(0);
    acts(&o, Mutation::Mark(Mark::Done));
    o.marks.done = Some(at(4));
    assert_eq!(decide(&o), Step::Done);
}

#[test]
fn a_gate_that_is_shut_keeps_the_old_credential_and_all_that_comes_later() {
    let mut o = Observation { due: true, gate: Gate::Until(at(7), "quiet".to_owned()), ..tail(SERVER) };
    waits(&o, Some(at(7)), "quiet");
    o.gate = Gate::Shut("frozen".to_owned());
    waits(&o, None, "frozen");
    waits(&Observation { leak: true, ..o.clone() }, None, "frozen");
    acts(&Observation { keys: vec![key("k", Role::Current)], ..o.clone() }, Mutation::Create { slot: "s0".into() });
    o.capabilities.overlap = Overlap::Dual { max: 3 };
    acts(&Observation { tail: false, ..o }, Mutation::Create { slot: "s0".into() });
}

#[test]
fn what_is_in_wrong_hands_does_not_soak_and_is_proven_refused_all_the_same() {
    let mut o = Observation { leak: true, fate: Some(Ending::Retire), ..tail(SERVER) };
    o.keys[0].active = false;
    (o.marks.disabled, o.soaked) = (Some(at(2)), Some(Gate::Until(at(9), "soaks".to_owned())));
    acts(&o, Mutation::Prove);
    o.marks.refused = Some(at(3));
    acts(&o, Mutation::NoReturn);
    o.last = Some(Last::Delete);
    acts(&o, change("old", KeyChange::Delete));
    (o.marks.refused, o.restore) = (None, None);
    acts(&o, change("old", KeyChange::Delete));
}

#[test]
fn what_cannot_be_disabled_is_deleted_and_what_cannot_be_deleted_is_disabled() {
    let mut o = Observation { fate: Some(Ending::Retire), ..tail(Capabilities { disable: false, ..CLIENT }) };
    acts(&o, change("old", KeyChange::Delete));
    o.capabilities = Capabilities { delete: false, ..CLIENT };
    acts(&o, change("old", KeyChange::Disable));
    o.keys[0].active = false;
    acts(&o, Mutation::Prove);
    (o.keys[0].active, o.fate) = (true, None);
    o.capabilities.disable = false;
    blocked(&o, "credential old can be neither disabled nor deleted");
    o.capabilities = Capabilities { delete: true, ..SINGLE };
    assert!(!matches!(decide(&o), Step::Act(Mutation::Change { .. } | Mutation::Fate(_))));
}

#[test]
fn a_value_that_a_consumer_could_not_take_is_rejected_before_anybody_has_it() {
    let mut o = with_candidate(due(SERVER), None);
    o.slots[0].unfit = Some("a letter".to_owned());
    o.consumers[0].canary = true;
    acts(&o, Mutation::Reject { slot: "s0".into(), why: "a letter".to_owned() });
    o.slots[0].verdict = Some(Verdict::Reject { settled: false });
    o.keys[1].role = Role::Rejected("s0".into());
    waits(&o, None, "rejected");
    o.slots[0].verdict = Some(Verdict::Reject { settled: true });
    acts(&o, change("new", KeyChange::Delete));
    o.keys.remove(1);
    acts(&o, Mutation::Create { slot: "s1".into() });
}

#[test]
fn a_value_that_its_target_would_not_take_is_tried_before_another_is_made() {
    for capabilities in [CLIENT, SINGLE] {
        let mut o = with_candidate(due(capabilities), None);
        (o.slots[0].installed, o.slots[0].refused) = (false, Some("too simple".to_owned()));
        acts(&o, Mutation::Judge { slot: "s0".into() });
        o.slots[0].verdict = Some(Verdict::Approve);
        acts(&o, promote_to("s0"));
        o.slots[0].verdict = Some(Verdict::Reject { settled: false });
        acts(&o, Mutation::Prepare { slot: "s1".into() });
    }
}

#[test]
fn a_new_value_is_let_in_then_tried_then_promoted() {
    let mut o = with_candidate(due(CLIENT), None);
    (o.slots[0].installed, o.slots[0].over) = (false, Some("x".into()));
    acts(&o, Mutation::Install { version: "s0".into(), over: Some("x".into()) });
    acts(&Observation { capabilities: SERVER, ..o.clone() }, Mutation::Judge { slot: "s0".into() });
    o.slots[0].installed = true;
    acts(&o, Mutation::Judge { slot: "s0".into() });
    o.slots[0].verdict = Some(Verdict::Approve);
    acts(&o, promote_to("s0"));
    assert_eq!(decide(&Observation { due: false, ..o.clone() }), Step::Done);
    o.slots[0].verdict = Some(Verdict::Reject { settled: false });
    acts(&o, Mutation::Prepare { slot: "s1".into() });
}

#[test]
fn a_value_that_nobody_validates_is_judged_only_when_a_canary_tries_it() {
    let mut o = with_candidate(due(Capabilities::UNVALIDATED), None);
    (o.slots[0].installed, o.keys) = (false, Vec::new());
    acts(&o, promote_to("s0"));
    o.consumers.push(Place { canary: true, ..place("bird", "s0", "s0") });
    acts(&o, Mutation::Judge { slot: "s0".into() });
    o.slots[0].verdict = Some(Verdict::Approve);
    acts(&o, promote_to("s0"));
}

#[test]
fn the_next_of_several_values_waits_until_every_consumer_runs_the_last_and_none_holds_the_one_before() {
    let staged = Capabilities { follows: true, ..Capabilities::UNVALIDATED };
    let mut o = due(staged);
    (o.keys, o.restore) = (Vec::new(), None);
    acts(&o, Mutation::Prepare { slot: "s0".into() });
    o.marks = Marks::default();
    acts(&o, Mutation::Mark(Mark::Promoted));
    o.marks.promoted = Some(at(1));
    o.consumers.push(place("late", "g", "f"));
    acts(&o, Mutation::Activate { consumer: "late".into(), version: "g".into() });
    o.consumers[1].sight = Sight::Unseen("away".to_owned());
    assert!(matches!(decide(&o), Step::Blocked(why) if why.contains("late")));
    o.consumers.pop();
    o.gate = Gate::Until(at(9), "a consumer may hold it".to_owned());
    waits(&o, Some(at(9)), "may hold it");
    o.gate = Gate::Open;
    acts(&o, Mutation::Mark(Mark::Done));
    acts(&with_candidate(o.clone(), None), Mutation::Mark(Mark::Done));
    o.marks.done = Some(at(10));
    assert_eq!(decide(&Observation { due: false, ..o }), Step::Done);
}

#[test]
fn a_first_value_is_promoted_from_nothing() {
    let mut o = with_candidate(due(Capabilities::UNVALIDATED), None);
    (o.generation, o.restore, o.consumers) = (None, None, vec![place("c", "x", "x")]);
    acts(&o, Mutation::Promote { from: None, to: "s0".into() });
}

#[test]
fn an_unknown_credential_waits_for_its_maker_and_then_its_slot_is_closed_on_it() {
    let mut o = unknown(unknown(calm(SERVER), "x", None), "y", Some(at(50)));
    waits(&o, Some(at(50)), "credential x may still be recorded");
    o = unknown(o, "z", Some(Timestamp::MAX));
    waits(&o, None, "credential x");
    for key in &mut o.keys[1..] {
        key.role = Role::Unknown { wait: None, used: None };
    }
    let condemned: BTreeSet<KeyId> = ["x", "y", "z"].map(KeyId::from).into();
    acts(&o, Mutation::Close { slot: "s0".into(), condemned: condemned.clone() });
    o.slots[0].content = tomb();
    acts(&o, Mutation::Close { slot: "s1".into(), condemned: condemned.clone() });
    o.slots[1].content = Content::Empty;
    acts(&o, Mutation::Close { slot: "s1".into(), condemned });
    o.slots[1].content = tomb();
    blocked(&o, "all 2 attempts are used up");
}

#[test]
fn a_credential_recorded_nowhere_that_was_used_was_lost_by_no_run_and_is_for_a_person() {
    for o in [calm(SERVER), due(SERVER), due(Capabilities { reread: true, ..SERVER }), Observation { leak: true, ..due(SERVER) }] {
        let used = |wait| Role::Unknown { wait, used: Some((at(7), "sts in eu-west-1".to_owned())) };
        let mut o = unknown(o, "lost", None);
        o.keys.push(key("AKIAWORKWORKWORKWORK", used(None)));
        blocked(&o, "credential …WORK is recorded nowhere and was used at 1970-01-01T00:00:07Z by sts in eu-west-1");
        blocked(&o, "delete it there when nobody needs it");
        o.keys.last_mut().unwrap().role = used(Some(at(50)));
        waits(&o, Some(at(50)), "may still be recorded");
        assert_eq!(decide(&Observation { tail: false, slots: Vec::new(), due: false, ..o }), Step::Done);
    }
}

#[test]
fn what_can_be_read_again_is_recorded_when_it_is_needed_and_closed_on_when_not() {
    let mut o = unknown(due(Capabilities { reread: true, ..SERVER }), "x", None);
    acts(&o, Mutation::Adopt { slot: "s0".into(), key: "x".into() });
    o.due = false;
    acts(&o, Mutation::Close { slot: "s0".into(), condemned: ["x".into()].into() });
}

#[test]
fn a_bare_delivery_leaves_every_credential_alone() {
    let o = Observation { tail: false, slots: Vec::new(), ..unknown(calm(SERVER), "x", None) };
    assert_eq!(decide(&o), Step::Done);
    let o = Observation { keys: vec![key("x", Role::Unknown { wait: Some(at(5)), used: None })], ..o };
    assert_eq!(decide(&o), Step::Done);
}

#[test]
fn a_new_value_is_made_in_the_first_slot_that_is_open() {
    acts(&due(SERVER), Mutation::Create { slot: "s0".into() });
    acts(&due(CLIENT), Mutation::Prepare { slot: "s0".into() });
    acts(&due(SINGLE), Mutation::Prepare { slot: "s0".into() });
    let mut o = due(CLIENT);
    o.slots[0].content = tomb();
    acts(&o, Mutation::Prepare { slot: "s1".into() });
    o.slots[1].content = tomb();
    blocked(&o, "all 2 attempts are used up");
}

#[test]
fn attempts_are_spent_when_none_is_open_and_nothing_of_them_is_left_to_end() {
    let mut o = due(SERVER);
    assert!(!is_spent(&o));
    o.slots[0].content = tomb();
    assert!(!is_spent(&o), "the second is open");
    o.slots[1] = Slot { verdict: Some(Verdict::Approve), ..slot("s1", value("n")) };
    assert!(!is_spent(&o), "it is to be put in force");
    o.slots[1].verdict = Some(Verdict::Reject { settled: false });
    assert!(is_spent(&o));
    o.keys.push(key("n", Role::Rejected("s1".into())));
    assert!(!is_spent(&o), "its credential is ended by a later run");
    o.capabilities = SINGLE;
    assert!(is_spent(&o), "it was never one of its own");
    let bare = Observation { slots: Vec::new(), ..calm(SERVER) };
    assert!(!is_spent(&bare), "a delivery looks at no attempt");
}

#[test]
fn nothing_is_made_that_could_not_be_kept_nor_while_a_replica_is_behind() {
    for capabilities in [SERVER, CLIENT, SINGLE, Capabilities::UNVALIDATED] {
        let shut = |due: bool| Observation { due, shut: Some("AWS rotates the secret itself".to_owned()), ..calm(capabilities) };
        blocked(&shut(true), "nothing can be kept: AWS rotates the secret itself");
        assert_eq!(decide(&shut(false)), Step::Done, "what is not to be left is left alone");
        let behind = |leak| Observation { leak, behind: vec!["us-east-1".to_owned()], ..due(capabilities) };
        waits(&behind(false), None, "for the replica in us-east-1");
        assert!(matches!(decide(&behind(true)), Step::Act(_)), "a value in wrong hands does not wait for a replica");
    }
}

#[test]
fn a_server_that_lets_no_more_in_needs_a_person() {
    let mut o = due(SERVER);
    o.keys.push(key("theirs", Role::Foreign));
    blocked(&o, "all 2 credentials exist, theirs not made by slm");
    o.keys[1] = key("more", Role::Current);
    let step = decide(&o);
    assert_eq!(step, Step::Blocked("all 2 credentials exist".to_owned()));
    o.keys[1] = key("AKIAIOSFODNN7EXAMPLE", Role::Foreign);
    assert_eq!(decide(&o), Step::Blocked("all 2 credentials exist, …MPLE not made by slm".to_owned()));
    o.keys[1] = key("fifteen-letters", Role::Foreign);
    blocked(&o, ", fifteen-letters not made by slm");
    o.capabilities.overlap = Overlap::Dual { max: 3 };
    acts(&o, Mutation::Create { slot: "s0".into() });
    for overlap in [Overlap::Single, Overlap::Unvalidated] {
        blocked(&due(Capabilities { overlap, ..SERVER }), "must let two in at once");
    }
}

#[test]
fn the_end_is_proven_and_noted_once_and_only_where_something_was_ended() {
    let unmarked = |capabilities| Observation { marks: Marks::default(), ..calm(capabilities) };
    let done = Mutation::Mark(Mark::Done);
    acts(&unmarked(SERVER), Mutation::Prove);
    acts(&Observation { fate: Some(Ending::Retire), ..unmarked(SERVER) }, Mutation::Prove);
    acts(&unmarked(SINGLE), Mutation::Prove);
    let proven = |capabilities| Observation { marks: Marks { refused: Some(at(3)), ..Marks::default() }, ..calm(capabilities) };
    acts(&proven(SINGLE), done.clone());
    acts(&proven(SERVER), done);
    for none in [
        Observation { tail: false, ..unmarked(SERVER) },
        Observation { restore: None, ..unmarked(SINGLE) },
        unmarked(Capabilities::UNVALIDATED),
    ] {
        assert_eq!(decide(&none), Step::Done);
    }
}

#[test]
fn what_closes_a_slot_and_is_in_force_is_brought_to_nobody_and_a_person_is_asked() {
    for capabilities in [SERVER, CLIENT, SINGLE, Capabilities::UNVALIDATED] {
        let mut o = Observation { force: Force::Nothing, consumers: vec![place("c", "g0", "g0")], ..due(capabilities) };
        blocked(&o, "version g is in force and holds no credential; store a value that works");
        o = with_candidate(o, Some(Verdict::Approve));
        blocked(&o, "holds no credential");
        o.generation = None;
        assert!(!matches!(decide(&o), Step::Blocked(_)), "before a first value nothing is in force");
    }
    // What a person wants back is brought back, and until then nobody is given what is no credential.
    let mut o = Observation { force: Force::Nothing, fate: Some(Ending::Rollback), ..tail(SERVER) };
    (o.restore, o.consumers) = (Some(slot("back", value("old"))), vec![place("c", "g0", "g0")]);
    acts(&o, promote_to("back"));
    o.last = Some(Last::Revive { wait: Some(at(9)) });
    waits(&o, Some(at(9)), "every run");
}

#[test]
fn each_instant_is_kept_under_a_word_of_its_own() {
    let words = [Mark::Promoted, Mark::Adopted, Mark::Disabled, Mark::Refused, Mark::Done].map(Mark::as_str);
    assert_eq!(words, ["promoted", "adopted", "disabled", "refused", "done"]);
}
