//! Login roles through the built binary: what a file may not ask for, and a rotation over TLS.

use std::os::unix::fs::chown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::leaks::{never_told, untold};
use crate::postgres::hammer;
use crate::postgres_server::{Database, account, certificate, connect, logged_in, login};
use crate::support::World;
use crate::wire::{Wire, gone_on};

const FILE: &str = "credentials/session-key.toml";
const RANDOM: &str = "random = { length = 40, alphabet = \"alnum\" }";

fn alternating(server: &str) -> String {
    format!("[rotator.postgres-alternating]\nusers = [\"app_a\", \"app_b\"]\nowner-role = \"app\"\nserver = {{ {server} }}")
}

/// Where `server` is, as a rotator declares it.
fn declared(server: &Database) -> String {
    format!("host = \"127.0.0.1\", port = {}, dbname = \"postgres\", admin-env = \"SLM_PG_ADMIN\"", server.port)
}

/// The same, without TLS.
fn plain(server: &Database) -> String {
    format!("{}, sslmode = \"disable\"", declared(server))
}

/// A repo whose credential is rotated as `rotator` says.
fn world(rotator: &str) -> World {
    let world = World::scaffolded();
    world.edit(FILE, &format!("[rotator]\n{RANDOM}"), rotator);
    world
}

#[test]
fn what_cannot_work_is_said_before_anything_is_touched() {
    let server = "host = \"db\", dbname = \"shop\", admin-env = \"SLM_PG_ADMIN\"";
    let right = alternating(server);
    world(&right).slm(&["check"]).exits(0);
    let wrong = [
        ("\"app_b\"", "\"app_a\"", "role `app_a` is named twice"),
        ("owner-role = \"app\"", "owner-role = \"app_a\"", "role `app_a` is named twice"),
        ("\"app_b\"", "\"\"", "cannot be the name of a role"),
        ("dbname = \"shop\"", "dbname = \"\"", "`dbname` of the server is empty"),
        ("owner-role = \"app\"", "owner-role = \"app\"\npassword = { length = 8 }", "a password of 8 characters can be guessed"),
        ("host", "hots", "hots"),
    ];
    for (from, to, said) in wrong {
        world(&right.replacen(from, to, 1)).slm(&["check"]).exits(4).says(said);
    }
    let single = format!("[rotator.postgres-password]\nuser = \"app\"\nserver = {{ {server} }}");
    let world = world(&single);
    world.slm(&["check"]).exits(4).says("replaces its value in place").says("allow-gap");
    world.edit(FILE, "[policy]\n", "[policy]\nallow-gap = \"1m\"\n");
    world.slm(&["check"]).exits(0);
    world.edit(FILE, "[[consumer]]\n", "[[consumer]]\nmax-staleness = \"5m\"\n");
    world.slm(&["check"]).exits(4).says("may go on with the old value for `5m`, and `allow-gap` is `1m`");
    world.edit(FILE, "max-staleness = \"5m\"", "max-staleness = \"1m\"");
    world.slm(&["check"]).exits(0);
    let twice = world.read(FILE).replace("app/session-key", "app/other").replace("run/session.env", "run/other.env");
    world.write("credentials/other.toml", &twice);
    world.slm(&["check"]).exits(4).says("role `app` of db already belongs to");
}

