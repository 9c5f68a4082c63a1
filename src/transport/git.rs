//! A git repository read in process: the history of one branch, and what git itself says of a commit. Nothing is written or fetched.

#![expect(clippy::disallowed_methods, reason = "the executable does the network")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use git2::{ErrorCode, ObjectType, Oid, Repository, Sort, Tree, TreeWalkMode, TreeWalkResult};

use crate::model::git_env;
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

/// How long a push or a fetch may take.
const LONG_PATIENCE: Duration = Duration::from_secs(300);
/// How long a remote may take to say where its branch is.
const PATIENCE: Duration = Duration::from_secs(30);

/// Name of what is checked out when that is no branch.
pub const DETACHED: &str = "HEAD";

/// A repository opened for reading.
pub struct Git {
    repo: Repository,
}

/// A person as git names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The name.
    pub name: String,
    /// The address, lower case.
    pub email: String,
}

/// One commit.
pub struct Commit {
    /// Who wrote it.
    pub author: Who,
    /// Who made the commit of it.
    pub committer: Who,
    /// When, by the clock of the committer.
    pub committed: Timestamp,
    /// How many commits it goes on.
    pub parents: usize,
    /// Key and value of its trailers.
    pub trailers: Vec<(String, String)>,
    /// The armoured signature, and the bytes it is over.
    pub signature: Option<(String, Vec<u8>)>,
}

/// One commit of a history.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Its name.
    pub id: Oid,
    /// When it was made, and not before any commit it goes on: a committer may set a clock back.
    pub seconds: i64,
    /// The commit of the branch's own line that brought it in; itself when it stands on that line.
    pub landed: Oid,
}

/// What a branch contains.
pub struct History {
    /// From the newest on, every commit before those it goes on.
    pub nodes: Vec<Node>,
    /// True when the walk stopped at its limit.
    pub bounded: bool,
}

/// What a repository that is pushed to refuses.
pub struct Refuses {
    /// `receive.denyNonFastForwards`.
    pub rewinding: bool,
    /// `receive.denyDeletes`.
    pub deleting: bool,
}

fn failed(operation: &str) -> impl Fn(git2::Error) -> WorldError {
    move |error| {
        let class = match error.code() {
            ErrorCode::NotFound | ErrorCode::UnbornBranch => ErrorClass::NotFound,
            ErrorCode::Owner | ErrorCode::Auth => ErrorClass::Denied,
            _ => ErrorClass::Permanent,
        };
        WorldError { class, operation: operation.to_owned(), cause: error.message().to_owned() }
    }
}

impl Git {
    /// Opens the repository that holds `path`.
    ///
    /// # Errors
    /// When there is none, or it belongs to another user.
    pub fn open(path: &Path) -> Result<Self, WorldError> {
        Repository::discover(path).map(|repo| Self { repo }).map_err(failed("open the git repository"))
    }

