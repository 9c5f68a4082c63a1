//! What holds a rotation for want of rights in a database, right by right.

use super::*;
use crate::model::preflight::{Check, Code, Obstacle, Sighting};
use crate::model::rights::{MysqlRights, PostgresRights, PostgresRole, Rights, Sessions};
use crate::model::rotator::{
    MysqlAccount, MysqlAlternating, MysqlServer, NewPassword, PostgresAlternating, PostgresPassword, PostgresServer, SslMode,
};

/// The plan of a database credential that is due, whose administrator was `seen` so.
fn plan(rotator: RotatorConfig, seen: Result<Rights, &str>) -> Plan {
    let told = |world: &mut World| {
        let credential = world.catalog.credentials.get_mut("db").unwrap();
        credential.rotator = rotator;
        credential.policy.allow_gap = Some(Limit::days(1));
        world.facts.rights.insert("db".into(), seen.map_err(str::to_owned));
    };
    world().aged("db", 90).with(told).plan()
}

/// What holds it; empty when it is planned.
fn obstacles(plan: &Plan) -> Vec<Obstacle> {
    let found = plan.held.iter().flat_map(|held| match &held.because {
        HeldBecause::Preflight(obstacles) => obstacles.clone(),
        because => panic!("{because:?}"),
    });
    let found: Vec<Obstacle> = found.collect();
    assert_eq!(actions(plan).len(), usize::from(found.is_empty()));
    found
}

fn looked(plan: &Plan) -> &Sighting {
    &plan.preflight.iter().find(|looked| looked.check == Check::Permissions).unwrap().result
}

fn postgres_server() -> PostgresServer {
    let (host, dbname) = ("db".to_owned(), "shop".to_owned());
    PostgresServer { host, port: 5_432, dbname, sslmode: SslMode::Require, admin_env: "PG_ADMIN".to_owned() }
}

fn roles_in_turn(ends: bool) -> RotatorConfig {
    RotatorConfig::PostgresAlternating(PostgresAlternating {
        users: ["app_a", "app_b"].map(str::to_owned),
        owner_role: "app".to_owned(),
        server: postgres_server(),
        password: NewPassword::default(),
        probe: None,
        end_sessions_after: ends.then(|| Limit::days(1)),
    })
}

/// An administrator of `version` that may do what two roles in turn take, and no more.
fn enough(version: i32) -> PostgresRights {
    let role = PostgresRole { admin: version >= 160_000, ..PostgresRole::default() };
    PostgresRights {
        version,
        create_role: true,
        roles: ["app", "app_a", "app_b"].map(|name| (name.to_owned(), role)).into(),
        members: ["app_a", "app_b"].map(|name| (name.to_owned(), "app".to_owned())).into(),
        ..PostgresRights::default()
    }
}

/// What holds two logins in turn that somebody has of `taken`, when a value is in force or not.
fn held_for(taken: &[&str], begun: bool) -> [Vec<Obstacle>; 2] {
    let mut roles = enough(150_000);
    for name in taken {
        roles.roles.get_mut(*name).unwrap().taken = true;
    }
    let accounts = MysqlRights { taken: taken.iter().map(|name| format!("{name}@%")).collect(), ..documented() };
    let held = |kind, rights| {
        let told = |world: &mut World| {
            world.catalog.credentials.get_mut("db").unwrap().rotator = kind;
            world.facts.rights.insert("db".into(), Ok(rights));
        };
        let world = if begun { world().aged("db", 90) } else { world().declared("db") };
        obstacles(&world.with(told).plan())
    };
    [held(roles_in_turn(false), Rights::Postgres(roles)), held(accounts_in_turn(false), Rights::Mysql(accounts))]
}

