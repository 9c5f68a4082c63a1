//! A bucket with Object Lock: an object for each commit and for each thing that is too long for git, put once, encrypted by a key of KMS.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;

use crate::model::catalog::AwsSource;
use crate::model::locker::S3Sink as Settings;
use crate::model::time::Timestamp;
use crate::transport::bucket::{Bucket as Place, Lock, Object};
use crate::world::{ErrorClass, ObjectStore, Packet, Sink, WorldError};

/// Commits of one locker in one bucket.
pub struct Bucket {
    place: Place,
    settings: Settings,
    /// Whether what was put first is read, whatever hides it.
    first: bool,
}

/// Its objects, kept for as long as a commit that was received at one instant.
struct Objects<'a> {
    bucket: &'a Bucket,
    received: Timestamp,
}

impl Bucket {
    /// The bucket that `settings` name, in `account`, reached by `config`.
    #[must_use]
    pub fn new(settings: Settings, account: &AwsSource, config: &SdkConfig) -> Self {
        Self { place: Place::new(&settings.bucket, account, config), settings, first: false }
    }

    /// The same, of which the first version of everything is read: a later one or a delete marker hides it, and nobody can remove what is locked. Whoever
    /// only puts needs no right to see versions.
    #[must_use]
    pub fn by_first_versions(self) -> Self {
        Self { first: true, ..self }
    }

    async fn read(&self, key: &str, doing: &str) -> Result<Option<Vec<u8>>, WorldError> {
        if self.first { self.place.first(key, doing).await } else { self.place.get(key, doing).await }
    }

    fn folder(&self) -> String {
        format!("{}commits/", self.settings.prefix)
    }

    /// As many digits as any number has, so that names are in the order of the commits.
    fn key(&self, number: u64, commit: &str) -> String {
        format!("{}{number:020}-{commit}.pack", self.folder())
    }

    fn lock(&self, received: Timestamp) -> Lock<'_> {
        Lock { until: self.settings.retention.after(received), kms_key: self.settings.kms_key.as_deref() }
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
        let operation = format!("list the commits in bucket `{}`", self.place.name());
        let mut held = BTreeMap::new();
        let keys: Vec<String> = if self.first {
            self.place.versions(&self.folder(), &operation).await?.into_keys().collect()
        } else {
            self.place.keys(&self.folder(), &operation).await?
        };
        for key in keys {
            let Some((number, commit)) = key.strip_prefix(&self.folder()).and_then(parse) else { continue };
            if let Some(other) = held.insert(number, commit.clone()) {
                let cause = format!("commit {number} is there as {other} and as {commit}");
                return Err(WorldError { class: ErrorClass::Conflict, operation, cause });
            }
        }
        Ok(held)
    }

    async fn put(&self, packet: &Packet) -> Result<(), WorldError> {
        let key = self.key(packet.number, &packet.commit);
        let object = Object { key, kind: "application/x-git-packed-objects", bytes: packet.pack.clone() };
        let doing = format!("put commit {} into bucket `{}`", packet.number, self.place.name());
        self.place.put_once(object, Some(self.lock(packet.received)), &doing).await.map(drop)
    }

    async fn get(&self, number: u64, commit: &str) -> Result<Vec<u8>, WorldError> {
        let operation = format!("read commit {number} from bucket `{}`", self.place.name());
        let found = self.read(&self.key(number, commit), &operation).await?;
        found.ok_or_else(|| WorldError { class: ErrorClass::NotFound, operation, cause: "it is gone".to_owned() })
    }

    fn objects<'a>(&'a self, received: Timestamp) -> Box<dyn ObjectStore + 'a> {
        Box::new(Objects { bucket: self, received })
    }
}

impl Objects<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}objects/{name}", self.bucket.settings.prefix)
    }
}

#[async_trait]
impl ObjectStore for Objects<'_> {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<bool, WorldError> {
        let doing = format!("put object `{name}` into bucket `{}`", self.bucket.place.name());
        let lock = self.bucket.lock(self.received);
        let until = lock.until;
        let object = Object { key: self.key(name), kind: "application/zstd", bytes };
        let new = self.bucket.place.put_once(object, Some(lock), &doing).await?;
        if !new {
            // An earlier commit points to it as well.
            self.bucket.place.keep_until(&self.key(name), until, &doing).await?;
        }
        Ok(new)
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let doing = format!("read object `{name}` from bucket `{}`", self.bucket.place.name());
        self.bucket.read(&self.key(name), &doing).await
    }
}
