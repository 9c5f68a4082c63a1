//! A git repository as a person would make and check it.

#![expect(clippy::disallowed_methods, reason = "packs are files")]

use std::path::Path;

use git2::{ErrorCode, IndexAddOption, ObjectType, Repository, Signature, Time, TreeWalkMode, TreeWalkResult};

use super::git::started;
use crate::model::past::{Authored, Signature as Sealed};
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

fn failed(operation: &str, cause: impl ToString) -> WorldError {
    WorldError { class: ErrorClass::Permanent, operation: operation.to_owned(), cause: cause.to_string() }
}

/// The commit that `rev` names.
///
/// # Errors
/// When it names none.
pub fn resolve(root: &Path, rev: &str) -> Result<String, WorldError> {
    let operation = format!("find the commit `{rev}`");
    let repo = Repository::discover(root).map_err(|error| failed(&operation, error.message()))?;
    let commit = repo.revparse_single(rev).and_then(|object| object.peel_to_commit());
    commit.map(|commit| commit.id().to_string()).map_err(|error| failed(&operation, error.message()))
}

/// Who made the commit that `rev` names, as git has it; its signature is found and not checked.
///
/// # Errors
/// When it names none.
pub fn authored(root: &Path, rev: &str) -> Result<Authored, WorldError> {
    let read = || -> Result<Authored, git2::Error> {
        let repo = Repository::discover(root)?;
        let commit = repo.revparse_single(rev)?.peel_to_commit()?;
        let who = |who: &Signature<'_>| {
            format!("{} <{}>", String::from_utf8_lossy(who.name_bytes()), String::from_utf8_lossy(who.email_bytes()))
        };
        let instant = |time: Time| Timestamp::from_second(time.seconds()).unwrap_or_default();
        let (author, committer) = (commit.author(), commit.committer());
        Ok(Authored {
            commit: commit.id().to_string(),
            author: who(&author),
            authored: instant(author.when()),
            committer: who(&committer),
            committed: instant(committer.when()),
            subject: String::from_utf8_lossy(commit.message_bytes()).lines().next().unwrap_or_default().to_owned(),
            signature: repo.extract_signature(&commit.id(), None).map_or(Sealed::None, |_| Sealed::Unchecked),
            observed: Vec::new(),
        })
    };
    read().map_err(|error| failed(&format!("find the commit `{rev}`"), error.message()))
}

/// Makes a repository at `root` and commits everything in it; returns the commit.
///
/// # Errors
/// When git refuses.
pub fn init_and_commit(root: &Path, message: &str, at: Timestamp) -> Result<String, WorldError> {
    let all = || -> Result<String, git2::Error> {
        let repo = Repository::init(root)?;
        let mut index = repo.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = repo.find_tree(index.write_tree()?)?;
        let who = Signature::new("slm", "slm@localhost", &Time::new(at.as_second(), 0))?;
        Ok(repo.commit(Some("HEAD"), &who, &who, message, &tree, &[])?.to_string())
    };
    all().map_err(|error| failed("commit the config repo", error.message()))
}

/// Whether everything at the tip of `branch` is there and is what its name says; a branch that does not exist is.
///
/// # Errors
/// When an object is missing or altered.
pub fn intact(root: &Path, branch: &str) -> Result<(), WorldError> {
    let read = || -> Result<(), git2::Error> {
        let repo = Repository::discover(root)?;
        let tip = match repo.refname_to_id(&format!("refs/heads/{branch}")) {
            Ok(tip) => tip,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let odb = repo.odb()?;
        let mut missing = None;
        // Reading a tree compares it with its name, at every depth; of files only that they are there.
        repo.find_commit(tip)?
            .tree()?
            .walk(TreeWalkMode::PreOrder, |folder, entry| {
                let lost = entry.kind() == Some(ObjectType::Blob) && !odb.exists(entry.id());
                if lost {
                    missing = Some(format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes())));
                }
                if lost { TreeWalkResult::Abort } else { TreeWalkResult::Ok }
            })
            .or_else(|error| if missing.is_some() { Ok(()) } else { Err(error) })?;
        missing.map_or(Ok(()), |path| Err(git2::Error::from_str(&format!("`{path}` is missing"))))
    };
    read().map_err(|error| failed(&format!("read the evidence on `{branch}`"), error.message()))
}

