//! What a commit adds to the log of the locker: a leaf for each artefact it writes, the tiles above them, and a signed checkpoint.
//!
//! Everything is below `log/` in the tree of the commit. The checkpoint of a commit covers the commit itself: its leaves are the files
//! it changes, no more and no fewer, and the line `received` is its committer's date.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use super::keys::{self, Key, KeysError, handover};
use super::leaf::Leaf;
use super::log::{
    Appended, Appender, Checkpoint, CheckpointError, Head, LogError, NoteError, Signer, Tiles, Verifier, compose, open, root_of,
    verify_consistency,
};
use crate::model::blob::Blob;
use crate::model::time::Timestamp;

/// The folder of the log in the locker.
pub const FOLDER: &str = "log/";
/// The checkpoint, below that folder.
pub const CHECKPOINT: &str = "checkpoint";
/// What the extension line of a checkpoint begins with.
const RECEIVED: &str = "received ";

/// Files of a commit by their path in the locker; `None` is a file that goes.
pub type Changes = BTreeMap<String, Option<Blob>>;

/// Keeps the log of one locker.
pub struct Ledger {
    origin: String,
    signer: Option<Signer>,
    before: Option<Signer>,
    trust: Vec<Verifier>,
}

/// Why a log cannot be continued.
#[derive(Debug)]
pub enum LedgerError {
    /// A file of the log cannot be read.
    Read(io::Error),
    /// The checkpoint is not as slm writes it.
    Checkpoint(CheckpointError),
    /// The checkpoint has no signature of the key in force.
    Note(NoteError),
    /// The keys of the log cannot be believed.
    Keys(KeysError),
    /// The tiles are not what the checkpoint says.
    Log(LogError),
    /// A file that the rest of the log rests on is not there.
    Lacks(&'static str),
    /// The log is another one.
    Origin(String),
    /// The log is signed and there is no key to sign with.
    NoKey(String),
    /// The key is not the one in force, and the one in force is not there to hand over.
    OtherKey(String),
    /// The log has this many entries, and had that many when it was seen before.
    Shorter(u64, u64),
    /// The log is not the one of which this many entries were seen before.
    Parted(u64),
    /// The log has these many entries, which were seen before, in another commit or as of another date.
    Anew(u64),
    /// None of the keys that whoever verifies trusts has signed the log that is there.
    Forgotten(KeysError),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => f.write_str("cannot read the log"),
            Self::Checkpoint(_) => f.write_str("`log/checkpoint` is not as slm writes it"),
            Self::Note(_) => f.write_str("`log/checkpoint` is not signed by the key in force"),
            Self::Keys(_) => f.write_str("the keys of the log cannot be believed"),
            Self::Log(_) => f.write_str("the log is not what its checkpoint says"),
            Self::Lacks(path) => write!(f, "the log lacks `{FOLDER}{path}`"),
            Self::Origin(origin) => write!(f, "the log is that of `{origin}`; set `origin` in `[locker.log]` to it"),
            Self::NoKey(key) => write!(f, "the log is signed by `{key}`; name that key in `[locker.log]`"),
            Self::OtherKey(key) => {
                write!(f, "the log is signed by `{key}`, which must be the value before the one in force to hand over")
            }
            Self::Shorter(has, had) => write!(f, "the log has {has} entries, and had {had} when it was seen here before"),
            Self::Parted(size) => write!(f, "the log is not the one whose {size} entries were seen here before"),
            Self::Anew(size) => {
                write!(f, "the {size} entries that were seen here before are in another commit by now, which may be dated anew")
            }
            Self::Forgotten(_) => f.write_str(
                "no key in `trust` signed the log that is there, so that somebody may have put another in its place; if none of them ever \
                 signed, take them out of `trust` until one has",
            ),
        }
    }
}

impl std::error::Error for LedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Checkpoint(error) => Some(error),
            Self::Note(error) => Some(error),
            Self::Keys(error) | Self::Forgotten(error) => Some(error),
            Self::Log(error) => Some(error),
            Self::Lacks(_)
            | Self::Origin(_)
            | Self::NoKey(_)
            | Self::OtherKey(_)
            | Self::Shorter(..)
            | Self::Parted(_)
            | Self::Anew(_) => None,
        }
    }
}

