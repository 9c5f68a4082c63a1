//! One action and what it needs of the world.

use std::time::Duration;

use crate::model::catalog::{Credential, SecretRef};
use crate::model::id::{ConsumerId, RotationId, VersionId};
use crate::model::names;
use crate::model::plan::ActionKind;
use crate::world::{Consumer, Registers, Rotator, SecretStore, Target};

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
    /// Whose it is.
    pub credential: &'a crate::model::id::CredentialId,
    /// Whom it is brought to.
    pub consumers: &'a [ConsumerId],
}

impl Goal<'_> {
    /// Where the registers of `generation` are kept.
    pub(super) fn namespace(&self, generation: Option<&VersionId>) -> RotationId {
        names::rotation(self.credential, generation)
    }
}

/// What `job` asks for; `None` for an action that is not driven here.
pub(super) fn goal<'a>(job: &Job<'a>) -> Option<Goal<'a>> {
    let credential = &job.credential.id;
    match job.action {
        ActionKind::Rotate { secret, generation, consumers, .. } => {
            let tail = job.target.is_some() || job.rotator.capabilities().staged();
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
