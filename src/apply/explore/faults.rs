//! One fault, and two, at every call of every trait: the real engine is driven, and driven again as a new process would, until
//! nothing is left to do. Calls that read count like those that write.

use std::future::{Future, pending};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;

use super::super::engine::drive;
use super::super::job::{Budget, Job};
use super::super::observation::Last;
use super::pairs::singles;
use super::rig::Rig;
use super::search::Scenario;
use super::state::{Setup, State, number, secret};
use super::world::{Fixed, Spot, World, lost, refusal};
use crate::model::catalog::SecretRef;
use crate::model::id::{ConsumerId, KeyId, RegisterName, RotationId, VersionId};
use crate::model::names;
use crate::model::outcome::Fate;
use crate::model::plan::ActionKind;
use crate::model::rotator::Capabilities;
use crate::model::secret::Secret;
use crate::world::{
    Consumer, ConsumerView, ErrorClass, Fresh, KeyChange, Listing, Overlap, Registers, Rotator, SecretStore, SecretView, Target,
    Trial, WorldError,
};

/// Processes until it counts as stuck; without a fault four are enough.
pub const PROCESSES: u8 = 24;

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It never arrives.
    NotSent,
    /// It takes effect and nobody learns of it.
    AnswerLost,
    /// It is refused for want of permission, this once.
    Denied,
    /// It and the next seven are refused for being too many.
    Throttled,
    /// It answers what was so before the last change.
    Stale,
    /// It answers what was so before anything was done.
    Ancient,
    /// It takes effect, and the lease is spent when the answer comes.
    Late,
    /// The process dies before it is sent.
    KilledBefore,
    /// The process dies before the answer comes.
    KilledAfter,
}

pub const READS: [Mode; 7] =
    [Mode::NotSent, Mode::Denied, Mode::Throttled, Mode::Stale, Mode::Ancient, Mode::Late, Mode::KilledBefore];
pub const WRITES: [Mode; 7] =
    [Mode::NotSent, Mode::AnswerLost, Mode::Denied, Mode::Throttled, Mode::Late, Mode::KilledBefore, Mode::KilledAfter];

/// One of each effect.
pub const READS_OF_EACH: [Mode; 3] = [Mode::NotSent, Mode::Stale, Mode::KilledBefore];
pub const WRITES_OF_EACH: [Mode; 5] = [Mode::NotSent, Mode::AnswerLost, Mode::Denied, Mode::Late, Mode::KilledAfter];

/// One fault: the number of the call, and what goes wrong there.
pub type At = (usize, Mode);

#[derive(Default)]
pub struct Script {
    pub faults: Vec<At>,
    /// Calls so far; true when it only reads.
    pub calls: Vec<bool>,
    /// Calls from here that are refused for being too many.
    pub burst: u8,
    /// Times a trial is refused because the credential is not known everywhere yet.
    pub unready: u8,
    /// Seconds for which a refusal may pass.
    pub settle: i64,
    /// As it was before the last change, and before anything was done.
    pub before: State,
    pub first: State,
    pub wrong: Option<String>,
}

/// A [`World`] behind a wire on which calls go wrong.
#[derive(Clone)]
pub struct Wire {
    world: World,
    leak: bool,
    pub script: Arc<Mutex<Script>>,
}

impl Wire {
    fn next(&self, reads: bool) -> Option<Mode> {
        let mut script = self.script.lock().unwrap();
        let number = script.calls.len();
        script.calls.push(reads);
        let mode = script.faults.iter().find(|(at, _)| *at == number).map(|(_, mode)| *mode);
        if mode == Some(Mode::Throttled) {
            script.burst = 8;
        }
        if script.burst > 0 {
            script.burst -= 1;
            return mode.or(Some(Mode::NotSent));
        }
        mode
    }

    pub async fn pass<T>(&self, reads: bool, call: impl Future<Output = Result<T, WorldError>> + Send) -> Result<T, WorldError> {
        let mode = self.next(reads);
        match mode {
            Some(Mode::NotSent | Mode::Throttled) => return Err(lost()),
            Some(Mode::Denied) => return Err(refusal(ErrorClass::Denied)),
            Some(Mode::KilledBefore) => return pending().await,
            _ => {}
        }
        let answer = match (reads, mode) {
            (true, Some(Mode::Stale)) => {
                let before = self.script.lock().unwrap().before.clone();
                self.at(before, call).await
            }
            (true, Some(Mode::Ancient)) => {
                let first = self.script.lock().unwrap().first.clone();
                self.at(first, call).await
            }
            (true, _) => call.await,
            (false, _) => {
                let before = self.world.lock().state.clone();
                let answer = call.await;
                self.note(before);
                answer
            }
        };
        match mode {
            Some(Mode::AnswerLost) => Err(lost()),
            Some(Mode::KilledAfter) => pending().await,
            Some(Mode::Late) => {
                self.world.lock().state.clock += 1;
                answer
            }
            _ => answer,
        }
    }

