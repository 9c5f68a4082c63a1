//! What a sign that a value is in wrong hands asks for.

use super::needs::keyed;
use super::usage::retiring;
use super::*;
use crate::model::catalog::LeakTrigger;
use crate::model::outlook::Stride;
use crate::model::plan::Held;
use crate::model::snapshot::LEAK_ENTITY;
use crate::model::standing::Phase;
use crate::plan::leak::is_under_way;

const POLICY: &str = "AWSCompromisedKeyQuarantineV3";
const AT_ONCE: &str = "@id(\"at-once\") permit (principal, action == Slm::Action::\"rotate_leak\", resource);";

/// An access key whose user AWS gave `policy`; a person reads the plan for it when `watched`.
fn quarantined(policy: Option<&str>, watched: bool) -> World {
    keyed().with(|world| {
        let user = &mut Arc::make_mut(&mut world.others[1].resources)[0];
        policy.into_iter().for_each(|policy| user.set("quarantine", text(policy)));
        let credential = world.catalog.credentials.get_mut(&CredentialId::from("key")).unwrap();
        credential.policy.rotate_every = Limit::days(900);
        credential.leak = if watched { vec![LeakTrigger::AwsQuarantinePolicy] } else { Vec::new() };
    })
}

#[test]
fn a_user_that_aws_has_quarantined_is_for_a_person_to_end_at_once_and_nothing_is_begun_by_itself() {
    let plan = quarantined(Some(POLICY), true).guards(&format!("{GUARDS}{AT_ONCE}")).plan();
    assert_eq!(actions(&plan), Vec::<String>::new());
    let [Held { kind, reason: Reason::Leaked { sign }, because: HeldBecause::Person(next), .. }] = &plan.held[..] else {
        panic!("{:?}", plan.held)
    };
    assert_eq!(line(kind), "rotate key v-key");
    assert!(sign.contains(POLICY) && sign.contains("`deployer`"), "{sign}");
    assert!(next.starts_with("`slm rotate key --leak`"), "{next}");
}

#[test]
fn where_the_guards_do_not_permit_to_end_it_at_once_the_plan_says_so() {
    let plan = quarantined(Some(POLICY), true).plan();
    assert_eq!(held(&plan), [("rotate key v-key".to_owned(), HeldBecause::NothingPermits)]);
}

#[test]
fn no_sign_one_that_was_not_seen_and_one_that_does_not_count_ask_for_nothing() {
    for (policy, watched) in [(Some(""), true), (None, true), (Some(POLICY), false)] {
        let plan = quarantined(policy, watched).plan();
        assert_eq!((actions(&plan), held(&plan)), (vec![], vec![]), "{policy:?} {watched}");
    }
}

/// An access key of which GitHub has found one, when it is `seen`; that counts when it is `watched`.
fn scanned(seen: bool, watched: bool) -> World {
    quarantined(None, false).with(|world| {
        let facts = [("alert", text("acme/app, alert 12")), ("credential", text("key")), ("key", text("WXYZ"))];
        let facts = facts.into_iter().chain([("found_at", Value::Time(ago(2)))]);
        let facts = facts.map(|(name, value)| (Arc::from(name), value)).collect();
        let mut found = population(LEAK_ENTITY);
        (found.source, found.scope) = ("org".into(), "acme".to_owned());
        found.resources = if seen { vec![Resource::new("key".into(), facts)].into() } else { Arc::default() };
        world.others.push(found);
        let credential = world.catalog.credentials.get_mut(&CredentialId::from("key")).unwrap();
        credential.leak =
            if watched { vec![LeakTrigger::AwsQuarantinePolicy, LeakTrigger::GithubSecretScanning] } else { Vec::new() };
    })
}

