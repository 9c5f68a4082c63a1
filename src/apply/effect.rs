//! Performs what was decided: one change to the world each.

use super::decide::Mutation;
use super::engine::{Engine, Phase};
use super::job::Goal;
use super::look::Basis;
use crate::model::id::{ConsumerId, KeyId, VersionId};
use crate::model::marker;
use crate::model::names;
use crate::model::outcome::Fate;
use crate::model::secret::Secret;
use crate::world::{Consumer, ErrorClass, Fresh, KeyChange, Target, Trial, WorldError};

/// Steps to be told, each with the version it is about.
pub(super) type Told = Vec<(&'static str, Option<VersionId>)>;

impl<'a> Engine<'a> {
    /// Performs `mutation`; gives what is to be told about it.
    pub(super) async fn effect(&mut self, goal: &Goal<'_>, mutation: &Mutation, basis: &Basis) -> Result<Told, WorldError> {
        let store = self.job.store;
        let told = |step, version: &VersionId| Ok(vec![(step, Some(version.clone()))]);
        match mutation {
            Mutation::Create { slot } => {
                self.note_seen(goal, basis).await?;
                let current = self.current(goal, basis).await?;
                let fresh = self.job.rotator.create(slot, current.as_ref()).await?;
                self.phase = Phase::Holding(slot.clone(), fresh);
                told("created", slot)
            }
            Mutation::Prepare { slot } => {
                self.note_seen(goal, basis).await?;
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
                let value = marker::tombstone(condemned).map_err(|cause| permanent("close a slot", &cause.to_string()))?;
                store.put(goal.secret, slot, &value).await?;
                told("closed", slot)
            }
            Mutation::Restore { to } => {
                let parent = basis.parent.as_ref().ok_or_else(|| permanent("bring a value back", "nothing was before"))?;
                store.put(goal.secret, to, &store.read(goal.secret, parent).await?).await?;
                told("restored", to)
            }
            Mutation::Promote { from, to } => {
                self.works(goal, from.as_ref(), to).await?;
                self.note_stage(goal, to).await?;
                store.promote(goal.secret, from.as_ref(), to).await?;
                told("promoted", to)
            }
            Mutation::Install { .. } | Mutation::Deliver { .. } | Mutation::Activate { .. } | Mutation::Change { .. } => {
                self.outside(goal, mutation).await
            }
            Mutation::Judge { .. }
            | Mutation::Reject { .. }
            | Mutation::Fate(_)
            | Mutation::NoReturn
            | Mutation::Leak(_)
            | Mutation::Prove
            | Mutation::Mark(_) => self.write(goal, mutation, basis).await,
        }
    }

    /// A value that comes back has no verdict: it is tried before it is put in force.
    async fn works(&self, goal: &Goal<'_>, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        let back = from.is_some_and(|from| *to == names::rollback(goal.secret, from));
        if !back || self.job.target.is_none() {
            return Ok(());
        }
        match self.job.rotator.verify(&self.job.store.read(goal.secret, to).await?).await? {
            Trial::Accepted => self.note_place(goal, to).await,
            Trial::Elsewhere(cause) => Err(permanent(&format!("use version {to}, which is to come back"), &cause)),
            Trial::Refused(cause) | Trial::Useless(cause) => Err(WorldError {
                class: ErrorClass::Transient,
                operation: format!("use version {to}, which is to come back"),
                cause,
            }),
        }
    }

    /// A change to a target or a consumer.
    async fn outside(&self, goal: &Goal<'_>, mutation: &Mutation) -> Result<Told, WorldError> {
        let told = |step, version: &VersionId| Ok(vec![(step, Some(version.clone()))]);
        match mutation {
            Mutation::Install { version, over } => {
                let value = self.credential(goal, version).await?;
                self.target(version.as_str())?.install(&value, version, over.as_ref()).await?;
                told("installed", version)
            }
            Mutation::Deliver { consumer, version } => {
                let value = self.credential(goal, version).await?;
                self.fenced(consumer)?.deliver(version, &value).await?;
                told("delivered", version)
            }
            Mutation::Activate { consumer, version } => {
                self.fenced(consumer)?.activate(version).await?;
                told("activated", version)
            }
            Mutation::Change { key, seen, change } => {
                self.target(key.as_str())?.change(key, seen.as_ref(), *change).await?;
                let step = match change {
                    KeyChange::Disable => "disabled",
                    KeyChange::Enable => "enabled",
                    KeyChange::Delete => "deleted",
                };
                Ok(vec![(step, None)])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The value of `version`, which must not be something that slm wrote to say that there is none.
    async fn credential(&self, goal: &Goal<'_>, version: &VersionId) -> Result<Secret, WorldError> {
        let value = self.job.store.read(goal.secret, version).await?;
        if marker::may_be_a_credential(&value) {
            return Ok(value);
        }
        let cause = "it holds no credential; store one that works as the value of the secret";
        Err(permanent(&format!("use version {version}"), cause))
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
    pub(super) async fn record(&mut self, goal: &Goal<'_>, slot: VersionId, fresh: Fresh) -> Option<Fate> {
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

    pub(super) async fn drop_key(&mut self, key: &KeyId) -> Option<Fate> {
        if !(self.job.fence)() {
            return Some(Fate::Waiting("the lease is spent".to_owned()));
        }
        let gone = match self.target(key.as_str()) {
            Ok(target) => {
                let change = if self.job.rotator.capabilities().delete { KeyChange::Delete } else { KeyChange::Disable };
                target.change(key, None, change).await
            }
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

    /// The consumer, if the lease lasts.
    fn fenced(&self, id: &ConsumerId) -> Result<&'a dyn Consumer, WorldError> {
        let refuse =
            |class, cause: &str| WorldError { class, operation: format!("bring `{id}` up to date"), cause: cause.to_owned() };
        if !(self.job.fence)() {
            return Err(refuse(ErrorClass::Transient, "the lease is spent"));
        }
        self.consumer(id).ok_or_else(|| refuse(ErrorClass::Permanent, "it cannot be reached from here"))
    }
}

pub(super) fn permanent(operation: &str, cause: &str) -> WorldError {
    WorldError { class: ErrorClass::Permanent, operation: operation.to_owned(), cause: cause.to_owned() }
}
