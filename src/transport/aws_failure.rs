//! AWS failures reduced to what may be shown, and classed by code and HTTP status.

use std::error::Error;

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

use crate::model::snapshot::Unseen;
use crate::world::{ErrorClass, WorldError};

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
        || matches!(code, "RequestLimitExceeded" | "SlowDown" | "429" | "ProvisionedThroughputExceededException")
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
        (
            "ResourceNotFoundException"
            | "ServiceNotFoundException"
            | "ClusterNotFoundException"
            | "NoSuchEntity"
            | "TrailNotFoundException",
            _,
        ) => ErrorClass::NotFound,
        ("ResourceExistsException" | "PreconditionNotMetException" | "EntityAlreadyExists", _) => ErrorClass::Conflict,
        // Lambda: an update goes on, or it is another revision by now.
        ("ResourceConflictException" | "PreconditionFailedException", _) => ErrorClass::Conflict,
        _ if is_expired(code) || is_throttled(code) => ErrorClass::Transient,
        _ if is_denied(code) => ErrorClass::Denied,
        (_, Some(429)) => ErrorClass::Transient,
        (_, Some(401 | 403)) => ErrorClass::Denied,
        // 301: S3 has the bucket in another region.
        (_, Some(301 | 400..=499)) => ErrorClass::Permanent,
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
            (Some("ResourceConflictException"), Some(409), Unseen::Denied, ErrorClass::Conflict),
            (Some("PreconditionFailedException"), Some(412), Unseen::Denied, ErrorClass::Conflict),
        ] {
            assert_eq!((classify(code, status), error_class(code, status)), (unseen, class), "{code:?} {status:?}");
        }
    }
}
