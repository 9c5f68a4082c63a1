//! AWS for real: moto and roto for state, a scripted server for lists that break off.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::types::Tag;
use slm::collectors::secrets_manager::SecretsManager;
use slm::model::catalog::{AwsSource, SecretRef};
use slm::model::id::VersionId;
use slm::model::receipt::RawRef;
use slm::model::secret::Secret;
use slm::model::snapshot::{Completeness, Fact, Resource, Unseen};
use slm::model::time::Timestamp;
use slm::transport::aws::session_from;
use slm::transport::secrets_manager_store::SecretsManagerStore;
use slm::world::{Clock, Collected, Collector, ErrorClass, PENDING, SecretStore, SecretView, WorldError};

use crate::aws_proxy::Proxy;
use crate::aws_script::Script;
use crate::support::Server;

pub const ACCOUNT: &str = "123456789012";
pub const CANARY: &str = "canary-7f3a91-never-shown";
const V1: &str = "11111111-1111-5111-8111-111111111111";
const V2: &str = "22222222-2222-5222-8222-222222222222";
const V3: &str = "33333333-3333-5333-8333-333333333333";

/// Answers GetCallerIdentity, and ListSecrets with `pages` in order, the last one for ever.
fn scripted(pages: Vec<(u16, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut at = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut length, mut list) = (0, false);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                let line = line.to_ascii_lowercase();
                list |= line.starts_with("x-amz-target: secretsmanager.listsecrets");
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let (status, body) = if list { pages[at.min(pages.len() - 1)].clone() } else { (200, identity()) };
            at += usize::from(list);
            // The true date: the SDK takes a refusal with another one for a skewed clock, and tries again.
            let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nx-amzn-requestid: r{at}\r\ndate: {date}\r\n", body.len());
            let _ = write!(stream, "{head}connection: close\r\n\r\n{body}");
        }
    });
    endpoint
}

pub fn identity() -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/reader</Arn><UserId>A</UserId><Account>{ACCOUNT}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

