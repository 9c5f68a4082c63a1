//! Sinks: one contract for a bucket and a table, each of which the locker and the other can be rebuilt from; then the built binary.

use std::path::Path;

use aws_sdk_dynamodb::types::{AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_iam::Client as Iam;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use slm::host::mirror::{Rebuilt, line, packet};
use slm::model::locker::{DynamodbSink, S3Sink};
use slm::model::time::Limit;
use slm::sinks::dynamodb::Table;
use slm::sinks::s3::Bucket;
use slm::world::{ErrorClass, Packet, Sink};

use crate::aws::{config, source};
use crate::rotation;
use crate::support::{Server, World};
use crate::verify::{BRANCH, git, ledger, record, repo, slm, vkey};

const REGION: &str = "eu-west-1";
const RUNS: usize = 3;

async fn bucket_client(endpoint: &str) -> aws_sdk_s3::Client {
    let config = config(endpoint, REGION, None).await;
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build())
}

async fn table_client(endpoint: &str) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&config(endpoint, REGION, None).await)
}

async fn make_bucket(endpoint: &str) {
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
    let made = bucket_client(endpoint).await.create_bucket().bucket("acme-copy").create_bucket_configuration(place);
    made.object_lock_enabled_for_bucket(true).send().await.unwrap();
}

async fn make_table(endpoint: &str) {
    let client = table_client(endpoint).await;
    let text =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let request = client.create_table().table_name("evidence").billing_mode(BillingMode::PayPerRequest);
    let request = request.attribute_definitions(text("pk")).attribute_definitions(text("sk"));
    request.key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range)).send().await.unwrap();
}

async fn bucket(endpoint: &str) -> Box<dyn Sink> {
    make_bucket(endpoint).await;
    let settings = S3Sink {
        source: "prod".into(),
        region: REGION.to_owned(),
        bucket: "acme-copy".to_owned(),
        prefix: "slm/mirror/".to_owned(),
        retention: Limit::days(2),
        kms_key: Some("alias/evidence".to_owned()),
    };
    Box::new(Bucket::new(settings, &source(endpoint), &config(endpoint, REGION, None).await))
}

async fn table(endpoint: &str) -> Box<dyn Sink> {
    make_table(endpoint).await;
    let settings = DynamodbSink { source: "prod".into(), region: REGION.to_owned(), table: "evidence".to_owned() };
    Box::new(Table::new(settings, &config(endpoint, REGION, None).await))
}

fn evidence() -> tempfile::TempDir {
    let repo = repo();
    (0..RUNS).for_each(|number| drop(record(repo.path(), number, None, ledger(Some(1), None))));
    repo
}

fn packets(repo: &Path) -> Vec<Packet> {
    let line = line(repo, &git(repo, &["rev-parse", BRANCH])).unwrap();
    (0_u64..).zip(&line).map(|(number, commit)| packet(repo, number, commit).unwrap()).collect()
}

/// The locker that is put together from `sink`, proven by `slm verify`.
async fn rebuilt(sink: &dyn Sink, folder: &Path) {
    let mut new = Rebuilt::begin(folder).unwrap();
    for (number, commit) in sink.held().await.unwrap() {
        new.add(&commit, &sink.get(number, &commit).await.unwrap()).unwrap();
    }
    new.end("slm/evidence").unwrap();
    slm(folder, &["--key", &vkey(1)]).exits(0).says("3 commits");
    git(folder, &["fsck", "--full", "--strict", "--no-dangling"]);
}

