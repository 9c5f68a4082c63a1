//! What breaks after the value before was disabled is told while a roll-back still mends it, and keeps that value from being deleted.

use super::usage::retiring;
use super::*;
use crate::model::standing::Broken;

const RETIRE: &str = r#"@id("may-retire") permit (principal, action == Slm::Action::"retire", resource);"#;

/// A key whose value before is disabled since now, and a file that should run `v-key` and was seen to run `running`.
fn soaking(running: Option<&str>) -> World {
    let world = retiring().guards(&format!("{GUARDS} {RETIRE}")).with(|world| {
        told(world, "disabled", Value::Time(now()));
        let health = Health { command: None, url: Some("http://127.0.0.1/healthz".to_owned()), expect: None, within: None };
        let file = FileConsumer { path: "run/key".to_owned(), health: Some(health), ..FileConsumer::default() };
        let consumer = Consumer { kind: ConsumerKind::File(file), ..consumer("app") };
        world.catalog.credentials.get_mut("key").unwrap().consumers = vec![consumer];
    });
    match running {
        Some(version) => world.acknowledged("key", "app", "v-key", version),
        None => world,
    }
}

fn told(world: &mut World, name: &str, value: Value) {
    world.rotations.as_mut().unwrap().set(name, value);
}

fn sick(world: &mut World, credential: &str) {
    world.facts.health.insert((credential.into(), "app".into()), Err("it says HTTP 500".to_owned()));
}

/// What owners are asked because something broke.
fn asked(plan: &Plan) -> Vec<Vec<String>> {
    let asks = plan.actions.iter().filter(|action| matches!(action.kind, ActionKind::EscalateCredential { .. }));
    let found = asks.map(|action| match &action.reason {
        Reason::Broken { found, disabled } if *disabled == now() => found.clone(),
        reason => panic!("{reason:?}"),
    });
    found.collect()
}

const BEHIND: &str = "`app` does not run the version in force";
const SICK: &str = "whoever reads `app` is not well: it says HTTP 500";

#[test]
fn who_runs_another_version_after_the_one_before_was_disabled_is_told_to_the_owner() {
    let plan = soaking(Some("v-old")).plan();
    assert_eq!(actions(&plan), ["finish key v-key", "ask platform key"], "the run itself stops at who does not run it");
    assert_eq!(asked(&plan), [[BEHIND]]);
    assert_eq!(asked(&soaking(Some("v-key")).plan()), [[""; 0]; 0]);
    assert_eq!(asked(&soaking(None).plan()), [[""; 0]; 0], "what was not seen is no finding");
}

#[test]
fn who_is_not_well_is_told_and_keeps_the_value_before_from_being_deleted() {
    let plan = soaking(Some("v-key")).with(|world| sick(world, "key")).plan();
    assert_eq!((actions(&plan), asked(&plan)), (vec!["ask platform key".to_owned()], vec![vec![SICK.to_owned()]]));
    let next = "`slm rollback key` brings the value before back, and `slm retire key` ends it all the same";
    assert_eq!(held(&plan), [("finish key v-key".to_owned(), HeldBecause::Person(format!("{SICK}; {next}")))]);
    let both = soaking(Some("v-old")).with(|world| sick(world, "key")).plan();
    assert_eq!(asked(&both), [[BEHIND, SICK]]);
    for well in [
        soaking(Some("v-key")).with(|world| sick(world, "another")),
        soaking(Some("v-key")).with(|world| drop(world.facts.health.insert(("key".into(), "app".into()), Ok(())))),
    ] {
        let plan = well.plan();
        assert_eq!((actions(&plan), held(&plan)), (vec!["finish key v-key".to_owned()], vec![]));
    }
}

#[test]
fn nothing_is_told_or_held_before_it_is_disabled_and_when_it_comes_back_or_is_being_deleted() {
    for (name, value) in [
        ("disabled", None),
        ("fate", Some(text("rollback"))),
        ("last", Some(text("revive 2026-11-23T00:00:00Z"))),
        ("last", Some(text("delete"))),
        ("open", Some(Value::Bool(false))),
    ] {
        let world = soaking(Some("v-key")).with(|world| {
            sick(world, "key");
            match value.clone() {
                Some(value) => told(world, name, value),
                None => world.rotations.as_mut().unwrap().forget(&[name]),
            }
        });
        let plan = world.plan();
        assert_eq!((asked(&plan), held(&plan)), (vec![], vec![]), "{name} {value:?}");
    }
}

#[test]
fn a_consumer_is_looked_at_while_what_it_used_before_could_come_back_and_at_no_other_time() {
    let watched = |world: World| {
        world.seen(|input| {
            crate::plan::broken::watched(input).into_iter().map(|(id, app, _)| format!("{id}/{app}")).collect::<Vec<_>>()
        })
    };
    assert_eq!(watched(soaking(None)), ["key/app"]);
    assert_eq!(watched(soaking(None).with(|world| world.rotations.as_mut().unwrap().forget(&["disabled"]))), [""; 0]);
    let plain = |world: &mut World| world.catalog.credentials.get_mut("key").unwrap().consumers = vec![consumer("app")];
    assert_eq!(watched(soaking(None).with(plain)), [""; 0], "nothing says how it is");
}

#[test]
fn how_a_credential_stands_names_what_broke() {
    let world = soaking(Some("v-key")).with(|world| sick(world, "key"));
    let rotation = world.rotations.clone().unwrap();
    assert_eq!(world.standing("key", rotation).broken, Some(Broken { found: vec![SICK.to_owned()], disabled: now() }));
    let well = soaking(Some("v-key"));
    let rotation = well.rotations.clone().unwrap();
    assert_eq!(well.standing("key", rotation).broken, None);
}
