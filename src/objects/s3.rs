//! A bucket: an object for each, put once.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;

use crate::model::catalog::AwsSource;
use crate::model::locker::S3Objects as Settings;
use crate::transport::aws::Failure;
use crate::world::{ErrorClass, ObjectStore, WorldError};

/// Objects of one bucket.
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
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<bool, WorldError> {
        let key = format!("{}{name}", self.settings.prefix);
        let request = self.client.put_object().bucket(&self.settings.bucket).key(key).if_none_match("*");
        let request = request.expected_bucket_owner(&self.owner).content_type("application/zstd");
        match request.body(ByteStream::from(bytes)).send().await {
            Ok(_) => Ok(true),
            Err(error) => match Failure::of(&error) {
                Failure { status: Some(409 | 412), .. } => Ok(false),
                failure => Err(failure.during(format!("keep object `{name}`"))),
            },
        }
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let operation = format!("read object `{name}`");
        let key = format!("{}{name}", self.settings.prefix);
        let request = self.client.get_object().bucket(&self.settings.bucket).key(key).expected_bucket_owner(&self.owner);
        match request.send().await {
            Ok(found) => match found.body.collect().await {
                Ok(body) => Ok(Some(body.to_vec())),
                Err(_) => {
                    let cause = "the answer broke off".to_owned();
                    Err(WorldError { class: ErrorClass::Transient, operation, cause })
                }
            },
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) => Err(Failure::of(&error).during(operation)),
        }
    }
}
