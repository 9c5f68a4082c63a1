//! Judging: a snapshot under the rules at one instant becomes decisions, gaps and unused exceptions.

pub mod approvals;
pub mod attestations;
pub mod exceptions;
pub mod join;
mod readers;
pub mod reconcile;
mod reconcile_pulls;
pub mod segregation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::assessment::{Assessment, Because, Decision, Gap, Status, Subject};
use crate::model::catalog::{Catalog, Control};
use crate::model::decisions::Decisions;
use crate::model::id::{EntityType, ExceptionId};
use crate::model::snapshot::{Completeness, Population, Resource, Snapshot, Unseen};
use crate::model::time::Timestamp;
use crate::policy::{Rule, Rules, Verdict};

/// Judges every control of `catalog` over `snapshot` at `at`. The snapshot is taken as is; see [`join::join`] for what the catalog
/// adds to it.
///
/// A control whose population nobody observed has one decision for the population, no-evidence; only a population that was seen whole
/// and is empty leaves a control without decisions.
#[must_use]
pub fn evaluate(catalog: &Catalog, rules: &Rules, snapshot: &Snapshot, at: Timestamp) -> Assessment {
    let mut decisions = Decisions::default();
    let mut by_entity: BTreeMap<&EntityType, Vec<(&Population, usize)>> = BTreeMap::new();
    for population in &snapshot.populations {
        let first = decisions.members(&population.entity, &population.resources);
        by_entity.entry(&population.entity).or_default().push((population, first));
    }
    let mut gaps = Vec::new();
    for control in catalog.controls.values() {
        judge_control(&mut decisions, rules, &by_entity, control, snapshot.taken, at);
        gaps.extend(gap(control, &decisions));
    }
    let unused_exceptions = unused(catalog, &decisions);
    Assessment { at, decisions, gaps, unused_exceptions }
}

fn judge_control(
    decisions: &mut Decisions,
    rules: &Rules,
    by_entity: &BTreeMap<&EntityType, Vec<(&Population, usize)>>,
    control: &Control,
    taken: Timestamp,
    at: Timestamp,
) {
    let slice = rules.slice(&format!("Control::Action::{:?}", control.id.as_str()));
    let stale_at = control.evidence_ttl.after(taken);
    let judged = control.entities.iter().filter_map(|entity| by_entity.get(entity)).flatten();
    decisions.begin(&control.id, observes(slice, control), judged.map(|(population, _)| population.resources.len()).sum());
    let mut observed = false;
    for entity in &control.entities {
        for (population, first) in by_entity.get(entity).into_iter().flatten() {
            observed = true;
            if let Completeness::Incomplete { cause, detail } = &population.completeness {
                decisions.add(unseen(control, entity, Some(population), *cause, detail.clone()));
            }
            for (at_member, resource) in (*first..).zip(population.resources.iter()) {
                let (status, because) = status_of(slice, control, (&population.entity, resource), stale_at, at);
                // Only what the rule makes of time: when the evidence goes stale moves with every run, and would make every run a
                // change.
                let flips_at = match status {
                    Status::NotApplicable | Status::NoEvidence => None,
                    _ => Rules::flips_at(slice, entity, resource, at),
                };
                decisions.judge(at_member, status, because, flips_at);
            }
        }
    }
    if !observed && let Some(entity) = control.entities.first() {
        let detail = control.needs.clone().map_or_else(|| format!("no source holds `{entity}`"), |needs| format!("needs {needs}"));
        decisions.add(unseen(control, entity, None, Unseen::NotCollected, detail));
    }
    decisions.end();
}

fn unseen(control: &Control, entity: &EntityType, population: Option<&Population>, cause: Unseen, detail: String) -> Decision {
    Decision {
        control: control.id.clone(),
        subject: Subject::Population {
            entity: entity.clone(),
            source: population.map(|population| population.source.clone()),
            scope: population.map_or_else(|| ".".to_owned(), |population| population.scope.clone()),
        },
        status: Status::NoEvidence,
        because: Because::Unseen { cause, detail },
        observed: Vec::new(),
        flips_at: None,
    }
}

