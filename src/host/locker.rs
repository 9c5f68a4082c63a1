//! The locker branch: objects and refs in process, network through the `git` executable.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ErrorCode, Oid, Repository, Tree};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::git::{broken, create_reference, failed, git};
use super::pack::{Kind, Pack};
use super::tree;
use crate::model::blob::Blob;
use crate::model::catalog::LockerSettings;
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

/// Rebuilds before giving up. Every lost race means that another writer got through, so this bounds the writers at once.
const ATTEMPTS: u32 = 20;
/// Added to the wait after each lost race.
const BACKOFF: Duration = Duration::from_millis(25);

/// Name of a commit, 40 hex digits.
pub type CommitId = String;

/// Signs commits with an SSH key, in process.
pub struct Signer(PrivateKey);

impl Signer {
    /// Reads the private key at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is encrypted.
    pub fn open(path: &Path) -> Result<Self, WorldError> {
        let operation = format!("read the signing key `{}`", path.display());
        let key = PrivateKey::read_openssh_file(path).map_err(|error| failed(ErrorClass::Permanent, &operation, error))?;
        if key.is_encrypted() {
            return Err(failed(ErrorClass::Permanent, &operation, "it needs a passphrase"));
        }
        Ok(Self(key))
    }

    fn sign(&self, bytes: &[u8]) -> io::Result<String> {
        self.0.sign("git", HashAlg::Sha512, bytes).and_then(|signature| signature.to_pem(LineEnding::LF)).map_err(io::Error::other)
    }
}

/// The evidence branch. Appending never loses what another writer appended.
pub struct Locker {
    path: PathBuf,
    branch: String,
    remote: Option<String>,
    signer: Option<Signer>,
}

impl Locker {
    /// The locker of the repository at `repo`.
    ///
    /// # Errors
    /// When there is no repository, or the branch name is not fit for one.
    pub fn open(repo: &Path, settings: &LockerSettings, signer: Option<Signer>) -> Result<Self, WorldError> {
        let operation = "open the locker";
        let found = Repository::discover(repo).map_err(broken(operation))?;
        let branch = format!("refs/heads/{}", settings.branch);
        if !git2::Reference::is_valid_name(&branch) {
            return Err(failed(ErrorClass::Permanent, operation, format!("`{}` is no branch name", settings.branch)));
        }
        Ok(Self { path: found.path().to_owned(), branch, remote: settings.remote.clone(), signer })
    }

    /// Appends one commit with what `build` makes of the tree it goes on; called again when another writer came first.
    /// Files that `build` does not name stay as they are.
    ///
    /// # Errors
    /// [`ErrorClass::Conflict`] when other writers came first too often; when the remote cannot be reached the commit is kept
    /// locally and goes out with the next one.
    pub fn append<B: Into<Blob>>(
        &self,
        build: impl Fn(Option<&Tree<'_>>) -> BTreeMap<String, B>,
        message: &str,
        at: Timestamp,
    ) -> Result<CommitId, WorldError> {
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(BACKOFF * attempt);
            // Opened anew: packs that came since are seen at once.
            let repo = Repository::open(&self.path).map_err(broken("open the locker"))?;
            let local = self.tip(&repo, &self.branch)?;
            let theirs = self.fetch(&repo)?;
            let commit = self
                .commit(&repo, local, theirs, &build, message, at)
                .map_err(|e| failed(ErrorClass::Permanent, "write a commit", e))?;
            let pushed = match &self.remote {
                Some(remote) => self.push(remote, commit, theirs),
                None => Ok(true),
            };
            if matches!(pushed, Ok(false)) {
                continue;
            }
            let moved = self.advance(&repo, local, commit)?;
            // A commit that reached the remote is safe, whoever moved the local branch meanwhile: the next one joins the two.
            match pushed {
                Err(error) if moved => return Err(error),
                Ok(_) if moved || self.remote.is_some() => return Ok(commit.to_string()),
                _ => {}
            }
        }
        Err(failed(ErrorClass::Conflict, "append to the locker", format!("other writers came first {ATTEMPTS} times")))
    }

