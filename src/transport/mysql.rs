//! MySQL: connections of the administrator and of whoever holds a value, and what a server's refusals mean.

use std::sync::OnceLock;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Opts, OptsBuilder, SslOpts};

pub use super::mysql_verifier::{SALT, verifier};
use super::patience::{CONNECT, late};
use crate::model::rotator::{MysqlServer, SslMode};
use crate::model::secret::Secret;
use crate::world::{ErrorClass, WorldError};

/// The longest name of a lock.
const LOCK: usize = 64;
/// How long another run may hold a lock, in seconds.
const PATIENCE: u8 = 10;
/// What a packet may hold; told, so that no connection asks.
const PACKET: usize = 1 << 20;

/// One server.
pub struct Mysql {
    server: MysqlServer,
    admin: Option<Secret>,
    tls: OnceLock<SslOpts>,
}

/// What a server says to somebody who wants in.
pub enum Login {
    /// Come in.
    In(Box<Conn>),
    /// Not with this name and password, for this reason.
    Refused(String),
}

impl Mysql {
    /// The server of `server`; `admin` is the connection URL of who may alter accounts, and without it those calls are refused.
    #[must_use]
    pub fn new(server: &MysqlServer, admin: Option<Secret>) -> Self {
        Self { server: server.clone(), admin, tls: OnceLock::new() }
    }

    /// What is declared of it.
    #[must_use]
    pub fn server(&self) -> &MysqlServer {
        &self.server
    }

    /// A connection of the administrator, over TLS unless the connection URL says `sslmode=disable`.
    ///
    /// # Errors
    /// When there is no connection URL, it says nothing of use, the server does not let it in, or is no MySQL.
    pub async fn admin(&self, operation: &str) -> Result<Conn, WorldError> {
        let name = &self.server.admin_env;
        let wrong = |class, cause: String| WorldError { class, operation: operation.to_owned(), cause };
        let Some(admin) = &self.admin else {
            return Err(wrong(ErrorClass::Denied, format!("environment variable `{name}` is not set")));
        };
        // What was read is not told: an error about a connection URL may quote it.
        let Some((opts, clear)) = admin.expose_text().ok().and_then(read) else {
            return Err(wrong(ErrorClass::Permanent, format!("environment variable `{name}` holds no connection URL")));
        };
        let connected = self.connect(opts, clear, operation).await?;
        let mut conn = connected.map_err(|error| match failure(operation, &error) {
            WorldError { operation, cause, .. } if is_refusal(&error) => WorldError { class: ErrorClass::Denied, operation, cause },
            other => other,
        })?;
        let version: Option<String> = conn.query_first("select version()").await.map_err(|error| failure(operation, &error))?;
        if version.is_some_and(|version| version.contains("MariaDB")) {
            let cause = "it is MariaDB, which keeps neither attributes of accounts nor an old password".to_owned();
            return Err(wrong(ErrorClass::Permanent, cause));
        }
        Ok(conn)
    }

    /// Has `user` log in with `password` to the declared database, whatever the value was stored with.
    ///
    /// # Errors
    /// When the server does not say whether it lets them in.
    pub async fn login(&self, user: &str, password: &str, operation: &str) -> Result<Login, WorldError> {
        let opts = OptsBuilder::default().ip_or_hostname(&self.server.host).tcp_port(self.server.port);
        let opts = opts.db_name(Some(&self.server.dbname)).user(Some(user)).pass(Some(password));
        match self.connect(opts, self.server.sslmode == SslMode::Disable, operation).await? {
            Ok(conn) => Ok(Login::In(Box::new(conn))),
            Err(error) if is_refusal(&error) => Ok(Login::Refused(cause(&error))),
            Err(error) => Err(failure(operation, &error)),
        }
    }

    async fn connect(&self, opts: OptsBuilder, clear: bool, operation: &str) -> Result<Result<Conn, Error>, WorldError> {
        // Backslashes are letters like any other, so that `literal` has quotes alone to double.
        let opts = opts.init(vec!["set sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'"]).prefer_socket(false);
        let opts = opts.max_allowed_packet(Some(PACKET)).wait_timeout(Some(usize::from(u16::MAX)));
        let opts = opts.ssl_opts((!clear).then(|| self.tls()));
        tokio::time::timeout(CONNECT, Conn::new(opts)).await.map_err(|_| late(operation, CONNECT))
    }

