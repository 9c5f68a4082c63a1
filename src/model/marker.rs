//! What slm itself writes into versions that hold no credential, so that nobody is given one for a value.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::KeyId;
use super::secret::Secret;

/// Label of the version that holds the place of a first value; no other version has it.
pub const PLACEHOLDER_LABEL: &str = "SLM-PLACEHOLDER";

const PLACEHOLDER: &str = "placeholder";
const TOMBSTONE: &str = "tombstone";

/// As it is written; an object with anything more in it is none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    slm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condemned: Option<BTreeSet<KeyId>>,
}

impl Marker {
    fn read(value: &Secret) -> Option<Self> {
        serde_json::from_slice(value.expose()).ok()
    }
}

/// What holds the place of a first value, where a store puts in force by itself whatever is written first.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn placeholder() -> Result<Secret, serde_json::Error> {
    serde_json::to_vec(&Marker { slm: PLACEHOLDER.to_owned(), condemned: None }).map(Secret::new)
}

/// What is written into a slot to close it.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn tombstone(condemned: &BTreeSet<KeyId>) -> Result<Secret, serde_json::Error> {
    serde_json::to_vec(&Marker { slm: TOMBSTONE.to_owned(), condemned: Some(condemned.clone()) }).map(Secret::new)
}

/// The keys condemned by `value` when it is a tombstone.
#[must_use]
pub fn condemned(value: &Secret) -> Option<BTreeSet<KeyId>> {
    Marker::read(value).filter(|read| read.slm == TOMBSTONE)?.condemned
}

/// True when `value` holds the place of a first one.
#[must_use]
pub fn is_placeholder(value: &Secret) -> bool {
    Marker::read(value).is_some_and(|read| read.slm == PLACEHOLDER && read.condemned.is_none())
}

/// True when `value` may be a credential: it is nothing that slm wrote to say that there is none.
#[must_use]
pub fn may_be_a_credential(value: &Secret) -> bool {
    !is_placeholder(value) && condemned(value).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_place_or_closes_a_slot_is_told_by_its_content_and_nothing_else_is() {
        let keys = BTreeSet::from([KeyId::from("a"), KeyId::from("b")]);
        let (place, closed) = (placeholder().unwrap(), tombstone(&keys).unwrap());
        assert_eq!(place.expose_text().unwrap(), r#"{"slm":"placeholder"}"#);
        assert_eq!(closed.expose_text().unwrap(), r#"{"slm":"tombstone","condemned":["a","b"]}"#);
        assert_eq!((is_placeholder(&place), condemned(&place), may_be_a_credential(&place)), (true, None, false));
        assert_eq!((is_placeholder(&closed), condemned(&closed), may_be_a_credential(&closed)), (false, Some(keys), false));
        for other in [
            r#"{"slm":"note","condemned":[]}"#,
            r#"{"slm":"tombstone"}"#,
            r#"{"slm":"tombstone","condemned":[],"more":1}"#,
            r#"{"slm":"placeholder","condemned":[]}"#,
            r#"{"slm":"placeholder","password":"x"}"#,
            r#"{"username":"a","password":"b"}"#,
            "x",
        ] {
            let value = Secret::new(other.into());
            assert_eq!((is_placeholder(&value), condemned(&value), may_be_a_credential(&value)), (false, None, true), "{other}");
        }
    }
}