fn status_of(
    slice: &[Rule],
    control: &Control,
    (entity, resource): (&EntityType, &Resource),
    stale_at: Timestamp,
    at: Timestamp,
) -> (Status, Because) {
    if at > stale_at {
        return (Status::NoEvidence, Because::Stale);
    }
    for (name, wanted) in &control.applies_where {
        match resource.get(name) {
            None => return (Status::NoEvidence, Because::Missing(vec![name.clone()])),
            Some(fact) if fact != wanted.fact() => return (Status::NotApplicable, Because::OutOfScope),
            Some(_) => {}
        }
    }
    let missing: Vec<Arc<str>> = control.requires.iter().filter(|name| resource.get(name).is_none()).cloned().collect();
    if !missing.is_empty() {
        return (Status::NoEvidence, Because::Missing(missing));
    }
    match Rules::judge(slice, entity, resource, at) {
        Verdict::Error(error) => (Status::NoEvidence, Because::EvaluationError(error)),
        Verdict::Forbidden(rules) => (Status::NonCompliant, Because::Forbidden(rules)),
        Verdict::NothingPermits => (Status::NonCompliant, Because::NothingPermits),
        Verdict::Excepted(id) => (Status::Excepted, Because::Exception(id)),
        Verdict::Permitted(rules) => (Status::Compliant, Because::Permitted(rules)),
    }
}

/// When time alone changes what is said; in the order of instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Next {
    /// At no known instant: it is to be judged each time.
    Unknown,
    /// Not before this one.
    At(Timestamp),
    /// Never.
    Never,
}

/// What `control` with the rules of `slice` says at `at` of a resource whose evidence is fresh, and when time alone changes that. Where a
/// policy of `slice` is left to Cedar, that is not known.
#[must_use]
pub fn verdict(slice: &[Rule], control: &Control, entity: &EntityType, resource: &Resource, at: Timestamp) -> (Status, Next) {
    let (status, because) = status_of(slice, control, (entity, resource), Timestamp::MAX, at);
    let next = match (status, because) {
        (_, Because::EvaluationError(_)) => Next::Unknown,
        (Status::NotApplicable | Status::NoEvidence, _) => Next::Never,
        _ => Rules::flips_at(slice, entity, resource, at).map_or(Next::Never, Next::At),
    };
    (status, next)
}

/// What decisions of `control` rest on: the attributes it asks for and those its rules read.
fn observes(slice: &[Rule], control: &Control) -> Vec<Arc<str>> {
    let asked = control.requires.iter().chain(control.applies_where.iter().map(|(name, _)| name));
    let wanted: BTreeSet<&Arc<str>> = asked.chain(slice.iter().flat_map(Rule::reads)).collect();
    wanted.into_iter().cloned().collect()
}

/// A control has a gap when any of its decisions is no-evidence. One without decisions has none: its populations were seen whole and
/// are empty.
fn gap(control: &Control, decisions: &Decisions) -> Option<Gap> {
    let mut without = decisions.reasons_of(&control.id).filter(|(status, _)| *status == Status::NoEvidence);
    let (_, because) = without.next()?;
    let detail = match because {
        Because::Unseen { detail, .. } => detail.clone(),
        Because::Missing(names) => format!("`{}` was not observed", names.join("`, `")),
        Because::EvaluationError(error) => error.clone(),
        _ => "the evidence is older than the control allows".to_owned(),
    };
    let others = without.count();
    let reason = if others == 0 { detail } else { format!("{} subjects; first: {detail}", others + 1) };
    Some(Gap { control: control.id.clone(), reason })
}

fn unused(catalog: &Catalog, decisions: &Decisions) -> Vec<ExceptionId> {
    let used: BTreeSet<&ExceptionId> = decisions
        .reasons()
        .filter_map(|(_, _, because)| match because {
            Because::Exception(id) => Some(id),
            _ => None,
        })
        .collect();
    catalog.exceptions.keys().filter(|id| !used.contains(id)).cloned().collect()
}

#[cfg(test)]
mod tests;
