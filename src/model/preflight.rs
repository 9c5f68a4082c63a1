//! What a look ahead finds before a rotation is begun: what would stop it half-way, what was found in order, what could not be seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::id::{ConsumerId, CredentialId, SourceId};
use super::rights::{GithubRights, Rights};
use super::time::Timestamp;
use super::usage::Asked;

/// Something that would stop a rotation before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obstacle {
    /// Its stable code.
    pub code: Code,
    /// What was found, as a clause.
    pub found: String,
    /// What a person does about it, as a clause.
    pub next: String,
}

/// Kinds of obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// AWS rotates the secret itself.
    RotatedByAws,
    /// Another service of AWS owns the secret.
    OwnedByAws,
    /// Another owner has put its tag on the secret.
    OwnedByAnother,
    /// The secret is to be deleted.
    BeingDeleted,
    /// The secret is the replica of another region's.
    Replica,
    /// A replica does not serve the current version.
    ReplicaBehind,
    /// The target lets no further credential in.
    NoFreeSlot,
    /// The target does not know whose credential it is.
    NoSuchUser,
    /// The login that would be given a new password may be in somebody's hands.
    LoginTaken,
    /// The KMS key of the secret cannot be used.
    KeyUnusable,
    /// A step is not permitted.
    NotPermitted,
    /// slm signs in with what it would replace.
    OwnKey,
    /// A consumer was not seen: nobody knows whether it could take the new value.
    ConsumerUnseen,
    /// A consumer would not see the new value: another place overrides it.
    Overridden,
    /// A consumer cannot take a value that long.
    TooLong,
    /// A consumer cannot take a letter that the value may have.
    WrongLetters,
}

impl Code {
    /// The fixed word in every rendering.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RotatedByAws => "rotated-by-aws",
            Self::OwnedByAws => "owned-by-aws",
            Self::OwnedByAnother => "owned-by-another",
            Self::BeingDeleted => "being-deleted",
            Self::Replica => "replica",
            Self::ReplicaBehind => "replica-behind",
            Self::NoFreeSlot => "no-free-slot",
            Self::NoSuchUser => "no-such-user",
            Self::LoginTaken => "login-taken",
            Self::KeyUnusable => "key-unusable",
            Self::NotPermitted => "not-permitted",
            Self::OwnKey => "own-key",
            Self::ConsumerUnseen => "consumer-unseen",
            Self::Overridden => "overridden",
            Self::TooLong => "too-long",
            Self::WrongLetters => "wrong-letters",
        }
    }

    /// Whether it holds a value back that is in wrong hands: only what would keep a new one from being made or put in force.
    #[must_use]
    pub const fn holds_a_leak(self) -> bool {
        let of_consumers = matches!(self, Self::ConsumerUnseen | Self::Overridden | Self::TooLong | Self::WrongLetters);
        !(of_consumers || matches!(self, Self::ReplicaBehind | Self::OwnKey))
    }
}

/// One thing that was looked at before a rotation is begun.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// What.
    pub check: Check,
    /// Of which credential or source.
    pub about: String,
    /// What came of it.
    pub result: Sighting,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Whether every step is permitted.
    Permissions,
    /// Whether the KMS key of the secret can be used.
    Key,
    /// Whether the target lets one more credential in.
    Slot,
    /// Whether replicas serve the current version.
    Replicas,
    /// Whether consumers are within reach.
    Consumers,
    /// Whether consumers can take the letters of a value.
    Letters,
    /// Whether the session that slm signs in with lasts.
    Session,
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sighting {
    /// It was seen, in these numbers or words.
    Seen(String),
    /// It was not seen, for this reason; it counts as neither good nor bad.
    Unseen(String),
    /// It was seen, and may cut the rotation off where the next run goes on; it holds nothing.
    Warned(String),
}

/// What sources were asked for the rotations of one plan; empty when nobody asked.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Credentials that were asked for.
    pub asked: BTreeSet<CredentialId>,
    /// What whoever applies may do in an account, or why that is not known.
    pub permissions: BTreeMap<SourceId, Result<Simulated, String>>,
    /// KMS keys by region and what secrets call them: why one cannot be used, if so, or why that is not known.
    pub keys: BTreeMap<(String, String), Result<Option<String>, String>>,
    /// When the session ends that slm signs in with; `None` when it does not, or why that is not known.
    pub sessions: BTreeMap<SourceId, Result<Option<Timestamp>, String>>,
    /// True when this very process applies what is planned.
    pub applies: bool,
    /// Access keys of IAM users just now, or why that is not known.
    pub counts: BTreeMap<CredentialId, Result<usize, String>>,
    /// What the administrator of the database of a credential may do there, or why that is not known.
    pub rights: BTreeMap<CredentialId, Result<Rights, String>>,
    /// What the logins of sources of GitHub may do.
    pub github: BTreeMap<SourceId, GithubRights>,
    /// Whether consumers are well whose credential could come back, of those that were looked at, or how it shows that they are not.
    pub health: BTreeMap<(CredentialId, ConsumerId), Result<(), String>>,
    /// Who uses credentials, of those that were asked for.
    pub uses: BTreeMap<CredentialId, Asked>,
    /// Requests sent for all of it.
    pub requests: u64,
}

/// What a principal may do.
#[derive(Clone, Debug, Default)]
pub struct Simulated {
    /// Whose policies were asked: an ARN.
    pub principal: String,
    /// What came of each step.
    pub steps: BTreeMap<Step, Permission>,
}

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// `iam:CreateAccessKey`.
    pub action: &'static str,
    /// An ARN.
    pub resource: String,
}

/// Whether a step is permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It is.
    Allowed,
    /// It is not.
    Denied,
    /// A simulation cannot tell, for this reason.
    Unsure(String),
}
