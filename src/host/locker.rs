//! The locker branch: objects and refs in process, network through the `git` executable.
//!
//! Its history is one line. What could not be pushed while others pushed is made anew on top of theirs, commit by commit, so that the
//! log in it is one log.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use git2::{Commit, ErrorCode, Oid, Repository, Sort, Tree};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::git::{broken, create_reference, failed, first_line, git};
use super::logged::{Logged, goes_on};
use super::onward;
use super::pack::{Kind, Pack};
use super::seen::{self, Seen};
use super::tree;
use crate::model::blob::Blob;
use crate::model::catalog::LockerSettings;
use crate::model::secret::without_credentials;
use crate::model::time::Timestamp;
use crate::record::ledger::{Changes, FOLDER, Ledger};
use crate::record::verify::run_id;
use crate::world::{Clock, ErrorClass, WorldError};

/// Rebuilds before giving up. Every lost race means that another writer got through, so this bounds the writers at once.
const ATTEMPTS: u32 = 20;
/// Added to the wait after each lost race.
const BACKOFF: Duration = Duration::from_millis(25);

/// Who every commit is of.
pub(super) const WRITER: &str = "slm <slm@localhost>";

/// What is refused when the log is not the one that was seen here before.
pub const GOES_ON: &str = "go on with the evidence";

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
    log: Option<Logged>,
}

