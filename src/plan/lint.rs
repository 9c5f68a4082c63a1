//! What must be true of any plan; checked after planning and again before applying.

use std::collections::BTreeSet;

use crate::model::catalog::{Catalog, Credential};
use crate::model::plan::{Action, ActionKind, PLAN_FORMAT, Plan, Reason};

/// What is wrong with `plan`, one line each; empty when it may be applied with `catalog`.
#[must_use]
pub fn lint(plan: &Plan, catalog: &Catalog) -> Vec<String> {
    let mut wrong = Vec::new();
    if plan.format != PLAN_FORMAT {
        wrong.push(format!("plan format {} is not {PLAN_FORMAT}; make the plan again", plan.format));
    }
    let mut touched = BTreeSet::new();
    for action in &plan.actions {
        let (credential, secret, consumers) = match &action.kind {
            ActionKind::Rotate { credential, secret, consumers, generation, rotation } => {
                if *rotation != crate::model::plan::rotation_id(credential, generation.as_ref()) {
                    wrong.push(format!("rotation `{rotation}` is not the one of `{credential}` from its generation"));
                }
                (credential, secret, consumers)
            }
            ActionKind::Deliver { credential, secret, consumers, .. }
            | ActionKind::Finish { credential, secret, consumers, .. } => (credential, secret, consumers),
            ActionKind::Collect { .. } | ActionKind::Escalate { .. } | ActionKind::Adopt { .. } => continue,
        };
        if action.permitted_by.is_empty() {
            wrong.push(format!("the action on `{credential}` names no guard rule that permits it"));
        }
        if !touched.insert(credential) {
            wrong.push(format!("credential `{credential}` is touched by two actions"));
        }
        let Some(declared) = catalog.credentials.get(credential) else {
            wrong.push(format!("credential `{credential}` is not declared"));
            continue;
        };
        wrong.extend(kept_by_aws(action, declared));
        if declared.secret != *secret {
            wrong.push(format!("credential `{credential}` lives in `{}` now, not in `{}`", declared.secret.name, secret.name));
        }
        for consumer in consumers.iter().filter(|id| !declared.consumers.iter().any(|known| known.id == **id)) {
            wrong.push(format!("consumer `{consumer}` of `{credential}` is not declared"));
        }
    }
    wrong
}

/// What `action` asks of AWS that it does not do, or of another kind that only AWS does.
fn kept_by_aws(action: &Action, declared: &Credential) -> Option<String> {
    let id = &declared.id;
    let wrong = match (&action.kind, &action.reason) {
        (ActionKind::Rotate { generation: None, .. }, _) if declared.rotator.aws_managed().is_some() => "gets no first value",
        (ActionKind::Finish { .. }, _) if declared.rotator.aws_managed().is_some() => "leaves nothing behind that slm may end",
        (_, Reason::Stuck { .. }) if declared.rotator.aws_managed().is_none() => {
            return Some(format!("`{id}` is not rotated by AWS, which cannot be stuck with it"));
        }
        _ => return None,
    };
    Some(format!("`{id}` is rotated by AWS and {wrong}"))
}
