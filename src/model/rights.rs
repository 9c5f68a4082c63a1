//! What the administrator of a database may do there, as the database itself tells it before a rotation asks for it.

use std::collections::{BTreeMap, BTreeSet};

/// Rights at one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// At PostgreSQL.
    Postgres(PostgresRights),
    /// At MySQL.
    Mysql(MysqlRights),
}

/// Rights of one role of PostgreSQL over others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresRights {
    /// Of the server, as in `160004`.
    pub version: i32,
    /// Nothing is refused to it.
    pub superuser: bool,
    /// It may create roles.
    pub create_role: bool,
    /// The server follows another one and takes no change.
    pub standby: bool,
    /// It may see since when anybody's session is open.
    pub sees_all: bool,
    /// It may end the session of anybody but a superuser.
    pub ends_all: bool,
    /// Those that exist, of the roles that were asked about.
    pub roles: BTreeMap<String, PostgresRole>,
    /// Of those, who is a member of whom: member and group.
    pub members: BTreeSet<(String, String)>,
}

/// One role of PostgreSQL, and what the administrator is to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostgresRole {
    /// Only a superuser touches it.
    pub superuser: bool,
    /// Before 16, only a superuser touches it.
    pub replication: bool,
    /// The administrator has it with ADMIN OPTION.
    pub admin: bool,
    /// The administrator has the rights of it.
    pub used: bool,
}

/// Rights of one account of MySQL, those of its active roles included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MysqlRights {
    /// Privileges on everything, as in `CREATE USER`.
    pub global: BTreeSet<String>,
    /// Roles that it may hand on, as in `app@%`.
    pub admin_of: BTreeSet<String>,
    /// Those that exist, of the accounts and roles that were asked about, as in `app@%`; `None` when it may not read of them.
    pub accounts: Option<BTreeSet<String>>,
    /// Whether it may see who is logged in, and can.
    pub sessions: Sessions,
    /// The server takes no change from anybody.
    pub super_read_only: bool,
    /// The server takes no change but from those who run it.
    pub read_only: bool,
}

/// Whether a server tells who is logged in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sessions {
    /// It does.
    Told,
    /// Not to this account.
    #[default]
    Denied,
    /// To nobody: `performance_schema` is off.
    Off,
}
