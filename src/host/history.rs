//! The history of a locker by file, from an index below the git folder: which commit wrote which version, and what it changed.
//!
//! The index follows the branch commit by commit; where it is missing, is of another history, or is not as it was written, it is made anew
//! from git. What it says of a version is its name in git, so that whoever wants the bytes reads them from git.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use git2::{Commit, ErrorCode, ObjectType, Oid, Repository, Tree, TreeEntry};

use super::git::{broken, failed};
use super::index::{Index, Packer, Told, unpacked};
use super::logged;
use super::packs::{Files, Packs, on_every_core};
use super::tips::{is_there, tip};
use crate::model::time::Timestamp;
use crate::record::cadence::late;
use crate::record::changes::between;
use crate::record::index::{Entry, Name, Version, crc, is_indexed};
use crate::record::verify::run_id;
use crate::record::{DECISIONS, EXCEPTIONS, SNAPSHOT};
use crate::world::{ErrorClass, WorldError};

const OPERATION: &str = "read the history of the locker";
/// Commits whose files are read together when an index is made anew: what they changed is in memory until it is written.
const TOGETHER: usize = 1_000;
/// In place of a name in git: the file was taken away.
const GONE: Name = [0; 20];

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
    /// When it was recorded at the earliest, of a run that nothing but its own word puts where it says.
    pub late: Option<Timestamp>,
}

/// A version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The place of its commit in [`History::commits`].
    pub commit: usize,
    /// The file, as git names it; `None` when it was taken away.
    pub blob: Option<Oid>,
    offset: u64,
    kept: u32,
    plain: u32,
    crc: u32,
}

/// What one commit changed of a file.
struct Step {
    /// The place of the commit.
    commit: u32,
    was: Option<Oid>,
    is: Option<Oid>,
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

    /// The same where there is such a branch, here or of `origin` as it was fetched last; what is there and cannot be read is an error.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn where_there(root: &Path, branch: &str) -> Result<Option<Self>, WorldError> {
        let repo = Repository::discover(root).map_err(broken(OPERATION))?;
        if is_there(&repo, branch) { Self::open(root, branch).map(Some) } else { Ok(None) }
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

    /// Files of decisions, of the snapshot and of exceptions, sorted.
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
        let bytes = self.index.commits().ok()?;
        let mut rest = &bytes[..];
        let instant = |second| Timestamp::from_second(second).ok();
        let mut before = None;
        let one = |number: u32| {
            let Entry { commit, at, received, run } = Entry::read(number, &mut rest)?;
            let (at, received) = (instant(at)?, instant(received)?);
            let late = late(at, received, before.replace(received)).filter(|_| run.is_some());
            Some(Recorded { commit: Oid::from_bytes(&commit).ok()?, at, received, run: run.map(str::to_owned), late })
        };
        let commits: Vec<Recorded> = (0..self.index.heads.count).map(one).collect::<Option<_>>()?;
        let is_of_tip = commits.last().is_some_and(|last| last.commit.to_string() == self.index.heads.tip);
        (rest.is_empty() && is_of_tip).then_some(commits)
    }

    fn read_versions(&self, path: &str) -> Option<Vec<Kept>> {
        let bytes = self.index.versions(path).ok()?;
        let (mut rest, mut offset) = (&bytes[..], 0);
        let one = |number| {
            let Version { commit, blob, kept, plain, crc } = Version::read(path, number, &mut rest)?;
            let blob = if blob == GONE { None } else { Some(Oid::from_bytes(&blob).ok()?) };
            let commit = usize::try_from(commit).ok().filter(|commit| *commit < self.commits.len())?;
            offset += u64::from(kept);
            Some(Kept { commit, blob, offset: offset - u64::from(kept), kept, plain, crc })
        };
        let versions = (0..Version::count(bytes.len() as u64)).map(one).collect::<Option<_>>()?;
        rest.is_empty().then_some(versions)
    }

    fn read_changes(&self, path: &str, versions: &[Kept]) -> Option<Vec<String>> {
        let (Some(first), Some(last)) = (versions.first(), versions.last()) else { return Some(Vec::new()) };
        let bytes = self.index.changes(path, first.offset, last.offset + u64::from(last.kept)).ok()?;
        let one = |version: &Kept| {
            let start = usize::try_from(version.offset.checked_sub(first.offset)?).ok()?;
            let part = bytes.get(start..start + usize::try_from(version.kept).ok()?).filter(|part| crc(part) == version.crc)?;
            String::from_utf8(unpacked(part, version.plain)?).ok()
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
        let packs = Packs::open(&self.repo);
        for part in line.chunks(TOGETHER) {
            self.add(part, &packs)?;
        }
        Ok(())
    }

    /// Adds the commits `ids`, which go on from the last one in the index.
    fn add(&mut self, ids: &[Oid], packs: &Packs) -> Result<(), WorldError> {
        let mut changed: BTreeMap<String, Vec<Step>> = BTreeMap::new();
        for id in ids {
            let commit = self.repo.find_commit(*id).map_err(broken(OPERATION))?;
            let place = enter(&mut self.index, &commit).map_err(broken(OPERATION))?;
            for (path, was, is) in changed_by(&self.repo, &commit).map_err(broken(OPERATION))? {
                changed.entry(path).or_default().push(Step { commit: place, was, is });
            }
        }
        let files: Vec<(String, Vec<Step>)> = changed.into_iter().collect();
        let told = on_every_core(self.repo.path(), packs, &files, |files, (_, steps)| told(files, steps))?;
        for ((path, steps), told) in files.iter().zip(&told) {
            for (step, told) in steps.iter().zip(told) {
                let blob = step.is.and_then(|id| id.as_bytes().try_into().ok()).unwrap_or(GONE);
                self.index.version(path, step.commit, blob, told);
            }
        }
        self.index.keep().map_err(unwritten)
    }
}

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

