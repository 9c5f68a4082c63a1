//! What is due for declared credentials, and what holds it back.

use super::*;
use crate::model::rotator::{DeclaredIssuer, DeclaredOverlap, Exec, ExecCaps, IamAccessKey};
use crate::model::standing::Phase;

fn reasons(plan: &Plan) -> Vec<&Reason> {
    plan.actions.iter().map(|action| &action.reason).collect()
}

#[test]
fn a_credential_without_a_value_gets_its_first() {
    let plan = world().declared("db").plan();
    assert_eq!((actions(&plan), reasons(&plan)), (vec!["rotate db none".to_owned()], vec![&Reason::NoValue]));
}

#[test]
fn a_secret_without_a_version_gets_its_first_value() {
    let plan = world().declared("db").secret("app/db", &[("last_rotated", Value::Time(ago(1)))]).plan();
    assert_eq!(reasons(&plan), [&Reason::NoValue]);
}

#[test]
fn a_young_credential_is_left_alone() {
    let plan = world().aged("db", 29).plan();
    assert_eq!((actions(&plan), held(&plan)), (vec![], vec![]));
}

#[test]
fn a_credential_is_due_at_its_limit_to_the_second() {
    for (seconds, due) in [(-1, 0), (0, 1), (1, 1)] {
        let since = Limit::seconds(-seconds).after(ago(30));
        let plan = world().aged("db", 0).fact("db", "last_rotated", Value::Time(since)).plan();
        assert_eq!(plan.actions.len(), due, "{seconds}");
    }
}

#[test]
fn an_old_credential_says_since_when_and_its_limit() {
    let plan = world().aged("db", 45).plan();
    let reason = Reason::TooOld { since: ago(45), due_after: Limit::days(30), limit: Limit::days(30) };
    assert_eq!(reasons(&plan), [&reason]);
}

#[test]
fn without_a_rotation_date_the_creation_counts_and_without_either_nothing_is_guessed() {
    let version = ("version", text("v1"));
    let created = world().declared("db").secret("app/db", &[("created", Value::Time(ago(45))), version.clone()]).plan();
    let neither = world().declared("db").secret("app/db", &[version]).plan();
    assert_eq!((actions(&created), actions(&neither)), (vec!["rotate db v1".to_owned()], vec![]));
}

#[test]
fn jitter_is_fixed_by_the_id_and_only_makes_earlier() {
    let due_after = |id: &str| {
        let jitter = |world: &mut World| world.catalog.credentials.get_mut(id).unwrap().policy.jitter = Limit::days(10);
        let plan = world().aged(id, 45).with(jitter).plan();
        let [Reason::TooOld { due_after, .. }] = reasons(&plan)[..] else { panic!("not due") };
        *due_after
    };
    let ids: Vec<String> = (0..300).map(|number| format!("db-{number}")).collect();
    let first: Vec<Limit> = ids.iter().map(|id| due_after(id)).collect();
    assert_eq!(first, ids.iter().map(|id| due_after(id)).collect::<Vec<_>>());
    assert!(first.iter().all(|limit| (Limit::days(20)..=Limit::days(30)).contains(limit)));
    let mut days = std::collections::BTreeMap::<i64, usize>::new();
    first.iter().for_each(|limit| *days.entry(limit.as_seconds() / Limit::DAY).or_default() += 1);
    // All of them were made at one instant: ten days have thirty each, more or less, and none has the herd.
    assert!(days.len() >= 10 && days.values().all(|due| *due < 60), "{days:?}");
}

#[test]
fn a_half_done_rotation_comes_first_and_is_no_share_of_the_run() {
    let none = |world: &mut World| world.catalog.settings.limits.rotate_percent = 0;
    let pending = Value::Bool(true);
    let plan = world().aged("a", 90).aged("b", 1).aged("c", 1).with(none);
    let plan = plan.fact("b", "slm_pending", pending.clone()).fact("c", "slm_pending", pending).plan();
    assert_eq!(actions(&plan), ["rotate b v-b", "rotate c v-c", "rotate a v-a"]);
    assert_eq!(reasons(&plan)[..2], [&Reason::HalfDone, &Reason::HalfDone]);
}

