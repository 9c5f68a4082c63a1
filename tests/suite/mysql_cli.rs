//! Accounts of MySQL through the built binary: what a file may not ask for, and a rotation over TLS.

use crate::leaks::{never_told, untold};
use crate::mysql_server::{Database, enter};
use crate::postgres_server::certificate;
use crate::support::World;
use crate::wire::{Wire, gone_on};

const FILE: &str = "credentials/session-key.toml";
const RANDOM: &str = "random = { length = 40, alphabet = \"alnum\" }";

/// A repo whose credential is rotated as `rotator` says.
fn world(rotator: &str) -> World {
    let world = World::scaffolded();
    world.edit(FILE, &format!("[rotator]\n{RANDOM}"), rotator);
    world
}

fn server(database: &Database) -> String {
    format!("host = \"127.0.0.1\", port = {}, dbname = \"shop\", admin-env = \"SLM_MYSQL_ADMIN\"", database.port)
}

#[test]
fn what_cannot_work_is_said_before_anything_is_touched() {
    let server = "host = \"db\", dbname = \"shop\", admin-env = \"SLM_MYSQL_ADMIN\"";
    let right = format!("[rotator.mysql-alternating]\nusers = [\"app_a\", \"app_b\"]\nrole = \"app\"\nserver = {{ {server} }}");
    world(&right).slm(&["check"]).exits(0);
    let wrong = [
        ("\"app_b\"", "\"app_a\"", "account `app_a` is named twice"),
        ("role = \"app\"", "role = \"app_a\"", "account `app_a` is named twice"),
        ("\"app_b\"", "\"a_name_that_is_longer_than_a_server\"", "cannot be the name of an account"),
        ("role = \"app\"", "role = \"app\"\naccount-host = \" \"", "`account-host` is empty"),
        ("host = \"db\"", "host = \"\"", "`host` of the server is empty"),
        ("role = \"app\"", "role = \"app\"\npassword = { length = 8 }", "a password of 8 characters can be guessed"),
        ("role", "rule", "rule"),
    ];
    for (from, to, said) in wrong {
        world(&right.replacen(from, to, 1)).slm(&["check"]).exits(4).says(said);
    }
    let world = world(&format!("[rotator.mysql-password]\nuser = \"app\"\nserver = {{ {server} }}"));
    world.slm(&["check"]).exits(4).says("replaces its value in place").says("allow-gap");
    world.edit(FILE, "mysql-password", "mysql-dual");
    world.slm(&["check"]).exits(0);
    let twice = world.read(FILE).replace("app/session-key", "app/other").replace("run/session.env", "run/other.env");
    world.write("credentials/other.toml", &twice);
    world.slm(&["check"]).exits(4).says("account `app` of db already belongs to");
    // The same name from somewhere else is another account.
    world.edit("credentials/other.toml", "user = \"app\"", "user = \"app\"\naccount-host = \"10.0.0.0/8\"");
    world.slm(&["check"]).exits(0);
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let docs = include_str!("../../docs/config.md");
    let blocks = docs.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let kinds: Vec<&str> = blocks.filter(|block| block.starts_with("[rotator.mysql-")).collect();
    assert_eq!(kinds.len(), 3);
    for block in kinds {
        let (rotator, policy) = block.split_once("[policy]\n").unwrap_or((block, ""));
        let world = world(rotator.trim());
        for line in policy.lines().filter(|line| !line.starts_with("rotate-every")) {
            world.edit(FILE, "[policy]\n", &format!("[policy]\n{line}\n"));
        }
        world.slm(&["check"]).exits(0);
    }
}

#[tokio::test]
async fn a_password_in_place_tells_for_how_long_nobody_could_log_in() {
    let Some(database) = Database::start(&[]) else { return };
    let world = world(&format!(
        "[rotator.mysql-password]\nuser = \"app\"\nserver = {{ {}, sslmode = \"disable\" }}\nprobe = \"select 1\"",
        server(&database)
    ));
    world.edit(FILE, "[policy]\n", "[policy]\nallow-gap = \"1m\"\n");
    database.run("create user app account lock").await;
    database.run("grant app_rw to app").await;
    database.run("set default role all to app").await;
    let world = world.with("SLM_MYSQL_ADMIN", &database.admin());
    let ran = world.heard(&["apply", "--auto-approve"]).exits(0).says("session-key: nobody could log in for ");
    let ran = ran.says("s of the 1m allowed");
    let file = world.read("run/session.env");
    assert!(enter(file.strip_prefix("SESSION_KEY=").unwrap().trim().into()).await);
    never_told(&world, &[ran], &[file.split("\"password\":\"").nth(1).unwrap().split('"').next().unwrap()]);
}

