//! A bucket with Object Lock: an object for each commit, put once, encrypted by a key of KMS.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ObjectLockMode, ServerSideEncryption};

use crate::model::catalog::AwsSource;
use crate::model::locker::S3Sink as Settings;
use crate::transport::aws::Failure;
use crate::world::{ErrorClass, Packet, Sink, WorldError};

/// Commits of one locker in one bucket.
pub struct Bucket {
    client: Client,
    settings: Settings,
    owner: String,
}

impl Bucket {
    /// The bucket that `settings` name, in `account`, reached by `config`.
    #[must_use]
    pub fn new(settings: Settings, account: &AwsSource, config: &SdkConfig) -> Self {
        let built = Builder::from(config).force_path_style(account.endpoint.is_some()).build();
        Self { client: Client::from_conf(built), settings, owner: account.account.clone() }
    }

    fn folder(&self) -> String {
        format!("{}commits/", self.settings.prefix)
    }

    /// As many digits as any number has, so that names are in the order of the commits.
    fn key(&self, number: u64, commit: &str) -> String {
        format!("{}{number:020}-{commit}.pack", self.folder())
    }
}

/// Number and commit in the key of an object below the folder.
fn parse(name: &str) -> Option<(u64, String)> {
    let (number, commit) = name.strip_suffix(".pack")?.split_once('-')?;
    Some((number.parse().ok()?, commit.to_owned()))
}

#[async_trait]
impl Sink for Bucket {
    async fn held(&self) -> Result<BTreeMap<u64, String>, WorldError> {
        let operation = format!("list the commits in bucket `{}`", self.settings.bucket);
        let failed = |class, cause: String| WorldError { class, operation: operation.clone(), cause };
        let (mut held, mut from) = (BTreeMap::new(), None);
        loop {
            let request = self.client.list_objects_v2().bucket(&self.settings.bucket).prefix(self.folder());
            let request = request.expected_bucket_owner(&self.owner).set_continuation_token(from.clone());
            let page = request.send().await.map_err(|error| Failure::of(&error).during(operation.clone()))?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                let Some((number, commit)) = key.strip_prefix(&self.folder()).and_then(parse) else { continue };
                if let Some(other) = held.insert(number, commit.clone()) {
                    return Err(failed(ErrorClass::Conflict, format!("commit {number} is there as {other} and as {commit}")));
                }
            }
            match (page.is_truncated, page.next_continuation_token) {
                (Some(false), _) => return Ok(held),
                (Some(true), next @ Some(_)) if next != from => from = next,
                _ => return Err(failed(ErrorClass::Transient, "its list has no end".to_owned())),
            }
        }
    }

    async fn put(&self, packet: &Packet) -> Result<(), WorldError> {
        let until = self.settings.retention.after(packet.received).as_second();
        let request = self.client.put_object().bucket(&self.settings.bucket).key(self.key(packet.number, &packet.commit));
        let request =
            request.if_none_match("*").expected_bucket_owner(&self.owner).content_type("application/x-git-packed-objects");
        let request = request.object_lock_mode(ObjectLockMode::Compliance);
        let request = request.object_lock_retain_until_date(DateTime::from_secs(until));
        let request = request.server_side_encryption(ServerSideEncryption::AwsKms).set_ssekms_key_id(self.settings.kms_key.clone());
        match request.body(ByteStream::from(packet.pack.clone())).send().await {
            Ok(_) => Ok(()),
            Err(error) => match Failure::of(&error) {
                // It is there: by us when an answer was lost, or by another run that knew the same commit.
                Failure { status: Some(409 | 412), .. } => Ok(()),
                failure => Err(failure.during(format!("put commit {} into bucket `{}`", packet.number, self.settings.bucket))),
            },
        }
    }

    async fn get(&self, number: u64, commit: &str) -> Result<Vec<u8>, WorldError> {
        let operation = format!("read commit {number} from bucket `{}`", self.settings.bucket);
        let request = self.client.get_object().bucket(&self.settings.bucket).key(self.key(number, commit));
        let found = request.expected_bucket_owner(&self.owner).send().await;
        let found = found.map_err(|error| Failure::of(&error).during(operation.clone()))?;
        let cause = "the answer broke off".to_owned();
        let body = found.body.collect().await.map_err(|_| WorldError { class: ErrorClass::Transient, operation, cause })?;
        Ok(body.to_vec())
    }
}
