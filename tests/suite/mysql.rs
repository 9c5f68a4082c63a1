//! Accounts on a real MySQL server: in turn, with two passwords, and in place, under load, cut off at every effect.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use serde_json::json;
use slm::model::id::VersionId;
use slm::model::names;
use slm::model::outcome::Fate;
use slm::model::rotator::{MysqlAccount, MysqlAlternating, NewPassword, RotatorConfig};
use slm::model::secret::Secret;
use slm::model::time::Limit;
use slm::rotators::mysql_alternating::AlternatingAccounts;
use slm::rotators::mysql_dual::DualPassword;
use slm::rotators::mysql_password::AccountPassword;
use slm::transport::mysql::Mysql;
use slm::world::{ErrorClass, KeyChange, Rotator, SecretStore as _, Target, Trial};

use crate::mysql_server::{Database, connect, enter};
use crate::postgres::{Load, active, known_to_the_vault, swept, under_load, user};
use crate::postgres_server::{Cut, Rig};

fn database(server: &Database) -> Mysql {
    Mysql::new(&server.declared(), Some(Secret::new(server.admin().into_bytes())))
}

fn alternating(server: &Database, end_sessions_idle_for: Option<Limit>) -> Rig<AlternatingAccounts> {
    let declared = MysqlAlternating {
        users: ["app_a".to_owned(), "app_b".to_owned()],
        account_host: "%".to_owned(),
        role: "app_rw".to_owned(),
        server: server.declared(),
        password: NewPassword::default(),
        probe: Some("select 1".to_owned()),
        end_sessions_idle_for,
    };
    Rig::new(AlternatingAccounts::new(&declared, database(server)), RotatorConfig::MysqlAlternating(declared))
}

fn account(server: &Database) -> MysqlAccount {
    let account_host = "%".to_owned();
    MysqlAccount { user: "app".to_owned(), account_host, server: server.declared(), password: NewPassword::default(), probe: None }
}

fn single(server: &Database) -> Rig<AccountPassword> {
    let declared = account(server);
    Rig::new(AccountPassword::new(&declared, database(server)), RotatorConfig::MysqlPassword(declared))
}

fn dual(server: &Database) -> Rig<DualPassword> {
    let declared = account(server);
    Rig::new(DualPassword::new(&declared, database(server)), RotatorConfig::MysqlDual(declared))
}

