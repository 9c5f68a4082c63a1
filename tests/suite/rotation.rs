//! An IAM access key from its first value to the end of its second, by the built binary against moto, and with every call lost once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_iam::Client as Iam;
use serde_json::json;
use slm::model::time::Timestamp;

use crate::aws::config;
use crate::aws_proxy::{At, Proxy};
use crate::killed::Dice;
use crate::leaks::{never_told, untold};
use crate::registers::{DYNAMODB, S3, make_bucket, make_table};
use crate::support::{Ran, Server, World, contains, git, lives};

pub const LEASE: Duration = Duration::from_secs(25);

pub fn world(endpoint: &str) -> World {
    let world = World::new()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    world.looks_at(endpoint);
    world.write(
        "credentials/deployer.toml",
        r#"title = "Access key of the deployer"
owner = "platform"
satisfies = ["ROT-01"]

[secret]
source = "prod"
region = "eu-west-1"
name = "prod/ci/deployer"

[rotator]
aws-iam-access-key = { user = "ci-deployer", exclusive = true }

[policy]
rotate-every = "30d"
lease = "25s"

[gate]
quiet = "0s"
soak = "0s"

[[consumer]]
id = "app"
file = { path = "run/key.json" }
"#,
    );
    world.write(".gitignore", "/run/\n");
    world.commit();
    world
}

/// The id of the key that the consumer holds.
fn held(world: &World) -> String {
    let value: serde_json::Value = serde_json::from_str(&world.read("run/key.json")).unwrap();
    value["access_key_id"].as_str().unwrap().to_owned()
}

async fn keys(iam: &Iam) -> Vec<String> {
    let listed = iam.list_access_keys().user_name("ci-deployer").send().await.unwrap();
    listed.access_key_metadata.into_iter().map(|key| key.access_key_id.unwrap()).collect()
}

