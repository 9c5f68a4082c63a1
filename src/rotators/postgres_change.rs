//! Changes of a login role of PostgreSQL: what is there is compared under a lock of the server, and replaced in the same transaction.

use postgres_protocol::escape::{escape_identifier as identifier, escape_literal as literal};
use postgres_protocol::password::scram_sha_256;
use tokio_postgres::Client;

use super::login::Known;
use super::postgres::{MARK, Roles, UNSET, taken, version_of};
use crate::model::id::{KeyId, VersionId};
use crate::model::secret::Secret;
use crate::transport::patience::within;
use crate::transport::postgres::failure;
use crate::world::{ErrorClass, KeyChange, WorldError};

impl Roles {
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
            // Who disabled it since had read further than whoever installs it now; or it was a person, who alone knows why.
            let remedy = format!("`ALTER ROLE {} LOGIN` lets it in again, and `slm resume` goes on", identifier(user));
            return if active { Ok(()) } else { Err(conflict(format!("it was installed, and disabled since: {remedy}"))) };
        }
        if have.as_ref() != over.filter(|over| over.as_str() != UNSET) {
            return Err(conflict(have.map_or_else(|| "no version is there".to_owned(), |have| format!("version {have} is there"))));
        }
        // One that is in force is let in by nobody again; any other that is not ours is somebody's. In place there is no other.
        if have.is_none() && active && self.owner.is_some() {
            return Err(conflict(taken(user)));
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
}
