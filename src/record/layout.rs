//! Where each artefact of a run stands in the locker. Paths are stable, so that `git log -p` of one is its history.
//!
//! What each run has of its own is in a folder of its day: a commit writes every folder on the way to what it changes anew, and a
//! folder of all runs would be written again and again.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use super::canonical::{self, NotCanonical};
use crate::model::assessment::{Assessment, Decision, Subject, Tally};
use crate::model::blob::Blob;
use crate::model::id::{ControlId, EntityType};
use crate::model::outcome::{Outcome, Run};
use crate::model::plan::Plan;
use crate::model::snapshot::{Fact, Population, Snapshot, Value};

/// Folder of decisions, a file a control.
pub const DECISIONS: &str = "decisions/";
/// Folder of what was seen, a file an entity type.
pub const SNAPSHOT: &str = "snapshot/";
/// The folder of the files of exceptions.
pub const EXCEPTIONS: &str = "exceptions/";

/// Everything one run leaves behind.
pub struct RunRecord<'a> {
    /// The run itself.
    pub run: &'a Run,
    /// What it saw.
    pub snapshot: &'a Snapshot,
    /// Bytes as received: path below the folder of the run in `raw/`, bytes.
    pub raw: &'a [(String, Blob)],
    /// What it judged.
    pub assessment: Option<&'a Assessment>,
    /// What it planned.
    pub plan: Option<&'a Plan>,
    /// What became of the plan.
    pub outcomes: &'a [Outcome],
    /// How it ended, in the shape of the verb's own output.
    pub result: &'a Json,
}

/// The artefacts of `record`: path in the locker, canonical bytes. A path that is not in it keeps what it has.
///
/// # Errors
/// When something in it has no canonical form.
pub fn artefacts(record: &RunRecord<'_>) -> Result<BTreeMap<String, Blob>, NotCanonical> {
    let mut files = BTreeMap::new();
    files.insert(of_run("runs", record, ".json"), canonical::json(&run_file(record)?)?);
    if let Some(plan) = record.plan {
        files.insert(of_run("plans", record, ".json"), canonical::json(plan)?);
        files.insert(of_run("plans", record, ".outcomes.json"), canonical::json(&record.outcomes)?);
    }
    if let Some(assessment) = record.assessment {
        decisions(assessment, &mut files)?;
    }
    snapshot(record.snapshot, &mut files)?;
    for (path, life) in super::lives::lives(record.snapshot) {
        files.insert(path, canonical::json(&life)?);
    }
    let raw = record.raw.iter().map(|(name, kept)| (raw_path(record, name), kept.clone()));
    Ok(files.into_iter().map(|(path, bytes)| (path, Blob::from(bytes))).chain(raw).collect())
}

/// `runs/2026/03/31/<run>.json`: by the day of UTC on which the run began.
fn of_run(folder: &str, record: &RunRecord<'_>, ending: &str) -> String {
    format!("{folder}/{}/{}{ending}", record.run.at.strftime("%Y/%m/%d"), record.run.id)
}

fn raw_path(record: &RunRecord<'_>, name: &str) -> String {
    format!("{}/{name}", of_run("raw", record, ""))
}

/// The index of the run: who, when, what was seen and how completely, and where the rest stands.
fn run_file(record: &RunRecord<'_>) -> Result<Json, NotCanonical> {
    let populations: Vec<_> = record
        .snapshot
        .populations
        .iter()
        .map(|Population { source, scope, entity, completeness, resources }| {
            json!({ "source": source, "scope": scope, "entity": entity, "completeness": completeness, "resources": resources.len() })
        })
        .collect();
    let raw: Vec<Json> = record
        .raw
        .iter()
        .map(|(name, kept)| {
            let bytes = kept.bytes().map_err(|error| NotCanonical::new(error.to_string()))?;
            Ok(json!({ "path": raw_path(record, name), "sha256": hex(&Sha256::digest(&bytes)), "bytes": bytes.len() }))
        })
        .collect::<Result<_, NotCanonical>>()?;
    let mut file = json!({
        "format": 1,
        "run": record.run,
        "taken": record.snapshot.taken,
        "receipts": record.snapshot.receipts,
        "populations": populations,
        "raw": raw,
        "result": record.result,
    });
    if let Some(assessment) = record.assessment {
        file["judged"] = json!(assessment.at);
        file["tally"] = tally(&assessment.tally(None));
        file["controls"] = by_control(assessment);
        file["gaps"] = json!(assessment.gaps);
        file["unused_exceptions"] = json!(assessment.unused_exceptions);
    }
    if record.plan.is_some() {
        file["plan"] = json!(of_run("plans", record, ".json"));
        file["outcomes"] = json!(of_run("plans", record, ".outcomes.json"));
    }
    Ok(file)
}

