//! Credentials that slm does not rotate, by the built binary over a vault and over moto: a person is asked, what they store is tried.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::Tag;
use futures::executor::block_on;
use serde_json::{Value as Json, json};
use slm::model::catalog::SecretRef;
use slm::model::id::VersionId;
use slm::model::plan::rotation_id;
use slm::model::rotator::Manual;
use slm::model::secret::Secret;
use slm::model::time::{Limit, Timestamp};
use slm::rotators::manual::ByHand;
use slm::transport::secrets_manager_store::SecretsManagerStore;
use slm::transport::vault::Vault;
use slm::world::{Clock, ErrorClass, Rotator, SecretStore, Trial, WorldError};

use crate::aws::config;
use crate::aws_proxy::{At, Fault, Proxy};
use crate::faults::{OVER_HTTP, thrown};
use crate::leaks::never_told;
use crate::support::{Request, Server, World, contains, git};

const GOOD: &str = "canary-good-token-";
const BAD: &str = "canary-revoked-token";

/// A vendor that lets in what begins with [`GOOD`]; keeps what it was shown, and answers with `status` when there is one.
struct Vendor {
    root: String,
    shown: Arc<Mutex<Vec<String>>>,
    status: Arc<Mutex<Option<u16>>>,
}

impl Vendor {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let (shown, status) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
        let (keep, forced) = (Arc::clone(&shown), Arc::clone(&status));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Ok(request) = Request::read(&stream) else { continue };
                let token = request.header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
                let good = token.starts_with(GOOD);
                let slack = request.asked().contains("/api/auth.test");
                keep.lock().unwrap().push(format!("{} {token}", request.asked()));
                // Slack answers 200 to anything; others say 401.
                let status = forced.lock().unwrap().unwrap_or(if good || slack { 200 } else { 401 });
                let body = json!({ "ok": good, "error": format!("no {token}") }).to_string();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { root, shown, status }
    }

    fn shown(&self) -> Vec<String> {
        std::mem::take(&mut self.shown.lock().unwrap())
    }
}

/// So many days and an hour ago.
struct Past(i64);

impl Clock for Past {
    fn now(&self) -> Timestamp {
        Limit::seconds(-self.0 * Limit::DAY - 3_600).after(Timestamp::now())
    }
}

const FILE: &str = "credentials/slack.toml";

fn slack(rotator: &str) -> String {
    format!(
        "title = \"Slack bot token\"\nowner = \"platform\"\nsatisfies = [\"ROT-01\"]\n\n[secret]\nsource = \"local\"\n\
         name = \"app/slack\"\n\n{rotator}\n\n[policy]\nrotate-every = \"50d\"\n"
    )
}

fn manual(root: &str) -> String {
    let headers = "headers = { Authorization = \"Bearer {{ value }}\" }";
    format!(
        "[rotator.manual]\nsteps = \"docs/slack.md\"\nverify = {{ method = \"POST\", url = \"{root}/api/auth.test\", {headers}, \
         expect = {{ \"/ok\" = true }} }}"
    )
}

/// The scaffolded repo with one credential, rotated as `rotator` says, in its vault.
fn world(rotator: &str, consumer: bool) -> World {
    let world = World::scaffolded();
    std::fs::remove_file(world.root().join("credentials/session-key.toml")).unwrap();
    let file = "\n[[consumer]]\nid = \"app\"\nfile = { path = \"run/slack.env\", template = \"TOKEN={{ value }}\" }\n";
    world.write(FILE, &(slack(rotator) + if consumer { file } else { "" }));
    world.commit();
    world
}

/// What a person does: a new version, in force, `days` ago.
fn store(world: &World, version: &str, value: &str, days: i64) {
    let vault = Vault::open(world.root().join("vault.age"), world.outside("slm.age-identity"), Arc::new(Past(days)));
    let secret = SecretRef { source: "local".into(), region: ".".to_owned(), name: "app/slack".to_owned() };
    let (before, id) = (block_on(vault.describe(&secret)).unwrap().current().cloned(), VersionId::from(version));
    block_on(vault.put(&secret, &id, &Secret::new(value.as_bytes().to_vec()))).unwrap();
    block_on(vault.promote(&secret, before.as_ref(), &id)).unwrap();
}

