//! Where things stand: per control and per criterion, with denominators.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::words;
use crate::model::assessment::{Assessment, Status, Tally};
use crate::model::catalog::Catalog;
use crate::model::id::{ControlId, CriterionId, FrameworkId};
use crate::model::snapshot::Snapshot;

const ORDER: [Status; 5] = [Status::NonCompliant, Status::NoEvidence, Status::Excepted, Status::Compliant, Status::NotApplicable];

fn of(tally: &Tally, status: Status) -> u64 {
    tally.get(&status).copied().unwrap_or(0)
}

/// `3 of 120 compliant`-style counts; the denominator leaves out not-applicable and says so.
fn fraction(tally: &Tally) -> String {
    let judged: u64 = tally.iter().filter(|(status, _)| **status != Status::NotApplicable).map(|(_, count)| count).sum();
    let mut parts = vec![format!("{} of {judged} compliant", of(tally, Status::Compliant))];
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

type Criteria = BTreeMap<(FrameworkId, CriterionId), Vec<ControlId>>;

fn criteria(catalog: &Catalog) -> Criteria {
    let mut all = Criteria::new();
    for framework in catalog.frameworks.values() {
        for id in framework.criteria.keys() {
            all.insert((framework.id.clone(), id.clone()), Vec::new());
        }
    }
    for control in catalog.controls.values() {
        for (framework, ids) in &control.criteria {
            for id in ids {
                all.entry((framework.clone(), id.clone())).or_default().push(control.id.clone());
            }
        }
    }
    all
}

/// The status for a terminal.
#[must_use]
pub fn human(catalog: &Catalog, snapshot: &Snapshot, assessment: &Assessment) -> String {
    let mut text = String::new();
    for control in catalog.controls.values() {
        let tally = assessment.tally(Some(&control.id));
        let _ = writeln!(text, "{:<13} {:<8} {}  ({})", word(&tally), control.id, control.title, fraction(&tally));
    }
    text.push('\n');
    for framework in catalog.frameworks.values() {
        let (mut met, mut covered) = (0, 0);
        for ((_, _), controls) in criteria(catalog).iter().filter(|((id, _), _)| *id == framework.id) {
            let statuses: Vec<&str> = controls.iter().map(|id| word(&assessment.tally(Some(id)))).collect();
            covered += u64::from(!controls.is_empty());
            met += u64::from(!controls.is_empty() && statuses.iter().all(|word| matches!(*word, "compliant" | "not-applicable")));
        }
        let all = framework.criteria.len();
        let _ = writeln!(
            text,
            "{}: {met} of {all} criteria have only compliant controls; {covered} of {all} have a control",
            framework.id
        );
    }
    for receipt in &snapshot.receipts {
        let seen = if receipt.completeness.is_complete() { "seen whole" } else { "NOT seen whole" };
        let requests = words::count(receipt.requests(), "request");
        let _ = writeln!(text, "source {} {} {}: {seen}, {requests}", receipt.source, receipt.collector, receipt.scope);
    }
    let total = assessment.tally(None);
    let _ = writeln!(text, "\n{}.", fraction(&total));
    text
}

/// The status as JSON.
#[must_use]
pub fn json(catalog: &Catalog, snapshot: &Snapshot, assessment: &Assessment) -> Json {
    let controls: Vec<Json> = catalog
        .controls
        .values()
        .map(|control| {
            let tally = assessment.tally(Some(&control.id));
            json!({ "id": control.id, "status": word(&tally), "decisions": tally, "owner": control.owner })
        })
        .collect();
    let requests: u64 = snapshot.receipts.iter().map(crate::model::receipt::Receipt::requests).sum();
    json!({
        "at": assessment.at, "controls": controls, "decisions": assessment.tally(None), "gaps": assessment.gaps,
        "unused-exceptions": assessment.unused_exceptions, "requests": requests, "receipts": snapshot.receipts,
    })
}
