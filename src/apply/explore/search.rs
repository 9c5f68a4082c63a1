//! Breadth-first search over everything that can happen: which run goes next, what is lost, who crashes, when time passes, when a
//! consumer restarts, when a person rolls back. The runs are the real engine over an in-memory world.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;

use super::super::decide::Mutation;
use super::super::engine::{Engine, Phase};
use super::super::job::{Budget, Job};
use super::super::observation::Last;
use super::world::{ATTEMPTS, Ablation, Fault, Fixed, Setup, Spot, State, TICK, World, number, secret, ticks};
use crate::model::catalog::{Consumer as Declared, ConsumerKind, Credential, FileConsumer, GateSettings, Letters, RotationPolicy};
use crate::model::diagnostic::Place;
use crate::model::id::{ConsumerId, VersionId};
use crate::model::names;
use crate::model::plan::ActionKind;
use crate::model::rotator::{Alphabet, RandomValue, RotatorConfig};
use crate::model::secret::Secret;
use crate::model::time::Limit;
use crate::world::{Capabilities, Consumer, Fresh, KeyChange, Overlap};

/// What is searched, and how far.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub setup: Setup,
    /// Runs at once.
    pub rotators: usize,
    /// Crashes and lost messages.
    pub faults: u8,
    /// Rotations one after the other.
    pub wanted: u8,
    /// Times a canary refuses, or a person rolls back.
    pub whims: u8,
    /// A person may roll back.
    pub rollback: bool,
    /// The person in a sweep of faults waits with that until the value before is disabled.
    pub late_whim: bool,
    /// The old value is in wrong hands.
    pub leak: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub states: usize,
    pub transitions: usize,
    pub goals: usize,
    /// The first violation, with the shortest way to it.
    pub violation: Option<(String, Vec<String>)>,
    /// States from which the goal cannot be reached without further faults, and the way to one.
    pub stuck: usize,
    pub stuck_way: Vec<String>,
}

/// One run of slm.
enum Run {
    Off,
    On {
        generation: Option<VersionId>,
        rotate: bool,
        started: i64,
        phase: Phase,
        refused: BTreeMap<ConsumerId, (VersionId, String)>,
        declined: Option<(VersionId, String)>,
    },
}

struct Node {
    state: State,
    runs: Vec<Run>,
    faults: u8,
}

impl Run {
    fn copy(&self) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::On { generation, rotate, started, phase, refused, declined } => {
                let phase = copy(phase);
                Self::On {
                    generation: generation.clone(),
                    rotate: *rotate,
                    started: *started,
                    phase,
                    refused: refused.clone(),
                    declined: declined.clone(),
                }
            }
        }
    }
}

fn copy(phase: &Phase) -> Phase {
    match phase {
        Phase::Idle => Phase::Idle,
        Phase::Listed(listing) => Phase::Listed(listing.clone()),
        Phase::Decided(mutation, basis) => Phase::Decided(mutation.clone(), basis.clone()),
        Phase::Ready(mutation, basis) => Phase::Ready(mutation.clone(), basis.clone()),
        Phase::Holding(slot, fresh) => {
            let value = Secret::new(fresh.value.expose().to_vec());
            Phase::Holding(slot.clone(), Fresh { key: fresh.key.clone(), value })
        }
        Phase::Dropping(key) => Phase::Dropping(key.clone()),
    }
}