/// Every control that was judged, also one whose population is empty.
fn by_control(assessment: &Assessment) -> Json {
    let mut tallies: BTreeMap<&str, Tally> =
        assessment.decisions.controls().map(|control| (control.as_str(), Tally::new())).collect();
    for (control, status, _) in assessment.decisions.reasons() {
        *tallies.entry(control.as_str()).or_default().entry(status).or_default() += 1;
    }
    tallies.into_iter().map(|(control, counts)| (control.to_owned(), tally(&counts))).collect::<Map<_, _>>().into()
}

fn tally(counts: &Tally) -> Json {
    counts.iter().map(|(status, count)| (status.word().to_owned(), json!(count))).collect::<Map<_, _>>().into()
}

/// One file a control, one line a subject, in the order of the subjects: a line moves only when its subject comes or goes. A control
/// without a subject has an empty file: what was there before is not said any more.
fn decisions(assessment: &Assessment, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), NotCanonical> {
    for control in assessment.decisions.controls() {
        files.insert(decisions_path(control), Vec::new());
    }
    for decision in assessment.decisions.iter() {
        let line = self::line(&decision)?;
        files.entry(decisions_path(&decision.control)).or_default().extend_from_slice(&line);
    }
    Ok(())
}

/// Where the decisions of `control` stand.
#[must_use]
pub fn decisions_path(control: &ControlId) -> String {
    format!("{DECISIONS}{control}.jsonl")
}

/// The line of `decision`, as it stands in the file of its control.
///
/// # Errors
/// When something in it has no canonical form.
pub fn line(decision: &Decision) -> Result<Vec<u8>, NotCanonical> {
    canonical::json(&decision_line(decision))
}

/// INVARIANT: nothing here changes from run to run by itself; no run id, no instant of judging.
fn decision_line(decision: &Decision) -> Json {
    let observed: Map<_, _> = decision.observed.iter().map(|(name, value)| (name.to_string(), plain(value))).collect();
    let mut line = json!({ "status": decision.status.word(), "because": decision.because, "observed": observed, "flips_at": decision.flips_at });
    match &decision.subject {
        Subject::Resource { entity, id } => {
            line["entity"] = json!(entity);
            line["resource"] = json!(id);
        }
        Subject::Population { entity, source, scope } => {
            line["entity"] = json!(entity);
            line["source"] = json!(source);
            line["scope"] = json!(scope);
        }
    }
    line
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Bool(yes) => json!(yes),
        Value::Long(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Time(at) => json!(at),
    }
}

/// Where what was seen of `entity` stands.
#[must_use]
pub fn snapshot_path(entity: &EntityType) -> String {
    format!("{SNAPSHOT}{}.jsonl", entity.as_str().replace("::", "."))
}

/// One file an entity type; values keep their type, so that a past day can be judged again from here.
fn snapshot(snapshot: &Snapshot, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), NotCanonical> {
    let mut populations: Vec<_> = snapshot.populations.iter().collect();
    populations.sort_by(|a, b| (&a.entity, &a.source, &a.scope).cmp(&(&b.entity, &b.source, &b.scope)));
    for population in populations {
        let file = files.entry(snapshot_path(&population.entity)).or_default();
        let mut resources: Vec<_> = population.resources.iter().collect();
        resources.sort_by(|a, b| a.id.cmp(&b.id));
        for resource in resources {
            let attributes: Map<_, _> =
                resource.facts().map(|(name, fact)| Ok((name.to_string(), typed(fact)?))).collect::<Result<_, NotCanonical>>()?;
            let line =
                json!({ "source": population.source, "scope": population.scope, "id": resource.id, "attributes": attributes });
            file.extend_from_slice(&canonical::json(&line)?);
        }
    }
    Ok(())
}

