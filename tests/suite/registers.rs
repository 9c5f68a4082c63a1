//! Registers: one contract for git, S3 and DynamoDB, on two emulators each; then a rotation by the built binary with each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_iam::Client as Iam;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use futures::future::try_join_all;
use slm::host::registers::GitRegisters;
use slm::model::id::{RegisterName, RotationId};
use slm::model::registers::{DynamodbRegisters as Table, S3Registers as Bucket};
use slm::model::time::Timestamp;
use slm::transport::registers_dynamodb::DynamodbRegisters;
use slm::transport::registers_s3::S3Registers;
use slm::world::{ErrorClass, Registers};

use crate::aws::{config, source};
use crate::aws_proxy::{Fault, Proxy};
use crate::rotation;
use crate::support::{Server, World, git};

const REGION: &str = "eu-west-1";
const BUCKET: &str = "acme-slm";
const TABLE: &str = "slm-registers";
/// Settings that have registers be objects of that bucket.
pub const S3: &str = "\n[registers]\ns3 = { source = \"prod\", region = \"eu-west-1\", bucket = \"acme-slm\" }\n";
/// Settings that have them be items of that table.
pub const DYNAMODB: &str = "\n[registers]\ndynamodb = { source = \"prod\", region = \"eu-west-1\", table = \"slm-registers\" }\n";
/// Rounds of two writers each.
const ROUNDS: usize = 25;

type Shared = Arc<dyn Registers>;

pub async fn bucket(endpoint: &str) -> Shared {
    let settings =
        Bucket { source: "prod".into(), region: REGION.to_owned(), bucket: BUCKET.to_owned(), prefix: "slm/".to_owned() };
    Arc::new(S3Registers::new(settings, &source(endpoint), &config(endpoint, REGION, None).await))
}

pub async fn table(endpoint: &str) -> Shared {
    let settings = Table { source: "prod".into(), region: REGION.to_owned(), table: TABLE.to_owned() };
    Arc::new(DynamodbRegisters::new(settings, &config(endpoint, REGION, None).await))
}

pub async fn make_bucket(endpoint: &str) -> aws_sdk_s3::Client {
    let config = config(endpoint, REGION, None).await;
    let client = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
    client.create_bucket().bucket(BUCKET).create_bucket_configuration(place).send().await.unwrap();
    client
}

pub async fn make_table(endpoint: &str) -> aws_sdk_dynamodb::Client {
    let client = aws_sdk_dynamodb::Client::new(&config(endpoint, REGION, None).await);
    let text = |name: &str| {
        let text = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        text.build().unwrap()
    };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let request = client.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    let request = request.attribute_definitions(text("rotation")).attribute_definitions(text("name"));
    let request = request.key_schema(key("rotation", KeyType::Hash)).key_schema(key("name", KeyType::Range));
    request.send().await.unwrap();
    client
}

pub fn name(text: &str) -> RegisterName {
    RegisterName::from(text)
}

pub fn names(texts: &[&str]) -> Vec<RegisterName> {
    texts.iter().map(|text| name(text)).collect()
}

