//! A run of the past, read again from what it left in the locker: who it was, what it saw, what it judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::layout::{DECISIONS, snapshot_path};
use crate::model::assessment::{Because, Status, Subject};
use crate::model::events::Event;
use crate::model::id::{EntityType, ResourceId, SourceId};
use crate::model::outcome::{Fate, Outcome, Run};
use crate::model::past::Said;
use crate::model::period::{RunNote, Seen};
use crate::model::receipt::Receipt;
use crate::model::reconcile::Reconciled;
use crate::model::segregation::Segregation;
use crate::model::snapshot::{Attribute, Completeness, Population, Resource, Snapshot, Value};
use crate::model::time::Timestamp;

/// Why something recorded cannot be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl Unreadable {
    /// The file at `path` is not as slm writes it.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not as slm writes it", self.0)
    }
}

impl std::error::Error for Unreadable {}

/// The file of a run.
#[derive(Clone, Debug, Deserialize)]
pub struct RunFile {
    /// The run.
    pub run: Run,
    /// When observing began.
    pub taken: Timestamp,
    /// The instant that its rules saw as now; absent in runs of versions that did not write it down.
    pub judged: Option<Timestamp>,
    /// One a collection.
    pub receipts: Vec<Receipt>,
    populations: Vec<PopulationHead>,
    /// Raw artefacts that it kept.
    pub raw: Vec<RawFile>,
    /// How many subjects had each status, by control; every control that it judged.
    #[serde(default)]
    pub controls: BTreeMap<String, BTreeMap<Status, u64>>,
    /// Where its outcomes stand.
    pub outcomes: Option<String>,
    result: Option<RunResult>,
}

#[derive(Clone, Debug, Deserialize)]
struct RunResult {
    #[serde(default)]
    segregation: Vec<Segregation>,
    #[serde(default)]
    reconciled: Vec<Reconciled>,
}

#[derive(Clone, Debug, Deserialize)]
struct PopulationHead {
    source: SourceId,
    scope: String,
    entity: EntityType,
    completeness: Completeness,
    resources: u64,
}

/// A raw artefact that a run kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RawFile {
    /// Where it stands.
    pub path: String,
    /// SHA-256 of its bytes as kept, in hex.
    pub sha256: String,
    /// How many there are.
    pub bytes: u64,
}

/// Where a run was recorded.
pub struct Placed<'a> {
    /// Its commit.
    pub commit: &'a str,
    /// The date of that.
    pub received: Timestamp,
    /// Its file.
    pub path: &'a str,
}

impl RunFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it is not as slm writes it.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(bytes).map_err(|_| Unreadable(path.to_owned()))
    }

    /// Whether one identity could change both policy and evidence, as it saw the rules of their branches.
    #[must_use]
    pub fn segregation(&self) -> &[Segregation] {
        self.result.as_ref().map_or(&[], |result| &result.segregation)
    }

    /// What it saw of each population.
    pub fn seen(&self) -> impl Iterator<Item = Seen> {
        self.populations.iter().map(|PopulationHead { source, scope, entity, completeness, resources }| Seen {
            entity: entity.clone(),
            source: source.clone(),
            scope: scope.clone(),
            completeness: completeness.clone(),
            members: *resources,
        })
    }

    /// Paths of what it saw: a file an entity type.
    #[must_use]
    pub fn snapshot_paths(&self) -> BTreeSet<String> {
        self.populations.iter().map(|head| snapshot_path(&head.entity)).collect()
    }

    /// The same run as if it had looked at nothing but `entities`.
    #[must_use]
    pub fn only(mut self, entities: &[&str]) -> Self {
        self.populations.retain(|head| entities.contains(&head.entity.as_str()));
        self
    }

    /// What it saw, from `files` by [`RunFile::snapshot_paths`].
    ///
    /// # Errors
    /// When one of them is missing, or has a line that is not as slm writes it.
    pub fn snapshot(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<Snapshot, Unreadable> {
        let mut members: BTreeMap<(String, SourceId, String), Vec<Resource>> = BTreeMap::new();
        for path in self.snapshot_paths() {
            let text =
                files.get(&path).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or_else(|| Unreadable(path.clone()))?;
            for line in text.lines() {
                let line = Line::parse(&path, line)?;
                let key = (path.clone(), line.source.clone(), line.scope.clone());
                members.entry(key).or_default().push(line.resource());
            }
        }
        let population = |head: &PopulationHead| {
            let key = (snapshot_path(&head.entity), head.source.clone(), head.scope.clone());
            Population {
                source: head.source.clone(),
                scope: head.scope.clone(),
                entity: head.entity.clone(),
                completeness: head.completeness.clone(),
                resources: Arc::new(members.remove(&key).unwrap_or_default()),
            }
        };
        let populations = self.populations.iter().map(population).collect();
        Ok(Snapshot { taken: self.taken, populations, receipts: self.receipts.clone() })
    }

    /// What a period tells of it; `outcomes` is the file of its outcomes, where it has one.
    #[must_use]
    pub fn note(&self, placed: &Placed<'_>, outcomes: Option<&[u8]>) -> RunNote {
        let Run { id, verb, slm, config, at } = self.run.clone();
        let caller =
            |receipt: &Receipt| (format!("{} {} {}", receipt.source, receipt.collector, receipt.scope), receipt.caller.clone());
        RunNote {
            id,
            at,
            judged: self.judged,
            received: placed.received,
            commit: placed.commit.to_owned(),
            path: placed.path.to_owned(),
            verb,
            slm,
            config,
            callers: self.receipts.iter().map(caller).collect(),
            seen: self.seen().collect(),
            reconciled: self.result.as_ref().map(|result| result.reconciled.clone()).unwrap_or_default(),
            unfinished: outcomes.map(unfinished).unwrap_or_default(),
        }
    }
}

