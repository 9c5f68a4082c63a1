//! Two passwords of one account of MySQL: the new one is let in and the old one retained until it is discarded. The value is that of a
//! role of PostgreSQL, with `version` and `follows`: which password it is, and which it may be let in beside.
//!
//! A server keeps two and drops a third without a word. So a value is let in beside the one it was made after and beside no other,
//! whoever asks and however late; and one that has made way is named in `gone`, and never let in again.

use async_trait::async_trait;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use serde_json::json;

use super::login::Turn;
use super::mysql::{Accounts, Found, UNSET};
use super::mysql_way::{Way, way};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, MysqlAccount};
use crate::model::secret::Secret;
use crate::transport::mysql::{Mysql, failure, literal};
use crate::transport::patience::within;
use crate::world::{ErrorClass, Fresh, KeyChange, KeyView, LastUse, Listing, Rotator, Target, Trial, WorldError};

/// One account.
pub struct DualPassword {
    accounts: Accounts,
    user: String,
}

impl DualPassword {
    /// The account in `declared`, at `database`.
    #[must_use]
    pub fn new(declared: &MysqlAccount, database: Mysql) -> Self {
        Self { accounts: Accounts::one(declared, database), user: declared.user.clone() }
    }

    /// Lets `known` in as `version`, in one statement.
    async fn set(&self, conn: &mut Conn, password: &str, turn: &Turn, operation: &str) -> Result<(), WorldError> {
        let wrong = |error| failure(operation, &error);
        let account = self.accounts.account(&self.user);
        let kept = self.accounts.kept(password).await?;
        let found = match self.accounts.locked(conn, &self.user, operation).await? {
            Some(found) => found,
            None => {
                // Nobody gets in before the statement below, after which the same password is the old one as well.
                let made = format!("create user {account} identified with caching_sha2_password as {kept} account lock");
                conn.query_drop(made).await.map_err(wrong)?;
                Found { active: false, version: None, old: None, gone: Vec::new() }
            }
        };
        let conflict = |cause| WorldError { class: ErrorClass::Conflict, operation: operation.to_owned(), cause };
        let (version, mut gone) = (&turn.version, found.gone.clone());
        let (retain, old) = match way(&found, version, &turn.follows).map_err(conflict)? {
            Way::There => return Ok(()),
            Way::Beside => {
                gone.clear();
                ("retain current password ", found.first())
            }
            Way::Instead => {
                gone.push(found.first().to_owned());
                ("", turn.follows.as_str())
            }
        };
        let attribute = literal(&json!({ "slm": { "version": version, "old": old, "gone": gone } }).to_string());
        let set = format!(
            "alter user {account} identified with caching_sha2_password as {kept} {retain}account unlock attribute {attribute}"
        );
        conn.query_drop(set).await.map_err(wrong)
    }

