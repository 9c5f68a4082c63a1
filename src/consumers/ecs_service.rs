//! A service of Amazon ECS: a task definition that names the version is registered and rolled out, and the roll-out is awaited, once a
//! version. What was registered for which version, and that it was rolled out, is written on it as tags, so that a later run can
//! tell a roll-out that was taken back from one that was never begun.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::types::{
    Deployment, DeploymentControllerType, DeploymentRolloutState, Service, Tag, TaskDefinition, TaskDefinitionField,
};
use tokio::time::Instant;

use super::ecs_definition::{Pin, tag, tagged};
use super::several::Several;
use crate::model::catalog::{EcsConsumer, SecretRef};
use crate::model::id::{CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::aws::Failure;
use crate::world::{Consumer, ConsumerView, ErrorClass, Member, Shared, WorldError};

/// How long a roll-out is awaited unless the config says otherwise.
const TIMEOUT: Duration = Duration::from_mins(20);
/// Tag of a definition: the service it was registered for, `CLUSTER/SERVICE`.
const SERVICE: &str = "slm:service";
/// Tag of a definition: the definition it was made from.
const FROM: &str = "slm:from";
/// Tag of a definition: the service was seen to name it.
const BEGUN: &str = "slm:begun";

/// Tag of a definition, with the name of a credential after it: the version of it that the definition was registered for.
const VERSION: &str = "slm:version:";

/// A consumer of the service, and the version it is to have.
type Pinned<'a> = (&'a EcsService, &'a VersionId);

/// One service.
pub struct EcsService {
    client: Client,
    config: EcsConsumer,
    pin: Pin,
    /// Tag of a definition: the version it was registered for.
    tag: String,
    /// Pause between two looks at a roll-out.
    pause: Duration,
}

/// A task definition with its tags.
struct Definition {
    arn: String,
    whole: TaskDefinition,
    tags: Vec<Tag>,
}

impl EcsService {
    /// The service of `config` for `credential`, reached by `aws`; the value is in `secret` of `account`.
    #[must_use]
    pub fn new(aws: &SdkConfig, credential: &CredentialId, secret: SecretRef, account: String, config: EcsConsumer) -> Self {
        let pin = Pin { account, secret, variable: config.variable.clone(), container: config.container.clone() };
        let tag = format!("{VERSION}{credential}");
        Self { client: Client::new(aws), config, pin, tag, pause: Duration::from_secs(5) }
    }

    /// Looks at a roll-out every `pause`.
    #[must_use]
    pub fn looking_every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    fn operation(&self, what: &str) -> String {
        format!("{what} service `{}` of cluster `{}`", self.config.service, self.config.cluster)
    }

    fn refused(&self, class: ErrorClass, cause: impl Into<String>) -> WorldError {
        WorldError { class, operation: self.operation("roll out"), cause: cause.into() }
    }

    /// The service, which ECS itself rolls out.
    async fn service(&self) -> Result<Service, WorldError> {
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
    async fn definition(&self, name: &str) -> Result<Definition, WorldError> {
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

    fn home(&self) -> String {
        format!("{}/{}", self.config.cluster, self.config.service)
    }

    /// What was registered for these versions, and for no further one, on top of `now`, if it is the newest of its family.
    async fn registered(&self, pins: &[Pinned<'_>], now: &Definition) -> Result<Option<Definition>, WorldError> {
        let newest = self.definition(now.whole.family().unwrap_or_default()).await?;
        let versions = |tags: &[Tag]| -> BTreeMap<String, String> {
            let of = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()));
            tags.iter().filter_map(of).filter(|(key, _)| key.starts_with(VERSION)).collect()
        };
        let mut want = versions(&now.tags);
        want.extend(pins.iter().map(|(one, version)| (one.tag.clone(), version.to_string())));
        let says = |key: &str, value: &str| tag(&newest.tags, key) == Some(value);
        let ours = says(SERVICE, &self.home()) && says(FROM, &now.arn) && versions(&newest.tags) == want;
        let has = |(one, version): &Pinned<'_>| one.pin.version(newest.whole.container_definitions()).as_ref() == Some(*version);
        let pinned = pins.iter().all(has);
        Ok(Some(newest).filter(|_| ours && pinned))
    }

    /// Refuses to roll out again what was taken back.
    fn not_begun(&self, definition: &Definition) -> Result<(), WorldError> {
        match tag(&definition.tags, BEGUN) {
            None => Ok(()),
            Some(_) => {
                let family = definition.whole.family().unwrap_or_default();
                let cause = format!("revision {} of `{family}` was rolled out and taken back", definition.whole.revision);
                Err(self.refused(ErrorClass::Permanent, cause))
            }
        }
    }

    /// Registers `now` with these versions, every other field and tag as it was, but for Elastic Inference, which AWS has ended; gives
    /// its ARN.
    async fn register(&self, pins: &[Pinned<'_>], now: &Definition) -> Result<String, WorldError> {
        let mut containers = now.whole.container_definitions().to_vec();
        for (one, version) in pins {
            containers = one.pin.pinned(&containers, version).map_err(|why| self.refused(ErrorClass::Permanent, why))?;
        }
        let (home, old) = (self.home(), now.whole.clone());
        let begun = |tag: &Tag| tag.key() == Some(BEGUN);
        let tags: Vec<Tag> = now.tags.iter().filter(|tag| !begun(tag)).cloned().collect();
        let versions = pins.iter().map(|(one, version)| (one.tag.as_str(), version.as_str()));
        let ours: Vec<(&str, &str)> = versions.chain([(SERVICE, home.as_str()), (FROM, now.arn.as_str())]).collect();
        let tags = tagged(&tags, &ours);
        let request = self
            .client
            .register_task_definition()
            .set_family(old.family)
            .set_task_role_arn(old.task_role_arn)
            .set_execution_role_arn(old.execution_role_arn)
            .set_network_mode(old.network_mode)
            .set_container_definitions(Some(containers))
            .set_volumes(old.volumes)
            .set_placement_constraints(old.placement_constraints)
            .set_requires_compatibilities(old.requires_compatibilities)
            .set_cpu(old.cpu)
            .set_memory(old.memory)
            .set_pid_mode(old.pid_mode)
            .set_ipc_mode(old.ipc_mode)
            .set_proxy_configuration(old.proxy_configuration)
            .set_ephemeral_storage(old.ephemeral_storage)
            .set_runtime_platform(old.runtime_platform)
            .set_enable_fault_injection(old.enable_fault_injection)
            .set_tags(Some(tags));
        let answer = request.send().await.map_err(|error| {
            // Two revisions of one family at a time: the code is the one for every mistake.
            let busy = error.message().is_some_and(|message| message.contains("concurrent"));
            let failure = Failure::of(&error).during(self.operation("register the tasks of"));
            if busy { WorldError { class: ErrorClass::Transient, ..failure } } else { failure }
        })?;
        let arn = answer.task_definition.and_then(|made| made.task_definition_arn);
        arn.ok_or_else(|| self.refused(ErrorClass::Transient, "the answer names no definition"))
    }

    /// Has the service name `arn` in place of the definition `before`.
    async fn update(&self, arn: &str, before: &str) -> Result<(), WorldError> {
        // ECS compares nothing: what somebody else has rolled out meanwhile is looked for at the last moment.
        if self.service().await?.task_definition() != Some(before) {
            return Err(self.refused(ErrorClass::Conflict, "another roll-out was begun"));
        }
        let request = self.client.update_service().cluster(&self.config.cluster).service(&self.config.service);
        let sent = request.task_definition(arn).send().await;
        sent.map(drop).map_err(|error| Failure::of(&error).during(self.operation("roll out")))
    }

    /// Rolls out `now`, which `service` names, with these versions.
    async fn begin_with(&self, pins: &[Pinned<'_>], service: &Service, now: &Definition) -> Result<(), WorldError> {
        let arn = match self.registered(pins, now).await? {
            Some(made) => {
                self.not_begun(&made)?;
                made.arn
            }
            None => self.register(pins, now).await?,
        };
        self.update(&arn, service.task_definition().unwrap_or_default()).await?;
        self.note(&arn).await
    }

    /// Notes on the definition that the service names it.
    async fn note(&self, arn: &str) -> Result<(), WorldError> {
        let tag = Tag::builder().key(BEGUN).value("true").build();
        let sent = self.client.tag_resource().resource_arn(arn).tags(tag).send().await;
        sent.map(drop).map_err(|error| Failure::of(&error).during(self.operation("tag the tasks of")))
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
        let old = service.deployments().iter().filter(|one| one.status() != Some("PRIMARY") && one.running_count > 0);
        let draining = old.map(|one| format!("{} tasks of an earlier roll-out run still", one.running_count)).collect();
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
