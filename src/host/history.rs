//! The history of a locker by file, from an index below the git folder: which commit wrote which version, and what it changed.
//!
//! The index follows the branch commit by commit; where it is missing, is of another history, or is not as it was written, it is made anew
//! from git. What it says of a version is its name in git, so that whoever wants the bytes reads them from git.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{Commit, ErrorCode, ObjectType, Oid, Repository, Tree};

use super::git::{broken, failed};
use super::index::Index;
use super::logged;
use super::verify::tip;
use crate::model::time::Timestamp;
use crate::record::changes::between;
use crate::record::index::{Entry, Version, crc, is_indexed};
use crate::record::verify::run_id;
use crate::record::{DECISIONS, SNAPSHOT};
use crate::world::{ErrorClass, WorldError};

const OPERATION: &str = "read the history of the locker";
/// Bytes of lines that are gathered before they are written, when an index is made anew.
const BATCH: usize = 64 << 20;

/// A commit of the locker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its name.
    pub commit: Oid,
    /// When its run began.
    pub at: Timestamp,
    /// When it was made.
    pub received: Timestamp,
    /// The file of its run.
    pub run: Option<String>,
}

/// A version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The place of its commit in [`History::commits`].
    pub commit: usize,
    /// The file, as git names it; `None` when it was taken away.
    pub blob: Option<Oid>,
    offset: u64,
    length: u64,
    crc: u32,
}

/// The history of one branch.
pub struct History {
    repo: Repository,
    index: Index,
    commits: Vec<Recorded>,
}

impl History {
    /// The history of `branch` in the repository at `root`, or of its `origin`, up to its tip.
    ///
    /// # Errors
    /// When there is no such branch, or the repository cannot be read.
    pub fn open(root: &Path, branch: &str) -> Result<Self, WorldError> {
        let repo = Repository::discover(root).map_err(broken(OPERATION))?;
        let tip = tip(&repo, branch)?;
        let index = Index::open(repo.commondir(), branch).map_err(unwritten)?;
        let mut history = Self { repo, index, commits: Vec::new() };
        if history.index.heads.tip != tip.to_string() {
            history.index.exclusively().map_err(unwritten)?;
            // Nobody else writes it from here on, so that it is never ahead of this.
            let tip = self::tip(&history.repo, branch)?;
            history.catch_up(tip)?;
            history.index.share().map_err(unwritten)?;
        }
        match history.read_commits() {
            Some(commits) => history.commits = commits,
            None => history.rebuild()?,
        }
        Ok(history)
    }

