//! Sets of keys: whole rotations with every effect lost once, and an application that signs and accepts all the while.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use slm::apply::engine::{StopFlag, drive};
use slm::apply::job::{Budget, Job};
use slm::consumers::file::RenderedFile;
use slm::host::clock::SystemClock;
use slm::host::registers::GitRegisters;
use slm::model::catalog::{ConsumerKind, FileConsumer};
use slm::model::id::{ConsumerId, VersionId};
use slm::model::names;
use slm::model::outcome::{Fate, Outcome};
use slm::model::plan::{ActionKind, rotation_id};
use slm::model::rotator::{ActivateAfter, Encoding, Keyset, RotatorConfig};
use slm::model::time::Limit;
use slm::rotators::keyset::SigningKeys;
use slm::transport::secrets_manager_store::SecretsManagerStore;
use slm::world::{Consumer, Registers as _, SecretStore};

use crate::aws::config;
use crate::aws_proxy::{Fault as Lost, Proxy};
use crate::faults::chosen;
use crate::kinds::{Fault, Rig, Spot, Through};
use crate::leaks::never_told;
use crate::support::{Ran, Server, World, lives};

/// Values of one rotation that keeps one key: published, signed with, and the oldest dropped.
const STAGES: usize = 3;

fn keyset() -> Keyset {
    let (drop_after, activate_after) = (Limit::days(1), ActivateAfter::AcceptedEverywhere);
    Keyset { bytes: 32, encoding: Encoding::Base64url, keep: 1, drop_after, activate_after }
}

fn file(name: &str) -> FileConsumer {
    FileConsumer { path: format!("run/{name}"), ..FileConsumer::default() }
}

/// A set of keys that two files are given.
fn rig() -> Rig {
    let mut rig = Rig::new(RotatorConfig::Keyset(keyset()));
    let one = rig.credential.consumers.remove(0);
    for name in ["app", "late"] {
        let mut declared = one.clone();
        (declared.id, declared.kind) = (name.into(), ConsumerKind::File(file(name)));
        rig.credential.consumers.push(declared);
    }
    rig
}

/// One run at leaving `generation` of the value in `store`.
async fn run(rig: &Rig, store: &dyn SecretStore, generation: Option<&VersionId>, fault: &Arc<Fault>) -> Outcome {
    let action = ActionKind::Rotate {
        credential: rig.credential.id.clone(),
        secret: rig.credential.secret.clone(),
        rotation: rotation_id(&rig.credential.id, generation),
        generation: generation.cloned(),
        consumers: vec!["app".into(), "late".into()],
    };
    let spot = |name: &str| -> (ConsumerId, Box<dyn Consumer>) {
        let file = RenderedFile::new(rig.folder.path().to_owned(), "one".into(), file(name)).unwrap();
        (name.into(), Box::new(Spot(file, Arc::clone(fault))))
    };
    let registers = GitRegisters::open(rig.folder.path(), None).unwrap();
    let job = Job {
        action: &action,
        credential: &rig.credential,
        store,
        rotator: &SigningKeys::new(&keyset()),
        target: None,
        registers: &Through(&registers, fault.as_ref()),
        consumers: &[spot("app"), spot("late")],
        fence: &|| true,
        retire_held: None,
        leak: false,
        budget: Budget { retries: 1, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 },
    };
    let outcome = drive(&job, &SystemClock, &StopFlag::new(false)).await;
    rig.told.lock().unwrap().push_str(&format!("{outcome:?}\n"));
    outcome
}

/// Runs until `generation` is left and nothing is left to do.
async fn leave(rig: &Rig, store: &dyn SecretStore, generation: Option<&VersionId>, context: &str) {
    for _ in 0..4 {
        let outcome = run(rig, store, generation, &Arc::new(Fault::never())).await;
        assert!(!matches!(outcome.fate, Fate::Blocked(_)), "{context}: {:?}", outcome.fate);
        if matches!(outcome.fate, Fate::Done | Fate::AlreadySo) && current(rig, store).await.as_ref() != generation {
            return;
        }
    }
    panic!("{context}: it does not end: {}", rig.told.lock().unwrap());
}

async fn current(rig: &Rig, store: &dyn SecretStore) -> Option<VersionId> {
    store.describe(&rig.credential.secret).await.unwrap().current().cloned()
}

