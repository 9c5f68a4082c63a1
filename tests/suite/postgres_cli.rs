//! Login roles through the built binary: what a file may not ask for, and a rotation over TLS.

use std::os::unix::fs::chown;

use crate::leaks::{never_told, untold};
use crate::postgres_server::{Database, account, certificate, logged_in, login};
use crate::support::World;

const FILE: &str = "credentials/session-key.toml";
const RANDOM: &str = "random = { length = 40, alphabet = \"alnum\" }";

fn alternating(server: &str) -> String {
    format!("[rotator.postgres-alternating]\nusers = [\"app_a\", \"app_b\"]\nowner-role = \"app\"\nserver = {{ {server} }}")
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
    let declared = format!("host = \"127.0.0.1\", port = {}, dbname = \"postgres\", admin-env = \"SLM_PG_ADMIN\"", server.port);
    let world = world(&format!("[rotator.postgres-password]\nuser = \"app\"\nserver = {{ {declared}, sslmode = \"disable\" }}"));
    world.edit(FILE, "[policy]\n", "[policy]\nallow-gap = \"1m\"\n");
    let world = world.with("SLM_PG_ADMIN", &server.admin());
    world.slm(&["apply", "--auto-approve"]).exits(0).says("session-key: nobody could log in for ").says("s of the 1m allowed");
    world.edit(FILE, "allow-gap = \"1m\"", "allow-gap = \"1s\"");
    world.edit(FILE, "mode = \"0600\" }", "mode = \"0600\", reload = [\"sleep\", \"3\"] }");
    let ran = world.slm(&["rotate", "session-key", "--format", "json"]).exits(2);
    let gap = &ran.json()["gaps"][0];
    assert!(gap["seconds"].as_i64().is_some_and(|seconds| (3..60).contains(&seconds)), "{gap}");
    assert_eq!((gap["credential"].as_str(), gap["allowed"].as_str()), (Some("session-key"), Some("1s")));
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
    let declared = format!("host = \"127.0.0.1\", port = {}, dbname = \"postgres\", admin-env = \"SLM_PG_ADMIN\"", server.port);
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
