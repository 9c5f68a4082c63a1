//! Two credentials, each with a world of its own, whose consumers restart one workload, and two consumers of one: faults at any call of
//! the first.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;

use super::super::job::{Budget, Job};
use super::super::together::{Meeting, drive_all};
use super::faults::{At, Mode, Named, READS, WRITES, Wire, wire};
use super::rig::Rig;
use super::search::Scenario;
use super::world::Fixed;
use super::{CLIENT, SERVER, SINGLE, canary, scenario};
use crate::model::catalog::Stage;
use crate::model::id::VersionId;
use crate::model::outcome::Fate;
use crate::model::rotator::Capabilities;
use crate::model::secret::Secret;
use crate::world::{Consumer, ConsumerView, Member, Overlap, Shared, WorldError};

/// Processes until it counts as stuck.
const PROCESSES: u8 = 24;

/// A workload that takes what its consumers store when it is restarted.
struct Pod {
    wires: [Wire; 2],
    worlds: [super::world::World; 2],
    restarts: AtomicUsize,
}

impl Pod {
    /// Takes into use what is stored for those of `whose`, in one restart, unless it runs that already.
    fn restart(&self, whose: &[usize]) {
        let mut changed = false;
        for at in whose {
            let mut inner = self.worlds[*at].lock();
            let [stored, running] = inner.state.consumers[0].clone();
            changed |= stored != running;
            inner.state.consumers[0][1] = stored;
        }
        self.restarts.fetch_add(usize::from(changed), Ordering::Relaxed);
    }
}

/// One of its consumers.
struct OfPod<'a>(&'a Pod, usize, Box<dyn Consumer>);

#[async_trait]
impl Consumer for OfPod<'_> {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.2.observe().await
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.2.deliver(version, value).await
    }

    async fn activate(&self, _: &VersionId) -> Result<(), WorldError> {
        let call = async {
            self.0.restart(&[self.1]);
            Ok(())
        };
        self.0.wires[self.1].pass(false, call).await
    }
}

#[async_trait]
impl Shared for Pod {
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError> {
        let whose: Vec<usize> = members.iter().map(|((credential, _), _)| usize::from(credential.as_str() == "b")).collect();
        let call = async {
            self.restart(&whose);
            Ok(())
        };
        self.wires[0].pass(false, call).await
    }
}

/// What came of two rotations to one workload.
struct Ended {
    calls: Vec<bool>,
    restarts: usize,
    wrong: Option<String>,
    /// True when everything was in order and nothing left to do.
    rest: [bool; 2],
}

/// One process; the fates, when it was not killed.
fn process(rigs: &[Rig; 2], pod: &Pod, taps: &[Vec<Named>; 2]) -> Option<Vec<Fate>> {
    let actions = [0, 1].map(|at| {
        let state = &rigs[at].world.lock().state;
        rigs[at].action(state.current.as_ref(), state.depth < 1)
    });
    let clock = |at: usize| rigs[at].world.lock().state.clock;
    let begun = [0, 1].map(|at| AtomicI64::new(clock(at)));
    let fences = [0, 1].map(|at: usize| {
        let begun = &begun;
        move || begun[at].load(Ordering::Relaxed) == clock(at)
    });
    let validated = rigs[0].scenario.setup.capabilities.overlap != Overlap::Unvalidated;
    let job = |at: usize| Job {
        action: &actions[at],
        credential: &rigs[at].credential,
        store: &pod.wires[at],
        rotator: &pod.wires[at],
        target: validated.then_some(&pod.wires[at]),
        registers: &pod.wires[at],
        consumers: &taps[at],
        fence: &fences[at],
        retire_held: None,
        leak: false,
        budget: Budget { retries: 5, pause: Duration::ZERO, trials: 2, between: Duration::ZERO, settle: 0 },
    };
    let members = vec![(0, "c0".into()), (1, "c0".into())];
    let meetings = [Meeting { members, at: Stage::Activate, shared: pod }];
    let renew = |at: usize| begun[at].store(clock(at), Ordering::Relaxed);
    let done = drive_all(&[job(0), job(1)], &meetings, &renew, &Fixed, &AtomicBool::new(false)).now_or_never();
    done.map(|outcomes| outcomes.into_iter().map(|outcome| outcome.fate).collect())
}

