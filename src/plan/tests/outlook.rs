//! What lies ahead of a rotation, how long what it replaces must be unused, and who is asked when that takes too long.

use super::usage::{APP, call, calls, key, retiring};
use super::*;
use crate::model::gate::{Learnt, Quieted};
use crate::model::outlook::{Outlook, Stride};
use crate::model::usage::Asked;

/// The same with a gate that learns, and what was asked about the old key.
fn learning(asked: Option<Asked>) -> World {
    retiring().with(|world| {
        gate(world, |gate| gate.quiet = Quiet::Auto);
        world.facts.uses.extend(asked.map(|asked| ("key".into(), asked)));
    })
}

fn gate(world: &mut World, change: impl FnOnce(&mut GateSettings)) {
    change(&mut world.catalog.credentials.get_mut("key").unwrap().gate);
}

/// Another fact of the rotation of `key`.
fn told(world: &mut World, name: &str, value: Value) {
    world.rotations.as_mut().unwrap().set(name, value);
}

fn permit_retire(world: World) -> World {
    let retire = r#"@id("may-retire") permit (principal, action == Slm::Action::"retire", resource);"#;
    world.guards(&format!("{GUARDS} {retire}"))
}

fn ahead(world: World) -> Outlook {
    let plan = permit_retire(world).plan();
    plan.actions.into_iter().find_map(|action| action.outlook).unwrap()
}

fn quiet(world: World) -> Quieted {
    ahead(world).quiet.unwrap()
}

#[test]
fn how_long_a_key_must_be_unused_is_learnt_from_its_longest_rest() {
    let seen = |days: &[i64]| calls(&days.iter().map(|days| (APP, *days)).collect::<Vec<_>>());
    let days = Limit::days;
    let daily: Vec<i64> = (1..=80).collect();
    let learnt = |calls| quiet(learning(Some(key(calls))));
    assert_eq!(learnt(seen(&daily)), Quieted { limit: Limit::seconds(36 * 3_600), why: Learnt::Rest { longest: days(1) } });
    let two: Vec<i64> = (1..=80).step_by(2).collect();
    assert_eq!(learnt(seen(&two)), Quieted { limit: days(3), why: Learnt::Rest { longest: days(2) } });
    assert_eq!(learnt(seen(&[1, 31, 61, 79])), Quieted { limit: days(7), why: Learnt::Capped { longest: days(30) } });
    assert_eq!(learnt(seen(&[1, 2])).why, Learnt::Capped { longest: days(78) }, "the rest before its first use counts");
}