#[test]
fn a_login_that_somebody_has_is_not_given_a_new_password_at_its_turn() {
    for (taken, begun) in [([].as_slice(), false), (&["app_b"], false), (&["app_b"], true), (&["app_a"], true), (&[], true)] {
        assert_eq!(held_for(taken, begun), [vec![], vec![]], "{taken:?} {begun}");
    }
    for (taken, begun, whose) in [
        (["app_a"].as_slice(), false, "`app_a`"),
        (&["app_a", "app_b"], false, "`app_a`"),
        (&["app_a", "app_b"], true, "whichever of `app_a` and `app_b` is not in force"),
    ] {
        let mut ends = [r#"`ALTER ROLE "app_"#, "`ALTER USER 'app_"].into_iter();
        for found in held_for(taken, begun) {
            let [one] = found.as_slice() else { panic!("{found:?}") };
            let says = format!("slm did not set the password of {whose}, and who logs in by it would be locked out");
            assert_eq!((one.code, &one.found), (Code::LoginTaken, &says));
            let end = ends.next().unwrap();
            assert!(one.next.contains(end) && one.next.contains("that nobody does"), "{}", one.next);
            assert_eq!(one.next.contains("store the value of whoever does as the first one of `"), !begun, "{}", one.next);
        }
    }
}

/// What is denied at a server of `version` when `enough` is changed so.
fn denied(version: i32, ends: bool, change: impl FnOnce(&mut PostgresRights)) -> String {
    let mut rights = enough(version);
    change(&mut rights);
    let plan = plan(roles_in_turn(ends), Ok(Rights::Postgres(rights)));
    let found = obstacles(&plan);
    assert!(found.iter().all(|one| one.code == Code::NotPermitted), "{found:?}");
    found.first().map(|one| one.found.replace("who `PG_ADMIN` logs in as may not ", "")).unwrap_or_default()
}

#[test]
fn a_role_is_altered_by_who_may_create_roles_and_from_16_on_has_it_with_admin_option() {
    let both = "alter role `app_a`, alter role `app_b`";
    let no_option = |rights: &mut PostgresRights| rights.roles.values_mut().for_each(|role| role.admin = false);
    let no_right = |rights: &mut PostgresRights| rights.create_role = false;
    for version in [150_018, 160_000, 170_002] {
        assert_eq!(denied(version, false, |_| {}), "", "{version}");
        assert_eq!(denied(version, false, no_right), both, "{version}");
        let any =
            |rights: &mut PostgresRights| (rights.superuser, rights.create_role, rights.roles) = (true, false, enough(0).roles);
        assert_eq!(denied(version, true, any), "", "a superuser may anything: {version}");
    }
    assert_eq!(denied(150_018, false, no_option), "");
    assert_eq!(denied(160_000, false, no_option), both);
}

#[test]
fn what_is_mightier_than_the_administrator_is_not_altered_by_it() {
    let as_a = |change: fn(&mut PostgresRole)| move |rights: &mut PostgresRights| change(rights.roles.get_mut("app_a").unwrap());
    for version in [150_018, 160_000] {
        assert_eq!(denied(version, false, as_a(|role| role.superuser = true)), "alter role `app_a`", "{version}");
    }
    assert_eq!(denied(150_018, false, as_a(|role| role.replication = true)), "alter role `app_a`");
    assert_eq!(denied(160_000, false, as_a(|role| role.replication = true)), "");
}

#[test]
fn what_is_missing_will_be_made_by_who_may_and_is_told() {
    let fresh = |rights: &mut PostgresRights| {
        rights.roles.remove("app_a");
        rights.members.clear();
    };
    let mut rights = enough(160_000);
    fresh(&mut rights);
    let planned = plan(roles_in_turn(false), Ok(Rights::Postgres(rights.clone())));
    assert_eq!(obstacles(&planned), []);
    let seen = "5 of 5 steps permitted to who `PG_ADMIN` logs in as; role `app_a` is not there yet and will be made; \
        `app_a` is no member of `app` yet and will be; `app_b` is no member of `app` yet and will be";
    assert_eq!(looked(&planned), &Sighting::Seen(seen.to_owned()));
    let weak = |rights: &mut PostgresRights| {
        fresh(rights);
        rights.create_role = false;
        rights.roles.values_mut().for_each(|role| role.admin = false);
    };
    let want = "create role `app_a`, grant `app` to `app_a`, alter role `app_b`, grant `app` to `app_b`";
    assert_eq!(denied(160_000, false, weak), want);
    rights.roles.remove("app");
    let found = obstacles(&plan(roles_in_turn(false), Ok(Rights::Postgres(rights))));
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), [Code::NoSuchUser]);
    assert!(found[0].next.contains("create role app nologin") && found[0].next.contains("`credentials/db.toml`"), "{found:?}");
}

#[test]
fn sessions_that_are_to_be_ended_are_seen_and_ended_by_who_may() {
    let all = "see since when sessions of `app_a` are open, end sessions of `app_a`, \
        see since when sessions of `app_b` are open, end sessions of `app_b`";
    assert_eq!(denied(150_018, true, |_| {}), all);
    assert_eq!(denied(150_018, true, |rights| (rights.sees_all, rights.ends_all) = (true, true)), "");
    assert_eq!(denied(150_018, true, |rights| rights.roles.values_mut().for_each(|role| role.used = true)), "");
    let one = |rights: &mut PostgresRights| {
        (rights.sees_all, rights.ends_all) = (true, true);
        rights.roles.get_mut("app_a").unwrap().superuser = true;
    };
    assert_eq!(denied(150_018, true, one), "alter role `app_a`, end sessions of `app_a`");
}

#[test]
fn a_standby_takes_no_change_and_a_server_that_was_not_seen_holds_nothing() {
    assert_eq!(denied(150_018, false, |rights| rights.standby = true), "change anything at a standby");
    let planned = plan(roles_in_turn(false), Err("could not ask db who may change roles: SQLSTATE 57P03"));
    assert_eq!(obstacles(&planned), []);
    assert!(matches!(looked(&planned), Sighting::Unseen(why) if why.contains("57P03")), "{:?}", looked(&planned));
    assert!(Code::NotPermitted.holds_a_leak(), "what may not be done helps nobody at once");
}

