//! A run that is asked to stop, as by Ctrl-C: it ends between two changes, keeps nothing that only it knows, and the next one goes on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;

use super::super::engine::{Engine, drive, stopped};
use super::super::job::{Budget, Job};
use super::super::managed;
use super::super::together::{Meeting, drive_all};
use super::rig::Rig;
use super::search::Scenario;
use super::state::{State, secret};
use super::world::{Fixed, Spot, World};
use super::{CLIENT, SERVER, SINGLE, scenario};
use crate::model::catalog::{SecretRef, Stage};
use crate::model::id::{ConsumerId, KeyId, VersionId};
use crate::model::names;
use crate::model::outcome::{Fate, Outcome};
use crate::model::plan::ActionKind;
use crate::model::rotator::Capabilities;
use crate::model::secret::Secret;
use crate::world::{Consumer, Fresh, Keeper, Member, Overlap, Rotator, Shared, Trial, WorldError};

/// Processes until it counts as stuck.
const PROCESSES: u8 = 24;

type Consumers = Vec<(ConsumerId, Box<dyn Consumer>)>;

fn consumers(rig: &Rig) -> Consumers {
    vec![("c0".into(), Box::new(Spot(rig.world.clone(), 0)) as Box<dyn Consumer>)]
}

fn action(rig: &Rig) -> ActionKind {
    let state = &rig.world.lock().state;
    rig.action(state.current.as_ref(), state.depth < 1)
}

fn job<'a>(rig: &'a Rig, action: &'a ActionKind, consumers: &'a Consumers, rotator: &'a dyn Rotator) -> Job<'a> {
    let validated = rig.scenario.setup.capabilities.overlap != Overlap::Unvalidated;
    Job {
        action,
        credential: &rig.credential,
        store: &rig.world,
        rotator,
        target: validated.then_some(&rig.world),
        registers: &rig.world,
        consumers,
        fence: &|| true,
        retire_held: None,
        leak: false,
        budget: Budget { retries: 5, pause: Duration::ZERO, trials: 2, between: Duration::ZERO, settle: 0 },
    }
}

fn state(rig: &Rig) -> State {
    rig.world.lock().state.clone()
}

fn steps(outcome: &Outcome) -> Vec<&str> {
    outcome.events.iter().map(|event| event.step.as_str()).collect()
}

/// Runs anew, a lease later each time, until nothing is left to do.
fn go_on(rig: &Rig, context: &str) {
    let setup = &rig.scenario.setup;
    for _ in 0..PROCESSES {
        let (action, consumers) = (action(rig), consumers(rig));
        let outcome = drive(&job(rig, &action, &consumers, &rig.world), &Fixed, &AtomicBool::new(false)).now_or_never().unwrap();
        assert!(matches!(outcome.fate, Fate::Done | Fate::AlreadySo | Fate::Waiting(_)), "{context}: {:?}", outcome.fate);
        assert_eq!(state(rig).violation(setup, false), None, "{context}");
        rig.world.lock().state.clock += 1;
        if state(rig).is_goal(setup, 1) {
            return;
        }
    }
    panic!("{context}: it does not end");
}

/// Takes `before` half-steps and is asked to stop; true when only the run knew something then. `None` when it had ended by itself.
fn stop_after(before: usize, of: &Scenario, context: &str) -> Option<bool> {
    let rig = Rig::new(of);
    let (action, consumers) = (action(&rig), consumers(&rig));
    let job = job(&rig, &action, &consumers, &rig.world);
    let mut engine = Engine::new(&job, &Fixed);
    for _ in 0..before {
        if engine.step().now_or_never().unwrap().is_some() {
            return None;
        }
    }
    let (holds, then, stop) = (!engine.is_safe(), state(&rig), AtomicBool::new(true));
    let fate = std::iter::repeat_with(|| engine.advance(&stop).now_or_never().unwrap()).flatten().next().unwrap();
    assert_eq!(fate, stopped(), "{context}");
    let now = state(&rig);
    assert_eq!(now == then, !holds, "{context}: only what was issued and not kept yet is kept before it stops");
    let kept = |key: u8| now.values.contains_key(&names::slot(&secret(), Some(&"g0".into()), 0)) || key == 1;
    assert!(now.keys.keys().all(|key| kept(*key)), "{context}: {:?}", now.keys);
    go_on(&rig, context);
    Some(holds)
}

#[test]
fn a_run_asked_to_stop_at_any_half_step_stops_at_a_safe_point_and_the_next_goes_on() {
    let shapes = [
        ("server-issued", SERVER, 1),
        ("client-chosen", CLIENT, 0),
        ("in place", SINGLE, 0),
        ("unvalidated", Capabilities::UNVALIDATED, 0),
    ];
    for (name, capabilities, held) in shapes {
        let asked = |before| stop_after(before, &scenario(capabilities, 1, 0), &format!("{name}, after {before} half-steps"));
        let stops: Vec<bool> = (0..200).map_while(asked).collect();
        assert!((8..200).contains(&stops.len()), "{name}: {} half-steps", stops.len());
        assert_eq!(stops.iter().filter(|holds| **holds).count(), held, "{name}: times that only the run knew something");
    }
}

