//! The branch beside the evidence, where what anchors and sinks said of a run waits for the next one to log it.

use std::collections::{BTreeMap, BTreeSet};

use git2::{Commit, Oid, Repository, Tree};
use sha2::{Digest as _, Sha256};

use super::git::{broken, failed};
use super::locker::{Locker, lines};
use super::logged::read;
use super::tips::is_cut_off;
use super::tree::{self, differences};
use crate::model::blob::Blob;
use crate::record::anchored::Filed;
use crate::record::keys;
use crate::record::ledger::{self, CHECKPOINT, FOLDER};
use crate::record::verify::{Sealed, run_id};
use crate::record::waiting::{self, Fit, Log, Logged, Trusted, judge, shown_to};
use crate::world::{self, ErrorClass, WorldError};

const OPERATION: &str = "read the locker";

/// What waits to be logged.
#[derive(Debug, Default)]
pub struct Waiting {
    /// What slm put there, by path.
    pub ours: BTreeMap<String, Vec<u8>>,
    /// What it did not, a clause each.
    pub strange: Vec<String>,
}

impl Waiting {
    /// What slm put there and `tree` does not have: another run may have logged some of it meanwhile, and it is written once.
    #[must_use]
    pub fn not_in(&self, tree: Option<&Tree<'_>>) -> BTreeMap<String, Blob> {
        let new = self.ours.iter().filter(|(path, _)| tree.is_none_or(|tree| tree.get_path(path.as_ref()).is_err()));
        new.map(|(path, bytes)| (path.clone(), bytes.clone().into())).collect()
    }
}

