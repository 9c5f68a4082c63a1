//! What became of a plan, and the run that recorded it.

use serde::{Deserialize, Serialize};

use super::id::{CredentialId, RotationId, RunId, VersionId};
use super::plan::ActionKind;
use super::time::Timestamp;

/// What became of one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Done; the world is as the plan wanted it.
    Done,
    /// It was so already.
    AlreadySo,
    /// The world moved since the plan was made; nothing was done.
    Stale(String),
    /// Waits for something that time alone brings; resume will go on.
    Waiting(String),
    /// Stopped at a safe point; resume will go on.
    Stopped(String),
    /// A person must act before it can go on.
    Blocked(String),
    /// Failed at a safe point; resume will try again.
    Failed(String),
}

/// One action and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The action.
    pub action: ActionKind,
    /// What became of it.
    pub fate: Fate,
    /// What was done, in order.
    pub events: Vec<Event>,
}

/// One step that changed something, or confirmed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, by our clock.
    pub at: Timestamp,
    /// Which credential.
    pub credential: CredentialId,
    /// Which rotation.
    pub rotation: RotationId,
    /// The step, a fixed word: `prepared`, `promoted`, `delivered`, `adopted`, `done`.
    pub step: String,
    /// The version concerned.
    pub version: Option<VersionId>,
    /// The consumer concerned, or empty.
    pub consumer: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name: `20261124T050000Z-` and eight hex digits.
    pub id: RunId,
    /// The verb.
    pub verb: String,
    /// Version of slm.
    pub slm: String,
    /// The commit of the config repo, or `work-tree-` and a digest of its files.
    pub config: String,
    /// The instant judged at.
    pub at: Timestamp,
}
