//! What the locker says of a stretch of days: its runs, what each control said of each subject in them, and who came and went.
//!
//! Everything is told by the place of its run in [`Period::runs`], so that what did not change between two runs is told once.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
pub use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::assessment::{Because, Status, Subject, Tally};
use super::id::{ControlId, CredentialId, EntityType, ExceptionId, ResourceId, RunId, SourceId, VersionId};
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
    /// Every day of it.
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
    /// Actions that did not come to their end, one line each.
    pub unfinished: Vec<String>,
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
    /// In order, apart from each other; between two of them it was not judged.
    pub spans: Vec<Span>,
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
    /// How many there were after the last run of each day; `None` on a day without a run.
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
    /// Another config reads other sources.
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

/// A subject that did not meet its control, from when it was seen until it was seen otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// The control.
    pub control: ControlId,
    /// The subject.
    pub subject: Subject,
    /// The run that saw it first; the first of the period when it was so before.
    pub detected: At,
    /// True when it was so before the period.
    pub before: bool,
    /// The run that saw it otherwise first; `None` when it is so at the end.
    pub ended: Option<At>,
    /// What it was then; `None` when it was not judged any more.
    pub then: Option<Status>,
}

impl Period {
    /// Its first and its last instant.
    #[must_use]
    pub fn bounds(&self) -> (Timestamp, Timestamp) {
        bounds(self.from, self.to)
    }

    /// What was non-compliant in it, by control and subject.
    #[must_use]
    pub fn deviations(&self) -> Vec<Deviation> {
        self.stretches(|span| span.status == Status::NonCompliant)
    }

    /// What an exception permitted in it, with the exception.
    #[must_use]
    pub fn waivers(&self) -> Vec<(ExceptionId, Deviation)> {
        let mut ids: Vec<&ExceptionId> = self.controls.iter().flat_map(|series| &series.members).flat_map(lifted_by).collect();
        ids.sort_unstable();
        ids.dedup();
        let of = |id: &ExceptionId| {
            let used = |span: &Span| matches!(&span.because, Because::Exception(used) if used == id);
            self.stretches(used).into_iter().map(|stretch| (id.clone(), stretch)).collect::<Vec<_>>()
        };
        ids.into_iter().flat_map(of).collect()
    }

    /// Spans that are `wanted`, joined where they touch.
    fn stretches(&self, wanted: impl Fn(&Span) -> bool) -> Vec<Deviation> {
        let mut all = Vec::new();
        for series in &self.controls {
            for member in &series.members {
                let mut spans = member.spans.iter().peekable();
                while let Some(first) = spans.next() {
                    if !wanted(first) {
                        continue;
                    }
                    let mut until = first.until;
                    while let Some(next) = spans.next_if(|next| wanted(next) && next.from == until) {
                        until = next.until;
                    }
                    let ended = (until < self.runs.len()).then_some(until);
                    all.push(Deviation {
                        control: series.control.clone(),
                        subject: member.subject.clone(),
                        detected: first.from,
                        before: first.from == 0 && member.before == Some(first.status),
                        ended,
                        then: ended.and_then(|at| member.at(at)).map(|span| span.status),
                    });
                }
            }
        }
        all
    }
}

fn lifted_by(member: &Member) -> impl Iterator<Item = &ExceptionId> {
    member.spans.iter().filter_map(|span| match &span.because {
        Because::Exception(id) => Some(id),
        _ => None,
    })
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

    fn period(runs: usize, before: Option<Status>, spans: Vec<Span>) -> Period {
        let run = |at: usize| RunNote {
            id: format!("r{at}").into(),
            at: Timestamp::from_second(i64::try_from(at).unwrap() * 86_400).unwrap(),
            judged: None,
            received: Timestamp::UNIX_EPOCH,
            commit: String::new(),
            path: String::new(),
            verb: "apply".to_owned(),
            slm: String::new(),
            config: String::new(),
            callers: BTreeMap::new(),
            seen: Vec::new(),
            unfinished: Vec::new(),
        };
        let subject = Subject::Resource { entity: "A".into(), id: "x".into() };
        let members = vec![Member { subject, before, spans }];
        Period {
            from: "1970-01-01".parse().unwrap(),
            to: "1970-01-10".parse().unwrap(),
            runs: (0..runs).map(run).collect(),
            days: Vec::new(),
            missed: Vec::new(),
            controls: vec![Series { control: "C-1".into(), path: String::new(), days: Vec::new(), members }],
            populations: Vec::new(),
            rotations: Vec::new(),
        }
    }

    #[test]
    fn a_deviation_lasts_until_it_is_seen_otherwise_whatever_its_reason_meanwhile() {
        let spans = vec![
            span(0, 2, Status::NonCompliant, Because::NothingPermits),
            span(2, 3, Status::NonCompliant, Because::Forbidden(vec!["r".into()])),
            span(3, 5, Status::Compliant, Because::Permitted(vec!["r".into()])),
            span(6, 8, Status::NonCompliant, Because::NothingPermits),
        ];
        let told = |before| {
            let all = period(8, before, spans.clone()).deviations();
            all.into_iter().map(|one| (one.detected, one.before, one.ended, one.then)).collect::<Vec<_>>()
        };
        assert_eq!(told(None), [(0, false, Some(3), Some(Status::Compliant)), (6, false, None, None)]);
        assert_eq!(told(Some(Status::NonCompliant))[0], (0, true, Some(3), Some(Status::Compliant)));
        assert_eq!(told(Some(Status::Compliant))[0], (0, false, Some(3), Some(Status::Compliant)));
    }

    #[test]
    fn a_waiver_is_told_by_its_exception() {
        let excepted = |from, until, id: &str| span(from, until, Status::Excepted, Because::Exception(id.into()));
        let waivers = period(4, None, vec![excepted(0, 1, "a"), excepted(1, 3, "b")]).waivers();
        let told: Vec<_> = waivers.iter().map(|(id, one)| (id.as_str(), one.detected, one.ended, one.then)).collect();
        assert_eq!(told, [("a", 0, Some(1), Some(Status::Excepted)), ("b", 1, Some(3), None)]);
    }

    #[test]
    fn a_member_is_found_at_each_run_that_judged_it() {
        let period = period(
            5,
            None,
            vec![span(1, 2, Status::Compliant, Because::OutOfScope), span(3, 5, Status::NoEvidence, Because::Stale)],
        );
        let member = &period.controls[0].members[0];
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
