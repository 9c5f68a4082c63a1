//! Asks a database ahead of a rotation what its administrator may do there: one connection, read only.

use std::collections::BTreeSet;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tokio_postgres::Client;

use crate::model::rights::{MysqlRights, PostgresRights, PostgresRole, Sessions};
use crate::transport::mysql::{self, Mysql};
use crate::transport::patience::within;
use crate::transport::postgres::{self, Postgres};
use crate::world::{ErrorClass, WorldError};

/// Of the administrator itself, and of its server.
const SELF: &str = "select current_setting('server_version_num')::int, rolsuper, rolcreaterole, pg_is_in_recovery(), \
    pg_has_role('pg_read_all_stats', 'USAGE'), pg_has_role('pg_signal_backend', 'USAGE') from pg_roles where rolname = current_user";
/// Of the roles that it is to change.
const ROLES: &str = "select rolname::text, rolsuper, rolreplication, pg_has_role(oid, 'MEMBER WITH ADMIN OPTION'), \
    pg_has_role(oid, 'USAGE'), rolcanlogin and coalesce(shobj_description(oid, 'pg_authid') not like 'slm:%', true) \
    from pg_roles where rolname::text = any($1)";
/// Who of them is a member of whom.
const MEMBERS: &str = "select m.rolname::text, g.rolname::text from pg_roles m, pg_roles g where m.rolname::text = any($1) \
    and g.rolname::text = any($1) and m.oid <> g.oid and pg_has_role(m.oid, g.oid, 'MEMBER')";

/// What the administrator of `database` may do with `roles`.
///
/// # Errors
/// When it is not let in, or the server does not answer.
pub async fn of_postgres(database: &Postgres, roles: &BTreeSet<String>) -> Result<PostgresRights, WorldError> {
    let operation = format!("ask {} who may change roles", database.server().host);
    let mut client = database.admin(&operation).await?;
    within(&operation, async {
        let asked = ask_postgres(&mut client, roles).await;
        asked.map_err(|error| postgres::failure(&operation, &error))
    })
    .await
}

async fn ask_postgres(client: &mut Client, roles: &BTreeSet<String>) -> Result<PostgresRights, tokio_postgres::Error> {
    let names: Vec<&str> = roles.iter().map(String::as_str).collect();
    let asking = client.build_transaction().read_only(true).start().await?;
    let own = asking.query_one(SELF, &[]).await?;
    let mut rights = PostgresRights {
        version: own.try_get(0)?,
        superuser: own.try_get(1)?,
        create_role: own.try_get(2)?,
        standby: own.try_get(3)?,
        sees_all: own.try_get(4)?,
        ends_all: own.try_get(5)?,
        ..PostgresRights::default()
    };
    for row in asking.query(ROLES, &[&names]).await? {
        let role = PostgresRole {
            superuser: row.try_get(1)?,
            replication: row.try_get(2)?,
            admin: row.try_get(3)?,
            used: row.try_get(4)?,
            taken: row.try_get(5)?,
        };
        rights.roles.insert(row.try_get(0)?, role);
    }
    for row in asking.query(MEMBERS, &[&names]).await? {
        rights.members.insert((row.try_get(0)?, row.try_get(1)?));
    }
    asking.rollback().await?;
    Ok(rights)
}

/// What the administrator of `database` may do with `accounts`, each a name and from where it may come.
///
/// # Errors
/// When it is not let in, or the server does not answer.
pub async fn of_mysql(database: &Mysql, accounts: &BTreeSet<(String, String)>) -> Result<MysqlRights, WorldError> {
    let operation = format!("ask {} who may change accounts", database.server().host);
    let mut conn = database.admin(&operation).await?;
    let rights = within(&operation, ask_mysql(&mut conn, accounts, &operation)).await;
    let _ = conn.disconnect().await;
    rights
}

async fn ask_mysql(conn: &mut Conn, accounts: &BTreeSet<(String, String)>, operation: &str) -> Result<MysqlRights, WorldError> {
    let wrong = |error| mysql::failure(operation, &error);
    conn.query_drop("start transaction read only").await.map_err(wrong)?;
    let state = "select @@global.read_only, @@global.super_read_only, @@performance_schema";
    let state: Option<(bool, bool, bool)> = conn.query_first(state).await.map_err(wrong)?;
    let (read_only, super_read_only, told) = state.unwrap_or_default();
    let mut rights = MysqlRights { read_only, super_read_only, ..MysqlRights::default() };
    for grant in conn.query::<String, _>("show grants").await.map_err(wrong)? {
        granted(&grant, &mut rights);
    }
    // The columns that a rotation reads: to see some of a table is not to see those.
    let listed = "select account_locked = 'N' and json_extract(user_attributes, '$.metadata.slm.version') is null from mysql.user \
        where user = ? and host = ?";
    let mut known = Some(BTreeSet::new());
    for (user, host) in accounts {
        let found = conn.exec_first::<bool, _, _>(listed, (user, host)).await;
        match found.map_err(wrong) {
            Ok(None) => {}
            Ok(Some(taken)) => {
                let name = format!("{user}@{host}");
                rights.taken.extend(taken.then(|| name.clone()));
                known.as_mut().map(|all| all.insert(name));
            }
            Err(error) if error.class == ErrorClass::Denied => known = None,
            Err(error) => return Err(error),
        }
    }
    rights.accounts = known;
    let listed = conn.query_first::<u8, _>("select 1 from performance_schema.threads limit 1").await;
    rights.sessions = match listed.map_err(wrong) {
        Ok(_) if told => Sessions::Told,
        Ok(_) => Sessions::Off,
        Err(error) if error.class == ErrorClass::Denied => Sessions::Denied,
        Err(error) => return Err(error),
    };
    conn.query_drop("rollback").await.map_err(wrong)?;
    Ok(rights)
}

/// Keeps what one line of `SHOW GRANTS` says: privileges on everything, and roles that may be handed on.
fn granted(line: &str, rights: &mut MysqlRights) {
    let Some((what, to)) = line.strip_prefix("GRANT ").and_then(|rest| rest.rsplit_once(" TO `")) else { return };
    match what.rsplit_once(" ON ") {
        Some((privileges, "*.*")) => rights.global.extend(privileges.split(',').map(|one| one.trim().to_owned())),
        Some(_) => {}
        None if to.ends_with(" WITH ADMIN OPTION") => {
            let plain = |role: &str| role.trim().replace('`', "");
            rights.admin_of.extend(what.split(',').map(plain));
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mysql_grants_on_everything_counts_and_what_it_grants_on_something_does_not() {
        let mut rights = MysqlRights::default();
        for line in [
            "GRANT CREATE USER ON *.* TO `slm`@`%`",
            "GRANT CONNECTION_ADMIN,ROLE_ADMIN ON *.* TO `slm`@`%` WITH GRANT OPTION",
            "GRANT SELECT (`host`, `user`) ON `mysql`.`user` TO `slm`@`%`",
            "GRANT ALL PRIVILEGES ON `shop`.* TO `slm`@`%`",
            "GRANT `app`@`%`,`other`@`10.0.0.1` TO `slm`@`%` WITH ADMIN OPTION",
            "GRANT `held`@`%` TO `slm`@`%`",
            "REVOKE SELECT ON `mysql`.* FROM `slm`@`%`",
        ] {
            granted(line, &mut rights);
        }
        assert_eq!(rights.global, ["CONNECTION_ADMIN", "CREATE USER", "ROLE_ADMIN"].map(str::to_owned).into());
        assert_eq!(rights.admin_of, ["app@%", "other@10.0.0.1"].map(str::to_owned).into());
    }
}
