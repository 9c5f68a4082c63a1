//! A plan: what will be done, in order, and what was held back and why. It leaves nothing to decide.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::SecretRef;
use super::id::{ConsumerId, ControlId, CredentialId, CriterionId, FrameworkId, ResourceId, RotationId, RuleId, VersionId};
use super::outlook::Outlook;
use super::preflight::{Looked, Obstacle};
use super::time::{Limit, Timestamp};
use super::usage::Usage;

/// Format version of a saved plan; a plan of another version is refused.
pub const PLAN_FORMAT: u32 = 1;

/// Everything one run will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// The instant it was made for.
    pub at: Timestamp,
    /// The commit of the config repo, or `work-tree-` and a digest of its files.
    pub config: String,
    /// SHA-256 of the canonical snapshot, lower-case hex.
    pub snapshot: String,
    /// In the order of execution.
    pub actions: Vec<Action>,
    /// Held back, sorted by credential or control.
    pub held: Vec<Held>,
    /// What is restarted once for several credentials, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<Together>,
    /// What was looked at before the rotations of `actions`, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preflight: Vec<Looked>,
    /// Who uses what `actions` and `held` end or replace, as far as it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Usage>,
}

/// One restart for several credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Together {
    /// What is restarted, and where it is.
    pub workload: String,
    /// For which; one alone has several consumers there.
    pub credentials: Vec<CredentialId>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What is done.
    pub kind: ActionKind,
    /// Why.
    pub reason: Reason,
    /// Controls served.
    pub controls: Vec<ControlId>,
    /// Criteria served.
    pub criteria: Vec<(FrameworkId, CriterionId)>,
    /// The guard rules that permitted it; empty for an action that changes nothing outside.
    pub permitted_by: Vec<RuleId>,
    /// What lies ahead, of a rotation and of the end of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<Outlook>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Replace a credential.
    Rotate {
        /// Which.
        credential: CredentialId,
        /// Where its value lives.
        secret: SecretRef,
        /// The version that is current now; the action is stale when it no longer is. `None` when no value exists yet.
        generation: Option<VersionId>,
        /// Names the rotation everywhere.
        rotation: RotationId,
        /// In order of delivery.
        consumers: Vec<ConsumerId>,
    },
    /// Bring consumers to the version that is current; nothing is rotated.
    Deliver {
        /// Which.
        credential: CredentialId,
        /// Where its value lives.
        secret: SecretRef,
        /// The version they must run.
        generation: VersionId,
        /// Those known or presumed to run another.
        consumers: Vec<ConsumerId>,
    },
    /// End what the last rotation left behind: wait until nobody uses the old value, disable it, delete it.
    Finish {
        /// Which.
        credential: CredentialId,
        /// Where its value lives.
        secret: SecretRef,
        /// The version in force.
        generation: VersionId,
        /// Names the rotation that made it current.
        rotation: RotationId,
        /// All of them, in order of delivery.
        consumers: Vec<ConsumerId>,
    },
    /// Read a control's evidence again.
    Collect {
        /// Which.
        control: ControlId,
    },
    /// Ask a person.
    Escalate {
        /// Which control.
        control: ControlId,
        /// Which resource; `None` for the whole population.
        resource: Option<ResourceId>,
        /// Whom.
        owner: String,
    },
    /// Ask the owner of a credential that slm does not rotate.
    EscalateCredential {
        /// Which.
        credential: CredentialId,
        /// Whom.
        owner: String,
    },
    /// Try the value that a person stored.
    Verify {
        /// Which.
        credential: CredentialId,
        /// Where its value lives.
        secret: SecretRef,
        /// The version in force.
        generation: VersionId,
    },
    /// Propose to declare a credential that was found.
    Adopt {
        /// The resource.
        resource: ResourceId,
        /// The control that found it.
        control: ControlId,
    },
}

impl ActionKind {
    /// The credential that it touches.
    #[must_use]
    pub const fn credential(&self) -> Option<&CredentialId> {
        match self {
            Self::Rotate { credential, .. }
            | Self::Deliver { credential, .. }
            | Self::Finish { credential, .. }
            | Self::Verify { credential, .. } => Some(credential),
            Self::Collect { .. } | Self::Escalate { .. } | Self::EscalateCredential { .. } | Self::Adopt { .. } => None,
        }
    }
}

