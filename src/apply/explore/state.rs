//! What lasts in the small world that is explored, what may be wrong in it, and when nothing is left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use super::logins;
use crate::model::catalog::SecretRef;
use crate::model::id::{RegisterName, VersionId};
use crate::model::names;
use crate::model::time::Timestamp;
use crate::world::{Capabilities, Issuer, Overlap};

/// Seconds of a tick: one lease, so that a tick ends the lease of every run under way.
pub const TICK: i64 = 60;
pub const ATTEMPTS: u8 = 4;

/// What is explored.
#[derive(Clone, Debug)]
pub struct Setup {
    pub capabilities: Capabilities,
    pub consumers: usize,
    /// The first consumer is a canary.
    pub canary: bool,
    /// How it stands when it is first looked at.
    pub begins: Begins,
    /// Consumers begin without any value.
    pub late: bool,
    /// A second credential that a person made.
    pub foreign: bool,
    /// The first new value is one that the target would not take, or that a consumer could not when the server issues it.
    pub picky: bool,
    /// Once, versions without a label are gone when a lease has passed.
    pub forgetful: bool,
    /// Ticks by which the clock of the store is ahead of ours, and that of the target behind.
    pub skew: i64,
    /// A version without a label, which no run may read.
    pub dark: bool,
    pub ablation: Option<Ablation>,
}

/// How a credential stands when it is first looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// A value is in force that names the one credential there is.
    InForce,
    /// Nothing was ever written, and the store puts in force by itself whatever is written first.
    Nothing,
    /// A value is in force that works and does not name its credential.
    Nameless,
    /// A value is in force that another target lets in, whose list nobody reads.
    Elsewhere,
}

/// A part of the protocol that is left out, to see that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ablation {
    /// An unknown credential is deleted at once. Leases are left out as well: while they hold, they alone keep a run from recording
    /// what another has condemned, and the tombstone is there for the day they do not.
    NoTombstone,
    /// Effects are not fenced, and nothing waits for a lease.
    NoLease,
    /// Rolling back moves the label back.
    LabelMove,
    /// Rolling back does not ask whether the old value is being retired.
    NoFate,
    /// A verdict can be changed.
    NoVerdict,
    /// Nothing holds the place of a first value where the store puts that in force by itself.
    NoPlaceholder,
    /// A rejected credential is deleted while a run may still hand it out.
    RejectedAtOnce,
    /// What was being ended and comes back is put in force while a run may still end it.
    RevivedAtOnce,
    /// The client library sends again by itself what was not answered.
    Retries,
    /// A rotation of several values goes on before every consumer runs the last.
    Unsettled,
    /// A version can be written twice, as one with the label `AWSPENDING` can on moto.
    Overwrite,
    /// What is kept gets a name of its own when another value has the one that was asked for: no request has a name that others share.
    NoToken,
    /// What is kept has the label `AWSPENDING`, and a rotation that AWS begins takes the label away from it.
    Pending,
    /// Instants of the target are told by the clock of the store.
    OneClock,
    /// What another target lets in counts as refused.
    Mine,
}

impl Setup {
    /// True when no lease ends a run.
    pub fn unfenced(&self) -> bool {
        matches!(self.ablation, Some(Ablation::NoLease | Ablation::NoTombstone))
    }

    /// What the clock of the store shows at `clock`.
    pub fn by_store(&self, clock: i64) -> Timestamp {
        ticks(clock + self.skew)
    }

    /// What the clock of the target shows at `clock`.
    pub fn by_target(&self, clock: i64) -> Timestamp {
        ticks(clock - self.skew)
    }