impl Locker {
    /// What waits on this branch to be logged on that of `evidence`, here and, when it is to be `asked`, at the remote as far as that can be reached.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn waiting(&self, evidence: &Self, asked: bool, trusted: Trusted<'_>) -> Result<Waiting, WorldError> {
        let repo = self.repo()?;
        let tips = if asked {
            [self.fetch(&repo)?, self.tip(&repo, self.branch())?].into_iter().flatten().collect()
        } else {
            self.tips(&repo, &self.names())?
        };
        let files = self.new_files(&repo, &tips, &evidence.names())?;
        let files: Vec<Filed> = files.into_iter().map(|(path, bytes)| Filed { path, bytes, logged: None }).collect();
        let sizes = files.iter().filter_map(waiting::size).collect();
        let tip = evidence.known(&repo)?;
        let log = tip.map(|tip| log(&repo, tip, &sizes)).transpose()?.unwrap_or_default();
        let mut found = Waiting::default();
        for file in files {
            match judge(&log, &file, trusted) {
                Fit::Ours => drop(found.ours.insert(file.path, file.bytes)),
                Fit::Unknown => tracing::debug!(path = file.path, "it goes on waiting to be logged"),
                Fit::Strange(why) => {
                    let branch = self.branch().trim_start_matches("refs/heads/");
                    found.strange.push(format!("`{}` on `{branch}` is not what slm puts there: {why}", file.path.escape_debug()));
                }
            }
        }
        Ok(found)
    }

    /// Where this branch is known from: here, at the remote of the locker, at the origin of a clone.
    fn names(&self) -> [String; 3] {
        let short = self.branch().trim_start_matches("refs/heads/");
        [self.branch().to_owned(), self.tracking(), format!("refs/remotes/origin/{short}")]
    }

    fn tips(&self, repo: &Repository, names: &[String]) -> Result<Vec<Oid>, WorldError> {
        let tips = names.iter().map(|name| self.tip(repo, name));
        Ok(tips.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The tip that a run goes on: of the branch here and at the remote as it was fetched last; that of the origin of a clone where it is ahead.
    fn known(&self, repo: &Repository) -> Result<Option<Oid>, WorldError> {
        let [here, tracking, origin] = self.names();
        let tip = |name: &str| self.tip(repo, name);
        let (ours, _) = lines(repo, tip(&here)?, tip(&tracking)?).map_err(broken(OPERATION))?;
        match (ours, tip(&origin)?) {
            (Some(ours), Some(origin)) if repo.graph_descendant_of(origin, ours).map_err(broken(OPERATION))? => Ok(Some(origin)),
            (ours, origin) => Ok(ours.or(origin)),
        }
    }

    /// The files at `tips` that none of the branches `but` has.
    fn new_files(&self, repo: &Repository, tips: &[Oid], but: &[String]) -> Result<BTreeMap<String, Vec<u8>>, WorldError> {
        let unread = broken(OPERATION);
        let tree = |tip: Oid| repo.find_commit(tip).and_then(|commit| commit.tree()).map_err(&unread);
        let known = self.tips(repo, but)?.into_iter().map(tree).collect::<Result<Vec<_>, _>>()?;
        let mut files = BTreeMap::new();
        for tip in tips {
            let all = tree::files(repo, &tree(*tip)?).map_err(&unread)?;
            for (path, id) in all.into_iter().filter(|(path, _)| !known.iter().any(|known| known.get_path(path.as_ref()).is_ok())) {
                files.insert(path, repo.find_blob(id).map_err(&unread)?.content().to_vec());
            }
        }
        Ok(files)
    }
}

/// The log as of `tip`, with the runs whose checkpoints have `sizes`.
fn log(repo: &Repository, tip: Oid, sizes: &BTreeSet<u64>) -> Result<Log, WorldError> {
    let unread = broken(OPERATION);
    let mut commit = repo.find_commit(tip).map_err(&unread)?;
    let Some(newest) = sealed(repo, &commit)? else { return Ok(Log::default()) };
    let tree = commit.tree().map_err(&unread)?;
    let origin = standing(&newest.note)?.origin;
    let keys = keys::read_all(&origin, |path| read(repo, Some(&tree), &format!("{FOLDER}{path}")));
    let keys = keys.map_err(|error| failed(ErrorClass::Permanent, OPERATION, error))?;
    let mut log = Log { origin, keys, entries: newest.size, ..Log::default() };
    let Some(least) = sizes.first() else { return Ok(log) };
    let mut next = Some(newest);
    while let Some(shown) = next.take().filter(|shown| shown.size >= *least) {
        if sizes.contains(&shown.size) {
            log.runs.extend(logged(repo, &commit, shown).map_err(&unread)?);
        }
        log.cut_off = is_cut_off(repo, &commit);
        let Some(parent) = commit.parents().next() else { break };
        next = sealed(repo, &parent)?;
        commit = parent;
    }
    Ok(log)
}

fn standing(note: &[u8]) -> Result<ledger::Standing, WorldError> {
    ledger::standing(note, &[]).map_err(|error| failed(ErrorClass::Permanent, OPERATION, error))
}

/// The checkpoint of `commit`; `None` when it has none.
fn sealed(repo: &Repository, commit: &Commit<'_>) -> Result<Option<world::Sealed>, WorldError> {
    let tree = commit.tree().map_err(broken(OPERATION))?;
    let note = read(repo, Some(&tree), &format!("{FOLDER}{CHECKPOINT}"));
    let Some(note) = note.map_err(|error| failed(ErrorClass::Permanent, OPERATION, error))? else { return Ok(None) };
    let standing = standing(&note)?;
    let commit = commit.id().to_string();
    Ok(Some(world::Sealed { commit, size: standing.head.size, note, received: standing.received }))
}

/// The run that `commit` is of, whose checkpoint is `shown`.
fn logged(repo: &Repository, commit: &Commit<'_>, shown: world::Sealed) -> Result<Option<Logged>, git2::Error> {
    let before = commit.parents().next().map(|parent| parent.tree_id());
    let changed = differences(&mut tree::by(repo), before, Some(commit.tree_id()), FOLDER)?;
    let message = commit.message().unwrap_or_default();
    let run = changed.iter().find_map(|(how, path, file)| {
        let id = run_id(path).filter(|id| how.is_file() && message.contains(id))?;
        Some((id.to_owned(), *file))
    });
    let Some((run, file)) = run else { return Ok(None) };
    let signed = shown_to(repo.find_blob(file)?.content()).is_some_and(|shown| shown.signed);
    let sealed = Sealed { size: shown.size, sha256: Sha256::digest(&shown.note).into(), received: shown.received };
    Ok(Some(Logged { run, shown, sealed, signed }))
}
