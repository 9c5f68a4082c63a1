//! The log of a locker as proofs are made of it: every entry, and where each version of a file has its own.

use std::collections::BTreeMap;

use git2::Oid;

use super::git::failed;
use super::history::History;
use crate::record::keys::{self, Key};
use crate::record::leaf::Leaf;
use crate::record::ledger::{self, CHECKPOINT, FOLDER, Standing};
use crate::record::log::{Hash, Tiles, Verifier, entries};
use crate::world::{ErrorClass, WorldError};

const OPERATION: &str = "read the log of the locker";

/// The log as of one commit.
pub struct Archive<'h> {
    history: &'h History,
    commit: Oid,
    /// What its checkpoint says.
    pub standing: Standing,
    /// The checkpoint, byte for byte.
    pub checkpoint: Vec<u8>,
    /// The keys that sign it.
    pub keys: Vec<Key>,
    /// Files of the keys, by path below `log/`.
    pub key_files: BTreeMap<String, Vec<u8>>,
    /// Every entry, in order.
    pub leaves: Vec<Leaf>,
    by_path: BTreeMap<String, Vec<u64>>,
    places: BTreeMap<String, usize>,
}

impl<'h> Archive<'h> {
    /// The log at the tip of `history`.
    ///
    /// # Errors
    /// When there is none, or it is not as slm writes it.
    pub fn open(history: &'h History) -> Result<Self, WorldError> {
        let broken = |cause: String| failed(ErrorClass::Permanent, OPERATION, cause);
        let last = history.commits().last().ok_or_else(|| broken("the locker is empty".to_owned()))?;
        let commit = last.commit;
        let read = |path: &str| history.file(commit, &format!("{FOLDER}{path}")).map_err(std::io::Error::other);
        let none = || failed(ErrorClass::NotFound, OPERATION, "the locker has no log yet: nothing in it could be proven");
        let checkpoint = read(CHECKPOINT).map_err(|error| broken(error.to_string()))?.ok_or_else(none)?;
        let wrong = |error: &dyn std::error::Error| broken(format!("{error}; `slm verify` says since when"));
        let claimed = ledger::standing(&checkpoint, &[]).map_err(|error| wrong(&error))?;
        let keys = keys::read_all(&claimed.origin, read).map_err(|error| wrong(&error))?;
        keys::fits(&keys, claimed.head.size).map_err(|error| wrong(&error))?;
        let signer: Vec<Verifier> = keys::in_force(&keys, claimed.head.size).map(|key| key.verifier.clone()).into_iter().collect();
        let standing = ledger::standing(&checkpoint, &signer).map_err(|error| wrong(&error))?;
        let mut leaves = Vec::new();
        let mut by_path = BTreeMap::<String, Vec<u64>>::new();
        let size = standing.head.size;
        for (at, entry) in (0..).zip(entries(size, 0..size, read).map_err(|error| wrong(&error))?) {
            let leaf = Leaf::parse(&entry.map_err(|error| wrong(&error))?);
            let leaf = leaf.ok_or_else(|| broken(format!("entry {at} is not as slm writes it; `slm verify` says since when")))?;
            by_path.entry(leaf.path.clone()).or_default().push(at);
            leaves.push(leaf);
        }
        let places = history.commits().iter().enumerate().map(|(at, one)| (one.commit.to_string(), at)).collect();
        let key_files = history.files(commit, &format!("{FOLDER}keys"))?;
        Ok(Self { history, commit, standing, checkpoint, keys, key_files, leaves, by_path, places })
    }

    /// The entry of the version of `path` after which `newer` more were written, when it has these bytes. Versions from before the log
    /// have none.
    #[must_use]
    pub fn entry(&self, path: &str, newer: usize, sha256: &Hash) -> Option<u64> {
        let all = self.by_path.get(path)?;
        let at = *all.get(all.len().checked_sub(newer + 1)?)?;
        self.leaf(at).filter(|leaf| leaf.sha256 == *sha256).map(|_| at)
    }

    /// The place of `commit` in the history.
    #[must_use]
    pub fn place(&self, commit: &str) -> Option<usize> {
        self.places.get(commit).copied()
    }

    /// The last entry of `path` with these bytes.
    #[must_use]
    pub fn last_with(&self, path: &str, sha256: &Hash) -> Option<u64> {
        let all = self.by_path.get(path)?.iter().rev();
        all.copied().find(|at| self.leaf(*at).is_some_and(|leaf| leaf.sha256 == *sha256))
    }

    /// The entry `at`.
    #[must_use]
    pub fn leaf(&self, at: u64) -> Option<&Leaf> {
        self.leaves.get(usize::try_from(at).ok()?)
    }

    /// The proof that entry `at` is in the log.
    ///
    /// # Errors
    /// When a tile cannot be read.
    pub fn prove(&self, at: u64) -> Result<Vec<Hash>, WorldError> {
        let read = |path: &str| self.history.file(self.commit, &format!("{FOLDER}{path}")).map_err(std::io::Error::other);
        let proof = Tiles::new(self.standing.head.size, read).prove_inclusion(at);
        proof.map_err(|error| failed(ErrorClass::Permanent, OPERATION, error))
    }
}
