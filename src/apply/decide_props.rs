//! What holds of the decision on any observation at all, also on those that no world shows.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::apply::observation::Left;

const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];
const VERSIONS: [&str; 6] = ["g", "s0", "s1", "s2", "back", "other"];

fn version() -> impl Strategy<Value = VersionId> {
    select(&VERSIONS[..]).prop_map(VersionId::from)
}

fn key_id() -> impl Strategy<Value = KeyId> {
    select(&KEYS[..]).prop_map(KeyId::from)
}

fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![(0_i64..100).prop_map(at), Just(Timestamp::MAX)]
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    let issuer = select(&[Issuer::Client, Issuer::Server][..]);
    let overlap = select(&[Overlap::Unvalidated, Overlap::Single, Overlap::Dual { max: 2 }, Overlap::Dual { max: 3 }][..]);
    (issuer, overlap, any::<[bool; 4]>()).prop_map(|(issuer, overlap, [reread, follows, disable, delete])| Capabilities {
        issuer,
        overlap,
        reread,
        follows,
        disable,
        delete,
    })
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Absent),
        Just(Content::Empty),
        proptest::option::of(key_id()).prop_map(Content::Value),
        proptest::collection::btree_set(key_id(), 0..3).prop_map(Content::Tombstone),
        Just(Content::Unreadable),
    ]
}

fn slot_named(id: &'static str) -> impl Strategy<Value = Slot> {
    let verdict =
        proptest::option::of(prop_oneof![Just(Verdict::Approve), any::<bool>().prop_map(|settled| Verdict::Reject { settled })]);
    (content(), verdict, proptest::option::of(version()), any::<bool>(), why(), why()).prop_map(
        move |(content, verdict, over, installed, unfit, refused)| Slot {
            id: id.into(),
            content,
            verdict,
            over,
            installed,
            unfit,
            refused,
        },
    )
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        Just(Role::Current),
        Just(Role::Candidate),
        version().prop_map(Role::Rejected),
        Just(Role::Condemned),
        Just(Role::Older),
        (proptest::option::of(instant()), proptest::option::weighted(0.2, instant()))
            .prop_map(|(wait, used)| Role::Unknown { wait, used: used.map(|at| (at, "job".to_owned())) }),
        Just(Role::Foreign),
    ]
}

fn keys() -> impl Strategy<Value = Vec<Key>> {
    proptest::collection::vec((role(), any::<bool>()), 0..KEYS.len()).prop_map(|keys| {
        KEYS.iter().zip(keys).map(|(id, (role, active))| Key { id: (*id).into(), active, version: None, role }).collect()
    })
}

fn sight() -> impl Strategy<Value = Sight> {
    let seen = (proptest::option::of(version()), proptest::option::of(version()));
    prop_oneof![
        4 => seen.prop_map(|(stored, running)| Sight::Seen(ConsumerView { stored, running, ..ConsumerView::default() })),
        3 => Just(Sight::Seen(ConsumerView { stored: Some("g".into()), running: Some("g".into()), ..ConsumerView::default() })),
        1 => Just(Sight::Unseen("away".to_owned())),
        1 => version().prop_map(|version| Sight::Refused(version, "no".to_owned())),
    ]
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    proptest::collection::vec((any::<bool>(), sight()), 0..3).prop_map(|places| {
        ["a", "b"].iter().zip(places).map(|(id, (canary, sight))| Place { id: (*id).into(), canary, sight }).collect()
    })
}

fn a_gate() -> impl Strategy<Value = Gate> {
    prop_oneof![
        3 => Just(Gate::Open),
        1 => instant().prop_map(|late| Gate::Until(late, "late".to_owned())),
        1 => Just(Gate::Shut("shut".to_owned())),
    ]
}

fn marks() -> impl Strategy<Value = Marks> {
    let mark = || proptest::option::of(instant());
    let marks = (mark(), mark(), mark(), mark(), mark());
    marks.prop_map(|(promoted, adopted, disabled, refused, done)| Marks { promoted, adopted, disabled, refused, done })
}

