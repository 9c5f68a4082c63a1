//! Recorded days judged under both texts. A verdict is made again only where what it rests on has changed: a control whose rules and file
//! are the same is not judged, and a resource that is as it was the day before is not, until the instant at which time alone changes what
//! is said of it.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{Half, Key};
use super::{Text, joins};
use crate::evaluate::join::EMITS;
use crate::model::assessment::Status;
use crate::model::catalog::{AwsSource, Control, Settings, SourceKind};
use crate::model::difference::{Effort, Flip, Replay, Replayed};
use crate::model::id::{ControlId, EntityType, SourceId};
use crate::model::period::Date;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::policy::{Likeness, Rule, Rules};

/// One recorded day: its last run.
pub struct Day<'a> {
    /// Which.
    pub date: Date,
    /// The instant that its rules saw as now.
    pub at: Timestamp,
    /// What was seen, joined with the old text.
    pub base: &'a Snapshot,
    /// The same joined with the new text.
    pub head: &'a Snapshot,
}

/// Judges day after day.
pub struct Replayer<'a> {
    controls: Vec<ControlId>,
    entities: BTreeSet<EntityType>,
    unknown: Vec<SourceId>,
    base: Half<'a>,
    head: Half<'a>,
    days: Vec<BTreeMap<Date, u64>>,
    /// How many subjects read differently on the day before, by control; kept while nothing is touched.
    counts: Vec<u64>,
    first: Option<Date>,
    last: Option<Date>,
    seen: u64,
}

impl<'a> Replayer<'a> {
    /// Ready to judge those controls of which the two texts may say something else.
    #[must_use]
    pub fn new(base: &'a Text<'a>, head: &'a Text<'a>) -> Self {
        let joins = joins(base.catalog, head.catalog);
        let ids: BTreeSet<&ControlId> = base.catalog.controls.keys().chain(head.catalog.controls.keys()).collect();
        let controls: Vec<ControlId> = ids.into_iter().filter(|id| may_differ(base, head, id, joins)).cloned().collect();
        let of =
            |text: &Text<'a>| controls.iter().filter_map(|id| text.catalog.controls.get(id)).flat_map(|one| one.entities.clone());
        let entities = of(base).chain(of(head)).collect();
        Self {
            base: Half::new(base, &controls),
            head: Half::new(head, &controls),
            days: vec![BTreeMap::new(); controls.len()],
            counts: vec![0; controls.len()],
            controls,
            entities,
            unknown: unknown(&base.catalog.settings, &head.catalog.settings),
            first: None,
            last: None,
            seen: 0,
        }
    }

    /// Controls that are judged.
    #[must_use]
    pub fn controls(&self) -> &[ControlId] {
        &self.controls
    }

    /// Entity types that they speak about.
    #[must_use]
    pub const fn entities(&self) -> &BTreeSet<EntityType> {
        &self.entities
    }

    /// Judges the next day.
    pub fn day(&mut self, day: &Day<'_>) {
        let touched = (self.base.look(day.base, day.at), self.head.look(day.head, day.at));
        self.first.get_or_insert(day.date);
        self.last = Some(day.date);
        self.seen += 1;
        for at in 0..self.controls.len() {
            if touched.0[at] || touched.1[at] {
                let mut count = 0;
                self.differing(at, &mut |_| count += 1);
                self.counts[at] = count;
            }
            if self.counts[at] > 0 {
                self.days[at].insert(day.date, self.counts[at]);
            }
        }
    }

    /// What came of it; `None` when no day was judged. `without` is the number of days on which nothing is recorded.
    #[must_use]
    pub fn finish(self, without: u64) -> Option<Replay> {
        let (from, to) = (self.first?, self.last?);
        let mut controls = Vec::new();
        for (at, control) in self.controls.iter().enumerate() {
            let mut flips = Vec::new();
            self.differing(at, &mut |flip| flips.push(flip));
            flips.sort();
            let days: Vec<(Date, u64)> = self.days[at].iter().map(|(date, number)| (*date, *number)).collect();
            if !flips.is_empty() || !days.is_empty() {
                controls.push(Replayed { control: control.clone(), flips, days });
            }
        }
        let (one, other) = (self.base.effort, self.head.effort);
        let effort = Effort { made: one.made + other.made, kept: one.kept + other.kept };
        let (days, unknown, judged) = (self.seen, self.unknown, self.controls);
        Some(Replay { from, to, days, days_without_run: without, unknown, judged, controls, effort })
    }

    /// Shows every subject of which the texts say something else on the day that was judged last.
    fn differing(&self, at: usize, show: &mut dyn FnMut(Flip)) {
        let keys: BTreeSet<&Key> = self.base.keys(at).chain(self.head.keys(at)).collect();
        for key in keys {
            let (old, new) = (self.base.column(at, key), self.head.column(at, key));
            let flip = |resource, before, after| Flip { entity: key.entity.clone(), resource, before, after };
            super::columns::zip(old, new, &mut |id, before, after| {
                if differ(before, after) {
                    show(flip(Some(id.clone()), before, after));
                }
            });
        }
        let (old, new) = (self.base.unseen(at), self.head.unseen(at));
        let hole = |is: bool| is.then_some(Status::NoEvidence);
        for place in old.symmetric_difference(new) {
            let (before, after) = (hole(old.contains(place)), hole(new.contains(place)));
            show(Flip { entity: place.entity.clone(), resource: None, before, after });
        }
    }
}

