//! Where things stand: per control and per criterion, what is compliant, due, held and incomplete, with denominators.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{attestation, exception, reconcile, segregation, words};
use crate::model::assessment::{Assessment, Because, Status, Tally};
use crate::model::attestation::{About, Manual, Signed};
use crate::model::catalog::Catalog;
use crate::model::exception::Exceptions;
use crate::model::id::{ControlId, CredentialId, CriterionId, FrameworkId};
use crate::model::past::Noted;
use crate::model::plan::{ActionKind, Plan};
use crate::model::receipt::Receipt;
use crate::model::reconcile::Reconciled;
use crate::model::segregation::Segregation;
use crate::model::snapshot::Snapshot;
use crate::model::standing::Holding;

/// Everything a status is made of.
pub struct Seen<'a> {
    /// The config repo.
    pub catalog: &'a Catalog,
    /// What was observed.
    pub snapshot: &'a Snapshot,
    /// What was judged.
    pub assessment: &'a Assessment,
    /// What exceptions lift of it.
    pub exceptions: &'a Exceptions,
    /// What only a person can say, and whether one did.
    pub manual: &'a [Manual],
    /// Attestations that name a population which the evidence does not have.
    pub unfounded: &'a [Noted],
    /// Lists compared with what counts them independently.
    pub reconciled: &'a [Reconciled],
    /// Whether one identity can change both policy and evidence.
    pub segregation: &'a [Segregation],
    /// What is due, and what of it is held.
    pub plan: &'a Plan,
    /// Credentials whose value before is held by consumers for longer than it may be.
    pub held_up: &'a [(CredentialId, Holding)],
    /// Requests to AWS and to GitHub, whatever for.
    pub sent: u64,
}

const ORDER: [Status; 5] = [Status::NonCompliant, Status::NoEvidence, Status::Excepted, Status::Compliant, Status::NotApplicable];

fn of(tally: &Tally, status: Status) -> u64 {
    tally.get(&status).copied().unwrap_or(0)
}

/// The denominator: it leaves out not-applicable.
fn judged(tally: &Tally) -> u64 {
    tally.iter().filter(|(status, _)| **status != Status::NotApplicable).map(|(_, count)| count).sum()
}

/// `3 of 120 compliant`-style counts; what the denominator leaves out is named.
fn fraction(tally: &Tally) -> String {
    let mut parts = vec![format!("{} of {} compliant", of(tally, Status::Compliant), judged(tally))];
    for status in [Status::Excepted, Status::NonCompliant, Status::NoEvidence, Status::NotApplicable] {
        if of(tally, status) > 0 {
            parts.push(format!("{} {}", of(tally, status), status.word()));
        }
    }
    parts.join(", ")
}

/// The word for a whole control: the gravest of its decisions; without any, its population is empty.
fn word(tally: &Tally) -> &'static str {
    ORDER.iter().find(|status| of(tally, **status) > 0).map_or("not-applicable", |status| status.word())
}

/// The signature that `about` waits for, when it is one that only a person can give.
fn signature<'a>(seen: &Seen<'a>, about: &About) -> Option<&'a Signed> {
    seen.manual.iter().find(|manual| manual.about == *about).map(|manual| &manual.state)
}

/// The word for a whole control that a person attests: nothing observes it, so that there is no evidence but a signature.
fn word_of(tally: &Tally, signature: Option<&Signed>) -> &'static str {
    match (word(tally), signature) {
        ("no-evidence", Some(Signed::For { .. })) => "signed",
        ("no-evidence", Some(_)) => "manual",
        (word, _) => word,
    }
}

/// What stands open.
#[derive(Clone, Copy, Default)]
struct Open {
    /// Actions of the plan.
    due: u64,
    /// Actions held back.
    held: u64,
    /// Populations not seen to their end.
    incomplete: u64,
}

impl Open {
    fn text(self) -> String {
        let parts = [(self.due, "due"), (self.held, "held"), (self.incomplete, "incomplete")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) }
    }
}

/// One control as it stands.
struct Standing {
    tally: Tally,
    open: Open,
}

