//! Who was seen of one entity type, run by run, and what explains that somebody came or went.

use std::collections::{BTreeMap, BTreeSet};

use super::{Stretch, Told, Versions};
use crate::model::events::Event;
use crate::model::id::{EntityType, ResourceId, SourceId};
use crate::model::period::{At, Change, Explanation, Members, Presence, RunNote};
use crate::model::snapshot::{CONSUMER_ENTITY, ROTATION_ENTITY, VALUE_ENTITY};
use crate::model::time::Timestamp;
use crate::record::changes::lines;
use crate::record::past::{Member, Unreadable, member};

/// Clocks of sources and ours differ by no more.
const SKEW_SECONDS: i64 = 300;

/// What comes and goes with the files of the config.
const DECLARED: [&str; 6] = [CONSUMER_ENTITY, ROTATION_ENTITY, VALUE_ENTITY, "Slm::Declared", "Slm::Document", "Slm::Exception"];

type Key = (SourceId, String, ResourceId);
/// Populations of one entity type that a run looked at, and whether it saw all of each.
type Scopes<'a> = BTreeMap<(&'a SourceId, &'a str), bool>;

/// Who was lost from sight before a stretch.
#[derive(Default)]
pub struct Away {
    /// Populations that the last run before it did not see whole, and when one did last.
    pub whole: BTreeMap<(SourceId, String), Timestamp>,
    /// Who was there then, and not in what was seen since.
    pub members: Vec<Member>,
}

#[derive(Default)]
struct State {
    /// Lines as they stand.
    lines: BTreeMap<Key, Member>,
    /// The last line of each that has none any more.
    gone: BTreeMap<Key, Member>,
    /// Who was lost from sight and was not looked for since, and when they were seen last.
    away: BTreeMap<Key, Timestamp>,
    /// When each population was seen whole last.
    whole: BTreeMap<(SourceId, String), Timestamp>,
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

/// The members of `entity`; `events` are the calls that were observed, of whatever, and `away` who was lost from sight before.
///
/// # Errors
/// When a line is not as slm writes it.
pub fn members(
    entity: &EntityType,
    stretch: &Stretch<'_>,
    versions: &Versions<'_>,
    events: &[Event],
    away: Away,
) -> Result<Told<Members>, Unreadable> {
    let mut state = State::default();
    for line in versions.before.lines() {
        state.apply(versions.path, true, line)?;
    }
    let mut before = stretch.before.map(|run| (run, scopes(run, entity)));
    if let Some((_, scopes)) = &before {
        state.begin(scopes);
    }
    if let Some(before) = stretch.before {
        state.lost(before, away);
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
        state.looked(&step);
        let seen = run.seen.iter().filter(|seen| seen.entity == *entity);
        let (looked, counted) = seen.fold((false, 0), |(_, sum), seen| (true, sum + seen.members));
        let size = state.present.len() as u64;
        if looked && size != counted {
            contradicted.push((at, format!("`{}` has {size} members, and its run counted {counted}", versions.path)));
        }
        // What was not seen whole has no size.
        sizes.push((looked && step.scopes.values().all(|whole| *whole)).then_some(size));
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

    /// Who was lost from sight by the run before the stretch.
    fn lost(&mut self, before: &RunNote, Away { whole, members }: Away) {
        let seen = before.seen.iter().filter(|seen| seen.completeness.is_complete());
        self.whole = seen.map(|seen| ((seen.source.clone(), seen.scope.clone()), before.at)).collect();
        for member in members {
            if let Some(at) = whole.get(&(member.key.0.clone(), member.key.1.clone())) {
                self.away.insert(member.key.clone(), *at);
                self.gone.insert(member.key.clone(), member);
            }
        }
        self.whole.extend(whole);
    }

    /// Takes in what the run saw whole: whoever was lost from sight and is not there has gone.
    fn looked(&mut self, step: &Step<'_>) {
        for ((source, scope), _) in step.scopes.iter().filter(|(_, whole)| **whole) {
            self.whole.insert(((*source).clone(), (*scope).to_owned()), step.run.at);
        }
        let found = |key: &Key| step.scopes.get(&scope(key)) == Some(&true);
        let gone: Vec<(Key, Timestamp)> = self.away.extract_if(.., |key, _| found(key)).collect();
        for (key, last) in gone {
            let explained = self.why_gone(&key, step, last);
            let (source, scope, id) = key;
            self.changes.push(Change { run: step.at, source, scope, id, came: false, explained });
        }
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
                if let Some((before, _)) = step.before.as_ref().filter(|_| step.scopes.get(&scope(&key)) != Some(&true)) {
                    self.away.insert(key.clone(), before.at);
                }
                // Who was gone by the first run was there in none of them.
                let spans = self.spans.entry(key).or_default();
                spans.extend((since < step.at).then_some((since, step.at)));
            }
            None => {
                self.away.remove(&key);
                self.present.insert(key, step.at);
            }
        }
    }

