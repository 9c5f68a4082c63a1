//! What a login may do, as the source itself tells it before a rotation asks for it: the administrator of a database there, and a
//! login of GitHub.

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
    /// It may log in with a password that slm did not set.
    pub taken: bool,
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
    /// Of those, who may log in with a password that slm did not set.
    pub taken: BTreeSet<String>,
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

/// What the login of one source of GitHub may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubRights {
    /// Who it is.
    pub login: GithubLogin,
    /// Repositories by `owner/name`: what it is there, or why that is not known; `None` of one that is not shown to it.
    pub repos: BTreeMap<String, Result<Option<GithubRepo>, String>>,
    /// Whether the holder of a token owns the organisation, or why that is not known; `None` when nobody asked.
    pub owner: Option<Result<bool, String>>,
}

/// Who calls GitHub, as far as it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GithubLogin {
    /// An App in one installation.
    App {
        /// What it was given, as in `secrets` and `write`.
        permissions: BTreeMap<String, String>,
        /// Nothing is let through any more.
        suspended: bool,
    },
    /// The holder of a classic token with these scopes.
    Classic(BTreeSet<String>),
    /// Somebody of whom that is not told, for this reason.
    Untold(String),
}

impl GithubLogin {
    /// This, or `other` when of this nothing is told.
    #[must_use]
    pub fn better(self, other: Self) -> Self {
        if matches!(self, Self::Untold(_)) { other } else { self }
    }
}

/// One repository, and what a login is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GithubRepo {
    /// Nobody changes it.
    pub archived: bool,
    /// Anybody may read it.
    pub public: bool,
    /// The role of the holder of a token; `None` when it is not told.
    pub role: Option<GithubRole>,
}

/// What somebody is in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GithubRole {
    /// May read, or nothing.
    Read,
    /// May write.
    Write,
    /// May administer.
    Admin,
}