    /// Makes the index anew from git.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn rebuild(&mut self) -> Result<(), WorldError> {
        let tip = self.commits.last().map(|last| last.commit).or_else(|| Oid::from_str(&self.index.heads.tip).ok());
        let tip = tip.ok_or_else(|| failed(ErrorClass::Permanent, OPERATION, "it has no commit"))?;
        self.index.exclusively().map_err(unwritten)?;
        self.index.forget();
        self.catch_up(tip)?;
        self.index.share().map_err(unwritten)?;
        self.commits = self.read_commits().ok_or_else(|| failed(ErrorClass::Permanent, OPERATION, "its index cannot be kept"))?;
        Ok(())
    }

    /// Every commit, the oldest first.
    #[must_use]
    pub fn commits(&self) -> &[Recorded] {
        &self.commits
    }

    /// Files of decisions and of the snapshot, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.index.heads.paths.keys().map(String::as_str)
    }

    /// The versions of `path`, the oldest first; none of a file that is not indexed or never was.
    ///
    /// # Errors
    /// When the index must be made anew and the repository cannot be read.
    pub fn versions(&mut self, path: &str) -> Result<Vec<Kept>, WorldError> {
        if let Some(versions) = self.read_versions(path) {
            return Ok(versions);
        }
        self.rebuild()?;
        self.read_versions(path).ok_or_else(|| failed(ErrorClass::Permanent, OPERATION, "its index cannot be kept"))
    }

    /// What each of `versions` of `path`, one after another, changed.
    ///
    /// # Errors
    /// When the index must be made anew and the repository cannot be read.
    pub fn changes(&mut self, path: &str, versions: &[Kept]) -> Result<Vec<String>, WorldError> {
        if let Some(changes) = self.read_changes(path, versions) {
            return Ok(changes);
        }
        self.rebuild()?;
        let same: Vec<Kept> = self.read_versions(path).unwrap_or_default();
        let same: Vec<Kept> = same.into_iter().filter(|one| versions.iter().any(|wanted| wanted.commit == one.commit)).collect();
        self.read_changes(path, &same).ok_or_else(|| failed(ErrorClass::Permanent, OPERATION, "its index cannot be kept"))
    }

    /// The text of a version.
    ///
    /// # Errors
    /// When git cannot read it.
    pub fn text(&self, version: &Kept) -> Result<String, WorldError> {
        version.blob.map_or_else(|| Ok(String::new()), |id| text(&self.repo, id).map_err(broken(OPERATION)))
    }

    /// The bytes at `path` in `commit`; `None` when there is nothing.
    ///
    /// # Errors
    /// When git cannot read it.
    pub fn file(&self, commit: Oid, path: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let tree = self.repo.find_commit(commit).and_then(|commit| commit.tree()).map_err(broken(OPERATION))?;
        logged::read(&self.repo, Some(&tree), path).map_err(|error| failed(ErrorClass::Permanent, OPERATION, error))
    }

    /// Files below `folder` in `commit`, by path.
    ///
    /// # Errors
    /// When git cannot read them.
    pub fn files(&self, commit: Oid, folder: &str) -> Result<BTreeMap<String, Vec<u8>>, WorldError> {
        let read = || -> Result<BTreeMap<String, Vec<u8>>, git2::Error> {
            let tree = self.repo.find_commit(commit)?.tree()?;
            let mut files = BTreeMap::new();
            let mut folders = vec![(folder.trim_end_matches('/').to_owned(), subtree(&self.repo, Some(&tree), folder)?)];
            while let Some((path, tree)) = folders.pop() {
                for entry in tree.iter().flat_map(Tree::iter) {
                    let path = format!("{path}/{}", String::from_utf8_lossy(entry.name_bytes()));
                    match entry.kind() {
                        Some(ObjectType::Tree) => folders.push((path, Some(self.repo.find_tree(entry.id())?))),
                        Some(ObjectType::Blob) => drop(files.insert(path, self.repo.find_blob(entry.id())?.content().to_vec())),
                        _ => {}
                    }
                }
            }
            Ok(files)
        };
        read().map_err(broken(OPERATION))
    }

    fn read_commits(&self) -> Option<Vec<Recorded>> {
        let text = self.index.commits().ok()?;
        let parse = |line: &str| {
            let Entry { commit, at, received, run } = Entry::parse(line)?;
            let instant = |second| Timestamp::from_second(second).ok();
            let (at, received) = (instant(at)?, instant(received)?);
            Some(Recorded { commit: Oid::from_str(commit).ok()?, at, received, run: run.map(str::to_owned) })
        };
        let commits: Vec<Recorded> = text.lines().map(parse).collect::<Option<_>>()?;
        let is_whole = commits.len() as u64 == self.index.heads.count
            && commits.last().is_some_and(|last| last.commit.to_string() == self.index.heads.tip);
        is_whole.then_some(commits)
    }

    fn read_versions(&self, path: &str) -> Option<Vec<Kept>> {
        let text = self.index.versions(path).ok()?;
        let parse = |line: &str| {
            let Version { commit, blob, offset, length, crc } = Version::parse(path, line)?;
            let blob = if blob == GONE { None } else { Some(Oid::from_str(blob).ok()?) };
            let commit = usize::try_from(commit).ok().filter(|commit| *commit < self.commits.len())?;
            Some(Kept { commit, blob, offset, length, crc })
        };
        text.lines().map(parse).collect()
    }

    fn read_changes(&self, path: &str, versions: &[Kept]) -> Option<Vec<String>> {
        let (Some(first), Some(last)) = (versions.first(), versions.last()) else { return Some(Vec::new()) };
        let bytes = self.index.changes(path, first.offset, last.offset + last.length).ok()?;
        let one = |version: &Kept| {
            let start = usize::try_from(version.offset.checked_sub(first.offset)?).ok()?;
            let part = bytes.get(start..start + usize::try_from(version.length).ok()?)?;
            (crc(part) == version.crc).then(|| String::from_utf8_lossy(part).into_owned())
        };
        versions.iter().map(one).collect()
    }

    /// Follows the branch from the commit that the index is of to `tip`; from its beginning when that is not before it.
    fn catch_up(&mut self, tip: Oid) -> Result<(), WorldError> {
        let known = Oid::from_str(&self.index.heads.tip).ok().filter(|_| self.index.heads.count > 0);
        let (line, goes_on) = since(&self.repo, tip, known).map_err(broken(OPERATION))?;
        if !goes_on {
            self.index.forget();
        }
        let mut last = BTreeMap::new();
        for id in line {
            add(&self.repo, &mut self.index, id, &mut last).map_err(broken(OPERATION))?;
            if self.index.pending() > BATCH {
                self.index.keep().map_err(unwritten)?;
            }
        }
        self.index.keep().map_err(unwritten)
    }
}

