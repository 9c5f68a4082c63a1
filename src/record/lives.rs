//! The life of each version that a rotation made, from what is seen at the sources and in the registers alone: a run that was killed
//! leaves nothing out that the next one does not write.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::canonical::{self, NotCanonical};
use crate::model::blob::Blob;
use crate::model::catalog::Credential;
use crate::model::id::CredentialId;
use crate::model::snapshot::{CONSUMER_ENTITY, Fact, ROTATION_ENTITY, Resource, Snapshot};

/// Attributes of a rotation that tell of its life, each written once by its rotation.
const TOLD: [&str; 12] =
    ["attempt", "verdict", "before", "before_made", "made", "next", "promoted", "fate", "disabled", "refused", "last", "done"];

/// One file a version in force, by path: what is known of it, and who was seen to run it.
pub(super) fn lives(snapshot: &Snapshot) -> BTreeMap<String, Json> {
    let life = |rotation: &Resource| {
        let (credential, version) = (rotation.text("credential")?, rotation.text("generation")?);
        let mut life: Map<String, Json> =
            TOLD.iter().filter_map(|name| Some(((*name).to_owned(), told(rotation.get(name)?)))).collect();
        life.extend(before_valid(rotation).map(|seconds| ("before_valid_seconds".to_owned(), json!(seconds))));
        life.extend([
            ("credential".to_owned(), json!(credential)),
            ("version".to_owned(), json!(version)),
            ("run_by".to_owned(), json!(run_by(snapshot, credential, version))),
        ]);
        Some((path(credential, version), Json::Object(life)))
    };
    of(snapshot, ROTATION_ENTITY).filter_map(life).collect()
}

/// The same of versions that slm made and nobody validates, as far as the lists of secrets tell of them: nothing is asked for a rotation
/// that leaves nothing to be ended, so that it is not known what came before.
///
/// # Errors
/// When something in it has no canonical form.
pub fn unvalidated(
    snapshot: &Snapshot,
    credentials: &BTreeMap<CredentialId, Credential>,
) -> Result<BTreeMap<String, Blob>, NotCanonical> {
    let life = |credential: &Credential| {
        let populations = snapshot.populations.iter().filter(|population| credential.secret.is_in(population));
        let mut secrets = populations.flat_map(|population| population.resources.iter());
        let secret = secrets.find(|secret| secret.text("name") == Some(&credential.secret.name))?;
        let (version, made) = (secret.text("version")?, secret.instant("last_rotated")?);
        let id = credential.id.as_str();
        let told = json!({ "credential": id, "version": version, "made": made, "run_by": run_by(snapshot, id, version) });
        Some(canonical::json(&told).map(|bytes| (path(id, version), Blob::from(bytes))))
    };
    let ours = |credential: &&Credential| {
        let (kind, can) = (&credential.rotator, credential.rotator.capabilities());
        kind.by_hand().is_none() && kind.aws_managed().is_none() && !can.validated() && !can.staged()
    };
    credentials.values().filter(ours).filter_map(life).collect()
}

fn of<'a>(snapshot: &'a Snapshot, entity: &'static str) -> impl Iterator<Item = &'a Resource> {
    let populations = snapshot.populations.iter().filter(move |population| population.entity.as_str() == entity);
    populations.flat_map(|population| population.resources.iter())
}

/// Consumers that were seen to run `version` of `credential`.
fn run_by<'a>(snapshot: &'a Snapshot, credential: &str, version: &str) -> Vec<&'a str> {
    let runs = |consumer: &&Resource| consumer.text("credential") == Some(credential) && consumer.text("running") == Some(version);
    let mut consumers: Vec<&str> =
        of(snapshot, CONSUMER_ENTITY).filter(runs).filter_map(|consumer| consumer.text("consumer")).collect();
    consumers.sort_unstable();
    consumers
}

fn path(credential: &str, version: &str) -> String {
    format!("rotations/{credential}/{version}.json")
}

/// For how long the value before was valid: from when its version was made until it was refused, or else disabled.
fn before_valid(rotation: &Resource) -> Option<i64> {
    let ended = rotation.instant("refused").or_else(|| rotation.instant("disabled"))?;
    Some((ended.as_second() - rotation.instant("before_made")?.as_second()).max(0))
}

