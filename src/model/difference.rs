//! What an edit of the config repo means: what it asks for more or less than before, and what follows from that.

use serde::Serialize;

use super::assessment::Status;
use super::id::{
    ConsumerId, ControlId, CredentialId, CriterionId, EntityType, ExceptionId, FrameworkId, ResourceId, RuleId, RunId, SourceId,
};
use super::past::Noted;
use super::period::Date;
use super::plan::{ActionKind, HeldBecause, Reason};
use super::time::Timestamp;

/// Which way an edit moves a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It asks for the same.
    Equal,
    /// Whatever met it before does still, and more may.
    Looser,
    /// Whatever meets it now did before, and less may.
    Tighter,
    /// Some meets it now that did not before, and some no more that did.
    Incomparable,
    /// Nobody has shown which.
    NotProved,
}

impl Way {
    /// Every way, in the order in which they are counted.
    pub const ALL: [Self; 5] = [Self::Looser, Self::Tighter, Self::Incomparable, Self::NotProved, Self::Equal];

    /// The word used in every output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Looser => "looser",
            Self::Tighter => "tighter",
            Self::Incomparable => "incomparable",
            Self::NotProved => "not proved",
        }
    }

    /// Both edits at once.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NotProved, _) | (_, Self::NotProved) => Self::NotProved,
            (Self::Equal, way) | (way, Self::Equal) => way,
            (Self::Looser, Self::Looser) => Self::Looser,
            (Self::Tighter, Self::Tighter) => Self::Tighter,
            _ => Self::Incomparable,
        }
    }

    /// The other way round.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Looser => Self::Tighter,
            Self::Tighter => Self::Looser,
            same => same,
        }
    }

    /// By whether something is met now that was not, and the reverse.
    #[must_use]
    pub const fn by(more: bool, less: bool) -> Self {
        match (more, less) {
            (false, false) => Self::Equal,
            (true, false) => Self::Looser,
            (false, true) => Self::Tighter,
            (true, true) => Self::Incomparable,
        }
    }
}

/// Whether something came, went, or is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

/// One of the two texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// As it was asked for; `work tree` for what is not committed.
    pub name: String,
    /// The commit of the config repo, or `work-tree-` and a digest of its files.
    pub config: String,
}

/// One key of a file before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// The key.
    pub what: String,
    /// Its value before; `None` when it had none.
    pub before: Option<String>,
    /// Its value after.
    pub after: Option<String>,
    /// Which way; `None` when no verdict rests on it.
    pub way: Option<Way>,
}

/// What the rules of one control, or of one guard, allow now and before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Which way.
    pub way: Way,
    /// What shows it.
    pub means: Means,
    /// Something that is allowed now and was not before.
    pub newly_allowed: Option<Example>,
    /// Something that was allowed before and is not now.
    pub newly_denied: Option<Example>,
}

/// What a verdict on rules rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// The policies are the same but for their form and order.
    SamePolicies,
    /// They are, but for permits of exceptions, whose dates were compared.
    Dates,
    /// A solver has decided it for everything that the schema allows.
    Solver,
    /// Nothing, for this reason.
    Unproved(String),
}

impl Proof {
    /// No verdict, for `reason`.
    #[must_use]
    pub const fn unproved(reason: String) -> Self {
        Self { way: Way::NotProved, means: Means::Unproved(reason), newly_allowed: None, newly_denied: None }
    }
}

/// A request on which two texts disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What it is about, as Cedar writes it: `Aws::AccessKey::"x"`.
    pub resource: String,
    /// Attributes of it, and of the context as `context.now`, sorted.
    pub facts: Vec<(String, String)>,
}

/// What became of a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ControlChange {
    /// Which.
    pub control: ControlId,
    /// Its title, the new one where there are two.
    pub title: String,
    /// Whether it is new, gone or another.
    pub fate: Fate,
    /// Which way, all taken together.
    pub way: Way,
    /// Keys of its file, and its exceptions.
    pub edits: Vec<Edit>,
    /// What its rules allow; `None` when no policy of it was touched.
    pub proof: Option<Proof>,
}

