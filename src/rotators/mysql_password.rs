//! The password of one account of MySQL, in place: the old one is refused as soon as the new one is let in. The value is that of a role
//! of PostgreSQL.

use async_trait::async_trait;

use super::mysql::Accounts;
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, MysqlAccount};
use crate::model::secret::Secret;
use crate::transport::mysql::Mysql;
use crate::transport::patience::within;
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
        let accounts = Accounts {
            users: vec![declared.user.clone()],
            from: declared.account_host.clone(),
            database,
            password: declared.password.clone(),
            probe: declared.probe.clone(),
        };
        Self { accounts, user: declared.user.clone() }
    }
}

#[async_trait]
impl Rotator for AccountPassword {
    fn capabilities(&self) -> Capabilities {
        MysqlAccount::SINGLE
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
}

#[async_trait]
impl Target for AccountPassword {
    async fn list(&self) -> Result<Listing, WorldError> {
        let operation = self.accounts.doing(&format!("look at account {}", self.user));
        let mut conn = self.accounts.database.admin(&operation).await?;
        let listing = within(&operation, async {
            let now = self.accounts.now(&mut conn, &operation).await?;
            let found = self.accounts.find(&mut conn, &self.user, &operation).await?;
            // What nobody set through slm is let in by no version of ours: it does not speak against the one in force, and is installed over.
            let view = found.map(|found| KeyView {
                id: self.user.as_str().into(),
                active: found.active && found.version.is_some(),
                version: found.version,
                created: None,
                last_used: LastUse::Untold,
                ours: true,
            });
            Ok(Listing { now, keys: view.into_iter().collect() })
        })
        .await?;
        let _ = conn.disconnect().await;
        Ok(listing)
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.accounts.install(value, version, over, async |_, _| Ok(())).await
    }

    async fn reread(&self, _: &KeyId) -> Result<Secret, WorldError> {
        Err(self.accounts.never("read the password of", "the server keeps only what it can check it with"))
    }

    async fn change(&self, _: &KeyId, _: KeyChange) -> Result<(), WorldError> {
        Err(self.accounts.never("change", "it has one value, which is in force"))
    }
}
