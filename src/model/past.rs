//! What is known of a run of the past: what it said, what it rests on, who stood behind its rules.

use serde::Serialize;

use super::assessment::{Because, Status, Subject, Tally};
use super::attestation::{Manual, Signed};
use super::id::{ControlId, CriterionId, FrameworkId};
use super::period::At;
use super::time::Timestamp;

/// One decision as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The control.
    pub control: ControlId,
    /// What it is about.
    pub subject: Subject,
    /// The status.
    pub status: Status,
    /// Why.
    pub because: Because,
}

/// A file of the locker that something rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Artefact {
    /// Where it stands in the commit of the run.
    pub path: String,
    /// SHA-256 of its bytes, in hex, as its entry in the log has it.
    pub sha256: String,
    /// How many there are.
    pub bytes: u64,
    /// The object in the object store that holds what was received, where this file only points to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Held>,
}

/// What an object of the object store holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Held {
    /// Its name in the store.
    pub name: String,
    /// SHA-256 of the bytes in it, in hex.
    pub sha256: String,
    /// How many there are.
    pub bytes: u64,
}

/// Who made the commit of a config, as git has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authored {
    /// The commit.
    pub commit: String,
    /// Name and address.
    pub author: String,
    /// When it was written.
    pub authored: Timestamp,
    /// Name and address of who committed it.
    pub committer: String,
    /// When it was committed.
    pub committed: Timestamp,
    /// The first line of its message.
    pub subject: String,
    /// What its signature comes to.
    pub signature: Signature,
    /// What was observed of it by the run: approvers, signature, and so on, by name.
    pub observed: Vec<(String, String)>,
}

/// What the signature of a commit comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// There is none.
    None,
    /// Something stands in its place, and nobody looked whether it holds: who may sign is not known, or it is of a kind that is not checked.
    Unchecked,
    /// It holds, and its key is of these.
    Good(String),
    /// It holds under a key that nobody allowed.
    UnknownKey,
    /// It does not hold.
    Bad,
}

/// What does not hold, or could not be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// Stable code.
    pub code: &'static str,
    /// In words.
    pub what: String,
}

/// A run that judged by another config than the run before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TextChange {
    /// The first run by the new text.
    pub run: At,
    /// The config before.
    pub before: String,
    /// The config since.
    pub after: String,
    /// Who made it; `None` when that commit is not here.
    pub authored: Option<Authored>,
    /// Files of the config that are other; `None` when either commit is not here.
    pub files: Option<Vec<String>>,
    /// Controls of which the text before would have said otherwise of what that run saw; none when it says the same.
    pub otherwise: Vec<Otherwise>,
    /// Why what the text before would have said is not to be known.
    pub unseen: Option<Noted>,
}

/// What two texts say of the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Otherwise {
    /// The control.
    pub control: ControlId,
    /// How many subjects had each status by the text before; none where that had no such control.
    pub before: Option<Tally>,
    /// The same by the text since, as recorded.
    pub after: Option<Tally>,
}

/// Which controls serve a criterion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Serving {
    /// The framework.
    pub framework: FrameworkId,
    /// The criterion.
    pub criterion: CriterionId,
    /// In our own words.
    pub title: String,
    /// Controls that are judged by what is observed.
    pub judged: Vec<ControlId>,
    /// Controls that a person states.
    pub stated: Vec<ControlId>,
    /// Controls that nothing observes yet.
    pub waiting: Vec<ControlId>,
    /// Whether each of those that a person states is signed.
    pub signatures: Vec<Manual>,
    /// Whether it is signed, where only a person can attest it.
    pub signature: Option<Signed>,
    /// Controls that were judged in the stretch and are declared no more: they serve it no longer.
    pub removed: Vec<ControlId>,
}

impl Serving {
    /// Every control that has something to do with it.
    pub fn controls(&self) -> impl Iterator<Item = &ControlId> {
        self.judged.iter().chain(&self.stated).chain(&self.waiting).chain(&self.removed)
    }

    /// True when no control serves it that anybody or anything answers for, and it is not a person's to sign.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.judged.is_empty() && self.stated.is_empty() && self.signature.is_none()
    }

    /// True when nothing judges it, and nobody whose word it needs has signed.
    #[must_use]
    pub fn is_unsigned(&self) -> bool {
        let mut signed = self.signatures.iter().map(|one| &one.state).chain(&self.signature);
        self.judged.is_empty() && !self.is_gap() && !signed.any(Signed::stands)
    }
}

/// What the log of the locker said at the end of a stretch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogHead {
    /// Its name.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// Their root, in hex.
    pub root: String,
    /// When its last commit was made.
    pub received: Timestamp,
    /// The commit whose `log/checkpoint` it is.
    pub commit: String,
    /// Keys that sign it, by file.
    pub keys: Vec<String>,
}
