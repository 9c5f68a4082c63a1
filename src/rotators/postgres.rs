//! Login roles of PostgreSQL. The comment of a role names the version its password belongs to, and changes with it.

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Row;

use super::login::{self, Door, Known};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::NewPassword;
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::transport::patience::within;
use crate::transport::postgres::{Login, Postgres, failure};
use crate::world::{ErrorClass, Fresh, KeyView, LastUse, Listing, Trial, WorldError};

/// Before the version in the comment of a role.
pub(super) const MARK: &str = "slm:";
/// Stands for the version of a role whose password nobody has set through slm.
pub(super) const UNSET: &str = "unset";

/// Roles of one database.
pub(super) struct Roles {
    pub users: Vec<String>,
    /// The role that owns what they make.
    pub owner: Option<String>,
    pub database: Postgres,
    pub password: NewPassword,
    pub probe: Option<String>,
    pub end_sessions_after: Option<Limit>,
}

impl Roles {
    pub(super) fn doing(&self, what: &str) -> String {
        let server = self.database.server();
        format!("{what} in database {} at {}", server.dbname, server.host)
    }

    pub(super) fn parse(&self, value: &Secret) -> Result<Known, WorldError> {
        login::parse(value, || self.doing("use a value"))
    }

    pub(super) fn identify(&self, value: &Secret) -> Option<KeyId> {
        let known = self.parse(value).ok()?;
        self.users.contains(&known.username).then(|| known.username.as_str().into())
    }

    /// A new value for `user`; nothing is touched.
    pub(super) async fn fresh(&self, slot: &VersionId, user: &str) -> Result<Fresh, WorldError> {
        let server = self.database.server();
        let door = Door { host: &server.host, port: server.port, dbname: &server.dbname };
        login::fresh((slot, user, user.into()), door, &self.password, None, self.doing("make a password")).await
    }

    pub(super) async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        let known = self.parse(value)?;
        // A name from a secret is told only when the config repo tells it as well; that it is not declared refuses nothing.
        let declared = self.users.contains(&known.username);
        let who = if declared { known.username.as_str() } else { "a role that is not declared" };
        let operation = self.doing(&format!("log in as {who}"));
        let client = match self.database.login(&known.username, &known.password, &operation).await? {
            Login::In(_) if !declared => return Ok(Trial::Elsewhere(format!("it is let in as {who}"))),
            Login::In(client) => client,
            Login::Refused(_) if !declared => return Ok(Trial::Refused("its role is not declared".to_owned())),
            Login::Refused(why) => return Ok(Trial::Refused(why)),
        };
        let Some(probe) = &self.probe else { return Ok(Trial::Accepted) };
        within(&operation, async {
            match client.simple_query(probe).await.map_err(|error| failure(&operation, &error)) {
                Ok(_) => Ok(Trial::Accepted),
                Err(error) if error.class == ErrorClass::Transient => Err(error),
                Err(error) => Ok(Trial::Useless(format!("the probe failed: {}", error.cause))),
            }
        })
        .await
    }

    /// Where they log in.
    pub(super) fn place(&self) -> String {
        let server = self.database.server();
        format!("PostgreSQL at {}:{}", server.host, server.port)
    }

    /// Every declared role that exists.
    pub(super) async fn list(&self) -> Result<Listing, WorldError> {
        let operation = self.doing("list roles");
        let client = self.database.admin(&operation).await?;
        within(&operation, async {
            let wrong = |error| failure(&operation, &error);
            let clock = "select (extract(epoch from clock_timestamp()) * 1000000)::int8";
            let now: i64 = client.query_one(clock, &[]).await.and_then(|row| row.try_get(0)).map_err(wrong)?;
            let now = Timestamp::from_microsecond(now).map_err(|error| WorldError {
                class: ErrorClass::Transient,
                operation: operation.clone(),
                cause: error.to_string(),
            })?;
            // Without the right to see it, the start of a session is unknown: it counts as young.
            let roles = "select r.rolname::text, r.rolcanlogin, shobj_description(r.oid, 'pg_authid'), \
                (select count(*) from pg_stat_activity a where a.usesysid = r.oid \
                    and coalesce(a.backend_start > clock_timestamp() - make_interval(secs => $2), true)) \
                from pg_roles r where r.rolname::text = any($1) order by 1";
            let rows = client.query(roles, &[&self.users, &self.patience()]).await.map_err(wrong)?;
            let keys = rows.iter().map(|row| view(row, now)).collect::<Result<_, _>>().map_err(wrong)?;
            Ok(Listing { now, keys })
        })
        .await
    }

    /// How long a session may be open and still count, in seconds; `None` when every session counts.
    #[expect(clippy::cast_precision_loss, reason = "limits are at most a century")]
    pub(super) fn patience(&self) -> Option<f64> {
        self.end_sessions_after.map(|limit| limit.as_seconds() as f64)
    }

    pub(super) fn never(&self, what: &str, cause: &str) -> WorldError {
        WorldError { class: ErrorClass::Permanent, operation: self.doing(&format!("{what} a role")), cause: cause.to_owned() }
    }
}

/// The version that the comment of a role names.
pub(super) fn version_of(comment: Option<&str>) -> Option<VersionId> {
    comment?.strip_prefix(MARK).map(VersionId::from)
}

fn view(row: &Row, now: Timestamp) -> Result<KeyView, tokio_postgres::Error> {
    let (name, comment): (&str, _) = (row.try_get(0)?, row.try_get(2)?);
    let last_used = match row.try_get::<_, i64>(3)? {
        0 => LastUse::Untold,
        1 => LastUse::At(now, "1 session".to_owned()),
        count => LastUse::At(now, format!("{count} sessions")),
    };
    Ok(KeyView {
        id: name.into(),
        active: row.try_get(1)?,
        // Not `None`, which says that the target keeps no versions: what is not ours yet must be installed over.
        version: Some(version_of(comment).unwrap_or_else(|| UNSET.into())),
        created: None,
        last_used,
        ours: true,
    })
}

/// Why `user` of two in turn gets no new password.
pub(super) fn taken(user: &str) -> String {
    let disabled = format!("`ALTER ROLE {} NOLOGIN`", escape_identifier(user));
    format!("slm did not set the password of `{user}`, and who logs in by it would be locked out; {disabled} says that nobody does")
}

/// True when `view` is of a role whose password nobody has set through slm.
pub(super) fn is_unset(view: &KeyView) -> bool {
    view.version.as_ref().is_some_and(|version| version.as_str() == UNSET)
}