    /// Ticks since `at` by the clock of the store, counted to `most`.
    pub fn since(&self, clock: i64, at: Timestamp, most: i64) -> i64 {
        (clock + self.skew - at.as_second() / TICK).min(most)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyState {
    pub active: bool,
    /// The value that is let in under its name; a login has one after the other.
    pub number: u8,
    pub version: Option<VersionId>,
    pub created: i64,
    pub foreign: bool,
}

/// A version at a consumer, and the value it was given as that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Held {
    pub version: Option<VersionId>,
    pub value: Vec<u8>,
}

/// Everything that lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub values: BTreeMap<VersionId, Vec<u8>>,
    pub current: Option<VersionId>,
    pub previous: Option<VersionId>,
    /// Something holds the place of a first value, so that the store does not put that in force by itself.
    pub held: bool,
    /// Has the label of what was kept last.
    pub pending: Option<VersionId>,
    /// Versions without a label were removed.
    pub forgot: bool,
    pub keys: BTreeMap<u8, KeyState>,
    /// What a target that keeps one value lets in.
    pub password: Vec<u8>,
    /// Of two passwords of one login, the one that was let in last, and those that have made way.
    pub first: u8,
    pub gone: BTreeSet<u8>,
    pub made: u8,
    pub registers: BTreeMap<RegisterName, String>,
    /// What each consumer stores and what it runs.
    pub consumers: Vec<[Held; 2]>,
    /// Ticks.
    pub clock: i64,
    /// Promotions.
    pub depth: u8,
    /// Versions about which a rejection was written down.
    pub rejected: BTreeSet<VersionId>,
    /// Versions that the canary would not take; told, and of no influence.
    pub refused: BTreeSet<VersionId>,
    /// Versions that were in force and that a person rolled back.
    pub undone: BTreeSet<VersionId>,
    /// A run left a value alive of which it is written down that it is in wrong hands.
    pub lingers: bool,
    /// Times the canary may still refuse, and the operator may still roll back.
    pub whims: u8,
}

/// What goes wrong at the one mutation of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    RequestLost,
    /// It takes effect and nobody learns of it.
    AnswerLost,
    /// It is refused for want of permission, this once.
    Denied,
    /// Nothing is answered to what is read.
    Unanswered(Read),
    /// What was so before the last change is answered to what is read.
    Stale(Read),
    /// Values are listed and not found: the one in force, or any other.
    Missing { current: bool },
    /// The canary refuses.
    Refuses,
}

/// Something that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The credentials at the target.
    Listing,
    /// The versions in the store and their labels.
    Versions,
    /// A value in the store.
    Value,
    /// Registers.
    Registers,
    /// What a consumer stores and runs.
    Consumer,
    /// Whether a value is let in.
    Trial,
}

impl Read {
    pub const ALL: [Self; 6] = [Self::Listing, Self::Versions, Self::Value, Self::Registers, Self::Consumer, Self::Trial];
}

pub fn secret() -> SecretRef {
    SecretRef { source: "s".into(), region: ".".to_owned(), name: "db".to_owned() }
}

fn ticks(clock: i64) -> Timestamp {
    Timestamp::new(clock * TICK, 0).unwrap()
}

/// `value` as a person stores it who does not know its shape: the same credential, and not to be told which.
pub fn nameless(mut value: Vec<u8>) -> Vec<u8> {
    value[0] = b'o';
    value
}

/// True when `value` does not tell which credential it is.
pub fn is_nameless(value: &[u8]) -> bool {
    value.starts_with(b"o")
}

/// The number of the credential in `value`; `None` for a tombstone.
pub fn number(value: &[u8]) -> Option<u8> {
    let mark = value.first().copied().filter(|mark| matches!(mark, b'k' | b'o'))?;
    after(value, mark)
}

/// The number that follows `mark` in `value`.
pub fn after(value: &[u8], mark: u8) -> Option<u8> {
    let begin = value.iter().position(|byte| *byte == mark)? + 1;
    let digits = value[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&value[begin..begin + digits]).ok()?.parse().ok()
}

impl State {
    /// True when `value` is let in by another target than the one that is declared.
    pub fn is_elsewhere(&self, setup: &Setup, value: &[u8]) -> bool {
        setup.begins == Begins::Elsewhere && number(value) == Some(1) && self.lets_in(setup, value)
    }

    /// True when the value of `version` is let in.
    pub fn works(&self, setup: &Setup, version: &VersionId) -> bool {
        self.values.get(version).is_some_and(|value| self.lets_in(setup, value))
    }

    /// True when the value of `version` could be let in again.
    pub fn exists(&self, setup: &Setup, version: &VersionId) -> bool {
        let Overlap::Dual { .. } = setup.capabilities.overlap else { return self.works(setup, version) };
        self.values.get(version).and_then(|value| self.key_of(setup, value)).is_some()
    }

