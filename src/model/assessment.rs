//! What was judged: one decision for one (control, resource) at one instant.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::decisions::Decisions;
use super::id::{ControlId, EntityType, ExceptionId, ResourceId, RuleId, SourceId};
use super::snapshot::{Unseen, Value};
use super::time::Timestamp;

/// The five statuses, from the best to the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The control does not speak about this resource.
    NotApplicable,
    /// A rule permits.
    Compliant,
    /// Only an exception permits.
    Excepted,
    /// We could not see enough to say.
    NoEvidence,
    /// No rule permits, and everything required was seen.
    NonCompliant,
}

impl Status {
    /// The word used in every output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::Compliant => "compliant",
            Self::Excepted => "excepted",
            Self::NoEvidence => "no-evidence",
            Self::NonCompliant => "non-compliant",
        }
    }
}

/// What a decision is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// One resource.
    Resource {
        /// Its type.
        entity: EntityType,
        /// Its id.
        id: ResourceId,
    },
    /// A whole population that was not seen to its end.
    Population {
        /// Its type.
        entity: EntityType,
        /// Where it would have been read; `None` when no source holds it.
        source: Option<SourceId>,
        /// Account and region, organisation, or `.`.
        scope: String,
    },
}

/// Why a decision is what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// These rules permitted.
    Permitted(Vec<RuleId>),
    /// No rule permitted.
    NothingPermits,
    /// These rules forbade.
    Forbidden(Vec<RuleId>),
    /// Only this exception permitted.
    Exception(ExceptionId),
    /// These required attributes were not observed.
    Missing(Vec<Arc<str>>),
    /// Cedar reported an error.
    EvaluationError(String),
    /// The population was not seen to its end.
    Unseen {
        /// The class of the cause.
        cause: Unseen,
        /// The operation and the error.
        detail: String,
    },
    /// The evidence is older than the control allows.
    Stale,
    /// The control's `where` does not match.
    OutOfScope,
}

/// One status for one (control, subject).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The control.
    pub control: ControlId,
    /// What it was judged for.
    pub subject: Subject,
    /// The status.
    pub status: Status,
    /// Why.
    pub because: Because,
    /// The values the decision rests on, sorted by name.
    pub observed: Vec<(Arc<str>, Value)>,
    /// The first instant at which the status changes if nothing else does; `None` when it never will.
    pub flips_at: Option<Timestamp>,
}

/// Everything judged in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// The instant every rule saw as `context.now`.
    pub at: Timestamp,
    /// Sorted by (control, subject).
    pub decisions: Decisions,
    /// Controls without fresh, complete evidence.
    pub gaps: Vec<Gap>,
    /// Exceptions that decided nothing.
    pub unused_exceptions: Vec<ExceptionId>,
}

/// A control without fresh, complete evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The control.
    pub control: ControlId,
    /// The reason in one line.
    pub reason: String,
}

/// How many decisions have each status.
pub type Tally = BTreeMap<Status, u64>;

impl Assessment {
    /// Decisions by status, over all controls or one.
    #[must_use]
    pub fn tally(&self, control: Option<&ControlId>) -> Tally {
        let mut tally = Tally::new();
        for (_, status, _) in self.decisions.reasons().filter(|(id, _, _)| control.is_none_or(|wanted| wanted == *id)) {
            *tally.entry(status).or_default() += 1;
        }
        tally
    }
}
