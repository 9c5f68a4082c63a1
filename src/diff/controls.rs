//! Controls of two texts: what their files ask for, and what their rules allow.

use std::collections::{BTreeMap, BTreeSet};

use super::Text;
use super::edits::Edits;
use crate::model::catalog::{Control, ControlKind, Remedy, Severity};
use crate::model::difference::{ControlChange, ExceptionChange, Fate, Means, Proof, Way};
use crate::model::id::ControlId;
use crate::model::snapshot::Value;
use crate::policy::{Likeness, Rules};

/// Why a slice has no verdict when nobody was asked.
const NOT_ASKED: &str = "no solver was asked";

/// The action of a control, as its rules name it.
pub(super) fn action(control: &ControlId) -> String {
    format!("Control::Action::{:?}", control.as_str())
}

/// Controls that came, went or are other, sorted.
pub(super) fn controls(
    base: &Text<'_>,
    head: &Text<'_>,
    exceptions: &[ExceptionChange],
    proofs: &BTreeMap<String, Proof>,
) -> Vec<ControlChange> {
    let ids: BTreeSet<&ControlId> = base.catalog.controls.keys().chain(head.catalog.controls.keys()).collect();
    let one = |id: &ControlId| match (base.catalog.controls.get(id), head.catalog.controls.get(id)) {
        (Some(before), Some(after)) => changed(base, head, (before, after), exceptions, proofs),
        (None, Some(new)) => Some(whole(new, Fate::Added, Way::Tighter)),
        (Some(old), None) => Some(whole(old, Fate::Removed, Way::Looser)),
        (None, None) => None,
    };
    ids.into_iter().filter_map(one).collect()
}

fn whole(control: &Control, fate: Fate, way: Way) -> ControlChange {
    ControlChange { control: control.id.clone(), title: control.title.clone(), fate, way, edits: Vec::new(), proof: None }
}

fn changed(
    base: &Text<'_>,
    head: &Text<'_>,
    (before, after): (&Control, &Control),
    exceptions: &[ExceptionChange],
    proofs: &BTreeMap<String, Proof>,
) -> Option<ControlChange> {
    let edits = edits(before, after);
    let own: Vec<&ExceptionChange> = exceptions.iter().filter(|one| one.control == after.id).collect();
    let proof = proof(base, head, &action(&after.id), &own, proofs);
    if edits.0.is_empty() && proof.is_none() {
        return None;
    }
    let way = proof.as_ref().map_or(Way::Equal, |proof| proof.way).and(edits.way());
    let (control, title) = (after.id.clone(), after.title.clone());
    Some(ControlChange { control, title, fate: Fate::Changed, way, edits: edits.0, proof })
}

/// What the policies of `action` allow by both texts; `None` when they are written alike.
pub(super) fn proof(
    base: &Text<'_>,
    head: &Text<'_>,
    action: &str,
    exceptions: &[&ExceptionChange],
    proofs: &BTreeMap<String, Proof>,
) -> Option<Proof> {
    let plain = |way, means| Some(Proof { way, means, newly_allowed: None, newly_denied: None });
    match Rules::likeness(base.rules.slice(action), head.rules.slice(action)) {
        Likeness::SameText => None,
        Likeness::Same => plain(Way::Equal, Means::SamePolicies),
        Likeness::SameButExceptions => plain(exceptions.iter().map(|one| one.way).fold(Way::Equal, Way::and), Means::Dates),
        Likeness::Other => Some(proofs.get(action).cloned().unwrap_or_else(|| Proof::unproved(NOT_ASKED.to_owned()))),
    }
}

/// What of two versions of one control is other.
fn edits(before: &Control, after: &Control) -> Edits {
    let Control {
        id: _,
        title,
        statement,
        kind,
        severity,
        owner,
        remedy,
        collect_every,
        evidence_ttl,
        entities,
        population,
        applies_where,
        requires,
        criteria,
        criteria_reviewer,
        artefact,
        api,
        events,
        needs,
        place: _,
        lines: _,
    } = before;
    let mut edits = Edits::default();
    edits.limit("evidence-ttl", evidence_ttl, &after.evidence_ttl, Way::Looser);
    edits.limit("collect-every", collect_every, &after.collect_every, Way::Looser);
    if *severity != after.severity {
        let way = if *severity < after.severity { Way::Tighter } else { Way::Looser };
        edits.push("severity", Some(of_severity(*severity).to_owned()), Some(of_severity(after.severity).to_owned()), Some(way));
    }
    edits.turned("kind", &of_kind(*kind), &of_kind(after.kind), Some(Way::Incomparable));
    edits.set("population.entities", entities, &after.entities, Some(Way::Tighter));
    let is_required = |name: &str| after.requires.iter().any(|one| &**one == name);
    edits.conditions("population.where", (&wanted(applies_where), &wanted(&after.applies_where)), is_required);
    edits.set("rule.requires", requires, &after.requires, Some(Way::Tighter));
    edits.word("remedy", &of_remedy(*remedy), &of_remedy(after.remedy));
    edits.word("owner", owner, &after.owner);
    let named = |criteria: &BTreeMap<_, Vec<_>>| -> Vec<String> {
        criteria.iter().flat_map(|(framework, ids)| ids.iter().map(move |id| format!("{framework}:{id}"))).collect()
    };
    edits.set("criteria", named(criteria), named(&after.criteria), None);
    let shown = |text: &Option<String>| text.clone().unwrap_or_default();
    edits.word("criteria-reviewer", &shown(criteria_reviewer), &shown(&after.criteria_reviewer));
    edits.word("needs", &shown(needs), &shown(&after.needs));
    edits.word("title", title, &after.title);
    edits.word("statement", statement, &after.statement);
    edits.word("population.definition", population, &after.population);
    edits.word("artefact", artefact, &after.artefact);
    edits.set("api", api, &after.api, None);
    let all = |events: &BTreeMap<String, Vec<String>>| -> Vec<String> {
        events.iter().flat_map(|(source, names)| names.iter().map(move |name| format!("{source}:{name}"))).collect()
    };
    edits.set("events", all(events), all(&after.events), None);
    edits
}

/// Conditions under which a control applies; one more asks for less.
fn wanted(conditions: &[(std::sync::Arc<str>, Value)]) -> BTreeMap<String, String> {
    conditions.iter().map(|(name, value)| (name.to_string(), shown(value))).collect()
}

/// An attribute as TOML has it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Bool(yes) => yes.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Time(instant) => instant.to_string(),
    }
}

fn of_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

fn of_kind(kind: ControlKind) -> &'static str {
    match kind {
        ControlKind::Config => "config",
        ControlKind::Event => "event",
        ControlKind::Attestation => "attestation",
    }
}

fn of_remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::Rotate => "rotate",
        Remedy::Collect => "collect",
        Remedy::Redeploy => "redeploy",
        Remedy::Escalate => "escalate",
    }
}
