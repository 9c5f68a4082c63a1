//! Who uses what is ended or replaced: what is asked, and what is made of the answers.

use super::needs::keyed;
use super::*;
use crate::model::usage::{Asked, Call, Calls, OldKey, Usage, Used};
use crate::plan::usage::{Wanted, open, usage, wanted};

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:1:secret:app/key-AbCdEf";
pub(super) const APP: &str = "arn:aws:iam::1:role/app";
const LAPTOP: &str = "arn:aws:iam::1:user/laptop";

/// A key that was replaced ten days ago, and the one before still works.
pub(super) fn retiring() -> World {
    keyed().with(|world| {
        let facts = [
            ("behind", text("")),
            ("open", Value::Bool(true)),
            ("credential", text("key")),
            ("generation", text("v-key")),
            ("made", Value::Time(ago(11))),
            ("promoted", Value::Time(ago(10))),
        ];
        let facts = facts.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
        world.rotations = Some(Resource::new("key".into(), facts));
    })
}

pub(super) fn call(principal: &str, days: i64) -> Call {
    let [user_agent, source_ip, event, region] = ["aws-cli", "203.0.113.7", "PutObject", "eu-west-1"].map(str::to_owned);
    Call { at: ago(days), principal: principal.to_owned(), user_agent, source_ip, event, region }
}

pub(super) fn calls(all: &[(&str, i64)]) -> Calls {
    Calls { calls: all.iter().map(|(principal, days)| call(principal, *days)).collect(), ..Calls::default() }
}

pub(super) fn key(calls: Calls) -> Asked {
    let old = OldKey { tail: "MPLE".to_owned(), created: ago(80), last_used: None, calls };
    Asked { keys: Some(Ok(vec![old])), reads: None }
}

fn reads(reads: Calls) -> Asked {
    Asked { keys: None, reads: Some(reads) }
}

fn told(world: World, asked: Asked) -> Vec<Usage> {
    let world = world.with(|world| drop(world.facts.uses.insert("key".into(), asked)));
    world.seen(|input| usage(input, &input.catalog.credentials[&CredentialId::from("key")]))
}

fn users(usage: &Usage) -> Vec<(&str, u64)> {
    usage.users.iter().map(|user| (user.principal.as_str(), user.times)).collect()
}

#[test]
fn the_keys_of_a_rotation_that_is_not_ended_are_asked_for_and_any_secret_of_aws() {
    let secret = Some(("prod".into(), "eu-west-1".to_owned(), "app/key".to_owned(), ARN.to_owned()));
    let asked = |world: World| {
        world.seen(|input| {
            let of = &input.catalog.credentials[&CredentialId::from("key")];
            (open(&plan(input), input), wanted(input, of))
        })
    };
    let keys = Some(("prod".into(), "deployer".to_owned(), ago(11)));
    assert_eq!(asked(retiring()), (vec!["key".into()], Some(Wanted { keys, secret: secret.clone() })));
    assert_eq!(asked(keyed()), (vec!["key".into()], Some(Wanted { keys: None, secret })), "it is to be replaced");
    let known = retiring().with(|world| drop(world.facts.uses.insert("key".into(), Asked::default())));
    assert_eq!(asked(known).0, []);
    let vault = world().aged("db", 90);
    assert_eq!(vault.seen(|input| wanted(input, &input.catalog.credentials[&CredentialId::from("db")])), None);
}

#[test]
fn whoever_used_the_old_key_since_the_promotion_is_named_with_the_last_call_and_earlier_use_is_not() {
    let mut seen = calls(&[(APP, 3), (APP, 2), (LAPTOP, 1), (LAPTOP, 20)]);
    seen.calls[1].event = "GetObject".to_owned();
    let plan = retiring().with(|world| drop(world.facts.uses.insert("key".into(), key(seen)))).plan();
    let [usage] = &plan.usage[..] else { panic!("{:?}", plan.usage) };
    assert_eq!(users(usage), [(LAPTOP, 1), (APP, 2)]);
    let last = &usage.users[1];
    assert_eq!((last.event.as_str(), last.last, last.region.as_str()), ("GetObject", ago(2), "eu-west-1"));
    assert!(matches!(&usage.of, Used::OldKey { tail: Some(tail), since, .. } if tail == "MPLE" && *since == ago(10)));
    assert!(usage.unseen.is_empty());
}

#[test]
fn what_was_not_looked_at_is_said_and_is_never_nobody() {
    let denied = Calls { unseen: vec!["CloudTrail of eu-west-1: AccessDenied".to_owned()], ..Calls::default() };
    for asked in [key(denied.clone()), reads(denied)] {
        let told = told(retiring(), asked);
        assert_eq!(told[0].unseen, ["CloudTrail of eu-west-1: AccessDenied"]);
    }
    let cut = |days| Calls { cut: vec![("eu-west-1".to_owned(), ago(days))], ..Calls::default() };
    assert_eq!(told(retiring(), key(cut(20)))[0].unseen.len(), 0, "nothing since the promotion was left out");
    assert!(told(retiring(), key(cut(5)))[0].unseen[0].contains("too many calls"));
    let unknown = Asked { keys: Some(Err("the keys of deployer: AccessDenied".to_owned())), reads: None };
    assert!(
        matches!(&told(retiring(), unknown)[0], Usage { of: Used::OldKey { tail: None, .. }, unseen, .. } if unseen.len() == 1)
    );
}