    /// Certificates of servers are always checked, against the roots of this machine and no others.
    fn tls(&self) -> SslOpts {
        let made = || {
            let mut taken = rustls::RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs().certs.into_iter();
            let roots = found.filter(|root| taken.add(root.clone()).is_ok());
            let roots = roots.map(|root| root.to_vec().into()).collect();
            SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots)
        };
        self.tls.get_or_init(made).clone()
    }
}

/// Reads a connection URL: who logs in where, and whether in the clear. Nothing else it may ask for is heard.
fn read(url: &str) -> Option<(OptsBuilder, bool)> {
    let (url, clear) = match url.trim().split_once('?') {
        None | Some((_, "" | "sslmode=require")) => (url.trim().split('?').next()?, false),
        Some((url, "sslmode=disable")) => (url, true),
        Some(_) => return None,
    };
    let read = Opts::from_url(url).ok()?;
    let opts = OptsBuilder::default().ip_or_hostname(read.ip_or_hostname()).tcp_port(read.tcp_port());
    Some((opts.user(read.user()).pass(read.pass()).db_name(read.db_name()), clear))
}

/// `text` between quotes, in connections of ours.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Has `conn` hold the lock `name` to its end: whoever loses it has lost the connection as well, and can send nothing on it.
///
/// # Errors
/// When another run holds it, or the server does not answer.
pub async fn lock(conn: &mut Conn, name: &str, operation: &str) -> Result<(), WorldError> {
    let name: String = name.chars().take(LOCK).collect();
    let got: Option<Option<u8>> =
        conn.exec_first("select get_lock(?, ?)", (name, PATIENCE)).await.map_err(|error| failure(operation, &error))?;
    if got.flatten() == Some(1) {
        return Ok(());
    }
    let cause = "another run is at the same account".to_owned();
    Err(WorldError { class: ErrorClass::Transient, operation: operation.to_owned(), cause })
}

/// The number of the server's complaint.
fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(said) => Some(said.code),
        _ => None,
    }
}

/// True when the server refused this name and password, or the account is locked or expired, and not the machine we come from.
fn is_refusal(error: &Error) -> bool {
    matches!(code(error), Some(1_045 | 1_862 | 3_118))
}

/// What may be done after `error`.
#[must_use]
pub fn failure(operation: &str, error: &Error) -> WorldError {
    let class = match code(error) {
        None => ErrorClass::Transient,
        // No access: to the database, a statement, a table, a column, a routine; or to the account of somebody mightier.
        Some(1_044 | 1_045 | 1_142 | 1_143 | 1_227 | 1_370 | 1_698 | 3_118 | 3_530) => ErrorClass::Denied,
        // What an account that does not exist is told, and what a session that has ended is.
        Some(1_094 | 1_396) => ErrorClass::NotFound,
        // Full, shutting down, a host that failed too often, waited or ran too long, killed, read-only.
        Some(
            1_040 | 1_041 | 1_053 | 1_129 | 1_180 | 1_203 | 1_205 | 1_213 | 1_226 | 1_290 | 1_317 | 1_836 | 3_024 | 3_100 | 3_168,
        ) => ErrorClass::Transient,
        Some(_) => ErrorClass::Permanent,
    };
    WorldError { class, operation: operation.to_owned(), cause: cause(error) }
}

fn cause(error: &Error) -> String {
    match error {
        // Its message may quote what was sent.
        Error::Server(said) => format!("MySQL error {}", said.code),
        Error::Io(error) => error.to_string(),
        Error::Driver(mysql_async::DriverError::ConnectionClosed) => "the connection was closed".to_owned(),
        _ => "the server and the client did not understand each other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_url_says_who_and_where_and_whether_in_the_clear_and_nothing_else_is_heard() {
        let opts = |url| read(url).map(|(opts, clear)| (Opts::from(opts), clear));
        let (read, clear) = opts("mysql://slm:p%40ss@db.internal:3307/mysql?sslmode=disable").unwrap();
        assert_eq!((read.user(), read.pass(), read.db_name()), (Some("slm"), Some("p@ss"), Some("mysql")));
        assert_eq!((read.ip_or_hostname(), read.tcp_port(), clear), ("db.internal", 3_307, true));
        assert!(!opts("mysql://slm@db.internal").unwrap().1);
        for wrong in
            ["", "postgres://slm@db", "mysql://slm@db?verify_identity=false", "mysql://slm@db?sslmode=disable&x=y", "host=db"]
        {
            assert!(opts(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn quotes_are_doubled_and_nothing_ends_a_literal_early() {
        assert_eq!(literal(r"a'b\'; drop user x"), r"'a''b\''; drop user x'");
    }
}
