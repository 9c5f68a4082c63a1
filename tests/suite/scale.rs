//! The size of a real company on moto: 1,000 secrets in two regions, 200 users with keys, two accounts by assume-role, and a region
//! that refuses us. Findings are compared with what was created, requests with pages plus a fixed number.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::types::Tag;
use futures::StreamExt as _;
use serde_json::Value as Json;
use slm::model::catalog::AwsSource;
use slm::transport::aws::session_from;

use crate::support::{Server, copy, git, slm_measured};

pub const FIRST: &str = "111111111111";
pub const SECOND: &str = "222222222222";
const DENIED: &str = "eu-central-1";
const SECRETS: usize = 500;
const USERS: usize = 200;
pub const KEYS: [(&str, &str); 3] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "eu-west-1")];

fn source(account: &str, endpoint: &str) -> AwsSource {
    AwsSource {
        account: account.to_owned(),
        regions: vec!["eu-west-1".to_owned()],
        read_role: None,
        apply_role: None,
        profile: None,
        endpoint: Some(endpoint.to_owned()),
        administrators: None,
        events: None,
    }
}

pub async fn session(account: &str, region: &str, endpoint: &str) -> SdkConfig {
    let keys = Credentials::new("test", "test", None, None, "test");
    let loader = aws_config::defaults(BehaviorVersion::latest()).credentials_provider(keys);
    let role = format!("arn:aws:iam::{account}:role/setup");
    session_from(loader, &source(account, endpoint), region, Some(&role), "setup").await
}

/// One secret in ten has a tier nobody knows; every one is new and undeclared.
pub async fn make_secrets(config: &SdkConfig, count: usize) {
    let client = aws_sdk_secretsmanager::Client::new(config);
    let made = futures::stream::iter(0..count).map(|number| {
        let tier = if number % 10 == 0 { "unheard-of" } else { "critical" };
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let request = client.create_secret().name(format!("app/{number:04}")).secret_string("value");
        request.tags(tag("tier", tier)).tags(tag("owner", "team-app")).send()
    });
    let failed = made.buffer_unordered(8).filter(|made| std::future::ready(made.is_err())).count().await;
    assert_eq!(failed, 0);
}

async fn make_users(config: &SdkConfig, count: usize) {
    let client = aws_sdk_iam::Client::new(config);
    let made = futures::stream::iter(0..count).map(|number| {
        let client = client.clone();
        async move {
            let name = format!("user-{number:03}");
            client.create_user().user_name(&name).send().await.unwrap();
            client.create_access_key().user_name(&name).send().await.unwrap();
        }
    });
    assert_eq!(made.buffer_unordered(8).count().await, count);
}

/// Requests that came, and how many of them assume a role.
pub type Count = Arc<[AtomicU64; 2]>;

/// Passes connections on to `to`, but refuses requests signed for the Secrets Manager of [`DENIED`]. Counts what comes.
pub fn refusing(to: &str) -> (String, Count) {
    let count = Count::default();
    let counted = Arc::clone(&count);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let to = to.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (to, count) = (to.clone(), Arc::clone(&counted));
            std::thread::spawn(move || pass(client.unwrap(), &to, &count));
        }
    });
    (endpoint, count)
}

