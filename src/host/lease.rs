//! Which run works on a credential, as a git ref that is compared and swapped. A courtesy: it spares two runs the same work, and
//! nothing is lost without it.

#![expect(clippy::disallowed_methods, reason = "a lease names the boot of this machine")]

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid, Repository};
use serde::{Deserialize, Serialize};

use super::git::{broken, failed, first_line, git};
use crate::model::id::{CredentialId, RunId};
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

/// Refs of the leases; each points at a blob with its holder.
const REFS: &str = "refs/slm/leases";
/// What was fetched of a remote's leases.
const FETCHED: &str = "refs/slm/remote-leases";

/// Who works on a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: RunId,
    /// Until when, by its own clock.
    pub until: Timestamp,
    /// This start of its machine, and its process there.
    process: Option<(String, u32)>,
}

impl Holder {
    /// This process.
    #[must_use]
    pub fn own(run: RunId, until: Timestamp) -> Self {
        Self { run, until, process: machine().map(|machine| (machine, std::process::id())) }
    }

    /// False when it was a process of this machine and that has ended.
    fn lives(&self) -> bool {
        match &self.process {
            Some((there, process)) if machine().as_ref() == Some(there) => Path::new("/proc").join(process.to_string()).exists(),
            _ => true,
        }
    }
}

/// Names this start of this machine, and the view of processes that this one has.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let processes = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), processes.display()))
}

/// The leases of a repository, or of its remote when there is one.
pub struct Leases {
    path: PathBuf,
    remote: Option<String>,
}

/// A lease that is held, to be given back.
#[derive(Clone, Copy)]
pub struct Lease(Oid);

/// What asking for a lease came to.
pub enum Taken {
    /// It is ours until it is given back.
    Ours(Lease),
    /// Another run works on it.
    Theirs(Holder),
}

impl Leases {
    /// The leases of the repository at `repo`; those of `remote` decide when it is given.
    ///
    /// # Errors
    /// When there is no repository.
    pub fn open(repo: &Path, remote: Option<String>) -> Result<Self, WorldError> {
        let found = Repository::discover(repo).map_err(broken("open the leases"))?;
        Ok(Self { path: found.commondir().to_owned(), remote })
    }

    /// Takes the lease on `credential` for `holder`, unless another that lives holds it `now`; with `over` even then.
    ///
    /// # Errors
    /// When it cannot be told whether it was taken.
    pub fn take(&self, credential: &CredentialId, holder: &Holder, now: Timestamp, over: bool) -> Result<Taken, WorldError> {
        let operation = format!("take the lease on `{credential}`");
        let repo = Repository::open(&self.path).map_err(broken(&operation))?;
        let text = serde_json::to_vec(holder).map_err(|error| failed(ErrorClass::Permanent, &operation, error))?;
        let own = repo.blob(&text).map_err(broken(&operation))?;
        // Whoever takes it between our look and our swap is seen at the second look.
        for _ in 0..2 {
            let there = self.holder(&repo, credential, &operation)?;
            if let Some((_, Some(other))) = &there
                && !over
                && other.until > now
                && other.lives()
            {
                return Ok(Taken::Theirs(other.clone()));
            }
            if self.swap(&repo, credential, there.map(|(blob, _)| blob), Some(own), &operation)? {
                return Ok(Taken::Ours(Lease(own)));
            }
        }
        Err(failed(ErrorClass::Conflict, &operation, "another run takes it at the same time"))
    }

    /// Gives back a lease that is `ours`; one that was taken over stays with whom it is.
    ///
    /// # Errors
    /// When the remote cannot be reached; it lapses by itself.
    pub fn give_back(&self, credential: &CredentialId, Lease(ours): Lease) -> Result<(), WorldError> {
        let operation = format!("give back the lease on `{credential}`");
        let repo = Repository::open(&self.path).map_err(broken(&operation))?;
        self.swap(&repo, credential, Some(ours), None, &operation).map(drop)
    }

    /// Who holds the lease; a blob that nobody can read is held by nobody.
    fn holder(
        &self,
        repo: &Repository,
        credential: &CredentialId,
        operation: &str,
    ) -> Result<Option<(Oid, Option<Holder>)>, WorldError> {
        let place = match &self.remote {
            None => REFS,
            Some(remote) => {
                let spec = format!("+{REFS}/{credential}/*:{FETCHED}/{credential}/*");
                let arguments = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune", "--", remote, &spec];
                let output = git(&self.path, &arguments, operation)?;
                if !output.status.success() {
                    return Err(failed(ErrorClass::Transient, operation, first_line(&output)));
                }
                FETCHED
            }
        };
        let found = match repo.refname_to_id(&name(place, credential)) {
            Ok(found) => found,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(broken(operation)(error)),
        };
        let blob = repo.find_blob(found).map_err(broken(operation))?;
        Ok(Some((found, serde_json::from_slice(blob.content()).ok())))
    }

