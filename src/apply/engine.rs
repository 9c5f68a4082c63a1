//! Drives one action: observe, decide, perform one thing, until nothing is left or somebody else must act.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::decide::{Mutation, Step, behind, decide, is_spent, taken};
use super::job::{Goal, Job, goal};
use super::look::{self, Basis, Known, Seen};
use super::observation::{Ending, Observation, Place, Sight};
use crate::model::catalog::Stage;
use crate::model::id::{ConsumerId, KeyId, RotationId, VersionId};
use crate::model::names;
use crate::model::outcome::{Event, Fate, Outcome, Readings};
use crate::model::plan::ActionKind;
use crate::world::{Clock, Consumer, ErrorClass, Fresh, Listing, WorldError};

/// Set when the run should stop at the next safe point.
pub type StopFlag = AtomicBool;

/// Drives `job` to its end.
pub async fn drive(job: &Job<'_>, clock: &dyn Clock, stop: &StopFlag) -> Outcome {
    let mut engine = Engine::new(job, clock);
    loop {
        if let Some(fate) = engine.advance(stop).await {
            return engine.finish(fate);
        }
    }
}

/// What became of a drive that was asked to stop.
#[must_use]
pub fn stopped() -> Fate {
    Fate::Stopped("asked to stop; resume will go on".to_owned())
}

/// Where a drive stands between two half-steps. Losing it loses nothing but time, and a credential that nobody has seen.
#[derive(Default)]
pub(super) enum Phase {
    /// Nothing is known.
    #[default]
    Idle,
    /// The target was listed.
    Listed(Listing),
    /// Decided and not yet performed.
    Decided(Mutation, Box<Basis>),
    /// About a consumer, and the generation was just seen to be in force still.
    Ready(Mutation, Box<Basis>),
    /// Issued by the server and recorded nowhere yet.
    Holding(VersionId, Fresh),
    /// Issued by the server and never to be recorded, because its slot is taken.
    Dropping(KeyId),
}

/// A drive that is taken one half-step at a time: observe and decide, then perform.
pub struct Engine<'a> {
    pub(super) job: &'a Job<'a>,
    clock: &'a dyn Clock,
    rotation: RotationId,
    pub(super) phase: Phase,
    pub(super) failures: u8,
    /// Effects asked of each consumer for the version it is to run. Only ever makes us more careful.
    pub(super) asked: BTreeMap<ConsumerId, (VersionId, u8)>,
    /// Consumers that will not take a version any more in this drive, and why.
    pub(super) refused: BTreeMap<ConsumerId, (VersionId, String)>,
    /// Consumers that failed until patience was used up, and why: when the value before is in wrong hands it does not wait for them.
    pub(super) aside: BTreeMap<ConsumerId, String>,
    /// True when the last look said that the value before is in wrong hands.
    pub(super) leak: bool,
    /// Consumers that the last look had wait for the same effect as the one decided on, that one among them.
    beside: Vec<(ConsumerId, VersionId)>,
    /// The last failure to see a consumer that may pass by itself.
    passing: Option<WorldError>,
    pub(super) known: Known,
    /// What the last look at the gate read.
    readings: Option<Readings>,
    /// What the look was based on that found every attempt used up.
    spent: Option<Basis>,
    pub(super) events: Vec<Event>,
}

impl<'a> Engine<'a> {
    /// Nothing is touched yet.
    #[must_use]
    pub fn new(job: &'a Job<'a>, clock: &'a dyn Clock) -> Self {
        let rotation = match job.action {
            ActionKind::Rotate { rotation, .. } | ActionKind::Finish { rotation, .. } => rotation.clone(),
            ActionKind::Deliver { generation, .. } => names::rotation(&job.credential.id, Some(generation)),
            _ => names::rotation(&job.credential.id, None),
        };
        let (asked, refused, phase) = (BTreeMap::new(), BTreeMap::new(), Phase::Idle);
        Self {
            job,
            clock,
            rotation,
            phase,
            failures: 0,
            asked,
            refused,
            aside: BTreeMap::new(),
            leak: job.leak,
            beside: Vec::new(),
            passing: None,
            known: Known::default(),
            readings: None,
            spent: None,
            events: Vec::new(),
        }
    }

