//! PostgreSQL: connections of the administrator and of whoever holds a value, and what a server's refusals mean.

use std::error::Error as _;
use std::sync::{Arc, OnceLock};

use tokio_postgres::config::{Host, SslMode as Wanted};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::patience::{CONNECT, late};
use crate::model::rotator::{PostgresServer, SslMode};
use crate::model::secret::Secret;
use crate::world::{ErrorClass, WorldError};

/// Where a server looks up who may come from where; it names this place in every language.
const HOST_RULES: &str = "ClientAuthentication";

/// One database.
pub struct Postgres {
    server: PostgresServer,
    admin: Option<Secret>,
    tls: OnceLock<MakeRustlsConnect>,
}

/// What a server says to somebody who wants in.
pub enum Login {
    /// Come in.
    In(Client),
    /// Not with this name and password, for this reason.
    Refused(String),
}

impl Postgres {
    /// The database of `server`; `admin` is the connection string of who may alter roles, and without it those calls are refused.
    #[must_use]
    pub fn new(server: &PostgresServer, admin: Option<Secret>) -> Self {
        Self { server: server.clone(), admin, tls: OnceLock::new() }
    }

    /// What is declared of it.
    #[must_use]
    pub fn server(&self) -> &PostgresServer {
        &self.server
    }

    /// A connection of the administrator, over TLS unless the connection string says `sslmode=disable`.
    ///
    /// # Errors
    /// When there is no connection string, it says nothing of use, or the server does not let it in.
    pub async fn admin(&self, operation: &str) -> Result<Client, WorldError> {
        let name = &self.server.admin_env;
        let wrong = |class, cause: String| WorldError { class, operation: operation.to_owned(), cause };
        let Some(admin) = &self.admin else {
            return Err(wrong(ErrorClass::Denied, format!("environment variable `{name}` is not set")));
        };
        // What was read is not told: an error about a connection string may quote it.
        let config = admin.expose_text().ok().and_then(|text| text.parse::<Config>().ok());
        let Some(mut config) = config else {
            return Err(wrong(ErrorClass::Permanent, format!("environment variable `{name}` holds no connection string")));
        };
        let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let clear = local || config.get_ssl_mode() == Wanted::Disable;
        config.ssl_mode(if clear { Wanted::Disable } else { Wanted::Require });
        let connected = self.connect(&config, operation).await?;
        connected.map_err(|error| match failure(operation, &error) {
            WorldError { class: ErrorClass::Permanent, operation, cause } if is_refusal(&error) => {
                WorldError { class: ErrorClass::Denied, operation, cause }
            }
            other => other,
        })
    }

    /// Has `user` log in with `password` to the declared database, whatever the value was stored with.
    ///
    /// # Errors
    /// When the server does not say whether it lets them in.
    pub async fn login(&self, user: &str, password: &str, operation: &str) -> Result<Login, WorldError> {
        let mut config = Config::new();
        config.host(&self.server.host).port(self.server.port).dbname(&self.server.dbname);
        config.user(user).password(password).application_name("slm");
        config.ssl_mode(match self.server.sslmode {
            SslMode::Require => Wanted::Require,
            SslMode::Disable => Wanted::Disable,
        });
        match self.connect(&config, operation).await? {
            Ok(client) => Ok(Login::In(client)),
            Err(error) if is_refusal(&error) => Ok(Login::Refused(cause(&error))),
            Err(error) => Err(failure(operation, &error)),
        }
    }

    async fn connect(&self, config: &Config, operation: &str) -> Result<Result<Client, Error>, WorldError> {
        let connecting = async {
            if config.get_ssl_mode() == Wanted::Disable {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(connection);
                return Ok(client);
            }
            let (client, connection) = config.connect(self.tls(operation)?).await?;
            tokio::spawn(connection);
            Ok(client)
        };
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(client)) => Ok(Ok(client)),
            Ok(Err(Trouble::Server(error))) => Ok(Err(error)),
            Ok(Err(Trouble::Ours(error))) => Err(error),
            Err(_) => Err(late(operation, CONNECT)),
        }
    }

    /// Certificates of servers are always checked.
    fn tls(&self, operation: &str) -> Result<MakeRustlsConnect, WorldError> {
        if let Some(made) = self.tls.get() {
            return Ok(made.clone());
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let wrong = |error: rustls::Error| WorldError {
            class: ErrorClass::Permanent,
            operation: operation.to_owned(),
            cause: error.to_string(),
        };
        let config = builder.map_err(wrong)?.with_root_certificates(roots).with_no_client_auth();
        Ok(self.tls.get_or_init(|| MakeRustlsConnect::new(config)).clone())
    }
}

enum Trouble {
    Server(Error),
    Ours(WorldError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl From<WorldError> for Trouble {
    fn from(error: WorldError) -> Self {
        Self::Ours(error)
    }
}

/// True when the server refused this name and password, and not the machine we come from.
fn is_refusal(error: &Error) -> bool {
    let host_rules = || error.as_db_error().and_then(|error| error.routine()) == Some(HOST_RULES);
    match error.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD => true,
        Some(code) => *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION && !host_rules(),
        None => false,
    }
}

/// What may be done after `error`.
#[must_use]
pub fn failure(operation: &str, error: &Error) -> WorldError {
    let class = match error.code() {
        None => ErrorClass::Transient,
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => ErrorClass::Denied,
        Some(code) if *code == SqlState::UNDEFINED_OBJECT => ErrorClass::NotFound,
        // 40 rolled back, 53 out of something, 55 locked, 57 being restarted, 08 cut off; XX is what two at one role get.
        Some(code) => match code.code().get(..2) {
            Some("08" | "40" | "53" | "55" | "57" | "XX") => ErrorClass::Transient,
            _ => ErrorClass::Permanent,
        },
    };
    WorldError { class, operation: operation.to_owned(), cause: cause(error) }
}

fn cause(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        // Its message may quote what was sent.
        (Some(said), _) => format!("SQLSTATE {}", said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
