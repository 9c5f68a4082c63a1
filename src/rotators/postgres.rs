//! Login roles of PostgreSQL. The comment of a role names the version its password belongs to, and changes with it.

use postgres_protocol::escape::{escape_identifier as identifier, escape_literal as literal};
use postgres_protocol::password::scram_sha_256;
use tokio_postgres::{Client, Row};

use super::login::{self, Door, Known};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::NewPassword;
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::transport::patience::within;
use crate::transport::postgres::{Login, Postgres, failure};
use crate::world::{ErrorClass, Fresh, KeyChange, KeyView, LastUse, Listing, Trial, WorldError};

/// Before the version in the comment of a role.
const MARK: &str = "slm:";
/// Stands for the version of a role whose password nobody has set through slm.
const UNSET: &str = "unset";

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
        // A name from a secret is told only when the config repo tells it as well.
        if !self.users.contains(&known.username) {
            return Ok(Trial::Refused("its role is not declared".to_owned()));
        }
        let operation = self.doing(&format!("log in as {}", known.username));
        let client = match self.database.login(&known.username, &known.password, &operation).await? {
            Login::In(client) => client,
            Login::Refused(why) => return Ok(Trial::Refused(why)),
        };
        let Some(probe) = &self.probe else { return Ok(Trial::Accepted) };
        within(&operation, async {
            match client.simple_query(probe).await.map_err(|error| failure(&operation, &error)) {
                Ok(_) => Ok(Trial::Accepted),
                Err(error) if error.class == ErrorClass::Transient => Err(error),
                Err(error) => Ok(Trial::Refused(format!("the probe failed: {}", error.cause))),
            }
        })
        .await
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
    fn patience(&self) -> Option<f64> {
        self.end_sessions_after.map(|limit| limit.as_seconds() as f64)
    }

    /// Has `value` let in as `version`, all at once or not at all.
    pub(super) async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        let known = self.parse(value)?;
        let operation = self.doing(&format!("install version {version} as role {}", known.username));
        if !self.users.contains(&known.username) {
            return Err(WorldError { class: ErrorClass::Permanent, operation, cause: "the role is not declared".to_owned() });
        }
        let mut client = self.database.admin(&operation).await?;
        within(&operation, self.compare_and_set(&mut client, &known, version, over, &operation)).await
    }

    async fn compare_and_set(
        &self,
        client: &mut Client,
        known: &Known,
        version: &VersionId,
        over: Option<&VersionId>,
        operation: &str,
    ) -> Result<(), WorldError> {
        let wrong = |error| failure(operation, &error);
        let user = &known.username;
        let transaction = client.transaction().await.map_err(wrong)?;
        let lock = "select pg_advisory_xact_lock(hashtextextended($1, 0))";
        transaction.execute(lock, &[&format!("{MARK}{user}")]).await.map_err(wrong)?;
        let role = "select shobj_description(oid, 'pg_authid'), coalesce(pg_has_role(oid, $2::text::name, 'member'), true), \
            coalesce('role=' || $2::text = any(rolconfig), $2::text is null), rolcanlogin from pg_roles where rolname::text = $1";
        let found = transaction.query_opt(role, &[user, &self.owner]).await.map_err(wrong)?;
        let mut statements = String::new();
        let (mut member, mut acts) = (self.owner.is_none(), self.owner.is_none());
        let (mut have, mut active) = (None, false);
        match &found {
            Some(row) => {
                active = row.try_get(3).map_err(wrong)?;
                have = version_of(row.try_get(0).map_err(wrong)?);
                (member, acts) = (row.try_get(1).map_err(wrong)?, row.try_get(2).map_err(wrong)?);
            }
            None => statements.push_str(&format!("CREATE ROLE {} NOLOGIN;", identifier(user))),
        }
        let conflict = |cause| WorldError { class: ErrorClass::Conflict, operation: operation.to_owned(), cause };
        if have.as_ref() == Some(version) {
            // Who disabled it since had read further than whoever installs it now.
            return if active { Ok(()) } else { Err(conflict("it was installed, and disabled since".to_owned())) };
        }
        if have.as_ref() != over.filter(|over| over.as_str() != UNSET) {
            return Err(conflict(have.map_or_else(|| "no version is there".to_owned(), |have| format!("version {have} is there"))));
        }
        let name = identifier(user);
        let owner = self.owner.as_deref().unwrap_or_default();
        if !member {
            statements.push_str(&format!("GRANT {} TO {name};", identifier(owner)));
        }
        if !acts {
            statements.push_str(&format!("ALTER ROLE {name} SET role = {};", literal(owner)));
        }
        // The server makes the verifier of any text, and would log that text.
        let verifier = scram_sha_256(known.password.as_bytes());
        statements.push_str(&format!("ALTER ROLE {name} LOGIN PASSWORD {};", literal(&verifier)));
        statements.push_str(&format!("COMMENT ON ROLE {name} IS {};", literal(&format!("{MARK}{version}"))));
        transaction.batch_execute(&statements).await.map_err(wrong)?;
        transaction.commit().await.map_err(wrong)
    }

    pub(super) async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        let (what, word) = match change {
            KeyChange::Disable => ("disable", "NOLOGIN"),
            KeyChange::Enable => ("enable", "LOGIN"),
            KeyChange::Delete => return Err(self.never("delete", "its role is used again")),
        };
        if !self.users.iter().any(|user| user == key.as_str()) {
            return Err(self.never(what, "the role is not declared"));
        }
        let operation = self.doing(&format!("{what} role {key}"));
        let mut client = self.database.admin(&operation).await?;
        within(&operation, async {
            let wrong = |error| failure(&operation, &error);
            let transaction = client.transaction().await.map_err(wrong)?;
            let lock = "select pg_advisory_xact_lock(hashtextextended($1, 0))";
            transaction.execute(lock, &[&format!("{MARK}{key}")]).await.map_err(wrong)?;
            let role = "select shobj_description(oid, 'pg_authid') from pg_roles where rolname::text = $1";
            let Some(row) = transaction.query_opt(role, &[&key.as_str()]).await.map_err(wrong)? else {
                let cause = "there is no such role".to_owned();
                let missing = WorldError { class: ErrorClass::NotFound, operation: operation.clone(), cause };
                return if change == KeyChange::Disable { Ok(()) } else { Err(missing) };
            };
            let have = version_of(row.try_get(0).map_err(wrong)?);
            // Its name is used again: what was to be ended or brought back may have made way for another.
            if seen.is_some_and(|seen| have.as_ref() != Some(seen).filter(|seen| seen.as_str() != UNSET)) {
                let cause = have.map_or_else(|| "no version is there".to_owned(), |have| format!("version {have} is there"));
                return Err(WorldError { class: ErrorClass::Conflict, operation: operation.clone(), cause });
            }
            transaction.batch_execute(&format!("ALTER ROLE {} {word}", identifier(key.as_str()))).await.map_err(wrong)?;
            transaction.commit().await.map_err(wrong)?;
            if let (KeyChange::Disable, Some(patience)) = (change, self.patience()) {
                let end = "select pg_terminate_backend(a.pid) from pg_stat_activity a join pg_roles r on r.oid = a.usesysid \
                    where r.rolname::text = $1 and a.backend_start <= clock_timestamp() - make_interval(secs => $2)";
                client.execute(end, &[&key.as_str(), &patience]).await.map_err(wrong)?;
            }
            Ok(())
        })
        .await
    }

    pub(super) fn never(&self, what: &str, cause: &str) -> WorldError {
        WorldError { class: ErrorClass::Permanent, operation: self.doing(&format!("{what} a role")), cause: cause.to_owned() }
    }
}

fn version_of(comment: Option<&str>) -> Option<VersionId> {
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

/// True when `view` is of a role whose password nobody has set through slm.
pub(super) fn is_unset(view: &KeyView) -> bool {
    view.version.as_ref().is_some_and(|version| version.as_str() == UNSET)
}
