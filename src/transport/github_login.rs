//! How a client proves to GitHub who it is: by a token, or as an App that fetches short-lived tokens of one installation.

use std::time::Duration;

use octocrab::Octocrab;
use octocrab::models::{AppId, InstallationId};
use octocrab::service::middleware::retry::RetryConfig;

use super::github_failure::Failure;
use crate::model::secret::Secret;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Who calls. Without its secret it calls nobody: what an anonymous caller sees is never taken for the whole.
pub enum Login {
    /// The holder of a token.
    Token(Option<Secret>),
    /// An App in one installation. Its tokens live an hour; one that has less than 30 seconds left, more than a call may take, is
    /// replaced before it is used.
    App {
        /// The App's number.
        id: u64,
        /// The installation's number.
        installation: u64,
        /// The App's private key, PEM text.
        key: Option<Secret>,
    },
}

impl Login {
    /// A client of the API root `base`. Nothing is sent yet.
    pub(super) fn client(&self, base: &str) -> Result<Octocrab, Failure> {
        // It fails only when a provider is installed, which is as good.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let builder = || Octocrab::builder().base_uri(base).map_err(|_| Failure::BadRoot);
        match self {
            Self::Token(token) => {
                let token = token.as_ref().and_then(|token| token.expose_text().ok()).map(str::trim);
                // A token that is no header text would make the client panic.
                let usable = |token: &&str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
                let token = token.filter(usable).ok_or(Failure::NoToken)?.to_owned();
                let builder = builder()?.personal_token(token).add_retry_config(RetryConfig::None);
                builder.set_connect_timeout(Some(CONNECT)).build().map_err(|_| Failure::BadRoot)
            }
            Self::App { id, installation, key } => {
                app(base, *id, key.as_ref())?.installation(InstallationId(*installation)).map_err(|_| Failure::NoKey)
            }
        }
    }

    /// A client that calls as the App itself and in no installation; `None` for a token. Nothing is sent yet.
    pub(super) fn as_app(&self, base: &str) -> Result<Option<Octocrab>, Failure> {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        match self {
            Self::Token(_) => Ok(None),
            Self::App { id, key, .. } => app(base, *id, key.as_ref()).map(Some),
        }
    }
}

fn app(base: &str, id: u64, key: Option<&Secret>) -> Result<Octocrab, Failure> {
    let key = key.ok_or(Failure::NoKey)?;
    let builder = Octocrab::builder().base_uri(base).map_err(|_| Failure::BadRoot)?;
    let builder = builder.app_from_rsa_pem(AppId(id), key.expose()).map_err(|_| Failure::NoKey)?;
    let builder = builder.add_retry_config(RetryConfig::None).set_connect_timeout(Some(CONNECT));
    builder.build().map_err(|_| Failure::BadRoot)
}