/// 128 bits in one pass: two states of a search of millions collide with a chance of one in 10^25.
struct Wide(u64, u64);

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word, 0x9e37_79b9_7f4a_7c15);
        self.1 = mix(self.1 ^ word.rotate_left(32), 0xd6e8_feb8_6659_fd93);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn mix(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Node {
    fn copy(&self) -> Self {
        Self { state: self.state.clone(), runs: self.runs.iter().map(Run::copy).collect(), faults: self.faults }
    }

    fn key(&self, forgetful: bool) -> u128 {
        let mut hasher = Wide(1, 2);
        self.faults.hash(&mut hasher);
        self.state.digest(forgetful, &mut hasher);
        for run in &self.runs {
            self.digest(run, &mut hasher);
        }
        u128::from(hasher.0) << 64 | u128::from(hasher.1)
    }

    fn digest(&self, run: &Run, hasher: &mut Wide) {
        let Run::On { generation, rotate, started, phase, refused, declined } = run else { return 0_u8.hash(hasher) };
        let spent = |at: i64| (self.state.clock - at).min(1);
        (1_u8, generation, rotate, spent(*started), refused, declined).hash(hasher);
        match phase {
            Phase::Idle => 0_u8.hash(hasher),
            Phase::Listed(listing) => {
                1_u8.hash(hasher);
                for key in &listing.keys {
                    let age = key.created.map_or(0, |created| (listing.now.as_second() - created.as_second()).min(TICK));
                    (&key.id, key.active, &key.version, age).hash(hasher);
                }
            }
            Phase::Decided(mutation, basis) | Phase::Ready(mutation, basis) => {
                let step = 2 + u8::from(matches!(phase, Phase::Ready(..)));
                (step, mutation, &basis.generation, &basis.parent, spent(basis.now.as_second() / TICK)).hash(hasher);
            }
            Phase::Holding(slot, fresh) => (4_u8, slot, &fresh.key).hash(hasher),
            Phase::Dropping(key) => (5_u8, key).hash(hasher),
        }
    }
}

/// The parts of a job that never change.
pub struct Rig {
    pub scenario: Scenario,
    pub world: World,
    pub credential: Credential,
    consumers: Vec<(ConsumerId, Box<dyn Consumer>)>,
    leased: AtomicBool,
    /// How the last step ended its run, if it did.
    fate: Mutex<String>,
}

impl Rig {
    pub fn new(scenario: &Scenario) -> Self {
        let world = World::new(scenario.setup.clone());
        world.lock().state.whims = scenario.whims;
        let id = |n: usize| ConsumerId::from(format!("c{n}"));
        let count = scenario.setup.consumers;
        let consumers = (0..count).map(|n| (id(n), Box::new(Spot(world.clone(), n)) as Box<dyn Consumer>)).collect();
        let file = || ConsumerKind::File(FileConsumer { path: "f".to_owned(), template: None, mode: None, reload: None });
        let declared = |n: usize| Declared {
            id: id(n),
            kind: file(),
            canary: n == 0 && scenario.setup.canary,
            max_staleness: Limit::seconds(0),
            letters: scenario.setup.picky.then_some(Letters::Alnum),
            principals: Vec::new(),
        };
        let lease = if scenario.setup.unfenced() { Limit::seconds(0) } else { Limit::seconds(TICK) };
        let credential = Credential {
            id: "db".into(),
            title: String::new(),
            owner: String::new(),
            satisfies: Vec::new(),
            secret: secret(),
            rotator: RotatorConfig::Random(RandomValue { length: 8, alphabet: Alphabet::Hex }),
            policy: RotationPolicy {
                rotate_every: Limit::days(1),
                jitter: Limit::days(0),
                attempts: ATTEMPTS,
                lease,
                allow_gap: None,
                max_validity: None,
                not_before: None,
                windows: Vec::new(),
                freeze: Vec::new(),
            },
            gate: GateSettings {
                quiet: Limit::seconds(0).into(),
                drain: true,
                soak: Limit::seconds(TICK),
                ..GateSettings::default()
            },
            consumers: (0..count).map(declared).collect(),
            after: Vec::new(),
            place: Place { file: String::new(), span: 0..0 },
        };
        Self { scenario: scenario.clone(), world, credential, consumers, leased: AtomicBool::new(true), fate: Mutex::default() }
    }

    pub fn action(&self, generation: Option<&VersionId>, rotate: bool) -> ActionKind {
        let (credential, secret) = (self.credential.id.clone(), secret());
        let rotation = names::rotation(&credential, generation);
        let consumers = self.consumers.iter().map(|(id, _)| id.clone()).collect();
        match (rotate, generation) {
            (false, Some(generation)) => {
                ActionKind::Finish { credential, secret, generation: generation.clone(), rotation, consumers }
            }
            _ => ActionKind::Rotate { credential, secret, generation: generation.cloned(), rotation, consumers },
        }
    }

    /// One half-step of run `who` of `node`; `None` when `fault` was not met and so changes nothing.
    fn step(&self, node: &Node, who: usize, fault: Option<Fault>) -> Option<(Node, &'static str)> {
        let mut next = node.copy();
        let Run::On { generation, rotate, started, phase, refused, declined } = std::mem::replace(&mut next.runs[who], Run::Off)
        else {
            return None;
        };
        let unfenced = self.scenario.setup.unfenced();
        self.leased.store(unfenced || node.state.clock == started, Ordering::Relaxed);
        {
            let mut inner = self.world.lock();
            inner.state = std::mem::take(&mut next.state);
            (inner.fault, inner.met) = (fault, false);
        }
        let action = self.action(generation.as_ref(), rotate);
        let validated = self.scenario.setup.capabilities.overlap != Overlap::Unvalidated;
        let fence = || self.leased.load(Ordering::Relaxed);
        let budget = Budget { retries: u8::MAX - 1, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 };
        let job = Job {
            action: &action,
            credential: &self.credential,
            store: &self.world,
            rotator: &self.world,
            target: validated.then_some(&self.world),
            registers: &self.world,
            consumers: &self.consumers,
            fence: &fence,
            retire_held: None,
            leak: self.scenario.leak,
            budget,
        };
        let mut engine = Engine::new(&job, &Fixed);
        (engine.phase, engine.refused, engine.known.declined) = (phase, refused, declined);
        let word = word(&engine.phase);
        let fate = engine.step().now_or_never().expect("nothing in this world waits");
        let (phase, refused) = (std::mem::take(&mut engine.phase), std::mem::take(&mut engine.refused));
        let declined = engine.known.declined.take();
        drop(engine);
        *self.fate.lock().unwrap() = format!("{fate:?}");
        let mut inner = self.world.lock();
        next.state = std::mem::take(&mut inner.state);
        if fault.is_some() && !inner.met {
            return None;
        }
        drop(inner);
        if fate.is_none() {
            next.runs[who] = Run::On { generation, rotate, started, phase: self.ablate(phase), refused, declined };
        }
        Some((next, word))
    }

    /// How one more run would end, and the ones after it, each a lease later.
    fn then(&self, node: &Node) -> Vec<String> {
        let mut next = node.copy();
        let mut words = Vec::new();
        for _ in 0..6 {
            let (generation, rotate) = (next.state.current.clone(), next.state.depth < self.scenario.wanted);
            let started = next.state.clock;
            next.runs[0] = Run::On { generation, rotate, started, phase: Phase::Idle, refused: BTreeMap::new(), declined: None };
            let mut last = "";
            while let Some((then, word)) = self.step(&next, 0, None) {
                (next, last) = (then, if word.contains("look") || word.contains("list") { last } else { word });
            }
            words.push(format!("then {last}, {}", self.fate.lock().unwrap()));
            next.state.clock += 1;
        }
        words
    }

    fn ablate(&self, phase: Phase) -> Phase {
        match (phase, self.scenario.setup.ablation) {
            (Phase::Decided(Mutation::Close { condemned, .. }, basis), Some(Ablation::NoTombstone)) => {
                let key = condemned.into_iter().next().unwrap();
                Phase::Decided(Mutation::Change { key, change: KeyChange::Delete }, basis)
            }
            (phase, _) => phase,
        }
    }

    /// Everything that can happen next: the node, what it is called, and whether it spends a fault.
    fn next(&self, node: &Node) -> Vec<(Node, String, bool)> {
        let mut all = Vec::new();
        for (n, [stored, running]) in node.state.consumers.iter().enumerate() {
            if stored != running {
                let mut next = node.copy();
                next.state.consumers[n][1] = stored.clone();
                all.push((next, format!("consumer {n} restarts"), false));
            }
        }
        let mut later = node.copy();
        later.state.clock += 1;
        if self.scenario.setup.forgetful && !later.state.forgot {
            let mut less = later.copy();
            less.state.forget();
            all.push((less, "time passes, and what has no label is gone".to_owned(), false));
        }
        all.push((later, "time passes".to_owned(), false));
        all.extend(self.roll_back(node).map(|next| (next, "a person rolls back".to_owned(), false)));
        for (who, run) in node.runs.iter().enumerate() {
            match run {
                Run::Off => {
                    let mut next = node.copy();
                    let (generation, rotate) = (node.state.current.clone(), node.state.depth < self.scenario.wanted);
                    let started = node.state.clock;
                    next.runs[who] =
                        Run::On { generation, rotate, started, phase: Phase::Idle, refused: BTreeMap::new(), declined: None };
                    all.push((next, format!("run {who} starts"), false));
                }
                Run::On { phase, .. } => {
                    if let Some((next, word)) = self.step(node, who, None) {
                        all.push((next, format!("run {who}: {word}"), false));
                    }
                    let acts = !matches!(phase, Phase::Idle | Phase::Listed(_));
                    if acts && node.state.whims > 0 && self.scenario.setup.canary {
                        let refused = self.step(node, who, Some(Fault::Refuses));
                        all.extend(refused.map(|(next, word)| (next, format!("run {who}: {word}, refused"), false)));
                    }
                    if node.faults > 0 {
                        let mut next = node.copy();
                        next.runs[who] = Run::Off;
                        all.push((next, format!("run {who} crashes"), true));
                        for fault in [Fault::RequestLost, Fault::AnswerLost].into_iter().filter(|_| acts) {
                            let lost = self.step(node, who, Some(fault));
                            all.extend(lost.map(|(next, word)| (next, format!("run {who}: {word}, {fault:?}"), true)));
                        }
                    }
                }
            }
        }
        for (next, _, fault) in &mut all {
            next.faults -= u8::from(*fault);
        }
        all
    }

    /// A person rolls back, as the protocol has it or as an ablation does.
    fn roll_back(&self, node: &Node) -> Option<Node> {
        let generation = node.state.current.as_ref().filter(|_| node.state.depth == 1)?;
        if !self.scenario.rollback || node.state.whims == 0 {
            return None;
        }
        let old = node.state.previous.clone().filter(|old| node.state.exists(&self.scenario.setup, old))?;
        let fate = names::fate(&secret(), generation);
        let last = names::last(&secret(), generation);
        let mut next = node.copy();
        next.state.whims -= 1;
        match self.scenario.setup.ablation {
            Some(Ablation::LabelMove) => next.state.previous = next.state.current.replace(old),
            Some(Ablation::NoFate) => {
                let back = names::rollback(&secret(), generation);
                let value = next.state.values[&old].clone();
                next.state.values.insert(back.clone(), value);
                next.state.previous = next.state.current.replace(back);
                next.state.depth += 1;
            }
            _ if node.state.registers.contains_key(&last) => return None,
            at_once if node.state.registers.contains_key(&fate) => {
                let Capabilities { disable: true, delete: true, .. } = self.scenario.setup.capabilities else { return None };
                let since = if at_once == Some(Ablation::RevivedAtOnce) { -9 } else { next.state.clock };
                next.state.registers.insert(last, Last::revive(ticks(since)));
            }
            _ => drop(next.state.registers.insert(fate, "rollback".to_owned())),
        }
        Some(next)
    }
}

fn word(phase: &Phase) -> &'static str {
    match phase {
        Phase::Idle => "lists credentials",
        Phase::Listed(_) => "looks and decides",
        Phase::Holding(..) => "records",
        Phase::Dropping(_) => "drops",
        Phase::Decided(Mutation::Deliver { .. } | Mutation::Activate { .. }, _) => "looks once more",
        Phase::Decided(mutation, _) | Phase::Ready(mutation, _) => match mutation {
            Mutation::Create { .. } => "creates",
            Mutation::Prepare { .. } => "prepares",
            Mutation::Adopt { .. } => "adopts",
            Mutation::Close { .. } => "closes",
            Mutation::Install { .. } => "installs",
            Mutation::Judge { .. } => "judges",
            Mutation::Reject { .. } => "rejects",
            Mutation::Restore { .. } => "restores",
            Mutation::Promote { .. } => "promotes",
            Mutation::Deliver { .. } => "delivers",
            Mutation::Activate { .. } => "activates",
            Mutation::Change { change: KeyChange::Delete, .. } => "deletes",
            Mutation::Change { change: KeyChange::Disable, .. } => "disables",
            Mutation::Change { change: KeyChange::Enable, .. } => "enables",
            Mutation::Fate(_) => "decides the fate",
            Mutation::NoReturn => "decides that nothing comes back",
            Mutation::Prove => "proves",
            Mutation::Mark(_) => "notes an instant",
        },
    }
}

