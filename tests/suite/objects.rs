//! Raw answers that are too long for git: one contract for a folder and a bucket, then the built binary that puts them and looks at them.

use std::fs;
use std::path::Path;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_secretsmanager::Client as Secrets;
use slm::model::locker::S3Objects;
use slm::objects::folder::Folder;
use slm::objects::s3::Bucket;
use slm::record::objects::{Pointer, packed};
use slm::world::{ErrorClass, ObjectStore};

use crate::aws::{config, source};
use crate::cli_aws::without_keys;
use crate::support::{Server, World, git};

const REGION: &str = "eu-west-1";

async fn contract(store: &dyn ObjectStore) {
    let bytes = b"{\"SecretList\":[]}".repeat(1_000);
    let (pointer, object) = (Pointer::to(&bytes), packed(&bytes).unwrap());
    let name = pointer.object();
    assert!(store.put("aa/first.zst", b"x".to_vec()).await.unwrap());
    assert_eq!(store.get(&name).await.unwrap(), None);
    assert!(store.put(&name, object.clone()).await.unwrap());
    assert!(!store.put(&name, b"other".to_vec()).await.unwrap(), "what is there stays");
    assert_eq!(pointer.unpacked(&store.get(&name).await.unwrap().unwrap()), Ok(bytes));
}

#[tokio::test]
async fn a_folder_keeps_the_contract_and_one_that_is_not_there_has_lost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    contract(&Folder::new(folder.path().join("objects"))).await;
    let gone = Folder::new(folder.path().join("gone")).get("aa/b.zst").await.unwrap_err();
    assert_eq!(
        (gone.class, gone.to_string().as_str()),
        (ErrorClass::Transient, "could not read object `aa/b.zst`: entity not found")
    );
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_on_moto_and_on_roto_and_one_that_is_not_there_has_lost_nothing() {
    for server in [Server::moto(), Server::roto()] {
        let config = config(&server.endpoint, REGION, None).await;
        let client = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
        let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
        client.create_bucket().bucket("acme-objects").create_bucket_configuration(place).send().await.unwrap();
        let open = |name: &str| {
            let (bucket, prefix) = (name.to_owned(), "slm/objects/".to_owned());
            let settings = S3Objects { source: "prod".into(), region: REGION.to_owned(), bucket, prefix };
            Bucket::new(settings, &source(&server.endpoint), &config)
        };
        contract(&open("acme-objects")).await;
        open("acme-gone").get("aa/b.zst").await.unwrap_err();
    }
}

/// A config repo over an account of many secrets, whose raw answers go to a folder.
async fn world(moto: &Server) -> World {
    let secrets = Secrets::new(&config(&moto.endpoint, REGION, None).await);
    for number in 0..60 {
        secrets.create_secret().name(format!("plain/{number:03}")).secret_string("x").send().await.unwrap();
    }
    let world =
        without_keys(&moto.endpoint).with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").with("AWS_SECRET_ACCESS_KEY", "test");
    let text = world.read("slm.toml");
    world.write("slm.toml", &format!("{text}\n[locker.objects]\nover = 4096\nfolder = \"../objects\"\n"));
    world.commit();
    world.slm(&["check"]).exits(0);
    world
}

fn listed(world: &World) -> Vec<String> {
    let listed = git(&world.root(), &["ls-tree", "-r", "--name-only", "slm/evidence", "raw/"]);
    String::from_utf8(listed).unwrap().lines().map(str::to_owned).collect()
}

fn size(world: &World, path: &str) -> u64 {
    let said = git(&world.root(), &["cat-file", "-s", &format!("slm/evidence:{path}")]);
    String::from_utf8(said).unwrap().trim().parse().unwrap()
}

/// The one file below `folder` that is `name`.
fn object(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    assert!(path.is_file(), "{}", path.display());
    path
}