fn vault(world: &World) -> Vec<u8> {
    std::fs::read(world.root().join("vault.age")).unwrap()
}

#[test]
fn a_person_is_asked_in_time_and_what_they_store_is_tried_before_it_is_delivered() {
    let vendor = Vendor::start();
    let world = world(&manual(&vendor.root), true);
    let mut said = Vec::new();
    said.push(world.slm(&["check"]).exits(0));
    said.push(world.slm(&["plan"]).exits(2).says("! escalate  slack to platform  it has no value yet; steps: docs/slack.md"));
    said.push(world.slm(&["status", "slack"]).exits(2).says("manual: it has no value yet").says("not verified"));

    let first = format!("{GOOD}1");
    store(&world, "v1", &first, 40);
    let due = Limit::days(50).after(Past(40).now()).strftime("%Y-%m-%dT").to_string();
    said.push(world.slm(&["plan"]).exits(2).says("escalate  slack to platform").says(&format!("age 40d of 50d, due {due}")));
    said.push(world.slm(&["plan"]).exits(2).says("in 9d; steps: docs/slack.md").says("? verify    slack").says("1 to verify"));
    said.push(world.slm(&["status", "slack"]).exits(2).says("manual: due in 9d; its owner is asked").says("was not seen to work"));
    assert_eq!(vendor.shown(), Vec::<String>::new(), "who only looks shows the value to nobody");

    let ran = world.heard(&["apply", "--auto-approve"]).exits(2).says("verify    slack  done  (verified)");
    said.push(ran.says("deliver   slack  done").says("escalate  slack to platform  waits for platform"));
    assert_eq!(world.read("run/slack.env"), format!("TOKEN={first}"));
    assert_eq!(vendor.shown(), [format!("POST /api/auth.test {first}")]);
    said.push(world.slm(&["plan"]).exits(2).says("1 to escalate").says("0 to deliver"));
    said.push(world.slm(&["status", "slack"]).exits(2).says("it was seen to work 20"));
    said.push(world.slm(&["apply", "--auto-approve"]).exits(2));
    assert_eq!(vendor.shown(), Vec::<String>::new(), "a version is tried once");

    store(&world, "v2", BAD, 0);
    let ran = world.heard(&["apply", "--auto-approve"]).exits(6).says("blocked: the value in force was not seen to work");
    said.push(ran.says("platform has to store one that does").says("deliver   slack  waits until its value was seen to work"));
    assert_eq!(world.read("run/slack.env"), format!("TOKEN={first}"), "nobody is given what does not work");
    said.push(world.slm(&["status", "slack"]).exits(2).says("manual: due in 49d; the next `slm apply` tries the value"));
    *vendor.status.lock().unwrap() = Some(503);
    said.push(world.slm(&["apply", "--auto-approve"]).exits(6).says("failed: could not try the value of `slack`").says("HTTP 503"));
    *vendor.status.lock().unwrap() = None;

    let third = format!("{GOOD}3");
    store(&world, "v3", &third, 0);
    said.push(world.slm(&["apply", "--auto-approve"]).exits(0).says("verify    slack  done").says("deliver   slack  done"));
    assert_eq!(world.read("run/slack.env"), format!("TOKEN={third}"));
    said.push(world.slm(&["plan"]).exits(0).says("Nothing is due."));
    said.push(world.slm(&["status", "slack"]).exits(0).says("manual: due in 49d\n").says("rotated by platform: docs/slack.md"));
    let stands = world.slm(&["status", "slack", "--format", "json"]).exits(0).json();
    assert_eq!((&stands["kind"], &stands["standing"]["phase"]), (&json!("manual"), &json!("done")));
    assert!(stands["standing"]["tried"]["at"].is_string(), "{stands}");

    assert!(contains(&world.git_objects(), "docs/slack.md"), "the objects were read");
    never_told(&world, &said, &[GOOD, BAD]);
}

