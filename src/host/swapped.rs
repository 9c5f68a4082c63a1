//! One file of a branch as a register that is compared and swapped: whoever writes it has seen what stands there. What was not pushed never
//! stood.

use std::collections::BTreeMap;

use git2::{ErrorCode, Oid, Repository};

use super::git::{broken, failed};
use super::locker::{Entry, Locker};
use super::tree;
use crate::model::time::Timestamp;
use crate::record::ledger::Changes;
use crate::world::{ErrorClass, WorldError};

/// Other files of the branch are written beside ours: swaps begun anew before giving up.
const ATTEMPTS: usize = 20;

impl Locker {
    /// The file at `path` as it stands: at the remote, where there is one.
    ///
    /// # Errors
    /// When the remote cannot be reached: what was seen of it before may not stand any more.
    pub fn standing(&self, path: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let repo = self.repo()?;
        let (tip, _) = self.shared(&repo)?;
        file(&repo, tip, path)
    }

    /// The files below `folder`, as far as the remote can be reached, else as they were seen last.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn below(&self, folder: &str) -> Result<BTreeMap<String, Vec<u8>>, WorldError> {
        let (repo, unread) = (self.repo()?, broken("read the branch"));
        let Some(tip) = self.fetch(&repo)?.or(self.tip(&repo, self.branch())?) else { return Ok(BTreeMap::new()) };
        let tree = repo.find_commit(tip).and_then(|commit| commit.tree()).map_err(&unread)?;
        let all = tree::files(&repo, &tree).map_err(&unread)?.into_iter().filter(|(path, _)| path.starts_with(folder));
        all.map(|(path, id)| Ok((path, repo.find_blob(id).map_err(&unread)?.content().to_vec()))).collect()
    }

    /// Has the file at `path` be `to` where it is `from`, in one commit; false when it is something else by now.
    ///
    /// # Errors
    /// When the remote cannot be reached or refuses it: nothing is kept for later.
    pub fn swap(&self, path: &str, [from, to]: [Option<&[u8]>; 2], message: &str, at: Timestamp) -> Result<bool, WorldError> {
        for _ in 0..ATTEMPTS {
            let repo = self.repo()?;
            let (tip, theirs) = self.shared(&repo)?;
            if file(&repo, tip, path)?.as_deref() != from {
                return Ok(false);
            }
            let files = Changes::from([(path.to_owned(), to.map(|bytes| bytes.to_vec().into()))]);
            let commit = self.commit(&repo, tip, Entry { files, message, at })?;
            let swapped = match self.remote() {
                Some(remote) => self.push(remote, commit, theirs)?,
                None => self.advance(&repo, tip, commit)?,
            };
            if swapped && self.remote().is_some() {
                // For whoever looks while the remote is away.
                for name in [self.branch(), &self.tracking()] {
                    repo.reference(name, commit, true, "slm: as at the remote").map_err(broken("move the branch"))?;
                }
            }
            if swapped {
                return Ok(true);
            }
        }
        Err(failed(ErrorClass::Conflict, &format!("write `{path}`"), format!("other writers came first {ATTEMPTS} times")))
    }

    /// The tip that everybody goes on from, and the one at the remote: a remote that has no such branch yet gets the one that is here.
    fn shared(&self, repo: &Repository) -> Result<(Option<Oid>, Option<Oid>), WorldError> {
        let here = || self.tip(repo, self.branch());
        let Some(remote) = self.remote() else { return Ok((here()?, None)) };
        let theirs = self.reached(repo, remote)?.map_err(|why| failed(ErrorClass::Transient, "fetch the branch", why))?;
        Ok((if theirs.is_some() { theirs } else { here()? }, theirs))
    }
}

fn file(repo: &Repository, tip: Option<Oid>, path: &str) -> Result<Option<Vec<u8>>, WorldError> {
    let unread = broken("read the branch");
    let Some(tip) = tip else { return Ok(None) };
    let tree = repo.find_commit(tip).and_then(|commit| commit.tree()).map_err(&unread)?;
    match tree.get_path(path.as_ref()) {
        Ok(entry) => Ok(Some(repo.find_blob(entry.id()).map_err(&unread)?.content().to_vec())),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(unread(error)),
    }
}