#[test]
fn what_was_issued_and_has_no_place_is_removed_before_the_run_stops() {
    let rig = Rig::new(&scenario(SERVER, 1, 0));
    let (action, consumers) = (action(&rig), consumers(&rig));
    let job = job(&rig, &action, &consumers, &rig.world);
    let mut engine = Engine::new(&job, &Fixed);
    while engine.is_safe() {
        assert_eq!(engine.step().now_or_never().unwrap(), None);
    }
    // Another run has closed the slot meanwhile.
    let slot = names::slot(&secret(), Some(&"g0".into()), 0);
    rig.world.lock().state.values.insert(slot, b"closed".to_vec());
    assert_eq!(rig.world.lock().state.keys.len(), 2);
    let stop = AtomicBool::new(true);
    let fate = std::iter::repeat_with(|| engine.advance(&stop).now_or_never().unwrap()).flatten().next().unwrap();
    let outcome = engine.finish(fate);
    assert_eq!((&outcome.fate, steps(&outcome)), (&stopped(), vec!["created", "dropped"]));
    assert_eq!(state(&rig).keys.into_keys().collect::<Vec<_>>(), [1]);
}

/// Asks to stop when it makes a value: for what the server issues, while only the run knows it.
struct Rings<'a>(&'a World, &'a AtomicBool);

#[async_trait]
impl Rotator for Rings<'_> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.0.identify(value)
    }

    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        self.1.store(true, Ordering::Relaxed);
        self.0.create(slot, current).await
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.0.verify(value).await
    }
}

/// A workload that counts how often it is restarted for several.
#[derive(Default)]
struct Counted(AtomicUsize);

#[async_trait]
impl Shared for Counted {
    async fn begin(&self, _: &[(Member, VersionId)]) -> Result<(), WorldError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Drives two that restart one workload; asked to stop while the one of number `ringing` holds what was issued.
fn two(rigs: &[Rig; 2], ringing: usize) -> (Vec<Outcome>, usize) {
    let (stop, workload) = (AtomicBool::new(false), Counted::default());
    let actions = [action(&rigs[0]), action(&rigs[1])];
    let all = [consumers(&rigs[0]), consumers(&rigs[1])];
    let rings = Rings(&rigs[ringing].world, &stop);
    let rotator = |at: usize| -> &dyn Rotator { if at == ringing { &rings } else { &rigs[at].world } };
    let jobs = [0, 1].map(|at| job(&rigs[at], &actions[at], &all[at], rotator(at)));
    let members = vec![(0, "c0".into()), (1, "c0".into())];
    let meetings = [Meeting { members, at: Stage::Activate, shared: &workload }];
    let outcomes = drive_all(&jobs, &meetings, &|_| {}, &Fixed, &stop).now_or_never().unwrap();
    (outcomes, workload.0.into_inner())
}

#[test]
fn runs_that_share_a_workload_keep_what_was_issued_and_restart_nothing_once_asked_to_stop() {
    for ringing in [0, 1] {
        let rigs = [Rig::new(&scenario(SERVER, 1, 0)), Rig::new(&scenario(SERVER, 1, 0))];
        let (outcomes, restarts) = two(&rigs, ringing);
        let fates: Vec<&Fate> = outcomes.iter().map(|outcome| &outcome.fate).collect();
        assert_eq!((fates, restarts), (vec![&stopped(), &stopped()], 0), "asked by {ringing}");
        assert_eq!(steps(&outcomes[ringing]), ["created", "recorded"]);
        // The first is let go as far as to the restart before the second begins.
        match ringing {
            0 => assert_eq!(steps(&outcomes[1]), Vec::<&str>::new()),
            _ => assert_eq!(steps(&outcomes[0]).last(), Some(&"delivered")),
        }
        rigs.iter().for_each(|rig| go_on(rig, &format!("asked by {ringing}")));
    }
}

/// A store that rotates by itself, and asks to stop when it is asked to.
struct Keeps<'a>(&'a AtomicBool, AtomicUsize);

#[async_trait]
impl Keeper for Keeps<'_> {
    async fn rotate(&self, _: &SecretRef, _: &VersionId) -> Result<(), WorldError> {
        self.0.store(true, Ordering::Relaxed);
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn a_rotation_that_the_store_carries_out_is_asked_for_no_more_and_no_longer_awaited() {
    for (set, asked) in [(true, 0), (false, 1)] {
        let rig = Rig::new(&scenario(Capabilities::UNVALIDATED, 1, 0));
        let (action, consumers, stop) = (action(&rig), consumers(&rig), AtomicBool::new(set));
        let keeper = Keeps(&stop, AtomicUsize::new(0));
        let outcome = managed::drive(&job(&rig, &action, &consumers, &rig.world), &keeper, &Fixed, &stop).await;
        assert_eq!((&outcome.fate, keeper.1.into_inner()), (&stopped(), asked));
        assert_eq!(steps(&outcome), vec!["asked"; asked]);
    }
}
