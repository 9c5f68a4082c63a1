//! What a call to GitHub may end with, by HTTP status and rate limit headers.

use std::time::Duration;

use serde::Deserialize;

use super::github_pace as pace;
use crate::model::snapshot::Unseen;
use crate::world::{ErrorClass, WorldError};

/// A call that failed, reduced to what may be shown: no message and no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no token, or it is no header text.
    NoToken,
    /// There is no private key of the App, or it is no RSA key in PEM text.
    NoKey,
    /// The API root is no `https` address.
    BadRoot,
    /// No whole answer came.
    NoAnswer,
    /// An answer with this status.
    Status(u16),
    /// Rate limited, with this status.
    Throttled(u16),
    /// A GraphQL answer that leaves something out for want of permission.
    Withheld,
    /// A GraphQL answer that leaves something out for another reason.
    Partial,
    /// A good answer of another shape than agreed.
    Shape,
    /// A next page on another host.
    ForeignLink,
}

impl Failure {
    /// Why something was not seen.
    #[must_use]
    pub fn unseen(self) -> Unseen {
        match self {
            Self::Throttled(_) => Unseen::Throttled,
            Self::NoToken | Self::NoKey | Self::Withheld | Self::Status(400..=499) => Unseen::Denied,
            Self::Shape | Self::ForeignLink => Unseen::Inconsistent,
            Self::BadRoot | Self::NoAnswer | Self::Partial | Self::Status(_) => Unseen::Unreachable,
        }
    }

    /// What may be done next.
    #[must_use]
    pub fn class(self) -> ErrorClass {
        match self {
            Self::NoToken | Self::NoKey | Self::Withheld | Self::Status(401 | 403) => ErrorClass::Denied,
            Self::Status(404) => ErrorClass::NotFound,
            Self::Status(409) => ErrorClass::Conflict,
            Self::BadRoot | Self::Shape | Self::ForeignLink | Self::Status(300..=499) => ErrorClass::Permanent,
            Self::NoAnswer | Self::Partial | Self::Throttled(_) | Self::Status(_) => ErrorClass::Transient,
        }
    }

    /// The failure of `operation`, as the core sees it.
    #[must_use]
    pub fn during(self, operation: String) -> WorldError {
        WorldError { class: self.class(), operation, cause: self.to_string() }
    }

    /// True when asking again soon may help; GitHub bans callers that go on while they are rate limited.
    pub(super) fn may_pass(self) -> bool {
        self.class() == ErrorClass::Transient && !matches!(self, Self::Throttled(_))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoToken => f.write_str("there is no usable token"),
            Self::NoKey => f.write_str("there is no usable private key of the App"),
            Self::Withheld => f.write_str("the answer leaves something out: refused"),
            Self::Partial => f.write_str("the answer leaves something out"),
            Self::BadRoot => f.write_str("the API root is no `https` address"),
            Self::NoAnswer => f.write_str("no answer"),
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::Throttled(status) => write!(f, "rate limited (HTTP {status})"),
            Self::Shape => f.write_str("the answer has another shape"),
            Self::ForeignLink => f.write_str("the next page is on another host"),
        }
    }
}

/// A failure, and how long the source asked to wait.
pub(super) struct Ended(pub(super) Failure, pub(super) Option<Duration>);

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self(failure, None)
    }
}

#[derive(Deserialize)]
struct Said {
    message: String,
}

/// A refusal with `status`. A rate limit is 429, or 403 with headers or a message that say so.
pub(super) fn refused<'h>(status: u16, header: impl Fn(&str) -> Option<&'h str>, body: &str) -> Ended {
    let asked = pace::asked(header);
    let said = || serde_json::from_str::<Said>(body).is_ok_and(|said| said.message.to_ascii_lowercase().contains("rate limit"));
    match status {
        429 => Ended(Failure::Throttled(status), asked.or(Some(pace::UNSAID))),
        403 if asked.is_some() || said() => Ended(Failure::Throttled(status), asked.or(Some(pace::UNSAID))),
        _ => Failure::Status(status).into(),
    }
}

/// Why nothing was sent: an App's token was refused, its key cannot sign, or no answer came.
pub(super) fn not_sent(error: &octocrab::Error) -> Ended {
    match error {
        octocrab::Error::GitHub { source, .. } => {
            let header = |name: &str| source.headers.as_ref()?.get(name)?.to_str().ok();
            refused(source.status_code.as_u16(), header, "")
        }
        octocrab::Error::JWT { .. } => Failure::NoKey.into(),
        _ => Failure::NoAnswer.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_what_may_be_done() {
        for (failure, unseen, class) in [
            (Failure::Status(401), Unseen::Denied, ErrorClass::Denied),
            (Failure::Status(403), Unseen::Denied, ErrorClass::Denied),
            (Failure::Throttled(403), Unseen::Throttled, ErrorClass::Transient),
            (Failure::Status(404), Unseen::Denied, ErrorClass::NotFound),
            (Failure::Status(409), Unseen::Denied, ErrorClass::Conflict),
            (Failure::Status(422), Unseen::Denied, ErrorClass::Permanent),
            (Failure::Status(502), Unseen::Unreachable, ErrorClass::Transient),
            (Failure::NoAnswer, Unseen::Unreachable, ErrorClass::Transient),
        ] {
            assert_eq!((failure.unseen(), failure.class()), (unseen, class), "{failure}");
        }
    }
}
