//! The built binary against a real moto: the counts of a run, a first rotation, and canaries in every input.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::types::Tag;
use futures::future::join_all;
use serde_json::Value as Json;

use crate::support::{Ran, Server, World, contains};

const ACCOUNT: &str = "123456789012";
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// Three shipped controls over one AWS account with one declared credential.
fn world(endpoint: &str, secret_key: &str) -> World {
    without_keys(endpoint).with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").with("AWS_SECRET_ACCESS_KEY", secret_key)
}

/// The same, with nothing in the environment to sign with.
pub fn without_keys(endpoint: &str) -> World {
    let world = World::new().with("AWS_EC2_METADATA_DISABLED", "true").with("NO_PROXY", "127.0.0.1");
    world.ship(&["ROT-01", "ROT-02", "ROT-06"]);
    world.write("slm.toml", &settings(&REGIONS, endpoint));
    world.write(
        "credentials/db.toml",
        r#"title = "Password of the database"
owner = "platform"
satisfies = ["ROT-01", "ROT-02"]

[secret]
source = "prod"
region = "eu-west-1"
name = "app/db"

[rotator]
random = { length = 32 }

[policy]
rotate-every = "30d"

[[consumer]]
id = "app"
file = { path = "run/db.env", template = "DB={{ value }}\n" }
"#,
    );
    world.write(".gitignore", "/run/\n");
    world.commit();
    world
}

fn settings(regions: &[&str], endpoint: &str) -> String {
    format!(
        "[source.prod]\naws = {{ account = \"{ACCOUNT}\", regions = {regions:?}, endpoint = \"{endpoint}\" }}\n\n\
         [tiers]\ndefault = \"standard\"\nlimits = {{ critical = \"30d\", standard = \"60d\", low = \"90d\" }}\n"
    )
}

async fn client(server: &Server, region: &str) -> Client {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "test", None, None, "test");
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).credentials_provider(credentials);
    Client::new(&loader.region(Region::new(region.to_owned())).endpoint_url(&server.endpoint).load().await)
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// ROT-02 by status, as `slm status` counts it.
fn owners(world: &World) -> (u64, u64, u64) {
    let said = world.slm(&["status", "--format", "json"]).json();
    let control = said["controls"].as_array().unwrap().iter().find(|control| control["id"] == "ROT-02").unwrap().clone();
    let of = |status: &str| control["decisions"][status].as_u64().unwrap_or(0);
    (of("compliant"), of("non-compliant"), of("not-applicable"))
}

