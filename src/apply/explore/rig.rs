//! One step of the search: the real engine takes a half-step over the small world, or something else happens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;

use super::super::decide::Mutation;
use super::super::engine::{Engine, Phase};
use super::super::job::{Budget, Job};
use super::super::observation::Last;
use super::node::{Node, Run};
use super::search::Scenario;
use super::state::{ATTEMPTS, Ablation, Fault, Read, State, TICK, is_nameless, number, secret};
use super::world::{Fixed, Spot, World};
use crate::model::catalog::{Consumer as Declared, ConsumerKind, Credential, FileConsumer, GateSettings, Letters, RotationPolicy};
use crate::model::diagnostic::Place;
use crate::model::id::{ConsumerId, VersionId};
use crate::model::names;
use crate::model::outcome::Fate;
use crate::model::plan::ActionKind;
use crate::model::rotator::{Alphabet, RandomValue, RotatorConfig};
use crate::model::time::Limit;
use crate::world::{Capabilities, Consumer, KeyChange, Overlap};

/// The parts of a job that never change.
pub struct Rig {
    pub scenario: Scenario,
    pub world: World,
    pub credential: Credential,
    consumers: Vec<(ConsumerId, Box<dyn Consumer>)>,
    pub leased: AtomicBool,
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
        let file = || ConsumerKind::File(FileConsumer { path: "f".to_owned(), ..FileConsumer::default() });
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
                ended_elsewhere: Vec::new(),
            },
            gate: GateSettings {
                quiet: Limit::seconds(0).into(),
                drain: true,
                soak: Limit::seconds(TICK),
                ..GateSettings::default()
            },
            consumers: (0..count).map(declared).collect(),
            leak: Vec::new(),
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

    /// True when run `who`, which begins now, is told that the value in force, or the one before, is in wrong hands.
    pub fn is_told(&self, state: &State, who: usize) -> bool {
        self.scenario.leak && !(self.scenario.resumed && (who > 0 || is_noted(state)))
    }

    /// One half-step of run `who` of `node`; `None` when `fault` was not met and so changes nothing.
    pub fn step(&self, node: &Node, who: usize, fault: Option<Fault>) -> Option<(Node, &'static str)> {
        let mut next = node.copy();
        let Run::On { generation, rotate, leak, started, phase, refused, declined } =
            std::mem::replace(&mut next.runs[who], Run::Off)
        else {
            return None;
        };
        let unfenced = self.scenario.setup.unfenced();
        self.leased.store(unfenced || node.state.clock == started, Ordering::Relaxed);
        {
            let mut inner = self.world.lock();
            inner.state = std::mem::take(&mut next.state);
            inner.before.clone_from(&node.before);
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
            leak,
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
        next.state.lingers |= self.scenario.leak && fate.as_ref().is_some_and(|fate| is_left(&next.state) && lingers(fate));
        if fault.is_some() && !inner.met {
            return None;
        }
        drop(inner);
        if fate.is_none() {
            next.runs[who] = Run::On { generation, rotate, leak, started, phase: self.ablate(phase), refused, declined };
        }
        Some((next, word))
    }

    /// How one more run would end, and the ones after it, each a lease later.
    pub fn then(&self, node: &Node) -> Vec<String> {
        let mut next = node.copy();
        let mut words = Vec::new();
        for _ in 0..6 {
            next = self.started(&next, 0);
            let mut last = "";
            // One that fails at the same again and again never ends by itself here.
            for _ in 0..100 {
                let Some((then, word)) = self.step(&next, 0, None) else { break };
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
                Phase::Decided(Mutation::Change { key, seen: None, change: KeyChange::Delete }, basis)
            }
            (phase, _) => phase,
        }
    }

    /// Everything that can happen next: the node, what it is called, and whether it spends a fault.
    pub fn next(&self, node: &Node) -> Vec<(Node, String, bool)> {
        let mut all = self.happens(node);
        for who in 0..node.runs.len() {
            self.goes_on(node, who, &mut all);
        }
        let before = self.scenario.behind.then(|| Arc::new(node.state.clone()));
        for (next, _, fault) in &mut all {
            next.faults -= u8::from(*fault);
            if before.is_some() && next.state != node.state {
                next.before.clone_from(&before);
            }
        }
        let mut later = node.copy();
        later.state.clock += 1;
        all.push((later, "time passes".to_owned(), false));
        all
    }

    /// What happens without a run.
    fn happens(&self, node: &Node) -> Vec<(Node, String, bool)> {
        let mut all = Vec::new();
        for (n, [stored, running]) in node.state.consumers.iter().enumerate() {
            if stored != running {
                let mut next = node.copy();
                next.state.consumers[n][1] = stored.clone();
                all.push((next, format!("consumer {n} restarts"), false));
            }
        }
        if self.scenario.setup.forgetful && !node.state.forgot {
            let mut less = node.copy();
            less.state.clock += 1;
            less.state.forget();
            all.push((less, "time passes, and what has no label is gone".to_owned(), false));
        }
        if self.scenario.setup.ablation == Some(Ablation::Pending) && node.state.pending.is_some() {
            let mut next = node.copy();
            next.state.pending = None;
            all.push((next, "AWS begins a rotation, and has the label".to_owned(), false));
        }
        all.extend(self.store_anew(node).map(|next| (next, "a person stores the value as it should be".to_owned(), false)));
        all.extend(self.switch_off(node).map(|next| (next, "a person switches the login before off".to_owned(), false)));
        all.extend(self.roll_back(node).map(|next| (next, "a person rolls back".to_owned(), false)));
        all
    }

    /// What happens to run `who`.
    fn goes_on(&self, node: &Node, who: usize, all: &mut Vec<(Node, String, bool)>) {
        let Run::On { phase, .. } = &node.runs[who] else {
            all.push((self.started(node, who), format!("run {who} starts"), false));
            return;
        };
        let clean = self.step(node, who, None);
        let plain = clean.as_ref().map(|(next, _)| next.key(&self.scenario.setup));
        all.extend(clean.map(|(next, word)| (next, format!("run {who}: {word}"), false)));
        let acts = !matches!(phase, Phase::Idle | Phase::Listed(_));
        if acts && node.state.whims > 0 && self.scenario.setup.canary {
            let refused = self.step(node, who, Some(Fault::Refuses));
            all.extend(refused.map(|(next, word)| (next, format!("run {who}: {word}, refused"), false)));
        }
        if node.faults == 0 {
            return;
        }
        let mut next = node.copy();
        next.runs[who] = Run::Off;
        all.push((next, format!("run {who} crashes"), true));
        let writes = [Fault::RequestLost, Fault::AnswerLost, Fault::Denied].into_iter().filter(|_| acts);
        let stale = Read::ALL.into_iter().filter(|_| node.before.is_some()).map(Fault::Stale);
        let missing = [true, false].map(|current| Fault::Missing { current });
        let reads = Read::ALL.into_iter().map(Fault::Unanswered).chain(missing).chain(stale).filter(|_| self.scenario.behind);
        for fault in writes.chain(reads) {
            let Some((next, word)) = self.step(node, who, Some(fault)) else { continue };
            // What makes no difference is no fault.
            if !matches!(fault, Fault::Stale(_)) || Some(next.key(&self.scenario.setup)) != plain {
                all.push((next, format!("run {who}: {word}, {fault:?}"), true));
            }
        }
    }

    /// Run `who` begins, with what is to be done now.
    fn started(&self, node: &Node, who: usize) -> Node {
        let mut next = node.copy();
        let (generation, rotate) = (node.state.current.clone(), node.state.depth < self.scenario.wanted);
        let started = node.state.clock;
        let leak = self.is_told(&node.state, who);
        next.runs[who] =
            Run::On { generation, rotate, leak, started, phase: Phase::Idle, refused: BTreeMap::new(), declined: None };
        next
    }

    /// A person stores the value in force, which does not tell which credential it is, so that it does.
    fn store_anew(&self, node: &Node) -> Option<Node> {
        let current = node.state.current.as_ref()?;
        let mut value = node.state.values.get(current).filter(|value| is_nameless(value))?.clone();
        value[0] = b'k';
        let (mut next, named) = (node.copy(), VersionId::from("g1"));
        next.state.values.insert(named.clone(), value);
        next.state.previous = next.state.current.replace(named);
        Some(next)
    }

    /// A person switches the login before off, when nobody uses it any more.
    fn switch_off(&self, node: &Node) -> Option<Node> {
        let current = node.state.current.as_ref().filter(|_| self.scenario.by_hand && node.state.whims > 0)?;
        let moved = node.state.consumers.iter().flatten().all(|held| held.version.as_ref() == Some(current));
        let before = node.state.keys.iter().find(|(_, key)| key.active && key.version == node.state.previous);
        let (id, _) = before.filter(|_| moved && node.state.depth == 1)?;
        let mut next = node.copy();
        next.state.whims -= 1;
        next.state.keys.get_mut(id)?.active = false;
        Some(next)
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
            Some(Ablation::LabelMove) => {
                let decided = next.state.registers.entry(fate).or_insert_with(|| "rollback".to_owned());
                if decided != "rollback" {
                    return None;
                }
                next.state.undone.insert(generation.clone());
                next.state.previous = next.state.current.replace(old);
            }
            Some(Ablation::NoFate) => {
                next.state.undone.insert(generation.clone());
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
                next.state.registers.insert(last, Last::revive(self.scenario.setup.by_store(since)));
            }
            _ => drop(next.state.registers.insert(fate, "rollback".to_owned())),
        }
        Some(next)
    }
}

/// True when it was written down that the value in force, or the one before, is in wrong hands.
fn is_noted(state: &State) -> bool {
    let of = [&state.current, &state.previous].into_iter().flatten();
    of.into_iter().any(|version| state.registers.contains_key(&names::leak(&secret(), version)))
}

/// The same, while its credential is there: who looked before it went may wait for it, which does no harm.
fn is_left(state: &State) -> bool {
    let there = |version: &VersionId| {
        let number = state.values.get(version).and_then(|value| number(value));
        number.is_none_or(|number| state.keys.values().any(|key| key.number == number))
    };
    let noted = |version: &VersionId| state.registers.contains_key(&names::leak(&secret(), version));
    [&state.current, &state.previous].into_iter().flatten().any(|version| noted(version) && there(version))
}

/// True when a run ended because the value before may still be in use, or come back.
fn lingers(fate: &Fate) -> bool {
    let of_the_gate = ["a run or a consumer may still hold", "it stays disabled for a while"];
    matches!(fate, Fate::Waiting(why) if of_the_gate.iter().any(|said| why.contains(said)))
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
            Mutation::Leak(_) => "tells of the leak",
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
