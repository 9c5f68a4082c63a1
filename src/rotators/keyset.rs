//! Keys with which an application signs and by which it accepts. Nobody else validates them, so that what keeps a token from being
//! refused is the order of the values: each is made from the one before, and never before every consumer runs that.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Encoding, Key, Keys, Keyset, Next};
use crate::model::secret::Secret;
use crate::world::{Capabilities, ErrorClass, Fresh, Rotator, Trial, WorldError};

/// Makes the value after another one.
#[derive(Clone, Copy, Debug)]
pub struct SigningKeys {
    declared: Keyset,
}

impl SigningKeys {
    /// Keys as in `declared`.
    #[must_use]
    pub fn new(declared: &Keyset) -> Self {
        Self { declared: *declared }
    }

    /// A new key, named by the version that brings it.
    fn key(&self, slot: &VersionId) -> Result<Key, WorldError> {
        let mut bytes = Zeroizing::new(vec![0_u8; usize::from(self.declared.bytes)]);
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| failure(ErrorClass::Transient, "draw random bytes", &error.to_string()))?;
        let key = match self.declared.encoding {
            Encoding::Base64url => URL_SAFE_NO_PAD.encode(&bytes[..]),
            Encoding::Base64 => STANDARD.encode(&bytes[..]),
            Encoding::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        Ok(Key { kid: slot.to_string(), key })
    }
}

#[async_trait]
impl Rotator for SigningKeys {
    fn capabilities(&self) -> Capabilities {
        Keyset::CAPABILITIES
    }

    fn identify(&self, _: &Secret) -> Option<KeyId> {
        None
    }

    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        let keys = match current {
            None => Keys { sign: slot.to_string(), keys: vec![self.key(slot)?] },
            Some(value) => {
                let mut keys =
                    Keys::read(value).ok_or_else(|| failure(ErrorClass::Permanent, "read the keys in force", Keys::SHAPE))?;
                match self.declared.next(&keys) {
                    Next::Publish => keys.keys.push(self.key(slot)?),
                    Next::Sign => keys.sign = keys.keys.last().map(|newest| newest.kid.clone()).unwrap_or_default(),
                    Next::Drop => drop(keys.keys.drain(..keys.keys.len() - usize::from(self.declared.keep.max(1)))),
                }
                keys
            }
        };
        let value = serde_json::to_vec(&keys)
            .map_err(|_| failure(ErrorClass::Permanent, "write the keys", "they cannot be spelled as JSON"))?;
        Ok(Fresh { key: None, value: Secret::new(value) })
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        Ok(match Keys::read(value) {
            Some(_) => Trial::Accepted,
            None => Trial::Refused(Keys::SHAPE.to_owned()),
        })
    }
}

fn failure(class: ErrorClass, operation: &str, cause: &str) -> WorldError {
    WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rotator::ActivateAfter;
    use crate::model::time::Limit;

    fn keys(keep: u8, encoding: Encoding) -> SigningKeys {
        let (drop_after, activate_after) = (Limit::days(1), ActivateAfter::AcceptedEverywhere);
        SigningKeys::new(&Keyset { bytes: 32, encoding, keep, drop_after, activate_after })
    }

    /// The key to sign with and the keys to accept by, by name.
    fn names(value: &Secret) -> (String, Vec<String>) {
        let keys = Keys::read(value).unwrap();
        (keys.sign.clone(), keys.keys.iter().map(|key| key.kid.clone()).collect())
    }

    /// Two whole rotations after the first value, of as many values as are told.
    async fn rotations(keep: u8, values: usize) -> Vec<(String, Vec<String>)> {
        let (keys, mut told) = (keys(keep, Encoding::Base64url), Vec::new());
        let mut value = keys.create(&"0".into(), None).await.unwrap().value;
        told.push(names(&value));
        for n in 1..values {
            value = keys.create(&VersionId::from(n.to_string()), Some(&value)).await.unwrap().value;
            assert_eq!(keys.verify(&value).await.unwrap(), Trial::Accepted);
            told.push(names(&value));
        }
        told
    }

    #[tokio::test]
    async fn a_key_is_published_then_signed_with_and_then_the_oldest_is_dropped() {
        let told = rotations(1, 7).await;
        let told: Vec<(&str, String)> = told.iter().map(|(sign, all)| (sign.as_str(), all.join(" "))).collect();
        let want = [("0", "0"), ("0", "0 1"), ("1", "0 1"), ("1", "1"), ("1", "1 4"), ("4", "1 4"), ("4", "4")];
        assert_eq!(told, want.map(|(sign, all)| (sign, all.to_owned())));
        let told = rotations(2, 6).await;
        let told: Vec<(&str, String)> = told.iter().map(|(sign, all)| (sign.as_str(), all.join(" "))).collect();
        let want = [("0", "0"), ("0", "0 1"), ("1", "0 1"), ("1", "0 1 3"), ("3", "0 1 3"), ("3", "1 3")];
        assert_eq!(told, want.map(|(sign, all)| (sign, all.to_owned())));
    }

    #[tokio::test]
    async fn what_signs_in_one_value_is_accepted_by_the_value_before_and_the_one_after() {
        for keep in [1, 2, 3] {
            for two in rotations(keep, 16).await.windows(2) {
                let [(before, accepts_before), (after, accepts_after)] = two else { unreachable!() };
                assert!(accepts_after.contains(before) && accepts_before.contains(after), "{keep}: {two:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_key_has_its_bytes_in_the_spelling_declared_and_stays_the_same() {
        for (encoding, length, letters) in [(Encoding::Base64url, 43, "-_"), (Encoding::Base64, 44, "+/="), (Encoding::Hex, 64, "")]
        {
            let keys = keys(1, encoding);
            let first = keys.create(&"0".into(), None).await.unwrap().value;
            let second = keys.create(&"1".into(), Some(&first)).await.unwrap().value;
            let (first, second) = (Keys::read(&first).unwrap(), Keys::read(&second).unwrap());
            assert!(first.keys[0].key == second.keys[0].key && first.keys[0].key != second.keys[1].key);
            for key in &second.keys {
                let fits = |letter: char| letter.is_ascii_alphanumeric() || letters.contains(letter);
                assert!(key.key.len() == length && key.key.chars().all(fits), "{encoding:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_set_of_keys_is_not_replaced_and_not_told() {
        let plain = Secret::new(b"CANARY".to_vec());
        let keys = keys(1, Encoding::Hex);
        let error = keys.create(&"1".into(), Some(&plain)).await.err().unwrap();
        assert_eq!(error.class, ErrorClass::Permanent);
        assert!(!format!("{error:?} {error}").contains("CANARY"));
        assert_eq!(keys.verify(&plain).await.unwrap(), Trial::Refused(Keys::SHAPE.to_owned()));
    }
}
