//! What changed between two runs, and what of the last one needs somebody: a report of drift, before it is text.

use serde::Serialize;

use super::assessment::Status;
use super::catalog::Severity;
use super::id::{ControlId, CredentialId, ExceptionId, FrameworkId, RunId, SourceId};
use super::snapshot::Unseen;
use super::standing::Phase;
use super::time::{Limit, Timestamp};

/// What a finding is: the same in two runs when all three are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Identity {
    /// The control that is not met, or has no evidence.
    pub control: ControlId,
    /// The resource, or the population as words.
    pub resource: String,
    /// The status.
    pub status: Status,
}

/// A run that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Its name.
    pub id: RunId,
    /// When it began.
    pub at: Timestamp,
    /// The commit of its config, or `work-tree-` and a digest.
    pub config: String,
    /// Its file in the locker.
    pub path: String,
    /// Its commit in the locker.
    pub commit: String,
}

/// A number that is over its limit, as far as a rule says one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Of what: `age of last_rotated`.
    pub what: String,
    /// How long it is.
    pub is: Limit,
    /// How long it may be.
    pub limit: Limit,
}

/// A control that a resource does not meet, or for which there is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// What it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// The title of the control.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// Who answers for the control.
    pub owner: String,
    /// Since which run's instant it is so; as far back as the evidence goes.
    pub since: Timestamp,
    /// What is over its limit.
    pub measured: Option<Measured>,
    /// Why, as a clause.
    pub because: String,
    /// What to do: a command, or a clause.
    pub next: Next,
}

impl Finding {
    /// For how long it is overdue at `now`: past its limit where a rule has one, else since it is so.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Limit {
        let seconds = match &self.measured {
            Some(Measured { is, limit, .. }) => is.as_seconds() - limit.as_seconds(),
            None => now.as_second() - self.since.as_second(),
        };
        Limit::seconds(seconds.max(0))
    }

    /// How far up it belongs: the severity, three times as much a step, times the days it is overdue, one at least.
    #[must_use]
    pub fn weight(&self, now: Timestamp) -> i64 {
        let step = match self.severity {
            Severity::Low => 1,
            Severity::Medium => 3,
            Severity::High => 9,
            Severity::Critical => 27,
        };
        step * (1 + self.overdue(now).as_seconds() / Limit::DAY)
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// A command of slm that is safe to type now.
    Run(String),
    /// A clause: what to wait for, or what a person does.
    Do(String),
}

/// A finding of the run before that the last one does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gone {
    /// What it was.
    #[serde(flatten)]
    pub identity: Identity,
    /// Who answers for the control.
    pub owner: String,
    /// What is so now: the status, or why nothing is known.
    pub now: String,
}

/// A decision that flips by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Breach {
    /// When, if nobody does anything.
    pub at: Timestamp,
    /// The control.
    pub control: ControlId,
    /// The resource.
    pub resource: String,
    /// How much it matters.
    pub severity: Severity,
    /// Who answers for it.
    pub owner: String,
    /// True when slm rotates it by then without being asked.
    pub managed: bool,
}

/// A rotation that was begun and is not at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HalfDone {
    /// Which.
    pub credential: CredentialId,
    /// Who answers for it.
    pub owner: String,
    /// How far it is.
    pub phase: Phase,
    /// Since when, as far as that is known.
    pub since: Option<Timestamp>,
    /// Before this nothing is to be done.
    pub until: Option<Timestamp>,
    /// True when nothing that is planned explains that it is not at its end.
    pub late: bool,
    /// What is safe to do.
    pub next: Next,
}

/// An action of the last run that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failed {
    /// Of which credential.
    pub credential: CredentialId,
    /// Who answers for it.
    pub owner: String,
    /// `failed` or `blocked`.
    pub how: &'static str,
    /// Why, as a clause.
    pub why: String,
    /// What is safe to do.
    pub next: Next,
}