/// What became of a credential's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialChange {
    /// Which.
    pub credential: CredentialId,
    /// Whether it is new, gone or another.
    pub fate: Fate,
    /// Keys of its file.
    pub edits: Vec<Edit>,
}

/// What became of an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExceptionChange {
    /// Which.
    pub exception: ExceptionId,
    /// The control it lifts.
    pub control: ControlId,
    /// The resource it lifts it for.
    pub resource: ResourceId,
    /// Whether it is new, gone or another.
    pub fate: Fate,
    /// Which way.
    pub way: Way,
    /// From when until when it permitted before.
    pub before: Option<(Timestamp, Timestamp)>,
    /// From when until when it permits now.
    pub after: Option<(Timestamp, Timestamp)>,
    /// Who approved it, as it stands last.
    pub approver: String,
    /// Keys of its file, apart from its dates.
    pub edits: Vec<Edit>,
}

/// A criterion that controls answer for on one side only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CriterionChange {
    /// The framework.
    pub framework: FrameworkId,
    /// The criterion.
    pub criterion: CriterionId,
    /// In our own words.
    pub title: String,
    /// Controls that answered for it before.
    pub before: Vec<ControlId>,
    /// Controls that answer for it now.
    pub after: Vec<ControlId>,
}

/// What became of a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuardChange {
    /// The guarded action: `rotate`.
    pub action: String,
    /// What its rules allow.
    pub proof: Proof,
    /// What it permits now and held before.
    pub permits: Vec<Guarded>,
    /// What it holds now and permitted before.
    pub holds: Vec<Guarded>,
}

/// A credential for which a guard answers otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Guarded {
    /// Which.
    pub credential: CredentialId,
    /// True where its store was not seen to its end.
    pub incomplete: bool,
    /// The least and the greatest share of the managed credentials, in percent, that a run may have rotated before, of those asked about.
    pub share: (u8, u8),
    /// Rules that permit it.
    pub rules: Vec<RuleId>,
    /// True when the last recorded plan had this action, or held it.
    pub planned: bool,
}

/// When a rotation is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DueChange {
    /// Of which credential.
    pub credential: CredentialId,
    /// When it was due before; `None` when that was not known, or it was not declared.
    pub before: Option<Timestamp>,
    /// When it is due now.
    pub after: Option<Timestamp>,
    /// True when it is due at the instant of the comparison and was not before.
    pub newly_due: bool,
}

/// One step of a plan that two texts do not have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepChange {
    /// What is done.
    pub kind: ActionKind,
    /// Why it is due.
    pub reason: Reason,
    /// How it stood before; `None` when it was not due.
    pub before: Option<Step>,
    /// How it stands now.
    pub after: Option<Step>,
}

/// How a step stands in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It is done.
    Planned,
    /// It is held back.
    Held(HeldBecause),
}

/// What both texts plan for what the last run saw, at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consequences {
    /// The run whose snapshot it is.
    pub run: RunId,
    /// The instant that both were judged and planned at.
    pub at: Timestamp,
    /// Rotations due earlier or later.
    pub due: Vec<DueChange>,
    /// Steps of one plan that are not in the other, or are held there.
    pub steps: Vec<StepChange>,
    /// Consumers that get a new value by the plan and did not before.
    pub consumers: Vec<(CredentialId, ConsumerId)>,
    /// What is restarted by the plan and was not before.
    pub restarts: Vec<String>,
    /// What is not restarted any more.
    pub spared: Vec<String>,
}

/// Recorded days judged under both texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// The first day.
    pub from: Date,
    /// The last day, on which the last run began.
    pub to: Date,
    /// Days of them with a run; of each its last one was judged.
    pub days: u64,
    /// Days without one: nothing is known of them.
    pub days_without_run: u64,
    /// Sources that the new text has or reads otherwise: what would have been seen of them is not known.
    pub unknown: Vec<SourceId>,
    /// Controls that were judged under both texts; the others read the same by either.
    pub judged: Vec<ControlId>,
    /// Those that would have read differently, on any day.
    pub controls: Vec<Replayed>,
    /// Verdicts that were made, and that were taken over from the day before.
    pub effort: Effort,
}

