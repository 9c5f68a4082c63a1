//! SARIF 2.1.0: what does not hold at the end of a period, as scanners tell it. What an exception permits is there and suppressed.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Told, criteria};
use crate::model::assessment::{Because, Status, Subject};
use crate::model::catalog::{Control, Severity};
use crate::model::deviation::Deviation;
use crate::model::id::{ControlId, ExceptionId};
use crate::model::period::Span;
use crate::report::annotations::uri;
use crate::report::words;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The log of one run of the tool: a rule a control, a result a member that is not plainly compliant.
#[must_use]
pub fn sarif(told: &Told<'_>) -> Json {
    let mut rules = Vec::new();
    let mut results = Vec::new();
    let last = told.period.runs.len();
    let open = told.deviations().into_iter().filter(|(_, one)| one.is_open());
    let open: BTreeMap<(ControlId, Subject), Deviation> =
        open.map(|(control, one)| ((control.id.clone(), one.subject.clone()), one)).collect();
    for (index, (control, series)) in told.series().enumerate() {
        rules.push(rule(control));
        for member in &series.members {
            let span = last.checked_sub(1).and_then(|at| member.at(at));
            let unseen = span.is_none_or(|span| span.status == Status::NoEvidence);
            let open = open.get(&(control.id.clone(), member.subject.clone())).filter(|_| unseen);
            let said = match (open, span) {
                (Some(open), span) => Some(unseen_since(told, control, open, span)),
                (None, Some(span)) => said(control, &member.subject, span),
                (None, None) => None,
            };
            results.extend(said.map(|said| result(told, control, index, &member.subject, said)));
        }
    }
    let ended = told.period.runs.last().map(|run| run.received);
    let framework = told.framework.map(|id| format!("/{id}")).unwrap_or_default();
    let notes: Vec<Json> = told.caveats().iter().map(|text| json!({ "level": "warning", "message": { "text": text } })).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "slm", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "automationDetails": { "id": format!("{}/{}/{}{framework}", told.origin, told.period.from, told.period.to) },
            "invocations": [{ "executionSuccessful": true, "endTimeUtc": ended, "toolExecutionNotifications": notes }],
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

/// What is said of one member.
struct Said<'a> {
    kind: &'static str,
    level: &'static str,
    text: String,
    exception: Option<&'a ExceptionId>,
}

/// What the last run said; `None` where there is nothing to tell.
fn said<'a>(control: &Control, subject: &Subject, span: &'a Span) -> Option<Said<'a>> {
    let (kind, level) = match span.status {
        Status::Compliant | Status::NotApplicable => return None,
        // What was not seen neither failed nor passed.
        Status::NoEvidence => ("open", "none"),
        Status::NonCompliant | Status::Excepted => ("fail", level(control.severity)),
    };
    let exception = match &span.because {
        Because::Exception(id) => Some(id),
        _ => None,
    };
    let text = format!("{} is {}: {}", words::subject(subject), span.status.word(), words::reason_of(&span.because));
    Some(Said { kind, level, text, exception })
}

/// What failed when it was seen last: not seeing it repairs nothing.
fn unseen_since<'a>(told: &Told<'_>, control: &Control, open: &Deviation, span: Option<&'a Span>) -> Said<'a> {
    let at = open.unseen.and_then(|at| told.period.runs.get(at)).map(|run| run.at.to_string()).unwrap_or_default();
    let why = span.map_or_else(|| "it was not judged".to_owned(), |span| words::reason_of(&span.because));
    let text = format!(
        "{} is non-compliant since {}, and was not seen since {at}: {why}",
        words::subject(&open.subject),
        open.since(told.period)
    );
    Said { kind: "fail", level: level(control.severity), text, exception: None }
}

fn result(told: &Told<'_>, control: &Control, index: usize, subject: &Subject, said: Said<'_>) -> Json {
    let subject = words::subject(subject);
    let Said { kind, level, text, exception } = said;
    let mut result = json!({
        "ruleId": control.id,
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": { "text": text },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&control.place.file) },
                "region": { "startLine": control.lines.id.max(1) },
            },
            "logicalLocations": [{ "fullyQualifiedName": subject, "kind": "resource" }],
        }],
        "partialFingerprints": { "slm/v1": told.id(&["result", control.id.as_str(), &subject]) },
    });
    if let Some(id) = exception {
        let why = told.catalog.exceptions.get(id).map(|file| format!("{} ({})", file.reason, file.ticket));
        result["suppressions"] =
            json!([{ "kind": "external", "status": "accepted", "justification": why.unwrap_or_else(|| id.to_string()) }]);
    }
    result
}