/// What did not come to its end, a line each.
fn unfinished(outcomes: &[u8]) -> Vec<String> {
    let Ok(outcomes) = serde_json::from_slice::<Vec<Outcome>>(outcomes) else {
        return vec!["its outcomes are not as slm writes them".to_owned()];
    };
    let told = |outcome: &Outcome| {
        let (word, why) = match &outcome.fate {
            Fate::Stopped(why) => ("stopped", why),
            Fate::Blocked(why) => ("blocked", why),
            Fate::Failed(why) => ("failed", why),
            Fate::Stale(why) => ("stale", why),
            Fate::Done | Fate::AlreadySo | Fate::Waiting(_) => return None,
        };
        let what = outcome.action.credential().map_or_else(String::new, |credential| format!("{credential} "));
        Some(format!("{what}{word}: {why}"))
    };
    outcomes.iter().filter_map(told).collect()
}

/// A line of a snapshot.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) source: SourceId,
    pub(super) scope: String,
    pub(super) id: ResourceId,
    attributes: BTreeMap<String, Value>,
}

impl Line {
    /// Reads a line of the file at `path`.
    pub(super) fn parse(path: &str, line: &str) -> Result<Self, Unreadable> {
        serde_json::from_str(line).map_err(|_| Unreadable(path.to_owned()))
    }

    /// What it is about.
    pub(super) fn resource(self) -> Resource {
        let attributes: Vec<Attribute> =
            self.attributes.into_iter().map(|(name, value)| (Arc::from(name.as_str()), value)).collect();
        Resource::new(self.id, attributes)
    }
}

/// Who a line of a snapshot is about, and what of it explains that it came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Source, scope and id.
    pub key: (SourceId, String, ResourceId),
    /// When the source says it was made.
    pub created: Option<Timestamp>,
    /// True when the source says that it is being deleted.
    pub deleting: bool,
}

/// Attributes that say when a resource was made, or landed on its branch.
const CREATED: [&str; 4] = ["created", "created_at", "landed_at", "committed_at"];
/// The attribute that says that it is being deleted.
const DELETING: &str = "deleting";

/// Reads a line of the snapshot at `path`.
///
/// # Errors
/// When it is not as slm writes it.
pub fn member(path: &str, line: &str) -> Result<Member, Unreadable> {
    let Line { source, scope, id, attributes } = Line::parse(path, line)?;
    let created = CREATED.iter().find_map(|name| match attributes.get(*name) {
        Some(Value::Time(at)) => Some(*at),
        _ => None,
    });
    let deleting = attributes.get(DELETING) == Some(&Value::Bool(true));
    Ok(Member { key: (source, scope, id), created, deleting })
}

