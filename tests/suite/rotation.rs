//! An IAM access key from its first value to the end of its second, by the built binary against moto, and with every call lost once.

use std::time::{Duration, Instant};

use aws_sdk_iam::Client as Iam;

use crate::aws::config;
use crate::aws_proxy::Proxy;
use crate::support::{Ran, Server, World, contains};

const LEASE: Duration = Duration::from_secs(25);

fn world(endpoint: &str) -> World {
    let world = World::new()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    world.ship(&["ROT-01"]);
    world.write(
        "slm.toml",
        &format!(
            "[source.prod]\naws = {{ account = \"123456789012\", regions = [\"eu-west-1\"], endpoint = \"{endpoint}\" }}\n\n\
             [tiers]\ndefault = \"standard\"\nlimits = {{ standard = \"60d\" }}\n"
        ),
    );
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
    said.push(world.slm(&["apply", "--auto-approve"]).exits(0).says("rotate    deployer  done"));
    let first = held(&world);
    assert_eq!(keys(&iam).await, [first.as_str()]);

    proxy.begin(None);
    said.push(world.slm(&["apply", "--auto-approve", "--force", "deployer"]).exits(2).says("waits until"));
    let promoted = Instant::now();
    let calls = proxy.state().calls.len();
    println!("{{\"figure\": \"rotation.calls.first_run\", \"value\": {calls}}}");
    let second = held(&world);
    assert_ne!(first, second);
    assert_eq!(keys(&iam).await.len(), 2, "the old key lives while a run may still hand it out");
    said.push(world.slm(&["plan"]).exits(2).says("finish").says("not ended yet"));
    said.push(world.slm(&["status", "deployer"]).exits(2).says("waits to be unused; not before"));
    assert_eq!(keys(&iam).await.len(), 2);

    // The lease of the run that promoted it counts from the promotion.
    std::thread::sleep((LEASE + Duration::from_secs(2)).saturating_sub(promoted.elapsed()));
    proxy.begin(None);
    said.push(world.slm(&["apply", "--auto-approve"]).exits(0).says("finish    deployer  done"));
    println!("{{\"figure\": \"rotation.calls.second_run\", \"value\": {}}}", proxy.state().calls.len());
    assert_eq!(keys(&iam).await, [second.as_str()]);
    assert_eq!(held(&world), second);
    said.push(world.slm(&["plan"]).exits(0).says("Nothing is due"));
    said.push(world.slm(&["status", "deployer"]).exits(0).says("nothing is left to do").says("validity"));

    let git = world.git_objects();
    for id in [&first, &second] {
        assert!(!contains(&git, id), "a whole key id is in git");
        assert!(said.iter().all(|ran| !ran.out.contains(id) && !ran.err.contains(id)), "a whole key id was said");
    }
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
    world.slm(&["rotate", "deployer", "--leak"]).exits(0).says("disabled").says("deleted");
    let second = held(&world);
    assert_eq!(keys(&iam).await, [second.as_str()], "{first} was in wrong hands");
    world.slm(&["rollback", "deployer"]).exits(5).says("is being retired");

    world.slm(&["rotate", "deployer"]).exits(2).says("waits until");
    assert_ne!(held(&world), second);
    world.slm(&["rollback", "deployer"]).exits(2).says("restored");
    assert_eq!(held(&world), second, "the value before is in force again");
    assert_eq!(keys(&iam).await.len(), 2, "the one that was left waits to be retired like any other");
    world.slm(&["resume", "deployer"]).exits(2).says("waits until");
    world.slm(&["retire", "deployer"]).exits(2).says("waits until");
    assert_eq!(held(&world), second);
}
