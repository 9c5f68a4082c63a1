//! Drives one action: observe, decide, perform one thing, until nothing is left or somebody else must act.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::decide::{Mutation, Step, decide};
use super::look::{self, Basis, Seen};
use super::names;
use super::observation::{Place, Sight};
use crate::model::catalog::{Credential, SecretRef};
use crate::model::id::{ConsumerId, KeyId, RotationId, VersionId};
use crate::model::outcome::{Event, Fate, Outcome};
use crate::model::plan::ActionKind;
use crate::model::secret::Secret;
use crate::world::{Clock, Consumer, ErrorClass, Fresh, KeyChange, Listing, Registers, Rotator, SecretStore, Target, WorldError};

/// Set when the run should stop at the next safe point.
pub type StopFlag = AtomicBool;

/// One action and the world it needs.
pub struct Job<'a> {
    /// A rotation, a delivery, or the end of an earlier rotation; others are refused.
    pub action: &'a ActionKind,
    /// The credential it is about.
    pub credential: &'a Credential,
    /// Where its value lives.
    pub store: &'a dyn SecretStore,
    /// Makes new values.
    pub rotator: &'a dyn Rotator,
    /// Where values are valid; `None` when nobody validates them.
    pub target: Option<&'a dyn Target>,
    /// Where is written, once, what was decided.
    pub registers: &'a dyn Registers,
    /// Its consumers; one that the action names and is missing here counts as unseen.
    pub consumers: &'a [(ConsumerId, Box<dyn Consumer>)],
    /// True while the lease lasts, by a monotonic clock; asked before each effect.
    pub fence: &'a (dyn Fn() -> bool + Send + Sync),
    /// Why the old credential may not be ended now, if so.
    pub retire_held: Option<String>,
    /// True when the old value is in wrong hands: it is ended at once.
    pub leak: bool,
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
    /// Times a new value must be let in, in a row, before it is approved.
    pub trials: u8,
    /// Pause between them.
    pub between: Duration,
    /// A new credential that is refused may still be on its way for this long, in seconds.
    pub settle: i64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { retries: 5, pause: Duration::from_millis(200), trials: 3, between: Duration::from_secs(5), settle: 300 }
    }
}

/// What the action asks for.
pub(super) struct Goal<'a> {
    /// Where the value lives.
    pub secret: &'a SecretRef,
    /// The version current when it was planned.
    pub generation: Option<&'a VersionId>,
    /// Whether it is to be left.
    pub rotate: bool,
    /// Whether what came before is to be ended.
    pub tail: bool,
    credential: &'a crate::model::id::CredentialId,
    consumers: &'a [ConsumerId],
}

impl Goal<'_> {
    /// Where the registers of `generation` are kept.
    pub(super) fn namespace(&self, generation: Option<&VersionId>) -> RotationId {
        names::rotation(self.credential, generation)
    }
}

