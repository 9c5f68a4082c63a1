//! The locker as packets, one for each commit: made for a mirror, and put together again from one.

#![expect(clippy::disallowed_methods, reason = "what is restored goes where somebody said")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use git2::{DiffOptions, ErrorCode, Oid, Repository};
use serde::Deserialize;

use super::git::{broken, create_reference, failed};
use super::logged::read;
use crate::model::time::Timestamp;
use crate::record::objects::{Pointer, SUFFIX};
use crate::world::{ErrorClass, Packet, WorldError};

/// What of the file of a run says how its controls stood.
#[derive(Deserialize)]
struct RunFile {
    run: RunHead,
    #[serde(default)]
    controls: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct RunHead {
    id: String,
}

/// The commits that `tip` goes on, the oldest first, itself last.
///
/// # Errors
/// When one cannot be read.
pub fn line(root: &Path, tip: &str) -> Result<Vec<String>, WorldError> {
    let unread = broken("read the locker");
    let repo = Repository::discover(root).map_err(&unread)?;
    let mut next = repo.find_commit(Oid::from_str(tip).map_err(&unread)?).map_err(&unread)?;
    let mut line = vec![next.id().to_string()];
    while next.parent_count() > 0 {
        next = next.parent(0).map_err(&unread)?;
        line.push(next.id().to_string());
    }
    line.reverse();
    Ok(line)
}

/// What `commit`, the one of `number`, adds to the one before.
///
/// # Errors
/// When it cannot be read.
pub fn packet(root: &Path, number: u64, commit: &str) -> Result<Packet, WorldError> {
    let unread = broken("pack a commit of the locker");
    let repo = Repository::discover(root).map_err(&unread)?;
    let found = repo.find_commit(Oid::from_str(commit).map_err(&unread)?).map_err(&unread)?;
    let pack = pack(&repo, &found).map_err(&unread)?;
    let message = found.message().unwrap_or_default();
    let run = message.strip_prefix("run ").and_then(|rest| rest.split(':').next()).unwrap_or_default().trim().to_owned();
    let tree = found.tree().map_err(&unread)?;
    let began = Timestamp::from_second(found.author().when().seconds()).unwrap_or_default();
    let path = format!("runs/{}/{run}.json", began.strftime("%Y/%m/%d"));
    let file = read(&repo, Some(&tree), &path).map_err(|error| failed(ErrorClass::Permanent, "read the file of a run", error))?;
    let file: Option<RunFile> = file.and_then(|file| serde_json::from_slice(&file).ok());
    let (run, controls) = file.map_or((run, Vec::new()), |file| {
        (file.run.id, file.controls.into_iter().map(|(control, tally)| (control, tally.to_string())).collect())
    });
    let received = Timestamp::from_second(found.time().seconds()).unwrap_or_default();
    Ok(Packet { number, commit: commit.to_owned(), received, pack, run, controls })
}

/// What `commit` newly points to outside of git.
///
/// # Errors
/// When it cannot be read, or a pointer is none.
pub fn pointers(root: &Path, commit: &str) -> Result<Vec<Pointer>, WorldError> {
    let operation = "read what a commit of the locker points to";
    let unread = broken(operation);
    let repo = Repository::discover(root).map_err(&unread)?;
    let found = repo.find_commit(Oid::from_str(commit).map_err(&unread)?).map_err(&unread)?;
    let before = found.parents().next().map(|parent| parent.tree()).transpose().map_err(&unread)?;
    let mut options = DiffOptions::new();
    options.pathspec("raw");
    let tree = found.tree().map_err(&unread)?;
    let diff = repo.diff_tree_to_tree(before.as_ref(), Some(&tree), Some(&mut options)).map_err(&unread)?;
    let mut all = Vec::new();
    for delta in diff.deltas() {
        let file = delta.new_file();
        let path = file.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        if !path.ends_with(SUFFIX) || file.id().is_zero() {
            continue;
        }
        let blob = repo.find_blob(file.id()).map_err(&unread)?;
        let pointer = Pointer::parse(blob.content());
        all.push(pointer.ok_or_else(|| failed(ErrorClass::Permanent, operation, format!("`{path}` points to nothing")))?);
    }
    Ok(all)
}

fn pack(repo: &Repository, commit: &git2::Commit<'_>) -> Result<Vec<u8>, git2::Error> {
    let mut walk = repo.revwalk()?;
    walk.push(commit.id())?;
    for parent in commit.parent_ids() {
        walk.hide(parent)?;
    }
    let mut builder = repo.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    let mut bytes = git2::Buf::new();
    builder.write_buf(&mut bytes)?;
    Ok(bytes.to_vec())
}

/// A locker that is put together from packets, beside where it goes: what is not whole is nowhere.
pub struct Rebuilt {
    repo: Repository,
    last: Option<Oid>,
    made: tempfile::TempDir,
    folder: PathBuf,
}

impl Rebuilt {
    /// A new repository, which comes to `folder` when it is whole.
    ///
    /// # Errors
    /// When there is something already, or it cannot be made.
    pub fn begin(folder: &Path) -> Result<Self, WorldError> {
        let operation = make(folder);
        if folder.exists() {
            return Err(failed(ErrorClass::Conflict, &operation, "it is there already"));
        }
        let beside = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made = fs::create_dir_all(beside).and_then(|()| tempfile::Builder::new().prefix(".slm-restore-").tempdir_in(beside));
        let made = made.map_err(|error| failed(ErrorClass::Permanent, &operation, error))?;
        let repo = Repository::init_bare(made.path().join(NEW)).map_err(broken(&operation))?;
        Ok(Self { repo, last: None, made, folder: folder.to_owned() })
    }