/// A control whose evidence is older than it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stale {
    /// Which.
    pub control: ControlId,
    /// How much it matters.
    pub severity: Severity,
    /// Who answers for it.
    pub owner: String,
    /// When its evidence was taken.
    pub taken: Timestamp,
    /// How old it may be.
    pub limit: Limit,
}

/// Something in scope that the last run did not see whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Blind {
    /// The source.
    pub source: SourceId,
    /// What reads it.
    pub collector: String,
    /// Account and region, organisation, or `.`.
    pub scope: String,
    /// The class of the cause.
    pub cause: Unseen,
    /// The operation and the error.
    pub detail: String,
}

/// An exception that ends soon, or has ended and is still needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ending {
    /// Which.
    pub id: ExceptionId,
    /// The control that it lifts.
    pub control: ControlId,
    /// For which resource.
    pub resource: String,
    /// Who answers for the control.
    pub owner: String,
    /// Who asked for it.
    pub requester: String,
    /// When it lapses.
    pub expires: Timestamp,
    /// True when it has lapsed and its resource still does not meet the control.
    pub in_use: bool,
}

/// Secrets that were seen, and those of them that nobody declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unmanaged {
    /// Secrets seen.
    pub seen: u64,
    /// Those that no file under `credentials/` names, sorted.
    pub names: Vec<String>,
}

/// `part` of `whole`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many do.
    pub part: u64,
    /// Of how many.
    pub whole: u64,
}

impl Share {
    /// In whole percent, rounded down; all of nothing is all.
    #[must_use]
    pub fn percent(self) -> u64 {
        self.part.saturating_mul(100).checked_div(self.whole).unwrap_or(100)
    }
}

/// How much of what is declared is covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Coverage {
    /// Decisions that are compliant or excepted, of those that apply.
    pub compliant: Share,
    /// Controls that were judged with evidence for everything in them, of all.
    pub evidenced: Share,
    /// Secrets under management, of those seen.
    pub managed: Share,
    /// Criteria with a control that is judged or stated, of all, by framework.
    pub criteria: Vec<(FrameworkId, Share)>,
}

/// How old what is known of a source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seen {
    /// The source.
    pub source: SourceId,
    /// What reads it.
    pub collector: String,
    /// Account and region, organisation, or `.`.
    pub scope: String,
    /// As of when it was so.
    pub as_of: Timestamp,
    /// True when all of it was seen.
    pub whole: bool,
}

/// Everything a report of drift says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drift {
    /// When it was made.
    pub at: Timestamp,
    /// The run it is of.
    pub run: Compared,
    /// The run that is compared with; `None` when there was none.
    pub before: Option<Compared>,
    /// Findings that were not there before, the weightiest first.
    pub new: Vec<Finding>,
    /// Findings that were, the weightiest first.
    pub open: Vec<Finding>,
    /// Findings that are met now, lifted, or about what is gone.
    pub resolved: Vec<Gone>,
    /// Findings of which nobody knows whether they are still so.
    pub lost: Vec<Gone>,
    /// What flips within thirty days, the soonest first.
    pub breaches: Vec<Breach>,
    /// Rotations on their way.
    pub half_done: Vec<HalfDone>,
    /// Actions of the last run that did not come to their end.
    pub failed: Vec<Failed>,
    /// Controls whose evidence is too old.
    pub stale: Vec<Stale>,
    /// What was not seen.
    pub unseen: Vec<Blind>,
    /// Credentials whose rotation was not seen.
    pub unseen_rotations: Vec<CredentialId>,
    /// Exceptions that end within thirty days, or have and are needed.
    pub exceptions: Vec<Ending>,
    /// Secrets that nobody declared.
    pub unmanaged: Unmanaged,
    /// What is covered.
    pub coverage: Coverage,
    /// How old what is known is.
    pub sources: Vec<Seen>,
    /// Why the evidence does not hold, if so.
    pub broken: Vec<String>,
    /// What this report could not look at.
    pub notes: Vec<String>,
    /// For how long there was no run, when that is longer than one is due after.
    pub silent: Option<Limit>,
}

