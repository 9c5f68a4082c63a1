//! A git repository as a person would make and check it.

use std::path::Path;
use std::process::Command;

use git2::{IndexAddOption, Repository, Signature, Time};

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

/// What `git fsck --full` and the log of `branch` say.
///
/// # Errors
/// When git finds something wrong.
pub fn verify(root: &Path, branch: &str) -> Result<String, WorldError> {
    run(root, &["fsck", "--full", "--strict"])?;
    let log = run(root, &["log", "--stat=100", "--stat-count=12", "--format=%h %ad %s", "--date=iso", branch])?;
    Ok(format!("git fsck found nothing wrong.\n{log}"))
}

fn run(root: &Path, arguments: &[&str]) -> Result<String, WorldError> {
    let operation = format!("run `git {}`", arguments.join(" "));
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().map_err(|error| failed(&operation, error))?;
    if !output.status.success() {
        return Err(failed(&operation, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
