//! Checks on how long things may take together: the end of what is replaced by its deadline, and the validity of a value.

use super::raw;
use super::text::{Doc, error};
use crate::model::catalog::{GateSettings, OnDeadline, Quiet};
use crate::model::diagnostic::Diagnostic;
use crate::model::rotator::Overlap;
use crate::model::time::Limit;

/// What the settings of one credential come to together.
pub fn deadlines(doc: &Doc<'_>, raw: &raw::Credential, out: &mut Vec<Diagnostic>) {
    let gate = raw.gate.unwrap_or_default();
    if gate.quiet == Quiet::Auto && gate.quiet_max < Quiet::SHORTEST {
        let message =
            format!("`quiet-max` of `{}` is less than `{}`, which `auto` never goes below", gate.quiet_max, Quiet::SHORTEST);
        let help = "raise it, or write the length of time as `quiet`".to_owned();
        out.push(error("slm::bad-limit", doc.at(&["gate", "quiet-max"]), message, Some(help)));
    }
    if gate.on_deadline != OnDeadline::Hold && gate.deadline.is_none() {
        let message = format!("`on-deadline` is `{}` and there is no deadline", gate.on_deadline.as_str());
        let help = "add `deadline`, as in `deadline = \"10d\"`".to_owned();
        out.push(error("slm::no-deadline", doc.at(&["gate", "on-deadline"]), message, Some(help)));
    }
    if let Some(deadline) = gate.deadline {
        let waits = waits(raw, &gate);
        let sum = total(&waits);
        if deadline < sum {
            let message = format!("`deadline` of `{deadline}` is less than what goes well may take: {}", told(&waits));
            let help = format!("allow `{sum}` or more, or wait for less");
            out.push(error("slm::deadline-too-short", doc.at(&["gate", "deadline"]), message, Some(help)));
        }
    }
    validity(doc, raw, &gate, out);
    steps(doc, raw, out);
}

/// A minute is what a step gets when nothing is said; under a shorter lease it is broken off with that.
const MINUTE: Limit = Limit::seconds(60);

/// A step that a person allows more time than the lease lasts is broken off before, every time. A roll-out is only awaited, by the next
/// run as well.
fn steps(doc: &Doc<'_>, raw: &raw::Credential, out: &mut Vec<Diagnostic>) {
    let lease = raw.policy.lease;
    let mut all = Vec::new();
    if let Some(plugin) = raw.rotator.exec.as_ref().filter(|plugin| plugin.timeout > MINUTE) {
        all.push((plugin.timeout, doc.at(&["rotator", "exec", "timeout"])));
    }
    for (index, consumer) in raw.consumer.iter().enumerate() {
        let index = index.to_string();
        let given = [
            ("exec", consumer.exec.as_ref().and_then(|one| one.timeout)),
            ("webhook", consumer.webhook.as_ref().and_then(|one| one.timeout)),
            ("agent", consumer.agent.as_ref().and_then(|one| one.timeout)),
        ];
        let given = given.into_iter().filter_map(|(kind, limit)| Some((limit?, doc.at(&["consumer", &index, kind, "timeout"]))));
        all.extend(given);
    }
    for (limit, place) in all.into_iter().filter(|(limit, _)| *limit >= lease) {
        let message = format!("a step of up to `{limit}` does not fit into the lease of `{lease}`");
        let help = "use a shorter `timeout`, or a longer `lease` in `[policy]`".to_owned();
        out.push(error("slm::bad-limit", place, message, Some(help)));
    }
}

/// A value may be let in for its period and for as long as its end takes when all goes well.
fn validity(doc: &Doc<'_>, raw: &raw::Credential, gate: &GateSettings, out: &mut Vec<Diagnostic>) {
    let (Some(allowed), Some(kind)) = (raw.policy.max_validity, raw.rotator.kind()) else { return };
    let place = || doc.at(&["policy", "max-validity"]);
    let can = kind.capabilities();
    if !can.validated() || kind.by_hand().is_some() {
        let message = format!("nobody is known to refuse an old value of kind `{}`", kind.kind());
        let help = "delete `max-validity`: `rotate-every` is all that can be said of it".to_owned();
        out.push(error("slm::needless-max-validity", place(), message, Some(help)));
        return;
    }
    let mut parts = vec![("rotate-every", raw.policy.rotate_every)];
    // In place, a new value ends the old one. What is disabled is refused at once, and soaks afterwards.
    if can.overlap != Overlap::Single {
        parts.extend(gate.deadline.map_or_else(|| waits(raw, gate), |deadline| vec![("deadline", deadline)]));
    }
    let sum = total(&parts);
    if allowed < sum {
        let message = format!("`max-validity` of `{allowed}` is less than what goes well may take: {}", told(&parts));
        let help = format!("allow `{sum}` or more, or rotate and end values sooner");
        out.push(error("slm::validity-cannot-be-met", place(), message, Some(help)));
    }
}

/// What the end of a value waits for when all goes well: a consumer may use it until the first is over, and it must be unused for the
/// second after that; at most for `auto`.
fn waits(raw: &raw::Credential, gate: &GateSettings) -> Vec<(&'static str, Limit)> {
    let stale = raw.consumer.iter().filter_map(|consumer| consumer.max_staleness).max().unwrap_or(Limit::seconds(0));
    let held = if stale > raw.policy.lease { ("max-staleness", stale) } else { ("lease", raw.policy.lease) };
    let quiet = if gate.quiet == Quiet::Auto { "quiet-max" } else { "quiet" };
    vec![held, (quiet, gate.longest_quiet())]
}

fn total(parts: &[(&str, Limit)]) -> Limit {
    Limit::seconds(parts.iter().map(|(_, limit)| limit.as_seconds()).sum())
}

/// `lease 15m + quiet 4h = 255m`.
fn told(parts: &[(&str, Limit)]) -> String {
    let each: Vec<String> = parts.iter().map(|(name, limit)| format!("`{name}` {limit}")).collect();
    format!("{} come to {}", each.join(" + "), total(parts))
}