impl Drift {
    /// A report of `run`, made at `at`, into which nothing is written yet. It says of nothing that it is well.
    #[must_use]
    pub fn of(at: Timestamp, run: Compared) -> Self {
        Self {
            at,
            run,
            before: None,
            new: Vec::new(),
            open: Vec::new(),
            resolved: Vec::new(),
            lost: Vec::new(),
            breaches: Vec::new(),
            half_done: Vec::new(),
            failed: Vec::new(),
            stale: Vec::new(),
            unseen: Vec::new(),
            unseen_rotations: Vec::new(),
            exceptions: Vec::new(),
            unmanaged: Unmanaged::default(),
            coverage: Coverage::default(),
            sources: Vec::new(),
            broken: Vec::new(),
            notes: Vec::new(),
            silent: None,
        }
    }

    /// Every finding of the last run, the weightiest first.
    #[must_use]
    pub fn findings(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.new.iter().chain(&self.open).collect();
        all.sort_by(|a, b| b.weight(self.at).cmp(&a.weight(self.at)).then_with(|| a.identity.cmp(&b.identity)));
        all
    }

    /// How many decisions flip within `days`.
    #[must_use]
    pub fn within(&self, days: i64) -> usize {
        let end = Limit::days(days).after(self.at);
        self.breaches.iter().filter(|breach| breach.at <= end).count()
    }

    /// True when something in scope is not known.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        !self.unseen.is_empty()
            || !self.unseen_rotations.is_empty()
            || !self.stale.is_empty()
            || !self.lost.is_empty()
            || self.silent.is_some()
            || !self.notes.is_empty()
    }

    /// What somebody must do now, a clause each, the gravest first; none when nobody must.
    #[must_use]
    pub fn must(&self) -> Vec<String> {
        let count = |number: usize, one: &str, many: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {many}")),
        };
        let critical = self.findings().iter().filter(|one| one.severity == Severity::Critical).count();
        let late = self.half_done.iter().filter(|one| one.late).count();
        let lapsed = self.exceptions.iter().filter(|one| one.in_use).count();
        let all = [
            (!self.broken.is_empty()).then(|| "the evidence does not hold".to_owned()),
            count(self.failed.len(), "rotation did not end", "rotations did not end"),
            count(critical, "critical finding", "critical findings"),
            count(late, "rotation is half done", "rotations are half done"),
            count(lapsed, "exception lapsed in use", "exceptions lapsed in use"),
        ];
        all.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity, over: i64) -> Finding {
        Finding {
            identity: Identity { control: "A-1".into(), resource: "x".to_owned(), status: Status::NonCompliant },
            title: "Keys are young".to_owned(),
            severity,
            owner: "platform".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            measured: Some(Measured { what: "age of created".to_owned(), is: Limit::days(30 + over), limit: Limit::days(30) }),
            because: "no rule permits it".to_owned(),
            next: Next::Run("slm explain x".to_owned()),
        }
    }

    #[test]
    fn what_is_graver_counts_more_and_what_is_longer_overdue_too() {
        let now = Limit::days(10).after(Timestamp::UNIX_EPOCH);
        assert_eq!(finding(Severity::Critical, 0).weight(now), 27);
        assert_eq!((finding(Severity::High, 3).weight(now), finding(Severity::High, 2).weight(now)), (36, 27));
        assert!(finding(Severity::Low, 40).weight(now) > finding(Severity::Critical, 0).weight(now));
        let unmeasured = Finding { measured: None, ..finding(Severity::Low, 0) };
        assert_eq!(unmeasured.overdue(now), Limit::days(10), "without a limit it counts since it is so");
        assert_eq!(finding(Severity::Low, -3).overdue(now), Limit::seconds(0));
    }

    #[test]
    fn a_share_has_its_denominator_and_all_of_nothing_is_all() {
        assert_eq!(Share { part: 199, whole: 200 }.percent(), 99);
        assert_eq!(Share::default().percent(), 100);
    }
}
