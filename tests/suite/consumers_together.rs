//! Services, functions and workloads through the built binary: a key from its first value to the end of its second, and several
//! credentials of one workload, which is restarted once for all of them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use aws_sdk_ecs::types::{ContainerDefinition, Secret as From};
use aws_sdk_iam::Client as Iam;
use serde_json::json;

use crate::aws::config;
use crate::aws_proxy::Proxy;
use crate::consumer_ecs::Rig as Ecs;
use crate::consumer_lambda::Rig as Lambda;
use crate::ecs_front::Look;
use crate::kubernetes_server::{Server as Kubernetes, TOKEN, status};
use crate::leaks::never_told;
use crate::rotation::{LEASE, life, world};
use crate::support::World;

const REGION: &str = "eu-west-1";

/// A world with an access key of `deployer` in the account behind `moto`, given to `consumer` of the account at `front`.
async fn deployer(moto: &Proxy, front: &str, consumer: &str) -> (World, Iam) {
    let iam = Iam::new(&config(&moto.endpoint, REGION, None).await);
    iam.create_user().user_name("ci-deployer").send().await.unwrap();
    let world = world(&moto.endpoint);
    applications(&world, front);
    world.edit("credentials/deployer.toml", "file = { path = \"run/key.json\" }", consumer);
    world.commit();
    (world, iam)
}

/// Declares the account at `front`, where applications run.
fn applications(world: &World, front: &str) {
    let account = format!("account = \"123456789012\", regions = [\"{REGION}\"], endpoint = \"{front}\"");
    let settings = world.read("slm.toml");
    world.write("slm.toml", &format!("{settings}\n[source.apps]\naws = {{ {account} }}\n\n[limits]\nrotate-percent = 100\n"));
    world.edit("policies/guards.cedar", "context.share_percent <= 25", "context.share_percent <= 100");
}

async fn keys(iam: &Iam) -> usize {
    iam.list_access_keys().user_name("ci-deployer").send().await.unwrap().access_key_metadata.len()
}

/// The secret part of the key in force in the account at `moto`.
async fn value(moto: &str) -> String {
    let client = aws_sdk_secretsmanager::Client::new(&config(moto, REGION, None).await);
    let read = client.get_secret_value().secret_id("prod/ci/deployer").version_stage("AWSCURRENT").send().await.unwrap();
    let value: serde_json::Value = serde_json::from_str(read.secret_string().unwrap()).unwrap();
    value["secret_access_key"].as_str().unwrap().to_owned()
}

