//! The password of one login role of PostgreSQL, in place: the old one is refused as soon as the new one is let in. The value is that of
//! two roles in turn.

use async_trait::async_trait;

use super::postgres::{Roles, is_unset};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, PostgresPassword};
use crate::model::secret::Secret;
use crate::transport::postgres::Postgres;
use crate::world::{Fresh, KeyChange, Listing, Rotator, Target, Trial, WorldError};

/// One role.
pub struct RolePassword {
    roles: Roles,
    user: String,
}

impl RolePassword {
    /// The role in `declared`, in `database`.
    #[must_use]
    pub fn new(declared: &PostgresPassword, database: Postgres) -> Self {
        let roles = Roles {
            users: vec![declared.user.clone()],
            owner: None,
            database,
            password: declared.password.clone(),
            probe: declared.probe.clone(),
            end_sessions_after: None,
        };
        Self { roles, user: declared.user.clone() }
    }
}

#[async_trait]
impl Rotator for RolePassword {
    fn capabilities(&self) -> Capabilities {
        Capabilities::IN_PLACE
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.roles.identify(value)
    }

    async fn create(&self, slot: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        self.roles.fresh(slot, &self.user).await
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.roles.verify(value).await
    }

    fn place(&self) -> Option<String> {
        Some(self.roles.place())
    }
}

#[async_trait]
impl Target for RolePassword {
    async fn list(&self) -> Result<Listing, WorldError> {
        let mut listing = self.roles.list().await?;
        // What nobody set through slm is let in by no version of ours: it does not speak against the one in force, and is installed over.
        for key in listing.keys.iter_mut().filter(|key| is_unset(key)) {
            (key.active, key.version) = (false, None);
        }
        Ok(listing)
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.roles.install(value, version, over).await
    }

    async fn reread(&self, _: &KeyId) -> Result<Secret, WorldError> {
        Err(self.roles.never("read the password of", "the server keeps only what it can check it with"))
    }

    async fn change(&self, _: &KeyId, _: Option<&VersionId>, _: KeyChange) -> Result<(), WorldError> {
        Err(self.roles.never("change", "it has one value, which is in force"))
    }
}
