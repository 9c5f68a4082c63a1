//! A bucket: an object for each, put once.

use async_trait::async_trait;
use aws_config::SdkConfig;

use crate::model::catalog::AwsSource;
use crate::model::locker::S3Objects as Settings;
use crate::transport::bucket::{Bucket as Place, Object};
use crate::world::{ObjectStore, WorldError};

/// Objects of one bucket.
pub struct Bucket {
    place: Place,
    prefix: String,
}

impl Bucket {
    /// The bucket that `settings` name, in `account`, reached by `config`.
    #[must_use]
    pub fn new(settings: Settings, account: &AwsSource, config: &SdkConfig) -> Self {
        Self { place: Place::new(&settings.bucket, account, config), prefix: settings.prefix }
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<bool, WorldError> {
        let object = Object { key: format!("{}{name}", self.prefix), kind: "application/zstd", bytes };
        self.place.put_once(object, None, &format!("keep object `{name}`")).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, WorldError> {
        self.place.get(&format!("{}{name}", self.prefix), &format!("read object `{name}`")).await
    }
}
