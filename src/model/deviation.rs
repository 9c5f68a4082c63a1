//! What did not meet its control, and what exceptions permitted: since when, and until it was seen otherwise.
//!
//! Not seeing ends nothing. What did not hold is open until a run says otherwise of it, or sees all of its population without it: a run
//! that was denied a look, or a control that nobody judges any more, repairs nothing.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use super::assessment::{Because, Status, Subject};
use super::id::{ControlId, EntityType, ExceptionId, ResourceId, SourceId};
use super::period::{At, Member, Period, Presence, RunNote, Seen, Series, Span};
use super::time::Timestamp;

/// A subject that did not meet its control, from when it was seen until it was seen otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The control.
    pub control: ControlId,
    /// The subject.
    pub subject: Subject,
    /// The run that saw it first; the first of the period when it was so before.
    pub detected: At,
    /// When it was seen first, where that was before the period.
    pub before: Option<Timestamp>,
    /// The run that saw it otherwise first, and how; `None` while it is open at the end.
    pub ended: Option<(At, Ending)>,
    /// The first of the runs to the end that did not say how it stands; only of what is open.
    pub unseen: Option<At>,
}

/// How something was seen otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was judged, and was this: compliant, out of scope, or lifted or no longer lifted by an exception.
    Became(Status),
    /// Its population was seen whole without it.
    Gone,
}

impl Ending {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Became(Status::Compliant) => "fixed",
            Self::Became(Status::Excepted) => "excepted since",
            Self::Became(Status::NotApplicable) => "out of scope since",
            Self::Became(Status::NonCompliant) => "non-compliant since",
            Self::Became(Status::NoEvidence) => "not seen since",
            Self::Gone => "gone",
        }
    }
}

impl Deviation {
    /// When it was seen first.
    #[must_use]
    pub fn since(&self, period: &Period) -> Timestamp {
        self.before.or_else(|| period.runs.get(self.detected).map(|run| run.at)).unwrap_or_default()
    }

    /// When it was seen otherwise; `None` while it is open.
    #[must_use]
    pub fn until(&self, period: &Period) -> Option<Timestamp> {
        self.ended.and_then(|(at, _)| period.runs.get(at)).map(|run| run.at)
    }

    /// True while nothing was seen to end it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}

impl Period {
    /// What was non-compliant in it, by control and subject.
    #[must_use]
    pub fn deviations(&self) -> Vec<Deviation> {
        let look = Look::at(self);
        let mut all = Vec::new();
        for series in &self.controls {
            for member in series.members.iter().filter(|member| fails(member)) {
                look.stretches(series, member, None, &mut all);
            }
        }
        all
    }

    /// What an exception permitted in it, with the exception.
    #[must_use]
    pub fn waivers(&self) -> Vec<(ExceptionId, Deviation)> {
        let look = Look::at(self);
        let mut all = Vec::new();
        for series in &self.controls {
            for member in &series.members {
                for id in lifted_by(member) {
                    let mut uses = Vec::new();
                    look.stretches(series, member, Some(id), &mut uses);
                    all.extend(uses.into_iter().map(|one| (id.clone(), one)));
                }
            }
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

fn fails(member: &Member) -> bool {
    member.open.as_ref().is_some_and(|open| open.exception.is_none())
        || member.spans.iter().any(|span| span.status == Status::NonCompliant)
}

fn lifted_by(member: &Member) -> BTreeSet<&ExceptionId> {
    let used = member.spans.iter().filter_map(|span| match &span.because {
        Because::Exception(id) => Some(id),
        _ => None,
    });
    member.open.iter().filter_map(|open| open.exception.as_ref()).chain(used).collect()
}

/// True when `span` is what is looked for: the use of `exception`, or that nothing permits.
fn is(span: &Span, exception: Option<&ExceptionId>) -> bool {
    match (exception, &span.because) {
        (None, _) => span.status == Status::NonCompliant,
        (Some(wanted), Because::Exception(used)) => used == wanted,
        (Some(_), _) => false,
    }
}

/// A source and a scope that had a resource, and the runs that saw it there.
type Place<'a> = (&'a SourceId, &'a str, &'a [(At, At)]);
type Places<'a> = HashMap<(&'a EntityType, &'a ResourceId), Vec<Place<'a>>>;

/// A period, and where each resource was seen in it.
pub struct Look<'a> {
    period: &'a Period,
    places: OnceCell<Places<'a>>,
}

impl<'a> Look<'a> {
    /// Looks at `period`; what is where is put together when it is asked for.
    #[must_use]
    pub fn at(period: &'a Period) -> Self {
        Self { period, places: OnceCell::new() }
    }

