//! The native form against Cedar itself, on resources nobody thought of.

use std::sync::{Arc, LazyLock};

use cedar_policy::Policy;
use proptest::prelude::*;

use super::native::Native;
use super::*;
use crate::model::catalog::PolicyFile;
use crate::model::made;
use crate::model::snapshot::Value;

/// Conditions that together use every native operator. Attributes: `yes` Bool, `n` `m` Long, `s` String, `t` `u` datetime.
const CONDITIONS: [&str; 31] = [
    "when { resource.yes }",
    "unless { resource.yes }",
    "when { !resource.yes } unless { resource has s }",
    "when { resource has n && resource.n < resource.m }",
    "when { resource.n <= 3 || resource.m > 3 }",
    "when { resource.n >= resource.m }",
    "when { resource.n == resource.m }",
    "when { resource.n != resource.m }",
    "when { resource.s == \"x\" }",
    "when { resource.s != \"x\" }",
    "when { resource.s == resource.n }",
    "when { resource.t != resource.n }",
    "when { resource.t == resource.u }",
    "when { resource.n + resource.m > 3 }",
    "when { resource.n - resource.m <= 3 }",
    "when { resource.n * 3 < resource.m }",
    "when { if resource.yes then resource.n > 1 else resource.m > 1 }",
    "when { (if resource has yes && resource.yes then resource.n else resource.m) == 2 }",
    "when { resource.t <= context.now && context.now.durationSince(resource.t) <= duration(\"90d\") }",
    "when { context.now.durationSince(resource.t).toDays() <= 90 }",
    "when { context.now.durationSince(resource.t).toHours() == resource.n }",
    "when { context.now.durationSince(resource.t).toMinutes() > 1 }",
    "when { resource.t.durationSince(resource.u).toSeconds() >= resource.n }",
    "when { resource.t.durationSince(resource.u).toMilliseconds() < resource.n }",
    "when { resource.t.offset(duration(\"1d12h30m1s5ms\")) < context.now }",
    "when { context.now < resource.t.offset(resource.u.durationSince(resource.t)) }",
    "when { context.now >= datetime(\"2026-03-01T00:00:00Z\") || resource.t < datetime(\"2026-01-01T00:00:00.001Z\") }",
    "when { resource.t <= context.now && resource.u <= context.now }",
    "when { resource.n < resource.t }",
    "when { resource.yes < resource.n }",
    "when { ((resource.yes && resource.n > 1) || !(resource has t)) && (resource.m != 2 || resource.s == \"y\") }",
];

static COMPILED: LazyLock<Vec<(&str, Policy, Native)>> = LazyLock::new(|| {
    let compile = |condition| {
        let policy = policy(condition);
        let native = native(&policy).unwrap();
        (condition, policy, native)
    };
    CONDITIONS.map(compile).into()
});

fn native(policy: &Policy) -> Option<Native> {
    Native::compile(policy)
}

fn policy(condition: &str) -> Policy {
    let text = format!("permit (principal, action == Control::Action::\"T-1\", resource is Aws::Secret) {condition};");
    Policy::parse(None, text).unwrap()
}

/// An instant of 2026 or far from it, or near 1970, with and without a part of a millisecond.
fn instant() -> impl Strategy<Value = Timestamp> {
    let base: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let day = 86_400_000_i64;
    // Near each other and near the limits, so that comparisons go both ways.
    let ms = prop_oneof![
        4 => -3_i64..3,
        4 => (-100_i64..100, -2_i64..3).prop_map(move |(days, ms)| days * day + ms),
        2 => -200 * day..200 * day,
        1 => Just(-80_000 * day),
        1 => Just(400_000 * day),
        2 => (-2_i64..3).prop_map(move |ms| ms - base.as_millisecond()),
    ];
    (ms, prop_oneof![3 => Just(0_i64), 1 => 0_i64..1_000_000])
        .prop_map(move |(ms, ns)| base + jiff::SignedDuration::from_millis(ms) + jiff::SignedDuration::from_nanos(ns))
}

fn long() -> impl Strategy<Value = i64> {
    prop_oneof![6 => -3_i64..5, 2 => 0_i64..10_000, 1 => Just(i64::MAX), 1 => Just(i64::MIN)]
}

/// Any value, mostly of the type `wanted` says.
fn value(wanted: u8) -> impl Strategy<Value = Value> {
    let weight = move |of: u8| if of == wanted { 20 } else { 1 };
    prop_oneof![
        weight(0) => any::<bool>().prop_map(Value::Bool),
        weight(1) => long().prop_map(Value::Long),
        weight(2) => prop_oneof!["x", "y", ".{0,3}"].prop_map(|text: String| Value::Text(Arc::from(text))),
        weight(3) => instant().prop_map(Value::Time),
    ]
}

fn resource() -> impl Strategy<Value = Resource> {
    let seen = |name: &'static str, wanted| {
        proptest::option::weighted(0.85, value(wanted)).prop_map(move |value| value.map(|value| (Arc::from(name), value)))
    };
    let all = (seen("yes", 0), seen("n", 1), seen("m", 1), seen("s", 2), seen("t", 3), seen("u", 3));
    all.prop_map(|(a, b, c, d, e, f)| Resource::new("it".into(), [a, b, c, d, e, f].into_iter().flatten().collect()))
}

