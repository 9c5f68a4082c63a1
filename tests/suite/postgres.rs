//! Login roles on a real PostgreSQL server: in turn and in place, under load, cut off at every effect.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use slm::model::outcome::Fate;
use slm::model::plan::ActionKind;
use slm::model::rotator::{NewPassword, PostgresAlternating, PostgresPassword, RotatorConfig};
use slm::model::secret::Secret;
use slm::model::time::Limit;
use slm::rotators::postgres_alternating::AlternatingRoles;
use slm::rotators::postgres_password::RolePassword;
use slm::transport::postgres::Postgres;
use slm::world::{ErrorClass, KeyChange, Rotator, SecretStore as _, Target, Trial};

use crate::postgres_server::{Cut, Database, Rig, connect, logged_in, login};

fn alternating(server: &Database, end_sessions_after: Option<Limit>) -> Rig<AlternatingRoles> {
    let declared = PostgresAlternating {
        users: ["app_a".to_owned(), "app_b".to_owned()],
        owner_role: "app".to_owned(),
        server: server.declared(),
        password: NewPassword::default(),
        probe: Some("select 1".to_owned()),
        end_sessions_after,
    };
    Rig::new(AlternatingRoles::new(&declared, database(server)), RotatorConfig::PostgresAlternating(declared))
}

fn single(server: &Database) -> Rig<RolePassword> {
    let declared =
        PostgresPassword { user: "app".to_owned(), server: server.declared(), password: NewPassword::default(), probe: None };
    Rig::new(RolePassword::new(&declared, database(server)), RotatorConfig::PostgresPassword(declared))
}

fn database(server: &Database) -> Postgres {
    Postgres::new(&server.declared(), Some(Secret::new(server.admin().into_bytes())))
}

async fn owner(server: &Database) {
    server.as_admin().await.batch_execute("create role app nologin; grant all on schema public to app").await.unwrap();
}

pub fn user(value: &Secret) -> String {
    serde_json::from_slice::<serde_json::Value>(value.expose()).unwrap()["username"].as_str().unwrap().to_owned()
}

/// Roles that may log in.
pub async fn active(kind: &impl Target) -> Vec<String> {
    let keys = kind.list().await.unwrap().keys.into_iter();
    keys.filter(|key| key.active).map(|key| key.id.as_str().to_owned()).collect()
}

#[tokio::test]
async fn roles_take_turns_share_what_they_make_and_no_password_reaches_the_log() {
    let Some(server) = Database::start(&[]) else { return };
    owner(&server).await;
    let rig = alternating(&server, None);
    let mut versions = Vec::new();
    for (turn, name) in ["app_a", "app_b", "app_a"].into_iter().enumerate() {
        let version = rig.rotate().await;
        let value = rig.value(&version).await;
        assert_eq!((user(&value).as_str(), active(&rig.kind).await), (name, vec![name.to_owned()]));
        assert_eq!(std::fs::read(rig.file()).unwrap(), value.expose());
        // What one of them makes is the other's to use.
        let client = connect(&login(value.expose())).await.unwrap();
        client.batch_execute(&format!("create table t{turn} (n int); alter table t{turn} add m int")).await.unwrap();
        for before in 0..turn {
            client
                .batch_execute(&format!("insert into t{before} values (1); alter table t{before} add c{turn} int"))
                .await
                .unwrap();
        }
        versions.push(version);
    }
    // The first value of `app_a` is not its value any more, and that of `app_b` is of a role that may not log in.
    for old in &versions[..2] {
        assert!(matches!(rig.kind.verify(&rig.value(old).await).await.unwrap(), Trial::Refused(_)));
    }
    // A run that stood still since the first rotation loses.
    let (first, second) = (&versions[0], &versions[1]);
    let late = rig.kind.install(&rig.value(first).await, first, None).await.unwrap_err();
    assert_eq!(late.class, ErrorClass::Conflict, "{late}");
    // Nor does one bring back a role that was disabled, although its password is the same; the version in force again is no change.
    let late = rig.kind.install(&rig.value(second).await, second, Some(first)).await.unwrap_err();
    assert_eq!((late.class, active(&rig.kind).await), (ErrorClass::Conflict, vec!["app_a".to_owned()]), "{late}");
    assert!(late.cause.contains("disabled since: `ALTER ROLE \"app_b\" LOGIN` lets it in again"), "{late}");
    rig.kind.install(&rig.value(&versions[2]).await, &versions[2], None).await.unwrap();
    // A run that had decided to disable what was there before does not disable what is there now.
    let late = rig.kind.change(&"app_a".into(), Some(first), KeyChange::Disable).await.unwrap_err();
    assert_eq!((late.class, active(&rig.kind).await), (ErrorClass::Conflict, vec!["app_a".to_owned()]), "{late}");
    assert_eq!(rig.kind.verify(&rig.value(&versions[2]).await).await.unwrap(), Trial::Accepted);
    let log = server.log();
    assert!(log.contains("SCRAM-SHA-256$4096:") && log.contains("COMMENT ON ROLE"));
    for version in rig.vault.describe(&rig.credential.secret).await.unwrap().versions.keys() {
        let value: serde_json::Value = serde_json::from_slice(rig.value(version).await.expose()).unwrap();
        assert!(!log.contains(value["password"].as_str().unwrap()));
    }
}