    /// One half-step and the pause after it, unless it was asked to stop; the fate when the drive has ended.
    pub(super) async fn advance(&mut self, stop: &StopFlag) -> Option<Fate> {
        if stop.load(Ordering::Relaxed) && self.is_safe() {
            return Some(stopped());
        }
        let fate = self.step().await;
        if fate.is_some() {
            self.note_spent().await;
        }
        let pause = self.pause();
        if fate.is_none() && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        fate
    }

    /// Keeps that no attempt is left, by which a plan asks a person and not another run. Nothing here rests on it: one that was not
    /// written is written by the next drive.
    async fn note_spent(&mut self) {
        let (Some(goal), Some(basis)) = (goal(self.job), self.spent.take()) else { return };
        let (generation, attempts) = (basis.generation.as_ref(), self.job.credential.policy.attempts);
        let name = names::spent(goal.secret, generation, attempts);
        let written = self.job.registers.write_once(&goal.namespace(generation), &name, &basis.now.to_string()).await;
        if let Err(error) = written {
            tracing::warn!(credential = %self.job.credential.id, %error, "that no attempt is left was not written down");
        }
    }

    /// One half-step; the fate when the drive has ended.
    pub async fn step(&mut self) -> Option<Fate> {
        let Some(goal) = goal(self.job) else {
            return Some(Fate::Blocked("only rotations and deliveries are driven here".to_owned()));
        };
        match std::mem::take(&mut self.phase) {
            Phase::Idle => match self.job.target {
                Some(target) => match target.list().await {
                    Ok(listing) => {
                        self.phase = Phase::Listed(listing);
                        None
                    }
                    Err(error) => self.failed(&error),
                },
                None => self.look(&goal, Listing::default()).await,
            },
            Phase::Listed(listing) => self.look(&goal, listing).await,
            Phase::Decided(mutation, basis) if about(&mutation).is_some() => self.make_ready(&goal, mutation, basis).await,
            Phase::Decided(mutation, basis) | Phase::Ready(mutation, basis) => self.perform(&goal, mutation, &basis).await,
            Phase::Holding(slot, fresh) => self.record(&goal, slot, fresh).await,
            Phase::Dropping(key) => self.drop_key(&key).await,
        }
    }

    /// The effect on a consumer that comes next, if one does.
    pub(super) fn intends(&self) -> Option<(Stage, &ConsumerId, &VersionId)> {
        match &self.phase {
            Phase::Decided(mutation, _) | Phase::Ready(mutation, _) => match mutation {
                Mutation::Deliver { consumer, version } => Some((Stage::Deliver, consumer, version)),
                Mutation::Activate { consumer, version } => Some((Stage::Activate, consumer, version)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The consumers that wait for the effect that comes next, each with its version: that effect's own, and others that were seen to.
    pub(super) fn beside(&self) -> impl Iterator<Item = (&ConsumerId, &VersionId)> {
        let comes = self.intends().is_some();
        self.beside.iter().filter(move |_| comes).map(|(consumer, version)| (consumer, version))
    }

    /// True when the effect on a consumer comes with the next half-step.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready(..))
    }

    /// Looks again before anything else.
    pub(super) fn forget(&mut self) {
        if self.is_safe() {
            self.phase = Phase::Idle;
        }
    }

    /// The effect that comes next was begun elsewhere, with this failure.
    pub(super) fn missed(&mut self, error: &WorldError) -> Option<Fate> {
        let about = self.intends().map(|(_, consumer, version)| (consumer.clone(), version.clone()));
        self.phase = Phase::Idle;
        self.not_done(error, about)
    }

    /// An effect failed: a consumer that will not have a version is not asked again, nor is one for which no patience is left while the
    /// value before is in wrong hands.
    fn not_done(&mut self, error: &WorldError, about: Option<(ConsumerId, VersionId)>) -> Option<Fate> {
        let Some((id, version)) = about else { return self.failed(error) };
        if matches!(error.class, ErrorClass::Denied | ErrorClass::Permanent) {
            self.refused.insert(id, (version, error.to_string()));
            return None;
        }
        let fate = self.failed(error);
        if !self.leak || fate.is_none() {
            return fate;
        }
        self.failures = 0;
        self.aside.insert(id, error.to_string());
        None
    }

    /// True when stopping here leaves nothing that only this drive knows.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        !matches!(self.phase, Phase::Holding(..) | Phase::Dropping(_))
    }

    /// How long to wait before the next half-step.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.failures == 0 || !self.is_safe() {
            return Duration::ZERO;
        }
        self.job.budget.pause * (1 << u32::from(self.failures - 1).min(6))
    }