#[test]
fn a_pending_version_of_aws_is_not_ours() {
    assert_eq!(actions(&world().aged("db", 1).fact("db", "has_pending", Value::Bool(true)).plan()), Vec::<String>::new());
}

#[test]
fn a_first_value_that_was_begun_is_half_done() {
    let plan = world().declared("db").secret("app/db", &[("slm_pending", Value::Bool(true))]).plan();
    assert_eq!((actions(&plan), reasons(&plan)), (vec!["rotate db none".to_owned()], vec![&Reason::HalfDone]));
}

#[test]
fn consumers_behind_get_the_current_version_and_others_are_left_alone() {
    let plan = world().aged("db", 1).acknowledged("db", "app", "v-db", "old").acknowledged("db", "worker", "v-db", "v-db").plan();
    assert_eq!((actions(&plan), reasons(&plan)), (vec!["deliver db v-db app".to_owned()], vec![&Reason::NotAdopted]));
    assert_eq!(plan.actions[0].permitted_by, ["may-deliver".into()]);
}

#[test]
fn a_consumer_that_runs_it_from_elsewhere_than_its_store_is_behind() {
    let plan = world().aged("db", 1).acknowledged("db", "worker", "old", "v-db").plan();
    assert_eq!(actions(&plan), ["deliver db v-db worker"]);
}

#[test]
fn consumers_are_brought_up_before_an_old_credential_is_rotated() {
    assert_eq!(actions(&world().aged("db", 90).acknowledged("db", "app", "old", "old").plan()), ["deliver db v-db app"]);
}

#[test]
fn nothing_is_delivered_on_the_strength_of_an_absence() {
    assert_eq!(actions(&world().aged("db", 1).plan()), Vec::<String>::new());
    let another = world().aged("db", 1).acknowledged("web", "app", "old", "old").plan();
    assert_eq!(actions(&another), Vec::<String>::new());
}

#[test]
fn an_incomplete_store_holds_everything_in_it() {
    let cut = Completeness::Incomplete { cause: Unseen::Throttled, detail: "cut off".to_owned() };
    let plan = world().aged("old", 90).declared("new").aged("half", 1).fact("half", "slm_pending", Value::Bool(true));
    let plan = plan.with(|world| world.vault.completeness = cut).plan();
    let unseen = HeldBecause::Unseen("cut off".to_owned());
    assert_eq!(actions(&plan), Vec::<String>::new());
    let lines = ["rotate half v-half", "rotate new none", "rotate old v-old"];
    assert_eq!(held(&plan), lines.map(|line| (line.to_owned(), unseen.clone())));
}

#[test]
fn a_store_nobody_observed_holds_and_is_not_taken_for_empty() {
    let plan = world().declared("db").with(|world| world.vault.source = "other".into()).plan();
    let because = HeldBecause::Unseen("source `local` was not observed".to_owned());
    assert_eq!((actions(&plan), held(&plan)), (vec![], vec![("rotate db none".to_owned(), because)]));
}

#[test]
fn what_no_guard_permits_is_held() {
    let plan = world().aged("db", 90).guards("").plan();
    assert_eq!(held(&plan), [("rotate db v-db".to_owned(), HeldBecause::NothingPermits)]);
}