/// Requests of every kind and those of `ListSecrets`; their pages are the latter's.
fn requests(said: &Json) -> (u64, u64) {
    let receipts = said["receipts"].as_array().unwrap();
    let operations = || receipts.iter().flat_map(|receipt| receipt["operations"].as_array().unwrap());
    let lists = || operations().filter(|of| of["name"] == "secretsmanager:ListSecrets");
    let sum = |key: &str| lists().map(|of| of[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("requests"), sum("pages"));
    assert_eq!(operations().map(|of| of["requests"].as_u64().unwrap()).sum::<u64>(), said["requests"].as_u64().unwrap());
    (said["requests"].as_u64().unwrap(), sum("requests"))
}

fn rotations(said: &Json) -> Vec<String> {
    let kinds = said["plan"]["actions"].as_array().unwrap().iter();
    kinds.filter_map(|action| action["kind"]["rotate"]["credential"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn an_account_is_counted_right_and_its_credential_gets_its_first_value_once() {
    let server = Server::moto();
    let world = world(&server.endpoint, "test");
    let west = client(&server, REGIONS[0]).await;
    let create = |at: usize| {
        let request = west.create_secret().name(format!("plain/{at:03}")).secret_string("x");
        let request = if at < 150 && at.is_multiple_of(3) { request.tags(tag("owner", "team-a")) } else { request };
        async move { drop(request.send().await.unwrap()) }
    };
    join_all((0..150).map(create)).await;
    for at in 0..4 {
        west.delete_secret().secret_id(format!("plain/{at:03}")).recovery_window_in_days(7).send().await.unwrap();
    }
    client(&server, REGIONS[1]).await.create_secret().name("far").secret_string("x").send().await.unwrap();

    assert_eq!(owners(&world), (0, 147, 4), "151 secrets, none declared, 4 of them being deleted");
    let said = world.slm(&["plan", "--format", "json"]).json();
    assert_eq!(rotations(&said), ["db"]);
    let (before, lists) = requests(&said);
    assert_eq!(lists, 2 + 1, "two pages in one region, one in the other");
    let (identities, trails, account, consumer) = (2, 2 * 2, 5 + 1, 1);
    assert_eq!(before, lists + identities + trails + account + consumer, "pages, and a fixed number for each account and region");

    let applied = world.slm(&["apply", "--auto-approve", "--format", "json"]).json();
    let rotated = &applied["outcomes"].as_array().unwrap().iter().find(|of| of["action"]["rotate"].is_object()).unwrap();
    assert_eq!(rotated["fate"], "done", "{rotated}");
    let current = west.get_secret_value().secret_id("app/db").version_stage("AWSCURRENT").send().await.unwrap();
    assert_eq!(world.read("run/db.env"), format!("DB={}\n", current.secret_string().unwrap()));
    let (said, runs) = (world.read("run/db.env.slm"), format!("stored {0}\nrunning {0}\nas ", current.version_id().unwrap()));
    assert!(said.starts_with(&runs), "the consumer says which version it runs: {said}");

    assert_eq!(owners(&world), (1, 147, 4), "the declared one has the owner of its file");
    let said = world.slm(&["plan", "--format", "json"]).json();
    assert_eq!((rotations(&said), requests(&said)), (vec![], (before, lists)));
    join_all((150..250).map(create)).await;
    let said = world.slm(&["plan", "--format", "json"]).json();
    assert_eq!(requests(&said), (before + 1, lists + 1), "a hundred secrets more are one request more");
}

/// Runs `verbs` in `format` over a world with a canary in every input; nothing of it may come out anywhere.
async fn canaries(format: &str, verbs: &[&[&str]]) {
    let canary = format!("CANARY-{format}-{}", std::process::id() ^ 0x5eed_0f42);
    let server = Server::moto();
    let world = world(&server.endpoint, &canary)
        .with("RUST_LOG", "trace")
        .with("SLM_CANARY", &canary)
        .with("DATABASE_URL", &format!("postgres://u:{canary}@db"));
    let west = client(&server, REGIONS[0]).await;
    for name in ["one", "two"] {
        let request = west.create_secret().name(name).secret_string(&canary).description(format!("password is {canary}"));
        request.tags(tag("owner", "team-a")).tags(tag("note", &canary)).tags(tag("tier", "low")).send().await.unwrap();
    }
    let arn = west.describe_secret().secret_id("one").send().await.unwrap().arn.unwrap();

    let mut heard: Vec<(String, Vec<u8>)> = Vec::new();
    let mut hear = |arguments: &[&str]| {
        let ran: Ran = world.slm(arguments);
        let what = arguments.join(" ");
        heard.extend([(format!("{what}, out"), ran.out.into()), (format!("{what}, err"), ran.err.into())]);
    };
    for verb in verbs.iter().copied().chain([&["explain", arn.as_str()][..], &["apply", "--auto-approve"]]) {
        hear(&[verb, &["-vvv", "--log-json", "--format", format]].concat());
    }
    hear(&["explain", "no-such-thing", "-vvv"]);
    let value = world.read("run/db.env").trim_end().replace("DB=", "");
    assert_eq!(value.len(), 32);
    heard.push(("git".to_owned(), world.git_objects()));
    heard.push(("the saved plan".to_owned(), fs::read(world.root().join("p.json")).unwrap()));
    assert!(heard.iter().any(|(what, bytes)| what == "git" && contains(bytes, &arn)), "the objects were read");
    for (what, bytes) in &heard {
        for needle in [&canary, &value] {
            assert!(!contains(bytes, needle), "found in {what}: {}", String::from_utf8_lossy(bytes));
        }
    }
}

#[tokio::test]
async fn nothing_planted_in_an_input_is_found_in_what_people_read() {
    canaries("human", &[&["status"], &["plan", "--markdown", "--out", "p.json"]]).await;
}

#[tokio::test]
async fn nothing_planted_in_an_input_is_found_in_what_programs_read() {
    canaries("json", &[&["status"], &["plan", "--out", "p.json"]]).await;
}

/// A service that refuses everything with `status`, and says what it must not in the body and in headers; counts what it is asked.
fn refusing(status: u16, canary: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, canary) = (Arc::clone(&asked), canary.to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, canary, count) = (stream.unwrap(), canary.clone(), Arc::clone(&count));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let lower = line.to_lowercase();
                    length = lower.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
                    line.clear();
                }
                let _ = reader.read_exact(&mut vec![0; length]);
                count.fetch_add(1, Ordering::Relaxed);
                let code = if status == 403 { "AccessDeniedException" } else { "InternalFailure" };
                let body = format!(
                    "{{\"__type\":\"{code}\",\"message\":\"no {canary}\",\"Message\":\"no {canary}\",\"errors\":[{{\"message\":\"{canary}\"}}],\"documentation_url\":\"https://{canary}\"}}"
                );
                let head = format!(
                    "HTTP/1.1 {status} {canary}\r\ncontent-type: application/x-amz-json-1.1\r\nserver: {canary}\r\nx-note: {canary}\r\n\
                     www-authenticate: Basic realm=\"{canary}\"\r\nset-cookie: session={canary}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes());
            });
        }
    });
    (endpoint, asked)
}

