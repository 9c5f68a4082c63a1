//! What was seen of the evidence in this clone: the commit up to which it was verified, or was appended or pushed from here.
//!
//! A ref has the commit, and so keeps it. One that an older slm wrote has the checkpoint alone.

use git2::{ErrorCode, ObjectType, Oid, Repository};

use super::git::{broken, create_reference, failed};
use super::logged;
use crate::record::ledger::{self, CHECKPOINT, FOLDER, Standing};
use crate::world::{ErrorClass, WorldError};

/// What is done where it cannot be read.
pub(super) const OPERATION: &str = "read what was seen of the evidence";

/// A log as it was seen.
pub struct Seen {
    /// The ref that remembers it.
    pub(super) name: String,
    /// What its checkpoint says.
    pub standing: Standing,
    /// The commit that it was in; not known of what an older slm wrote.
    pub(super) commit: Option<Oid>,
}

/// The ref that remembers what of `branch` was verified last.
pub(super) fn verified(branch: &str) -> String {
    format!("refs/slm/verified/{branch}")
}

/// What the ref `name` remembers.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(repo: &Repository, name: &str) -> Result<Option<Seen>, WorldError> {
    let unread = broken(OPERATION);
    let id = match repo.refname_to_id(name) {
        Ok(id) => id,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(unread(error)),
    };
    let what = |error: &dyn std::fmt::Display| {
        failed(ErrorClass::Permanent, OPERATION, format!("`{name}`: {error}; `git update-ref -d {name}` forgets what was seen"))
    };
    let object = repo.find_object(id, None).map_err(&unread)?;
    let commit = (object.kind() == Some(ObjectType::Commit)).then_some(id);
    let file = match commit {
        Some(_) => {
            let tree = object.peel_to_tree().map_err(&unread)?;
            logged::read(repo, Some(&tree), &format!("{FOLDER}{CHECKPOINT}")).map_err(|error| what(&error))?
        }
        None => object.as_blob().map(|blob| blob.content().to_vec()),
    };
    let standing = ledger::standing(&file.unwrap_or_default(), &[]).map_err(|error| what(&error))?;
    Ok(Some(Seen { name: name.to_owned(), standing, commit }))
}

/// Has the ref `name` remember `commit`.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(repo: &Repository, name: &str, commit: Oid, why: &str) -> Result<(), git2::Error> {
    match repo.find_reference(name) {
        Ok(mut known) => known.set_target(commit, why).map(drop),
        Err(_) => create_reference(repo, name, commit, why).map(drop),
    }
}