/// Rarely a reason.
fn why() -> impl Strategy<Value = Option<String>> {
    proptest::option::weighted(0.1, Just("why".to_owned()))
}

/// A store that lets nobody write, or has replicas that are behind.
fn unfit() -> impl Strategy<Value = (Option<String>, Vec<String>)> {
    (why(), why()).prop_map(|(shut, behind)| (shut, behind.into_iter().collect()))
}

fn observation() -> impl Strategy<Value = Observation> {
    let slots = (slot_named("s0"), slot_named("s1"), slot_named("s2"), 0..4_usize).prop_map(|(a, b, c, count)| {
        let mut slots = vec![a, b, c];
        slots.truncate(count);
        slots
    });
    let fate = proptest::option::of(select(&[Ending::Retire, Ending::Rollback][..]));
    let revive = proptest::option::of(instant()).prop_map(|wait| Last::Revive { wait });
    let last = prop_oneof![3 => Just(None), 1 => Just(Some(Last::Delete)), 1 => revive.prop_map(Some)];
    let generation = prop_oneof![4 => Just(Some(VersionId::from("g"))), 1 => Just(None)];
    let force = prop_oneof![6 => Just(Force::Value), 1 => Just(Force::Nameless("{}")), 1 => Just(Force::Nothing)];
    let generation = (generation, force);
    let untold = proptest::option::weighted(0.1, version());
    let what = (capabilities(), generation, (any::<[bool; 3]>(), untold), prop_oneof![7 => Just(true), 1 => Just(false)], unfit());
    let store = (slots, proptest::option::of(slot_named("back")), fate, last, marks());
    let world = (keys(), proptest::option::of(version()), places(), a_gate(), proptest::option::of(a_gate()));
    let unread = proptest::option::weighted(0.2, version()).prop_map(|version| version.into_iter().collect::<Vec<_>>());
    let left = any::<bool>().prop_map(|ended| Left { version: Some("before".into()), ended });
    let unknown = (any::<[bool; 2]>(), proptest::option::weighted(0.1, left), unread);
    (what, store, world, unknown).prop_map(|(what, store, world, ([gone, lingers], left, unreadable))| {
        let (capabilities, (generation, force), ([due, leak, tail], untold), leased, (shut, behind)) = what;
        let (slots, restore, fate, last, marks) = store;
        let (keys, installed, consumers, gate, soaked) = world;
        let side_by_side = matches!(capabilities.overlap, Overlap::Dual { .. });
        let left = left.filter(|_| !capabilities.validated() && !capabilities.staged());
        let gone = side_by_side
            && match restore.as_ref().map(|slot: &Slot| &slot.content) {
                Some(Content::Value(Some(name))) => !keys.iter().any(|key: &Key| key.id == *name),
                Some(Content::Value(None)) | None => false,
                Some(_) => gone,
            };
        Observation {
            capabilities,
            generation,
            force,
            due,
            leak,
            untold,
            tail,
            lingers,
            slots,
            restore,
            fate,
            last,
            keys,
            installed,
            gone,
            left,
            unreadable,
            consumers,
            marks,
            gate,
            soaked,
            shut,
            behind,
            leased,
        }
    })
}

/// Nobody stores or runs `slot`, as far as everybody was seen.
fn unheld(o: &Observation, slot: &VersionId) -> bool {
    o.consumers.iter().all(|place| match &place.sight {
        Sight::Seen(view) => view.stored.as_ref() != Some(slot) && view.running.as_ref() != Some(slot),
        _ => false,
    })
}

/// It was decided that the value before comes back.
fn returns(o: &Observation) -> bool {
    o.fate == Some(Ending::Rollback) || matches!(o.last, Some(Last::Revive { .. }))
}

