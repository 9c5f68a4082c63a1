//! A stretch of days for an auditor: the nine questions, each with its answer and where its proof is.

mod human;
mod unseen;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

pub use human::human;

use super::markdown::{line, prose};
use super::words;
use crate::model::assessment::{Status, Subject};
use crate::model::catalog::Exception;
use crate::model::deviation::{Deviation, Ending};
use crate::model::id::{ControlId, ExceptionId, FrameworkId};
use crate::model::past::{LogHead, Noted, Serving, TextChange};
use crate::model::period::{At, Cell, Change, Explanation, NoRun, Period, Series};
use crate::model::segregation::Segregation;
use crate::model::time::{Limit, Timestamp};

const MARKDOWN: &str = include_str!("../templates/period.md.j2");

/// Everything a period is reported by.
pub struct Report<'a> {
    /// What the evidence says.
    pub period: &'a Period,
    /// The branch it is on.
    pub branch: &'a str,
    /// Longer without a run is told.
    pub cadence: Limit,
    /// The framework it is about; `None` for all.
    pub framework: Option<&'a FrameworkId>,
    /// Which controls serve each criterion.
    pub serving: &'a [Serving],
    /// Where the config changed.
    pub texts: &'a [TextChange],
    /// Controls that were judged in it and that the config of its last run has no more.
    pub removed: &'a BTreeSet<ControlId>,
    /// Whether a person signed for each of its days, by control that a person states.
    pub signed: &'a BTreeMap<ControlId, Vec<bool>>,
    /// Exceptions of the config of the last run.
    pub exceptions: Vec<Exception>,
    /// The log after the last run.
    pub head: Option<&'a LogHead>,
    /// Who could change both policy and evidence, as the last run saw it.
    pub segregation: &'a [Segregation],
    /// What contradicts itself.
    pub findings: &'a [Noted],
    /// What could not be shown.
    pub unproven: &'a [Noted],
}

impl Report<'_> {
    /// Whether a person signed for the day at the place `day`; `None` of a control that no person states.
    fn signed(&self, series: &Series, day: usize) -> Option<bool> {
        self.signed.get(&series.control).map(|days| days.get(day).copied().unwrap_or(false))
    }
}

/// How many days a control had of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    compliant: u64,
    excepted: u64,
    non_compliant: u64,
    no_evidence: u64,
    signed: u64,
    manual: u64,
    empty: u64,
    not_judged: u64,
    no_run: u64,
}

impl Counts {
    fn of(report: &Report<'_>, series: &Series) -> Self {
        let mut counts = Self::default();
        for (day, cell) in series.days.iter().enumerate() {
            let place = match cell {
                Cell::NoRun => &mut counts.no_run,
                Cell::NotJudged => &mut counts.not_judged,
                Cell::Judged { gravest, .. } => match gravest {
                    Some(Status::Compliant) => &mut counts.compliant,
                    Some(Status::Excepted) => &mut counts.excepted,
                    Some(Status::NonCompliant) => &mut counts.non_compliant,
                    Some(Status::NoEvidence) => match report.signed(series, day) {
                        Some(true) => &mut counts.signed,
                        Some(false) => &mut counts.manual,
                        None => &mut counts.no_evidence,
                    },
                    Some(Status::NotApplicable) | None => &mut counts.empty,
                },
            };
            *place += 1;
        }
        counts
    }