/// Sources of `after` of which runs by `before` did not see what one by `after` would: new ones, and those that are read otherwise. Fewer
/// regions and another roster are joined with what was seen.
fn unknown(before: &Settings, after: &Settings) -> Vec<SourceId> {
    let is_seen = |name: &SourceId, new: &SourceKind| match (before.sources.get(name), new) {
        (Some(SourceKind::Aws(old)), SourceKind::Aws(new)) => {
            let (regions, administrators) = (new.regions.clone(), new.administrators.clone());
            *new == AwsSource { regions, administrators, ..old.clone() } && new.regions.iter().all(|one| old.regions.contains(one))
        }
        (old, new) => old == Some(new),
    };
    let is_known =
        |(name, new): &(&SourceId, &SourceKind)| is_seen(name, new) && before.people.get(*name) == after.people.get(*name);
    after.sources.iter().filter(|one| !is_known(one)).map(|(name, _)| name.clone()).collect()
}

/// True when two readings are not the same. What only one text judges is told where it would be a finding.
fn differ(before: Option<Status>, after: Option<Status>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before != after,
        (one, other) => one.or(other).is_some_and(|status| status > Status::Excepted),
    }
}

/// True when the two texts may say something else of what `control` speaks about.
fn may_differ(base: &Text<'_>, head: &Text<'_>, control: &ControlId, joins: bool) -> bool {
    let (Some(before), Some(after)) = (base.catalog.controls.get(control), head.catalog.controls.get(control)) else { return true };
    let action = super::controls::action(control);
    let (old, new) = (base.rules.slice(&action), head.rules.slice(&action));
    let same = matches!(Rules::likeness(old, new), Likeness::SameText | Likeness::Same);
    !same
        || decides(before) != decides(after)
        || (joins && (reads_joined(before, old) || base.catalog.settings.sources != head.catalog.settings.sources))
}

/// What of a control's file its verdicts rest on.
fn decides(control: &Control) -> impl PartialEq + '_ {
    let Control {
        entities,
        applies_where,
        requires,
        evidence_ttl,
        id: _,
        title: _,
        statement: _,
        kind: _,
        severity: _,
        owner: _,
        remedy: _,
        collect_every: _,
        population: _,
        criteria: _,
        criteria_reviewer: _,
        artefact: _,
        api: _,
        events: _,
        needs: _,
        place: _,
        lines: _,
    } = control;
    (entities, applies_where, requires, evidence_ttl)
}

/// True when `control` may read something that a catalog adds to what was seen.
fn reads_joined(control: &Control, slice: &[Rule]) -> bool {
    let added: BTreeSet<&str> = EMITS
        .iter()
        .filter(|(entity, _)| control.entities.iter().any(|own| own.as_str() == *entity))
        .flat_map(|(_, names)| names.iter().copied())
        // What a collector says of a person's value is forgotten by whom it is declared.
        .chain(["created", "last_rotated"])
        .collect();
    let asked = control.requires.iter().chain(control.applies_where.iter().map(|(name, _)| name));
    let reads = asked.chain(slice.iter().flat_map(Rule::reads));
    !Rules::is_native(slice) || reads.into_iter().any(|name| added.contains(&**name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::People;
    use crate::model::made;

    /// `slm.toml` with one account.
    fn settings() -> Settings {
        let account = AwsSource {
            account: "111122223333".to_owned(),
            regions: vec!["eu-west-1".to_owned(), "eu-west-2".to_owned()],
            ..AwsSource::default()
        };
        Settings { sources: [("prod".into(), SourceKind::Aws(account))].into(), ..made::settings() }
    }

    #[test]
    fn a_source_that_is_new_or_read_otherwise_was_not_seen() {
        let not_known = |change: &dyn Fn(&mut Settings)| {
            let mut new = settings();
            change(&mut new);
            unknown(&settings(), &new)
        };
        let account = |change: fn(&mut AwsSource)| {
            not_known(&|new| match new.sources.get_mut(&SourceId::from("prod")) {
                Some(SourceKind::Aws(account)) => change(account),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(not_known(&|_| {}), []);
        assert_eq!(not_known(&|new| new.sources.clear()), []);
        assert_eq!(account(|one| one.regions.truncate(1)), []);
        assert_eq!(account(|one| one.administrators = Some(Vec::new())), []);
        assert_eq!(account(|one| one.regions.push("eu-west-3".to_owned())), [SourceId::from("prod")]);
        assert_eq!(account(|one| one.endpoint = Some("http://localhost".to_owned())), [SourceId::from("prod")]);
        let second = |new: &mut Settings| {
            let old = new.sources[&SourceId::from("prod")].clone();
            new.sources.insert("second".into(), old);
        };
        assert_eq!(not_known(&second), [SourceId::from("second")]);
        let people = |new: &mut Settings| drop(new.people.insert("prod".into(), People::default()));
        assert_eq!(not_known(&people), [SourceId::from("prod")]);
    }
}
