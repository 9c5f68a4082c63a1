//! Who slm is in AWS: keys of the environment, a profile, the token of a CI run, a role to read and another to apply, told by moto.

use std::collections::BTreeSet;
use std::fs;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sts::config::Credentials;
use serde_json::Value as Json;

use crate::aws_proxy::Proxy;
use crate::cli_aws::without_keys;
use crate::support::{Server, World, contains};

const ROLE: &str = "arn:aws:iam::123456789012:role";
const SESSION: &str = "arn:aws:sts::123456789012:assumed-role";
const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "test")];

async fn sdk(endpoint: &str, key: &str) -> aws_config::SdkConfig {
    let credentials = Credentials::new(key, "test", None, None, "test");
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).credentials_provider(credentials);
    loader.region(Region::new("eu-west-1")).endpoint_url(endpoint).load().await
}

/// Makes the user `name`, and gives its key as the two lines of a profile.
async fn user(endpoint: &str, name: &str) -> String {
    let iam = aws_sdk_iam::Client::new(&sdk(endpoint, "test").await);
    iam.create_user().user_name(name).send().await.unwrap();
    let made = iam.create_access_key().user_name(name).send().await.unwrap().access_key.unwrap();
    format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", made.access_key_id, made.secret_access_key)
}

/// Who called, as every receipt of the account says.
#[track_caller]
fn callers(world: &World) -> BTreeSet<String> {
    let said = world.slm(&["status", "--format", "json"]).json();
    let receipts = said["receipts"].as_array().unwrap().iter();
    let of_aws = |receipt: &&Json| ["secrets-manager", "iam", "cloudtrail"].contains(&receipt["collector"].as_str().unwrap());
    let callers: BTreeSet<String> =
        receipts.filter(of_aws).map(|one| one["caller"].as_str().unwrap_or("nobody").to_owned()).collect();
    assert!(!callers.is_empty(), "{said}");
    callers
}

fn settings(world: World, more: &str) -> World {
    world.edit("slm.toml", "account =", &format!("{more}, account ="));
    world
}

#[tokio::test]
async fn a_profile_that_is_named_is_taken_before_keys_of_the_environment_and_others_of_the_file() {
    let server = Server::moto();
    let (other, auditor) = (user(&server.endpoint, "other").await, user(&server.endpoint, "auditor").await);
    let world = without_keys(&server.endpoint);
    let file = world.outside("credentials");
    fs::write(&file, format!("[default]\n{other}\n[audit]\n{auditor}")).unwrap();
    let world = world.with("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap());
    let user = |name: &str| BTreeSet::from([format!("arn:aws:iam::123456789012:user/{name}")]);
    assert_eq!(callers(&world), user("other"), "without a profile it is the default one");

    let world = settings(world, "profile = \"audit\"");
    assert_eq!(callers(&world), user("auditor"));
    let world = KEYS.into_iter().fold(world, |world, (name, value)| world.with(name, value));
    assert_eq!(callers(&world), user("auditor"), "whatever else the environment holds");
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_no_reason_to_take_another_key() {
    let server = Server::moto();
    let world = KEYS.into_iter().fold(without_keys(&server.endpoint), |world, (name, value)| world.with(name, value));
    let said = settings(world, "profile = \"gone\"").slm(&["status", "--format", "json"]).json();
    let receipts = said["receipts"].as_array().unwrap();
    let of_aws = receipts.iter().find(|one| one["collector"] == "secrets-manager").unwrap();
    assert!(of_aws["completeness"]["incomplete"].is_object() && of_aws["caller"].is_null(), "{of_aws}");
}

#[tokio::test]
async fn the_token_of_a_ci_run_becomes_a_session_of_its_role_and_then_the_role_that_reads() {
    let server = Server::moto();
    let world = without_keys(&server.endpoint);
    let (file, token) = (world.outside("token"), format!("canary-web-identity-{}", std::process::id()));
    fs::write(&file, &token).unwrap();
    let world = world
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap())
        .with("AWS_ROLE_ARN", &format!("{ROLE}/ci"))
        .with("AWS_ROLE_SESSION_NAME", "run-42")
        .with("AWS_ENDPOINT_URL", &server.endpoint);
    assert_eq!(callers(&world), [format!("{SESSION}/ci/run-42")].into());

    let world = settings(world, &format!("read-role = \"{ROLE}/slm-read\""));
    let read = callers(&world);
    assert!(read.len() == 1 && read.first().unwrap().starts_with(&format!("{SESSION}/slm-read/slm-")), "{read:?}");
    let ran = world.slm(&["status", "-vv", "--log-json"]);
    assert!(!contains(ran.out.as_bytes(), &token) && !contains(ran.err.as_bytes(), &token), "{}{}", ran.out, ran.err);
}

#[tokio::test]
async fn what_is_written_is_written_by_the_role_that_applies_and_everything_is_read_by_the_other() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let world = KEYS.into_iter().fold(without_keys(&proxy.endpoint), |world, (name, value)| world.with(name, value));
    let world = settings(world, &format!("read-role = \"{ROLE}/slm-read\", apply-role = \"{ROLE}/slm-apply\""));
    world.commit();
    let said = world.slm(&["apply", "--auto-approve", "--format", "json"]).json();
    let rotated = said["outcomes"].as_array().unwrap().iter().find(|of| of["action"]["rotate"].is_object()).unwrap().clone();
    assert_eq!(rotated["fate"], "done", "{rotated}");
    let rotation = rotated["action"]["rotate"]["rotation"].as_str().unwrap();

    let signed = proxy.state().signed.clone();
    let mut who = Vec::new();
    for operation in ["ListSecrets", "CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "TagResource"] {
        for key in signed.get(operation).into_iter().flatten() {
            let sts = aws_sdk_sts::Client::new(&sdk(&server.endpoint, key).await);
            let arn = sts.get_caller_identity().send().await.unwrap().arn.unwrap();
            who.push((operation, arn));
        }
    }
    let writes: BTreeSet<_> =
        who.iter().filter(|(operation, _)| *operation != "ListSecrets").map(|(_, arn)| arn.as_str()).collect();
    assert_eq!(writes, [format!("{SESSION}/slm-apply/slm-{rotation}").as_str()].into(), "{who:?}");
    assert!(["CreateSecret", "PutSecretValue"].iter().any(|name| signed.contains_key(*name)), "{signed:?}");
    let reads: BTreeSet<_> = who.iter().filter(|(operation, _)| *operation == "ListSecrets").map(|(_, arn)| arn.clone()).collect();
    assert!(!reads.is_empty() && reads.iter().all(|arn| arn.starts_with(&format!("{SESSION}/slm-read/"))), "{reads:?}");
    assert_eq!(callers(&world), reads, "the receipts say so");
}
