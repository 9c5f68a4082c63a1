//! A small world in memory behind the real traits: a store, a target, registers and consumers, with one fault to spend a call.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::model::catalog::SecretRef;
use crate::model::id::{KeyId, RegisterName, RotationId, VersionId};
use crate::model::names;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::world::{
    CURRENT, Capabilities, Clock, Consumer, ConsumerView, ErrorClass, Fresh, Issuer, KeyChange, KeyView, LastUse, Listing, Overlap,
    PREVIOUS, Registers, Rotator, SecretStore, SecretView, Target, Trial, VersionView, WorldError,
};

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
    /// Consumers begin without any value.
    pub late: bool,
    /// A second credential that a person made.
    pub foreign: bool,
    /// The first new value is one that the target would not take, or that a consumer could not when the server issues it.
    pub picky: bool,
    /// Once, versions without a label are gone when a lease has passed.
    pub forgetful: bool,
    pub ablation: Option<Ablation>,
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
    /// A rejected credential is deleted while a run may still hand it out.
    RejectedAtOnce,
    /// What was being ended and comes back is put in force while a run may still end it.
    RevivedAtOnce,
    /// The client library sends again by itself what was not answered.
    Retries,
    /// A rotation of several values goes on before every consumer runs the last.
    Unsettled,
    /// A version can be written twice, as with the label `AWSPENDING` on some servers.
    Overwrite,
}

impl Setup {
    /// True when no lease ends a run.
    pub fn unfenced(&self) -> bool {
        matches!(self.ablation, Some(Ablation::NoLease | Ablation::NoTombstone))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    pub active: bool,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub values: BTreeMap<VersionId, Vec<u8>>,
    pub current: Option<VersionId>,
    pub previous: Option<VersionId>,
    /// Has the label of what was kept last.
    pub pending: Option<VersionId>,
    /// Versions without a label were removed.
    pub forgot: bool,
    pub keys: BTreeMap<u8, KeyState>,
    /// What a target that keeps one value lets in.
    pub password: Vec<u8>,
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
    /// The canary refuses.
    Refuses,
}

#[derive(Default)]
pub struct Inner {
    pub state: State,
    pub fault: Option<Fault>,
    /// True when the fault was met.
    pub met: bool,
}

#[derive(Clone)]
pub struct World {
    pub inner: Arc<Mutex<Inner>>,
    pub setup: Arc<Setup>,
}

pub fn lost() -> WorldError {
    WorldError { class: ErrorClass::Transient, operation: "call".to_owned(), cause: "lost".to_owned() }
}

pub fn refusal(class: ErrorClass) -> WorldError {
    WorldError { class, ..lost() }
}

pub fn secret() -> SecretRef {
    SecretRef { source: "s".into(), region: ".".to_owned(), name: "db".to_owned() }
}

pub fn ticks(clock: i64) -> Timestamp {
    Timestamp::new(clock * TICK, 0).unwrap()
}

/// The number of the credential in `value`; `None` for a tombstone.
pub fn number(value: &[u8]) -> Option<u8> {
    value.strip_prefix(b"k").and_then(|rest| std::str::from_utf8(rest).ok()?.trim_end_matches('+').parse().ok())
}

fn value_of(key: u8) -> Vec<u8> {
    format!("k{key}").into_bytes()
}

/// As [`value_of`], with a letter that not every consumer can take.
fn odd_value_of(key: u8) -> Vec<u8> {
    format!("k{key}+").into_bytes()
}

impl World {
    /// One credential in force, on every consumer.
    pub fn new(setup: Setup) -> Self {
        let generation = VersionId::from("g0");
        let key = |foreign: bool| KeyState { active: true, version: (!foreign).then(|| "g0".into()), created: -10, foreign };
        let mut keys = BTreeMap::new();
        if setup.capabilities.overlap != Overlap::Unvalidated {
            keys.insert(1, key(false));
            if setup.foreign {
                keys.insert(2, key(true));
            }
        }
        let first = Held { version: Some(generation.clone()), value: value_of(1) };
        let held = if setup.late { Held::default() } else { first };
        let state = State {
            values: BTreeMap::from([(generation.clone(), value_of(1))]),
            current: Some(generation.clone()),
            password: value_of(1),
            made: 1 + u8::from(setup.foreign),
            consumers: vec![[held.clone(), held]; setup.consumers],
            keys,
            ..State::default()
        };
        let inner = Inner { state, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)), setup: Arc::new(setup) }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn single(&self) -> bool {
        self.setup.capabilities.overlap == Overlap::Single
    }

