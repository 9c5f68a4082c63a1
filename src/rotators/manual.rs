//! Values that a person stores: slm makes none, and tries them by the one request that the config declares.
//!
//! What a vendor says is never repeated: an error names the host and the status.

use std::time::Duration;

use async_trait::async_trait;
use minijinja::context;
use serde_json::Value as Json;

use super::http_answer::{Answer, origin, wipe};
use super::http_step::{UNEXPECTED, body, headers};
use crate::model::id::{CredentialId, KeyId, VersionId};
use crate::model::rotator::{Capabilities, HttpStep, Manual};
use crate::model::secret::Secret;
use crate::transport::http::{Http, Reply, class, is_safe};
use crate::world::{ErrorClass, Fresh, Rotator, Trial, WorldError};

/// How long the request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Statuses with which a value is refused; others of failure say nothing of the value.
const REFUSED: [u16; 2] = [401, 403];

/// What a person rotates.
pub struct ByHand {
    credential: CredentialId,
    verify: Option<HttpStep>,
    http: Http,
}

impl ByHand {
    /// `credential`, as `declared`.
    #[must_use]
    pub fn new(declared: &Manual, credential: &CredentialId) -> Self {
        Self { credential: credential.clone(), verify: declared.verify.clone(), http: Http::new(TIMEOUT) }
    }

    fn wrong(&self, class: ErrorClass, cause: &str) -> WorldError {
        let place = self.verify.as_ref().map_or(String::new(), |step| format!(" at {}", origin(&step.url)));
        WorldError { class, operation: format!("try the value of `{}`{place}", self.credential), cause: cause.to_owned() }
    }

    /// Sends `step` with `value` filled in: `{{ value }}` is the text, `{{ json.NAME }}` a field of it when it is JSON.
    async fn ask(&self, step: &HttpStep, value: &Secret) -> Result<Reply, WorldError> {
        if !is_safe(&step.url) {
            return Err(self.wrong(ErrorClass::Permanent, "its address is not `https`"));
        }
        let failed = |cause: String| self.wrong(ErrorClass::Permanent, &cause);
        let text = value.expose_text().map_err(|cause| failed(cause.to_string()))?;
        let mut json: Json = serde_json::from_str(text).unwrap_or(Json::Null);
        let filled = context! { value => text, json => minijinja::value::Serde(&json) };
        wipe(&mut json);
        let mut headers = headers(step.headers.iter(), &filled).map_err(failed)?;
        let body = body(step, &filled).map_err(failed)?;
        headers.extend(body.as_ref().map(|(kind, _)| ("content-type".to_owned(), (*kind).to_owned())));
        let body = body.map(|(_, body)| body).unwrap_or_default();
        let sent = self.http.exchange(step.method.as_str(), &step.url, headers, body).await;
        sent.map_err(|cause| self.wrong(ErrorClass::Transient, &cause))
    }
}

#[async_trait]
impl Rotator for ByHand {
    fn capabilities(&self) -> Capabilities {
        Capabilities::UNVALIDATED
    }

    fn identify(&self, _: &Secret) -> Option<KeyId> {
        None
    }

    async fn create(&self, _: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        let operation = format!("make a value of `{}`", self.credential);
        Err(WorldError { class: ErrorClass::Permanent, operation, cause: "a person rotates it".to_owned() })
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        let step = self.verify.as_ref().ok_or_else(|| self.wrong(ErrorClass::Permanent, "no `verify` is declared"))?;
        let reply = self.ask(step, value).await?;
        if REFUSED.contains(&reply.status) {
            return Ok(Trial::Refused(format!("HTTP {}", reply.status)));
        }
        if let Some(class) = class(reply.status) {
            return Err(self.wrong(class, &format!("HTTP {}", reply.status)));
        }
        if step.expect.is_empty() {
            return Ok(Trial::Accepted);
        }
        let json = serde_json::from_slice(&reply.body);
        let json = json.map_err(|_| self.wrong(ErrorClass::Permanent, "the answer is not JSON"))?;
        let answer = Answer { now: reply.date, json };
        Ok(if answer.shows(&step.expect) { Trial::Accepted } else { Trial::Useless(UNEXPECTED.to_owned()) })
    }
}