#[test]
fn a_guard_that_forbids_is_named() {
    let freeze = format!(r#"{GUARDS} @id("freeze") forbid (principal, action == Slm::Action::"rotate", resource);"#);
    let plan = world().aged("db", 90).guards(&freeze).plan();
    assert_eq!(held(&plan), [("rotate db v-db".to_owned(), HeldBecause::Forbidden(vec!["freeze".into()]))]);
    assert_eq!(actions(&plan), Vec::<String>::new());
}

#[test]
fn a_guard_that_fails_holds_even_beside_one_that_permits() {
    let broken =
        format!(r#"{GUARDS} @id("x") forbid (principal, action == Slm::Action::"rotate", resource) when {{ context.gone }};"#);
    let plan = world().aged("db", 90).guards(&broken).plan();
    assert!(matches!(&held(&plan)[..], [(_, HeldBecause::GuardError(error))] if error.contains("gone")), "{:?}", held(&plan));
}

#[test]
fn guards_see_the_owner_the_consumers_and_the_share_so_far() {
    let guard = r#"@id("g") permit (principal, action == Slm::Action::"rotate", resource)
        when { resource.owner == "platform" && resource.consumers == 2 && context.share_percent < 50 };"#;
    let plan = world().aged("a", 90).aged("b", 80).aged("c", 70).aged("d", 60).guards(guard).plan();
    assert_eq!(actions(&plan), ["rotate a v-a", "rotate b v-b"]);
    assert_eq!(plan.held.len(), 2);
}

#[test]
fn the_share_limit_holds_the_youngest() {
    let half = |world: &mut World| world.catalog.settings.limits.rotate_percent = 50;
    let plan = world().aged("a", 60).aged("b", 90).aged("c", 70).aged("d", 80).with(half).plan();
    assert_eq!(actions(&plan), ["rotate b v-b", "rotate d v-d"]);
    let because = HeldBecause::ShareLimit { allowed: 2 };
    assert_eq!(held(&plan), ["rotate a v-a", "rotate c v-c"].map(|line| (line.to_owned(), because.clone())));
}

#[test]
fn one_rotation_is_always_within_the_share() {
    let plan = world().aged("a", 60).aged("b", 90).with(|world| world.catalog.settings.limits.rotate_percent = 1).plan();
    assert_eq!((actions(&plan), plan.held.len()), (vec!["rotate b v-b".to_owned()], 1));
}

#[test]
fn what_is_held_for_its_guard_does_not_use_the_share() {
    let guards = r#"@id("g") permit (principal, action == Slm::Action::"rotate", resource == Slm::Credential::"b");"#;
    let one = |world: &mut World| world.catalog.settings.limits.rotate_percent = 50;
    let plan = world().aged("a", 90).aged("b", 60).with(one).guards(guards).plan();
    assert_eq!(actions(&plan), ["rotate b v-b"]);
}

#[test]
fn a_person_may_ask_for_a_young_credential_and_for_no_other() {
    let plan = world().aged("a", 1).aged("b", 1).with(|world| world.forced.push("b".into())).plan();
    assert_eq!((actions(&plan), reasons(&plan)), (vec!["rotate b v-b".to_owned()], vec![&Reason::Forced]));
}

#[test]
fn the_order_is_half_done_deliver_forced_first_value_then_by_age() {
    let plan = world().aged("a", 40).aged("b", 50).declared("c").aged("d", 1).aged("e", 1).aged("f", 1);
    let plan = plan.fact("f", "slm_pending", Value::Bool(true)).acknowledged("e", "app", "old", "old");
    let plan = plan.with(|world| world.forced.push("d".into())).plan();
    let wanted = ["rotate f v-f", "deliver e v-e app", "rotate d v-d", "rotate c none", "rotate b v-b", "rotate a v-a"];
    assert_eq!(actions(&plan), wanted);
}

#[test]
fn an_action_lists_its_controls_and_their_criteria_sorted() {
    let plan = world().aged("db", 90).plan();
    let action = &plan.actions[0];
    assert_eq!((action.controls.clone(), action.permitted_by.clone()), (vec!["ROT-01".into()], vec!["may-rotate".into()]));
    assert_eq!(action.criteria, [("hipaa".into(), "164.312(d)".into()), ("soc2".into(), "CC6.1".into())]);
}

#[test]
fn the_same_world_gives_the_same_bytes_however_it_was_built() {
    let ids = ["a", "b", "c", "d", "e", "f", "g"];
    let build = |turn: usize| {
        let mut world = world();
        for at in 0..ids.len() {
            let at = (at * (turn % 6 + 1) + turn) % ids.len();
            world = world.aged(ids[at], 31 + at as i64 % 3).acknowledged(ids[at], "app", "old", if at == 0 { "x" } else { "v" });
        }
        let world = world
            .with(|world| std::sync::Arc::make_mut(&mut world.consumers.resources).retain(|it| it.text("running") == Some("x")));
        serde_json::to_vec(&world.plan()).unwrap()
    };
    assert!((1..10).all(|turn| build(turn) == build(0)));
}

/// How far the rotation of `db` has come, in place of `random` with a kind that leaves something behind.
fn standing_with(days: i64, facts: &[(&str, Value)]) -> Standing {
    lingering_with(days, Limit::seconds(0), facts)
}

/// The same, where a consumer goes on for `stale` with what it had.
fn lingering_with(days: i64, stale: Limit, facts: &[(&str, Value)]) -> Standing {
    let world = world().aged("db", days).with(|world| {
        let key = IamAccessKey { user: "u".to_owned(), source: None, exclusive: true };
        let credential = world.catalog.credentials.get_mut(&CredentialId::from("db")).unwrap();
        credential.rotator = RotatorConfig::AwsIamAccessKey(key);
        credential.consumers.iter_mut().for_each(|consumer| consumer.max_staleness = stale);
    });
    let mut all: Vec<(Arc<str>, Value)> = vec![("credential".into(), text("db")), ("generation".into(), text("v-db"))];
    all.extend(facts.iter().map(|(name, value)| (Arc::from(*name), value.clone())));
    world.standing("db", Resource::new("db".into(), all))
}

#[test]
fn the_phase_of_a_credential_follows_from_what_was_noted() {
    let open = ("open", Value::Bool(true));
    let at = |days| Value::Time(ago(days));
    let stands = |days, facts: &[(&str, Value)]| {
        let standing = standing_with(days, facts);
        (standing.phase, standing.until)
    };
    let shut = ("open", Value::Bool(false));
    assert_eq!(stands(1, std::slice::from_ref(&shut)), (Phase::Done, None));
    assert_eq!(stands(31, &[shut]), (Phase::Due, None));
    assert_eq!(stands(1, &[]), (Phase::Unseen, None), "whether anything is left is not known");
    assert_eq!(stands(1, std::slice::from_ref(&open)), (Phase::Retiring, None));
    let lease = Limit::seconds(3600);
    assert_eq!(stands(1, &[open.clone(), ("promoted", at(1))]), (Phase::Retiring, Some(lease.after(ago(1)))));
    let soaking = [open.clone(), ("promoted", at(3)), ("disabled", at(1))];
    assert_eq!(stands(3, &soaking), (Phase::Soaking, Some(now())));
    // What a consumer goes on with counts from when all of them run the new one.
    let lingers = |adopted: &[(&str, Value)]| {
        let facts = [&[open.clone(), ("promoted", at(3))], adopted].concat();
        lingering_with(3, Limit::days(2), &facts).until
    };
    assert_eq!(lingers(&[("adopted", at(1))]), Some(Limit::days(2).after(ago(1))));
    assert_eq!(lingers(&[]), Some(Limit::days(2).after(ago(3))));
}

#[test]
fn what_is_valid_longest_is_the_period_and_what_it_takes_until_it_is_refused() {
    let expected = Limit::seconds(30 * Limit::DAY + 3600 + 4 * 3600);
    assert_eq!(standing_with(1, &[]).max_validity, expected);
}

#[test]
fn what_a_rotation_left_behind_is_finished_before_the_next_and_a_forced_one_ends_it_itself() {
    let of = |forced: bool| {
        let world = world().aged("db", 90).guards(RETIRING).with(|world| {
            let facts =
                vec![("credential".into(), text("db")), ("generation".into(), text("v-db")), ("open".into(), Value::Bool(true))];
            world.rotations = Some(Resource::new("db".into(), facts));
            if forced {
                world.forced.push("db".into());
            }
        });
        actions(&world.plan())
    };
    assert_eq!(of(false), ["finish db v-db"]);
    assert_eq!(of(true), ["rotate db v-db"]);
}

#[test]
fn a_value_that_was_to_come_back_and_is_gone_is_no_rotation_half_done() {
    let of = |restored: bool, forced: bool| {
        let world = world().aged("db", 1).fact("db", "slm_pending", Value::Bool(true)).with(|world| {
            let facts = [
                ("credential", text("db")),
                ("generation", text("v-db")),
                ("open", Value::Bool(false)),
                ("fate", text("rollback")),
                ("restored", Value::Bool(restored)),
            ];
            world.rotations = Some(Resource::new("db".into(), facts.map(|(name, value)| (Arc::from(name), value)).into()));
            world.forced.extend(forced.then(|| "db".into()));
        });
        let plan = world.plan();
        (actions(&plan), reasons(&plan).into_iter().cloned().collect::<Vec<_>>())
    };
    assert_eq!(of(true, false), (vec![], vec![]));
    assert_eq!(of(true, true), (vec!["rotate db v-db".to_owned()], vec![Reason::Forced]), "forward");
    assert_eq!(of(false, false), (vec!["rotate db v-db".to_owned()], vec![Reason::HalfDone]), "an attempt made since");
}

#[test]
fn what_comes_back_is_brought_back_whatever_else_was_begun_or_is_asked_for_and_nothing_is_retired_for_it() {
    for (name, decided, back) in [
        ("fate", "rollback", true),
        ("last", "revive 2026-11-23T00:00:00Z", true),
        ("last", "delete", false),
        ("fate", "retire", false),
    ] {
        let plan = world().aged("db", 90).fact("db", "slm_pending", Value::Bool(true)).with(|world| {
            let facts =
                [("credential", text("db")), ("generation", text("v-db")), ("open", Value::Bool(true)), (name, text(decided))];
            let facts = facts.map(|(name, value)| (Arc::from(name), value));
            world.rotations = Some(Resource::new("db".into(), facts.into()));
            world.forced.push("db".into());
        });
        let plan = plan.plan();
        let (action, reason) = if back { ("finish db v-db", Reason::RolledBack) } else { ("rotate db v-db", Reason::HalfDone) };
        assert_eq!((actions(&plan), reasons(&plan)), (vec![action.to_owned()], vec![&reason]), "{name} {decided}");
        assert_eq!(plan.actions[0].permitted_by, ["may-rotate".into()], "{name} {decided}");
    }
}

const RETIRING: &str = r#"
@id("may-rotate") permit (principal, action == Slm::Action::"rotate", resource);
@id("may-retire") permit (principal, action == Slm::Action::"retire", resource);
"#;

#[test]
fn before_its_first_instant_only_a_person_rotates_it() {
    let of = |not_before: Timestamp, forced: bool| {
        let world = world().aged("db", 90).with(|world| {
            world.catalog.credentials.get_mut(&CredentialId::from("db")).unwrap().policy.not_before = Some(not_before);
            if forced {
                world.forced.push("db".into());
            }
        });
        actions(&world.plan())
    };
    assert_eq!(of(ago(-1), false), Vec::<String>::new());
    assert_eq!(of(now(), false), ["rotate db v-db"]);
    assert_eq!(of(ago(-1), true), ["rotate db v-db"]);
}

#[test]
fn a_rotation_waits_for_its_window_and_a_person_does_not() {
    let of = |windows: &[&str], forced: bool, pending: bool| {
        let mut world = world().aged("db", 90);
        if pending {
            world = world.fact("db", "slm_pending", Value::Bool(true));
        }
        let plan = world.with(|world| {
            let policy = &mut world.catalog.credentials.get_mut(&CredentialId::from("db")).unwrap().policy;
            policy.windows = windows.iter().map(|window| window.parse().unwrap()).collect();
            if forced {
                world.forced.push("db".into());
            }
        });
        let plan = plan.plan();
        (actions(&plan), held(&plan).into_iter().map(|(_, because)| because).collect::<Vec<_>>())
    };
    // It is a Tuesday, midnight UTC.
    let opens = HeldBecause::OutsideWindow { opens: "2026-11-24T08:00:00Z".parse().unwrap() };
    assert_eq!(of(&["Tue 08:00-09:00 UTC"], false, false), (vec![], vec![opens]));
    let rotates = (vec!["rotate db v-db".to_owned()], vec![]);
    assert_eq!(of(&["Tue 08:00-09:00 UTC", "Tue 00:00-01:00 UTC"], false, false), rotates);
    assert_eq!(of(&["Tue 08:00-09:00 UTC"], true, false), rotates);
    assert_eq!(of(&["Tue 08:00-09:00 UTC"], false, true), rotates, "what was begun goes on");
}

#[test]
fn a_freeze_holds_what_is_begun_and_what_is_ended_and_lets_go_on_what_was_begun() {
    let freeze = |world: &mut World| world.catalog.settings.limits.freeze = vec!["2026-11-20/2026-11-30".parse().unwrap()];
    let frozen = HeldBecause::Frozen { until: "2026-12-01T00:00:00Z".parse().unwrap() };
    let plan = world().aged("db", 90).with(freeze).with(|world| world.forced.push("db".into())).plan();
    assert_eq!((actions(&plan), held(&plan)), (vec![], vec![("rotate db v-db".to_owned(), frozen)]));
    let plan = world().aged("db", 90).fact("db", "slm_pending", Value::Bool(true)).with(freeze).plan();
    assert_eq!(actions(&plan), ["rotate db v-db"]);
}

#[test]
fn a_freeze_holds_what_is_ended_and_not_a_roll_back() {
    let world = world().aged("db", 1);
    let mut settings = world.catalog.settings.clone();
    settings.limits.freeze = vec!["2026-11-20/2026-11-30".parse().unwrap()];
    let credential = &world.catalog.credentials[&CredentialId::from("db")];
    let kind = ActionKind::Finish {
        credential: "db".into(),
        secret: credential.secret.clone(),
        generation: "v-db".into(),
        rotation: rotation_id(&"db".into(), Some(&"v-db".into())),
        consumers: Vec::new(),
    };
    let shut = |reason| super::guard::shut(&settings, credential, &kind, &reason, now());
    assert_eq!(shut(Reason::NotRetired), Some(HeldBecause::Frozen { until: "2026-12-01T00:00:00Z".parse().unwrap() }));
    assert_eq!(shut(Reason::RolledBack), None);
}

#[test]
fn a_consumer_that_goes_without_longer_than_it_may_while_others_run_it_holds_the_end_of_the_value_before() {
    let holds = |world: World, at: i64| {
        let promoted =
            [("promoted", Value::Time(ago(at))), ("open", Value::Bool(true))].map(|(name, value)| (Arc::from(name), value));
        let mut facts = promoted.to_vec();
        facts.extend([(Arc::from("credential"), text("db")), (Arc::from("generation"), text("v-db"))]);
        world.standing("db", Resource::new("db".into(), facts)).holding
    };
    let seen = |app: &str| world().aged("db", 20).acknowledged("db", "app", app, app).acknowledged("db", "worker", "v-db", "v-db");
    let late = holds(seen("old"), 2).unwrap();
    assert_eq!((late.consumers, late.since, late.limit), (vec!["app".into()], ago(2), Limit::days(1)));
    assert_eq!(holds(seen("old"), 1).map(|holding| holding.since), Some(ago(1)), "the limit is the last instant");
    assert_eq!(holds(seen("old"), 0), None);
    assert_eq!(holds(seen("v-db"), 2), None);
    let both = world().aged("db", 20).acknowledged("db", "app", "old", "old").acknowledged("db", "worker", "old", "old");
    assert_eq!(holds(both, 2), None, "it is the same for all: nobody is to be split off");
    let longer = seen("old").with(|world| {
        world.catalog.credentials.get_mut(&CredentialId::from("db")).unwrap().gate.adopt_within = Limit::days(3);
    });
    assert_eq!(holds(longer, 2), None);
}

#[test]
fn what_restarts_the_same_workload_is_told_once_with_everybody_it_is_for() {
    let reload = |world: &mut World, id: &str, command: &str| {
        let credential = world.catalog.credentials.get_mut(&CredentialId::from(id)).unwrap();
        let reload = Some(vec!["systemctl".to_owned(), command.to_owned()]);
        credential.consumers[0].kind = ConsumerKind::File(FileConsumer { path: id.to_owned(), reload, ..FileConsumer::default() });
    };
    let of = |commands: [&str; 3]| {
        let world = world().aged("a", 40).aged("b", 40).aged("c", 1).acknowledged("c", "app", "old", "old");
        let world =
            ["a", "b", "c"].into_iter().zip(commands).fold(world, |world, (id, command)| world.with(|it| reload(it, id, command)));
        let plan = world.plan();
        assert_eq!(actions(&plan).len(), 3);
        plan.together.iter().map(crate::model::plan::Together::clone).map(|one| (one.workload, one.credentials)).collect::<Vec<_>>()
    };
    assert_eq!(of(["x", "x", "x"]), [("`systemctl x`".to_owned(), ["a", "b", "c"].map(CredentialId::from).into())]);
    assert_eq!(of(["y", "x", "x"]), [("`systemctl x`".to_owned(), ["b", "c"].map(CredentialId::from).into())]);
    assert_eq!(of(["x", "y", "z"]), []);
    let one = world().aged("a", 40).with(|world| {
        for consumer in &mut world.catalog.credentials.get_mut(&CredentialId::from("a")).unwrap().consumers {
            let (path, reload) = (consumer.id.to_string(), Some(vec!["x".to_owned()]));
            consumer.kind = ConsumerKind::File(FileConsumer { path, reload, ..FileConsumer::default() });
        }
    });
    let told = one.plan().together;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].workload.as_str(), &told[0].credentials[..]), ("`x`", &["a".into()][..]), "of one credential as well");
}

