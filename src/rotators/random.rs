//! Values we choose and nobody else validates.

use async_trait::async_trait;
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Alphabet, RandomValue};
use crate::model::secret::Secret;
use crate::world::{Capabilities, ErrorClass, Fresh, Rotator, Trial, WorldError};

/// Draws characters uniformly from an alphabet.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    length: u16,
    alphabet: Alphabet,
}

impl Random {
    /// Values as in `declared`.
    #[must_use]
    pub fn new(declared: &RandomValue) -> Self {
        Self { length: declared.length, alphabet: declared.alphabet }
    }
}

#[async_trait]
impl Rotator for Random {
    fn capabilities(&self) -> Capabilities {
        Capabilities::UNVALIDATED
    }

    fn identify(&self, _: &Secret) -> Option<KeyId> {
        None
    }

    async fn create(&self, _: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        let letters = letters(self.alphabet);
        // The greatest multiple of the alphabet's size in a byte: a byte at or above it would favour the first letters.
        let bound = 256 - 256 % letters.len();
        let length = usize::from(self.length);
        let mut value = Vec::with_capacity(length);
        let mut bytes = Zeroizing::new([0_u8; 64]);
        while value.len() < length {
            OsRng.try_fill_bytes(&mut bytes[..]).map_err(|error| WorldError {
                class: ErrorClass::Transient,
                operation: "draw random bytes".to_owned(),
                cause: error.to_string(),
            })?;
            let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < bound);
            value.extend(fair.map(|byte| letters[byte % letters.len()]).take(length - value.len()));
        }
        Ok(Fresh { key: None, value: Secret::new(value) })
    }

    async fn verify(&self, _: &Secret) -> Result<Trial, WorldError> {
        Ok(Trial::Accepted)
    }
}

fn letters(alphabet: Alphabet) -> &'static [u8] {
    match alphabet {
        Alphabet::Alnum => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        Alphabet::Hex => b"0123456789abcdef",
        Alphabet::Base64url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_have_the_length_and_only_letters_of_the_alphabet() {
        for alphabet in [Alphabet::Alnum, Alphabet::Hex, Alphabet::Base64url] {
            let value = Random::new(&RandomValue { length: 200, alphabet }).create(&"slot".into(), None).await.unwrap().value;
            assert_eq!(value.expose().len(), 200);
            assert!(value.expose().iter().all(|byte| letters(alphabet).contains(byte)));
        }
    }

    #[tokio::test]
    async fn every_letter_comes_about_equally_often() {
        let value = Random::new(&RandomValue { length: 62_000, alphabet: Alphabet::Alnum })
            .create(&"slot".into(), None)
            .await
            .unwrap()
            .value;
        for letter in letters(Alphabet::Alnum) {
            let count = value.expose().iter().filter(|byte| *byte == letter).count();
            assert!((750..1_250).contains(&count), "{count}"); // 1000 expected, standard deviation 32
        }
    }
}
