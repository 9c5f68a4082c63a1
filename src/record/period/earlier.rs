//! Since when what stands at the beginning of a stretch has stood: the versions before it, from the newest back, and no further than is
//! needed.

use std::collections::{BTreeMap, BTreeSet};

use super::series::State;
use crate::model::assessment::{Because, Status, Subject};
use crate::model::id::{EntityType, ExceptionId};
use crate::model::period::Open;
use crate::model::time::Timestamp;
use crate::record::changes::lines;
use crate::record::past::{Unreadable, said};

/// What was said of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stood {
    /// It does not meet the control, or only by an exception.
    Open(Option<ExceptionId>),
    /// It meets it, or is out of its scope.
    Fine,
    /// Not enough was seen.
    Unknown,
    /// It has no line.
    Absent,
}

/// A subject that may have been open when the stretch began.
struct Traced {
    /// What it was when something was said of it last; `None` while that is not found.
    open: Option<Option<ExceptionId>>,
    /// The oldest version so far that said so.
    since: Option<Timestamp>,
}

/// What was open when a stretch began, as far back as it was followed.
pub struct Earlier<'a> {
    path: &'a str,
    state: State,
    traced: BTreeMap<Subject, Traced>,
    found: BTreeMap<Subject, Open>,
    /// Subjects of which it is known how they stood last, and that it is nothing open.
    settled: BTreeSet<Subject>,
    /// Who has no line at the beginning of the stretch.
    absent: BTreeSet<Subject>,
    /// Types that no version since the one that is reached has seen whole.
    blind: BTreeSet<EntityType>,
    /// When the version that is reached was made.
    reached: Option<Timestamp>,
}

impl<'a> Earlier<'a> {
    /// Begins at `before`, the text of the file at `path` when the stretch began.
    ///
    /// # Errors
    /// When a line is not as slm writes it.
    pub fn begin(path: &'a str, before: &str) -> Result<Self, Unreadable> {
        let mut state = State::default();
        for line in before.lines() {
            state.apply(path, true, line)?;
        }
        let mut traced = BTreeMap::new();
        for subject in state.subjects().filter(|subject| matches!(subject, Subject::Resource { .. })) {
            let open = match stood(&state, subject) {
                Stood::Open(exception) => Some(exception),
                Stood::Unknown => None,
                Stood::Fine | Stood::Absent => continue,
            };
            traced.insert(subject.clone(), Traced { open, since: None });
        }
        let blind = parts(&state);
        let settled = state.subjects().filter(|subject| !traced.contains_key(*subject)).cloned().collect();
        let (found, absent) = (BTreeMap::new(), BTreeSet::new());
        Ok(Self { path, state, traced, found, settled, absent, blind, reached: None })
    }

    /// True when no older version can say more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.traced.is_empty() && self.blind.is_empty()
    }

    /// Goes back before the version that was made at `at` and made `changes`.
    ///
    /// # Errors
    /// When a line is not as slm writes it, or was not there.
    pub fn back(&mut self, at: Timestamp, changes: &str) -> Result<(), Unreadable> {
        let after = parts(&self.state);
        let mut touched = BTreeMap::new();
        for (came, line) in lines(changes) {
            let subject = said(self.path, line)?.subject;
            touched.entry(subject.clone()).or_insert_with(|| stood(&self.state, &subject));
            self.state.apply(self.path, !came, line)?;
        }
        self.reached = Some(at);
        let before = parts(&self.state);
        for (subject, after) in &touched {
            if let Subject::Resource { entity, .. } = subject {
                self.trace((subject, entity), after, at);
            }
        }
        // Who has no line when everything was seen was not there.
        let gone = |subject: &&Subject| match subject {
            Subject::Resource { entity, .. } => !before.contains(entity) && stood(&self.state, subject) == Stood::Absent,
            Subject::Population { .. } => false,
        };
        let became_whole = after.iter().any(|entity| !before.contains(entity));
        let gone: Vec<Subject> = if became_whole {
            self.traced.keys().filter(gone).cloned().collect()
        } else {
            touched.keys().filter(gone).cloned().collect()
        };
        gone.iter().for_each(|subject| self.settle(subject));
        self.blind.retain(|entity| before.contains(entity));
        Ok(())
    }

    /// What was open, and whose place of it is not to be had from what stood when the stretch began, since it had no line then.
    #[must_use]
    pub fn end(mut self) -> (BTreeMap<Subject, Open>, BTreeSet<Subject>) {
        let left: Vec<Subject> = self.traced.keys().cloned().collect();
        left.iter().for_each(|subject| self.settle(subject));
        self.absent.retain(|subject| self.found.contains_key(subject));
        (self.found, self.absent)
    }

    /// Takes in that `subject` stood as `after` since the version at `at`, and otherwise before.
    fn trace(&mut self, (subject, entity): (&Subject, &EntityType), after: &Stood, at: Timestamp) {
        let before = stood(&self.state, subject);
        if !self.traced.contains_key(subject) {
            if !self.blind.contains(entity) || self.settled.contains(subject) {
                return;
            }
            self.absent.insert(subject.clone());
            self.traced.insert(subject.clone(), Traced { open: None, since: None });
        }
        let Some(traced) = self.traced.get_mut(subject) else { return };
        if let (Some(open), Stood::Open(exception)) = (&traced.open, after)
            && open == exception
        {
            traced.since = Some(at);
        }
        let over = match (&traced.open, before) {
            (_, Stood::Unknown | Stood::Absent) => false,
            (None, Stood::Open(exception)) => {
                traced.open = Some(exception);
                false
            }
            (Some(open), Stood::Open(exception)) => *open != exception,
            (_, Stood::Fine) => true,
        };
        if over {
            self.settle(subject);
        }
    }

    fn settle(&mut self, subject: &Subject) {
        if let Some(Traced { open: Some(exception), since }) = self.traced.remove(subject)
            && let Some(since) = since.or(self.reached)
        {
            self.found.insert(subject.clone(), Open { exception, since, place: None });
        }
        self.settled.insert(subject.clone());
    }
}

/// Types of populations that were not seen whole.
fn parts(state: &State) -> BTreeSet<EntityType> {
    let last = state.subjects().rev().map_while(|subject| match subject {
        Subject::Population { entity, .. } => Some(entity.clone()),
        Subject::Resource { .. } => None,
    });
    last.collect()
}

fn stood(state: &State, subject: &Subject) -> Stood {
    match state.now(subject) {
        None => Stood::Absent,
        Some((_, Because::Exception(id))) => Stood::Open(Some(id.clone())),
        Some((Status::NonCompliant, _)) => Stood::Open(None),
        Some((Status::NoEvidence, _)) => Stood::Unknown,
        Some(_) => Stood::Fine,
    }
}

#[cfg(test)]
#[path = "../earlier_tests.rs"]
mod tests;