    /// True when the history was cut off when it was cloned.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.repo.is_shallow()
    }

    /// The path of `folder` inside the work tree, empty or ending in `/`; `None` when it lies outside.
    #[must_use]
    pub fn prefix(&self, folder: &Path) -> Option<String> {
        let work = self.repo.workdir()?.canonicalize().ok()?;
        let inside = folder.canonicalize().ok()?.strip_prefix(work).ok()?.to_string_lossy().into_owned();
        Some(if inside.is_empty() { inside } else { format!("{inside}/") })
    }

    /// Name and tip of `branch`, here or as last fetched from `remote`; without a name, of what is checked out.
    ///
    /// # Errors
    /// When there is no such branch, or no commit yet.
    pub fn tip(&self, branch: Option<&str>, remote: Option<&str>) -> Result<(String, Oid), WorldError> {
        let Some(branch) = branch else {
            let operation = "read what is checked out";
            let head = self.repo.head().map_err(failed(operation))?;
            let name = if head.is_branch() { head.shorthand().unwrap_or(DETACHED) } else { DETACHED };
            let commit = head.peel_to_commit().map_err(failed(operation))?;
            return Ok((name.to_owned(), commit.id()));
        };
        let operation = format!("find the branch `{branch}`");
        let local = self.repo.refname_to_id(&format!("refs/heads/{branch}"));
        let found = match (local, remote) {
            (Err(_), Some(remote)) => self.repo.refname_to_id(&format!("refs/remotes/{remote}/{branch}")),
            (local, _) => local,
        };
        Ok((branch.to_owned(), found.map_err(failed(&operation))?))
    }

    /// What `tip` contains, at most `limit` commits of it.
    ///
    /// # Errors
    /// When an object is missing or broken.
    pub fn history(&self, tip: Oid, limit: usize) -> Result<History, WorldError> {
        let read = || -> Result<History, git2::Error> {
            let mut walk = self.repo.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
            walk.push(tip)?;
            let mut commits = Vec::new();
            let mut bounded = false;
            for id in walk {
                bounded = commits.len() == limit;
                if bounded {
                    break;
                }
                let commit = self.repo.find_commit(id?)?;
                commits.push((commit.id(), commit.time().seconds(), commit.parent_ids().collect::<Vec<_>>()));
            }
            Ok(History { nodes: nodes(tip, &commits), bounded })
        };
        read().map_err(failed("walk the history of the branch"))
    }

    /// Everything git says of `id`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn commit(&self, id: Oid) -> Result<Commit, WorldError> {
        let operation = format!("read the commit {id}");
        let commit = self.repo.find_commit(id).map_err(failed(&operation))?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let trailers = git2::message_trailers_strs(&message).map_err(failed(&operation))?;
        let trailers = trailers.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let signature = match self.repo.extract_signature(&id, None) {
            Ok((armour, bytes)) => Some((String::from_utf8_lossy(&armour).into_owned(), bytes.to_vec())),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(failed(&operation)(error)),
        };
        let committed = Timestamp::from_second(commit.committer().when().seconds());
        let cause = |error: jiff::Error| WorldError { class: ErrorClass::Permanent, operation, cause: error.to_string() };
        Ok(Commit {
            author: who(&commit.author()),
            committer: who(&commit.committer()),
            committed: committed.map_err(cause)?,
            parents: commit.parent_count(),
            trailers,
            signature,
        })
    }

    /// Those of `paths` at which `id` differs from every commit it goes on.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn changed<'p>(&self, id: Oid, paths: impl Iterator<Item = &'p str>) -> Result<Vec<&'p str>, WorldError> {
        let read = || -> Result<Vec<&'p str>, git2::Error> {
            let commit = self.repo.find_commit(id)?;
            let own = commit.tree()?;
            let parents = commit.parents().map(|parent| parent.tree()).collect::<Result<Vec<_>, _>>()?;
            let at = |tree: &Tree<'_>, path: &str| tree.get_path(Path::new(path)).ok().map(|entry| entry.id());
            let new = |path: &&str| {
                let here = at(&own, path);
                if parents.is_empty() { here.is_some() } else { parents.iter().all(|parent| at(parent, path) != here) }
            };
            Ok(paths.filter(new).collect())
        };
        read().map_err(failed(&format!("read the trees of the commit {id}")))
    }

    /// The files of `id` below `folder`, or `folder` itself when it is a file, with the names of their contents.
    ///
    /// # Errors
    /// When a tree cannot be read.
    pub fn files(&self, id: Oid, folder: &str) -> Result<BTreeMap<String, Oid>, WorldError> {
        let operation = format!("list `{folder}` of the commit {id}");
        let tree = self.repo.find_commit(id).and_then(|commit| commit.tree()).map_err(failed(&operation))?;
        let mut files = BTreeMap::new();
        let folder = folder.trim_end_matches('/');
        let entry = match tree.get_path(Path::new(folder)) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(files),
            Err(error) => return Err(failed(&operation)(error)),
        };
        if entry.kind() == Some(ObjectType::Blob) {
            files.insert(folder.to_owned(), entry.id());
            return Ok(files);
        }
        let below = self.repo.find_tree(entry.id()).map_err(failed(&operation))?;
        below
            .walk(TreeWalkMode::PreOrder, |inside, entry| {
                if entry.kind() == Some(ObjectType::Blob) {
                    let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                    files.insert(format!("{folder}/{inside}{name}"), entry.id());
                }
                TreeWalkResult::Ok
            })
            .map_err(failed(&operation))?;
        Ok(files)
    }

    /// The text of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn text(&self, content: Oid) -> Result<String, WorldError> {
        let blob = self.repo.find_blob(content).map_err(failed("read a file of the branch"))?;
        Ok(String::from_utf8_lossy(blob.content()).into_owned())
    }

    /// Whether `tip` is `id` or goes on it; `None` when `tip` is not here.
    #[must_use]
    pub fn contains(&self, tip: Oid, id: Oid) -> Option<bool> {
        self.repo.find_commit(tip).ok()?;
        Some(tip == id || self.repo.graph_descendant_of(tip, id).unwrap_or(false))
    }

    /// The text of `path` on `branch`; `None` when either is not here.
    #[must_use]
    pub fn text_on(&self, branch: &str, path: &str) -> Option<String> {
        let tree = self.repo.find_reference(&format!("refs/heads/{branch}")).ok()?.peel_to_tree().ok()?;
        self.text(tree.get_path(Path::new(path)).ok()?.id()).ok()
    }

    /// True when the repository knows `remote`.
    #[must_use]
    pub fn knows(&self, remote: &str) -> bool {
        self.repo.find_remote(remote).is_ok()
    }

    /// What `remote` refuses; `None` when it is no folder of this machine, so that nobody but its host can tell.
    ///
    /// # Errors
    /// When it is a folder of this machine and cannot be read.
    pub fn refuses(&self, remote: &str) -> Result<Option<Refuses>, WorldError> {
        let operation = format!("read the settings of the remote `{remote}`");
        let found = self.repo.find_remote(remote).map_err(failed(&operation))?;
        let Some(path) = found.url().ok().and_then(|url| self.folder(url)) else { return Ok(None) };
        let config = Repository::open(path).and_then(|repo| repo.config()).map_err(failed(&operation))?;
        let set = |key: &str| match config.get_bool(key) {
            Ok(yes) => Ok(yes),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(failed(&operation)(error)),
        };
        Ok(Some(Refuses { rewinding: set("receive.denyNonFastForwards")?, deleting: set("receive.denyDeletes")? }))
    }

    fn folder(&self, url: &str) -> Option<PathBuf> {
        if let Some(path) = url.strip_prefix("file://") {
            return Some(PathBuf::from(path));
        }
        let base = self.repo.workdir().unwrap_or_else(|| self.repo.path());
        // `host:path` is ssh to git, unless a slash comes first.
        let local = !url.contains("://") && url.split('/').next().is_some_and(|first| !first.contains(':'));
        local.then(|| base.join(url))
    }
}

