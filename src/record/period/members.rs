//! Who was seen of one entity type, run by run, and what explains that somebody came or went.

use std::collections::{BTreeMap, BTreeSet};

use super::{Stretch, Told, Versions};
use crate::model::events::Event;
use crate::model::id::{EntityType, ResourceId, SourceId};
use crate::model::period::{At, Change, Explanation, Members, Presence, RunNote};
use crate::model::time::Timestamp;
use crate::record::changes::lines;
use crate::record::past::{Member, Unreadable, member};

/// Clocks of sources and ours differ by no more.
const SKEW_SECONDS: i64 = 300;

type Key = (SourceId, String, ResourceId);
/// Populations of one entity type that a run looked at, and whether it saw all of each.
type Scopes<'a> = BTreeMap<(&'a SourceId, &'a str), bool>;

#[derive(Default)]
struct State {
    /// Lines as they stand.
    lines: BTreeMap<Key, Member>,
    /// The last line of each that has none any more.
    gone: BTreeMap<Key, Member>,
    /// Who is there, since which run.
    present: BTreeMap<Key, At>,
    spans: BTreeMap<Key, Vec<(At, At)>>,
    changes: Vec<Change>,
}

/// A run beside the one before it.
struct Step<'a> {
    at: At,
    before: Option<(&'a RunNote, Scopes<'a>)>,
    run: &'a RunNote,
    scopes: Scopes<'a>,
    entity: &'a EntityType,
    /// Calls that were observed in the stretch.
    events: &'a [Event],
}

/// The members of `entity`; `events` are the calls that were observed, of whatever.
///
/// # Errors
/// When a line is not as slm writes it.
pub fn members(
    entity: &EntityType,
    stretch: &Stretch<'_>,
    versions: &Versions<'_>,
    events: &[Event],
) -> Result<Told<Members>, Unreadable> {
    let mut state = State::default();
    for line in versions.before.lines() {
        state.apply(versions.path, true, line)?;
    }
    let mut before = stretch.before.map(|run| (run, scopes(run, entity)));
    if let Some((_, scopes)) = &before {
        state.begin(scopes);
    }
    let mut changes = versions.changes.iter().peekable();
    let (mut sizes, mut contradicted) = (Vec::with_capacity(stretch.runs.len()), Vec::new());
    for (at, run) in stretch.runs.iter().enumerate() {
        let mut touched = BTreeSet::new();
        while let Some((_, changed)) = changes.next_if(|(run, _)| *run <= at) {
            for (came, line) in lines(changed) {
                touched.insert(state.apply(versions.path, came, line)?);
            }
        }
        let step = Step { at, before, run, scopes: scopes(run, entity), entity, events };
        touched.extend(state.moved(&step));
        touched.into_iter().for_each(|key| state.note(key, &step));
        let seen = run.seen.iter().filter(|seen| seen.entity == *entity);
        let (looked, counted) = seen.fold((false, 0), |(_, sum), seen| (true, sum + seen.members));
        let size = state.present.len() as u64;
        if looked && size != counted {
            contradicted.push((at, format!("`{}` has {size} members, and its run counted {counted}", versions.path)));
        }
        sizes.push(looked.then_some(size));
        before = Some((run, step.scopes));
    }
    let sizes = stretch.days.iter().map(|day| day.runs.iter().rev().find_map(|at| sizes.get(*at).copied().flatten())).collect();
    let (seen, changes) = state.end(stretch.runs.len());
    Ok(Told { told: Members { entity: entity.clone(), path: versions.path.to_owned(), sizes, seen, changes }, contradicted })
}

fn scopes<'a>(run: &'a RunNote, entity: &EntityType) -> Scopes<'a> {
    let seen = run.seen.iter().filter(|seen| seen.entity == *entity);
    seen.map(|seen| ((&seen.source, seen.scope.as_str()), seen.completeness.is_complete())).collect()
}

fn scope(key: &Key) -> (&SourceId, &str) {
    (&key.0, &key.1)
}

