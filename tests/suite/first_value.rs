//! The first value of a secret in Secrets Manager, which puts in force by itself whatever is written first; and a value in force of which
//! nobody can tell which credential it is. Against moto, with real kinds.

use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_iam::Client as Iam;
use aws_sdk_secretsmanager::Client as Secrets;
use slm::apply::engine::{StopFlag, drive};
use slm::apply::job::{Budget, Job};
use slm::consumers::file::RenderedFile;
use slm::host::clock::SystemClock;
use slm::host::registers::GitRegisters;
use slm::model::catalog::{ConsumerKind, Credential, FileConsumer, SecretRef};
use slm::model::id::{ConsumerId, VersionId};
use slm::model::outcome::{Fate, Outcome};
use slm::model::plan::ActionKind;
use slm::model::rotator::{Alphabet, DeclaredIssuer, DeclaredOverlap, Exec, ExecCaps, IamAccessKey, RandomValue, RotatorConfig};
use slm::model::secret::Secret;
use slm::model::time::Limit;
use slm::model::{marker, names};
use slm::rotators::aws_iam_access_key::AccessKeys;
use slm::rotators::exec::Plugin;
use slm::rotators::random::Random;
use slm::transport::secrets_manager_store::SecretsManagerStore;
use slm::transport::vault::Vault;
use slm::world::{Consumer, ErrorClass, Rotator, SecretStore, Target, Trial};

use crate::aws::config;
use crate::aws_proxy::Proxy;
use crate::kinds::{Kind, Rig, replaces};
use crate::support::{Server, git};

fn file() -> FileConsumer {
    FileConsumer { path: "run/value".to_owned(), ..FileConsumer::default() }
}

/// A credential whose secret in moto does not exist yet, and a file that consumes it.
struct First {
    folder: tempfile::TempDir,
    credential: Credential,
    config: SdkConfig,
    secrets: Secrets,
    leak: bool,
}

impl First {
    async fn new(endpoint: &str, rotator: RotatorConfig) -> Self {
        let config = config(endpoint, "eu-west-1", None).await;
        let mut credential = Rig::new(rotator).credential;
        credential.secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "app/first".to_owned() };
        credential.consumers[0].kind = ConsumerKind::File(file());
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q"]);
        Self { folder, credential, secrets: Secrets::new(&config), config, leak: false }
    }

    fn store(&self) -> SecretsManagerStore {
        SecretsManagerStore::new().with("prod".into(), "eu-west-1", &self.config)
    }

    async fn current(&self) -> Option<VersionId> {
        self.store().describe(&self.credential.secret).await.unwrap().current().cloned()
    }

    /// One run at replacing what is in force.
    async fn run(&self, rotator: &dyn Rotator, target: Option<&dyn Target>) -> Outcome {
        let generation = self.current().await;
        self.replace(generation.as_ref(), rotator, target).await
    }

    async fn replace(&self, generation: Option<&VersionId>, rotator: &dyn Rotator, target: Option<&dyn Target>) -> Outcome {
        let action = replaces(&self.credential, generation);
        let rendered = RenderedFile::new(self.folder.path().to_owned(), self.credential.id.clone(), file()).unwrap();
        let consumers: Vec<(ConsumerId, Box<dyn Consumer>)> = vec![("app".into(), Box::new(rendered))];
        let job = Job {
            action: &action,
            credential: &self.credential,
            store: &self.store(),
            rotator,
            target,
            registers: &GitRegisters::open(self.folder.path(), None).unwrap(),
            consumers: &consumers,
            fence: &|| true,
            retire_held: None,
            leak: self.leak,
            budget: Budget { retries: 1, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 },
        };
        drive(&job, &SystemClock, &StopFlag::new(false)).await
    }

    /// Runs until the rotation of what is in force now is at its end; gives every step there was. Instants are told in whole seconds.
    async fn settle(&self, keys: &AccessKeys) -> Vec<String> {
        let (generation, mut told) = (self.current().await, Vec::new());
        for _ in 0..8 {
            let outcome = self.replace(generation.as_ref(), keys, Some(keys)).await;
            told.extend(outcome.events.iter().map(|event| event.step.clone()));
            match outcome.fate {
                Fate::Done | Fate::AlreadySo => return told,
                Fate::Waiting(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                other => panic!("{other:?} after {told:?}"),
            }
        }
        panic!("it does not end: {told:?}")
    }

    /// What the file holds.
    fn held(&self) -> Option<Secret> {
        std::fs::read(self.folder.path().join("run/value")).ok().map(Secret::new)
    }

    /// The labels of a version.
    async fn labels(&self, version: &VersionId) -> Vec<String> {
        let found = self.secrets.describe_secret().secret_id(&self.credential.secret.name).send().await.unwrap();
        let labels = found.version_ids_to_stages().and_then(|all| all.get(version.as_str())).cloned().unwrap_or_default();
        labels.into_iter().filter(|label| label != "AWSPREVIOUS").collect()
    }
}

