//! What to do next, from what was just seen: a pure, total function. First rule that matches wins.
//!
//! The order is the protocol. Consumers come before everything that could strand one; what was left behind is ended before
//! anything new begins; and nothing is deleted that some run could still record or hand out.

use std::collections::BTreeSet;

use super::gate::Gate;
use super::observation::{Content, Ending, Force, Key, Last, Observation, Place, Role, Sight, Slot, Verdict};
use crate::model::catalog::Stage;
use crate::model::id::{ConsumerId, KeyId, VersionId};
use crate::model::time::Timestamp;
use crate::world::{Capabilities, Issuer, KeyChange, Overlap};

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Do this one thing, then observe again.
    Act(Mutation),
    /// Time or somebody else brings the next step; the instant, when it is known.
    Wait(Option<Timestamp>, String),
    /// A person must act.
    Blocked(String),
    /// Nothing is left to do.
    Done,
}

/// One change to the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// Have the server issue a credential, to be recorded in `slot` next.
    Create {
        /// Which.
        slot: VersionId,
    },
    /// Make a value and keep it in `slot`; it has no effect yet.
    Prepare {
        /// Which.
        slot: VersionId,
    },
    /// Keep in `slot` what was issued as `key` and not recorded.
    Adopt {
        /// Which.
        slot: VersionId,
        /// What.
        key: KeyId,
    },
    /// Close `slot` for ever, so that nobody can record these keys.
    Close {
        /// Which.
        slot: VersionId,
        /// Keys that were seen and are in no slot.
        condemned: BTreeSet<KeyId>,
    },
    /// Have the target let in the value of `version`.
    Install {
        /// Which.
        version: VersionId,
        /// Seen under the same name there.
        over: Option<VersionId>,
    },
    /// Try the value of `slot` and write down the verdict.
    Judge {
        /// Which.
        slot: VersionId,
    },
    /// Write down that `slot` is rejected.
    Reject {
        /// Which.
        slot: VersionId,
        /// Why.
        why: String,
    },
    /// Keep the value before this generation as the version that brings it back.
    Restore {
        /// Which.
        to: VersionId,
    },
    /// Put the value of `to` in force.
    Promote {
        /// In force until now.
        from: Option<VersionId>,
        /// In force from now.
        to: VersionId,
    },
    /// Store the value of `version` at a consumer.
    Deliver {
        /// Which.
        consumer: ConsumerId,
        /// What.
        version: VersionId,
    },
    /// Have a consumer take `version` into use.
    Activate {
        /// Which.
        consumer: ConsumerId,
        /// What.
        version: VersionId,
    },
    /// Change the state of a credential at its target.
    Change {
        /// Which.
        key: KeyId,
        /// The version that was seen under its name: one that is used again may hold another by the time of the change.
        seen: Option<VersionId>,
        /// How.
        change: KeyChange,
    },
    /// Decide, once, about the value before this generation.
    Fate(Ending),
    /// Decide, once, that the value before this generation, which is disabled, does not come back any more.
    NoReturn,
    /// Write down, once, that the value of this version is in wrong hands: whichever run goes on ends it at once.
    Leak(VersionId),
    /// Show the value before this generation to the target, and keep the instant at which it was refused.
    Prove,
    /// Keep the instant of this observation.
    Mark(Mark),
}

/// What an instant is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The generation is in force.
    Promoted,
    /// Every consumer runs it.
    Adopted,
    /// What came before is disabled.
    Disabled,
    /// What came before is refused.
    Refused,
    /// Nothing is left to end.
    Done,
}

impl Mark {
    /// The fixed word in names and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Adopted => "adopted",
            Self::Disabled => "disabled",
            Self::Refused => "refused",
            Self::Done => "done",
        }
    }
}

