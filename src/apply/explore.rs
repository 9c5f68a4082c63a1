//! Explores every placement of one and two faults over the real engine and an in-memory world.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::executor::block_on;

use super::engine::{Budget, Engine, Job, drive};
use super::names;
use crate::model::catalog::{Alphabet, Credential, RotationPolicy, RotatorConfig, SecretRef};
use crate::model::diagnostic::Place;
use crate::model::id::{ConsumerId, VersionId};
use crate::model::outcome::Fate;
use crate::model::plan::ActionKind;
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::world::{
    CURRENT, Capabilities, Clock, Consumer, ConsumerView, ErrorClass, Issuer, Rotator, SecretStore, SecretView, VersionView,
    WorldError,
};

/// What goes wrong at one mutation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It never arrives.
    RequestLost,
    /// It takes effect and the answer is lost.
    AnswerLost,
    /// It takes effect and the process dies: every later call of this process fails.
    CrashAfter,
}

const FAULTS: [Fault; 3] = [Fault::RequestLost, Fault::AnswerLost, Fault::CrashAfter];

#[derive(Default)]
struct State {
    values: BTreeMap<VersionId, Vec<u8>>,
    current: Option<VersionId>,
    promotions: usize,
    consumers: [(ConsumerView, Vec<u8>); 2],
    created: u64,
    calls: usize,
    faults: BTreeMap<usize, Fault>,
    dead: bool,
}

#[derive(Clone, Default)]
struct World(Arc<Mutex<State>>);

fn lost() -> WorldError {
    WorldError { class: ErrorClass::Transient, operation: "call".to_owned(), cause: "lost".to_owned() }
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T, WorldError> {
        let state = self.state();
        if state.dead { Err(lost()) } else { Ok(read(&state)) }
    }

    fn mutate(&self, change: impl FnOnce(&mut State) -> Result<(), WorldError>) -> Result<(), WorldError> {
        let mut state = self.state();
        if state.dead {
            return Err(lost());
        }
        let fault = {
            let call = state.calls;
            state.faults.get(&call).copied()
        };
        state.calls += 1;
        if fault == Some(Fault::RequestLost) {
            return Err(lost());
        }
        let result = change(&mut state);
        state.check();
        state.dead = fault == Some(Fault::CrashAfter);
        if fault.is_some() { Err(lost()) } else { result }
    }
}

impl State {
    /// INVARIANT: what is current has a value, and what a consumer holds is the value of a version that exists.
    fn check(&self) {
        assert!(self.current.as_ref().is_none_or(|id| self.values.contains_key(id)));
        for (view, value) in &self.consumers {
            assert!(view.stored.as_ref().is_none_or(|id| self.values.get(id) == Some(value)));
            assert!(view.running.as_ref().is_none_or(|id| self.values.contains_key(id)));
        }
    }
}

#[async_trait]
impl SecretStore for World {
    async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
        self.read(|state| {
            let labels = |id: &VersionId| if state.current.as_ref() == Some(id) { vec![CURRENT.to_owned()] } else { Vec::new() };
            let view = |id: &VersionId| (id.clone(), VersionView { labels: labels(id), created: Timestamp::UNIX_EPOCH });
            SecretView { exists: true, versions: state.values.keys().map(view).collect() }
        })
    }

    async fn read(&self, _: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        self.read(|state| Secret::new(state.values[version].clone()))
    }

    async fn put(&self, _: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.mutate(|state| {
            let have = state.values.entry(version.clone()).or_insert_with(|| value.expose().to_vec());
            if have == value.expose() { Ok(()) } else { Err(WorldError { class: ErrorClass::Conflict, ..lost() }) }
        })
    }

    async fn promote(&self, _: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        self.mutate(|state| {
            if state.current.as_ref() != from {
                return Err(WorldError { class: ErrorClass::Conflict, ..lost() });
            }
            state.current = Some(to.clone());
            state.promotions += 1;
            Ok(())
        })
    }
}

