//! What a run is about to go on with, followed as `slm verify` follows it: the commits since what was seen here, and those that are only here.
//!
//! No run follows all of the history: what came before is taken at the word of the signed checkpoint that covers it.

use git2::{Commit, Oid, Repository};
use sha2::{Digest as _, Sha256};

use super::git::{broken, failed};
use super::logged::read;
use super::seen::Seen;
use super::tips::is_cut_off;
use super::tree::by;
use super::verify::{Hashes, Read, damaged, files, follow, looked_at};
use crate::record::keys;
use crate::record::ledger::{self, CHECKPOINT, FOLDER, Ledger};
use crate::record::log::Verifier;
use crate::record::verify::{Chain, Finding};
use crate::world::{ErrorClass, WorldError};

const OPERATION: &str = "read the locker branch";

/// What does not hold.
pub(super) struct Unsound {
    finding: Finding,
    /// The commit that it goes on.
    before: Option<Oid>,
}

impl Unsound {
    /// The same for people.
    pub(super) fn told(&self) -> String {
        let Finding { what, commit, .. } = &self.finding;
        let commit = commit.as_deref().map(|id| format!(", in the commit `{}`", &id[..12.min(id.len())])).unwrap_or_default();
        let before = self.before.map(|id| format!("; the one before it is `{:.12}`", id.to_string())).unwrap_or_default();
        format!("{what}{commit}{before}")
    }
}

/// The first thing that does not hold of what came up to `tip` since the newest that was `seen`: of that commit and of each after it; of the
/// newest commit alone where nothing was seen.
pub(super) fn since(repo: &Repository, tip: Oid, seen: &[Seen]) -> Result<Option<Unsound>, WorldError> {
    let unread = broken(OPERATION);
    let known = seen.iter().map(|seen| seen.standing.head.size).max();
    let newest = repo.find_commit(tip).map_err(&unread)?;
    if size(repo, &newest)?.is_none() {
        return before_log(repo, newest);
    }
    let mut line = vec![newest];
    while let Some(parent) = line.last().and_then(|last| last.parents().next()) {
        let size = size(repo, &parent)?.unwrap_or(0);
        // A commit that changed no entry of the log has the size of the one before it.
        if known.is_none_or(|known| size < known) || size == 0 {
            break;
        }
        line.push(parent);
    }
    // What a shallow clone begins with is compared with nothing.
    line.pop_if(|first| is_cut_off(repo, first));
    line.reverse();
    let ids: Vec<Oid> = line.iter().map(Commit::id).collect();
    followed(repo, &ids, |_| None)
}

/// The first thing that does not hold of `pending`, commits that are only here, the oldest first, which are to be made anew on top of `tip`: by a
/// key that nobody here and nobody there knows, or by none where there is one, they are nobody's.
pub(super) fn pending(
    repo: &Repository,
    tip: Option<Oid>,
    pending: &[Oid],
    ledger: &Ledger,
) -> Result<Option<Unsound>, WorldError> {
    let mut known: Vec<Verifier> = ledger.verifiers().cloned().collect();
    let there = tip.map(|tip| chain_at(repo, tip)).transpose()?.unwrap_or_default();
    known.extend(there.keys().iter().map(|key| key.verifier.clone()));
    let signed = !there.keys().is_empty();
    followed(repo, pending, |chain| {
        if chain.keys().iter().any(|key| !known.contains(&key.verifier)) {
            return Some("it is signed by a key that the log does not know".to_owned());
        }
        let nobody = signed && keys::in_force(chain.keys(), chain.head().size).is_none();
        nobody.then(|| "nobody signed it, and the log it is to go into is signed".to_owned())
    })
}

/// Follows `commits`, the oldest first, each on the one before, and asks of each what is `wrong` with it beside.
fn followed(repo: &Repository, commits: &[Oid], wrong: impl Fn(&Chain) -> Option<String>) -> Result<Option<Unsound>, WorldError> {
    let Some(first) = commits.first() else { return Ok(None) };
    let first = repo.find_commit(*first).map_err(broken(OPERATION))?;
    let chain = first.parent_ids().next().map(|id| chain_at(repo, id)).transpose()?.unwrap_or_default();
    let mut read = Read::from(chain, first.id());
    for id in commits {
        let before = || repo.find_commit(*id).ok().and_then(|commit| commit.parent_ids().next());
        let unsound = |finding| Ok(Some(Unsound { finding, before: before() }));
        match looked_at((repo, &mut by(repo)), *id, read.chain.origin().is_none()) {
            Ok(Some(waiting)) => {
                let waiting = vec![waiting];
                let hash =
                    |id: &Oid| repo.find_blob(*id).ok().map(|blob| (Sha256::digest(blob.content()).into(), blob.size() as u64));
                let hashes: Hashes = files(&waiting).iter().map(hash).collect();
                if let Some(finding) = follow(repo, &mut read, waiting, hashes, None)? {
                    return unsound(finding);
                }
            }
            // Of before the log: there is nothing to hold it to.
            Ok(None) => {}
            Err(error) => return unsound(damaged(repo, *id, &error)),
        }
        if let Some(what) = wrong(&read.chain) {
            return unsound(Finding { commit: Some(id.to_string()), ..Finding::of_all("slm::evidence-bad-signature", what) });
        }
        let _ = read.chain.log().take_full();
    }
    Ok(None)
}

/// What goes on from the commit `id`.
fn chain_at(repo: &Repository, id: Oid) -> Result<Chain, WorldError> {
    let tree = repo.find_commit(id).and_then(|commit| commit.tree()).map_err(broken(OPERATION))?;
    let chain = Chain::after(|path: &str| read(repo, Some(&tree), &format!("{FOLDER}{path}")));
    chain.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        failed(ErrorClass::Permanent, OPERATION, format!("in the commit `{:.12}`, {error}{cause}", id.to_string()))
    })
}

/// How many entries the log has as of `commit`; `None` when it has none.
fn size(repo: &Repository, commit: &Commit<'_>) -> Result<Option<u64>, WorldError> {
    let tree = commit.tree().map_err(broken(OPERATION))?;
    let unread = |error: &dyn std::fmt::Display| failed(ErrorClass::Permanent, OPERATION, error);
    let file = read(repo, Some(&tree), &format!("{FOLDER}{CHECKPOINT}")).map_err(|error| unread(&error))?;
    let standing = file.map(|file| ledger::standing(&file, &[])).transpose().map_err(|error| unread(&error))?;
    Ok(standing.map(|standing| standing.head.size))
}

/// That a branch without a log by now had one.
fn before_log(repo: &Repository, newest: Commit<'_>) -> Result<Option<Unsound>, WorldError> {
    let mut commit = newest;
    while let Some(parent) = commit.parents().next() {
        if size(repo, &parent)?.is_some() {
            let what = "it has no `log/checkpoint`, and the one before it has".to_owned();
            let finding = Finding { commit: Some(commit.id().to_string()), ..Finding::of_all("slm::evidence-no-checkpoint", what) };
            return Ok(Some(Unsound { finding, before: Some(parent.id()) }));
        }
        commit = parent;
    }
    Ok(None)
}