    fn mutate<T>(&self, change: impl FnOnce(&mut State) -> Result<T, WorldError>) -> Result<T, WorldError> {
        let mut inner = self.lock();
        let fault = inner.fault.take_if(|fault| *fault != Fault::Refuses);
        inner.met |= fault.is_some();
        if fault == Some(Fault::RequestLost) {
            return Err(lost());
        }
        let result = change(&mut inner.state);
        if fault.is_some() { Err(lost()) } else { result }
    }
}

impl State {
    /// True when the value of `version` is let in.
    pub fn works(&self, setup: &Setup, version: &VersionId) -> bool {
        self.values.get(version).is_some_and(|value| self.lets_in(setup, value))
    }

    /// True when the value of `version` could be let in again.
    pub fn exists(&self, setup: &Setup, version: &VersionId) -> bool {
        let Overlap::Dual { .. } = setup.capabilities.overlap else { return self.works(setup, version) };
        self.values.get(version).and_then(|value| number(value)).is_some_and(|key| self.keys.contains_key(&key))
    }

    /// A store removes versions that have no label.
    pub fn forget(&mut self) {
        self.forgot = true;
        let labels = [&self.current, &self.previous, &self.pending];
        self.values.retain(|id, _| labels.iter().any(|label| label.as_ref() == Some(id)));
    }

    fn lets_in(&self, setup: &Setup, value: &[u8]) -> bool {
        match setup.capabilities.overlap {
            Overlap::Unvalidated => true,
            Overlap::Single => value == self.password,
            Overlap::Dual { .. } => number(value).and_then(|key| self.keys.get(&key)).is_some_and(|key| key.active),
        }
    }

    /// What is wrong in this state, if anything.
    pub fn violation(&self, setup: &Setup, leak: bool) -> Option<String> {
        if setup.foreign && self.keys.get(&2).is_none_or(|key| !key.active) {
            return Some("I5: a credential that a person made was touched".to_owned());
        }
        let current = self.current.as_ref()?;
        if self.rejected.contains(current) {
            return Some("I7: what was rejected was promoted".to_owned());
        }
        if setup.capabilities.overlap == Overlap::Single {
            let pending = (0..ATTEMPTS).map(|n| names::slot(&secret(), Some(current), n));
            let known = pending.chain([current.clone(), names::rollback(&secret(), current)]);
            let found = known.into_iter().any(|id| self.values.get(&id) == Some(&self.password));
            return (!found).then(|| "I3: the value at the target is neither current nor pending".to_owned());
        }
        if let Some(n) = self.apart(setup, current) {
            return Some(format!("I8: consumer {n} has a value that is not next to the one in force"));
        }
        if !self.works(setup, current) {
            return Some(format!("I2: the current version {current} does not work"));
        }
        let stranded =
            self.consumers.iter().position(|[_, running]| running.version.is_some() && !self.lets_in(setup, &running.value));
        stranded.filter(|_| !leak).map(|n| format!("I1: consumer {n} runs a version that does not work"))
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
        let alone = self.keys.values().filter(|key| !key.foreign).count() <= 1 || !setup.capabilities.delete;
        let one = self.keys.values().filter(|key| !key.foreign && key.active).count() == 1;
        let noted = self.registers.contains_key(&names::mark(&secret(), current, "done"));
        let settled = !setup.capabilities.staged() || noted;
        self.works(setup, current) && adopted && settled && (!validated || (alone && one && noted))
    }

    /// True when every attempt at the current generation is closed or rejected: a person is asked, as it should be.
    pub fn is_asking(&self) -> bool {
        let spent = |n: u8| {
            let id = names::slot(&secret(), self.current.as_ref(), n);
            let rejected = self.registers.get(&names::verdict(&secret(), self.current.as_ref(), n));
            self.values.get(&id).is_some_and(|value| number(value).is_none())
                || rejected.is_some_and(|text| text.starts_with("reject"))
        };
        (0..ATTEMPTS).all(spent)
    }

