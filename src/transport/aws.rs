//! AWS sessions with bounded retries, a log of what was sent, and error classes by code and HTTP status.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_secretsmanager::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents, SharedCredentialsProvider};
use aws_sdk_secretsmanager::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::primitives::DateTime;

use crate::model::catalog::AwsSource;
use crate::model::receipt::Operation;
use crate::model::snapshot::{Completeness, Unseen, Value};
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

/// Tag that names the version slm made current and when that version was written: `<version id> <instant>`.
pub const ROTATED_TAG: &str = "slm:rotated";

/// Attempts for one request, the first included.
const ATTEMPTS: u32 = 4;

/// The configuration for one account, region and role: the default credential chain or a profile, then `role` when given.
pub async fn session(source: &AwsSource, region: &str, role: Option<&str>, session_name: &str) -> SdkConfig {
    session_from(aws_config::defaults(BehaviorVersion::v2026_01_12()), source, region, role, session_name).await
}

/// As [`session`], on top of `loader`, whose credentials replace the default chain when it has any.
pub async fn session_from(loader: ConfigLoader, source: &AwsSource, region: &str, role: Option<&str>, name: &str) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(15))
        .operation_timeout(Duration::from_secs(60))
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(5));
    let mut loader = loader.region(Region::new(region.to_owned())).retry_config(retries).timeout_config(timeouts);
    if let Some(profile) = &source.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &source.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let base = loader.load().await;
    let Some(role) = role else { return base };
    let provider =
        AssumeRoleProvider::builder(role).session_name(name).region(Region::new(region.to_owned())).configure(&base).build().await;
    base.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

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

/// What one client sent and got back. A clone shares the log.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<WireLog>>);

/// The content of a [`Wire`].
#[derive(Default)]
pub struct WireLog {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Request ids of the answers, in order.
    pub request_ids: Vec<String>,
    /// The source's clock at the first answer.
    pub clock: Option<Timestamp>,
    /// Body of the last successful answer, as received.
    pub body: Option<Vec<u8>>,
}

impl WireLog {
    /// The operation that this is the log of.
    #[must_use]
    pub fn operation(self, name: &str, parameters: serde_json::Value, pages: u64, items: u64) -> Operation {
        let (requests, request_ids) = (self.requests, self.request_ids);
        Operation { name: name.to_owned(), parameters, pages, requests, items, request_ids }
    }
}

/// The instant of an answer, as an attribute.
#[must_use]
pub fn instant(at: Option<&DateTime>) -> Option<Value> {
    let at = at?;
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok().map(Value::Time)
}