fn run(of: &Scenario, faults: &[At]) -> Ended {
    let rigs = ["a", "b"].map(|id| {
        let mut rig = Rig::new(of);
        rig.credential.id = id.into();
        rig
    });
    let [(first, one), (second, two)] = [wire(&rigs[0], faults), wire(&rigs[1], &[])];
    let worlds = [rigs[0].world.clone(), rigs[1].world.clone()];
    let pod: &'static Pod = Box::leak(Box::new(Pod { wires: [first, second], worlds, restarts: AtomicUsize::new(0) }));
    let mut at = 0..;
    let taps = [one, two].map(|taps| {
        let number = at.next().unwrap();
        let of_pod = |(n, (id, tap)): (usize, Named)| {
            let tap: Box<dyn Consumer> = if n == 0 { Box::new(OfPod(pod, number, tap)) } else { tap };
            (id, tap)
        };
        taps.into_iter().enumerate().map(of_pod).collect()
    });
    let mut rest = [false; 2];
    for _ in 0..PROCESSES {
        let fates = process(&rigs, pod, &taps);
        for (number, rig) in rigs.iter().enumerate() {
            let mut inner = rig.world.lock();
            inner.state.clock += 1;
            let so = fates.as_ref().is_some_and(|fates| fates[number] == Fate::AlreadySo);
            rest[number] = so && inner.state.is_goal(&of.setup, 1);
        }
        if rest == [true; 2] {
            break;
        }
    }
    let wrong = pod.wires.iter().find_map(Wire::wrong);
    Ended { calls: pod.wires[0].calls(), restarts: pod.restarts.load(Ordering::Relaxed), wrong, rest }
}

