//! What a credential at the target is to us, and the small questions that the decision asks of an observation.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::rotator::{Issuer, Overlap};

/// What was read, owned.
#[derive(Clone, Debug, Default)]
struct Read {
    generation: Option<VersionId>,
    parent: Option<VersionId>,
    contents: BTreeMap<VersionId, Content>,
    ours: BTreeSet<VersionId>,
    slots: Vec<Slot>,
    restore: Option<Slot>,
}

fn value(key: &str) -> Content {
    Content::Value(Some(key.into()))
}

fn tomb(keys: &[&str]) -> Content {
    Content::Tombstone(keys.iter().map(|key| KeyId::from(*key)).collect())
}

fn slot(id: &str, content: Content, verdict: Option<Verdict>) -> Slot {
    Slot { id: id.into(), content, verdict, over: None, installed: false, unfit: None, refused: None }
}

fn view(id: &str, ours: bool) -> KeyView {
    KeyView { id: id.into(), active: true, version: None, created: None, last_used: LastUse::Untold, ours }
}

fn instant(second: i64) -> Timestamp {
    Timestamp::new(second, 0).unwrap()
}

impl Read {
    fn with(mut self, id: &str, content: Content) -> Self {
        self.contents.insert(id.into(), content);
        self
    }

    /// As read and as a slot of this generation.
    fn slot(mut self, id: &str, content: Content, verdict: Option<Verdict>) -> Self {
        self.slots.push(slot(id, content.clone(), verdict));
        self.with(id, content)
    }

    fn role_of(&self, key: &KeyView, server: bool, gone: Option<Timestamp>) -> Role {
        let records = Records {
            generation: self.generation.as_ref(),
            parent: self.parent.as_ref(),
            contents: &self.contents,
            ours: &self.ours,
            slots: &self.slots,
            restore: self.restore.as_ref(),
        };
        records.role(key, server, gone)
    }

    fn role(&self, key: &str) -> Role {
        self.role_of(&view(key, true), true, None)
    }
}

/// Generation `g` with key `k`, made by us from `p` with key `old`.
fn read() -> Read {
    let read = Read { generation: Some("g".into()), parent: Some("p".into()), ..Read::default() };
    read.with("g", value("k")).with("p", value("old"))
}

#[test]
fn what_is_in_force_is_current_wherever_else_it_is_recorded() {
    let read = read().slot("s0", value("k"), Some(Verdict::Reject { settled: true })).with("t", tomb(&["k"]));
    assert_eq!(read.role("k"), Role::Current);
    assert_eq!(Read { generation: None, ..read.clone() }.role("k"), Role::Rejected("s0".into()));
}

#[test]
fn what_may_still_be_promoted_is_a_candidate_even_when_another_attempt_with_it_was_rejected() {
    let rejected = Some(Verdict::Reject { settled: true });
    let mut read = read().slot("s0", value("x"), rejected).slot("s1", value("y"), None);
    assert_eq!((read.role("x"), read.role("y")), (Role::Rejected("s0".into()), Role::Candidate));
    read = read.slot("s2", value("x"), Some(Verdict::Approve));
    assert_eq!(read.role("x"), Role::Candidate);
    let mut back = Read { restore: Some(slot("back", value("old"), None)), ..read.clone() }.with("back", value("old"));
    assert_eq!(back.role("old"), Role::Candidate);
    back.restore = None;
    assert_eq!(back.role("old"), Role::Older);
}

#[test]
fn what_an_earlier_generation_of_ours_recorded_is_older_and_what_a_person_recorded_is_theirs() {
    let mut read = read().with("v1", value("x")).with("v2", value("y"));
    read.ours.insert("v1".into());
    assert_eq!((read.role("old"), read.role("x"), read.role("y")), (Role::Older, Role::Older, Role::Foreign));
    read.parent = None;
    assert_eq!(read.role("old"), Role::Foreign);
}

