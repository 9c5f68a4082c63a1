//! Objects of one bucket of S3: put once, read whole.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode, ServerSideEncryption};

use super::aws::Failure;
use crate::model::catalog::AwsSource;
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

/// A bucket of one account.
pub struct Bucket {
    client: Client,
    name: String,
    owner: String,
}

/// An object that nobody can remove before an instant, encrypted by a key of KMS.
pub struct Lock<'a> {
    /// Until when.
    pub until: Timestamp,
    /// Id or ARN of the key; the one that AWS keeps for S3 when absent.
    pub kms_key: Option<&'a str>,
}

/// What is put.
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its content type.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Bucket {
    /// The bucket `name` in `account`, reached by `config`.
    #[must_use]
    pub fn new(name: &str, account: &AwsSource, config: &SdkConfig) -> Self {
        let built = Builder::from(config).force_path_style(account.endpoint.is_some()).build();
        Self { client: Client::from_conf(built), name: name.to_owned(), owner: account.account.clone() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts `object`; false when there is one of its key, which stays as it is, its lock at least as long.
    ///
    /// # Errors
    /// When it could not be put; `doing` says what for.
    pub async fn put_once(&self, object: Object, lock: Option<Lock<'_>>, doing: &str) -> Result<bool, WorldError> {
        let Object { key, kind, bytes } = object;
        let request = self.client.put_object().bucket(&self.name).key(&key).if_none_match("*");
        let mut request = request.expected_bucket_owner(&self.owner).content_type(kind);
        if let Some(Lock { until, kms_key }) = &lock {
            request = request.object_lock_mode(ObjectLockMode::Compliance);
            request = request.object_lock_retain_until_date(DateTime::from_secs(until.as_second()));
            request = request.server_side_encryption(ServerSideEncryption::AwsKms).set_ssekms_key_id(kms_key.map(str::to_owned));
        }
        match request.body(ByteStream::from(bytes)).send().await {
            Ok(_) => Ok(true),
            Err(error) => match Failure::of(&error) {
                // It is there: by us when an answer was lost, or by another run that knew the same.
                Failure { status: Some(409 | 412), .. } => Ok(false),
                failure => Err(failure.during(doing.to_owned())),
            },
        }
    }

    /// Keeps what is under `key` until `until`, if it was to be kept for a shorter time.
    ///
    /// # Errors
    /// When that could not be seen or changed.
    pub async fn keep_until(&self, key: &str, until: Timestamp, doing: &str) -> Result<(), WorldError> {
        let of = |failure: Failure| failure.during(doing.to_owned());
        let asked = self.client.head_object().bucket(&self.name).key(key).expected_bucket_owner(&self.owner);
        let found = asked.send().await.map_err(|error| of(Failure::of(&error)))?;
        if found.object_lock_retain_until_date.is_some_and(|kept| kept.secs() >= until.as_second()) {
            return Ok(());
        }
        let longer = ObjectLockRetention::builder().mode(ObjectLockRetentionMode::Compliance);
        let longer = longer.retain_until_date(DateTime::from_secs(until.as_second())).build();
        let request = self.client.put_object_retention().bucket(&self.name).key(key).expected_bucket_owner(&self.owner);
        request.retention(longer).send().await.map(drop).map_err(|error| of(Failure::of(&error)))
    }

    /// What is under `key`.
    ///
    /// # Errors
    /// When it could not be read; `doing` says what for.
    pub async fn get(&self, key: &str, doing: &str) -> Result<Option<Vec<u8>>, WorldError> {
        self.version(key, None, doing).await
    }

    /// What was put under `key` first. A later version or a delete marker hides it, and removes nothing of what is locked.
    ///
    /// # Errors
    /// When it could not be read; `doing` says what for.
    pub async fn first(&self, key: &str, doing: &str) -> Result<Option<Vec<u8>>, WorldError> {
        match self.versions(key, doing).await?.remove(key) {
            Some(version) => self.version(key, version, doing).await,
            None => Ok(None),
        }
    }

    async fn version(&self, key: &str, version: Option<String>, doing: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let request = self.client.get_object().bucket(&self.name).key(key).set_version_id(version);
        match request.expected_bucket_owner(&self.owner).send().await {
            Ok(found) => match found.body.collect().await {
                Ok(body) => Ok(Some(body.to_vec())),
                Err(_) => {
                    let cause = "the answer broke off".to_owned();
                    Err(WorldError { class: ErrorClass::Transient, operation: doing.to_owned(), cause })
                }
            },
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(Failure::of(&error).during(doing.to_owned())),
        }
    }

    /// Every key that begins with `prefix`, also of what a delete marker hides, with its oldest version.
    ///
    /// # Errors
    /// When the list could not be read to its end.
    pub async fn versions(&self, prefix: &str, doing: &str) -> Result<BTreeMap<String, Option<String>>, WorldError> {
        let (mut all, mut from) = (BTreeMap::new(), (None, None));
        loop {
            let request = self.client.list_object_versions().bucket(&self.name).prefix(prefix);
            let request = request.expected_bucket_owner(&self.owner).set_key_marker(from.0.clone());
            let page = request.set_version_id_marker(from.1.clone()).send().await;
            let page = page.map_err(|error| Failure::of(&error).during(doing.to_owned()))?;
            // Of one key the newest is listed first.
            let listed =
                page.versions().iter().filter_map(|one| Some((one.key()?.to_owned(), one.version_id().map(str::to_owned))));
            all.extend(listed);
            let next = (page.next_key_marker, page.next_version_id_marker);
            match page.is_truncated {
                Some(true) if next.0.is_some() && next != from => from = next,
                Some(true) => {
                    let cause = "its list has no end".to_owned();
                    return Err(WorldError { class: ErrorClass::Transient, operation: doing.to_owned(), cause });
                }
                _ => return Ok(all),
            }
        }
    }

    /// Every key that begins with `prefix`.
    ///
    /// # Errors
    /// When the list could not be read to its end.
    pub async fn keys(&self, prefix: &str, doing: &str) -> Result<Vec<String>, WorldError> {
        let (mut keys, mut from) = (Vec::new(), None);
        loop {
            let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let request = request.expected_bucket_owner(&self.owner).set_continuation_token(from.clone());
            let page = request.send().await.map_err(|error| Failure::of(&error).during(doing.to_owned()))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
            match (page.is_truncated, page.next_continuation_token) {
                (Some(false), _) => return Ok(keys),
                (Some(true), next @ Some(_)) if next != from => from = next,
                _ => {
                    let cause = "its list has no end".to_owned();
                    return Err(WorldError { class: ErrorClass::Transient, operation: doing.to_owned(), cause });
                }
            }
        }
    }
}