/// Searches `scenario` to the end, or to its first violation.
pub fn search(scenario: &Scenario) -> Found {
    let rig = Rig::new(scenario);
    let state = std::mem::take(&mut rig.world.lock().state);
    let first = Node { state, runs: (0..scenario.rotators).map(|_| Run::Off).collect(), faults: scenario.faults };
    let mut seen: HashMap<u128, u32> = HashMap::from([(first.key(scenario.setup.forgetful), 0)]);
    let mut from: Vec<(u32, u16)> = vec![(0, 0)];
    let mut back: Vec<(u32, u32)> = Vec::new();
    let mut goals = Vec::new();
    let mut queue = VecDeque::from([(0_u32, first.copy())]);
    let mut found = Found::default();
    while let Some((at, node)) = queue.pop_front() {
        if let Some(what) = node.state.violation(&scenario.setup, scenario.leak) {
            found.violation = Some((what, way(&rig, &first, &from, at)));
            break;
        }
        if node.state.is_goal(&scenario.setup, scenario.wanted) && node.runs.iter().all(|run| matches!(run, Run::Off)) {
            goals.push(at);
            found.goals += 1;
        } else if node.state.is_asking() {
            goals.push(at);
        }
        for (index, (next, _, fault)) in rig.next(&node).into_iter().enumerate() {
            found.transitions += 1;
            let id = *seen.entry(next.key(scenario.setup.forgetful)).or_insert_with(|| {
                let id = u32::try_from(from.len()).unwrap();
                from.push((at, u16::try_from(index).unwrap()));
                queue.push_back((id, next));
                id
            });
            if !fault {
                back.push((id, at));
            }
        }
    }
    found.states = from.len();
    if found.violation.is_none() {
        let stuck = stuck(from.len(), back, &goals);
        found.stuck = stuck.len();
        found.stuck_way = stuck.first().map(|at| way(&rig, &first, &from, *at)).unwrap_or_default();
    }
    found
}