impl From<LogError> for LedgerError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<KeysError> for LedgerError {
    fn from(error: KeysError) -> Self {
        Self::Keys(error)
    }
}

impl From<CheckpointError> for LedgerError {
    fn from(error: CheckpointError) -> Self {
        Self::Checkpoint(error)
    }
}

impl From<NoteError> for LedgerError {
    fn from(error: NoteError) -> Self {
        Self::Note(error)
    }
}

impl From<io::Error> for LedgerError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// A checkpoint as it stands in a locker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose log it is.
    pub origin: String,
    /// Its size and root.
    pub head: Head,
    /// When the commit that it covers was made.
    pub received: Timestamp,
}

/// An empty log.
#[must_use]
pub fn empty() -> Head {
    Head { size: 0, root: root_of(&[]) }
}

/// The text of a checkpoint file, and whether it has signatures.
///
/// # Errors
/// When it is no text.
pub fn text_of(file: &[u8]) -> Result<(&str, bool), LedgerError> {
    let file = std::str::from_utf8(file).map_err(|_| NoteError::Form)?;
    Ok(file.find("\n\n").map_or((file, false), |at| (&file[..=at], true)))
}

/// Reads a checkpoint file. Only when it is signed by one of `verifiers` is it believed; with none of them, no signature is asked for.
///
/// # Errors
/// When it is not as slm writes it, or is not signed by any of them.
pub fn standing(file: &[u8], verifiers: &[Verifier]) -> Result<Standing, LedgerError> {
    let text = if verifiers.is_empty() { text_of(file)?.0.to_owned() } else { open(file, verifiers)?.text };
    let checkpoint = Checkpoint::parse(&text)?;
    let received = match checkpoint.extensions() {
        [line] => line.strip_prefix(RECEIVED).and_then(|at| at.parse().ok()).ok_or(CheckpointError::Extension)?,
        _ => return Err(CheckpointError::Extension.into()),
    };
    Ok(Standing { origin: checkpoint.origin().to_owned(), head: *checkpoint.head(), received })
}

/// Proves from its tiles that the log of `now` goes on from what it was at `seen`; `read` gives them.
///
/// # Errors
/// When it is shorter, or another, or the tiles cannot be read.
pub fn goes_on(now: &Head, seen: &Head, read: impl FnMut(&str) -> io::Result<Option<Vec<u8>>>) -> Result<(), LedgerError> {
    if seen.size > now.size {
        return Err(LedgerError::Shorter(now.size, seen.size));
    }
    let proof = Tiles::new(now.size, read).prove_consistency(seen.size)?;
    verify_consistency(seen, now, &proof).map_err(|_| LedgerError::Parted(seen.size))
}

impl Ledger {
    /// The log `origin`. Without a `signer` its checkpoints are not signed and show no more than that they agree with each other.
    /// `before` is the key that `signer` takes over from, while that may be new.
    #[must_use]
    pub fn new(origin: String, signer: Option<Signer>, before: Option<Signer>) -> Self {
        Self { origin, signer, before, trust: Vec::new() }
    }

    /// The same, of which whoever verifies trusts `pins`: one of them signed already, so what none of them signed is not gone on with. Otherwise
    /// whoever takes all signatures away and writes what they like would have it signed by the next run.
    #[must_use]
    pub fn trusted_by(self, pins: Vec<Verifier>) -> Self {
        Self { trust: pins, ..self }
    }

    /// The name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The keys that it can sign with: the one in force, and the one that this takes over from.
    pub fn verifiers(&self) -> impl Iterator<Item = &Verifier> {
        self.signer.iter().chain(&self.before).map(Signer::verifier)
    }

    /// `text` signed by the key that signed the checkpoint `note`: the line of the signature, as below a note; `None` when nobody signed that.
    ///
    /// # Errors
    /// When that key is not at hand, or does not sign.
    pub fn signature(&self, note: &[u8], text: &str) -> Result<Option<String>, LedgerError> {
        if !text_of(note)?.1 {
            return Ok(None);
        }
        let signed = |signer: &&Signer| open(note, std::slice::from_ref(signer.verifier())).is_ok();
        let signer = self.signer.iter().chain(&self.before).find(signed).ok_or(NoteError::Unsigned)?;
        let whole = compose(text, &[signer.sign(text)?])?;
        Ok(whole.strip_prefix(text).map(|signature| signature.trim().to_owned()))
    }