fn steps(outcome: &Outcome) -> Vec<&str> {
    outcome.events.iter().map(|event| event.step.as_str()).collect()
}

/// Makes a first value, and looks that it was let in and tried before anybody had it.
async fn made_first(kind: &dyn Kind, rotator: RotatorConfig, wanted: &[&str]) {
    let server = Server::moto();
    let first = First::new(&server.endpoint, rotator).await;
    let outcome = first.run(kind, Some(kind)).await;
    assert_eq!((&outcome.fate, steps(&outcome).as_slice()), (&Fate::Done, wanted));
    let (current, held) = (first.current().await.unwrap(), first.held().unwrap());
    assert_eq!(current, names::slot(&first.credential.secret, None, 0));
    assert_eq!(kind.verify(&held).await.unwrap(), Trial::Accepted, "what the consumer has is let in");
    assert_eq!(first.labels(&names::placeholder()).await, [marker::PLACEHOLDER_LABEL]);
    let view = first.store().describe(&first.credential.secret).await.unwrap();
    assert_eq!((view.versions.len(), view.previous()), (1, None), "what held its place is nothing that was before");
}

/// A plugin with a target in `folder`.
fn plugin(folder: &Path, issuer: DeclaredIssuer, overlap: DeclaredOverlap) -> Exec {
    let who = if issuer == DeclaredIssuer::Server { "server" } else { "client" };
    let ledger = folder.join("ledger");
    let words = ["python3", "-IS", "fixtures/plugins/ledger.py", ledger.to_str().unwrap(), who];
    let dual = overlap == DeclaredOverlap::Dual;
    let caps = ExecCaps { issuer, overlap, max: 2, disable: dual, delete: dual, reread: false };
    Exec { command: words.map(str::to_owned).to_vec(), timeout: Limit::seconds(60), env: Vec::new(), caps }
}

#[tokio::test]
async fn a_first_value_that_slm_chooses_is_let_in_tried_and_promoted_before_anybody_has_it() {
    let wanted = ["prepared", "installed", "approved", "promoted", "delivered", "activated", "adopted", "done"];
    for overlap in [DeclaredOverlap::Dual, DeclaredOverlap::Single] {
        let folder = tempfile::tempdir().unwrap();
        let config = plugin(folder.path(), DeclaredIssuer::Client, overlap);
        let kind = Plugin::new(env!("CARGO_MANIFEST_DIR").into(), &config);
        made_first(&kind, RotatorConfig::Exec(config.clone()), &wanted).await;
    }
}

#[tokio::test]
async fn a_first_value_that_a_server_issues_is_tried_and_promoted_before_anybody_has_it() {
    let wanted = ["created", "recorded", "approved", "promoted", "delivered", "activated", "adopted", "done"];
    let folder = tempfile::tempdir().unwrap();
    let config = plugin(folder.path(), DeclaredIssuer::Server, DeclaredOverlap::Dual);
    let kind = Plugin::new(env!("CARGO_MANIFEST_DIR").into(), &config);
    made_first(&kind, RotatorConfig::Exec(config.clone()), &wanted).await;
}

#[tokio::test]
async fn a_first_value_that_nobody_validates_is_promoted_before_anybody_has_it() {
    let server = Server::moto();
    let random = RandomValue { length: 40, alphabet: Alphabet::Alnum };
    let first = First::new(&server.endpoint, RotatorConfig::Random(random.clone())).await;
    let outcome = first.run(&Random::new(&random), None).await;
    let wanted = ["prepared", "promoted", "delivered", "activated", "adopted", "done"];
    assert_eq!((&outcome.fate, steps(&outcome).as_slice()), (&Fate::Done, &wanted[..]));
}

/// An IAM user of which nobody but slm makes keys, unless `exclusive` says otherwise. Whoever stands before moto refuses what is ended.
async fn user(proxy: &Proxy, exclusive: bool) -> (First, AccessKeys, Iam) {
    let key = IamAccessKey { user: "ci".to_owned(), source: None, exclusive };
    let first = First::new(&proxy.endpoint, RotatorConfig::AwsIamAccessKey(key.clone())).await;
    let iam = Iam::new(&first.config);
    iam.create_user().user_name("ci").send().await.unwrap();
    let keys = AccessKeys::new(&key, first.config.clone());
    (first, keys, iam)
}