#[test]
fn a_history_that_was_not_seen_whole_takes_the_longest_time_and_says_why() {
    let daily: Vec<(&str, i64)> = (1..=80).map(|days| (APP, days)).collect();
    let unknown = |asked: Option<Asked>| match quiet(learning(asked)) {
        Quieted { limit, why: Learnt::Unknown(why) } if limit == Limit::days(7) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(unknown(None), "no log tells of its uses");
    assert_eq!(unknown(Some(Asked { keys: Some(Err("denied".to_owned())), reads: None })), "denied");
    assert_eq!(unknown(Some(Asked { keys: Some(Ok(Vec::new())), reads: None })), "no key from before was found");
    assert_eq!(unknown(Some(key(calls(&[])))), "CloudTrail shows no use of it");
    assert_eq!(unknown(Some(key(calls(&[(APP, 3)])))), "CloudTrail shows one use of it");
    let mut cut = calls(&daily);
    cut.cut.push(("eu-west-1".to_owned(), ago(85)));
    assert_eq!(unknown(Some(key(cut))), "it has more calls than are looked at");
    let mut denied = calls(&daily);
    denied.unseen.push("AccessDenied".to_owned());
    assert_eq!(unknown(Some(key(denied))), "AccessDenied");
    let mut elsewhere = key(calls(&daily[1..]));
    if let Some(Ok(keys)) = &mut elsewhere.keys {
        keys[0].last_used = Some((ago(1), "s3 in us-east-1".to_owned()));
    }
    assert_eq!(unknown(Some(elsewhere)), "IAM tells of a use that CloudTrail does not show");
    let mut tried = calls(&[(APP, 1)]);
    tried.calls.push(crate::model::usage::Call { event: "GetCallerIdentity".to_owned(), ..call(APP, 2) });
    assert_eq!(unknown(Some(key(tried))), "CloudTrail shows one use of it", "being tried is no work");
}

#[test]
fn what_is_declared_is_taken_as_it_is_and_a_plan_that_is_hasty_is_refused() {
    let declared = retiring().with(|world| gate(world, |gate| gate.quiet = Limit::days(9).into()));
    assert_eq!(quiet(declared), Quieted { limit: Limit::days(9), why: Learnt::Declared });
    for (limit, sound) in
        [(Limit::seconds(14_400), true), (Limit::days(7), true), (Limit::seconds(14_399), false), (Limit::days(8), false)]
    {
        permit_retire(learning(None)).seen(|input| {
            let mut plan = plan(input);
            plan.actions[0].outlook.as_mut().unwrap().quiet.as_mut().unwrap().limit = limit;
            let wrong = lint(&plan, input.catalog);
            assert_eq!(wrong.is_empty(), sound, "{limit}: {wrong:?}");
        });
    }
}

#[test]
fn the_order_of_the_engine_is_told_with_its_waits() {
    let rotates = super::needs::keyed().with(|world| {
        let credential = world.catalog.credentials.get_mut("key").unwrap();
        credential.consumers = ["app", "first"].map(consumer).into();
        credential.consumers[1].canary = true;
    });
    let strides = [
        Stride::Create,
        Stride::Canary(vec!["first".into()]),
        Stride::Verify { regions: Vec::new() },
        Stride::Promote,
        Stride::Consumers(vec!["app".into()]),
        Stride::Settle(Limit::seconds(3_600)),
        Stride::Quiet(Limit::seconds(14_400)),
        Stride::Disable,
        Stride::Soak(Limit::days(1)),
        Stride::Delete,
    ];
    assert_eq!(ahead(rotates).will, strides);
    assert_eq!(ahead(retiring()).will, strides[5..]);
    let disabled = retiring().with(|world| told(world, "disabled", Value::Time(ago(0))));
    let outlook = ahead(disabled);
    assert_eq!((outlook.will, outlook.not_before), (strides[8..].to_vec(), Some(ago(-1))));
    let vault = world().aged("db", 90).plan().actions.remove(0).outlook.unwrap();
    assert_eq!(vault.will, [Stride::Create, Stride::Promote, Stride::Consumers(vec!["app".into(), "worker".into()])]);
    assert_eq!((vault.quiet, vault.deadline, vault.not_before), (None, None, None));
}

#[test]
fn the_owner_is_asked_past_the_deadline_by_the_stores_clock_alone() {
    let asked = |on_deadline, overdue: Option<bool>| {
        let world = retiring().with(|world| {
            gate(world, |gate| (gate.deadline, gate.on_deadline) = (Some(Limit::days(5)), on_deadline));
            overdue.into_iter().for_each(|late| told(world, "overdue", Value::Bool(late)));
        });
        let actions = permit_retire(world).plan().actions;
        let asks = actions.into_iter().filter(|action| matches!(action.kind, ActionKind::EscalateCredential { .. }));
        asks.map(|action| (line(&action.kind), action.reason)).collect::<Vec<_>>()
    };
    let reason = Reason::NotRetiredInTime { since: ago(10), limit: Limit::days(5) };
    assert_eq!(asked(OnDeadline::Escalate, Some(true)), [("ask platform key".to_owned(), reason)]);
    assert_eq!(asked(OnDeadline::Escalate, Some(false)), []);
    assert_eq!(asked(OnDeadline::Escalate, None), [], "what was not seen is not late");
    for other in [OnDeadline::Hold, OnDeadline::Retire] {
        assert_eq!(asked(other, Some(true)), []);
    }
}

#[test]
fn a_value_that_is_let_in_for_too_long_is_a_finding_and_one_that_was_refused_is_none() {
    let found = |limit: i64, more: &[(&str, Value)]| {
        let world = retiring().with(|world| {
            world.catalog.credentials.get_mut("key").unwrap().policy.max_validity = Some(Limit::days(limit));
            more.iter().for_each(|(name, value)| told(world, name, value.clone()));
        });
        let actions = permit_retire(world).plan().actions;
        actions.into_iter().map(|action| action.reason).filter(|reason| *reason != Reason::NotRetired).collect::<Vec<_>>()
    };
    let before = || ("before_made", Value::Time(ago(60)));
    let late = |days, limit| Reason::ValidTooLong { since: ago(days), limit: Limit::days(limit) };
    assert_eq!(found(45, &[before()]), [late(60, 45)]);
    assert_eq!(found(45, &[before(), ("done", Value::Time(ago(1)))]), [late(60, 45)], "that nothing is left to do ends no value");
    assert_eq!(found(60, &[before()]), [], "the limit itself is allowed");
    assert_eq!(found(45, &[before(), ("refused", Value::Time(ago(1)))]), []);
    assert_eq!(found(10, &[before(), ("refused", Value::Time(ago(1)))]), [late(11, 10)], "the one in force counts");
    assert_eq!(found(45, &[]), [], "what was not seen has no age");
}

#[test]
fn what_lies_ahead_of_an_end_is_in_the_plan_with_everything_it_rests_on() {
    let daily: Vec<(&str, i64)> = (1..=80).map(|days| (APP, days)).collect();
    let world = learning(Some(key(calls(&daily)))).with(|world| {
        gate(world, |gate| (gate.deadline, gate.on_deadline) = (Some(Limit::days(20)), OnDeadline::Escalate));
        let credential = world.catalog.credentials.get_mut("key").unwrap();
        credential.policy.max_validity = Some(Limit::days(90));
        told(world, "before_made", Value::Time(ago(60)));
        if let Some(Ok(keys)) = &mut world.facts.uses.get_mut(&CredentialId::from("key")).unwrap().keys {
            keys[0].last_used = Some((ago(1), "s3 in eu-west-1".to_owned()));
        }
    });
    let Outlook { will, quiet, deadline, restarts, last_used, not_before, validity } = ahead(world);
    let strides = [Stride::Settle(Limit::seconds(3_600)), Stride::Quiet(Limit::seconds(36 * 3_600)), Stride::Disable];
    assert_eq!(will[..3], strides);
    assert_eq!(quiet, Some(Quieted { limit: Limit::seconds(36 * 3_600), why: Learnt::Rest { longest: Limit::days(1) } }));
    let deadline = deadline.unwrap();
    assert_eq!((deadline.limit, deadline.then, deadline.at), (Limit::days(20), OnDeadline::Escalate, Some(ago(-10))));
    assert_eq!(restarts, Vec::<String>::new());
    let last = last_used.unwrap();
    assert_eq!((last.at, last.by.as_str()), (ago(1), "s3 in eu-west-1"));
    assert_eq!(not_before, Some("2026-11-24T12:00:00Z".parse().unwrap()));
    assert_eq!(
        (validity.today(ago(0)), validity.allowed, validity.period),
        (Some(Limit::days(60)), Some(Limit::days(90)), Limit::days(30))
    );
    let held = retiring().plan().held;
    assert!(held.iter().any(|held| held.outlook.is_some()), "of what is held it is told as well");
}

#[test]
fn a_key_that_is_recorded_nowhere_is_told_to_be_deleted_before_one_is_made() {
    let plan = |exclusive: bool, count: usize| {
        let world = super::needs::keyed().with(|world| {
            let credential = world.catalog.credentials.get_mut("key").unwrap();
            if let crate::model::rotator::RotatorConfig::AwsIamAccessKey(key) = &mut credential.rotator {
                key.exclusive = exclusive;
            }
            world.facts.counts.insert("key".into(), Ok(count));
        });
        let plan = world.plan();
        let outlook = plan.actions.into_iter().map(|action| action.outlook).chain(plan.held.into_iter().map(|held| held.outlook));
        outlook.flatten().next().unwrap().will.first().cloned()
    };
    assert_eq!(plan(true, 2), Some(Stride::Lost));
    assert_eq!(plan(true, 1), Some(Stride::Create));
    assert_eq!(plan(false, 2), Some(Stride::Create), "without `exclusive` it is somebody else's");
}
