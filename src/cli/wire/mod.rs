//! The one place that knows every implementation of every trait.

#![expect(clippy::disallowed_methods, reason = "tokens come from the variables that settings name")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::SdkConfig;

use crate::collectors::aws_events::{Events, GLOBAL_REGION};
use crate::collectors::by_hand::{ByHand, Kept};
use crate::collectors::cloudtrail::CloudTrail;
use crate::collectors::consumers::Consumers;
use crate::collectors::git::ConfigRepo;
use crate::collectors::github::GithubOrg;
use crate::collectors::github_config::ConfigAtGithub;
use crate::collectors::github_leaks::{SecretScanning, Watched as WatchedKeys};
use crate::collectors::iam::Iam;
use crate::collectors::rotations::{Rotations, Watched};
use crate::collectors::secrets_manager::SecretsManager;
use crate::collectors::vault::VaultSecrets;
use crate::evaluate::join;
use crate::host::clock::SystemClock;
use crate::load::Observed;
use crate::model::catalog::{
    AwsSource, Catalog, Credential, GitSource, GithubSource, LeakTrigger, SecretRef, SourceKind, VaultSource,
};
use crate::model::id::SourceId;
use crate::model::rotator::{self, RotatorConfig};
use crate::model::secret::Secret;
use crate::model::snapshot::Snapshot;
use crate::model::time::Limit;
use crate::transport::aws::Sessions;
use crate::transport::budget::Budget;
use crate::transport::github::{Github, Login};
use crate::transport::secrets_manager_store::SecretsManagerStore;
use crate::transport::vault::Vault;
use crate::world::{Collector, ErrorClass, SecretStore, WorldError};

mod ahead;
mod anchors;
mod consumers;
mod github_rights;
mod health;
mod job;
mod kinds;
mod ledger;
mod notifiers;
mod objects;
mod registers;
mod rights;
mod sinks;
mod unusable;
mod usage;

pub(super) use ahead::Asker;
pub(super) use anchors::anchor;
pub(super) use consumers::{consumers_of, shared};
pub(super) use health::health;
pub(super) use job::{asking, identity};
pub(super) use kinds::{Kind, keeper, kind};
pub(super) use ledger::ledger;
pub(super) use notifiers::{issues, notifier};
pub(super) use objects::{folder_of, objects};
pub(super) use registers::registers;
pub(super) use sinks::sink;
use unusable::Unusable;

/// Session name of reading runs, seen in CloudTrail.
const READ_SESSION: &str = "slm-read";

/// The sessions of one run, under the rate that the catalog allows.
pub(super) fn sessions(catalog: &Catalog) -> Sessions {
    job::of_job(Sessions::new(Budget::per_second(catalog.settings.limits.requests_per_second)))
}

/// What collectors observe and what the catalog adds, by entity type.
pub(super) fn observed() -> Observed {
    let mut all = Observed::new();
    for (entity, attributes) in crate::collectors::EMITS.iter().copied().chain([join::EMITS]).flatten() {
        all.entry(entity).or_default().extend(*attributes);
    }
    all
}

/// What is in `snapshot` and not in [`observed`]: entity type and attribute.
pub(super) fn undeclared(snapshot: &Snapshot) -> Vec<(String, String)> {
    let observed = observed();
    let mut wrong = Vec::new();
    for population in &snapshot.populations {
        let known = observed.get(population.entity.as_str());
        let names = population.resources.iter().flat_map(|resource| resource.facts().map(|(name, _)| name));
        let strange = names.filter(|name| known.is_none_or(|known| !known.contains(name.as_ref())));
        wrong.extend(strange.map(|name| (population.entity.to_string(), name.to_string())));
    }
    wrong
}