/// Why an action is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It has no value yet.
    NoValue,
    /// A rotation was begun and not finished.
    HalfDone,
    /// It was written down that the value that is to be ended is in wrong hands: whoever goes on ends it at once.
    InWrongHands {
        /// When, by the store's clock.
        since: Timestamp,
    },
    /// A rotation that the store itself began is under way for longer than it may be.
    Stuck {
        /// When it was begun, by the store's clock.
        since: Timestamp,
    },
    /// A rotation that takes several values is on its way.
    Staged,
    /// What the last rotation replaced is not ended yet.
    NotRetired,
    /// What the last rotation replaced is not ended yet, and should be by now.
    NotRetiredInTime {
        /// When its successor was put in force, by the store's clock.
        since: Timestamp,
        /// The deadline as written.
        limit: Limit,
    },
    /// Something broke after what the last rotation replaced was disabled, and that can still come back.
    Broken {
        /// What, one clause each.
        found: Vec<String>,
        /// When it was disabled, by the target's or the store's clock.
        disabled: Timestamp,
    },
    /// A value is let in for longer than any may be.
    ValidTooLong {
        /// When its version was made, by the store's clock.
        since: Timestamp,
        /// The limit as written.
        limit: Limit,
    },
    /// Older than its limit.
    TooOld {
        /// When the current value came about.
        since: Timestamp,
        /// The age at which it is due, jitter included.
        due_after: Limit,
        /// The limit as written.
        limit: Limit,
    },
    /// It is made of another credential, which has a later value or is to get one before it.
    Derived {
        /// Of which.
        from: CredentialId,
        /// When the other got its value; `None` when that is to come.
        since: Option<Timestamp>,
    },
    /// A control is breached.
    NonCompliant,
    /// Evidence is missing, stale or incomplete.
    NoEvidence(String),
    /// A consumer does not run the current version.
    NotAdopted,
    /// Found, but not declared.
    Undeclared,
    /// A person has to rotate it.
    ByHand {
        /// When the current value came about; `None` when there is none.
        since: Option<Timestamp>,
        /// When it has to be done.
        due: Option<Timestamp>,
        /// The limit as written.
        limit: Limit,
        /// What the person does, on one line.
        steps: String,
    },
    /// Every attempt at a new value failed, and none is left.
    AttemptsSpent {
        /// Attempts made.
        attempts: u8,
    },
    /// The value before was let in while another kind was declared, and its end was not noted: this kind ends nothing.
    LeftLetIn {
        /// Which.
        version: VersionId,
    },
    /// Nobody knows yet whether what a person stored works.
    Untried,
    /// Nobody has used it for longer than it may go unused.
    Unused {
        /// Its last use; when it came about if there was none.
        since: Timestamp,
        /// The limit as written.
        limit: Limit,
    },
    /// There is a sign that its value is in wrong hands.
    Leaked {
        /// Which, and what else is to be done about it.
        sign: String,
    },
    /// A person asked for it.
    Forced,
    /// A person asked for the value before.
    RolledBack,
}

/// Something that is due and will not be done now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// What would have been done.
    pub kind: ActionKind,
    /// Why it is due.
    pub reason: Reason,
    /// Why it is not done.
    pub because: HeldBecause,
    /// What would lie ahead, of a rotation and of the end of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<Outlook>,
}

/// Why something due is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBecause {
    /// No guard rule permits it.
    NothingPermits,
    /// A guard rule forbids it.
    Forbidden(Vec<RuleId>),
    /// Judging the guard failed.
    GuardError(String),
    /// This run has rotated its share already.
    ShareLimit {
        /// Rotations allowed in one run.
        allowed: u64,
    },
    /// Nothing is begun and nothing ended before this instant.
    Frozen {
        /// The end of the freeze.
        until: Timestamp,
    },
    /// What was signed with a key that would be dropped may still be shown to somebody.
    Early {
        /// Until when.
        until: Timestamp,
    },
    /// No change window is open.
    OutsideWindow {
        /// When the next one opens.
        opens: Timestamp,
    },
    /// Its store was not seen to its end.
    Unseen(String),
    /// It has no consumer that could be seen, or its store has no writer here.
    NoWriter(String),
    /// A person does it, in this way.
    Person(String),
    /// It would be stopped half-way.
    Preflight(Vec<Obstacle>),
    /// Attempts are used up; a person must look.
    AttemptsSpent {
        /// Attempts made.
        attempts: u8,
    },
}

/// The rotation's name: 12 hex digits fixed by the credential and the generation it leaves (`none` before the first value).
#[must_use]
pub fn rotation_id(credential: &CredentialId, generation: Option<&VersionId>) -> RotationId {
    let mut hash = Sha256::new();
    for part in [credential.as_str(), generation.map_or("none", VersionId::as_str)] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hex: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    RotationId::from(hex)
}
