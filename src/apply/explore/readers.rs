//! A consumer that is known to run a version by who was seen to read it: until that was seen, nothing before it is ended.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;

use super::super::engine::drive;
use super::super::job::{Budget, Job};
use super::rig::Rig;
use super::world::{Fixed, Spot};
use super::{CLIENT, DELETE_ONLY, IN_TURN, SERVER, STAGED, TWO_PASSWORDS, scenario};
use crate::model::catalog::{GateSettings, OnDeadline};
use crate::model::id::{ConsumerId, VersionId};
use crate::model::names;
use crate::model::outcome::{Fate, Outcome};
use crate::model::readers::Readers;
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::world::{Capabilities, Consumer, ConsumerView, Overlap, WorldError};

const APP: &str = "arn:aws:iam::123456789012:role/app";

/// A consumer that `APP` reads for, last seen at an instant that the test sets.
struct ReadFor(Spot, &'static Mutex<Option<Timestamp>>);

#[async_trait]
impl Consumer for ReadFor {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let last = [(APP.to_owned(), *self.1.lock().unwrap())].into();
        let view = self.0.observe().await?;
        Ok(ConsumerView { readers: Some(Readers { last, unseen: vec!["denied".to_owned()] }), ..view })
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.0.deliver(version, value).await
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        self.0.activate(version).await
    }
}

/// A rotation to a consumer that is read for.
struct Rotation {
    rig: Rig,
    consumers: Vec<(ConsumerId, Box<dyn Consumer>)>,
    read: &'static Mutex<Option<Timestamp>>,
    leak: bool,
}

impl Rotation {
    fn of(capabilities: Capabilities) -> Self {
        let rig = Rig::new(&scenario(capabilities, 1, 0));
        let read: &'static Mutex<Option<Timestamp>> = Box::leak(Box::default());
        let reader: Box<dyn Consumer> = Box::new(ReadFor(Spot(rig.world.clone(), 0), read));
        Self { rig, consumers: vec![("c0".into(), reader)], read, leak: false }
    }

    /// One process, and a lease after it.
    fn process(&self) -> Outcome {
        let (action, started) = {
            let state = &self.rig.world.lock().state;
            (self.rig.action(state.current.as_ref(), state.depth < 1), state.clock)
        };
        let fence = || self.rig.world.lock().state.clock == started;
        let validated = self.rig.scenario.setup.capabilities.overlap != Overlap::Unvalidated;
        let job = Job {
            action: &action,
            credential: &self.rig.credential,
            store: &self.rig.world,
            rotator: &self.rig.world,
            target: validated.then_some(&self.rig.world),
            registers: &self.rig.world,
            consumers: &self.consumers,
            fence: &fence,
            retire_held: None,
            leak: self.leak,
            budget: Budget { retries: 5, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 },
        };
        let outcome = drive(&job, &Fixed, &AtomicBool::new(false)).now_or_never().expect("nothing in this world waits");
        self.rig.world.lock().state.clock += 1;
        outcome
    }

    /// A dozen processes.
    fn processes(&self) -> Vec<Outcome> {
        (0..12).map(|_| self.process()).collect()
    }

    /// When the version in force was noted to be.
    fn promoted(&self) -> Timestamp {
        let state = &self.rig.world.lock().state;
        let mark = names::mark(&self.rig.credential.secret, state.current.as_ref().unwrap(), "promoted");
        state.registers[&mark].parse().unwrap()
    }

    /// It is seen to be read in the second after.
    fn is_read(&self) -> Timestamp {
        let read = Limit::seconds(1).after(self.promoted());
        *self.read.lock().unwrap() = Some(read);
        read
    }

    fn is_over(&self) -> bool {
        self.rig.world.lock().state.is_goal(&self.rig.scenario.setup, 1)
    }

    /// Asserts that the value before works and waits for the reader.
    fn waits(&self, name: &str) {
        let last = self.processes().pop().unwrap().fate;
        let want = format!(
            "for consumer `c0`: {APP} not seen to read it since {} (denied); CloudTrail comes some minutes late",
            self.promoted()
        );
        assert_eq!(last, Fate::Waiting(want), "{name}");
        let working = self.rig.world.lock().state.keys.values().filter(|key| key.active).count();
        assert!(working == 2 || self.rig.scenario.setup.capabilities.staged(), "{name}: {working}");
        assert!(!self.is_over(), "{name}");
    }
}

#[test]
fn nothing_is_ended_before_those_who_read_for_a_consumer_were_seen_to_and_then_all_is() {
    let shapes = [
        ("server-issued", SERVER),
        ("client-chosen", CLIENT),
        ("delete only", DELETE_ONLY),
        ("logins in turn", IN_TURN),
        ("two passwords", TWO_PASSWORDS),
        ("keyset", STAGED),
    ];
    for (name, capabilities) in shapes {
        let rotation = Rotation::of(capabilities);
        rotation.waits(name);
        *rotation.read.lock().unwrap() = Some(rotation.promoted());
        rotation.waits(name);
        if capabilities.staged() {
            // What was in force at first is to be read as well before the next value is made.
            rotation.is_read();
            rotation.waits(name);
        }
        let read = rotation.is_read();
        let done = rotation.processes();
        assert!(rotation.is_over() && done.last().unwrap().fate == Fate::AlreadySo, "{name}: {:?}", done.last());
        let mut readings = done.iter().flat_map(|outcome| &outcome.events).filter_map(|event| event.readings.as_ref());
        if !capabilities.staged() {
            let noted = readings.next().unwrap();
            assert_eq!(
                (&noted.running[..], &noted.read[..]),
                (&["c0".into()][..], &[format!("c0: {APP} at {read}")][..]),
                "{name}"
            );
        }
    }
}

#[test]
fn a_deadline_does_not_end_what_a_reader_may_still_hold_and_wrong_hands_do() {
    let mut rotation = Rotation::of(SERVER);
    let gate = GateSettings { deadline: Some(Limit::seconds(0)), on_deadline: OnDeadline::Retire, ..rotation.rig.credential.gate };
    rotation.rig.credential.gate = gate;
    rotation.waits("past its deadline");
    rotation.leak = true;
    rotation.processes();
    assert!(rotation.is_over());
}
