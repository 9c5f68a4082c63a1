//! The log of the locker, continued by what a commit changes: reads the tree that the commit goes on.

use std::io;
use std::sync::Arc;

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree, TreeWalkMode, TreeWalkResult};

use super::git::failed;
use super::pack::{Kind, id_of};
use super::seen::Seen;
use crate::model::time::Timestamp;
use crate::record::leaf::{Leaf, MAX_PATH};
use crate::record::ledger::{self, CHECKPOINT, Changes, FOLDER, Ledger, LedgerError, Standing};
use crate::world::{Clock, ErrorClass, WorldError};

/// The log, and the clock its commits are dated by.
pub(super) struct Logged {
    pub(super) ledger: Ledger,
    pub(super) clock: Arc<dyn Clock>,
}

impl Logged {
    /// What is written beside `files` on top of `base`, and the date of the commit.
    pub(super) fn extend(
        &self,
        repo: &Repository,
        base: Option<&Tree<'_>>,
        files: &Changes,
    ) -> Result<(Changes, Timestamp), WorldError> {
        let broken = |cause: &dyn std::fmt::Display| failed(ErrorClass::Permanent, "continue the log of the locker", cause);
        let leaves = leaves(repo, base, files).map_err(|error| broken(&error))?;
        let read = |path: &str| read(repo, base, &format!("{FOLDER}{path}"));
        self.ledger.extend(read, &leaves, self.clock.now()).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            broken(&format!("{error}{cause}"))
        })
    }
}

/// Whether the log at `tip` goes on from `seen`, and has it in the same commit. Of another name it is another log, which whoever goes on with it refuses.
pub(super) fn goes_on(repo: &Repository, tip: Option<Oid>, seen: &Seen) -> Result<(), LedgerError> {
    let tree = tip.map(|id| repo.find_commit(id)?.tree()).transpose().map_err(io::Error::other)?;
    let below = |path: &str| read(repo, tree.as_ref(), &format!("{FOLDER}{path}"));
    let now = below(CHECKPOINT)?.map(|file| ledger::standing(&file, &[])).transpose()?;
    let Seen { standing, commit, .. } = seen;
    if now.as_ref().is_some_and(|now| now.origin != standing.origin) {
        return Ok(());
    }
    ledger::goes_on(&now.map_or_else(ledger::empty, |now| now.head), &standing.head, below)?;
    let size = standing.head.size;
    match ended(repo, tip, size, *commit)? {
        Some((id, made)) if made == *standing && commit.is_none_or(|commit| commit == id) => Ok(()),
        // What a shallow clone does not have contradicts nothing.
        None if size == 0 || repo.is_shallow() => Ok(()),
        _ => Err(LedgerError::Anew(size)),
    }
}

/// The commit up to `tip` as of which the log had `size` entries, and what it says: the one that is `wanted`, if that is among them, or the newest.
fn ended(repo: &Repository, tip: Option<Oid>, size: u64, wanted: Option<Oid>) -> Result<Option<(Oid, Standing)>, LedgerError> {
    let mut newest = None;
    let mut next = tip.and_then(|tip| repo.find_commit(tip).ok());
    while let Some(commit) = next {
        let tree = commit.tree().map_err(io::Error::other)?;
        let Some(file) = read(repo, Some(&tree), &format!("{FOLDER}{CHECKPOINT}"))? else { break };
        let standing = ledger::standing(&file, &[])?;
        if standing.head.size < size {
            break;
        }
        if standing.head.size == size {
            if wanted == Some(commit.id()) {
                return Ok(Some((commit.id(), standing)));
            }
            newest.get_or_insert((commit.id(), standing));
        }
        next = commit.parent(0).ok();
    }
    Ok(newest)
}

/// The bytes at `path` of `tree`; `None` when there is nothing.
pub(super) fn read(repo: &Repository, tree: Option<&Tree<'_>>, path: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(id) = find(tree, path)? else { return Ok(None) };
    Ok(Some(repo.find_blob(id).map_err(io::Error::other)?.content().to_vec()))
}

fn find(tree: Option<&Tree<'_>>, path: &str) -> io::Result<Option<Oid>> {
    match tree.map(|tree| tree.get_path(path.as_ref())) {
        Some(Ok(entry)) => Ok(Some(entry.id())),
        Some(Err(error)) if error.code() != ErrorCode::NotFound => Err(io::Error::other(error)),
        _ => Ok(None),
    }
}

/// A leaf for each of `files` that is not so in `base`, by path. Where no log was kept yet, everything that is there has its leaf as well.
fn leaves(repo: &Repository, base: Option<&Tree<'_>>, files: &Changes) -> io::Result<Vec<Leaf>> {
    let mut leaves = Vec::with_capacity(files.len());
    let begins = find(base, &format!("{FOLDER}{CHECKPOINT}"))?.is_none();
    if let Some(base) = base.filter(|_| begins) {
        leaves.extend(all(repo, base)?.into_iter().filter(|leaf| !files.contains_key(&leaf.path)));
    }
    for (path, file) in files {
        let Some(file) = file else { continue };
        if path.len() > MAX_PATH {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{path}` is too long for the log")));
        }
        let bytes = file.bytes()?;
        let have = if begins { None } else { find(base, path)? };
        if have.is_none() || have != id_of(Kind::Blob, &bytes).ok() {
            leaves.push(Leaf::of(path, &bytes));
        }
    }
    leaves.sort_unstable();
    Ok(leaves)
}

/// A leaf for each file of `tree`.
fn all(repo: &Repository, tree: &Tree<'_>) -> io::Result<Vec<Leaf>> {
    let mut leaves = Ok(Vec::new());
    let walked = tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() != Some(ObjectType::Blob) {
            return TreeWalkResult::Ok;
        }
        let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
        match (repo.find_blob(entry.id()), &mut leaves) {
            (Ok(blob), Ok(leaves)) => leaves.push(Leaf::of(&path, blob.content())),
            (Err(error), leaves) => *leaves = Err(io::Error::other(error)),
            (Ok(_), Err(_)) => {}
        }
        if leaves.is_ok() { TreeWalkResult::Ok } else { TreeWalkResult::Abort }
    });
    leaves.and_then(|leaves| walked.map(|()| leaves).map_err(io::Error::other))
}