/// Roles that were there before slm, with a password that somebody uses.
#[tokio::test]
async fn of_roles_in_turn_none_that_somebody_logs_in_as_is_given_another_password() {
    let Some(server) = Database::start(&[]) else { return };
    owner(&server).await;
    let admin = server.as_admin().await;
    admin.batch_execute("create role app_a login password 'by-hand'; create role app_b login password 'by-hand'").await.unwrap();
    let rig = alternating(&server, None);
    let by_hand = |name: &str| Secret::new(format!(r#"{{"username":"{name}","password":"by-hand"}}"#).into_bytes());
    let refused = async |name: &str| {
        let (outcome, _) = rig.drive(&rig.rotation(rig.generation().await), Cut::default()).await;
        let Fate::Blocked(error) = outcome.fate else { panic!("{:?}", outcome.fate) };
        let says = format!("slm did not set the password of `{name}`, and who logs in by it would be locked out");
        assert!(error.to_string().contains(&says), "{error}");
        // One that was made before somebody took the login is not let in either.
        let made = rig.kind.install(&by_hand(name), &"late".into(), Some(&"unset".into())).await.unwrap_err();
        assert!(made.class == ErrorClass::Conflict && made.cause.contains(&says), "{made}");
        for name in ["app_a", "app_b"] {
            assert_eq!(rig.kind.verify(&by_hand(name)).await.unwrap(), Trial::Accepted, "{name}");
        }
        error.split('`').find(|words| words.starts_with("ALTER ROLE")).unwrap().to_owned()
    };
    refused("app_a").await;
    // Whoever uses the first one stores its value; then it is the turn of the other.
    rig.vault.put(&rig.credential.secret, &"hand".into(), &by_hand("app_a")).await.unwrap();
    rig.vault.promote(&rig.credential.secret, None, &"hand".into()).await.unwrap();
    let nobody = refused("app_b").await;
    admin.batch_execute(&nobody).await.unwrap();
    let version = rig.rotate().await;
    assert_eq!((user(&rig.value(&version).await).as_str(), active(&rig.kind).await), ("app_b", vec!["app_b".to_owned()]));
    // It was ended by slm, and takes its turn.
    assert_eq!(user(&rig.value(&rig.rotate().await).await), "app_a");
}

#[tokio::test]
async fn only_declared_roles_are_touched_whatever_a_secret_says() {
    let Some(server) = Database::start(&[]) else { return };
    owner(&server).await;
    let rig = alternating(&server, None);
    let value = json!({ "username": "admin", "password": "stolen", "host": "elsewhere", "port": 1, "dbname": "x" });
    let value = Secret::new(value.to_string().into_bytes());
    // The server of the tests lets its administrator in by any password.
    assert_eq!(rig.kind.verify(&value).await.unwrap(), Trial::Elsewhere("it is let in as a role that is not declared".to_owned()));
    assert_eq!(rig.kind.install(&value, &"v".into(), None).await.unwrap_err().class, ErrorClass::Permanent);
    let changed = rig.kind.change(&"admin".into(), None, KeyChange::Disable).await;
    assert_eq!(changed.unwrap_err().class, ErrorClass::Permanent);
    assert_eq!(logged_in(&server.admin()).await, "admin");
}

/// What became of a rotation that was declared otherwise than the value before.
async fn blocked<K: Rotator + Target>(rig: &Rig<K>, action: &ActionKind) -> String {
    let (outcome, _) = rig.drive(action, Cut::default()).await;
    let ended = outcome.events.iter().any(|event| ["refused", "done"].contains(&event.step.as_str()));
    match outcome.fate {
        Fate::Blocked(why) if !ended => why,
        _ => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn a_role_that_is_no_longer_declared_is_not_taken_for_refused_while_it_is_let_in() {
    let Some(server) = Database::start(&[]) else { return };
    owner(&server).await;
    let mut rig = alternating(&server, None);
    let old = rig.rotate().await;
    let action = rig.rotation(Some(old.clone()));
    rig.credential.policy.lease = Limit::days(1);
    let (outcome, _) = rig.drive(&action, Cut::default()).await;
    assert!(matches!(outcome.fate, Fate::Waiting(_)), "{outcome:?}");
    rig.credential.policy.lease = Limit::seconds(0);
    let RotatorConfig::PostgresAlternating(mut declared) = rig.credential.rotator.clone() else { unreachable!() };
    declared.users = ["app_b".to_owned(), "app_c".to_owned()];
    rig.kind = AlternatingRoles::new(&declared, database(&server));
    let said = blocked(&rig, &action).await;
    assert!(said.contains("it is let in as a role that is not declared; end it there") && !said.contains("app_a"), "{said}");
    assert!(matches!(rig.kind.verify(&rig.value(&old).await).await.unwrap(), Trial::Elsewhere(_)));
    server.as_admin().await.batch_execute("alter role app_a nologin").await.unwrap();
    assert_eq!(rig.drive(&action, Cut::default()).await.0.fate, Fate::Done);
}

#[tokio::test]
async fn what_another_server_lets_in_is_not_taken_for_refused_until_a_person_says_that_it_is_ended() {
    let Some(server) = Database::start(&[]) else { return };
    let mut rig = single(&server);
    let old = rig.rotate().await;
    let mut declared = server.declared();
    assert_eq!(declared.host, "127.0.0.1");
    declared.host = "localhost".to_owned();
    let RotatorConfig::PostgresPassword(config) = rig.credential.rotator.clone() else { unreachable!() };
    let config = PostgresPassword { server: declared.clone(), ..config };
    rig.kind = RolePassword::new(&config, Postgres::new(&declared, Some(Secret::new(server.admin().into_bytes()))));
    let action = rig.rotation(Some(old.clone()));
    let said = blocked(&rig, &action).await;
    let (from, to) = (format!("PostgreSQL at 127.0.0.1:{}", declared.port), format!("PostgreSQL at localhost:{}", declared.port));
    assert!(said.contains(&format!("let in by {from}, and {to} is declared now")), "{said}");
    assert!(said.contains(&format!("add {old} to `ended-elsewhere` of `[policy]`")), "{said}");
    rig.credential.policy.ended_elsewhere.push(old);
    assert_eq!(rig.drive(&action, Cut::default()).await.0.fate, Fate::Done);
}

#[tokio::test]
async fn an_open_session_holds_the_end_of_its_role_up_unless_sessions_are_ended() {
    let Some(server) = Database::start(&[]) else { return };
    owner(&server).await;
    let mut rig = alternating(&server, None);
    let first = rig.rotate().await;
    let session = connect(&login(rig.value(&first).await.expose())).await.unwrap();
    rig.credential.gate.quiet = Limit::days(1).into();
    let action = rig.rotation(Some(first));
    let (outcome, _) = rig.drive(&action, Cut::default()).await;
    assert!(matches!(&outcome.fate, Fate::Waiting(why) if why.contains("1 session")), "{:?}", outcome.fate);
    assert_eq!(active(&rig.kind).await, ["app_a", "app_b"]);
    session.batch_execute("select 1").await.unwrap();
    let impatient = alternating(&server, Some(Limit::seconds(0)));
    let rig = Rig { kind: impatient.kind, ..rig };
    let (outcome, _) = rig.drive(&action, Cut::default()).await;
    assert_eq!(outcome.fate, Fate::Done);
    assert_eq!(active(&rig.kind).await, ["app_b"]);
    assert!(session.batch_execute("select 1").await.is_err());
}

/// What a client met that logged in all the time.
pub struct Load {
    pub failed: u32,
    /// All of them, and with how many values one worked.
    pub logins: u32,
    pub values: usize,
    /// The longest time without one that worked.
    pub gap: Duration,
}

/// Logs in as `enter` does with what is in `file` until `stop`, counting into `worked`.
pub async fn hammer<F: Future<Output = bool>>(
    file: PathBuf,
    (stop, worked): (Arc<AtomicBool>, Arc<AtomicU32>),
    enter: impl Fn(Vec<u8>) -> F,
) -> Load {
    let (mut load, mut values, mut since) = (Load { failed: 0, logins: 0, values: 0, gap: Duration::ZERO }, BTreeSet::new(), None);
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        load.logins += 1;
        let value = std::fs::read(&file).unwrap();
        if enter(value.clone()).await {
            values.insert(value);
            worked.fetch_add(1, Ordering::SeqCst);
            if let Some(since) = since.take() {
                load.gap = load.gap.max(began.duration_since(since));
            }
        } else {
            load.failed += 1;
            since.get_or_insert(began);
        }
        tokio::time::sleep(Duration::from_millis(5).saturating_sub(began.elapsed())).await;
    }
    Load { values: values.len(), ..load }
}

async fn enter(value: Vec<u8>) -> bool {
    connect(&login(&value)).await.is_ok()
}

/// Logins that have to work with each value: as many as make the load one on a busy machine too.
const EACH: u32 = 25;

/// Rotates `rig` three times beside a client that logs in all the time, with each value as often as [`EACH`] says at the least.
pub async fn under_load<K: Rotator + Target, F: Future<Output = bool> + Send + 'static>(
    rig: &Rig<K>,
    enter: impl Fn(Vec<u8>) -> F + Send + 'static,
) -> Load {
    rig.rotate().await;
    let (stop, worked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let client = tokio::spawn(hammer(rig.file(), (Arc::clone(&stop), Arc::clone(&worked)), enter));
    for rotation in 0..4 {
        if rotation > 0 {
            rig.rotate().await;
        }
        let (before, began) = (worked.load(Ordering::SeqCst), Instant::now());
        while worked.load(Ordering::SeqCst) < before + EACH && !client.is_finished() {
            assert!(began.elapsed() < Duration::from_secs(120), "nobody can log in");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let load = client.await.unwrap();
    assert!(load.logins >= 4 * EACH, "{}", load.logins);
    assert_eq!(load.values, 4, "of {} logins", load.logins);
    load
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_roles_in_turn_fail_no_login() {
    let Some(server) = Database::start(&[]) else { return };
    owner(&server).await;
    let mut rig = alternating(&server, None);
    // A client may have read the file just before it changed.
    rig.credential.consumers[0].max_staleness = Limit::seconds(1);
    let Load { failed, logins, .. } = under_load(&rig, enter).await;
    println!(
        "{}",
        json!({ "figure": "pg.alternating.failed_logins", "value": failed, "unit": "logins", "against": format!("{logins} logins during 3 rotations") })
    );
    assert_eq!(failed, 0, "of {logins}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_a_password_in_place_leaves_a_short_gap() {
    let Some(server) = Database::start(&[]) else { return };
    let rig = single(&server);
    let Load { logins, gap, .. } = under_load(&rig, enter).await;
    println!(
        "{}",
        json!({ "figure": "pg.single.gap_ms", "value": gap.as_millis(), "unit": "ms", "against": format!("the longest of 3 rotations, {logins} logins; two roles in turn leave 0") })
    );
    assert!(gap < Duration::from_secs(10), "{gap:?}");
}

/// Cuts a rotation off at each of its effects in turn, and lets the next run go on, to the end of everything but the one of `name`.
pub async fn swept<K: Rotator + Target>(rig: &Rig<K>, name: impl Fn(&Secret) -> String, check: impl AsyncFn(&Rig<K>)) -> usize {
    rig.rotate().await;
    for n in 0.. {
        let mut met = 0;
        // Before an effect is after the one before it.
        for after in if n == 0 { vec![false, true] } else { vec![true] } {
            let action = rig.rotation(rig.generation().await);
            let (outcome, cut) = rig.drive(&action, Cut::at(n, after)).await;
            if !cut {
                assert_eq!(outcome.fate, Fate::Done);
                continue;
            }
            met += 1;
            check(rig).await;
            let (outcome, _) = rig.drive(&action, Cut::default()).await;
            assert!(matches!(outcome.fate, Fate::Done | Fate::AlreadySo), "cut at {n}, after {after}: {:?}", outcome.fate);
            let current = rig.value(&rig.generation().await.unwrap()).await;
            assert_eq!(std::fs::read(rig.file()).unwrap(), current.expose());
            assert_eq!(rig.kind.verify(&current).await.unwrap(), Trial::Accepted);
            assert_eq!(active(&rig.kind).await, [name(&current)]);
        }
        if met == 0 {
            return n;
        }
    }
    unreachable!()
}

#[tokio::test]
async fn roles_in_turn_cut_off_anywhere_never_stop_the_application_and_end_as_one() {
    let Some(server) = Database::start(&[]) else { return };
    owner(&server).await;
    let effects = swept(&alternating(&server, None), user, async |rig: &Rig<AlternatingRoles>| {
        let current = rig.value(&rig.generation().await.unwrap()).await;
        assert_eq!(rig.kind.verify(&current).await.unwrap(), Trial::Accepted);
        let file = std::fs::read(rig.file()).unwrap();
        assert_eq!(logged_in(&login(&file)).await, "app", "the role acts as the owner");
    })
    .await;
    assert!(effects >= 12, "{effects}");
}

#[tokio::test]
async fn a_password_in_place_cut_off_anywhere_is_never_lost() {
    let Some(server) = Database::start(&[]) else { return };
    let effects = swept(&single(&server), user, known_to_the_vault).await;
    assert!(effects >= 9, "{effects}");
}
/// What the server lets in can be found again: it is current, or the attempt that is pending.
pub async fn known_to_the_vault<K: Rotator + Target>(rig: &Rig<K>) {
    let generation = rig.generation().await.unwrap();
    let slot = slm::model::names::slot(&rig.credential.secret, Some(&generation), 0);
    let mut known = false;
    for version in [generation, slot] {
        if let Ok(value) = rig.vault.read(&rig.credential.secret, &version).await {
            known |= rig.kind.verify(&value).await.unwrap() == Trial::Accepted;
        }
    }
    assert!(known, "what the server lets in is neither current nor pending");
}

#[tokio::test]
async fn a_role_that_has_a_password_already_is_taken_over_in_place() {
    let Some(server) = Database::start(&[]) else { return };
    let sql = "create role app login password 'by-hand'; comment on role app is 'of the shop'";
    server.as_admin().await.batch_execute(sql).await.unwrap();
    let rig = single(&server);
    let by_hand = Secret::new(br#"{"username":"app","password":"by-hand"}"#.to_vec());
    let secret = &rig.credential.secret;
    rig.vault.put(secret, &"hand".into(), &by_hand).await.unwrap();
    rig.vault.promote(secret, None, &"hand".into()).await.unwrap();
    let version = rig.rotate().await;
    assert_eq!(rig.kind.verify(&rig.value(&version).await).await.unwrap(), Trial::Accepted);
    assert!(matches!(rig.kind.verify(&by_hand).await.unwrap(), Trial::Refused(_)));
}