#[tokio::test]
async fn a_password_in_place_tells_for_how_long_nobody_could_log_in() {
    let Some(server) = Database::start(&[]) else { return };
    server.as_admin().await.batch_execute("create role app login").await.unwrap();
    let world = world(&format!("[rotator.postgres-password]\nuser = \"app\"\nserver = {{ {} }}", plain(&server)));
    world.edit(FILE, "[policy]\n", "[policy]\nallow-gap = \"1m\"\n");
    let world = world.with("SLM_PG_ADMIN", &server.admin());
    let ran = world.heard(&["apply", "--auto-approve"]).exits(0).says("session-key: nobody could log in for ");
    let ran = ran.says("s of the 1m allowed");
    let value = world.read("run/session.env");
    let value = value.split("\"password\":\"").nth(1).unwrap().split('"').next().unwrap();
    never_told(&world, &[ran], &[value]);
    world.edit(FILE, "allow-gap = \"1m\"", "allow-gap = \"1s\"");
    world.edit(FILE, "mode = \"0600\" }", "mode = \"0600\", reload = [\"sleep\", \"3\"] }");
    let ran = world.slm(&["rotate", "session-key", "--format", "json"]).exits(2);
    let gap = &ran.json()["gaps"][0];
    assert!(gap["seconds"].as_i64().is_some_and(|seconds| (3..60).contains(&seconds)), "{gap}");
    assert_eq!((gap["credential"].as_str(), gap["allowed"].as_str()), (Some("session-key"), Some("1s")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_after_a_password_was_set_is_gone_on_with() {
    let Some(server) = Database::start(&[]) else { return };
    server.as_admin().await.batch_execute("create role app nologin").await.unwrap();
    let wire = Wire::before(server.port);
    let through = |text: &str| text.replace(&server.port.to_string(), &wire.port.to_string());
    let world = world(&alternating(&through(&plain(&server)))).with("SLM_PG_ADMIN", &through(&server.admin()));
    world.edit(FILE, "SESSION_KEY={{ value }}\\n", "{{ value }}");
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let killed = tokio::task::block_in_place(|| wire.killed(&world, &["rotate", "session-key"], &["login password", "commit"]));
    assert!(killed, "it was not killed");
    let works = async |value: String| connect(&login(value.as_bytes())).await.is_ok();
    let (before, now, said) = gone_on(&world, "run/session.env", works).await;
    assert!(before.contains("app_a") && now.contains("app_b"), "they take turns");
    let password = |value: &str| serde_json::from_str::<serde_json::Value>(value).unwrap()["password"].as_str().unwrap().to_owned();
    never_told(&world, &said, &[&password(&before), &password(&now)]);
}

/// Settings of a server that proves to be 127.0.0.1, and the file with the root to check that by.
fn settings(folder: &std::path::Path) -> (Vec<String>, String) {
    let (cert, key) = certificate(folder);
    if let Some((uid, gid)) = account() {
        for path in [folder, std::path::Path::new(&key)] {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }
    (vec!["ssl=on".to_owned(), format!("ssl_cert_file={cert}"), format!("ssl_key_file={key}")], cert)
}

#[tokio::test]
async fn a_rotation_over_tls_reaches_the_file_and_no_other_server_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, root) = settings(folder.path());
    let Some(server) = Database::start(&settings.iter().map(String::as_str).collect::<Vec<_>>()) else { return };
    server.as_admin().await.batch_execute("create role app nologin").await.unwrap();
    let declared = declared(&server);
    let admin = server.admin().replace("sslmode=disable", "");
    let strange = world(&alternating(&declared));
    strange.slm(&["apply", "--auto-approve"]).says("environment variable `SLM_PG_ADMIN` is not set");
    let strange = strange.with("SLM_PG_ADMIN", &admin);
    strange.slm(&["apply", "--auto-approve"]).says("certificate");
    let world = strange.with("SSL_CERT_FILE", &root);
    let ran = world.heard(&["apply", "--auto-approve"]);
    let ran = ran.exits(0).says("prepared, installed, approved, promoted, delivered, activated");
    let file = world.read("run/session.env");
    let value = file.strip_prefix("SESSION_KEY=").unwrap().trim();
    assert!(value.contains("\"app_a\""));
    assert_eq!(logged_in(&login(value.as_bytes())).await, "app", "the role acts as the owner");
    let value: serde_json::Value = serde_json::from_str(value).unwrap();
    let password = value["password"].as_str().unwrap();
    never_told(&world, &[ran], &[password]);
    assert!(server.log().to_lowercase().contains("alter role"), "the server logs every statement");
    untold("the log of the server", &server.log(), &[password]);
}

#[tokio::test]
async fn what_the_administrator_of_roles_may_not_do_holds_the_rotation_and_nothing_is_begun() {
    let Some(server) = Database::start(&[]) else { return };
    let boss = server.as_admin().await;
    boss.batch_execute("create role weak login password 'weak'; create role app nologin").await.unwrap();
    let rotator = alternating(&plain(&server));
    let unset = world(&rotator);
    let why =
        "? preflight permissions of session-key  not seen: could not ask 127.0.0.1 who may change roles: environment variable";
    unset.slm(&["plan"]).exits(2).says(why);
    let weak = format!("host=127.0.0.1 port={} user=weak password=weak dbname=postgres sslmode=disable", server.port);
    let world = unset.with("SLM_PG_ADMIN", &weak);
    let denied = "who `SLM_PG_ADMIN` logs in as may not create role `app_a`, grant `app` to `app_a`, create role `app_b`, \
        grant `app` to `app_b` [not-permitted]: give it CREATEROLE";
    world.slm(&["plan"]).exits(5).says("held      rotate session-key").says(denied);
    world.slm(&["apply", "--auto-approve"]).exits(5).says("1 held");
    let made: i64 = boss.query_one("select count(*) from pg_roles where rolname like 'app\\_%'", &[]).await.unwrap().get(0);
    assert_eq!((made, world.root().join("run/session.env").exists()), (0, false));
    // What the look ahead says may be done is done, by the same role.
    boss.batch_execute("alter role weak createrole; grant app to weak with admin option").await.unwrap();
    let may = "5 of 5 steps permitted to who `SLM_PG_ADMIN` logs in as; role `app_a` is not there yet and will be made";
    world.slm(&["plan"]).exits(2).says(may);
    world.edit(FILE, "[rotator.postgres-alternating]\n", "[rotator.postgres-alternating]\nend-sessions-after = \"1h\"\n");
    world.slm(&["plan"]).exits(5).says("may not see since when sessions of `app_a` are open, end sessions of `app_a`");
    boss.batch_execute("grant pg_read_all_stats, pg_signal_backend to weak").await.unwrap();
    world.slm(&["plan"]).exits(2).says("9 of 9 steps permitted");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0).says("prepared, installed, approved, promoted, delivered, activated");
    let asked = "select current_setting('server_version_num')::int, rolsuper";
    let log = server.log();
    assert!(log.contains(asked) && log.contains("READ ONLY"), "rights are asked for where nothing can be written");
    world.slm(&["plan"]).exits(0).says("Nothing is due");
    assert_eq!(server.log().matches(asked).count(), log.matches(asked).count(), "nothing is asked for what is not due");
}

#[tokio::test]
async fn a_role_that_only_a_superuser_may_alter_holds_its_rotation() {
    let Some(server) = Database::start(&[]) else { return };
    let boss = server.as_admin().await;
    boss.batch_execute("create role maker login createrole password 'maker'; create role app login superuser").await.unwrap();
    let world = world(&format!("[rotator.postgres-password]\nuser = \"app\"\nserver = {{ {} }}", plain(&server)));
    world.edit(FILE, "[policy]\n", "[policy]\nallow-gap = \"1m\"\n");
    let maker = format!("host=127.0.0.1 port={} user=maker password=maker dbname=postgres sslmode=disable", server.port);
    let world = world.with("SLM_PG_ADMIN", &maker);
    world.slm(&["plan"]).exits(5).says("may not alter role `app` [not-permitted]");
    let refused = crate::postgres_server::connect(&maker).await.unwrap().batch_execute("alter role app login").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42501", "the server says the same");
}

/// A person switches the login of an attempt off that is not in force yet, and later does what slm says, while an application logs in
/// all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_a_person_switched_off_is_switched_on_again_as_slm_says_and_the_rotation_ends() {
    let Some(server) = Database::start(&[]) else { return };
    let admin = server.as_admin().await;
    admin.batch_execute("create role app nologin").await.unwrap();
    let world = world(&alternating(&plain(&server)));
    world.edit(FILE, "[policy]\n", "[gate]\nquiet = \"0s\"\nsoak = \"0s\"\n\n[policy]\nlease = \"10m\"\n");
    world.edit(FILE, "[[consumer]]\n", "[[consumer]]\nmax-staleness = \"1s\"\n");
    let world = world.with("SLM_PG_ADMIN", &server.admin());
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let value = || world.read("run/session.env").strip_prefix("SESSION_KEY=").unwrap().trim().as_bytes().to_vec();
    let first = value();
    assert!(world.read("run/session.env").contains("\"app_a\""));
    let (stop, worked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let enter = async |file: Vec<u8>| {
        let value = file.strip_prefix(b"SESSION_KEY=").unwrap().trim_ascii();
        connect(&login(value)).await.is_ok()
    };
    let client = tokio::spawn(hammer(world.root().join("run/session.env"), (Arc::clone(&stop), Arc::clone(&worked)), enter));

    // It is let in, cannot be tried for want of a connection, and is switched off before it can be.
    admin.batch_execute("create role app_b nologin connection limit 0").await.unwrap();
    let ran = world.slm(&["rotate", "session-key"]).exits(6).says("installed");
    assert!(!ran.out.contains("promoted"), "{}", ran.out);
    admin.batch_execute("alter role app_b nologin connection limit -1").await.unwrap();
    world.slm(&["apply", "--auto-approve"]).exits(6).says("it was installed, and disabled since");
    assert_eq!(value(), first, "what is in force stays");
    let said = world.slm(&["resume"]).exits(6).says("it was installed, and disabled since: ").out;
    let remedy = said.split('`').find(|words| words.starts_with("ALTER ROLE")).unwrap_or_else(|| panic!("{said}"));
    admin.batch_execute(remedy).await.unwrap();
    world.slm(&["resume"]).says("promoted").says("delivered");
    let promoted = Instant::now();
    let second = value();
    assert_eq!((second == first, logged_in(&login(&second)).await.as_str()), (false, "app"));
    assert_eq!(logged_in(&login(&first)).await, "app", "the value before works until nobody can hold it");
    world.edit(FILE, "lease = \"10m\"", "lease = \"15s\"");
    tokio::time::sleep(Duration::from_secs(17).saturating_sub(promoted.elapsed())).await;
    world.slm(&["resume"]).exits(0).says("disabled");
    let refused = connect(&login(&first)).await.err().unwrap();
    assert_eq!(refused.code().unwrap().code(), "28000", "{refused}");
    assert_eq!((value(), logged_in(&login(&second)).await.as_str()), (second, "app"));
    world.slm(&["plan"]).exits(0).says("Nothing is due");

    let (so_far, began) = (worked.load(Ordering::SeqCst), Instant::now());
    while worked.load(Ordering::SeqCst) < so_far + 5 && !client.is_finished() {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody can log in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let load = client.await.unwrap();
    assert_eq!((load.failed, load.values), (0, 2), "of {} logins", load.logins);
    assert!(load.logins > 20, "{}", load.logins);
}

/// A person switches the login before off, the next attempt is given to it and cannot be tried, and then the value before is wanted back.
#[tokio::test]
async fn a_value_whose_login_was_given_the_next_attempt_is_not_rolled_back_and_resume_goes_forward() {
    let Some(server) = Database::start(&[]) else { return };
    let admin = server.as_admin().await;
    admin.batch_execute("create role app nologin").await.unwrap();
    let world = world(&alternating(&plain(&server)));
    world.edit(FILE, "[policy]\n", "[policy]\nlease = \"10m\"\n");
    let world = world.with("SLM_PG_ADMIN", &server.admin());
    world.slm(&["apply", "--auto-approve"]).exits(0);
    assert!(world.read("run/session.env").contains("\"app_a\""));
    world.slm(&["rotate", "session-key"]).exits(2).says("waits until");
    assert!(world.read("run/session.env").contains("\"app_b\""));
    admin.batch_execute("alter role app_a nologin connection limit 0").await.unwrap();
    let ran = world.slm(&["rotate", "session-key"]);
    assert!(!ran.out.contains("promoted"), "it could not be tried: {}", ran.out);
    let ran =
        world.slm(&["rollback", "session-key"]).exits(5).says("`session-key` is not rolled back: its login was given attempt");
    ran.says("`slm resume` brings that in force, in place of version");
    assert!(world.read("run/session.env").contains("\"app_b\""), "what is in force stays");
    admin.batch_execute("alter role app_a connection limit -1").await.unwrap();
    world.slm(&["resume"]).says("promoted");
    let value = world.read("run/session.env");
    assert!(value.contains("\"app_a\""), "{}", value.split("password").next().unwrap());
    assert_eq!(logged_in(&login(value.strip_prefix("SESSION_KEY=").unwrap().trim().as_bytes())).await, "app");
}
