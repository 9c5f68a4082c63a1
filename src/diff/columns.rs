//! What one text says of populations, kept from day to day: a status a resource, and when time alone changes it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Text;
use super::controls::action;
use crate::evaluate::{Next, verdict};
use crate::model::assessment::Status;
use crate::model::catalog::Control;
use crate::model::difference::Effort;
use crate::model::id::{ControlId, EntityType, ResourceId, SourceId};
use crate::model::snapshot::{Population, Resource, Snapshot};
use crate::model::time::Timestamp;
use crate::policy::{Rule, Rules};

/// Names a population.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) entity: EntityType,
    source: Option<SourceId>,
    scope: String,
}

/// What is said of one population by one control.
pub(super) struct Column {
    resources: Arc<Vec<Resource>>,
    said: Vec<(Status, Next)>,
    /// The first instant at which anything in it may change.
    earliest: Next,
}

/// One text at work.
pub(super) struct Half<'a> {
    judges: Vec<Option<Judge<'a>>>,
    before: Option<Timestamp>,
    pub(super) effort: Effort,
}

/// One control at work.
struct Judge<'a> {
    control: &'a Control,
    slice: &'a [Rule],
    native: bool,
    columns: BTreeMap<Key, Column>,
    unseen: BTreeSet<Key>,
    stale: bool,
}

impl<'a> Half<'a> {
    pub(super) fn new(text: &'a Text<'a>, controls: &[ControlId]) -> Self {
        let judge = |id: &ControlId| {
            let control = text.catalog.controls.get(id)?;
            let slice = text.rules.slice(&action(id));
            let native = Rules::is_native(slice);
            Some(Judge { control, slice, native, columns: BTreeMap::new(), unseen: BTreeSet::new(), stale: false })
        };
        Self { judges: controls.iter().map(judge).collect(), before: None, effort: Effort::default() }
    }

    /// Judges what was seen; for each control whether it may say something else than the day before.
    pub(super) fn look(&mut self, snapshot: &Snapshot, at: Timestamp) -> Vec<bool> {
        let mut moves = Moves::default();
        // What time changes was worked out for a time that goes on.
        let goes_on = self.before.is_none_or(|before| before <= at);
        self.before = Some(at);
        let (judges, effort) = (&mut self.judges, &mut self.effort);
        let one = |judge: &mut Option<Judge<'a>>| {
            judge.as_mut().is_some_and(|judge| judge.look(snapshot, at, goes_on, (&mut moves, &mut *effort)))
        };
        judges.iter_mut().map(one).collect()
    }

    pub(super) fn keys(&self, at: usize) -> impl Iterator<Item = &Key> {
        self.judges[at].iter().flat_map(|judge| judge.columns.keys())
    }

    /// What the control says of a population; `None` when it says nothing.
    pub(super) fn column(&self, at: usize, key: &Key) -> Option<&Column> {
        self.judges[at].as_ref()?.columns.get(key)
    }

    /// Populations that the control could not see to their end.
    pub(super) fn unseen(&self, at: usize) -> &BTreeSet<Key> {
        const NONE: &BTreeSet<Key> = &BTreeSet::new();
        self.judges[at].as_ref().map_or(NONE, |judge| &judge.unseen)
    }
}

impl<'a> Judge<'a> {
    fn look(&mut self, snapshot: &Snapshot, at: Timestamp, goes_on: bool, (moves, effort): (&mut Moves, &mut Effort)) -> bool {
        let stale = at > self.control.evidence_ttl.after(snapshot.taken);
        let fresh = goes_on && !stale && !self.stale;
        let (mut columns, mut unseen, mut touched) = (BTreeMap::new(), BTreeSet::new(), !fresh);
        let mut observed = false;
        for population in &snapshot.populations {
            if !self.control.entities.contains(&population.entity) {
                continue;
            }
            observed = true;
            let key = Key::of(population);
            if !population.completeness.is_complete() {
                unseen.insert(key.clone());
            }
            let before = self.columns.remove(&key).filter(|_| fresh);
            let (column, is_other) = self.column(population, before, at, (&mut *moves, &mut *effort), stale);
            touched |= is_other;
            columns.insert(key, column);
        }
        if !observed && let Some(entity) = self.control.entities.first() {
            unseen.insert(Key { entity: entity.clone(), source: None, scope: ".".to_owned() });
        }
        touched |= !self.columns.is_empty() || unseen != self.unseen;
        (self.columns, self.unseen, self.stale) = (columns, unseen, stale);
        touched
    }