    /// Has the ref be `to` when it is `from`; false when it is something else.
    fn swap(
        &self,
        repo: &Repository,
        credential: &CredentialId,
        from: Option<Oid>,
        to: Option<Oid>,
        operation: &str,
    ) -> Result<bool, WorldError> {
        let reference = name(REFS, credential);
        if let Some(remote) = &self.remote {
            let text = |id: Option<Oid>| id.map(|id| id.to_string()).unwrap_or_default();
            let lease = format!("--force-with-lease={reference}:{}", text(from));
            let spec = format!("{}:{reference}", text(to));
            let output = git(&self.path, &["push", "--porcelain", &lease, "--", remote, &spec], operation)?;
            let refused = String::from_utf8_lossy(&output.stdout).lines().any(|line| line.starts_with('!'));
            return match output.status.success() {
                true => Ok(true),
                false if refused => Ok(false),
                false => Err(failed(ErrorClass::Transient, operation, first_line(&output))),
            };
        }
        let mut transaction = repo.transaction().map_err(broken(operation))?;
        match transaction.lock_ref(&reference) {
            Ok(()) => {}
            Err(error) if error.code() == ErrorCode::Locked => return Ok(false),
            Err(error) => return Err(broken(operation)(error)),
        }
        if repo.refname_to_id(&reference).ok() != from {
            return Ok(false);
        }
        let changed = match to {
            Some(to) => transaction.set_target(&reference, to, None, "slm: lease"),
            None => transaction.remove(&reference),
        };
        changed.and_then(|()| transaction.commit()).map_err(broken(operation))?;
        Ok(true)
    }
}

fn name(place: &str, credential: &CredentialId) -> String {
    format!("{place}/{credential}/holder")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        Repository::init_bare(folder.path()).unwrap();
        folder
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn own(run: &str) -> Holder {
        Holder::own(run.into(), at("2026-03-01T00:15:00Z"))
    }

    fn ours(taken: &Taken) -> Lease {
        match taken {
            Taken::Ours(lease) => *lease,
            Taken::Theirs(holder) => panic!("{holder:?}"),
        }
    }

    fn theirs(taken: Taken) -> RunId {
        match taken {
            Taken::Theirs(holder) => holder.run,
            Taken::Ours(_) => panic!("both have it"),
        }
    }

    /// Two repositories with one set of leases: the same one, or two clones of a remote.
    fn pairs() -> Vec<(Vec<tempfile::TempDir>, Leases, Leases)> {
        let local = repo();
        let open = |at: &tempfile::TempDir, remote| Leases::open(at.path(), remote).unwrap();
        let (one, other) = (open(&local, None), open(&local, None));
        let folders = [repo(), repo(), repo()];
        let remote = || Some(folders[2].path().to_string_lossy().into_owned());
        let (here, there) = (open(&folders[0], remote()), open(&folders[1], remote()));
        vec![(vec![local], one, other), (Vec::from(folders), here, there)]
    }

    #[test]
    fn one_run_has_the_lease_until_it_gives_it_back() {
        let (id, now) = (CredentialId::from("db"), at("2026-03-01T00:00:00Z"));
        for (_folders, one, other) in pairs() {
            let lease = ours(&one.take(&id, &own("a"), now, false).unwrap());
            assert_eq!(theirs(other.take(&id, &own("b"), now, false).unwrap()), "a".into());
            ours(&other.take(&"other".into(), &own("b"), now, false).unwrap());
            one.give_back(&id, lease).unwrap();
            let lease = ours(&other.take(&id, &own("b"), now, false).unwrap());
            assert_eq!(theirs(one.take(&id, &own("a"), now, false).unwrap()), "b".into());
            other.give_back(&id, lease).unwrap();
        }
    }

    #[test]
    fn a_lease_that_lapsed_or_whose_run_ended_is_taken_over_and_not_given_back_by_the_other() {
        let (id, now) = (CredentialId::from("db"), at("2026-03-01T00:00:00Z"));
        for (_folders, one, other) in pairs() {
            let old = ours(&one.take(&id, &own("a"), now, false).unwrap());
            assert_eq!(theirs(other.take(&id, &own("b"), at("2026-03-01T00:14:59Z"), false).unwrap()), "a".into());
            let new = Holder::own("b".into(), at("2026-03-01T01:00:00Z"));
            ours(&other.take(&id, &new, at("2026-03-01T00:15:00Z"), false).unwrap());
            one.give_back(&id, old).unwrap();
            assert_eq!(theirs(one.take(&id, &own("a"), at("2026-03-01T00:15:00Z"), false).unwrap()), "b".into());
            ours(&one.take(&id, &own("c"), now, true).unwrap());
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let gone = Holder { process: machine().map(|machine| (machine, child.id())), ..own("gone") };
            child.wait().unwrap();
            ours(&one.take(&id, &gone, now, true).unwrap());
            ours(&other.take(&id, &own("d"), now, false).unwrap());
        }
    }

    #[test]
    fn of_six_runs_one_takes_it() {
        let local = repo();
        let now = at("2026-03-01T00:00:00Z");
        let take = |n: usize| {
            let leases = Leases::open(local.path(), None).unwrap();
            let taken = leases.take(&"db".into(), &own(&format!("run-{n}")), now, false);
            matches!(taken, Ok(Taken::Ours(_)))
        };
        let won: usize = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..6).map(|n| scope.spawn(move || take(n))).collect();
            runs.into_iter().map(|run| usize::from(run.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
    }

    #[test]
    fn a_remote_that_cannot_be_reached_is_an_error() {
        let local = repo();
        let gone = local.path().join("gone").to_string_lossy().into_owned();
        let taken =
            Leases::open(local.path(), Some(gone)).unwrap().take(&"db".into(), &own("a"), at("2026-03-01T00:00:00Z"), false);
        assert_eq!(taken.err().map(|error| error.class), Some(ErrorClass::Transient));
    }
}
