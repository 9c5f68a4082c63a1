//! What one control said of each subject, run by run.

use std::collections::{BTreeMap, BTreeSet};

use super::{Stretch, Told, Versions};
use crate::model::assessment::{Because, Status, Subject, Tally};
use crate::model::id::ControlId;
use crate::model::period::{At, Cell, Member, Series, Span};
use crate::record::changes::lines;
use crate::record::past::{Unreadable, said};

/// What a control says by now.
#[derive(Default)]
pub(super) struct State {
    /// A resource that two sources list is judged twice; the graver counts.
    said: BTreeMap<Subject, Vec<(Status, Because)>>,
    tally: Tally,
    members: BTreeMap<Subject, Member>,
}

/// The series of `control`. `recorded` has what each run counted itself; none of it where it did not judge the control. `before` is
/// true when the last run before the stretch judged it.
///
/// # Errors
/// When a line is not as slm writes it.
pub fn series(
    control: &ControlId,
    stretch: &Stretch<'_>,
    versions: &Versions<'_>,
    recorded: &[Option<Tally>],
    before: bool,
) -> Result<Told<Series>, Unreadable> {
    let mut state = State::default();
    for line in versions.before.lines() {
        state.apply(versions.path, true, line)?;
    }
    if before {
        state.before();
    }
    let mut changes = versions.changes.iter().peekable();
    let (mut tallies, mut contradicted) = (Vec::with_capacity(recorded.len()), Vec::new());
    let mut judged = false;
    for (at, recorded) in recorded.iter().enumerate() {
        let mut touched = BTreeSet::new();
        while let Some((_, changed)) = changes.next_if(|(run, _)| *run <= at) {
            for (came, line) in lines(changed) {
                touched.insert(state.apply(versions.path, came, line)?);
            }
        }
        if recorded.is_some() != judged {
            touched.extend(state.said.keys().cloned());
            judged = recorded.is_some();
        }
        touched.iter().for_each(|subject| state.note(subject, at, judged));
        if let Some(recorded) = recorded.as_ref().filter(|recorded| **recorded != state.tally) {
            contradicted
                .push((at, format!("`{}` has {}, and its run counted {}", versions.path, words(&state.tally), words(recorded))));
        }
        tallies.push(recorded.is_some().then(|| state.tally.clone()));
    }
    let days = stretch.days.iter().map(|day| cell(&day.runs, &tallies)).collect();
    let members = state.end(recorded.len());
    Ok(Told { told: Series { control: control.clone(), path: versions.path.to_owned(), days, members }, contradicted })
}

fn words(tally: &Tally) -> String {
    let each: Vec<String> = tally.iter().map(|(status, count)| format!("{count} {}", status.word())).collect();
    if each.is_empty() { "nobody".to_owned() } else { each.join(", ") }
}

fn cell(runs: &[At], tallies: &[Option<Tally>]) -> Cell {
    if runs.is_empty() {
        return Cell::NoRun;
    }
    let mut all = runs.iter().filter_map(|at| tallies.get(*at)?.as_ref());
    let Some(first) = all.next() else { return Cell::NotJudged };
    let gravest = |tally: &Tally| tally.keys().next_back().copied();
    let (gravest, tally) = all.fold((gravest(first), first), |(worst, _), next| (worst.max(gravest(next)), next));
    Cell::Judged { gravest, tally: tally.clone() }
}

impl State {
    /// Takes in that `line` came, or went; gives whom it is about.
    pub(super) fn apply(&mut self, path: &str, came: bool, line: &str) -> Result<Subject, Unreadable> {
        let one = said(path, line)?;
        let all = self.said.entry(one.subject.clone()).or_default();
        if came {
            all.push((one.status, one.because));
            *self.tally.entry(one.status).or_default() += 1;
        } else {
            let place = all.iter().position(|(status, because)| *status == one.status && *because == one.because);
            all.swap_remove(place.ok_or_else(|| Unreadable::new(path))?);
            if all.is_empty() {
                self.said.remove(&one.subject);
            }
            if let Some(count) = self.tally.get_mut(&one.status) {
                *count -= 1;
            }
            self.tally.retain(|_, count| *count > 0);
        }
        Ok(one.subject)
    }

    /// The gravest of what is said of `subject`.
    pub(super) fn now(&self, subject: &Subject) -> Option<&(Status, Because)> {
        self.said.get(subject)?.iter().max()
    }

    /// Whom something is said of, resources first.
    pub(super) fn subjects(&self) -> impl DoubleEndedIterator<Item = &Subject> {
        self.said.keys()
    }

    /// What was said before the stretch.
    fn before(&mut self) {
        for (subject, said) in &self.said {
            let before = said.iter().max().map(|(status, _)| *status);
            self.members.insert(subject.clone(), Member { subject: subject.clone(), before, open: None, spans: Vec::new() });
        }
    }

    /// What the run `at` says of `subject`, when that is not what was said before.
    fn note(&mut self, subject: &Subject, at: At, judged: bool) {
        let now = self.now(subject).filter(|_| judged).cloned();
        let fresh = || Member { subject: subject.clone(), before: None, open: None, spans: Vec::new() };
        let member = self.members.entry(subject.clone()).or_insert_with(fresh);
        let open = member.spans.last_mut().filter(|span| span.until == OPEN);
        if open.as_ref().map(|span| (span.status, &span.because)) == now.as_ref().map(|(status, because)| (*status, because)) {
            return;
        }
        if let Some(open) = open {
            open.until = at;
        }
        member.spans.extend(now.map(|(status, because)| Span { from: at, until: OPEN, status, because }));
    }

    fn end(self, runs: At) -> Vec<Member> {
        let mut members: Vec<Member> = self.members.into_values().collect();
        let open = members.iter_mut().filter_map(|member| member.spans.last_mut()).filter(|span| span.until == OPEN);
        open.for_each(|span| span.until = runs);
        members.retain(|member| !member.spans.is_empty() || member.before.is_some());
        members
    }
}

/// In place of a run: it is so still.
const OPEN: At = At::MAX;
