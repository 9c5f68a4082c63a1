//! Checks that limits and durations can be met together: what is due too late for a control, and what is due before the last is ended.

use super::checks::Repo;
use super::raw;
use super::text::{Doc, Item, error};
use crate::model::diagnostic::Diagnostic;
use crate::model::rotator::RotatorConfig;
use crate::model::time::Limit;

/// The attribute by which a control reads the limit of a secret's tier.
const AGE: &str = "max_age_days";

/// Every credential is due while its controls are met, and its last rotation is over by then.
pub(super) fn in_time(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    for Item { doc, raw } in &repo.credentials {
        breached(repo, doc, raw, out);
        if let Some(kind) = raw.rotator.kind() {
            ended(doc, raw, &kind, out);
        }
    }
}

/// No tier lets a secret become as old as `rotate-every`, which is then due in breach of what it satisfies.
fn breached(repo: &Repo<'_>, doc: &Doc<'_>, raw: &raw::Credential, out: &mut Vec<Diagnostic>) {
    let limits = repo.settings.as_ref().map(|settings| &settings.raw.tiers.limits);
    let Some((tier, limit)) = limits.and_then(|limits| limits.iter().max_by_key(|(_, limit)| **limit)) else { return };
    let every = raw.policy.rotate_every;
    let reads = |id: &str| {
        let mut controls = repo.controls.iter().filter(|control| control.raw.id == id);
        controls.any(|control| control.raw.rule.requires.iter().any(|name| name == AGE))
    };
    let Some(control) = raw.satisfies.iter().find(|id| every > *limit && reads(id)) else { return };
    let message = format!("due every `{every}`, it breaks `{control}` before: no tier allows more than `{limit}`, of `{tier}`");
    let help = format!("rotate it every `{limit}` or sooner, or take `{control}` out of `satisfies`");
    out.push(error("slm::due-after-breach", doc.at(&["policy", "rotate-every"]), message, Some(help)));
}

/// What a rotation leaves behind, in use until then, cannot be ended before the next one is due.
fn ended(doc: &Doc<'_>, raw: &raw::Credential, kind: &RotatorConfig, out: &mut Vec<Diagnostic>) {
    let (can, every) = (kind.capabilities(), raw.policy.rotate_every);
    if !(can.disable || can.delete) || every <= Limit::seconds(0) {
        return;
    }
    let gate = raw.gate.unwrap_or_default();
    let stale = raw.consumer.iter().filter_map(|consumer| consumer.max_staleness);
    // These pass at the same time, and soaking begins when all of them are over.
    let wait = stale.chain([raw.policy.lease, gate.longest_quiet()]).max().unwrap_or(gate.longest_quiet());
    let soak = if can.disable { gate.soak } else { Limit::seconds(0) };
    let earliest = Limit::seconds(wait.as_seconds() + soak.as_seconds());
    if earliest < every {
        return;
    }
    let message = format!("due every `{every}`, it is due again before the value before is ended, `{earliest}` after it");
    let help = "shorten `quiet` and `soak` of `[gate]`, `lease` and `max-staleness`, or rotate it less often".to_owned();
    out.push(error("slm::due-before-ended", doc.at(&["policy", "rotate-every"]), message, Some(help)));
}
