//! What a program that carries out a kind answers.

use serde::Deserialize;
use serde_json::Value as Json;
use zeroize::Zeroize;

use crate::model::time::Timestamp;

/// What a program answers.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Reply {
    Ok(Json),
    Error(Refusal),
}

/// Why it did not do a step.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    pub(super) class: Class,
    #[serde(default)]
    pub(super) code: String,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Class {
    Denied,
    NotFound,
    Conflict,
    Transient,
    Permanent,
    Unfit,
}

/// A step that has nothing to tell.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Whether a value was let in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tried {
    pub(super) accepted: bool,
    /// It is let in, and not as what the program is for.
    #[serde(default)]
    pub(super) elsewhere: bool,
    #[serde(default)]
    pub(super) code: String,
}

/// The credentials at its target.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    pub(super) complete: bool,
    pub(super) now: Timestamp,
    pub(super) keys: Vec<Key>,
}

/// One of them.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) active: bool,
    pub(super) version: Option<String>,
    pub(super) created: Option<Timestamp>,
    pub(super) last_used: Option<Timestamp>,
    pub(super) ours: bool,
}

/// What is read of a value.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) key: String,
}

impl Drop for Named {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// A code may be shown; anything else that a program says may hold a value.
pub(super) fn code(text: &str) -> &str {
    let plain = text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if plain && !text.is_empty() { text } else { "no code" }
}
