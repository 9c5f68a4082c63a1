//! Buckets of S3 through the built binary: one with Object Lock that keeps checkpoints, and one that keeps what is too long for git.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use slm::record::objects::{Pointer, packed};

use crate::aws::config;
use crate::cli_aws::without_keys;
use crate::support::{Ran, Server, World};
use crate::verify::{BRANCH, git};

const REGION: &str = "eu-west-1";

/// A config repo over an account of many secrets, whose checkpoints and long answers go to buckets of it.
async fn world(moto: &Server) -> (World, aws_sdk_s3::Client) {
    let config = config(&moto.endpoint, REGION, None).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    for number in 0..60 {
        secrets.create_secret().name(format!("plain/{number:03}")).secret_string("x").send().await.unwrap();
    }
    let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    for (name, lock) in [("acme-anchors", true), ("acme-objects", false)] {
        let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
        let made = s3.create_bucket().bucket(name).create_bucket_configuration(place).object_lock_enabled_for_bucket(lock);
        made.send().await.unwrap();
    }
    let world =
        without_keys(&moto.endpoint).with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").with("AWS_SECRET_ACCESS_KEY", "test");
    let settings = "\n[locker.objects]\nover = 4096\ns3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme-objects\" }\n\n\
                    [[locker.anchor]]\nid = \"offsite\"\n\
                    s3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme-anchors\", retention = \"2190d\" }\n";
    world.write("slm.toml", &(world.read("slm.toml") + settings));
    world.commit();
    world.slm(&["check"]).exits(0);
    (world, s3)
}

/// The codes of what is unproven.
fn unproven(said: &Ran) -> Vec<String> {
    said.json()["unproven"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn buckets_that_keep_checkpoints_and_long_answers_are_written_by_apply_and_asked_by_verify() {
    let moto = Server::moto();
    let (world, s3) = world(&moto).await;
    for _ in 0..2 {
        world.slm(&["apply", "--auto-approve"]).says("Recorded as ").says("It is kept by `offsite`.");
    }
    let verify = |arguments: &[&str]| world.slm(&[&["verify", "--no-memory"][..], arguments].concat());
    let offline = verify(&["--format", "json"]).exits(3);
    assert_eq!(unproven(&offline), ["slm::evidence-unpinned", "slm::evidence-objects-unseen"]);
    verify(&[]).exits(3).says("`offsite` is not asked; `--online` asks it").says("they are in a bucket; `--online` asks it");
    // No key signs the log; nothing else is left open once both are asked.
    let online = verify(&["--online", "--format", "json"]).exits(3);
    assert_eq!(unproven(&online), ["slm::evidence-unpinned"]);
    let json = online.json();
    assert_eq!((&json["anchors"][0]["id"], &json["anchors"][0]["kind"]), (&"offsite".into(), &"s3".into()), "{json}");
    assert_eq!(json["anchors"][0]["entries"], json["entries"], "{json}");
    let held = json["objects"]["held"].as_u64().unwrap();
    assert!(held > 0 && json["objects"]["bytes"].as_u64().unwrap() > held * 4_096, "{json}");

    // Each checkpoint is locked, and each object is what a pointer in git says.
    let listed = s3.list_objects_v2().bucket("acme-anchors").send().await.unwrap();
    assert_eq!(listed.contents().len(), 2, "one a run");
    for one in listed.contents() {
        let head = s3.head_object().bucket("acme-anchors").key(one.key().unwrap()).send().await.unwrap();
        assert_eq!(head.object_lock_mode().unwrap().as_str(), "COMPLIANCE");
    }
    let all = git(&world.root(), &["ls-tree", "-r", "--name-only", BRANCH, "raw/"]);
    let path = all.lines().find(|path| path.ends_with(".object")).unwrap();
    let pointer = Pointer::parse((git(&world.root(), &["show", &format!("{BRANCH}:{path}")]) + "\n").as_bytes()).unwrap();
    let key = format!("slm/objects/{}", pointer.object());
    let put = |bytes: Vec<u8>| s3.put_object().bucket("acme-objects").key(&key).body(ByteStream::from(bytes)).send();
    let kept = s3.get_object().bucket("acme-objects").key(&key).send().await.unwrap().body.collect().await.unwrap().to_vec();
    put(packed(b"other").unwrap()).await.unwrap();
    verify(&["--online"]).exits(7).says("error[slm::evidence-object-changed]").says("has other bytes in it");
    s3.delete_object().bucket("acme-objects").key(&key).send().await.unwrap();
    verify(&["--online"]).exits(7).says("error[slm::evidence-object-missing]").says("is gone");
    put(kept).await.unwrap();
    verify(&["--online"]).exits(3).says(" hold what was received");

    // The log goes back a run, and what is locked elsewhere does not.
    git(&world.root(), &["update-ref", BRANCH, &format!("{BRANCH}~1")]);
    verify(&[]).exits(3);
    verify(&["--online"]).exits(7).says("error[slm::evidence-truncated]: by anchor `offsite`, the log has ");
}
