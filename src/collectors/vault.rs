//! Secrets of the local vault, as `Vault::Secret`.

use async_trait::async_trait;

use crate::model::id::{EntityType, ResourceId, SourceId};
use crate::model::receipt::{Operation, Receipt};
use crate::model::snapshot::{Attribute, Completeness, Population, Resource, Unseen, Value};
use crate::transport::vault::{Listed, Vault};
use crate::world::{Clock, Collected, Collector, ErrorClass, PENDING, WorldError};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[(
    "Vault::Secret",
    &[
        "created",
        "deleting",
        "has_pending",
        "is_replica",
        "last_rotated",
        "managed_by",
        "name",
        "owner",
        "pending_since",
        "rotation_enabled",
        "slm_pending",
        "version",
    ],
)];

/// Lists one vault.
pub struct VaultSecrets {
    source: SourceId,
    vault: Vault,
}

impl VaultSecrets {
    /// Reads `vault`, known in the config repo as `source`.
    #[must_use]
    pub fn new(source: SourceId, vault: Vault) -> Self {
        Self { source, vault }
    }

    fn resource(&self, listed: &Listed) -> Resource {
        let mut attributes: Vec<Attribute> = vec![
            ("name".into(), Value::Text(listed.name.as_str().into())),
            ("created".into(), Value::Time(listed.created)),
            ("owner".into(), Value::Text("".into())),
            ("rotation_enabled".into(), Value::Bool(false)),
            ("deleting".into(), Value::Bool(false)),
            ("is_replica".into(), Value::Bool(false)),
            ("managed_by".into(), Value::Text("".into())),
        ];
        let versions = &listed.view.versions;
        let current = listed.view.current();
        if let Some((id, view)) = current.and_then(|id| versions.get_key_value(id)) {
            attributes.push(("version".into(), Value::Text(id.as_str().into())));
            attributes.push(("last_rotated".into(), Value::Time(view.created)));
        }
        let pending = listed.view.labelled(PENDING).filter(|id| Some(*id) != current);
        attributes.push(("has_pending".into(), Value::Bool(pending.is_some())));
        attributes.push(("slm_pending".into(), Value::Bool(pending.is_some())));
        if let Some(view) = pending.and_then(|id| versions.get(id)) {
            attributes.push(("pending_since".into(), Value::Time(view.created)));
        }
        Resource::new(ResourceId::from(format!("vault:{}/{}", self.source, listed.name)), attributes)
    }
}

#[async_trait]
impl Collector for VaultSecrets {
    fn name(&self) -> &'static str {
        "vault"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &'static str {
        "."
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        let (completeness, listed) = match self.vault.list() {
            Ok(listed) => (Completeness::Complete, listed),
            Err(error) => (incomplete(&error), Vec::new()),
        };
        let mut resources: Vec<Resource> = listed.iter().map(|listed| self.resource(listed)).collect();
        resources.sort_by(|a, b| a.id.cmp(&b.id));
        let operation = Operation {
            name: "vault:list".to_owned(),
            parameters: serde_json::json!({}),
            pages: u64::from(completeness.is_complete()),
            requests: 1,
            items: resources.len() as u64,
            request_ids: Vec::new(),
        };
        let receipt = Receipt {
            source: self.source.clone(),
            collector: self.name().to_owned(),
            scope: self.scope().to_owned(),
            caller: self.vault.recipient().ok(),
            completeness: completeness.clone(),
            operations: vec![operation],
            independent_count: None,
            source_clock: None,
            effective: None,
            started,
            ended: clock.now(),
            raw: Vec::new(),
        };
        let (source, scope) = (self.source.clone(), self.scope().to_owned());
        let population =
            Population { source, scope, entity: EntityType::from("Vault::Secret"), completeness, resources: resources.into() };
        Collected { populations: vec![population], receipt, raw: Vec::new() }
    }
}

fn incomplete(error: &WorldError) -> Completeness {
    let cause = match error.class {
        ErrorClass::Denied => Unseen::Denied,
        ErrorClass::Permanent | ErrorClass::Unfit => Unseen::Inconsistent,
        ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Transient => Unseen::Unreachable,
    };
    Completeness::Incomplete { cause, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::catalog::SecretRef;
    use crate::model::secret::Secret;
    use crate::model::snapshot::Fact;
    use crate::model::time::Timestamp;
    use crate::world::SecretStore;

    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    #[tokio::test]
    async fn a_secret_shows_its_current_version_and_what_is_pending() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(folder.path().join("v"), folder.path().join("i"), Arc::new(Fixed)).unwrap();
        let secret = SecretRef { source: "v".into(), region: ".".to_owned(), name: "db".to_owned() };
        vault.put(&secret, &"a".into(), &Secret::new(b"CANARY".to_vec())).await.unwrap();
        vault.promote(&secret, None, &"a".into()).await.unwrap();
        let collector = VaultSecrets::new("v".into(), vault.clone());
        let seen = collector.collect(&Fixed).await.populations.remove(0);
        assert_eq!(seen.resources[0].id.as_str(), "vault:v/db");
        assert_eq!(seen.resources[0].get("version"), Some(Fact::Text("a")));
        assert_eq!(seen.resources[0].get("has_pending"), Some(Fact::Bool(false)));
        vault.put(&secret, &"b".into(), &Secret::new(b"CANARY".to_vec())).await.unwrap();
        let seen = collector.collect(&Fixed).await;
        assert_eq!(seen.populations[0].resources[0].get("has_pending"), Some(Fact::Bool(true)));
        assert!(seen.populations[0].resources[0].get("pending_since").is_some());
        assert!(!format!("{:?} {:?}", seen.populations, seen.receipt).contains("CANARY"));
    }

    #[expect(clippy::disallowed_methods, reason = "a vault that is gone cannot be read")]
    #[tokio::test]
    async fn a_vault_that_cannot_be_read_is_incomplete_and_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(folder.path().join("v"), folder.path().join("i"), Arc::new(Fixed)).unwrap();
        for (gone, cause) in [("v", Unseen::Unreachable), ("i", Unseen::Denied)] {
            std::fs::remove_file(folder.path().join(gone)).unwrap();
            let seen = VaultSecrets::new("v".into(), vault.clone()).collect(&Fixed).await;
            let Completeness::Incomplete { cause: was, .. } = &seen.receipt.completeness else { panic!("complete") };
            assert_eq!(*was, cause);
        }
    }
}