#[test]
fn a_guard_sees_what_a_kind_can_do_and_may_forbid_one_that_replaces_a_value_in_place() {
    let permits = |rule: &str, change: &dyn Fn(&mut Credential)| {
        let text =
            format!(r#"{GUARDS} @id("no") forbid (principal, action == Slm::Action::"rotate", resource) when {{ {rule} }};"#);
        let mut world = world().declared("db").guards(&text);
        change(world.catalog.credentials.get_mut("db").unwrap());
        world.seen(|input| {
            let credential = &input.catalog.credentials[&CredentialId::from("db")];
            super::guard::guard(input.rules, credential, "rotate", super::guard::Share::default(), now())
        })
    };
    let key = |it: &mut Credential| {
        let key = IamAccessKey { user: "u".to_owned(), source: None, exclusive: true };
        (it.rotator, it.secret.source) = (RotatorConfig::AwsIamAccessKey(key), "prod".into());
    };
    let single = || {
        let (issuer, overlap) = (DeclaredIssuer::Client, DeclaredOverlap::Single);
        let caps = ExecCaps { issuer, overlap, max: 2, disable: false, delete: false, reread: false };
        RotatorConfig::Exec(Exec { command: vec!["./rotate".to_owned()], timeout: Limit::seconds(60), env: Vec::new(), caps })
    };
    let in_place = |it: &mut Credential| (it.rotator, it.secret.source) = (single(), "prod".into());
    let forbidden = Err(HeldBecause::Forbidden(vec!["no".into()]));
    let in_prod = "resource.overlap == 1 && resource.verifiable && resource.source == \"prod\"";
    assert_eq!(permits(in_prod, &in_place), forbidden);
    assert_eq!(permits(in_prod, &key), Ok(vec!["may-rotate".into()]));
    assert_eq!(permits(in_prod, &|it| it.rotator = single()), Ok(vec!["may-rotate".into()]), "not in that source");
    for (rule, kind) in [
        (
            "resource.kind == \"aws-iam-access-key\" && resource.issuer == \"server\" && resource.overlap == 2",
            &key as &dyn Fn(&mut _),
        ),
        ("resource.disable && resource.delete && !resource.reread", &key),
        ("resource.kind == \"exec\" && resource.issuer == \"client\" && !resource.disable && !resource.delete", &in_place),
        ("resource.kind == \"random\" && !resource.verifiable && resource.source == \"local\"", &|_| ()),
    ] {
        assert_eq!(permits(rule, kind), forbidden, "{rule}");
        assert_eq!(permits(&format!("!({rule})"), kind), Ok(vec!["may-rotate".into()]), "{rule}");
    }
}