    /// Every call so far; true when it only read.
    pub fn calls(&self) -> Vec<bool> {
        self.script.lock().unwrap().calls.clone()
    }

    /// The first thing that was wrong, if anything.
    pub fn wrong(&self) -> Option<String> {
        self.script.lock().unwrap().wrong.clone()
    }

    /// Answers what was so in `before`, at the present instant.
    async fn at<T>(&self, before: State, call: impl Future<Output = T> + Send) -> T {
        let now = {
            let mut inner = self.world.lock();
            let clock = inner.state.clock;
            std::mem::replace(&mut inner.state, State { clock, ..before })
        };
        let answer = call.await;
        self.world.lock().state = now;
        answer
    }

    /// After a call that may have changed something.
    fn note(&self, before: State) {
        let inner = self.world.lock();
        let mut script = self.script.lock().unwrap();
        if inner.state != before {
            script.before = before;
        }
        script.wrong = script.wrong.take().or_else(|| inner.state.violation(&self.world.setup, self.leak));
    }
}

#[async_trait]
impl SecretStore for Wire {
    async fn describe(&self, secret: &SecretRef) -> Result<SecretView, WorldError> {
        self.pass(true, self.world.describe(secret)).await
    }

    async fn read(&self, secret: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        self.pass(true, SecretStore::read(&self.world, secret, version)).await
    }

    async fn put(&self, secret: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.pass(false, self.world.put(secret, version, value)).await
    }

    async fn promote(&self, secret: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        self.pass(false, self.world.promote(secret, from, to)).await
    }
}

#[async_trait]
impl Rotator for Wire {
    fn capabilities(&self) -> Capabilities {
        self.world.capabilities()
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.world.identify(value)
    }

    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        self.pass(false, self.world.create(slot, current)).await
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        {
            let mut script = self.script.lock().unwrap();
            if script.unready > 0 {
                script.unready -= 1;
                return Ok(Trial::Refused("not known here".to_owned()));
            }
        }
        self.pass(true, self.world.verify(value)).await
    }
}

#[async_trait]
impl Target for Wire {
    async fn list(&self) -> Result<Listing, WorldError> {
        self.pass(true, self.world.list()).await
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.pass(false, self.world.install(value, version, over)).await
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        self.pass(true, self.world.reread(key)).await
    }

    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        self.pass(false, self.world.change(key, seen, change)).await
    }
}

#[async_trait]
impl Registers for Wire {
    async fn read(
        &self,
        rotation: &RotationId,
        names: &[RegisterName],
    ) -> Result<std::collections::BTreeMap<RegisterName, String>, WorldError> {
        self.pass(true, Registers::read(&self.world, rotation, names)).await
    }

    async fn write_once(&self, rotation: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        self.pass(false, self.world.write_once(rotation, name, value)).await
    }
}

/// A consumer behind a [`Wire`].
struct Tap(Wire, Spot);

#[async_trait]
impl Consumer for Tap {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.0.pass(true, self.1.observe()).await
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.0.pass(false, self.1.deliver(version, value)).await
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        self.0.pass(false, self.1.activate(version)).await
    }
}

/// How a run of one scenario with some faults ended.
pub struct Run {
    /// Every call that was made; true when it only reads.
    pub calls: Vec<bool>,
    /// The first thing that was wrong, if anything.
    pub wrong: Option<String>,
    /// Credentials of ours that are let in, or that could be deleted, and are not the one in force.
    pub leaks: usize,
    /// What the end looks like, without names and instants.
    pub picture: String,
    /// Processes that it took.
    pub processes: u8,
}

pub type Named = (ConsumerId, Box<dyn Consumer>);
pub type Consumers = [Named];

/// True while the lease lasts.
type Fence<'a> = &'a (dyn Fn() -> bool + Send + Sync);

/// One process from its start to its end; `None` when it was killed.
pub type Process = fn(&Rig, &Wire, &Consumers) -> Option<Fate>;

/// Drives `scenario` to its end with `faults`.
pub fn run(scenario: &Scenario, faults: &[At], process: Process) -> Run {
    let rig = Rig::new(scenario);
    let (wire, consumers) = wire(&rig, faults);
    let (mut at_rest, mut asked, mut processes) = (false, false, 0);
    while processes < PROCESSES && !at_rest {
        let fate = process(&rig, &wire, &consumers);
        processes += 1;
        at_rest = is_at_rest(&rig, fate.as_ref(), &mut asked);
    }
    told(&rig, &wire, processes, at_rest)
}

