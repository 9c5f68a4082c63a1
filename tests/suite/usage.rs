//! Who uses a credential: read from what ministack logs of real calls, and by the binary from a scripted account, since ministack keeps
//! no versions of secrets as AWS does, gives no pages, and logs neither roles nor the names of secrets.

use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use slm::collectors::usage::{before, keys};
use slm::model::catalog::SecretRef;
use slm::model::id::VersionId;
use slm::model::names;
use slm::model::readers::Readers;
use slm::model::time::Timestamp;
use slm::transport::budget::Budget;
use slm::transport::cloudtrail::{By, History};

use crate::aws::{CANARY, config};
use crate::aws_script::{Answer, END, FIRST, SECOND, Script, details, says, whole_account};
use crate::preflight::{SECRET, VERSION, world};
use crate::support::{Server, World};

/// `config` with the credentials of a key that was made.
async fn signed(endpoint: &str, key: &aws_sdk_iam::types::AccessKey) -> aws_config::SdkConfig {
    let credentials = aws_sdk_sts::config::Credentials::new(key.access_key_id(), key.secret_access_key(), None, None, "test");
    let provider = aws_sdk_sts::config::SharedCredentialsProvider::new(credentials);
    config(endpoint, "eu-west-1", None).await.into_builder().credentials_provider(provider).build()
}

#[tokio::test]
async fn the_calls_of_one_key_and_the_readers_of_one_secret_are_told_apart_in_what_was_logged() {
    let server = Server::ministack();
    let admin = config(&server.endpoint, "eu-west-1", None).await;
    let iam = aws_sdk_iam::Client::new(&admin);
    iam.create_user().user_name("deployer").send().await.unwrap();
    let made = || async { iam.create_access_key().user_name("deployer").send().await.unwrap().access_key.unwrap() };
    let began = Timestamp::now();
    let (old, new) = (made().await, made().await);
    let store = aws_sdk_secretsmanager::Client::new(&signed(&server.endpoint, &old).await);
    for name in ["app/key", "app/other"] {
        store.create_secret().name(name).secret_string(CANARY).send().await.unwrap();
    }
    let made = store.get_secret_value().secret_id("app/key").send().await.unwrap().version_id.unwrap();
    store.get_secret_value().secret_id("app/other").send().await.unwrap();
    let user = aws_sdk_secretsmanager::Client::new(&signed(&server.endpoint, &new).await);
    user.get_secret_value().secret_id("app/other").send().await.unwrap();

    let all = keys(&admin, "deployer").await.unwrap();
    let ids = |keys: Vec<&slm::collectors::usage::Key>| keys.into_iter().map(|key| key.id.clone()).collect::<Vec<_>>();
    assert_eq!(all.len(), 2);
    let same = all[0].created == all[1].created;
    let want = if same { vec![] } else { vec![old.access_key_id().to_owned()] };
    assert_eq!(ids(before(&all, Timestamp::now())), want);

    let history = History::new(&admin, "eu-west-1", Budget::per_second(50));
    let hour_ago = Timestamp::from_second(began.as_second() - 3_600).unwrap();
    let found = history.calls(By::Key(old.access_key_id()), hour_ago).await;
    assert_eq!((found.unseen.len(), found.cut.len()), (0, 0));
    let events: Vec<&str> = found.calls.iter().map(|call| call.event.as_str()).collect();
    assert_eq!(events.iter().filter(|event| **event == "GetSecretValue").count(), 2, "{events:?}");
    assert!(events.contains(&"CreateSecret"), "{events:?}");
    for call in &found.calls {
        assert!(call.user_agent.contains("aws-sdk-rust"), "{}", call.user_agent);
        assert_eq!((call.source_ip.as_str(), call.region.as_str()), ("127.0.0.1", "eu-west-1"));
        assert!(call.principal.starts_with("arn:aws:iam::") && !format!("{call:?}").contains(CANARY));
    }
    assert_eq!(history.calls(By::Key(new.access_key_id()), hour_ago).await.calls.len(), 1);
    assert!(history.calls(By::Key("AKIAIOSFODNN7NOBODY"), hour_ago).await.calls.is_empty());
    let later = Timestamp::from_second(Timestamp::now().as_second() + 60).unwrap();
    assert!(history.calls(By::Key(old.access_key_id()), later).await.calls.is_empty(), "the instant counts");

    let read = history.calls(By::Secret("app/key", "arn:aws:secretsmanager:eu-west-1:1:secret:app/key-AbCdEf"), hour_ago).await;
    assert_eq!((read.calls.len(), read.unseen.len()), (1, 0), "{read:?}");
    assert_eq!(read.calls[0].event, "GetSecretValue");
    assert!(history.requests() >= 6);

    // Without a word a reading is one of the version in force, whichever that is; one by its id is one of that alone.
    store.get_secret_value().secret_id("app/key").version_id(&made).send().await.unwrap();
    let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:app/key-AbCdEf";
    for (version, count) in [(made.as_str(), 2), ("00000000-0000-4000-8000-000000000000", 1)] {
        let found = history.calls(By::Version("app/key", arn, version), hour_ago).await;
        assert_eq!(found.calls.len(), count, "{found:?}");
        let readers = Readers::of(&[found.calls[0].principal.clone()], &found);
        assert_eq!(readers.unread(Some(hour_ago)), [""; 0]);
        assert_eq!(readers.unread(Some(later)).len(), 1);
    }
}