/// The key that signs and the keys that are accepted, by name, of a value.
fn names_of(text: &str) -> (String, Vec<String>) {
    let value: Json = serde_json::from_str(text).unwrap();
    let name = |key: &Json| key["kid"].as_str().unwrap().to_owned();
    (value["sign"].as_str().unwrap().to_owned(), value["keys"].as_array().unwrap().iter().map(name).collect())
}

/// What is in force, and what each consumer holds.
async fn everywhere(rig: &Rig, store: &dyn SecretStore) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    if let Some(current) = current(rig, store).await {
        all.push(names_of(store.read(&rig.credential.secret, &current).await.unwrap().expose_text().unwrap()));
    }
    for name in ["app", "late"] {
        let held = std::fs::read_to_string(rig.folder.path().join("run").join(name));
        all.extend(held.ok().map(|text| names_of(&text)));
    }
    all
}

/// Whatever was cut off, what anybody signs is accepted by everybody.
async fn accepted(rig: &Rig, store: &dyn SecretStore, context: &str) {
    let all = everywhere(rig, store).await;
    for (sign, _) in &all {
        assert!(all.iter().all(|(_, accepts)| accepts.contains(sign)), "{context}: a key that signs is refused: {all:?}");
    }
}

/// What a plan would know of the value in force without reading it.
async fn told(rig: &Rig, store: &dyn SecretStore) -> String {
    let version = current(rig, store).await.unwrap();
    let name = names::mark(&rig.credential.secret, &version, names::STAGE);
    let registers = GitRegisters::open(rig.folder.path(), None).unwrap();
    let rotation = names::rotation(&rig.credential.id, Some(&version));
    let written = registers.read(&rotation, std::slice::from_ref(&name)).await.unwrap();
    written[&name].split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_set_of_keys_that_loses_any_effect_is_accepted_everywhere_at_every_value() {
    let mut lost = 0;
    for answer in [false, true] {
        for stage in 0..STAGES {
            for number in 0.. {
                let context = format!("value {stage}, effect {number}, {}", if answer { "answer lost" } else { "request lost" });
                let (rig, fault) = (rig(), Arc::new(Fault::at(number, answer)));
                leave(&rig, &rig.vault, None, &context).await;
                let first = everywhere(&rig, &rig.vault).await.remove(0).0;
                let mut met = false;
                for n in 0..STAGES {
                    let generation = current(&rig, &rig.vault).await;
                    assert_eq!(told(&rig, &rig.vault).await, ["publish", "sign", "drop"][n], "{context}");
                    if n == stage {
                        run(&rig, &Through(&rig.vault, fault.as_ref()), generation.as_ref(), &fault).await;
                        met = fault.met();
                        accepted(&rig, &rig.vault, &context).await;
                    }
                    // What the run that was cut off had brought into force is gone on from.
                    if current(&rig, &rig.vault).await == generation {
                        leave(&rig, &rig.vault, generation.as_ref(), &context).await;
                    } else {
                        run(&rig, &rig.vault, generation.as_ref(), &Arc::new(Fault::never())).await;
                    }
                    accepted(&rig, &rig.vault, &context).await;
                }
                assert_eq!(told(&rig, &rig.vault).await, "publish", "{context}");
                let all = everywhere(&rig, &rig.vault).await;
                assert!(all.len() == 3 && all.iter().all(|one| *one == all[0]), "{context}: {all:?}");
                assert!(all[0].1 == [all[0].0.clone()] && all[0].0 != first, "{context}: {all:?}");
                assert!(!rig.told.lock().unwrap().contains("\"key\""), "{context}");
                lost += i32::from(met);
                if !met {
                    break;
                }
            }
        }
    }
    println!("{lost} effects of a rotation of keys lost, one at a time");
    assert!(lost >= 48, "{lost}");
}

#[tokio::test]
async fn in_aws_a_set_of_keys_survives_calls_that_are_lost() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let through = config(&proxy.endpoint, "eu-west-1", None).await;
    let through = through.into_builder().retry_config(RetryConfig::disabled()).build();
    let never = || Arc::new(Fault::never());
    let world = |name: &str| {
        let mut rig = rig();
        let secret = &mut rig.credential.secret;
        (secret.source, secret.region, secret.name) = ("prod".into(), "eu-west-1".to_owned(), name.to_owned());
        rig
    };
    let store = SecretsManagerStore::new().with("prod".into(), "eu-west-1", &through);
    let stages = {
        let rig = world("keys-whole");
        leave(&rig, &store, None, "nothing is lost").await;
        let mut stages = Vec::new();
        for _ in 0..STAGES {
            let generation = current(&rig, &store).await;
            proxy.begin(None);
            run(&rig, &store, generation.as_ref(), &never()).await;
            stages.push(proxy.state().calls.clone());
        }
        stages
    };
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for (turn, fault) in [Lost::RequestLost, Lost::AnswerLost].into_iter().enumerate() {
        for (stage, calls) in stages.iter().enumerate() {
            for number in chosen(calls, (turn + stage, fault), 17) {
                let context = format!("value {stage}, call {number}, {}, {fault:?}", calls[number]);
                let rig = world(&format!("keys-{stage}-{number}-{fault:?}"));
                leave(&rig, &store, None, &context).await;
                for n in 0..STAGES {
                    let generation = current(&rig, &store).await;
                    if n == stage {
                        proxy.begin(Some((number, fault)));
                        run(&rig, &store, generation.as_ref(), &never()).await;
                        assert_eq!(proxy.state().calls.get(number), Some(&calls[number]), "{context}: the calls are others");
                        proxy.begin(None);
                        accepted(&rig, &store, &context).await;
                    }
                    if current(&rig, &store).await == generation {
                        leave(&rig, &store, generation.as_ref(), &context).await;
                    } else {
                        run(&rig, &store, generation.as_ref(), &never()).await;
                    }
                    accepted(&rig, &store, &context).await;
                }
                assert_eq!(told(&rig, &store).await, "publish", "{context}");
                *met.entry(&calls[number]).or_default() += 1;
            }
        }
    }
    println!("{} calls to Secrets Manager lost, one at a time: {met:?}", met.values().sum::<usize>());
    for change in ["PutSecretValue", "UpdateSecretVersionStage"] {
        assert!(met.get(change).is_some_and(|times| *times >= 2 * STAGES), "{change}: {met:?}");
    }
}