#[test]
fn one_that_is_overdue_and_not_tried_says_so_in_as_many_words() {
    let world = world("[rotator]\nmanual = { steps = \"ask the vendor\" }", false);
    store(&world, "v1", "x", 53);
    world.slm(&["plan"]).exits(2).says("age 53d of 50d, due ").says("overdue for 3d; steps: ask the vendor");
    let said = world.slm(&["status", "slack"]).exits(2).says("manual: overdue for 3d\n");
    said.says("not verified: no `verify` is declared");
    let plan = world.slm(&["plan", "--format", "json"]).exits(2).json()["plan"].take();
    let [action] = &plan["actions"].as_array().unwrap()[..] else { panic!("{plan}") };
    assert_eq!(action["kind"], json!({ "escalate-credential": { "credential": "slack", "owner": "platform" } }));
    assert_eq!((&action["reason"]["by-hand"]["limit"], &action["controls"]), (&json!("50d"), &json!(["ROT-01"])));
    world.slm(&["plan", "--markdown"]).exits(2).says("slack to platform").says("ask the vendor");
    world.slm(&["status"]).exits(2).says("1 due");
    store(&world, "v2", "y", 70);
    let said = world.slm(&["plan"]).exits(2).says("1 to escalate");
    assert!(!said.out.contains("escalate  ROT-01"), "its owner is asked once: {}", said.out);
}

#[test]
fn what_was_not_seen_is_no_evidence_with_exit_3() {
    for rotator in ["[rotator]\nmanual = { steps = \"ask\" }", "[rotator]\nobserve = {}"] {
        let world = world(rotator, false);
        store(&world, "v1", "x", 1);
        world.slm(&["plan"]).exits(0).says("Nothing is due.");
        std::fs::rename(world.outside("slm.age-identity"), world.outside("gone")).unwrap();
        world.slm(&["plan"]).exits(3).says("escalate  slack to platform  no evidence: could not list the vault");
        world.slm(&["status", "slack"]).exits(3).says("unknown, for when its value came about was not seen");
        world.slm(&["apply", "--auto-approve"]).exits(3);
    }
}

#[test]
fn no_verb_rotates_it_and_each_says_what_helps() {
    let verbs: [&[&str]; 7] = [
        &["rotate", "slack"],
        &["rotate", "slack", "--leak"],
        &["rollback", "slack"],
        &["retire", "slack"],
        &["plan", "--force", "slack"],
        &["apply", "--auto-approve", "--force", "slack"],
        &["rotate", "slack", "--format", "json"],
    ];
    let observe = "[rotator]\nobserve = { rotated-by = \"the Terraform of team X\" }";
    for (rotator, code, help) in [
        ("[rotator]\nmanual = { steps = \"docs/slack.md\" }", "slm::rotated-by-hand", "ask platform: docs/slack.md; then store"),
        (observe, "slm::only-observed", "it is rotated by the Terraform of team X"),
    ] {
        let world = world(rotator, false);
        store(&world, "v1", "x", 400);
        store(&world, "v2", "y", 300);
        let (before, refs) = (vault(&world), git(&world.root(), &["for-each-ref"]));
        for verb in verbs {
            let said = world.slm(verb).exits(5);
            if verb.contains(&"json") {
                let json = said.json();
                assert_eq!((&json["code"], &json["exit"]["code"]), (&json!(code), &json!(5)));
                assert!(json["help"].as_str().unwrap().contains(help), "{json}");
                continue;
            }
            let said = said.says(&format!("error[{code}]: `slack` is not ")).says("  help: ");
            match (verb, code) {
                (["rotate", "slack", "--leak"], _) => said.says("escalate to platform now: "),
                (["rollback", _], "slm::rotated-by-hand") => said.says("store it as the current one of `app/slack`"),
                (["retire", _], "slm::rotated-by-hand") => said.says("end the old value where it was issued"),
                _ => said.says(help),
            };
        }
        world.slm(&["resume", "slack"]).exits(0).says("Nothing was due.");
        assert_eq!(vault(&world), before);
        let after = git(&world.root(), &["for-each-ref"]);
        let registers = |refs: &[u8]| String::from_utf8_lossy(refs).matches("refs/slm/registers").count();
        assert_eq!((registers(&after), registers(&refs)), (0, 0));
    }
}