    /// The outcome of a drive that ended with `fate`.
    #[must_use]
    pub fn finish(self, fate: Fate) -> Outcome {
        tracing::debug!(credential = %self.job.credential.id, rotation = %self.rotation, ?fate, "ended");
        Outcome { action: self.job.action.clone(), fate, events: self.events }
    }

    async fn look(&mut self, goal: &Goal<'_>, listing: Listing) -> Option<Fate> {
        self.passing = None;
        let mut known = std::mem::take(&mut self.known);
        let seen = look::store(self.job, goal, listing, &mut known, async || self.places(goal).await).await;
        self.known = known;
        let (observation, basis, readings) = match seen {
            Ok(Seen::Whole(whole)) => *whole,
            Ok(Seen::Stale(fate)) => return Some(fate),
            Err(error) => return self.failed(&error),
        };
        self.readings = Some(readings);
        self.leak = observation.leak;
        if observation.fate == Some(Ending::Rollback)
            && let Some(attempt) = taken(&observation)
        {
            let credential = &self.job.credential.id;
            tracing::warn!(%credential, "the value before does not come back: its login holds attempt {attempt}, which is gone on with");
        }
        match decide(&observation) {
            Step::Act(mutation) => {
                self.phase = Phase::Decided(mutation, Box::new(basis));
                let stage = self.intends().map(|(stage, _, _)| stage);
                let beside = stage.into_iter().flat_map(|stage| behind(&observation, stage));
                self.beside = beside.map(|(consumer, version)| (consumer.clone(), version.clone())).collect();
                None
            }
            Step::Wait(Some(late), why) => Some(Fate::Waiting(format!("until {late}: {why}"))),
            Step::Wait(None, why) => Some(Fate::Waiting(why)),
            Step::Blocked(why) => {
                self.spent = is_spent(&observation).then_some(basis);
                match self.passing.take() {
                    Some(error) => self.failed(&error),
                    None => Some(Fate::Blocked(why)),
                }
            }
            Step::Done => Some(self.done(&observation)),
        }
    }

    /// Nothing is left to do; whoever was not waited for is named.
    fn done(&mut self, observation: &Observation) -> Fate {
        let generation = observation.generation.as_ref();
        let without: BTreeMap<&ConsumerId, &String> = observation
            .consumers
            .iter()
            .filter_map(|place| match &place.sight {
                Sight::Unseen(why) | Sight::Refused(_, why) => Some((&place.id, why)),
                Sight::Seen(_) => None,
            })
            .collect();
        if !self.events.is_empty() {
            for consumer in self.asked.keys().filter(|id| !without.contains_key(id)).cloned().collect::<Vec<_>>() {
                self.event("adopted", generation, consumer.as_str());
            }
            self.event("done", generation, "");
        }
        if without.is_empty() {
            return if self.events.is_empty() { Fate::AlreadySo } else { Fate::Done };
        }
        let whom: Vec<String> = without.iter().map(|(id, why)| format!("consumer `{id}`: {why}")).collect();
        Fate::Failed(format!("the rest is done, and who was not waited for is left to `slm resume`: {}", whom.join("; ")))
    }

    async fn places(&mut self, goal: &Goal<'_>) -> Vec<Place> {
        let mut places = Vec::new();
        for id in goal.consumers {
            places.push(Place { id: id.clone(), canary: look::is_canary(self.job, id), sight: self.sight(id).await });
        }
        places
    }

    async fn sight(&mut self, id: &ConsumerId) -> Sight {
        if let Some((version, why)) = self.refused.get(id) {
            return Sight::Refused(version.clone(), why.clone());
        }
        // One that failed has refused nothing: a canary so rejects no value.
        if let Some(why) = self.aside.get(id) {
            return Sight::Unseen(why.clone());
        }
        let Some(consumer) = self.consumer(id) else {
            return Sight::Unseen("it cannot be reached from here".to_owned());
        };
        let (sight, passing) = look::sight(consumer.observe().await);
        self.passing = passing.or(self.passing.take());
        sight
    }

