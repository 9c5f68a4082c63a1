//! What a sign that a value is in wrong hands asks for.

use super::needs::keyed;
use super::*;
use crate::model::catalog::LeakTrigger;
use crate::model::plan::Held;
use crate::model::snapshot::LEAK_ENTITY;

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
