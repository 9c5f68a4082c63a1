//! A small world in memory behind the real traits: a store, a target, registers and consumers, with one fault to spend a call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use super::logins;
use super::state::{ATTEMPTS, Ablation, Begins, Fault, Held, KeyState, Read, Setup, State, is_nameless, nameless, number, secret};
use crate::model::catalog::SecretRef;
use crate::model::id::{KeyId, RegisterName, RotationId, VersionId};
use crate::model::names;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::world::{
    CURRENT, Capabilities, Clock, Consumer, ConsumerView, ErrorClass, Fresh, Issuer, KeyChange, KeyView, LastUse, Listing, Overlap,
    PREVIOUS, Registers, Rotator, SecretStore, SecretView, Target, Trial, VersionView, WorldError,
};

/// The version that no run may read.
const DARK: &str = "dark";

#[derive(Default)]
pub struct Inner {
    pub state: State,
    /// What was so before the last change, when that may be answered.
    pub before: Option<Arc<State>>,
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

impl World {
    /// A world that begins as `setup` says.
    pub fn new(setup: Setup) -> Self {
        let state = if setup.begins == Begins::Nothing { Self::empty(&setup) } else { Self::in_force(&setup) };
        let inner = Inner { state, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)), setup: Arc::new(setup) }
    }

    /// Nothing was ever written. Where one value is let in there is one all the same, which nobody knows.
    fn empty(setup: &Setup) -> State {
        let unknown = KeyState { active: true, number: 1, version: None, created: -10, foreign: false };
        let keys = (setup.capabilities.overlap == Overlap::Single).then_some((1, unknown));
        let consumers = vec![[Held::default(), Held::default()]; setup.consumers];
        State { keys: keys.into_iter().collect(), password: b"k1".to_vec(), made: 1, consumers, ..State::default() }
    }

    /// One credential in force, on every consumer.
    fn in_force(setup: &Setup) -> State {
        let generation = VersionId::from("g0");
        let unnamed = setup.begins == Begins::Nameless;
        let key = |number: u8, foreign: bool| {
            let version = (!foreign && !unnamed).then(|| "g0".into());
            (number, KeyState { active: true, number, version, created: -10, foreign })
        };
        let mut keys = BTreeMap::new();
        if setup.capabilities.overlap != Overlap::Unvalidated {
            keys.extend([key(1, false)]);
            keys.extend(setup.foreign.then(|| key(2, true)));
        }
        let value = logins::value(setup, 1, None);
        let value = if unnamed { nameless(value) } else { value };
        let first = Held { version: Some(generation.clone()), value: value.clone() };
        let held = if setup.late { Held::default() } else { first };
        let dark = setup.dark.then(|| (VersionId::from(DARK), b"k9".to_vec()));
        State {
            values: dark.into_iter().chain([(generation.clone(), value.clone())]).collect(),
            current: Some(generation.clone()),
            password: value,
            first: 1,
            made: 1 + u8::from(setup.foreign),
            consumers: vec![[held.clone(), held]; setup.consumers],
            keys,
            ..State::default()
        }
    }

    /// As a store does that puts in force whatever is written first: something that holds the place is there before any value.
    fn hold_place(&self) -> Result<(), WorldError> {
        let setup = &self.setup;
        let puts_first_in_force = setup.begins == Begins::Nothing && setup.ablation != Some(Ablation::NoPlaceholder);
        let wanted = puts_first_in_force && {
            let state = &self.lock().state;
            state.current.is_none() && !state.held
        };
        let hold = |state: &mut State| {
            state.held = true;
            Ok(())
        };
        if wanted { self.mutate(hold) } else { Ok(()) }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// What a server issues as `key`: a letter that not every consumer can take is in the first new one.
    fn issued(&self, key: u8) -> Secret {
        let odd = if self.setup.picky && key == 2 { "+" } else { "" };
        Secret::new(format!("k{key}{odd}").into_bytes())
    }

    fn single(&self) -> bool {
        self.setup.capabilities.overlap == Overlap::Single
    }

    fn mutate<T>(&self, change: impl FnOnce(&mut State) -> Result<T, WorldError>) -> Result<T, WorldError> {
        let mut inner = self.lock();
        let fault = inner.fault.take_if(|fault| matches!(fault, Fault::RequestLost | Fault::AnswerLost | Fault::Denied));
        inner.met |= fault.is_some();
        match fault {
            Some(Fault::RequestLost) => return Err(lost()),
            Some(Fault::Denied) => return Err(refusal(ErrorClass::Denied)),
            _ => {}
        }
        let result = change(&mut inner.state);
        if fault.is_some() { Err(lost()) } else { result }
    }

    /// What `of` the state of now, or of before the last change, is answered at this instant.
    fn answer<T>(&self, read: Read, of: impl FnOnce(&State, i64) -> T) -> Result<T, WorldError> {
        let mut inner = self.lock();
        let clock = inner.state.clock;
        let wrong = matches!(inner.fault, Some(Fault::Unanswered(this) | Fault::Stale(this)) if this == read);
        inner.met |= wrong;
        match (inner.fault, &inner.before) {
            (Some(Fault::Unanswered(_)), _) if wrong => Err(lost()),
            (_, Some(before)) if wrong => Ok(of(before, clock)),
            _ => Ok(of(&inner.state, clock)),
        }
    }
}

