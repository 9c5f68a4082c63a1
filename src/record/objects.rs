//! Raw bytes that are too long for git: what stands in their place, and what must be in the object that it points to.
//!
//! `raw/…/page.json` becomes `raw/…/page.json.object`: how many bytes there are and SHA-256 of them. The object is named by that hash and
//! holds the bytes as one zstd frame; whatever else is in it is not what was received.

use std::io::{self, Read as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::canonical::{self, NotCanonical};
use super::leaf::hex;

/// What the path of a pointer ends in.
pub const SUFFIX: &str = ".object";
/// Half of what the slowest level saves, in a twentieth of its time.
const LEVEL: i32 = 3;

/// What stands in git in the place of the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// How many bytes there are.
    pub bytes: u64,
    /// SHA-256 of them, lower-case hex.
    pub sha256: String,
}

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is no zstd frame that ends.
    Broken,
    /// There are other bytes in it.
    Other,
}

impl Pointer {
    /// The pointer to `bytes`.
    #[must_use]
    pub fn to(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
    }

    /// Its file.
    ///
    /// # Errors
    /// Never; passed on from the canonical form.
    pub fn file(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical::json(self)
    }

    /// Reads what [`Pointer::file`] writes.
    #[must_use]
    pub fn parse(file: &[u8]) -> Option<Self> {
        let pointer: Self = serde_json::from_slice(file).ok()?;
        let plain = pointer.sha256.len() == 64 && pointer.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        plain.then_some(pointer)
    }

    /// The name of the object: two digits as a folder, so that none has too many.
    #[must_use]
    pub fn object(&self) -> String {
        format!("{}/{}.zst", &self.sha256[..2], &self.sha256[2..])
    }

    /// The bytes that are in `object`, when they are the ones.
    ///
    /// # Errors
    /// When they are not; no more of them is unpacked than there must be.
    pub fn unpacked(&self, object: &[u8]) -> Result<Vec<u8>, Wrong> {
        let mut bytes = Vec::new();
        let reader = zstd::stream::read::Decoder::new(object).map_err(|_| Wrong::Broken)?;
        reader.take(self.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(|_| Wrong::Broken)?;
        if Self::to(&bytes) == *self { Ok(bytes) } else { Err(Wrong::Other) }
    }
}

/// `bytes` as an object holds them.
///
/// # Errors
/// When there is no memory for it.
pub fn packed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_gives_back_its_bytes_and_no_others() {
        let bytes = br#"{"SecretList":[]}"#.repeat(5_000);
        let (pointer, object) = (Pointer::to(&bytes), packed(&bytes).unwrap());
        assert!(object.len() * 20 < bytes.len(), "{} of {}", object.len(), bytes.len());
        assert_eq!(pointer.unpacked(&object), Ok(bytes.clone()));
        assert_eq!(pointer.unpacked(&packed(b"other").unwrap()), Err(Wrong::Other));
        assert_eq!(pointer.unpacked(&packed(&bytes[1..]).unwrap()), Err(Wrong::Other));
        assert_eq!(pointer.unpacked(&object[..object.len() / 2]), Err(Wrong::Broken));
        assert_eq!(pointer.unpacked(b"junk"), Err(Wrong::Broken));
        // What would unpack to more than there must be is not unpacked to its end.
        let bomb = packed(&vec![0; 50_000_000]).unwrap();
        assert_eq!(pointer.unpacked(&bomb), Err(Wrong::Other));
    }

    #[test]
    fn a_pointer_has_one_spelling_and_names_its_object_by_the_hash() {
        let pointer = Pointer::to(b"abc");
        let file = b"{\"bytes\":3,\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}\n";
        assert_eq!(pointer.file().unwrap(), file);
        assert_eq!(Pointer::parse(file), Some(pointer.clone()));
        assert_eq!(pointer.object(), "ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.zst");
        for other in ["{\"bytes\":3,\"sha256\":\"ba\"}", "{\"bytes\":3,\"sha256\":\"../../../../etc/passwd\"}", "[]", "abc"] {
            assert_eq!(Pointer::parse(other.as_bytes()), None, "{other}");
        }
    }
}
