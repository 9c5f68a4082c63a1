//! Where values live: stores by source, the key that is shared with slm, and who says that a vault changed.

#![expect(clippy::disallowed_methods, reason = "how it logs in comes from a file or a variable")]

use std::collections::BTreeMap;
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::config::{Attest, AwsPlace, Config};
use super::serve::Word;
use super::together::Mouth;
use crate::model::catalog::{AwsSource, VaultSource};
use crate::model::id::SourceId;
use crate::model::secret::Secret;
use crate::transport::attest::Key;
use crate::transport::aws::Sessions;
use crate::transport::budget::Budget;
use crate::transport::secrets_manager_store::SecretsManagerStore;
use crate::transport::vault::Vault;
use crate::world::{Clock, ErrorClass, SecretStore, WorldError};

/// Requests to AWS a second.
const RATE: u16 = 5;
/// Session name of an assumed role, seen in CloudTrail.
const SESSION: &str = "slm-agent";
/// What a vault is in, where a region is asked for.
const HERE: &str = ".";

/// The sources of a config.
pub(super) struct Sources(BTreeMap<SourceId, Made>);

enum Made {
    Vault(Vault),
    Aws(String, Box<aws_config::SdkConfig>),
}

impl Sources {
    /// The sources of `config`; none is asked anything.
    pub(super) async fn new(config: &Config, clock: &Arc<dyn Clock>) -> Self {
        let sessions = Sessions::new(Budget::per_second(RATE));
        let mut all = BTreeMap::new();
        for (id, source) in &config.source {
            if let Some(vault) = &source.vault {
                all.insert(id.clone(), Made::Vault(open(config, vault, clock)));
            }
            if let Some(place) = &source.aws {
                let account = account(place);
                let made = sessions.get(&account, &place.region, place.role.as_deref(), SESSION).await;
                all.insert(id.clone(), Made::Aws(place.region.clone(), Box::new(made)));
            }
        }
        Self(all)
    }

    /// The store of source `id`, and the region in which names are looked up there.
    pub(super) fn store(&self, id: &SourceId) -> Result<(Box<dyn SecretStore>, String), WorldError> {
        match self.0.get(id) {
            Some(Made::Vault(vault)) => Ok((Box::new(vault.clone()), HERE.to_owned())),
            Some(Made::Aws(region, made)) => {
                Ok((Box::new(SecretsManagerStore::new().with(id.clone(), region, made)), region.clone()))
            }
            None => Err(failed(format!("open source `{id}`"), "there is none of that name")),
        }
    }
}

fn open(config: &Config, vault: &VaultSource, clock: &Arc<dyn Clock>) -> Vault {
    Vault::open(config.at(vault.path.as_ref()), config.at(vault.identity.as_ref()), Arc::clone(clock))
}

fn account(place: &AwsPlace) -> AwsSource {
    AwsSource {
        account: String::new(),
        regions: vec![place.region.clone()],
        profile: place.profile.clone(),
        endpoint: place.endpoint.clone(),
        ..AwsSource::default()
    }
}

/// The key that is shared with slm.
pub(super) fn key(config: &Config, attest: &Attest) -> Result<Key, WorldError> {
    let operation = || "read the key that is shared with slm".to_owned();
    let secret = match (&attest.key_file, &attest.key_env) {
        (Some(path), _) => std::fs::read(config.at(path)).map_err(|cause| failed(operation(), &cause.to_string()))?,
        (None, Some(name)) => std::env::var(name).map(String::into_bytes).map_err(|_| failed(operation(), "it is not set"))?,
        (None, None) => Vec::new(),
    };
    Key::new(&Secret::new(secret)).ok_or_else(|| failed(operation(), "it is shorter than 16 bytes"))
}

/// Has the loops behind `mouths` look whenever the vault of theirs changes. A vault that cannot be watched is polled like any source.
pub(super) fn watch(config: &Config, mouths: &[Mouth]) -> Vec<RecommendedWatcher> {
    let mut all = Vec::new();
    for (id, source) in &config.source {
        let Some(vault) = &source.vault else { continue };
        let with = config.secret.iter().zip(mouths).filter(|(secret, _)| secret.source == *id);
        let mouths: Vec<_> = with.map(|(_, mouth)| mouth.clone()).collect();
        match watcher(config, vault, mouths) {
            Ok(watcher) => all.push(watcher),
            Err(error) => tracing::warn!("could not watch vault `{}`: {error}; it is polled", vault.path),
        }
    }
    all
}

fn watcher(config: &Config, vault: &VaultSource, mouths: Vec<Mouth>) -> notify::Result<RecommendedWatcher> {
    // The file is replaced at each change, so its folder is watched, and a link to it is followed.
    let path = config.at(vault.path.as_ref());
    let path = path.canonicalize().unwrap_or(path);
    let name = path.file_name().map(std::ffi::OsStr::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours =
            |event: notify::Event| !event.kind.is_access() && event.paths.iter().any(|path| path.file_name() == name.as_deref());
        if event.is_ok_and(ours) {
            for mouth in &mouths {
                mouth.hint(Word::Look);
            }
        }
    })?;
    watcher.watch(path.parent().unwrap_or(&path), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn failed(operation: String, cause: &str) -> WorldError {
    WorldError { class: ErrorClass::Permanent, operation, cause: cause.to_owned() }
}
