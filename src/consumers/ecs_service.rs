//! A service of Amazon ECS: a task definition that names the version is registered and rolled out, and the roll-out is awaited, once a
//! version. What was registered for which version, and that it was rolled out, is written on it as tags, so that a later run can
//! tell a roll-out that was taken back from one that was never begun.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{Deployment, DeploymentControllerType, DeploymentRolloutState, Service, TaskDefinitionField};
use tokio::time::Instant;

use super::ecs_definition::{Pin, tag};
use super::ecs_rollout::{BEGUN, Definition, Pinned, VERSION};
use super::several::Several;
use crate::model::catalog::{EcsConsumer, SecretRef};
use crate::model::id::{CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::aws::Failure;
use crate::world::{Consumer, ConsumerView, ErrorClass, Member, Shared, WorldError};

/// How long a roll-out is awaited unless the config says otherwise.
const TIMEOUT: Duration = Duration::from_mins(20);
/// One service.
pub struct EcsService {
    pub(super) client: Client,
    pub(super) config: EcsConsumer,
    pub(super) pin: Pin,
    /// Tag of a definition: the version it was registered for.
    pub(super) tag: String,
    /// Pause between two looks at a roll-out.
    pause: Duration,
    /// How long tasks may go on with a value is declared, so that those that are stopping need not be seen.
    pub(super) bounded: bool,
}

impl EcsService {
    /// The service of `config` for `credential`, reached by `aws`; the value is in `secret` of `account`.
    #[must_use]
    pub fn new(aws: &SdkConfig, credential: &CredentialId, secret: SecretRef, account: String, config: EcsConsumer) -> Self {
        let pin = Pin { account, secret, variable: config.variable.clone(), container: config.container.clone() };
        let tag = format!("{VERSION}{credential}");
        Self { client: Client::new(aws), config, pin, tag, pause: Duration::from_secs(5), bounded: false }
    }

    /// Looks at a roll-out every `pause`.
    #[must_use]
    pub fn looking_every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Takes tasks that cannot be seen to stop for ended, when it is declared how long they may take.
    #[must_use]
    pub const fn bounded(mut self, bounded: bool) -> Self {
        self.bounded = bounded;
        self
    }

    /// An operation on it, for complaints.
    pub(super) fn operation(&self, what: &str) -> String {
        format!("{what} service `{}` of cluster `{}`", self.config.service, self.config.cluster)
    }

    /// Its roll-out did not come about, for this reason.
    pub(super) fn refused(&self, class: ErrorClass, cause: impl Into<String>) -> WorldError {
        WorldError { class, operation: self.operation("roll out"), cause: cause.into() }
    }

    /// The service, which ECS itself rolls out.
    pub(super) async fn service(&self) -> Result<Service, WorldError> {
        let request = self.client.describe_services().cluster(&self.config.cluster).services(&self.config.service);
        let answer = request.send().await.map_err(|error| Failure::of(&error).during(self.operation("look at")))?;
        let found = answer.services.unwrap_or_default().into_iter().next();
        let found = found.filter(|service| service.status() == Some("ACTIVE"));
        let found = found.ok_or_else(|| self.refused(ErrorClass::NotFound, "there is no such service"))?;
        match found.deployment_controller().map(|controller| &controller.r#type) {
            None | Some(DeploymentControllerType::Ecs) => Ok(found),
            Some(_) => Err(self.refused(ErrorClass::Permanent, "another than ECS deploys it")),
        }
    }

    /// The definition of this ARN, or the newest one of this family.
    pub(super) async fn definition(&self, name: &str) -> Result<Definition, WorldError> {
        let request = self.client.describe_task_definition().task_definition(name).include(TaskDefinitionField::Tags);
        let answer = request.send().await.map_err(|error| Failure::of(&error).during(self.operation("read the tasks of")))?;
        let whole = answer.task_definition.ok_or_else(|| self.refused(ErrorClass::Transient, "the answer has no definition"))?;
        let arn = whole.task_definition_arn().unwrap_or_default().to_owned();
        Ok(Definition { arn, whole, tags: answer.tags.unwrap_or_default() })
    }

    /// The definition that `service` names, and the version it names.
    async fn named(&self, service: &Service) -> Result<(Definition, Option<VersionId>), WorldError> {
        let definition = self.definition(service.task_definition().unwrap_or_default()).await?;
        let version = self.pin.version(definition.whole.container_definitions());
        Ok((definition, version))
    }

    /// True when the roll-out of what `service` names has ended well, false when it goes on.
    fn rolled_out(&self, service: &Service) -> Result<bool, WorldError> {
        let of = |one: &&Deployment| one.task_definition() == service.task_definition();
        let failed = |one: &Deployment| one.rollout_state() == Some(&DeploymentRolloutState::Failed);
        if service.deployments().iter().filter(of).any(failed) {
            return Err(self.refused(ErrorClass::Permanent, "its roll-out failed"));
        }
        let primary = service.deployments().iter().find(|one| one.status() == Some("PRIMARY"));
        let all = |one: &Deployment| one.running_count == one.desired_count && one.desired_count == service.desired_count;
        Ok(primary.filter(of).is_some_and(|one| one.rollout_state() == Some(&DeploymentRolloutState::Completed) && all(one)))
    }
}

#[async_trait]
impl Shared for Several<EcsService> {
    /// Begins one roll-out with the versions of all.
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError> {
        let all: Vec<Pinned<'_>> = self.among(members).collect();
        let Some((first, _)) = all.first() else { return Ok(()) };
        let service = first.service().await?;
        let now = first.definition(service.task_definition().unwrap_or_default()).await?;
        let containers = now.whole.container_definitions();
        // A service that takes no such secret is told of by itself.
        let behind = |(one, version): &Pinned<'_>| {
            one.pin.version(containers).as_ref() != Some(*version) && one.pin.pinned(containers, version).is_ok()
        };
        let behind: Vec<Pinned<'_>> = all.iter().copied().filter(behind).collect();
        if behind.is_empty() { Ok(()) } else { first.begin_with(&behind, &service, &now).await }
    }
}

