//! SARIF 2.1.0: what does not hold at the end of a period, as scanners tell it. What an exception permits is there and suppressed.

use serde_json::{Value as Json, json};

use super::{Told, criteria};
use crate::model::assessment::{Because, Status};
use crate::model::catalog::{Control, Severity};
use crate::model::period::{Member, Span};
use crate::report::words;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The log of one run of the tool: a rule a control, a result a member that is not plainly compliant.
#[must_use]
pub fn sarif(told: &Told<'_>) -> Json {
    let mut rules = Vec::new();
    let mut results = Vec::new();
    let last = told.period.runs.len();
    for (index, (control, series)) in told.series().enumerate() {
        rules.push(rule(control));
        for member in &series.members {
            let span = last.checked_sub(1).and_then(|at| member.at(at));
            results.extend(span.and_then(|span| result(told, control, index, member, span)));
        }
    }
    let ended = told.period.runs.last().map(|run| run.received);
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "slm", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "automationDetails": { "id": format!("{}/{}/{}", told.origin, told.period.from, told.period.to) },
            "invocations": [{ "executionSuccessful": true, "endTimeUtc": ended }],
            "results": results,
            "columnKind": "utf16CodeUnits",
        }],
    })
}

fn rule(control: &Control) -> Json {
    json!({
        "id": control.id,
        "shortDescription": { "text": control.title },
        "fullDescription": { "text": control.statement },
        "defaultConfiguration": { "level": level(control.severity) },
        "properties": { "tags": criteria(control), "owner": control.owner },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

fn result(told: &Told<'_>, control: &Control, index: usize, member: &Member, span: &Span) -> Option<Json> {
    let (kind, level) = match span.status {
        Status::Compliant | Status::NotApplicable => return None,
        // What was not seen neither failed nor passed.
        Status::NoEvidence => ("open", "none"),
        Status::NonCompliant | Status::Excepted => ("fail", level(control.severity)),
    };
    let subject = words::subject(&member.subject);
    let mut result = json!({
        "ruleId": control.id,
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": { "text": format!("{subject} is {}: {}", span.status.word(), words::reason_of(&span.because)) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": control.place.file },
                "region": { "startLine": control.lines.id.max(1) },
            },
            "logicalLocations": [{ "fullyQualifiedName": subject, "kind": "resource" }],
        }],
        "partialFingerprints": { "slm/v1": told.id(&["result", control.id.as_str(), &subject]) },
    });
    if let Because::Exception(id) = &span.because {
        let why = told.catalog.exceptions.get(id).map(|file| format!("{} ({})", file.reason, file.ticket));
        result["suppressions"] =
            json!([{ "kind": "external", "status": "accepted", "justification": why.unwrap_or_else(|| id.to_string()) }]);
    }
    Some(result)
}
