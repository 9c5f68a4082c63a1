//! The alias of a function: what it stands for, and moving it to what was published of the function as it is now, once a version.

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput as Read;
use aws_sdk_lambda::types::ProvisionedConcurrencyStatusEnum as Provisioned;
use tokio::time::Instant;

use super::lambda::Function;
use crate::model::id::VersionId;
use crate::transport::aws::Failure;
use crate::world::{ErrorClass, WorldError};

/// What Lambda calls what is not published.
const LATEST: &str = "$LATEST";

/// An alias, and the published version it stands for.
pub(super) struct Alias {
    /// The number of that version.
    number: String,
    revision: Option<String>,
    /// The configuration of that version.
    pub read: Read,
    /// The version of the secret that its variable names.
    pub version: Option<VersionId>,
    /// Part of the traffic goes to another version.
    pub split: bool,
    /// The concurrency provisioned for it is there, or none is; `None` while it comes about, false when it could not.
    pub ready: Option<bool>,
}

impl Function {
    /// The alias `name`.
    pub(super) async fn alias(&self, name: &str, what: &str) -> Result<Alias, WorldError> {
        let failed = |failure: Failure| failure.during(format!("{} by alias `{name}`", self.operation(what)));
        let request = self.client.get_alias().function_name(&self.config.function).name(name);
        let alias = request.send().await.map_err(|error| failed(Failure::of(&error)))?;
        let number = alias.function_version().unwrap_or(LATEST).to_owned();
        let read = self.read(Some(&number), what).await?;
        let version = self.version(&read, what)?;
        let weights = alias.routing_config().and_then(|routing| routing.additional_version_weights());
        let split = weights.is_some_and(|weights| !weights.is_empty());
        let ready = self.provisioned(name).await.map_err(failed)?;
        Ok(Alias { number, revision: alias.revision_id, read, version, split, ready })
    }

    /// [`Alias::ready`].
    async fn provisioned(&self, name: &str) -> Result<Option<bool>, Failure> {
        let request = self.client.get_provisioned_concurrency_config().function_name(&self.config.function).qualifier(name);
        match request.send().await {
            Ok(found) => Ok(match found.status() {
                Some(Provisioned::Ready) => Some(true),
                Some(Provisioned::Failed) => Some(false),
                _ => None,
            }),
            Err(error) => match Failure::of(&error) {
                failure if failure.code.as_deref() == Some("ProvisionedConcurrencyConfigNotFoundException") => Ok(Some(true)),
                failure => Err(failure),
            },
        }
    }

    /// Nothing is released with the version that was not: the alias has to run what is not published, but for the variable.
    pub(super) fn releasable(&self, latest: &Read, alias: &Alias) -> Result<(), WorldError> {
        if alias.split {
            return Err(self.refused(ErrorClass::Conflict, "release", "its alias divides traffic between two versions"));
        }
        match self.difference(latest, &alias.read)? {
            None => Ok(()),
            Some(what) => {
                let cause = format!("`$LATEST` has {what} that its alias does not run; release it first, or take it back");
                Err(self.refused(ErrorClass::Permanent, "release", cause))
            }
        }
    }

    /// What `latest` and `released` do not have in common beside the variables that slm sets.
    fn difference(&self, latest: &Read, released: &Read) -> Result<Option<&'static str>, WorldError> {
        let others = |read| -> Result<_, WorldError> {
            let mut variables = self.variables(read, "release")?.cloned().unwrap_or_default();
            variables.retain(|name, _| *name != self.config.variable && !self.beside.contains(name));
            Ok(variables)
        };
        let settings = |read: &Read| {
            let layers = read.layers().iter().map(|layer| layer.arn.clone()).collect::<Vec<_>>();
            let tracing = read.tracing_config().and_then(|tracing| tracing.mode.clone());
            let image = read.image_config_response().and_then(|image| image.image_config.clone());
            (
                (read.runtime.clone(), read.handler.clone(), read.role.clone(), read.timeout, read.memory_size),
                (layers, tracing, image, read.kms_key_arn.clone(), read.dead_letter_config.clone()),
                (read.ephemeral_storage.clone(), read.file_system_configs().to_vec(), read.logging_config.clone()),
            )
        };
        let network = |read: &Read| {
            let sorted = |ids: &[String]| {
                let mut ids = ids.to_vec();
                ids.sort();
                ids
            };
            read.vpc_config().map(|vpc| (sorted(vpc.subnet_ids()), sorted(vpc.security_group_ids()))).unwrap_or_default()
        };
        let same = [
            ("code", latest.code_sha256 == released.code_sha256),
            ("variables", others(latest)? == others(released)?),
            ("settings", settings(latest) == settings(released)),
            ("a network", network(latest) == network(released)),
        ];
        Ok(same.into_iter().find(|(_, same)| !same).map(|(what, _)| what))
    }

    /// Has the alias `name` stand for what is published of `latest`. Lambda publishes nothing twice: the same again is the same number.
    pub(super) async fn release(&self, name: &str, version: &VersionId, latest: &Read, until: Instant) -> Result<(), WorldError> {
        let alias = self.alias(name, "release").await?;
        if alias.version.as_ref() != Some(version) || alias.split {
            self.releasable(latest, &alias)?;
            let number = self.publish(version, latest).await?;
            self.settled(Some(&number), version, until).await?;
            let request = self.client.update_alias().function_name(&self.config.function).name(name);
            let request = request.function_version(number).set_revision_id(alias.revision);
            let moved = request.send().await;
            moved.map_err(|error| Failure::of(&error).during(format!("move alias `{name}` of `{}`", self.config.function)))?;
        }
        loop {
            let alias = self.alias(name, "await").await?;
            if alias.version.as_ref() != Some(version) || alias.split {
                return Err(self.refused(ErrorClass::Conflict, "await", "its alias stands for another version"));
            }
            match alias.ready {
                Some(true) => return self.settled(Some(&alias.number), version, until).await.map(drop),
                Some(false) => {
                    let cause = "the concurrency provisioned for its alias could not be had";
                    return Err(self.refused(ErrorClass::Permanent, "release", cause));
                }
                None => self.sleep(until, "concurrency is being provisioned for its alias").await?,
            }
        }
    }

    /// The number of what is published of `latest`.
    async fn publish(&self, version: &VersionId, latest: &Read) -> Result<String, WorldError> {
        let request = self.client.publish_version().function_name(&self.config.function).description(format!("slm {version}"));
        let sent = request.set_revision_id(latest.revision_id.clone()).send().await;
        let published = sent.map_err(|error| Failure::of(&error).during(self.operation("publish")))?;
        published.version.ok_or_else(|| self.refused(ErrorClass::Transient, "publish", "the answer names no version"))
    }
}
