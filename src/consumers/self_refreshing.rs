//! A consumer that reads the current version by itself. Nothing is delivered to it: it runs what its store has in force, and
//! `max-staleness` says how long it may go on with what it read before; the old credential is not disabled sooner.

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::catalog::SecretRef;
use crate::model::id::VersionId;
use crate::model::secret::Secret;
use crate::world::{Consumer, ConsumerView, ErrorClass, SecretStore, WorldError};

/// A reader of one secret.
pub struct SelfRefreshing {
    store: Arc<dyn SecretStore>,
    secret: SecretRef,
}

impl SelfRefreshing {
    /// A reader of `secret` in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn SecretStore>, secret: SecretRef) -> Self {
        Self { store, secret }
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
        Ok(ConsumerView { stored: current.clone(), running: current, draining })
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

    use super::*;
    use crate::world::{CURRENT, SecretView, VersionView};

    /// A store that lists one version in force.
    struct Listed(Mutex<Option<&'static str>>);

    #[async_trait]
    impl SecretStore for Listed {
        async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
            let Some(id) = *self.0.lock().unwrap() else {
                return Err(WorldError { class: ErrorClass::Transient, operation: "list".to_owned(), cause: "down".to_owned() });
            };
            let view = VersionView { labels: vec![CURRENT.to_owned()], created: "2026-01-01T00:00:00Z".parse().unwrap() };
            let behind = vec!["eu-west-2".to_owned()];
            Ok(SecretView { exists: true, versions: [(id.into(), view)].into(), behind, ..SecretView::default() })
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

    #[tokio::test]
    async fn it_runs_what_is_in_force_and_nothing_else() {
        let store = Arc::new(Listed(Mutex::new(Some("v1"))));
        let secret = SecretRef { source: "aws".into(), region: "eu-west-1".to_owned(), name: "prod/db".to_owned() };
        let reader = SelfRefreshing::new(store.clone(), secret);
        let value = || Secret::new(b"CANARY".to_vec());
        for _ in 0..2 {
            reader.deliver(&"v1".into(), &value()).await.unwrap();
            reader.activate(&"v1".into()).await.unwrap();
        }
        let view = reader.observe().await.unwrap();
        assert_eq!((view.stored, view.running), (Some("v1".into()), Some("v1".into())));
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