pub fn event(name: &str, at: i64, principal: &str, more: Json) -> Json {
    let mut record = json!({
        "userIdentity": { "type": "AssumedRole", "sessionContext": { "sessionIssuer": { "arn": principal } } },
        "userAgent": "Boto3/1.40", "sourceIPAddress": "203.0.113.7", "awsRegion": "eu-west-1",
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "EventName": name, "EventTime": at, "CloudTrailEvent": record.to_string() })
}

pub fn page(events: &[Json], next: Option<&str>) -> Answer {
    (200, json!({ "Events": events, "NextToken": next }).to_string())
}

/// A lookup, by the attribute it asks for.
fn attribute(body: &str) -> (String, String) {
    let body: Json = serde_json::from_str(body).unwrap();
    let one = &body["LookupAttributes"][0];
    (one["AttributeKey"].as_str().unwrap().to_owned(), one["AttributeValue"].as_str().unwrap().to_owned())
}

/// Answers lookups by what they ask for, and keeps that.
fn logged(
    heard: &Arc<Mutex<Vec<(String, String)>>>,
    answer: impl Fn(&str, &str, usize) -> Answer + Send + 'static,
) -> impl Fn(&str, &str) -> Option<Answer> + Send + 'static {
    let heard = Arc::clone(heard);
    move |operation, body| {
        (operation == "LookupEvents").then(|| {
            let (key, value) = attribute(body);
            let mut heard = heard.lock().unwrap();
            heard.push((key.clone(), value.clone()));
            answer(&key, &value, heard.len())
        })
    }
}

#[tokio::test]
async fn a_lookup_goes_page_by_page_ends_somewhere_and_says_where_and_why() {
    let heard = Arc::default();
    let now = Timestamp::now().as_second();
    let endless = Script::new().serve_but(logged(&heard, move |_, _, at| {
        let call = event("ListBuckets", now - 60 * i64::try_from(at).unwrap(), "arn:aws:iam::1:role/app", json!({}));
        page(&[call], Some(&format!("token-{at}")))
    }));
    let of = |config: &aws_config::SdkConfig| History::new(config, "eu-west-1", Budget::per_second(50));
    let history = of(&config(&endless, "eu-west-1", None).await);
    let found = history.calls(By::Key("AKIAOLD"), Timestamp::UNIX_EPOCH).await;
    assert_eq!((found.calls.len(), found.unseen.len(), history.requests()), (4, 0, 4));
    assert_eq!(found.cut, [("eu-west-1".to_owned(), Timestamp::from_second(now - 240).unwrap())]);
    let body = |code: &str| (400, json!({ "__type": code, "message": CANARY }).to_string());
    for (answer, requests, why) in [
        (body("AccessDeniedException"), 1, "CloudTrail of eu-west-1: AccessDeniedException (HTTP 400)"),
        (body("ThrottlingException"), 3, "CloudTrail of eu-west-1: ThrottlingException (HTTP 400)"),
        (page(&[json!({ "EventName": "X" })], None), 1, "CloudTrail of eu-west-1: an event does not say when it was or what"),
        (page(&[], Some("same")), 2, "CloudTrail of eu-west-1: it repeats a page token"),
    ] {
        let heard = Arc::default();
        let endpoint = Script::new().serve_but(logged(&heard, move |_, _, _| answer.clone()));
        let history = of(&config(&endpoint, "eu-west-1", None).await);
        let found = history.calls(By::Secret("app/key", SECRET), Timestamp::UNIX_EPOCH).await;
        assert_eq!((&found.unseen[..], history.requests()), (&[why.to_owned()][..], requests));
    }
}