#[tokio::test]
async fn two_passwords_over_tls_reach_the_file_and_no_other_server_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (root, key) = certificate(folder.path());
    let settings = [format!("--ssl-cert={root}"), format!("--ssl-key={key}"), "--require-secure-transport=OFF".to_owned()];
    let Some(database) = Database::start(&settings.each_ref().map(String::as_str)) else { return };
    database.run("create user app identified by 'by-hand' require ssl").await;
    database.run("grant app_rw to app").await;
    database.run("set default role all to app").await;
    let strange = world(&format!("[rotator.mysql-dual]\nuser = \"app\"\nserver = {{ {} }}", server(&database)));
    strange.slm(&["apply", "--auto-approve"]).says("environment variable `SLM_MYSQL_ADMIN` is not set");
    let strange = strange.with("SLM_MYSQL_ADMIN", &database.admin().replace("?sslmode=disable", ""));
    strange.slm(&["apply", "--auto-approve"]).says("certificate");
    let world = strange.with("SSL_CERT_FILE", &root);
    let ran = world.heard(&["apply", "--auto-approve"]);
    let ran = ran.exits(0).says("prepared, installed, approved, promoted, delivered, activated");
    let file = world.read("run/session.env");
    let value = file.strip_prefix("SESSION_KEY=").unwrap().trim();
    assert!(value.contains("\"app\""));
    let secret: serde_json::Value = serde_json::from_str(value).unwrap();
    let password = secret["password"].as_str().unwrap();
    never_told(&world, &[ran], &[password]);
    assert!(database.log().to_lowercase().contains("alter user"), "the server logs every statement");
    untold("the log of the server", &database.log(), &[password]);
    // In the clear nobody comes in as this account.
    assert!(!enter(value.into()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_after_a_second_password_was_set_is_gone_on_with() {
    let Some(database) = Database::start(&[]) else { return };
    database.run("create user app identified by 'by-hand'").await;
    database.run("grant app_rw to app").await;
    database.run("set default role all to app").await;
    let wire = Wire::before(database.port);
    let through = |text: &str| text.replace(&database.port.to_string(), &wire.port.to_string());
    let rotator = format!("[rotator.mysql-dual]\nuser = \"app\"\nserver = {{ {}, sslmode = \"disable\" }}", server(&database));
    let world = world(&through(&rotator)).with("SLM_MYSQL_ADMIN", &through(&database.admin()));
    world.edit(FILE, "SESSION_KEY={{ value }}\\n", "{{ value }}");
    world.slm(&["apply", "--auto-approve"]).exits(0);
    let killed = tokio::task::block_in_place(|| wire.killed(&world, &["rotate", "session-key"], &["account unlock"]));
    assert!(killed, "it was not killed");
    let (before, now, said) = gone_on(&world, "run/session.env", async |value: String| enter(value.into()).await).await;
    let password = |value: &str| serde_json::from_str::<serde_json::Value>(value).unwrap()["password"].as_str().unwrap().to_owned();
    never_told(&world, &said, &[&password(&before), &password(&now)]);
}

#[tokio::test]
async fn what_the_administrator_of_accounts_may_not_do_holds_the_rotation_and_nothing_is_begun() {
    let Some(database) = Database::start(&[]) else { return };
    database.run("create user weak identified by 'weak'").await;
    database.run("create role maker").await;
    let rotator = "[rotator.mysql-alternating]\nusers = [\"app_a\", \"app_b\"]\nrole = \"app_rw\"\nend-sessions-idle-for = \"1h\"";
    let world = world(&format!("{rotator}\nserver = {{ {}, sslmode = \"disable\" }}", server(&database)));
    let weak = database.admin().replace("slm:admin-canary-3f1c", "weak:weak");
    let world = world.with("SLM_MYSQL_ADMIN", &weak);
    let denied = "who `SLM_MYSQL_ADMIN` logs in as may not create and alter accounts, read `mysql.user`, grant role `app_rw`, \
        see who is logged in, end sessions [not-permitted]: grant it CREATE USER";
    world.slm(&["plan"]).exits(5).says("held      rotate session-key").says(denied);
    world.slm(&["apply", "--auto-approve"]).exits(5).says("1 held");
    assert_eq!(database.told("select cast(count(*) as char) from mysql.user where user like 'app\\_%'").await, "1", "the role");
    // Rights that come by a role count when it is active.
    database.run("grant create user, connection_admin on *.* to maker").await;
    database.run("grant maker to weak").await;
    database.run("grant app_rw to weak with admin option").await;
    database.run("grant select on mysql.user to weak").await;
    database.run("grant select on performance_schema.threads to weak").await;
    world.slm(&["plan"]).exits(5).says("may not create and alter accounts, end sessions [not-permitted]");
    database.run("set default role maker to weak").await;
    world.slm(&["plan"]).exits(2).says("6 of 6 steps permitted to who `SLM_MYSQL_ADMIN` logs in as");
    // What the look ahead says may be done is done, by the same account.
    let ran = world.heard(&["apply", "--auto-approve"]).exits(0);
    let ran = ran.says("prepared, installed, approved, promoted, delivered, activated");
    let file = world.read("run/session.env");
    never_told(&world, &[ran], &[file.split("\"password\":\"").nth(1).unwrap().split('"').next().unwrap()]);
    world.slm(&["plan"]).exits(0).says("Nothing is due");
    world.edit(FILE, "role = \"app_rw\"", "role = \"nobody\"");
    let missing = world.slm(&["plan", "--force", "session-key"]).exits(5).says("there is no role `nobody`");
    missing.says("[no-such-user]: create it with its privileges, or mend `role` in `credentials/session-key.toml`");
}
