//! The value of a login to a database, as it is stored.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::random::Random;
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{NewPassword, RandomValue};
use crate::model::secret::Secret;
use crate::world::{ErrorClass, Fresh, Rotator as _, WorldError};

/// Where a value logs in.
pub(super) struct Door<'a> {
    pub host: &'a str,
    pub port: u16,
    pub dbname: &'a str,
}

/// What is stored.
#[derive(Serialize, Zeroize, ZeroizeOnDrop)]
struct Value<'a> {
    username: String,
    password: String,
    #[zeroize(skip)]
    host: &'a str,
    port: u16,
    #[zeroize(skip)]
    dbname: &'a str,
    #[serde(flatten)]
    turn: Option<Turn>,
}

/// Which of the passwords of one login a value is, and beside which it may be let in.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Turn {
    pub version: String,
    pub follows: String,
}

/// What counts of it: where to log in is never taken from a secret.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Known {
    pub username: String,
    pub password: String,
    #[serde(flatten)]
    pub turn: Option<Turn>,
}

/// Reads a value; `operation` is what for.
pub(super) fn parse(value: &Secret, operation: impl FnOnce() -> String) -> Result<Known, WorldError> {
    serde_json::from_slice(value.expose()).map_err(|_| WorldError {
        class: ErrorClass::Permanent,
        operation: operation(),
        cause: "it is not `{\"username\": …, \"password\": …}`".to_owned(),
    })
}

/// A new value for `user`, listed as `key`; nothing is touched.
pub(super) async fn fresh(
    (slot, user, key): (&VersionId, &str, KeyId),
    door: Door<'_>,
    password: &NewPassword,
    turn: Option<Turn>,
    operation: String,
) -> Result<Fresh, WorldError> {
    let drawn = Random::new(&RandomValue { length: password.length, alphabet: password.alphabet });
    let drawn = drawn.create(slot, None).await?.value;
    let unclear = || WorldError { class: ErrorClass::Permanent, operation: operation.clone(), cause: "it is not text".to_owned() };
    let password = drawn.expose_text().map_err(|_| unclear())?.to_owned();
    let value = Value { username: user.to_owned(), password, host: door.host, port: door.port, dbname: door.dbname, turn };
    let stored = serde_json::to_vec(&value).map_err(|_| unclear())?;
    Ok(Fresh { key: Some(key), value: Secret::new(stored) })
}