/// Plans, rotates and ends; each version has to be told to the application once, as `told` counts it.
async fn from_its_first_value_to_the_end_of_its_second(world: &World, (iam, moto): (&Iam, &str), told: impl Fn() -> usize) {
    world.slm(&["check"]).exits(0);
    let mut said = vec![world.heard(&["plan"]).says("rotate    deployer")];
    assert_eq!((keys(iam).await, told()), (0, 0), "a plan changes nothing");
    said.push(world.heard(&["apply", "--auto-approve"]).says("delivered").says("adopted"));
    let mut values = vec![value(moto).await];
    assert_eq!((keys(iam).await, told()), (1, 1));
    said.push(world.heard(&["apply", "--auto-approve", "--force", "deployer"]).says("delivered").says("waits until"));
    let promoted = Instant::now();
    assert_eq!((keys(iam).await, told()), (2, 2), "the old key lives while a run may still hand it out");
    std::thread::sleep((LEASE + Duration::from_secs(2)).saturating_sub(promoted.elapsed()));
    values.push(value(moto).await);
    said.push(world.heard(&["apply", "--auto-approve"]).says("finish    deployer  done"));
    assert!(values[0] != values[1]);
    never_told(world, &said, &values.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((keys(iam).await, told()), (1, 2));
    let life = life(world);
    let steps = ["promoted", "disabled", "refused", "done"];
    assert!(life["fate"] == "retire" && steps.iter().all(|step| life[*step].is_string()), "{life}");
    assert!(life.to_string().contains("\"app\""), "who runs it is recorded: {life}");
}

/// A service of two tasks whose definition takes these secrets, each in a variable of its own.
async fn service(rig: &Ecs, secrets: &[&str]) {
    let mut app = ContainerDefinition::builder().name("app").image("shop/web:7").memory(256);
    for (number, name) in secrets.iter().enumerate() {
        let arn = format!("arn:aws:secretsmanager:{REGION}:123456789012:secret:{name}-AbCdEf");
        app = app.secrets(From::builder().name(format!("SECRET_{number}")).value_from(arn).build().unwrap());
    }
    let made = rig.ecs.register_task_definition().family("web").container_definitions(app.build()).send().await.unwrap();
    let arn = made.task_definition.unwrap().task_definition_arn.unwrap();
    rig.ecs.create_service().cluster("prod").service_name("web").task_definition(arn).desired_count(2).send().await.unwrap();
    rig.front.with(|state| state.course = vec![Look::Done]);
}

const WEB: &str = "ecs-service = { source = \"apps\", cluster = \"prod\", service = \"web\", timeout = \"5s\" }";

#[tokio::test]
async fn a_key_of_a_service_is_rolled_out_by_the_binary_and_the_one_before_is_ended() {
    let rig = Ecs::new().await;
    service(&rig, &["prod/ci/deployer"]).await;
    let proxy = Proxy::before(&rig.server.endpoint);
    let (world, iam) = deployer(&proxy, &rig.front.endpoint, WEB).await;
    from_its_first_value_to_the_end_of_its_second(&world, (&iam, &rig.server.endpoint), || rig.front.count("UpdateService")).await;
    let (last, tags) = rig.definition("web").await;
    let version = last.container_definitions()[0].secrets()[0].value_from.rsplit(':').next().unwrap().to_owned();
    assert!(tags.contains(&("slm:version:deployer".to_owned(), version)), "{tags:?}");
}

#[tokio::test]
async fn a_key_of_a_function_is_told_to_it_by_the_binary_and_the_one_before_is_ended() {
    let rig = Lambda::new().await;
    rig.function("reports").await;
    let consumer =
        "lambda = { source = \"apps\", function = \"reports\", alias = \"live\", timeout = \"5s\" }\nmax-staleness = \"1s\"";
    let proxy = Proxy::before(&rig.server.endpoint);
    let (world, iam) = deployer(&proxy, &rig.front.endpoint, consumer).await;
    from_its_first_value_to_the_end_of_its_second(&world, (&iam, &rig.server.endpoint), || rig.front.count("PUT aliases")).await;
    assert_eq!(rig.variables("reports", "3").await, rig.variables("reports", "$LATEST").await);
}

/// A further credential of random letters in Secrets Manager.
fn random(world: &World, id: &str, consumer: &str) {
    let text = format!(
        "title = \"Password of {id}\"\nowner = \"platform\"\nsatisfies = [\"ROT-01\"]\n\n[secret]\nsource = \"prod\"\n\
         region = \"{REGION}\"\nname = \"prod/{id}\"\n\n[rotator]\nrandom = {{ length = 24 }}\n\n[policy]\nrotate-every = \"30d\"\n\n\
         [[consumer]]\nid = \"app\"\n{consumer}\n"
    );
    world.write(&format!("credentials/{id}.toml"), &text);
}

#[tokio::test]
async fn two_secrets_of_a_service_are_one_roll_out() {
    let rig = Ecs::new().await;
    service(&rig, &["prod/db", "prod/mail"]).await;
    let world = world(&rig.server.endpoint);
    applications(&world, &rig.front.endpoint);
    std::fs::remove_file(world.root().join("credentials/deployer.toml")).unwrap();
    random(&world, "db", WEB);
    random(&world, "mail", WEB);
    world.commit();
    let shared = format!("one restart of service `web` of cluster `prod` in {REGION} of source `apps` for db, mail");
    world.slm(&["plan"]).says(&shared);
    world.slm(&["apply", "--auto-approve"]).says("rotate    db  done").says("rotate    mail  done");
    assert_eq!((rig.front.count("RegisterTaskDefinition"), rig.front.count("UpdateService")), (1, 1));
    let tags = rig.definition("web").await.1;
    let named = |id: &str| tags.iter().find(|(key, _)| *key == format!("slm:version:{id}")).unwrap().1.clone();
    let last = rig.definition("web").await.0;
    let pinned: Vec<&str> =
        last.container_definitions()[0].secrets().iter().map(|one| one.value_from.rsplit(':').next().unwrap()).collect();
    assert_eq!(pinned, [named("db"), named("mail")]);
    // One that rotates alone takes nothing of the other along, and what was taken back is not begun again with both.
    world.slm(&["rotate", "mail"]).says("rotate    mail  done");
    rig.front.with(|state| state.course = vec![Look::Going(0), Look::Going(0), Look::Going(0), Look::Back]);
    world.slm(&["rotate", "db", "mail"]).says("rotate    db  blocked").says("taken back");
    assert_eq!((rig.front.count("RegisterTaskDefinition"), rig.front.count("UpdateService")), (3, 3));
    rig.front.with(|state| state.course = vec![Look::Done]);
}

#[tokio::test]
async fn two_secrets_of_a_function_are_one_update_and_one_release() {
    let rig = Lambda::new().await;
    rig.function("reports").await;
    let world = world(&rig.server.endpoint);
    applications(&world, &rig.front.endpoint);
    std::fs::remove_file(world.root().join("credentials/deployer.toml")).unwrap();
    for (id, variable) in [("db", "DB_VERSION"), ("mail", "MAIL_VERSION")] {
        let place = "source = \"apps\", function = \"reports\", alias = \"live\", timeout = \"5s\"";
        random(&world, id, &format!("lambda = {{ {place}, variable = \"{variable}\" }}"));
    }
    world.commit();
    world.slm(&["plan"]).says("one restart of function `reports`").says("for db, mail");
    world.slm(&["apply", "--auto-approve"]).says("rotate    db  done").says("rotate    mail  done");
    assert_eq!((rig.front.count("PUT configuration"), rig.front.count("PUT aliases"), rig.published("reports").await), (1, 1, 2));
    let all = rig.variables("reports", "2").await;
    assert_eq!(all, rig.variables("reports", "$LATEST").await);
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["DB_VERSION", "MAIL_VERSION", "MODE", "TABLE"]);
}