#[test]
fn one_role_in_place_asks_for_less_than_two_in_turn() {
    let one =
        PostgresPassword { user: "app_a".to_owned(), server: postgres_server(), password: NewPassword::default(), probe: None };
    let mut rights = enough(160_000);
    rights.roles.remove("app");
    let planned = plan(RotatorConfig::PostgresPassword(one), Ok(Rights::Postgres(rights)));
    assert_eq!(obstacles(&planned), []);
    assert_eq!(looked(&planned), &Sighting::Seen("2 of 2 steps permitted to who `PG_ADMIN` logs in as".to_owned()));
}

fn mysql_server() -> MysqlServer {
    let (host, dbname) = ("db".to_owned(), "shop".to_owned());
    MysqlServer { host, port: 3_306, dbname, sslmode: SslMode::Require, admin_env: "MYSQL_ADMIN".to_owned() }
}

fn accounts_in_turn(ends: bool) -> RotatorConfig {
    RotatorConfig::MysqlAlternating(MysqlAlternating {
        users: ["app_a", "app_b"].map(str::to_owned),
        account_host: "%".to_owned(),
        role: "app".to_owned(),
        server: mysql_server(),
        password: NewPassword::default(),
        probe: None,
        end_sessions_idle_for: ends.then(|| Limit::days(1)),
    })
}

/// An administrator with the privileges that `docs/config.md` names.
fn documented() -> MysqlRights {
    MysqlRights {
        global: ["CREATE USER", "ROLE_ADMIN", "CONNECTION_ADMIN"].map(str::to_owned).into(),
        accounts: Some(["app@%".to_owned()].into()),
        sessions: Sessions::Told,
        ..MysqlRights::default()
    }
}

/// What is denied of accounts in turn whose sessions are ended, when what is documented is changed so.
fn refused(change: impl FnOnce(&mut MysqlRights)) -> String {
    let mut rights = documented();
    change(&mut rights);
    let found = obstacles(&plan(accounts_in_turn(true), Ok(Rights::Mysql(rights))));
    assert!(found.iter().all(|one| one.code == Code::NotPermitted), "{found:?}");
    found.first().map(|one| one.found.replace("who `MYSQL_ADMIN` logs in as may not ", "")).unwrap_or_default()
}

#[test]
fn each_privilege_of_mysql_that_a_step_takes_is_missed_by_name() {
    let without = |name: &'static str| {
        move |rights: &mut MysqlRights| {
            rights.global.remove(name);
        }
    };
    assert_eq!(refused(|_| {}), "");
    assert_eq!(refused(without("CREATE USER")), "create and alter accounts");
    assert_eq!(refused(without("ROLE_ADMIN")), "grant role `app`");
    assert_eq!(refused(without("CONNECTION_ADMIN")), "end sessions");
    assert_eq!(refused(|rights| rights.accounts = None), "read `mysql.user`");
    assert_eq!(refused(|rights| rights.sessions = Sessions::Denied), "see who is logged in");
    assert_eq!(refused(|rights| rights.sessions = Sessions::Off), "see who is logged in");
    let handed = |rights: &mut MysqlRights| {
        rights.global.remove("ROLE_ADMIN");
        rights.admin_of.insert("app@%".to_owned());
    };
    assert_eq!(refused(handed), "", "a role may be handed on by who has it so");
    for (global, want) in [("SUPER", "create and alter accounts"), ("ALL PRIVILEGES", "")] {
        assert_eq!(refused(|rights| rights.global = [global.to_owned()].into()), want, "{global}");
    }
}

#[test]
fn a_server_of_mysql_that_is_read_only_is_changed_by_those_who_run_it_or_nobody() {
    let read_only = "change anything at a server that is read-only";
    assert_eq!(refused(|rights| rights.super_read_only = true), read_only);
    assert_eq!(refused(|rights| rights.read_only = true), "", "CONNECTION_ADMIN writes all the same");
    let weak = |rights: &mut MysqlRights| {
        rights.read_only = true;
        rights.global.remove("CONNECTION_ADMIN");
    };
    assert_eq!(refused(weak), format!("{read_only}, end sessions"));
}

#[test]
fn two_passwords_of_mysql_take_the_right_to_alter_and_to_read_accounts_alone() {
    let account = || MysqlAccount {
        user: "app".to_owned(),
        account_host: "%".to_owned(),
        server: mysql_server(),
        password: NewPassword::default(),
        probe: None,
    };
    let few = MysqlRights { global: ["CREATE USER".to_owned()].into(), accounts: Some([].into()), ..MysqlRights::default() };
    for kind in [RotatorConfig::MysqlDual(account()), RotatorConfig::MysqlPassword(account())] {
        let planned = plan(kind, Ok(Rights::Mysql(few.clone())));
        assert_eq!(obstacles(&planned), []);
        assert_eq!(looked(&planned), &Sighting::Seen("3 of 3 steps permitted to who `MYSQL_ADMIN` logs in as".to_owned()));
    }
    let role =
        obstacles(&plan(accounts_in_turn(false), Ok(Rights::Mysql(MysqlRights { accounts: Some([].into()), ..documented() }))));
    assert_eq!(role.iter().map(|one| one.code).collect::<Vec<_>>(), [Code::NoSuchUser]);
}
