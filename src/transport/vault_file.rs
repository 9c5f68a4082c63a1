//! What the vault's file holds, and its encryption.

#![expect(clippy::disallowed_methods, reason = "the key of the vault is a file")]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::atomic;
use crate::model::id::VersionId;
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, SecretView, VersionView, WorldError};

/// Version of the format inside the encryption.
const FORMAT: u32 = 1;

/// The whole vault.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    format: u32,
    /// Secrets by name.
    pub(super) secrets: BTreeMap<String, Kept>,
}

/// One secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// When it was first written.
    pub(super) created: Timestamp,
    /// Its versions; none is ever taken away.
    pub(super) versions: BTreeMap<VersionId, Version>,
}

/// One version.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct Version {
    /// When it was written.
    #[zeroize(skip)]
    pub(super) created: Timestamp,
    /// Labels attached.
    #[zeroize(skip)]
    pub(super) labels: Vec<String>,
    /// Base64.
    pub(super) value: String,
}

impl Content {
    /// A vault without secrets.
    pub(super) fn empty() -> Self {
        Self { format: FORMAT, secrets: BTreeMap::new() }
    }

    /// What the encrypted `bytes` hold.
    pub(super) fn open(bytes: &[u8], key: &Identity, operation: &str) -> Result<Self, WorldError> {
        let plain = Zeroizing::new(age::decrypt(key, bytes).map_err(|cause| match cause {
            age::DecryptError::NoMatchingKeys => error(ErrorClass::Denied, operation, "this identity does not open the vault"),
            _ => error(ErrorClass::Permanent, operation, "the vault is damaged"),
        })?);
        // The cause is left out: it could quote what it failed to read.
        let content: Self =
            serde_json::from_slice(&plain).map_err(|_| error(ErrorClass::Permanent, operation, "the vault has another format"))?;
        if content.format != FORMAT {
            return Err(error(ErrorClass::Permanent, operation, "the vault was written by another version of slm"));
        }
        Ok(content)
    }

    /// The bytes to store, which only `key` opens.
    pub(super) fn seal(&self, key: &Identity, operation: &str) -> Result<Vec<u8>, WorldError> {
        let versions = self.secrets.values().flat_map(|kept| kept.versions.values());
        let room: usize = versions.map(|version| version.value.len() + 512).sum::<usize>() + self.secrets.len() * 512 + 1024;
        // Room for all, so that growing leaves no copy behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *plain, self).map_err(|_| error(ErrorClass::Permanent, operation, "it could not be encoded"))?;
        age::encrypt(&key.to_public(), &plain).map_err(|_| error(ErrorClass::Permanent, operation, "encryption failed"))
    }
}

impl Kept {
    /// What a listing says of it.
    pub(super) fn view(&self) -> SecretView {
        let versions = self.versions.iter();
        let versions =
            versions.map(|(id, version)| (id.clone(), VersionView { labels: version.labels.clone(), created: version.created }));
        SecretView { exists: true, versions: versions.collect(), ..SecretView::default() }
    }

    /// Attaches `label` to version `id`.
    pub(super) fn label(&mut self, id: &VersionId, label: &str) {
        if let Some(version) = self.versions.get_mut(id) {
            version.labels.push(label.to_owned());
            version.labels.sort();
        }
    }

    /// Takes `label` off every version.
    pub(super) fn unlabel(&mut self, label: &str) {
        for version in self.versions.values_mut() {
            version.labels.retain(|have| have != label);
        }
    }
}

/// Makes a new identity and writes it to `path`, which must not be there yet.
pub(super) fn new_key(path: &Path) -> io::Result<()> {
    let text = Identity::generate().to_string();
    let line = Zeroizing::new(format!("{}\n", text.expose_secret()));
    atomic::create(path, line.as_bytes(), 0o600)
}

/// The age identity in the file `path`.
pub(super) fn key(path: &Path, operation: &str) -> Result<Identity, WorldError> {
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => error(ErrorClass::Denied, operation, "the identity file is missing"),
        _ => from_io(operation, &cause),
    })?);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    line.parse().map_err(|_| error(ErrorClass::Denied, operation, "the identity file holds no age identity"))
}

pub(super) fn error(class: ErrorClass, operation: &str, cause: &str) -> WorldError {
    WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() }
}

pub(super) fn from_io(operation: &str, cause: &io::Error) -> WorldError {
    let class = match cause.kind() {
        io::ErrorKind::NotFound => ErrorClass::NotFound,
        io::ErrorKind::PermissionDenied => ErrorClass::Denied,
        io::ErrorKind::AlreadyExists => ErrorClass::Conflict,
        _ => ErrorClass::Transient,
    };
    error(class, operation, &cause.to_string())
}