async fn contract(sink: &dyn Sink) {
    let repo = evidence();
    let tip = git(repo.path(), &["rev-parse", BRANCH]);
    let all = packets(repo.path());
    assert_eq!(all.len(), RUNS);
    assert!(all[1].pack.len() < all[0].pack.len() * 2, "a packet has what its commit adds");
    assert!(sink.held().await.unwrap().is_empty());
    for packet in &all {
        sink.put(packet).await.unwrap();
        sink.put(packet).await.unwrap();
    }
    let held: Vec<(u64, String)> = sink.held().await.unwrap().into_iter().collect();
    assert_eq!(held, all.iter().map(|packet| (packet.number, packet.commit.clone())).collect::<Vec<_>>());

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.git");
    rebuilt(sink, &copy).await;
    assert_eq!(git(&copy, &["rev-parse", BRANCH]), tip);

    // What commits point to, in parts where a part has an end: bytes that do not compress.
    let noise: Vec<u8> = (0_u32..250_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let (store, name) = (sink.objects(all[0].received), "ab/cdef.zst");
    assert_eq!(store.get(name).await.unwrap(), None);
    assert!(store.put(name, noise.clone()).await.unwrap());
    assert!(!store.put(name, b"other".to_vec()).await.unwrap(), "what is there stays");
    assert!(store.get(name).await.unwrap() == Some(noise));
    assert_eq!(sink.held().await.unwrap().len(), RUNS, "it is no commit");

    // Another history under the same numbers is not taken in silence.
    let other = Packet { commit: "f".repeat(40), ..all[1].clone() };
    let put = sink.put(&other).await.map(|()| None);
    let error = match put {
        Err(error) => Some(error),
        Ok(error) => sink.held().await.err().or(error),
    };
    assert_eq!(error.unwrap().class, ErrorClass::Conflict);
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_and_locks_and_encrypts_what_it_keeps() {
    let moto = Server::moto();
    let sink = bucket(&moto.endpoint).await;
    contract(&*sink).await;
    let client = bucket_client(&moto.endpoint).await;
    let listed = client.list_objects_v2().bucket("acme-copy").send().await.unwrap();
    for object in listed.contents() {
        let head = client.head_object().bucket("acme-copy").key(object.key().unwrap()).send().await.unwrap();
        assert_eq!(head.object_lock_mode().unwrap().as_str(), "COMPLIANCE");
        assert_eq!(head.server_side_encryption().unwrap().as_str(), "aws:kms");
        assert_eq!(head.ssekms_key_id(), Some("alias/evidence"));
    }
    assert_eq!(listed.contents().len(), RUNS + 2);

    // An object that a later commit points to as well is kept for as long as that.
    let until = async || {
        let asked = client.head_object().bucket("acme-copy").key("slm/mirror/objects/ab/cdef.zst");
        asked.send().await.unwrap().object_lock_retain_until_date.unwrap().secs()
    };
    let (before, later) = (until().await, Limit::days(9).after(slm::model::time::Timestamp::from_second(until().await).unwrap()));
    assert!(!sink.objects(later).put("ab/cdef.zst", b"other".to_vec()).await.unwrap());
    assert_eq!(until().await, later.as_second() + 2 * Limit::DAY);
    assert!(!sink.objects(slm::model::time::Timestamp::UNIX_EPOCH).put("ab/cdef.zst", b"other".to_vec()).await.unwrap());
    assert!(until().await > before, "and never for a shorter time");
}

#[tokio::test]
async fn a_table_keeps_the_contract_on_moto_and_on_roto() {
    for server in [Server::moto(), Server::roto()] {
        contract(&*table(&server.endpoint).await).await;
    }
}

#[tokio::test]
async fn a_pack_longer_than_an_item_goes_in_parts_and_one_that_lost_some_is_not_given() {
    let moto = Server::moto();
    let sink = table(&moto.endpoint).await;
    let repo = evidence();
    // Bytes that do not compress: a million of them.
    let noise: Vec<u8> = (0_u32..250_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let large = Packet { pack: noise.clone(), ..packets(repo.path())[0].clone() };
    sink.put(&large).await.unwrap();
    assert_eq!(sink.get(0, &large.commit).await.unwrap(), noise);
    let client = table_client(&moto.endpoint).await;
    let scanned =
        client.scan().table_name("evidence").into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    let parts: Vec<_> = scanned.iter().filter(|item| item.contains_key("bytes")).collect();
    assert_eq!(parts.len(), 3);
    let delete = client.delete_item().table_name("evidence").key("pk", parts[1]["pk"].clone());
    delete.key("sk", parts[1]["sk"].clone()).send().await.unwrap();
    assert_eq!(sink.get(0, &large.commit).await.unwrap_err().cause, "its parts are not what they were");
}

#[tokio::test]
async fn the_locker_is_rebuilt_from_the_bucket_and_the_table_from_that() {
    let moto = Server::moto();
    let (bucket, table) = (bucket(&moto.endpoint).await, table(&moto.endpoint).await);
    let repo = evidence();
    for packet in packets(repo.path()) {
        bucket.put(&packet).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.git"), folder.path().join("two.git"));
    rebuilt(&*bucket, &one).await;
    for packet in packets(&one) {
        table.put(&packet).await.unwrap();
    }
    rebuilt(&*table, &two).await;
    assert_eq!(git(&two, &["rev-parse", BRANCH]), git(repo.path(), &["rev-parse", BRANCH]));
    // A packet out of its place, or cut, is not put together.
    let mut wrong = Rebuilt::begin(&folder.path().join("wrong.git")).unwrap();
    let all = packets(&one);
    wrong.add(&all[1].commit, &all[1].pack).unwrap_err();
    let mut cut = Rebuilt::begin(&folder.path().join("cut.git")).unwrap();
    cut.add(&all[0].commit, &all[0].pack[..all[0].pack.len() / 2]).unwrap_err();
    assert_eq!(Rebuilt::begin(&two).map(drop).unwrap_err().class, ErrorClass::Conflict);
}

/// A config repo with both sinks.
async fn world(moto: &Server) -> World {
    Iam::new(&config(&moto.endpoint, REGION, None).await).create_user().user_name("ci-deployer").send().await.unwrap();
    make_bucket(&moto.endpoint).await;
    make_table(&moto.endpoint).await;
    let world = rotation::world(&moto.endpoint);
    let at = "source = \"prod\", region = \"eu-west-1\"";
    let sinks = format!(
        "\n[[locker.sink]]\nid = \"copy\"\ns3 = {{ {at}, bucket = \"acme-copy\", retention = \"2d\" }}\n\n\
         [[locker.sink]]\nid = \"table\"\ndynamodb = {{ {at}, table = \"evidence\" }}\n"
    );
    world.write("slm.toml", &(world.read("slm.toml") + &sinks));
    world.commit();
    world.slm(&["check"]).exits(0);
    world
}

#[tokio::test]
async fn what_is_too_long_for_git_is_mirrored_with_its_commit_and_restored_from_either_sink() {
    let moto = Server::moto();
    let secrets = aws_sdk_secretsmanager::Client::new(&config(&moto.endpoint, REGION, None).await);
    for number in 0..60 {
        secrets.create_secret().name(format!("plain/{number:03}")).secret_string("x").send().await.unwrap();
    }
    let world = world(&moto).await;
    world.write("slm.toml", &(world.read("slm.toml") + "\n[locker.objects]\nover = 4096\nfolder = \"../objects\"\n"));
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("kept by `copy`, `table`");
    for sink in ["copy", "table"] {
        let folder = format!("../{sink}.git");
        let said = world.slm(&["restore", sink, &folder, "--format", "json"]).exits(0).json();
        assert!(said["objects"].as_u64().unwrap() > 0, "{said}");
        assert_eq!(said["lost"], serde_json::json!([]));
        let objects = format!("{folder}/slm/objects");
        world.slm(&["verify", &folder, "--no-memory", "--objects", &objects]).says(" hold what was received");
    }
    // One that is gone from the sink is told, and the rest is restored.
    let client = bucket_client(&moto.endpoint).await;
    let listed = client.list_objects_v2().bucket("acme-copy").prefix("slm/mirror/objects/").send().await.unwrap();
    let key = listed.contents()[0].key().unwrap();
    let name = key.trim_start_matches("slm/mirror/objects/");
    let delete = table_client(&moto.endpoint).await.delete_item().table_name("evidence");
    let delete = delete.key("pk", AttributeValue::S("objects".to_owned())).key("sk", AttributeValue::S(name.to_owned()));
    delete.send().await.unwrap();
    world.slm(&["restore", "table", "../less.git"]).exits(3).says(&format!("! object `{name}` is not in sink `table`"));
    // In a bucket it is locked: whoever deletes it hides it.
    client.delete_object().bucket("acme-copy").key(key).send().await.unwrap();
    let said = world.slm(&["restore", "copy", "../hidden.git", "--format", "json"]).exits(0).json();
    assert_eq!(said["lost"], serde_json::json!([]));
}

#[tokio::test]
async fn what_somebody_put_over_a_commit_hides_nothing_in_a_bucket_and_is_found_in_a_table() {
    let moto = Server::moto();
    let world = world(&moto).await;
    (0..3).for_each(|_| drop(world.slm(&["apply", "--auto-approve"]).exits(0).says("kept by `copy`, `table`")));
    let tip = git(&world.root(), &["rev-parse", BRANCH]);
    let client = bucket_client(&moto.endpoint).await;
    let listed = client.list_objects_v2().bucket("acme-copy").prefix("slm/mirror/commits/").send().await.unwrap();
    let keys: Vec<&str> = listed.contents().iter().filter_map(|object| object.key()).collect();
    let put = client.put_object().bucket("acme-copy").key(keys[0]);
    put.body(aws_sdk_s3::primitives::ByteStream::from_static(b"x")).send().await.unwrap();
    client.delete_object().bucket("acme-copy").key(keys[1]).send().await.unwrap();
    world.slm(&["restore", "copy", "../copy.git"]).exits(0).says("Restored 3 commits of slm/evidence");
    assert_eq!(git(&world.outside("copy.git"), &["rev-parse", BRANCH]), tip);

    let client = table_client(&moto.endpoint).await;
    let items = client.scan().table_name("evidence").into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    let mut part = items.into_iter().find(|item| item.contains_key("bytes")).unwrap();
    let genuine = part.clone();
    part.insert("bytes".to_owned(), AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new("x")));
    client.put_item().table_name("evidence").set_item(Some(part)).send().await.unwrap();
    // A run looks at names alone.
    world.slm(&["apply", "--auto-approve"]).exits(0).says("kept by `copy`, `table`");
    world.slm(&["restore", "table", "../table.git"]).exits(1).says("its parts are not what they were");
    let left: Vec<_> = std::fs::read_dir(world.outside("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left.iter().any(|name| name.to_string_lossy().contains("table.git") || name.to_string_lossy().starts_with(".slm-")),
        "{left:?}"
    );
    client.put_item().table_name("evidence").set_item(Some(genuine)).send().await.unwrap();
    world.slm(&["restore", "table", "../table.git"]).exits(0).says("Restored 4 commits of slm/evidence");
}

#[tokio::test]
async fn a_control_that_waits_for_a_collector_or_a_signature_holds_up_no_sink() {
    let moto = Server::moto();
    let world = world(&moto).await;
    // VEN-01 is attested by people, and nobody signed it; no collector brings what LOG-10 needs.
    world.ship(&["ROT-01", "VEN-01", "LOG-10"]);
    world.commit();
    let said = world.slm(&["apply", "--auto-approve"]).exits(3).says("kept by `copy`, `table`");
    assert!(!said.out.contains("does not keep it"), "{}", said.out);
    let listed = bucket_client(&moto.endpoint).await.list_objects_v2().bucket("acme-copy").send().await.unwrap();
    assert_eq!(listed.contents().len(), 1);
    world.slm(&["status"]).exits(3).says("VEN-01").says("LOG-10");
}

#[tokio::test]
async fn each_complete_run_is_mirrored_and_one_that_did_not_see_everything_waits() {
    let moto = Server::moto();
    let world = world(&moto).await;
    world.slm(&["apply", "--auto-approve"]).exits(0).says("kept by `copy`, `table`");
    let count = async || {
        let listed = bucket_client(&moto.endpoint).await.list_objects_v2().bucket("acme-copy").send().await.unwrap();
        listed.contents().len()
    };
    assert_eq!(count().await, 1);

    let text = world.read("slm.toml");
    world.write("slm.toml", &(text.clone() + "\n[source.gone]\nvault = { path = \"gone.age\", identity = \"../gone\" }\n"));
    world.slm(&["apply", "--auto-approve"]).says("`copy` does not keep it: it waits for a run that sees everything in scope");
    assert_eq!(count().await, 1, "nothing is written from what was not seen whole");
    world.write("slm.toml", &text);
    world.slm(&["apply", "--auto-approve"]).exits(0).says("kept by `copy`, `table`");
    assert_eq!(count().await, 3);

    let tip = git(&world.root(), &["rev-parse", BRANCH]);
    for sink in ["copy", "table"] {
        let folder = format!("../{sink}.git");
        world.slm(&["restore", sink, &folder]).exits(0).says("Restored 3 commits of slm/evidence");
        assert_eq!(git(&world.outside(&format!("{sink}.git")), &["rev-parse", BRANCH]), tip);
        world.slm(&["restore", sink, &folder]).exits(1).says("it is there already");
    }
    world.slm(&["restore", "else", "../x"]).exits(1).says("no sink `else` in `slm.toml`; there are `copy`, `table`");

    // By control and time.
    let client = table_client(&moto.endpoint).await;
    let query = client.query().table_name("evidence").key_condition_expression("pk = :pk AND sk > :from");
    let query = query.expression_attribute_values(":pk", AttributeValue::S("control#ROT-01".to_owned()));
    let found = query.expression_attribute_values(":from", AttributeValue::S("2020".to_owned())).send().await.unwrap();
    assert_eq!(found.items().len(), 3);
    let tally = found.items()[0]["tally"].as_s().unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(tally).unwrap().is_object(), "{tally}");

    // One that cannot be reached is a gap of that run, and holds up no other.
    let gone = "\n[[locker.sink]]\nid = \"gone\"\ns3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme-gone\", retention = \"2d\" }\n";
    world.write("slm.toml", &(text.clone() + gone));
    world.slm(&["apply", "--auto-approve"]).exits(3).says("kept by `copy`, `table`").says("! `gone` does not keep it: ");
    // It is one of all that is asked of the evidence since, and not of that run alone.
    world.slm(&["status"]).exits(3).says("! sink `gone` did not keep 1 run of ").says("; it still lacks what they recorded");
    let period = world.slm(&["report", "period"]).exits(3).says("! unproven    sink `gone` did not keep 1 run of ");
    let caught_up = period
        .says("! unproven    sink `copy` did not keep 1 run of ")
        .says(": it waits for a run that sees everything in scope; run ");
    assert!(caught_up.out.contains(" caught up\n"), "{}", caught_up.out);
    let zip = world.outside("gap.zip");
    let bundle = world.slm(&["export", "bundle", "--out", zip.to_str().unwrap()]).exits(3);
    bundle.says("! unproven    sink `gone` did not keep 1 run of ");
    world.write("slm.toml", &text);
    let ran = world.slm(&["status"]);
    assert!(!ran.out.contains("did not keep"), "{}", ran.out);

    // Evidence that cannot be read is not kept by everybody; how things stand is told all the same.
    let file = world.root().join(".git").join(BRANCH);
    let kept = std::fs::read(&file).unwrap();
    std::fs::write(&file, format!("{}\n", "f".repeat(40))).unwrap();
    world.slm(&["status"]).exits(3).says("! nobody knows who keeps what runs recorded: could not ").says("ROT-01");
    std::fs::write(&file, kept).unwrap();

    // A history of ours that is another is not mirrored over the one that is there.
    git(&world.root(), &["update-ref", BRANCH, &format!("{tip}~1")]);
    git(&world.root(), &["update-ref", "-d", "refs/slm/appended/slm/evidence"]);
    world.slm(&["apply", "--auto-approve"]).exits(7).says("`copy` has another log").says("`table` has another log");
}
