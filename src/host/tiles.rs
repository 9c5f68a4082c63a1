//! The files of the log at the tip of a locker, compared with what its entries make them.
//!
//! The entries are made anew from the artefacts anyway, so that each tile and bundle is known before it is read. Only where one is not
//! what it must be, the log is recomputed from its own files, to say which of them is wrong.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{Commit, ErrorCode, Oid, Repository};

use super::packs::{Files, Packs};
use super::tree;
use super::verify::damaged;
use crate::model::time::Timestamp;
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

    /// What is wrong with the log whose entries are those of `chain`, all full files of which were compared. That nothing else is beside them was
    /// seen commit by commit.
    pub(super) fn finding(&self, repo: &Repository, tip: Oid, chain: &mut Chain) -> Option<Finding> {
        chain.origin()?;
        let all = match &self.all {
            Ok(all) => all,
            Err(error) => return Some(damaged(repo, tip, error)),
        };
        self.compare(&chain.log().take_full());
        self.compare(&chain.log().partial());
        if !self.doubted.load(Ordering::Relaxed) {
            return None;
        }
        let error = self.recomputed(all, chain).err()?;
        let first = error.path().and_then(|path| since(repo, tip, path, all.get(path).copied()).ok().flatten());
        let mut finding = Finding::of_all("slm::evidence-bad-tile", error.to_string());
        if let Some(first) = first {
            finding.since = Timestamp::from_second(first.time().seconds()).ok();
            finding.commit = Some(first.id().to_string());
        }
        Some(finding)
    }

    fn recomputed(&self, all: &BTreeMap<String, Oid>, chain: &Chain) -> Result<(), log::LogError> {
        let mut files = Files::new(self.root, self.packs);
        let mut read = |path: &str| all.get(path).map(|id| files.read(*id).map(|bytes| bytes.to_vec())).transpose();
        log::check(&chain.head(), |path| read(path).map_err(io::Error::other))
    }
}

/// The first commit, back from `tip`, in which `path` below `log/` is `id` or is not there.
fn since<'r>(repo: &'r Repository, tip: Oid, path: &str, id: Option<Oid>) -> Result<Option<Commit<'r>>, git2::Error> {
    let path = format!("{FOLDER}{path}");
    let (mut first, mut next) = (None, Some(repo.find_commit(tip)?));
    while let Some(commit) = next {
        let is = match commit.tree()?.get_path(path.as_ref()) {
            Ok(entry) => Some(entry.id()),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        if is != id {
            break;
        }
        next = commit.parents().next();
        first = Some(commit);
    }
    Ok(first)
}
