//! OCSF 1.3 compliance findings, class 2003: one when a deviation was seen, and one when it was seen to be over. What nobody saw since is
//! not over.

use serde_json::{Value as Json, json};

use super::{Told, criteria};
use crate::model::assessment::Status;
use crate::model::catalog::{Control, Severity};
use crate::model::deviation::{Deviation, Ending};
use crate::model::time::Timestamp;
use crate::report::words;

const CATEGORY: u32 = 2;
const CLASS: u32 = 2003;
/// A finding is made, or closed.
const CREATE: u32 = 1;
const CLOSE: u32 = 3;
/// What has no number of its own there: its word says it. `Warning` is for a check without a result.
const OTHER: u32 = 99;

/// Every finding, in the order in which they were seen.
#[must_use]
pub fn ocsf(told: &Told<'_>) -> Vec<Json> {
    let mut all: Vec<(Timestamp, Json)> = Vec::new();
    for (control, one) in told.deviations() {
        // What was so before is told by the run that saw it again, under the identifier that it has since.
        let seen = told.period.runs.get(one.detected).map_or_else(|| one.since(told.period), |run| run.at);
        all.push((seen, finding(told, control, &one, None, seen)));
        if let (Some(until), Some((_, ending))) = (one.until(told.period), one.ended) {
            all.push((until, finding(told, control, &one, Some(ending), until)));
        }
    }
    all.sort_by_key(|(at, finding)| (*at, finding["finding_info"]["uid"].to_string(), finding["activity_id"].as_u64()));
    all.into_iter().map(|(_, finding)| finding).collect()
}

/// How a finding stands.
struct Stand {
    activity: u32,
    /// 1 is new, 3 is suppressed, 4 is resolved.
    status: u32,
    compliance: (&'static str, u32),
    verb: &'static str,
}

impl Stand {
    fn of(ending: Option<Ending>) -> Self {
        let closed = |status, compliance, verb| Self { activity: CLOSE, status, compliance, verb };
        match ending {
            None => Self { activity: CREATE, status: 1, compliance: ("Fail", 3), verb: "does not meet" },
            Some(Ending::Became(Status::Excepted)) => closed(3, ("Excepted", OTHER), "is excepted from"),
            Some(Ending::Became(Status::NotApplicable)) => closed(4, ("Not applicable", OTHER), "is out of scope of"),
            // Who is gone meets nothing.
            Some(Ending::Gone) => closed(4, ("Gone", OTHER), "is gone, and did not meet"),
            Some(Ending::Became(_)) => closed(4, ("Pass", 1), "meets again"),
        }
    }
}

fn finding(told: &Told<'_>, control: &Control, one: &Deviation, ending: Option<Ending>, at: Timestamp) -> Json {
    let subject = words::subject(&one.subject);
    let first = one.since(told.period);
    let Stand { activity, status: stands, compliance: (status, status_id), verb } = Stand::of(ending);
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
        "status_id": stands,
        "message": format!("{subject} {verb} {}", control.id),
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