/// The next step. Nothing acts once the lease is spent.
#[must_use]
pub fn decide(o: &Observation) -> Step {
    let step = tell(o)
        .or_else(|| roll_back(o))
        .or_else(|| note_promotion(o))
        .or_else(|| void(o))
        .or_else(|| in_place(o))
        .or_else(|| consumers(o))
        .or_else(|| nameless(o))
        .or_else(|| delete_condemned(o))
        .or_else(|| unseen(o))
        .or_else(|| end_rejected(o))
        .or_else(|| retire(o))
        .or_else(|| settle(o))
        .or_else(|| left(o))
        .or_else(|| unread(o))
        .or_else(|| promote(o))
        .or_else(|| close_unknown(o))
        .or_else(|| create(o))
        .unwrap_or_else(|| finish(o));
    match step {
        Step::Act(_) if !o.leased => Step::Wait(None, "the lease is spent".to_owned()),
        step => step,
    }
}

/// That a value is in wrong hands is written down before anything else, so that a run that is cut off after it forgets nothing.
fn tell(o: &Observation) -> Option<Step> {
    o.untold.clone().map(|version| Step::Act(Mutation::Leak(version)))
}

/// It was decided that the value before comes back: as a new generation, so that no run of the old one can act on it. If it was
/// being ended by then, it is let in again at once, and put in force when no run that was ending it is left.
fn roll_back(o: &Observation) -> Option<Step> {
    let wait = match o.last {
        Some(Last::Revive { wait }) => wait,
        _ if o.fate == Some(Ending::Rollback) => None,
        _ => return None,
    };
    let Some(slot) = &o.restore else {
        return Some(Step::Blocked("a roll-back was decided, and it is not known what was in force before".to_owned()));
    };
    // A login used in turn may hold an attempt of this generation by now: what works next is that, as if nobody had asked.
    if taken(o).is_some() {
        return None;
    }
    // A credential that is gone cannot come back, and is not even kept: go on as if nobody had asked, to the end of what else is left.
    if o.gone {
        return None;
    }
    let Content::Value(name) = &slot.content else {
        return match slot.content {
            Content::Tombstone(_) => Some(Step::Blocked(format!("version {} cannot bring a value back", slot.id))),
            Content::Unreadable => Some(Step::Blocked(format!("version {}, which brings a value back, cannot be read", slot.id))),
            _ => Some(Step::Act(Mutation::Restore { to: slot.id.clone() })),
        };
    };
    if let Some(name) = name.as_ref().filter(|_| o.capabilities.overlap != Overlap::Single) {
        let key = o.keys.iter().find(|key| key.id == *name && key.role != Role::Foreign)?;
        // A run that looked before may be about to give the login its attempt, over the version it saw: from now on that is another.
        if o.capabilities == Capabilities::IN_TURN && slot.over.as_ref() != Some(&slot.id) {
            return Some(Step::Act(Mutation::Install { version: slot.id.clone(), over: slot.over.clone() }));
        }
        if !key.active {
            return Some(key.change(KeyChange::Enable));
        }
    }
    if o.capabilities.overlap == Overlap::Single && !slot.installed {
        return Some(Step::Act(Mutation::Install { version: slot.id.clone(), over: slot.over.clone() }));
    }
    if let Some(late) = wait {
        let why = "for the end of every run that may still be ending the value before".to_owned();
        return consumers(o).or(Some(Step::Wait(Some(late), why)));
    }
    Some(Step::Act(Mutation::Promote { from: o.generation.clone(), to: slot.id.clone() }))
}

/// The attempt at replacing this generation that was given the login of the value before, which does not work any more.
pub(super) fn taken(o: &Observation) -> Option<&VersionId> {
    let over = o.restore.as_ref()?.over.as_ref().filter(|_| o.capabilities.overlap != Overlap::Single)?;
    o.slots.iter().map(|attempt| &attempt.id).find(|attempt| *attempt == over)
}

/// The time after which nobody can hand out the old value counts from here.
fn note_promotion(o: &Observation) -> Option<Step> {
    let counts = o.older().next().is_some() || (o.capabilities.staged() && o.marks.done.is_none());
    let wanted = o.tail && o.generation.is_some() && o.marks.promoted.is_none() && counts;
    wanted.then_some(Step::Act(Mutation::Mark(Mark::Promoted)))
}

/// For how long a consumer goes on with what it had counts from when every one of them runs the version in force.
fn note_adoption(o: &Observation) -> Option<Step> {
    let wanted = o.lingers && !o.leak && o.marks.adopted.is_none();
    wanted.then_some(Step::Act(Mutation::Mark(Mark::Adopted)))
}

