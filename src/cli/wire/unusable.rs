//! What stands in for what cannot be built.

use std::collections::BTreeMap;

use crate::model::catalog::SecretRef;
use crate::model::id::{RegisterName, RotationId, VersionId};
use crate::model::secret::Secret;
use crate::world::{Consumer, ConsumerView, Registers, SecretStore, SecretView, WorldError};

/// What the config asks for and what cannot be built.
pub(super) struct Unusable(pub(super) WorldError);

impl Unusable {
    fn refuse<T>(&self) -> Result<T, WorldError> {
        let WorldError { class, operation, cause } = &self.0;
        Err(WorldError { class: *class, operation: operation.clone(), cause: cause.clone() })
    }
}

#[async_trait::async_trait]
impl SecretStore for Unusable {
    async fn describe(&self, _: &SecretRef) -> Result<SecretView, WorldError> {
        self.refuse()
    }

    async fn read(&self, _: &SecretRef, _: &VersionId) -> Result<Secret, WorldError> {
        self.refuse()
    }

    async fn put(&self, _: &SecretRef, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
        self.refuse()
    }

    async fn promote(&self, _: &SecretRef, _: Option<&VersionId>, _: &VersionId) -> Result<(), WorldError> {
        self.refuse()
    }
}

#[async_trait::async_trait]
impl Registers for Unusable {
    async fn read(&self, _: &RotationId, _: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        self.refuse()
    }

    async fn write_once(&self, _: &RotationId, _: &RegisterName, _: &str) -> Result<String, WorldError> {
        self.refuse()
    }
}

#[async_trait::async_trait]
impl Consumer for Unusable {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.refuse()
    }

    async fn deliver(&self, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
        self.refuse()
    }

    async fn activate(&self, _: &VersionId) -> Result<(), WorldError> {
        self.refuse()
    }
}
