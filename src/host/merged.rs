//! What a merge brought: the commits of a branch, and the files of the config that a change touches.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Oid, Repository, Sort};

use super::files::is_config;
use super::git::{broken, discover};
use crate::world::{ErrorClass, WorldError};

/// Where the config repo is in its repository: empty, or a path that ends in `/`.
///
/// # Errors
/// When there is no repository.
pub fn inside(root: &Path) -> Result<String, WorldError> {
    Ok(discover(root).map_err(broken("find the repository of the config"))?.1)
}

/// Config files, from the root of the config repo, that differ between `base` and `head`, or between where they parted and `head`.
///
/// # Errors
/// When either is not here, as in a shallow clone.
pub fn changed(root: &Path, base: &str, head: &str) -> Result<BTreeSet<String>, WorldError> {
    let operation = format!("compare `{head}` with `{base}`");
    let (repo, prefix) = discover(root).map_err(broken(&operation))?;
    let read = || -> Result<BTreeSet<String>, git2::Error> {
        let (base, head) = (commit(&repo, base)?, commit(&repo, head)?);
        let parted = repo.merge_base(base, head)?;
        let (old, new) = (repo.find_commit(parted)?.tree()?, repo.find_commit(head)?.tree()?);
        let difference = repo.diff_tree_to_tree(Some(&old), Some(&new), None)?;
        let files = difference.deltas().flat_map(|delta| [delta.old_file().path(), delta.new_file().path()]);
        let paths = files.flatten().map(|path| path.to_string_lossy().into_owned());
        Ok(paths.filter_map(|path| path.strip_prefix(&prefix).filter(|path| is_config(path)).map(str::to_owned)).collect())
    };
    read().map_err(absent(&operation))
}

/// The commit where `base` and `head` parted.
///
/// # Errors
/// When either is not here, or they have none in common.
pub fn parted(root: &Path, base: &str, head: &str) -> Result<String, WorldError> {
    let operation = format!("find where `{head}` left `{base}`");
    let (repo, _) = discover(root).map_err(broken(&operation))?;
    let read = || -> Result<String, git2::Error> { Ok(repo.merge_base(commit(&repo, base)?, commit(&repo, head)?)?.to_string()) };
    read().map_err(absent(&operation))
}

/// The commits that `branch` was, from `until` back to `since`, which is left out: at most `limit`, the newest first. Of a merge only what
/// it was merged into is followed.
///
/// # Errors
/// When `until` is not here. A `since` that is not here, or is no ancestor, ends nothing.
pub fn first_parents(root: &Path, since: Option<&str>, until: &str, limit: usize) -> Result<Vec<String>, WorldError> {
    let operation = format!("list the commits up to `{until}`");
    let (repo, _) = discover(root).map_err(broken(&operation))?;
    let read = || -> Result<Vec<String>, git2::Error> {
        let mut walk = repo.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL)?;
        walk.simplify_first_parent()?;
        walk.push(commit(&repo, until)?)?;
        let since = since.and_then(|since| commit(&repo, since).ok());
        let mut all = Vec::new();
        for found in walk.take(limit) {
            let found = found?;
            if Some(found) == since {
                break;
            }
            all.push(found.to_string());
        }
        Ok(all)
    };
    read().map_err(broken(&operation))
}

/// What is not here is elsewhere: a clone may have only the end of a history.
fn absent(operation: &str) -> impl Fn(git2::Error) -> WorldError {
    move |error| {
        let mut told = broken(operation)(error);
        if told.class == ErrorClass::NotFound {
            told.cause.push_str("; fetch the whole history, in a workflow by `fetch-depth: 0` of its checkout");
        }
        told
    }
}

fn commit(repo: &Repository, rev: &str) -> Result<Oid, git2::Error> {
    Ok(repo.revparse_single(rev)?.peel_to_commit()?.id())
}

#[cfg(test)]
mod tests {
    use git2::{IndexAddOption, Signature, Time};

    use super::*;

    /// Commits `text` at `path` on top of what is there.
    #[expect(clippy::disallowed_methods, reason = "the test writes what it commits")]
    fn write(root: &Path, path: &str, text: &str) -> String {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let repo = Repository::init(root).unwrap();
        let mut index = repo.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = repo.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::new("test", "test@localhost", &Time::new(0, 0)).unwrap();
        let parent = repo.head().ok().map(|head| head.peel_to_commit().unwrap());
        let parents: Vec<_> = parent.iter().collect();
        repo.commit(Some("HEAD"), &who, &who, text, &tree, &parents).unwrap().to_string()
    }

    #[test]
    fn what_a_change_touches_of_the_config_is_told_and_nothing_else_and_commits_end_where_they_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let first = write(root, "controls/rot/ROT-01.toml", "1");
        let second = write(root, "README.md", "2");
        let third = write(root, "policies/rot.cedar", "3");
        assert_eq!(changed(root, &first, &second).unwrap(), BTreeSet::new());
        assert_eq!(changed(root, &first, &third).unwrap(), BTreeSet::from(["policies/rot.cedar".to_owned()]));
        assert_eq!(first_parents(root, Some(&first), &third, 9).unwrap(), [third.clone(), second.clone()]);
        assert_eq!(first_parents(root, None, &third, 2).unwrap(), [third.clone(), second]);
        assert_eq!(first_parents(root, Some(&"f".repeat(40)), &third, 9).unwrap().len(), 3);
        let gone = "f".repeat(40);
        let why = format!("revspec '{gone}' not found; fetch the whole history, in a workflow by `fetch-depth: 0` of its checkout");
        let said = changed(root, &gone, &third).unwrap_err().to_string();
        assert_eq!(said, format!("could not compare `{third}` with `{gone}`: {why}"));
        let said = parted(root, &gone, &third).unwrap_err().to_string();
        assert_eq!(said, format!("could not find where `{third}` left `{gone}`: {why}"));
        assert_eq!((inside(root).unwrap(), parted(root, &first, &third).unwrap()), (String::new(), first));
    }
}