/// The credential that a roll-back would bring back is gone, or its login holds an attempt, so that the rest is ended after all.
fn beyond_recall(o: &Observation) -> bool {
    if taken(o).is_some() || o.gone {
        return true;
    }
    let gone = |name: &KeyId| o.keys.iter().all(|key| key.id != *name || key.role == Role::Foreign);
    matches!(&o.restore, Some(Slot { content: Content::Value(Some(name)), .. }) if gone(name))
}

/// Why a credential may be disabled or deleted, in this observation alone.
fn may_be_ended(o: &Observation, key: &Key, change: KeyChange) -> bool {
    let can = if change == KeyChange::Delete { o.capabilities.delete } else { o.capabilities.disable };
    can && o.capabilities.overlap != Overlap::Single
        && match &key.role {
            Role::Condemned => true,
            Role::Rejected(id) => {
                o.slots.iter().any(|slot| slot.id == *id && slot.verdict == Some(Verdict::Reject { settled: true }))
                    && unheld(o, id)
            }
            Role::Older => {
                let open = o.gate == Gate::Open;
                let comes_back = returns(o) && !beyond_recall(o);
                let decided = o.fate.is_some() && !comes_back;
                let adopted = o.leak
                    || o.consumers.iter().all(|place| match &place.sight {
                        Sight::Seen(view) => o.generation.is_none() || (place.canary && o.due) || view.running == o.generation,
                        _ => false,
                    });
                let soaked = o.soaked == Some(Gate::Open) || (o.leak && matches!(o.soaked, Some(Gate::Until(..))));
                let proven = o.marks.refused.is_some() || o.restore.is_none();
                let last = o.last.is_some();
                let late = change == KeyChange::Disable || !o.capabilities.disable || (soaked && proven && last && !key.active);
                o.tail && open && decided && adopted && late
            }
            Role::Current | Role::Candidate | Role::Unknown { .. } | Role::Foreign => false,
        }
}

