//! Access keys of an IAM user: issued by IAM, shown once, two at most. The value is `{"access_key_id": …, "secret_access_key": …}`.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::{AccessKeyMetadata, StatusType};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::aws_iam_trial::Trials;
use super::aws_iam_uses::Uses;
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, IamAccessKey};
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::transport::aws::{Failure, Wire};
use crate::world::{ErrorClass, Fresh, KeyChange, KeyView, Listing, Rotator, Target, Trial, WorldError};

/// The access keys of one user.
pub struct AccessKeys {
    user: String,
    exclusive: bool,
    iam: Client,
    /// IAM keeps no token by which a creation sent twice is known, so that this one is sent once.
    once: Client,
    wire: Wire,
    uses: Uses,
    trials: Trials,
}

/// What is stored.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Value {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
}

impl AccessKeys {
    /// The keys of the user in `declared`, reached by `config`.
    #[must_use]
    pub fn new(declared: &IamAccessKey, config: SdkConfig) -> Self {
        let wire = Wire::default();
        let builder = || aws_sdk_iam::config::Builder::from(&config);
        let iam = Client::from_conf(builder().interceptor(wire.clone()).build());
        let once = Client::from_conf(builder().retry_config(RetryConfig::disabled()).build());
        Self {
            user: declared.user.clone(),
            exclusive: declared.exclusive,
            trials: Trials::new(declared.user.clone(), config),
            uses: Uses::of(iam.clone()),
            iam,
            once,
            wire,
        }
    }

    /// The same, whose keys are tried in each of `regions`: IAM takes a while to tell all of them.
    #[must_use]
    pub fn in_regions(mut self, regions: &[String]) -> Self {
        self.trials.also_in(regions);
        self
    }

    /// The same, whose keys are those of the user in `account` and of no other one of that name.
    #[must_use]
    pub fn in_account(mut self, account: &str) -> Self {
        self.trials.of_account(account);
        self
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} of IAM user {}", self.user)
    }

    fn parse(&self, value: &Secret) -> Result<Value, WorldError> {
        serde_json::from_slice(value.expose()).map_err(|_| WorldError {
            class: ErrorClass::Permanent,
            operation: self.doing("use an access key"),
            cause: "the value is not `{\"access_key_id\": …, \"secret_access_key\": …}`".to_owned(),
        })
    }

    async fn view(&self, key: &AccessKeyMetadata) -> Result<KeyView, WorldError> {
        let unclear = |cause: &str| WorldError {
            class: ErrorClass::Transient,
            operation: self.doing("list the access keys"),
            cause: cause.to_owned(),
        };
        let id = key.access_key_id().ok_or_else(|| unclear("a key without an id"))?;
        let active = match key.status() {
            Some(StatusType::Active) => true,
            Some(StatusType::Inactive | StatusType::Expired) => false,
            _ => return Err(unclear("a key whose status is not known")),
        };
        let created = key.create_date().and_then(|at| Timestamp::new(at.secs(), at.subsec_nanos().cast_signed()).ok());
        let used = self.uses.last(id).await;
        let last_used = used.map_err(|failure| failure.during(self.doing("read the last use of an access key")))?;
        Ok(KeyView { id: id.into(), active, version: None, created, last_used, ours: self.exclusive })
    }
}

/// Never the whole id: it trips the scanners of everybody who keeps a log.
fn tail(key: &KeyId) -> String {
    let skip = key.as_str().chars().count().saturating_sub(4);
    format!("…{}", key.as_str().chars().skip(skip).collect::<String>())
}

#[async_trait]
impl Rotator for AccessKeys {
    fn capabilities(&self) -> Capabilities {
        IamAccessKey::CAPABILITIES
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.parse(value).ok().map(|value| KeyId::from(value.access_key_id.as_str()))
    }

    async fn create(&self, _: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        let doing = || self.doing("create an access key");
        let asked = self.once.create_access_key().user_name(&self.user).send().await;
        let answer = asked.map_err(|error| Failure::of(&error).during(doing()))?;
        let unclear = || WorldError { class: ErrorClass::Transient, operation: doing(), cause: "no key in the answer".to_owned() };
        let key = answer.access_key.ok_or_else(unclear)?;
        let value = Value { access_key_id: key.access_key_id, secret_access_key: key.secret_access_key };
        let id = KeyId::from(value.access_key_id.as_str());
        let stored = serde_json::to_vec(&value).map_err(|_| unclear())?;
        Ok(Fresh { key: Some(id), value: Secret::new(stored) })
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.trials.of(&self.parse(value)?).await
    }
}

#[async_trait]
impl Target for AccessKeys {
    async fn list(&self) -> Result<Listing, WorldError> {
        let doing = || self.doing("list the access keys");
        let _ = self.wire.take();
        let mut keys = Vec::new();
        let mut pages = self.iam.list_access_keys().user_name(&self.user).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of(&error).during(doing()))?;
            for key in page.access_key_metadata() {
                keys.push(self.view(key).await?);
            }
        }
        let unclear =
            || WorldError { class: ErrorClass::Transient, operation: doing(), cause: "an answer without a date".to_owned() };
        let now = self.wire.take().clock.ok_or_else(unclear)?;
        Ok(Listing { now, keys })
    }

    async fn install(&self, _: &Secret, version: &VersionId, _: Option<&VersionId>) -> Result<(), WorldError> {
        let cause = "IAM issues its keys itself".to_owned();
        Err(WorldError { class: ErrorClass::Permanent, operation: self.doing(&format!("install version {version}")), cause })
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        let cause = "IAM shows it once".to_owned();
        Err(WorldError { class: ErrorClass::Permanent, operation: self.doing(&format!("read key {}", tail(key))), cause })
    }

    async fn change(&self, key: &KeyId, _: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        let set = |status: StatusType| {
            self.iam.update_access_key().user_name(&self.user).access_key_id(key.as_str()).status(status).send()
        };
        let (word, failure) = match change {
            KeyChange::Disable => ("disable", set(StatusType::Inactive).await.err().map(|error| Failure::of(&error))),
            KeyChange::Enable => ("enable", set(StatusType::Active).await.err().map(|error| Failure::of(&error))),
            KeyChange::Delete => {
                let gone = self.iam.delete_access_key().user_name(&self.user).access_key_id(key.as_str()).send().await;
                ("delete", gone.err().map(|error| Failure::of(&error)))
            }
        };
        match failure {
            None => Ok(()),
            Some(failure) if failure.class() == ErrorClass::NotFound && change != KeyChange::Enable => Ok(()),
            Some(failure) => Err(failure.during(self.doing(&format!("{word} access key {}", tail(key))))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_key_id_is_told() {
        assert_eq!(tail(&"AKIAIOSFODNN7EXAMPLE".into()), "…MPLE");
        assert_eq!(tail(&"ab".into()), "…ab");
    }
}