/// What an application signed, and when.
struct Token {
    kid: String,
    mac: [u8; 32],
    signed: Instant,
}

/// Parts of an application that read the keys, sign and accept. Each reads its file only now and then.
struct Application {
    files: Vec<PathBuf>,
    every: Duration,
    life: Duration,
    stop: AtomicBool,
    /// Tokens shown, tokens refused, and the names of keys that signed.
    seen: Mutex<(u64, Vec<String>, Vec<String>)>,
}

const PAYLOAD: &[u8] = b"user=1";

fn mac(key: &str) -> [u8; 32] {
    Sha256::new().chain_update(key.as_bytes()).chain_update(PAYLOAD).finalize().into()
}

impl Application {
    fn new(files: Vec<PathBuf>, every: Duration, life: Duration) -> Self {
        Self { files, every, life, stop: AtomicBool::new(false), seen: Mutex::default() }
    }

    fn load(path: &Path) -> Json {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn key<'a>(keys: &'a Json, kid: &str) -> Option<&'a str> {
        keys["keys"].as_array()?.iter().find(|key| key["kid"] == kid)?["key"].as_str()
    }

    /// Signs in each part, and shows every token that has not expired to each part.
    fn serve(&self) {
        let mut loaded: Vec<(Json, Instant)> = self.files.iter().map(|path| (Self::load(path), Instant::now())).collect();
        let mut tokens: Vec<Token> = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            for (part, (keys, since)) in loaded.iter_mut().enumerate() {
                // The parts do not read at the same time.
                if since.elapsed() > self.every / (part as u32 + 1) {
                    (*keys, *since) = (Self::load(&self.files[part]), Instant::now());
                }
                let kid = keys["sign"].as_str().unwrap().to_owned();
                let mac = mac(Self::key(keys, &kid).unwrap());
                tokens.push(Token { kid, mac, signed: Instant::now() });
            }
            tokens.retain(|token| token.signed.elapsed() < self.life);
            let mut seen = self.seen.lock().unwrap();
            for token in &tokens {
                for (keys, _) in &loaded {
                    seen.0 += 1;
                    if Self::key(keys, &token.kid).is_none_or(|key| mac(key) != token.mac) {
                        seen.1.push(token.kid.clone());
                    }
                }
                if !seen.2.contains(&token.kid) {
                    seen.2.push(token.kid.clone());
                }
            }
            drop(seen);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

const FILE: &str = "credentials/session-key.toml";

/// Two parts of an application that share a set of keys.
fn signing() -> World {
    let world = World::scaffolded();
    world.edit(FILE, "random = { length = 40, alphabet = \"alnum\" }", "keyset = { keep = 1, drop-after = \"4s\" }");
    world.edit(FILE, "[policy]\n", "[policy]\nlease = \"6s\"\n");
    world.edit(FILE, "template = \"SESSION_KEY={{ value }}\\n\", ", "");
    let text = world.read(FILE);
    let second = "\n[[consumer]]\nid = \"late\"\nfile = { path = \"run/late.json\" }\nmax-staleness = \"2s\"\n";
    world.write(FILE, &(text.replace("run/session.env", "run/app.json") + "max-staleness = \"2s\"\n" + second));
    world.slm(&["check"]).exits(0);
    world.commit();
    world
}

#[test]
fn no_token_is_refused_while_the_keys_of_an_application_are_replaced() {
    let (world, mut said) = (signing(), Vec::<Ran>::new());
    said.push(world.heard(&["apply", "--auto-approve"]).says("rotate    session-key"));
    let files = vec![world.root().join("run/app.json"), world.root().join("run/late.json")];
    let (first, accepted) = names_of(&world.read("run/app.json"));
    assert_eq!(accepted, std::slice::from_ref(&first));
    let (every, life) = (Duration::from_millis(1500), Duration::from_secs(3));
    let application = Application::new(files.clone(), every, life);
    let begun = Instant::now();
    let stages = std::thread::scope(|scope| {
        let serving = scope.spawn(|| application.serve());
        let mut stages = Vec::new();
        said.push(world.heard(&["rotate", "session-key"]));
        while begun.elapsed() < Duration::from_secs(240) {
            let now = names_of(&world.read("run/late.json"));
            if stages.last() != Some(&now) {
                stages.push(now.clone());
            }
            if now.0 != first && now.1.len() == 1 {
                break;
            }
            said.push(world.heard(&["apply", "--auto-approve"]));
            std::thread::sleep(Duration::from_millis(500));
            // A first value is settled before a rotation begins.
            if stages.len() == 1 {
                said.push(world.heard(&["rotate", "session-key"]));
            }
        }
        std::thread::sleep(every * 2);
        application.stop.store(true, Ordering::Relaxed);
        serving.join().unwrap();
        stages
    });
    let (shown, refused, signed) = std::mem::take(&mut *application.seen.lock().unwrap());
    println!(
        "{shown} tokens shown over {:.0} s and {} values, {} refused",
        begun.elapsed().as_secs_f64(),
        stages.len(),
        refused.len()
    );
    let last = names_of(&world.read("run/app.json")).0;
    assert_eq!(refused, Vec::<String>::new());
    assert!(shown > 1000 && signed == [first.clone(), last.clone()], "{shown} {signed:?}");
    let want = [
        (first.clone(), vec![first.clone()]),
        (first.clone(), vec![first.clone(), last.clone()]),
        (last.clone(), vec![first, last.clone()]),
        (last.clone(), vec![last]),
    ];
    assert_eq!(stages, want);
    let lives = lives(&world, "session-key");
    let next = |what: &str| lives.iter().filter(|life| life["next"] == what).count();
    assert_eq!((lives.len(), next("publish"), next("sign"), next("drop")), (4, 2, 1, 1), "{lives:?}");
    let keys: Json = serde_json::from_str(&world.read("run/app.json")).unwrap();
    never_told(&world, &said, &[keys["keys"][0]["key"].as_str().unwrap()]);
}

/// The application above does refuse what it should: all at once, a key is replaced.
#[test]
fn tokens_are_refused_when_a_key_is_replaced_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = ["a", "b"].map(|name| folder.path().join(name)).into();
    let set =
        |path: &Path, kid: &str| std::fs::write(path, format!(r#"{{"sign":"{kid}","keys":[{{"kid":"{kid}","key":"{kid}"}}]}}"#));
    for path in &files {
        set(path, "1").unwrap();
    }
    let application = Application::new(files.clone(), Duration::from_millis(400), Duration::from_secs(1));
    std::thread::scope(|scope| {
        scope.spawn(|| application.serve());
        std::thread::sleep(Duration::from_millis(300));
        for path in &files {
            let other = path.with_extension("new");
            set(&other, "2").unwrap();
            std::fs::rename(other, path).unwrap();
        }
        std::thread::sleep(Duration::from_millis(900));
        application.stop.store(true, Ordering::Relaxed);
    });
    assert!(!application.seen.lock().unwrap().1.is_empty());
}
