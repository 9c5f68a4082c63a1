//! The one place that knows every implementation of every trait.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::collectors::cloudtrail::CloudTrail;
use crate::collectors::consumers::Consumers;
use crate::collectors::git::ConfigRepo;
use crate::collectors::github::GithubOrg;
use crate::collectors::iam::Iam;
use crate::collectors::rotations::{Rotations, Watched};
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
use crate::host::registers::GitRegisters;
use crate::load::Observed;
use crate::model::catalog::{
    AwsSource, Catalog, Consumer as Declared, ConsumerKind, Credential, GithubSource, SecretRef, SourceKind, VaultSource,
};
use crate::model::id::{ConsumerId, RegisterName, RotationId, SourceId, VersionId};
use crate::model::rotator::RotatorConfig;
use crate::model::secret::Secret;
use crate::model::snapshot::Snapshot;
use crate::rotators::aws_iam_access_key::AccessKeys;
use crate::rotators::exec::Plugin;
use crate::rotators::github_deploy_key::DeployKeys;
use crate::rotators::postgres_alternating::AlternatingRoles;
use crate::rotators::postgres_password::RolePassword;
use crate::rotators::random::Random;
use crate::transport::aws::Sessions;
use crate::transport::budget::Budget;
use crate::transport::github::{Github, Login};
use crate::transport::postgres::Postgres;
use crate::transport::secrets_manager_store::SecretsManagerStore;
use crate::transport::vault::Vault;
use crate::world::{
    Collector, Consumer, ConsumerView, ErrorClass, Registers, Rotator, SecretStore, SecretView, Target, WorldError,
};

/// Session name of reading runs, seen in CloudTrail.
const READ_SESSION: &str = "slm-read";

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
            SourceKind::Github(org) => all.push(Box::new(GithubOrg::new(id.clone(), org, github(org, sessions)))),
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
    all
}

/// Looks at the rotations of credentials that leave something behind; `None` when there are none.
async fn rotations(catalog: &Catalog, root: &Path, sessions: &Sessions) -> Option<Box<dyn Collector>> {
    let mut watched = Vec::new();
    let reach = Reach { catalog, root, access: Access::Read, sessions };
    for credential in catalog.credentials.values().filter(|one| one.rotator.capabilities().validated()) {
        let store = store(&reach, credential).await;
        watched.push(Watched {
            credential: credential.id.clone(),
            secret: credential.secret.clone(),
            attempts: credential.policy.attempts,
            store: store.unwrap_or_else(|error| Box::new(Unusable(error))),
        });
    }
    let registers = registers(catalog, root);
    (!watched.is_empty()).then(|| Box::new(Rotations::new(watched, registers)) as Box<dyn Collector>)
}

/// Where is written, once, what was decided.
pub(super) fn registers(catalog: &Catalog, root: &Path) -> Arc<dyn Registers> {
    match GitRegisters::open(root, catalog.settings.locker.remote.clone()) {
        Ok(registers) => Arc::new(registers),
        Err(error) => Arc::new(Unusable(error)),
    }
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
            Box::new(ActionsSecret::new(github(source, reach.sessions), &source.org, secret))
        }
        ConsumerKind::GithubWorkflowDispatch(workflow) => {
            Box::new(WorkflowDispatch::new(github(org(&workflow.source)?, reach.sessions), workflow.clone()))
        }
        ConsumerKind::Webhook(hook) => Box::new(Webhook::new(
            credential.id.clone(),
            credential.secret.clone(),
            declared.id.clone(),
            hook.clone(),
            from_env(&hook.sign_env),
        )?),
        ConsumerKind::Exec(program) => {
            Box::new(Program::new(root.to_owned(), credential.id.clone(), declared.id.clone(), program.clone()))
        }
        ConsumerKind::SelfRefreshing => {
            let store = store(reach, credential).await?;
            Box::new(SelfRefreshing::new(store.into(), credential.secret.clone()))
        }
    })
}

/// What the config asks for and what cannot be built.
struct Unusable(WorldError);

impl Unusable {
    fn refuse<T>(&self) -> Result<T, WorldError> {
        let WorldError { class, operation, cause } = &self.0;
        Err(WorldError { class: *class, operation: operation.clone(), cause: cause.clone() })
    }
}