impl State {
    /// Takes in that `line` came, or went; gives whom it is about.
    fn apply(&mut self, path: &str, came: bool, line: &str) -> Result<Key, Unreadable> {
        let one = member(path, line)?;
        let key = one.key.clone();
        if came {
            self.lines.insert(key.clone(), one);
        } else if self.lines.get(&key) == Some(&one) {
            self.lines.remove(&key);
            self.gone.insert(key.clone(), one);
        }
        Ok(key)
    }

    /// Who was there before the stretch.
    fn begin(&mut self, scopes: &Scopes<'_>) {
        let there = self.lines.keys().filter(|key| scopes.contains_key(&scope(key)));
        self.present = there.map(|key| (key.clone(), 0)).collect();
    }

    /// Members of populations that the one run looked at and the other did not.
    fn moved(&self, step: &Step<'_>) -> Vec<Key> {
        let none = Scopes::new();
        let before = step.before.as_ref().map_or(&none, |(_, scopes)| scopes);
        let same = before.keys().eq(step.scopes.keys());
        let other = |key: &&Key| before.contains_key(&scope(key)) != step.scopes.contains_key(&scope(key));
        if same { Vec::new() } else { self.lines.keys().filter(other).cloned().collect() }
    }

    fn note(&mut self, key: Key, step: &Step<'_>) {
        let is = self.lines.contains_key(&key) && step.scopes.contains_key(&scope(&key));
        let since = self.present.get(&key).copied();
        if is == since.is_some() {
            return;
        }
        // Whom the first run of all saw did not come: nobody looked before.
        if let Some((before, scopes)) = &step.before {
            let explained = if is { self.why_came(&key, step, before, scopes) } else { self.why_went(&key, step, before) };
            let (source, scope, id) = key.clone();
            self.changes.push(Change { run: step.at, source, scope, id, came: is, explained });
        }
        match since {
            Some(since) => {
                self.present.remove(&key);
                // Who was gone by the first run was there in none of them.
                let spans = self.spans.entry(key).or_default();
                spans.extend((since < step.at).then_some((since, step.at)));
            }
            None => drop(self.present.insert(key, step.at)),
        }
    }

    fn why_came(&self, key: &Key, step: &Step<'_>, before: &RunNote, scopes: &Scopes<'_>) -> Option<Explanation> {
        let made = self.lines.get(key).and_then(|member| member.created);
        if let Some(made) = made.filter(|made| since(*made, before.at)) {
            return Some(Explanation::Created(made));
        }
        match scopes.get(&scope(key)) {
            None if before.config != step.run.config => Some(Explanation::OtherConfig),
            None | Some(false) => Some(Explanation::NotSeenWholeBefore),
            Some(true) => called(key, step, before, true),
        }
    }

    fn why_went(&self, key: &Key, step: &Step<'_>, before: &RunNote) -> Option<Explanation> {
        match step.scopes.get(&scope(key)) {
            None if before.config != step.run.config => Some(Explanation::OtherConfig),
            None | Some(false) => Some(Explanation::NotSeenWhole),
            Some(true) => {
                let deleting = self.gone.get(key).filter(|member| member.deleting).map(|_| Explanation::Deleting);
                deleting.or_else(|| called(key, step, before, false))
            }
        }
    }

    fn end(mut self, runs: At) -> (Vec<Presence>, Vec<Change>) {
        for (key, since) in self.present {
            self.spans.entry(key).or_default().push((since, runs));
        }
        let presence = |((source, scope, id), spans)| Presence { source, scope, id, spans };
        (self.spans.into_iter().map(presence).filter(|one| !one.spans.is_empty()).collect(), self.changes)
    }
}

/// The call between the run `before` and this one that made (`came`) or ended whom `key` is about.
fn called(key: &Key, step: &Step<'_>, before: &RunNote, came: bool) -> Option<Explanation> {
    let (source, scope, id) = key;
    let between = |event: &&Event| since(event.at, before.at) && since(step.run.received, event.at);
    let mut all = step.events.iter().filter(between);
    let event = all.find(|event| event.explains(came, step.entity, (source, scope, id)))?;
    Some(Explanation::Called { event: event.name.clone(), at: event.at, by: event.by.clone() })
}

/// True when `made` is not before the run that began at `before`, as clocks go.
fn since(made: Timestamp, before: Timestamp) -> bool {
    made.as_second() + SKEW_SECONDS >= before.as_second()
}
