//! What the locker says of a stretch of days: its runs, what each control said of each subject in them, and who came and went.
//!
//! Everything is told by the place of its run in [`Period::runs`], so that what did not change between two runs is told once.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
pub use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::assessment::{Because, Status, Subject, Tally};
use super::id::{ControlId, CredentialId, EntityType, ExceptionId, ResourceId, RunId, SourceId, VersionId};
use super::reconcile::Reconciled;
use super::snapshot::Completeness;
use super::time::Timestamp;

/// The place of a run in [`Period::runs`].
pub type At = usize;

/// What the locker says of every day of a stretch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first day, in UTC.
    pub from: Date,
    /// The last day, which is part of it.
    pub to: Date,
    /// Runs that began in it, in the order of their commits.
    pub runs: Vec<RunNote>,
    /// Runs that say they began in it, and that nothing but their word puts there: they stand for no day, and nothing rests on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<Late>,
    /// Every day of it that has begun.
    pub days: Vec<Day>,
    /// Times without a run, longer than one is due after.
    pub missed: Vec<Missed>,
    /// One a control that was judged in it, sorted.
    pub controls: Vec<Series>,
    /// One an entity type, sorted.
    pub populations: Vec<Members>,
    /// Versions of credentials that slm rotated in it.
    pub rotations: Vec<Life>,
}

/// A run, as its file in the locker tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNote {
    /// Its name.
    pub id: RunId,
    /// When it began.
    pub at: Timestamp,
    /// The instant that its rules saw as now; absent in runs of versions that did not write it down.
    pub judged: Option<Timestamp>,
    /// When it was recorded: the date of its commit.
    pub received: Timestamp,
    /// Its commit in the locker.
    pub commit: String,
    /// Its file there.
    pub path: String,
    /// The verb.
    pub verb: String,
    /// Version of slm.
    pub slm: String,
    /// The commit of the config repo, or `work-tree-` and a digest of its files.
    pub config: String,
    /// Who asked, as each source saw it, by source and collector.
    pub callers: BTreeMap<String, Option<String>>,
    /// What it saw of each population.
    pub seen: Vec<Seen>,
    /// Lists that it compared with something that counts them independently.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reconciled: Vec<Reconciled>,
    /// Actions that did not come to their end, one line each.
    pub unfinished: Vec<String>,
}

/// A run that was recorded long after the time it says it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// What it says.
    pub run: RunNote,
    /// When it was recorded at the earliest.
    pub recorded: Timestamp,
}

impl Late {
    /// In words.
    #[must_use]
    pub fn told(&self) -> String {
        let RunNote { id, at, .. } = &self.run;
        format!("run {id} says that it began at {at}, and was recorded no sooner than {}: it stands for no day", self.recorded)
    }
}

/// How much of one population a run saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its entity type.
    pub entity: EntityType,
    /// Where it was read.
    pub source: SourceId,
    /// Account and region, organisation, or `.`.
    pub scope: String,
    /// Whether all of it was seen.
    pub completeness: Completeness,
    /// How many members were seen.
    pub members: u64,
}

/// One day of UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// The runs that began on it; empty when none did.
    pub runs: Vec<At>,
}

/// A time without a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The run before, or the beginning of the period.
    pub after: Timestamp,
    /// The run after, or the end of the period.
    pub before: Timestamp,
    /// Why, as far as the locker tells.
    pub reason: NoRun,
}

/// Why there was no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoRun {
    /// The locker had no run at all yet.
    BeforeTheFirst,
    /// Nothing was recorded, and nothing says why.
    NothingRecorded,
    /// The run before did not come to its end.
    AfterUnfinished,
    /// No run came since.
    AfterTheLast,
}

/// What one control said of its subjects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The control.
    pub control: ControlId,
    /// Its file in the locker.
    pub path: String,
    /// One a day of the period, in the order of [`Period::days`].
    pub days: Vec<Cell>,
    /// Everything it was judged for, sorted by subject.
    pub members: Vec<Member>,
}

