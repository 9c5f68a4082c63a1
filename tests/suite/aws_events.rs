//! Calls that made and ended what populations have: read from the log page by page, and what they explain.

use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use slm::collectors::aws_events::Events;
use slm::host::clock::SystemClock;
use slm::model::events::KINDS;
use slm::model::snapshot::{Completeness, Fact, Unseen};
use slm::model::time::{Limit, Timestamp};
use slm::transport::budget::Budget;
use slm::world::{Collected, Collector as _};

use crate::aws::{ACCOUNT, CANARY, Noon, cause, config, everything, source};
use crate::aws_script::{Answer, Script, refused, whole_account};
use crate::support::{Server, World, copy, declared};

fn event(id: &str, name: &str, at: Timestamp, record: &Json) -> Json {
    let mut whole =
        json!({ "userIdentity": { "arn": format!("arn:aws:iam::{ACCOUNT}:user/ada"), "userName": "ada" }, "note": CANARY });
    whole.as_object_mut().unwrap().extend(record.as_object().unwrap().clone());
    json!({
        "EventId": id, "EventName": name, "EventTime": at.as_second(), "Username": "ada", "ReadOnly": "false",
        "CloudTrailEvent": whole.to_string(), "Resources": [{ "ResourceName": CANARY }],
    })
}

fn page(events: &[Json], next: Option<&str>) -> Answer {
    let mut page = json!({ "Events": events });
    if let Some(next) = next {
        page["NextToken"] = next.into();
    }
    (200, page.to_string())
}

/// The name of a call that a request looks up, and the token it goes on from.
fn asked(body: &str) -> (String, Option<String>) {
    let body: Json = serde_json::from_str(body).unwrap();
    let name = body["LookupAttributes"][0]["AttributeValue"].as_str().unwrap().to_owned();
    (name, body["NextToken"].as_str().map(str::to_owned))
}

async fn collect(endpoint: &str, region: Option<&str>) -> Collected {
    let paced = (Limit::days(7), Budget::per_second(100));
    let config = config(endpoint, region.unwrap_or("us-east-1"), None).await;
    let seen = declared(Events::new("prod".into(), &source(endpoint), region, paced, config).collect(&Noon).await);
    assert!(!everything(&seen).contains(CANARY));
    seen
}

fn noon() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn calls_that_made_and_ended_something_are_read_with_a_lookup_for_each_name() {
    let secret = format!("arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:app/key-AbCdEf");
    let named = secret.clone();
    let endpoint = Script::new().serve_but(move |operation, body| {
        (operation == "LookupEvents").then(|| match asked(body) {
            (name, None) if name == "CreateSecret" => {
                let made = event(
                    "e1",
                    &name,
                    noon(),
                    &json!({ "responseElements": { "aRN": named }, "requestParameters": { "name": "app/key" } }),
                );
                let failed = event(
                    "e2",
                    &name,
                    noon(),
                    &json!({ "errorCode": "ResourceExistsException", "requestParameters": { "name": "x" } }),
                );
                page(&[made, failed], Some("t1"))
            }
            (name, Some(_)) if name == "CreateSecret" => {
                page(&[event("e3", &name, noon(), &json!({ "requestParameters": { "name": "app/two" } }))], None)
            }
            (name, _) if name == "DeleteSecret" => {
                page(&[event("e4", &name, noon(), &json!({ "requestParameters": { "secretId": "app/old" } }))], None)
            }
            _ => page(&[], None),
        })
    });
    let seen = collect(&endpoint, Some("eu-west-1")).await;
    assert_eq!(seen.receipt.completeness, Completeness::Complete);
    let told: Vec<_> =
        seen.populations[0].resources.iter().map(|one| (one.text("event").unwrap(), one.text("of").unwrap())).collect();
    assert_eq!(told, [("CreateSecret", secret.as_str()), ("CreateSecret", "app/two"), ("DeleteSecret", "app/old")]);
    let first = &seen.populations[0].resources[0];
    let ada = format!("arn:aws:iam::{ACCOUNT}:user/ada");
    assert_eq!((first.id.as_str(), first.get("at"), first.text("by")), ("event:e1", Some(Fact::Time(noon())), Some(ada.as_str())));
    let lookups = &seen.receipt.operations[1..];
    let regional: Vec<&str> = KINDS.iter().filter(|kind| !kind.global).map(|kind| kind.name).collect();
    let names: Vec<&str> = lookups.iter().map(|one| one.parameters["EventName"].as_str().unwrap()).collect();
    assert_eq!(names, regional);
    assert!(lookups.iter().all(|one| one.parameters["StartTime"] == "2026-11-17T12:00:00Z"), "{lookups:?}");
    assert_eq!(lookups.iter().map(|one| one.requests).sum::<u64>(), regional.len() as u64 + 1, "one more for the second page");
    assert_eq!(seen.receipt.raw.len(), regional.len() + 1);
}