/// Writes until the answer is clear.
async fn write(registers: &Shared, rotation: &RotationId, register: &RegisterName, value: &str) -> String {
    for _ in 0..50 {
        match registers.write_once(rotation, register, value).await {
            Ok(value) => return value,
            Err(error) if error.class == ErrorClass::Transient => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the answer is never clear");
}

/// What every place must do. `one` and `two` are opened apart, as by two runs.
async fn contract(one: &Shared, two: &Shared) {
    let (first, second) = (RotationId::from("9f2c41d07ab3"), RotationId::from("0a1b2c3d4e5f"));
    let wanted = names(&["verdict-1", "fate-1"]);
    assert_eq!(one.read(&first, &wanted).await.unwrap(), BTreeMap::new());

    // Who writes first decides; the other learns it, and so does who writes again.
    assert_eq!(one.write_once(&first, &wanted[1], "retire").await.unwrap(), "retire");
    assert_eq!(two.write_once(&first, &wanted[1], "rollback").await.unwrap(), "retire");
    assert_eq!(one.write_once(&first, &wanted[1], "retire").await.unwrap(), "retire");
    let known = BTreeMap::from([(wanted[1].clone(), "retire".to_owned())]);
    for registers in [one, two] {
        assert_eq!(registers.read(&first, &wanted).await.unwrap(), known, "what was not written is absent");
        assert_eq!(registers.read(&first, &wanted[..1]).await.unwrap(), BTreeMap::new(), "what was not asked for is not told");
        assert_eq!(registers.read(&second, &wanted).await.unwrap(), BTreeMap::new(), "another rotation has its own");
        assert_eq!(registers.read(&first, &[]).await.unwrap(), BTreeMap::new());
    }

    // No two names are one, whatever they are made of; values come back byte by byte.
    let odd = names(&["a/b", "a%2Fb", "a b", "a+b", "..", ".", "x.lock", "@{", "é?*[~^:\\", "A", "a", "/", "-"]);
    let value = |at: usize| format!("reject 2026-11-24T12:00:00Z it said \"né\"\n{at} ");
    for (at, name) in odd.iter().enumerate() {
        assert_eq!(one.write_once(&second, name, &value(at)).await.unwrap(), value(at), "{name}");
    }
    let all: BTreeMap<RegisterName, String> = odd.iter().enumerate().map(|(at, name)| (name.clone(), value(at))).collect();
    assert_eq!(two.read(&second, &odd).await.unwrap(), all);

    let mut won = [0, 0];
    for round in 0..ROUNDS {
        let register = name(&format!("verdict-{round}-race"));
        let [left, right] = [one, two].map(|registers| {
            let (registers, rotation, register) = (Arc::clone(registers), first.clone(), register.clone());
            move |value: &'static str| tokio::spawn(async move { write(&registers, &rotation, &register, value).await })
        });
        // Neither is always the first to be begun.
        let (left, right) = if round % 2 == 0 {
            let left = left("left");
            (left, right("right"))
        } else {
            let right = right("right");
            (left("left"), right)
        };
        let (left, right) = (left.await.unwrap(), right.await.unwrap());
        assert_eq!(left, right, "round {round}");
        won[usize::from(left == "right")] += 1;
        let read = one.read(&first, std::slice::from_ref(&register)).await.unwrap();
        assert_eq!((read, two.read(&first, std::slice::from_ref(&register)).await.unwrap()), {
            let known = BTreeMap::from([(register, left)]);
            (known.clone(), known)
        });
    }
    assert_eq!(won[0] + won[1], ROUNDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn git_refs_of_a_remote_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    for repo in ["remote", "one", "two"] {
        git(folder.path(), &["init", "-q", "--bare", repo]);
    }
    let remote = folder.path().join("remote").to_string_lossy().into_owned();
    let open = |repo: &str| Arc::new(GitRegisters::open(&folder.path().join(repo), Some(remote.clone())).unwrap()) as Shared;
    contract(&open("one"), &open("two")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn git_refs_of_this_machine_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q"]);
    let open = || Arc::new(GitRegisters::open(folder.path(), None).unwrap()) as Shared;
    contract(&open(), &open()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_keeps_the_contract_on_moto_and_on_roto() {
    for server in [Server::moto(), Server::roto()] {
        make_bucket(&server.endpoint).await;
        // The proxy makes a conditional write one step, as AWS documents it and moto does not.
        let proxy = Proxy::before(&server.endpoint);
        contract(&bucket(&proxy.endpoint).await, &bucket(&proxy.endpoint).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_keeps_the_contract_on_moto_and_on_roto() {
    for server in [Server::moto(), Server::roto()] {
        make_table(&server.endpoint).await;
        let proxy = Proxy::before(&server.endpoint);
        contract(&table(&proxy.endpoint).await, &table(&proxy.endpoint).await).await;
    }
}

/// Every way to lose a call of a write: whatever is answered, a later read gives that, and a later writer learns it.
async fn lost(proxy: &Proxy, registers: &Shared) {
    let rotation = RotationId::from("9f2c41d07ab3");
    for (at, fault) in [Fault::AnswerLost, Fault::RequestLost, Fault::Twice].into_iter().enumerate() {
        let register = name(&format!("fate-{at}"));
        proxy.begin(Some((0, fault)));
        assert_eq!(registers.write_once(&rotation, &register, "retire").await.unwrap(), "retire", "{fault:?}");
        assert!(!proxy.state().calls.is_empty(), "nothing was asked, so that nothing was lost");
        proxy.begin(None);
        assert_eq!(registers.write_once(&rotation, &register, "rollback").await.unwrap(), "retire", "{fault:?}");
        let read = registers.read(&rotation, std::slice::from_ref(&register)).await.unwrap();
        assert_eq!(read, BTreeMap::from([(register, "retire".to_owned())]), "{fault:?}");
    }
}

#[tokio::test]
async fn a_lost_call_of_s3_or_dynamodb_leaves_one_answer() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    make_bucket(&moto.endpoint).await;
    make_table(&moto.endpoint).await;
    lost(&proxy, &bucket(&proxy.endpoint).await).await;
    lost(&proxy, &table(&proxy.endpoint).await).await;
}

/// Writes `text` as hook `name` of the bare repository at `repo`.
fn hook(repo: &Path, name: &str, text: &str) {
    let path = repo.join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_is_one_that_happened_and_one_that_is_refused_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for repo in ["remote", "one"] {
        git(folder.path(), &["init", "-q", "--bare", repo]);
    }
    let remote = folder.path().join("remote");
    let open = GitRegisters::open(&folder.path().join("one"), Some(remote.to_string_lossy().into_owned()));
    let (registers, rotation) = (open.unwrap(), RotationId::from("9f2c41d07ab3"));
    // The ref is there by then; who would say so is killed.
    hook(&remote, "post-receive", "kill -9 $PPID");
    assert_eq!(registers.write_once(&rotation, &name("fate-1"), "retire").await.unwrap(), "retire");
    assert_eq!(registers.write_once(&rotation, &name("fate-1"), "rollback").await.unwrap(), "retire");

    hook(&remote, "pre-receive", "exit 1");
    registers.write_once(&rotation, &name("fate-2"), "retire").await.unwrap_err();
    let known = BTreeMap::from([(name("fate-1"), "retire".to_owned())]);
    assert_eq!(registers.read(&rotation, &names(&["fate-1", "fate-2"])).await.unwrap(), known);
}

#[tokio::test]
async fn a_run_that_only_looks_fetches_once_and_sees_every_rotation_as_it_was_then() {
    let folder = tempfile::tempdir().unwrap();
    for repo in ["remote", "one", "two"] {
        git(folder.path(), &["init", "-q", "--bare", repo]);
    }
    let remote = folder.path().join("remote");
    let open = |repo: &str| GitRegisters::open(&folder.path().join(repo), Some(remote.to_string_lossy().into_owned())).unwrap();
    let (writer, looker) = (open("one"), open("two").as_of_now());
    let rotations: Vec<RotationId> = (0..5).map(|at| RotationId::from(format!("{at:012}"))).collect();
    for rotation in &rotations[..4] {
        writer.write_once(rotation, &name("fate-1"), "retire").await.unwrap();
    }
    let read = async |rotation| looker.read(rotation, &names(&["fate-1"])).await.unwrap().into_values().collect::<Vec<_>>();
    assert_eq!(read(&rotations[0]).await, ["retire"]);
    fs::rename(&remote, folder.path().join("away")).unwrap();
    for rotation in &rotations[1..4] {
        assert_eq!(read(rotation).await, ["retire"], "it was fetched with the first");
    }
    assert!(read(&rotations[4]).await.is_empty());
    let late = open("one").as_of_now();
    late.read(&rotations[0], &names(&["fate-1"])).await.expect_err("what cannot be fetched is not absent");
    fs::rename(folder.path().join("away"), &remote).unwrap();
    assert_eq!(late.read(&rotations[0], &names(&["fate-1"])).await.unwrap().len(), 1, "it is fetched when it can be");
}

/// A config repo whose access key is rotated with its registers where `settings` say, and what is asked of moto meanwhile.
struct Place {
    moto: Server,
    world: World,
    calls: Vec<String>,
}

impl Place {
    /// The first value is made; the second one too, and the first waits for its end.
    async fn rotated(settings: &str) -> Self {
        let moto = Server::moto();
        let proxy = Proxy::before(&moto.endpoint);
        Iam::new(&config(&moto.endpoint, REGION, None).await).create_user().user_name("ci-deployer").send().await.unwrap();
        make_table(&moto.endpoint).await;
        make_bucket(&moto.endpoint).await;
        let world = rotation::world(&proxy.endpoint);
        let text = world.read("slm.toml");
        world.write("slm.toml", &(text + settings));
        world.commit();
        world.slm(&["check"]).exits(0);
        world.slm(&["apply", "--auto-approve"]).exits(0).says("rotate    deployer  done");
        proxy.begin(None);
        world.slm(&["rotate", "deployer"]).exits(2).says("waits until");
        let calls = std::mem::take(&mut proxy.state().calls);
        world.slm(&["plan"]).exits(2).says("finish").says("not ended yet");
        Self { moto, world, calls }
    }

    /// Every object of the bucket, every item of the table, every ref of the repo that is a register: its name and its value.
    async fn kept(&self) -> [BTreeMap<String, String>; 3] {
        let config = config(&self.moto.endpoint, REGION, None).await;
        let client = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
        let listed = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        let mut objects = BTreeMap::new();
        for key in listed.contents().iter().map(|object| object.key().unwrap()) {
            let body = client.get_object().bucket(BUCKET).key(key).send().await.unwrap().body.collect().await.unwrap();
            let name = key.strip_prefix("slm/registers/").unwrap().to_owned();
            objects.insert(name, String::from_utf8(body.to_vec()).unwrap());
        }
        let scan = aws_sdk_dynamodb::Client::new(&config).scan().table_name(TABLE).consistent_read(true).send().await.unwrap();
        let text = |item: &HashMap<String, AttributeValue>, key: &str| item[key].as_s().unwrap().clone();
        let items = scan.items().iter().map(|item| (text(item, "rotation") + "/" + &text(item, "name"), text(item, "value")));
        let root = self.world.root();
        let refs = git(&root, &["for-each-ref", "--format=%(refname)", "refs/slm/registers"]);
        let refs = String::from_utf8(refs).unwrap();
        let refs = refs.lines().map(|full| {
            let value = String::from_utf8(git(&root, &["cat-file", "blob", full])).unwrap();
            (full.strip_prefix("refs/slm/registers/").unwrap().to_owned(), value)
        });
        [objects, items.collect(), refs.collect()]
    }

    /// Requests of these operations while the second value was made.
    fn asked(&self, what: &[&str]) -> usize {
        self.calls.iter().filter(|call| what.contains(&call.as_str())).count()
    }
}

/// What differs from run to run, which is each instant, put aside.
fn but_instants(kept: &BTreeMap<String, String>) -> BTreeMap<&str, String> {
    let word = |word: &str| if word.parse::<Timestamp>().is_ok() { "INSTANT".to_owned() } else { word.to_owned() };
    kept.iter().map(|(name, value)| (name.as_str(), value.split(' ').map(word).collect::<Vec<_>>().join(" "))).collect()
}

/// The first value is ended; gives the registers at `at`, which are the only ones, and stay as they are when it is run again.
async fn ended(place: Place, at: usize) -> BTreeMap<String, String> {
    place.world.slm(&["apply", "--auto-approve"]).exits(0).says("finish    deployer  done");
    let mut kept = place.kept().await;
    place.world.slm(&["plan"]).exits(0).says("Nothing is due");
    place.world.slm(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(place.kept().await, kept, "another run changes something");
    let own = std::mem::take(&mut kept[at]);
    assert!(kept.iter().all(BTreeMap::is_empty), "place {at} keeps registers elsewhere as well: {kept:?}");
    own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_rotation_writes_the_same_registers_in_a_bucket_a_table_and_git_and_nowhere_else() {
    let places = try_join_all([S3, DYNAMODB, ""].map(|settings| tokio::spawn(Place::rotated(settings)))).await.unwrap();
    println!("{{\"figure\": \"registers.s3.requests\", \"value\": {}}}", places[0].asked(&["GET", "PUT"]));
    println!("{{\"figure\": \"registers.dynamodb.requests\", \"value\": {}}}", places[1].asked(&["Query", "PutItem"]));
    tokio::time::sleep(rotation::LEASE + Duration::from_secs(2)).await;
    let ends = places.into_iter().enumerate().map(|(at, place)| tokio::spawn(ended(place, at)));
    let same = try_join_all(ends).await.unwrap();
    let [s3, dynamodb, git] = [0, 1, 2].map(|at| but_instants(&same[at]));
    assert_eq!((&s3, &dynamodb), (&git, &git));
    let whats: BTreeSet<&str> = git.keys().map(|name| name.split_once('/').unwrap().1.split('-').next().unwrap()).collect();
    assert_eq!(whats, BTreeSet::from(["verdict", "promoted", "fate", "disabled", "refused", "last", "done"]));
}
