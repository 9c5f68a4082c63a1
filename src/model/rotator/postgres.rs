//! Login roles of PostgreSQL.

use schemars::JsonSchema;
use serde::Deserialize;

use super::NewPassword;
use crate::model::time::Limit;

/// A PostgreSQL database and how slm reaches it. What is stored names this host, whatever a secret may say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PostgresServer {
    /// Its name or address, as consumers use it.
    pub host: String,
    /// Its port.
    #[serde(default = "postgres_port")]
    pub port: u16,
    /// The database.
    pub dbname: String,
    /// Whether new values are tried over TLS.
    #[serde(default)]
    pub sslmode: SslMode,
    /// Environment variable that holds the connection string of a role that may alter the rotated ones.
    pub admin_env: String,
}

fn postgres_port() -> u16 {
    5_432
}

/// Whether a connection is encrypted. Nothing in between: what is encrypted only when nobody objects is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Encrypted, and the server's certificate names the host and comes from a root of this machine or of `SSL_CERT_FILE`.
    #[default]
    Require,
    /// In the clear.
    Disable,
}

/// `postgres-alternating = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PostgresAlternating {
    /// The two login roles.
    pub users: [String; 2],
    /// The role without a login that owns what either of them makes; both are members and act as it.
    pub owner_role: String,
    /// Where they log in.
    pub server: PostgresServer,
    /// How a password is made.
    #[serde(default)]
    pub password: NewPassword,
    /// A statement that a new value must be able to run.
    pub probe: Option<String>,
    /// A session open for this long does not hold up the end of its role, and is ended with it; without it every session does and none
    /// is.
    pub end_sessions_after: Option<Limit>,
}

/// `postgres-password = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PostgresPassword {
    /// The login role.
    pub user: String,
    /// Where it logs in.
    pub server: PostgresServer,
    /// How a password is made.
    #[serde(default)]
    pub password: NewPassword,
    /// A statement that a new value must be able to run.
    pub probe: Option<String>,
}
