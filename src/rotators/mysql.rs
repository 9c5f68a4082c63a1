//! Accounts of MySQL. The attribute `slm` of an account names the version its password belongs to, and changes in the same statement.

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use super::login::{self, Door, Known, Turn};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{MysqlAccount, NewPassword};
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::transport::mysql::{Login, Mysql, failure, literal};
use crate::transport::patience::within;
use crate::world::{ErrorClass, Fresh, KeyView, Listing, Trial, WorldError};

/// Stands for the version of an account whose password nobody has set through slm.
pub(super) const UNSET: &str = "unset";

/// Accounts of one server.
pub(super) struct Accounts {
    pub users: Vec<String>,
    /// From where they may come.
    pub from: String,
    pub database: Mysql,
    pub password: NewPassword,
    pub probe: Option<String>,
}

/// An account as it was found.
pub(super) struct Found {
    pub active: bool,
    pub version: Option<VersionId>,
    /// Of its old password.
    pub old: Option<VersionId>,
    /// Versions that never come back.
    pub gone: Vec<String>,
}

impl Accounts {
    /// The one account in `declared`, at `database`.
    pub(super) fn one(declared: &MysqlAccount, database: Mysql) -> Self {
        Self {
            users: vec![declared.user.clone()],
            from: declared.account_host.clone(),
            database,
            password: declared.password.clone(),
            probe: declared.probe.clone(),
        }
    }

    /// The account of `user`, as `keys` shows it.
    pub(super) async fn listing(
        &self,
        user: &str,
        keys: impl FnOnce(Option<Found>) -> Vec<KeyView>,
    ) -> Result<Listing, WorldError> {
        let operation = self.doing(&format!("look at account {user}"));
        let mut conn = self.database.admin(&operation).await?;
        let listing = within(&operation, async {
            let now = self.now(&mut conn, &operation).await?;
            Ok(Listing { now, keys: keys(self.find(&mut conn, user, &operation).await?) })
        })
        .await?;
        let _ = conn.disconnect().await;
        Ok(listing)
    }

    /// Nothing but what it can check a password with is kept by the server.
    pub(super) fn unreadable(&self) -> WorldError {
        self.never("read the password of", "the server keeps only what it can check it with")
    }

    pub(super) fn doing(&self, what: &str) -> String {
        let server = self.database.server();
        format!("{what} for database {} at {}", server.dbname, server.host)
    }

    pub(super) fn parse(&self, value: &Secret) -> Result<Known, WorldError> {
        login::parse(value, || self.doing("use a value"))
    }

    /// The value, when it is of an account that is declared.
    pub(super) fn declared(&self, value: &Secret) -> Option<Known> {
        self.parse(value).ok().filter(|known| self.users.contains(&known.username))
    }

    /// A new value for `user`, listed as `key`; nothing is touched.
    pub(super) async fn fresh(&self, slot: &VersionId, user: &str, key: KeyId, turn: Option<Turn>) -> Result<Fresh, WorldError> {
        let server = self.database.server();
        let door = Door { host: &server.host, port: server.port, dbname: &server.dbname };
        login::fresh((slot, user, key), door, &self.password, turn, self.doing("make a password")).await
    }

    pub(super) async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        let known = self.parse(value)?;
        // A name from a secret is told only when the config repo tells it as well; that it is not declared refuses nothing.
        let declared = self.users.contains(&known.username);
        let who = if declared { known.username.as_str() } else { "an account that is not declared" };
        let operation = self.doing(&format!("log in as {who}"));
        let mut conn = match self.database.login(&known.username, &known.password, &operation).await? {
            Login::In(conn) if !declared => {
                let _ = conn.disconnect().await;
                return Ok(Trial::Elsewhere(format!("it is let in as {who}")));
            }
            Login::In(conn) => conn,
            Login::Refused(_) if !declared => return Ok(Trial::Refused("its account is not declared".to_owned())),
            Login::Refused(why) => return Ok(Trial::Refused(why)),
        };
        let tried = within(&operation, async {
            let Some(probe) = &self.probe else { return Ok(Trial::Accepted) };
            match conn.query_drop(probe).await.map_err(|error| failure(&operation, &error)) {
                Ok(()) => Ok(Trial::Accepted),
                Err(error) if error.class == ErrorClass::Transient => Err(error),
                Err(error) => Ok(Trial::Useless(format!("the probe failed: {}", error.cause))),
            }
        })
        .await;
        // The server notices a connection that is only dropped much later, and counts it as a session until then.
        let _ = conn.disconnect().await;
        tried
    }

    /// Where they log in.
    pub(super) fn place(&self) -> String {
        let server = self.database.server();
        format!("MySQL at {}:{}", server.host, server.port)
    }

    /// The account of `user` between quotes.
    pub(super) fn account(&self, user: &str) -> String {
        format!("{}@{}", literal(user), literal(&self.from))
    }

    pub(super) async fn find(&self, conn: &mut Conn, user: &str, operation: &str) -> Result<Option<Found>, WorldError> {
        let wrong = |error| failure(operation, &error);
        let account = "select account_locked = 'N', json_unquote(json_extract(user_attributes, '$.metadata.slm.version')), \
            json_unquote(json_extract(user_attributes, '$.metadata.slm.old')), \
            cast(json_extract(user_attributes, '$.metadata.slm.gone') as char) from mysql.user where user = ? and host = ?";
        type Row = (bool, Option<String>, Option<String>, Option<String>);
        let found: Option<Row> = conn.exec_first(account, (user, &self.from)).await.map_err(wrong)?;
        Ok(found.map(|(active, version, old, gone)| Found {
            active,
            version: version.map(VersionId::from),
            old: old.map(VersionId::from),
            gone: gone.and_then(|gone| serde_json::from_str(&gone).ok()).unwrap_or_default(),
        }))
    }

    pub(super) async fn now(&self, conn: &mut Conn, operation: &str) -> Result<Timestamp, WorldError> {
        let clock = "select cast(unix_timestamp(current_timestamp(6)) * 1000000 as signed)";
        let now: Option<i64> = conn.query_first(clock).await.map_err(|error| failure(operation, &error))?;
        now.and_then(|now| Timestamp::from_microsecond(now).ok()).ok_or_else(|| WorldError {
            class: ErrorClass::Transient,
            operation: operation.to_owned(),
            cause: "the server does not tell the time".to_owned(),
        })
    }

    /// Why `user` of two in turn gets no new password.
    pub(super) fn taken(&self, user: &str) -> String {
        let locked = format!("`ALTER USER {} ACCOUNT LOCK`", self.account(user));
        format!(
            "slm did not set the password of `{user}`, and who logs in by it would be locked out; {locked} says that nobody does"
        )
    }

    pub(super) fn never(&self, what: &str, cause: &str) -> WorldError {
        WorldError { class: ErrorClass::Permanent, operation: self.doing(&format!("{what} an account")), cause: cause.to_owned() }
    }
}