#[test]
fn a_key_that_github_has_found_is_for_a_person_to_end_at_once_and_nothing_is_begun_by_itself() {
    let plan = scanned(true, true).guards(&format!("{GUARDS}{AT_ONCE}")).plan();
    assert_eq!(actions(&plan), Vec::<String>::new());
    let [Held { kind, reason: Reason::Leaked { sign }, because: HeldBecause::Person(next), .. }] = &plan.held[..] else {
        panic!("{:?}", plan.held)
    };
    assert_eq!(line(kind), "rotate key v-key");
    let want = "GitHub found the key …WXYZ of IAM user `deployer` on 2026-11-22T00:00:00Z (acme/app, alert 12); \
        close the alert when the key is replaced";
    assert_eq!(sign, want);
    assert!(next.starts_with("`slm rotate key --leak`"), "{next}");
    assert_eq!(held(&scanned(true, true).plan()), [("rotate key v-key".to_owned(), HeldBecause::NothingPermits)]);
    for (seen, watched) in [(false, true), (true, false)] {
        let plan = scanned(seen, watched).plan();
        assert_eq!((actions(&plan), held(&plan)), (vec![], vec![]), "{seen} {watched}");
    }
}

/// A key that was replaced ten days ago in a freeze; it is known by `fact` that the one before, or the one in force, is in wrong hands.
fn known(fact: &str) -> World {
    retiring().guards(&format!("{GUARDS}{AT_ONCE}")).with(|world| {
        world.catalog.settings.limits.freeze = vec!["2026-11-20/2026-11-30".parse().unwrap()];
        world.rotations.as_mut().unwrap().set(fact, Value::Time(ago(9)));
    })
}

#[test]
fn the_end_of_what_is_known_to_be_in_wrong_hands_goes_on_in_a_freeze_and_waits_for_nobody() {
    let plan = known("before_leaked").plan();
    let [Action { kind, reason, permitted_by, outlook: Some(ahead), .. }] = &plan.actions[..] else { panic!("{:?}", plan.held) };
    assert_eq!((line(kind).as_str(), reason), ("finish key v-key", &Reason::InWrongHands { since: ago(9) }));
    assert_eq!(permitted_by, &["at-once".into()]);
    assert_eq!((&ahead.will[..], ahead.not_before), (&[Stride::Disable, Stride::Delete][..], None));
    assert!(matches!(&held(&known("made").plan())[..], [(_, HeldBecause::Frozen { .. })]), "without it the freeze holds the end");
}

#[test]
fn a_value_in_force_that_is_known_to_be_in_wrong_hands_is_replaced_by_whichever_run_is_next() {
    let plan = known("leaked").plan();
    let [Action { kind, reason, outlook: Some(ahead), .. }] = &plan.actions[..] else { panic!("{:?}", plan.held) };
    assert_eq!((line(kind).as_str(), reason), ("rotate key v-key", &Reason::InWrongHands { since: ago(9) }));
    assert!(
        ahead.will.contains(&Stride::Create) && !ahead.will.iter().any(|one| matches!(one, Stride::Settle(_) | Stride::Quiet(_)))
    );
}

#[test]
fn asked_again_the_end_of_a_leak_goes_on_and_the_value_that_replaced_it_is_let_be() {
    let under_way = |world: World| world.seen(|input| is_under_way(input, &input.catalog.credentials[&CredentialId::from("key")]));
    assert!(under_way(known("before_leaked")));
    assert!(!under_way(known("leaked")) && !under_way(retiring()));
    let ended = known("before_leaked").with(|world| world.rotations.as_mut().unwrap().set("open", Value::Bool(false)));
    assert!(!under_way(ended), "what is ended can leak no more");
}

#[test]
fn where_the_guards_do_not_permit_the_end_at_once_it_is_held_and_not_forgotten() {
    let plan = known("before_leaked").guards(GUARDS).plan();
    assert_eq!(held(&plan), [("finish key v-key".to_owned(), HeldBecause::NothingPermits)]);
}

#[test]
fn how_it_stands_says_that_it_is_in_wrong_hands_and_waits_for_no_instant() {
    let stands = |fact: &str| {
        let rotation = known(fact).rotations.unwrap();
        retiring()
            .with(|world| world.catalog.credentials.get_mut("key").unwrap().policy.rotate_every = Limit::days(900))
            .standing("key", rotation)
    };
    let before = stands("before_leaked");
    assert_eq!((before.phase, before.leaked, before.until), (Phase::Retiring, Some(ago(9)), None));
    let now = stands("leaked");
    assert_eq!((now.phase, now.leaked), (Phase::Prepared, Some(ago(9))));
    assert_eq!(stands("made").leaked, None);
}
