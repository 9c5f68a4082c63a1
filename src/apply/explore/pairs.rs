//! Every fault and every pair of faults at the calls of one scenario.
//!
//! Runs share what they have in common. A drive forgets what it saw each time it looks again; so a run with a second fault begins at the
//! last look before that, as the run with the first alone came there, and a run that has met its faults ends as an earlier one did that
//! looked at the same world with the same memory. Nothing else goes into what follows:
//! `what_runs_share_changes_the_end_of_none` compares with runs from their beginning.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::FutureExt as _;

use super::super::engine::{Engine, Phase};
use super::super::job::Job;
use super::super::look::Known;
use super::faults::{
    At, Mode, Named, PROCESSES, READS, READS_OF_EACH, Run, Script, WRITES, WRITES_OF_EACH, Wire, is_at_rest, job, run, slm, told,
    wire,
};
use super::node::wide;
use super::rig::Rig;
use super::search::Scenario;
use super::state::State;
use super::world::Fixed;
use crate::model::id::{ConsumerId, VersionId};
use crate::model::outcome::Fate;

/// What a drive takes with it when it looks again.
#[derive(Clone, Hash)]
struct Drive {
    generation: Option<VersionId>,
    rotate: bool,
    started: i64,
    failures: u8,
    asked: BTreeMap<ConsumerId, (VersionId, u8)>,
    refused: BTreeMap<ConsumerId, (VersionId, String)>,
    aside: BTreeMap<ConsumerId, String>,
    /// True when it was told that the value before is in wrong hands, and when it knows.
    leak: (bool, bool),
    known: Known,
    /// True when it has done anything.
    acted: bool,
}

impl Drive {
    /// One that begins now.
    fn begun(rig: &Rig) -> Self {
        let state = &rig.world.lock().state;
        Self {
            generation: state.current.clone(),
            rotate: state.depth < rig.scenario.wanted,
            started: state.clock,
            failures: 0,
            asked: BTreeMap::new(),
            refused: BTreeMap::new(),
            aside: BTreeMap::new(),
            leak: (rig.is_told(state, 0), rig.is_told(state, 0)),
            known: Known::default(),
            acted: false,
        }
    }

    /// As `engine` goes on, which began as this one did.
    fn of(&self, engine: &Engine<'_>) -> Self {
        Self {
            generation: self.generation.clone(),
            rotate: self.rotate,
            started: self.started,
            failures: engine.failures,
            asked: engine.asked.clone(),
            refused: engine.refused.clone(),
            aside: engine.aside.clone(),
            leak: (self.leak.0, engine.leak),
            known: engine.known.clone(),
            acted: !engine.events.is_empty(),
        }
    }

    /// Has `engine` go on as this one.
    fn resume(&self, engine: &mut Engine<'_>) {
        engine.failures = self.failures;
        engine.asked.clone_from(&self.asked);
        engine.refused.clone_from(&self.refused);
        engine.aside.clone_from(&self.aside);
        engine.leak = self.leak.1;
        engine.known = self.known.clone();
        if self.acted {
            engine.event("resumed", None, "");
        }
    }
}

/// Where a run looks again, and all that goes into what follows.
#[derive(Clone)]
struct Moment {
    state: State,
    drive: Drive,
    /// Processes that have ended.
    processes: u8,
    /// True when a person has asked for the value before.
    asked: bool,
    /// Calls so far, and how many more are refused for being too many.
    calls: usize,
    burst: u8,
    before: State,
}

/// How a run ends, from the same moment on.
#[derive(Clone)]
struct End {
    processes: u8,
    leaks: usize,
    picture: Arc<str>,
}

/// What is noted on the way of one run.
#[derive(Default)]
struct Way {
    processes: u8,
    asked: bool,
    /// Every moment, when they are to be kept.
    kept: Option<Vec<Moment>>,
    /// Moments after the last fault, each with the processes that had ended.
    passed: Vec<(u128, u8)>,
}

/// How one process ended, or the run whose last it need not be.
enum Ended {
    Process(Option<Fate>),
    Known(End),
}

/// The runs of one scenario.
struct Course {
    rig: Rig,
    wire: Wire,
    consumers: Vec<Named>,
    first: State,
    ends: HashMap<u128, End>,
}