#[tokio::test]
async fn real_calls_that_were_logged_are_found_and_others_are_not() {
    let server = Server::ministack();
    let config = config(&server.endpoint, "eu-west-1", None).await;
    let store = aws_sdk_secretsmanager::Client::new(&config);
    for name in ["app/one", "app/two"] {
        store.create_secret().name(name).secret_string(CANARY).send().await.unwrap();
    }
    store.get_secret_value().secret_id("app/one").send().await.unwrap();
    store.delete_secret().secret_id("app/two").force_delete_without_recovery(true).send().await.unwrap();
    let paced = (Limit::days(1), Budget::per_second(50));
    let collector = Events::new("prod".into(), &source(&server.endpoint), Some("eu-west-1"), paced, config);
    let seen = declared(collector.collect(&SystemClock).await);
    // It logs no names of secrets.
    let counts = |name: &str| seen.populations[0].resources.iter().filter(|one| one.text("event") == Some(name)).count();
    assert_eq!((counts("CreateSecret"), counts("DeleteSecret"), counts("CreateTrail")), (2, 1, 0), "{:?}", seen.receipt);
    assert!(!everything(&seen).contains(CANARY));
}

#[tokio::test]
async fn calls_to_iam_are_read_once_for_an_account_and_who_names_no_user_means_themselves() {
    let endpoint = Script::new().serve_but(|operation, body| {
        (operation == "LookupEvents").then(|| match asked(body).0.as_str() {
            name @ "DeleteAccessKey" => {
                page(&[event("e1", name, noon(), &json!({ "requestParameters": { "accessKeyId": "x" } }))], None)
            }
            name @ "CreateUser" => {
                let user = json!({ "user": { "arn": "arn:aws:iam::1:user/team/bo", "userName": "bo" } });
                page(&[event("e2", name, noon(), &json!({ "responseElements": user }))], None)
            }
            name @ "PutGroupPolicy" => {
                let put = json!({ "groupName": "operators", "policyName": "read", "policyDocument": CANARY });
                page(&[event("e3", name, noon(), &json!({ "requestParameters": put }))], None)
            }
            name @ "DeleteRolePolicy" => page(
                &[event("e4", name, noon(), &json!({ "requestParameters": { "roleName": "ci", "policyName": "deploy" } }))],
                None,
            ),
            _ => page(&[], None),
        })
    });
    let seen = collect(&endpoint, None).await;
    let told: Vec<_> =
        seen.populations[0].resources.iter().map(|one| (one.text("event").unwrap(), one.text("of").unwrap())).collect();
    let users = [("DeleteAccessKey", "ada"), ("CreateUser", "arn:aws:iam::1:user/team/bo")];
    let inline = [("PutGroupPolicy", "operators#read"), ("DeleteRolePolicy", "ci#deploy")];
    assert_eq!(told, [users, inline].concat());
    assert_eq!((seen.receipt.scope.as_str(), seen.receipt.completeness.is_complete()), ("123456789012/global", true));
    assert_eq!(seen.receipt.operations.len(), 1 + KINDS.iter().filter(|kind| kind.global).count());
}