#[test]
fn a_saved_plan_that_would_rotate_it_is_refused_and_nothing_is_done() {
    for (rotator, why) in [
        ("[rotator]\nmanual = { steps = \"ask\" }", "is of kind `manual`: a person rotates it"),
        ("[rotator]\nobserve = {}", "is of kind `observe`: slm never acts on it"),
    ] {
        let world = world(rotator, true);
        store(&world, "v1", "x", 400);
        let before = vault(&world);
        world.slm(&["plan", "--out", "p.json"]).exits(2);
        let plan: Json = serde_json::from_str(&world.read("p.json")).unwrap();
        let (id, generation) = ("slack".into(), VersionId::from("v1"));
        let rotation = rotation_id(&id, Some(&generation));
        let secret = json!({ "source": "local", "region": ".", "name": "app/slack" });
        let common = json!({ "credential": id, "secret": secret, "generation": generation, "consumers": [] });
        for kind in ["rotate", "finish", "deliver"] {
            let mut action = common.clone();
            if kind != "deliver" {
                action["rotation"] = json!(rotation);
            } else if rotator.contains("manual") {
                continue;
            }
            let mut forged = plan.clone();
            forged["actions"] = json!([{
                "kind": { kind: action }, "reason": "forced", "controls": [], "criteria": [], "permitted_by": ["guard-rotate"],
            }]);
            world.write("forged.json", &forged.to_string());
            world.slm(&["apply", "forged.json"]).exits(1).says("the plan is not sound").says(why);
        }
        assert!(!world.root().join("run").exists());
        assert_eq!(vault(&world), before);
        world.slm(&["apply", "p.json"]).says("waits for platform");
        assert_eq!(vault(&world), before, "a plan of slm's own leaves the vault alone");
    }
}

#[test]
fn a_consumer_of_what_is_only_observed_is_told_of_and_not_delivered() {
    let world = world("[rotator]\nobserve = {}", true);
    store(&world, "v1", "x", 1);
    world.slm(&["plan"]).exits(2).says("escalate  slack to platform  a consumer does not run the current version");
    world.slm(&["apply", "--auto-approve"]).exits(2).says("waits for platform");
    assert!(!world.root().join("run").exists());
    world.slm(&["status", "slack"]).exits(2).says("observe: due in 48d; 1 consumer without the version in force");
}

/// One declared credential in AWS among others that are not.
fn cloud(endpoint: &str, rotator: &str) -> World {
    let world = World::new()
        .with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "test")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("NO_PROXY", "127.0.0.1");
    world.ship(&["ROT-01"]);
    let aws = format!("aws = {{ account = \"123456789012\", regions = [\"eu-west-1\"], endpoint = \"{endpoint}\" }}");
    world.write("slm.toml", &format!("[source.local]\n{aws}\n\n[tiers]\ndefault = \"low\"\nlimits = {{ low = \"90d\" }}\n"));
    world.write(FILE, &slack(rotator).replace("name = ", "region = \"eu-west-1\"\nname = ").replace("50d", "90d"));
    world.commit();
    world
}

/// How ROT-01 judges the declared secret.
fn judged(world: &World) -> (String, Json) {
    let said = world.slm(&["explain", "ROT-01", "--format", "json"]).json();
    let all = said["decisions"].as_array().unwrap().iter();
    let one = all.filter(|one| one.to_string().contains("secret:app/slack")).collect::<Vec<_>>();
    let [one] = one[..] else { panic!("{said}") };
    (one["status"].as_str().unwrap().to_owned(), one["because"].clone())
}

