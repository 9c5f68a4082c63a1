//! Secrets that AWS rotates itself, by a function or as a service: it is asked to, and the labels tell what came of it. No value is
//! made, tried or read here.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;

use crate::model::catalog::SecretRef;
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{AwsManaged, Capabilities};
use crate::model::secret::Secret;
use crate::transport::aws::Failure;
use crate::world::{AWS_PENDING, CURRENT, ErrorClass, Fresh, Keeper, Rotator, Trial, WorldError};

/// Secrets Manager as what rotates.
pub struct RotatedByAws {
    client: Client,
}

impl RotatedByAws {
    /// Asks by way of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }
}

/// True when a version waits to be put in force by AWS.
fn under_way(found: &DescribeSecretOutput) -> bool {
    let has = |labels: &[String], label: &str| labels.iter().any(|have| have == label);
    found.version_ids_to_stages().into_iter().flatten().any(|(_, labels)| has(labels, AWS_PENDING) && !has(labels, CURRENT))
}

fn never(what: &str) -> WorldError {
    let cause = "AWS makes and tries the values of this secret itself".to_owned();
    WorldError { class: ErrorClass::Permanent, operation: what.to_owned(), cause }
}

#[async_trait]
impl Keeper for RotatedByAws {
    async fn rotate(&self, secret: &SecretRef, version: &VersionId) -> Result<(), WorldError> {
        let doing = || format!("have AWS rotate {}", secret.name);
        let wrong = |cause: &str| WorldError { class: ErrorClass::Permanent, operation: doing(), cause: cause.to_owned() };
        let look = async || {
            let found = self.client.describe_secret().secret_id(&secret.name).send().await;
            found.map_err(|error| Failure::of(&error).during(doing()))
        };
        let found = look().await?;
        if found.deleted_date().is_some() {
            return Err(wrong("the secret is scheduled for deletion"));
        }
        if found.rotation_enabled() != Some(true) {
            return Err(wrong("AWS is not set up to rotate it: enable its rotation, or declare another kind"));
        }
        let request = self.client.rotate_secret().secret_id(&secret.name).client_request_token(version.as_str());
        match request.rotate_immediately(true).send().await {
            Ok(_) => Ok(()),
            Err(error) => match Failure::of(&error) {
                // A rotation before is not complete, our own whose answer got lost among them: AWS says so, and attempts it again.
                failure if failure.code.as_deref() == Some("InvalidRequestException") => {
                    if under_way(&look().await?) {
                        return Ok(());
                    }
                    let cause = failure.to_string();
                    Err(WorldError { class: ErrorClass::Conflict, operation: doing(), cause })
                }
                failure => Err(failure.during(doing())),
            },
        }
    }
}

#[async_trait]
impl Rotator for RotatedByAws {
    fn capabilities(&self) -> Capabilities {
        AwsManaged::CAPABILITIES
    }

    fn identify(&self, _: &Secret) -> Option<KeyId> {
        None
    }

    async fn create(&self, _: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        Err(never("make a value"))
    }

    async fn verify(&self, _: &Secret) -> Result<Trial, WorldError> {
        Err(never("try a value"))
    }
}