/// Alice's key was replaced by slm and the old one is let in; somebody uses it, and two roles read the secret.
pub fn account(answer: impl Fn(&str, &str, usize) -> Answer + Send + 'static, heard: &Arc<Mutex<Vec<(String, String)>>>) -> World {
    let now = Timestamp::now().as_second();
    let (_, new) = in_force();
    let labels = json!({ new.as_str(): ["AWSCURRENT"], VERSION: ["AWSPREVIOUS"] });
    let listed = json!({ "SecretList": [{ "ARN": SECRET, "Name": "app/key", "CreatedDate": 1_600_000_000, "SecretVersionsToStages": labels,
        "Tags": [{ "Key": "slm:rotated", "Value": format!("{new} {}", Timestamp::from_second(now - 7_200).unwrap()) }] }] });
    let described = json!({ "ARN": SECRET, "Name": "app/key", "VersionIdsToStages": labels });
    let versions = json!({ "ARN": SECRET, "Versions": [
        { "VersionId": new.as_str(), "VersionStages": ["AWSCURRENT"], "CreatedDate": now - 7_200 },
        { "VersionId": VERSION, "VersionStages": ["AWSPREVIOUS"], "CreatedDate": now - 9_000_000 } ] });
    let key = |id: &str, age: i64| {
        let created = Timestamp::from_second(now - age).unwrap();
        format!(
            "<member><UserName>alice</UserName><AccessKeyId>{id}</AccessKeyId><Status>Active</Status><CreateDate>{created}</CreateDate></member>"
        )
    };
    let keys = format!(
        "<AccessKeyMetadata>{}{}</AccessKeyMetadata><IsTruncated>false</IsTruncated>",
        key("AKIAOLDOLDOLDOLD1OLD", 9_000_000),
        key("AKIANEWNEWNEWNEW1NEW", 7_201)
    );
    let used = format!(
        "<UserName>alice</UserName><AccessKeyLastUsed><Region>us-east-1</Region><ServiceName>s3</ServiceName><LastUsedDate>{}</LastUsedDate></AccessKeyLastUsed>",
        Timestamp::from_second(now - 600).unwrap()
    );
    let script = whole_account()
        .on("GetAccountAuthorizationDetails", &[details(&[FIRST, SECOND].concat(), END)])
        .on("ListSecrets", &[(200, listed.to_string())])
        .on("DescribeSecret", &[(200, described.to_string())])
        .on("ListSecretVersionIds", &[(200, versions.to_string())])
        .on("ListAccessKeys", &[says("ListAccessKeys", &keys)])
        .on("GetAccessKeyLastUsed", &[says("GetAccessKeyLastUsed", &used)]);
    let logged = logged(heard, answer);
    world(
        &script.serve_but(
            move |operation, body| if operation == "GetSecretValue" { Some(value(body)) } else { logged(operation, body) },
        ),
        "",
    )
}

/// The key in the version that is asked for.
fn value(body: &str) -> Answer {
    let body: Json = serde_json::from_str(body).unwrap();
    let version = body["VersionId"].as_str().unwrap();
    let id = if version == VERSION { "AKIAOLDOLDOLDOLD1OLD" } else { "AKIANEWNEWNEWNEW1NEW" };
    let key = json!({ "access_key_id": id, "secret_access_key": CANARY }).to_string();
    (200, json!({ "ARN": SECRET, "Name": "app/key", "VersionId": version, "SecretString": key }).to_string())
}

