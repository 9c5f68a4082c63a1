//! Secrets that AWS rotates itself: when it is asked to, and what holds that back.

use super::*;
use crate::model::rotator::AwsManaged;
use crate::model::standing::Phase;

/// `db`, `days` old and rotated by AWS, which is set up for it.
fn managed(days: i64) -> World {
    world().aged("db", days).fact("db", "rotation_enabled", Value::Bool(true)).with(by_aws)
}

fn by_aws(world: &mut World) {
    let rotator = RotatorConfig::AwsManaged(AwsManaged { expect_within: Limit::seconds(1800) });
    world.catalog.credentials.get_mut("db").unwrap().rotator = rotator;
}

/// What is seen of the rotation of `db`.
fn seen(more: &[(&str, Value)]) -> Resource {
    let facts = [("credential", text("db")), ("generation", text("v-db")), ("open", Value::Bool(false))];
    let facts = facts.iter().chain(more).map(|(name, value)| (Arc::from(*name), value.clone()));
    Resource::new("db".into(), facts.collect())
}

fn under_way(stuck: bool) -> Resource {
    seen(&[("pending_since", Value::Time(ago(1))), ("stuck", Value::Bool(stuck))])
}

fn with(rotation: Resource) -> impl FnOnce(&mut World) {
    move |world| world.rotations = Some(rotation)
}

#[test]
fn it_is_due_at_its_limit_like_any_other() {
    let plan = managed(45).with(with(seen(&[]))).plan();
    assert_eq!(actions(&plan), ["rotate db v-db"]);
    let reason = Reason::TooOld { since: ago(45), due_after: Limit::days(30), limit: Limit::days(30) };
    assert_eq!(plan.actions[0].reason, reason);
    assert_eq!(plan.actions[0].permitted_by, ["may-rotate".into()]);
    assert_eq!(actions(&managed(29).with(with(seen(&[]))).plan()), Vec::<String>::new());
}

#[test]
fn what_aws_cannot_rotate_is_held_and_says_why() {
    let off = world().aged("db", 45).fact("db", "rotation_enabled", Value::Bool(false)).with(by_aws);
    let untold = world().aged("db", 45).with(by_aws);
    let empty = world().declared("db").secret("app/db", &[("rotation_enabled", Value::Bool(true))]).with(by_aws);
    let absent = world().declared("db").with(by_aws);
    for (world, generation, why) in [
        (off, "v-db", "AWS is not set up to rotate it"),
        (untold, "v-db", "AWS is not set up to rotate it"),
        (empty, "none", "only a secret that has a value"),
        (absent, "none", "only a secret that is there"),
    ] {
        let plan = world.plan();
        assert_eq!(actions(&plan), Vec::<String>::new());
        let [(line, HeldBecause::NoWriter(said))] = &held(&plan)[..] else { panic!("{:?}", held(&plan)) };
        assert_eq!(line, &format!("rotate db {generation}"));
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn what_aws_has_begun_is_left_to_it_for_as_long_as_it_may_take() {
    let plan = managed(45).with(with(under_way(false))).plan();
    assert_eq!((actions(&plan), held(&plan)), (vec![], vec![]));
    let forced = managed(1).with(with(under_way(false))).with(|world| world.forced.push("db".into())).plan();
    assert_eq!(actions(&forced), ["rotate db v-db"], "a person may ask; the run sees that it is under way");
}

#[test]
fn what_aws_has_begun_and_not_finished_in_time_is_asked_for_again_first_and_is_no_share_of_the_run() {
    let none = |world: &mut World| world.catalog.settings.limits.rotate_percent = 0;
    let plan = managed(1).aged("old", 90).declared("new").with(with(under_way(true))).with(none).plan();
    assert_eq!(actions(&plan)[0], "rotate db v-db");
    assert_eq!(plan.actions[0].reason, Reason::Stuck { since: ago(1) });
    assert_eq!(plan.actions[0].permitted_by, ["may-rotate".into()]);
    let unpermitted = managed(1).with(with(under_way(true))).guards("").plan();
    assert_eq!(held(&unpermitted), [("rotate db v-db".to_owned(), HeldBecause::NothingPermits)]);
}

#[test]
fn what_was_begun_goes_on_in_a_freeze_and_outside_its_window() {
    let shut = |world: &mut World| {
        world.catalog.settings.limits.freeze = vec!["2026-11-20/2026-11-30".parse().unwrap()];
        world.catalog.credentials.get_mut("db").unwrap().policy.windows = vec!["Tue 08:00-09:00 UTC".parse().unwrap()];
    };
    assert_eq!(actions(&managed(1).with(with(under_way(true))).with(shut).plan()), ["rotate db v-db"]);
    let due = managed(45).with(with(seen(&[]))).with(shut).plan();
    assert_eq!((actions(&due), held(&due).len()), (vec![], 1));
}

#[test]
fn consumers_get_what_is_in_force_before_a_rotation_that_is_stuck_is_seen_to() {
    let plan = managed(1).with(with(under_way(true))).acknowledged("db", "app", "old", "old").plan();
    assert_eq!(actions(&plan), ["deliver db v-db app"]);
}

#[test]
fn a_label_of_ours_on_it_is_no_rotation_of_ours() {
    let plan = managed(1).fact("db", "slm_pending", Value::Bool(true)).with(with(seen(&[]))).plan();
    assert_eq!((actions(&plan), held(&plan)), (vec![], vec![]));
}

#[test]
fn how_it_stands_says_whether_aws_is_at_it_or_stuck() {
    let stands = |days, rotation| {
        let standing = managed(days).standing("db", rotation);
        (standing.phase, standing.until)
    };
    assert_eq!(stands(1, seen(&[])), (Phase::Done, None));
    assert_eq!(stands(31, seen(&[])), (Phase::Due, None));
    assert_eq!(stands(31, under_way(false)), (Phase::Rotating, Some(Limit::seconds(1800).after(ago(1)))));
    assert_eq!(stands(31, under_way(true)), (Phase::Stuck, None));
    let unseen = Resource::new("other".into(), vec![(Arc::from("credential"), text("other"))]);
    assert_eq!(stands(1, unseen), (Phase::Unseen, None), "whether AWS is at it is not known");
}

#[test]
fn what_another_kind_left_let_in_is_for_its_owner_to_end() {
    let plan = managed(29).with(with(seen(&[("left", text("v0"))]))).plan();
    let reasons: Vec<Reason> = plan.actions.into_iter().map(|action| action.reason).collect();
    assert_eq!(reasons, [Reason::LeftLetIn { version: "v0".into() }]);
}
