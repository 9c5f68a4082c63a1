//! The local vault: one age-encrypted file of write-once versions, for machines without a secrets service.
//!
//! Every call is short and works on the whole file, so it runs where it is called and holds the lock across no await.

#![expect(clippy::disallowed_methods, reason = "the vault is a file")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::atomic;
use super::vault_file::{Content, Kept, Version, error, from_io, key, new_key};
use crate::model::catalog::SecretRef;
use crate::model::id::VersionId;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::world::{CURRENT, Clock, ErrorClass, PENDING, SecretStore, SecretView, WorldError};

/// Label of the version that was in force before.
const PREVIOUS: &str = "AWSPREVIOUS";

/// A vault file and the identity file that opens it.
#[derive(Clone)]
pub struct Vault {
    path: PathBuf,
    identity: PathBuf,
    clock: Arc<dyn Clock>,
}

/// One secret of a listing; no value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// When it was first written.
    pub created: Timestamp,
    /// Its versions.
    pub view: SecretView,
}

impl Vault {
    /// A vault at `path`, opened by the age identity in the file `identity`. Nothing is read yet.
    #[must_use]
    pub fn open(path: PathBuf, identity: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { path, identity, clock }
    }

    /// Makes a new identity and an empty vault; refuses to replace either.
    ///
    /// # Errors
    /// [`ErrorClass::Conflict`] when one of the files exists, [`ErrorClass::Permanent`] when it cannot be written.
    pub fn create(path: PathBuf, identity: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, WorldError> {
        let operation = format!("create vault `{}`", path.display());
        let _lock = lock(&path).map_err(|cause| from_io(&operation, &cause))?;
        if path.exists() {
            return Err(error(ErrorClass::Conflict, &operation, "it exists"));
        }
        new_key(&identity).map_err(|cause| from_io(&operation, &cause))?;
        let vault = Self::open(path, identity, clock);
        vault.save(&operation, &vault.path, &Content::empty())?;
        Ok(vault)
    }

    /// The public key the vault is encrypted to.
    ///
    /// # Errors
    /// When the identity file cannot be read.
    pub fn recipient(&self) -> Result<String, WorldError> {
        Ok(key(&self.identity, "read the identity of the vault")?.to_public().to_string())
    }

    /// Every secret by name, without values.
    ///
    /// # Errors
    /// When the vault cannot be read to its end.
    pub fn list(&self) -> Result<Vec<Listed>, WorldError> {
        let content = self.load("list the vault")?;
        let listed =
            content.secrets.iter().map(|(name, kept)| Listed { name: name.clone(), created: kept.created, view: kept.view() });
        Ok(listed.collect())
    }

    fn load(&self, operation: &str) -> Result<Content, WorldError> {
        let key = key(&self.identity, operation)?;
        let bytes = fs::read(&self.path).map_err(|cause| from_io(operation, &cause))?;
        Content::open(&bytes, &key, operation)
    }

    fn save(&self, operation: &str, path: &Path, content: &Content) -> Result<(), WorldError> {
        let bytes = content.seal(&key(&self.identity, operation)?, operation)?;
        atomic::replace(path, &bytes, 0o600).map_err(|cause| from_io(operation, &cause))
    }

    /// Loads, changes and saves under an exclusive lock; saves nothing when `change` says there is nothing to save.
    fn change(
        &self,
        operation: &str,
        change: impl FnOnce(&mut Content, Timestamp) -> Result<bool, (ErrorClass, &'static str)>,
    ) -> Result<(), WorldError> {
        // Every name of the file is one lock, and a link to it stays a link.
        let path = fs::canonicalize(&self.path).map_err(|cause| from_io(operation, &cause))?;
        let _lock = lock(&path).map_err(|cause| from_io(operation, &cause))?;
        let mut content = self.load(operation)?;
        match change(&mut content, self.clock.now()) {
            Ok(true) => self.save(operation, &path, &content),
            Ok(false) => Ok(()),
            Err((class, cause)) => Err(error(class, operation, cause)),
        }
    }
}

#[async_trait]
impl SecretStore for Vault {
    async fn describe(&self, secret: &SecretRef) -> Result<SecretView, WorldError> {
        let content = self.load(&format!("describe `{}`", secret.name))?;
        // Its versions are dated by the clock of whoever writes them.
        let view = content.secrets.get(&secret.name).map(Kept::view).unwrap_or_default();
        Ok(SecretView { now: Some(self.clock.now()), ..view })
    }

    async fn read(&self, secret: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        let operation = format!("read version {version} of `{}`", secret.name);
        let content = self.load(&operation)?;
        let kept = content.secrets.get(&secret.name).and_then(|kept| kept.versions.get(version));
        let kept = kept.ok_or_else(|| error(ErrorClass::NotFound, &operation, "there is no such version"))?;
        STANDARD.decode(&kept.value).map(Secret::new).map_err(|_| error(ErrorClass::Permanent, &operation, "the vault is damaged"))
    }

    async fn put(&self, secret: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let operation = format!("put version {version} of `{}`", secret.name);
        let mut encoded = Zeroizing::new(STANDARD.encode(value.expose()));
        self.change(&operation, |content, now| {
            let kept =
                content.secrets.entry(secret.name.clone()).or_insert_with(|| Kept { created: now, versions: BTreeMap::new() });
            if let Some(have) = kept.versions.get(version) {
                return if have.value == *encoded {
                    Ok(false)
                } else {
                    Err((ErrorClass::Conflict, "the version holds another value"))
                };
            }
            kept.unlabel(PENDING);
            let value = std::mem::take(&mut *encoded);
            kept.versions.insert(version.clone(), Version { created: now, labels: vec![PENDING.to_owned()], value });
            Ok(true)
        })
    }

    async fn promote(&self, secret: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        self.change(&format!("promote version {to} of `{}`", secret.name), |content, _| {
            let kept = content.secrets.get_mut(&secret.name).ok_or((ErrorClass::NotFound, "there is no such secret"))?;
            if !kept.versions.contains_key(to) {
                return Err((ErrorClass::NotFound, "there is no such version"));
            }
            if kept.view().current() != from {
                return Err((ErrorClass::Conflict, "another version is current now"));
            }
            kept.unlabel(CURRENT);
            if let Some(previous) = from {
                kept.unlabel(PREVIOUS);
                kept.label(previous, PREVIOUS);
            }
            kept.label(to, CURRENT);
            Ok(true)
        })
    }
}

/// Waits for the exclusive lock beside `path`; it ends with the file handle.
fn lock(path: &Path) -> io::Result<File> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(PathBuf::from(beside))?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn vault(folder: &Path) -> Vault {
        Vault::create(folder.join("vault.age"), folder.join("id.txt"), Arc::new(Fixed)).unwrap()
    }

    fn secret() -> SecretRef {
        SecretRef { source: "vault".into(), region: ".".to_owned(), name: "db".to_owned() }
    }

    fn value(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn a_version_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let (vault, id) = (vault(folder.path()), VersionId::from("a"));
        vault.put(&secret(), &id, &value("CANARY-one")).await.unwrap();
        vault.put(&secret(), &id, &value("CANARY-one")).await.unwrap();
        let error = vault.put(&secret(), &id, &value("CANARY-two")).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Conflict);
        assert!(!format!("{error:?}").contains("CANARY"));
        assert_eq!(vault.read(&secret(), &id).await.unwrap().expose(), b"CANARY-one");
        let bytes = std::fs::read(folder.path().join("vault.age")).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"CANARY"));
        for name in ["vault.age", "id.txt"] {
            assert_eq!(std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn promotion_compares_before_it_swaps() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let (a, b) = (VersionId::from("a"), VersionId::from("b"));
        assert_eq!(vault.promote(&secret(), None, &a).await.unwrap_err().class, ErrorClass::NotFound);
        vault.put(&secret(), &a, &value("1")).await.unwrap();
        vault.put(&secret(), &b, &value("2")).await.unwrap();
        vault.promote(&secret(), None, &a).await.unwrap();
        assert_eq!(vault.promote(&secret(), None, &b).await.unwrap_err().class, ErrorClass::Conflict);
        vault.promote(&secret(), Some(&a), &b).await.unwrap();
        assert_eq!(vault.promote(&secret(), Some(&a), &b).await.unwrap_err().class, ErrorClass::Conflict);
        let view = vault.describe(&secret()).await.unwrap();
        assert_eq!((view.current(), view.labelled(PREVIOUS), view.labelled(PENDING)), (Some(&b), Some(&a), Some(&b)));
    }

    #[tokio::test]
    async fn another_identity_or_a_missing_file_is_an_error_and_not_an_empty_vault() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let _ = (vault(one.path()), vault(two.path()));
        let wrong = Vault::open(one.path().join("vault.age"), two.path().join("id.txt"), Arc::new(Fixed));
        assert_eq!(wrong.list().unwrap_err().class, ErrorClass::Denied);
        let missing = Vault::open(one.path().join("none.age"), one.path().join("id.txt"), Arc::new(Fixed));
        assert_eq!(missing.list().unwrap_err().class, ErrorClass::NotFound);
        assert!(Vault::create(one.path().join("vault.age"), one.path().join("new.txt"), Arc::new(Fixed)).is_err());
    }

    #[test]
    fn concurrent_writers_lose_nothing_and_one_promotion_wins() {
        let folder = tempfile::tempdir().unwrap();
        let vault = vault(folder.path());
        let won: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|n| {
                    let vault = &vault;
                    scope.spawn(move || {
                        let id = VersionId::from(format!("v{n}"));
                        futures::executor::block_on(async {
                            vault.put(&secret(), &id, &value("x")).await.unwrap();
                            usize::from(vault.promote(&secret(), None, &id).await.is_ok())
                        })
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
        assert_eq!(vault.list().unwrap()[0].view.versions.len(), 8);
    }
}