/// What slm writes to say that there is no credential must not be brought to anybody.
fn void(o: &Observation) -> Option<Step> {
    let generation = o.generation.as_ref().filter(|_| o.force == Force::Nothing)?;
    let next = "store a value that works as that of the secret";
    Some(Step::Blocked(format!("version {generation} is in force and holds no credential; {next}")))
}

/// While nobody can tell which credential is in force, none is made, let in or ended: any of those at the target may be the one in use.
fn nameless(o: &Observation) -> Option<Step> {
    let generation = o.generation.as_ref()?;
    let Force::Nameless(shape) = o.force else { return None };
    let wrong = format!("which credential is in force is not known, since version {generation} does not name it");
    Some(Step::Blocked(format!("{wrong}; store the same one as {shape}")))
}

/// A target that keeps one value has a new one: nothing may come between that and the promotion.
fn in_place(o: &Observation) -> Option<Step> {
    if o.capabilities.overlap != Overlap::Single {
        return None;
    }
    if o.due && o.candidate().is_some_and(|slot| slot.installed) {
        return promote(o);
    }
    let (now, generation) = (o.installed.as_ref()?, o.generation.as_ref()?);
    if now == generation || o.candidate().is_some_and(|slot| slot.id == *now) {
        return None;
    }
    if o.slots.iter().any(|slot| slot.id == *now && slot.rejected()) {
        return Some(Step::Act(Mutation::Install { version: generation.clone(), over: Some(now.clone()) }));
    }
    Some(Step::Blocked(format!("the target has version {now}, which is neither current nor an attempt of ours")))
}

/// The version `place` must run.
fn wanted<'a>(o: &'a Observation, place: &Place) -> Option<&'a VersionId> {
    let early = place.canary && o.due && o.capabilities.overlap != Overlap::Single;
    let tried = o.candidate().filter(|slot| early && ready(o, slot));
    tried.map(|slot| &slot.id).or(o.generation.as_ref())
}

/// True when the value of `slot` fits and is let in, as far as anybody can tell without trying it.
fn ready(o: &Observation, slot: &Slot) -> bool {
    slot.unfit.is_none() && (o.capabilities.overlap == Overlap::Unvalidated || slot.installed)
}

/// Consumers that store, or run, another version than they must, in order of delivery.
pub(super) fn behind(o: &Observation, stage: Stage) -> impl Iterator<Item = (&ConsumerId, &VersionId)> {
    o.consumers.iter().filter_map(move |place| {
        let Sight::Seen(view) = &place.sight else { return None };
        let has = match stage {
            Stage::Deliver => &view.stored,
            Stage::Activate => &view.running,
        };
        wanted(o, place).filter(|version| has.as_ref() != Some(*version)).map(|version| (&place.id, version))
    })
}

/// The first consumer that stores another version than it must, or, when none does, that runs another.
fn consumers(o: &Observation) -> Option<Step> {
    if o.force == Force::Nothing {
        return None;
    }
    let named = |(consumer, version): (&ConsumerId, &VersionId)| (consumer.clone(), version.clone());
    let deliver = behind(o, Stage::Deliver).next().map(named);
    let deliver = deliver.map(|(consumer, version)| Mutation::Deliver { consumer, version });
    let activate = || behind(o, Stage::Activate).next().map(named);
    let activate = || activate().map(|(consumer, version)| Mutation::Activate { consumer, version });
    deliver.or_else(activate).map(Step::Act)
}

/// Nobody can ever use what is condemned.
fn delete_condemned(o: &Observation) -> Option<Step> {
    o.keys.iter().filter(|key| key.role == Role::Condemned).find_map(|key| end(o, key))
}

impl Key {
    fn change(&self, change: KeyChange) -> Step {
        Step::Act(Mutation::Change { key: self.id.clone(), seen: self.version.clone(), change })
    }
}

/// Ends `key` for good, as far as its kind can.
fn end(o: &Observation, key: &Key) -> Option<Step> {
    let change = match o.capabilities.overlap {
        Overlap::Single => None,
        _ if o.capabilities.delete => Some(KeyChange::Delete),
        _ => Some(KeyChange::Disable).filter(|_| o.capabilities.disable && key.active),
    }?;
    Some(key.change(change))
}