fn shapes() -> [(&'static str, Scenario); 5] {
    [
        ("server-issued", scenario(SERVER, 1, 0)),
        ("client-chosen", scenario(CLIENT, 1, 0)),
        ("in place", scenario(SINGLE, 1, 0)),
        ("unvalidated", scenario(Capabilities::UNVALIDATED, 1, 0)),
        ("client-chosen, canary", canary(CLIENT, 1, 0)),
    ]
}

#[test]
fn two_credentials_restart_their_workload_once() {
    for (name, scenario) in shapes() {
        let ended = run(&scenario, &[]);
        assert_eq!((ended.restarts, ended.wrong, ended.rest), (1, None, [true; 2]), "{name}");
    }
}

/// Whatever happens to a call of the first, both are brought to their ends; a process that was killed restarts once more at most.
#[test]
fn two_credentials_of_one_workload_survive_faults_at_any_call() {
    // The canary is client-chosen as well.
    for (name, scenario) in shapes().into_iter().filter(|(name, _)| *name != "client-chosen") {
        let calls = run(&scenario, &[]).calls;
        for (call, reads) in calls.iter().enumerate() {
            for mode in if *reads { READS } else { WRITES } {
                let ended = run(&scenario, &[(call, mode)]);
                let what = format!("{name}: {mode:?} at call {call} of {}", calls.len());
                assert_eq!((ended.wrong, ended.rest), (None, [true; 2]), "{what}");
                // A canary that refuses, or is seen as it was before, goes back to the old value and on again.
                let most = if scenario.setup.canary { 3 } else { 2 };
                assert!((1..=most).contains(&ended.restarts), "{what}: {} restarts", ended.restarts);
            }
        }
    }
}

/// The first is denied everything for as long as a process takes: the second is not held up by it.
#[test]
fn a_credential_that_fails_holds_up_none_that_shares_its_workload() {
    for (name, scenario) in shapes() {
        let faults: Vec<At> = (0..400).map(|call| (call, Mode::Denied)).collect();
        let ended = run(&scenario, &faults);
        assert_eq!((ended.wrong, ended.rest[1], ended.restarts), (None, true, 1), "{name}");
    }
}

/// A workload with two consumers of one credential, each of which takes what it stores when it is restarted.
struct House {
    wire: Wire,
    world: super::world::World,
    restarts: AtomicUsize,
}

impl House {
    fn restart(&self, whose: &[usize]) {
        let mut inner = self.world.lock();
        let mut changed = false;
        for at in whose {
            let [stored, running] = inner.state.consumers[*at].clone();
            changed |= stored != running;
            inner.state.consumers[*at][1] = stored;
        }
        self.restarts.fetch_add(usize::from(changed), Ordering::Relaxed);
    }
}

/// One of its consumers.
struct OfHouse(&'static House, usize, Box<dyn Consumer>);

#[async_trait]
impl Consumer for OfHouse {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.2.observe().await
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.2.deliver(version, value).await
    }

    async fn activate(&self, _: &VersionId) -> Result<(), WorldError> {
        let call = async {
            self.0.restart(&[self.1]);
            Ok(())
        };
        self.0.wire.pass(false, call).await
    }
}

#[async_trait]
impl Shared for House {
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError> {
        let whose: Vec<usize> = members.iter().map(|((_, consumer), _)| usize::from(consumer.as_str() == "c1")).collect();
        let call = async {
            self.restart(&whose);
            Ok(())
        };
        self.wire.pass(false, call).await
    }
}

/// A rotation of one credential to both consumers of a house, and processes until nothing is left.
fn housed(of: &Scenario, faults: &[At]) -> (Vec<bool>, usize, Option<String>, bool) {
    let rig = Rig::new(of);
    let (wire, taps) = wire(&rig, faults);
    let house: &'static House = Box::leak(Box::new(House { wire, world: rig.world.clone(), restarts: AtomicUsize::new(0) }));
    let of_house = |(n, (id, tap)): (usize, Named)| (id, Box::new(OfHouse(house, n, tap)) as Box<dyn Consumer>);
    let consumers: Vec<Named> = taps.into_iter().enumerate().map(of_house).collect();
    let validated = of.setup.capabilities.overlap != Overlap::Unvalidated;
    let mut rest = false;
    for _ in 0..PROCESSES {
        let action = {
            let state = &rig.world.lock().state;
            rig.action(state.current.as_ref(), state.depth < 1)
        };
        let clock = || rig.world.lock().state.clock;
        let begun = AtomicI64::new(clock());
        let fence = || begun.load(Ordering::Relaxed) == clock();
        let job = Job {
            action: &action,
            credential: &rig.credential,
            store: &house.wire,
            rotator: &house.wire,
            target: validated.then_some(&house.wire),
            registers: &house.wire,
            consumers: &consumers,
            fence: &fence,
            retire_held: None,
            leak: false,
            budget: Budget { retries: 5, pause: Duration::ZERO, trials: 2, between: Duration::ZERO, settle: 0 },
        };
        let meetings = [Meeting { members: vec![(0, "c0".into()), (0, "c1".into())], at: Stage::Activate, shared: house }];
        let renew = |_: usize| begun.store(clock(), Ordering::Relaxed);
        let done = drive_all(&[job], &meetings, &renew, &Fixed, &AtomicBool::new(false)).now_or_never();
        let so = done.is_some_and(|outcomes| outcomes[0].fate == Fate::AlreadySo);
        let mut inner = rig.world.lock();
        inner.state.clock += 1;
        rest = so && inner.state.is_goal(&of.setup, 1);
        if rest {
            break;
        }
    }
    (house.wire.calls(), house.restarts.load(Ordering::Relaxed), house.wire.wrong(), rest)
}

/// One credential of each shape with two consumers.
fn twins() -> impl Iterator<Item = (&'static str, Scenario)> {
    shapes().into_iter().map(|(name, mut scenario)| {
        scenario.setup.consumers = 2;
        (name, scenario)
    })
}

#[test]
fn two_consumers_of_one_credential_restart_their_workload_once() {
    for (name, scenario) in twins() {
        let (_, restarts, wrong, rest) = housed(&scenario, &[]);
        // A canary is restarted before the value is in force, and the other one after it.
        let once = if scenario.setup.canary { 2 } else { 1 };
        assert_eq!((restarts, wrong, rest), (once, None, true), "{name}");
    }
}

#[test]
fn two_consumers_of_one_credential_survive_faults_at_any_call() {
    for (name, scenario) in twins().filter(|(name, _)| *name != "client-chosen") {
        let calls = housed(&scenario, &[]).0;
        for (call, reads) in calls.iter().enumerate() {
            for mode in if *reads { READS } else { WRITES } {
                let (_, restarts, wrong, rest) = housed(&scenario, &[(call, mode)]);
                let what = format!("{name}: {mode:?} at call {call} of {}", calls.len());
                assert_eq!((wrong, rest), (None, true), "{what}");
                let most = if scenario.setup.canary { 4 } else { 2 };
                assert!((1..=most).contains(&restarts), "{what}: {restarts} restarts");
            }
        }
    }
}
