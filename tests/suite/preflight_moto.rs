//! What holds a rotation or is said of it beforehand, by the binary: a real moto, and where moto keeps no such thing a scripted account.

use aws_sdk_iam::Client as Iam;
use aws_sdk_secretsmanager::Client as Secrets;
use aws_sdk_secretsmanager::types::Tag;
use slm::model::time::Timestamp;

use crate::aws::config;
use crate::preflight::{self, KMS, SECRET, VERSION, world, world_of};
use crate::support::{Server, World};

/// Alice and her key, in a secret that carries the tag of `owner`.
async fn alice(server: &Server, owner: &str) -> Secrets {
    let config = config(&server.endpoint, "eu-west-1", None).await;
    let (iam, secrets) = (Iam::new(&config), Secrets::new(&config));
    iam.create_user().user_name("alice").send().await.unwrap();
    let key = iam.create_access_key().user_name("alice").send().await.unwrap().access_key.unwrap();
    let value = format!(r#"{{"access_key_id":"{}","secret_access_key":"{}"}}"#, key.access_key_id, key.secret_access_key);
    let tag = Tag::builder().key("slm:owner").value(owner).build();
    secrets.create_secret().name("app/key").secret_string(value).tags(tag).send().await.unwrap();
    secrets
}

#[tokio::test]
async fn a_secret_of_another_repo_is_not_rotated_until_it_is_handed_over() {
    let server = Server::moto();
    let secrets = alice(&server, "acme/b").await;
    let world = world(&server.endpoint, "");
    let held = "`app/key` belongs to `acme/b`, as its tag `slm:owner` says, and `slm.toml` names no `owner` [owned-by-another]";
    world.slm(&["plan", "--force", "alice"]).exits(5).says(held).says("say `owner = \"acme/b\"` in `slm.toml`");
    let settings = world.read("slm.toml");
    world.write("slm.toml", &format!("owner = \"acme/a\"\n\n{settings}"));
    world.commit();
    let held = "belongs to `acme/b`, as its tag `slm:owner` says, and this is `acme/a` [owned-by-another]";
    let next = "tag-resource --secret-id app/key --tags Key=slm:owner,Value=acme/a";
    world.slm(&["plan", "--force", "alice", "--markdown"]).exits(5).says(held).says(next);
    world.slm(&["rotate", "alice"]).exits(5).says("1 held");
    let iam = Iam::new(&config(&server.endpoint, "eu-west-1", None).await);
    let keys = || async { iam.list_access_keys().user_name("alice").send().await.unwrap().access_key_metadata().len() };
    assert_eq!(keys().await, 1, "nothing was begun");
    let ours = Tag::builder().key("slm:owner").value("acme/a").build();
    secrets.tag_resource().secret_id("app/key").tags(ours).send().await.unwrap();
    world.slm(&["plan", "--force", "alice"]).exits(2).says("rotate    alice");
}

/// A world that signs in by a program that says when its session ends.
fn until(server: &Server, seconds: i64) -> World {
    let end = Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap();
    let world = World::new();
    let [file, config] = ["session.json", "aws-config"].map(|name| world.outside(name));
    let session = format!(
        r#"{{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"test","SessionToken":"t","Expiration":"{end}"}}"#
    );
    std::fs::write(&file, session).unwrap();
    std::fs::write(&config, format!("[default]\ncredential_process = cat {}\n", file.display())).unwrap();
    let config = config.display().to_string();
    world_of(world.with("AWS_CONFIG_FILE", &config), &server.endpoint, "")
}

#[tokio::test]
async fn a_session_that_ends_on_the_way_is_told_of_by_plan_and_by_what_applies() {
    let server = Server::moto();
    let secrets = alice(&server, "acme/a").await;
    secrets.untag_resource().secret_id("app/key").tag_keys("slm:owner").send().await.unwrap();
    let short = until(&server, 300);
    let line = "! preflight session of prod  it ends at 2";
    let said = short.slm(&["plan", "--force", "alice"]).exits(2).says("rotate    alice").says(line);
    assert!(said.out.contains("sign in again before, or what is cut off goes on with the next run"), "{}", said.out);
    short.slm(&["plan", "--force", "alice", "--markdown"]).exits(2).says("session of prod  it ends at");
    let plan = short.slm(&["plan", "--force", "alice", "--format", "json"]).exits(2).json();
    assert!(
        plan["plan"]["preflight"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["check"] == "session" && one["result"]["warned"].is_string())
    );
    let long = until(&server, 7_200).slm(&["plan", "--force", "alice"]).exits(2);
    assert!(!long.out.contains("session of"), "{}", long.out);
    assert!(short.slm(&["rotate", "alice"]).says(line).out.contains("rotate    alice"), "it is begun all the same");
    let untold = world_of(
        World::new()
            .with("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE")
            .with("AWS_SECRET_ACCESS_KEY", "test")
            .with("AWS_SESSION_TOKEN", "t"),
        &server.endpoint,
        "",
    );
    let plan = untold.slm(&["apply", "--force", "alice", "--auto-approve"]);
    assert!(!plan.out.contains("! preflight session"), "{}", plan.out);
}

/// moto answers every replica with the key that AWS keeps, whatever it was made with.
#[test]
fn the_key_of_a_replica_that_is_switched_off_holds_the_rotation_and_is_asked_for_in_its_region() {
    let theirs = "arn:aws:kms:eu-central-1:123456789012:key/k2";
    let described = format!(
        r#"{{"ARN":"{SECRET}","Name":"app/key","VersionIdsToStages":{{"{VERSION}":["AWSCURRENT"]}},
        "ReplicationStatus":[{{"Region":"eu-central-1","KmsKeyId":"{theirs}","Status":"InSync"}}]}}"#
    );
    let endpoint = |state: &'static str| {
        preflight::account("Enabled").on("DescribeSecret", &[(200, described.clone())]).serve_but(move |operation, body| {
            let (id, state) = if body.contains("key/k2") { (theirs, state) } else { (KMS, "Enabled") };
            let key = format!(r#"{{"KeyMetadata":{{"KeyId":"k","Arn":"{id}","KeyState":"{state}","Enabled":true}}}}"#);
            (operation == "DescribeKey").then_some((200, key))
        })
    };
    let held = "the KMS key of the replica in eu-central-1 of `app/key` cannot be used: it is in state Disabled [key-unusable]";
    world(&endpoint("Disabled"), "").slm(&["plan"]).exits(5).says(held);
    let fine = world(&endpoint("Enabled"), "").slm(&["plan"]).exits(2);
    fine.says("KMS key of alice  it can be used").says("KMS key of alice  that of the replica in eu-central-1: it can be used");
}