    /// Where it is until it is whole.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.repo.path()
    }

    /// Adds what `pack` holds, of which the next commit must be `commit`.
    ///
    /// # Errors
    /// When it is not whole, or does not go on from the one before.
    pub fn add(&mut self, commit: &str, pack: &[u8]) -> Result<(), WorldError> {
        let operation = format!("unpack commit {commit}");
        let unpacked = broken(&operation);
        let write = || -> Result<(), git2::Error> {
            let odb = self.repo.odb()?;
            let mut writer = odb.packwriter()?;
            writer.write_all(pack).map_err(|error| git2::Error::from_str(&error.to_string()))?;
            writer.commit()?;
            odb.refresh()
        };
        write().map_err(&unpacked)?;
        let id = Oid::from_str(commit).map_err(&unpacked)?;
        let found = self.repo.find_commit(id).map_err(&unpacked)?;
        if found.parent_ids().next() != self.last || found.parent_count() > 1 {
            return Err(failed(ErrorClass::Permanent, &operation, "it does not go on from the one before"));
        }
        self.last = Some(id);
        Ok(())
    }

    /// Ends it with the last commit as `branch`, and puts it where it goes.
    ///
    /// # Errors
    /// When there was none, the branch cannot be made, or something is there by now.
    pub fn end(self, branch: &str) -> Result<(), WorldError> {
        let operation = format!("make the branch `{branch}`");
        let last = self.last.ok_or_else(|| failed(ErrorClass::NotFound, &operation, "there is no commit"))?;
        match create_reference(&self.repo, &format!("refs/heads/{branch}"), last, "slm: restore") {
            Ok(true) => {}
            Ok(false) => return Err(failed(ErrorClass::Conflict, &operation, "it is there already")),
            Err(error) if error.code() == ErrorCode::InvalidSpec => {
                return Err(failed(ErrorClass::Permanent, &operation, "it is no name"));
            }
            Err(error) => return Err(broken(&operation)(error)),
        }
        let moved = fs::rename(self.made.path().join(NEW), &self.folder);
        moved.map_err(|error| failed(ErrorClass::Conflict, &make(&self.folder), error))
    }
}

/// What is not whole, in a folder of its own.
const NEW: &str = "new";

fn make(folder: &Path) -> String {
    format!("make a repository at `{}`", folder.display())
}