/// In place of a name in git: the file was taken away.
const GONE: &str = "-";

fn unwritten(error: std::io::Error) -> WorldError {
    failed(ErrorClass::Permanent, "keep the index of the locker", error)
}

/// Commits after `known` up to `tip`, the oldest first, and whether they go on from it; all of them when they do not.
fn since(repo: &Repository, tip: Oid, known: Option<Oid>) -> Result<(Vec<Oid>, bool), git2::Error> {
    let mut line = Vec::new();
    let mut next = Some(tip);
    while let Some(id) = next.filter(|id| Some(*id) != known) {
        line.push(id);
        next = repo.find_commit(id)?.parent_ids().next();
    }
    line.reverse();
    Ok((line, known.is_some() && next == known))
}

/// Adds the commit `id` to the index. `last` has the text of the last version of each file that this changed since.
fn add(repo: &Repository, index: &mut Index, id: Oid, last: &mut BTreeMap<String, String>) -> Result<(), git2::Error> {
    let commit = repo.find_commit(id)?;
    let tree = commit.tree()?;
    let before = commit.parents().next().map(|parent| parent.tree()).transpose()?;
    for folder in [DECISIONS, SNAPSHOT] {
        let (old, new) = (subtree(repo, before.as_ref(), folder)?, subtree(repo, Some(&tree), folder)?);
        if old.as_ref().map(Tree::id) == new.as_ref().map(Tree::id) {
            continue;
        }
        let (old, new) = (names(folder, old.as_ref()), names(folder, new.as_ref()));
        let paths: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for path in paths.into_iter().filter(|path| old.get(*path) != new.get(*path) && is_indexed(path)) {
            let read = |id: Option<&Oid>| id.map_or_else(|| Ok(String::new()), |id| text(repo, *id));
            let was = last.remove(path).map_or_else(|| read(old.get(path)), Ok)?;
            let is = read(new.get(path))?;
            let blob = new.get(path).map_or_else(|| GONE.to_owned(), Oid::to_string);
            index.version(path, &blob, &between(&was, &is));
            last.insert(path.clone(), is);
        }
    }
    let run = run_of(&commit, &tree)?;
    let entry = Entry {
        commit: &id.to_string(),
        at: commit.author().when().seconds(),
        received: commit.time().seconds(),
        run: run.as_deref(),
    };
    index.commit(&entry);
    Ok(())
}

/// The file of the run that the message of `commit` names.
fn run_of(commit: &Commit<'_>, tree: &Tree<'_>) -> Result<Option<String>, git2::Error> {
    let message = commit.message().unwrap_or_default();
    let Some(id) = message.strip_prefix("run ").and_then(|rest| rest.split([':', '\n', ' ']).next()) else { return Ok(None) };
    let at = Timestamp::from_second(commit.author().when().seconds()).unwrap_or_default();
    for path in [format!("runs/{}/{id}.json", at.strftime("%Y/%m/%d")), format!("runs/{id}.json")] {
        match tree.get_path(path.as_ref()) {
            Ok(_) => return Ok(run_id(&path).is_some().then_some(path)),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn subtree<'r>(repo: &'r Repository, tree: Option<&Tree<'_>>, folder: &str) -> Result<Option<Tree<'r>>, git2::Error> {
    let Some(tree) = tree else { return Ok(None) };
    match tree.get_path(folder.trim_end_matches('/').as_ref()) {
        Ok(entry) if entry.kind() == Some(ObjectType::Tree) => repo.find_tree(entry.id()).map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn names(folder: &str, tree: Option<&Tree<'_>>) -> BTreeMap<String, Oid> {
    let files = tree.into_iter().flat_map(Tree::iter).filter(|entry| entry.kind() == Some(ObjectType::Blob));
    files.filter_map(|entry| Some((format!("{folder}{}", entry.name().ok()?), entry.id()))).collect()
}

fn text(repo: &Repository, id: Oid) -> Result<String, git2::Error> {
    Ok(String::from_utf8_lossy(repo.find_blob(id)?.content()).into_owned())
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