fn told(fact: Fact<'_>) -> Json {
    match fact {
        Fact::Bool(yes) => json!(yes),
        Fact::Long(number) => json!(number),
        Fact::Text(text) => json!(text),
        Fact::Time(at) => json!(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rotator::{Observe, RotatorConfig};
    use crate::model::snapshot::{Completeness, Population, Value};
    use crate::model::time::Timestamp;

    fn resource(id: &str, facts: &[(&str, Value)]) -> Resource {
        Resource::new(id.into(), facts.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    fn snapshot(rotations: Vec<Resource>, consumers: Vec<Resource>) -> Snapshot {
        let population = |entity: &str, resources: Vec<Resource>| Population {
            source: "x".into(),
            scope: ".".into(),
            entity: entity.into(),
            completeness: Completeness::Complete,
            resources: resources.into(),
        };
        let populations = vec![population(CONSUMER_ENTITY, consumers), population(ROTATION_ENTITY, rotations)];
        Snapshot { taken: Timestamp::UNIX_EPOCH, populations, receipts: Vec::new() }
    }

    #[test]
    fn a_life_has_what_was_written_down_and_who_runs_the_version() {
        let at = |second| Value::Time(Timestamp::new(second, 0).unwrap());
        let rotation = [
            ("credential", text("db")),
            ("generation", text("v2")),
            ("before", text("v1")),
            ("made", at(10)),
            ("promoted", at(20)),
            ("open", Value::Bool(true)),
        ];
        let consumer = |id: &str, credential: &str, running: &str| {
            resource(id, &[("credential", text(credential)), ("consumer", text(id)), ("running", text(running))])
        };
        let consumers =
            vec![consumer("b", "db", "v2"), consumer("a", "db", "v2"), consumer("c", "db", "v1"), consumer("d", "x", "v2")];
        let lives = lives(&snapshot(vec![resource("db", &rotation)], consumers));
        let want = json!({
            "credential": "db", "version": "v2", "before": "v1", "made": "1970-01-01T00:00:10Z", "promoted": "1970-01-01T00:00:20Z",
            "run_by": ["a", "b"],
        });
        assert_eq!(lives, BTreeMap::from([("rotations/db/v2.json".to_owned(), want)]));
    }

    #[test]
    fn how_long_the_value_before_was_valid_is_written_once_it_is_refused_or_else_disabled() {
        let at = |second| Value::Time(Timestamp::new(second, 0).unwrap());
        let of = |more: &[(&str, Value)]| {
            let known = [
                ("credential", text("db")),
                ("generation", text("v2")),
                ("before_made", at(100)),
                ("attempt", Value::Long(2)),
                ("verdict", text("approve")),
            ];
            let facts: Vec<(&str, Value)> = known.into_iter().chain(more.iter().cloned()).collect();
            lives(&snapshot(vec![resource("db", &facts)], Vec::new())).remove("rotations/db/v2.json").unwrap()
        };
        let valid = |more: &[(&str, Value)]| of(more).get("before_valid_seconds").cloned();
        assert_eq!(valid(&[]), None, "it is still let in");
        assert_eq!(valid(&[("disabled", at(150))]), Some(json!(50)));
        assert_eq!(valid(&[("disabled", at(150)), ("refused", at(160))]), Some(json!(60)));
        let life = of(&[]);
        assert_eq!((&life["attempt"], &life["verdict"]), (&json!(2), &json!("approve")));
    }

    #[test]
    fn what_nobody_validates_has_a_life_as_far_as_a_list_tells_and_what_a_person_stores_has_none() {
        let at = |second| Value::Time(Timestamp::new(second, 0).unwrap());
        let secret = |name: &str, more: &[(&str, Value)]| {
            let facts: Vec<(&str, Value)> = [("name", text(name))].into_iter().chain(more.iter().cloned()).collect();
            resource(name, &facts)
        };
        let made = [("version", text("v2")), ("last_rotated", at(10))];
        let consumer = |id: &str, running: &str| {
            resource(id, &[("credential", text("a")), ("consumer", text(id)), ("running", text(running))])
        };
        let mut seen = snapshot(Vec::new(), vec![consumer("new", "v2"), consumer("old", "v1")]);
        let secrets =
            vec![secret("app/a", &made), secret("app/b", &made), secret("app/none", &[]), secret("app/undated", &made[..1])];
        seen.populations.push(Population {
            source: "local".into(),
            scope: ".".into(),
            entity: "Vault::Secret".into(),
            completeness: Completeness::Complete,
            resources: secrets.into(),
        });
        let mut all: BTreeMap<CredentialId, Credential> =
            ["a", "b", "none", "undated", "unseen"].map(|id| (id.into(), crate::model::made::credential(id))).into();
        all.get_mut("b").unwrap().rotator = RotatorConfig::Observe(Observe::default());
        let lives = unvalidated(&seen, &all).unwrap();
        assert_eq!(lives.keys().collect::<Vec<_>>(), ["rotations/a/v2.json"]);
        let told: Json = serde_json::from_slice(&lives["rotations/a/v2.json"].bytes().unwrap()).unwrap();
        let want = json!({ "credential": "a", "version": "v2", "made": "1970-01-01T00:00:10Z", "run_by": ["new"] });
        assert_eq!(told, want);
    }

    #[test]
    fn nothing_is_written_of_a_rotation_that_was_not_seen() {
        assert!(lives(&snapshot(vec![resource("db", &[("credential", text("db"))])], Vec::new())).is_empty());
    }
}
