//! The files of the log at the tip of a locker, compared with what its entries make them.
//!
//! The entries are made anew from the artefacts anyway, so that each tile and bundle is known before it is read. Only where one is not
//! what it must be, the log is recomputed from its own files, to say which of them is wrong.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{Oid, Repository};

use super::packs::{Files, Packs};
use super::tree;
use super::verify::damaged;
use crate::record::ledger::FOLDER;
use crate::record::log;
use crate::record::verify::{Chain, Finding};

/// What is below `log/` at the tip.
pub(super) struct Tiles<'p> {
    root: &'p Path,
    packs: &'p Packs,
    /// Listed once: to look up each by its path is to read the folder of a thousand others again.
    all: Result<BTreeMap<String, Oid>, git2::Error>,
    /// Whether one was not what it must be.
    doubted: AtomicBool,
}

impl<'p> Tiles<'p> {
    /// Those of the commit `tip` of `repo`.
    pub(super) fn at(repo: &'p Repository, packs: &'p Packs, tip: Oid) -> Self {
        let folder = repo.find_commit(tip).and_then(|commit| commit.tree()).and_then(|tree| {
            let entry = tree.get_path(FOLDER.trim_end_matches('/').as_ref())?;
            repo.find_tree(entry.id())
        });
        let all = folder.and_then(|folder| tree::files(repo, &folder));
        Self { root: repo.path(), packs, all, doubted: AtomicBool::new(false) }
    }

    /// Compares the files at their paths below `log/` with the bytes that they must have.
    pub(super) fn compare(&self, files: &[(String, Vec<u8>)]) {
        let Ok(all) = &self.all else { return };
        let mut read = Files::new(self.root, self.packs);
        for (path, bytes) in files {
            let same = all.get(path).and_then(|id| read.read(*id).ok()).is_some_and(|found| *found == *bytes);
            if !same {
                return self.doubt();
            }
        }
    }

    /// Has the log be recomputed at the end.
    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }

    /// What is wrong with the log whose entries are those of `chain`, all full files of which were compared, and nothing else is beside them.
    pub(super) fn finding(&self, repo: &Repository, tip: Oid, chain: &mut Chain) -> Option<Finding> {
        chain.origin()?;
        let all = match &self.all {
            Ok(all) => all,
            Err(error) => return Some(damaged(repo, tip, error)),
        };
        self.compare(&chain.log().take_full());
        self.compare(&chain.log().partial());
        if self.doubted.load(Ordering::Relaxed)
            && let Err(error) = self.recomputed(all, chain)
        {
            return Some(Finding::of_all("slm::evidence-bad-tile", error.to_string()));
        }
        let (found, expected) = (all.len() as u64, expected_files(chain.head().size) + chain.keys().len() as u64 + 1);
        let what = || format!("`{FOLDER}` holds {found} files, and the log has {expected}");
        (found != expected).then(|| Finding::of_all("slm::evidence-strange-file", what()))
    }

    fn recomputed(&self, all: &BTreeMap<String, Oid>, chain: &Chain) -> Result<(), log::LogError> {
        let mut files = Files::new(self.root, self.packs);
        let mut read = |path: &str| all.get(path).map(|id| files.read(*id).map(|bytes| bytes.to_vec())).transpose();
        log::check(&chain.head(), |path| read(path).map_err(io::Error::other))
    }
}

/// Tiles and bundles of a log of `size` entries.
fn expected_files(size: u64) -> u64 {
    let bundles = size.div_ceil(256);
    let mut tiles = 0;
    let mut hashes = size;
    while hashes > 0 {
        tiles += hashes.div_ceil(256);
        hashes /= 256;
    }
    bundles + tiles
}
