//! Git on this machine: config files at any revision, read without a checkout.

#![expect(clippy::disallowed_methods, reason = "the executable does the network")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use git2::{ErrorCode, ObjectType, Oid, Repository, StatusOptions, TreeWalkMode, TreeWalkResult};

use super::files::is_config;
pub use super::locker::{CommitId, Locker, Signer};
use crate::model::git_env;
use crate::model::secret::without_credentials;
use crate::world::{ErrorClass, WorldError};

/// Config files are text written by people; anything larger is a mistake.
const FILE_LIMIT: usize = 1 << 20;

pub(super) fn failed(class: ErrorClass, operation: &str, cause: impl std::fmt::Display) -> WorldError {
    WorldError { class, operation: operation.to_owned(), cause: cause.to_string() }
}

pub(super) fn broken(operation: &str) -> impl Fn(git2::Error) -> WorldError {
    move |error| {
        let class = if error.code() == ErrorCode::NotFound { ErrorClass::NotFound } else { ErrorClass::Permanent };
        failed(class, operation, error.message())
    }
}

/// `git` to be started: it gets what it needs of our environment, and asks nobody anything.
pub(super) fn started() -> Command {
    let mut command = Command::new("git");
    let more = std::env::var(git_env::MORE).ok();
    let known = git_env::names(more.as_deref()).filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.env_clear().envs(known).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null());
    command
}

/// Runs `git` in the repository at `path`.
pub(super) fn git(path: &Path, arguments: &[&str], operation: &str) -> Result<Output, WorldError> {
    let mut command = started();
    command.arg("--git-dir").arg(path).args(arguments);
    command.output().map_err(|error| failed(ErrorClass::Permanent, operation, format!("`git` does not run: {error}")))
}

/// Creates `reference`; false when it exists. It is looked at while it is locked, where [`Repository::reference`] looks first and locks
/// afterwards, so that of two that create it both are told that they did.
pub(super) fn create_reference(repo: &Repository, reference: &str, to: Oid, message: &str) -> Result<bool, git2::Error> {
    let mut transaction = repo.transaction()?;
    transaction.lock_ref(reference)?;
    match repo.refname_to_id(reference) {
        Ok(_) => return Ok(false),
        Err(error) if error.code() == ErrorCode::NotFound => {}
        Err(error) => return Err(error),
    }
    transaction.set_target(reference, to, None, message)?;
    transaction.commit()?;
    Ok(true)
}

/// What `git` complains of first, without the credentials in an address.
pub(super) fn first_line(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    without_credentials(said.lines().next().unwrap_or("no answer"))
}

/// The repository that holds `root`, and the path of `root` inside it, empty or ending in `/`.
pub(super) fn discover(root: &Path) -> Result<(Repository, String), git2::Error> {
    let repo = Repository::discover(root)?;
    let inside = match (repo.workdir().and_then(|work| work.canonicalize().ok()), root.canonicalize().ok()) {
        (Some(work), Some(root)) => root.strip_prefix(&work).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
        _ => String::new(),
    };
    let prefix = if inside.is_empty() { inside } else { format!("{inside}/") };
    Ok((repo, prefix))
}

/// Paths from `root` of the files that git knows of and that end in `ending`; none where there is no repository.
///
/// # Errors
/// When the repository cannot be read.
pub fn tracked(root: &Path, ending: &str) -> Result<Vec<String>, WorldError> {
    let operation = "list the files of the config repo";
    if shows_none(root, ending) {
        return Ok(Vec::new());
    }
    let (repo, prefix) = match discover(root) {
        Ok(found) => found,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(broken(operation)(error)),
    };
    let index = repo.index().map_err(broken(operation))?;
    let paths = index.iter().filter_map(|entry| String::from_utf8(entry.path).ok()).filter(|path| path.ends_with(ending));
    Ok(paths.filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned)).collect())
}

