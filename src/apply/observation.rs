//! What a decision rests on, classified from what was read; pure.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::Gate;
use crate::model::id::{ConsumerId, KeyId, VersionId};
use crate::model::time::{Limit, Timestamp};
use crate::world::{Capabilities, ConsumerView, KeyView, LastUse};

/// Everything the decision rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What the rotator's kind can do.
    pub capabilities: Capabilities,
    /// The version in force.
    pub generation: Option<VersionId>,
    /// What is in it, as far as it was read.
    pub force: Force,
    /// True when this generation is to be left.
    pub due: bool,
    /// True when what this generation replaced, or is to be replaced, is in wrong hands.
    pub leak: bool,
    /// The version of which this run alone knows that it is in wrong hands.
    pub untold: Option<VersionId>,
    /// True when this run may end what an earlier generation left behind.
    pub tail: bool,
    /// True when a consumer goes on for a while with what it had before it took a version.
    pub lingers: bool,
    /// Attempts at replacing this generation, as many as are allowed.
    pub slots: Vec<Slot>,
    /// What brings back the value before this generation.
    pub restore: Option<Slot>,
    /// What was decided about the value before this generation.
    pub fate: Option<Ending>,
    /// What was decided about it after that, when it was disabled.
    pub last: Option<Last>,
    /// Every credential at the target.
    pub keys: Vec<Key>,
    /// The version installed at a target that keeps one value, when it tells.
    pub installed: Option<VersionId>,
    /// True when the value before names a credential that the target does not list any more: it cannot come back.
    pub gone: bool,
    /// What another kind of rotator, or its target, left behind and nobody here can end.
    pub left: Option<Left>,
    /// Versions that could not be read, of those that were needed to tell whose the credentials are.
    pub unreadable: Vec<VersionId>,
    /// Consumers in order of delivery.
    pub consumers: Vec<Place>,
    /// Instants kept for this generation.
    pub marks: Marks,
    /// Whether what came before may be ended.
    pub gate: Gate,
    /// When what is disabled may be deleted; `None` before it was seen disabled.
    pub soaked: Option<Gate>,
    /// Why the store lets nobody but its owner write, if so.
    pub shut: Option<String>,
    /// Replicas that do not serve the version in force yet.
    pub behind: Vec<String>,
    /// True while we may still have effects.
    pub leased: bool,
}

/// A value before that was let in while another kind was declared, which validates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its version, when the store still tells it.
    pub version: Option<VersionId>,
    /// True when a person says that it was ended.
    pub ended: bool,
}

/// What the version in force was seen to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// A credential that is known by its name, or nobody looked, or nobody validates it.
    Value,
    /// Which credential it is cannot be told; how it would have to be stored.
    Nameless(&'static str),
    /// Nothing that could be a credential.
    Nothing,
}

/// One write-once slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name in the store.
    pub id: VersionId,
    /// What is in it.
    pub content: Content,
    /// What was decided about it.
    pub verdict: Option<Verdict>,
    /// The version seen under the name of its credential at the target.
    pub over: Option<VersionId>,
    /// Whether the target lets it in, as far as its list tells.
    pub installed: bool,
    /// Why some consumer could not take its value, if so.
    pub unfit: Option<String>,
    /// Why the target would not take its value when this drive had it let in, if so.
    pub refused: Option<String>,
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// The store does not list it.
    Absent,
    /// Listed, but without a value.
    Empty,
    /// A new value, and its name at the target.
    Value(Option<KeyId>),
    /// Closed for ever: these keys can never be recorded in it.
    Tombstone(BTreeSet<KeyId>),
    /// It has no label and may not be read: it may hold anything, and nothing is written into it.
    Unreadable,
}

/// What was decided, once, about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be promoted.
    Approve,
    /// It will never be promoted.
    Reject {
        /// True when no run that began before can still have effects.
        settled: bool,
    },
}

/// What was decided, once, about the value before a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It is ended.
    Retire,
    /// It comes back.
    Rollback,
}

impl Ending {
    /// As kept in its register.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retire => "retire",
            Self::Rollback => "rollback",
        }
    }

    /// Reads a register; anything else is `None`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        [Self::Retire, Self::Rollback].into_iter().find(|ending| ending.as_str() == text)
    }
}

/// What was decided, once, about a value that was being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Last {
    /// It may be deleted.
    Delete,
    /// It comes back.
    Revive {
        /// Until when a run that began before may still end it; `None` when none is left.
        wait: Option<Timestamp>,
    },
}

impl Last {
    /// Kept when the value may be deleted.
    pub const DELETE: &str = "delete";

    /// Kept when somebody wants the value back at `now`, by the store's clock.
    #[must_use]
    pub fn revive(now: Timestamp) -> String {
        format!("revive {now}")
    }

    /// Reads a register at `now`; anything else is `None`. A run that was under way when it was written may still end the value,
    /// and the instant may be a lease older than the writing of it.
    #[must_use]
    pub fn read(text: &str, lease: Limit, now: Timestamp) -> Option<Self> {
        if text == Self::DELETE {
            return Some(Self::Delete);
        }
        let since: Timestamp = text.strip_prefix("revive ")?.parse().ok()?;
        let late = lease.after(lease.after(since));
        Some(Self::Revive { wait: (now < late).then_some(late) })
    }
}

/// One credential at the target, and what it is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name there.
    pub id: KeyId,
    /// Whether it is let in.
    pub active: bool,
    /// The version that is listed under its name, when the target keeps that.
    pub version: Option<VersionId>,
    /// What it is to us.
    pub role: Role,
}