/// States from which no goal can be reached along `back`.
fn stuck(states: usize, mut back: Vec<(u32, u32)>, goals: &[u32]) -> Vec<u32> {
    back.sort_unstable();
    let mut good = vec![false; states];
    let mut open = goals.to_vec();
    goals.iter().for_each(|goal| good[*goal as usize] = true);
    while let Some(at) = open.pop() {
        let begin = back.partition_point(|(to, _)| *to < at);
        for (_, before) in back[begin..].iter().take_while(|(to, _)| *to == at) {
            if !std::mem::replace(&mut good[*before as usize], true) {
                open.push(*before);
            }
        }
    }
    (0..u32::try_from(states).unwrap()).filter(|at| !good[*at as usize]).collect()
}

/// The names of the steps that lead from `first` to state `at`.
fn way(rig: &Rig, first: &Node, from: &[(u32, u16)], mut at: u32) -> Vec<String> {
    let mut indexes = Vec::new();
    while at != 0 {
        let (before, index) = from[at as usize];
        indexes.push(index);
        at = before;
    }
    let (mut node, mut names) = (first.copy(), Vec::new());
    for index in indexes.into_iter().rev() {
        let (next, name, _) = rig.next(&node).swap_remove(usize::from(index));
        names.push(name);
        node = next;
    }
    let keys: Vec<String> =
        node.state.keys.iter().map(|(id, key)| format!("{id}{}", if key.active { "" } else { " off" })).collect();
    let current = node.state.current.as_ref().and_then(|id| number(node.state.values.get(id)?));
    let consumers: Vec<_> =
        node.state.consumers.iter().map(|[stored, running]| (number(&stored.value), number(&running.value))).collect();
    let registers: Vec<_> = node.state.registers.iter().map(|(name, text)| format!("{}={text}", &name.as_str()[..7])).collect();
    names.extend(rig.then(&node));
    names.push(format!("end: current {:?} keys {keys:?} consumers {consumers:?} {registers:?}", current));
    names
}