/// One criterion as it stands; controls that apply to nothing are out of its denominator.
#[derive(Default)]
struct Met {
    controls: u64,
    judged: u64,
    compliant: u64,
    open: Open,
}

fn standings(seen: &Seen<'_>) -> BTreeMap<ControlId, Standing> {
    let mut all: BTreeMap<ControlId, Standing> =
        seen.catalog.controls.keys().map(|id| (id.clone(), Standing { tally: Tally::new(), open: Open::default() })).collect();
    for (control, status, because) in seen.assessment.decisions.reasons() {
        let Some(one) = all.get_mut(control) else { continue };
        *one.tally.entry(status).or_default() += 1;
        one.open.incomplete += u64::from(matches!(because, Because::Unseen { .. }));
    }
    for action in &seen.plan.actions {
        for id in &action.controls {
            all.entry(id.clone()).and_modify(|one| one.open.due += 1);
        }
    }
    for held in &seen.plan.held {
        for id in controls(seen.catalog, &held.kind) {
            all.entry(id).and_modify(|one| one.open.held += 1);
        }
    }
    all
}

/// The controls an action is for.
fn controls(catalog: &Catalog, kind: &ActionKind) -> Vec<ControlId> {
    let served = |id: &CredentialId| catalog.credentials.get(id).map(|credential| credential.satisfies.clone()).unwrap_or_default();
    match kind {
        ActionKind::Rotate { credential, .. }
        | ActionKind::Deliver { credential, .. }
        | ActionKind::Finish { credential, .. }
        | ActionKind::Verify { credential, .. }
        | ActionKind::EscalateCredential { credential, .. } => served(credential),
        ActionKind::Collect { control } | ActionKind::Escalate { control, .. } | ActionKind::Adopt { control, .. } => {
            vec![control.clone()]
        }
    }
}

/// Every criterion, also one without a control. An action that serves two controls of a criterion counts once for it.
fn criteria(seen: &Seen<'_>, standings: &BTreeMap<ControlId, Standing>) -> BTreeMap<(FrameworkId, CriterionId), Met> {
    let frameworks = seen.catalog.frameworks.values();
    let ids = frameworks.flat_map(|framework| framework.criteria.keys().map(|id| (framework.id.clone(), id.clone())));
    let mut all: BTreeMap<_, Met> = ids.map(|id| (id, Met::default())).collect();
    for control in seen.catalog.controls.values() {
        let Some(standing) = standings.get(&control.id) else { continue };
        let word = word(&standing.tally);
        for (framework, ids) in &control.criteria {
            for id in ids {
                let met = all.entry((framework.clone(), id.clone())).or_default();
                met.controls += 1;
                met.judged += u64::from(word != Status::NotApplicable.word());
                met.compliant += u64::from(word == Status::Compliant.word());
                met.open.incomplete += standing.open.incomplete;
            }
        }
    }
    for action in &seen.plan.actions {
        action.criteria.iter().for_each(|id| drop(all.entry(id.clone()).and_modify(|met| met.open.due += 1)));
    }
    for held in &seen.plan.held {
        let mut ids: Vec<_> = controls(seen.catalog, &held.kind)
            .iter()
            .filter_map(|id| seen.catalog.controls.get(id))
            .flat_map(|control| &control.criteria)
            .flat_map(|(framework, ids)| ids.iter().map(|id| (framework.clone(), id.clone())))
            .collect();
        ids.sort();
        ids.dedup();
        ids.into_iter().for_each(|id| drop(all.entry(id).and_modify(|met| met.open.held += 1)));
    }
    all
}

