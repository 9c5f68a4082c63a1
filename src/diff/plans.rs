//! What both texts plan for what was seen last, at one instant.

use std::collections::{BTreeMap, BTreeSet};

use super::{Seen, Text, joined};
use crate::evaluate::evaluate;
use crate::model::assessment::Assessment;
use crate::model::difference::{Consequences, DueChange, Step, StepChange};
use crate::model::id::{ConsumerId, CredentialId};
use crate::model::plan::{ActionKind, Plan, Reason};
use crate::model::preflight::Facts;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::plan::standing::standing;
use crate::plan::{Input, plan};

/// One text with what it says of what was seen.
struct Planned<'a> {
    text: &'a Text<'a>,
    snapshot: Snapshot,
    assessment: Assessment,
    facts: Facts,
}

impl<'a> Planned<'a> {
    fn of(text: &'a Text<'a>, snapshot: Snapshot, seen: &Seen<'_>) -> Self {
        let assessment = evaluate(text.catalog, text.rules, &snapshot, seen.at);
        Self { text, snapshot, assessment, facts: Facts::default() }
    }

    fn input(&self) -> Input<'_> {
        Input {
            catalog: self.text.catalog,
            rules: self.text.rules,
            snapshot: &self.snapshot,
            assessment: &self.assessment,
            config: self.text.side.config.clone(),
            digest: String::new(),
            forced: &[],
            facts: &self.facts,
        }
    }

    /// When each credential is due.
    fn due(&self) -> BTreeMap<&CredentialId, Option<Timestamp>> {
        let input = self.input();
        self.text.catalog.credentials.iter().map(|(id, one)| (id, standing(&input, one).due)).collect()
    }
}

/// What both texts make of `seen`.
pub(super) fn consequences(base: &Text<'_>, head: &Text<'_>, seen: &Seen<'_>) -> Consequences {
    let (old, new) = joined(base, head, seen.snapshot).unwrap_or_else(|| (seen.snapshot.clone(), seen.snapshot.clone()));
    let (before, after) = (Planned::of(base, old, seen), Planned::of(head, new, seen));
    let (old, new) = (plan(&before.input()), plan(&after.input()));
    let (brought, brings) = (consumers(&old), consumers(&new));
    let (restarted, restarts) = (restarts(&old), restarts(&new));
    Consequences {
        run: seen.run.clone(),
        at: seen.at,
        due: due(&before.due(), &after.due(), seen.at),
        steps: steps(&old, &new),
        consumers: brings.difference(&brought).cloned().collect(),
        restarts: restarts.difference(&restarted).cloned().collect(),
        spared: restarted.difference(&restarts).cloned().collect(),
    }
}

type Due<'a> = BTreeMap<&'a CredentialId, Option<Timestamp>>;

fn due(before: &Due<'_>, after: &Due<'_>, at: Timestamp) -> Vec<DueChange> {
    let ids: BTreeSet<&&CredentialId> = before.keys().chain(after.keys()).collect();
    let of = |all: &Due<'_>, id: &CredentialId| all.get(id).copied().flatten();
    let one = |id: &&&CredentialId| {
        let (old, new) = (of(before, id), of(after, id));
        let is = |due: Option<Timestamp>| due.is_some_and(|due| due <= at);
        (old != new).then(|| DueChange { credential: (**id).clone(), before: old, after: new, newly_due: is(new) && !is(old) })
    };
    ids.iter().filter_map(one).collect()
}

/// What two steps have in common that are the same step: consumers and versions may be others.
fn key(kind: &ActionKind) -> (&'static str, String) {
    match kind {
        ActionKind::Rotate { credential, .. } => ("rotate", credential.to_string()),
        ActionKind::Deliver { credential, .. } => ("deliver", credential.to_string()),
        ActionKind::Finish { credential, .. } => ("finish", credential.to_string()),
        ActionKind::Verify { credential, .. } => ("verify", credential.to_string()),
        ActionKind::EscalateCredential { credential, .. } => ("ask", credential.to_string()),
        ActionKind::Collect { control } => ("collect", control.to_string()),
        ActionKind::Adopt { resource, control } => ("adopt", format!("{control} {resource}")),
        ActionKind::Escalate { control, resource, .. } => {
            ("escalate", format!("{control} {}", resource.as_ref().map_or("", |one| one.as_str())))
        }
    }
}

type Steps<'a> = BTreeMap<(&'static str, String), (&'a ActionKind, &'a Reason, Step)>;

fn all(plan: &Plan) -> Steps<'_> {
    let held = plan.held.iter().map(|held| (&held.kind, &held.reason, Step::Held(held.because.clone())));
    let done = plan.actions.iter().map(|action| (&action.kind, &action.reason, Step::Planned));
    held.chain(done).map(|step| (key(step.0), step)).collect()
}

fn steps(old: &Plan, new: &Plan) -> Vec<StepChange> {
    let (old, new) = (all(old), all(new));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let one = |key: &(&'static str, String)| {
        let (before, after) = (old.get(key), new.get(key));
        let step = |one: Option<&(&ActionKind, &Reason, Step)>| one.map(|(_, _, step)| step.clone());
        let (kind, reason, _) = after.or(before)?;
        let (before, after) = (step(before), step(after));
        (before != after).then(|| StepChange { kind: (*kind).clone(), reason: (*reason).clone(), before, after })
    };
    keys.into_iter().filter_map(one).collect()
}

/// Who gets a value by `plan`.
fn consumers(plan: &Plan) -> BTreeSet<(CredentialId, ConsumerId)> {
    let of = |kind: &ActionKind| -> Vec<(CredentialId, ConsumerId)> {
        match kind {
            ActionKind::Rotate { credential, consumers, .. } | ActionKind::Deliver { credential, consumers, .. } => {
                consumers.iter().map(|one| (credential.clone(), one.clone())).collect()
            }
            _ => Vec::new(),
        }
    };
    plan.actions.iter().flat_map(|action| of(&action.kind)).collect()
}

/// What is restarted by `plan`.
fn restarts(plan: &Plan) -> BTreeSet<String> {
    plan.actions.iter().filter_map(|action| action.outlook.as_ref()).flat_map(|outlook| outlook.restarts.clone()).collect()
}