/// A canary that refuses a value rejects it; any other consumer that cannot be seen holds everything that follows, unless the old
/// value is in wrong hands.
fn unseen(o: &Observation) -> Option<Step> {
    o.consumers.iter().find_map(|place| match &place.sight {
        Sight::Refused(version, why) if place.canary && o.candidate().is_some_and(|slot| slot.id == *version) => {
            let why = format!("consumer `{}` refused it: {why}", place.id);
            Some(Step::Act(Mutation::Reject { slot: version.clone(), why }))
        }
        Sight::Unseen(why) | Sight::Refused(_, why) if !o.leak => {
            Some(Step::Blocked(format!("consumer `{}` was not seen: {why}", place.id)))
        }
        _ => None,
    })
}

/// What was rejected is ended once no run and no consumer can still hold it.
fn end_rejected(o: &Observation) -> Option<Step> {
    let held = |slot: &Slot| o.consumers.iter().any(|place| may_hold(place, slot));
    let ended = |slot: &Slot| slot.verdict == Some(Verdict::Reject { settled: true }) && !held(slot);
    let over = |key: &&Key| match &key.role {
        Role::Rejected(id) => o.slots.iter().any(|slot| slot.id == *id && ended(slot)),
        _ => false,
    };
    o.keys.iter().filter(over).find_map(|key| end(o, key))
}

/// True when what is in `slot` may be stored or run at `place`.
fn may_hold(place: &Place, slot: &Slot) -> bool {
    match &place.sight {
        Sight::Seen(view) => view.stored.as_ref() == Some(&slot.id) || view.running.as_ref() == Some(&slot.id),
        _ => true,
    }
}

/// There is no room for another credential while those that were rejected are there. They are ended once no run can hand them out; but before
/// a first value, nothing takes the place of what a consumer was handed, and no run ends what it may use.
fn no_room(o: &Observation) -> Step {
    let settled = |slot: &&Slot| slot.verdict == Some(Verdict::Reject { settled: true });
    let holder = |slot: &Slot| o.consumers.iter().find(|place| may_hold(place, slot)).map(|place| &place.id);
    let all = o.slots.iter().filter(|slot| slot.rejected()).all(|slot| settled(&slot));
    let held = o.slots.iter().filter(settled).find_map(holder).filter(|_| all && o.generation.is_none());
    let Some(consumer) = held else {
        return Step::Wait(None, "until no run can hand out what was rejected, so that it may be ended".to_owned());
    };
    Step::Blocked(format!(
        "consumer `{consumer}` holds what was rejected, and there is no value yet that could take its place; \
         delete at the target a credential that it does not run, or take both from it"
    ))
}

/// Credentials of an earlier generation are disabled, shown to be refused, and deleted, once the gate is open.
fn retire(o: &Observation) -> Option<Step> {
    if !o.tail || o.capabilities.overlap == Overlap::Single {
        return None;
    }
    let first = o.older().next()?;
    if let Some(step) = note_adoption(o) {
        return Some(step);
    }
    match &o.gate {
        Gate::Until(late, why) => return Some(Step::Wait(Some(*late), why.clone())),
        Gate::Shut(why) => return Some(Step::Wait(None, why.clone())),
        Gate::Open => {}
    }
    if !o.capabilities.disable && !o.capabilities.delete {
        return Some(Step::Blocked(format!("credential {} can be neither disabled nor deleted from here", told(&first.id))));
    }
    if o.fate.is_none() {
        return Some(Step::Act(Mutation::Fate(Ending::Retire)));
    }
    if o.capabilities.disable {
        if let Some(key) = o.older().find(|key| key.active) {
            return Some(key.change(KeyChange::Disable));
        }
        let Some(soaked) = &o.soaked else { return Some(Step::Act(Mutation::Mark(Mark::Disabled))) };
        if o.marks.refused.is_none() && o.restore.is_some() {
            return Some(Step::Act(Mutation::Prove));
        }
        match soaked {
            Gate::Until(late, why) if !o.leak => return Some(Step::Wait(Some(*late), why.clone())),
            Gate::Shut(why) => return Some(Step::Wait(None, why.clone())),
            _ => {}
        }
        if o.last.is_none() {
            return Some(Step::Act(Mutation::NoReturn));
        }
    }
    Some(first.change(KeyChange::Delete))
}