    /// Hashes what can make a difference; instants count from now and no further than it matters.
    pub fn digest(&self, forgetful: bool, hasher: &mut impl Hasher) {
        let since = |at: i64, most: i64| (self.clock - at).min(most);
        (
            &self.values,
            &self.current,
            &self.previous,
            self.pending.as_ref().filter(|_| forgetful && !self.forgot),
            self.forgot,
            &self.password,
            self.made,
            &self.consumers,
            self.depth,
            self.whims,
            &self.rejected,
        )
            .hash(hasher);
        for (id, key) in &self.keys {
            (id, key.active, &key.version, since(key.created, 1)).hash(hasher);
        }
        for (name, text) in &self.registers {
            let instant = text.split(' ').find_map(|word| word.parse::<Timestamp>().ok());
            let kind = text.split(' ').next().filter(|word| word.parse::<Timestamp>().is_err());
            (name, kind, instant.map(|at| since(at.as_second() / TICK, 2))).hash(hasher);
        }
    }
}

#[async_trait]
impl SecretStore for World {
    async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
        let inner = self.lock();
        let state = &inner.state;
        let labels = |id: &VersionId| {
            let has = |label: &str, of: &Option<VersionId>| (of.as_ref() == Some(id)).then(|| label.to_owned());
            has(CURRENT, &state.current).into_iter().chain(has(PREVIOUS, &state.previous)).collect()
        };
        let view = |id: &VersionId| (id.clone(), VersionView { labels: labels(id), created: Timestamp::UNIX_EPOCH });
        let versions = state.values.keys().map(view).collect();
        Ok(SecretView { exists: true, versions, now: Some(ticks(state.clock)), ..SecretView::default() })
    }

    async fn read(&self, _: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        let inner = self.lock();
        inner.state.values.get(version).map(|value| Secret::new(value.clone())).ok_or_else(|| refusal(ErrorClass::NotFound))
    }

    async fn put(&self, _: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let overwrite = self.setup.ablation == Some(Ablation::Overwrite);
        self.mutate(|state| {
            if !state.values.contains_key(version) {
                state.pending = Some(version.clone());
            }
            let have = state.values.entry(version.clone()).or_insert_with(|| value.expose().to_vec());
            if overwrite {
                *have = value.expose().to_vec();
            }
            if have == value.expose() { Ok(()) } else { Err(refusal(ErrorClass::Conflict)) }
        })
    }

    async fn promote(&self, _: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        self.mutate(|state| {
            if state.current.as_ref() != from {
                return Err(refusal(ErrorClass::Conflict));
            }
            state.previous = state.current.replace(to.clone());
            state.depth += 1;
            Ok(())
        })
    }
}

#[async_trait]
impl Rotator for World {
    fn capabilities(&self) -> Capabilities {
        let follows = self.setup.capabilities.follows && self.setup.ablation != Some(Ablation::Unsettled);
        Capabilities { follows, ..self.setup.capabilities }
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        let key = number(value.expose())?;
        match self.setup.capabilities.overlap {
            Overlap::Unvalidated => None,
            Overlap::Single => Some("user".into()),
            Overlap::Dual { .. } => Some(key.to_string().into()),
        }
    }

    async fn create(&self, _: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        if self.setup.capabilities.issuer == Issuer::Client {
            let mut inner = self.lock();
            inner.state.made += 1;
            let value = Secret::new(value_of(inner.state.made));
            return Ok(Fresh { key: self.identify(&value), value });
        }
        let Overlap::Dual { max } = self.setup.capabilities.overlap else { return Err(refusal(ErrorClass::Permanent)) };
        let issue = |state: &mut State| {
            if state.keys.len() >= usize::from(max) {
                return Err(refusal(ErrorClass::Transient));
            }
            state.made += 1;
            state.keys.insert(state.made, KeyState { active: true, version: None, created: state.clock, foreign: false });
            Ok(state.made)
        };
        let key = match self.mutate(issue) {
            Err(error) if error.class == ErrorClass::Transient && self.setup.ablation == Some(Ablation::Retries) => {
                self.mutate(issue)
            }
            answer => answer,
        }?;
        let value = if self.setup.picky && key == 2 { odd_value_of(key) } else { value_of(key) };
        Ok(Fresh { key: Some(key.to_string().into()), value: Secret::new(value) })
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        let inner = self.lock();
        let state = &inner.state;
        let in_ = match self.setup.capabilities.overlap {
            Overlap::Unvalidated => true,
            Overlap::Single => value.expose() == state.password,
            Overlap::Dual { .. } => number(value.expose()).and_then(|key| state.keys.get(&key)).is_some_and(|key| key.active),
        };
        Ok(if in_ { Trial::Accepted } else { Trial::Refused("refused".to_owned()) })
    }
}

