//! The password of one account of MySQL, in place: the old one is refused as soon as the new one is let in. The value is that of a role
//! of PostgreSQL.

use async_trait::async_trait;

use super::mysql::{Accounts, Found};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, MysqlAccount};
use crate::model::secret::Secret;
use crate::transport::mysql::Mysql;
use crate::world::{Fresh, KeyChange, KeyView, LastUse, Listing, Rotator, Target, Trial, WorldError};

/// One account.
pub struct AccountPassword {
    accounts: Accounts,
    user: String,
}

impl AccountPassword {
    /// The account in `declared`, at `database`.
    #[must_use]
    pub fn new(declared: &MysqlAccount, database: Mysql) -> Self {
        Self { accounts: Accounts::one(declared, database), user: declared.user.clone() }
    }
}

#[async_trait]
impl Rotator for AccountPassword {
    fn capabilities(&self) -> Capabilities {
        Capabilities::IN_PLACE
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.accounts.declared(value).map(|known| known.username.as_str().into())
    }

    async fn create(&self, slot: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        self.accounts.fresh(slot, &self.user, self.user.as_str().into(), None).await
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.accounts.verify(value).await
    }

    fn place(&self) -> Option<String> {
        Some(self.accounts.place())
    }
}

#[async_trait]
impl Target for AccountPassword {
    async fn list(&self) -> Result<Listing, WorldError> {
        // What nobody set through slm is let in by no version of ours: it does not speak against the one in force, and is installed over.
        let view = |found: Found| KeyView {
            id: self.user.as_str().into(),
            active: found.active && found.version.is_some(),
            version: found.version,
            created: None,
            last_used: LastUse::Untold,
            ours: true,
        };
        self.accounts.listing(&self.user, |found| found.map(view).into_iter().collect()).await
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.accounts.install(value, version, over, async |_, _| Ok(())).await
    }

    async fn reread(&self, _: &KeyId) -> Result<Secret, WorldError> {
        Err(self.accounts.unreadable())
    }

    async fn change(&self, _: &KeyId, _: Option<&VersionId>, _: KeyChange) -> Result<(), WorldError> {
        Err(self.accounts.never("change", "it has one value, which is in force"))
    }
}
