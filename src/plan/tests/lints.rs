//! Every rule of the lint, broken once.

use super::*;
use crate::model::rotator::AwsManaged;

/// The lint of a plan that rotates `db` after `change`.
fn broken(change: impl FnOnce(&mut Plan, &mut Catalog)) -> Vec<String> {
    let mut catalog = world().aged("db", 90).catalog;
    let mut plan = world().aged("db", 90).plan();
    change(&mut plan, &mut catalog);
    lint(&plan, &catalog)
}

fn deliver(credential: &str, consumer: &str) -> Action {
    let secret = super::credential(credential).secret;
    let consumers = vec![consumer.into()];
    let kind = ActionKind::Deliver { credential: credential.into(), secret, generation: "v-db".into(), consumers };
    let controls: Vec<ControlId> = Vec::new();
    Action {
        kind,
        reason: Reason::NotAdopted,
        controls,
        criteria: Vec::new(),
        permitted_by: vec!["may-deliver".into()],
        outlook: None,
    }
}

#[test]
fn a_good_plan_has_nothing_to_say() {
    assert_eq!(broken(|_, _| {}), Vec::<String>::new());
}

#[test]
fn a_plan_of_another_format_is_refused() {
    assert_eq!(broken(|plan, _| plan.format = 9), ["plan format 9 is not 1; make the plan again"]);
}

#[test]
fn a_rotation_must_bear_the_name_of_its_generation() {
    let wrong = broken(|plan, _| {
        let ActionKind::Rotate { rotation, .. } = &mut plan.actions[0].kind else { panic!("no rotation") };
        *rotation = rotation_id(&"db".into(), None);
    });
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].ends_with("is not the one of `db` from its generation"), "{wrong:?}");
}

#[test]
fn a_rotation_must_name_the_guard_that_permits_it() {
    let wrong = broken(|plan, _| plan.actions[0].permitted_by.clear());
    assert_eq!(wrong, ["the action on `db` names no guard rule that permits it"]);
}

#[test]
fn a_credential_is_touched_once() {
    let wrong = broken(|plan, _| plan.actions.push(deliver("db", "app")));
    assert_eq!(wrong, ["credential `db` is touched by two actions"]);
}

#[test]
fn a_credential_must_be_declared() {
    assert_eq!(broken(|_, catalog| catalog.credentials.clear()), ["credential `db` is not declared"]);
}

#[test]
fn a_secret_must_live_where_it_is_declared() {
    let wrong = broken(|_, catalog| catalog.credentials.get_mut("db").unwrap().secret.name = "app/new".to_owned());
    assert_eq!(wrong, ["credential `db` lives in `app/new` now, not in `app/db`"]);
}

#[test]
fn a_consumer_must_be_declared() {
    let wrong = broken(|plan, _| plan.actions = vec![deliver("db", "ghost")]);
    assert_eq!(wrong, ["consumer `ghost` of `db` is not declared"]);
}

#[test]
fn what_aws_rotates_gets_no_first_value_from_us_and_nothing_of_it_is_ended_by_us() {
    let managed = |catalog: &mut Catalog| {
        catalog.credentials.get_mut("db").unwrap().rotator = RotatorConfig::AwsManaged(AwsManaged::default());
    };
    assert_eq!(broken(|_, catalog| managed(catalog)), Vec::<String>::new());
    let first = broken(|plan, catalog| {
        managed(catalog);
        let ActionKind::Rotate { rotation, generation, .. } = &mut plan.actions[0].kind else { panic!("no rotation") };
        (*rotation, *generation) = (rotation_id(&"db".into(), None), None);
    });
    assert_eq!(first, ["`db` is rotated by AWS and gets no first value"]);
    let finish = |plan: &mut Plan| {
        let ActionKind::Rotate { credential, secret, generation: Some(generation), rotation, consumers } =
            plan.actions[0].kind.clone()
        else {
            panic!("no rotation")
        };
        plan.actions[0].kind = ActionKind::Finish { credential, secret, generation, rotation, consumers };
    };
    let ended = broken(|plan, catalog| {
        managed(catalog);
        finish(plan);
    });
    assert_eq!(ended, ["`db` is rotated by AWS and leaves nothing behind that slm may end"]);
    assert_eq!(broken(|plan, _| finish(plan)), Vec::<String>::new(), "of another kind it may");
}

#[test]
fn only_aws_is_stuck_with_a_rotation_of_its_own() {
    let wrong = broken(|plan, _| plan.actions[0].reason = Reason::Stuck { since: ago(1) });
    assert_eq!(wrong, ["`db` is not rotated by AWS, which cannot be stuck with it"]);
}
