//! OSCAL 1.1: an assessment plan, assessment results with one result a run, and a plan of action and milestones for what is open.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Told, criteria, severity};
use crate::model::assessment::Status;
use crate::model::catalog::Control;
use crate::model::deviation::Deviation;
use crate::model::id::ControlId;
use crate::model::period::{Cell, RunNote};
use crate::model::time::Timestamp;
use crate::report::annotations::uri;
use crate::report::words;

/// The version of OSCAL that is written.
const VERSION: &str = "1.1.2";

/// The document that is there only where something is open.
pub const ACTIONS: &str = "plan-of-action-and-milestones.json";

/// The documents by file name. There is no plan of action when nothing is open: an empty one would not be OSCAL.
#[must_use]
pub fn oscal(told: &Told<'_>) -> BTreeMap<&'static str, Json> {
    let mut all = BTreeMap::from([("assessment-plan.json", plan(told)), ("assessment-results.json", results(told))]);
    all.extend(actions(told).map(|document| (ACTIONS, document)));
    all
}

/// When the newest of what is told was recorded: a document is as new as its evidence.
fn newest(told: &Told<'_>) -> Timestamp {
    told.period.runs.iter().map(|run| run.received).max().unwrap_or_default()
}

fn metadata(told: &Told<'_>, title: &str) -> Json {
    let (from, to) = (told.period.from, told.period.to);
    let framework = told.framework.map(|id| format!(", for {id}")).unwrap_or_default();
    let mut metadata = json!({
        "title": format!("{title}, {from} to {to}{framework}"),
        "last-modified": newest(told),
        "version": format!("{from}/{to}"),
        "oscal-version": VERSION,
        "props": [
            { "name": "log-origin", "ns": NS, "value": told.origin },
            { "name": "log-root", "ns": NS, "value": told.root },
        ],
    });
    let caveats: Vec<String> = told.caveats().iter().map(|one| format!("- {one}")).collect();
    if !caveats.is_empty() {
        metadata["remarks"] = json!(caveats.join("\n"));
    }
    metadata
}

/// Names of ours are told apart from those of OSCAL by this.
const NS: &str = "https://slm.invalid/ns/oscal";

/// A control as a token of OSCAL, which has neither spaces nor most signs and begins with a letter; what is none is written as its number.
fn token(control: &Control) -> String {
    let id = control.id.as_str();
    let begins = id.starts_with(|one: char| one.is_ascii_alphabetic() || one == '_');
    let letter = |one: char| match one {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => one.to_string(),
        _ => format!("_{:x}", u32::from(one)),
    };
    id.chars().map(letter).fold(if begins { String::new() } else { "_".to_owned() }, |token, one| token + &one)
}

/// The title of a control, which OSCAL wants on one line.
fn title(control: &Control) -> String {
    let line = control.title.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { control.id.to_string() } else { line }
}

/// What is or was looked at: `judged`, of the controls of the period.
fn reviewed(told: &Told<'_>, judged: impl Fn(&ControlId) -> bool) -> Json {
    let (looked, left): (Vec<_>, Vec<_>) = told.series().partition(|(control, _)| judged(&control.id));
    let list = |all: Vec<(&Control, _)>| all.iter().map(|(control, _)| json!({ "control-id": token(control) })).collect::<Vec<_>>();
    if !looked.is_empty() {
        return json!({ "control-selections": [{ "include-controls": list(looked) }] });
    }
    // A selection is never empty: all but all.
    let mut none = json!({ "description": "No control was judged.", "include-all": {} });
    if !left.is_empty() {
        none["exclude-controls"] = json!(list(left));
    }
    json!({ "control-selections": [none] })
}

/// The system that is assessed is described elsewhere; here it has a name to point at.
fn system(told: &Told<'_>) -> (String, Json) {
    let id = told.id(&["system"]);
    let back = json!({ "resources": [{ "uuid": id, "title": told.origin, "description": "The systems whose evidence is kept in this log." }] });
    (format!("#{id}"), back)
}

fn plan(told: &Told<'_>) -> Json {
    let (href, back) = system(told);
    let days = [told.period.from.to_string(), told.period.to.to_string()];
    json!({ "assessment-plan": {
        "uuid": told.document("plan", &[&days[0], &days[1]]),
        "metadata": metadata(told, "Assessment plan"),
        "import-ssp": { "href": href },
        "reviewed-controls": reviewed(told, |_| true),
        "back-matter": back,
    } })
}

/// What each run said of one control.
#[derive(Default, Clone)]
struct Said {
    tally: BTreeMap<Status, u64>,
    failing: Vec<String>,
}

/// What each run said of each control; what did not change is walked once a span.
fn said(told: &Told<'_>) -> Vec<BTreeMap<ControlId, Said>> {
    let mut runs = vec![BTreeMap::<ControlId, Said>::new(); told.period.runs.len()];
    for (control, series) in told.series() {
        // Where there was nobody to judge, nobody has a line.
        let empty = |cell: &&Cell| matches!(cell, Cell::Judged { gravest: None, .. });
        for (_, day) in series.days.iter().zip(&told.period.days).filter(|(cell, _)| empty(cell)) {
            for run in day.runs.iter() {
                runs[*run].entry(control.id.clone()).or_default();
            }
        }
        for member in &series.members {
            let name = words::subject(&member.subject);
            for span in &member.spans {
                for run in runs.get_mut(span.from..span.until.min(told.period.runs.len())).into_iter().flatten() {
                    let said = run.entry(control.id.clone()).or_default();
                    *said.tally.entry(span.status).or_default() += 1;
                    if span.status == Status::NonCompliant {
                        said.failing.push(name.clone());
                    }
                }
            }
        }
    }
    runs
}

fn results(told: &Told<'_>) -> Json {
    let said = said(told);
    let results: Vec<Json> = told.period.runs.iter().zip(&said).map(|(run, said)| result(told, run, said)).collect();
    json!({ "assessment-results": {
        "uuid": told.document("results", &[&told.period.from.to_string(), &told.period.to.to_string()]),
        "metadata": metadata(told, "Assessment results"),
        "import-ap": { "href": "assessment-plan.json" },
        "results": results,
    } })
}

/// One run: an observation for each control that it judged, and a finding where there was something to find.
fn result(told: &Told<'_>, run: &RunNote, said: &BTreeMap<ControlId, Said>) -> Json {
    let (mut observations, mut findings) = (Vec::new(), Vec::new());
    for (control, said) in said.iter().filter_map(|(id, said)| Some((told.catalog.controls.get(id)?, said))) {
        let id = told.id(&["observation", run.id.as_str(), control.id.as_str()]);
        observations.push(observation(told, run, control, said, &id));
        findings.extend(finding(told, run, control, said, &id));
    }
    let mut result = json!({
        "uuid": told.document("result", &[run.id.as_str()]),
        "title": format!("Run {}", run.id),
        "description": format!("One look at the systems in scope by `slm {}`, judged by the rules of {}.", run.verb, run.config),
        "start": run.at,
        // Commits are dated to the second, and it may have begun within one.
        "end": run.received.max(run.at),
        "props": [{ "name": "evidence-commit", "ns": NS, "value": run.commit }],
        "reviewed-controls": reviewed(told, |id| said.contains_key(id)),
    });
    for (name, list) in [("observations", observations), ("findings", findings)] {
        if !list.is_empty() {
            result[name] = json!(list);
        }
    }
    result
}

fn observation(told: &Told<'_>, run: &RunNote, control: &Control, said: &Said, id: &str) -> Json {
    let mut counts: Vec<String> = said.tally.iter().map(|(status, count)| format!("{count} {}", status.word())).collect();
    counts.extend(said.tally.is_empty().then(|| "nothing that it speaks about was there".to_owned()));
    let mut observation = json!({
        "uuid": id,
        "title": title(control),
        "description": format!("{}: {}.", control.id, counts.join(", ")),
        "methods": ["TEST"],
        "types": ["control-objective"],
        "collected": run.at,
        "relevant-evidence": [{
            // As `git show` takes it after the scheme: without one it is no address.
            "href": format!("git:{}:{}", run.commit, uri(&format!("decisions/{}.jsonl", control.id))),
            "description": "The decisions in the commit of the run, as they were written.",
        }],
    });
    let subjects: Vec<Json> = said
        .failing
        .iter()
        .map(|name| json!({ "subject-uuid": told.id(&["subject", name]), "type": "inventory-item", "title": name }))
        .collect();
    if !subjects.is_empty() {
        observation["subjects"] = json!(subjects);
    }
    observation
}

/// Satisfied only when everything was seen and met the control by its rule: what only an exception permits does not, and is told beside it.
/// `None` where nobody met it and nobody could fail it: that is no satisfaction, and OSCAL has no third word.
fn finding(told: &Told<'_>, run: &RunNote, control: &Control, said: &Said, observation: &str) -> Option<Json> {
    let count = |status: Status| said.tally.get(&status).copied().unwrap_or(0);
    let (failing, unseen, excepted) = (count(Status::NonCompliant), count(Status::NoEvidence), count(Status::Excepted));
    let (state, reason) = match (failing, unseen + excepted, count(Status::Compliant)) {
        (0, 0, 0) => return None,
        (0, 0, _) => ("satisfied", "pass"),
        (0, ..) => ("not-satisfied", "other"),
        _ => ("not-satisfied", "fail"),
    };
    let remarks = format!("{failing} non-compliant, {unseen} without evidence, {excepted} excepted and counted in the population.");
    Some(json!({
        "uuid": told.id(&["finding", run.id.as_str(), control.id.as_str()]),
        "title": title(control),
        "description": control.statement,
        "target": {
            "type": "objective-id",
            "target-id": token(control),
            "status": { "state": state, "reason": reason, "remarks": remarks },
        },
        "props": criteria(control).iter().map(|one| json!({ "name": "criterion", "ns": NS, "value": one })).collect::<Vec<_>>(),
        "related-observations": [{ "observation-uuid": observation }],
    }))
}

/// What is open at the end; `None` when nothing is.
fn actions(told: &Told<'_>) -> Option<Json> {
    let open: Vec<(&Control, Deviation)> = told.deviations().into_iter().filter(|(_, one)| one.is_open()).collect();
    if open.is_empty() {
        return None;
    }
    let (href, back) = system(told);
    let items: Vec<Json> = open.iter().map(|(control, one)| item(told, control, one)).collect();
    let risks: Vec<Json> = open.iter().map(|(control, one)| risk(told, control, one)).collect();
    Some(json!({ "plan-of-action-and-milestones": {
        "uuid": told.document("actions", &[&told.period.from.to_string(), &told.period.to.to_string()]),
        "metadata": metadata(told, "Plan of action and milestones"),
        "import-ssp": { "href": href },
        "risks": risks,
        "poam-items": items,
        "back-matter": back,
    } }))
}

fn item(told: &Told<'_>, control: &Control, one: &Deviation) -> Json {
    let subject = words::subject(&one.subject);
    let since = one.since(told.period);
    let unseen = one.unseen.and_then(|at| told.period.runs.get(at)).map(|run| format!(" Not seen since {}.", run.at));
    let (id, owner, unseen) = (&control.id, &control.owner, unseen.unwrap_or_default());
    json!({
        "uuid": told.id(&["item", control.id.as_str(), &subject]),
        "title": format!("{}: {}", control.id, title(control)),
        "description": format!("{subject} does not meet {id} since it was seen at {since}.{unseen} Owner: {owner}."),
        "related-risks": [{ "risk-uuid": told.id(&["risk", control.id.as_str(), &subject]) }],
    })
}

fn risk(told: &Told<'_>, control: &Control, one: &Deviation) -> Json {
    let subject = words::subject(&one.subject);
    json!({
        "uuid": told.id(&["risk", control.id.as_str(), &subject]),
        "title": title(control),
        "description": format!("{subject} does not meet {}.", control.id),
        "statement": control.statement,
        "status": "open",
        "props": [{ "name": "severity", "ns": NS, "value": severity(control.severity) }],
    })
}