/// Credentials `one`, `two` and `three` in files, each with a Secret of its own for the Deployment of `server`.
fn deployment(server: &Kubernetes) -> World {
    let world = World::scaffolded().with("KUBE_TOKEN", TOKEN);
    let text = world.read("credentials/session-key.toml");
    let start = text.find("[[consumer]]").unwrap();
    std::fs::remove_file(world.root().join("credentials/session-key.toml")).unwrap();
    for id in ["one", "two", "three"] {
        let mut mine = text[..start].replace("session-key", id);
        let place = "namespace = \"shop\", workload = \"deployment/shop-api\"";
        let token = "token-env = \"KUBE_TOKEN\", timeout = \"2s\"";
        let _ = write!(
            mine,
            "[[consumer]]\nid = \"api\"\nkubernetes-workload = {{ server = \"{}\", {token}, {place}, secret = \"{id}\" }}\n",
            server.url
        );
        world.write(&format!("credentials/{id}.toml"), &mine);
    }
    world.commit();
    world
}

/// The next roll-out goes well, the template being at its `generation` then.
fn goes_well(server: &Kubernetes, generation: u64) {
    server.with(|state| {
        let before = status(generation - 1, 3, 3, json!([]));
        state.course = vec![before, status(generation, 4, 1, json!([])), status(generation, 3, 3, json!([]))];
    });
}

/// Which version of each Secret the pods were started with, where it is the one that the Secret holds.
fn taken(server: &Kubernetes) -> Vec<String> {
    server.with(|state| {
        let fields = &state.workloads["deployments/shop-api"].fields;
        let held = |(name, secret): (&String, &crate::kubernetes_server::Object)| {
            let now = fields.get(&format!("template.slm.dev/{name}-version"))?;
            (secret.fields["annotations.slm.dev/version"] == *now).then(|| name.clone())
        };
        state.secrets.iter().filter_map(held).collect()
    })
}

