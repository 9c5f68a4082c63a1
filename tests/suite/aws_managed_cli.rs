//! A secret that AWS rotates itself through the built binary: what is said of it, how verbs end, and a process killed in between.

use aws_sdk_secretsmanager::Client as Secrets;
use serde_json::Value as Json;

use crate::aws::config;
use crate::aws_proxy::{At, Proxy};
use crate::aws_rotation::{Function, Rotating, value};
use crate::leaks::never_told;
use crate::support::{Server, World};

/// A secret that is 40 days old and may be 30, and whose consumer has it.
async fn in_use(moto: &Server, name: &str, function: Function) -> (World, Rotating, Proxy) {
    let secrets = Secrets::new(&config(&moto.endpoint, "eu-west-1", None).await);
    secrets.create_secret().name(name).secret_string("canary-of-the-database").send().await.unwrap();
    let aws = Rotating::before(&moto.endpoint, name, function);
    let proxy = Proxy::before(&aws.endpoint);
    let world = World::new()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    world.ship(&["ROT-01", "ROT-06"]);
    let source = format!("aws = {{ account = \"123456789012\", regions = [\"eu-west-1\"], endpoint = \"{}\" }}", proxy.endpoint);
    let tiers = "[tiers]\ndefault = \"standard\"\nlimits = { standard = \"30d\" }\n";
    world.write("slm.toml", &format!("[source.prod]\n{source}\n\n{tiers}"));
    world.write(
        "credentials/db.toml",
        &format!(
            r#"title = "Password of the database"
owner = "platform"
satisfies = ["ROT-01"]

[secret]
source = "prod"
region = "eu-west-1"
name = "{name}"

[rotator]
aws-managed = {{ expect-within = "30m" }}

[policy]
rotate-every = "30d"
lease = "5s"

[[consumer]]
id = "app"
file = {{ path = "run/db" }}
"#
        ),
    );
    world.write(".gitignore", "/run/\n");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).exits(0).says("deliver   db  done");
    assert_eq!(world.read("run/db"), "canary-of-the-database");
    (world, aws, proxy)
}

/// How many secrets have `status` under `control`.
fn count(world: &World, control: &str, status: &str) -> u64 {
    let said = world.slm(&["status", "--format", "json"]).json();
    let found = said["controls"].as_array().unwrap().iter().find(|one| one["id"] == control).unwrap().clone();
    found["decisions"][status].as_u64().unwrap_or(0)
}

fn planned(world: &World) -> Vec<Json> {
    let said = world.slm(&["plan", "--format", "json"]).json();
    let actions = said["plan"]["actions"].as_array().unwrap().iter();
    actions.filter(|action| action["kind"]["rotate"].is_object()).cloned().collect()
}

#[tokio::test]
async fn what_is_due_is_rotated_by_aws_and_brought_to_its_consumers_in_one_run() {
    let moto = Server::moto();
    let (world, aws, _) = in_use(&moto, "app/db", Function::Finishes(2)).await;
    world.slm(&["plan"]).exits(2).says("rotate").says("is over 30d");
    let ran = world.heard(&["apply", "--auto-approve"]).exits(0);
    let ran = ran.says("rotate    db  done  (asked, rotated, delivered, activated");
    assert_eq!(world.read("run/db"), value(1));
    world.slm(&["plan"]).exits(0).says("Nothing is due");
    world.slm(&["status", "db"]).exits(0).says("(aws-managed)").says("nothing is left to do");
    world.slm(&["rollback", "db"]).exits(5).says("was not made by a rotation of slm");
    assert_eq!(aws.state().begun.len(), 1);
    never_told(&world, &[ran], &[&value(1)]);
}

#[tokio::test]
async fn a_rotation_that_aws_is_stuck_with_is_a_finding_and_resume_asks_again() {
    let moto = Server::moto();
    let (world, aws, _) = in_use(&moto, "app/db", Function::Creates).await;
    world.slm(&["apply", "--auto-approve"]).exits(2).says("waits for AWS, which has begun version").says("(asked)");
    world.slm(&["status", "db"]).exits(2).says("AWS has begun to rotate it, and may take until");
    assert_eq!(planned(&world), Vec::<Json>::new(), "it may take half an hour");
    assert_eq!((count(&world, "ROT-06", "compliant"), count(&world, "ROT-06", "non-compliant")), (1, 0));

    aws.age(25);
    world.slm(&["plan"]).exits(2).says("rotate").says("AWS has begun a rotation").says("and not finished it");
    world.slm(&["status", "db"]).exits(2).says("not finished in time; `slm resume` asks again");
    assert_eq!((count(&world, "ROT-06", "compliant"), count(&world, "ROT-06", "non-compliant")), (0, 1));
    let plan = planned(&world);
    assert_eq!(plan.len(), 1);
    assert!(plan[0]["reason"]["stuck"]["since"].is_string(), "{}", plan[0]);
    world.slm(&["apply", "--auto-approve"]).exits(2).says("waits for AWS").says("(asked)");
    assert_eq!(aws.counts(), (1, 1));
    assert_eq!(world.read("run/db"), "canary-of-the-database", "what is not in force goes nowhere");

    aws.repair(Function::Finishes(1));
    world.slm(&["resume"]).exits(0).says("rotate    db  done  (asked, rotated, delivered");
    assert_eq!(world.read("run/db"), value(1));
    assert_eq!(aws.state().begun.len(), 1);
    assert_eq!(count(&world, "ROT-06", "compliant"), 1);
}

#[tokio::test]
async fn what_aws_refuses_is_blocked_and_what_it_is_not_set_up_for_is_held() {
    let moto = Server::moto();
    let (world, aws, _) = in_use(&moto, "app/db", Function::Finishes(0)).await;
    aws.state().refuses = Some("AccessDeniedException");
    let blocked = "rotate    db  blocked: could not have AWS rotate app/db: AccessDeniedException";
    let ran = world.heard(&["apply", "--auto-approve"]).exits(6).says(blocked);
    never_told(&world, &[ran], &["canary-of-the-database"]);
    aws.state().enabled = false;
    let held = "AWS is not set up to rotate it: enable its rotation, or declare another kind";
    world.slm(&["plan"]).exits(5).says(held);
    world.slm(&["apply", "--auto-approve"]).exits(5).says("1 held");
    assert!(aws.state().begun.is_empty());
    assert_eq!(world.read("run/db"), "canary-of-the-database");
}

/// The process is killed at `operation`; later ones bring the rotation to its end.
async fn killed_at(operation: &'static str, after: bool) {
    let moto = Server::moto();
    let when = format!("killed {} {operation}", if after { "after" } else { "before" });
    let (world, aws, proxy) = in_use(&moto, "app/db", Function::Finishes(2)).await;
    let ran = world
        .slm_watched(&["apply", "--auto-approve"], |process| proxy.state().kill = Some((process, At::First(operation), after)));
    assert!(ran.is_none(), "{when}: it was not killed");
    let mut said = Vec::new();
    while world.read("run/db") != value(1) {
        assert!(said.len() < 4, "{when}: it does not come to its end: {said:?}");
        said.push(world.slm(&["apply", "--auto-approve"]).out);
    }
    world.slm(&["plan"]).exits(0).says("Nothing is due");
    assert_eq!(aws.state().begun.len(), 1, "{when}: {said:?}");
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_a_rotation_that_the_next_ones_bring_to_its_end() {
    for (operation, after) in [("RotateSecret", false), ("RotateSecret", true), ("GetSecretValue", false), ("GetSecretValue", true)]
    {
        killed_at(operation, after).await;
    }
}
