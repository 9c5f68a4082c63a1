//! The one place that knows every implementation of every trait.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::collectors::cloudtrail::CloudTrail;
use crate::collectors::consumers::Consumers;
use crate::collectors::github::GithubOrg;
use crate::collectors::iam::Iam;
use crate::collectors::secrets_manager::SecretsManager;
use crate::collectors::vault::VaultSecrets;
use crate::consumers::file::RenderedFile;
use crate::consumers::github_actions_secret::ActionsSecret;
use crate::host::clock::SystemClock;
use crate::model::catalog::{
    AwsSource, Catalog, Consumer as Declared, ConsumerKind, Credential, GithubSource, RotatorConfig, SourceKind, VaultSource,
};
use crate::model::id::ConsumerId;
use crate::model::secret::Secret;
use crate::rotators::random::Random;
use crate::transport::aws;
use crate::transport::github::{Github, Login};
use crate::transport::secrets_manager_store::SecretsManagerStore;
use crate::transport::vault::Vault;
use crate::world::{Collector, Consumer, ErrorClass, Rotator, SecretStore, WorldError};

/// Session name of reading runs, seen in CloudTrail.
const READ_SESSION: &str = "slm-read";
/// Session name of applying runs, seen in CloudTrail.
const APPLY_SESSION: &str = "slm-apply";

/// Every collector the catalog asks for. None of them can write.
pub(super) async fn collectors(catalog: &Catalog, root: &Path) -> Vec<Box<dyn Collector>> {
    let mut all: Vec<Box<dyn Collector>> = Vec::new();
    for (id, kind) in &catalog.settings.sources {
        match kind {
            SourceKind::Vault(vault) => all.push(Box::new(VaultSecrets::new(id.clone(), open_vault(vault, root)))),
            SourceKind::Aws(account) => {
                if let Some(region) = account.regions.first() {
                    let config = aws::session(account, region, account.read_role.as_deref(), READ_SESSION).await;
                    all.push(Box::new(Iam::new(id.clone(), account, config)));
                }
                for region in &account.regions {
                    let config = aws::session(account, region, account.read_role.as_deref(), READ_SESSION).await;
                    all.push(Box::new(CloudTrail::new(id.clone(), account, region, config.clone())));
                    all.push(Box::new(SecretsManager::new(id.clone(), account, region, config)));
                }
            }
            SourceKind::Github(org) => all.push(Box::new(GithubOrg::new(id.clone(), org, github(org)))),
            // No collector of this version reads these; controls that need them say so and are no-evidence.
            SourceKind::Git(_) => {}
        }
    }
    let mut consumers = Vec::new();
    for credential in catalog.credentials.values() {
        for (id, consumer) in consumers_of(catalog, credential, root) {
            consumers.push((credential.id.clone(), id, consumer));
        }
    }
    if !consumers.is_empty() {
        all.push(Box::new(Consumers::new(consumers)));
    }
    all
}

/// The consumers of `credential` that this version can write to.
pub(super) fn consumers_of(catalog: &Catalog, credential: &Credential, root: &Path) -> Vec<(ConsumerId, Box<dyn Consumer>)> {
    let built = |declared: &Declared| Some((declared.id.clone(), consumer(catalog, credential, declared, root)?));
    credential.consumers.iter().filter_map(built).collect()
}

fn consumer(catalog: &Catalog, credential: &Credential, declared: &Declared, root: &Path) -> Option<Box<dyn Consumer>> {
    match &declared.kind {
        ConsumerKind::File(file) => {
            let file = RenderedFile::new(root.to_owned(), credential.id.clone(), file.clone()).ok()?;
            Some(Box::new(file))
        }
        ConsumerKind::GithubActionsSecret(secret) => match catalog.settings.sources.get(&secret.source) {
            Some(SourceKind::Github(source)) => Some(Box::new(ActionsSecret::new(github(source), &source.org, secret))),
            _ => None,
        },
    }
}

/// A client of `source`; without its token or key it refuses every call.
fn github(source: &GithubSource) -> Github {
    let from = |name: &str| std::env::var(name).ok().map(|text| Secret::new(text.into_bytes()));
    let login = match &source.app {
        Some(app) => Login::App { id: app.id, installation: app.installation, key: from(&app.key_env) },
        None => Login::Token(source.token_env.as_deref().and_then(from)),
    };
    Github::new(source.base_url.as_deref(), login)
}

/// What makes new values for `credential`.
pub(super) fn rotator(credential: &Credential) -> Box<dyn Rotator> {
    match credential.rotator {
        RotatorConfig::Random { length, alphabet } => Box::new(Random::new(length, alphabet)),
    }
}

/// The store that holds the value of `credential`, opened for writing.
pub(super) async fn store(catalog: &Catalog, credential: &Credential, root: &Path) -> Result<Box<dyn SecretStore>, WorldError> {
    let source = &credential.secret.source;
    match catalog.settings.sources.get(source) {
        Some(SourceKind::Vault(vault)) => Ok(Box::new(open_vault(vault, root))),
        Some(SourceKind::Aws(account)) => Ok(Box::new(aws_store(source, account, &credential.secret.region).await)),
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("open the store of `{}`", credential.id),
            cause: format!("source `{source}` cannot store secrets"),
        }),
    }
}

async fn aws_store(source: &crate::model::id::SourceId, account: &AwsSource, region: &str) -> SecretsManagerStore {
    let config = aws::session(account, region, account.apply_role.as_deref(), APPLY_SESSION).await;
    SecretsManagerStore::new().with(source.clone(), region, &config)
}

fn open_vault(vault: &VaultSource, root: &Path) -> Vault {
    let place = |path: &str| -> PathBuf { root.join(path) };
    Vault::open(place(&vault.path), place(&vault.identity), Arc::new(SystemClock))
}
