//! Whether those who read for a consumer were seen to read the version it runs since that is in force: what the log of its source says,
//! held against the rotation. Until all of them were, it is not known to run it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::readers::Readers;
use crate::model::snapshot::{CONSUMER_ENTITY, Population, ROTATION_ENTITY, Resource, Value};
use crate::model::time::Timestamp;

/// How the rotation that put `generation` in force stands.
struct Rotated {
    generation: String,
    /// `None` when that is not known.
    open: Option<bool>,
    promoted: Option<Timestamp>,
}

/// Takes from consumers what they run where those who read it for them were not seen to, and says who is waited for since when.
pub(super) fn join(populations: &mut [Population]) {
    let rotations = rotations(populations);
    let consumers = populations.iter_mut().filter(|population| population.entity.as_str() == CONSUMER_ENTITY);
    // Most consumers say themselves what they run; those are not copied.
    for population in consumers.filter(|population| population.resources.iter().any(|one| one.text("read_by").is_some())) {
        Arc::make_mut(&mut population.resources).iter_mut().for_each(|consumer| hold_against(consumer, &rotations));
    }
}

fn rotations(populations: &[Population]) -> BTreeMap<String, Rotated> {
    let rotations = populations.iter().filter(|population| population.entity.as_str() == ROTATION_ENTITY);
    let rotated = |rotation: &Resource| {
        let (credential, generation) = (rotation.text("credential")?.to_owned(), rotation.text("generation")?.to_owned());
        let open = rotation.get("open").map(|_| rotation.is("open"));
        Some((credential, Rotated { generation, open, promoted: rotation.instant("promoted") }))
    };
    rotations.flat_map(|population| population.resources.iter()).filter_map(rotated).collect()
}

/// It is asked until the value before is ended: afterwards nothing is left to wait for, and the log forgets.
fn hold_against(consumer: &mut Resource, rotations: &BTreeMap<String, Rotated>) {
    let Some(by) = consumer.text("read_by") else { return };
    let last = consumer.text("credential").and_then(|credential| rotations.get(credential));
    let last = last.filter(|rotated| consumer.text("running") == Some(rotated.generation.as_str()));
    if last.is_some_and(|rotated| rotated.open == Some(false)) {
        return;
    }
    let promoted = last.and_then(|rotated| rotated.promoted);
    let unread = Readers::from_text(by, None).unread(promoted).join(", ");
    if !unread.is_empty() {
        consumer.forget(&["running"]);
        consumer.set("unread", Value::Text(Arc::from(unread.as_str())));
        promoted.into_iter().for_each(|promoted| consumer.set("unread_since", Value::Time(promoted)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Completeness;

    const APP: &str = "arn:aws:iam::123456789012:role/app";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn text(value: &str) -> Value {
        Value::Text(Arc::from(value))
    }

    fn population(entity: &str, facts: Vec<(&str, Value)>) -> Population {
        let facts = facts.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
        Population {
            source: "consumers".into(),
            scope: ".".to_owned(),
            entity: entity.into(),
            completeness: Completeness::Complete,
            resources: vec![Resource::new("db".into(), facts)].into(),
        }
    }

    /// What is known of a consumer that `APP` read for at `read`, beside a rotation to `generation` with these `facts`.
    fn joined(read: Option<i64>, generation: &str, facts: Vec<(&str, Value)>) -> Resource {
        let by = Readers { last: [(APP.to_owned(), read.map(at))].into(), unseen: Vec::new() };
        let consumer =
            vec![("credential", text("db")), ("running", text("v2")), ("stored", text("v2")), ("read_by", text(&by.to_text()))];
        let whose = [("credential", text("db")), ("generation", text(generation))];
        let rotation = whose.into_iter().chain(facts).collect();
        let mut all = vec![population(CONSUMER_ENTITY, consumer), population(ROTATION_ENTITY, rotation)];
        join(&mut all);
        all.remove(0).resources[0].clone()
    }

    fn since(second: i64) -> Vec<(&'static str, Value)> {
        vec![("open", Value::Bool(true)), ("promoted", Value::Time(at(second)))]
    }

    #[test]
    fn a_consumer_runs_what_its_readers_were_seen_to_read_since_it_is_in_force() {
        let read = joined(Some(101), "v2", since(100));
        assert_eq!((read.text("running"), read.text("unread")), (Some("v2"), None));
        for seen in [None, Some(99), Some(100)] {
            let unread = joined(seen, "v2", since(100));
            assert_eq!((unread.text("running"), unread.text("unread")), (None, Some(APP)), "{seen:?}");
            assert_eq!((unread.text("stored"), unread.instant("unread_since")), (Some("v2"), Some(at(100))));
        }
    }

    #[test]
    fn a_rotation_that_was_not_seen_is_none_that_is_over() {
        let open = || vec![("open", Value::Bool(true))];
        for (generation, facts) in [("v2", open()), ("v2", Vec::new()), ("v1", since(100))] {
            let unread = joined(Some(101), generation, facts);
            assert_eq!((unread.text("running"), unread.text("unread"), unread.get("unread_since")), (None, Some(APP), None));
        }
    }

    #[test]
    fn what_is_ended_waits_for_nobody_though_the_log_has_forgotten_who_read() {
        let over = joined(None, "v2", vec![("open", Value::Bool(false))]);
        assert_eq!((over.text("running"), over.text("unread")), (Some("v2"), None));
    }

    #[test]
    fn who_says_itself_what_it_runs_is_taken_at_its_word() {
        let consumer = vec![("credential", text("db")), ("running", text("v2"))];
        let mut all = vec![population(CONSUMER_ENTITY, consumer)];
        join(&mut all);
        assert_eq!(all[0].resources[0].text("running"), Some("v2"));
    }
}