fn page(name: &str, next: &str) -> (u16, String) {
    let secret =
        format!(r#"{{"ARN":"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:{name}","Name":"{name}","Description":"{CANARY}"}}"#);
    (200, format!(r#"{{"SecretList":[{secret}],"NextToken":"{next}"}}"#))
}

fn refusal(code: &str) -> (u16, String) {
    (400, format!(r#"{{"__type":"{code}","message":"{CANARY}"}}"#))
}

pub struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }
}

pub fn source(endpoint: &str) -> AwsSource {
    AwsSource {
        account: ACCOUNT.to_owned(),
        regions: vec!["eu-west-1".to_owned()],
        read_role: None,
        apply_role: None,
        profile: None,
        endpoint: Some(endpoint.to_owned()),
        administrators: None,
        events: None,
    }
}

pub async fn config(endpoint: &str, region: &str, role: Option<&str>) -> SdkConfig {
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "test", None, None, "test");
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).credentials_provider(credentials);
    let session = session_from(loader, &source(endpoint), region, role, "slm-test").await;
    // An emulator reads a service in when it is first asked for, which takes a busy machine longer than a run waits for an answer; what
    // is then sent again was done already, and is refused.
    let timeouts = session.timeout_config().cloned().unwrap().into_builder().read_timeout(Duration::from_mins(2)).build();
    session.into_builder().timeout_config(timeouts).build()
}

async fn collect(endpoint: &str, region: &str) -> Collected {
    let config = config(endpoint, region, None).await;
    SecretsManager::new("prod".into(), &source(endpoint), region, config).collect(&Noon).await
}

pub fn text(resource: &Resource, name: &str) -> String {
    match resource.get(name) {
        Some(Fact::Text(text)) => text.to_owned(),
        other => panic!("{name} is {other:?}"),
    }
}

pub fn cause(seen: &Collected) -> Unseen {
    match &seen.receipt.completeness {
        Completeness::Incomplete { cause, .. } => *cause,
        Completeness::Complete => panic!("complete"),
    }
}

pub fn everything(seen: &Collected) -> String {
    let raw: String = seen.raw.iter().map(|raw| String::from_utf8_lossy(&raw.bytes().unwrap()).into_owned()).collect();
    serde_json::to_string(&(&seen.populations, &seen.receipt)).unwrap() + &raw
}

#[tokio::test]
async fn every_secret_of_each_region_is_seen_with_one_request_a_page() {
    let server = Server::moto();
    let west = Client::new(&config(&server.endpoint, "eu-west-1", None).await);
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    for at in 0..205 {
        let request = west.create_secret().name(format!("app/{at:03}")).secret_string(CANARY).description(CANARY);
        request.tags(tag("owner", "team-a")).tags(tag("tier", "gold")).tags(tag("note", CANARY)).send().await.unwrap();
    }
    west.delete_secret().secret_id("app/007").recovery_window_in_days(7).send().await.unwrap();
    let put = west.put_secret_value().secret_id("app/008").client_request_token(V1).secret_string(CANARY);
    put.version_stages("AWSPENDING").send().await.unwrap();
    let east = Client::new(&config(&server.endpoint, "us-east-1", None).await);
    for name in ["one", "two", "three"] {
        east.create_secret().name(name).secret_string(CANARY).send().await.unwrap();
    }

    let seen = collect(&server.endpoint, "eu-west-1").await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    let counts: Vec<_> = seen.receipt.operations.iter().map(|of| (of.name.as_str(), of.pages, of.requests, of.items)).collect();
    assert_eq!(counts, [("sts:GetCallerIdentity", 1, 1, 1), ("secretsmanager:ListSecrets", 3, 3, 205)]);
    assert_eq!((seen.receipt.raw.len(), seen.raw.len()), (3, 3));
    assert!(seen.receipt.source_clock.is_some() && seen.receipt.caller.is_some());
    let population = &seen.populations[0];
    assert_eq!((population.resources.len(), population.scope.as_str()), (205, "123456789012/eu-west-1"));
    let named = |name: &str| population.resources.iter().find(|of| text(of, "name") == name).unwrap();
    assert_eq!((text(named("app/001"), "owner"), text(named("app/001"), "tier")), ("team-a".to_owned(), "gold".to_owned()));
    assert!(matches!(named("app/001").get("created"), Some(Fact::Time(_))));
    assert_eq!(text(named("app/001"), "version").len(), 36);
    for (name, deleting, pending) in [("app/001", false, false), ("app/007", true, false), ("app/008", false, true)] {
        let got = (named(name).get("deleting"), named(name).get("has_pending"));
        assert_eq!(got, (Some(Fact::Bool(deleting)), Some(Fact::Bool(pending))), "{name}");
    }
    assert!(!everything(&seen).contains(CANARY));

    let seen = collect(&server.endpoint, "us-east-1").await;
    assert_eq!((seen.populations[0].resources.len(), seen.receipt.requests()), (3, 2));
}

#[tokio::test]
async fn a_role_is_assumed_with_the_session_name() {
    let server = Server::moto();
    let config = config(&server.endpoint, "eu-west-1", Some("arn:aws:iam::123456789012:role/slm-read")).await;
    let seen = SecretsManager::new("prod".into(), &source(&server.endpoint), "eu-west-1", config).collect(&Noon).await;
    assert_eq!(seen.receipt.caller.as_deref(), Some("arn:aws:sts::123456789012:assumed-role/slm-read/slm-test"));
}

#[tokio::test]
async fn credentials_the_source_refuses_are_denied_though_it_answers_xml() {
    let server = Server::moto_that_checks_credentials();
    let seen = collect(&server.endpoint, "eu-west-1").await;
    assert_eq!((cause(&seen), seen.receipt.caller.as_deref()), (Unseen::Denied, None));
    let failed = store(&server.endpoint).await.describe(&secret()).await.unwrap_err();
    assert_eq!(failed.class, ErrorClass::Denied);
}

#[tokio::test]
async fn another_account_is_not_read_as_this_one() {
    let endpoint = scripted(vec![page("a", "")]);
    let mut aws = source(&endpoint);
    aws.account = "999999999999".to_owned();
    let config = config(&endpoint, "eu-west-1", None).await;
    let seen = SecretsManager::new("prod".into(), &aws, "eu-west-1", config).collect(&Noon).await;
    assert_eq!((cause(&seen), seen.receipt.requests(), seen.populations[0].resources.len()), (Unseen::Inconsistent, 1, 0));
}

#[tokio::test]
async fn a_source_that_does_not_listen_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let seen = collect(&format!("http://127.0.0.1:{port}"), "eu-west-1").await;
    assert_eq!(cause(&seen), Unseen::Unreachable);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_incomplete_and_keeps_what_was_seen() {
    let (first, again) = (page("a", "t1"), page("b", "t1"));
    for (second, want, resources, requests) in [
        (refusal("AccessDeniedException"), Unseen::Denied, 1, 2),
        (refusal("ThrottlingException"), Unseen::Throttled, 1, 5),
        (refusal("ExpiredTokenException"), Unseen::Expired, 1, 2),
        (again, Unseen::Inconsistent, 2, 2),
        ((503, CANARY.to_owned()), Unseen::Unreachable, 1, 5),
        ((403, format!("<E><Code>{CANARY}</Code></E>")), Unseen::Denied, 1, 2),
    ] {
        let seen = collect(&scripted(vec![first.clone(), second]), "eu-west-1").await;
        assert_eq!((cause(&seen), seen.populations[0].resources.len()), (want, resources), "{want:?}");
        assert_eq!(seen.receipt.operations[1].requests, requests, "{:?}", seen.receipt.completeness);
        assert_eq!(seen.receipt.completeness, seen.populations[0].completeness);
        assert!(seen.receipt.source_clock.is_some());
        assert_eq!(seen.receipt.raw[0].redacted.keys().collect::<Vec<_>>(), ["/SecretList/*/Description"]);
        assert!(!everything(&seen).contains(CANARY), "{want:?}");
    }
}

#[tokio::test]
async fn a_page_without_a_list_is_no_empty_list() {
    for (pages, resources) in [(vec![], 0), (vec![page("a", "t1")], 1)] {
        for body in ["{}", r#"{"SecretList":null}"#] {
            let answers = pages.iter().cloned().chain([(200, body.to_owned())]).collect();
            let seen = collect(&scripted(answers), "eu-west-1").await;
            assert_eq!((cause(&seen), seen.populations[0].resources.len()), (Unseen::Inconsistent, resources), "{body}");
        }
    }
    let seen = collect(&scripted(vec![(200, r#"{"SecretList":[]}"#.to_owned())]), "eu-west-1").await;
    assert!(seen.receipt.completeness.is_complete() && seen.populations[0].resources.is_empty());
}

#[tokio::test]
async fn a_body_that_the_sdk_cannot_read_leaves_its_digest_in_an_incomplete_receipt() {
    let cut = format!(r#"{{"SecretList":[{{"Name":"b","Description":"{CANARY}""#);
    for body in [cut, format!("<html>{CANARY}</html>"), format!(r#"{{"SecretList":"{CANARY}"}}"#)] {
        let seen = collect(&scripted(vec![page("a", "t1"), (200, body.clone())]), "eu-west-1").await;
        assert_eq!((cause(&seen), seen.populations[0].resources.len()), (Unseen::Inconsistent, 1), "{body}");
        let kept: Vec<_> = seen.raw.iter().map(|raw| raw.bytes().unwrap().into_owned()).collect();
        assert_eq!((seen.receipt.raw.len(), kept.len(), kept[1].len()), (2, 2, 0), "nobody knows what is in it: {body}");
        let whole = seen.receipt.raw[1].name.clone();
        assert_eq!(whole, "prod/secrets-manager/123456789012/eu-west-1/0002.json");
        assert_eq!(seen.receipt.raw[1], RawRef::new(whole, body.as_bytes(), b"", RawRef::unread()), "{body}");
        assert!(!everything(&seen).contains(CANARY), "{body}");
    }
}

fn secret() -> SecretRef {
    SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "prod/db".to_owned() }
}

async fn store(endpoint: &str) -> SecretsManagerStore {
    SecretsManagerStore::new().with("prod".into(), "eu-west-1", &config(endpoint, "eu-west-1", None).await)
}

fn value(of: &str) -> Secret {
    Secret::new(of.as_bytes().to_vec())
}

fn class<T>(result: Result<T, WorldError>) -> ErrorClass {
    let error = result.err().expect("an error");
    assert!(!format!("{error} {error:?}").contains(CANARY));
    error.class
}

/// What every store must do, told once for each emulator.
async fn contract(endpoint: &str) {
    let (store, secret) = (store(endpoint).await, secret());
    let [v1, v2, v3] = [V1, V2, V3].map(VersionId::from);
    assert!(!store.describe(&secret).await.unwrap().exists);
    assert_eq!(class(store.read(&secret, &v1).await), ErrorClass::NotFound);
    assert_eq!(class(store.promote(&secret, None, &v1).await), ErrorClass::NotFound);

    store.put(&secret, &v1, &value(CANARY)).await.unwrap();
    store.put(&secret, &v1, &value(CANARY)).await.unwrap();
    let error = store.put(&secret, &v1, &value("other")).await.unwrap_err();
    assert_eq!(error.to_string(), "could not put version 11111111… of prod/db: the version holds another value");
    assert_eq!(class(Err::<(), _>(error)), ErrorClass::Conflict);
    let view = store.describe(&secret).await.unwrap();
    assert_eq!((view.current(), view.labelled(PENDING)), (None, Some(&v1)), "what is put is not in force by that");

    store.promote(&secret, None, &v1).await.unwrap();
    assert_eq!(store.describe(&secret).await.unwrap().current(), Some(&v1));

    store.put(&secret, &v2, &value("second")).await.unwrap();
    let view = store.describe(&secret).await.unwrap();
    assert_eq!((view.current(), view.labelled(PENDING)), (Some(&v1), Some(&v2)));
    assert!(view.versions[&v1].labels.iter().all(|label| label != PENDING));
    assert_eq!(store.read(&secret, &v1).await.unwrap().expose(), CANARY.as_bytes());
    assert_eq!(store.read(&secret, &v2).await.unwrap().expose(), b"second");

    assert_eq!(class(store.promote(&secret, Some(&v3), &v2).await), ErrorClass::Conflict);
    assert_eq!(class(store.promote(&secret, None, &v2).await), ErrorClass::Conflict);
    store.promote(&secret, Some(&v1), &v2).await.unwrap();
    assert_eq!(class(store.promote(&secret, Some(&v1), &v2).await), ErrorClass::Conflict);
    store.put(&secret, &v2, &value("second")).await.unwrap();
    let view = store.describe(&secret).await.unwrap();
    assert_eq!((view.current(), view.labelled("AWSPREVIOUS")), (Some(&v2), Some(&v1)));
    assert_eq!(class(store.put(&secret, &v1, &value("other")).await), ErrorClass::Conflict);
    assert_eq!(class(store.read(&secret, &v3).await), ErrorClass::NotFound);
}

#[tokio::test]
async fn the_store_keeps_its_contract_on_moto() {
    contract(&Server::moto().endpoint).await;
}

#[tokio::test]
async fn the_store_keeps_its_contract_on_roto() {
    contract(&Server::roto().endpoint).await;
}

/// The owner that the tag of the secret says.
async fn tagged(client: &Client) -> Option<String> {
    let found = client.describe_secret().secret_id("prod/db").send().await.unwrap();
    let tag = found.tags().iter().find(|tag| tag.key() == Some("slm:owner"));
    tag.map(|tag| tag.value().unwrap().to_owned())
}

#[tokio::test]
async fn a_secret_is_tagged_by_who_writes_it_first_and_refused_to_others_until_it_is_handed_over() {
    for server in [Server::moto(), Server::roto()] {
        let (secret, [v1, v2, v3]) = (secret(), [V1, V2, V3].map(VersionId::from));
        let nobody = store(&server.endpoint).await;
        let ours = store(&server.endpoint).await.owned_by(Some("acme/a"));
        let theirs = store(&server.endpoint).await.owned_by(Some("acme/b"));
        let client = Client::new(&config(&server.endpoint, "eu-west-1", None).await);
        nobody.put(&secret, &v1, &value("one")).await.unwrap();
        nobody.promote(&secret, None, &v1).await.unwrap();
        assert_eq!(tagged(&client).await, None, "without an owner nothing is claimed");
        ours.put(&secret, &v2, &value("two")).await.unwrap();
        ours.promote(&secret, Some(&v1), &v2).await.unwrap();
        assert_eq!(tagged(&client).await.as_deref(), Some("acme/a"), "with the tag that every promotion writes");
        assert_eq!(ours.describe(&secret).await.unwrap().shut, None);
        for other in [&theirs, &nobody] {
            let why = other.describe(&secret).await.unwrap().shut;
            assert_eq!(why.as_deref(), Some("the secret belongs to `acme/a`, as its tag `slm:owner` says"));
            assert_eq!(class(other.put(&secret, &v3, &value("three")).await), ErrorClass::Permanent);
            assert_eq!(class(other.promote(&secret, Some(&v2), &v1).await), ErrorClass::Permanent);
        }
        let hand_over = Tag::builder().key("slm:owner").value("acme/b").build();
        client.tag_resource().secret_id("prod/db").tags(hand_over).send().await.unwrap();
        assert_eq!(class(ours.put(&secret, &v3, &value("three")).await), ErrorClass::Permanent);
        theirs.put(&secret, &v3, &value("three")).await.unwrap();
        theirs.promote(&secret, Some(&v2), &v3).await.unwrap();
        assert_eq!(
            (tagged(&client).await.as_deref(), theirs.describe(&secret).await.unwrap().current()),
            (Some("acme/b"), Some(&v3))
        );
        let seen = collect(&server.endpoint, "eu-west-1").await;
        assert_eq!(text(&seen.populations[0].resources[0], "slm_owner"), "acme/b");
    }
}

#[tokio::test]
async fn a_secret_that_slm_makes_is_its_owners_from_the_first_instant() {
    let server = Server::moto();
    let store = store(&server.endpoint).await.owned_by(Some("acme/a"));
    store.put(&secret(), &V1.into(), &value("one")).await.unwrap();
    let client = Client::new(&config(&server.endpoint, "eu-west-1", None).await);
    assert_eq!(tagged(&client).await.as_deref(), Some("acme/a"));
}

#[tokio::test]
async fn what_did_not_change_is_not_listed_again_and_what_another_changed_is() {
    for server in [Server::moto(), Server::roto()] {
        let proxy = Proxy::before(&server.endpoint);
        let (ours, other, secret) = (store(&proxy.endpoint).await, store(&server.endpoint).await, secret());
        let [v1, v2, v3] = [V1, V2, V3].map(VersionId::from);
        for step in 0..5 {
            match step {
                0 => other.put(&secret, &v1, &value("one")).await.unwrap(),
                1 => other.promote(&secret, None, &v1).await.unwrap(),
                2 => other.put(&secret, &v2, &value("two")).await.unwrap(),
                // The version before has no label any more.
                3 => other.put(&secret, &v3, &value("three")).await.unwrap(),
                _ => other.promote(&secret, Some(&v1), &v3).await.unwrap(),
            }
            // One server dates every version now, whenever it is asked.
            let labels = |view: SecretView| view.versions.into_iter().map(|(id, view)| (id, view.labels)).collect::<Vec<_>>();
            let truth = labels(other.describe(&secret).await.unwrap());
            for again in [false, true] {
                proxy.begin(None);
                assert_eq!(labels(ours.describe(&secret).await.unwrap()), truth, "{step}");
                let listed = proxy.state().calls.iter().any(|call| call == "ListSecretVersionIds");
                assert!(!again || !listed, "{step}: an unchanged secret is listed again");
            }
        }
    }
}

#[tokio::test]
async fn a_region_out_of_scope_is_not_reached() {
    let mut elsewhere = secret();
    elsewhere.region = "ap-south-1".to_owned();
    assert_eq!(class(store("http://127.0.0.1:9").await.describe(&elsewhere).await), ErrorClass::Permanent);
}

/// AWS says that a replica is in sync of itself; which version it has in force it says in its region.
#[tokio::test]
async fn a_replica_serves_the_current_version_when_its_own_region_says_so_and_one_that_was_not_seen_does_not() {
    let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "app/db".to_owned() };
    let described = |current: &str, more: &str| {
        (200, format!(r#"{{"Name":"app/db","VersionIdsToStages":{{"{current}":["AWSCURRENT"]}}{more}}}"#))
    };
    let regions = ["a", "b", "c"].map(|region| format!(r#"{{"Region":"{region}","Status":"InSync"}}"#)).join(",");
    let primary = described("g", &format!(r#","ReplicationStatus":[{regions}]"#));
    let listed = (200, r#"{"Versions":[{"VersionId":"g","VersionStages":["AWSCURRENT"],"CreatedDate":1.5}]}"#.to_owned());
    let told = async |others: [(u16, String); 3]| {
        let answers: Vec<_> = std::iter::once(primary.clone()).chain(others).collect();
        let script = Script::new().on("DescribeSecret", &answers).on("ListSecretVersionIds", std::slice::from_ref(&listed));
        store(&script.serve()).await.asking_replicas().describe(&secret).await.unwrap().behind
    };
    let same = || described("g", r#","PrimaryRegion":"eu-west-1""#);
    assert_eq!(told([same(), same(), same()]).await, [""; 0]);
    let denied = refusal("AccessDeniedException");
    assert_eq!(told([same(), described("before", ""), denied]).await, ["b", "c (not seen: AccessDeniedException (HTTP 400))"]);
}

#[tokio::test]
async fn the_store_tells_its_clock_and_replicas_that_are_behind_and_leaves_alone_what_aws_rotates() {
    let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "app/db".to_owned() };
    let described = |more: &str| {
        let versions = r#""VersionIdsToStages":{"g":["AWSCURRENT"]}"#;
        (200, format!(r#"{{"Name":"app/db",{versions}{more}}}"#))
    };
    let listed = (200, r#"{"Versions":[{"VersionId":"g","VersionStages":["AWSCURRENT"],"CreatedDate":1.5}]}"#.to_owned());
    let replicas = r#","ReplicationStatus":[{"Region":"a","Status":"InSync"},{"Region":"b","KmsKeyId":"k","Status":"InProgress"},{"Region":"c","Status":"Failed"}]"#;
    let script =
        Script::new().on("DescribeSecret", &[described(replicas)]).on("ListSecretVersionIds", std::slice::from_ref(&listed));
    let before = Timestamp::now().as_second();
    let view = store(&script.serve()).await.describe(&secret).await.unwrap();
    assert_eq!((view.behind, view.shut), (vec!["b".to_owned(), "c".to_owned()], None));
    assert_eq!(view.replica_keys, [("b".to_owned(), "k".to_owned())]);
    assert!(view.now.is_some_and(|now| (before..=before + 60).contains(&now.as_second())), "{:?}", view.now);

    for (more, why) in [
        (r#","DeletedDate":1.5,"RotationEnabled":true"#, Some("the secret is to be deleted")),
        (r#","RotationEnabled":true"#, Some("AWS rotates the secret itself")),
        (r#","OwningService":"rds","PrimaryRegion":"us-east-1""#, Some("the secret belongs to the AWS service `rds`")),
        (r#","PrimaryRegion":"us-east-1""#, Some("the secret is a replica of the one in us-east-1")),
        (r#","OwningService":"","PrimaryRegion":"eu-west-1","RotationEnabled":false"#, None),
    ] {
        let script =
            Script::new().on("DescribeSecret", &[described(more)]).on("ListSecretVersionIds", std::slice::from_ref(&listed));
        assert_eq!(store(&script.serve()).await.describe(&secret).await.unwrap().shut.as_deref(), why, "{more}");
    }

    let script =
        Script::new().on("DescribeSecret", &[described(r#","RotationEnabled":true"#)]).on("ListSecretVersionIds", &[listed]);
    let store = store(&script.serve()).await;
    let (slot, value) = (VersionId::from("00000000-0000-0000-0000-000000000000"), Secret::new(b"new".to_vec()));
    for refused in [store.put(&secret, &slot, &value).await, store.promote(&secret, Some(&"g".into()), &slot).await] {
        let error = refused.unwrap_err();
        assert_eq!(error.class, ErrorClass::Permanent);
        assert!(error.to_string().contains("AWS rotates this secret itself"), "{error}");
    }
}