impl Course {
    fn new(scenario: &Scenario) -> Self {
        let rig = Rig::new(scenario);
        let (wire, consumers) = wire(&rig, &[]);
        let first = rig.world.lock().state.clone();
        Self { rig, wire, consumers, first, ends: HashMap::new() }
    }

    /// A run from its beginning, or from a moment of another with these calls, to its end; and every moment it came to.
    fn whole(&mut self, from: Option<(&Moment, &[bool])>, faults: &[At]) -> (Run, Vec<Moment>) {
        let mut way = Way { kept: Some(Vec::new()), ..Way::default() };
        let run = self.run(from, faults, &mut way);
        (run, way.kept.unwrap_or_default())
    }

    fn run(&mut self, from: Option<(&Moment, &[bool])>, faults: &[At], way: &mut Way) -> Run {
        let mut drive = self.set(from, faults, way);
        let mut at_rest = false;
        while way.processes < PROCESSES && !at_rest {
            match self.process(drive.take(), way) {
                Ended::Known(end) => {
                    let processes = way.processes + end.processes;
                    self.learn(way, &End { processes, ..end.clone() });
                    return Run { calls: Vec::new(), wrong: None, leaks: end.leaks, picture: end.picture.to_string(), processes };
                }
                Ended::Process(fate) => {
                    way.processes += 1;
                    at_rest = is_at_rest(&self.rig, fate.as_ref(), &mut way.asked);
                }
            }
        }
        let run = told(&self.rig, &self.wire, way.processes, at_rest);
        if run.wrong.is_none() {
            self.learn(way, &End { processes: run.processes, leaks: run.leaks, picture: run.picture.as_str().into() });
        }
        run
    }

    /// Every moment passed on `way` ends like this.
    fn learn(&mut self, way: &mut Way, end: &End) {
        for (moment, processes) in way.passed.drain(..) {
            self.ends.insert(moment, End { processes: end.processes - processes, ..end.clone() });
        }
    }

    /// Has the world be as it was at `from`; gives the drive that was under way.
    fn set(&self, from: Option<(&Moment, &[bool])>, faults: &[At], way: &mut Way) -> Option<Drive> {
        let (state, before) = from.map_or((&self.first, &self.first), |(at, _)| (&at.state, &at.before));
        self.rig.world.lock().state.clone_from(state);
        let calls = from.map_or_else(Vec::new, |(at, calls)| calls[..at.calls].to_vec());
        let burst = from.map_or(0, |(at, _)| at.burst);
        let (faults, before, first) = (faults.to_vec(), before.clone(), self.first.clone());
        *self.wire.script.lock().unwrap() = Script { faults, calls, burst, before, first, ..Script::default() };
        (way.processes, way.asked) = from.map_or((0, false), |(at, _)| (at.processes, at.asked));
        from.map(|(at, _)| at.drive.clone())
    }

    /// One process, from `drive` when that is under way.
    fn process(&self, drive: Option<Drive>, way: &mut Way) -> Ended {
        let drive = drive.unwrap_or_else(|| Drive::begun(&self.rig));
        let action = self.rig.action(drive.generation.as_ref(), drive.rotate);
        let fence = || self.rig.world.lock().state.clock == drive.started;
        let job = Job { leak: drive.leak.0, ..job(&self.rig, &self.wire, &self.consumers, &action, &fence) };
        let mut engine = Engine::new(&job, &Fixed);
        drive.resume(&mut engine);
        let stop = AtomicBool::new(false);
        loop {
            if matches!(engine.phase, Phase::Idle)
                && let Some(end) = self.pass(&drive.of(&engine), way)
            {
                return Ended::Known(end);
            }
            match engine.advance(&stop).now_or_never() {
                None => return Ended::Process(None),
                Some(Some(fate)) => return Ended::Process(Some(fate)),
                Some(None) => {}
            }
        }
    }

