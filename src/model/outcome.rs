//! What became of a plan, and the run that recorded it.

use serde::{Deserialize, Serialize};

use super::id::{ConsumerId, CredentialId, RotationId, RunId, VersionId};
use super::outlook::LastUsed;
use super::plan::ActionKind;
use super::time::{Limit, Timestamp};

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
    /// What the decision rested on, when it was to end the value before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readings: Option<Readings>,
}

/// What was read, all in one look, when it was decided that the value before is ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Readings {
    /// G1: consumers that were seen to run the version in force.
    pub running: Vec<ConsumerId>,
    /// G1: who was seen to read the version in force, and when last, where a consumer is acknowledged by that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// The store's clock.
    pub now: Timestamp,
    /// G2: when the version was in force at the latest, by the store's clock.
    pub promoted: Option<Timestamp>,
    /// G2: when nobody could hold the value before any more.
    pub settled: Option<Timestamp>,
    /// G3: work begun with the value before and not ended.
    pub draining: Vec<String>,
    /// The target's clock.
    pub target_now: Timestamp,
    /// G4: the last use of the credential before, by the target's clock.
    pub last_use: Option<LastUsed>,
    /// G4: how long it had to be unused.
    pub quiet: Limit,
    /// G5: replicas that did not serve the version in force.
    pub behind: Vec<String>,
    /// G6: why nobody permitted it.
    pub held: Option<String>,
    /// True when it was in wrong hands, so that of these only G5 and G6 counted.
    pub leak: bool,
    /// True when it was past its deadline, so that G3 and G4 did not count.
    pub overdue: bool,
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