/// How often a person is asked on the way to the end of `scenario` with `faults`; `None` when it does not come there, or something is wrong.
pub fn asked(scenario: &Scenario, faults: &[At]) -> Option<usize> {
    let rig = Rig::new(scenario);
    let (wire, consumers) = wire(&rig, faults);
    let mut asked = 0;
    for _ in 0..PROCESSES {
        let fate = slm(&rig, &wire, &consumers);
        asked += usize::from(matches!(fate, Some(Fate::Blocked(_))));
        if is_at_rest(&rig, fate.as_ref(), &mut false) {
            return wire.wrong().is_none().then_some(asked);
        }
    }
    None
}

/// A process has ended: a lease passes, a person may want the value before back, and does what is asked for where no value is in force yet.
/// True when nothing is left to do.
pub fn is_at_rest(rig: &Rig, fate: Option<&Fate>, asked: &mut bool) -> bool {
    let scenario = &rig.scenario;
    let state = &mut rig.world.lock().state;
    state.clock += 1;
    if matches!(fate, Some(Fate::Blocked(why)) if why.contains("delete at the target a credential that it does not run")) {
        let idle = state.keys.iter().find(|(_, key)| !key.foreign && !state.is_used(key)).map(|(name, _)| *name);
        idle.map(|name| state.keys.remove(&name));
        return false;
    }
    if scenario.rollback && state.depth == 1 && !*asked && (!scenario.late_whim || ending(state)) {
        *asked = true;
        ask_back(&scenario.setup, state);
        return false;
    }
    matches!(fate, Some(Fate::AlreadySo)) && state.is_goal(&scenario.setup, scenario.wanted)
}

/// How a run ended after that many processes.
pub fn told(rig: &Rig, wire: &Wire, processes: u8, at_rest: bool) -> Run {
    let (scenario, state) = (&rig.scenario, &rig.world.lock().state);
    let script = std::mem::take(&mut *wire.script.lock().unwrap());
    let stuck = (!at_rest).then(|| format!("I4: {PROCESSES} processes were not enough"));
    let (wrong, leaks) = (script.wrong.or(stuck), leaks(scenario, state));
    Run { calls: script.calls, wrong, leaks, picture: picture(scenario, state), processes }
}

/// True when the value before the one in force is disabled.
fn ending(state: &State) -> bool {
    state.keys.values().any(|key| !key.active)
}

/// A person wants the value before the one in force back.
fn ask_back(setup: &Setup, state: &mut State) {
    let generation = state.current.clone().unwrap();
    let (fate, now) = (names::fate(&secret(), &generation), setup.by_store(state.clock));
    let kind = setup.capabilities;
    if state.registers.entry(fate).or_insert_with(|| "rollback".to_owned()) == "retire" && kind.disable && kind.delete {
        state.registers.entry(names::last(&secret(), &generation)).or_insert_with(|| Last::revive(now));
    }
}

/// A wire to the world of `rig` on which these faults happen.
pub fn wire(rig: &Rig, faults: &[At]) -> (Wire, Vec<Named>) {
    let before = rig.world.lock().state.clone();
    wired(rig, Script { faults: faults.to_vec(), first: before.clone(), before, ..Script::default() })
}

fn wired(rig: &Rig, script: Script) -> (Wire, Vec<Named>) {
    let wire = Wire { world: rig.world.clone(), leak: rig.scenario.leak, script: Arc::new(Mutex::new(script)) };
    let tap = |n: usize| Box::new(Tap(wire.clone(), Spot(rig.world.clone(), n))) as Box<dyn Consumer>;
    let consumers = (0..rig.scenario.setup.consumers).map(|n| (ConsumerId::from(format!("c{n}")), tap(n))).collect();
    (wire, consumers)
}

/// A process that goes on with the rotation, or with its end.
pub fn slm(rig: &Rig, wire: &Wire, consumers: &Consumers) -> Option<Fate> {
    let action = {
        let state = &rig.world.lock().state;
        rig.action(state.current.as_ref(), state.depth < rig.scenario.wanted)
    };
    driven(rig, wire, consumers, &action)
}

/// A process that does what most tools do: delete the oldest of two, create, store, switch, delete the old one.
pub fn oldest(rig: &Rig, wire: &Wire, consumers: &Consumers) -> Option<Fate> {
    if rig.world.lock().state.depth >= rig.scenario.wanted {
        return Some(Fate::AlreadySo);
    }
    let rotate = async {
        let keys = wire.list().await?.keys;
        if keys.len() > 1 {
            wire.change(&keys[0].id, None, KeyChange::Delete).await?;
        }
        let from = wire.describe(&secret()).await?.current().cloned();
        let slot = names::slot(&secret(), from.as_ref(), 0);
        let fresh = wire.create(&slot, None).await?;
        wire.put(&secret(), &slot, &fresh.value).await?;
        wire.promote(&secret(), from.as_ref(), &slot).await?;
        for (_, consumer) in consumers {
            consumer.deliver(&slot, &fresh.value).await?;
            consumer.activate(&slot).await?;
        }
        for key in wire.list().await?.keys.iter().filter(|key| Some(&key.id) != fresh.key.as_ref()) {
            wire.change(&key.id, None, KeyChange::Delete).await?;
        }
        Ok(())
    };
    rotate
        .now_or_never()
        .map(|done: Result<(), WorldError>| done.map_or_else(|error| Fate::Failed(error.to_string()), |()| Fate::Done))
}

