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
const PROCESSES: u8 = 24;

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

/// What goes wrong first or second in a pair: one of each effect.
const READS_OF_PAIRS: [Mode; 3] = [Mode::NotSent, Mode::Stale, Mode::KilledBefore];
const WRITES_OF_PAIRS: [Mode; 5] = [Mode::NotSent, Mode::AnswerLost, Mode::Denied, Mode::Late, Mode::KilledAfter];

/// One fault: the number of the call, and what goes wrong there.
pub type At = (usize, Mode);

#[derive(Default)]
struct Script {
    faults: Vec<At>,
    /// Calls so far; true when it only reads.
    calls: Vec<bool>,
    burst: u8,
    /// Times a trial is refused because the credential is not known everywhere yet.
    unready: u8,
    /// Seconds for which a refusal may pass.
    settle: i64,
    /// As it was before the last change, and before anything was done.
    before: State,
    first: State,
    wrong: Option<String>,
}

/// A [`World`] behind a wire on which calls go wrong.
#[derive(Clone)]
pub struct Wire {
    world: World,
    leak: bool,
    script: Arc<Mutex<Script>>,
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
}

pub type Named = (ConsumerId, Box<dyn Consumer>);
type Consumers = [Named];

/// One process from its start to its end; `None` when it was killed.
pub type Process = fn(&Rig, &Wire, &Consumers) -> Option<Fate>;

/// Drives `scenario` to its end with `faults`.
pub fn run(scenario: &Scenario, faults: &[At], process: Process) -> Run {
    let rig = Rig::new(scenario);
    let (wire, consumers) = wire(&rig, faults);
    let (mut at_rest, mut asked) = (false, false);
    for _ in 0..PROCESSES {
        let fate = process(&rig, &wire, &consumers);
        let mut inner = rig.world.lock();
        inner.state.clock += 1;
        if scenario.rollback && inner.state.depth == 1 && !asked && (!scenario.late_whim || ending(&inner.state)) {
            asked = true;
            ask_back(&scenario.setup, &mut inner.state);
        } else if matches!(fate, Some(Fate::AlreadySo)) && inner.state.is_goal(&scenario.setup, scenario.wanted) {
            at_rest = true;
            break;
        }
    }
    let state = rig.world.lock().state.clone();
    let script = std::mem::take(&mut *wire.script.lock().unwrap());
    let stuck = (!at_rest).then(|| format!("I4: {PROCESSES} processes were not enough"));
    Run { calls: script.calls, wrong: script.wrong.or(stuck), leaks: leaks(scenario, &state), picture: picture(scenario, &state) }
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
    let settle = wire.script.lock().unwrap().settle;
    let fence = || rig.world.lock().state.clock == started;
    let validated = rig.scenario.setup.capabilities.overlap != Overlap::Unvalidated;
    let budget = Budget { retries: 5, pause: Duration::ZERO, trials: 2, between: Duration::ZERO, settle };
    let job = Job {
        action,
        credential: &rig.credential,
        store: wire,
        rotator: wire,
        target: validated.then_some(wire),
        registers: wire,
        consumers,
        fence: &fence,
        retire_held: None,
        leak: rig.scenario.leak,
        budget,
    };
    drive(&job, &Fixed, &AtomicBool::new(false)).now_or_never().map(|outcome| outcome.fate)
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
    format!("works {works}, adopted {adopted}, {active} of {} let in, noted {noted:?}", state.keys.len())
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sweep {
    pub singles: usize,
    pub doubles: usize,
    pub single_violations: usize,
    pub double_violations: usize,
    pub leaks: usize,
}

impl std::ops::AddAssign for Sweep {
    fn add_assign(&mut self, other: Self) {
        self.singles += other.singles;
        self.doubles += other.doubles;
        self.single_violations += other.single_violations;
        self.double_violations += other.double_violations;
        self.leaks += other.leaks;
    }
}

/// Every single fault that `run` can meet.
fn singles(run: &Run) -> impl Iterator<Item = At> + '_ {
    let modes = |reads: bool| if reads { &READS[..] } else { &WRITES[..] };
    run.calls.iter().enumerate().flat_map(move |(at, reads)| modes(*reads).iter().map(move |mode| (at, *mode)))
}

fn in_pairs(reads: bool, mode: Mode) -> bool {
    if reads { READS_OF_PAIRS.contains(&mode) } else { WRITES_OF_PAIRS.contains(&mode) }
}

/// True when something was wrong; says what.
fn is_wrong(name: &str, clean: &Run, run: &Run, faults: &[At]) -> bool {
    let other = (run.picture != clean.picture).then(|| format!("it ends otherwise: {}", run.picture));
    let wrong = run.wrong.clone().or(other);
    if let Some(wrong) = &wrong {
        println!("{name}, {faults:?}: {wrong}");
    }
    wrong.is_some()
}

/// Every single fault, and of the pairs every `stride`th.
pub fn sweep(name: &str, scenario: &Scenario, stride: usize) -> Sweep {
    let begun = std::time::Instant::now();
    let clean = run(scenario, &[], slm);
    assert!(clean.wrong.is_none() && clean.leaks == 0, "{name}: {:?}, {}", clean.wrong, clean.picture);
    let mut found = Sweep::default();
    let mut nth = 0;
    for one in singles(&clean) {
        let single = run(scenario, &[one], slm);
        found.singles += 1;
        found.single_violations += usize::from(is_wrong(name, &clean, &single, &[one]));
        found.leaks += single.leaks;
        if !in_pairs(single.calls[one.0], one.1) {
            continue;
        }
        for two in singles(&single).filter(|two| two.0 > one.0 && in_pairs(single.calls[two.0], two.1)) {
            nth += 1;
            if nth % stride == 0 {
                let double = run(scenario, &[one, two], slm);
                found.doubles += 1;
                found.double_violations += usize::from(is_wrong(name, &clean, &double, &[one, two]));
                found.leaks += double.leaks;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} calls, {} runs, {} pairs, {seconds:.1} s: {name}", clean.calls.len(), found.singles, found.doubles);
    found
}

/// Single faults after which a consumer, or the version in force, is without a working credential.
pub fn outages(scenario: &Scenario, process: Process) -> usize {
    let clean = run(scenario, &[], process);
    let is_outage = |run: Run| run.wrong.is_some_and(|wrong| wrong.starts_with("I1") || wrong.starts_with("I2"));
    singles(&clean).filter(|one| is_outage(run(scenario, &[*one], process))).count()
}