#[tokio::test]
async fn an_access_key_is_replaced_and_the_old_one_ended_only_when_nobody_can_hold_it() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let iam = Iam::new(&config(&moto.endpoint, "eu-west-1", None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let world = world(&proxy.endpoint);
    let mut said: Vec<Ran> = Vec::new();
    world.slm(&["check"]).exits(0);
    said.push(world.heard(&["apply", "--auto-approve"]).exits(0).says("rotate    deployer  done"));
    let first = held(&world);
    let first_value = world.read("run/key.json");
    assert_eq!(keys(&iam).await, [first.as_str()]);

    proxy.begin(None);
    said.push(world.heard(&["apply", "--auto-approve", "--force", "deployer"]).exits(2).says("waits until"));
    let promoted = Instant::now();
    let calls = proxy.state().calls.len();
    println!("{{\"figure\": \"rotation.calls.first_run\", \"value\": {calls}}}");
    let rotation = agent_of(&proxy, "CreateAccessKey");
    for operation in ["PutSecretValue", "UpdateSecretVersionStage"] {
        assert_eq!(agent_of(&proxy, operation), rotation, "{operation}");
    }
    assert_eq!(agent_of(&proxy, "ListSecrets"), "slm-read", "looking is no part of a rotation");
    let second = held(&world);
    assert_ne!(first, second);
    assert_eq!(keys(&iam).await.len(), 2, "the old key lives while a run may still hand it out");
    said.push(
        world.heard(&["plan"]).exits(2).says("finish").says("not ended yet").says("unused for 0s").says("permits   guard-retire"),
    );
    let markdown = world.heard(&["plan", "--markdown"]).exits(2).says("<details><summary>finish deployer</summary>");
    said.push(markdown.says("- permits: guard-retire").says("- quiet: ").says("</details>"));
    said.push(world.heard(&["status", "deployer"]).exits(2).says("waits to be unused; not before"));
    assert_eq!(keys(&iam).await.len(), 2);

    // The lease of the run that promoted it counts from the promotion.
    std::thread::sleep((LEASE + Duration::from_secs(2)).saturating_sub(promoted.elapsed()));
    proxy.begin(None);
    said.push(world.heard(&["apply", "--auto-approve"]).exits(0).says("finish    deployer  done"));
    println!("{{\"figure\": \"rotation.calls.second_run\", \"value\": {}}}", proxy.state().calls.len());
    assert_eq!(keys(&iam).await, [second.as_str()]);
    assert_eq!(held(&world), second);
    said.push(world.heard(&["plan"]).exits(0).says("Nothing is due"));
    said.push(world.heard(&["status", "deployer"]).exits(0).says("nothing is left to do").says("validity"));

    what_is_kept_of_its_life(&world, &rotation);
    let sent = proxy.sent();
    assert!(sent.contains("Action=CreateAccessKey") && sent.contains("x-amz-target: secretsmanager."), "what was sent was kept");
    for value in [&first_value, &world.read("run/key.json")] {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        let secret = value["secret_access_key"].as_str().unwrap();
        never_told(&world, &said, &[secret]);
        untold("what was sent", &sent, &[secret]);
    }
    let objects = world.git_objects();
    for id in [&first, &second] {
        assert!(!contains(&objects, id), "a whole key id is in git");
        assert!(said.iter().all(|ran| !ran.out.contains(id) && !ran.err.contains(id)), "a whole key id was said");
    }
}

/// What a rotation is told to have been: by the store and the registers, and by the run that ended it.
fn what_is_kept_of_its_life(world: &World, rotation: &str) {
    let life = life(world);
    let instant = |step: &str| life[step].as_str().unwrap_or_else(|| panic!("{step}: {life}")).parse::<Timestamp>().unwrap();
    let steps = ["promoted", "disabled", "refused", "done"].map(instant);
    assert!(steps.is_sorted() && life["fate"] == "retire", "{life}");
    assert_eq!((&life["attempt"], &life["verdict"]), (&json!(1), &json!("approve")), "{life}");
    // Moto has versions made when it is asked for them, which may be after the refusal.
    let valid = (instant("refused").as_second() - instant("before_made").as_second()).max(0);
    assert_eq!(life["before_valid_seconds"], valid, "{life}");
    let events = events(world);
    let promoted = events
        .iter()
        .filter(|event| event["step"] == "promoted")
        .map(|event| format!("slm-{}", event["rotation"].as_str().unwrap()));
    assert!(promoted.collect::<Vec<_>>().contains(&rotation.to_owned()), "{rotation}");
    let [retired] = &events.iter().filter(|event| event["step"] == "retire").collect::<Vec<_>>()[..] else { panic!("{events:?}") };
    let read = |name: &str| &retired["readings"][name];
    assert_eq!((read("running"), read("quiet"), read("leak")), (&json!(["app"]), &json!("0s"), &json!(false)), "{retired}");
    assert_eq!(
        (read("draining"), read("behind"), read("held"), read("overdue")),
        (&json!([]), &json!([]), &json!(null), &json!(false))
    );
    let of = |name: &str| read(name).as_str().unwrap_or_else(|| panic!("{name}: {retired}")).parse::<Timestamp>().unwrap();
    assert!(of("promoted") == instant("promoted") && of("settled") <= of("now"), "{retired}");
    assert!(events.iter().all(|event| event["step"] == "retire" || event.get("readings").is_none()), "{events:?}");
}

#[tokio::test]
async fn a_leaked_key_is_ended_in_one_run_and_a_roll_back_brings_the_old_one_back() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let iam = Iam::new(&config(&moto.endpoint, "eu-west-1", None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let world = world(&proxy.endpoint);
    world.slm(&["rollback", "deployer"]).exits(5).says("was not made by a rotation of slm");
    world.slm(&["rotate", "deployer"]).exits(0).says("done");
    let first = held(&world);
    // A freeze holds a rotation that a person asks for, and not one of a value in wrong hands.
    world.edit("slm.toml", "[tiers]", "[limits]\nfreeze = [\"2020-01-01/2099-12-31\"]\n\n[tiers]");
    world.slm(&["rotate", "deployer"]).exits(5).says("1 held");
    assert_eq!(held(&world), first);
    world.slm(&["rotate", "deployer", "--leak"]).exits(0).says("disabled").says("deleted");
    let second = held(&world);
    assert_eq!(keys(&iam).await, [second.as_str()], "{first} was in wrong hands");
    world.slm(&["rollback", "deployer"]).exits(5).says("is gone; rotate forward instead");
    world.edit("slm.toml", "[limits]\nfreeze = [\"2020-01-01/2099-12-31\"]\n\n", "");

    world.slm(&["rotate", "deployer"]).exits(2).says("waits until");
    assert_ne!(held(&world), second);
    world.slm(&["rollback", "deployer"]).exits(2).says("restored");
    assert_eq!(held(&world), second, "the value before is in force again");
    assert_eq!(keys(&iam).await.len(), 2, "the one that was left waits to be retired like any other");
    world.slm(&["resume", "deployer"]).exits(2).says("waits until");
    world.slm(&["retire", "deployer"]).exits(2).says("waits until");
    assert_eq!(held(&world), second);
}

#[tokio::test]
async fn a_key_that_is_disabled_comes_back_at_once_and_is_in_force_when_no_run_can_end_it() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let iam = Iam::new(&config(&moto.endpoint, "eu-west-1", None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let world = world(&proxy.endpoint);
    world.edit("credentials/deployer.toml", "soak = \"0s\"", "soak = \"1d\"");
    world.commit();
    world.slm(&["rotate", "deployer"]).exits(0).says("done");
    let first = held(&world);
    world.slm(&["rotate", "deployer"]).exits(2).says("waits until");
    let second = held(&world);
    tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
    world.slm(&["resume", "deployer"]).exits(2).says("disabled").says("waits until");
    world.slm(&["status", "deployer"]).exits(2).says("is disabled and waits to be deleted");
    let active = async || {
        let listed = iam.list_access_keys().user_name("ci-deployer").send().await.unwrap().access_key_metadata;
        let active = listed.into_iter().filter(|key| key.status == Some(aws_sdk_iam::types::StatusType::Active));
        active.map(|key| key.access_key_id.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(active().await, [second.as_str()]);

    world.slm(&["rollback", "deployer"]).exits(2).says("enabled").says("waits until");
    let asked = Instant::now();
    assert_eq!(active().await.len(), 2, "it is let in again at once");
    assert_eq!(held(&world), second);
    world.slm(&["status", "deployer"]).exits(2).says("the value before comes back");
    world.slm(&["retire", "deployer"]).exits(2).says("waits until");
    tokio::time::sleep((2 * LEASE + Duration::from_secs(2)).saturating_sub(asked.elapsed())).await;
    world.slm(&["resume", "deployer"]).exits(2).says("promoted").says("waits until");
    assert_eq!(held(&world), first, "what was disabled is in force again");
    assert_eq!(active().await.len(), 2, "the one that was left waits to be retired like any other");
    let revived = |life: &serde_json::Value| life["last"].as_str().is_some_and(|last| last.starts_with("revive "));
    assert!(lives(&world, "deployer").iter().any(revived), "what brought it back is recorded");
}

/// Every step that was recorded, in no order.
fn events(world: &World) -> Vec<serde_json::Value> {
    let root = world.root();
    let listed = String::from_utf8(git(&root, &["ls-tree", "-r", "--name-only", "slm/evidence", "plans/"])).unwrap();
    let outcomes = listed.lines().filter(|path| path.ends_with(".outcomes.json"));
    let read = |path: &str| git(&root, &["show", &format!("slm/evidence:{path}")]);
    let all = outcomes.flat_map(|path| serde_json::from_slice::<Vec<serde_json::Value>>(&read(path)).unwrap());
    all.flat_map(|outcome| outcome["events"].as_array().unwrap().clone()).collect()
}

/// The name that every request for `operation` said in its user agent.
fn agent_of(proxy: &Proxy, operation: &str) -> String {
    let state = proxy.state();
    let asked = state.calls.iter().zip(&state.agents).filter(|(call, _)| *call == operation);
    let name = |agent: &str| agent.split(' ').find_map(|part| part.strip_prefix("app/")).map(str::to_owned);
    let names: std::collections::BTreeSet<String> =
        asked.map(|(_, agent)| name(agent).unwrap_or_else(|| panic!("{operation}: {agent}"))).collect();
    assert_eq!(names.len(), 1, "{operation}: {names:?}");
    names.into_iter().next().unwrap()
}

/// The recorded life of the version that a rotation put in force.
pub fn life(world: &World) -> serde_json::Value {
    let all = lives(world, "deployer");
    all.iter().find(|life| life["before"].is_string()).unwrap_or_else(|| panic!("{all:?}")).clone()
}

/// A user of this name with a key that its consumer runs.
async fn in_use(moto: &Server, proxy: &Proxy, user: &str) -> (World, Iam) {
    in_use_with(moto, proxy, user, "").await
}

/// The same, with more `settings`.
async fn in_use_with(moto: &Server, proxy: &Proxy, user: &str, settings: &str) -> (World, Iam) {
    let straight = config(&moto.endpoint, "eu-west-1", None).await;
    let (iam, secrets) = (Iam::new(&straight), aws_sdk_secretsmanager::Client::new(&straight));
    iam.create_user().user_name(user).send().await.unwrap();
    let key = iam.create_access_key().user_name(user).send().await.unwrap().access_key.unwrap();
    let value = format!(r#"{{"access_key_id":"{}","secret_access_key":"{}"}}"#, key.access_key_id, key.secret_access_key);
    secrets.create_secret().name(user).secret_string(&value).send().await.unwrap();
    let world = world(&proxy.endpoint);
    world.edit("credentials/deployer.toml", "prod/ci/deployer", user);
    world.edit("credentials/deployer.toml", "ci-deployer", user);
    world.write("slm.toml", &(world.read("slm.toml") + settings));
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("deliver   deployer  done");
    (world, iam)
}

async fn keys_of(iam: &Iam, user: &str) -> Vec<String> {
    let listed = iam.list_access_keys().user_name(user).send().await.unwrap();
    listed.access_key_metadata.into_iter().map(|key| key.access_key_id.unwrap()).collect()
}

/// Runs `arguments` and kills it at a call; true when there was such a call.
fn killed(world: &World, proxy: &Proxy, arguments: &[&str], at: At, after: bool) -> bool {
    tokio::task::block_in_place(|| killed_here(world, proxy, arguments, at, after))
}

/// The same, in a test that does nothing beside it.
fn killed_here(world: &World, proxy: &Proxy, arguments: &[&str], at: At, after: bool) -> bool {
    proxy.begin(None);
    let ran = world.slm_watched(arguments, |process| proxy.state().kill = Some((process, at, after)));
    proxy.state().kill = None;
    ran.is_none()
}

/// The binary is killed at a call of a rotation, and run again until the new key is in force.
async fn killed_at(moto: Arc<Server>, at: At, after: bool) {
    killed_with(moto, "", at, after).await;
}

/// The same, with more `settings`.
async fn killed_with(moto: Arc<Server>, settings: &'static str, at: At, after: bool) {
    let when = format!("killed {} {at:?}", if after { "after" } else { "before" });
    let proxy = Proxy::before(&moto.endpoint);
    let user = format!("u-{}-{after}", word(at));
    let (world, iam) = in_use_with(&moto, &proxy, &user, settings).await;
    let first = held(&world);
    assert!(killed(&world, &proxy, &["rotate", "deployer"], at, after), "{when}: it was not killed");
    let active = async || keys_of(&iam, &user).await;
    for _ in 0..12 {
        assert!(active().await.contains(&held(&world)), "{when}: the key in use is gone");
        let ran = tokio::task::block_in_place(|| world.slm(&["rotate", "deployer"]));
        if held(&world) != first {
            assert_eq!(active().await.len(), 2, "{when}: the old key waits, and nothing else is left\n{}", ran.out);
            assert!(active().await.contains(&first), "{when}");
            if matches!(at, At::First(_)) {
                let life = life(&world);
                assert!(life["made"].is_string() && life["promoted"].is_string() && life.get("done").is_none(), "{when}: {life}");
                assert_eq!(life["run_by"], serde_json::json!(["app"]), "{when}: {life}");
            }
            return;
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    panic!("{when}: the new key never came into force");
}

fn word(at: At) -> String {
    match at {
        At::First(operation) => operation.to_owned(),
        At::Number(number) => number.to_string(),
    }
}

/// A rotation of a key of which the end alone is left, and may come.
struct Ending {
    proxy: Proxy,
    world: World,
    iam: Iam,
    user: String,
    second: String,
    /// Calls of the run that put the new key in force.
    calls: usize,
}

impl Ending {
    async fn of(moto: Arc<Server>, user: String) -> Self {
        let proxy = Proxy::before(&moto.endpoint);
        let (world, iam) = in_use(&moto, &proxy, &user).await;
        let first = held(&world);
        proxy.begin(None);
        tokio::task::block_in_place(|| world.slm(&["rotate", "deployer"]).exits(2).says("waits until"));
        let (second, calls) = (held(&world), proxy.state().calls.len());
        assert_ne!(first, second, "{user}");
        tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
        Self { proxy, world, iam, user, second, calls }
    }
}

/// The binary is killed at a call of the run that ends the old key, and run again until that is gone.
async fn killed_at_the_end(moto: Arc<Server>, at: At, after: bool) {
    let ending = Ending::of(moto, format!("e-{}-{after}", word(at))).await;
    killed_ending(ending, at, after).await;
}

async fn killed_ending(ending: Ending, at: At, after: bool) {
    let when = format!("killed {} {at:?} of the end", if after { "after" } else { "before" });
    let Ending { proxy, world, iam, user, second, .. } = ending;
    assert!(killed(&world, &proxy, &["apply", "--auto-approve"], at, after), "{when}: it was not killed");
    for _ in 0..20 {
        let keys = keys_of(&iam, &user).await;
        assert!(keys.contains(&second) && held(&world) == second, "{when}: the key in use is gone");
        let ran = tokio::task::block_in_place(|| world.slm(&["apply", "--auto-approve"]));
        if ran.code == 0 {
            assert_eq!(keys_of(&iam, &user).await, [second.as_str()], "{when}");
            // What ended before it was recorded is over, and no later run has to do with it.
            if matches!(at, At::First(_)) {
                let life = life(&world);
                assert!(["disabled", "refused", "done"].iter().all(|step| life[*step].is_string()), "{when}: {life}");
            }
            return;
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    panic!("{when}: the old key was never ended");
}

/// A key in wrong hands is replaced, and the binary killed at a call of that; later runs, which are told of nothing, end that key and no
/// other one.
async fn killed_while_leaked(moto: Arc<Server>, at: At, after: bool) {
    let when = format!("a leak, killed {} {at:?}", if after { "after" } else { "before" });
    let proxy = Proxy::before(&moto.endpoint);
    let user = format!("l-{}-{after}", word(at));
    let (world, iam) = in_use(&moto, &proxy, &user).await;
    // Without a leak the one before would be let in for all that time.
    world.edit("credentials/deployer.toml", "quiet = \"0s\"\nsoak = \"0s\"", "quiet = \"4h\"\nsoak = \"1d\"");
    world.commit();
    let first = held(&world);
    assert!(killed(&world, &proxy, &["rotate", "deployer", "--leak"], at, after), "{when}: it was not killed");
    let promoted = matches!(at, At::First("UpdateAccessKey" | "DeleteAccessKey"));
    if promoted && keys_of(&iam, &user).await.contains(&first) {
        let said = tokio::task::block_in_place(|| world.slm(&["rollback", "deployer"]).exits(5));
        said.says("is in wrong hands, as was said at").says("`slm rollback deployer --leaked` brings it back all the same");
    }
    for _ in 0..15 {
        assert!(keys_of(&iam, &user).await.contains(&held(&world)), "{when}: the key in use is gone");
        let ran = tokio::task::block_in_place(|| world.slm(&["resume"]));
        if ran.code == 0 {
            let keys = keys_of(&iam, &user).await;
            assert!(keys == [held(&world)] && keys != [first.as_str()], "{when}: {keys:?}\n{}", ran.out);
            let secrets = aws_sdk_secretsmanager::Client::new(&config(&moto.endpoint, "eu-west-1", None).await);
            let before = secrets.get_secret_value().secret_id(&user).version_stage("AWSPREVIOUS").send().await.unwrap();
            assert!(before.secret_string.unwrap().contains(&first), "{when}: what replaced it was replaced in turn");
            tokio::task::block_in_place(|| world.slm(&["plan"]).exits(0).says("Nothing is due"));
            return;
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    panic!("{when}: the leaked key was never ended");
}

/// A person stores another value while a rotation, which was cut off, has its own ready.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_stores_in_the_middle_of_a_rotation_is_not_written_over() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let (world, iam) = in_use(&moto, &proxy, "by-hand").await;
    let first = held(&world);
    assert!(killed(&world, &proxy, &["rotate", "deployer"], At::First("UpdateSecretVersionStage"), false), "it was not killed");
    let ready = keys_of(&iam, "by-hand").await.into_iter().find(|key| *key != first).expect("its own key is made");
    let secrets = aws_sdk_secretsmanager::Client::new(&config(&moto.endpoint, "eu-west-1", None).await);
    let mut value: serde_json::Value = serde_json::from_str(&world.read("run/key.json")).unwrap();
    value["note"] = json!("by hand");
    let put = secrets.put_secret_value().secret_id("by-hand").secret_string(value.to_string()).send().await.unwrap();
    let theirs = put.version_id.unwrap();
    let labelled = async |label: &str| {
        let read = secrets.get_secret_value().secret_id("by-hand").version_stage(label).send().await.unwrap();
        (read.version_id.unwrap(), read.secret_string.unwrap())
    };
    assert_eq!(labelled("AWSCURRENT").await.0, theirs);

    world.slm(&["apply", "--auto-approve"]).exits(2).says("delivered, activated");
    assert!(labelled("AWSCURRENT").await.0 == theirs && world.read("run/key.json").contains("by hand"), "theirs is in use");
    let mut keys = keys_of(&iam, "by-hand").await;
    assert!(keys.len() == 2 && keys.contains(&first) && keys.contains(&ready), "{keys:?}");
    // The key that nobody was given is ended, and a rotation goes on from what the person stored.
    for _ in 0..40 {
        let promoted = labelled("AWSCURRENT").await.0 != theirs;
        assert!(!promoted || labelled("AWSPREVIOUS").await.0 == theirs, "their version is passed over");
        assert!(keys.contains(&held(&world)), "the key in use is gone");
        if promoted && keys.len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        world.slm(&["apply", "--auto-approve"]);
        keys = keys_of(&iam, "by-hand").await;
    }
    assert_eq!(keys, [held(&world)]);
    assert!(![&first, &ready].contains(&&keys[0]), "a new one");
    world.slm(&["plan"]).exits(0).says("Nothing is due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn the_binary_killed_around_any_change_goes_on_and_loses_no_key() {
    let moto = Arc::new(Server::moto());
    let points = ["CreateAccessKey", "PutSecretValue", "UpdateSecretVersionStage"].map(At::First);
    let all = points.into_iter().flat_map(|at| [(at, false), (at, true)]);
    let all = all.map(|(at, after)| tokio::spawn(killed_at(Arc::clone(&moto), at, after)));
    futures::future::try_join_all(all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn the_binary_killed_around_any_end_goes_on_and_loses_no_key() {
    let moto = Arc::new(Server::moto());
    let points = ["UpdateAccessKey", "DeleteAccessKey"].map(At::First);
    let all = points.into_iter().flat_map(|at| [(at, false), (at, true)]);
    let all = all.map(|(at, after)| tokio::spawn(killed_at_the_end(Arc::clone(&moto), at, after)));
    futures::future::try_join_all(all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn the_binary_killed_around_any_change_for_a_leaked_key_ends_that_key_and_no_other() {
    let moto = Arc::new(Server::moto());
    let points =
        ["CreateAccessKey", "PutSecretValue", "UpdateSecretVersionStage", "UpdateAccessKey", "DeleteAccessKey"].map(At::First);
    let all = points.into_iter().flat_map(|at| [(at, false), (at, true)]);
    let all = all.map(|(at, after)| tokio::spawn(killed_while_leaked(Arc::clone(&moto), at, after)));
    futures::future::try_join_all(all).await.unwrap();
}

#[tokio::test]
async fn a_value_in_wrong_hands_comes_back_only_when_that_is_said_in_so_many_words() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let (world, iam) = in_use(&moto, &proxy, "told").await;
    let first = held(&world);
    assert!(
        killed_here(&world, &proxy, &["rotate", "deployer", "--leak"], At::First("UpdateAccessKey"), false),
        "it was not killed"
    );
    let second = held(&world);
    assert_ne!(first, second);
    world.slm(&["rollback", "deployer"]).exits(5).says("is in wrong hands, as was said at");
    assert!(!world.slm(&["status", "deployer"]).out.contains("comes back"), "nothing was decided");
    world.slm(&["rollback", "deployer", "--leaked"]).exits(2).says("waits until");
    // Its end was begun, so that it is in force when no run is left that may go on with that.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        world.slm(&["resume", "deployer"]);
        if held(&world) == first {
            break;
        }
    }
    assert_eq!(held(&world), first);
    assert!(keys_of(&iam, "told").await.contains(&first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn the_binary_killed_at_any_other_call_goes_on_and_loses_no_key() {
    let moto = Arc::new(Server::moto());
    let ending = ["counted", "diced"].map(|user| tokio::spawn(Ending::of(Arc::clone(&moto), user.to_owned())));
    let [counted, diced] = futures::future::try_join_all(ending).await.unwrap().try_into().ok().unwrap();
    counted.proxy.begin(None);
    tokio::task::block_in_place(|| counted.world.slm(&["apply", "--auto-approve"]).exits(0).says("finish    deployer  done"));
    let ends = counted.proxy.state().calls.len();
    // `SLM_SEED` repeats a run.
    let mut dice = Dice::new();
    let mut call = |calls: usize| (At::Number(usize::try_from(dice.below(calls as u64)).unwrap()), dice.below(2) == 0);
    let made = [call(counted.calls), call(counted.calls)];
    // The same place twice would be one user twice.
    let made = if made[0] == made[1] { [made[0], (made[1].0, !made[1].1)] } else { made };
    let (at, after) = call(ends);
    println!("killed at {made:?} of {}, and at {at:?}, {after}, of {ends}", counted.calls);
    let made = made.map(|(at, after)| tokio::spawn(killed_at(Arc::clone(&moto), at, after)));
    let ended = tokio::spawn(killed_ending(diced, at, after));
    futures::future::try_join_all(made.into_iter().chain([ended])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_binary_killed_when_a_bucket_or_a_table_took_a_register_goes_on_and_loses_no_key() {
    let moto = Arc::new(Server::moto());
    make_bucket(&moto.endpoint).await;
    make_table(&moto.endpoint).await;
    let all = [(S3, "PUT"), (DYNAMODB, "PutItem")];
    let all = all.map(|(settings, operation)| tokio::spawn(killed_with(Arc::clone(&moto), settings, At::First(operation), true)));
    futures::future::try_join_all(all).await.unwrap();
}