async fn listed(iam: &Iam) -> Vec<(String, String)> {
    let all = iam.list_access_keys().user_name("ci").send().await.unwrap().access_key_metadata;
    all.into_iter().map(|key| (key.access_key_id.unwrap(), key.status.unwrap().as_str().to_owned())).collect()
}

/// What a run leaves that dies between the creation of the first key and the record of it.
#[tokio::test]
async fn a_key_that_was_lost_before_the_first_was_recorded_is_ended_and_what_closes_its_slot_is_never_in_force() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let (first, keys, iam) = user(&proxy, true).await;
    let lost = iam.create_access_key().user_name("ci").send().await.unwrap().access_key.unwrap().access_key_id;
    let told = first.settle(&keys).await;
    let slot = |n| names::slot(&first.credential.secret, None, n);
    assert_eq!(told[..6], ["closed", "deleted", "created", "recorded", "approved", "promoted"]);
    assert_eq!(first.current().await, Some(slot(1)), "the slot of the lost key is closed");
    let (all, held) = (listed(&iam).await, first.held().unwrap());
    assert!(all.len() == 1 && all[0].0 != lost, "{all:?}");
    assert!(held.expose_text().unwrap().contains(&all[0].0), "the consumer has the key that is there");
}

#[tokio::test]
async fn what_closes_a_slot_and_is_in_force_all_the_same_is_brought_to_nobody() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let (first, keys, iam) = user(&proxy, true).await;
    let closed = marker::tombstone(&["AKIALOST".into()].into()).unwrap();
    let name = &first.credential.secret.name;
    let made = first.secrets.create_secret().name(name).secret_string(closed.expose_text().unwrap()).send().await.unwrap();
    let outcome = first.run(&keys, Some(&keys)).await;
    let Fate::Blocked(why) = &outcome.fate else { panic!("{:?}", outcome.fate) };
    assert_eq!(
        *why,
        format!(
            "version {} is in force and holds no credential; store a value that works as that of the secret",
            made.version_id.unwrap()
        )
    );
    assert!(outcome.events.is_empty() && first.held().is_none() && listed(&iam).await.is_empty());
    // By who only brings what is in force, too.
    let random = RandomValue { length: 40, alphabet: Alphabet::Alnum };
    let generation = first.current().await.unwrap();
    let action = ActionKind::Deliver {
        credential: first.credential.id.clone(),
        secret: first.credential.secret.clone(),
        generation,
        consumers: vec!["app".into()],
    };
    let rendered = RenderedFile::new(first.folder.path().to_owned(), first.credential.id.clone(), file()).unwrap();
    let consumers: Vec<(ConsumerId, Box<dyn Consumer>)> = vec![("app".into(), Box::new(rendered))];
    let job = Job {
        action: &action,
        credential: &first.credential,
        store: &first.store(),
        rotator: &Random::new(&random),
        target: None,
        registers: &GitRegisters::open(first.folder.path(), None).unwrap(),
        consumers: &consumers,
        fence: &|| true,
        retire_held: None,
        leak: false,
        budget: Budget { retries: 1, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 },
    };
    let fate = drive(&job, &SystemClock, &StopFlag::new(false)).await.fate;
    assert!(matches!(&fate, Fate::Blocked(why) if why.contains("it holds no credential")) && first.held().is_none(), "{fate:?}");
}

