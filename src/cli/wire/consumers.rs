//! Consumers of credentials, as declared.

use super::unusable::Unusable;
use super::{Access, Reach, from_env, github, session, store};
use aws_config::SdkConfig;

use crate::consumers::agent::Agent;
use crate::consumers::ecs_service::EcsService;
use crate::consumers::exec::Program;
use crate::consumers::file::RenderedFile;
use crate::consumers::github_actions_secret::ActionsSecret;
use crate::consumers::github_workflow_dispatch::WorkflowDispatch;
use crate::consumers::kubernetes_workload::Workload;
use crate::consumers::lambda::Function;
use crate::consumers::self_refreshing::SelfRefreshing;
use crate::consumers::webhook::Webhook;
use crate::model::catalog::{Consumer as Declared, ConsumerKind, Credential, SourceKind};
use crate::model::id::{ConsumerId, SourceId};
use crate::world::{Consumer, ErrorClass, WorldError};

/// Every consumer of `credential`; one that cannot be built is there all the same and refuses every call with the reason.
pub(in crate::cli) async fn consumers_of(reach: &Reach<'_>, credential: &Credential) -> Vec<(ConsumerId, Box<dyn Consumer>)> {
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
        ConsumerKind::Webhook(hook) => {
            let (id, key) = (credential.id.clone(), from_env(&hook.sign_env));
            Box::new(Webhook::new(root, id, credential.secret.clone(), declared.id.clone(), hook.clone(), key)?)
        }
        ConsumerKind::Exec(program) => {
            Box::new(Program::new(root.to_owned(), credential.id.clone(), declared.id.clone(), program.clone()))
        }
        ConsumerKind::Agent(agent) => {
            // To look may not mean to read values: then the agent's signature has to do.
            let values = match reach.access {
                Access::Read => None,
                Access::Apply(_) => Some(store(reach, credential).await?.into()),
            };
            let (id, secret, key) = (credential.id.clone(), credential.secret.clone(), from_env(&agent.key_env));
            Box::new(Agent::new(id, secret, declared.id.clone(), agent.clone(), key.as_ref(), values)?)
        }
        ConsumerKind::KubernetesWorkload(workload) => {
            let token = from_env(&workload.token_env);
            Box::new(Workload::new(root, credential.id.clone(), workload.clone(), token)?)
        }
        ConsumerKind::EcsService(service) => {
            let aws = place(reach, credential, service.source.as_ref(), service.region.as_ref()).await?;
            let account = match catalog.settings.sources.get(&credential.secret.source) {
                Some(SourceKind::Aws(account)) => account.account.clone(),
                _ => String::new(),
            };
            let secret = credential.secret.clone();
            Box::new(EcsService::new(&aws, &credential.id, secret, account, service.clone()))
        }
        ConsumerKind::Lambda(function) if function.extension_ttl.is_none() => {
            let aws = place(reach, credential, function.source.as_ref(), function.region.as_ref()).await?;
            Box::new(Function::new(&aws, function.clone()))
        }
        // Through the extension a function reads what is in force, as any reader does.
        ConsumerKind::Lambda(_) | ConsumerKind::SelfRefreshing => {
            let store = store(reach, credential).await?;
            Box::new(SelfRefreshing::new(store.into(), credential.secret.clone()))
        }
    })
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
