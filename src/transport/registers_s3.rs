//! Write-once registers as objects of an S3 bucket: a put with `If-None-Match: *` creates and never replaces.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;

use super::aws::Failure;
use super::registers_dynamodb::{gone, reading};
use crate::model::catalog::AwsSource;
use crate::model::id::{RegisterName, RotationId};
use crate::model::registers::{S3Registers as Settings, plain};
use crate::world::{ErrorClass, Registers, WorldError};

/// How often a write is tried that another one of the same register was in the way of.
const TRIES: usize = 4;

/// The registers of one bucket; S3 reads what was written before.
pub struct S3Registers {
    client: Client,
    settings: Settings,
    owner: String,
}

impl S3Registers {
    /// The registers that `settings` name, in `account`, reached by `config`.
    #[must_use]
    pub fn new(settings: Settings, account: &AwsSource, config: &SdkConfig) -> Self {
        // An endpoint of its own seldom has a host name for each bucket.
        let built = Builder::from(config).force_path_style(account.endpoint.is_some()).build();
        Self { client: Client::from_conf(built), settings, owner: account.account.clone() }
    }

    fn folder(&self, rotation: &RotationId) -> String {
        format!("{}{}/", self.settings.prefix, plain(rotation.as_str()))
    }

    fn key(&self, rotation: &RotationId, name: &RegisterName) -> String {
        self.folder(rotation) + &plain(name.as_str())
    }

    /// The key of every register of `rotation`, to the last page of the list.
    async fn list(&self, rotation: &RotationId) -> Result<BTreeSet<String>, WorldError> {
        let (mut keys, mut from) = (BTreeSet::new(), None);
        loop {
            let request = self.client.list_objects_v2().bucket(&self.settings.bucket).prefix(self.folder(rotation));
            let request = request.expected_bucket_owner(&self.owner).set_continuation_token(from.clone());
            let page = request.send().await.map_err(|error| Failure::of(&error).during(reading(rotation)))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
            match (page.is_truncated, page.next_continuation_token) {
                (Some(false), _) => return Ok(keys),
                (Some(true), next @ Some(_)) if next != from => from = next,
                _ => {
                    let cause = "its list has no end".to_owned();
                    return Err(WorldError { class: ErrorClass::Transient, operation: reading(rotation), cause });
                }
            }
        }
    }

    /// `None` only when S3 says that there is no such object, which it says to those who may list the bucket alone.
    async fn get(&self, rotation: &RotationId, name: &RegisterName) -> Result<Option<String>, WorldError> {
        let doing = || format!("read register {name} of rotation {rotation}");
        let key = self.key(rotation, name);
        let request = self.client.get_object().bucket(&self.settings.bucket).key(key).expected_bucket_owner(&self.owner);
        match request.send().await {
            Ok(found) => text(found, doing()).await.map(Some),
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(Failure::of(&error).during(doing())),
        }
    }
}

async fn text(found: GetObjectOutput, operation: String) -> Result<String, WorldError> {
    let broken = |class, cause: &str| WorldError { class, operation: operation.clone(), cause: cause.to_owned() };
    let body = found.body.collect().await.map_err(|_| broken(ErrorClass::Transient, "the answer broke off"))?;
    String::from_utf8(body.to_vec()).map_err(|_| broken(ErrorClass::Permanent, "it holds no text"))
}

#[async_trait]
impl Registers for S3Registers {
    async fn read(&self, rotation: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let mut found = BTreeMap::new();
        // A list sees each object at an instant of its own: it is asked again until nothing is new, so that all held at one instant.
        loop {
            let before = found.len();
            let keys = self.list(rotation).await?;
            for name in names {
                match (found.contains_key(name), keys.contains(&self.key(rotation, name))) {
                    (false, true) => {
                        let value = self.get(rotation, name).await?;
                        found.insert(name.clone(), value.ok_or_else(|| gone(name, reading(rotation)))?);
                    }
                    (true, false) => return Err(gone(name, reading(rotation))),
                    _ => {}
                }
            }
            if found.len() == before || names.iter().all(|name| found.contains_key(name)) {
                return Ok(found);
            }
        }
    }

    async fn write_once(&self, rotation: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        let doing = || format!("write register {name} of rotation {rotation}");
        for _ in 0..TRIES {
            let request = self.client.put_object().bucket(&self.settings.bucket).key(self.key(rotation, name)).if_none_match("*");
            let request = request.expected_bucket_owner(&self.owner).content_type("text/plain; charset=utf-8");
            let Err(error) = request.body(ByteStream::from(value.as_bytes().to_vec())).send().await else {
                return Ok(value.to_owned());
            };
            let failure = Failure::of(&error);
            // It is there, by us when an answer was lost, or is being written by another: what is read then has been decided.
            if !matches!(failure.status, Some(409 | 412)) {
                return Err(failure.during(doing()));
            }
            if let Some(value) = self.get(rotation, name).await? {
                return Ok(value);
            }
        }
        let cause = "another write of it was in the way each time".to_owned();
        Err(WorldError { class: ErrorClass::Transient, operation: doing(), cause })
    }
}