    fn why_came(&self, key: &Key, step: &Step<'_>, before: &RunNote, scopes: &Scopes<'_>) -> Option<Explanation> {
        let looked = scopes.get(&scope(key)).copied();
        // Who was not there when the population was seen whole last came since then.
        let last = self.whole.get(&(key.0.clone(), key.1.clone())).copied().filter(|_| !self.away.contains_key(key));
        let made = self.lines.get(key).and_then(|member| member.created);
        if let Some(made) = made.filter(|made| since(*made, last.unwrap_or(before.at))) {
            return Some(Explanation::Created(made));
        }
        match (looked, last) {
            (None, _) if before.config != step.run.config => Some(Explanation::OtherConfig),
            (None | Some(false), None) => Some(Explanation::NotSeenWholeBefore),
            (_, last) => called(key, step, last.unwrap_or(before.at), true).or_else(|| declared(step, before)),
        }
    }

    fn why_went(&self, key: &Key, step: &Step<'_>, before: &RunNote) -> Option<Explanation> {
        match step.scopes.get(&scope(key)) {
            None if before.config != step.run.config => Some(Explanation::OtherConfig),
            None | Some(false) => Some(Explanation::NotSeenWhole),
            Some(true) => self.why_gone(key, step, before.at).or_else(|| declared(step, before)),
        }
    }

    /// Why one is gone who was seen at `last`, and not when all were looked for.
    fn why_gone(&self, key: &Key, step: &Step<'_>, last: Timestamp) -> Option<Explanation> {
        let deleting = self.gone.get(key).filter(|member| member.deleting).map(|_| Explanation::Deleting);
        deleting.or_else(|| called(key, step, last, false))
    }

    fn end(mut self, runs: At) -> (Vec<Presence>, Vec<Change>) {
        for (key, since) in self.present {
            self.spans.entry(key).or_default().push((since, runs));
        }
        let presence = |((source, scope, id), spans)| Presence { source, scope, id, spans };
        (self.spans.into_iter().map(presence).filter(|one| !one.spans.is_empty()).collect(), self.changes)
    }
}

/// That the config is another, of what comes and goes with its files.
fn declared(step: &Step<'_>, before: &RunNote) -> Option<Explanation> {
    (before.config != step.run.config && DECLARED.contains(&step.entity.as_str())).then_some(Explanation::OtherConfig)
}

/// The call between the instant `last` and this run that made (`came`) or ended whom `key` is about.
fn called(key: &Key, step: &Step<'_>, last: Timestamp, came: bool) -> Option<Explanation> {
    let (source, scope, id) = key;
    let between = |event: &&Event| since(event.at, last) && since(step.run.received, event.at);
    let mut all = step.events.iter().filter(between);
    let event = all.find(|event| event.explains(came, step.entity, (source, scope, id)))?;
    Some(Explanation::Called { event: event.name.clone(), at: event.at, by: event.by.clone() })
}

/// True when `made` is not before the run that began at `before`, as clocks go.
fn since(made: Timestamp, before: Timestamp) -> bool {
    made.as_second() + SKEW_SECONDS >= before.as_second()
}