    /// Ends the password of `key`; the other one stays, and is the only one.
    async fn discard(&self, conn: &mut Conn, key: &str, operation: &str) -> Result<(), WorldError> {
        let wrong = |error| failure(operation, &error);
        let account = self.accounts.account(&self.user);
        let Some(found) = self.accounts.locked(conn, &self.user, operation).await? else { return Ok(()) };
        let mut gone = found.gone.clone();
        gone.push(key.to_owned());
        match found.second() {
            Some(second) if second == key => {
                let attribute = literal(&json!({ "slm": { "old": null, "gone": gone } }).to_string());
                conn.query_drop(format!("alter user {account} discard old password attribute {attribute}")).await.map_err(wrong)
            }
            Some(second) if found.first() == key => {
                // The old password takes the place of the one that goes: what the server keeps of it is put there as it is.
                let kept = "select json_unquote(json_extract(user_attributes, '$.additional_password')) from mysql.user \
                    where user = ? and host = ?";
                let kept: Option<Option<String>> = conn.exec_first(kept, (&self.user, &self.accounts.from)).await.map_err(wrong)?;
                let kept = kept.flatten().ok_or_else(|| self.accounts.never("go back to the old password of", "there is none"))?;
                let kept: String = kept.bytes().map(|byte| format!("{byte:02x}")).collect();
                let attribute = literal(&json!({ "slm": { "version": second, "old": second, "gone": gone } }).to_string());
                let back = format!("alter user {account} identified with caching_sha2_password as 0x{kept} attribute {attribute}");
                conn.query_drop(back).await.map_err(wrong)?;
                // Cut off here, both are the same password, and the next one to be retained takes the place of the old one.
                let attribute = literal(&json!({ "slm": { "old": null } }).to_string());
                conn.query_drop(format!("alter user {account} discard old password attribute {attribute}")).await.map_err(wrong)
            }
            None if found.first() == key => Err(self.accounts.never("discard the only password of", "nothing else is let in")),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Rotator for DualPassword {
    fn capabilities(&self) -> Capabilities {
        MysqlAccount::DUAL
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        let known = self.accounts.declared(value)?;
        Some(known.turn.as_ref().map_or(UNSET, |turn| turn.version.as_str()).into())
    }

    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        let current = current.map(|current| self.accounts.parse(current)).transpose()?;
        let follows = current.as_ref().and_then(|current| current.turn.as_ref()).map_or(UNSET, |turn| &turn.version);
        let turn = Turn { version: slot.as_str().to_owned(), follows: follows.to_owned() };
        self.accounts.fresh(slot, &self.user, slot.as_str().into(), Some(turn)).await
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.accounts.verify(value).await
    }

    fn place(&self) -> Option<String> {
        Some(self.accounts.place())
    }
}

#[async_trait]
impl Target for DualPassword {
    /// A session does not tell by which password it came in, and goes on whichever is discarded.
    async fn list(&self) -> Result<Listing, WorldError> {
        let keys = |found: Option<Found>| {
            let versions = found.iter().flat_map(|found| [Some(found.first()), found.second()].into_iter().flatten());
            let view = |version: &str| KeyView {
                id: version.into(),
                active: found.as_ref().is_some_and(|found| found.active),
                version: Some(version.into()),
                created: None,
                last_used: LastUse::Untold,
                ours: version != UNSET,
            };
            versions.map(view).collect()
        };
        self.accounts.listing(&self.user, keys).await
    }

    async fn install(&self, value: &Secret, version: &VersionId, _: Option<&VersionId>) -> Result<(), WorldError> {
        let operation = self.accounts.doing(&format!("let version {version} in as account {}", self.user));
        let known =
            self.accounts.declared(value).filter(|known| known.turn.as_ref().is_some_and(|turn| turn.version == version.as_str()));
        let Some((known, turn)) = known.as_ref().and_then(|known| Some((known, known.turn.as_ref()?))) else {
            let cause = "the value is of another account or version".to_owned();
            return Err(WorldError { class: ErrorClass::Permanent, operation, cause });
        };
        let mut conn = self.accounts.database.admin(&operation).await?;
        within(&operation, self.set(&mut conn, &known.password, turn, &operation)).await?;
        // The end of the connection is the end of the lock, whichever way it comes.
        let _ = conn.disconnect().await;
        Ok(())
    }

    async fn reread(&self, _: &KeyId) -> Result<Secret, WorldError> {
        Err(self.accounts.unreadable())
    }

    async fn change(&self, key: &KeyId, _: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        if change != KeyChange::Delete {
            return Err(self.accounts.never("disable one password of", "the server locks whole accounts"));
        }
        let operation = self.accounts.doing(&format!("discard version {key} of account {}", self.user));
        let mut conn = self.accounts.database.admin(&operation).await?;
        within(&operation, self.discard(&mut conn, key.as_str(), &operation)).await?;
        let _ = conn.disconnect().await;
        Ok(())
    }
}