fn since(world: &World) -> String {
    let plan = world.slm(&["plan", "--format", "json"]).json();
    plan["plan"]["actions"][0]["reason"]["by-hand"]["since"].as_str().unwrap_or_else(|| panic!("{plan}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_aws_a_value_is_dated_by_its_version_and_a_tag_does_not_make_it_younger() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let client = Client::new(&config(&moto.endpoint, "eu-west-1", None).await);
    for at in 0..20 {
        client.create_secret().name(format!("other/{at}")).secret_string("x").send().await.unwrap();
    }
    let made = client.create_secret().name("app/slack").secret_string("x").send().await.unwrap();
    let age = |days| Past(days).now().as_second();
    proxy.state().created.insert(made.version_id.unwrap(), age(80));
    let world = cloud(&proxy.endpoint, "[rotator]\nmanual = { steps = \"docs/slack.md\" }");

    world.slm(&["check"]).exits(0);
    world.slm(&["plan"]).exits(2).says("age 80d of 90d").says("in 9d").says("1 to escalate");
    proxy.begin(None);
    let (before, tagged) = (since(&world), client.describe_secret().secret_id("app/slack").send().await.unwrap());
    let asked = |operation: &str| proxy.state().calls.iter().filter(|call| *call == operation).count();
    assert_eq!((asked("DescribeSecret"), asked("ListSecretVersionIds")), (1, 1), "the other twenty are not described");
    assert_eq!(asked("GetSecretValue"), 0, "a plan reads no value");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let tag = Tag::builder().key("note").value("rotated, honestly").build();
    client.tag_resource().secret_id("app/slack").tags(tag).send().await.unwrap();
    client.update_secret().secret_id("app/slack").description("rotated today").send().await.unwrap();
    let touched = client.describe_secret().secret_id("app/slack").send().await.unwrap();
    assert!(touched.last_changed_date > tagged.last_changed_date, "what the list dates has moved");
    assert_eq!(since(&world), before);
    world.slm(&["plan"]).exits(2).says("age 80d of 90d");
    assert_eq!(judged(&world).0, "compliant", "80 of 90 days");

    // The person does it.
    let put = client.put_secret_value().secret_id("app/slack").secret_string("y").send().await.unwrap();
    let version = put.version_id.unwrap();
    proxy.state().created.insert(version.clone(), age(0));
    world.slm(&["plan"]).exits(0).says("Nothing is due.");
    world.slm(&["status", "slack"]).exits(0).says("manual: due in 89d").says(&version);

    // The secret was made today, and its value 400 days ago: nothing but the version tells.
    proxy.state().created.insert(version, age(400));
    world.slm(&["plan"]).exits(2).says("age 400d of 90d").says("overdue for 310d");
    assert_eq!(judged(&world).0, "non-compliant");
    for operation in ["DescribeSecret", "ListSecretVersionIds"] {
        proxy.state().denied = [operation].into();
        world.slm(&["plan"]).exits(3).says("no evidence: when its value came about was not seen").says("was not seen whole");
        world.slm(&["status", "slack"]).exits(3).says("unknown");
        let (status, because) = judged(&world);
        assert_eq!((status.as_str(), &because), ("no-evidence", &json!({ "missing": ["created"] })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_aws_what_a_person_stored_is_tried_with_the_value_in_force() {
    let (moto, vendor) = (Server::moto(), Vendor::start());
    let client = Client::new(&config(&moto.endpoint, "eu-west-1", None).await);
    let value = format!("{GOOD}aws");
    client.create_secret().name("app/slack").secret_string(&value).send().await.unwrap();
    let world = cloud(&moto.endpoint, &manual(&vendor.root));
    world.slm(&["apply", "--auto-approve"]).exits(0).says("verify    slack  done");
    assert_eq!(vendor.shown(), [format!("POST /api/auth.test {value}")]);
    world.slm(&["plan"]).exits(0).says("Nothing is due.");
    client.put_secret_value().secret_id("app/slack").secret_string(BAD).send().await.unwrap();
    world.slm(&["plan"]).exits(2).says("verify    slack");
    world.slm(&["apply", "--auto-approve"]).exits(6).says("was not seen to work (the answer does not show what `expect` says)");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_while_a_run_looks_is_not_judged_to_come_from_the_future() {
    let moto = Server::moto();
    let proxy = Proxy::before(&moto.endpoint);
    let client = Client::new(&config(&moto.endpoint, "eu-west-1", None).await);
    client.create_secret().name("app/slack").secret_string("x").send().await.unwrap();
    let world = cloud(&proxy.endpoint, "[rotator]\nmanual = { steps = \"docs/slack.md\" }");
    world.slm(&["plan"]).exits(0).says("Nothing is due.");
    // Asked for more than a second after the run began; moto says that the version came about when it is asked.
    proxy.begin_at("ListSecretVersionIds", Fault::Late(1_200));
    world.slm(&["plan"]).exits(0).says("Nothing is due.");
    assert!(proxy.state().fault.is_none(), "nothing was late");
    proxy.begin_at("ListSecretVersionIds", Fault::Late(1_200));
    assert_eq!(judged(&world).0, "compliant");
}

#[test]
fn a_run_killed_after_a_trial_is_gone_on_with() {
    let vendor = Vendor::start();
    let proxy = Proxy::before(&vendor.root);
    let world = world(&manual(&proxy.endpoint), true);
    let value = format!("{GOOD}killed");
    store(&world, "v1", &value, 1);
    let kill = |process| proxy.state().kill = Some((process, At::First("POST"), true));
    assert!(world.slm_watched(&["apply", "--auto-approve"], kill).is_none(), "it was not killed");
    assert!(vendor.shown() == [format!("POST /api/auth.test {value}")], "it was tried, and nobody was told");
    assert!(!world.root().join("run/slack.env").exists(), "what is not known to work goes nowhere");
    let said = [world.heard(&["apply", "--auto-approve"]).exits(0).says("verify    slack  done  (verified)")];
    assert_eq!(world.read("run/slack.env"), format!("TOKEN={value}"));
    never_told(&world, &said, &[&value]);
}

#[tokio::test]
async fn a_trial_that_is_lost_or_refused_is_made_again_and_the_value_shown_to_the_vendor_alone() {
    let vendor = Vendor::start();
    let made = async || {
        let proxy = Proxy::before(&vendor.root);
        let text = manual(&proxy.endpoint);
        let table: toml::Table = toml::from_str(&text).unwrap();
        let declared: Manual = table["rotator"]["manual"].clone().try_into().unwrap();
        (proxy, ByHand::new(&declared, &"one".into()))
    };
    let value = Secret::new(format!("{GOOD}1").into_bytes());
    let run = async |by_hand: &ByHand| match by_hand.verify(&value).await? {
        Trial::Accepted => Ok(()),
        // A 403 cannot be told from a vendor's word that the value is none; the next trial can.
        Trial::Refused(cause) | Trial::Elsewhere(cause) | Trial::Useless(cause) => {
            assert!(!cause.contains("canary"), "{cause}");
            Err(WorldError { class: ErrorClass::Denied, operation: "try it".to_owned(), cause })
        }
    };
    let check =
        async |by_hand: &ByHand, _, when: &str| assert_eq!(by_hand.verify(&value).await.unwrap(), Trial::Accepted, "{when}");
    let met = thrown("manual", &OVER_HTTP, made, run, check).await;
    assert!(met.again >= 4 && met.ended >= 3, "{met:?}");
}

#[tokio::test]
async fn a_store_dates_versions_and_a_tag_moves_none_of_them() {
    let roto = Server::roto();
    let config = config(&roto.endpoint, "eu-west-1", None).await;
    let (client, secret) =
        (Client::new(&config), SecretRef { source: "p".into(), region: "eu-west-1".to_owned(), name: "s".to_owned() });
    client.create_secret().name("s").secret_string("x").send().await.unwrap();
    let store = SecretsManagerStore::new().with("p".into(), "eu-west-1", &config);
    let date = async || {
        let view = store.describe(&secret).await.unwrap();
        let current = view.current().unwrap().clone();
        (view.versions[&current].created, current)
    };
    let first = date().await;
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    client.tag_resource().secret_id("s").tags(Tag::builder().key("a").value("b").build()).send().await.unwrap();
    assert_eq!(date().await, first);
    client.put_secret_value().secret_id("s").secret_string("y").send().await.unwrap();
    let second = date().await;
    assert!(second.0 > first.0 && second.1 != first.1, "{first:?} {second:?}");
}

/// The files that the documentation shows, by name.
fn examples() -> Vec<(String, String)> {
    let docs = include_str!("../../docs/config.md");
    let blocks = docs.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let named = blocks.filter_map(|block| Some((block.strip_prefix("# credentials/")?.lines().next().unwrap().to_owned(), block)));
    named.map(|(name, block)| (name, block.to_owned())).collect()
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let moto = Server::moto();
    let world = cloud(&moto.endpoint, "[rotator]\nobserve = {}");
    world.edit("slm.toml", "[source.local]", "[source.aws]");
    std::fs::remove_file(world.root().join(FILE)).unwrap();
    let all = examples();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let ours = ["session-key.toml", "collector.toml", "deployer.toml", "tokens.toml"];
    assert_eq!(names, [&ours[..], &["slack.toml", "drata.toml", "vanta.toml", "datadog-app.toml"]].concat());
    all.iter().for_each(|(name, text)| world.write(&format!("credentials/{name}"), text));
    world.slm(&["check"]).exits(0);
    for (id, kind) in [("slack", "manual"), ("drata", "manual"), ("vanta", "manual"), ("datadog-app", "observe")] {
        world.slm(&["status", id]).exits(2).says(&format!("phase      {kind}: it has no value yet"));
    }
    world.slm(&["status", "vanta"]).exits(2).says("not verified: no `verify` is declared");
    world.slm(&["rotate", "slack", "--leak"]).exits(5).says("docs/runbooks/slack.md");
    world.slm(&["rotate", "datadog-app"]).exits(5).says("the Terraform of team observability");
}

#[tokio::test]
async fn the_examples_try_a_value_as_their_vendor_answers() {
    let vendor = Vendor::start();
    for (name, host, asked) in [
        ("slack.toml", "https://slack.com", "POST /api/auth.test"),
        ("drata.toml", "https://public-api.drata.com", "GET /public/controls"),
    ] {
        let text = examples().into_iter().find(|(file, _)| file == name).unwrap().1;
        assert!(text.contains(host));
        let table: toml::Table = toml::from_str(&text.replace(host, &vendor.root)).unwrap();
        let declared: Manual = table["rotator"]["manual"].clone().try_into().unwrap();
        let rotator = ByHand::new(&declared, &"one".into());
        let value = |text: &str| Secret::new(text.as_bytes().to_vec());
        assert_eq!(rotator.verify(&value(GOOD)).await.unwrap(), Trial::Accepted);
        assert_eq!(vendor.shown(), [format!("{asked} {GOOD}")]);
        // One answers 200 to whatever it is shown, and one 401.
        match rotator.verify(&value(BAD)).await.unwrap() {
            Trial::Useless(why) if name == "slack.toml" => assert_eq!(why, "the answer does not show what `expect` says"),
            Trial::Refused(why) => assert_eq!(why, "HTTP 401", "{name}"),
            accepted => panic!("{name}: {accepted:?}"),
        }
        for (status, class) in [(429, ErrorClass::Transient), (500, ErrorClass::Transient), (404, ErrorClass::NotFound)] {
            *vendor.status.lock().unwrap() = Some(status);
            let error = rotator.verify(&value(GOOD)).await.unwrap_err();
            assert_eq!((error.class, error.cause.clone()), (class, format!("HTTP {status}")), "it says nothing of the value");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        *vendor.status.lock().unwrap() = None;
        vendor.shown();
        let error = rotator.create(&"slot".into(), None).await.err().unwrap();
        assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Permanent, "a person rotates it"));
    }
}
