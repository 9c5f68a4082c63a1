//! What must be true of any plan; checked after planning and again before applying.

use std::collections::BTreeSet;

use crate::model::catalog::{Catalog, Credential, Quiet};
use crate::model::id::CredentialId;
use crate::model::plan::{Action, ActionKind, PLAN_FORMAT, Plan, Reason};
use crate::model::rotator::ByHand;

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
            ActionKind::EscalateCredential { credential, .. } | ActionKind::Verify { credential, .. } => {
                wrong.extend(unfit(catalog, credential, action));
                continue;
            }
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
        wrong.extend(unfit(catalog, credential, action));
        wrong.extend(hasty(action, declared));
        if declared.secret != *secret {
            wrong.push(format!("credential `{credential}` lives in `{}` now, not in `{}`", declared.secret.name, secret.name));
        }
        for consumer in consumers.iter().filter(|id| !declared.consumers.iter().any(|known| known.id == **id)) {
            wrong.push(format!("consumer `{consumer}` of `{credential}` is not declared"));
        }
    }
    wrong
}

/// True when a value is let in for longer than it may be, the end of one broke something or is left to a person, or no attempt is left: for
/// its owner whoever rotates it.
const fn is_late(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::NotRetiredInTime { .. }
            | Reason::ValidTooLong { .. }
            | Reason::Broken { .. }
            | Reason::AttemptsSpent { .. }
            | Reason::LeftLetIn { .. }
    )
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

/// Why `action` would end what is replaced sooner than is declared, if so.
fn hasty(action: &Action, declared: &Credential) -> Option<String> {
    let limit = action.outlook.as_ref()?.quiet.as_ref()?.limit;
    let (least, most) = match declared.gate.quiet {
        Quiet::Fixed(limit) => (limit, limit),
        Quiet::Auto => (Quiet::SHORTEST.min(declared.gate.quiet_max), declared.gate.quiet_max),
    };
    (limit < least || limit > most)
        .then(|| format!("`{}` must be unused for {least} to {most}, and the plan has {limit}", declared.id))
}

/// Why a plan may not have `action` for `credential`, if so.
fn unfit(catalog: &Catalog, credential: &CredentialId, action: &Action) -> Option<String> {
    let kind = &action.kind;
    let Some(declared) = catalog.credentials.get(credential) else {
        // What touches a store is complained about where that is checked.
        let asked = matches!(kind, ActionKind::EscalateCredential { .. } | ActionKind::Verify { .. });
        return asked.then(|| format!("credential `{credential}` is not declared"));
    };
    let name = declared.rotator.kind();
    match (kind, declared.rotator.by_hand()) {
        (ActionKind::Deliver { .. }, Some(ByHand::Manual(_)) | None) => None,
        (ActionKind::Rotate { .. } | ActionKind::Finish { .. }, None) => None,
        (ActionKind::EscalateCredential { owner, .. }, hand) if hand.is_some() || is_late(&action.reason) => (*owner
            != declared.owner)
            .then(|| format!("credential `{credential}` belongs to `{}`, not to `{owner}`", declared.owner)),
        (ActionKind::Verify { secret, .. }, Some(ByHand::Manual(manual))) if manual.verify.is_some() => {
            (*secret != declared.secret).then(|| format!("credential `{credential}` lives in `{}` now", declared.secret.name))
        }
        (ActionKind::Verify { .. }, _) => Some(format!("credential `{credential}` declares nothing that tries its value")),
        (ActionKind::EscalateCredential { .. }, None) => Some(format!("credential `{credential}` is rotated by slm")),
        (_, Some(ByHand::Manual(_))) => Some(format!("credential `{credential}` is of kind `{name}`: a person rotates it")),
        (_, Some(ByHand::Observe(_))) => Some(format!("credential `{credential}` is of kind `{name}`: slm never acts on it")),
        (_, None) => None,
    }
}