impl Wire {
    /// Takes the log and begins a new one.
    #[must_use]
    pub fn take(&self) -> WireLog {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the body of the last successful answer.
    #[must_use]
    pub fn take_body(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.take()
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let headers = response.headers();
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = headers
            .get("x-amzn-requestid")
            .filter(|id| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        log.request_ids.extend(id.map(str::to_owned));
        if log.clock.is_none() {
            log.clock = headers.get("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        }
        if response.status().is_success() {
            log.body = response.body().bytes().map(<[u8]>::to_vec);
        }
        Ok(())
    }
}

/// A call that failed, reduced to what may be shown: no message and no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The vendor's code.
    pub code: Option<String>,
    /// HTTP status of the answer; `None` when there was none.
    pub status: Option<u16>,
}

/// Codes looked for in the causes of a call that was never sent, as when a role could not be assumed.
const HIDDEN: [&str; 5] = ["AccessDenied", "ExpiredToken", "Throttling", "InvalidClientTokenId", "no providers in chain"];

impl Failure {
    /// Reduces `error`.
    pub fn of<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> Self {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let plain = |code: &&str| code.len() <= 80 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        let code = error.code().filter(plain).map(str::to_owned);
        let code = if status.is_none() { code.or_else(|| hidden(error)) } else { code };
        Self { code, status }
    }

    /// Why something was not seen.
    #[must_use]
    pub fn unseen(&self) -> Unseen {
        classify(self.code.as_deref(), self.status)
    }

    /// What may be done next.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        error_class(self.code.as_deref(), self.status)
    }

    /// The failure of `operation`, as the core sees it.
    #[must_use]
    pub fn during(&self, operation: String) -> WorldError {
        WorldError { class: self.class(), operation, cause: self.to_string() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.code, self.status) {
            (Some(code), Some(status)) => write!(f, "{code} (HTTP {status})"),
            (Some(code), None) => f.write_str(code),
            (None, Some(status)) => write!(f, "HTTP {status}"),
            (None, None) => f.write_str("no answer"),
        }
    }
}

fn hidden(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if let Some(found) = HIDDEN.iter().find(|code| text.contains(**code)) {
            return Some(if *found == "no providers in chain" { "NoCredentials" } else { found }.to_owned());
        }
        next = cause.source();
    }
    None
}

/// Codes of refusal besides `AccessDenied*`.
const DENIED: [&str; 11] = [
    "403",
    "UnauthorizedOperation",
    "NotAuthorized",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "OptInRequired",
    "NoCredentials",
];

fn is_denied(code: &str) -> bool {
    code.starts_with("AccessDenied") || DENIED.contains(&code)
}

fn is_throttled(code: &str) -> bool {
    code.starts_with("Throttl")
        || code.starts_with("TooManyRequests")
        || matches!(code, "RequestLimitExceeded" | "SlowDown" | "429")
}

fn is_expired(code: &str) -> bool {
    code.starts_with("ExpiredToken") || code == "RequestExpired"
}

/// Why a read that ended with `code` and `status` saw nothing. Both are looked at: some answers have a status alone.
#[must_use]
pub fn classify(code: Option<&str>, status: Option<u16>) -> Unseen {
    let code = code.unwrap_or_default();
    match status {
        _ if is_expired(code) => Unseen::Expired,
        _ if is_throttled(code) => Unseen::Throttled,
        _ if is_denied(code) => Unseen::Denied,
        _ if code == "InvalidNextTokenException" => Unseen::Inconsistent,
        Some(429) => Unseen::Throttled,
        Some(400..=499) => Unseen::Denied,
        Some(200..=299) => Unseen::Inconsistent,
        _ => Unseen::Unreachable,
    }
}

/// What may be done after a call that ended with `code` and `status`.
#[must_use]
pub fn error_class(code: Option<&str>, status: Option<u16>) -> ErrorClass {
    let code = code.unwrap_or_default();
    match (code, status) {
        ("ResourceNotFoundException" | "NoSuchEntity" | "TrailNotFoundException", _) => ErrorClass::NotFound,
        ("ResourceExistsException" | "PreconditionNotMetException" | "EntityAlreadyExists", _) => ErrorClass::Conflict,
        _ if is_expired(code) || is_throttled(code) => ErrorClass::Transient,
        _ if is_denied(code) => ErrorClass::Denied,
        (_, Some(429)) => ErrorClass::Transient,
        (_, Some(401 | 403)) => ErrorClass::Denied,
        (_, Some(400..=499)) => ErrorClass::Permanent,
        _ => ErrorClass::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_or_a_status_alone_is_enough_to_classify() {
        for (code, status, unseen, class) in [
            (Some("AccessDeniedException"), Some(400), Unseen::Denied, ErrorClass::Denied),
            (Some("403"), Some(403), Unseen::Denied, ErrorClass::Denied),
            (None, Some(403), Unseen::Denied, ErrorClass::Denied),
            (Some("ThrottlingException"), Some(400), Unseen::Throttled, ErrorClass::Transient),
            (Some("TooManyRequestsException"), Some(429), Unseen::Throttled, ErrorClass::Transient),
            (None, Some(429), Unseen::Throttled, ErrorClass::Transient),
            (Some("ExpiredTokenException"), Some(400), Unseen::Expired, ErrorClass::Transient),
            (Some("ExpiredToken"), Some(403), Unseen::Expired, ErrorClass::Transient),
            (None, None, Unseen::Unreachable, ErrorClass::Transient),
            (None, Some(503), Unseen::Unreachable, ErrorClass::Transient),
            (Some("ResourceNotFoundException"), Some(400), Unseen::Denied, ErrorClass::NotFound),
            (Some("ResourceExistsException"), Some(400), Unseen::Denied, ErrorClass::Conflict),
        ] {
            assert_eq!((classify(code, status), error_class(code, status)), (unseen, class), "{code:?} {status:?}");
        }
    }
}