/// What is to be committed.
pub(super) struct Entry<'a> {
    pub files: Changes,
    pub message: &'a str,
    /// When the run began that it is of.
    pub at: Timestamp,
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
        Ok(Self { path: found.path().to_owned(), branch, remote: settings.remote.clone(), signer, log: None })
    }

    /// Has each commit continue the log of `ledger`, and be dated by `clock`.
    #[must_use]
    pub fn logged(self, ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { log: Some(Logged { ledger, clock }), ..self }
    }

    /// Whether the log can be gone on with as it stands, here and at the remote as far as that can be reached, by our keys.
    ///
    /// # Errors
    /// When it cannot, with the reason.
    pub fn continues(&self) -> Result<(), WorldError> {
        let Some(log) = &self.log else { return Ok(()) };
        let unread = broken("read the locker branch");
        let repo = Repository::open(&self.path).map_err(&unread)?;
        let seen = self.seen(&repo)?;
        let (tip, pending) = lines(&repo, self.tip(&repo, &self.branch)?, self.fetch(&repo)?).map_err(&unread)?;
        self.goes_on(&repo, tip, &seen)?;
        self.holds(&repo, tip, &pending, &seen)?;
        let base = tip.map(|id| repo.find_commit(id)?.tree()).transpose().map_err(&unread)?;
        log.extend(&repo, base.as_ref(), &Changes::new()).map(drop)
    }

    /// The ref with the checkpoint that was appended last; with a remote, that reached it: what is only here may yet be made anew.
    fn appended(&self) -> String {
        self.branch.replacen("refs/heads/", if self.remote.is_some() { "refs/slm/pushed/" } else { "refs/slm/appended/" }, 1)
    }

    /// What was seen of the log here before: what was verified, and what was appended.
    fn seen(&self, repo: &Repository) -> Result<Vec<Seen>, WorldError> {
        let names = [self.branch.replacen("refs/heads/", "refs/slm/verified/", 1), self.appended()];
        let unknown = |error| WorldError { operation: GOES_ON.to_owned(), ..error };
        names.iter().filter_map(|name| seen::read(repo, name).transpose()).map(|seen| seen.map_err(unknown)).collect()
    }

    /// Whether the log at `tip` goes on from everything that was `seen`, as its tiles prove, and from the commits that it was in.
    fn goes_on(&self, repo: &Repository, tip: Option<Oid>, seen: &[Seen]) -> Result<(), WorldError> {
        for seen in seen {
            goes_on(repo, tip, seen).map_err(|error| {
                let what = format!(
                    "{error}; `slm verify` says more, and if it was meant, `git update-ref -d {}` forgets what was seen",
                    seen.name
                );
                failed(ErrorClass::Permanent, GOES_ON, what)
            })?;
        }
        Ok(())
    }

    /// Whether what came up to `tip` since it was `seen`, and what is `pending`, is as slm writes it. Otherwise the next commit would vouch for it.
    fn holds(&self, repo: &Repository, tip: Option<Oid>, pending: &[Oid], seen: &[Seen]) -> Result<(), WorldError> {
        let Some(log) = &self.log else { return Ok(()) };
        let branch = &self.branch;
        if let Some(unsound) = tip.map(|tip| onward::since(repo, tip, seen)).transpose()?.flatten() {
            let what = format!("{}; `slm verify` says more, and no run goes on until it is taken from `{branch}`", unsound.told());
            return Err(failed(ErrorClass::Permanent, GOES_ON, what));
        }
        let Some(unsound) = onward::pending(repo, tip, pending, &log.ledger)? else { return Ok(()) };
        let theirs = tip.map(|tip| tip.to_string()).unwrap_or_default();
        let what = format!(
            "commits that are only here would be made anew, and do not hold: {}; `git update-ref {branch} {theirs}` leaves them out",
            unsound.told()
        );
        Err(failed(ErrorClass::Permanent, GOES_ON, what))
    }

    /// Remembers `commit` as the newest that was appended, and that the remote has it.
    fn keep(&self, repo: &Repository, commit: Oid) {
        let Some(_) = &self.log else { return };
        let write = || -> Result<(), git2::Error> {
            repo.reference(&self.appended(), commit, true, "slm: append")?;
            if self.remote.is_some() {
                repo.reference(&self.tracking(), commit, true, "slm: append")?;
            }
            Ok(())
        };
        // Another process may hold the ref: then it remembers as much.
        if let Err(error) = write() {
            tracing::debug!(%error, "what was appended is not remembered");
        }
    }

    /// Appends one commit with what `build` makes of the tree it goes on; called again when another writer came first.
    /// Files that `build` does not name stay as they are.
    ///
    /// # Errors
    /// [`ErrorClass::Conflict`] when other writers came first too often, [`GOES_ON`] when the log is not the one that was seen before; when the remote cannot be reached the commit is kept
    /// locally and goes out with the next one.
    pub fn append<B: Into<Blob>>(
        &self,
        build: impl Fn(Option<&Tree<'_>>) -> BTreeMap<String, B>,
        message: &str,
        at: Timestamp,
    ) -> Result<CommitId, WorldError> {
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(BACKOFF * attempt);
            let repo = self.repo()?;
            // First: whoever appends meanwhile moves the branch before they remember that.
            let seen = self.seen(&repo)?;
            let local = self.tip(&repo, &self.branch)?;
            let theirs = self.fetch(&repo)?;
            let commit = self.on_top(&repo, [local, theirs], &seen, &build, (message, at))?;
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
                Ok(_) if moved || self.remote.is_some() => {
                    self.keep(&repo, commit);
                    return Ok(commit.to_string());
                }
                _ => {}
            }
        }
        Err(failed(ErrorClass::Conflict, "append to the locker", format!("other writers came first {ATTEMPTS} times")))
    }

    pub(super) fn branch(&self) -> &str {
        &self.branch
    }

    pub(super) fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    pub(super) fn repo(&self) -> Result<Repository, WorldError> {
        // Opened anew: packs that came since are seen at once.
        Repository::open(&self.path).map_err(broken("open the locker"))
    }

    pub(super) fn tip(&self, repo: &Repository, name: &str) -> Result<Option<Oid>, WorldError> {
        match repo.refname_to_id(name) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(broken("read the locker branch")(error)),
        }
    }

    /// Compare-and-swap of the local branch; false when it was moved meanwhile.
    pub(super) fn advance(&self, repo: &Repository, from: Option<Oid>, to: Oid) -> Result<bool, WorldError> {
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

    /// A commit of what `build` makes on top of both tips, ours and theirs.
    fn on_top<B: Into<Blob>>(
        &self,
        repo: &Repository,
        [local, theirs]: [Option<Oid>; 2],
        seen: &[Seen],
        build: &impl Fn(Option<&Tree<'_>>) -> BTreeMap<String, B>,
        (message, at): (&str, Timestamp),
    ) -> Result<Oid, WorldError> {
        let unread = broken("read the locker branch");
        let (mut tip, pending) = lines(repo, local, theirs).map_err(&unread)?;
        self.goes_on(repo, tip, seen)?;
        self.holds(repo, tip, &pending, seen)?;
        for id in pending {
            let commit = repo.find_commit(id).map_err(&unread)?;
            let files = changed(repo, &commit).map_err(&unread)?;
            // It reached the remote before, made anew, and whoever pushed it was stopped before the branch here moved.
            if is_there(repo, tip, &files).map_err(&unread)? {
                continue;
            }
            let at = Timestamp::from_second(commit.author().when().seconds()).unwrap_or(at);
            tip = Some(self.commit(repo, tip, Entry { files, message: commit.message().unwrap_or_default(), at })?);
        }
        let tree = tip.map(|id| repo.find_commit(id)?.tree()).transpose().map_err(&unread)?;
        let files = build(tree.as_ref()).into_iter().map(|(path, file)| (path, Some(file.into()))).collect();
        self.commit(repo, tip, Entry { files, message, at })
    }

    pub(super) fn commit(&self, repo: &Repository, parent: Option<Oid>, entry: Entry<'_>) -> Result<Oid, WorldError> {
        let Entry { mut files, message, at } = entry;
        let base = parent.map(|id| repo.find_commit(id)?.tree()).transpose().map_err(broken("read the locker branch"))?;
        let mut received = at;
        if let Some(log) = &self.log {
            let (tiles, dated) = log.extend(repo, base.as_ref(), &files)?;
            files.extend(tiles);
            received = dated;
        }
        let write = || -> io::Result<Oid> {
            let mut pack = Pack::default();
            let root = tree::with_files(repo, base.map(|tree| tree.id()), &files, &mut pack)?;
            let commit = self.text(root, parent, message, [at, received])?;
            let id = pack.add(Kind::Commit, &commit)?;
            pack.write(&repo.commondir().join("objects/pack"))?;
            repo.odb().and_then(|odb| odb.refresh()).map_err(io::Error::other)?;
            Ok(id)
        };
        write().map_err(|error| failed(ErrorClass::Permanent, "write a commit", error))
    }

    fn text(&self, tree: Oid, parent: Option<Oid>, message: &str, [at, received]: [Timestamp; 2]) -> io::Result<Vec<u8>> {
        let mut head = format!("tree {tree}\n");
        head.extend(parent.map(|parent| format!("parent {parent}\n")));
        let who = |at: Timestamp| format!("{WRITER} {} +0000", at.as_second());
        head.push_str(&format!("author {}\ncommitter {}\n", who(at), who(received)));
        let body = format!("\n{}\n", message.trim_end());
        let Some(signer) = &self.signer else { return Ok((head + &body).into_bytes()) };
        let signature = signer.sign(format!("{head}{body}").as_bytes())?;
        let header = signature.trim_end().replace('\n', "\n ");
        Ok(format!("{head}gpgsig {header}\n{body}").into_bytes())
    }

    pub(super) fn tracking(&self) -> String {
        self.branch.replacen("refs/heads/", "refs/slm/remote/", 1)
    }

    /// The tip of the remote's branch, its objects fetched; `None` without a remote or when it has no such branch.
    pub(super) fn fetch(&self, repo: &Repository) -> Result<Option<Oid>, WorldError> {
        let Some(remote) = &self.remote else { return Ok(None) };
        // Not reachable now: go on from what was fetched last; the push says whether that holds.
        self.reached(repo, remote)?.or_else(|_| self.tip(repo, &self.tracking()))
    }

    /// The tip of the branch of `remote`, its objects fetched; the inner error says why it cannot be reached.
    pub(super) fn reached(&self, repo: &Repository, remote: &str) -> Result<Result<Option<Oid>, String>, WorldError> {
        let spec = format!("+{}:{}", self.branch, self.tracking());
        let output = git(
            &self.path,
            &["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, &spec],
            "fetch the locker branch",
        )?;
        if output.status.success() {
            return self.tip(repo, &self.tracking()).map(Ok);
        }
        let is_empty = String::from_utf8_lossy(&output.stderr).contains("couldn't find remote ref");
        Ok(if is_empty { Ok(None) } else { Err(first_line(&output)) })
    }

    /// Compare-and-swap push; false when the remote was moved meanwhile.
    pub(super) fn push(&self, remote: &str, commit: Oid, from: Option<Oid>) -> Result<bool, WorldError> {
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

/// The tip to go on, and the commits of ours, the oldest first, that are to be made anew on it: none, when either tip has the other.
pub(super) fn lines(repo: &Repository, local: Option<Oid>, theirs: Option<Oid>) -> Result<(Option<Oid>, Vec<Oid>), git2::Error> {
    let (Some(ours), Some(theirs)) = (local, theirs) else { return Ok((theirs.or(local), Vec::new())) };
    if ours == theirs || repo.graph_descendant_of(theirs, ours)? {
        return Ok((Some(theirs), Vec::new()));
    }
    if repo.graph_descendant_of(ours, theirs)? {
        return Ok((Some(ours), Vec::new()));
    }
    let mut walk = repo.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(ours)?;
    walk.hide(theirs)?;
    Ok((Some(theirs), walk.collect::<Result<_, _>>()?))
}

/// Whether the run that wrote `files` is at `tip` already.
fn is_there(repo: &Repository, tip: Option<Oid>, files: &Changes) -> Result<bool, git2::Error> {
    let Some(tree) = tip.map(|tip| repo.find_commit(tip)?.tree()).transpose()? else { return Ok(false) };
    Ok(files.keys().any(|path| run_id(path).is_some() && tree.get_path(path.as_ref()).is_ok()))
}

/// What `commit` wrote, beside the log.
fn changed(repo: &Repository, commit: &Commit<'_>) -> Result<Changes, git2::Error> {
    let before = commit.parents().next().map(|parent| parent.tree_id());
    let mut files = Changes::new();
    for (how, path, id) in tree::differences(&mut tree::by(repo), before, Some(commit.tree_id()), FOLDER)? {
        if how.is_file() {
            files.insert(path, Some(repo.find_blob(id)?.content().to_vec().into()));
        }
    }
    Ok(files)
}
