//! Consumers of credentials, as declared.

use super::unusable::Unusable;
use super::{Access, Reach, from_env, github, session, store};
use aws_config::SdkConfig;

use crate::consumers::agent::Agent;
use crate::consumers::cloudtrail_readers::CloudTrailReaders;
use crate::consumers::ecs_service::EcsService;
use crate::consumers::exec::Program;
use crate::consumers::file::RenderedFile;
use crate::consumers::github_actions_secret::ActionsSecret;
use crate::consumers::github_workflow_dispatch::WorkflowDispatch;
use crate::consumers::kubernetes_workload::Workload;
use crate::consumers::lambda::Function;
use crate::consumers::self_refreshing::SelfRefreshing;
use crate::consumers::several::Several;
use crate::consumers::webhook::Webhook;
use crate::model::catalog::{
    AgentConsumer, Consumer as Declared, ConsumerKind, Credential, EcsConsumer, FileConsumer, KubernetesConsumer, LambdaConsumer,
    SourceKind,
};
use crate::model::id::{ConsumerId, SourceId};
use crate::model::time::Limit;
use crate::plan::together::Meeting;
use crate::transport::cloudtrail::History;
use crate::world::{Consumer, ErrorClass, Shared, WorldError};

/// Every consumer of `credential`; one that cannot be built is there all the same and refuses every call with the reason.
pub(in crate::cli) async fn consumers_of(reach: &Reach<'_>, credential: &Credential) -> Vec<(ConsumerId, Box<dyn Consumer>)> {
    let mut all: Vec<(ConsumerId, Box<dyn Consumer>)> = Vec::new();
    for declared in &credential.consumers {
        let built = consumer(reach, credential, declared).await;
        all.push((declared.id.clone(), built.unwrap_or_else(|error| Box::new(Unusable(error)))));
    }
    all
}

/// What the consumers of `meeting` restart together, when all of them can be built.
pub(in crate::cli) async fn shared(reach: &Reach<'_>, meeting: &Meeting) -> Result<Box<dyn Shared>, WorldError> {
    let (mut workloads, mut services, mut functions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut files, mut agents) = (Vec::new(), Vec::new());
    for (id, consumer) in &meeting.members {
        let Some(credential) = reach.catalog.credentials.get(id) else { continue };
        let Some(declared) = credential.consumers.iter().find(|one| one.id == *consumer) else { continue };
        let member = (id.clone(), consumer.clone());
        match &declared.kind {
            ConsumerKind::KubernetesWorkload(one) => workloads.push((member, workload(reach, credential, one)?)),
            ConsumerKind::EcsService(one) => services.push((member, service(reach, credential, one).await?)),
            ConsumerKind::Lambda(one) => functions.push((member, function(reach, credential, one).await?)),
            ConsumerKind::File(one) => files.push((member, file(reach, credential, one)?)),
            ConsumerKind::Agent(one) => agents.push((member, agent(reach, credential, declared, one).await?)),
            _ => {}
        }
    }
    // A workload is of one kind.
    Ok(if !workloads.is_empty() {
        Box::new(Several(workloads))
    } else if !services.is_empty() {
        Box::new(Several(services))
    } else if !functions.is_empty() {
        Box::new(Several(functions))
    } else if !agents.is_empty() {
        Box::new(Several(agents))
    } else {
        Box::new(Several(files))
    })
}

async fn agent(
    reach: &Reach<'_>,
    credential: &Credential,
    declared: &Declared,
    agent: &AgentConsumer,
) -> Result<Agent, WorldError> {
    // To look may not mean to read values: then the agent's signature has to do.
    let values = match reach.access {
        Access::Read => None,
        Access::Apply(_) => Some(store(reach, credential).await?.into()),
    };
    let (id, secret, key) = (credential.id.clone(), credential.secret.clone(), from_env(&agent.key_env));
    Agent::new(id, secret, declared.id.clone(), agent.clone(), key.as_ref(), values)
}

fn file(reach: &Reach<'_>, credential: &Credential, file: &FileConsumer) -> Result<RenderedFile, WorldError> {
    RenderedFile::new(reach.root.to_owned(), credential.id.clone(), file.clone())
}

fn workload(reach: &Reach<'_>, credential: &Credential, workload: &KubernetesConsumer) -> Result<Workload, WorldError> {
    Workload::new(reach.root, credential.id.clone(), workload.clone(), from_env(&workload.token_env))
}