/// Every collector the catalog asks for. None of them can write.
pub(super) async fn collectors(catalog: &Catalog, root: &Path, sessions: &Sessions) -> Vec<Box<dyn Collector>> {
    let mut all: Vec<Box<dyn Collector>> = Vec::new();
    for (id, kind) in &catalog.settings.sources {
        match kind {
            SourceKind::Vault(vault) => all.push(Box::new(VaultSecrets::new(id.clone(), open_vault(vault, root)))),
            SourceKind::Aws(account) => {
                for (at, region) in account.regions.iter().enumerate() {
                    let config = sessions.get(account, region, account.read_role.as_deref(), READ_SESSION).await;
                    if at == 0 {
                        all.push(Box::new(Iam::new(id.clone(), account, config.clone())));
                    }
                    all.push(Box::new(CloudTrail::new(id.clone(), account, region, config.clone())));
                    all.push(Box::new(SecretsManager::new(id.clone(), account, region, config)));
                }
                all.extend(events(id, account, sessions).await);
            }
            SourceKind::Github(org) => {
                let reader = GithubOrg::new(id.clone(), org, github(org, sessions));
                let named = catalog.settings.people.contains_key(id);
                all.push(Box::new(if named { reader.with_members() } else { reader }));
                all.extend(secret_scanning(catalog, id, org, sessions).await);
                if let Some(config) = &org.config {
                    let held = (catalog.settings.locker.branch.as_str(), window(catalog));
                    all.push(Box::new(ConfigAtGithub::new(id.clone(), org, config, held, github(org, sessions))));
                }
            }
            SourceKind::Git(repo) => {
                let locker = catalog.settings.locker.branch.clone();
                all.push(Box::new(ConfigRepo::new(id.clone(), repo.clone(), root.to_owned(), locker)));
            }
        }
    }
    let mut consumers = Vec::new();
    let reach = Reach { catalog, root, access: Access::Read, sessions };
    for credential in catalog.credentials.values() {
        for (id, consumer) in consumers_of(&reach, credential).await {
            consumers.push((credential.id.clone(), id, consumer));
        }
    }
    if !consumers.is_empty() {
        all.push(Box::new(Consumers::new(consumers)));
    }
    all.extend(rotations(catalog, root, sessions).await);
    all.extend(by_hand(catalog, root, sessions).await);
    all
}

/// What the log of calls of `account` is asked for; nothing where it does not want that.
async fn events(id: &SourceId, account: &AwsSource, sessions: &Sessions) -> Vec<Box<dyn Collector>> {
    let Some(back) = account.events else { return Vec::new() };
    let mut all: Vec<Box<dyn Collector>> = Vec::new();
    for region in account.regions.iter().map(|region| Some(region.as_str())).chain([None]) {
        let asked = region.unwrap_or(GLOBAL_REGION);
        let config = sessions.get(account, asked, account.read_role.as_deref(), READ_SESSION).await;
        let pace = sessions.lookups(account, asked);
        all.push(Box::new(Events::new(id.clone(), account, region, (back, pace), config)));
    }
    all
}

/// How far back commits of the config are evidence: as far as any git source of it says.
fn window(catalog: &Catalog) -> Limit {
    let git = catalog.settings.sources.values().filter_map(|kind| match kind {
        SourceKind::Git(git) => Some(git.window),
        _ => None,
    });
    git.max().unwrap_or(GitSource::WINDOW)
}

/// Looks for access keys in the alerts of `org`; `None` when no credential counts them as a sign.
async fn secret_scanning(catalog: &Catalog, id: &SourceId, org: &GithubSource, sessions: &Sessions) -> Option<Box<dyn Collector>> {
    let mut watched = Vec::new();
    for credential in catalog.credentials.values().filter(|one| one.leak.contains(&LeakTrigger::GithubSecretScanning)) {
        let RotatorConfig::AwsIamAccessKey(key) = &credential.rotator else { continue };
        let source = key.source.as_ref().unwrap_or(&credential.secret.source);
        let Some(SourceKind::Aws(account)) = catalog.settings.sources.get(source) else { continue };
        let region = account.regions.first().map_or("us-east-1", String::as_str);
        let config = sessions.get(account, region, account.read_role.as_deref(), READ_SESSION).await;
        watched.push(WatchedKeys { credential: credential.id.clone(), user: key.user.clone(), config });
    }
    if watched.is_empty() {
        return None;
    }
    Some(Box::new(SecretScanning::new(id.clone(), org, github(org, sessions), watched)))
}

/// Looks at the rotations of credentials that leave something behind; `None` when there are none.
async fn rotations(catalog: &Catalog, root: &Path, sessions: &Sessions) -> Option<Box<dyn Collector>> {
    let mut watched = Vec::new();
    let reach = Reach { catalog, root, access: Access::Read, sessions };
    for credential in catalog.credentials.values() {
        let managed = credential.rotator.aws_managed();
        let can = credential.rotator.capabilities();
        let leaves = managed.is_some() || can.validated() || can.staged();
        // Where nobody validates a value, a canary and the letters of a consumer may reject it all the same.
        let rejects = credential.consumers.iter().any(|consumer| consumer.canary || consumer.letters.is_some());
        if !leaves && !rejects {
            continue;
        }
        let store = store(&reach, credential).await;
        watched.push(Watched {
            credential: credential.id.clone(),
            leaves,
            secret: credential.secret.clone(),
            attempts: credential.policy.attempts,
            deadline: credential.gate.deadline,
            staged: can.staged(),
            expect_within: managed.map(|managed| managed.expect_within),
            store: store.unwrap_or_else(|error| Box::new(Unusable(error))),
        });
    }
    if watched.is_empty() {
        return None;
    }
    Some(Box::new(Rotations::new(watched, registers(&reach).await)))
}

