//! Days side by side: what a control said of one subject, or of all, as stretches of days that said the same.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Made, Version};
use crate::model::assessment::{Because, Status, Subject};
use crate::model::deviation::Look;
use crate::model::id::ControlId;
use crate::model::period::{At, Cell, Day, Member, Series};
use crate::report::annotations::uri;
use crate::report::words::count;

/// What a day says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It was not there.
    Absent,
    /// The control was not judged.
    NotJudged,
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
            Self::NotJudged => "not judged",
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
            Self::NotJudged => "not-judged",
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
    /// The run that said so first.
    #[serde(skip)]
    pub run: Option<At>,
}

/// What a day says, and the run that said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it says: the gravest of its runs.
    pub said: Said,
    /// The first of its runs that said so.
    pub run: Option<At>,
    /// Days that say the same are told as one where this is the same too.
    part: u64,
    /// Whether the run has a line of its own about it.
    own: bool,
}

/// What runs said of the members of one control, and saw of them.
pub struct Sight<'a, 'p> {
    look: &'a Look<'p>,
    series: &'a Series,
    /// Whether each run said anything of any of them.
    judged: Vec<bool>,
}

impl<'a, 'p> Sight<'a, 'p> {
    /// Of `series`, by the `runs` of the period that `look` is at.
    pub fn of(look: &'a Look<'p>, series: &'a Series, runs: usize) -> Self {
        let judged = worst(series, runs).into_iter().map(|worst| worst.is_some()).collect();
        Self { look, series, judged }
    }

    /// What each day said of `member`, the gravest of its runs; days are one where one reason stood for them.
    pub fn days_of(&self, member: &Member, days: &[Day]) -> Vec<Shown> {
        let one = |(place, day): (usize, &Day)| {
            let first = Shown { said: Said::NoRun, run: None, part: 0, own: true };
            day.runs.iter().fold(first, |shown, run| {
                let next = self.shown(member, *run, self.series.days.get(place));
                if shown.said == Said::NoRun || next.said > shown.said { next } else { shown }
            })
        };
        days.iter().enumerate().map(one).collect()
    }

    /// What the run said of `member`, or saw of it where it said nothing: not seeing is neither that it holds nor that it is gone.
    fn shown(&self, member: &Member, run: At, cell: Option<&Cell>) -> Shown {
        if let Some(span) = member.at(run) {
            return Shown { said: span.status.into(), run: Some(run), part: span.from as u64, own: true };
        }
        let judged = self.judged.get(run).copied().unwrap_or(false);
        let said = match (&member.subject, cell) {
            (_, Some(Cell::NotJudged)) => Said::NotJudged,
            (Subject::Population { .. }, _) => Said::Absent,
            _ if self.look.is_without(run, member) => Said::Absent,
            _ if !judged => Said::NotJudged,
            _ => Said::NoEvidence,
        };
        Shown { said, run: Some(run).filter(|_| said == Said::NoEvidence), part: u64::MAX, own: false }
    }

    /// Why the run said what it did of `member`, or what kept it from seeing all of its population.
    pub fn because<'b>(&'b self, member: &'b Member, run: At) -> Option<&'b Because> {
        let Subject::Resource { entity, .. } = &member.subject else { return member.at(run).map(|span| &span.because) };
        let of = |one: &&Member| matches!(&one.subject, Subject::Population { entity: of, .. } if of == entity);
        let mut unseen = self.series.members.iter().filter(of);
        member.at(run).or_else(|| unseen.find_map(|one| one.at(run))).map(|span| &span.because)
    }
}

/// What each day said of the whole control; days on which anything was worse than compliant are one where that was so of the same members.
pub fn days_of_all(series: &Series, days: &[Day], runs: usize) -> Vec<Shown> {
    let worst = worst(series, runs);
    let one = |(cell, day): (&Cell, &Day)| {
        let said = match cell {
            Cell::NoRun => Said::NoRun,
            Cell::NotJudged => Said::NotJudged,
            Cell::Judged { gravest: None, .. } => Said::Absent,
            Cell::Judged { gravest: Some(status), .. } => (*status).into(),
        };
        let of = |run: &&At| worst.get(**run).and_then(|worst| *worst).is_some_and(|(status, _)| Said::from(status) == said);
        let run = day.runs.iter().find(of).or(day.runs.last()).copied();
        let who = run.and_then(|run| *worst.get(run)?).map_or(0, |(_, who)| who);
        Shown { said, run, part: if said > Said::Compliant { who } else { 0 }, own: true }
    };
    series.days.iter().zip(days).map(one).collect()
}