    fn tip(&self, repo: &Repository, name: &str) -> Result<Option<Oid>, WorldError> {
        match repo.refname_to_id(name) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(broken("read the locker branch")(error)),
        }
    }

    /// Compare-and-swap of the local branch; false when it was moved meanwhile.
    fn advance(&self, repo: &Repository, from: Option<Oid>, to: Oid) -> Result<bool, WorldError> {
        let moved = match from {
            Some(from) => repo.reference_matching(&self.branch, to, true, from, "slm: append").map(|_| true),
            None => create_reference(repo, &self.branch, to, "slm: append"),
        };
        match moved {
            Ok(moved) => Ok(moved),
            Err(error)
                if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists | ErrorCode::Locked | ErrorCode::NotFound) =>
            {
                Ok(false)
            }
            Err(error) => Err(broken("move the locker branch")(error)),
        }
    }

    fn commit<B: Into<Blob>>(
        &self,
        repo: &Repository,
        local: Option<Oid>,
        theirs: Option<Oid>,
        build: &impl Fn(Option<&Tree<'_>>) -> BTreeMap<String, B>,
        message: &str,
        at: Timestamp,
    ) -> io::Result<Oid> {
        let folder = repo.commondir().join("objects/pack");
        let parents = parents(repo, local, theirs).map_err(io::Error::other)?;
        let base = base_tree(repo, &parents, &folder)?;
        let tree = base.map(|id| repo.find_tree(id)).transpose().map_err(io::Error::other)?;
        let mut pack = Pack::default();
        let files = build(tree.as_ref()).into_iter().map(|(path, file)| (path, file.into())).collect();
        let root = tree::with_files(repo, base, &files, &mut pack)?;
        let commit = self.text(root, &parents, message, at)?;
        let id = pack.add(Kind::Commit, &commit)?;
        pack.write(&folder)?;
        repo.odb().and_then(|odb| odb.refresh()).map_err(io::Error::other)?;
        Ok(id)
    }

    fn text(&self, tree: Oid, parents: &[Oid], message: &str, at: Timestamp) -> io::Result<Vec<u8>> {
        let mut head = format!("tree {tree}\n");
        parents.iter().for_each(|parent| head.push_str(&format!("parent {parent}\n")));
        let who = format!("slm <slm@localhost> {} +0000", at.as_second());
        head.push_str(&format!("author {who}\ncommitter {who}\n"));
        let body = format!("\n{}\n", message.trim_end());
        let Some(signer) = &self.signer else { return Ok((head + &body).into_bytes()) };
        let signature = signer.sign(format!("{head}{body}").as_bytes())?;
        let header = signature.trim_end().replace('\n', "\n ");
        Ok(format!("{head}gpgsig {header}\n{body}").into_bytes())
    }

    fn tracking(&self) -> String {
        self.branch.replacen("refs/heads/", "refs/slm/remote/", 1)
    }

    /// The tip of the remote's branch, its objects fetched; `None` without a remote or when it has no such branch.
    fn fetch(&self, repo: &Repository) -> Result<Option<Oid>, WorldError> {
        let Some(remote) = &self.remote else { return Ok(None) };
        let spec = format!("+{}:{}", self.branch, self.tracking());
        let output = git(
            &self.path,
            &["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, &spec],
            "fetch the locker branch",
        )?;
        if output.status.success() {
            return self.tip(repo, &self.tracking());
        }
        if String::from_utf8_lossy(&output.stderr).contains("couldn't find remote ref") {
            return Ok(None);
        }
        // Not reachable now: go on from what was fetched last; the push says whether that holds.
        self.tip(repo, &self.tracking())
    }

    /// Compare-and-swap push; false when the remote was moved meanwhile.
    fn push(&self, remote: &str, commit: Oid, from: Option<Oid>) -> Result<bool, WorldError> {
        let lease = format!("--force-with-lease={}:{}", self.branch, from.map(|id| id.to_string()).unwrap_or_default());
        let spec = format!("{commit}:{}", self.branch);
        let output = git(&self.path, &["push", "--porcelain", &lease, "--", remote, &spec], "push the locker branch")?;
        if output.status.success() {
            return Ok(true);
        }
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let race = [
            "stale info",
            "fetch first",
            "non-fast-forward",
            "cannot lock ref",
            "failed to update ref",
            "reference already exists",
        ];
        if said.lines().any(|line| line.starts_with('!') && race.iter().any(|word| line.contains(word))) {
            return Ok(false);
        }
        let line = said.lines().find(|line| line.starts_with('!')).or_else(|| errors.lines().next()).unwrap_or("no answer");
        let class = if line.starts_with('!') { ErrorClass::Denied } else { ErrorClass::Transient };
        Err(failed(class, "push the locker branch", without_credentials(line)))
    }
}

/// What the next commit goes on: the further of the two tips, or both when each has something the other lacks.
fn parents(repo: &Repository, local: Option<Oid>, theirs: Option<Oid>) -> Result<Vec<Oid>, git2::Error> {
    let (Some(ours), Some(theirs)) = (local, theirs) else { return Ok(theirs.or(local).into_iter().collect()) };
    if ours == theirs || repo.graph_descendant_of(theirs, ours)? {
        return Ok(vec![theirs]);
    }
    Ok(if repo.graph_descendant_of(ours, theirs)? { vec![ours] } else { vec![theirs, ours] })
}

fn base_tree(repo: &Repository, parents: &[Oid], folder: &Path) -> io::Result<Option<Oid>> {
    let tree_of = |id: &Oid| repo.find_commit(*id).map(|commit| commit.tree_id()).map_err(io::Error::other);
    match parents {
        [] => Ok(None),
        [one] => Ok(Some(tree_of(one)?)),
        [ours, theirs, ..] => {
            let mut pack = Pack::default();
            let joined = tree::union(repo, tree_of(ours)?, tree_of(theirs)?, &mut pack)?;
            pack.write(folder)?;
            repo.odb().and_then(|odb| odb.refresh()).map_err(io::Error::other)?;
            Ok(Some(joined))
        }
    }
}

/// `line` with what stands between `//` and `@` in a URL taken out.
pub(super) fn without_credentials(line: &str) -> String {
    line.split(' ')
        .map(|word| match (word.find("//"), word.rfind('@')) {
            (Some(start), Some(end)) if start < end => format!("{}{}", &word[..start + 2], &word[end + 1..]),
            _ => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}
