//! The roll-out of versions by a service of ECS: one task definition is registered for them, once, and the service has its name.

use std::collections::BTreeMap;

use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::types::{Service, Tag, TaskDefinition};

use super::ecs_definition::{tag, tagged};
use super::ecs_service::EcsService;
use crate::model::id::VersionId;
use crate::transport::aws::Failure;
use crate::world::{ErrorClass, WorldError};

/// Tag of a definition: the service it was registered for, `CLUSTER/SERVICE`.
const SERVICE: &str = "slm:service";
/// Tag of a definition: the definition it was made from.
const FROM: &str = "slm:from";
/// Tag of a definition: the service was seen to name it.
pub(super) const BEGUN: &str = "slm:begun";
/// Tag of a definition, with the name of a credential after it: the version of it that the definition was registered for.
pub(super) const VERSION: &str = "slm:version:";

/// A consumer of the service, and the version it is to have.
pub(super) type Pinned<'a> = (&'a EcsService, &'a VersionId);

/// A task definition with its tags.
pub(super) struct Definition {
    pub arn: String,
    pub whole: TaskDefinition,
    pub tags: Vec<Tag>,
}

impl EcsService {
    fn home(&self) -> String {
        format!("{}/{}", self.config.cluster, self.config.service)
    }

    /// What was registered for these versions, and for no further one, on top of `now`, if it is the newest of its family.
    pub(super) async fn registered(&self, pins: &[Pinned<'_>], now: &Definition) -> Result<Option<Definition>, WorldError> {
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
    pub(super) fn not_begun(&self, definition: &Definition) -> Result<(), WorldError> {
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
    pub(super) async fn begin_with(&self, pins: &[Pinned<'_>], service: &Service, now: &Definition) -> Result<(), WorldError> {
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
    pub(super) async fn note(&self, arn: &str) -> Result<(), WorldError> {
        let tag = Tag::builder().key(BEGUN).value("true").build();
        let sent = self.client.tag_resource().resource_arn(arn).tags(tag).send().await;
        sent.map(drop).map_err(|error| Failure::of(&error).during(self.operation("tag the tasks of")))
    }
}