/// True when the bytes of the index have no path with this ending, which costs a tenth of opening the repository. Version 4 keeps
/// parts of paths.
fn shows_none(root: &Path, ending: &str) -> bool {
    let Ok(index) = std::fs::read(root.join(".git/index")) else { return false };
    let whole = index.get(..8).is_some_and(|head| head.starts_with(b"DIRC") && matches!(head[4..], [0, 0, 0, 2 | 3]));
    let end = [ending.as_bytes(), &[0]].concat();
    whole && !index.windows(end.len()).any(|bytes| bytes == end)
}

/// The config files at `rev`, by path from the root of the config repo, without a checkout.
///
/// # Errors
/// When `rev` names nothing, or a file is over 1 MiB or no UTF-8.
pub fn read_tree(repo: &Path, rev: &str) -> Result<BTreeMap<String, String>, WorldError> {
    read_tree_with(repo, rev, |_| false)
}

/// The same with the files for which `also`; of those, what is over 1 MiB or no UTF-8 is left out.
///
/// # Errors
/// As [`read_tree`].
pub fn read_tree_with(repo: &Path, rev: &str, also: fn(&str) -> bool) -> Result<BTreeMap<String, String>, WorldError> {
    let operation = format!("read the config repo at `{rev}`");
    let (repo, prefix) = discover(repo).map_err(broken(&operation))?;
    let tree = repo.revparse_single(rev).and_then(|object| object.peel_to_tree()).map_err(broken(&operation))?;
    let mut found = Vec::new();
    tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        let path = entry.name().map(|name| format!("{folder}{name}")).unwrap_or_default();
        if let Some(path) = path.strip_prefix(&prefix).filter(|path| is_config(path) || also(path))
            && entry.kind() == Some(ObjectType::Blob)
        {
            found.push((path.to_owned(), entry.id()));
        }
        TreeWalkResult::Ok
    })
    .map_err(broken(&operation))?;
    let mut files = BTreeMap::new();
    for (path, id) in found {
        let blob = repo.find_blob(id).map_err(broken(&operation))?;
        if !is_config(&path) && (blob.size() > FILE_LIMIT || std::str::from_utf8(blob.content()).is_err()) {
            continue;
        }
        if blob.size() > FILE_LIMIT {
            return Err(failed(ErrorClass::Permanent, &operation, format!("`{path}` is larger than 1 MiB")));
        }
        let text = std::str::from_utf8(blob.content())
            .map_err(|_| failed(ErrorClass::Permanent, &operation, format!("`{path}` is not UTF-8")))?;
        files.insert(path, text.to_owned());
    }
    Ok(files)
}

/// The commit that is checked out; `None` when there is no repository or no commit yet.
///
/// # Errors
/// When the repository cannot be read.
pub fn head_commit(repo: &Path) -> Result<Option<String>, WorldError> {
    let operation = "read the checked-out commit";
    let repo = match discover(repo) {
        Ok((repo, _)) => repo,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(broken(operation)(error)),
    };
    match repo.head().and_then(|head| head.peel_to_commit()) {
        Ok(commit) => Ok(Some(commit.id().to_string())),
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => Ok(None),
        Err(error) => Err(broken(operation)(error)),
    }
}

/// True when every config file in the work tree is as committed.
///
/// # Errors
/// When the repository cannot be read.
pub fn config_is_clean(repo: &Path) -> Result<bool, WorldError> {
    let operation = "compare the config repo with its commit";
    let (repo, prefix) = discover(repo).map_err(broken(operation))?;
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true);
    let statuses = repo.statuses(Some(&mut options)).map_err(broken(operation))?;
    Ok(!statuses.iter().any(|status| status.path().is_ok_and(|path| path.strip_prefix(&prefix).is_some_and(is_config))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_and_what_it_starts_see_nothing_of_our_environment_but_what_reaches_a_remote() {
        let folder = tempfile::tempdir().unwrap();
        Repository::init(folder.path()).unwrap();
        // What every test is started with by cargo, as a token would be.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let said = started().arg("-C").arg(folder.path()).args(["-c", "alias.seen=!env", "seen"]).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains("PATH=") && said.contains("GIT_TERMINAL_PROMPT=0\n"), "{said}");
        assert!(!said.contains("CARGO_"), "{said}");
    }
}