    pub(super) fn consumer(&self, id: &ConsumerId) -> Option<&'a dyn Consumer> {
        self.job.consumers.iter().find(|(have, _)| have == id).map(|(_, consumer)| consumer.as_ref())
    }

    async fn perform(&mut self, goal: &Goal<'_>, mutation: Mutation, basis: &Basis) -> Option<Fate> {
        if !(self.job.fence)() {
            return Some(Fate::Waiting("the lease is spent".to_owned()));
        }
        let consumer = about(&mutation);
        if let Some((id, version)) = consumer {
            let (last, asked) = self.asked.entry(id.clone()).or_insert_with(|| (version.clone(), 0));
            if last != version {
                (*last, *asked) = (version.clone(), 0);
            }
            *asked = asked.saturating_add(1);
            if *asked > self.job.budget.retries.saturating_mul(2).saturating_add(2) {
                let why = format!("it was asked {asked} times and does not run version {version}");
                if self.leak {
                    self.aside.insert(id.clone(), why);
                } else {
                    self.refused.insert(id.clone(), (version.clone(), why));
                }
                return None;
            }
        }
        match (self.effect(goal, &mutation, basis).await, consumer) {
            (Ok(done), _) => {
                self.failures = 0;
                if let Mutation::Reject { .. } = &mutation {
                    self.refused.clear();
                }
                for (step, version) in done {
                    self.event(step, version.as_ref(), consumer.map_or("", |(id, _)| id.as_str()));
                }
                if mutation == Mutation::Fate(Ending::Retire)
                    && let Some(event) = self.events.last_mut()
                {
                    event.readings = self.readings.clone();
                }
                None
            }
            (Err(error), consumer) => match &mutation {
                // The value is tried before another is made: it may be there by a request that was sent before.
                Mutation::Install { version, .. } if error.class == ErrorClass::Unfit => {
                    self.known.declined = Some((version.clone(), error.cause));
                    None
                }
                _ => self.not_done(&error, consumer.map(|(id, version)| (id.clone(), version.clone()))),
            },
        }
    }

    /// The generation must be in force at the last moment before an effect on a consumer. What happens after this look is why
    /// there is a lease: nothing is retired before every run that looked has lost its own.
    async fn make_ready(&mut self, goal: &Goal<'_>, mutation: Mutation, basis: Box<Basis>) -> Option<Fate> {
        match self.job.store.describe(goal.secret).await {
            Ok(view) if view.current() == basis.generation.as_ref() => {
                self.phase = Phase::Ready(mutation, basis);
                None
            }
            // Another version is current now: look again.
            Ok(_) => None,
            Err(error) => self.failed(&error),
        }
    }

    /// Any failure: observe again, unless a person must act or patience is used up.
    pub(super) fn failed(&mut self, error: &WorldError) -> Option<Fate> {
        self.failures = self.failures.saturating_add(1);
        match error.class {
            ErrorClass::Denied | ErrorClass::Permanent | ErrorClass::Unfit => Some(Fate::Blocked(error.to_string())),
            ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Transient => {
                (self.failures > self.job.budget.retries).then(|| Fate::Failed(error.to_string()))
            }
        }
    }

    pub(super) fn event(&mut self, step: &str, version: Option<&VersionId>, consumer: &str) {
        let version_id = version.map_or("", VersionId::as_str);
        tracing::debug!(credential = %self.job.credential.id, rotation = %self.rotation, step, version = version_id, consumer, "step");
        self.events.push(Event {
            at: self.clock.now(),
            credential: self.job.credential.id.clone(),
            rotation: self.rotation.clone(),
            step: step.to_owned(),
            version: version.cloned(),
            consumer: consumer.to_owned(),
            readings: None,
        });
    }
}

/// The consumer that `mutation` has an effect on, and the version it is given.
fn about(mutation: &Mutation) -> Option<(&ConsumerId, &VersionId)> {
    match mutation {
        Mutation::Deliver { consumer, version } | Mutation::Activate { consumer, version } => Some((consumer, version)),
        _ => None,
    }
}
