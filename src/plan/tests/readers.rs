//! Consumers that are known to run a version by who was seen to read it.

use super::*;
use crate::model::id::CredentialId;
use crate::model::rotator::IamAccessKey;
use crate::model::standing::{Phase, Unread};

const APP: &str = "arn:aws:iam::123456789012:role/app";
const JOB: &str = "arn:aws:iam::123456789012:role/job";

/// How a key stands that was put in force `days` ago, when `more` is known of the consumer that `APP` and `JOB` read it for.
fn standing(days: i64, more: &[(&str, Value)]) -> Standing {
    let world = world().aged("db", days).with(|world| {
        let key = IamAccessKey { user: "u".to_owned(), source: None, exclusive: true };
        let credential = world.catalog.credentials.get_mut(&CredentialId::from("db")).unwrap();
        credential.rotator = RotatorConfig::AwsIamAccessKey(key);
        let mut reader = consumer("app");
        reader.max_staleness = Limit::days(1);
        credential.consumers = vec![reader];
        let facts = [("credential", text("db")), ("consumer", text("app")), ("stored", text("v-db"))];
        let facts = facts.iter().chain(more).map(|(name, value)| (Arc::from(*name), value.clone())).collect();
        Arc::make_mut(&mut world.consumers.resources).push(Resource::new("db/app".into(), facts));
    });
    let facts = [
        ("credential", text("db")),
        ("generation", text("v-db")),
        ("open", Value::Bool(true)),
        ("promoted", Value::Time(ago(days))),
    ];
    world.standing("db", Resource::new("db".into(), facts.map(|(name, value)| (Arc::from(name), value)).into()))
}

fn unread(days: i64) -> Vec<(&'static str, Value)> {
    vec![("unread", text(&format!("{APP}, {JOB}"))), ("unread_since", Value::Time(ago(days))), ("read_unseen", text("denied"))]
}

#[test]
fn whoever_was_not_seen_to_read_it_is_named_with_since_when_and_until_when_it_is_no_wonder() {
    let stands = standing(2, &unread(2));
    assert_eq!((stands.phase, stands.behind), (Phase::Delivering, vec!["app".into()]));
    let hour_later = Limit::seconds(3_600).after(ago(1));
    let want = Unread {
        consumer: "app".into(),
        principals: vec![APP.to_owned(), JOB.to_owned()],
        since: Some(ago(2)),
        unseen: Some("denied".to_owned()),
        expected: Some(hour_later),
        forgotten: false,
    };
    assert_eq!(stands.unread, [want]);
    let unknown = standing(2, &unread(2)[..1]);
    assert_eq!(
        unknown.unread.iter().map(|one| (one.since, one.expected, one.forgotten)).collect::<Vec<_>>(),
        [(None, None, false)]
    );
}

#[test]
fn what_is_in_force_for_longer_than_the_log_goes_back_is_said_to_be_forgotten() {
    for (days, forgotten) in [(89, false), (90, true), (200, true)] {
        assert_eq!(standing(days, &unread(days)).unread[0].forgotten, forgotten, "{days}");
    }
}

#[test]
fn a_consumer_whose_readers_were_all_seen_is_none_that_is_waited_for() {
    let stands = standing(2, &[("running", text("v-db")), ("read_by", text(&format!("2026-11-23T00:00:00Z {APP}")))]);
    assert_eq!((stands.phase, stands.behind, stands.unread), (Phase::Retiring, Vec::new(), Vec::new()));
}