/// Brings what is in force to consumers that hold nothing; gives the fate and the world before and after.
pub fn delivered(scenario: &Scenario) -> (Option<Fate>, State, State) {
    let rig = Rig::new(scenario);
    let before = rig.world.lock().state.clone();
    let (wire, consumers) = wired(&rig, Script { before: before.clone(), ..Script::default() });
    let (credential, generation) = (rig.credential.id.clone(), before.current.clone().unwrap());
    let ids = consumers.iter().map(|(id, _)| id.clone()).collect();
    let action = ActionKind::Deliver { credential, secret: secret(), generation, consumers: ids };
    let fate = driven(&rig, &wire, &consumers, &action);
    let after = rig.world.lock().state.clone();
    (fate, before, after)
}

/// The verdict on the first attempt when it is refused `unready` times at first and a refusal may pass for `settle` seconds.
pub fn tried(scenario: &Scenario, unready: u8, settle: i64) -> String {
    let rig = Rig::new(scenario);
    let before = rig.world.lock().state.clone();
    let name = names::verdict(&secret(), before.current.as_ref(), 0);
    let (wire, consumers) = wired(&rig, Script { before, unready, settle, ..Script::default() });
    slm(&rig, &wire, &consumers);
    rig.world.lock().state.registers[&name].clone()
}

fn driven(rig: &Rig, wire: &Wire, consumers: &Consumers, action: &ActionKind) -> Option<Fate> {
    let started = rig.world.lock().state.clock;
    let fence = || rig.world.lock().state.clock == started;
    let job = job(rig, wire, consumers, action, &fence);
    drive(&job, &Fixed, &AtomicBool::new(false)).now_or_never().map(|outcome| outcome.fate)
}

/// What a process does `action` with.
pub fn job<'a>(rig: &'a Rig, wire: &'a Wire, consumers: &'a Consumers, action: &'a ActionKind, fence: Fence<'a>) -> Job<'a> {
    let settle = wire.script.lock().unwrap().settle;
    let validated = rig.scenario.setup.capabilities.overlap != Overlap::Unvalidated;
    Job {
        action,
        credential: &rig.credential,
        store: wire,
        rotator: wire,
        target: validated.then_some(wire),
        registers: wire,
        consumers,
        fence,
        retire_held: None,
        leak: rig.is_told(&rig.world.lock().state, 0),
        budget: Budget { retries: 5, pause: Duration::ZERO, trials: 2, between: Duration::ZERO, settle },
    }
}

fn leaks(scenario: &Scenario, state: &State) -> usize {
    let Overlap::Dual { .. } = scenario.setup.capabilities.overlap else { return 0 };
    let current = state.current.as_ref().and_then(|id| number(state.values.get(id)?));
    let stays = |active: bool| active || scenario.setup.capabilities.delete;
    state.keys.values().filter(|key| !key.foreign && Some(key.number) != current && stays(key.active)).count()
}

fn picture(scenario: &Scenario, state: &State) -> String {
    let current = state.current.as_ref();
    let works = current.is_some_and(|id| state.works(&scenario.setup, id));
    let adopted = state.consumers.iter().filter(|held| held.iter().all(|held| held.version.as_ref() == current)).count();
    let active = state.keys.values().filter(|key| key.active).count();
    let noted = |what: &&str| current.is_some_and(|id| state.registers.contains_key(&names::mark(&secret(), id, what)));
    let noted: Vec<_> = ["refused", "done"].into_iter().filter(noted).collect();
    // What can only be disabled stays, one more with each attempt that was rejected.
    let there = state.keys.values().filter(|key| key.active || scenario.setup.capabilities.delete).count();
    format!("works {works}, adopted {adopted}, {active} of {there} let in, noted {noted:?}")
}

/// Single faults after which a consumer, or the version in force, is without a working credential.
pub fn outages(scenario: &Scenario, process: Process) -> usize {
    let clean = run(scenario, &[], process);
    let is_outage = |run: Run| run.wrong.is_some_and(|wrong| wrong.starts_with("I1") || wrong.starts_with("I2"));
    singles(&clean).filter(|one| is_outage(run(scenario, &[*one], process))).count()
}