/// The rules of an action whose policies are `conditions`, some of them forbids.
fn rules(conditions: &[(bool, &str)]) -> Rules {
    let rule = |(at, (permit, condition)): (usize, &(bool, &str))| {
        let effect = if *permit { "permit" } else { "forbid" };
        format!("@id(\"{at}\") {effect} (principal, action == Control::Action::\"T-1\", resource) {condition};\n")
    };
    let text: String = conditions.iter().enumerate().map(rule).collect();
    let file = |text: &str| PolicyFile { path: String::new(), text: Arc::from(text) };
    let settings = made::settings();
    let (policies, schema) = (vec![file(&text)], file("entity Any;"));
    let (controls, frameworks, credentials, exceptions) = Default::default();
    Rules::compile(&Catalog { settings, controls, frameworks, credentials, exceptions, attestations: [].into(), policies, schema })
        .unwrap()
}

#[test]
fn every_condition_has_a_native_form() {
    for condition in CONDITIONS {
        assert!(native(&policy(condition)).is_some(), "{condition}");
    }
}

#[test]
fn what_is_not_native_goes_to_cedar() {
    for condition in ["when { resource.s like \"x*\" }", "when { [1, 2].contains(resource.n) }", "when { context has now }"] {
        assert!(native(&policy(condition)).is_none(), "{condition}");
        let rules = rules(&[(true, condition)]);
        assert_eq!(rules.native_share(), (0, 1));
    }
    let rules = rules(&[(true, "when { resource.s like \"x*\" }")]);
    let xs = Resource::new("it".into(), vec![("s".into(), Value::Text("xs".into()))]);
    let slice = rules.slice("Control::Action::\"T-1\"");
    let verdict = Rules::judge(slice, &"Aws::Secret".into(), &xs, Timestamp::UNIX_EPOCH);
    assert_eq!(verdict, Verdict::Permitted(vec!["0".into()]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn native_and_cedar_agree_on_every_condition(resource in resource(), now in instant()) {
        for (condition, policy, native) in &*COMPILED {
            for entity in ["Aws::Secret", "Vault::Secret"] {
                let entity = EntityType::from(entity);
                let ours = native.holds(&entity, &resource, millis(now)).map_err(|error| error.to_string());
                let theirs = oracle::holds(policy, &entity, &resource, now);
                prop_assert_eq!(ours.clone().ok(), theirs.clone().ok(), "{}: {:?} {:?}", condition, ours, theirs);
            }
        }
    }

    #[test]
    fn permits_and_forbids_together_agree_with_the_authorizer(
        resource in resource(),
        now in instant(),
        chosen in proptest::collection::vec((any::<bool>(), proptest::sample::select(&CONDITIONS[..])), 1..5),
    ) {
        let (rules, entity) = (rules(&chosen), EntityType::from("Aws::Secret"));
        let action = "Control::Action::\"T-1\"";
        let ours = Rules::judge(rules.slice(action), &entity, &resource, now);
        let theirs = oracle::authorize(&rules, action, &entity, &resource, now);
        let agree = match &theirs {
            Ok(cedar_policy::Decision::Allow) => matches!(ours, Verdict::Permitted(_)),
            Ok(cedar_policy::Decision::Deny) => matches!(ours, Verdict::NothingPermits | Verdict::Forbidden(_)),
            Err(_) => matches!(ours, Verdict::Error(_)),
        };
        prop_assert!(agree, "{:?} {:?} {:?}", chosen, ours, theirs);
    }

    #[test]
    fn nothing_changes_before_it_flips_and_something_does_then(
        resource in resource(),
        now in instant(),
        condition in proptest::sample::select(&CONDITIONS[..]),
        later in proptest::collection::vec(instant(), 20),
    ) {
        let (rules, entity) = (rules(&[(true, condition)]), EntityType::from("Aws::Secret"));
        let slice = rules.slice("Control::Action::\"T-1\"");
        let kind = |at| std::mem::discriminant(&Rules::judge(slice, &entity, &resource, at));
        let flips = Rules::flips_at(slice, &entity, &resource, now);
        if let Some(at) = flips {
            prop_assert!(at > now && kind(at) != kind(now), "{} {:?}", condition, flips);
        }
        for at in later.into_iter().filter(|at| *at > now && flips.is_none_or(|flips| at.as_millisecond() < flips.as_millisecond())) {
            prop_assert!(kind(at) == kind(now), "{} changes at {} already, not at {:?}", condition, at, flips);
        }
    }
}

#[test]
fn a_part_of_a_millisecond_is_cut_off_towards_the_past_also_before_1970() {
    let rules = rules(&[(true, "when { resource.t <= context.now }")]);
    let (action, entity) = ("Control::Action::\"T-1\"", EntityType::from("Aws::Secret"));
    for (ns, then, met) in [(-1, -1, true), (-1, 0, true), (0, -1, false), (-1_000_000, -1_000_001, false), (999_999, 0, true)] {
        let resource = Resource::new("it".into(), vec![("t".into(), Value::Time(Timestamp::from_nanosecond(ns).unwrap()))]);
        let now = Timestamp::from_nanosecond(then).unwrap();
        let verdict = Rules::judge(rules.slice(action), &entity, &resource, now);
        assert_eq!(verdict == Verdict::Permitted(vec!["0".into()]), met, "{ns} {then}");
        let cedar = oracle::holds(&rules.slice(action)[0].policy, &entity, &resource, now);
        assert_eq!(cedar, Ok(met), "{ns} {then}");
    }
}

#[test]
fn a_flip_is_found_behind_an_instant_that_changes_nothing() {
    let day = |days: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * days);
    let resource = Resource::new("it".into(), vec![("t".into(), Value::Time(day(1))), ("u".into(), Value::Time(day(2)))]);
    let rules = rules(&[(true, "when { resource.t <= context.now && resource.u <= context.now }")]);
    let slice = rules.slice("Control::Action::\"T-1\"");
    assert_eq!(Rules::flips_at(slice, &"Aws::Secret".into(), &resource, day(0)), Some(day(2)));
}