#[test]
fn nothing_that_a_service_says_when_it_refuses_is_found_anywhere() {
    let canary = format!("CANARY-refusal-{}", std::process::id() ^ 0x0bad_cafe);
    let token = format!("CANARY-token-{}", std::process::id());
    let look = &|status: u16| {
        let ((cloud, calls), (forge, requests)) = (refusing(status, &canary), refusing(status, &canary));
        let world = world(&cloud, &canary).with("RUST_LOG", "trace").with("GITHUB_TOKEN", &token);
        let source =
            format!("\n[source.org]\ngithub = {{ org = \"acme\", token-env = \"GITHUB_TOKEN\", base-url = \"{forge}\" }}\n");
        world.write("slm.toml", &(settings(&REGIONS[..1], &cloud) + &source));
        world.commit();
        let mut heard: Vec<(String, Vec<u8>)> = Vec::new();
        for arguments in [&["plan", "--out", "p.json"][..], &["apply", "--auto-approve", "--format", "json"]] {
            let ran = world.slm(&[arguments, &["-vvv", "--log-json"]].concat()).exits(5);
            heard.extend([(format!("{arguments:?}, out"), ran.out.into()), (format!("{arguments:?}, err"), ran.err.into())]);
        }
        heard.push(("the saved plan".to_owned(), fs::read(world.root().join("p.json")).unwrap()));
        heard.push(("git".to_owned(), world.git_objects()));
        assert!(contains(&heard[5].1, "\"incomplete\""), "what was refused is recorded as not seen");
        for counter in [calls, requests] {
            assert!(counter.load(Ordering::Relaxed) > 0, "the service was asked");
        }
        for (what, bytes) in &heard {
            for needle in [&canary, &token] {
                assert!(!contains(bytes, needle), "{status}: found in {what}: {}", String::from_utf8_lossy(bytes));
            }
        }
    };
    std::thread::scope(|scope| {
        [400, 403, 500].into_iter().for_each(|status| drop(scope.spawn(move || look(status))));
    });
}