#[async_trait]
impl Consumer for EcsService {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let service = self.service().await?;
        let stored = self.named(&service).await?.1;
        let running = stored.clone().filter(|_| self.rolled_out(&service).unwrap_or(false));
        let count = |one: &Deployment| one.running_count + one.pending_count;
        let old = service.deployments().iter().filter(|one| one.status() != Some("PRIMARY") && count(one) > 0);
        let mut draining: Vec<String> = old.map(|one| format!("{} tasks of an earlier roll-out run still", count(one))).collect();
        if running.is_some() && draining.is_empty() {
            draining.extend(self.stopping(&service).await);
        }
        Ok(ConsumerView { stored, running, draining, readers: None })
    }

    /// Begins the roll-out of `version`, unless the service names it already.
    async fn deliver(&self, version: &VersionId, _: &Secret) -> Result<(), WorldError> {
        let service = self.service().await?;
        let (now, named) = self.named(&service).await?;
        match named.as_ref() == Some(version) {
            true => Ok(()),
            false => self.begin_with(&[(self, version)], &service, &now).await,
        }
    }

    /// Awaits the roll-out of `version`.
    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        let timeout = self.config.timeout.map_or(TIMEOUT, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()));
        let (until, mut seen) = (Instant::now() + timeout, None);
        loop {
            let service = self.service().await?;
            if seen.as_deref() != service.task_definition() {
                let (now, named) = self.named(&service).await?;
                if named.as_ref() != Some(version) {
                    // The circuit breaker takes a roll-out back by naming the definition of before.
                    if let Some(made) = self.registered(&[(self, version)], &now).await? {
                        self.not_begun(&made)?;
                    }
                    return Err(self.refused(ErrorClass::Conflict, "it names another version"));
                }
                if tag(&now.tags, &self.tag) == Some(version.as_str()) && tag(&now.tags, BEGUN).is_none() {
                    self.note(&now.arn).await?;
                }
                seen = service.task_definition.clone();
            }
            if self.rolled_out(&service)? {
                return Ok(());
            }
            if Instant::now() >= until {
                let (running, all) = (service.running_count, service.desired_count);
                return Err(self.refused(ErrorClass::Transient, format!("{running} of {all} tasks run, and it goes on still")));
            }
            tokio::time::sleep(self.pause).await;
        }
    }
}