fn named(mutation: &Mutation) -> Vec<&KeyId> {
    match mutation {
        Mutation::Adopt { key, .. } | Mutation::Change { key, .. } => vec![key],
        Mutation::Close { condemned, .. } => condemned.iter().collect(),
        _ => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn it_always_says_the_same_and_never_panics(o in observation()) {
        prop_assert_eq!(decide(&o), decide(&o.clone()));
    }

    #[test]
    fn nothing_acts_without_a_lease(o in observation()) {
        prop_assert!(o.leased || !matches!(decide(&o), Step::Act(_)));
    }

    #[test]
    fn that_a_value_is_in_wrong_hands_is_written_down_before_anything_else_and_only_then(o in observation()) {
        let told = match decide(&o) {
            Step::Act(Mutation::Leak(version)) => Some(version),
            _ => None,
        };
        prop_assert_eq!(told, o.untold.clone().filter(|_| o.leased));
    }

    #[test]
    fn nobody_elses_credential_is_named(o in observation()) {
        if let Step::Act(mutation) = decide(&o) {
            for name in named(&mutation) {
                prop_assert!(o.keys.iter().any(|key| key.id == *name && key.role != Role::Foreign), "{:?}", mutation);
            }
        }
    }

    #[test]
    fn what_is_ended_may_be_ended(o in observation()) {
        if let Step::Act(Mutation::Change { key, change, .. }) = decide(&o) {
            let key = o.keys.iter().find(|have| have.id == key).unwrap();
            match change {
                KeyChange::Enable => prop_assert!(returns(&o) && !key.active),
                KeyChange::Disable | KeyChange::Delete => prop_assert!(may_be_ended(&o, key, change), "{key:?} {change:?}"),
            }
        }
    }

    #[test]
    fn what_is_promoted_is_live_and_approved_or_brings_the_old_value_back(o in observation()) {
        if let Step::Act(Mutation::Promote { from, to }) = decide(&o) {
            prop_assert_eq!(&from, &o.generation);
            if o.restore.as_ref().is_some_and(|slot| slot.id == to) {
                let waits = matches!(o.last, Some(Last::Revive { wait: Some(_) }));
                prop_assert!(returns(&o) && !waits);
            } else {
                let slot = o.slots.iter().find(|slot| slot.id == to).unwrap();
                let judged = o.capabilities.overlap != Overlap::Unvalidated || o.consumers.iter().any(|place| place.canary);
                let installed = slot.installed || o.capabilities.overlap == Overlap::Unvalidated;
                prop_assert!(o.due && slot.live() && (!judged || slot.verdict == Some(Verdict::Approve)));
                prop_assert!(installed || slot.refused.is_some() || o.capabilities.issuer == Issuer::Server);
                prop_assert!(slot.unfit.is_none() || slot.verdict == Some(Verdict::Approve));
                let settles = o.tail && o.capabilities.staged() && o.generation.is_some();
                prop_assert!(!settles || o.marks.done.is_some());
            }
        }
    }

    #[test]
    fn only_a_decided_roll_back_rolls_back_and_retiring_is_decided_only_when_nothing_was(o in observation()) {
        match decide(&o) {
            Step::Act(Mutation::Restore { .. }) => prop_assert!(returns(&o)),
            Step::Act(Mutation::Fate(ending)) => prop_assert!(ending == Ending::Retire && o.fate.is_none() && o.gate == Gate::Open),
            Step::Act(Mutation::NoReturn) => {
                let proven = o.marks.refused.is_some() || o.restore.is_none();
                prop_assert!(o.last.is_none() && o.capabilities.disable && proven && o.older().all(|key| !key.active));
            }
            _ => {}
        }
    }

    #[test]
    fn only_a_slot_that_is_open_is_written_and_it_is_the_first_that_is_not_given_up(o in observation()) {
        if let Step::Act(
            Mutation::Create { slot } | Mutation::Prepare { slot } | Mutation::Adopt { slot, .. } | Mutation::Close { slot, .. },
        ) = decide(&o) {
            let given_up = |slot: &&Slot| slot.rejected() || matches!(slot.content, Content::Tombstone(_) | Content::Unreadable);
            let first = o.slots.iter().find(|slot| !given_up(slot)).unwrap();
            prop_assert!(first.id == slot && first.open());
        }
    }

    #[test]
    fn while_it_is_not_known_which_credential_is_in_force_none_is_made_let_in_or_ended(o in observation()) {
        let unknown = o.generation.is_some() && o.force != Force::Value;
        if unknown && !returns(&o) && o.capabilities.overlap != Overlap::Single {
            let step = decide(&o);
            let harmless = |mutation: &Mutation| match mutation {
                Mutation::Mark(mark) => *mark == Mark::Promoted,
                Mutation::Leak(_) => true,
                Mutation::Deliver { .. } | Mutation::Activate { .. } => o.force != Force::Nothing,
                _ => false,
            };
            prop_assert!(!matches!(&step, Step::Act(mutation) if !harmless(mutation)) && step != Step::Done, "{:?}", step);
        }
    }

    #[test]
    fn a_credential_is_condemned_only_when_its_maker_is_gone(o in observation()) {
        if let Step::Act(Mutation::Close { condemned, .. }) = decide(&o) {
            let gone = |name: &KeyId| o.keys.iter().any(|key| key.id == *name && key.role == (Role::Unknown { wait: None, used: None }));
            prop_assert!(!condemned.is_empty() && condemned.iter().all(gone) && o.tail && o.unreadable.is_empty());
        }
    }

    #[test]
    fn a_consumer_is_only_given_what_is_in_force_or_a_canary_what_is_tried(o in observation()) {
        if let Step::Act(Mutation::Deliver { consumer, version } | Mutation::Activate { consumer, version }) = decide(&o) {
            let place = o.consumers.iter().find(|place| place.id == consumer).unwrap();
            let tried = place.canary && o.due && o.slots.iter().any(|slot| slot.id == version && slot.live());
            prop_assert!(o.generation == Some(version) || tried);
        }
    }
}
