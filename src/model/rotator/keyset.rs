//! Keys with which an application signs and by which it accepts, as declared and as stored: a new one is published, then signed
//! with, and then the oldest is dropped, each by a value of its own.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Capabilities;
use crate::model::secret::Secret;
use crate::model::time::Limit;

/// `keyset = { .. }` of a rotator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Keyset {
    /// Random bytes of a key; at least 16.
    #[serde(default = "thirty_two")]
    pub bytes: u16,
    /// How they are spelled.
    #[serde(default)]
    pub encoding: Encoding,
    /// Keys that are accepted at the end of a rotation, the one that signs included.
    #[serde(default = "two")]
    pub keep: u8,
    /// The longest time for which what was signed is shown to anybody; no key is dropped before.
    pub drop_after: Limit,
    /// When a key that was published is signed with.
    #[serde(default)]
    pub activate_after: ActivateAfter,
}

fn thirty_two() -> u16 {
    32
}

fn two() -> u8 {
    2
}

/// How the bytes of a key are spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// `A-Z a-z 0-9 - _`, without padding.
    #[default]
    Base64url,
    /// `A-Z a-z 0-9 + / =`.
    Base64,
    /// `0-9 a-f`.
    Hex,
}

/// When a key that was published is signed with. There is one safe answer, and a config repo may say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActivateAfter {
    /// When every consumer accepts it, and none can hold a value without it.
    #[default]
    AcceptedEverywhere,
}

/// What the value after another one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It brings a new key, by which everybody accepts and nobody signs.
    Publish,
    /// It signs with the newest key.
    Sign,
    /// It leaves out the oldest keys.
    Drop,
}

impl Next {
    /// As kept in a register.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Sign => "sign",
            Self::Drop => "drop",
        }
    }

    /// Reads a register; anything else is `None`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        [Self::Publish, Self::Sign, Self::Drop].into_iter().find(|next| next.as_str() == text)
    }
}

/// What is stored.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The name of the key to sign with.
    pub sign: String,
    /// Keys to accept by, the oldest first.
    pub keys: Vec<Key>,
}

/// One key.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name: the version that brought it.
    pub kid: String,
    /// The key itself, spelled.
    pub key: String,
}

impl Keys {
    /// What is wanted of a value, in words.
    pub const SHAPE: &str = "it is not `{\"sign\": …, \"keys\": [{\"kid\": …, \"key\": …}]}` with a key of its own for each name";

    /// Reads a value; `None` when it is no set of keys with one to sign with among them.
    #[must_use]
    pub fn read(value: &Secret) -> Option<Self> {
        let keys: Self = serde_json::from_slice(value.expose()).ok()?;
        let names: BTreeSet<&str> = keys.keys.iter().map(|key| key.kid.as_str()).collect();
        let whole = names.len() == keys.keys.len() && keys.keys.iter().all(|key| !key.kid.is_empty() && !key.key.is_empty());
        (whole && names.contains(keys.sign.as_str())).then_some(keys)
    }
}

impl Keyset {
    /// We make the keys, from those in force, and nobody but the application accepts by them.
    pub const CAPABILITIES: Capabilities = Capabilities { follows: true, ..Capabilities::UNVALIDATED };

    /// What the value after `keys` does.
    #[must_use]
    pub fn next(&self, keys: &Keys) -> Next {
        if keys.keys.last().is_some_and(|newest| newest.kid != keys.sign) {
            Next::Sign
        } else if keys.keys.len() > usize::from(self.keep) {
            Next::Drop
        } else {
            Next::Publish
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(sign: &str, names: &[&str]) -> Option<Keys> {
        let keys: Vec<String> = names.iter().map(|name| format!("{{\"kid\":\"{name}\",\"key\":\"k\"}}")).collect();
        Keys::read(&Secret::new(format!("{{\"sign\":\"{sign}\",\"keys\":[{}]}}", keys.join(",")).into_bytes()))
    }

    #[test]
    fn a_value_tells_what_comes_after_it() {
        let keyset = |keep| Keyset {
            bytes: 32,
            encoding: Encoding::Hex,
            keep,
            drop_after: Limit::days(1),
            activate_after: ActivateAfter::AcceptedEverywhere,
        };
        for (sign, names, one, two) in [
            ("a", &["a"][..], Next::Publish, Next::Publish),
            ("a", &["a", "b"], Next::Sign, Next::Sign),
            ("b", &["a", "b"], Next::Drop, Next::Publish),
            ("b", &["a", "b", "c"], Next::Sign, Next::Sign),
            ("c", &["a", "b", "c"], Next::Drop, Next::Drop),
        ] {
            let keys = keys(sign, names).unwrap();
            assert_eq!((keyset(1).next(&keys), keyset(2).next(&keys)), (one, two), "{sign} of {names:?}");
        }
        for next in [Next::Publish, Next::Sign, Next::Drop] {
            assert_eq!(Next::read(next.as_str()), Some(next));
        }
    }

    #[test]
    fn what_is_no_set_of_keys_with_one_to_sign_with_is_none() {
        assert!(keys("a", &["a", "b"]).is_some());
        assert!(keys("c", &["a", "b"]).is_none() && keys("a", &["a", "a"]).is_none() && keys("", &[""]).is_none());
        for text in ["", "plain", "{}", r#"{"sign":"a","keys":[]}"#, r#"{"sign":"a","keys":[{"kid":"a","key":""}]}"#] {
            assert!(Keys::read(&Secret::new(text.as_bytes().to_vec())).is_none(), "{text}");
        }
        let more = r#"{"sign":"a","keys":[{"kid":"a","key":"k","alg":"HS256"}]}"#;
        assert!(Keys::read(&Secret::new(more.as_bytes().to_vec())).is_none(), "what would not be kept is not taken");
    }
}
