//! Two accounts of MySQL in turn: a new value goes to the one that is not in force, so that both work until the old one is locked. The
//! value is that of two roles of PostgreSQL.

use async_trait::async_trait;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use super::mysql::{Accounts, UNSET};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, MysqlAlternating};
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::transport::mysql::{Mysql, failure, literal};
use crate::transport::patience::within;
use crate::world::{ErrorClass, Fresh, KeyChange, KeyView, LastUse, Listing, Rotator, Target, Trial, WorldError};

/// Two accounts.
pub struct AlternatingAccounts {
    accounts: Accounts,
    role: String,
    idle: Option<Limit>,
}

impl AlternatingAccounts {
    /// The accounts in `declared`, at `database`.
    #[must_use]
    pub fn new(declared: &MysqlAlternating, database: Mysql) -> Self {
        let accounts = Accounts {
            users: declared.users.to_vec(),
            from: declared.account_host.clone(),
            database,
            password: declared.password.clone(),
            probe: declared.probe.clone(),
        };
        Self { accounts, role: declared.role.clone(), idle: declared.end_sessions_idle_for }
    }

    /// The account for the value after `current`. One that cannot be read may be of either account, and neither may be touched.
    fn next(&self, current: Option<&Secret>) -> Result<&str, WorldError> {
        let taken = current.map(|current| self.accounts.parse(current)).transpose()?;
        let free = self.accounts.users.iter().find(|user| taken.as_ref().is_none_or(|taken| taken.username != **user));
        free.map(String::as_str).ok_or_else(|| self.accounts.never("choose", "both are the same"))
    }

    /// Sessions of `user`, those that have been idle for long left out, or those alone.
    async fn sessions(&self, conn: &mut Conn, user: &str, idle: bool, operation: &str) -> Result<Vec<u64>, WorldError> {
        let wrong = |error| failure(operation, &error);
        // Switched off it lists nobody, which must not pass for nobody being there.
        if conn.query_first("select @@performance_schema").await.map_err(wrong)? != Some(1) {
            let cause = "the server does not tell who is logged in: `performance_schema` is off".to_owned();
            return Err(WorldError { class: ErrorClass::Permanent, operation: operation.to_owned(), cause });
        }
        let listed = "select processlist_id from performance_schema.threads where type = 'FOREGROUND' and processlist_user = ? \
            and coalesce(processlist_command = 'Sleep' and processlist_time >= ?, false) = ?";
        conn.exec(listed, (user, self.idle.map(Limit::as_seconds), idle)).await.map_err(wrong)
    }

    async fn view(&self, conn: &mut Conn, user: &str, now: Timestamp, operation: &str) -> Result<Option<KeyView>, WorldError> {
        let Some(found) = self.accounts.find(conn, user, operation).await? else { return Ok(None) };
        let last_used = match self.sessions(conn, user, false, operation).await?.len() {
            0 => LastUse::Untold,
            1 => LastUse::At(now, "1 session".to_owned()),
            count => LastUse::At(now, format!("{count} sessions")),
        };
        Ok(Some(KeyView {
            id: user.into(),
            active: found.active,
            // Not `None`, which says that the target keeps no versions: what is not ours yet must be installed over.
            version: Some(found.version.unwrap_or_else(|| UNSET.into())),
            created: None,
            last_used,
            ours: true,
        }))
    }
}

#[async_trait]
impl Rotator for AlternatingAccounts {
    fn capabilities(&self) -> Capabilities {
        Capabilities::IN_TURN
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.accounts.declared(value).map(|known| known.username.as_str().into())
    }

    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        let user = self.next(current)?;
        let unset = |key: &KeyView| key.version.as_ref().is_some_and(|version| version.as_str() == UNSET);
        let listed = self.list().await?;
        match listed.keys.iter().any(|key| key.id.as_str() == user && key.active && unset(key)) {
            true => Err(self.accounts.never("give a new password to", &self.accounts.taken(user))),
            false => self.accounts.fresh(slot, user, user.into(), None).await,
        }
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.accounts.verify(value).await
    }

    fn place(&self) -> Option<String> {
        Some(self.accounts.place())
    }
}

#[async_trait]
impl Target for AlternatingAccounts {
    async fn list(&self) -> Result<Listing, WorldError> {
        let operation = self.accounts.doing("list accounts");
        let mut conn = self.accounts.database.admin(&operation).await?;
        let listing = within(&operation, async {
            let now = self.accounts.now(&mut conn, &operation).await?;
            let mut keys = Vec::new();
            for user in &self.accounts.users {
                keys.extend(self.view(&mut conn, user, now, &operation).await?);
            }
            Ok(Listing { now, keys })
        })
        .await?;
        let _ = conn.disconnect().await;
        Ok(listing)
    }

    /// Until the last statement an account that was missing is locked, and one that was there is as it was.
    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        let role = literal(&self.role);
        let share = async |conn: &mut Conn, account: &str| {
            conn.query_drop(format!("grant {role} to {account}")).await?;
            conn.query_drop(format!("set default role {role} to {account}")).await
        };
        self.accounts.install(value, version, over, share).await
    }

    async fn reread(&self, _: &KeyId) -> Result<Secret, WorldError> {
        Err(self.accounts.unreadable())
    }

    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        let (what, word) = match change {
            KeyChange::Disable => ("disable", "lock"),
            KeyChange::Enable => ("enable", "unlock"),
            KeyChange::Delete => return Err(self.accounts.never("delete", "it is used again")),
        };
        let user = key.as_str();
        if !self.accounts.users.iter().any(|declared| declared == user) {
            return Err(self.accounts.never(what, "it is not declared"));
        }
        let operation = self.accounts.doing(&format!("{what} account {key}"));
        let mut conn = self.accounts.database.admin(&operation).await?;
        within(&operation, async {
            let found = self.accounts.locked(&mut conn, user, &operation).await?;
            let have = found.as_ref().and_then(|found| found.version.as_ref());
            // Its name is used again: what was to be ended or brought back may have made way for another.
            if let (Some(_), Some(seen)) = (&found, seen)
                && have != Some(seen).filter(|seen| seen.as_str() != UNSET)
            {
                let cause = have.map_or_else(|| "no version is there".to_owned(), |have| format!("version {have} is there"));
                return Err(WorldError { class: ErrorClass::Conflict, operation: operation.clone(), cause });
            }
            let altered = conn.query_drop(format!("alter user {} account {word}", self.accounts.account(user))).await;
            match altered.map_err(|error| failure(&operation, &error)) {
                Err(error) if error.class == ErrorClass::NotFound && change == KeyChange::Disable => return Ok(()),
                altered => altered?,
            }
            if change != KeyChange::Disable || self.idle.is_none() {
                return Ok(());
            }
            for session in self.sessions(&mut conn, user, true, &operation).await? {
                match conn.query_drop(format!("kill connection {session}")).await.map_err(|error| failure(&operation, &error)) {
                    Err(error) if error.class != ErrorClass::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
        .await?;
        let _ = conn.disconnect().await;
        Ok(())
    }
}