#[async_trait]
impl SecretStore for World {
    async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
        self.answer(Read::Versions, |state, clock| {
            let labels = |id: &VersionId| {
                let has = |label: &str, of: &Option<VersionId>| (of.as_ref() == Some(id)).then(|| label.to_owned());
                has(CURRENT, &state.current).into_iter().chain(has(PREVIOUS, &state.previous)).collect()
            };
            let view = |id: &VersionId| (id.clone(), VersionView { labels: labels(id), created: Timestamp::UNIX_EPOCH });
            let (versions, now) = (state.values.keys().map(view).collect(), Some(self.setup.by_store(clock)));
            SecretView { exists: true, versions, now, ..SecretView::default() }
        })
    }

    async fn read(&self, _: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        if version.as_str() == DARK {
            return Err(refusal(ErrorClass::Permanent));
        }
        let found = self.answer(Read::Value, |state, _| state.values.get(version).map(|value| Secret::new(value.clone())))?;
        let mut inner = self.lock();
        let current = inner.state.current.as_ref() == Some(version);
        if inner.fault == Some(Fault::Missing { current }) {
            inner.met = true;
            return Err(refusal(ErrorClass::NotFound));
        }
        found.ok_or_else(|| refusal(ErrorClass::NotFound))
    }

    async fn put(&self, _: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let overwrite = self.setup.ablation == Some(Ablation::Overwrite);
        let anew = self.setup.ablation == Some(Ablation::NoToken);
        let first = self.setup.begins == Begins::Nothing;
        self.hold_place()?;
        self.mutate(|state| {
            if first && state.current.is_none() && !state.held {
                state.current = Some(version.clone());
            }
            if !state.values.contains_key(version) {
                state.pending = Some(version.clone());
            }
            let taken = state.values.get(version).is_some_and(|have| have != value.expose());
            let version =
                if anew && taken { VersionId::from(format!("{version} {}", state.values.len())) } else { version.clone() };
            let have = state.values.entry(version).or_insert_with(|| value.expose().to_vec());
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
            if let Some(from) = from.filter(|from| *to == names::rollback(&secret(), from)) {
                state.undone.insert(from.clone());
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
        let key = logins::name(&self.setup, value.expose()).filter(|_| !is_nameless(value.expose()))?;
        match self.setup.capabilities.overlap {
            Overlap::Unvalidated => None,
            Overlap::Single => Some("user".into()),
            Overlap::Dual { .. } => Some(key.to_string().into()),
        }
    }

    async fn create(&self, _: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        if self.setup.capabilities.issuer == Issuer::Client {
            let mut inner = self.lock();
            inner.state.made += 1;
            let value = logins::value(&self.setup, inner.state.made, current.map(Secret::expose));
            let value = Secret::new(value);
            return Ok(Fresh { key: self.identify(&value), value });
        }
        let Overlap::Dual { max } = self.setup.capabilities.overlap else { return Err(refusal(ErrorClass::Permanent)) };
        let issue = |state: &mut State| {
            if state.keys.len() >= usize::from(max) {
                return Err(refusal(ErrorClass::Transient));
            }
            state.made += 1;
            let key = KeyState { active: true, number: state.made, version: None, created: state.clock, foreign: false };
            state.keys.insert(state.made, key);
            Ok(state.made)
        };
        let key = match self.mutate(issue) {
            Err(error) if error.class == ErrorClass::Transient && self.setup.ablation == Some(Ablation::Retries) => {
                self.mutate(issue)
            }
            answer => answer,
        }?;
        Ok(Fresh { key: Some(key.to_string().into()), value: self.issued(key) })
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        let of = |state: &State, _| (state.lets_in(&self.setup, value.expose()), state.is_elsewhere(&self.setup, value.expose()));
        Ok(match self.answer(Read::Trial, of)? {
            (_, true) if self.setup.ablation != Some(Ablation::Mine) => Trial::Elsewhere("elsewhere".to_owned()),
            (true, false) => Trial::Accepted,
            _ => Trial::Refused("refused".to_owned()),
        })
    }
}

#[async_trait]
impl Target for World {
    async fn list(&self) -> Result<Listing, WorldError> {
        self.answer(Read::Listing, |state, clock| {
            let by = |clock| match self.setup.ablation {
                Some(Ablation::OneClock) => self.setup.by_store(clock),
                _ => self.setup.by_target(clock),
            };
            let name = |id: &u8| if self.single() { "user".into() } else { KeyId::from(id.to_string()) };
            // Where one value is let in, one that nobody set through slm is let in by no version.
            let known = |key: &KeyState| !self.single() || key.version.is_some();
            let view = |(id, key): (&u8, &KeyState)| KeyView {
                id: name(id),
                active: key.active && known(key),
                version: key.version.clone().filter(|_| self.setup.capabilities.issuer == Issuer::Client),
                created: Some(by(key.created)),
                last_used: match (state.is_used(key), state.is_kept(key)) {
                    // What a target does not tell holds nobody up.
                    (_, false) if self.setup.ablation == Some(Ablation::Overwrite) => LastUse::Untold,
                    (true, _) => LastUse::At(by(clock), "somebody".to_owned()),
                    (false, true) => LastUse::At(by(key.created), "somebody".to_owned()),
                    // What was never kept was given to nobody.
                    (false, false) => LastUse::Never,
                },
                ours: !key.foreign,
            };
            let here = |(id, _): &(&u8, &KeyState)| self.setup.begins != Begins::Elsewhere || **id != 1;
            Listing { now: self.setup.by_target(clock), keys: state.keys.iter().filter(here).map(view).collect() }
        })
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        let (single, picky) = (self.single(), self.setup.picky);
        let given = value.expose();
        self.mutate(|state| {
            if picky && number(given) == Some(2) {
                return Err(refusal(ErrorClass::Unfit));
            }
            if logins::in_turn(&self.setup) {
                return state.set_login(given, version, over);
            }
            if logins::two_passwords(&self.setup) {
                return state.set_password(given, version);
            }
            let number = number(given).unwrap();
            let name = if single { 1 } else { number };
            let have = state.keys.get(&name).and_then(|key| key.version.as_ref());
            if have != over && have != Some(version) {
                return Err(refusal(ErrorClass::Conflict));
            }
            if single {
                state.password = given.to_vec();
            }
            let created = state.clock;
            state.keys.insert(name, KeyState { active: true, number, version: Some(version.clone()), created, foreign: false });
            Ok(())
        })
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        Ok(self.issued(key.as_str().parse().unwrap()))
    }

    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        let id: u8 = key.as_str().parse().unwrap();
        self.mutate(|state| {
            if logins::two_passwords(&self.setup) {
                return state.discard(id, change);
            }
            if let Some(key) = state.keys.get(&id).filter(|_| logins::in_turn(&self.setup))
                && key.version.as_ref() != seen
            {
                return Err(refusal(ErrorClass::Conflict));
            }
            match (change, state.keys.get_mut(&id)) {
                (KeyChange::Delete, _) if !self.setup.capabilities.delete => return Err(refusal(ErrorClass::Permanent)),
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
        let old = |text: &String| match text.strip_prefix("reject ") {
            Some(_) if self.setup.ablation == Some(Ablation::RejectedAtOnce) => {
                format!("reject {} long ago", Timestamp::UNIX_EPOCH - std::time::Duration::from_secs(9_999))
            }
            _ => text.clone(),
        };
        self.answer(Read::Registers, |state, _| {
            names.iter().filter_map(|name| Some((name.clone(), old(state.registers.get(name)?)))).collect()
        })
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
        self.0.answer(Read::Consumer, |state, _| {
            let [stored, running] = state.consumers[self.1].clone();
            ConsumerView { stored: stored.version, running: running.version, draining: Vec::new(), readers: None }
        })
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
                inner.state.refused.insert(version.clone());
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