    fn column(
        &self,
        population: &Population,
        before: Option<Column>,
        at: Timestamp,
        (moves, effort): (&mut Moves, &mut Effort),
        stale: bool,
    ) -> (Column, bool) {
        let Population { entity, resources, .. } = population;
        if stale {
            let said = vec![(Status::NoEvidence, Next::Unknown); resources.len()];
            return (Column { resources: resources.clone(), said, earliest: Next::Unknown }, true);
        }
        let Some(before) = before else {
            let said: Vec<_> = resources.iter().map(|resource| self.verdict(entity, resource, at)).collect();
            effort.made += said.len() as u64;
            return (Column::new(resources, said), true);
        };
        let moved = moves.between(&before.resources, resources);
        if moved.is_none() && before.earliest > Next::At(at) {
            effort.kept += before.said.len() as u64;
            return (before, false);
        }
        let mut touched = moved.is_some();
        let said = resources.iter().enumerate().map(|(place, resource)| {
            let old = moved.as_ref().map_or(Some(place), |moved| moved[place]);
            match old.map(|old| before.said[old]).filter(|(_, next)| *next > Next::At(at)) {
                Some(said) => {
                    effort.kept += 1;
                    said
                }
                None => {
                    effort.made += 1;
                    touched = true;
                    self.verdict(entity, resource, at)
                }
            }
        });
        let column = Column::new(resources, said.collect());
        (column, touched)
    }

    fn verdict(&self, entity: &EntityType, resource: &Resource, at: Timestamp) -> (Status, Next) {
        let (status, next) = verdict(self.slice, self.control, entity, resource, at);
        (status, if self.native { next } else { Next::Unknown })
    }
}

impl Key {
    fn of(population: &Population) -> Self {
        let Population { entity, source, scope, .. } = population;
        Self { entity: entity.clone(), source: Some(source.clone()), scope: scope.clone() }
    }
}

impl Column {
    fn new(resources: &Arc<Vec<Resource>>, said: Vec<(Status, Next)>) -> Self {
        let earliest = said.iter().map(|(_, next)| *next).min().unwrap_or(Next::Never);
        Self { resources: resources.clone(), said, earliest }
    }
}

/// For each member its place the day before, where it was the same.
type Places = Arc<Vec<Option<usize>>>;

/// Where the members of a population were the day before: worked out once for all controls.
#[derive(Default)]
struct Moves(BTreeMap<(usize, usize), Option<Places>>);

impl Moves {
    /// For each of `new` its place in `old` where it is the same; `None` when all are.
    fn between(&mut self, old: &Arc<Vec<Resource>>, new: &Arc<Vec<Resource>>) -> Option<Places> {
        if Arc::ptr_eq(old, new) {
            return None;
        }
        let key = (Arc::as_ptr(old).addr(), Arc::as_ptr(new).addr());
        self.0.entry(key).or_insert_with(|| moved(old, new)).clone()
    }
}

fn moved(old: &[Resource], new: &[Resource]) -> Option<Places> {
    let mut from = 0;
    let places: Vec<Option<usize>> = new
        .iter()
        .map(|resource| {
            while old.get(from).is_some_and(|one| one.id < resource.id) {
                from += 1;
            }
            let same = old.get(from).is_some_and(|one| one == resource);
            same.then_some(from)
        })
        .collect();
    let all = old.len() == new.len() && places.iter().all(Option::is_some);
    (!all).then(|| Arc::new(places))
}

/// What takes a member and what each column says of it.
type Show<'a> = dyn FnMut(&ResourceId, Option<Status>, Option<Status>) + 'a;

/// Shows every member of either column with what each says of it.
pub(super) fn zip(old: Option<&Column>, new: Option<&Column>, show: &mut Show<'_>) {
    let rows = |column: Option<&'_ Column>| column.map_or(0, |column| column.said.len());
    let row = |column: Option<&'_ Column>, at: usize| -> Option<(ResourceId, Status)> {
        let column = column?;
        Some((column.resources.get(at)?.id.clone(), column.said.get(at)?.0))
    };
    if let (Some(old), Some(new)) = (old, new)
        && Arc::ptr_eq(&old.resources, &new.resources)
    {
        for ((resource, before), after) in old.resources.iter().zip(&old.said).zip(&new.said) {
            show(&resource.id, Some(before.0), Some(after.0));
        }
        return;
    }
    let (mut left, mut right) = (0, 0);
    while left < rows(old) || right < rows(new) {
        match (row(old, left), row(new, right)) {
            (Some((a, before)), Some((b, after))) => match a.cmp(&b) {
                Ordering::Equal => {
                    show(&a, Some(before), Some(after));
                    (left, right) = (left + 1, right + 1);
                }
                Ordering::Less => {
                    show(&a, Some(before), None);
                    left += 1;
                }
                Ordering::Greater => {
                    show(&b, None, Some(after));
                    right += 1;
                }
            },
            (Some((a, before)), None) => {
                show(&a, Some(before), None);
                left += 1;
            }
            (None, Some((b, after))) => {
                show(&b, None, Some(after));
                right += 1;
            }
            (None, None) => return,
        }
    }
}
