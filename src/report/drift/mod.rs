//! What changed since the last report, and whether the reader must act: the report of drift, made and told.

mod human;
mod make;
#[cfg(test)]
mod pictures;
#[cfg(test)]
pub(crate) mod tests;

use serde_json::{Value as Json, json};

pub(crate) use human::{coverage, phase, severity, share};
pub use human::{headline, human, markdown};
pub(crate) use make::quoted;
pub use make::{AHEAD, Before, Seen, drift};

use super::words;
use crate::model::drift::{Drift, Finding, Next};
use crate::model::time::{Limit, Timestamp};

/// The report as JSON.
#[must_use]
pub fn json(drift: &Drift) -> Json {
    let mut json = json!(drift);
    let (what, act) = headline(drift);
    json["headline"] = json!([what, act]);
    json["top"] = json!(drift.findings().iter().map(|one| &one.identity).collect::<Vec<_>>());
    json["within"] = json!({ "7d": drift.within(7), "14d": drift.within(14), "30d": drift.within(30) });
    json
}

/// How old against what is allowed: `age 120d of 90d`; since when where no rule has a limit.
#[must_use]
pub fn against(finding: &Finding, now: Timestamp) -> String {
    match &finding.measured {
        Some(measured) => format!("{} {} of {}", measured.what, span(measured.is), measured.limit),
        None => format!("so for {}", words::age(finding.since, now)),
    }
}

/// A length of time in its greatest unit, rounded down.
pub(crate) fn span(limit: Limit) -> String {
    words::age(Timestamp::UNIX_EPOCH, limit.after(Timestamp::UNIX_EPOCH))
}

/// What to do next, a command in backticks.
#[must_use]
pub fn next(next: &Next) -> String {
    match next {
        Next::Run(command) => format!("`{command}`"),
        Next::Do(what) => what.clone(),
    }
}
