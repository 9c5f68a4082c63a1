//! A bucket with Object Lock: each checkpoint is put once, under its size, and nobody can remove or replace it until its retention ends.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ObjectLockMode;

use crate::model::catalog::AwsSource;
use crate::model::locker::S3Anchor as Settings;
use crate::model::registers::plain;
use crate::transport::aws::Failure;
use crate::world::{Anchor, ErrorClass, Sealed, WorldError};

/// Checkpoints of one log in one bucket.
pub struct Bucket {
    id: String,
    client: Client,
    settings: Settings,
    owner: String,
    folder: String,
}

impl Bucket {
    /// The bucket that `settings` name, in `account`, reached by `config`, for the log `origin`.
    #[must_use]
    pub fn new(id: &str, settings: Settings, origin: &str, account: &AwsSource, config: &SdkConfig) -> Self {
        let built = Builder::from(config).force_path_style(account.endpoint.is_some()).build();
        let folder = format!("{}{}/", settings.prefix, plain(origin));
        Self { id: id.to_owned(), client: Client::from_conf(built), settings, owner: account.account.clone(), folder }
    }

    /// As many digits as any size has, so that names are in the order of sizes.
    fn key(&self, size: u64) -> String {
        format!("{}{size:020}", self.folder)
    }

    async fn get(&self, key: &str, version: Option<String>, operation: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let request = self.client.get_object().bucket(&self.settings.bucket).key(key).set_version_id(version);
        let request = request.expected_bucket_owner(&self.owner);
        let cause = "the answer broke off".to_owned();
        let broken = || WorldError { class: ErrorClass::Transient, operation: operation.to_owned(), cause };
        match request.send().await {
            Ok(found) => Ok(Some(found.body.collect().await.map_err(|_| broken())?.to_vec())),
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(Failure::of(&error).during(operation.to_owned())),
        }
    }

    /// Whether the object is kept as long as was asked: a store that knows no Object Lock may take the request and not the lock.
    async fn locked(&self, key: &str, until: i64, operation: &str) -> Result<(), WorldError> {
        let request = self.client.head_object().bucket(&self.settings.bucket).key(key).expected_bucket_owner(&self.owner);
        let head = request.send().await.map_err(|error| Failure::of(&error).during(operation.to_owned()))?;
        let mode = head.object_lock_mode() == Some(&ObjectLockMode::Compliance);
        let kept = head.object_lock_retain_until_date().is_some_and(|date| date.secs() >= until);
        if mode && kept {
            return Ok(());
        }
        let cause = "it is there and is not locked in compliance mode for as long as was asked".to_owned();
        Err(WorldError { class: ErrorClass::Permanent, operation: operation.to_owned(), cause })
    }
}

#[async_trait]
impl Anchor for Bucket {
    async fn keep(&self, sealed: &Sealed) -> Result<Option<Vec<u8>>, WorldError> {
        let operation = format!("keep the checkpoint in anchor `{}`", self.id);
        let key = self.key(sealed.size);
        let until = self.settings.retention.after(sealed.received).as_second();
        let request = self.client.put_object().bucket(&self.settings.bucket).key(&key).if_none_match("*");
        let request = request.expected_bucket_owner(&self.owner).content_type("text/plain; charset=utf-8");
        let request = request.object_lock_mode(ObjectLockMode::Compliance);
        let request = request.object_lock_retain_until_date(DateTime::from_secs(until));
        if let Err(error) = request.body(ByteStream::from(sealed.note.clone())).send().await {
            let failure = Failure::of(&error);
            // It is there, by us when an answer was lost, or by another.
            if !matches!(failure.status, Some(409 | 412)) {
                return Err(failure.during(operation));
            }
            let there = self.get(&key, None, &operation).await?;
            if there.as_ref() != Some(&sealed.note) {
                let (class, cause) = match there {
                    Some(_) => (ErrorClass::Conflict, format!("it keeps another checkpoint of {} entries", sealed.size)),
                    None => (ErrorClass::Transient, "another write was in the way".to_owned()),
                };
                return Err(WorldError { class, operation, cause });
            }
        }
        self.locked(&key, until, &operation).await.map(|()| None)
    }

    async fn newest(&self) -> Result<Option<Vec<u8>>, WorldError> {
        let operation = format!("read the checkpoints in anchor `{}`", self.id);
        // Every version, and of the last name the one that is listed last, which is the oldest: a delete marker or a later version
        // hides what is locked and does not remove it.
        let (mut found, mut from) = (None::<(String, Option<String>)>, (None, None));
        loop {
            let request = self.client.list_object_versions().bucket(&self.settings.bucket).prefix(&self.folder);
            let request = request.expected_bucket_owner(&self.owner).set_key_marker(from.0.clone());
            let page = request.set_version_id_marker(from.1.clone()).send().await;
            let page = page.map_err(|error| Failure::of(&error).during(operation.clone()))?;
            for version in page.versions() {
                let Some(key) = version.key() else { continue };
                if found.as_ref().is_none_or(|(known, _)| key >= known.as_str()) {
                    found = Some((key.to_owned(), version.version_id().map(str::to_owned)));
                }
            }
            let next = (page.next_key_marker, page.next_version_id_marker);
            match page.is_truncated {
                Some(true) if next.0.is_some() && next != from => from = next,
                Some(true) => {
                    let cause = "its list has no end".to_owned();
                    return Err(WorldError { class: ErrorClass::Transient, operation, cause });
                }
                _ => break,
            }
        }
        match found {
            Some((key, version)) => self.get(&key, version, &operation).await,
            None => Ok(None),
        }
    }
}