/// The most usual shape of a key that a person stored.
#[tokio::test]
async fn a_key_in_force_that_is_stored_in_another_shape_is_neither_ended_nor_replaced_and_works_on_when_it_is_stored_anew() {
    for (exclusive, leak) in [(true, false), (false, false), (true, true), (false, true)] {
        let server = Server::moto();
        let proxy = Proxy::before(&server.endpoint);
        let (mut first, keys, iam) = user(&proxy, exclusive).await;
        first.leak = leak;
        let key = iam.create_access_key().user_name("ci").send().await.unwrap().access_key.unwrap();
        let (id, secret) = (&key.access_key_id, &key.secret_access_key);
        let name = first.credential.secret.name.clone();
        let other = format!(r#"{{"AWS_ACCESS_KEY_ID":"{id}","AWS_SECRET_ACCESS_KEY":"{secret}"}}"#);
        first.secrets.create_secret().name(&name).secret_string(&other).send().await.unwrap();
        for _ in 0..3 {
            let outcome = first.run(&keys, Some(&keys)).await;
            let Fate::Blocked(why) = &outcome.fate else { panic!("{exclusive} {leak}: {:?}", outcome.fate) };
            assert!(why.contains("which credential is in force is not known") && why.contains("access_key_id"), "{why}");
            assert!(!why.contains(secret.as_str()) && !why.contains(id.as_str()), "{why}");
        }
        assert_eq!(listed(&iam).await, [(id.clone(), "Active".to_owned())], "{exclusive} {leak}");
        assert_eq!(first.held().unwrap().expose(), other.as_bytes(), "whoever stored it wants it run");
        let right = format!(r#"{{"access_key_id":"{id}","secret_access_key":"{secret}"}}"#);
        // Whoever stores it goes past what holds slm to its rules.
        let person = Secrets::new(&config(&server.endpoint, "eu-west-1", None).await);
        person.put_secret_value().secret_id(&name).secret_string(&right).send().await.unwrap();
        first.settle(&keys).await;
        let all = listed(&iam).await;
        assert!(all.len() == 1 && all[0].0 != *id, "{exclusive} {leak}: {all:?}");
        assert!(first.held().unwrap().expose_text().unwrap().contains(&all[0].0), "{exclusive} {leak}");
    }
}

/// No store puts in force by itself what is put, the first version neither; and what is put comes back.
async fn puts_nothing_in_force(store: &dyn SecretStore, secret: &SecretRef) {
    let [v1, v2] = ["11111111-1111-5111-8111-111111111111", "22222222-2222-5222-8222-222222222222"].map(VersionId::from);
    let value = |text: &str| Secret::new(text.into());
    for (version, text) in [(&v1, "one"), (&v1, "one"), (&v2, "two")] {
        store.put(secret, version, &value(text)).await.unwrap();
        let view = store.describe(secret).await.unwrap();
        assert_eq!((view.exists, view.current(), view.previous()), (true, None, None));
        assert!(view.versions.contains_key(version) && !view.versions.contains_key(&names::placeholder()), "{:?}", view.versions);
        assert_eq!(store.read(secret, version).await.unwrap().expose(), text.as_bytes());
    }
    assert_eq!(store.promote(secret, Some(&v1), &v2).await.unwrap_err().class, ErrorClass::Conflict);
    store.promote(secret, None, &v2).await.unwrap();
    assert_eq!(store.promote(secret, None, &v1).await.unwrap_err().class, ErrorClass::Conflict);
    let view = store.describe(secret).await.unwrap();
    assert_eq!((view.current(), view.previous(), view.versions.len()), (Some(&v2), None, 2));
    store.promote(secret, Some(&v2), &v1).await.unwrap();
    let view = store.describe(secret).await.unwrap();
    assert_eq!((view.current(), view.previous(), view.versions.len()), (Some(&v1), Some(&v2), 2));
}

#[tokio::test]
async fn no_store_puts_a_first_version_in_force() {
    let vault = Rig::new(RotatorConfig::Random(RandomValue { length: 40, alphabet: Alphabet::Alnum }));
    let own: &Vault = &vault.vault;
    puts_nothing_in_force(own, &vault.credential.secret).await;
    for server in [Server::moto(), Server::roto()] {
        let config = config(&server.endpoint, "eu-west-1", None).await;
        let secret = |name: &str| SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: name.to_owned() };
        let store = SecretsManagerStore::new().with("prod".into(), "eu-west-1", &config);
        puts_nothing_in_force(&store, &secret("not/there")).await;
        // As Terraform makes it: there, and without a value.
        Secrets::new(&config).create_secret().name("there/empty").send().await.unwrap();
        puts_nothing_in_force(&store, &secret("there/empty")).await;
    }
}

#[tokio::test]
async fn what_holds_the_place_of_a_first_value_is_read_by_nobody_and_is_known_under_another_name_too() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let config = config(&proxy.endpoint, "eu-west-1", None).await;
    let store = SecretsManagerStore::new().with("prod".into(), "eu-west-1", &config);
    let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: "app/first".to_owned() };
    let slot = VersionId::from("11111111-1111-5111-8111-111111111111");
    store.put(&secret, &slot, &Secret::new(b"one".to_vec())).await.unwrap();
    let error = store.read(&secret, &names::placeholder()).await.err().unwrap();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.to_string().ends_with("it only holds the place of a first value; store one"), "{error}");
    proxy.begin(None);
    store.put(&secret, &slot, &Secret::new(b"one".to_vec())).await.unwrap();
    assert!(!proxy.state().calls.iter().any(|call| call == "PutSecretValue"), "{:?}", proxy.state().calls);
    // Whoever copies a secret copies this as well, under a name that AWS gives it.
    let text = marker::placeholder().unwrap();
    let client = Secrets::new(&config);
    let copied = client.create_secret().name("app/copy").secret_string(text.expose_text().unwrap()).send().await.unwrap();
    let copy = SecretRef { name: "app/copy".to_owned(), ..secret };
    let error = store.read(&copy, &copied.version_id.unwrap().as_str().into()).await.err().unwrap();
    assert_eq!(error.class, ErrorClass::Permanent);
}