/// The status for a terminal.
#[must_use]
pub fn human(seen: &Seen<'_>) -> String {
    let standings = standings(seen);
    let criteria = criteria(seen, &standings);
    let mut text = String::new();
    for control in seen.catalog.controls.values() {
        let Some(Standing { tally, open }) = standings.get(&control.id) else { continue };
        let signature = signature(seen, &About::Control(control.id.clone()));
        let (word, signed) = (word_of(tally, signature), attestation::clause(signature));
        let _ = writeln!(text, "{word:<13} {:<8} {}  ({}{}{signed})", control.id, control.title, fraction(tally), open.text());
    }
    for framework in seen.catalog.frameworks.values() {
        text.push('\n');
        let (mut met, mut covered) = (0, 0);
        for ((_, id), one) in criteria.iter().filter(|((of, _), _)| *of == framework.id) {
            covered += u64::from(one.controls > 0);
            met += u64::from(one.controls > 0 && one.compliant == one.judged);
            let (compliant, judged, open) = (one.compliant, one.judged, one.open.text());
            let signed = attestation::clause(signature(seen, &About::Criterion(framework.id.clone(), id.clone())));
            let _ = writeln!(text, "{} {id}: {compliant} of {judged} controls compliant{open}{signed}", framework.id);
        }
        let all = framework.criteria.len();
        let _ = writeln!(
            text,
            "{}: {met} of {all} criteria have only compliant controls; {covered} of {all} have a control",
            framework.id
        );
    }
    text.push('\n');
    for receipt in &seen.snapshot.receipts {
        let whole = if receipt.completeness.is_complete() { "seen whole" } else { "NOT seen whole" };
        let requests = words::count(receipt.requests(), "request");
        let _ = writeln!(text, "source {} {} {}: {whole}, {requests}", receipt.source, receipt.collector, receipt.scope);
    }
    text.push_str(&reconcile::lines(seen.reconciled));
    text.push_str(&segregation::lines(seen.segregation));
    for Noted { what, .. } in seen.unfounded {
        let _ = writeln!(text, "attestation! {what}");
    }
    for (credential, holding) in seen.held_up {
        let (held, next) = words::holding(holding, seen.assessment.at);
        let _ = writeln!(text, "\ncredential {credential} held up: {held}\n  next: {next}");
    }
    let lines = [exception::lifted, exception::findings].map(|lines| lines(seen.exceptions, seen.assessment.at)).concat();
    if !lines.is_empty() {
        let _ = write!(text, "\n{lines}");
    }
    let total = seen.assessment.tally(None);
    let (due, held) = (seen.plan.actions.len(), seen.plan.held.len());
    let _ = writeln!(text, "\n{}; {due} due, {held} held.", fraction(&total));
    text
}

/// The status as JSON.
#[must_use]
pub fn json(seen: &Seen<'_>) -> Json {
    let standings = standings(seen);
    let controls: Vec<Json> = seen
        .catalog
        .controls
        .values()
        .filter_map(|control| {
            let Standing { tally, open } = standings.get(&control.id)?;
            Some(json!({
                "id": control.id, "status": word(tally), "decisions": tally, "owner": control.owner,
                "compliant": of(tally, Status::Compliant), "judged": judged(tally),
                "due": open.due, "held": open.held, "incomplete": open.incomplete,
            }))
        })
        .collect();
    let criteria: Vec<Json> = criteria(seen, &standings)
        .into_iter()
        .map(|((framework, id), met)| {
            json!({
                "framework": framework, "id": id, "controls": met.controls, "compliant": met.compliant, "judged": met.judged,
                "due": met.open.due, "held": met.open.held, "incomplete": met.open.incomplete,
            })
        })
        .collect();
    let held_up: Vec<Json> = seen
        .held_up
        .iter()
        .map(|(credential, holding)| {
            let next = words::holding(holding, seen.assessment.at).1;
            json!({ "credential": credential, "consumers": holding.consumers, "since": holding.since, "limit": holding.limit, "next": next })
        })
        .collect();
    let requests: u64 = seen.snapshot.receipts.iter().map(Receipt::requests).sum();
    let sent = seen.sent;
    json!({
        "at": seen.assessment.at, "controls": controls, "criteria": criteria, "decisions": seen.assessment.tally(None),
        "due": seen.plan.actions, "held": seen.plan.held, "gaps": seen.assessment.gaps, "held-up": held_up,
        "unused-exceptions": seen.assessment.unused_exceptions, "exceptions": seen.exceptions, "manual": seen.manual, "reconciled": seen.reconciled,
        "segregation": seen.segregation, "unfounded": seen.unfounded, "requests": requests, "sent": sent,
        "receipts": seen.snapshot.receipts,
    })
}
