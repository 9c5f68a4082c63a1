//! The one place that knows every implementation of every trait.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::collectors::cloudtrail::CloudTrail;
use crate::collectors::consumers::Consumers;
use crate::collectors::git::ConfigRepo;
use crate::collectors::github::GithubOrg;
use crate::collectors::iam::Iam;
use crate::collectors::secrets_manager::SecretsManager;
use crate::collectors::vault::VaultSecrets;
use crate::consumers::exec::Program;
use crate::consumers::file::RenderedFile;
use crate::consumers::github_actions_secret::ActionsSecret;
use crate::consumers::github_workflow_dispatch::WorkflowDispatch;
use crate::consumers::self_refreshing::SelfRefreshing;
use crate::consumers::webhook::Webhook;
use crate::evaluate::join;
use crate::host::clock::SystemClock;
use crate::load::Observed;
use crate::model::catalog::{
    Catalog, Consumer as Declared, ConsumerKind, Credential, GithubSource, RotatorConfig, SourceKind, VaultSource,
};
use crate::model::id::{ConsumerId, SourceId, VersionId};
use crate::model::secret::Secret;
use crate::model::snapshot::Snapshot;
use crate::rotators::random::Random;
use crate::transport::aws::Sessions;
use crate::transport::budget::Budget;
use crate::transport::github::{Github, Login};
use crate::transport::secrets_manager_store::SecretsManagerStore;
use crate::transport::vault::Vault;
use crate::world::{Collector, Consumer, ConsumerView, ErrorClass, Rotator, SecretStore, WorldError};

/// Session name of reading runs, seen in CloudTrail.
const READ_SESSION: &str = "slm-read";
/// Session name of applying runs, seen in CloudTrail.
const APPLY_SESSION: &str = "slm-apply";

/// The sessions of one run, under the rate that the catalog allows.
pub(super) fn sessions(catalog: &Catalog) -> Sessions {
    Sessions::new(Budget::per_second(catalog.settings.limits.requests_per_second))
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
            }
            SourceKind::Github(org) => all.push(Box::new(GithubOrg::new(id.clone(), org, github(org)))),
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
    all
}

/// Which role of an account is taken.
#[derive(Clone, Copy)]
pub(super) enum Access {
    /// That of reading runs.
    Read,
    /// That of applying runs.
    Apply,
}

/// What consumers are reached by.
pub(super) struct Reach<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) root: &'a Path,
    pub(super) access: Access,
    pub(super) sessions: &'a Sessions,
}

/// Every consumer of `credential`; one that cannot be built is there all the same and refuses every call with the reason.
pub(super) async fn consumers_of(reach: &Reach<'_>, credential: &Credential) -> Vec<(ConsumerId, Box<dyn Consumer>)> {
    let mut all: Vec<(ConsumerId, Box<dyn Consumer>)> = Vec::new();
    for declared in &credential.consumers {
        let built = consumer(reach, credential, declared).await;
        all.push((declared.id.clone(), built.unwrap_or_else(|error| Box::new(Unusable(error)))));
    }
    all
}

async fn consumer(reach: &Reach<'_>, credential: &Credential, declared: &Declared) -> Result<Box<dyn Consumer>, WorldError> {
    let Reach { catalog, root, .. } = *reach;
    let org = |source: &SourceId| match catalog.settings.sources.get(source) {
        Some(SourceKind::Github(source)) => Ok(source),
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("use consumer `{}` of `{}`", declared.id, credential.id),
            cause: format!("source `{source}` is not a GitHub organisation"),
        }),
    };
    Ok(match &declared.kind {
        ConsumerKind::File(file) => Box::new(RenderedFile::new(root.to_owned(), credential.id.clone(), file.clone())?),
        ConsumerKind::GithubActionsSecret(secret) => {
            let source = org(&secret.source)?;
            Box::new(ActionsSecret::new(github(source), &source.org, secret))
        }
        ConsumerKind::GithubWorkflowDispatch(workflow) => {
            Box::new(WorkflowDispatch::new(github(org(&workflow.source)?), workflow.clone()))
        }
        ConsumerKind::Webhook(hook) => {
            Box::new(Webhook::new(credential, declared.id.clone(), hook.clone(), from_env(&hook.sign_env))?)
        }
        ConsumerKind::Exec(program) => {
            Box::new(Program::new(root.to_owned(), credential.id.clone(), declared.id.clone(), program.clone()))
        }
        ConsumerKind::SelfRefreshing => {
            let store = store_for(reach, credential).await?;
            Box::new(SelfRefreshing::new(store.into(), credential.secret.clone()))
        }
    })
}

/// A consumer that the config asks for and that cannot be built.
struct Unusable(WorldError);

impl Unusable {
    fn refuse<T>(&self) -> Result<T, WorldError> {
        let WorldError { class, operation, cause } = &self.0;
        Err(WorldError { class: *class, operation: operation.clone(), cause: cause.clone() })
    }
}

#[async_trait::async_trait]
impl Consumer for Unusable {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.refuse()
    }

    async fn deliver(&self, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
        self.refuse()
    }

    async fn activate(&self, _: &VersionId) -> Result<(), WorldError> {
        self.refuse()
    }
}

fn from_env(name: &str) -> Option<Secret> {
    std::env::var(name).ok().map(|text| Secret::new(text.into_bytes()))
}

/// A client of `source`; without its token or key it refuses every call.
fn github(source: &GithubSource) -> Github {
    let login = match &source.app {
        Some(app) => Login::App { id: app.id, installation: app.installation, key: from_env(&app.key_env) },
        None => Login::Token(source.token_env.as_deref().and_then(from_env)),
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
pub(super) async fn store(
    catalog: &Catalog,
    credential: &Credential,
    root: &Path,
    sessions: &Sessions,
) -> Result<Box<dyn SecretStore>, WorldError> {
    store_for(&Reach { catalog, root, access: Access::Apply, sessions }, credential).await
}

async fn store_for(reach: &Reach<'_>, credential: &Credential) -> Result<Box<dyn SecretStore>, WorldError> {
    let source = &credential.secret.source;
    match reach.catalog.settings.sources.get(source) {
        Some(SourceKind::Vault(vault)) => Ok(Box::new(open_vault(vault, reach.root))),
        Some(SourceKind::Aws(account)) => {
            let region = &credential.secret.region;
            let (role, name) = match reach.access {
                Access::Read => (&account.read_role, READ_SESSION),
                Access::Apply => (&account.apply_role, APPLY_SESSION),
            };
            let config = reach.sessions.get(account, region, role.as_deref(), name).await;
            Ok(Box::new(SecretsManagerStore::new().with(source.clone(), region, &config)))
        }
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("open the store of `{}`", credential.id),
            cause: format!("source `{source}` cannot store secrets"),
        }),
    }
}

fn open_vault(vault: &VaultSource, root: &Path) -> Vault {
    let place = |path: &str| -> PathBuf { root.join(path) };
    Vault::open(place(&vault.path), place(&vault.identity), Arc::new(SystemClock))
}
