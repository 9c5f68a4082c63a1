//! A repository for a test, which goes with it.

use git2::Repository;
use tempfile::TempDir;

/// One without a work tree.
pub(super) fn bare() -> TempDir {
    of(|folder| Repository::init_bare(folder))
}

/// One with a work tree.
pub(super) fn with_work_tree() -> TempDir {
    of(|folder| Repository::init(folder))
}

fn of(make: impl FnOnce(&std::path::Path) -> Result<Repository, git2::Error>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path()).unwrap();
    folder
}