#[test]
fn a_name_that_is_used_again_is_what_the_version_under_it_is_even_when_the_value_of_that_is_not_found() {
    let role =
        |read: &Read, version: &str| read.role_of(&KeyView { version: Some(version.into()), ..view("old", true) }, false, None);
    let settled = Some(Verdict::Reject { settled: true });
    let twice = read().slot("s0", value("old"), settled.clone()).slot("s1", Content::Empty, None);
    assert_eq!(
        (role(&twice, "s1"), role(&twice, "s0"), role(&twice, "p")),
        (Role::Candidate, Role::Rejected("s0".into()), Role::Rejected("s0".into()))
    );
    let once = read().slot("s1", Content::Empty, None);
    assert_eq!((role(&once, "s1"), role(&once, "p"), once.role("old")), (Role::Candidate, Role::Older, Role::Older));
    let unsettled = Some(Verdict::Reject { settled: false });
    for content in [value("old"), Content::Empty, Content::Absent] {
        let read = read().slot("s0", value("old"), settled.clone()).slot("s1", content, unsettled.clone());
        assert_eq!((role(&read, "s1"), role(&read, "s0")), (Role::Rejected("s1".into()), Role::Rejected("s0".into())));
    }
}

#[test]
fn what_is_recorded_nowhere_is_condemned_or_lost_or_somebody_elses() {
    let mut read = read();
    let gone = Some(instant(9));
    assert_eq!(read.role_of(&view("x", true), true, gone), Role::Unknown { wait: gone, used: None });
    assert_eq!(read.role_of(&view("x", false), true, gone), Role::Foreign);
    assert_eq!(read.role_of(&view("x", true), false, gone), Role::Foreign);
    let used = KeyView { last_used: crate::world::LastUse::At(instant(5), "job".to_owned()), ..view("x", true) };
    assert_eq!(read.role_of(&used, true, None), Role::Unknown { wait: None, used: Some((instant(5), "job".to_owned())) });
    read = read.with("t", tomb(&["x"]));
    assert_eq!((read.role("x"), read.role("y")), (Role::Condemned, Role::Unknown { wait: None, used: None }));
    read = read.slot("s0", value("x"), None);
    assert_eq!(read.role("x"), Role::Candidate);
}

#[test]
fn the_first_attempt_with_a_value_is_the_candidate_and_the_first_that_is_not_given_up_may_be_open() {
    let rejected = Some(Verdict::Reject { settled: false });
    let observation = |slots| Observation { slots, ..blank() };
    let (full, given_up) = (slot("s1", Content::Value(None), None), slot("s0", value("x"), rejected));
    let o = observation(vec![slot("t", tomb(&[]), None), given_up.clone(), full.clone(), slot("s2", Content::Absent, None)]);
    assert_eq!((o.candidate(), o.open_slot()), (Some(&full), None));
    let o = observation(vec![given_up.clone(), slot("s1", Content::Empty, None), full]);
    assert_eq!((o.candidate(), o.open_slot()), (Some(&o.slots[2]), Some(&o.slots[1])), "a store may have removed the one before");
    let o = observation(vec![given_up]);
    assert_eq!((o.candidate(), o.open_slot()), (None, None));
    let o = observation(vec![slot("s0", Content::Absent, Some(Verdict::Reject { settled: true }))]);
    assert_eq!((o.candidate(), o.open_slot()), (None, None));
    assert!(!slot("s0", tomb(&[]), None).live() && !slot("s0", tomb(&[]), None).open());
}

#[test]
fn what_is_disabled_is_still_there_only_where_it_can_be_deleted() {
    let key = |id: &str, active, role| Key { id: id.into(), active, version: None, role };
    let keys = vec![key("a", false, Role::Older), key("b", true, Role::Older), key("c", true, Role::Current)];
    let mut o = Observation { keys, ..blank() };
    let there = |o: &Observation| o.older().map(|key| key.id.as_str().to_owned()).collect::<Vec<_>>();
    o.capabilities.delete = true;
    assert_eq!(there(&o), ["a", "b"]);
    o.capabilities.delete = false;
    assert_eq!(there(&o), ["b"]);
}

fn blank() -> Observation {
    Observation {
        capabilities: Capabilities { issuer: Issuer::Client, overlap: Overlap::Dual { max: 2 }, ..Capabilities::UNVALIDATED },
        generation: None,
        force: Force::Value,
        due: false,
        leak: false,
        untold: None,
        tail: true,
        lingers: false,
        slots: Vec::new(),
        restore: None,
        fate: None,
        last: None,
        keys: Vec::new(),
        installed: None,
        gone: false,
        left: None,
        unreadable: Vec::new(),
        consumers: Vec::new(),
        marks: Marks::default(),
        gate: Gate::Open,
        soaked: None,
        shut: None,
        behind: Vec::new(),
        leased: true,
    }
}