#[async_trait]
impl Rotator for World {
    fn capabilities(&self) -> Capabilities {
        Capabilities { issuer: Issuer::Client, max_active: 1, verifiable: false }
    }

    async fn create(&self) -> Result<Secret, WorldError> {
        let mut state = self.state();
        state.created += 1;
        Ok(Secret::new(state.created.to_be_bytes().to_vec()))
    }
}

struct Spot(World, usize);

#[async_trait]
impl Consumer for Spot {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.0.read(|state| state.consumers[self.1].0.clone())
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.0.mutate(|state| {
            let consumer = &mut state.consumers[self.1];
            consumer.0.stored = Some(version.clone());
            consumer.1 = value.expose().to_vec();
            Ok(())
        })
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        self.0.mutate(|state| {
            state.consumers[self.1].0.running = Some(version.clone());
            Ok(())
        })
    }
}

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// One rotation away from `generation`, with all that a job borrows.
struct Rig {
    world: World,
    credential: Credential,
    action: ActionKind,
    consumers: Vec<(ConsumerId, Box<dyn Consumer>)>,
}

impl Rig {
    /// `begun`: a value is current and no consumer has it yet.
    fn new(begun: bool, faults: BTreeMap<usize, Fault>) -> Self {
        let world = World::default();
        let generation = begun.then(|| VersionId::from("g0"));
        if let Some(id) = &generation {
            world.state().values.insert(id.clone(), b"old".to_vec());
            world.state().current = Some(id.clone());
        }
        world.state().faults = faults;
        let secret = SecretRef { source: "s".into(), region: ".".to_owned(), name: "db".to_owned() };
        let day = Limit::days(1);
        let credential = Credential {
            id: "db".into(),
            title: String::new(),
            owner: String::new(),
            satisfies: Vec::new(),
            secret: secret.clone(),
            rotator: RotatorConfig::Random { length: 8, alphabet: Alphabet::Hex },
            policy: RotationPolicy { rotate_every: day, jitter: day, attempts: 3, lease: day },
            consumers: Vec::new(),
            place: Place { file: String::new(), span: 0..0 },
        };
        let action = ActionKind::Rotate {
            credential: "db".into(),
            secret,
            rotation: names::rotation(&"db".into(), generation.as_ref()),
            generation,
            consumers: vec!["c0".into(), "c1".into()],
        };
        let consumers =
            (0..2).map(|n| (ConsumerId::from(format!("c{n}")), Box::new(Spot(world.clone(), n)) as Box<dyn Consumer>)).collect();
        Self { world, credential, action, consumers }
    }

    fn job<'a>(&'a self, fence: &'a (dyn Fn() -> bool + Send + Sync)) -> Job<'a> {
        let budget = Budget { retries: 3, pause: Duration::ZERO };
        let (store, rotator) = (&self.world, &self.world);
        Job { action: &self.action, credential: &self.credential, store, rotator, consumers: &self.consumers, fence, budget }
    }

    fn run(&self) -> Fate {
        self.world.state().dead = false;
        block_on(drive(&self.job(&|| true), &Fixed, &AtomicBool::new(false))).fate
    }

    fn assert_converged(&self) {
        let state = self.world.state();
        state.check();
        let ActionKind::Rotate { secret, generation, .. } = &self.action else { panic!() };
        let new = names::slot(secret, generation.as_ref(), 0);
        assert_eq!((state.promotions, state.current.as_ref()), (1, Some(&new)));
        assert_eq!(state.values.len(), 1 + usize::from(generation.is_some()));
        for (view, value) in &state.consumers {
            assert_eq!((view.stored.as_ref(), view.running.as_ref(), value), (Some(&new), Some(&new), &state.values[&new]));
        }
    }
}

/// Runs again until an end that no restart changes.
fn restart_until_quiet(rig: &Rig) {
    for _ in 0..5 {
        match rig.run() {
            Fate::Done | Fate::AlreadySo => return,
            Fate::Failed(_) | Fate::Blocked(_) => {}
            fate => panic!("{fate:?}"),
        }
    }
    panic!("did not converge");
}

