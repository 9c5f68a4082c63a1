//! Drives one action: observe, decide, perform one thing, until nothing is left or somebody else must act.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::decide::{Content, Mutation, Observation, Sight, Slot, Step, decide};
use super::names;
use crate::model::catalog::{Credential, SecretRef};
use crate::model::id::{ConsumerId, RotationId, VersionId};
use crate::model::outcome::{Event, Fate, Outcome};
use crate::model::plan::ActionKind;
use crate::world::{Clock, Consumer, ErrorClass, Rotator, SecretStore, WorldError};

/// Set when the run should stop at the next safe point.
pub type StopFlag = AtomicBool;

/// One action and the world it needs.
pub struct Job<'a> {
    /// A rotation or a delivery; others are refused.
    pub action: &'a ActionKind,
    /// The credential it is about.
    pub credential: &'a Credential,
    /// Where its value lives.
    pub store: &'a dyn SecretStore,
    /// Makes new values.
    pub rotator: &'a dyn Rotator,
    /// Its consumers; one that the action names and is missing here counts as unseen.
    pub consumers: &'a [(ConsumerId, Box<dyn Consumer>)],
    /// True while the lease lasts, by a monotonic clock; asked before each effect.
    pub fence: &'a (dyn Fn() -> bool + Send + Sync),
    /// How long it may try.
    pub budget: Budget,
}

/// How long one drive may try.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Failures in a row before giving up until the next run.
    pub retries: u8,
    /// Pause after the first failure; doubled after each further one.
    pub pause: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { retries: 5, pause: Duration::from_millis(200) }
    }
}

/// What the action asks for.
struct Goal<'a> {
    secret: &'a SecretRef,
    /// The version current when it was planned.
    generation: Option<&'a VersionId>,
    rotate: bool,
    consumers: &'a [ConsumerId],
}

/// Drives `job` to its end.
pub async fn drive(job: &Job<'_>, clock: &dyn Clock, stop: &StopFlag) -> Outcome {
    let mut engine = Engine::new(job, clock);
    let fate = loop {
        if stop.load(Ordering::Relaxed) {
            break Fate::Stopped("asked to stop; resume will go on".to_owned());
        }
        if let Some(fate) = engine.step().await {
            break fate;
        }
        let pause = engine.pause();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    };
    engine.finish(fate)
}

/// A drive that is taken one half-step at a time: observe and decide, then perform.
pub struct Engine<'a> {
    job: &'a Job<'a>,
    clock: &'a dyn Clock,
    rotation: RotationId,
    /// Decided and not yet performed.
    next: Option<Mutation>,
    failures: u8,
    /// Effects asked of each consumer. Only ever makes us more careful.
    asked: BTreeMap<ConsumerId, u8>,
    /// Consumers that will not take part any more in this drive, and why.
    refused: BTreeMap<ConsumerId, String>,
    /// The last failure to see a consumer that may pass by itself.
    passing: Option<WorldError>,
    events: Vec<Event>,
}

impl<'a> Engine<'a> {
    /// Nothing is touched yet.
    #[must_use]
    pub fn new(job: &'a Job<'a>, clock: &'a dyn Clock) -> Self {
        let rotation = match job.action {
            ActionKind::Rotate { rotation, .. } => rotation.clone(),
            ActionKind::Deliver { generation, .. } => names::rotation(&job.credential.id, Some(generation)),
            _ => names::rotation(&job.credential.id, None),
        };
        let (asked, refused) = (BTreeMap::new(), BTreeMap::new());
        Self { job, clock, rotation, next: None, failures: 0, asked, refused, passing: None, events: Vec::new() }
    }

    /// One half-step; the fate when the drive has ended.
    pub async fn step(&mut self) -> Option<Fate> {
        let Some(goal) = goal(self.job.action) else {
            return Some(Fate::Blocked("only rotations and deliveries are driven here".to_owned()));
        };
        match self.next.take() {
            Some(mutation) => self.perform(&goal, mutation).await,
            None => self.look(&goal).await,
        }
    }

