//! A file rendered on this machine, with a sidecar `<path>.slm` that says which version it holds and which one runs.

#![expect(clippy::disallowed_methods, reason = "it writes files of applications")]

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use async_trait::async_trait;
use minijinja::context;
use zeroize::Zeroizing;

use super::command::{self, Failed};
use super::health;
use super::several::Several;
use super::template;
use crate::model::catalog::FileConsumer;
use crate::model::id::{CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::atomic::{self, Owner};
use crate::world::{Consumer, ConsumerView, ErrorClass, Member, Shared, WorldError};

/// How long a reload command may take.
const RELOAD_TIMEOUT: Duration = Duration::from_mins(1);
/// How often the folder is tried: ten seconds in all, where a delivery takes milliseconds.
const HOLD_TRIES: u32 = if cfg!(test) { 3 } else { 500 };
/// Pause between two tries.
const HOLD_PAUSE: Duration = Duration::from_millis(20);
/// A file that holds a secret is its owner's alone unless the config repo says otherwise.
const DEFAULT_MODE: u32 = 0o600;

/// One rendered file.
pub struct RenderedFile {
    pub(super) path: PathBuf,
    root: PathBuf,
    credential: CredentialId,
    pub(super) config: FileConsumer,
    pub(super) mode: u32,
    owner: Owner,
}

impl RenderedFile {
    /// The file of `config` for `credential`; a relative path counts from `root`, where reload commands run as well.
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`] when the mode is not octal, the reload command is empty, or this machine does not know the owner.
    pub fn new(root: PathBuf, credential: CredentialId, config: FileConsumer) -> Result<Self, WorldError> {
        let wrong = |cause: &str| failure(ErrorClass::Permanent, &format!("use file `{}`", config.path), cause);
        let mode = match &config.mode {
            None => DEFAULT_MODE,
            Some(text) => {
                u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| wrong("its mode is not octal"))?
            }
        };
        if config.reload.as_ref().is_some_and(Vec::is_empty) {
            return Err(wrong("its reload command is empty"));
        }
        let owner = Owner::named(config.owner.as_deref(), config.group.as_deref()).map_err(|cause| wrong(&cause))?;
        Ok(Self { path: root.join(&config.path), root, credential, config, mode, owner })
    }

    /// Holds off other writers in the folder of the file until it is dropped. Where folders cannot be locked, only the check of the
    /// version in force before each delivery stands between two writers.
    async fn hold(&self) -> io::Result<fs::File> {
        let path = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(path)?;
        let folder = fs::File::open(path)?;
        for _ in 0..HOLD_TRIES {
            match folder.try_lock() {
                Err(TryLockError::WouldBlock) => tokio::time::sleep(HOLD_PAUSE).await,
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(folder),
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "another process holds its folder"))
    }

    fn render(&self, version: &VersionId, value: &Secret) -> Result<Zeroizing<String>, WorldError> {
        let operation = format!("render file `{}`", self.config.path);
        let value = value.expose_text().map_err(|error| failure(ErrorClass::Permanent, &operation, &error.to_string()))?;
        let template = self.config.template.as_deref().unwrap_or("{{ value }}");
        let json: serde_json::Value = serde_json::from_str(value).unwrap_or_default();
        let json = minijinja::value::Serde(&json);
        let known = context! { value => value, json => json, version => version.as_str(), credential => self.credential.as_str() };
        template::render(template, known).map_err(|cause| failure(ErrorClass::Permanent, &operation, &cause))
    }

    fn reloading(&self) -> String {
        format!("reload file `{}`", self.config.path)
    }

    /// True when `version`, which the file holds, was loaded.
    fn loaded(&self, version: &VersionId) -> Result<bool, WorldError> {
        let view = self.view().map_err(|cause| atomic::failure(&self.reloading(), &cause))?;
        let other = || failure(ErrorClass::Conflict, &self.reloading(), "it holds another version");
        if view.stored.as_ref() == Some(version) { Ok(view.running.as_ref() == Some(version)) } else { Err(other()) }
    }

    /// Notes that `version` was loaded, unless another writer has come meanwhile: then nobody knows which was.
    async fn note_loaded(&self, version: &VersionId) -> Result<(), WorldError> {
        let failed = |cause| atomic::failure(&self.reloading(), &cause);
        let _held = self.hold().await.map_err(failed)?;
        self.loaded(version)?;
        let view = ConsumerView { stored: Some(version.clone()), running: Some(version.clone()), ..ConsumerView::default() };
        self.note(&view).map_err(failed)
    }

    async fn reload(&self, operation: &str) -> Result<(), WorldError> {
        let Some(words) = &self.config.reload else { return Ok(()) };
        command::run(words, &self.root, RELOAD_TIMEOUT).await.map_err(|failed| {
            let class = if matches!(failed, Failed::Start(_)) { ErrorClass::Permanent } else { ErrorClass::Transient };
            failure(class, operation, &format!("its reload command {failed}"))
        })
    }
}

impl RenderedFile {
    /// Waits until whoever reads the file goes on well: until then the version does not run.
    async fn well(&self) -> Result<(), WorldError> {
        let Some(health) = &self.config.health else { return Ok(()) };
        let operation = format!("see who reads file `{}` well", self.config.path);
        health::well(health, &self.root).await.map_err(|cause| failure(ErrorClass::Transient, &operation, &cause))
    }
}

#[async_trait]
impl Consumer for RenderedFile {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.view().map_err(|cause| atomic::failure(&format!("look at file `{}`", self.config.path), &cause))
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let operation = format!("write file `{}`", self.config.path);
        let io = |cause| atomic::failure(&operation, &cause);
        let _held = self.hold().await.map_err(io)?;
        let view = self.view().map_err(io)?;
        if view.stored.as_ref() == Some(version) {
            return Ok(());
        }
        let text = self.render(version, value)?;
        // The file before its sidecar: a crash between the two only delivers the same again.
        atomic::replace_owned(&self.path, text.as_bytes(), self.mode, self.owner)
            .and_then(|()| {
                self.note(&ConsumerView { running: view.running, stored: Some(version.clone()), ..ConsumerView::default() })
            })
            .map_err(io)
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        if self.loaded(version)? {
            return Ok(());
        }
        self.reload(&self.reloading()).await?;
        self.well().await?;
        self.note_loaded(version).await
    }
}

#[async_trait]
impl Shared for Several<RenderedFile> {
    /// Runs the one command, and notes it beside every file that held its version before and holds it after.
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError> {
        // What stands in the way of one is told by itself.
        let all: Vec<_> = self.among(members).filter(|(one, version)| matches!(one.loaded(version), Ok(false))).collect();
        let Some((first, _)) = all.first() else { return Ok(()) };
        first.reload(&first.reloading()).await?;
        let mut failed = Ok(());
        for (one, version) in all {
            let begun = match one.well().await {
                Ok(()) => one.note_loaded(version).await,
                Err(error) => Err(error),
            };
            failed = failed.and(begun);
        }
        failed
    }
}

fn failure(class: ErrorClass, operation: &str, cause: &str) -> WorldError {
    WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