/// How much was judged, and how much was not judged again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effort {
    /// Verdicts made.
    pub made: u64,
    /// Verdicts taken over: nothing that they rest on had changed.
    pub kept: u64,
}

/// How one control would have read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Which.
    pub control: ControlId,
    /// Resources of the last run whose status flips, sorted.
    pub flips: Vec<Flip>,
    /// Days that would have read differently, each with how many subjects would.
    pub days: Vec<(Date, u64)>,
}

/// A subject whose status is another by the new text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Flip {
    /// Its entity type.
    pub entity: EntityType,
    /// Which; `None` for a whole population that was not seen to its end.
    pub resource: Option<ResourceId>,
    /// By the old text; `None` where that has no such control.
    pub before: Option<Status>,
    /// By the new text.
    pub after: Option<Status>,
}

/// What an edit means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The old text.
    pub base: Side,
    /// The new text.
    pub head: Side,
    /// Controls that came, went or are other, sorted.
    pub controls: Vec<ControlChange>,
    /// Keys of `slm.toml`.
    pub settings: Vec<Edit>,
    /// Credentials that came, went or are other, sorted.
    pub credentials: Vec<CredentialChange>,
    /// Exceptions that came, went or are other, sorted.
    pub exceptions: Vec<ExceptionChange>,
    /// Criteria that no control answers for any more.
    pub criteria_lost: Vec<CriterionChange>,
    /// Criteria that controls answer for and did not before.
    pub criteria_gained: Vec<CriterionChange>,
    /// Guards whose policies are other.
    pub guards: Vec<GuardChange>,
    /// What follows for what was seen last; `None` when nothing is recorded or nothing changed.
    pub consequences: Option<Consequences>,
    /// What recorded days would have read; `None` when nothing is recorded or no verdict can differ.
    pub replay: Option<Replay>,
    /// What could not be seen of the locker, so that less is told.
    pub unseen: Vec<Noted>,
    /// Files of the config that are other, sorted.
    pub files: Vec<String>,
}

impl Difference {
    /// True when the two texts mean the same in all that is compared here.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        let Self { controls, settings, credentials, exceptions, guards, consequences, replay, .. } = self;
        let (lost, gained) = (&self.criteria_lost, &self.criteria_gained);
        controls.iter().all(|one| one.fate == Fate::Changed && one.way == Way::Equal && one.edits.is_empty())
            && guards.iter().all(|one| one.proof.way == Way::Equal)
            && settings.is_empty()
            && credentials.is_empty()
            && exceptions.is_empty()
            && lost.is_empty()
            && gained.is_empty()
            && consequences.as_ref().is_none_or(|one| one.steps.is_empty() && one.due.is_empty())
            && replay.as_ref().is_none_or(|one| one.controls.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_edits_together_are_what_both_are_and_never_more_certain_than_one() {
        use Way::{Equal, Incomparable, Looser, NotProved, Tighter};
        for (one, other, both) in [
            (Equal, Equal, Equal),
            (Equal, Looser, Looser),
            (Looser, Looser, Looser),
            (Looser, Tighter, Incomparable),
            (Tighter, Tighter, Tighter),
            (Incomparable, Looser, Incomparable),
            (NotProved, Incomparable, NotProved),
            (Equal, NotProved, NotProved),
        ] {
            assert_eq!((one.and(other), other.and(one)), (both, both), "{one:?} {other:?}");
            assert_eq!(one.reversed().and(other.reversed()), both.reversed(), "{one:?} {other:?}");
        }
        let ways = [(false, false), (true, false), (false, true), (true, true)].map(|(more, less)| Way::by(more, less));
        assert_eq!(ways, [Equal, Looser, Tighter, Incomparable]);
    }
}
