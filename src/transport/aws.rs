//! What every use of AWS shares: who we are, and a log of what was sent and answered.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_sts::config::interceptors::{BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef};
use aws_sdk_sts::config::{ConfigBag, Intercept, ProvideCredentials as _, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use aws_sdk_sts::primitives::DateTime;

pub use super::aws_failure::{Failure, classify, error_class};
use super::aws_received::Received;
pub use super::aws_session::{Sessions, session_from};
use crate::model::receipt::Operation;
use crate::model::snapshot::{Completeness, Unseen, Value};
use crate::model::time::Timestamp;

/// Tag that names the version slm made current and when that version was written: `<version id> <instant>`.
pub const ROTATED_TAG: &str = "slm:rotated";

/// Tag that names the owner of a secret: the `owner` of the config repo that writes it.
pub const OWNER_TAG: &str = "slm:owner";

/// Who `config` calls as, whether that is `account`, and what was sent to find out; `scope` names the place in complaints.
pub async fn identity(config: &SdkConfig, account: &str, scope: &str) -> (Option<String>, Completeness, WireLog) {
    let wire = Wire::default();
    let sts = aws_sdk_sts::config::Builder::from(config).interceptor(wire.clone()).build();
    let (caller, completeness) = match aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await {
        Ok(who) if who.account() == Some(account) => (who.arn, Completeness::Complete),
        Ok(who) => {
            let detail = format!("the credentials for {scope} belong to another account");
            (who.arn, Completeness::Incomplete { cause: Unseen::Inconsistent, detail })
        }
        Err(error) => {
            let failure = Failure::of(&error);
            let detail = format!("could not ask who we are in {scope}: {failure}");
            (None, Completeness::Incomplete { cause: failure.unseen(), detail })
        }
    };
    (caller, completeness, wire.take())
}

/// When the credentials of `config` end; `None` when they do not.
///
/// # Errors
/// Why that is not known, in one line.
pub async fn expiry(config: &SdkConfig) -> Result<Option<Timestamp>, String> {
    let provider = config.credentials_provider().ok_or_else(|| "there are no credentials".to_owned())?;
    let credentials = provider.provide_credentials().await.map_err(|_| "there are no credentials".to_owned())?;
    match (credentials.expiry(), credentials.session_token()) {
        (Some(end), _) => Timestamp::try_from(end).map(Some).map_err(|_| "its end is no instant".to_owned()),
        (None, None) => Ok(None),
        (None, Some(_)) => Err("it does not say when it ends".to_owned()),
    }
}

/// What one client sent and got back. A clone shares the log.
#[derive(Clone, Default)]
pub struct Wire {
    log: Arc<Mutex<WireLog>>,
    /// Answers may hold values of secrets: they are kept only where they are wanted.
    keeps: bool,
}

/// An answer as it came.
pub struct Body {
    /// SHA-256, lower-case hex, taken before anything read it.
    pub sha256: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The content of a [`Wire`].
#[derive(Default)]
pub struct WireLog {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Answers received that were no refusals.
    pub answers: u64,
    /// Request ids of the answers, in order.
    pub request_ids: Vec<String>,
    /// The source's clock at the first answer.
    pub clock: Option<Timestamp>,
    /// The last answer that was no refusal, of a [`Wire::keeping`].
    pub body: Option<Body>,
}

impl WireLog {
    /// The operation that this is the log of.
    #[must_use]
    pub fn operation(self, name: &str, parameters: serde_json::Value, pages: u64, items: u64) -> Operation {
        let (requests, request_ids) = (self.requests, self.request_ids);
        Operation { name: name.to_owned(), parameters, pages, requests, items, request_ids }
    }
}

/// The page tokens of one list.
#[derive(Default)]
pub struct Tokens(BTreeSet<String>);

impl Tokens {
    /// The token of the next page; `None` after the last one.
    ///
    /// # Errors
    /// What is wrong with a list that says it goes on and does not say where, or goes back to where it was.
    pub fn next(&mut self, goes_on: bool, token: Option<&str>) -> Result<Option<String>, &'static str> {
        match token {
            _ if !goes_on => Ok(None),
            None => Err("it stops without a page token"),
            Some(token) if self.0.insert(token.to_owned()) => Ok(Some(token.to_owned())),
            Some(_) => Err("it repeats a page token"),
        }
    }
}

/// The instant of an answer, as an attribute.
#[must_use]
pub fn instant(at: Option<&DateTime>) -> Option<Value> {
    let at = at?;
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok().map(Value::Time)
}

impl Wire {
    /// A log that also keeps the last answer.
    #[must_use]
    pub fn keeping() -> Self {
        Self { keeps: true, ..Self::default() }
    }

    /// Takes the log and begins a new one.
    #[must_use]
    pub fn take(&self) -> WireLog {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the last answer that was no refusal.
    #[must_use]
    pub fn take_body(&self) -> Option<Body> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).body.take()
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "slm-wire"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let headers = response.headers();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let id = headers
            .get("x-amzn-requestid")
            .filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        log.request_ids.extend(id.map(str::to_owned));
        if log.clock.is_none() {
            log.clock = headers.get("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        }
        if response.status().is_success() {
            log.answers += 1;
            let received = response.extension::<Received>().filter(|_| self.keeps);
            log.body = received.map(|Received { sha256, bytes }| Body { sha256: sha256.clone(), bytes: bytes.to_vec() });
        }
        Ok(())
    }
}