    /// The log continued by `leaves`, in their order, for a commit of `at`. `read` gives the files of the tree it goes on, by their
    /// path below `log/`. Also gives the date of the commit, which is never before that of the commit it goes on.
    ///
    /// # Errors
    /// When what is there is not whole, or is another's.
    pub fn extend(
        &self,
        read: impl Fn(&str) -> io::Result<Option<Vec<u8>>>,
        leaves: &[Leaf],
        at: Timestamp,
    ) -> Result<(Changes, Timestamp), LedgerError> {
        let keys = keys::read_all(&self.origin, &read)?;
        let before = self.before(&read, &keys)?;
        if let Some(before) = before.as_ref().filter(|before| before.head.size > 0) {
            keys::trusted(&keys, &self.trust, before.head.size).map_err(LedgerError::Forgotten)?;
        }
        let (old, received) = before.map_or((empty(), at), |before| (before.head, before.received.max(at)));
        // Whole seconds, as git keeps them.
        let received = Timestamp::from_second(received.as_second()).unwrap_or(received);
        let mut log = Appender::open(&old, &read)?;
        for leaf in leaves {
            log.push(&leaf.entry())?;
        }
        let Appended { head, write, superseded } = log.finish();
        let written = |path: &str| write.get(path).map_or_else(|| read(path), |bytes| Ok(Some(bytes.clone())));
        goes_on(&head, &old, written)?;
        let mut changes: Changes = superseded.into_iter().map(|path| (path, None)).collect();
        changes.extend(write.into_iter().map(|(path, bytes)| (path, Some(bytes.into()))));
        if let Some((path, note)) = self.key_file(&keys, old.size, head.size)? {
            changes.insert(path, Some(note.into_bytes().into()));
        }
        let text = Checkpoint::new(&self.origin, head, vec![format!("{RECEIVED}{received}")])?.to_string();
        let note = match &self.signer {
            Some(signer) => compose(&text, &[signer.sign(&text)?])?,
            None => text,
        };
        changes.insert(CHECKPOINT.to_owned(), Some(note.into_bytes().into()));
        Ok((changes.into_iter().map(|(path, file)| (format!("{FOLDER}{path}"), file)).collect(), received))
    }

    /// The checkpoint that is there, when it is one of ours.
    fn before(&self, read: &impl Fn(&str) -> io::Result<Option<Vec<u8>>>, keys: &[Key]) -> Result<Option<Standing>, LedgerError> {
        let Some(file) = read(CHECKPOINT)? else {
            return if keys.is_empty() { Ok(None) } else { Err(LedgerError::Lacks(CHECKPOINT)) };
        };
        let listed: Vec<Verifier> = keys.last().map(|key| key.verifier.clone()).into_iter().collect();
        // Signed by a key that is not listed any more: somebody took the list away, and it does not begin anew.
        if listed.is_empty() && text_of(&file)?.1 {
            return Err(LedgerError::Lacks("keys/1"));
        }
        let before = standing(&file, &listed)?;
        if before.origin != self.origin {
            return Err(LedgerError::Origin(before.origin));
        }
        Ok(Some(before))
    }

    /// The file of our key, when the log does not know it yet. What a log without a key has before its first is signed by nobody.
    fn key_file(&self, keys: &[Key], old: u64, size: u64) -> Result<Option<(String, String)>, LedgerError> {
        let number = u32::try_from(keys.len() + 1).unwrap_or(u32::MAX);
        match (&self.signer, keys.last()) {
            (None, None) => Ok(None),
            (None, Some(last)) => Err(LedgerError::NoKey(last.verifier.vkey())),
            (Some(signer), None) => {
                let from = if old == 0 { 0 } else { size };
                Ok(Some((keys::path(1), handover(&self.origin, 1, signer, from, None)?)))
            }
            (Some(signer), Some(last)) if *signer.verifier() == last.verifier => Ok(None),
            (Some(signer), Some(last)) => match self.before.as_ref().filter(|before| *before.verifier() == last.verifier) {
                Some(before) => Ok(Some((keys::path(number), handover(&self.origin, number, signer, size, Some(before))?))),
                None => Err(LedgerError::OtherKey(last.verifier.vkey())),
            },
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
