//! A second git remote: the evidence branch is pushed there forward only, so that a refusal says that one of the two was rewritten.

use std::path::PathBuf;

use async_trait::async_trait;
use git2::{ErrorCode, Oid, Repository};

use crate::model::secret::without_credentials;
use crate::transport::git::run;
use crate::world::{Anchor, ErrorClass, Sealed, WorldError};

/// Where the evidence goes on in another remote.
#[derive(Clone)]
pub struct Mirror {
    id: String,
    path: PathBuf,
    branch: String,
    remote: String,
}

fn failed(class: ErrorClass, operation: &str, cause: impl Into<String>) -> WorldError {
    WorldError { class, operation: operation.to_owned(), cause: cause.into() }
}

impl Mirror {
    /// The branch `branch` of the repository at `repo` in `remote`, as the anchor `id`.
    ///
    /// # Errors
    /// When there is no repository.
    pub fn open(repo: &std::path::Path, id: &str, branch: &str, remote: &str) -> Result<Self, WorldError> {
        let found = Repository::discover(repo)
            .map_err(|error| failed(ErrorClass::NotFound, &format!("open the anchor `{id}`"), error.message()))?;
        Ok(Self {
            id: id.to_owned(),
            path: found.commondir().to_owned(),
            branch: format!("refs/heads/{branch}"),
            remote: remote.to_owned(),
        })
    }

    fn repo(&self, operation: &str) -> Result<Repository, WorldError> {
        Repository::open(&self.path).map_err(|error| failed(ErrorClass::Permanent, operation, error.message()))
    }

    /// The tip of the branch there, its objects fetched; `None` when it has no such branch.
    async fn fetch(&self, operation: &str) -> Result<Option<Oid>, WorldError> {
        let seen = format!("refs/slm/anchor/{}", self.id);
        let spec = format!("+{}:{seen}", self.branch);
        let arguments = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", &self.remote, &spec];
        let said = run(&self.path, &arguments, operation).await?;
        if !said.status.success() {
            let text = String::from_utf8_lossy(&said.stderr);
            if text.contains("couldn't find remote ref") {
                return Ok(None);
            }
            return Err(failed(ErrorClass::Transient, operation, without_credentials(text.lines().next().unwrap_or("no answer"))));
        }
        match self.repo(operation)?.refname_to_id(&seen) {
            Ok(tip) => Ok(Some(tip)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(failed(ErrorClass::Permanent, operation, error.message())),
        }
    }

    /// What to make of a push of `ours` that was refused with `line`.
    async fn refused(&self, ours: Oid, line: &str, operation: &str) -> Result<(), WorldError> {
        let Some(theirs) = self.fetch(operation).await? else {
            return Err(failed(ErrorClass::Denied, operation, without_credentials(line)));
        };
        let repo = self.repo(operation)?;
        let goes_on = |tip: Oid, from: Oid| -> Result<bool, WorldError> {
            let on = tip == from
                || repo.graph_descendant_of(tip, from).map_err(|e| failed(ErrorClass::Permanent, operation, e.message()))?;
            Ok(on)
        };
        if goes_on(theirs, ours)? {
            // Another run came later and was there first.
            return Ok(());
        }
        if goes_on(ours, theirs)? {
            return Err(failed(ErrorClass::Denied, operation, without_credentials(line)));
        }
        let there = theirs.to_string();
        let cause = format!("it holds {}, which is no beginning of ours: one of the two was rewritten", &there[..12]);
        Err(failed(ErrorClass::Conflict, operation, cause))
    }
}

#[async_trait]
impl Anchor for Mirror {
    async fn keep(&self, sealed: &Sealed) -> Result<Option<Vec<u8>>, WorldError> {
        let operation = format!("push the evidence to anchor `{}`", self.id);
        let ours = Oid::from_str(&sealed.commit).map_err(|error| failed(ErrorClass::Permanent, &operation, error.message()))?;
        // Neither a plus nor a lease: it goes forward or not at all.
        let spec = format!("{ours}:{}", self.branch);
        let said = run(&self.path, &["push", "--porcelain", "--", &self.remote, &spec], &operation).await?;
        if said.status.success() {
            return Ok(None);
        }
        let (lines, errors) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        match lines.lines().find(|line| line.starts_with('!')) {
            Some(line) => self.refused(ours, line, &operation).await.map(|()| None),
            None => {
                let line = errors.lines().next().unwrap_or("no answer");
                Err(failed(ErrorClass::Transient, &operation, without_credentials(line)))
            }
        }
    }

    async fn newest(&self) -> Result<Option<Vec<u8>>, WorldError> {
        let operation = format!("read the checkpoint at anchor `{}`", self.id);
        let Some(tip) = self.fetch(&operation).await? else { return Ok(None) };
        let broken = |error: git2::Error| failed(ErrorClass::Permanent, &operation, error.message());
        let repo = self.repo(&operation)?;
        let tree = repo.find_commit(tip).and_then(|commit| commit.tree()).map_err(broken)?;
        match tree.get_path("log/checkpoint".as_ref()) {
            Ok(entry) => Ok(Some(repo.find_blob(entry.id()).map_err(broken)?.content().to_vec())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }
}
