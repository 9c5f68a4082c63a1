//! The keys that sign the log, one after the other: each says of which it takes over, and both sign that.
//!
//! `log/keys/<n>` is a note: the origin, `key <n>`, the verifier key, `from <size>`, and from the second on `after <verifier key>`.
//! Whoever trusts one of them, by a pin kept elsewhere, can follow the others from there. The file of a key is for everybody to copy, so it says
//! nothing of a log that this key, or one after it, did not sign.

use std::fmt;
use std::io;

use super::log::{NoteError, Signer, Verifier, compose, open, signature_lines};

/// More keys than a log ever has; reading ends there.
const MOST: u32 = 10_000;

/// One key and when it took over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub verifier: Verifier,
    /// It signs checkpoints of this size and more, until the next takes over.
    pub from: u64,
}

/// Why the keys of a log cannot be believed.
#[derive(Debug)]
pub enum KeysError {
    /// The file of a key cannot be read.
    Read(u32, io::Error),
    /// The file of a key is not as slm writes it.
    Malformed(u32),
    /// A key that is not signed by itself and the one before.
    Unsigned(u32, NoteError),
    /// A key that takes over of this size, and is kept in a log of that one.
    Early(u32, u64, u64),
    /// None of the keys is the one that is trusted.
    Untrusted,
    /// The key that is trusted signs from this size on, and what is there was signed before.
    Unused(u64),
    /// The log was handed over to a key that is not trusted, instead of one that is.
    OtherHeir(String),
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(number, _) => write!(f, "cannot read `{}`", path(*number)),
            Self::Malformed(number) => write!(f, "`{}` is not as slm writes it", path(*number)),
            Self::Unsigned(1, _) => write!(f, "`{}` is not signed by the key it names", path(1)),
            Self::Unsigned(number, _) => write!(f, "`{}` is not signed by the key it names and the one before", path(*number)),
            Self::Early(number, from, size) => {
                write!(f, "`{}` takes over from entry {from}, and is kept in a log of {size}", path(*number))
            }
            Self::Untrusted => f.write_str("no key of the log is the one that is trusted"),
            Self::Unused(from) => {
                write!(
                    f,
                    "the key that is trusted signs from entry {from} on, and neither it nor one after it signed what is there"
                )
            }
            Self::OtherHeir(key) => write!(f, "the log was handed over to another key than `{key}`, which is trusted"),
        }
    }
}

impl std::error::Error for KeysError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::Unsigned(_, error) => Some(error),
            Self::Malformed(_) | Self::Early(..) | Self::Untrusted | Self::Unused(_) | Self::OtherHeir(_) => None,
        }
    }
}

/// The file of the key `number`, from one on, below the folder of the log.
#[must_use]
pub fn path(number: u32) -> String {
    format!("keys/{number}")
}

fn text(origin: &str, number: u32, key: &Key, before: Option<&Verifier>) -> String {
    let after = before.map(|before| format!("after {}\n", before.vkey())).unwrap_or_default();
    format!("{origin}\nkey {number}\n{}\nfrom {}\n{after}", key.verifier.vkey(), key.from)
}

/// The note that says `signer` is key `number` of `origin` from `from` on, after `before`.
///
/// # Errors
/// When it cannot be signed.
pub fn handover(origin: &str, number: u32, signer: &Signer, from: u64, before: Option<&Signer>) -> Result<String, NoteError> {
    let key = Key { verifier: signer.verifier().clone(), from };
    let text = text(origin, number, &key, before.map(Signer::verifier));
    let mut signatures = vec![signer.sign(&text)?];
    if let Some(before) = before {
        signatures.push(before.sign(&text)?);
    }
    compose(&text, &signatures)
}

/// Every key of the log `origin`, each compared with the one before; `read` gives a file below the folder of the log.
///
/// # Errors
/// The first that is not as it must be.
pub fn read_all(origin: &str, read: impl Fn(&str) -> io::Result<Option<Vec<u8>>>) -> Result<Vec<Key>, KeysError> {
    let mut all: Vec<Key> = Vec::new();
    for number in 1..MOST {
        let Some(note) = read(&path(number)).map_err(|error| KeysError::Read(number, error))? else { break };
        let malformed = || KeysError::Malformed(number);
        let note = String::from_utf8(note).map_err(|_| malformed())?;
        let mut lines = note.lines().skip(2);
        let verifier = lines.next().and_then(|vkey| Verifier::parse(vkey).ok()).ok_or_else(malformed)?;
        let from = lines.next().and_then(|line| line.strip_prefix("from ")?.parse().ok()).ok_or_else(malformed)?;
        let key = Key { verifier, from };
        let before = all.last();
        let signers = 1 + usize::from(before.is_some());
        if signature_lines(note.as_bytes()) > signers
            || before.is_some_and(|before| before.from >= from || before.verifier == key.verifier)
        {
            return Err(malformed());
        }
        let signed =
            |verifier: &Verifier| open(note.as_bytes(), std::slice::from_ref(verifier)).map_err(|e| KeysError::Unsigned(number, e));
        let said = signed(&key.verifier)?.text;
        if let Some(before) = before {
            signed(&before.verifier)?;
        }
        if said != text(origin, number, &key, before.map(|before| &before.verifier)) {
            return Err(malformed());
        }
        all.push(key);
    }
    Ok(all)
}

/// Whether a log of `size` can have `keys`: one that takes over later was taken from another.
///
/// # Errors
/// The first that takes over later.
pub fn fits(keys: &[Key], size: u64) -> Result<(), KeysError> {
    let early = (1..).zip(keys).find(|(_, key)| key.from > size);
    early.map_or(Ok(()), |(number, key)| Err(KeysError::Early(number, key.from, size)))
}

/// Whether a log of `size` with `keys` can be believed by whoever trusts `pins`; without a pin nobody can say. The key in force must be one of
/// `pins`, or one that was handed over to since: a key that is only listed has signed nothing.
///
/// # Errors
/// [`KeysError::Untrusted`] when a pin is given and none of them is there, [`KeysError::Unused`] when none is in force yet,
/// [`KeysError::OtherHeir`] when an older one of them handed over past a newer one: it may be known to somebody by now.
pub fn trusted(keys: &[Key], pins: &[Verifier], size: u64) -> Result<bool, KeysError> {
    if pins.is_empty() {
        return Ok(false);
    }
    let pinned = |key: &Key| pins.contains(&key.verifier);
    let first = keys.iter().find(|key| pinned(key)).ok_or(KeysError::Untrusted)?;
    if first.from > size {
        return Err(KeysError::Unused(first.from));
    }
    let listed = |pin: &Verifier| keys.iter().any(|key| key.verifier == *pin);
    let passed_over = pins.iter().find(|pin| pin.name() == first.verifier.name() && !listed(pin));
    match passed_over.filter(|_| keys.last().is_some_and(|last| !pinned(last))) {
        Some(pin) => Err(KeysError::OtherHeir(pin.vkey())),
        None => Ok(true),
    }
}

/// The key that signs a checkpoint of `size`.
#[must_use]
pub fn in_force(keys: &[Key], size: u64) -> Option<&Key> {
    keys.iter().rev().find(|key| key.from <= size)
}
