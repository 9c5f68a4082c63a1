//! A consumer that reads the current version by itself. Nothing is delivered to it: it runs what its store has in force, and
//! `max-staleness` says how long it may go on with what it read before; the old credential is not disabled sooner. Where that will not
//! do, those it reads as must have been seen to read the version as well.

use std::sync::Arc;

use async_trait::async_trait;

use super::cloudtrail_readers::CloudTrailReaders;
use crate::model::catalog::SecretRef;
use crate::model::id::VersionId;
use crate::model::readers::Readers;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::model::usage::HISTORY;
use crate::world::{Consumer, ConsumerView, ErrorClass, SecretStore, SecretView, WorldError};

/// A reader of one secret.
pub struct SelfRefreshing {
    store: Arc<dyn SecretStore>,
    secret: SecretRef,
    readers: Option<CloudTrailReaders>,
}

impl SelfRefreshing {
    /// A reader of `secret` in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn SecretStore>, secret: SecretRef) -> Self {
        Self { store, secret, readers: None }
    }

    /// The same, which counts as running a version when `readers` were seen to read it.
    #[must_use]
    pub fn acknowledged_by(mut self, readers: CloudTrailReaders) -> Self {
        self.readers = Some(readers);
        self
    }

    /// Who was seen to read the version in force of `view`, if anybody must be.
    async fn readers(&self, view: &SecretView) -> Option<Readers> {
        let (readers, current) = (self.readers.as_ref()?, view.current()?);
        let (Some(arn), Some(now)) = (&view.arn, view.now) else {
            return Some(readers.unseen("its store does not say its ARN or what time it is"));
        };
        // A version is in force later than it is written, and the log goes no further back.
        let oldest = Timestamp::from_second(now.as_second() - HISTORY.as_seconds()).unwrap_or(Timestamp::MIN);
        let made = view.versions.get(current).map_or(oldest, |version| version.created.max(oldest));
        Some(readers.seen((&self.secret.name, arn), current, made).await)
    }

    async fn in_force(&self, version: &VersionId) -> Result<(), WorldError> {
        if self.observe().await?.running.as_ref() == Some(version) {
            return Ok(());
        }
        let operation = format!("have version {version} of `{}` read", self.secret.name);
        Err(WorldError { class: ErrorClass::Conflict, operation, cause: "another version is in force".to_owned() })
    }
}

#[async_trait]
impl Consumer for SelfRefreshing {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let view = self.store.describe(&self.secret).await?;
        // A replica that lags serves the version before to those who read there.
        let draining = view.behind.iter().map(|replica| format!("replica `{replica}` does not serve it yet")).collect();
        let current = view.current().cloned();
        let readers = self.readers(&view).await;
        Ok(ConsumerView { stored: current.clone(), running: current, draining, readers })
    }

    async fn deliver(&self, version: &VersionId, _: &Secret) -> Result<(), WorldError> {
        self.in_force(version).await
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        self.in_force(version).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::cloudtrail_readers::tests::{APP, readers, reading};
    use super::*;
    use crate::world::{CURRENT, SecretView, VersionView};

    /// A store that lists one version in force.
    struct Listed(Mutex<Option<&'static str>>, Option<Timestamp>);

    #[async_trait]
    impl SecretStore for Listed {
        async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
            let Some(id) = *self.0.lock().unwrap() else {
                return Err(WorldError { class: ErrorClass::Transient, operation: "list".to_owned(), cause: "down".to_owned() });
            };
            let view = VersionView { labels: vec![CURRENT.to_owned()], created: "2026-01-01T00:00:00Z".parse().unwrap() };
            let behind = vec!["eu-west-2".to_owned()];
            let (versions, arn) =
                ([(id.into(), view)].into(), Some("arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-AbCdEf".to_owned()));
            Ok(SecretView { exists: true, versions, behind, now: self.1, arn, ..SecretView::default() })
        }

        async fn read(&self, _: &SecretRef, _: &VersionId) -> Result<Secret, WorldError> {
            panic!("it needs no value")
        }

        async fn put(&self, _: &SecretRef, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
            panic!("it writes nothing")
        }

        async fn promote(&self, _: &SecretRef, _: Option<&VersionId>, _: &VersionId) -> Result<(), WorldError> {
            panic!("it writes nothing")
        }
    }

    fn secret() -> SecretRef {
        SecretRef { source: "aws".into(), region: "eu-west-1".to_owned(), name: "prod/db".to_owned() }
    }

    #[tokio::test]
    async fn who_was_seen_to_read_it_is_told_where_that_is_declared_and_nobody_without_the_stores_clock() {
        let (readers, asked) = readers(200, &format!(r#"{{"Events":[{}]}}"#, reading(APP, 1_767_225_700, ""))).await;
        let now = "2026-01-01T00:10:00Z".parse().ok();
        let store = Arc::new(Listed(Mutex::new(Some("v1")), now));
        let reader = SelfRefreshing::new(store, secret()).acknowledged_by(readers);
        let view = reader.observe().await.unwrap();
        assert_eq!(
            (view.stored, view.running),
            (Some("v1".into()), Some("v1".into())),
            "whether that is in time is for others to say"
        );
        let seen = view.readers.unwrap();
        assert_eq!(seen.last.get(APP), Some(&"2026-01-01T00:01:40Z".parse().ok()));
        let (nobody, _) = super::super::cloudtrail_readers::tests::readers(200, "{}").await;
        let blind = SelfRefreshing::new(Arc::new(Listed(Mutex::new(Some("v1")), None)), secret()).acknowledged_by(nobody);
        let seen = blind.observe().await.unwrap().readers.unwrap();
        assert_eq!(seen.unseen, ["its store does not say its ARN or what time it is"]);
        assert_eq!((seen.unread(now).len(), asked.load(std::sync::atomic::Ordering::SeqCst)), (2, 2));
    }

    #[tokio::test]
    async fn it_runs_what_is_in_force_and_nothing_else() {
        let store = Arc::new(Listed(Mutex::new(Some("v1")), None));
        let reader = SelfRefreshing::new(store.clone(), secret());
        let value = || Secret::new(b"CANARY".to_vec());
        for _ in 0..2 {
            reader.deliver(&"v1".into(), &value()).await.unwrap();
            reader.activate(&"v1".into()).await.unwrap();
        }
        let view = reader.observe().await.unwrap();
        assert_eq!((view.stored, view.running, view.readers), (Some("v1".into()), Some("v1".into()), None));
        assert_eq!(view.draining, ["replica `eu-west-2` does not serve it yet"]);
        let error = reader.deliver(&"v2".into(), &value()).await.unwrap_err();
        assert_eq!(error.to_string(), "could not have version v2 of `prod/db` read: another version is in force");
        assert_eq!(error.class, ErrorClass::Conflict);
        *store.0.lock().unwrap() = Some("v2");
        reader.activate(&"v2".into()).await.unwrap();
        *store.0.lock().unwrap() = None;
        assert_eq!(reader.observe().await.unwrap_err().class, ErrorClass::Transient);
    }
}
