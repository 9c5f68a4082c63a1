//! What the log says of one artefact. One artefact that was written, or written anew, is one entry, and one leaf.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::log::Hash;

/// The most bytes of a path: with the rest of its entry it must fit into a bundle.
pub const MAX_PATH: usize = 4_096;

/// An artefact at one moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// Where it stands in the locker.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: Hash,
    /// How many there are.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    bytes: u64,
    path: String,
    sha256: String,
}

impl Leaf {
    /// The leaf of `bytes` at `path`.
    #[must_use]
    pub fn of(path: &str, bytes: &[u8]) -> Self {
        Self { path: path.to_owned(), sha256: Sha256::digest(bytes).into(), bytes: bytes.len() as u64 }
    }

    /// Its entry: JSON with sorted keys, without spaces or a newline.
    #[must_use]
    pub fn entry(&self) -> Vec<u8> {
        let Self { path, sha256, bytes } = self;
        let mut entry = Vec::with_capacity(128 + path.len());
        entry.extend_from_slice(b"{\"bytes\":");
        entry.extend_from_slice(bytes.to_string().as_bytes());
        entry.extend_from_slice(b",\"path\":");
        // A text always has a form in JSON, and a vector takes it.
        let _ = serde_json::to_writer(&mut entry, path);
        entry.extend_from_slice(b",\"sha256\":\"");
        sha256.iter().for_each(|byte| entry.extend(digits(*byte)));
        entry.extend_from_slice(b"\"}");
        entry
    }

    /// Reads what [`Leaf::entry`] writes, and no other spelling of it.
    #[must_use]
    pub fn parse(entry: &[u8]) -> Option<Self> {
        let Written { bytes, path, sha256 } = serde_json::from_slice(entry).ok()?;
        let leaf = Self { path, sha256: from_hex(&sha256)?, bytes };
        (leaf.entry() == entry).then_some(leaf)
    }
}

/// `bytes` in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits(*byte)).map(char::from).collect()
}

fn digits(byte: u8) -> [u8; 2] {
    const ALL: [u8; 16] = *b"0123456789abcdef";
    [byte >> 4, byte & 0x0f].map(|digit| ALL[usize::from(digit)])
}

fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != hash.len() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        r#"{"bytes":3,"path":"a/é\".json","sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#;

    #[test]
    fn an_entry_has_one_spelling() {
        let leaf = Leaf::of("a/é\".json", b"abc");
        assert_eq!(String::from_utf8(leaf.entry()).unwrap(), ENTRY);
        assert_eq!(Leaf::parse(ENTRY.as_bytes()), Some(leaf));
        for other in [
            ENTRY.replace(":3", ": 3"),
            ENTRY.replace(":3", ":03"),
            ENTRY.replace("ba78", "BA78"),
            ENTRY.replace("ba78", "78"),
            ENTRY.replace("ba78", "+a78"),
            ENTRY.replace("é", "\\u00e9"),
            format!("{ENTRY}\n"),
            ENTRY.replace("{\"bytes\":3,", "{"),
            ENTRY.replace("{\"bytes\"", "{\"a\":1,\"bytes\""),
        ] {
            assert_eq!(Leaf::parse(other.as_bytes()), None, "{other}");
        }
    }
}