#[test]
fn any_one_or_two_faults_end_in_exactly_one_rotation() {
    for begun in [false, true] {
        let calm = Rig::new(begun, BTreeMap::new());
        assert_eq!(calm.run(), Fate::Done);
        assert_eq!(calm.run(), Fate::AlreadySo);
        calm.assert_converged();
        // With a value at first: two deliveries and activations of the old one, then put, promote, and four more.
        let calls = calm.world.state().calls;
        assert_eq!(calls, if begun { 10 } else { 6 });
        let points: Vec<(usize, Fault)> = (0..calls + 2).flat_map(|call| FAULTS.map(|fault| (call, fault))).collect();
        for one in &points {
            for two in &points {
                let rig = Rig::new(begun, BTreeMap::from([*one, *two]));
                restart_until_quiet(&rig);
                rig.assert_converged();
            }
        }
    }
}

/// Two rotators on one rotation. Bit n of the schedule says who takes half-step n; when its `bits` are used up they alternate.
fn interleave(begun: bool, schedule: u32, bits: usize, faults: BTreeMap<usize, Fault>) {
    let rig = Rig::new(begun, faults);
    let (one, two) = (rig.job(&|| true), rig.job(&|| true));
    let mut engines = [Engine::new(&one, &Fixed), Engine::new(&two, &Fixed)];
    let mut fates = [None, None];
    for n in 0..200_usize {
        let who = if n < bits { (schedule >> n & 1) as usize } else { n % 2 };
        if fates[who].is_none() {
            fates[who] = block_on(engines[who].step());
        }
    }
    assert!(fates.iter().all(|fate| matches!(fate, Some(Fate::Done | Fate::AlreadySo))), "{fates:?}");
    rig.assert_converged();
}

#[test]
fn two_rotators_in_any_order_end_in_exactly_one_rotation() {
    for begun in [false, true] {
        for schedule in 0..1 << 11 {
            interleave(begun, schedule, 11, BTreeMap::new());
        }
    }
}

#[test]
fn two_rotators_and_one_lost_message_end_in_exactly_one_rotation() {
    for schedule in 0..1 << 8 {
        for call in 0..7 {
            for fault in [Fault::RequestLost, Fault::AnswerLost] {
                interleave(false, schedule, 8, BTreeMap::from([(call, fault)]));
            }
        }
    }
}

#[test]
fn a_consumer_that_refuses_holds_the_end_but_not_the_others() {
    struct Refuses;
    #[async_trait]
    impl Consumer for Refuses {
        async fn observe(&self) -> Result<ConsumerView, WorldError> {
            Ok(ConsumerView::default())
        }
        async fn deliver(&self, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
            Err(WorldError { class: ErrorClass::Denied, ..lost() })
        }
        async fn activate(&self, _: &VersionId) -> Result<(), WorldError> {
            panic!("nothing was delivered");
        }
    }
    let mut rig = Rig::new(true, BTreeMap::new());
    rig.consumers[0].1 = Box::new(Refuses);
    assert!(matches!(rig.run(), Fate::Blocked(_)));
    let state = rig.world.state();
    assert_eq!((state.promotions, state.consumers[1].0.running.as_ref()), (0, Some(&"g0".into())));
}

#[test]
fn nothing_happens_without_a_lease_after_a_stop_or_to_a_stale_action() {
    let rig = Rig::new(true, BTreeMap::new());
    let fate = block_on(drive(&rig.job(&|| false), &Fixed, &AtomicBool::new(false))).fate;
    assert!(matches!(fate, Fate::Waiting(_)), "{fate:?}");
    let fate = block_on(drive(&rig.job(&|| true), &Fixed, &AtomicBool::new(true))).fate;
    assert!(matches!(fate, Fate::Stopped(_)), "{fate:?}");
    rig.world.state().values.insert("human".into(), b"by hand".to_vec());
    rig.world.state().current = Some("human".into());
    assert!(matches!(rig.run(), Fate::Stale(_)));
    assert_eq!(rig.world.state().calls, 0);
}