/// Reads a line of the calls that were observed, at `path`; `None` of one that does not say what it was about.
///
/// # Errors
/// When it is not as slm writes it.
pub fn event(path: &str, line: &str) -> Result<Option<Event>, Unreadable> {
    let Line { source, scope, attributes, .. } = Line::parse(path, line)?;
    let text = |name: &str| match attributes.get(name) {
        Some(Value::Text(text)) => Some(text.to_string()),
        _ => None,
    };
    let Some(Value::Time(at)) = attributes.get("at") else { return Ok(None) };
    let told = text("event").zip(text("of")).zip(text("by"));
    Ok(told.map(|((name, of), by)| Event { source, scope, at: *at, name, of, by }))
}

#[derive(Deserialize)]
struct DecisionLine {
    status: Status,
    because: Because,
    entity: EntityType,
    resource: Option<ResourceId>,
    source: Option<SourceId>,
    scope: Option<String>,
}

/// Reads a line of the decisions at `path`.
///
/// # Errors
/// When it is not as slm writes it.
pub fn said(path: &str, line: &str) -> Result<Said, Unreadable> {
    let control = path.strip_prefix(DECISIONS).and_then(|name| name.strip_suffix(".jsonl"));
    let control = control.ok_or_else(|| Unreadable::new(path))?.into();
    let unreadable = || Unreadable(path.to_owned());
    let DecisionLine { status, because, entity, resource, source, scope } = serde_json::from_str(line).map_err(|_| unreadable())?;
    let subject = match resource {
        Some(id) => Subject::Resource { entity, id },
        None => Subject::Population { entity, source, scope: scope.ok_or_else(unreadable)? },
    };
    Ok(Said { control, subject, status, because })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::layout::{RunRecord, artefacts, line};
    use super::*;
    use crate::model::assessment::{Assessment, Decision};
    use crate::model::snapshot::Unseen;

    fn at() -> Timestamp {
        "2026-03-31T05:00:00.123Z".parse().unwrap()
    }

    fn snapshot() -> Snapshot {
        let facts = |number| {
            let all = [
                ("created", Value::Time(at())),
                ("deleting", Value::Bool(true)),
                ("n", Value::Long(number)),
                ("name", Value::Text("x\n\"y\"".into())),
            ];
            all.map(|(name, value)| (Arc::from(name), value)).to_vec()
        };
        let population = |source: &str, entity: &str, completeness, ids: &[&str]| Population {
            source: source.into(),
            scope: "1/eu-west-1".to_owned(),
            entity: entity.into(),
            completeness,
            resources: Arc::new(ids.iter().map(|id| Resource::new((*id).into(), facts(-5))).collect()),
        };
        let denied = Completeness::Incomplete { cause: Unseen::Denied, detail: "list: denied".to_owned() };
        let populations = vec![
            population("a", "Aws::Secret", Completeness::Complete, &["x", "y"]),
            population("b", "Aws::Secret", denied, &["x"]),
            population("a", "Aws::User", Completeness::Complete, &[]),
        ];
        Snapshot { taken: at(), populations, receipts: Vec::new() }
    }

    fn decisions() -> Vec<Decision> {
        let decision = |subject, status, because| Decision {
            control: "A-1".into(),
            subject,
            status,
            because,
            observed: vec![("n".into(), Value::Long(1))],
            flips_at: Some(at()),
        };
        let resource = Subject::Resource { entity: "Aws::Secret".into(), id: "x".into() };
        let population = |source| Subject::Population { entity: "Aws::Secret".into(), source, scope: "1/eu-west-1".to_owned() };
        let unseen = Because::Unseen { cause: Unseen::Denied, detail: "list: denied".to_owned() };
        vec![
            decision(resource.clone(), Status::Excepted, Because::Exception("e".into())),
            decision(resource.clone(), Status::Compliant, Because::Permitted(vec!["r".into()])),
            decision(resource, Status::NoEvidence, Because::Missing(vec!["n".into()])),
            decision(population(Some("b".into())), Status::NoEvidence, unseen.clone()),
            decision(population(None), Status::NoEvidence, unseen),
        ]
    }

    fn recorded(judged: bool) -> (RunFile, BTreeMap<String, Vec<u8>>) {
        let run = Run { id: "r1".into(), verb: "apply".into(), slm: "0.1.0".into(), config: "c0ffee".into(), at: at() };
        let (snapshot, result) = (snapshot(), json!({}));
        let assessment = Assessment { at: at(), decisions: decisions().into(), gaps: vec![], unused_exceptions: vec![] };
        let record = RunRecord {
            run: &run,
            snapshot: &snapshot,
            raw: &[],
            assessment: judged.then_some(&assessment),
            plan: None,
            outcomes: &[],
            result: &result,
        };
        let files = artefacts(&record).unwrap().into_iter();
        let files: BTreeMap<String, Vec<u8>> = files.map(|(path, blob)| (path, blob.bytes().unwrap().into_owned())).collect();
        let path = "runs/2026/03/31/r1.json";
        (RunFile::parse(path, &files[path]).unwrap(), files)
    }

    #[test]
    fn what_a_run_saw_is_read_again_as_it_was() {
        let (run, files) = recorded(true);
        assert_eq!(run.snapshot(&files).unwrap(), snapshot());
        assert_eq!(run.snapshot_paths().into_iter().collect::<Vec<_>>(), ["snapshot/Aws.Secret.jsonl", "snapshot/Aws.User.jsonl"]);
        assert_eq!((run.judged, run.controls["A-1"][&Status::NoEvidence]), (Some(at()), 3));
        assert_eq!(recorded(false).0.judged, None);
        let seen: Vec<_> = run.seen().map(|one| (one.source, one.completeness.is_complete(), one.members)).collect();
        assert_eq!(seen, [("a".into(), true, 2), ("b".into(), false, 1), ("a".into(), true, 0)]);
        let users = run.clone().only(&["Aws::User"]).snapshot(&files).unwrap();
        assert_eq!(users.populations, snapshot().populations[2..]);
        let gone = run.snapshot(&BTreeMap::new()).unwrap_err();
        assert_eq!(gone.to_string(), "`snapshot/Aws.Secret.jsonl` is not as slm writes it");
    }

    #[test]
    fn what_a_run_said_is_read_again_as_it_was() {
        for decision in decisions() {
            let line = String::from_utf8(line(&decision).unwrap()).unwrap();
            let Said { control, subject, status, because } = said("decisions/A-1.jsonl", line.trim_end()).unwrap();
            assert_eq!(
                (control, subject, status, because),
                (decision.control, decision.subject, decision.status, decision.because)
            );
        }
        assert_eq!(said("decisions/d.jsonl", "{}").unwrap_err().to_string(), "`decisions/d.jsonl` is not as slm writes it");
    }

    #[test]
    fn a_member_says_when_it_was_made_and_that_it_goes() {
        let (_, files) = recorded(true);
        let lines = String::from_utf8(files["snapshot/Aws.Secret.jsonl"].clone()).unwrap();
        let first = member("snapshot/Aws.Secret.jsonl", lines.lines().next().unwrap()).unwrap();
        let key = ("a".into(), "1/eu-west-1".to_owned(), "x".into());
        assert_eq!(first, Member { key, created: Some(at()), deleting: true });
    }

    #[test]
    fn a_commit_came_when_it_landed_and_where_that_is_not_told_when_it_was_made() {
        let came = |attributes: &str| {
            let line = format!(r#"{{"attributes":{{{attributes}}},"id":"x","scope":".","source":"s"}}"#);
            member("snapshot/Git.Commit.jsonl", &line).unwrap().created.map(|at| at.to_string())
        };
        let (made, landed) =
            (r#""committed_at":{"time":"2026-03-01T00:00:00Z"}"#, r#""landed_at":{"time":"2026-03-05T00:00:00Z"}"#);
        assert_eq!(came(&format!("{made},{landed}")).as_deref(), Some("2026-03-05T00:00:00Z"));
        assert_eq!(came(made).as_deref(), Some("2026-03-01T00:00:00Z"));
        assert_eq!(came(r#""merged_by":{"text":"2026-03-05T00:00:00Z"}"#), None);
    }

    #[test]
    fn what_did_not_come_to_its_end_is_told() {
        let outcomes = r#"[{"action":{"collect":{"control":"A-1"}},"fate":"done","events":[]},{"action":{"collect":{"control":"A-1"}},"fate":{"failed":"denied"},"events":[]}]"#;
        assert_eq!(unfinished(outcomes.as_bytes()), ["failed: denied"]);
        assert_eq!(unfinished(b"{}"), ["its outcomes are not as slm writes them"]);
    }
}