/// What one control said on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cell {
    /// No run began on this day: nothing is known.
    NoRun,
    /// There were runs, and none judged this control.
    NotJudged,
    /// It was judged.
    Judged {
        /// The gravest status of any subject in any run of the day; `None` when its population was seen whole and is empty.
        gravest: Option<Status>,
        /// How many subjects had each status in the last run of the day.
        tally: Tally,
    },
}

/// What one control said of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// A resource, or a population that was not seen to its end.
    pub subject: Subject,
    /// What the last run before the period said of it.
    pub before: Option<Status>,
    /// What was not over yet when the period began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Open>,
    /// In order, apart from each other; between two of them it was not judged.
    pub spans: Vec<Span>,
}

/// That a member did not meet its control, or only by an exception, when something was said of it last before the period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The exception; `None` when it was non-compliant.
    pub exception: Option<ExceptionId>,
    /// When that was seen first.
    pub since: Timestamp,
    /// Source and scope where it was seen last, of what no run has seen since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(SourceId, String)>,
}

/// Runs one after another that said the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first of them.
    pub from: At,
    /// The first that said otherwise, or [`Period::runs`]' length.
    pub until: At,
    /// What they said.
    pub status: Status,
    /// Why.
    pub because: Because,
}

impl Series {
    /// Takes in what was not over yet when the period began; whom no run of it judged is a member all the same.
    pub fn carry(&mut self, open: BTreeMap<Subject, Open>) {
        for (subject, open) in open {
            match self.members.binary_search_by(|member| member.subject.cmp(&subject)) {
                Ok(at) => self.members[at].open = Some(open),
                Err(at) => self.members.insert(at, Member { subject, before: None, open: Some(open), spans: Vec::new() }),
            }
        }
    }
}

impl Member {
    /// What the run `at` said of it.
    #[must_use]
    pub fn at(&self, at: At) -> Option<&Span> {
        let next = self.spans.partition_point(|span| span.until <= at);
        self.spans.get(next).filter(|span| span.from <= at)
    }
}

/// Who was seen of one entity type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The entity type.
    pub entity: EntityType,
    /// Its file in the locker.
    pub path: String,
    /// How many there were by the last run of each day that saw all of them; `None` on a day without such a run.
    pub sizes: Vec<Option<u64>>,
    /// Everybody who was seen, sorted by (source, scope, id).
    pub seen: Vec<Presence>,
    /// Who came and who went, in order.
    pub changes: Vec<Change>,
}

/// When one resource was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Where.
    pub source: SourceId,
    /// Account and region, organisation, or `.`.
    pub scope: String,
    /// Its id.
    pub id: ResourceId,
    /// Runs by which it was seen: from the first on, until the first that did not see it any more.
    pub spans: Vec<(At, At)>,
}

/// One resource more, or one less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The run that saw it first, or not any more.
    pub run: At,
    /// Where.
    pub source: SourceId,
    /// Account and region, organisation, or `.`.
    pub scope: String,
    /// Its id.
    pub id: ResourceId,
    /// True when it came.
    pub came: bool,
    /// What explains it; `None` is for a person to look into.
    pub explained: Option<Explanation>,
}

/// What explains that a population changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Explanation {
    /// The source says that it was made since the run before.
    Created(Timestamp),
    /// The source said beforehand that it was being deleted.
    Deleting,
    /// The log of calls has the call that made or ended it.
    Called {
        /// Its name.
        event: String,
        /// When it was made.
        at: Timestamp,
        /// Who made it.
        by: String,
    },
    /// The population was not seen whole: it may be there all the same.
    NotSeenWhole,
    /// The population was not seen whole before: it may have been there all the time.
    NotSeenWholeBefore,
    /// Another config reads other sources, or declares others.
    OtherConfig,
}

