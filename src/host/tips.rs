//! The commit at which a locker is looked at: of its branch here or at `origin`, in a clone that has all of it.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Commit, ErrorCode, ObjectType, Oid, Repository};

use super::git::{broken, failed};
use super::logged::read;
use super::seen;
use super::verify::remembered;
use crate::record::ledger::{self, CHECKPOINT, FOLDER, Standing};
use crate::record::verify::{Finding, Remark};
use crate::world::{ErrorClass, WorldError};

const OPERATION: &str = "read the locker";
/// What cannot be done in a clone that was made without a part of the history: nothing was seen, and nothing contradicts.
pub const PARTLY: &str = "follow the evidence in a clone that has not all of it";

/// What is known of a branch.
pub(super) struct Looked {
    /// The commit that is looked at.
    pub tip: Oid,
    /// That of `origin`, where it is another.
    pub origin: Option<Oid>,
    /// Which of the two is looked at, where they differ.
    pub note: Option<Remark>,
    /// That neither goes on from the other.
    pub parted: Option<Finding>,
}

/// The commit at which a branch is: here or at its `origin`, whichever goes on from the other.
pub(super) fn tip(repo: &Repository, branch: &str) -> Result<Oid, WorldError> {
    looked(repo, branch).map(|looked| looked.tip)
}

/// The names of a branch here and at `origin`.
fn names(branch: &str) -> [String; 2] {
    [format!("refs/heads/{branch}"), format!("refs/remotes/origin/{branch}")]
}

/// Whether there is such a branch, wherever it leads.
pub(super) fn is_there(repo: &Repository, branch: &str) -> bool {
    let gone = |name: String| repo.find_reference(&name).is_err_and(|error| error.code() == ErrorCode::NotFound);
    !names(branch).into_iter().all(gone)
}

/// The branch here and at `origin`, as far as they are known.
pub(super) fn looked(repo: &Repository, branch: &str) -> Result<Looked, WorldError> {
    let (here, origin) = match names(branch).map(|name| repo.refname_to_id(&name).ok()) {
        [None, None] => return Err(failed(ErrorClass::NotFound, OPERATION, format!("there is no branch `{branch}`"))),
        [Some(here), Some(origin)] if here != origin => (here, origin),
        [Some(tip), _] | [None, Some(tip)] => return Ok(Looked { tip, origin: None, note: None, parted: None }),
    };
    let (more, fewer) = repo.graph_ahead_behind(here, origin).map_err(broken(OPERATION))?;
    let note = |code, what| Some(Remark { code, what });
    Ok(match (more, fewer) {
        (0, fewer) => {
            let what = format!("looked at is the branch of `origin`, which is {} ahead of the one here", commits(fewer));
            Looked { tip: origin, origin: None, note: note("slm::evidence-behind", what), parted: None }
        }
        (more, 0) => {
            let what = format!(
                "looked at is the branch here, which is {} ahead of that of `origin`: not pushed yet, or taken away there",
                commits(more)
            );
            Looked { tip: here, origin: Some(origin), note: note("slm::evidence-ahead", what), parted: None }
        }
        (more, fewer) => {
            let what = format!(
                "the branch here and that of `origin` are two histories, with {} only here and {} only there: one of them was rewritten, or \
                 what is only here was never pushed, and the next run makes it anew on top",
                commits(more),
                commits(fewer)
            );
            let parted = Some(Finding::of_all("slm::evidence-forked", what));
            Looked { tip: here, origin: Some(origin), note: None, parted }
        }
    })
}

fn commits(count: usize) -> String {
    format!("{count} commit{}", if count == 1 { "" } else { "s" })
}

/// Every commit from the oldest on, by first parents.
pub(super) fn line(repo: &Repository, tip: Oid) -> Result<Vec<Oid>, git2::Error> {
    let mut line = vec![tip];
    let mut next = repo.find_commit(tip)?;
    while next.parent_count() > 0 {
        next = next.parent(0)?;
        line.push(next.id());
    }
    line.reverse();
    Ok(line)
}

/// Whether the oldest commit of `line` is the first of the branch: of a shallow clone it only has no parent there.
///
/// # Errors
/// When it has one, [`PARTLY`].
pub(super) fn cut_off(repo: &Repository, line: &[Oid]) -> Result<(), WorldError> {
    let Some(first) = line.first().filter(|_| repo.is_shallow()) else { return Ok(()) };
    let first = repo.find_commit(*first).map_err(broken(OPERATION))?;
    if !is_cut_off(repo, &first) {
        return Ok(());
    }
    let what =
        format!("it is shallow, and begins {} before the newest; `git fetch --unshallow` brings the rest", commits(line.len()));
    Err(failed(ErrorClass::Permanent, PARTLY, what))
}

/// Whether `commit` goes on one that a shallow clone does not have.
pub(super) fn is_cut_off(repo: &Repository, commit: &Commit<'_>) -> bool {
    let goes_on = || String::from_utf8_lossy(commit.raw_header_bytes()).lines().any(|line| line.starts_with("parent "));
    repo.is_shallow() && commit.parent_count() == 0 && goes_on()
}