/// Where a rotation takes several values, the next is made when every consumer runs this one and none can hold the one before.
fn settle(o: &Observation) -> Option<Step> {
    if !o.tail || !o.capabilities.staged() || o.generation.is_none() || o.marks.done.is_some() {
        return None;
    }
    if let Some(step) = note_adoption(o) {
        return Some(step);
    }
    Some(match &o.gate {
        Gate::Until(late, why) => Step::Wait(Some(*late), why.clone()),
        Gate::Shut(why) => Step::Wait(None, why.clone()),
        Gate::Open => Step::Act(Mutation::Mark(Mark::Done)),
    })
}

/// What a target lets in that is not declared any more is ended by a person, before this generation is left and it is forgotten.
fn left(o: &Observation) -> Option<Step> {
    let left = o.left.as_ref()?;
    if left.ended {
        return Some(Step::Act(Mutation::Mark(Mark::Done)));
    }
    let (before, id) = match &left.version {
        Some(version) => (format!("version {version}"), version.as_str()),
        None => ("the value before".to_owned(), "its version"),
    };
    let why = format!("{before} was let in while another kind was declared, and its end was not noted");
    let next = format!("declare that until it is, or end it by hand and add {id} to `ended-elsewhere` of `[policy]`");
    (!o.leak).then(|| Step::Blocked(format!("{why}; {next}")))
}

/// An attempt that cannot be read may be what another run is about to put in force: no other is begun beside it.
fn unread(o: &Observation) -> Option<Step> {
    let unread = |slot: &&Slot| slot.content == Content::Unreadable && !slot.rejected();
    let slot = o.slots.iter().filter(|_| o.due).find(unread)?;
    Some(Step::Blocked(format!("attempt {} cannot be read, and another run may be about to put it in force", slot.id)))
}

/// A new value is let in, tried, and put in force.
fn promote(o: &Observation) -> Option<Step> {
    let slot = o.candidate().filter(|_| o.due)?;
    let validated = o.capabilities.overlap != Overlap::Unvalidated;
    if let Some(why) = slot.unfit.as_ref().filter(|_| slot.verdict.is_none()) {
        return Some(Step::Act(Mutation::Reject { slot: slot.id.clone(), why: why.clone() }));
    }
    // What the target would not take is tried all the same: the refusal may be that of a request sent twice.
    if validated && o.capabilities.issuer == Issuer::Client && !slot.installed && slot.refused.is_none() {
        return Some(Step::Act(Mutation::Install { version: slot.id.clone(), over: slot.over.clone() }));
    }
    let judged = validated || o.consumers.iter().any(|place| place.canary);
    if judged && slot.verdict.is_none() {
        return Some(Step::Act(Mutation::Judge { slot: slot.id.clone() }));
    }
    Some(Step::Act(Mutation::Promote { from: o.generation.clone(), to: slot.id.clone() }))
}

/// A credential of ours that is in no slot was lost by its maker, once no maker can be left. It is never deleted before the slot
/// in which it could be recorded is closed. A bare delivery looks at no slot, and so to it every credential is unknown.
fn close_unknown(o: &Observation) -> Option<Step> {
    if !o.tail {
        return None;
    }
    let unknown = || {
        o.keys.iter().filter_map(|key| match key.role {
            Role::Unknown { wait, ref used } => Some((&key.id, wait, used)),
            _ => None,
        })
    };
    let (first, ..) = unknown().next()?;
    if let Some(late) = unknown().filter_map(|(_, wait, _)| wait).max() {
        let late = Some(late).filter(|late| *late < Timestamp::MAX);
        return Some(Step::Wait(late, format!("credential {} may still be recorded by the run that made it", told(first))));
    }
    if let Some(version) = o.unreadable.first() {
        let where_ = format!("credential {} is in no version that could be read, and may be in {version}", told(first));
        return Some(Step::Blocked(format!("{where_}, which could not be; let it be read, or end the credential by hand")));
    }
    // What is recorded nowhere was given to nobody by us.
    if let Some((key, at, by)) = unknown().find_map(|(key, _, used)| used.as_ref().map(|(at, by)| (key, at, by))) {
        let found =
            format!("credential {} is recorded nowhere and was used at {at} by {by}, so that no run has lost it", told(key));
        return Some(Step::Blocked(format!("{found}; find out whose it is, and delete it there when nobody needs it")));
    }
    let Some(slot) = o.open_slot() else { return Some(spent(o)) };
    let slot = slot.id.clone();
    if o.capabilities.reread && o.due {
        return Some(Step::Act(Mutation::Adopt { slot, key: first.clone() }));
    }
    Some(Step::Act(Mutation::Close { slot, condemned: unknown().map(|(id, ..)| id.clone()).collect() }))
}

