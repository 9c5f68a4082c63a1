//! Days side by side: what a control said of one subject, or of all, as stretches of days that said the same.

use serde::Serialize;

use super::{Made, Version};
use crate::model::assessment::Status;
use crate::model::id::ControlId;
use crate::model::period::{At, Cell, Day, Member, Series};
use crate::report::words::count;

/// What a day says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It was not there, or the control was not judged.
    Absent,
    /// The control does not speak about it.
    NotApplicable,
    /// A rule permits.
    Compliant,
    /// Only an exception permits.
    Excepted,
    /// No run began on that day.
    NoRun,
    /// Not enough was seen.
    NoEvidence,
    /// No rule permits.
    NonCompliant,
}

impl Said {
    /// The word used on every page.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "not there",
            Self::NotApplicable => "not applicable",
            Self::Compliant => "compliant",
            Self::Excepted => "excepted",
            Self::NoRun => "no run",
            Self::NoEvidence => "no evidence",
            Self::NonCompliant => "non-compliant",
        }
    }

    /// The name of its look.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::NotApplicable => "not-applicable",
            Self::Compliant => "compliant",
            Self::Excepted => "excepted",
            Self::NoRun => "no-run",
            Self::NoEvidence => "no-evidence",
            Self::NonCompliant => "non-compliant",
        }
    }
}

impl From<Status> for Said {
    fn from(status: Status) -> Self {
        match status {
            Status::NotApplicable => Self::NotApplicable,
            Status::Compliant => Self::Compliant,
            Status::Excepted => Self::Excepted,
            Status::NoEvidence => Self::NoEvidence,
            Status::NonCompliant => Self::NonCompliant,
        }
    }
}

/// Days one after another that said the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The column of the first, from 1.
    pub start: usize,
    /// How many.
    pub days: usize,
    /// The name of its look.
    pub class: &'static str,
    /// What it says, with its dates.
    pub label: String,
    /// The page that shows why; empty when there is none.
    pub href: String,
}

/// What each day said of `member`: the gravest of its runs.
pub fn days_of(member: &Member, days: &[Day]) -> Vec<Said> {
    let one = |day: &Day| {
        if day.runs.is_empty() {
            return Said::NoRun;
        }
        let said = day.runs.iter().filter_map(|run| member.at(*run)).map(|span| Said::from(span.status));
        said.max().unwrap_or(Said::Absent)
    };
    days.iter().map(one).collect()
}

/// What each day said of the whole control.
pub fn days_of_all(series: &Series) -> Vec<Said> {
    let one = |cell: &Cell| match cell {
        Cell::NoRun => Said::NoRun,
        Cell::NotJudged | Cell::Judged { gravest: None, .. } => Said::Absent,
        Cell::Judged { gravest: Some(status), .. } => (*status).into(),
    };
    series.days.iter().map(one).collect()
}

/// `said`, joined where it is the same. Each leads to the decisions of the first run that said it.
pub fn stretches(made: &Made<'_>, control: &ControlId, said: &[Said], anchor: &str) -> Vec<Stretch> {
    let days = &made.period.days;
    let mut all: Vec<(usize, usize, Said)> = Vec::new();
    for (at, one) in said.iter().enumerate() {
        match all.last_mut() {
            Some((_, length, last)) if last == one => *length += 1,
            _ => all.push((at, 1, *one)),
        }
    }
    let stretch = |(at, length, said): (usize, usize, Said)| {
        let (first, last) = (days[at].date, days[at + length - 1].date);
        let when = if length == 1 { first.to_string() } else { format!("{first} to {last}") };
        let run = days[at..at + length].iter().flat_map(|day| day.runs.last()).next();
        let page = run.filter(|_| said != Said::NoRun && said != Said::Absent).and_then(|run| version(made, control, *run));
        Stretch {
            start: at + 1,
            days: length,
            class: said.class(),
            label: format!("{}, {when}, {}", said.word(), count(length as u64, "day")),
            href: page.map_or_else(String::new, |version| format!("{}{anchor}", version.page)),
        }
    };
    all.into_iter().map(stretch).collect()
}

/// The version of the decisions of `control` that was in force at the run `at`.
pub fn version<'a>(made: &Made<'a>, control: &ControlId, at: At) -> Option<&'a Version> {
    made.versions.get(control)?.iter().rev().find(|version| version.from <= at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assessment::{Because, Subject};
    use crate::model::period::Span;

    fn day(date: &str, runs: &[At]) -> Day {
        Day { date: date.parse().unwrap(), runs: runs.to_vec() }
    }

    #[test]
    fn a_day_shows_the_gravest_of_its_runs_and_no_run_is_not_compliance() {
        let span = |from, until, status| Span { from, until, status, because: Because::OutOfScope };
        let member = Member {
            subject: Subject::Resource { entity: "A".into(), id: "x".into() },
            before: None,
            open: None,
            spans: vec![
                span(0, 1, Status::Compliant),
                span(1, 2, Status::NonCompliant),
                span(2, 3, Status::Compliant),
                span(4, 5, Status::NoEvidence),
            ],
        };
        let days = [
            day("2026-03-01", &[0, 1, 2]),
            day("2026-03-02", &[]),
            day("2026-03-03", &[3]),
            day("2026-03-04", &[4]),
            day("2026-03-05", &[2]),
        ];
        let said = days_of(&member, &days);
        assert_eq!(said, [Said::NonCompliant, Said::NoRun, Said::Absent, Said::NoEvidence, Said::Compliant]);
    }

    #[test]
    fn words_are_ranked_from_the_best_to_the_gravest() {
        let statuses = [Status::NotApplicable, Status::Compliant, Status::Excepted, Status::NoEvidence, Status::NonCompliant];
        assert!(statuses.map(Said::from).is_sorted());
        assert!(Said::Compliant < Said::NoRun && Said::NoRun < Said::NoEvidence, "a day without a run is worse than a good one");
    }
}