/// What a credential at the target is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one in force.
    Current,
    /// In a slot that may still be promoted.
    Candidate,
    /// In this slot, which was rejected.
    Rejected(VersionId),
    /// In a tombstone and in no slot: nobody can ever use it.
    Condemned,
    /// Of an earlier generation of ours.
    Older,
    /// Ours and in no slot; its maker may still be about to record it until this instant.
    Unknown {
        /// `None` when no maker can be left.
        wait: Option<Timestamp>,
        /// Its last use and by what: what a run lost was never used.
        used: Option<(Timestamp, String)>,
    },
    /// Somebody else's; never touched.
    Foreign,
}

/// Instants kept for a generation, by the store's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// It was in force by then.
    pub promoted: Option<Timestamp>,
    /// Every consumer ran it by then.
    pub adopted: Option<Timestamp>,
    /// What came before was disabled by then.
    pub disabled: Option<Timestamp>,
    /// What came before was refused by then.
    pub refused: Option<Timestamp>,
    /// Nothing was left to end by then.
    pub done: Option<Timestamp>,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: ConsumerId,
    /// Gets a new value before it is promoted.
    pub canary: bool,
    /// How it was seen.
    pub sight: Sight,
}

/// How a consumer was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It reported.
    Seen(ConsumerView),
    /// It did not, for this reason; it counts as not adopted.
    Unseen(String),
    /// It would not take this version, for this reason.
    Refused(VersionId, String),
}

/// What was read about the keys at a target and where each is recorded.
pub struct Records<'a> {
    /// The version in force.
    pub generation: Option<&'a VersionId>,
    /// The version in force before, when we promoted this one.
    pub parent: Option<&'a VersionId>,
    /// Contents of every version.
    pub contents: &'a BTreeMap<VersionId, Content>,
    /// Versions that only slm writes.
    pub ours: &'a BTreeSet<VersionId>,
    /// Slots of this generation.
    pub slots: &'a [Slot],
    /// What brings back the value before.
    pub restore: Option<&'a Slot>,
}

impl Records<'_> {
    fn recorded_in(&self, key: &KeyId) -> impl Iterator<Item = &VersionId> {
        self.contents.iter().filter(move |(_, content)| **content == Content::Value(Some(key.clone()))).map(|(id, _)| id)
    }

    /// What `key` is to us. `maker_gone` is when no run that may have made it can still record it.
    #[must_use]
    pub fn role(&self, key: &KeyView, server_issued: bool, maker_gone: Option<Timestamp>) -> Role {
        let recorded: Vec<&VersionId> = self.recorded_in(&key.id).collect();
        // A name that is used again is recorded in several versions, and which it holds is told by the target: so it is, even when the
        // store lists that version and does not find its value.
        let holds = |slot: &Slot| key.version.as_ref() == Some(&slot.id);
        let is = |slot: &Slot| holds(slot) || recorded.contains(&&slot.id);
        if self.generation.is_some_and(|generation| recorded.contains(&generation)) {
            return Role::Current;
        }
        if self.restore.is_some_and(is) || self.slots.iter().any(|slot| is(slot) && !slot.rejected()) {
            return Role::Candidate;
        }
        if let Some(slot) = self.slots.iter().find(|slot| holds(slot)).or_else(|| self.slots.iter().find(|slot| is(slot))) {
            return Role::Rejected(slot.id.clone());
        }
        if recorded.iter().any(|id| self.ours.contains(*id) || self.parent == Some(*id)) {
            return Role::Older;
        }
        if !recorded.is_empty() {
            return Role::Foreign;
        }
        let condemned = |content: &Content| matches!(content, Content::Tombstone(keys) if keys.contains(&key.id));
        if self.contents.values().any(condemned) {
            return Role::Condemned;
        }
        let used = last_use(std::iter::once(key));
        if server_issued && key.ours { Role::Unknown { wait: maker_gone, used } } else { Role::Foreign }
    }
}

impl Slot {
    /// True when it will never be promoted.
    #[must_use]
    pub fn rejected(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Reject { .. }))
    }

    /// True when it holds a value that may be promoted.
    #[must_use]
    pub fn live(&self) -> bool {
        matches!(self.content, Content::Value(_)) && !self.rejected()
    }

    /// True when something may still be written into it.
    #[must_use]
    pub fn open(&self) -> bool {
        matches!(self.content, Content::Absent | Content::Empty)
    }
}

impl Observation {
    /// The first attempt that may be promoted. A store may have removed the one before it.
    #[must_use]
    pub fn candidate(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.live())
    }

    /// The attempt that comes next.
    #[must_use]
    pub fn open_slot(&self) -> Option<&Slot> {
        let closed = |slot: &&Slot| matches!(slot.content, Content::Tombstone(_) | Content::Unreadable) || slot.rejected();
        self.slots.iter().find(|slot| !closed(slot)).filter(|slot| slot.open())
    }

    /// Credentials of an earlier generation that are still there.
    pub fn older(&self) -> impl Iterator<Item = &Key> {
        let stays = |key: &&Key| key.active || self.capabilities.delete;
        self.keys.iter().filter(|key| key.role == Role::Older).filter(stays)
    }
}

/// The last use of `keys` that counts against ending them.
#[must_use]
pub fn last_use<'a>(keys: impl Iterator<Item = &'a KeyView>) -> Option<(Timestamp, String)> {
    keys.filter_map(|key| match &key.last_used {
        LastUse::At(at, by) => Some((*at, by.clone())),
        LastUse::Never | LastUse::Untold => None,
    })
    .max()
}

#[cfg(test)]
#[path = "observation_tests.rs"]
mod tests;
