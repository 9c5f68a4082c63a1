//! Credentials that are made of others.

use super::*;

/// `dsn` is made of `db`, and `report` of `dsn`; each this many days old.
fn made(db: i64, dsn: i64, report: i64) -> World {
    world().aged("db", db).aged("dsn", dsn).aged("report", report).with(|world| {
        for (id, of) in [("dsn", "db"), ("report", "dsn")] {
            world.catalog.credentials.get_mut(&CredentialId::from(id)).unwrap().after = vec![of.into()];
        }
    })
}

fn rotations(plan: &Plan) -> Vec<String> {
    let rotated = plan.actions.iter().filter(|action| matches!(action.kind, ActionKind::Rotate { .. }));
    rotated.map(|action| line(&action.kind)).collect()
}

fn derived(from: &str, since: Option<Timestamp>) -> Reason {
    Reason::Derived { from: from.into(), since }
}

#[test]
fn what_is_made_of_a_value_is_rotated_after_it_in_the_same_run() {
    let plan = made(40, 10, 10).plan();
    assert_eq!(rotations(&plan), ["rotate db v-db", "rotate dsn v-dsn", "rotate report v-report"]);
    let reasons: Vec<&Reason> = plan.actions.iter().map(|action| &action.reason).collect();
    assert_eq!(reasons[1..], [&derived("db", None), &derived("dsn", None)]);
    assert_eq!(rotations(&made(10, 10, 40).plan()), ["rotate report v-report"], "nothing that it is made of has to be");
    // The older one is due first by its age alone.
    assert_eq!(rotations(&made(31, 90, 60).plan()), ["rotate db v-db", "rotate dsn v-dsn", "rotate report v-report"]);
}

#[test]
fn what_was_made_before_what_it_is_made_of_is_due() {
    let plan = made(3, 5, 4).plan();
    assert_eq!(rotations(&plan), ["rotate dsn v-dsn", "rotate report v-report"]);
    assert_eq!(plan.actions[0].reason, derived("db", Some(ago(3))));
    assert_eq!(plan.actions[1].reason, derived("dsn", None));
    assert_eq!(rotations(&made(5, 3, 3).plan()), Vec::<String>::new());
    assert_eq!(rotations(&made(5, 5, 5).plan()), Vec::<String>::new(), "at the same instant it was made after");
}

#[test]
fn what_is_held_has_nothing_made_of_it() {
    let frozen = |id: &'static str| {
        made(40, 10, 10).with(move |world| {
            let freeze = "2026-11-20/2026-11-30".parse().unwrap();
            world.catalog.credentials.get_mut(&CredentialId::from(id)).unwrap().policy.freeze = vec![freeze];
        })
    };
    let plan = frozen("db").plan();
    assert_eq!((rotations(&plan), plan.held.len()), (vec![], 1));
    let plan = frozen("dsn").plan();
    assert_eq!((rotations(&plan), held(&plan).len()), (vec!["rotate db v-db".to_owned()], 1));
    assert_eq!(plan.held[0].reason, derived("db", None));
}

#[test]
fn what_is_made_of_another_does_not_share_its_restart() {
    let reload = |world: &mut World| {
        for credential in world.catalog.credentials.values_mut() {
            let reload = Some(vec!["reload".to_owned()]);
            credential.consumers[0].kind =
                ConsumerKind::File(FileConsumer { path: credential.id.to_string(), reload, ..FileConsumer::default() });
        }
    };
    assert_eq!(made(40, 10, 10).with(reload).plan().together, []);
    let apart = made(40, 40, 10).with(reload).with(|world| {
        world.catalog.credentials.values_mut().for_each(|credential| credential.after.clear());
    });
    assert_eq!(apart.plan().together[0].credentials, ["db".into(), "dsn".into()]);
}
