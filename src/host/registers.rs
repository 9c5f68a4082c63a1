//! Write-once registers as git refs: creating a ref that exists fails, on this machine and at the remote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use git2::{ErrorCode, Repository};

use super::git::{broken, create_reference, failed, first_line, git};
use crate::model::id::{RegisterName, RotationId};
use crate::model::registers::plain;
use crate::world::{ErrorClass, Registers, WorldError};

/// Refs of the registers; each points at a blob with the value.
const REFS: &str = "refs/slm/registers";
/// What was fetched of a remote's registers. They never change, so that an old copy is a true one.
const FETCHED: &str = "refs/slm/remote-registers";

/// The registers of a repository, or of its remote when there is one.
#[derive(Clone)]
pub struct GitRegisters {
    path: PathBuf,
    remote: Option<String>,
    /// Whether everything was fetched, for one that looks once.
    once: Option<Arc<Mutex<bool>>>,
}

impl GitRegisters {
    /// The registers of the repository at `repo`; those of `remote` decide when it is given.
    ///
    /// # Errors
    /// When there is no repository.
    pub fn open(repo: &Path, remote: Option<String>) -> Result<Self, WorldError> {
        let found = Repository::discover(repo).map_err(broken("open the registers"))?;
        Ok(Self { path: found.commondir().to_owned(), remote, once: None })
    }

    /// Reads the remote once, and says of every register what it was then: one fetch for a run that only looks.
    #[must_use]
    pub fn as_of_now(self) -> Self {
        Self { once: Some(Arc::default()), ..self }
    }

    fn read_now(&self, rotation: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let operation = format!("read the registers of rotation {rotation}");
        let place = match &self.remote {
            None => REFS,
            Some(remote) => {
                match &self.once {
                    None => self.fetch(remote, &format!("/{}", plain(rotation.as_str())), &operation)?,
                    Some(once) => {
                        let mut fetched = once.lock().unwrap_or_else(PoisonError::into_inner);
                        if !*fetched {
                            self.fetch(remote, "", &operation)?;
                            *fetched = true;
                        }
                    }
                }
                FETCHED
            }
        };
        let repo = Repository::open(&self.path).map_err(broken(&operation))?;
        let mut values = BTreeMap::new();
        for name in names {
            if let Some(value) = value(&repo, &reference(place, rotation, name), &operation)? {
                values.insert(name.clone(), value);
            }
        }
        Ok(values)
    }

    fn write_now(&self, rotation: &RotationId, name: &RegisterName, text: &str) -> Result<String, WorldError> {
        let operation = format!("write register {name} of rotation {rotation}");
        let repo = Repository::open(&self.path).map_err(broken(&operation))?;
        let blob = repo.blob(text.as_bytes()).map_err(broken(&operation))?;
        let reference = reference(REFS, rotation, name);
        if let Some(remote) = &self.remote {
            // An empty lease: the remote creates the ref only when it has none.
            let (lease, spec) = (format!("--force-with-lease={reference}:"), format!("{blob}:{reference}"));
            let output = git(&self.path, &["push", "--porcelain", &lease, "--", remote, &spec], &operation)?;
            if output.status.success() {
                return Ok(text.to_owned());
            }
            // Refused, or the answer was lost: what is there now says which.
            let now = Self { once: None, ..self.clone() }.read_now(rotation, std::slice::from_ref(name))?;
            let unclear = || failed(ErrorClass::Transient, &operation, first_line(&output));
            return now.get(name).cloned().ok_or_else(unclear);
        }
        let unclear = || failed(ErrorClass::Transient, &operation, "it is being written");
        match create_reference(&repo, &reference, blob, "slm: register") {
            Ok(true) => Ok(text.to_owned()),
            Ok(false) => value(&repo, &reference, &operation)?.ok_or_else(unclear),
            Err(error) if error.code() == ErrorCode::Locked => value(&repo, &reference, &operation)?.ok_or_else(unclear),
            Err(error) => Err(broken(&operation)(error)),
        }
    }

