//! For how long values that were replaced in place let nobody in, beside what is allowed.

use serde_json::{Value as Json, json};

use super::pipeline;
use crate::model::id::CredentialId;
use crate::model::outcome::Outcome;
use crate::model::time::Limit;
use crate::report::gap::Gap;

/// A value that was replaced in place, and what it cost.
pub(super) struct Found<'a> {
    pub credential: &'a CredentialId,
    pub gap: Gap,
    pub allowed: Limit,
}

impl Found<'_> {
    pub(super) fn json(&self) -> Json {
        let (seconds, since) = match self.gap {
            Gap::Lasted(seconds) => (Some(seconds), None),
            Gap::Open(since) => (None, Some(since)),
        };
        json!({ "credential": self.credential, "seconds": seconds, "open-since": since, "allowed": self.allowed })
    }
}

/// The gaps that `outcomes` left, of credentials for which one is allowed.
pub(super) fn of<'a>(session: &'a pipeline::Session, outcomes: &[Outcome]) -> Vec<Found<'a>> {
    let found = |outcome: &Outcome| {
        let credential = session.catalog.credentials.get(outcome.action.credential()?)?;
        Some(Found { credential: &credential.id, gap: Gap::of(outcome)?, allowed: credential.policy.allow_gap? })
    };
    outcomes.iter().filter_map(found).collect()
}
