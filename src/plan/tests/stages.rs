//! When the next value of a rotation that takes several is made.

use super::*;
use crate::model::rotator::{ActivateAfter, Encoding, Keyset};
use crate::model::standing::Phase;

const HOUR: Limit = Limit::seconds(3600);

/// `db`, a set of keys whose value is `days` old, as its rotation was seen.
fn keyset(days: i64, rotation: Option<&[(&str, Value)]>) -> World {
    let rotation = rotation.map(|facts| {
        let mut all: Vec<(Arc<str>, Value)> = vec![("credential".into(), text("db")), ("generation".into(), text("v-db"))];
        all.extend(facts.iter().map(|(name, value)| (Arc::from(*name), value.clone())));
        Resource::new("db".into(), all)
    });
    world().aged("db", days).with(|world| {
        let keys = Keyset {
            bytes: 32,
            encoding: Encoding::Base64url,
            keep: 2,
            drop_after: Limit::days(7),
            activate_after: ActivateAfter::AcceptedEverywhere,
        };
        world.catalog.credentials.get_mut(&CredentialId::from("db")).unwrap().rotator = RotatorConfig::Keyset(keys);
        world.rotations = rotation;
    })
}

/// Settled `done` days ago, and what comes next.
fn settled(next: &str, done: i64) -> [(&'static str, Value); 3] {
    [("open", Value::Bool(false)), ("next", text(next)), ("done", Value::Time(ago(done)))]
}

fn planned(world: World) -> Vec<(String, Reason)> {
    world.plan().actions.into_iter().map(|action| (line(&action.kind), action.reason)).collect()
}

#[test]
fn the_next_value_is_made_when_every_consumer_runs_the_last_and_not_by_its_age() {
    let open = [("open", Value::Bool(true)), ("next", text("sign"))];
    assert_eq!(planned(keyset(0, Some(&open))), [("finish db v-db".to_owned(), Reason::Staged)]);
    assert_eq!(planned(keyset(0, Some(&settled("sign", 0)))), [("rotate db v-db".to_owned(), Reason::Staged)]);
    assert_eq!(planned(keyset(29, Some(&settled("publish", 29)))), []);
    let due = planned(keyset(30, Some(&settled("publish", 29))));
    assert!(matches!(&due[..], [(rotate, Reason::TooOld { .. })] if rotate == "rotate db v-db"), "{due:?}");
}

#[test]
fn a_key_is_dropped_when_nothing_signed_with_it_is_shown_any_more_and_never_before() {
    for (done, made) in [(0, false), (6, false), (7, true), (8, true)] {
        let plan = planned(keyset(40, Some(&settled("drop", done))));
        assert_eq!(plan.len(), usize::from(made), "{done} days: {plan:?}");
    }
    let asked = |facts: &[(&str, Value)]| keyset(1, Some(facts)).with(|world| world.forced = vec!["db".into()]).plan();
    let early = HeldBecause::Early { until: Limit::days(7).after(ago(6)) };
    assert_eq!(held(&asked(&settled("drop", 6))), [("rotate db v-db".to_owned(), early)]);
    assert_eq!(actions(&asked(&settled("drop", 7))), ["rotate db v-db"]);
    let open = [("open", Value::Bool(true)), ("next", text("drop"))];
    assert_eq!(actions(&asked(&open)), ["finish db v-db"], "whoever asks, what consumers run comes first");
}

#[test]
fn what_a_person_stored_is_followed_by_nothing_that_may_leave_a_key_out_too_early() {
    let stored = |done: i64| {
        let facts = [("open", Value::Bool(false)), ("done", Value::Time(ago(done)))];
        keyset(1, Some(&facts)).with(|world| world.forced = vec!["db".into()]).plan()
    };
    let early = HeldBecause::Early { until: Limit::days(7).after(ago(6)) };
    assert_eq!(held(&stored(6)), [("rotate db v-db".to_owned(), early)]);
    assert_eq!(actions(&stored(7)), ["rotate db v-db"]);
}

#[test]
fn a_value_whose_rotation_was_not_seen_is_not_followed_by_another() {
    let plan = keyset(90, None).plan();
    assert!(matches!(&held(&plan)[..], [(_, HeldBecause::Unseen(why))] if why.contains("how far")), "{:?}", held(&plan));
    assert_eq!(actions(&plan), Vec::<String>::new());
}

#[test]
fn it_is_due_by_the_age_of_the_key_that_signs_and_not_of_the_value() {
    let mut facts = settled("publish", 1).to_vec();
    facts.push(("signed_since", Value::Time(ago(31))));
    let plan = planned(keyset(2, Some(&facts)));
    assert!(matches!(&plan[..], [(_, Reason::TooOld { since, .. })] if *since == ago(31)), "{plan:?}");
}

#[test]
fn what_was_begun_goes_on_outside_its_windows_and_in_no_freeze() {
    let with = |change: fn(&mut Credential)| {
        let shut = |world: &mut World| change(world.catalog.credentials.get_mut(&CredentialId::from("db")).unwrap());
        keyset(1, Some(&settled("sign", 0))).with(shut).plan()
    };
    let outside = with(|credential| credential.policy.windows = vec!["Mon-Sun 03:00-03:01 Europe/Berlin".parse().unwrap()]);
    assert_eq!(actions(&outside), ["rotate db v-db"]);
    let frozen = with(|credential| credential.policy.freeze = vec!["2000-01-01/2099-12-31".parse().unwrap()]);
    assert!(matches!(&held(&frozen)[..], [(_, HeldBecause::Frozen { .. })]), "{:?}", held(&frozen));
}

#[test]
fn where_a_rotation_of_several_values_stands_is_told() {
    let stands = |facts: &[(&str, Value)]| {
        let standing =
            keyset(1, Some(facts)).seen(|input| standing::standing(input, &input.catalog.credentials[&CredentialId::from("db")]));
        (standing.phase, standing.until)
    };
    let open = [("open", Value::Bool(true)), ("next", text("sign")), ("promoted", Value::Time(ago(1)))];
    assert_eq!(stands(&open), (Phase::Staged, Some(HOUR.after(ago(1)))));
    assert_eq!(stands(&settled("sign", 1)), (Phase::Staged, None));
    assert_eq!(stands(&settled("drop", 1)), (Phase::Staged, Some(Limit::days(7).after(ago(1)))));
    assert_eq!(stands(&settled("publish", 1)), (Phase::Done, None));
    let validity =
        keyset(1, None).seen(|input| standing::standing(input, &input.catalog.credentials[&CredentialId::from("db")]).max_validity);
    assert_eq!(validity, Limit::seconds(2 * 30 * Limit::DAY + 2 * 3600 + 7 * Limit::DAY));
}