/// Dates the values that persons store; `None` when there are none. Nothing is asked for a secret that is not declared so.
async fn by_hand(catalog: &Catalog, root: &Path, sessions: &Sessions) -> Option<Box<dyn Collector>> {
    let mut kept = Vec::new();
    let reach = Reach { catalog, root, access: Access::Read, sessions };
    for credential in catalog.credentials.values() {
        let Some(hand) = credential.rotator.by_hand() else { continue };
        let store = store(&reach, credential).await;
        kept.push(Kept {
            credential: credential.id.clone(),
            secret: credential.secret.clone(),
            tried: matches!(hand, rotator::ByHand::Manual(manual) if manual.verify.is_some()),
            store: store.unwrap_or_else(|error| Box::new(Unusable(error))),
        });
    }
    if kept.is_empty() {
        return None;
    }
    Some(Box::new(ByHand::new(kept, registers(&reach).await)))
}

/// What a store is opened for.
#[derive(Clone, Copy)]
pub(super) enum Access<'a> {
    /// To look at what is there.
    Read,
    /// To change it, under this name in the logs of the source.
    Apply(&'a str),
}

/// What consumers are reached by.
pub(super) struct Reach<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) root: &'a Path,
    pub(super) access: Access<'a>,
    pub(super) sessions: &'a Sessions,
}

fn from_env(name: &str) -> Option<Secret> {
    std::env::var(name).ok().map(|text| Secret::new(text.into_bytes()))
}

/// A client of `source` under the budget of the run; without its token or key it refuses every call.
fn github(source: &GithubSource, sessions: &Sessions) -> Github {
    let login = match &source.app {
        Some(app) => Login::App { id: app.id, installation: app.installation, key: from_env(&app.key_env) },
        None => Login::Token(source.token_env.as_deref().and_then(from_env)),
    };
    Github::new(source.base_url.as_deref(), login).under(sessions.budget())
}

/// The store that holds the value of `credential`.
pub(super) async fn store(reach: &Reach<'_>, credential: &Credential) -> Result<Box<dyn SecretStore>, WorldError> {
    store_of(reach, &credential.secret).await
}

/// The store that holds `secret`.
async fn store_of(reach: &Reach<'_>, secret: &SecretRef) -> Result<Box<dyn SecretStore>, WorldError> {
    let source = &secret.source;
    match reach.catalog.settings.sources.get(source) {
        Some(SourceKind::Vault(vault)) => Ok(Box::new(open_vault(vault, reach.root))),
        Some(SourceKind::Aws(_)) => {
            let region = &secret.region;
            let config = session(reach, source, region).await?;
            let owner = reach.catalog.settings.owner.as_deref();
            Ok(Box::new(SecretsManagerStore::new().with(source.clone(), region, &config).owned_by(owner).asking_replicas()))
        }
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("open the store of `{}`", secret.name),
            cause: format!("source `{source}` cannot store secrets"),
        }),
    }
}

/// The session for `region` of the account `source`.
async fn session(reach: &Reach<'_>, source: &SourceId, region: &str) -> Result<SdkConfig, WorldError> {
    let Some(SourceKind::Aws(account)) = reach.catalog.settings.sources.get(source) else {
        let cause = "it is not an AWS account".to_owned();
        return Err(WorldError { class: ErrorClass::Permanent, operation: format!("reach source `{source}`"), cause });
    };
    let (role, name) = match reach.access {
        Access::Read => (&account.read_role, READ_SESSION),
        Access::Apply(name) => (&account.apply_role, name),
    };
    Ok(reach.sessions.get(account, region, role.as_deref(), name).await)
}

fn open_vault(vault: &VaultSource, root: &Path) -> Vault {
    let place = |path: &str| -> PathBuf { root.join(path) };
    Vault::open(place(&vault.path), place(&vault.identity), Arc::new(SystemClock))
}