/// The life of one version of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The credential.
    pub credential: CredentialId,
    /// The version.
    pub version: VersionId,
    /// Its file in the locker.
    pub path: String,
    /// What is written there.
    pub told: serde_json::Value,
}

impl Life {
    /// Where it stands among others: by its credential, then by when it was made.
    #[must_use]
    pub fn place(&self) -> (CredentialId, Option<Timestamp>, VersionId) {
        (self.credential.clone(), self.instant("made"), self.version.clone())
    }

    /// What is written there under `name`, when that is an instant.
    #[must_use]
    pub fn instant(&self, name: &str) -> Option<Timestamp> {
        self.told[name].as_str()?.parse().ok()
    }

    /// When it gave way to `next`, the version of its credential that was made after it; `None` while that is not in force. Of a kind that
    /// brings versions into force by promoting them, that is when; of others, when it was made.
    #[must_use]
    pub fn gave_way(&self, next: &Self) -> Option<Timestamp> {
        let promoted = next.instant("promoted");
        if self.instant("promoted").is_some() { promoted } else { promoted.or_else(|| next.instant("made")) }
    }
}

impl Period {
    /// Every run that says it began in it.
    pub fn recorded(&self) -> impl Iterator<Item = &RunNote> {
        self.runs.iter().chain(self.late.iter().map(|late| &late.run))
    }

    /// Its first and its last instant.
    #[must_use]
    pub fn bounds(&self) -> (Timestamp, Timestamp) {
        bounds(self.from, self.to)
    }

    /// Its last instant, or that of today while days of it are to come.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.days.last().map_or(self.bounds().1, |last| before_midnight(last.date))
    }

    /// How many of its days are to come.
    #[must_use]
    pub fn to_come(&self) -> usize {
        let all = self.from.until(self.to).map_or(0, |span| span.get_days()) + 1;
        usize::try_from(all).unwrap_or(0).saturating_sub(self.days.len())
    }
}

/// The first instant of `date`.
#[must_use]
pub fn midnight(date: Date) -> Timestamp {
    date.to_zoned_datetime(jiff::tz::TimeZone::UTC).map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// The last instant of `date`.
#[must_use]
pub fn before_midnight(date: Date) -> Timestamp {
    let next = date.checked_add(1.day()).map(midnight);
    next.ok().and_then(|next| next.checked_sub(1.nanosecond()).ok()).unwrap_or(Timestamp::MAX)
}

/// The first and the last instant of the days from `from` to `to`.
#[must_use]
pub fn bounds(from: Date, to: Date) -> (Timestamp, Timestamp) {
    (midnight(from), before_midnight(to))
}

/// The day of `at`.
#[must_use]
pub fn day(at: Timestamp) -> Date {
    at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: At, until: At, status: Status, because: Because) -> Span {
        Span { from, until, status, because }
    }

    #[test]
    fn a_member_is_found_at_each_run_that_judged_it() {
        let spans = vec![span(1, 2, Status::Compliant, Because::OutOfScope), span(3, 5, Status::NoEvidence, Because::Stale)];
        let subject = Subject::Resource { entity: "A".into(), id: "x".into() };
        let member = Member { subject, before: None, open: None, spans };
        let all: Vec<_> = (0..6).map(|at| member.at(at).map(|span| span.status)).collect();
        assert_eq!(all, [None, Some(Status::Compliant), None, Some(Status::NoEvidence), Some(Status::NoEvidence), None]);
    }

    #[test]
    fn a_day_ends_a_moment_before_the_next() {
        let date: Date = "2026-03-31".parse().unwrap();
        assert_eq!(midnight(date).to_string(), "2026-03-31T00:00:00Z");
        assert_eq!(before_midnight(date).to_string(), "2026-03-31T23:59:59.999999999Z");
        assert_eq!([day(midnight(date)), day(before_midnight(date))], [date, date]);
    }
}