/// An account with a password that somebody set by hand, which is in force.
async fn by_hand<K: Rotator + Target>(server: &Database, rig: &Rig<K>) -> Secret {
    server.run("create user app identified by 'by-hand' attribute '{\"team\": \"shop\"}'").await;
    server.run("grant app_rw to app").await;
    server.run("set default role all to app").await;
    let value = Secret::new(br#"{"username":"app","password":"by-hand"}"#.to_vec());
    rig.vault.put(&rig.credential.secret, &"hand".into(), &value).await.unwrap();
    rig.vault.promote(&rig.credential.secret, None, &"hand".into()).await.unwrap();
    value
}

/// Everybody may use the database.
const OPEN: [&str; 2] = ["--mandatory-roles=app_rw", "--activate-all-roles-on-login=ON"];

/// Which password of its account a value is.
fn version(value: &Secret) -> String {
    serde_json::from_slice::<serde_json::Value>(value.expose()).unwrap()["version"].as_str().unwrap().to_owned()
}

/// Nothing the server wrote down has a password of the vault, however much of it is written.
async fn untold<K: Rotator + Target>(server: &Database, rig: &Rig<K>, statement: &str) {
    let log = server.log();
    assert!(log.contains(statement) && log.contains("$A$005$"));
    for version in rig.vault.describe(&rig.credential.secret).await.unwrap().versions.keys().filter(|id| id.as_str() != "hand") {
        let value: serde_json::Value = serde_json::from_slice(rig.value(version).await.expose()).unwrap();
        assert!(!log.contains(value["password"].as_str().unwrap()));
    }
}

async fn verified<K: Rotator + Target>(rig: &Rig<K>, version: &VersionId) -> bool {
    rig.kind.verify(&rig.value(version).await).await.unwrap() == Trial::Accepted
}

#[tokio::test]
async fn accounts_take_turns_share_what_they_make_and_no_password_reaches_a_log() {
    let Some(server) = Database::start(&["--log-bin=replicated"]) else { return };
    let rig = alternating(&server, None);
    let mut versions = Vec::new();
    for (turn, name) in ["app_a", "app_b", "app_a"].into_iter().enumerate() {
        let version = rig.rotate().await;
        let value = rig.value(&version).await;
        assert_eq!((user(&value).as_str(), active(&rig.kind).await), (name, vec![name.to_owned()]));
        assert_eq!(std::fs::read(rig.file()).unwrap(), value.expose());
        // What one of them makes is the other's to use.
        let mut conn = connect(value.expose()).await.unwrap();
        conn.query_drop(format!("create table t{turn} (n int)")).await.unwrap();
        for before in 0..turn {
            conn.query_drop(format!("insert into t{before} (n) values (1)")).await.unwrap();
            conn.query_drop(format!("alter table t{before} add c{turn} int")).await.unwrap();
        }
        conn.disconnect().await.unwrap();
        versions.push(version);
    }
    // The first value of `app_a` is not its value any more, and that of `app_b` is of an account that is locked.
    for old in &versions[..2] {
        assert!(!verified(&rig, old).await);
    }
    // A run that stood still since the first rotation loses.
    let (first, second) = (&versions[0], &versions[1]);
    let late = rig.kind.install(&rig.value(first).await, first, None).await.unwrap_err();
    assert_eq!(late.class, ErrorClass::Conflict, "{late}");
    // Nor does one bring back an account that was locked; the version in force again is no change.
    let late = rig.kind.install(&rig.value(second).await, second, Some(first)).await.unwrap_err();
    assert_eq!((late.class, active(&rig.kind).await), (ErrorClass::Conflict, vec!["app_a".to_owned()]), "{late}");
    assert!(late.cause.contains("locked since: `ALTER USER 'app_b'@'%' ACCOUNT UNLOCK` lets it in again"), "{late}");
    rig.kind.install(&rig.value(&versions[2]).await, &versions[2], None).await.unwrap();
    // A run that had decided to disable what was there before does not disable what is there now.
    let late = rig.kind.change(&"app_a".into(), Some(first), KeyChange::Disable).await.unwrap_err();
    assert_eq!((late.class, active(&rig.kind).await), (ErrorClass::Conflict, vec!["app_a".to_owned()]), "{late}");
    assert!(verified(&rig, &versions[2]).await);
    untold(&server, &rig, "alter user 'app_a'@'%'").await;
}

#[tokio::test]
async fn an_account_that_is_no_longer_declared_is_not_taken_for_refused_while_it_is_let_in() {
    let Some(server) = Database::start(&OPEN) else { return };
    let mut rig = alternating(&server, None);
    let old = rig.rotate().await;
    let action = rig.rotation(Some(old));
    rig.credential.policy.lease = Limit::days(1);
    let (outcome, _) = rig.drive(&action, Cut::default()).await;
    assert!(matches!(outcome.fate, Fate::Waiting(_)), "{outcome:?}");
    rig.credential.policy.lease = Limit::seconds(0);
    let RotatorConfig::MysqlAlternating(mut declared) = rig.credential.rotator.clone() else { unreachable!() };
    declared.users = ["app_b".to_owned(), "app_c".to_owned()];
    rig.kind = AlternatingAccounts::new(&declared, database(&server));
    let (outcome, _) = rig.drive(&action, Cut::default()).await;
    let Fate::Blocked(said) = &outcome.fate else { panic!("{outcome:?}") };
    assert!(said.contains("it is let in as an account that is not declared; end it there") && !said.contains("app_a"), "{said}");
    assert!(outcome.events.iter().all(|event| !["refused", "done"].contains(&event.step.as_str())), "{outcome:?}");
    server.run("alter user app_a account lock").await;
    assert_eq!(rig.drive(&action, Cut::default()).await.0.fate, Fate::Done);
}

#[tokio::test]
async fn only_declared_accounts_are_touched_and_a_name_is_never_more_than_a_name() {
    let Some(server) = Database::start(&OPEN) else { return };
    let rig = alternating(&server, None);
    let value = json!({ "username": "boss", "password": "stolen", "host": "elsewhere", "port": 1, "dbname": "x" });
    let value = Secret::new(value.to_string().into_bytes());
    assert_eq!(rig.kind.verify(&value).await.unwrap(), Trial::Refused("its account is not declared".to_owned()));
    assert_eq!(rig.kind.install(&value, &"v".into(), None).await.unwrap_err().class, ErrorClass::Permanent);
    assert_eq!(rig.kind.change(&"boss".into(), None, KeyChange::Disable).await.unwrap_err().class, ErrorClass::Permanent);
    server.run("create user bystander").await;
    let odd = MysqlAccount { user: r"a\'; drop user bystander".to_owned(), ..account(&server) };
    let rig = Rig::new(AccountPassword::new(&odd, database(&server)), RotatorConfig::MysqlPassword(odd));
    let version = rig.rotate().await;
    assert!(verified(&rig, &version).await);
    server.run("alter user bystander account lock").await;
}

#[tokio::test]
async fn an_open_session_holds_the_end_of_its_account_up_unless_idle_ones_are_ended() {
    let Some(server) = Database::start(&[]) else { return };
    let mut rig = alternating(&server, None);
    let first = rig.rotate().await;
    let mut session = connect(rig.value(&first).await.expose()).await.unwrap();
    rig.credential.gate.quiet = Limit::days(1).into();
    let action = rig.rotation(Some(first));
    let (outcome, _) = rig.drive(&action, Cut::default()).await;
    assert!(matches!(&outcome.fate, Fate::Waiting(why) if why.contains("1 session")), "{:?}", outcome.fate);
    assert_eq!(active(&rig.kind).await, ["app_a", "app_b"]);
    session.query_drop("select 1").await.unwrap();
    let impatient = alternating(&server, Some(Limit::seconds(0)));
    let rig = Rig { kind: impatient.kind, ..rig };
    let (outcome, _) = rig.drive(&action, Cut::default()).await;
    assert_eq!(outcome.fate, Fate::Done);
    assert_eq!(active(&rig.kind).await, ["app_b"]);
    assert!(session.query_drop("select 1").await.is_err());
}

/// Accounts that were there before slm, with a password that somebody uses.
#[tokio::test]
async fn of_accounts_in_turn_none_that_somebody_logs_in_as_is_given_another_password() {
    let Some(server) = Database::start(&OPEN) else { return };
    server.run("create user app_a identified by 'by-hand'").await;
    let rig = alternating(&server, None);
    let by_hand = Secret::new(br#"{"username":"app_a","password":"by-hand"}"#.to_vec());
    let (outcome, _) = rig.drive(&rig.rotation(None), Cut::default()).await;
    let Fate::Blocked(error) = outcome.fate else { panic!("{:?}", outcome.fate) };
    let says =
        "slm did not set the password of `app_a`, and who logs in by it would be locked out; `ALTER USER 'app_a'@'%' ACCOUNT LOCK`";
    assert!(error.to_string().contains(says), "{error}");
    let made = rig.kind.install(&by_hand, &"late".into(), Some(&"unset".into())).await.unwrap_err();
    assert!(made.class == ErrorClass::Conflict && made.cause.contains(says), "{made}");
    assert_eq!(rig.kind.verify(&by_hand).await.unwrap(), Trial::Accepted);
    server.run("alter user 'app_a'@'%' account lock").await;
    let version = rig.rotate().await;
    assert_eq!(rig.kind.verify(&rig.value(&version).await).await.unwrap(), Trial::Accepted);
    assert!(matches!(rig.kind.verify(&by_hand).await.unwrap(), Trial::Refused(_)));
}

#[tokio::test]
async fn a_server_that_does_not_tell_who_is_logged_in_is_not_taken_for_an_empty_one() {
    let Some(server) = Database::start(&["--performance-schema=OFF"]) else { return };
    server.run("create user app_a").await;
    let error = alternating(&server, None).kind.list().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.cause.contains("`performance_schema` is off"), "{error}");
}

#[tokio::test]
async fn two_passwords_overlap_and_the_old_one_is_refused_in_the_end() {
    let Some(server) = Database::start(&["--log-bin=replicated"]) else { return };
    let mut rig = dual(&server);
    let old = by_hand(&server, &rig).await;
    rig.credential.consumers[0].max_staleness = Limit::days(1);
    let action = rig.rotation(Some("hand".into()));
    let (outcome, _) = rig.drive(&action, Cut::default()).await;
    assert!(matches!(outcome.fate, Fate::Waiting(_)), "{:?}", outcome.fate);
    let first = rig.generation().await.unwrap();
    assert_eq!(active(&rig.kind).await, [first.as_str(), "unset"]);
    assert!(verified(&rig, &first).await && rig.kind.verify(&old).await.unwrap() == Trial::Accepted);
    rig.credential.consumers[0].max_staleness = Limit::seconds(0);
    let second = rig.rotate().await;
    assert_eq!(active(&rig.kind).await, [second.as_str()]);
    assert!(verified(&rig, &second).await && !verified(&rig, &first).await);
    assert!(matches!(rig.kind.verify(&old).await.unwrap(), Trial::Refused(_)));
    // A run that stood still since the first rotation loses, and the attributes of others stay.
    let late = rig.kind.install(&rig.value(&first).await, &first, None).await.unwrap_err();
    assert_eq!(late.class, ErrorClass::Conflict, "{late}");
    assert!(verified(&rig, &second).await);
    let team = "select json_extract(user_attributes, '$.metadata.team') from mysql.user where user = 'app'";
    assert_eq!(server.told(team).await, "\"shop\"");
    untold(&server, &rig, "retain current password").await;
}

#[tokio::test]
async fn a_rejected_attempt_makes_way_and_never_takes_the_password_in_force_with_it() {
    let Some(server) = Database::start(&OPEN) else { return };
    let rig = dual(&server);
    let first = rig.rotate().await;
    let current = rig.value(&first).await;
    let attempt = async |n| {
        let slot = names::slot(&rig.credential.secret, Some(&first), n);
        let fresh = rig.kind.create(&slot, Some(&current)).await.unwrap();
        assert_eq!(fresh.key.as_ref().unwrap().as_str(), slot.as_str());
        (slot, fresh.value)
    };
    let (bad, better, best) = (attempt(0).await, attempt(1).await, attempt(2).await);
    let lets_in = async |value: &Secret| rig.kind.verify(value).await.unwrap() == Trial::Accepted;
    rig.kind.install(&bad.1, &bad.0, None).await.unwrap();
    assert!(lets_in(&bad.1).await && lets_in(&current).await);
    // The next attempt takes the place of the one that was rejected, or the rejected one is discarded: the one in force stays.
    rig.kind.install(&better.1, &better.0, None).await.unwrap();
    assert!(!lets_in(&bad.1).await && lets_in(&better.1).await && lets_in(&current).await);
    rig.kind.change(&better.0.as_str().into(), None, KeyChange::Delete).await.unwrap();
    assert!(!lets_in(&better.1).await && lets_in(&current).await);
    assert_eq!(active(&rig.kind).await, [first.as_str()]);
    // Neither comes back, by whatever run; another may.
    for (slot, value) in [&bad, &better] {
        assert_eq!(rig.kind.install(value, slot, None).await.unwrap_err().class, ErrorClass::Conflict);
    }
    rig.kind.install(&best.1, &best.0, None).await.unwrap();
    assert!(lets_in(&best.1).await && lets_in(&current).await);
    // The same again is no change, and the last password cannot be discarded.
    rig.kind.install(&best.1, &best.0, None).await.unwrap();
    rig.kind.change(&first.as_str().into(), None, KeyChange::Delete).await.unwrap();
    rig.kind.change(&first.as_str().into(), None, KeyChange::Delete).await.unwrap();
    assert!(lets_in(&best.1).await && !lets_in(&current).await);
    assert_eq!(rig.kind.change(&best.0.as_str().into(), None, KeyChange::Delete).await.unwrap_err().class, ErrorClass::Permanent);
    assert!(lets_in(&best.1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_at_one_account_take_turns_and_one_of_them_loses() {
    let Some(server) = Database::start(&OPEN) else { return };
    let rig = single(&server);
    let first = rig.rotate().await;
    let attempt = async |name: &str| {
        let slot = VersionId::from(name);
        let value = rig.kind.create(&slot, None).await.unwrap().value;
        (slot, value)
    };
    let (a, b) = (attempt("a").await, attempt("b").await);
    let (one, other) = tokio::join!(rig.kind.install(&a.1, &a.0, Some(&first)), rig.kind.install(&b.1, &b.0, Some(&first)));
    let (won, lost) = if one.is_ok() { (&a, other) } else { (&b, one) };
    assert_eq!(lost.unwrap_err().class, ErrorClass::Conflict);
    assert_eq!(rig.kind.verify(&won.1).await.unwrap(), Trial::Accepted);
}

fn figure(name: &str, value: u128, unit: &str, against: &str) -> String {
    json!({ "figure": name, "value": value, "unit": unit, "against": against }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_accounts_in_turn_fail_no_login() {
    let Some(server) = Database::start(&[]) else { return };
    let mut rig = alternating(&server, None);
    // A client may have read the file just before it changed.
    rig.credential.consumers[0].max_staleness = Limit::seconds(1);
    let Load { failed, logins, .. } = under_load(&rig, enter).await;
    println!(
        "{}",
        figure("mysql.alternating.failed_logins", failed.into(), "logins", &format!("{logins} logins during 3 rotations"))
    );
    assert_eq!(failed, 0, "of {logins}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_two_passwords_fail_no_login() {
    let Some(server) = Database::start(&[]) else { return };
    let mut rig = dual(&server);
    by_hand(&server, &rig).await;
    rig.credential.consumers[0].max_staleness = Limit::seconds(1);
    let Load { failed, logins, .. } = under_load(&rig, enter).await;
    println!("{}", figure("mysql.dual.failed_logins", failed.into(), "logins", &format!("{logins} logins during 3 rotations")));
    assert_eq!(failed, 0, "of {logins}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_a_password_in_place_leaves_a_short_gap() {
    let Some(server) = Database::start(&[]) else { return };
    let rig = single(&server);
    by_hand(&server, &rig).await;
    let Load { logins, gap, .. } = under_load(&rig, enter).await;
    let against = format!("the longest of 3 rotations, {logins} logins; two passwords leave 0");
    println!("{}", figure("mysql.single.gap_ms", gap.as_millis(), "ms", &against));
    assert!(gap < Duration::from_secs(10), "{gap:?}");
}

#[tokio::test]
async fn accounts_in_turn_cut_off_anywhere_never_stop_the_application_and_end_as_one() {
    let Some(server) = Database::start(&[]) else { return };
    let effects = swept(&alternating(&server, None), user, still_runs).await;
    assert!(effects >= 12, "{effects}");
}

#[tokio::test]
async fn two_passwords_cut_off_anywhere_never_stop_the_application_and_end_as_one() {
    let Some(server) = Database::start(&[]) else { return };
    let rig = dual(&server);
    by_hand(&server, &rig).await;
    let effects = swept(&rig, version, still_runs).await;
    assert!(effects >= 12, "{effects}");
}

/// The value in force and the one the application has are let in.
async fn still_runs<K: Rotator + Target>(rig: &Rig<K>) {
    assert!(verified(rig, &rig.generation().await.unwrap()).await);
    assert!(enter(std::fs::read(rig.file()).unwrap()).await);
}

#[tokio::test]
async fn a_password_in_place_cut_off_anywhere_is_never_lost() {
    let Some(server) = Database::start(&OPEN) else { return };
    let effects = swept(&single(&server), user, known_to_the_vault).await;
    assert!(effects >= 9, "{effects}");
}

#[tokio::test]
async fn an_account_that_has_a_password_already_is_taken_over_in_place() {
    let Some(server) = Database::start(&[]) else { return };
    let rig = single(&server);
    let old = by_hand(&server, &rig).await;
    let version = rig.rotate().await;
    assert!(verified(&rig, &version).await);
    assert!(matches!(rig.kind.verify(&old).await.unwrap(), Trial::Refused(_)));
}