/// The gravest status of any member by each run, and a number that is another where other members have it.
fn worst(series: &Series, runs: usize) -> Vec<Option<(Status, u64)>> {
    // What comes and goes at each run: what did not change is walked once a span.
    let mut marks: BTreeMap<Status, Vec<(i64, u64)>> = BTreeMap::new();
    for (place, member) in series.members.iter().enumerate() {
        for span in &member.spans {
            let marks = marks.entry(span.status).or_insert_with(|| vec![(0, 0); runs + 1]);
            for (at, step) in [(span.from, 1), (span.until, -1)] {
                let mark = &mut marks[at.min(runs)];
                *mark = (mark.0 + step, mark.1 ^ mixed(place as u64));
            }
        }
    }
    let mut worst = vec![None; runs];
    for (status, marks) in marks {
        let mut now = (0, 0);
        for (at, mark) in marks.into_iter().take(runs).enumerate() {
            now = (now.0 + mark.0, now.1 ^ mark.1);
            // From the best to the gravest, so that the last one stays.
            if now.0 > 0 {
                worst[at] = Some((status, now.1));
            }
        }
    }
    worst
}

/// A number that stands for a place among others, the same each time: the finaliser of splitmix64.
fn mixed(place: u64) -> u64 {
    let mixed = place.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The same days, one where the same decisions stood.
pub fn by_version(made: &Made<'_>, control: &ControlId, shown: &[Shown]) -> Vec<Shown> {
    let part = |run: Option<At>| run.and_then(|run| version(made, control, run)).map_or(0, |version| version.from as u64 + 1);
    shown.iter().map(|one| Shown { part: if leads(one.said) { part(one.run) } else { 0 }, ..*one }).collect()
}

/// The same days, one where they say the same.
pub fn by_word(shown: &[Shown]) -> Vec<Shown> {
    shown.iter().map(|one| Shown { part: 0, ..*one }).collect()
}

/// True when something was judged, which a page shows.
fn leads(said: Said) -> bool {
    !matches!(said, Said::NoRun | Said::Absent | Said::NotJudged)
}

/// `shown`, joined where it is the same. Each leads to the decisions of the run that said it first.
pub fn stretches(made: &Made<'_>, control: &ControlId, shown: &[Shown], anchor: &str) -> Vec<Stretch> {
    let days = &made.period.days;
    let mut all: Vec<(usize, usize, Shown)> = Vec::new();
    for (at, one) in shown.iter().enumerate() {
        match all.last_mut() {
            Some((_, length, last)) if last.said == one.said && (last.part == one.part || !leads(one.said)) => *length += 1,
            _ => all.push((at, 1, *one)),
        }
    }
    let stretch = |(at, length, shown): (usize, usize, Shown)| {
        let (first, last) = (days[at].date, days[at + length - 1].date);
        let when = if length == 1 { first.to_string() } else { format!("{first} to {last}") };
        let page = shown.run.filter(|_| leads(shown.said)).and_then(|run| version(made, control, run));
        let anchor = if shown.own { anchor } else { "" };
        Stretch {
            start: at + 1,
            days: length,
            class: shown.said.class(),
            label: format!("{}, {when}, {}", shown.said.word(), count(length as u64, "day")),
            href: page.map_or_else(String::new, |version| format!("{}{anchor}", uri(&version.page))),
            run: shown.run,
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

    /// What each day of two runs says of `member` of a control that said so of its members.
    fn days_of(whole: &[bool], members: Vec<Member>, judged: bool) -> Vec<(Said, Option<At>)> {
        let mut period = crate::model::deviation::tests::period(whole, None, Vec::new());
        period.controls[0].members = members;
        let days = [day("2026-03-01", &[0, 1]), day("2026-03-02", &[]), day("2026-03-03", &[2, 3])];
        period.controls[0].days =
            vec![if judged { Cell::Judged { gravest: None, tally: Default::default() } } else { Cell::NotJudged }; 3];
        let (look, series) = (Look::at(&period), &period.controls[0]);
        let sight = Sight::of(&look, series, whole.len());
        sight.days_of(&series.members[0], &days).into_iter().map(|one| (one.said, one.run)).collect()
    }

    #[test]
    fn a_day_shows_the_gravest_of_its_runs_and_no_run_is_not_compliance() {
        let spans = [(0, 1, Status::NonCompliant), (1, 2, Status::Compliant), (2, 4, Status::Compliant)];
        let shown = days_of(&[true; 4], vec![member("x", &spans)], true);
        assert_eq!(
            shown,
            [(Said::NonCompliant, Some(0)), (Said::NoRun, None), (Said::Compliant, Some(2))],
            "with the run that said it"
        );
    }

    #[test]
    fn who_was_not_seen_is_neither_compliant_nor_gone() {
        let good = Status::Compliant;
        let all = |denied: At, until: At| {
            let of = Subject::Population { entity: "A".into(), source: None, scope: ".".to_owned() };
            let unseen = Member { subject: of, ..member("", &[(denied, until, Status::NoEvidence)]) };
            vec![member("x", &[(0, denied, good)]), member("y", &[(0, denied, good)]), unseen]
        };
        let (seen, no_run) = ((Said::Compliant, Some(0)), (Said::NoRun, None));
        let denied = days_of(&[true, false, false, false], all(1, 4), true);
        let unseen = |run| (Said::NoEvidence, Some(run));
        assert_eq!(denied, [unseen(1), no_run, unseen(2)], "seen at the first run of the day, and denied at the second");
        let spans = [(0, 2, good)];
        let gone = days_of(&[true; 4], vec![member("x", &spans), member("y", &[(0, 4, good)])], true);
        assert_eq!(gone, [seen, no_run, (Said::Absent, None)], "all of them were seen without it");
        let removed = days_of(&[true; 4], vec![member("x", &[])], false);
        assert_eq!(removed, [(Said::NotJudged, None), no_run, (Said::NotJudged, None)], "nobody judged the control");
    }

    #[test]
    fn words_are_ranked_from_the_best_to_the_gravest() {
        let statuses = [Status::NotApplicable, Status::Compliant, Status::Excepted, Status::NoEvidence, Status::NonCompliant];
        assert!(statuses.map(Said::from).is_sorted());
        assert!(Said::Compliant < Said::NoRun && Said::NoRun < Said::NoEvidence, "a day without a run is worse than a good one");
    }

    fn member(id: &str, spans: &[(At, At, Status)]) -> Member {
        let span = |(from, until, status): &(At, At, Status)| Span {
            from: *from,
            until: *until,
            status: *status,
            because: Because::NothingPermits,
        };
        let subject = Subject::Resource { entity: "A".into(), id: id.into() };
        Member { subject, before: None, open: None, spans: spans.iter().map(span).collect() }
    }

    #[test]
    fn a_day_leads_to_the_run_that_was_the_gravest_and_days_are_one_while_the_same_members_fail() {
        let (good, bad) = (Status::Compliant, Status::NonCompliant);
        let judged = |gravest| Cell::Judged { gravest: Some(gravest), tally: crate::model::assessment::Tally::new() };
        let series = Series {
            control: "C-1".into(),
            path: String::new(),
            days: vec![judged(bad), judged(bad), judged(bad), judged(bad), judged(good)],
            members: vec![
                // Of two runs on the first day, the first failed.
                member("x", &[(0, 1, bad), (1, 2, good), (2, 3, bad), (3, 6, good)]),
                member("y", &[(0, 3, good), (3, 5, bad), (5, 6, good)]),
            ],
        };
        let days = [
            day("2026-03-01", &[0, 1]),
            day("2026-03-02", &[2]),
            day("2026-03-03", &[3]),
            day("2026-03-04", &[4]),
            day("2026-03-05", &[5]),
        ];
        let shown = days_of_all(&series, &days, 6);
        let runs: Vec<_> = shown.iter().map(|one| one.run).collect();
        assert_eq!(runs, [Some(0), Some(2), Some(3), Some(4), Some(5)]);
        let same: Vec<bool> = shown.windows(2).map(|two| two[0].said == two[1].said && two[0].part == two[1].part).collect();
        assert_eq!(same, [true, false, true, false], "x failed for two days, y for two");
        assert_eq!(days_of_all(&series, &days, 6), shown, "the same each time");
    }
}
