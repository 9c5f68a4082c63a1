//! A service of yours that is told of a new version by a signed request and answers with the versions it stores and runs.
//!
//! Each request is a JSON object: `event` (`deliver`, `activate` or `observe`), `credential`, `consumer`, `version`, and where the value
//! lives. The value itself is sent only when the config says so.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::reply;
use crate::model::catalog::{SecretRef, Send, WebhookConsumer};
use crate::model::id::{ConsumerId, CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::http::{Http, Sent, is_safe};
use crate::world::{Consumer, ConsumerView, ErrorClass, WorldError};

/// How long one request may take unless the config says otherwise.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One service.
pub struct Webhook {
    http: Http,
    config: WebhookConsumer,
    key: Secret,
    credential: CredentialId,
    secret: SecretRef,
    consumer: ConsumerId,
}

impl Webhook {
    /// The service of `config` for `credential`, whose value is in `secret`; `key` signs every request, and files are found from
    /// `root`.
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`] when an address is not `https` and when `ca-file` vouches for nobody; [`ErrorClass::Denied`] when there is no key.
    pub fn new(
        root: &Path,
        credential: CredentialId,
        secret: SecretRef,
        consumer: ConsumerId,
        config: WebhookConsumer,
        key: Option<Secret>,
    ) -> Result<Self, WorldError> {
        let wrong = |class, cause: String| WorldError { class, operation: format!("use webhook `{consumer}`"), cause };
        if std::iter::once(&config.url).chain(&config.status_url).any(|url| !is_safe(url)) {
            return Err(wrong(ErrorClass::Permanent, "its address is not `https`".to_owned()));
        }
        let key = key.filter(|key| !key.expose().is_empty());
        let key = key.ok_or_else(|| wrong(ErrorClass::Denied, format!("variable `{}` is not set", config.sign_env)))?;
        let timeout = config.timeout.map_or(TIMEOUT, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()));
        let http = Http::vouched_for(timeout, root, config.ca_file.as_deref());
        let http = http.map_err(|cause| wrong(ErrorClass::Permanent, cause))?;
        Ok(Self { http, config, key, credential, secret, consumer })
    }

    fn operation(&self, what: &str) -> String {
        format!("{what} webhook `{}` of `{}`", self.consumer, self.credential)
    }

    fn refused(&self, class: ErrorClass, what: &str, cause: &str) -> WorldError {
        WorldError { class, operation: self.operation(what), cause: cause.to_owned() }
    }

    /// `sha256=` and the HMAC of `body` in hexadecimal digits.
    fn signature(&self, body: &[u8]) -> Result<String, WorldError> {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.expose());
        let mut mac = mac.map_err(|_| self.refused(ErrorClass::Permanent, "sign for", "the key cannot sign"))?;
        mac.update(body);
        let digits: Vec<String> = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("sha256={}", digits.concat()))
    }

    async fn post(&self, event: &str, version: Option<&VersionId>, value: Option<&str>) -> Result<ConsumerView, WorldError> {
        let secret = json!({ "source": self.secret.source, "region": self.secret.region, "name": self.secret.name });
        let mut body = json!({
            "event": event, "credential": self.credential, "consumer": self.consumer, "version": version, "secret": secret,
        });
        if let Some(value) = value {
            body["value"] = value.into();
        }
        let body = Zeroizing::new(body.to_string().into_bytes());
        let version = version.map_or("-", VersionId::as_str);
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", format!("{}/{}/{version}/{event}", self.credential, self.consumer)),
            ("x-slm-signature-256", self.signature(&body)?),
        ];
        self.answer(Sent { method: "POST", url: &self.config.url, headers: &headers, body: body.to_vec() }, event).await
    }

    async fn answer(&self, sent: Sent<'_>, event: &str) -> Result<ConsumerView, WorldError> {
        let bytes = self.http.send(sent, &self.operation(event)).await?;
        // A service with an address of its own for its state may answer anything to an event.
        if self.config.status_url.is_some() && event != "observe" {
            return Ok(ConsumerView::default());
        }
        reply::view(&bytes).map_err(|cause| self.refused(ErrorClass::Permanent, event, cause))
    }

    /// Without an address for its state, the answer to an event has to name the version.
    fn confirm(&self, event: &str, seen: Option<&VersionId>, version: &VersionId) -> Result<(), WorldError> {
        if self.config.status_url.is_some() || seen == Some(version) {
            return Ok(());
        }
        Err(self.refused(ErrorClass::Transient, event, "the reply names another version"))
    }
}

#[async_trait]
impl Consumer for Webhook {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let Some(url) = &self.config.status_url else { return self.post("observe", None, None).await };
        let headers = [("x-slm-signature-256", self.signature(url.as_bytes())?)];
        self.answer(Sent { method: "GET", url, headers: &headers, body: Vec::new() }, "observe").await
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let value = match self.config.send {
            Send::Reference => None,
            Send::Value => {
                let text = value.expose_text();
                Some(text.map_err(|error| self.refused(ErrorClass::Permanent, "deliver", &error.to_string()))?)
            }
        };
        let view = self.post("deliver", Some(version), value).await?;
        self.confirm("deliver", view.stored.as_ref(), version)
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        let view = self.post("activate", Some(version), None).await?;
        self.confirm("activate", view.running.as_ref(), version)
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url: Value = self.config.url.as_str().into();
        f.debug_struct("Webhook").field("url", &url).finish_non_exhaustive()
    }
}