async fn service(reach: &Reach<'_>, credential: &Credential, service: &EcsConsumer) -> Result<EcsService, WorldError> {
    let aws = place(reach, credential, service.source.as_ref(), service.region.as_ref()).await?;
    let account = match reach.catalog.settings.sources.get(&credential.secret.source) {
        Some(SourceKind::Aws(account)) => account.account.clone(),
        _ => String::new(),
    };
    Ok(EcsService::new(&aws, &credential.id, credential.secret.clone(), account, service.clone()))
}

async fn function(reach: &Reach<'_>, credential: &Credential, function: &LambdaConsumer) -> Result<Function, WorldError> {
    let aws = place(reach, credential, function.source.as_ref(), function.region.as_ref()).await?;
    let here = ConsumerKind::Lambda(function.clone()).workload(&credential.secret);
    let all = reach.catalog.credentials.values().flat_map(|other| other.consumers.iter().map(|one| (one, &other.secret)));
    let beside = all.filter_map(|(one, secret)| match &one.kind {
        ConsumerKind::Lambda(other) if one.kind.workload(secret) == here => Some(other.variable.clone()),
        _ => None,
    });
    let beside = beside.filter(|variable| *variable != function.variable);
    Ok(Function::new(&aws, function.clone()).beside(beside.collect()))
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
        ConsumerKind::File(one) => Box::new(file(reach, credential, one)?),
        ConsumerKind::GithubActionsSecret(secret) => {
            let source = org(&secret.source)?;
            Box::new(ActionsSecret::new(github(source, reach.sessions), &source.org, secret))
        }
        ConsumerKind::GithubWorkflowDispatch(workflow) => {
            let source = org(&workflow.source)?;
            // A canary is given what the others do not have yet.
            let beside = credential.consumers.iter().filter(|one| one.canary || !declared.canary);
            let reads = beside.filter_map(|one| match &one.kind {
                ConsumerKind::GithubActionsSecret(secret) if secret.is_read_by(workflow) => {
                    Some(ActionsSecret::new(github(source, reach.sessions), &source.org, secret))
                }
                _ => None,
            });
            let runs = WorkflowDispatch::new(github(source, reach.sessions), workflow.clone());
            Box::new(runs.reading(reads.collect()))
        }
        ConsumerKind::Webhook(hook) => {
            let (id, key) = (credential.id.clone(), from_env(&hook.sign_env));
            Box::new(Webhook::new(root, id, credential.secret.clone(), declared.id.clone(), hook.clone(), key)?)
        }
        ConsumerKind::Exec(program) => {
            Box::new(Program::new(root.to_owned(), credential.id.clone(), declared.id.clone(), program.clone()))
        }
        ConsumerKind::Agent(one) => Box::new(agent(reach, credential, declared, one).await?),
        ConsumerKind::KubernetesWorkload(one) => {
            Box::new(workload(reach, credential, one)?.bounded(declared.max_staleness > Limit::seconds(0)))
        }
        ConsumerKind::EcsService(one) => {
            Box::new(service(reach, credential, one).await?.bounded(declared.max_staleness > Limit::seconds(0)))
        }
        ConsumerKind::Lambda(one) if one.extension_ttl.is_none() => Box::new(function(reach, credential, one).await?),
        // Through the extension a function reads what is in force, as any reader does.
        ConsumerKind::Lambda(_) | ConsumerKind::SelfRefreshing(_) => Box::new(reader(reach, credential, declared).await?),
    })
}

/// A reader of the secret of `credential`; who it reads as must be seen in the log of the account, where it is declared so.
async fn reader(reach: &Reach<'_>, credential: &Credential, declared: &Declared) -> Result<SelfRefreshing, WorldError> {
    let secret = &credential.secret;
    let reader = SelfRefreshing::new(store(reach, credential).await?.into(), secret.clone());
    match reach.catalog.settings.sources.get(&secret.source) {
        Some(SourceKind::Aws(account)) if declared.is_seen_to_read() => {
            let config = session(reach, &secret.source, &secret.region).await?;
            let history = History::new(&config, &secret.region, reach.sessions.lookups(account, &secret.region));
            Ok(reader.acknowledged_by(CloudTrailReaders::new(history, declared.principals.clone())))
        }
        _ => Ok(reader),
    }
}

/// A session for where a consumer is: beside the secret, unless it says otherwise.
async fn place(
    reach: &Reach<'_>,
    credential: &Credential,
    source: Option<&SourceId>,
    region: Option<&String>,
) -> Result<SdkConfig, WorldError> {
    let secret = &credential.secret;
    session(reach, source.unwrap_or(&secret.source), region.unwrap_or(&secret.region)).await
}