#[async_trait]
impl Target for World {
    async fn list(&self) -> Result<Listing, WorldError> {
        let inner = self.lock();
        let state = &inner.state;
        let name = |id: &u8| if self.single() { "user".into() } else { KeyId::from(id.to_string()) };
        let view = |(id, key): (&u8, &KeyState)| KeyView {
            id: name(id),
            active: key.active,
            version: key.version.clone().filter(|_| self.setup.capabilities.issuer == Issuer::Client),
            created: Some(ticks(key.created)),
            last_used: LastUse::Untold,
            ours: !key.foreign,
        };
        Ok(Listing { now: ticks(state.clock), keys: state.keys.iter().map(view).collect() })
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        let (single, picky) = (self.single(), self.setup.picky);
        self.mutate(|state| {
            let name = if single { 1 } else { number(value.expose()).unwrap() };
            let have = state.keys.get(&name).and_then(|key| key.version.as_ref());
            if picky && number(value.expose()) == Some(2) {
                return Err(refusal(ErrorClass::Unfit));
            }
            if have != over && have != Some(version) {
                return Err(refusal(ErrorClass::Conflict));
            }
            if single {
                state.password = value.expose().to_vec();
            }
            let created = state.clock;
            state.keys.insert(name, KeyState { active: true, version: Some(version.clone()), created, foreign: false });
            Ok(())
        })
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        let key = key.as_str().parse().unwrap();
        Ok(Secret::new(if self.setup.picky && key == 2 { odd_value_of(key) } else { value_of(key) }))
    }

    async fn change(&self, key: &KeyId, change: KeyChange) -> Result<(), WorldError> {
        let id: u8 = key.as_str().parse().unwrap();
        self.mutate(|state| {
            match (change, state.keys.get_mut(&id)) {
                (KeyChange::Delete, _) => drop(state.keys.remove(&id)),
                (KeyChange::Disable, Some(key)) => key.active = false,
                (KeyChange::Enable, Some(key)) => key.active = true,
                (_, None) => {}
            }
            Ok(())
        })
    }
}

#[async_trait]
impl Registers for World {
    async fn read(&self, _: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let inner = self.lock();
        let old = |text: &String| match text.strip_prefix("reject ") {
            Some(_) if self.setup.ablation == Some(Ablation::RejectedAtOnce) => {
                format!("reject {} long ago", Timestamp::UNIX_EPOCH - std::time::Duration::from_secs(9_999))
            }
            _ => text.clone(),
        };
        Ok(names.iter().filter_map(|name| Some((name.clone(), old(inner.state.registers.get(name)?)))).collect())
    }

    async fn write_once(&self, _: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        let changeable = self.setup.ablation == Some(Ablation::NoVerdict) && name.as_str().starts_with("verdict");
        self.mutate(|state| {
            let have = state.registers.entry(name.clone()).or_insert_with(|| value.to_owned());
            if changeable {
                value.clone_into(have);
            }
            let have = have.clone();
            if value.starts_with("reject") && have == value {
                let current = state.current.clone();
                let about = (0..ATTEMPTS).find(|n| *name == names::verdict(&secret(), current.as_ref(), *n));
                state.rejected.extend(about.map(|n| names::slot(&secret(), current.as_ref(), n)));
            }
            Ok(have)
        })
    }
}

/// A consumer of a [`World`].
pub struct Spot(pub World, pub usize);

#[async_trait]
impl Consumer for Spot {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let inner = self.0.lock();
        let [stored, running] = inner.state.consumers[self.1].clone();
        Ok(ConsumerView { stored: stored.version, running: running.version, draining: Vec::new() })
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.0.mutate(|state| {
            state.consumers[self.1][0] = Held { version: Some(version.clone()), value: value.expose().to_vec() };
            Ok(())
        })
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        {
            let mut inner = self.0.lock();
            let tried = inner.state.current.as_ref() != Some(version);
            if self.1 == 0 && self.0.setup.canary && tried && inner.fault == Some(Fault::Refuses) && inner.state.whims > 0 {
                inner.fault = None;
                inner.met = true;
                inner.state.whims -= 1;
                return Err(refusal(ErrorClass::Permanent));
            }
        }
        self.0.mutate(|state| {
            state.consumers[self.1][1] = state.consumers[self.1][0].clone();
            Ok(())
        })
    }
}

pub struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}
