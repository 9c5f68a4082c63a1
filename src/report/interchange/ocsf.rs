//! OCSF 1.3 compliance findings, class 2003: one when a deviation was seen, and one when it was seen to be over.

use serde_json::{Value as Json, json};

use super::{Told, criteria};
use crate::model::catalog::{Control, Severity};
use crate::model::period::{At, Deviation};
use crate::model::time::Timestamp;
use crate::report::words;

const CATEGORY: u32 = 2;
const CLASS: u32 = 2003;
/// A finding is made, or closed.
const CREATE: u32 = 1;
const CLOSE: u32 = 3;

/// Every finding, in the order in which they were seen.
#[must_use]
pub fn ocsf(told: &Told<'_>) -> Vec<Json> {
    let mut all: Vec<(Timestamp, Json)> = Vec::new();
    for (control, one) in told.deviations() {
        let mut put = |at: At, activity: u32| {
            let Some(run) = told.period.runs.get(at) else { return };
            all.push((run.at, finding(told, control, &one, activity, run.at)));
        };
        put(one.detected, CREATE);
        if let Some(ended) = one.ended {
            put(ended, CLOSE);
        }
    }
    all.sort_by_key(|(at, finding)| (*at, finding["finding_info"]["uid"].to_string(), finding["activity_id"].as_u64()));
    all.into_iter().map(|(_, finding)| finding).collect()
}

fn finding(told: &Told<'_>, control: &Control, one: &Deviation, activity: u32, at: Timestamp) -> Json {
    let subject = words::subject(&one.subject);
    let first = told.period.runs.get(one.detected).map(|run| run.at).unwrap_or_default();
    let (status, status_id) = if activity == CLOSE { ("Pass", 1) } else { ("Fail", 3) };
    let entity = match &one.subject {
        crate::model::assessment::Subject::Resource { entity, .. }
        | crate::model::assessment::Subject::Population { entity, .. } => entity,
    };
    json!({
        "activity_id": activity,
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        "type_uid": CLASS * 100 + activity,
        "time": at.as_millisecond(),
        "severity_id": severity(control.severity),
        // 1 is new, 4 is resolved.
        "status_id": if activity == CLOSE { 4 } else { 1 },
        "message": format!("{subject} {} {}", if activity == CLOSE { "meets again" } else { "does not meet" }, control.id),
        "metadata": {
            "version": "1.3.0",
            "product": { "name": "slm", "vendor_name": "slm", "version": env!("CARGO_PKG_VERSION") },
            "log_name": told.origin,
        },
        "finding_info": {
            "uid": told.id(&["deviation", control.id.as_str(), &subject, &first.to_string()]),
            "title": control.title,
            "desc": control.statement,
            "first_seen_time": first.as_millisecond(),
        },
        "compliance": {
            "control": control.id,
            "requirements": criteria(control),
            "standards": control.criteria.keys().filter_map(|id| told.catalog.frameworks.get(id)).map(|one| &one.name).collect::<Vec<_>>(),
            "status": status,
            "status_id": status_id,
        },
        "resources": [{ "uid": subject, "type": entity }],
    })
}

fn severity(severity: Severity) -> u32 {
    match severity {
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}