fn typed(fact: Fact<'_>) -> Result<Json, NotCanonical> {
    serde_json::to_value(fact).map_err(|error| NotCanonical::new(error.to_string()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assessment::{Because, Status};
    use crate::model::decisions::Decisions;
    use crate::model::id::ResourceId;
    use crate::model::snapshot::{Completeness, Resource};

    fn decision(id: &str, status: Status) -> Decision {
        Decision {
            control: ControlId::from("ROT-01"),
            subject: Subject::Resource { entity: "Aws::Secret".into(), id: ResourceId::from(id) },
            status,
            because: Because::NothingPermits,
            observed: vec![("rotationEnabled".into(), Value::Bool(false))],
            flips_at: None,
        }
    }

    fn files(run: &str, decisions: impl Into<Decisions>) -> BTreeMap<String, Blob> {
        let at = "2026-11-24T05:00:00Z".parse().unwrap();
        let run = Run { id: run.into(), verb: "record".into(), slm: "0.1.0".into(), config: "work-tree".into(), at };
        let population = Population {
            source: "main".into(),
            scope: "111122223333/eu-west-1".into(),
            entity: "Aws::Secret".into(),
            completeness: Completeness::Complete,
            resources: vec![Resource::new("b".into(), vec![]), Resource::new("a".into(), vec![("n".into(), Value::Long(1))])]
                .into(),
        };
        let snapshot = Snapshot { taken: at, populations: vec![population], receipts: vec![] };
        let assessment = Assessment { at, decisions: decisions.into(), gaps: vec![], unused_exceptions: vec![] };
        let raw = [("main/list.json".to_owned(), Blob::compressed(b"{}"))];
        let result = json!({ "exit": 0 });
        artefacts(&RunRecord {
            run: &run,
            snapshot: &snapshot,
            raw: &raw,
            assessment: Some(&assessment),
            plan: None,
            outcomes: &[],
            result: &result,
        })
        .unwrap()
    }

    #[test]
    fn the_order_of_judging_does_not_change_the_bytes() {
        let (a, b) = (decision("a", Status::NonCompliant), decision("b", Status::Compliant));
        assert_eq!(files("r1", vec![a.clone(), b.clone()]), files("r1", vec![b, a]));
    }

    #[test]
    fn another_run_of_the_same_world_changes_only_its_own_files() {
        let (one, two) = (files("r1", vec![decision("a", Status::Compliant)]), files("r2", vec![decision("a", Status::Compliant)]));
        let shared = |files: &BTreeMap<String, Blob>| -> BTreeMap<String, Blob> {
            files
                .iter()
                .filter(|(path, _)| !path.contains("/r1") && !path.contains("/r2"))
                .map(|(p, b)| (p.clone(), b.clone()))
                .collect()
        };
        assert_eq!(shared(&one), shared(&two));
        assert_eq!(shared(&one).into_keys().collect::<Vec<_>>(), ["decisions/ROT-01.jsonl", "snapshot/Aws.Secret.jsonl"]);
        assert!(one.contains_key("runs/2026/11/24/r1.json") && one.contains_key("raw/2026/11/24/r1/main/list.json"));
    }

    #[test]
    fn a_control_that_has_nobody_left_says_so() {
        let mut decisions = Decisions::default();
        decisions.begin(&"ROT-01".into(), Vec::new(), 0);
        decisions.end();
        let files = files("r1", decisions);
        assert_eq!(files["decisions/ROT-01.jsonl"].bytes().unwrap(), &b""[..]);
        let run: Json = serde_json::from_slice(&files["runs/2026/11/24/r1.json"].bytes().unwrap()).unwrap();
        assert_eq!(
            (&run["controls"], &run["judged"], &run["tally"]),
            (&json!({ "ROT-01": {} }), &json!("2026-11-24T05:00:00Z"), &json!({}))
        );
    }

    #[test]
    fn a_decision_reads_as_one_line() {
        let files = files("r1", vec![decision("a", Status::NonCompliant)]);
        assert_eq!(
            String::from_utf8_lossy(&files["decisions/ROT-01.jsonl"].bytes().unwrap()),
            "{\"because\":\"nothing-permits\",\"entity\":\"Aws::Secret\",\"flips_at\":null,\"observed\":{\"rotationEnabled\":false},\
             \"resource\":\"a\",\"status\":\"non-compliant\"}\n"
        );
    }
}