    /// How long to wait before the next half-step.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.failures == 0 { Duration::ZERO } else { self.job.budget.pause * (1 << u32::from(self.failures - 1).min(6)) }
    }

    /// The outcome of a drive that ended with `fate`.
    #[must_use]
    pub fn finish(self, fate: Fate) -> Outcome {
        Outcome { action: self.job.action.clone(), fate, events: self.events }
    }

    async fn look(&mut self, goal: &Goal<'_>) -> Option<Fate> {
        let observation = match self.observe(goal).await {
            Ok(Ok(observation)) => observation,
            Ok(Err(stale)) => return Some(stale),
            Err(error) => return self.failed(&error),
        };
        match decide(&observation) {
            Step::Act(mutation) => {
                self.next = Some(mutation);
                None
            }
            Step::Wait(why) => Some(Fate::Waiting(why)),
            Step::Blocked(why) => match self.passing.take() {
                Some(error) => self.failed(&error),
                None => Some(Fate::Blocked(why)),
            },
            Step::Done if self.events.is_empty() => Some(Fate::AlreadySo),
            Step::Done => {
                for consumer in self.asked.keys().cloned().collect::<Vec<_>>() {
                    self.event("adopted", observation.generation.as_ref(), consumer.as_str());
                }
                self.event("done", observation.generation.as_ref(), "");
                Some(Fate::Done)
            }
        }
    }

    /// What is there now, or why the action is stale.
    async fn observe(&mut self, goal: &Goal<'_>) -> Result<Result<Observation, Fate>, WorldError> {
        self.passing = None;
        let view = self.job.store.describe(goal.secret).await?;
        let generation = view.current().cloned();
        let here = generation.as_ref() == goal.generation;
        let attempts = self.job.credential.policy.attempts;
        let happened =
            goal.rotate && (0..attempts).any(|n| generation.as_ref() == Some(&names::slot(goal.secret, goal.generation, n)));
        if !here && !happened {
            let now = generation.map_or_else(|| "nothing".to_owned(), |id| format!("version {id}"));
            return Ok(Err(Fate::Stale(format!("{now} is current in `{}` now", goal.secret.name))));
        }
        let mut slots = Vec::new();
        for n in 0..if here && goal.rotate { attempts } else { 0 } {
            let id = names::slot(goal.secret, generation.as_ref(), n);
            let content = if view.versions.contains_key(&id) { self.content(goal, &id).await? } else { Content::Absent };
            slots.push(Slot { id, content });
        }
        let mut consumers = Vec::new();
        for id in goal.consumers {
            consumers.push((id.clone(), self.sight(id).await));
        }
        let (capabilities, leased) = (self.job.rotator.capabilities(), (self.job.fence)());
        Ok(Ok(Observation { capabilities, generation, due: here && goal.rotate, slots, consumers, leased }))
    }

    async fn content(&self, goal: &Goal<'_>, id: &VersionId) -> Result<Content, WorldError> {
        match self.job.store.read(goal.secret, id).await {
            Ok(_) => Ok(Content::Value),
            Err(error) if error.class == ErrorClass::NotFound => Ok(Content::Empty),
            Err(error) => Err(error),
        }
    }

    async fn sight(&mut self, id: &ConsumerId) -> Sight {
        if let Some(why) = self.refused.get(id) {
            return Sight::Unseen(why.clone());
        }
        let Some(consumer) = self.consumer(id) else {
            return Sight::Unseen("it cannot be reached from here".to_owned());
        };
        match consumer.observe().await {
            Ok(view) => Sight::Seen(view),
            Err(error) => {
                let why = error.to_string();
                if !matches!(error.class, ErrorClass::Denied | ErrorClass::Permanent) {
                    self.passing = Some(error);
                }
                Sight::Unseen(why)
            }
        }
    }

    fn consumer(&self, id: &ConsumerId) -> Option<&'a dyn Consumer> {
        self.job.consumers.iter().find(|(have, _)| have == id).map(|(_, consumer)| consumer.as_ref())
    }

    async fn perform(&mut self, goal: &Goal<'_>, mutation: Mutation) -> Option<Fate> {
        if !(self.job.fence)() {
            return Some(Fate::Waiting("the lease is spent".to_owned()));
        }
        let (step, version, consumer) = match &mutation {
            Mutation::CreateAndPut { slot } => ("prepared", slot, None),
            Mutation::Promote { to, .. } => ("promoted", to, None),
            Mutation::Deliver { consumer, version } => ("delivered", version, Some(consumer)),
            Mutation::Activate { consumer, version } => ("activated", version, Some(consumer)),
        };
        if let Some(id) = consumer {
            let asked = self.asked.entry(id.clone()).or_default();
            *asked = asked.saturating_add(1);
            if *asked > self.job.budget.retries.saturating_mul(2).saturating_add(2) {
                self.refused.insert(id.clone(), format!("it was asked {asked} times and does not run version {version}"));
                return None;
            }
        }
        match (self.effect(goal, &mutation).await, consumer) {
            (Ok(()), _) => {
                self.failures = 0;
                self.event(step, Some(version), consumer.map_or("", ConsumerId::as_str));
                None
            }
            (Err(error), Some(id)) if matches!(error.class, ErrorClass::Denied | ErrorClass::Permanent) => {
                self.refused.insert(id.clone(), error.to_string());
                None
            }
            (Err(error), _) => self.failed(&error),
        }
    }

    async fn effect(&self, goal: &Goal<'_>, mutation: &Mutation) -> Result<(), WorldError> {
        let store = self.job.store;
        match mutation {
            Mutation::CreateAndPut { slot } => store.put(goal.secret, slot, &self.job.rotator.create().await?).await,
            Mutation::Promote { from, to } => store.promote(goal.secret, from.as_ref(), to).await,
            Mutation::Deliver { consumer, version } => {
                let value = store.read(goal.secret, version).await?;
                let target = self.still_current(goal, consumer, version).await?;
                target.deliver(version, &value).await
            }
            Mutation::Activate { consumer, version } => self.still_current(goal, consumer, version).await?.activate(version).await,
        }
    }

    /// The consumer, if `version` is in force and the lease lasts at the last moment before the effect.
    async fn still_current(&self, goal: &Goal<'_>, id: &ConsumerId, version: &VersionId) -> Result<&'a dyn Consumer, WorldError> {
        let refuse = |class, cause: &str| WorldError {
            class,
            operation: format!("bring `{id}` to version {version}"),
            cause: cause.to_owned(),
        };
        if self.job.store.describe(goal.secret).await?.current() != Some(version) {
            return Err(refuse(ErrorClass::Conflict, "another version is current now"));
        }
        if !(self.job.fence)() {
            return Err(refuse(ErrorClass::Transient, "the lease is spent"));
        }
        self.consumer(id).ok_or_else(|| refuse(ErrorClass::Permanent, "it cannot be reached from here"))
    }

    /// Any failure: observe again, unless a person must act or patience is used up.
    fn failed(&mut self, error: &WorldError) -> Option<Fate> {
        self.failures = self.failures.saturating_add(1);
        match error.class {
            ErrorClass::Denied | ErrorClass::Permanent => Some(Fate::Blocked(error.to_string())),
            ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Transient => {
                (self.failures > self.job.budget.retries).then(|| Fate::Failed(error.to_string()))
            }
        }
    }

    fn event(&mut self, step: &str, version: Option<&VersionId>, consumer: &str) {
        self.events.push(Event {
            at: self.clock.now(),
            credential: self.job.credential.id.clone(),
            rotation: self.rotation.clone(),
            step: step.to_owned(),
            version: version.cloned(),
            consumer: consumer.to_owned(),
        });
    }
}

fn goal(action: &ActionKind) -> Option<Goal<'_>> {
    match action {
        ActionKind::Rotate { secret, generation, consumers, .. } => {
            Some(Goal { secret, generation: generation.as_ref(), rotate: true, consumers })
        }
        ActionKind::Deliver { secret, generation, consumers, .. } => {
            Some(Goal { secret, generation: Some(generation), rotate: false, consumers })
        }
        _ => None,
    }
}