#[test]
fn three_secrets_of_a_deployment_are_one_roll_out_and_each_may_roll_out_alone_afterwards() {
    let server = Kubernetes::start();
    let world = deployment(&server);
    goes_well(&server, 2);
    let shared = format!("one restart of deployment/shop-api of namespace `shop` at {} for one, three, two", server.url);
    world.slm(&["plan"]).says(&shared);
    world.slm(&["plan", "--markdown"]).says(&shared);
    let ran = world.slm(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(ran.out.matches("delivered, activated, adopted, done").count(), 3, "{}", ran.out);
    assert_eq!((server.with(|state| state.rollouts), taken(&server)), (1, ["one", "three", "two"].map(str::to_owned).into()));
    goes_well(&server, 3);
    world.slm(&["rotate", "two"]).exits(0);
    assert_eq!((server.with(|state| state.rollouts), taken(&server).len()), (2, 3));
    goes_well(&server, 4);
    world.slm(&["rotate", "one", "two"]).exits(0);
    assert_eq!((server.with(|state| state.rollouts), taken(&server).len()), (3, 3));
    world.slm(&["apply", "--auto-approve"]).exits(0);
    assert_eq!(server.with(|state| state.rollouts), 3);
}

#[test]
fn a_secret_that_cannot_be_delivered_holds_up_none_of_the_others_of_its_deployment() {
    let server = Kubernetes::start();
    let world = deployment(&server);
    let foreign = |owners: &str| {
        let mut secret = crate::kubernetes_server::Object { uid: "5e".to_owned(), version: 7, ..Default::default() };
        secret.fields.insert("data.value".to_owned(), "b3RoZXI=".to_owned());
        secret.owners.insert(owners.to_owned(), ["data.value".to_owned()].into());
        secret
    };
    server.with(|state| state.secrets.insert("one".to_owned(), foreign("external-secrets")));
    goes_well(&server, 2);
    let ran = world.slm(&["apply", "--auto-approve"]).says("rotate    one  blocked").says("belongs to field manager");
    assert_eq!(ran.out.matches("delivered, activated, adopted, done").count(), 2, "{}", ran.out);
    assert_eq!(server.with(|state| state.rollouts), 1);
    // What held it up is gone: it is brought there, and the others are not touched.
    server.with(|state| state.secrets.remove("one"));
    goes_well(&server, 3);
    world.slm(&["apply", "--auto-approve"]).exits(0).says("deliver   one");
    assert_eq!((server.with(|state| state.rollouts), taken(&server).len()), (2, 3));
}

#[test]
fn a_run_killed_at_any_change_of_a_deployment_is_finished_by_the_next_with_one_roll_out_more_at_most() {
    let killed = |at: Option<usize>| {
        let server = Kubernetes::start();
        let world = deployment(&server);
        goes_well(&server, 2);
        let patches = |state: &crate::kubernetes_server::State| state.seen.iter().filter(|seen| seen.starts_with("PATCH")).count();
        if let Some(at) = at {
            let ran = world.slm_watched(&["apply", "--auto-approve"], |id| {
                while server.with(|state| patches(state) < at) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let pid = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            });
            assert!(ran.is_none(), "it was killed after change {at}");
            let next = server.with(|state| state.workloads["deployments/shop-api"].generation + 1);
            if next > 2 {
                server.with(|state| {
                    state.workloads.get_mut("deployments/shop-api").unwrap().status = vec![status(2, 3, 3, json!([]))]
                });
            }
            goes_well(&server, next);
        }
        world.slm(&["apply", "--auto-approve"]);
        world.slm(&["resume"]);
        world.slm(&["apply", "--auto-approve"]).exits(0).says("Nothing was due");
        assert_eq!(taken(&server).len(), 3, "{at:?}");
        server.with(|state| (state.rollouts, patches(state)))
    };
    let (rollouts, patches) = killed(None);
    assert_eq!((rollouts, patches), (1, 4), "three Secrets and one template");
    for at in 1..=patches {
        let rollouts = killed(Some(at)).0;
        assert!((1..=2).contains(&rollouts), "killed after change {at}: {rollouts} roll-outs");
    }
}

#[test]
fn files_with_the_same_reload_command_are_loaded_by_one_run_of_it() {
    let world = World::scaffolded();
    let text = world.read("credentials/session-key.toml");
    let start = text.find("[[consumer]]").unwrap();
    std::fs::remove_file(world.root().join("credentials/session-key.toml")).unwrap();
    world.write("reload", "#!/bin/sh\ncat run/one run/two | wc -c >> run/reloads\n");
    for id in ["one", "two"] {
        let file = format!("file = {{ path = \"run/{id}\", reload = [\"sh\", \"reload\"] }}");
        world.write(
            &format!("credentials/{id}.toml"),
            &format!("{}[[consumer]]\nid = \"app\"\n{file}\n", text[..start].replace("session-key", id)),
        );
    }
    world.commit();
    world.slm(&["plan"]).says("one restart of `sh reload` for one, two");
    world.slm(&["apply", "--auto-approve"]).says("rotate    one  done").says("rotate    two  done");
    assert_eq!(world.read("run/reloads").trim(), "80", "both files were there when it ran");
    for id in ["one", "two"] {
        let sidecar = world.read(&format!("run/{id}.slm"));
        assert!(sidecar.contains("stored") && sidecar.contains("running"), "{sidecar}");
    }
}

/// One credential with these consumers, in place of the one of the scaffold.
fn of_one(world: &World, consumers: &str) {
    let text = world.read("credentials/session-key.toml");
    let start = text.find("[[consumer]]").unwrap();
    world.write("credentials/session-key.toml", &format!("{}{consumers}", &text[..start]));
    world.commit();
}

#[test]
fn two_files_of_one_credential_with_the_same_reload_command_are_loaded_by_one_run_of_it() {
    let world = World::scaffolded();
    world.write("reload", "#!/bin/sh\ncat run/one run/two | wc -c >> run/reloads\n");
    let file = |id: &str| format!("[[consumer]]\nid = \"{id}\"\nfile = {{ path = \"run/{id}\", reload = [\"sh\", \"reload\"] }}\n");
    of_one(&world, &[file("one"), file("two")].concat());
    world.slm(&["plan"]).says("one restart of `sh reload` for several consumers of session-key");
    let ran = world.slm(&["apply", "--auto-approve"]).exits(0).says("rotate    session-key  done");
    assert_eq!(ran.out.matches("activated").count(), 1, "{}", ran.out);
    assert_eq!(world.read("run/reloads").trim(), "80", "both files were there when it ran");
    for id in ["one", "two"] {
        let sidecar = world.read(&format!("run/{id}.slm"));
        let [stored, running, _] = sidecar.lines().collect::<Vec<_>>()[..] else { panic!("{sidecar}") };
        assert_eq!(stored.strip_prefix("stored "), running.strip_prefix("running "), "{sidecar}");
    }
    // One that failed is brought back without the other.
    std::fs::remove_file(world.root().join("run/two")).unwrap();
    world.slm(&["apply", "--auto-approve"]).exits(0).says("deliver   session-key  done");
    assert_eq!(world.read("run/reloads").lines().count(), 2);
}

#[test]
fn two_secrets_of_a_deployment_that_hold_one_credential_are_one_roll_out() {
    let server = Kubernetes::start();
    let world = World::scaffolded().with("KUBE_TOKEN", TOKEN);
    let consumer = |id: &str| {
        let place = "namespace = \"shop\", workload = \"deployment/shop-api\", token-env = \"KUBE_TOKEN\", timeout = \"2s\"";
        let server = &server.url;
        format!("[[consumer]]\nid = \"{id}\"\nkubernetes-workload = {{ server = \"{server}\", {place}, secret = \"{id}\" }}\n")
    };
    of_one(&world, &[consumer("one"), consumer("two")].concat());
    goes_well(&server, 2);
    world.slm(&["plan"]).says("one restart of deployment/shop-api").says("for several consumers of session-key");
    world.slm(&["apply", "--auto-approve"]).exits(0).says("rotate    session-key  done");
    assert_eq!((server.with(|state| state.rollouts), taken(&server)), (1, ["one", "two"].map(str::to_owned).into()));
}

#[test]
fn who_holds_the_end_of_a_value_for_longer_than_declared_is_named_with_what_to_do() {
    let world = World::scaffolded();
    let text = world.read("credentials/session-key.toml");
    let file = |id: &str, reload: &str| {
        format!("[[consumer]]\nid = \"{id}\"\nfile = {{ path = \"run/{id}\", reload = [\"{reload}\"] }}\n")
    };
    let start = text.find("[[consumer]]").unwrap();
    let declared = |within: &str| {
        let gate = format!("[gate]\nadopt-within = \"{within}\"\n\n");
        let consumers = [file("app", "true"), file("legacy", "false")].concat();
        world.write("credentials/session-key.toml", &[&text[..start], &gate, &consumers].concat());
    };
    declared("2d");
    world.commit();
    world.slm(&["apply", "--auto-approve"]).says("failed");
    let said = world.slm(&["status", "session-key"]).says("legacy: does not run it yet");
    assert!(!said.out.contains("held up"), "{}", said.out);
    declared("0s");
    world.commit();
    world
        .slm(&["status", "session-key"])
        .says("held up    the end of the value before: `legacy` does not run what is in force since")
        .says("next       give it a credential of its own (a secret of its own, then `slm adopt`) and remove it from this one");
    world.slm(&["status"]).says("credential session-key held up: `legacy`");
    let said = world.slm(&["status", "--format", "json"]).json();
    assert_eq!(said["held-up"][0]["consumers"], json!(["legacy"]));
    assert!(
        said["held-up"][0]["since"].is_string() && said["held-up"][0]["next"].as_str().unwrap().contains("slm adopt"),
        "{said}"
    );
    // Without the one that cannot take it nothing is held.
    world.edit("credentials/session-key.toml", &file("legacy", "false"), "");
    world.commit();
    assert_eq!(world.slm(&["status", "--format", "json"]).json()["held-up"], json!([]));
}