fn pass(mut client: TcpStream, to: &str, count: &Count) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |value| value.trim().parse().unwrap());
            if body.len() >= length {
                break;
            }
        }
        match client.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&chunk[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    count[0].fetch_add(1, Ordering::Relaxed);
    count[1].fetch_add(u64::from(text.contains("Action=AssumeRole&")), Ordering::Relaxed);
    if text.contains(&format!("/{DENIED}/secretsmanager/")) {
        let body = r#"{"__type":"AccessDeniedException","message":"no"}"#;
        let _ = write!(client, "HTTP/1.1 400 X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        return;
    }
    let mut server = TcpStream::connect(to).unwrap();
    let closing = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(closing.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = server.read_to_end(&mut answer);
    let _ = client.write_all(&answer);
    let _ = client.shutdown(Shutdown::Both);
}

/// A config repo with the shipped catalogue and both accounts.
pub fn config(endpoint: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["controls", "policies"] {
        copy(&shipped.join(part), &folder.path().join(part));
    }
    let account = |name: &str, id: &str, regions: &str| {
        format!(
            "[source.{name}]\naws = {{ account = \"{id}\", regions = [{regions}], read-role = \"arn:aws:iam::{id}:role/slm-read\", endpoint = \"{endpoint}\" }}\n\n"
        )
    };
    let first = account("first", FIRST, "\"eu-west-1\", \"us-east-1\"");
    let second = account("second", SECOND, "\"eu-west-1\", \"eu-central-1\"");
    fs::write(folder.path().join("slm.toml"), first + &second).unwrap();
    git(folder.path(), &["init", "-q"]);
    folder
}

pub fn count(status: &Json, control: &str, word: &str) -> u64 {
    let controls = status["controls"].as_array().unwrap();
    let found = controls.iter().find(|one| one["id"] == control).unwrap();
    found["decisions"][word].as_u64().unwrap_or(0)
}

#[test]
fn two_accounts_are_judged_as_they_were_made_with_one_request_a_page() {
    let moto = Server::moto();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for region in ["eu-west-1", "us-east-1"] {
            make_secrets(&session(FIRST, region, &moto.endpoint).await, SECRETS).await;
        }
        make_users(&session(FIRST, "eu-west-1", &moto.endpoint).await, USERS).await;
        make_secrets(&session(SECOND, "eu-west-1", &moto.endpoint).await, 3).await;
        make_secrets(&session(SECOND, DENIED, &moto.endpoint).await, 3).await;
    });
    let (endpoint, asked) = refusing(&moto.endpoint);
    let repo = config(&endpoint);
    let (ran, peak) = slm_measured(repo.path(), &["status", "--format", "json"], &KEYS);
    let status = ran.exits(3).json();
    let against = "1003 secrets, 200 users, 2 accounts, 2 regions of each";
    let figure = format!(r#"{{"figure":"integration.rss_mb","value":{peak:.1},"unit":"MB","against":"{against}"}}"#);
    // A debug build maps ten times the code.
    assert!(peak > 1.0 && (peak <= 60.0 || std::env::var_os("SLM_BIN").is_none()), "{figure}");
    writeln!(std::io::stdout(), "{figure}").unwrap();

    // 1,003 secrets were made where we may look: one in ten has an unknown tier, and the refused region is no evidence as a whole.
    assert_eq!(count(&status, "ROT-01", "compliant"), 2 * 450 + 2, "new secrets within their tier");
    assert_eq!(count(&status, "ROT-01", "no-evidence"), 2 * 50 + 1 + 1, "unknown tiers and the refused region");
    assert_eq!(count(&status, "ROT-01", "non-compliant"), 0);
    assert_eq!(count(&status, "ROT-02", "non-compliant"), 1_003, "nothing is declared or rotated by AWS");
    assert_eq!(count(&status, "ROT-03", "compliant"), USERS as u64, "every key is new");

    requests_are_pages_and_a_fixed_number(&status, &asked);
}

/// Requests of each collector in each account and region: pages of lists, and what is asked once.
fn requests_are_pages_and_a_fixed_number(status: &Json, count: &Count) {
    let receipts = status["receipts"].as_array().unwrap();
    let refused = format!("{SECOND}/{DENIED}");
    let (mut pages, mut fixed) = (0, 0);
    for (collector, scope, lists, once) in [
        ("secrets-manager", format!("{FIRST}/eu-west-1"), 5, 1),
        ("secrets-manager", format!("{FIRST}/us-east-1"), 5, 1),
        ("secrets-manager", format!("{SECOND}/eu-west-1"), 1, 1),
        ("secrets-manager", refused.clone(), 1, 1),
        ("cloudtrail", format!("{FIRST}/eu-west-1"), 0, 2),
        ("cloudtrail", format!("{FIRST}/us-east-1"), 0, 2),
        ("cloudtrail", format!("{SECOND}/eu-west-1"), 0, 2),
        ("cloudtrail", refused.clone(), 0, 2),
        ("iam", format!("{FIRST}/global"), 1, 5),
        ("iam", format!("{SECOND}/global"), 1, 5),
    ] {
        let receipt = receipts.iter().find(|receipt| receipt["collector"] == collector && receipt["scope"] == scope);
        let receipt = receipt.unwrap_or_else(|| panic!("no receipt of {collector} {scope}"));
        let asked = receipt["operations"].as_array().unwrap().iter().map(|one| one["requests"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(asked, lists + once, "{collector} {scope}: {}", receipt["operations"]);
        assert_eq!(
            receipt["completeness"]["incomplete"]["cause"] == "denied",
            (collector, &scope) == ("secrets-manager", &refused)
        );
        (pages, fixed) = (pages + lists, fixed + once);
    }
    assert_eq!(receipts.len(), 10, "and no other collector asked");
    assert_eq!((pages, fixed), (14, 22));
    assert_eq!(status["requests"], pages + fixed);
    // What the accounts were asked in truth: the same, and for each session its role.
    let [all, roles] = [&count[0], &count[1]].map(|count| count.load(Ordering::Relaxed));
    assert_eq!((all, roles), (pages + fixed + 4, 4), "one role for each account and region");
    assert_eq!(status["sent"], all, "what receipts count, and the roles");
}