#[test]
fn an_ending_reads_back_and_nothing_else_is_one() {
    assert_eq!((Ending::Retire.as_str(), Ending::Rollback.as_str()), ("retire", "rollback"));
    for ending in [Ending::Retire, Ending::Rollback] {
        assert_eq!(Ending::read(ending.as_str()), Some(ending));
    }
    assert_eq!(Ending::read("Retire"), None);
}

#[test]
fn what_was_wanted_back_waits_two_leases_and_what_may_be_deleted_says_so() {
    let at = |second| Timestamp::new(second, 0).unwrap();
    let read = |text: &str, now| Last::read(text, Limit::seconds(60), at(now));
    assert_eq!(read(Last::DELETE, 0), Some(Last::Delete));
    assert_eq!(read(&Last::revive(at(100)), 219), Some(Last::Revive { wait: Some(at(220)) }));
    assert_eq!(read(&Last::revive(at(100)), 220), Some(Last::Revive { wait: None }));
    for none in ["", "revive", "revive soon", "Delete", "retire"] {
        assert_eq!(read(none, 0), None, "{none}");
    }
}

#[test]
fn the_last_use_is_the_latest_that_is_told() {
    let used = |last_used| KeyView { last_used, ..view("k", true) };
    let at = |second, by: &str| LastUse::At(instant(second), by.to_owned());
    let keys = [used(LastUse::Never), used(at(5, "job")), used(at(7, "app")), used(LastUse::Untold)];
    assert_eq!(last_use(keys.iter()), Some((instant(7), "app".to_owned())));
    assert_eq!(last_use(keys[..1].iter()), None);
}

fn any_read() -> impl Strategy<Value = Read> {
    let key = || select(&["k0", "k1", "k2"][..]);
    let content = move || {
        prop_oneof![
            Just(Content::Absent),
            Just(Content::Empty),
            Just(Content::Value(None)),
            key().prop_map(value),
            proptest::collection::vec(key(), 0..3).prop_map(|keys| tomb(&keys)),
        ]
    };
    let verdict = proptest::option::of(prop_oneof![Just(Verdict::Approve), Just(Verdict::Reject { settled: true })]);
    let slots = proptest::collection::vec((content(), verdict), 0..3);
    let others = proptest::collection::vec(content(), 4);
    (slots, others, any::<[bool; 5]>()).prop_map(|(slots, others, [generation, parent, ours, restore, old])| {
        let mut read = Read {
            generation: generation.then(|| "g".into()),
            parent: parent.then(|| "p".into()),
            ours: ["a", "back"].into_iter().filter(|id| if *id == "a" { ours } else { old }).map(VersionId::from).collect(),
            ..Read::default()
        };
        for (id, content) in ["g", "p", "a", "back"].into_iter().zip(others) {
            read = read.with(id, content);
        }
        read.restore = restore.then(|| slot("back", read.contents[&VersionId::from("back")].clone(), None));
        for (id, (content, verdict)) in ["s0", "s1", "s2"].into_iter().zip(slots) {
            read = read.slot(id, content, verdict);
        }
        read
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_recorded_anywhere_is_never_condemned_and_never_lost(read in any_read(), server: bool, ours: bool) {
        let in_slots = |name: &str, slots: &[Slot]| slots.iter().any(|slot| slot.content == value(name));
        for name in ["k0", "k1", "k2"] {
            let role = read.role_of(&view(name, ours), server, None);
            let recorded = read.contents.values().any(|content| *content == value(name));
            let buried = read.contents.values().any(|content| matches!(content, Content::Tombstone(keys) if keys.contains(&KeyId::from(name))));
            match role {
                Role::Current => prop_assert_eq!(read.generation.as_ref().map(|id| &read.contents[id]), Some(&value(name))),
                Role::Candidate => prop_assert!(in_slots(name, &read.slots) || in_slots(name, read.restore.as_slice())),
                Role::Rejected(id) => {
                    prop_assert!(read.slots.iter().any(|slot| slot.id == id && slot.rejected() && slot.content == value(name)));
                    prop_assert!(!read.slots.iter().any(|slot| slot.live() && slot.content == value(name)));
                }
                Role::Older => prop_assert!(recorded),
                Role::Condemned => prop_assert!(!recorded && buried),
                Role::Unknown { .. } => prop_assert!(!recorded && !buried && server && ours),
                Role::Foreign => prop_assert!(recorded || !buried),
            }
        }
    }
}
