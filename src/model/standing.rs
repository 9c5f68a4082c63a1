//! How one credential stands: the phase of its rotation, what it waits for and until when.

use serde::Serialize;

use super::gate::Quieted;
use super::id::{ConsumerId, VersionId};
use super::outlook::{Deadline, Validity};
use super::time::{Limit, Timestamp};

/// Where the rotation of a credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Its store, its rotation or a consumer was not seen.
    Unseen,
    /// It has no value yet.
    Empty,
    /// A new value is kept in a slot and not in force yet.
    Prepared,
    /// No attempt at a new value is left: a person has to find out why.
    Spent,
    /// The store has begun to replace the value by itself, and may take its time.
    Rotating,
    /// The same, for longer than it may.
    Stuck,
    /// A new value is in force and some consumer does not run it.
    Delivering,
    /// Every consumer runs it; the value before waits to be unused.
    Retiring,
    /// The value before is disabled and waits to be deleted.
    Soaking,
    /// A rotation that takes several values is on its way: the next one is not made yet.
    Staged,
    /// It was decided that the value before comes back.
    Returning,
    /// A person has to rotate it soon.
    Remind,
    /// Nobody knows yet whether what a person stored works.
    Untried,
    /// Older than it may be.
    Due,
    /// Nothing is left to do.
    Done,
}

/// Whether a value that a person stored was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tried {
    /// Nothing is declared that tries it.
    Undeclared,
    /// Not yet, or it was refused.
    NotYet,
    /// It was let in at this instant.
    At(Timestamp),
}

/// Consumers that do not run the version in force for longer than they may, while others do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Holding {
    /// Which.
    pub consumers: Vec<ConsumerId>,
    /// Since when there is another version.
    pub since: Timestamp,
    /// The limit as written.
    pub limit: Limit,
}

/// A consumer that runs a version when those it reads as were seen to read it, and they were not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unread {
    /// Which.
    pub consumer: ConsumerId,
    /// ARNs of those who were not seen.
    pub principals: Vec<String>,
    /// Since when the version is in force; `None` when nobody noted it.
    pub since: Option<Timestamp>,
    /// What was not looked at, and why.
    pub unseen: Option<String>,
    /// When by all that is declared they have read it, and the log shows that.
    pub expected: Option<Timestamp>,
    /// True when the log has forgotten who read it first.
    pub forgotten: bool,
}

/// What broke after the value before was disabled, while that can still come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Broken {
    /// What, one clause each.
    pub found: Vec<String>,
    /// Since when the value before is disabled.
    pub disabled: Timestamp,
}

/// How one credential stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// Where its rotation stands.
    pub phase: Phase,
    /// The version in force.
    pub generation: Option<VersionId>,
    /// When its value came about.
    pub since: Option<Timestamp>,
    /// When it is due to be rotated.
    pub due: Option<Timestamp>,
    /// The instant before which the next step is not taken.
    pub until: Option<Timestamp>,
    /// Consumers that do not run the version in force.
    pub behind: Vec<ConsumerId>,
    /// Of those, the ones that nobody was seen to read it for.
    pub unread: Vec<Unread>,
    /// Who holds the end of the value before, when that is for longer than it may be.
    pub holding: Option<Holding>,
    /// What broke after the value before was disabled.
    pub broken: Option<Broken>,
    /// Since when it is known that what is to be ended, or to be replaced and ended, is in wrong hands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaked: Option<Timestamp>,
    /// The version before, when it was let in while another kind was declared and its end was not noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<VersionId>,
    /// Whether the value in force was tried; `None` when slm rotates it.
    pub tried: Option<Tried>,
    /// When somebody read it last, as far as its store tells; `None` when slm rotates it.
    pub last_used: Option<Timestamp>,
    /// How long the value before must be unused; `None` when none is to be ended.
    pub quiet: Option<Quieted>,
    /// By when the value before should be ended.
    pub deadline: Option<Deadline>,
    /// For how long values have been valid.
    pub validity: Validity,
    /// The longest a value is valid when runs are on time: its period, and what it takes to end it.
    pub max_validity: Limit,
}