/// Enters `commit` in the index, without what it changed; gives its place.
fn enter(index: &mut Index, commit: &Commit<'_>) -> Result<u32, git2::Error> {
    let run = run_of(commit, &commit.tree()?)?;
    let entry = Entry {
        commit: commit.id().as_bytes().try_into().map_err(|_| git2::Error::from_str("a name is not 20 bytes long"))?,
        at: commit.author().when().seconds(),
        received: commit.time().seconds(),
        run: run.as_deref(),
    };
    Ok(index.commit(&entry, commit.id().to_string()))
}

/// A file as it was and as it is.
type Changed = (String, Option<Oid>, Option<Oid>);

/// What `commit` changed, of the files that are indexed.
fn changed_by(repo: &Repository, commit: &Commit<'_>) -> Result<Vec<Changed>, git2::Error> {
    let (before, after) = (commit.parents().next().map(|parent| parent.tree()).transpose()?, commit.tree()?);
    let mut changed = Vec::new();
    for folder in [DECISIONS, SNAPSHOT, EXCEPTIONS] {
        let (old, new) = (subtree(repo, before.as_ref(), folder)?, subtree(repo, Some(&after), folder)?);
        if old.as_ref().map(Tree::id) == new.as_ref().map(Tree::id) {
            continue;
        }
        let mut folders = vec![(folder.to_owned(), old, new)];
        while let Some((folder, old, new)) = folders.pop() {
            let files = differing(old.as_ref(), new.as_ref()).into_iter();
            let files = files.map(|(name, was, is)| (format!("{folder}{name}"), was, is));
            changed.extend(files.filter(|(path, ..)| is_indexed(path)));
            if folder.starts_with(EXCEPTIONS) {
                folders.extend(below(repo, &folder, old.as_ref(), new.as_ref())?);
            }
        }
    }
    Ok(changed)
}

/// A folder as it was and as it is.
type Folder<'r> = (String, Option<Tree<'r>>, Option<Tree<'r>>);

/// Folders in `folder` that are not the same in two versions of it.
fn below<'r>(
    repo: &'r Repository,
    folder: &str,
    old: Option<&Tree<'_>>,
    new: Option<&Tree<'_>>,
) -> Result<Vec<Folder<'r>>, git2::Error> {
    let is_folder = |entry: &TreeEntry<'_>| entry.kind() == Some(ObjectType::Tree);
    let entries = old.into_iter().chain(new).flat_map(Tree::iter).filter(is_folder);
    let names: BTreeSet<String> = entries.filter_map(|entry| entry.name().ok().map(str::to_owned)).collect();
    let mut folders = Vec::new();
    for name in names {
        let (was, is) = (subtree(repo, old, &name)?, subtree(repo, new, &name)?);
        if was.as_ref().map(Tree::id) != is.as_ref().map(Tree::id) {
            folders.push((format!("{folder}{name}/"), was, is));
        }
    }
    Ok(folders)
}

/// Files right in a folder that are not the same in two versions of it, by name.
fn differing(old: Option<&Tree<'_>>, new: Option<&Tree<'_>>) -> Vec<Changed> {
    let is_file = |entry: &TreeEntry<'_>| entry.kind() == Some(ObjectType::Blob);
    let mut old = old.into_iter().flat_map(Tree::iter).filter(is_file).peekable();
    let mut new = new.into_iter().flat_map(Tree::iter).filter(is_file).peekable();
    let mut changed = Vec::new();
    loop {
        // Files alone are sorted by their names.
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changed,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(was), Some(is)) => was.name_bytes().cmp(is.name_bytes()),
        };
        let was = if order.is_le() { old.next() } else { None };
        let is = if order.is_ge() { new.next() } else { None };
        let id = |entry: &Option<TreeEntry<'_>>| entry.as_ref().map(TreeEntry::id);
        let ids = (id(&was), id(&is));
        if ids.0 != ids.1
            && let Some(name) = is.or(was).and_then(|entry| entry.name().ok().map(str::to_owned))
        {
            changed.push((name, ids.0, ids.1));
        }
    }
}

/// What each of `steps` of one file changed. From the last one back: git keeps a version as what is other in it than in a newer one.
fn told(files: &mut Files<'_>, steps: &[Step]) -> Result<Vec<Told>, WorldError> {
    let mut packer = Packer::new().map_err(unwritten)?;
    let mut last: Option<(Oid, Rc<Vec<u8>>)> = None;
    let mut all = Vec::with_capacity(steps.len());
    for Step { was, is, .. } in steps.iter().rev() {
        let mut read = |id: &Option<Oid>| {
            let Some(id) = *id else { return Ok(Rc::default()) };
            match &last {
                Some((known, bytes)) if *known == id => Ok(Rc::clone(bytes)),
                _ => files.read(id).map_err(broken(OPERATION)),
            }
        };
        let (new, old) = (read(is)?, read(was)?);
        let changes = between(&String::from_utf8_lossy(&old), &String::from_utf8_lossy(&new));
        all.push(packer.pack(changes.as_bytes()).map_err(unwritten)?);
        last = was.map(|id| (id, old));
    }
    all.reverse();
    Ok(all)
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

fn text(repo: &Repository, id: Oid) -> Result<String, git2::Error> {
    Ok(String::from_utf8_lossy(repo.find_blob(id)?.content()).into_owned())
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