    /// The credential at the target that lets `value` in, or would if it were not disabled.
    fn key_of(&self, setup: &Setup, value: &[u8]) -> Option<&KeyState> {
        let key = self.keys.get(&logins::name(setup, value)?)?;
        (Some(key.number) == number(value)).then_some(key)
    }

    /// A store removes versions that have no label.
    pub fn forget(&mut self) {
        self.forgot = true;
        let labels = [&self.current, &self.previous, &self.pending];
        self.values.retain(|id, _| labels.iter().any(|label| label.as_ref() == Some(id)));
    }

    /// True when some consumer runs what is let in as `key`.
    pub fn is_used(&self, key: &KeyState) -> bool {
        self.consumers.iter().any(|[_, running]| number(&running.value) == Some(key.number))
    }

    /// True when some version holds the value of `key`.
    pub fn is_kept(&self, key: &KeyState) -> bool {
        self.values.values().any(|value| number(value) == Some(key.number))
    }

    pub fn lets_in(&self, setup: &Setup, value: &[u8]) -> bool {
        match setup.capabilities.overlap {
            Overlap::Unvalidated => true,
            Overlap::Single => number(value).is_some() && number(value) == number(&self.password),
            Overlap::Dual { .. } => self.key_of(setup, value).is_some_and(|key| key.active),
        }
    }

    /// What is wrong in this state, if anything.
    pub fn violation(&self, setup: &Setup, leak: bool) -> Option<String> {
        if setup.foreign && self.keys.get(&2).is_none_or(|key| !key.active) {
            return Some("I5: a credential that a person made was touched".to_owned());
        }
        if self.lingers {
            return Some("I11: what is in wrong hands was waited for".to_owned());
        }
        if let Some(n) = self.consumers.iter().flatten().position(|held| held.version.is_some() && number(&held.value).is_none()) {
            return Some(format!("I9: consumer {} was given what is no credential", n / 2));
        }
        let ended = |name: &RegisterName| ["done-", "refused-"].iter().any(|mark| name.as_str().starts_with(mark));
        if self.is_elsewhere(setup, b"k1") && self.registers.keys().any(ended) {
            return Some("I11: the value before is let in elsewhere, and its end was noted".to_owned());
        }
        let Some(current) = self.current.as_ref() else { return self.stranded(setup).filter(|_| !leak) };
        if self.rejected.contains(current) {
            let whose = if self.refused.contains(current) { ", which the canary refused," } else { "" };
            return Some(format!("I7: version {current}{whose} was rejected and is in force"));
        }
        if self.undone.contains(current) {
            return Some(format!("I10: version {current}, which a person rolled back, is in force again"));
        }
        if setup.capabilities.overlap == Overlap::Single {
            let pending = (0..ATTEMPTS).map(|n| names::slot(&secret(), Some(current), n));
            let known = pending.chain([current.clone(), names::rollback(&secret(), current)]);
            let same = |value: &Vec<u8>| number(value).is_some() && number(value) == number(&self.password);
            let found = known.into_iter().any(|id| self.values.get(&id).is_some_and(same));
            return (!found).then(|| "I3: the value at the target is neither current nor pending".to_owned());
        }
        if let Some(n) = self.apart(setup, current) {
            return Some(format!("I8: consumer {n} has a value that is not next to the one in force"));
        }
        if !self.works(setup, current) {
            return Some(format!("I2: the current version {current} does not work"));
        }
        self.stranded(setup).filter(|_| !leak)
    }

    fn stranded(&self, setup: &Setup) -> Option<String> {
        self.consumers.iter().enumerate().find_map(|(n, [_, running])| {
            let version = running.version.as_ref().filter(|_| !self.lets_in(setup, &running.value))?;
            Some(format!("I1: consumer {n} runs version {version}, which does not work"))
        })
    }