#[test]
fn a_use_that_only_iam_tells_of_is_no_use_by_nobody() {
    let asked = |days, calls| {
        let old =
            OldKey { tail: "MPLE".to_owned(), created: ago(80), last_used: Some((ago(days), "s3 in us-east-1".to_owned())), calls };
        told(retiring(), Asked { keys: Some(Ok(vec![old])), reads: None }).remove(0).warnings
    };
    assert!(asked(1, calls(&[]))[0].contains("(s3 in us-east-1) is no call that CloudTrail has shown"));
    assert_eq!(asked(1, calls(&[(APP, 1)])), [""; 0]);
    assert_eq!(asked(12, calls(&[])), [""; 0], "before the promotion it may have been used");
}

#[test]
fn a_reader_is_named_unless_it_is_slm_or_declared() {
    let declared = |world: &mut World, principals: &[&str]| {
        let credential = world.catalog.credentials.get_mut("key").unwrap();
        let mut reader = consumer("app");
        reader.kind = ConsumerKind::SelfRefreshing(SelfRefreshingConsumer::default());
        reader.principals = principals.iter().map(|&one| one.to_owned()).collect();
        credential.consumers = vec![reader];
    };
    let (apply, read) = ("arn:aws:iam::1:role/slm-apply", "arn:aws:iam::1:role/slm-read");
    let world = |principals: &'static [&'static str]| {
        retiring().with(|world| {
            declared(world, principals);
            if let Some(SourceKind::Aws(account)) = world.catalog.settings.sources.get_mut("prod") {
                account.apply_role = Some(apply.to_owned());
            }
            world.receipts = vec![called_as("prod", "arn:aws:sts::1:assumed-role/slm-read/slm-read")];
        })
    };
    let seen = || reads(calls(&[(APP, 1), (apply, 1), (read, 1)]));
    assert_eq!(told(world(&[APP]), seen()), []);
    let found = told(world(&[]), seen());
    assert_eq!((users(&found[0]), &found[0].of), (vec![(APP, 1)], &Used::Value));
    assert!(found[0].warnings[0].contains("it may be `app`, which names no `principals`"));
    assert_eq!(found[0].declare, "", "that one is to be given its principals");
    let found = told(world(&[LAPTOP]), seen());
    assert_eq!(users(&found[0]), [(APP, 1)]);
    let stanza = [
        "[[consumer]]",
        "id = \"app-too\"",
        "self-refreshing = { acknowledged-by = \"cloudtrail\" }",
        "max-staleness = \"1h\"   # for as long as it goes on with what it read",
        "principals = [\"arn:aws:iam::1:role/app\"]",
    ];
    assert_eq!(found[0].declare.lines().collect::<Vec<_>>(), stanza, "`app` is taken");
    assert!(found[0].declare.parse::<toml::Table>().is_ok_and(|table| table["consumer"][0]["id"].as_str() == Some("app-too")));
    assert!(found[0].warnings[0].contains("in `principals` of a consumer in `credentials/key.toml`"));
}

#[test]
fn a_rest_longer_than_quiet_is_warned_of_as_far_as_all_calls_were_seen() {
    let warnings = |quiet: i64, seen: Calls| {
        let world = retiring().with(|world| {
            world.catalog.credentials.get_mut("key").unwrap().gate.quiet = Limit::days(quiet).into();
        });
        told(world, key(seen)).remove(0).warnings
    };
    let monthly = || calls(&[(APP, 75), (APP, 45), (APP, 44)]);
    assert!(warnings(1, monthly())[0].contains("rested for up to 30d between two uses: `quiet = \"1d\"`"));
    assert_eq!(warnings(30, monthly()), [""; 0]);
    let mut cut = monthly();
    cut.cut.push(("eu-west-1".to_owned(), ago(50)));
    assert_eq!(warnings(1, cut), [""; 0], "what lies before is not known whole");
    let mut tried = monthly();
    tried.calls[0].event = "GetCallerIdentity".to_owned();
    assert_eq!(warnings(1, tried), [""; 0], "being tried is no work");
    assert_eq!(warnings(1, calls(&[(APP, 75)])), [""; 0]);
}

#[test]
fn many_users_are_counted_and_the_latest_named() {
    let names: Vec<String> = (0..15).map(|at| format!("arn:aws:iam::1:user/u{at:02}")).collect();
    let all: Vec<(&str, i64)> = names.iter().zip(1..).map(|(name, days)| (name.as_str(), days)).collect();
    let found = told(
        retiring().with(|world| world.catalog.credentials.get_mut("key").unwrap().gate.quiet = Limit::days(2).into()),
        reads(calls(&all)),
    );
    assert_eq!((found[0].users.len(), found[0].users[0].principal.as_str()), (12, "arn:aws:iam::1:user/u00"));
    assert_eq!(found[0].warnings.last().unwrap(), "3 more are not named here");
}
