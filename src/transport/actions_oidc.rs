//! The OIDC token of a GitHub Actions job, exchanged with AWS for credentials of a role: no key is stored anywhere.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::config::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::github::segment;
use super::http::{Http, Sent, is_safe};
use crate::model::secret::Secret;
use crate::world::{ErrorClass, WorldError};

/// The audience that AWS documents for it.
pub const AUDIENCE: &str = "sts.amazonaws.com";
/// How long the runner's service may take.
const ANSWER: Duration = Duration::from_secs(15);

/// Where a job asks for its token, and with what.
pub struct Identity {
    url: String,
    bearer: Secret,
    audience: String,
}

#[derive(Deserialize)]
struct Reply {
    value: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// The identity that is asked for at `url` with `bearer`, both as the runner gives them to the job.
    #[must_use]
    pub fn new(url: String, bearer: Secret, audience: String) -> Self {
        Self { url, bearer, audience }
    }

    /// A token of now; it lives some minutes.
    ///
    /// # Errors
    /// When the runner gives none. Neither token is in the error.
    pub async fn token(&self) -> Result<Secret, WorldError> {
        let operation = "ask the runner for its OIDC token";
        let failed = |class, cause: &str| WorldError { class, operation: operation.to_owned(), cause: cause.to_owned() };
        if !is_safe(&self.url) {
            return Err(failed(ErrorClass::Permanent, "`ACTIONS_ID_TOKEN_REQUEST_URL` is no `https` address"));
        }
        let bearer = self.bearer.expose_text().map_err(|_| failed(ErrorClass::Permanent, "the token to ask with is no text"))?;
        let joint = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}audience={}", self.url, segment(&self.audience));
        let headers = [("authorization", format!("Bearer {}", bearer.trim())), ("accept", "application/json".to_owned())];
        let sent = Sent { method: "GET", url: &url, headers: &headers, body: Vec::new() };
        let body = Http::new(ANSWER).send(sent, operation).await?;
        let reply: Reply =
            serde_json::from_slice(&body).map_err(|_| failed(ErrorClass::Permanent, "the answer has another shape"))?;
        Ok(Secret::new(reply.value.into_bytes()))
    }

    /// What the token says of the job; not the token itself, which no claim gives away.
    ///
    /// # Errors
    /// As of [`Self::token`], and when it is no token.
    pub async fn claims(&self) -> Result<serde_json::Value, WorldError> {
        payload(&self.token().await?).ok_or_else(|| WorldError {
            class: ErrorClass::Permanent,
            operation: "read the OIDC token".to_owned(),
            cause: "it is no JSON web token".to_owned(),
        })
    }
}

/// The payload of a JSON web token. Nothing is verified: whoever takes the token does that.
fn payload(token: &Secret) -> Option<serde_json::Value> {
    let text = token.expose_text().ok()?;
    let mut parts = text.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

/// Credentials of a role by the identity of a job, asked for anew before they end.
#[derive(Debug)]
pub struct Federated {
    /// Who the job is.
    pub identity: Arc<Identity>,
    /// The role's ARN.
    pub role: String,
    /// The name of the session, seen in CloudTrail.
    pub session: String,
    /// STS, without credentials: the token is the proof.
    pub sts: aws_sdk_sts::Client,
}

impl Federated {
    async fn exchange(&self) -> Result<Credentials, CredentialsError> {
        let token = self.identity.token().await.map_err(CredentialsError::provider_error)?;
        let text = token.expose_text().map_err(|_| CredentialsError::provider_error("the token is no text"))?;
        let call = self.sts.assume_role_with_web_identity().role_arn(&self.role).role_session_name(&self.session);
        // Of what STS answers its code is enough; a message may repeat the token.
        let answer = call.web_identity_token(text).send().await.map_err(|error| {
            let code = error.as_service_error().and_then(|error| error.meta().code()).unwrap_or("no answer").to_owned();
            CredentialsError::provider_error(format!("STS refuses the token for `{}`: {code}; `slm ci doctor` says why", self.role))
        })?;
        let given = answer.credentials().ok_or_else(|| CredentialsError::provider_error("STS gave no credentials"))?;
        let until = SystemTime::try_from(*given.expiration()).map_err(CredentialsError::provider_error)?;
        let (id, secret, session) = (given.access_key_id(), given.secret_access_key(), given.session_token());
        Ok(Credentials::new(id, secret, Some(session.to_owned()), Some(until), "actions-oidc"))
    }
}

impl ProvideCredentials for Federated {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.exchange())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_of_a_token_are_read_and_what_is_no_token_has_none() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = |text: String| Secret::new(text.into_bytes());
        let made = token(format!("{}.{}.{}", part("{}"), part("{\"sub\":\"repo:a/b:c\"}"), part("x")));
        assert_eq!(payload(&made), Some(serde_json::json!({ "sub": "repo:a/b:c" })));
        for wrong in ["", "a.b", "a.!.c", "a.YQ.c"] {
            assert_eq!(payload(&token(wrong.to_owned())), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_token_is_asked_for_over_tls_or_on_this_machine_alone() {
        let identity = Identity::new("http://example.com/token".to_owned(), Secret::new(b"canary".to_vec()), AUDIENCE.to_owned());
        let error = identity.token().await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "could not ask the runner for its OIDC token: `ACTIONS_ID_TOKEN_REQUEST_URL` is no `https` address"
        );
        assert_eq!(format!("{identity:?}"), "Identity");
    }
}