#[async_trait::async_trait]
impl SecretStore for Unusable {
    async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
        self.refuse()
    }

    async fn read(&self, _: &SecretRef, _: &VersionId) -> Result<Secret, WorldError> {
        self.refuse()
    }

    async fn put(&self, _: &SecretRef, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
        self.refuse()
    }

    async fn promote(&self, _: &SecretRef, _: Option<&VersionId>, _: &VersionId) -> Result<(), WorldError> {
        self.refuse()
    }
}

#[async_trait::async_trait]
impl Registers for Unusable {
    async fn read(&self, _: &RotationId, _: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        self.refuse()
    }

    async fn write_once(&self, _: &RotationId, _: &RegisterName, _: &str) -> Result<String, WorldError> {
        self.refuse()
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

/// A client of `source` under the budget of the run; without its token or key it refuses every call.
fn github(source: &GithubSource, sessions: &Sessions) -> Github {
    let login = match &source.app {
        Some(app) => Login::App { id: app.id, installation: app.installation, key: from_env(&app.key_env) },
        None => Login::Token(source.token_env.as_deref().and_then(from_env)),
    };
    Github::new(source.base_url.as_deref(), login).under(sessions.budget())
}

/// What makes new values, and what lets them in.
pub(super) struct Kind {
    /// Makes and tries.
    pub rotator: Arc<dyn Rotator>,
    /// Lets in; `None` when nobody does.
    pub target: Option<Arc<dyn Target>>,
}

impl Kind {
    fn with_target<T: Rotator + Target + 'static>(both: T) -> Self {
        let both = Arc::new(both);
        Self { rotator: Arc::clone(&both) as Arc<dyn Rotator>, target: Some(both) }
    }
}

/// The kind of `credential`, opened for writing; `session` names it in the logs of the source.
pub(super) async fn kind(
    catalog: &Catalog,
    credential: &Credential,
    root: &Path,
    sessions: &Sessions,
    session: &str,
) -> Result<Kind, WorldError> {
    match &credential.rotator {
        RotatorConfig::Random(random) => Ok(Kind { rotator: Arc::new(Random::new(random)), target: None }),
        RotatorConfig::AwsIamAccessKey(key) => {
            let source = key.source.as_ref().unwrap_or(&credential.secret.source);
            let account = account(catalog, source)?;
            let region = account.regions.first().map_or("us-east-1", String::as_str);
            let config = sessions.get(account, region, account.apply_role.as_deref(), session).await;
            Ok(Kind::with_target(AccessKeys::new(key, config)))
        }
        RotatorConfig::Exec(exec) => Ok(Kind::with_target(Plugin::new(root.to_owned(), exec))),
        RotatorConfig::GithubDeployKey(key) => {
            Ok(Kind::with_target(DeployKeys::new(organisation(catalog, &key.source, sessions)?, key)))
        }
        RotatorConfig::PostgresAlternating(roles) => {
            Ok(Kind::with_target(AlternatingRoles::new(roles, Postgres::new(&roles.server, from_env(&roles.server.admin_env)))))
        }
        RotatorConfig::PostgresPassword(role) => {
            Ok(Kind::with_target(RolePassword::new(role, Postgres::new(&role.server, from_env(&role.server.admin_env)))))
        }
    }
}

fn organisation(catalog: &Catalog, source: &SourceId, sessions: &Sessions) -> Result<Github, WorldError> {
    match catalog.settings.sources.get(source) {
        Some(SourceKind::Github(org)) => Ok(github(org, sessions)),
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("reach source `{source}`"),
            cause: "it is not a GitHub organisation".to_owned(),
        }),
    }
}

fn account<'a>(catalog: &'a Catalog, source: &SourceId) -> Result<&'a AwsSource, WorldError> {
    match catalog.settings.sources.get(source) {
        Some(SourceKind::Aws(account)) => Ok(account),
        _ => Err(WorldError {
            class: ErrorClass::Permanent,
            operation: format!("reach source `{source}`"),
            cause: "it is not an AWS account".to_owned(),
        }),
    }
}

/// The store that holds the value of `credential`.
pub(super) async fn store(reach: &Reach<'_>, credential: &Credential) -> Result<Box<dyn SecretStore>, WorldError> {
    let source = &credential.secret.source;
    match reach.catalog.settings.sources.get(source) {
        Some(SourceKind::Vault(vault)) => Ok(Box::new(open_vault(vault, reach.root))),
        Some(SourceKind::Aws(account)) => {
            let region = &credential.secret.region;
            let (role, name) = match reach.access {
                Access::Read => (&account.read_role, READ_SESSION),
                Access::Apply(name) => (&account.apply_role, name),
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