#[tokio::test]
async fn what_is_too_long_for_git_is_an_object_that_verify_looks_at() {
    let moto = Server::moto();
    let world = world(&moto).await;
    let said = world.slm(&["apply", "--auto-approve", "--format", "json"]).json();
    assert_eq!(said["left_in_git"], serde_json::Value::Null, "{said}");
    let all = listed(&world);
    let pointers: Vec<&String> = all.iter().filter(|path| path.ends_with(".object")).collect();
    assert!(!pointers.is_empty(), "{all:?}");
    for path in &all {
        assert!(size(&world, path) <= 4_096, "{path} is in git");
    }
    let pointer = git(&world.root(), &["show", &format!("slm/evidence:{}", pointers[0])]);
    let pointer = Pointer::parse(&pointer).unwrap();
    assert!(pointer.bytes > 4_096);
    let folder: Vec<&str> = all[0].split('/').skip(1).take(4).collect();
    let run = git(&world.root(), &["show", &format!("slm/evidence:runs/{}.json", folder.join("/"))]);
    let run: serde_json::Value = serde_json::from_slice(&run).unwrap();
    let raw = run["raw"].as_array().unwrap().iter().find(|raw| format!("{}.object", raw["path"].as_str().unwrap()) == *pointers[0]);
    assert_eq!(raw.unwrap()["sha256"], pointer.sha256, "the receipt of the run and the pointer say the same");

    let objects = world.outside("objects");
    let verify = |arguments: &[&str]| world.slm(&[&["verify", "--no-memory"][..], arguments].concat());
    verify(&[]).exits(3).says(" hold what was received").says("no key signs the log");
    let path = object(&objects, &pointer.object());
    let kept = fs::read(&path).unwrap();
    fs::write(&path, packed(b"other").unwrap()).unwrap();
    verify(&[]).exits(7).says("error[slm::evidence-object-changed]").says("has other bytes in it");
    fs::write(&path, &kept[..kept.len() / 2]).unwrap();
    verify(&[]).exits(7).says("error[slm::evidence-object-changed]").says("cannot be unpacked");
    fs::remove_file(&path).unwrap();
    verify(&[]).exits(7).says("error[slm::evidence-object-missing]").says("is gone");
    fs::write(&path, &kept).unwrap();
    fs::rename(&objects, world.outside("copy")).unwrap();
    verify(&[]).exits(3).says("! unproven").says("could not read object");
    verify(&["--objects", "../copy"]).exits(3).says(" hold what was received");
    world.edit("slm.toml", "[locker.objects]\nover = 4096\nfolder = \"../objects\"\n", "");
    verify(&[]).exits(3).says("no store of objects is known here; give a copy of it with `--objects`");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_leaves_the_bytes_in_git_and_is_told() {
    let moto = Server::moto();
    let world = world(&moto).await;
    fs::write(world.outside("objects"), "a file").unwrap();
    let said = world.slm(&["apply", "--auto-approve"]).says("! what is too long for git was left in git: could not keep object");
    assert!(said.out.contains("Recorded as "), "{}", said.out);
    let all = listed(&world);
    assert!(all.iter().all(|path| !path.ends_with(".object")) && all.iter().any(|path| size(&world, path) > 4_096), "{all:?}");
    fs::remove_file(world.outside("objects")).unwrap();
    world.slm(&["apply", "--auto-approve"]);
    let after = listed(&world);
    assert!(after.iter().any(|path| path.ends_with(".object")), "{after:?}");
}

#[tokio::test]
async fn a_past_day_rests_on_answers_in_the_object_store_as_on_those_in_git() {
    let moto = Server::moto();
    let world = world(&moto).await;
    world.slm(&["apply", "--auto-approve"]);
    let all = listed(&world);
    let path = all.iter().find(|path| path.ends_with(".object")).unwrap();
    let pointer = Pointer::parse(&git(&world.root(), &["show", &format!("slm/evidence:{path}")])).unwrap();
    let day = path.split('/').skip(1).take(3).collect::<Vec<_>>().join("-");
    let said = world.slm(&["explain", "ROT-01", "--at", &day, "--format", "json"]).json();
    assert_eq!(said["findings"], serde_json::json!([]));
    let told = said["artefacts"].as_array().unwrap().iter().find(|one| one["path"] == path.as_str()).unwrap();
    let object = serde_json::json!({ "name": pointer.object(), "sha256": pointer.sha256, "bytes": pointer.bytes });
    assert_eq!(told["object"], object);
    let told = world.slm(&["explain", "ROT-01", "--at", &day]);
    told.says(&format!("      points to {}  object {}  {} bytes\n", pointer.sha256, pointer.object(), pointer.bytes));

    // A pointer to other bytes than the run received is no evidence of them.
    let tree = world.outside("tamper");
    git(&world.root(), &["worktree", "add", "-q", "--force", tree.to_str().unwrap(), "slm/evidence"]);
    fs::write(tree.join(path), Pointer::to(b"other").file().unwrap()).unwrap();
    let who = ["-c", "user.name=slm", "-c", "user.email=slm@localhost"];
    git(&tree, &[&who[..], &["commit", "-q", "-a", "--amend", "--no-edit"]].concat());
    let told = world.slm(&["explain", "ROT-01", "--at", &day]).exits(7);
    told.says(&format!("error[slm::evidence-edited]: `{path}` is not what its run kept"));
}