#[tokio::test]
async fn a_log_that_is_not_read_to_its_end_is_incomplete() {
    let looked_up = |answer: fn(usize) -> Answer| {
        let at = Arc::new(Mutex::new(0));
        Script::new().serve_but(move |operation, _| {
            (operation == "LookupEvents").then(|| {
                let mut at = at.lock().unwrap();
                *at += 1;
                answer(*at)
            })
        })
    };
    type Broken = fn(usize) -> Answer;
    let cases: [(Broken, Unseen); 5] = [
        (|_| refused("AccessDenied"), Unseen::Denied),
        (|at| page(&[], Some(&format!("t{at}"))), Unseen::Unreachable),
        (|_| page(&[], Some("again")), Unseen::Inconsistent),
        (|_| page(&[json!({ "EventName": "CreateSecret" })], None), Unseen::Inconsistent),
        (|_| (200, "{".to_owned()), Unseen::Inconsistent),
    ];
    for (answer, want) in cases {
        let seen = collect(&looked_up(answer), Some("eu-west-1")).await;
        assert_eq!(cause(&seen), want, "{:?}", seen.receipt.completeness);
    }
}

#[test]
fn a_secret_that_went_is_explained_by_the_call_that_ended_it_and_another_is_flagged() {
    let gone: Arc<Mutex<bool>> = Arc::default();
    let (now, shared) = (Timestamp::now(), Arc::clone(&gone));
    let endpoint = whole_account().serve_but(move |operation, body| {
        let gone = *shared.lock().unwrap();
        let secret =
            |name: &str| json!({ "ARN": format!("arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:{name}-AbCdEf"), "Name": name });
        match operation {
            "ListSecrets" => {
                let all: Vec<Json> = if gone { vec![secret("a")] } else { ["a", "b", "c"].map(secret).to_vec() };
                Some((200, json!({ "SecretList": all }).to_string()))
            }
            "LookupEvents" if gone && asked(body).0 == "DeleteSecret" => {
                let told = json!({ "requestParameters": { "secretId": "b", "forceDeleteWithoutRecovery": true } });
                Some(page(&[event("e1", "DeleteSecret", now, &told)], None))
            }
            "LookupEvents" => Some(page(&[], None)),
            _ => None,
        }
    });
    let world = World::new()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    for folder in ["controls", "policies"] {
        copy(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &world.root().join(folder));
    }
    let source = format!(
        "[source.prod.aws]\naccount = \"{ACCOUNT}\"\nregions = [\"eu-west-1\"]\nendpoint = \"{endpoint}\"\nadministrators = []\nevents = \"7d\"\n"
    );
    world.write("slm.toml", &source);
    world.commit();
    for went in [false, true] {
        *gone.lock().unwrap() = went;
        let ran = world.slm(&["apply", "--auto-approve"]);
        assert!(ran.out.contains("Recorded as"), "{}{}", ran.out, ran.err);
    }
    let days = [now, Timestamp::now()].map(|at| at.strftime("%Y-%m-%d").to_string());
    let period = ["report", "period", "--from", &days[0], "--to", &days[1]];
    let said = world.slm(&period);
    let told = format!("secret:c-AbCdEf of prod {ACCOUNT}/eu-west-1 went by ");
    assert!(said.out.contains(&told) && !said.out.contains("secret:b-AbCdEf of prod"), "{}", said.out);
    said.says("(1 by a call that was logged, 1 not explained)");
    let json = world.slm(&[&period[..], &["--format", "json"]].concat()).json();
    let populations = json["period"]["populations"].as_array().unwrap();
    assert!(populations.iter().all(|one| one["entity"] != "Aws::Event"), "calls are no population");
    let secrets = populations.iter().find(|one| one["entity"] == "Aws::Secret").unwrap();
    let by = format!("arn:aws:iam::{ACCOUNT}:user/ada");
    let at = Timestamp::from_second(now.as_second()).unwrap();
    let want = json!({ "called": { "event": "DeleteSecret", "at": at, "by": by } });
    assert_eq!(secrets["changes"][0]["explained"], want, "{secrets}");
}