    /// A consumer whose value is neither the one in force, nor the one before, nor, for a canary, the one after: where a rotation takes
    /// several values, what it signs would be refused.
    fn apart(&self, setup: &Setup, current: &VersionId) -> Option<usize> {
        if !setup.capabilities.staged() {
            return None;
        }
        let slots = (0..ATTEMPTS).filter(|_| setup.canary).map(|n| names::slot(&secret(), Some(current), n));
        let near: Vec<VersionId> = slots.chain([current.clone()]).chain(self.previous.clone()).collect();
        let next_to = |held: &Held| held.version.is_none() || near.iter().any(|id| self.values.get(id) == Some(&held.value));
        self.consumers.iter().position(|held| !held.iter().all(next_to))
    }

    /// True when nothing is left to do and exactly one credential of ours is let in.
    pub fn is_goal(&self, setup: &Setup, wanted: u8) -> bool {
        let Some(current) = self.current.as_ref().filter(|_| self.depth >= wanted) else { return false };
        let adopted = self.consumers.iter().all(|[stored, running]| stored == running && running.version.as_ref() == Some(current));
        let validated = setup.capabilities.overlap != Overlap::Unvalidated;
        // What is ended elsewhere is another's to delete.
        let there = |key: &KeyState| setup.begins == Begins::Elsewhere && !key.active;
        let left = self.keys.values().filter(|key| !key.foreign && !there(key)).count();
        let alone = left <= 1 || !setup.capabilities.delete;
        let one = self.keys.values().filter(|key| !key.foreign && key.active).count() == 1;
        // Before a first value there was nothing to end.
        let first = self.previous.is_none() && !setup.capabilities.staged();
        let noted = first || self.registers.contains_key(&names::mark(&secret(), current, "done"));
        let settled = !setup.capabilities.staged() || noted;
        self.works(setup, current) && adopted && settled && (!validated || (alone && one && noted))
    }

    /// True when a person is asked, as it should be, or will be: every attempt at the current generation is closed or rejected, or all
    /// but one are and what was made for that one was lost, so that it is closed next.
    pub fn is_asking(&self, setup: &Setup) -> bool {
        match (0..ATTEMPTS).filter(|n| !self.is_spent(*n)).count() {
            0 => true,
            1 if setup.capabilities.issuer == Issuer::Server => self.keys.values().any(|key| !key.foreign && self.is_lost(key)),
            _ => false,
        }
    }

    /// True when no version has the value of `key`.
    pub fn is_lost(&self, key: &KeyState) -> bool {
        self.values.values().all(|value| number(value) != Some(key.number))
    }

    /// True when it was decided that a value comes back, and another has its login.
    pub fn is_taken(&self, setup: &Setup) -> bool {
        let Some(current) = self.current.as_ref().filter(|_| logins::in_turn(setup)) else { return false };
        let back = self.registers.get(&names::fate(&secret(), current)).is_some_and(|fate| fate == "rollback");
        back && self.previous.as_ref().is_some_and(|previous| !self.exists(setup, previous))
    }

    /// True when attempt `n` is closed or rejected.
    fn is_spent(&self, n: u8) -> bool {
        let id = names::slot(&secret(), self.current.as_ref(), n);
        let rejected = self.registers.get(&names::verdict(&secret(), self.current.as_ref(), n));
        self.values.get(&id).is_some_and(|value| number(value).is_none()) || rejected.is_some_and(|text| text.starts_with("reject"))
    }

    /// Hashes what can make a difference at `clock`; instants count from then and no further than it matters.
    pub fn digest(&self, setup: &Setup, clock: i64, hasher: &mut impl Hasher) {
        (
            &self.values,
            &self.current,
            (&self.previous, self.held),
            self.pending.as_ref().filter(|_| setup.forgetful && !self.forgot),
            self.forgot,
            &self.password,
            (self.first, &self.gone),
            self.made,
            &self.consumers,
            self.depth,
            (self.whims, self.lingers),
            (&self.rejected, &self.undone),
        )
            .hash(hasher);
        for (id, key) in &self.keys {
            (id, key.active, key.number, &key.version, (clock - key.created).min(1)).hash(hasher);
        }
        for (name, text) in &self.registers {
            let instant = text.split(' ').find_map(|word| word.parse::<Timestamp>().ok());
            let kind = text.split(' ').next().filter(|word| word.parse::<Timestamp>().is_err());
            (name, kind, instant.map(|at| setup.since(clock, at, 2))).hash(hasher);
        }
    }
}