    /// Each that is not none, in words.
    fn parts(self) -> Vec<(u64, &'static str)> {
        let Self { compliant, excepted, non_compliant, no_evidence, signed, manual, empty, not_judged, no_run } = self;
        let all = [
            (compliant, "compliant"),
            (excepted, "excepted"),
            (non_compliant, "non-compliant"),
            (no_evidence, "no-evidence"),
            (signed, "signed by a person"),
            (manual, "manual, not signed"),
            (empty, "without a member"),
            (not_judged, "not judged"),
            (no_run, "no run"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }

    fn text(self) -> String {
        self.parts().iter().map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }
}

/// A deviation or the use of an exception, with its instants.
struct Lasting {
    detected: Timestamp,
    /// When it was seen otherwise.
    until: Option<Timestamp>,
    /// When it was seen to hold, to be excepted or to be out of scope: who is gone was not repaired.
    fixed: Option<Timestamp>,
    /// Since when nobody saw how it stands.
    unseen: Option<Timestamp>,
    ending: &'static str,
}

impl Lasting {
    fn of(period: &Period, one: &Deviation) -> Self {
        let until = one.until(period);
        let repaired = matches!(one.ended, Some((_, Ending::Became(status))) if status != Status::NonCompliant);
        Self {
            detected: one.since(period),
            until,
            fixed: until.filter(|_| repaired),
            unseen: one.unseen.and_then(|at| period.runs.get(at)).map(|run| run.at),
            ending: one.ended.map_or("open", |(_, ending)| ending.word()),
        }
    }

    fn seconds(&self) -> Option<i64> {
        self.until.map(|until| until.as_second() - self.detected.as_second())
    }

    fn told(&self, before: bool) -> String {
        let since = format!("{}{}", self.detected, if before { " (before the period)" } else { "" });
        match (self.until, self.unseen) {
            (Some(until), _) => format!("{since} until {until}, {} ({})", words::age(self.detected, until), self.ending),
            (None, Some(unseen)) => format!("{since}, {}, not seen since {unseen}", self.ending),
            (None, None) => format!("{since}, {}", self.ending),
        }
    }
}

/// Uses of one exception at the same time as uses of others for the same subject or control.
struct Overlap {
    one: ExceptionId,
    other: ExceptionId,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// Where two exceptions of one control were in use at once.
fn overlaps(period: &Period) -> Vec<Overlap> {
    let waivers = period.waivers();
    let end = |one: &Deviation| one.ended.map_or(period.runs.len(), |(at, _)| at);
    let at = |run: At| period.runs.get(run).map(|run| run.at);
    let mut all = Vec::new();
    for (place, (one, first)) in waivers.iter().enumerate() {
        for (other, second) in waivers.iter().skip(place + 1).filter(|(other, _)| other != one) {
            let (from, until) = (first.detected.max(second.detected), end(first).min(end(second)));
            if first.control == second.control && from < until {
                let from = at(from).unwrap_or(Timestamp::UNIX_EPOCH);
                all.push(Overlap { one: one.clone(), other: other.clone(), from, until: at(until) });
            }
        }
    }
    all
}

fn why(explained: Option<&Explanation>) -> String {
    match explained {
        Some(Explanation::Created(at)) => format!("made at {at}, says its source"),
        Some(Explanation::Deleting) => "its source said before that it was being deleted".to_owned(),
        Some(Explanation::Called { event, at, by }) => format!("{event} at {at} by {by}, says the log of calls"),
        Some(Explanation::NotSeenWhole) => "the population was not seen whole: it may be there all the same".to_owned(),
        Some(Explanation::NotSeenWholeBefore) => "the population was not seen whole before: it may have been there".to_owned(),
        Some(Explanation::OtherConfig) => "another config reads other sources, or declares others".to_owned(),
        None => "NOT EXPLAINED by any event that was observed".to_owned(),
    }
}

fn no_run(reason: NoRun) -> &'static str {
    match reason {
        NoRun::BeforeTheFirst => "the locker had no run yet",
        NoRun::NothingRecorded => "nothing was recorded, and nothing says why",
        NoRun::AfterUnfinished => "the run before did not come to its end",
        NoRun::AfterTheLast => "no run came since",
    }
}

fn subject(subject: &Subject) -> String {
    words::subject(subject)
}

/// True when a control had not enough evidence in a run, whatever the others of its day said.
#[must_use]
pub fn lacks_evidence(report: &Report<'_>) -> bool {
    !unseen::all(report).is_empty()
}

fn lasting(period: &Period, one: &Deviation) -> Json {
    let told = Lasting::of(period, one);
    let seconds = told.seconds();
    let Lasting { detected, until, fixed, unseen, ending } = told;
    json!({
        "control": one.control, "subject": one.subject, "detected": detected, "before": one.before.is_some(), "ended": until,
        "fixed": fixed, "seconds": seconds, "ending": ending, "unseen": unseen,
        "run": period.runs.get(one.detected).map(|run| &run.id),
    })
}

/// The report for programs: the period itself, and what is made of it.
#[must_use]
pub fn json(report: &Report<'_>) -> Json {
    let Report {
        period,
        branch,
        cadence,
        framework,
        serving,
        texts,
        removed,
        signed: _,
        exceptions,
        head,
        segregation,
        findings,
        unproven,
    } = report;
    let waiver = |(id, one): &(ExceptionId, Deviation)| {
        let mut told = lasting(period, one);
        let exception = exceptions.iter().find(|exception| exception.id == *id);
        told["exception"] = json!(id);
        told["approver"] = json!(exception.map(|one| &one.approver));
        told["requester"] = json!(exception.map(|one| &one.requester));
        told["expires"] = json!(exception.map(|one| one.expires));
        told["approvals"] = json!(exception.map(|one| one.earlier.len() + 1));
        told
    };
    let overlap =
        |Overlap { one, other, from, until }: &Overlap| json!({ "one": one, "other": other, "from": from, "until": until });
    let counts = |series: &Series| {
        let parts: serde_json::Map<_, _> =
            Counts::of(report, series).parts().into_iter().map(|(count, word)| (word.to_owned(), json!(count))).collect();
        json!({ "control": series.control, "days": parts })
    };
    let gap = |one: &Serving| {
        let mut told = json!(one);
        told["gap"] = json!(one.is_gap());
        told
    };
    json!({
        "branch": branch,
        "cadence": cadence,
        "framework": framework,
        "period": period,
        "summary": period.controls.iter().map(counts).collect::<Vec<_>>(),
        "deviations": period.deviations().iter().map(|one| lasting(period, one)).collect::<Vec<_>>(),
        "waivers": period.waivers().iter().map(waiver).collect::<Vec<_>>(),
        "without": unseen::all(report).iter().map(|(control, days)| json!({ "control": control, "days": days })).collect::<Vec<_>>(),
        "overlaps": overlaps(period).iter().map(overlap).collect::<Vec<_>>(),
        "unexplained": unexplained(period).len(),
        "texts": texts,
        "removed": removed,
        "criteria": serving.iter().map(gap).collect::<Vec<_>>(),
        "log": head,
        "segregation": segregation,
        "findings": findings,
        "unproven": unproven,
    })
}

/// Changes of populations that nothing explains.
fn unexplained(period: &Period) -> Vec<&Change> {
    period.populations.iter().flat_map(|one| &one.changes).filter(|change| change.explained.is_none()).collect()
}

/// The report as GitHub-flavoured markdown.
///
/// # Errors
/// When the template fails, which is a defect of slm.
pub fn markdown(report: &Report<'_>) -> Result<String, minijinja::Error> {
    let mut environment = minijinja::Environment::new();
    environment.set_debug(false);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.add_filter("cell", |text: String| prose(&text));
    environment.add_filter("spans", |text: String| line(&text));
    let sections = human::sections(report);
    let period = report.period;
    let deviations = period.deviations();
    let page = json!({
        "from": period.from, "to": period.to, "branch": report.branch, "framework": report.framework, "runs": period.runs.len(),
        "sections": sections.iter().map(|(title, lines)| json!({ "title": title, "lines": lines })).collect::<Vec<_>>(),
        "controls": period.controls.iter().map(|series| row(report, series, &deviations)).collect::<Vec<_>>(),
    });
    environment.render_str(MARKDOWN, minijinja::value::Serde(&page))
}

/// A row of the table of controls.
fn row(report: &Report<'_>, series: &Series, deviations: &[Deviation]) -> Json {
    let counts = Counts::of(report, series);
    let deviations = deviations.iter().filter(|one| one.control == series.control).count();
    json!({
        "control": series.control, "compliant": counts.compliant, "excepted": counts.excepted, "bad": counts.non_compliant,
        "unseen": counts.no_evidence + counts.manual, "none": counts.no_run, "other": counts.empty + counts.not_judged + counts.signed, "deviations": deviations,
    })
}

#[cfg(test)]
mod tests;