    /// A run looks again; gives how it ends, when it has met its faults and another was here before.
    fn pass(&self, drive: &Drive, way: &mut Way) -> Option<End> {
        let state = &self.rig.world.lock().state;
        let script = self.wire.script.lock().unwrap();
        if let Some(kept) = &mut way.kept {
            let (processes, asked, calls, burst) = (way.processes, way.asked, script.calls.len(), script.burst);
            let (state, drive, before) = (state.clone(), drive.clone(), script.before.clone());
            kept.push(Moment { state, drive, processes, asked, calls, burst, before });
        }
        let met = script.burst == 0 && script.faults.iter().all(|(at, _)| *at < script.calls.len());
        if !met || script.wrong.is_some() {
            return None;
        }
        let moment = wide(&(state, way.asked, drive));
        let known = self.ends.get(&moment).filter(|end| way.kept.is_none() && way.processes + end.processes <= PROCESSES);
        if known.is_none() {
            way.passed.push((moment, way.processes));
        }
        known.cloned()
    }
}

/// The last of `moments` before `call`.
fn last(moments: &[Moment], call: usize) -> &Moment {
    &moments[moments.partition_point(|moment| moment.calls <= call) - 1]
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
pub fn singles(run: &Run) -> impl Iterator<Item = At> + '_ {
    let modes = |reads: bool| if reads { &READS[..] } else { &WRITES[..] };
    run.calls.iter().enumerate().flat_map(move |(at, reads)| modes(*reads).iter().map(move |mode| (at, *mode)))
}

/// Which faults are paired.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Paired {
    /// Of those with the same effect, one.
    OfEachEffect,
    /// The oldest answer to what is read, after a process that was cut off.
    OldAfterCut,
    /// All.
    Every,
}

impl Paired {
    fn first(self, reads: bool, mode: Mode) -> bool {
        match self {
            Self::OldAfterCut => matches!(mode, Mode::KilledBefore | Mode::Late),
            _ => self.second(reads, mode),
        }
    }

    fn second(self, reads: bool, mode: Mode) -> bool {
        match self {
            Self::OfEachEffect => (if reads { &READS_OF_EACH[..] } else { &WRITES_OF_EACH[..] }).contains(&mode),
            Self::OldAfterCut => mode == Mode::Ancient,
            Self::Every => true,
        }
    }
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

/// Every single fault and every pair of those that are `paired`.
pub fn sweep(name: &str, scenario: &Scenario, paired: Paired) -> Sweep {
    let begun = std::time::Instant::now();
    let mut found = Sweep::default();
    let clean = each(scenario, (paired, 1), |clean, faults, run| {
        let (wrong, leaks) = (usize::from(is_wrong(name, clean, run, faults)), run.leaks);
        found += match faults {
            [_] => Sweep { singles: 1, single_violations: wrong, leaks, ..Sweep::default() },
            _ => Sweep { doubles: 1, double_violations: wrong, leaks, ..Sweep::default() },
        };
    });
    assert!(clean.wrong.is_none() && clean.leaks == 0, "{name}: {:?}, {}", clean.wrong, clean.picture);
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} calls, {} runs, {} pairs, {seconds:.1} s: {name}", clean.calls.len(), found.singles, found.doubles);
    found
}

/// Tells the run without a fault, each with one, and of those with two that are `paired` every `stride`th; gives the one without.
fn each(scenario: &Scenario, (paired, stride): (Paired, usize), mut tell: impl FnMut(&Run, &[At], &Run)) -> Run {
    let mut course = Course::new(scenario);
    let (clean, moments) = course.whole(None, &[]);
    let mut nth = 0;
    for one in singles(&clean) {
        let (single, moments) = course.whole(Some((last(&moments, one.0), &clean.calls)), &[one]);
        tell(&clean, &[one], &single);
        if !paired.first(single.calls[one.0], one.1) {
            continue;
        }
        for two in singles(&single).filter(|two| two.0 > one.0 && paired.second(single.calls[two.0], two.1)) {
            nth += 1;
            if nth % stride == 0 {
                let from = Some((last(&moments, two.0), &single.calls[..]));
                let double = course.run(from, &[one, two], &mut Way::default());
                tell(&clean, &[one, two], &double);
            }
        }
    }
    clean
}

/// Runs that share nothing end as those of a sweep do; gives how many were compared.
pub fn alike(scenario: &Scenario, stride: usize) -> usize {
    let mut compared = 0;
    let end = |run: &Run| (run.wrong.clone(), run.leaks, run.picture.clone(), run.processes);
    each(scenario, (Paired::Every, stride), |_, faults, shared| {
        if faults.len() == 2 {
            assert_eq!(end(shared), end(&run(scenario, faults, slm)), "{faults:?}");
            compared += 1;
        }
    });
    compared
}
