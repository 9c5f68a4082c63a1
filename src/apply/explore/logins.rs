//! Credentials of a database in the small world: two logins in turn, and two passwords of one login.

use super::state::{KeyState, Setup, State, after, number};
use super::world::refusal;
use crate::model::id::VersionId;
use crate::model::rotator::{Capabilities, MysqlAccount};
use crate::world::{ErrorClass, KeyChange, WorldError};

/// True for two logins, of which the one that is not in force gets the next value.
pub fn in_turn(setup: &Setup) -> bool {
    setup.capabilities == Capabilities::IN_TURN
}

/// True for two passwords of one login.
pub fn two_passwords(setup: &Setup) -> bool {
    setup.capabilities == MysqlAccount::DUAL
}

/// What the credential in `value` is called at the target.
pub fn name(setup: &Setup, value: &[u8]) -> Option<u8> {
    if in_turn(setup) { after(value, b'@') } else { number(value) }
}

/// The value numbered `number`, made after `current`: which login it is for, or which password it may be let in beside.
pub fn value(setup: &Setup, number: u8, current: Option<&[u8]>) -> Vec<u8> {
    if in_turn(setup) {
        let login = current.and_then(|current| after(current, b'@')).map_or(1, |login| 3 - login);
        format!("k{number}@{login}").into_bytes()
    } else if two_passwords(setup) {
        let follows = current.and_then(self::number).unwrap_or_default();
        format!("k{number}<{follows}").into_bytes()
    } else {
        format!("k{number}").into_bytes()
    }
}

fn conflict() -> WorldError {
    refusal(ErrorClass::Conflict)
}

impl State {
    fn let_in(&mut self, name: u8, number: u8, version: &VersionId) {
        let (version, created) = (Some(version.clone()), self.clock);
        self.keys.insert(name, KeyState { active: true, number, version, created, foreign: false });
    }

    /// Lets `value` in as one of two logins, over the version that was seen there.
    pub fn set_login(&mut self, value: &[u8], version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        let (Some(login), Some(number)) = (after(value, b'@'), number(value)) else { return Err(refusal(ErrorClass::Permanent)) };
        let have = self.keys.get(&login);
        if let Some(key) = have.filter(|key| key.version.as_ref() == Some(version)) {
            // Who switched it off since had read further.
            return if key.active { Ok(()) } else { Err(conflict()) };
        }
        if have.and_then(|key| key.version.as_ref()) != over {
            return Err(conflict());
        }
        self.let_in(login, number, version);
        Ok(())
    }

    /// Lets `value` in beside the password it was made after, or in place of one that made way.
    pub fn set_password(&mut self, value: &[u8], version: &VersionId) -> Result<(), WorldError> {
        let (Some(follows), Some(number)) = (after(value, b'<'), number(value)) else {
            return Err(refusal(ErrorClass::Permanent));
        };
        let second = self.keys.keys().copied().find(|key| *key != self.first);
        if self.first == number {
            return Ok(());
        }
        if self.gone.contains(&number) {
            return Err(conflict());
        }
        match second {
            None if self.first == follows => self.gone.clear(),
            Some(second) if second == follows => {
                self.keys.remove(&self.first);
                self.gone.insert(self.first);
            }
            _ => return Err(conflict()),
        }
        self.let_in(number, number, version);
        self.first = number;
        Ok(())
    }

    /// Ends one of two passwords; the other one stays. An account that was made for a first value has an old password that is no version's.
    pub fn discard(&mut self, key: u8, change: KeyChange) -> Result<(), WorldError> {
        let only = self.first == key && self.keys.len() == 1 && self.current.is_some();
        if change != KeyChange::Delete || only {
            return Err(refusal(ErrorClass::Permanent));
        }
        if self.keys.remove(&key).is_some() {
            self.gone.insert(key);
            self.first = self.keys.keys().next().copied().unwrap_or_default();
        }
        Ok(())
    }
}