    /// Every stretch in which `member` was what is looked for, in order.
    fn stretches(&self, series: &Series, member: &Member, exception: Option<&ExceptionId>, all: &mut Vec<Deviation>) {
        let begin = |detected, before| Deviation {
            control: series.control.clone(),
            subject: member.subject.clone(),
            detected,
            before,
            ended: None,
            unseen: None,
        };
        let carried = member.open.as_ref().filter(|open| open.exception.as_ref() == exception);
        let mut open = carried.map(|carried| begin(0, Some(carried.since)));
        let mut close = |open: &mut Option<Deviation>, ended| {
            all.extend(open.take().map(|one| Deviation { ended, unseen: one.unseen.filter(|_| ended.is_none()), ..one }));
        };
        let mut next = 0;
        for span in &member.spans {
            if let Some(gone) = self.gone(&mut open, member, (next, span.from)) {
                close(&mut open, Some((gone, Ending::Gone)));
            }
            if is(span, exception) {
                open.get_or_insert_with(|| begin(span.from, None)).unseen = None;
            } else if span.status == Status::NoEvidence {
                unseen_since(&mut open, span.from);
            } else {
                close(&mut open, Some((span.from, Ending::Became(span.status))));
            }
            next = span.until;
        }
        let gone = self.gone(&mut open, member, (next, self.period.runs.len()));
        close(&mut open, gone.map(|at| (at, Ending::Gone)));
    }

    /// The first run from `from` until `until`, none of which judged it, that saw all of its population without what is open.
    fn gone(&self, open: &mut Option<Deviation>, member: &Member, (from, until): (At, At)) -> Option<At> {
        open.as_ref()?;
        let gone = (from..until).find(|at| self.is_without(*at, member));
        if gone.is_none() && from < until {
            unseen_since(open, from);
        }
        gone
    }

    /// True when the run `at` saw all of the population of `member` without it.
    #[must_use]
    pub fn is_without(&self, at: At, member: &Member) -> bool {
        let (Subject::Resource { entity, id }, Some(run)) = (&member.subject, self.period.runs.get(at)) else { return false };
        let last = member.open.as_ref().and_then(|open| open.place.as_ref());
        let last = last.map(|(source, scope)| -> Place<'_> { (source, scope, &[]) });
        let known = self.places().get(&(entity, id)).into_iter().flatten().copied();
        let places: Vec<Place<'_>> = known.chain(last).collect();
        if places.is_empty() {
            return whole(run, |seen| seen.entity == *entity);
        }
        places.into_iter().all(|(source, scope, spans)| {
            let there = spans.iter().any(|(from, until)| (*from..*until).contains(&at));
            !there && whole(run, |seen| seen.entity == *entity && seen.source == *source && seen.scope == scope)
        })
    }

    fn places(&self) -> &Places<'a> {
        self.places.get_or_init(|| {
            let mut places = Places::new();
            for members in &self.period.populations {
                for Presence { source, scope, id, spans } in &members.seen {
                    places.entry((&members.entity, id)).or_default().push((source, scope, spans));
                }
                // Who was there before the period alone is told by its going.
                for gone in members.changes.iter().filter(|change| change.run == 0 && !change.came) {
                    places.entry((&members.entity, &gone.id)).or_default().push((&gone.source, &gone.scope, &[]));
                }
            }
            places
        })
    }
}

fn unseen_since(open: &mut Option<Deviation>, at: At) {
    if let Some(open) = open {
        open.unseen.get_or_insert(at);
    }
}

/// True when `run` looked at populations that are `wanted` and saw all of each.
fn whole(run: &RunNote, wanted: impl Fn(&Seen) -> bool) -> bool {
    let mut seen = run.seen.iter().filter(|seen| wanted(seen)).peekable();
    seen.peek().is_some() && seen.all(|seen| seen.completeness.is_complete())
}

#[cfg(test)]
#[path = "deviation_tests.rs"]
pub(crate) mod tests;