/// Where `branch` of `remote` is now, asked of the remote; `None` when it has no such branch.
///
/// # Errors
/// When it does not answer in time or at all. What git says is left out: it may name a URL with credentials.
pub async fn remote_tip(repo: &Path, remote: &str, branch: &str) -> Result<Option<Oid>, WorldError> {
    let wrong = |cause: &str| WorldError {
        class: ErrorClass::Transient,
        operation: format!("ask the remote `{remote}` for its branch `{branch}`"),
        cause: cause.to_owned(),
    };
    let mut command = tokio::process::Command::new("git");
    command.arg("-C").arg(repo).args(["ls-remote", "--", remote, &format!("refs/heads/{branch}")]);
    let more = std::env::var(git_env::MORE).ok();
    let known = git_env::names(more.as_deref()).filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.env_clear().envs(known).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| wrong("no answer in 30s"))?.map_err(|_| wrong("`git` does not run"))?;
    if !output.status.success() {
        return Err(wrong("`git ls-remote` failed"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(name) = text.split_whitespace().next() else { return Ok(None) };
    Oid::from_str(name).map(Some).map_err(|_| wrong("the answer is no commit"))
}

/// Runs `git` on the repository at `path` to reach a remote; it asks nobody anything.
///
/// # Errors
/// When it does not run, or does not end in time. What it says may name a URL with credentials.
pub async fn run(path: &Path, arguments: &[&str], operation: &str) -> Result<Output, WorldError> {
    let wrong = |class, cause: &str| WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() };
    let mut command = tokio::process::Command::new("git");
    command.arg("--git-dir").arg(path).args(arguments);
    let more = std::env::var(git_env::MORE).ok();
    let known = git_env::names(more.as_deref()).filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.env_clear().envs(known).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LONG_PATIENCE, command.output()).await;
    let output = output.map_err(|_| wrong(ErrorClass::Transient, "no answer in 300s"))?;
    output.map_err(|_| wrong(ErrorClass::Permanent, "`git` does not run"))
}

fn who(signature: &git2::Signature<'_>) -> Who {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Who { name: text(signature.name_bytes()), email: text(signature.email_bytes()).to_lowercase() }
}

/// Adds to each commit when it landed and by what. `commits` hold every commit before those it goes on.
fn nodes(tip: Oid, commits: &[(Oid, i64, Vec<Oid>)]) -> Vec<Node> {
    let parents: HashMap<Oid, &[Oid]> = commits.iter().map(|(id, _, parents)| (*id, parents.as_slice())).collect();
    let mut line = Vec::new();
    let mut next = Some(tip);
    while let Some((id, above)) = next.and_then(|id| parents.get_key_value(&id)) {
        line.push(*id);
        next = above.first().copied();
    }
    let mut landed: HashMap<Oid, Oid> = HashMap::new();
    for by in line.into_iter().rev() {
        let mut open = vec![by];
        while let Some(id) = open.pop() {
            if let Some(above) = parents.get(&id).filter(|_| !landed.contains_key(&id)) {
                landed.insert(id, by);
                open.extend_from_slice(above);
            }
        }
    }
    let mut made: HashMap<Oid, i64> = HashMap::new();
    for (id, seconds, above) in commits.iter().rev() {
        let after = above.iter().filter_map(|parent| made.get(parent)).max().copied().unwrap_or(i64::MIN);
        made.insert(*id, after.max(*seconds));
    }
    let node = |(id, seconds, _): &(Oid, i64, Vec<Oid>)| Node {
        id: *id,
        seconds: made.get(id).copied().unwrap_or(*seconds),
        landed: landed.get(id).copied().unwrap_or(*id),
    };
    commits.iter().map(node).collect()
}