/// Drives `job` to its end.
pub async fn drive(job: &Job<'_>, clock: &dyn Clock, stop: &StopFlag) -> Outcome {
    let mut engine = Engine::new(job, clock);
    let fate = loop {
        if stop.load(Ordering::Relaxed) && engine.is_safe() {
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
    job: &'a Job<'a>,
    clock: &'a dyn Clock,
    rotation: RotationId,
    pub(super) phase: Phase,
    failures: u8,
    /// Effects asked of each consumer. Only ever makes us more careful.
    asked: BTreeMap<ConsumerId, u8>,
    /// Consumers that will not take a version any more in this drive, and why.
    pub(super) refused: BTreeMap<ConsumerId, (VersionId, String)>,
    /// The last failure to see a consumer that may pass by itself.
    passing: Option<WorldError>,
    events: Vec<Event>,
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
        Self { job, clock, rotation, phase, failures: 0, asked, refused, passing: None, events: Vec::new() }
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
        Outcome { action: self.job.action.clone(), fate, events: self.events }
    }

    async fn look(&mut self, goal: &Goal<'_>, listing: Listing) -> Option<Fate> {
        self.passing = None;
        let seen = look::store(self.job, goal, self.clock, listing, async || self.places(goal).await).await;
        let (observation, basis) = match seen {
            Ok(Seen::Whole(whole)) => *whole,
            Ok(Seen::Stale(fate)) => return Some(fate),
            Err(error) => return self.failed(&error),
        };
        match decide(&observation) {
            Step::Act(mutation) => {
                self.phase = Phase::Decided(mutation, Box::new(basis));
                None
            }
            Step::Wait(Some(late), why) => Some(Fate::Waiting(format!("until {late}: {why}"))),
            Step::Wait(None, why) => Some(Fate::Waiting(why)),
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
        let Some(consumer) = self.consumer(id) else {
            return Sight::Unseen("it cannot be reached from here".to_owned());
        };
        let (sight, passing) = look::sight(consumer.observe().await);
        self.passing = passing.or(self.passing.take());
        sight
    }

    fn consumer(&self, id: &ConsumerId) -> Option<&'a dyn Consumer> {
        self.job.consumers.iter().find(|(have, _)| have == id).map(|(_, consumer)| consumer.as_ref())
    }

    async fn perform(&mut self, goal: &Goal<'_>, mutation: Mutation, basis: &Basis) -> Option<Fate> {
        if !(self.job.fence)() {
            return Some(Fate::Waiting("the lease is spent".to_owned()));
        }
        let consumer = about(&mutation);
        if let Some((id, version)) = consumer {
            let asked = self.asked.entry(id.clone()).or_default();
            *asked = asked.saturating_add(1);
            if *asked > self.job.budget.retries.saturating_mul(2).saturating_add(2) {
                let why = format!("it was asked {asked} times and does not run version {version}");
                self.refused.insert(id.clone(), (version.clone(), why));
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
                None
            }
            (Err(error), Some((id, version))) if matches!(error.class, ErrorClass::Denied | ErrorClass::Permanent) => {
                self.refused.insert(id.clone(), (version.clone(), error.to_string()));
                None
            }
            (Err(error), _) => self.failed(&error),
        }
    }

    /// Performs `mutation`; gives what is to be told about it.
    async fn effect(
        &mut self,
        goal: &Goal<'_>,
        mutation: &Mutation,
        basis: &Basis,
    ) -> Result<Vec<(&'static str, Option<VersionId>)>, WorldError> {
        let store = self.job.store;
        let told = |step, version: &VersionId| Ok(vec![(step, Some(version.clone()))]);
        match mutation {
            Mutation::Create { slot } => {
                let current = self.current(goal, basis).await?;
                let fresh = self.job.rotator.create(slot, current.as_ref()).await?;
                self.phase = Phase::Holding(slot.clone(), fresh);
                told("created", slot)
            }
            Mutation::Prepare { slot } => {
                let current = self.current(goal, basis).await?;
                store.put(goal.secret, slot, &self.job.rotator.create(slot, current.as_ref()).await?.value).await?;
                told("prepared", slot)
            }
            Mutation::Adopt { slot, key } => {
                let value = self.target(key.as_str())?.reread(key).await?;
                store.put(goal.secret, slot, &value).await?;
                told("prepared", slot)
            }
            Mutation::Close { slot, condemned } => {
                let value =
                    super::observation::tombstone(condemned).map_err(|cause| permanent("close a slot", &cause.to_string()))?;
                store.put(goal.secret, slot, &value).await?;
                told("closed", slot)
            }
            Mutation::Restore { to } => {
                let parent = basis.parent.as_ref().ok_or_else(|| permanent("bring a value back", "nothing was before"))?;
                store.put(goal.secret, to, &store.read(goal.secret, parent).await?).await?;
                told("restored", to)
            }
            Mutation::Promote { from, to } => {
                store.promote(goal.secret, from.as_ref(), to).await?;
                told("promoted", to)
            }
            Mutation::Install { version, over } => {
                let value = store.read(goal.secret, version).await?;
                self.target(version.as_str())?.install(&value, version, over.as_ref()).await?;
                told("installed", version)
            }
            Mutation::Deliver { consumer, version } => {
                let value = store.read(goal.secret, version).await?;
                self.fenced(consumer)?.deliver(version, &value).await?;
                told("delivered", version)
            }
            Mutation::Activate { consumer, version } => {
                self.fenced(consumer)?.activate(version).await?;
                told("activated", version)
            }
            Mutation::Change { key, change } => {
                self.target(key.as_str())?.change(key, *change).await?;
                let step = match change {
                    KeyChange::Disable => "disabled",
                    KeyChange::Enable => "enabled",
                    KeyChange::Delete => "deleted",
                };
                Ok(vec![(step, None)])
            }
            Mutation::Judge { .. } | Mutation::Reject { .. } | Mutation::Fate(_) | Mutation::Prove | Mutation::Mark(_) => {
                self.write(goal, mutation, basis).await
            }
        }
    }

    /// The value in force, for rotators whose next one follows from it.
    async fn current(&self, goal: &Goal<'_>, basis: &Basis) -> Result<Option<Secret>, WorldError> {
        match &basis.generation {
            Some(generation) if self.job.rotator.capabilities().follows => {
                self.job.store.read(goal.secret, generation).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Keeps what the server issued, or makes it go away when its slot is taken.
    async fn record(&mut self, goal: &Goal<'_>, slot: VersionId, fresh: Fresh) -> Option<Fate> {
        if !(self.job.fence)() {
            return Some(Fate::Waiting("the lease is spent".to_owned()));
        }
        match self.job.store.put(goal.secret, &slot, &fresh.value).await {
            Ok(()) => {
                self.failures = 0;
                self.event("recorded", Some(&slot), "");
                None
            }
            Err(error) if error.class == ErrorClass::Conflict => match fresh.key {
                Some(key) => {
                    self.phase = Phase::Dropping(key);
                    None
                }
                None => self.failed(&error),
            },
            Err(error) => self.failed(&error),
        }
    }

    async fn drop_key(&mut self, key: &KeyId) -> Option<Fate> {
        if !(self.job.fence)() {
            return Some(Fate::Waiting("the lease is spent".to_owned()));
        }
        let gone = match self.target(key.as_str()) {
            Ok(target) => target.change(key, KeyChange::Delete).await,
            Err(error) => Err(error),
        };
        match gone {
            Ok(()) => {
                self.event("dropped", None, "");
                None
            }
            Err(error) => self.failed(&error),
        }
    }

    pub(super) fn target(&self, what: &str) -> Result<&'a dyn Target, WorldError> {
        self.job.target.ok_or_else(|| permanent(&format!("reach what lets {what} in"), "this kind has no target"))
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

    /// The consumer, if the lease lasts.
    fn fenced(&self, id: &ConsumerId) -> Result<&'a dyn Consumer, WorldError> {
        let refuse =
            |class, cause: &str| WorldError { class, operation: format!("bring `{id}` up to date"), cause: cause.to_owned() };
        if !(self.job.fence)() {
            return Err(refuse(ErrorClass::Transient, "the lease is spent"));
        }
        self.consumer(id).ok_or_else(|| refuse(ErrorClass::Permanent, "it cannot be reached from here"))
    }

    /// Any failure: observe again, unless a person must act or patience is used up.
    pub(super) fn failed(&mut self, error: &WorldError) -> Option<Fate> {
        self.failures = self.failures.saturating_add(1);
        match error.class {
            ErrorClass::Denied | ErrorClass::Permanent => Some(Fate::Blocked(error.to_string())),
            ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Transient => {
                (self.failures > self.job.budget.retries).then(|| Fate::Failed(error.to_string()))
            }
        }
    }

    pub(super) fn job(&self) -> &'a Job<'a> {
        self.job
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

/// The consumer that `mutation` has an effect on, and the version it is given.
fn about(mutation: &Mutation) -> Option<(&ConsumerId, &VersionId)> {
    match mutation {
        Mutation::Deliver { consumer, version } | Mutation::Activate { consumer, version } => Some((consumer, version)),
        _ => None,
    }
}

pub(super) fn permanent(operation: &str, cause: &str) -> WorldError {
    WorldError { class: ErrorClass::Permanent, operation: operation.to_owned(), cause: cause.to_owned() }
}

fn goal<'a>(job: &Job<'a>) -> Option<Goal<'a>> {
    let credential = &job.credential.id;
    match job.action {
        ActionKind::Rotate { secret, generation, consumers, .. } => {
            let tail = job.target.is_some();
            Some(Goal { secret, generation: generation.as_ref(), rotate: true, tail, credential, consumers })
        }
        ActionKind::Finish { secret, generation, consumers, .. } => {
            Some(Goal { secret, generation: Some(generation), rotate: false, tail: true, credential, consumers })
        }
        ActionKind::Deliver { secret, generation, consumers, .. } => {
            Some(Goal { secret, generation: Some(generation), rotate: false, tail: false, credential, consumers })
        }
        _ => None,
    }
}