    /// Fetches the registers below `folder`: of all rotations, or of one.
    fn fetch(&self, remote: &str, folder: &str, operation: &str) -> Result<(), WorldError> {
        let spec = format!("+{REFS}{folder}/*:{FETCHED}{folder}/*");
        let output = git(&self.path, &["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, &spec], operation)?;
        if output.status.success() { Ok(()) } else { Err(failed(ErrorClass::Transient, operation, first_line(&output))) }
    }

    /// Runs `work` where waiting for a child process holds nobody up.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, WorldError> + Send + 'static,
    ) -> Result<T, WorldError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&own)).await;
        done.map_err(|error| failed(ErrorClass::Transient, "reach the registers", error))?
    }
}

fn reference(place: &str, rotation: &RotationId, name: &RegisterName) -> String {
    format!("{place}/{}/{}", plain(rotation.as_str()), plain(name.as_str()))
}

fn value(repo: &Repository, reference: &str, operation: &str) -> Result<Option<String>, WorldError> {
    let id = match repo.refname_to_id(reference) {
        Ok(id) => id,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(broken(operation)(error)),
    };
    let blob = repo.find_blob(id).map_err(broken(operation))?;
    let text = std::str::from_utf8(blob.content()).map_err(|_| failed(ErrorClass::Permanent, operation, "it is no text"))?;
    Ok(Some(text.to_owned()))
}

#[async_trait]
impl Registers for GitRegisters {
    async fn read(&self, rotation: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let (rotation, names) = (rotation.clone(), names.to_vec());
        self.aside(move |own| own.read_now(&rotation, &names)).await
    }

    async fn write_once(&self, rotation: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        let (rotation, name, value) = (rotation.clone(), name.clone(), value.to_owned());
        self.aside(move |own| own.write_now(&rotation, &name, &value)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        Repository::init_bare(folder.path()).unwrap();
        folder
    }

    /// Writes until the answer is clear.
    fn write(registers: &GitRegisters, name: &RegisterName, value: &str) -> String {
        loop {
            match registers.write_now(&"9f2c41d07ab3".into(), name, value) {
                Ok(value) => break value,
                Err(error) if error.class == ErrorClass::Transient => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// All must learn the same value, one of theirs.
    fn race(writers: &[GitRegisters], name: &RegisterName) {
        let learned: Vec<String> = std::thread::scope(|scope| {
            let run = |(n, one)| scope.spawn(move || write(one, name, &format!("value {n}")));
            let runs: Vec<_> = writers.iter().enumerate().map(run).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(learned.iter().all(|value| *value == learned[0]), "{learned:?}");
        let absent = RegisterName::from("verdict-1");
        for one in writers {
            let read = one.read_now(&"9f2c41d07ab3".into(), &[name.clone(), absent.clone()]).unwrap();
            assert_eq!(read, BTreeMap::from([(name.clone(), learned[0].clone())]));
        }
    }

    #[test]
    fn of_six_writers_one_decides_for_all() {
        let local = repo();
        let open = || GitRegisters::open(local.path(), None).unwrap();
        let writers: Vec<_> = (0..6).map(|_| open()).collect();
        for round in 0..40 {
            race(&writers, &RegisterName::from(format!("fate-{round}")));
        }
    }

    #[test]
    fn of_six_clones_one_decides_for_all_at_their_remote() {
        let remote = repo();
        let clones: Vec<_> = (0..6).map(|_| repo()).collect();
        let at = remote.path().to_string_lossy().into_owned();
        race(
            &clones.iter().map(|clone| GitRegisters::open(clone.path(), Some(at.clone())).unwrap()).collect::<Vec<_>>(),
            &"fate-1".into(),
        );
    }

    #[test]
    fn a_remote_that_cannot_be_reached_is_an_error_and_never_an_empty_register() {
        let local = repo();
        let registers = GitRegisters::open(local.path(), Some(local.path().join("gone").to_string_lossy().into_owned())).unwrap();
        let (rotation, name) = (RotationId::from("r"), RegisterName::from("fate-1"));
        assert_eq!(registers.read_now(&rotation, std::slice::from_ref(&name)).unwrap_err().class, ErrorClass::Transient);
        assert!(registers.write_now(&rotation, &name, "retire").is_err());
    }
}