/// The version in force there, and the rotation that made it.
pub fn in_force() -> (SecretRef, VersionId) {
    let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "app/key".to_owned() };
    let new = names::slot(&secret, Some(&VersionId::from(VERSION)), 0);
    (secret, new)
}

#[test]
fn status_and_plan_name_who_uses_the_old_key_and_who_reads_the_value_undeclared() {
    let heard = Arc::default();
    let now = Timestamp::now().as_second();
    let (app, batch) = ("arn:aws:iam::123456789012:role/app", "arn:aws:iam::123456789012:role/batch");
    // The declared region is asked first, then that of the last use, where nothing is.
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let world = account(
        move |key, value, _| match (key, value) {
            ("AccessKeyId", "AKIAOLDOLDOLDOLD1OLD")
                if turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst).is_multiple_of(2) =>
            {
                page(&[event("PutObject", now - 600, "arn:aws:iam::123456789012:user/alice", json!({}))], None)
            }
            ("ResourceName", SECRET) => {
                let asked = json!({ "requestParameters": { "secretId": SECRET } });
                page(
                    &[event("GetSecretValue", now - 60, batch, asked.clone()), event("GetSecretValue", now - 90, app, asked)],
                    None,
                )
            }
            _ => page(&[], None),
        },
        &heard,
    );
    world.edit(
        "credentials/alice.toml",
        "[policy]",
        &format!(
            "[[consumer]]\nid = \"app\"\nself-refreshing = {{}}\nmax-staleness = \"1h\"\nprincipals = [\"{app}\"]\n\n[policy]"
        ),
    );
    world.commit();
    let ran = world.slm(&["status", "alice"]).exits(2).says("the value before still works");
    let last = Timestamp::from_second(now - 600).unwrap();
    let used = format!(
        "old key …1OLD of alice  arn:aws:iam::123456789012:user/alice, Boto3/1.40 from 203.0.113.7: PutObject in eu-west-1 at {last}, 1 call"
    );
    let ran = ran.says(&format!("uses      old key …1OLD of alice  last used at {last}: s3 in us-east-1")).says(&used);
    let read = format!("value of alice  {batch}, Boto3/1.40 from 203.0.113.7: GetSecretValue in eu-west-1 at ");
    let ran = ran.says(&read).says(": not a declared consumer");
    assert!(!ran.out.contains(app) && !ran.out.contains("AKIAOLD"), "{}", ran.out);
    let asked = std::mem::take(&mut *heard.lock().unwrap());
    let [old, arn, name] = [("AccessKeyId", "AKIAOLDOLDOLDOLD1OLD"), ("ResourceName", SECRET), ("ResourceName", "app/key")];
    let want = [old, old, arn, name].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(asked, want, "in the declared region and in that of the last use");
    let json = world.slm(&["status", "alice", "--format", "json"]).exits(2).json();
    let user = &json["usage"][0]["users"][0];
    assert_eq!((user["source-ip"].as_str(), user["times"].as_u64()), (Some("203.0.113.7"), Some(1)));
    assert_eq!(json["usage"][1]["of"], "value");
    world.slm(&["plan"]).exits(2).says("finish    alice").says(&used).says(&read);
    world.slm(&["plan", "--markdown"]).exits(2).says("Usage:").says("PutObject in eu-west-1");
    let plan = world.slm(&["plan", "--format", "json", "--out", "p.json"]).exits(2).json();
    assert_eq!(plan["plan"]["usage"][0]["of"]["old-key"]["tail"], "1OLD");
    assert!(world.read("p.json").contains("PutObject"), "who approves it sees who uses it");
}

#[test]
fn a_log_that_may_not_be_read_is_told_and_holds_nothing() {
    let heard = Arc::default();
    let denied = || (400, json!({ "__type": "AccessDeniedException", "message": CANARY }).to_string());
    let ran = account(move |_, _, _| denied(), &heard).slm(&["plan"]).exits(2);
    let ran = ran.says("finish    alice").says("users may be missing: CloudTrail of eu-west-1: AccessDeniedException (HTTP 400)");
    assert!(!ran.out.contains(CANARY));
    assert_eq!(heard.lock().unwrap().len(), 2, "once in each region");
}