/// Whether everything at `tip` is here, in a clone that was made with a filter; any other must have it all.
///
/// # Errors
/// When something is not, [`PARTLY`].
pub(super) fn whole(repo: &Repository, tip: Oid) -> Result<(), WorldError> {
    let unread = broken(OPERATION);
    // What cannot be read though it is here stays what it was found to be.
    if !is_partial(repo).map_err(&unread)? || !lacks(repo, tip).unwrap_or(false) {
        return Ok(());
    }
    let what = "it was made with a filter; `git fetch --refetch --no-filter` brings the rest";
    Err(failed(ErrorClass::Permanent, PARTLY, what))
}

fn is_partial(repo: &Repository) -> Result<bool, git2::Error> {
    let config = repo.config()?.snapshot()?;
    let mut promised = false;
    config
        .entries(Some(r"^remote\..*\.promisor$"))?
        .for_each(|entry| promised |= entry.value().is_ok_and(|value| value == "true"))?;
    Ok(promised)
}

/// Whether any object that the history of `tip` is made of is not here.
fn lacks(repo: &Repository, tip: Oid) -> Result<bool, git2::Error> {
    let odb = repo.odb()?;
    let mut known = BTreeSet::new();
    for commit in line(repo, tip)? {
        let mut folders = vec![repo.find_commit(commit)?.tree_id()];
        while let Some(folder) = folders.pop() {
            if !known.insert(folder) {
                continue;
            }
            let tree = match repo.find_tree(folder) {
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(true),
                tree => tree?,
            };
            for entry in &tree {
                match entry.kind() {
                    Some(ObjectType::Tree) => folders.push(entry.id()),
                    Some(ObjectType::Blob) if !odb.exists(entry.id()) => return Ok(true),
                    _ => {}
                }
            }
        }
    }
    Ok(false)
}

fn sealed(repo: &Repository, commit: Oid) -> Result<Option<Vec<u8>>, WorldError> {
    let tree = repo.find_commit(commit).and_then(|commit| commit.tree()).map_err(broken(OPERATION))?;
    read(repo, Some(&tree), &format!("{FOLDER}{CHECKPOINT}")).map_err(|error| failed(ErrorClass::Permanent, OPERATION, error))
}

/// That `origin` has less by now than it had when the branch was verified here last. Where more is known here this is not seen otherwise.
///
/// # Errors
/// When the repository cannot be read.
pub fn set_back(root: &Path, branch: &str) -> Result<Option<Finding>, WorldError> {
    let repo = Repository::discover(root).map_err(broken(OPERATION))?;
    let Some(origin) = looked(&repo, branch)?.origin else { return Ok(None) };
    let Some(seen) = remembered(root, branch)?.map(|seen| seen.standing) else { return Ok(None) };
    let has = sealed(&repo, origin)?.and_then(|file| ledger::standing(&file, &[]).ok());
    let has = has.map_or(0, |Standing { head, .. }| head.size);
    let what = format!(
        "the log has {has} entries at `origin`, and had {} when it was seen at {}; what was taken away there is still here",
        seen.head.size, seen.received
    );
    Ok((has < seen.head.size).then(|| Finding::of_all("slm::evidence-truncated", what)))
}

/// That the branch at `tip` does not go on from the very commit up to which it was verified here last. Its entries may all be the same then, and
/// when commits were made another.
///
/// # Errors
/// When the repository cannot be read.
pub fn made_anew(root: &Path, branch: &str, tip: &str) -> Result<Option<Finding>, WorldError> {
    let unread = broken(OPERATION);
    let repo = Repository::discover(root).map_err(&unread)?;
    let Some(seen) = remembered(root, branch)? else { return Ok(None) };
    let Some(commit) = seen.commit else { return Ok(None) };
    if line(&repo, Oid::from_str(tip).map_err(&unread)?).map_err(&unread)?.contains(&commit) {
        return Ok(None);
    }
    let what = format!(
        "the log has the entries that it had when it was seen at {}, and not in the same commits: it does not go on from {commit}, and somebody \
         with a key may have dated it anew; if it was meant, `git update-ref -d {}` forgets what was seen",
        seen.standing.received,
        seen::verified(branch)
    );
    Ok(Some(Finding::of_all("slm::evidence-forked", what)))
}

/// The commit that is worth remembering of a branch that was verified up to `tip`, if there is a log by then: of what others have as well. What is
/// only here may yet be made anew on top of what others push.
///
/// # Errors
/// When the repository cannot be read.
pub fn published(root: &Path, branch: &str, tip: &str) -> Result<Option<Oid>, WorldError> {
    let unread = broken(OPERATION);
    let repo = Repository::discover(root).map_err(&unread)?;
    let tip = Oid::from_str(tip).map_err(&unread)?;
    let names = [format!("refs/remotes/origin/{branch}"), format!("refs/slm/remote/{branch}")];
    let known = names.iter().find_map(|name| repo.refname_to_id(name).ok());
    let before = known.filter(|known| repo.graph_descendant_of(tip, *known).unwrap_or(false));
    let commit = before.unwrap_or(tip);
    Ok(sealed(&repo, commit)?.map(|_| commit))
}