/// What `git fsck --full` and the log of `branch` say.
///
/// # Errors
/// When git finds something wrong.
pub fn verify(root: &Path, branch: &str) -> Result<String, WorldError> {
    run(root, &["fsck", "--full", "--strict"])?;
    let log = run(root, &["log", "--stat=100", "--stat-count=12", "--format=%h %ad %s", "--date=iso", branch])?;
    Ok(format!("git fsck found nothing wrong.\n{log}"))
}

/// Packs after which git is asked to make fewer of them: as many as it lets be by itself.
const PACKS: usize = 50;

/// Has git gather the packs that runs leave, one each, when there are many: what is alike in them is then kept once. A pack that is twice
/// as large as all smaller ones stays as it is, so that a year of runs is not gathered again every few weeks. Whoever set `gc.auto` to 0 is
/// not served.
///
/// # Errors
/// When git refuses.
pub fn tidy(root: &Path) -> Result<(), WorldError> {
    let repo = Repository::discover(root).map_err(|error| failed("count the packs", error.message()))?;
    let folder = std::fs::read_dir(repo.commondir().join("objects/pack"));
    let packs = folder.into_iter().flatten().flatten().filter(|entry| entry.path().extension().is_some_and(|it| it == "pack"));
    let served = repo.config().and_then(|config| config.get_i64("gc.auto")).map_or(true, |auto| auto > 0);
    if packs.count() <= PACKS || !served {
        return Ok(());
    }
    // A git from before 2021 knows one way alone. Not in the background: nothing of a run goes on after it.
    run(root, &["repack", "-d", "--quiet", "--geometric=2"])
        .or_else(|_| run(root, &["-c", "gc.autoDetach=false", "gc", "--auto", "--quiet"]))
        .map(drop)
}

fn run(root: &Path, arguments: &[&str]) -> Result<String, WorldError> {
    let operation = format!("run `git {}`", arguments.join(" "));
    let output = started().arg("-C").arg(root).args(arguments).output().map_err(|error| failed(&operation, error))?;
    if !output.status.success() {
        return Err(failed(&operation, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::locker::Locker;
    use crate::model::catalog::LockerSettings;

    fn packs(folder: &Path) -> usize {
        let all = std::fs::read_dir(folder.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|ending| ending == "pack")).count()
    }

    #[test]
    fn packs_of_many_runs_are_gathered_unless_somebody_said_not_to() {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init_bare(folder.path()).unwrap();
        let locker = Locker::open(folder.path(), &LockerSettings::default(), None).unwrap();
        let append = |run: usize| {
            let files = std::collections::BTreeMap::from([(format!("runs/r{run}.json"), vec![b'x'; run])]);
            locker.append(|_| files.clone(), &format!("run r{run}"), Timestamp::UNIX_EPOCH).unwrap();
        };
        (0..PACKS).for_each(append);
        tidy(folder.path()).unwrap();
        assert_eq!(packs(folder.path()), PACKS, "not many yet");
        append(PACKS);
        repo.config().unwrap().set_i64("gc.auto", 0).unwrap();
        tidy(folder.path()).unwrap();
        assert_eq!(packs(folder.path()), PACKS + 1, "nobody asked for it");
        repo.config().unwrap().remove("gc.auto").unwrap();
        tidy(folder.path()).unwrap();
        assert_eq!(packs(folder.path()), 1);
        intact(folder.path(), "slm/evidence").unwrap();
        verify(folder.path(), "slm/evidence").unwrap();
        append(PACKS + 1);
        assert_eq!(packs(folder.path()), 2);
    }
}
