//! Accounts of MySQL.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Capabilities, Issuer, NewPassword, Overlap, SslMode};
use crate::model::time::Limit;

/// A MySQL server and how slm reaches it. What is stored names this host, whatever a secret may say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MysqlServer {
    /// Its name or address, as consumers use it.
    pub host: String,
    /// Its port.
    #[serde(default = "mysql_port")]
    pub port: u16,
    /// The database that a value is for.
    pub dbname: String,
    /// Whether new values are tried over TLS.
    #[serde(default)]
    pub sslmode: SslMode,
    /// Environment variable that holds the connection URL of an account that may alter the rotated ones.
    pub admin_env: String,
}

fn mysql_port() -> u16 {
    3_306
}

fn anywhere() -> String {
    "%".to_owned()
}

/// `mysql-alternating = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MysqlAlternating {
    /// The names of the two accounts.
    pub users: [String; 2],
    /// From where they may come: the part after the `@` of an account.
    #[serde(default = "anywhere")]
    pub account_host: String,
    /// The role that has the privileges of both; each gets it, by default.
    pub role: String,
    /// Where they log in.
    pub server: MysqlServer,
    /// How a password is made.
    #[serde(default)]
    pub password: NewPassword,
    /// A statement that a new value must be able to run.
    pub probe: Option<String>,
    /// A session idle for this long does not hold up the end of its account, and is ended with it; without it every session does and
    /// none is.
    pub end_sessions_idle_for: Option<Limit>,
}

/// One account of MySQL: `mysql-dual = { .. }` and `mysql-password = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MysqlAccount {
    /// The name of the account.
    pub user: String,
    /// From where it may come: the part after the `@` of the account.
    #[serde(default = "anywhere")]
    pub account_host: String,
    /// Where it logs in.
    pub server: MysqlServer,
    /// How a password is made.
    #[serde(default)]
    pub password: NewPassword,
    /// A statement that a new value must be able to run.
    pub probe: Option<String>,
}

impl MysqlAccount {
    /// Two passwords of one account: the old one is kept until it is discarded, and cannot be locked alone.
    pub const DUAL: Capabilities = Capabilities {
        issuer: Issuer::Client,
        overlap: Overlap::Dual { max: 2 },
        reread: false,
        follows: true,
        disable: false,
        delete: true,
    };
}