/// Everything is in order and the generation is to be left.
fn create(o: &Observation) -> Option<Step> {
    if !o.due {
        return None;
    }
    // Nothing is made that could then not be kept, nor while the store still carries the last change to its replicas.
    if let Some(why) = &o.shut {
        return Some(Step::Blocked(format!("nothing can be kept: {why}")));
    }
    if !o.behind.is_empty() && !o.leak {
        return Some(Step::Wait(None, format!("for the replica in {} to serve the current version", o.behind.join(", "))));
    }
    let Some(slot) = o.open_slot() else { return Some(spent(o)) };
    let slot = slot.id.clone();
    if o.capabilities.issuer == Issuer::Client {
        return Some(Step::Act(Mutation::Prepare { slot }));
    }
    match o.capabilities.overlap {
        Overlap::Dual { max } if o.keys.len() < usize::from(max) => Some(Step::Act(Mutation::Create { slot })),
        Overlap::Dual { .. } if o.keys.iter().any(|key| matches!(key.role, Role::Rejected(_))) => Some(no_room(o)),
        Overlap::Dual { max } => {
            let foreign: Vec<String> = o.keys.iter().filter(|key| key.role == Role::Foreign).map(|key| told(&key.id)).collect();
            let whose = if foreign.is_empty() { String::new() } else { format!(", {} not made by slm", foreign.join(", ")) };
            Some(Step::Blocked(format!("all {max} credentials exist{whose}")))
        }
        Overlap::Single | Overlap::Unvalidated => {
            Some(Step::Blocked("a server that issues a value must let two in at once".to_owned()))
        }
    }
}

/// The end of a long name alone: whole key ids trip the scanners of everybody who keeps a log.
fn told(key: &KeyId) -> String {
    const WHOLE: usize = 15;
    let count = key.as_str().chars().count();
    if count <= WHOLE { key.to_string() } else { format!("…{}", key.as_str().chars().skip(count - 4).collect::<String>()) }
}

fn spent(o: &Observation) -> Step {
    Step::Blocked(format!("all {} attempts are used up; find out why before raising `attempts`", o.slots.len()))
}

/// True when no attempt is left, and none of them left anything behind that is still to be ended: time changes nothing of it.
pub(super) fn is_spent(o: &Observation) -> bool {
    let left = o.keys.iter().any(|key| matches!(key.role, Role::Rejected(_) | Role::Condemned) && end(o, key).is_some());
    !o.slots.is_empty() && o.candidate().is_none() && o.open_slot().is_none() && !left
}

/// Nothing is left to end: that the old value is refused is shown once, and the end is noted.
fn finish(o: &Observation) -> Step {
    let validated = o.capabilities.overlap != Overlap::Unvalidated;
    if !o.tail || !validated || o.restore.is_none() {
        return Step::Done;
    }
    // What the target does not list was not ended by us, and may be let in all the same.
    if o.marks.refused.is_none() {
        return Step::Act(Mutation::Prove);
    }
    if o.marks.done.is_none() {
        return Step::Act(Mutation::Mark(Mark::Done));
    }
    // What was asked for did not happen: the value in force stays, and what comes next is for a person to say.
    let asked = o.fate == Some(Ending::Rollback) || matches!(o.last, Some(Last::Revive { .. }));
    if o.gone && asked && !o.due {
        let gone = "the credential before is gone and does not come back; the value in force stays";
        return Step::Blocked(format!("{gone} until `slm rotate` replaces it"));
    }
    Step::Done
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
