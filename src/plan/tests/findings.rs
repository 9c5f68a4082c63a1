//! What the assessment asks for beyond declared credentials.

use super::*;

fn unseen(cause: Unseen) -> Because {
    Because::Unseen { cause, detail: "why".to_owned() }
}

fn remedy(remedy: Remedy) -> impl FnOnce(&mut World) {
    move |world| world.catalog.controls.get_mut("ROT-01").unwrap().remedy = remedy
}

#[test]
fn an_undeclared_secret_in_breach_is_proposed_once_for_each_control() {
    let second = |world: &mut World| _ = world.catalog.controls.insert("ROT-02".into(), control("ROT-02"));
    let plan = world().secret("app/db", &[]).with(second).breached("ROT-01", "app/db").breached("ROT-02", "app/db").plan();
    assert_eq!(actions(&plan), ["adopt app/db ROT-01", "adopt app/db ROT-02"]);
    assert!(plan.actions.iter().all(|action| action.reason == Reason::Undeclared && action.permitted_by.is_empty()));
}

#[test]
fn a_declared_secret_in_breach_is_rotated_not_proposed() {
    let plan = world().aged("db", 90).breached("ROT-01", "app/db").plan();
    assert_eq!(actions(&plan), ["rotate db v-db"]);
}

#[test]
fn an_overdue_secret_that_aws_rotates_is_for_a_person() {
    let plan = world().secret("app/db", &[("rotation_enabled", Value::Bool(true))]).breached("ROT-01", "app/db").plan();
    assert_eq!(actions(&plan), ["escalate ROT-01 app/db security"]);
    assert_eq!(plan.actions[0].reason, Reason::NonCompliant);
}

#[test]
fn what_is_no_secret_is_escalated_not_adopted() {
    let keys = |world: &mut World| world.vault.entity = "Aws::AccessKey".into();
    assert_eq!(actions(&world().with(keys).breached("ROT-01", "AKIA1").plan()), ["escalate ROT-01 AKIA1 security"]);
}

#[test]
fn the_remedy_of_the_control_decides() {
    for (wanted, how) in [("collect ROT-01", Remedy::Collect), ("escalate ROT-01 app/db security", Remedy::Escalate)] {
        assert_eq!(actions(&world().secret("app/db", &[]).with(remedy(how)).breached("ROT-01", "app/db").plan()), [wanted]);
    }
}

#[test]
fn what_is_compliant_excepted_or_out_of_scope_asks_for_nothing() {
    for status in [Status::Compliant, Status::Excepted, Status::NotApplicable] {
        let plan = world().secret("app/db", &[]).judged("ROT-01", "app/db", status, Because::OutOfScope).plan();
        assert_eq!(actions(&plan), Vec::<String>::new(), "{status:?}");
    }
}

#[test]
fn a_stale_or_broken_off_gap_is_collected_again_with_its_reason() {
    for because in [Because::Stale, unseen(Unseen::Throttled), Because::Missing(vec!["created".into()])] {
        let plan = world().gap("ROT-01", because.clone()).plan();
        assert_eq!(actions(&plan), ["collect ROT-01"], "{because:?}");
        assert_eq!(plan.actions[0].reason, Reason::NoEvidence("why".to_owned()));
    }
}

#[test]
fn a_gap_no_collector_can_close_is_not_collected() {
    let needs = |world: &mut World| world.catalog.controls.get_mut("ROT-01").unwrap().needs = Some("a collector".to_owned());
    assert_eq!(actions(&world().with(needs).gap("ROT-01", Because::Stale).plan()), Vec::<String>::new());
    assert_eq!(actions(&world().gap("ROT-01", unseen(Unseen::NotCollected)).plan()), Vec::<String>::new());
}

#[test]
fn what_changes_nothing_outside_comes_last_and_asks_no_guard() {
    let plan = world().guards("").secret("app/x", &[]).breached("ROT-01", "app/x").gap("ROT-01", Because::Stale).plan();
    assert_eq!(actions(&plan), ["collect ROT-01", "adopt app/x ROT-01"]);
}
