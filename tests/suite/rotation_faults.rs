//! Every call of a rotation is lost, repeated or refused once, against moto behind a proxy: no credential in use is lost, nothing is
//! left behind, and the rotation ends all the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::types::StatusType;
use aws_sdk_secretsmanager::Client as Secrets;
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use slm::apply::engine::{StopFlag, drive};
use slm::apply::job::{Budget, Job};
use slm::consumers::file::RenderedFile;
use slm::host::registers::GitRegisters;
use slm::model::catalog::{Consumer as Declared, ConsumerKind, Credential, FileConsumer, GateSettings, RotationPolicy, SecretRef};
use slm::model::diagnostic::Place;
use slm::model::id::{ConsumerId, VersionId};
use slm::model::outcome::{Fate, Outcome};
use slm::model::plan::ActionKind;
use slm::model::rotator::{IamAccessKey, RotatorConfig};
use slm::model::secret::Secret;
use slm::model::time::{Limit, Timestamp};
use slm::rotators::aws_iam_access_key::AccessKeys;
use slm::transport::secrets_manager_store::SecretsManagerStore;
use slm::world::{Clock, Consumer, ErrorClass, KeyChange, PENDING, Rotator, SecretStore, Target, Trial};

use crate::aws::config;
use crate::aws_proxy::{Fault, Proxy};
use crate::faults::{Met, chosen};
use crate::kinds::replaces;
use crate::support::{Server, git};

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn file() -> FileConsumer {
    FileConsumer { path: "run/key.json".to_owned(), ..FileConsumer::default() }
}

/// Nothing waits: what is tested is that no call can be lost to harm, not that leases are kept.
fn credential(name: &str) -> Credential {
    Credential {
        id: name.into(),
        title: name.to_owned(),
        owner: "platform".to_owned(),
        satisfies: Vec::new(),
        secret: SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: name.to_owned() },
        rotator: RotatorConfig::AwsIamAccessKey(IamAccessKey { user: name.to_owned(), source: None, exclusive: true }),
        policy: RotationPolicy {
            rotate_every: Limit::days(30),
            jitter: Limit::days(0),
            attempts: 5,
            lease: Limit::seconds(0),
            allow_gap: None,
            max_validity: None,
            not_before: None,
            windows: Vec::new(),
            freeze: Vec::new(),
            ended_elsewhere: Vec::new(),
        },
        gate: GateSettings { quiet: Limit::seconds(0).into(), drain: true, soak: Limit::seconds(0), ..GateSettings::default() },
        consumers: vec![Declared {
            id: "app".into(),
            kind: ConsumerKind::File(file()),
            canary: false,
            max_staleness: Limit::seconds(0),
            letters: None,
            principals: Vec::new(),
        }],
        leak: Vec::new(),
        after: Vec::new(),
        place: Place { file: String::new(), span: 0..0 },
    }
}

/// One user with a key in a secret, and a rotation of it.
pub struct Rig {
    proxy: Proxy,
    credential: Credential,
    action: ActionKind,
    folder: tempfile::TempDir,
    /// Straight to the server, to look and to prepare.
    iam: Iam,
    secrets: Secrets,
    /// Through the proxy, without retries: every loss is the engine's to survive.
    config: SdkConfig,
    /// Where a key is tried.
    regions: Vec<String>,
}

impl Rig {
    pub async fn new(server: &Server, proxy: &Proxy, name: &str) -> Self {
        let straight = config(&server.endpoint, "eu-west-1", None).await;
        let (iam, secrets) = (Iam::new(&straight), Secrets::new(&straight));
        iam.create_user().user_name(name).send().await.unwrap();
        let key = iam.create_access_key().user_name(name).send().await.unwrap().access_key.unwrap();
        let value = format!(r#"{{"access_key_id":"{}","secret_access_key":"{}"}}"#, key.access_key_id, key.secret_access_key);
        let made = secrets.create_secret().name(name).secret_string(&value).send().await.unwrap();
        let generation = VersionId::from(made.version_id.unwrap());
        let credential = credential(name);
        let action = replaces(&credential, Some(&generation));
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q"]);
        let through = config(&proxy.endpoint, "eu-west-1", None).await;
        let config = through.into_builder().retry_config(RetryConfig::disabled()).build();
        Self { proxy: proxy.clone(), credential, action, folder, iam, secrets, config, regions: vec!["eu-west-1".to_owned()] }
    }

    /// One run, as a process of its own would take it.
    async fn run(&self) -> Outcome {
        let store = SecretsManagerStore::new().with("prod".into(), "eu-west-1", &self.config);
        let RotatorConfig::AwsIamAccessKey(key) = &self.credential.rotator else { unreachable!() };
        let keys = AccessKeys::new(key, self.config.clone()).in_regions(&self.regions);
        let registers = GitRegisters::open(self.folder.path(), None).unwrap();
        let consumer = RenderedFile::new(self.folder.path().to_owned(), self.credential.id.clone(), file()).unwrap();
        let consumers: Vec<(ConsumerId, Box<dyn Consumer>)> = vec![("app".into(), Box::new(consumer))];
        let budget = Budget { retries: 0, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 };
        let job = Job {
            action: &self.action,
            credential: &self.credential,
            store: &store,
            rotator: &keys,
            target: Some(&keys),
            registers: &registers,
            consumers: &consumers,
            fence: &|| true,
            retire_held: None,
            leak: false,
            budget,
        };
        drive(&job, &Now, &StopFlag::new(false)).await
    }

    async fn active(&self) -> Vec<String> {
        let listed = self.iam.list_access_keys().user_name(self.credential.id.as_str()).send().await.unwrap();
        let active = listed.access_key_metadata.into_iter().filter(|key| key.status == Some(StatusType::Active));
        active.map(|key| key.access_key_id.unwrap()).collect()
    }

    /// The ids of the keys that are current in the store and that the consumer runs; each is let in.
    async fn in_use(&self, when: &str) -> (String, Option<String>) {
        let id = |text: &str| {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            value["access_key_id"].as_str().unwrap().to_owned()
        };
        let name = self.credential.id.as_str();
        let current = self.secrets.get_secret_value().secret_id(name).version_stage("AWSCURRENT").send().await.unwrap();
        let current = id(current.secret_string().unwrap());
        let path = self.folder.path().join("run/key.json");
        let running = Path::exists(&path).then(|| id(&std::fs::read_to_string(path).unwrap()));
        let active = self.active().await;
        assert!(active.contains(&current), "{when}: the current key is not let in");
        assert!(running.iter().all(|key| active.contains(key)), "{when}: the consumer's key is not let in");
        (current, running)
    }

    /// Runs until the rotation is at its end, and looks after each run; gives the number of runs.
    pub async fn converge(&self, when: &str) -> usize {
        for runs in 1..=12 {
            let outcome = self.run().await;
            let (current, running) = self.in_use(when).await;
            // A key that its maker lost is waited for, some moments beyond its lease of none.
            if matches!(outcome.fate, Fate::Waiting(_)) {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            if matches!(outcome.fate, Fate::Done | Fate::AlreadySo) {
                assert_eq!(running.as_deref(), Some(current.as_str()), "{when}");
                let all = self.iam.list_access_keys().user_name(self.credential.id.as_str()).send().await.unwrap();
                assert_eq!(all.access_key_metadata.len(), 1, "{when}: a key is left behind");
                return runs;
            }
        }
        panic!("{when}: it does not come to its end: {:?}", self.run().await.fate);
    }
}

/// What changes something in a rotation of an access key.
const CHANGES: [&str; 6] =
    ["CreateAccessKey", "DeleteAccessKey", "PutSecretValue", "TagResource", "UpdateAccessKey", "UpdateSecretVersionStage"];

/// Has each of `faults` happen to each call that changes something and to every `every`th question; gives the calls of a rotation, and
/// what became of the runs.
async fn sweep(faults: &[Fault], every: usize) -> (Vec<String>, Met) {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let rig = Rig::new(&server, &proxy, "whole").await;
    proxy.begin(None);
    let outcome = rig.run().await;
    assert!(matches!(outcome.fate, Fate::Done), "{:?} {:?}", outcome.fate, outcome.events);
    rig.in_use("nothing is lost").await;
    let calls = proxy.state().calls.clone();
    let mut met = Met::default();
    for (turn, fault) in faults.iter().enumerate() {
        let mut changes = BTreeSet::new();
        for number in chosen(&calls, (turn, *fault), every) {
            let operation = &calls[number];
            let when = format!("{fault:?} at call {number}, {operation}");
            let rig = Rig::new(&server, &proxy, &format!("u{turn}-{number}")).await;
            rig.proxy.begin(Some((number, *fault)));
            met.note(rig.converge(&when).await == 1);
            assert_eq!(proxy.state().calls.get(number), Some(operation), "{when}: the calls are others");
            changes.extend(CHANGES.contains(&operation.as_str()).then(|| operation.clone()));
        }
        assert!(*fault == Fault::Stale || changes == BTreeSet::from(CHANGES.map(str::to_owned)), "{fault:?}: {changes:?}");
        met.changes.append(&mut changes);
    }
    (calls, met)
}

/// The same for each call; prints a figure of `kind`.
async fn sweep_all(kind: &str, faults: &[Fault]) {
    let (calls, met) = sweep(faults, 1).await;
    let all: usize = faults.iter().map(|fault| chosen(&calls, (0, *fault), 1).len()).sum();
    assert!(met.ended + met.again == all && all > (faults.len() - 1) * calls.len(), "{met:?}");
    met.tell(kind);
}

const LOST: [Fault; 2] = [Fault::RequestLost, Fault::AnswerLost];

#[tokio::test]
async fn a_call_lost_on_its_way_or_on_its_way_back_loses_no_key() {
    let (calls, met) = sweep(&LOST, 11).await;
    println!("{{\"figure\": \"rotation.calls\", \"value\": {}, \"unit\": \"requests\"}}", calls.len());
    assert!(calls.len() <= 60, "a rotation takes {} calls", calls.len());
    assert!(met.again > CHANGES.len(), "{met:?}");
}

#[tokio::test]
#[ignore = "minutes: each call, where the test above takes what changes something and every eleventh question; `scripts/figures rotation` runs it"]
async fn each_call_lost_on_its_way_or_on_its_way_back_loses_no_key() {
    sweep_all("aws.lost", &LOST).await;
}

const REFUSED: [Fault; 4] = [
    Fault::Twice,
    Fault::Refused(400, "ThrottlingException"),
    Fault::Refused(403, "AccessDenied"),
    Fault::Refused(500, "InternalFailure"),
];

#[tokio::test]
async fn a_call_repeated_throttled_or_refused_loses_no_key() {
    let (_, met) = sweep(&REFUSED, 26).await;
    assert!(met.again >= 2 * CHANGES.len() && met.ended > 0, "{met:?}");
}

#[tokio::test]
#[ignore = "five minutes: each call, where the test above takes what changes something and two questions; `scripts/figures rotation` runs it"]
async fn each_call_repeated_throttled_or_refused_loses_no_key() {
    sweep_all("aws.refused", &REFUSED).await;
}

const OUT_OF_TIME: [Fault; 3] = [Fault::Late(50), Fault::Overtaken, Fault::Stale];

#[tokio::test]
async fn a_call_that_is_late_overtaken_or_answered_as_before_loses_no_key() {
    let (_, met) = sweep(&OUT_OF_TIME, 17).await;
    assert!(met.again >= CHANGES.len() / 2 && met.ended >= CHANGES.len(), "{met:?}");
}

#[tokio::test]
#[ignore = "minutes: each call, where the test above takes what changes something and every 17th question; `scripts/figures rotation` runs it"]
async fn each_call_that_is_late_overtaken_or_answered_as_before_loses_no_key() {
    sweep_all("aws.late", &OUT_OF_TIME).await;
}

#[tokio::test]
async fn a_label_of_ours_is_never_on_two_versions() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let client = Secrets::new(&config(&proxy.endpoint, "eu-west-1", None).await);
    let first = client.create_secret().name("labels").secret_string("1").send().await.unwrap().version_id.unwrap();
    let put = client.put_secret_value().secret_id("labels").secret_string("2").version_stages("SLM-PENDING").send().await.unwrap();
    let second = put.version_id.unwrap();
    let labelled = async || {
        let listed = client.list_secret_version_ids().secret_id("labels").include_deprecated(true).send().await.unwrap();
        let with = listed.versions().iter().filter(|one| one.version_stages().iter().any(|stage| stage == "SLM-PENDING"));
        with.map(|one| one.version_id().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(labelled().await, [second.as_str()]);
    let moved = || client.update_secret_version_stage().secret_id("labels").version_stage("SLM-PENDING").move_to_version_id(&first);
    let refused = moved().send().await.unwrap_err().into_service_error();
    assert!(refused.is_invalid_parameter_exception(), "{refused:?}");
    assert_eq!(labelled().await, [second.as_str()]);
    moved().remove_from_version_id(&second).send().await.unwrap();
    assert_eq!(labelled().await, [first.as_str()]);
}

/// The proxy, through which every rotation of these tests goes, refuses such a request.
#[tokio::test]
async fn no_request_leaves_to_aws_which_label_a_value_gets_or_which_version_is_read() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let rig = Rig::new(&server, &proxy, "labels").await;
    let client = Secrets::new(&rig.config);
    let put = || client.put_secret_value().secret_id("labels").secret_string("2");
    let refused = [put(), put().version_stages("AWSPENDING")];
    for request in refused {
        assert!(request.send().await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    }
    let asked = || client.get_secret_value().secret_id("labels");
    assert!(asked().send().await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    asked().version_stage("AWSCURRENT").send().await.unwrap();
    proxy.begin(None);
    assert_eq!(rig.converge("nothing is left to AWS").await, 1);
    let calls = proxy.state().calls.clone();
    for operation in ["PutSecretValue", "GetSecretValue", "UpdateSecretVersionStage"] {
        assert!(calls.iter().any(|call| call == operation), "{operation}");
    }
    assert!(proxy.state().agents.iter().all(|agent| agent.contains("app/slm-")), "the proxy knows them for ours");
}

#[tokio::test]
async fn nothing_is_made_and_nothing_ended_while_a_replica_is_behind() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let rig = Rig::new(&server, &proxy, "replica").await;
    proxy.state().behind = usize::MAX;
    let outcome = rig.run().await;
    let Fate::Waiting(why) = &outcome.fate else { panic!("{:?}", outcome.fate) };
    assert!(why.contains("the replica in us-east-1 to serve the current version"), "{why}");
    assert_eq!(rig.active().await.len(), 1, "nothing was made");
    // It catches up, and falls behind again with each version that comes into force.
    proxy.state().behind = 0;
    proxy.state().lag = 6;
    let outcome = rig.run().await;
    assert!(matches!(&outcome.fate, Fate::Waiting(why) if why.contains("replicas are behind: us-east-1")), "{:?}", outcome.fate);
    let (current, running) = rig.in_use("the replica serves the old one").await;
    assert_eq!((running.as_deref(), rig.active().await.len()), (Some(current.as_str()), 2), "nothing was ended");
    rig.converge("the replica catches up").await;
    assert_eq!(rig.active().await, [current]);
}

#[tokio::test]
async fn a_use_that_iam_tells_too_late_ends_in_a_key_that_can_be_let_in_again() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let mut rig = Rig::new(&server, &proxy, "unaware").await;
    rig.credential.gate.quiet = Limit::seconds(3_600).into();
    rig.credential.gate.soak = Limit::days(1);
    let (old, _) = rig.in_use("before").await;
    let value = rig.secrets.get_secret_value().secret_id("unaware").version_stage("AWSCURRENT").send().await.unwrap();
    let value: serde_json::Value = serde_json::from_str(value.secret_string().unwrap()).unwrap();
    let text = |name: &str| value[name].as_str().unwrap().to_owned();
    let own = Credentials::new(text("access_key_id"), text("secret_access_key"), None, None, "test");
    let own = rig.config.clone().into_builder().credentials_provider(SharedCredentialsProvider::new(own)).build();
    aws_sdk_sts::Client::new(&own).get_caller_identity().send().await.unwrap();

    let outcome = rig.run().await;
    let Fate::Waiting(why) = &outcome.fate else { panic!("{:?}", outcome.fate) };
    assert!(why.contains("used at"), "{why}");
    assert_eq!(rig.active().await.len(), 2, "it was used within the hour");
    // IAM tells of a use some time after it.
    proxy.state().unaware = true;
    let outcome = rig.run().await;
    assert!(matches!(&outcome.fate, Fate::Waiting(why) if why.contains("disabled for a while")), "{:?}", outcome.fate);
    assert!(!rig.active().await.contains(&old));
    proxy.state().unaware = false;
    rig.run().await;
    let all = rig.iam.list_access_keys().user_name("unaware").send().await.unwrap().access_key_metadata;
    assert_eq!(all.len(), 2, "it is disabled for as long as it soaks, and not gone");
    assert!(all.iter().any(|key| key.access_key_id.as_deref() == Some(&old)));
}

#[tokio::test]
async fn a_store_that_does_not_say_what_time_it_is_is_asked_again_and_nothing_is_done() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let rig = Rig::new(&server, &proxy, "timeless").await;
    proxy.begin(None);
    proxy.state().timeless.insert("DescribeSecret");
    let fate = rig.run().await.fate;
    assert!(matches!(&fate, Fate::Failed(why) if why.contains("the store did not say what time it is")), "{fate:?}");
    let changes = ["CreateAccessKey", "PutSecretValue", "UpdateSecretVersionStage", "TagResource"];
    let calls = proxy.state().calls.clone();
    assert!(
        calls.contains(&"DescribeSecret".to_owned()) && !calls.iter().any(|call| changes.contains(&call.as_str())),
        "{calls:?}"
    );
    proxy.state().timeless.clear();
    let fate = rig.run().await.fate;
    assert!(matches!(&fate, Fate::Done) && rig.active().await.len() == 1, "{fate:?}");
}

/// Keeps and promotes versions of a secret that is not there yet, each step until it is so; the call with number `cut` meets `fault`.
/// Gives the labels at the end, and the calls there were.
async fn kept(server: &Server, name: &str, cut: Option<(usize, Fault)>) -> (Vec<(String, Vec<String>)>, Vec<String>) {
    let proxy = Proxy::before(&server.endpoint);
    let once = |config: SdkConfig| config.into_builder().retry_config(RetryConfig::disabled()).build();
    let through = once(config(&proxy.endpoint, "eu-west-1", None).await);
    let straight = config(&server.endpoint, "eu-west-1", None).await;
    let store = |config: &SdkConfig| SecretsManagerStore::new().with("prod".into(), "eu-west-1", config);
    let (cut_off, sure) = (store(&through), store(&straight));
    let secret = SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: name.to_owned() };
    let version = |n: u8| VersionId::from(format!("{n}{n}{n}{n}{n}{n}{n}{n}-1111-5111-8111-111111111111"));
    let value = |n: u8| Secret::new(vec![b'a' + n; 16]);
    let steps: [(bool, Option<u8>, u8); 5] =
        [(true, None, 1), (false, None, 1), (true, None, 2), (true, None, 3), (false, Some(1), 3)];
    proxy.begin(cut);
    for (puts, from, to) in steps {
        let from = from.map(version);
        let before = sure.describe(&secret).await.unwrap().current().cloned();
        let mut tries = 0;
        loop {
            let done = if puts {
                cut_off.put(&secret, &version(to), &value(to)).await
            } else {
                cut_off.promote(&secret, from.as_ref(), &version(to)).await
            };
            let view = sure.describe(&secret).await.unwrap();
            let now = view.current().cloned();
            // Wherever it was cut off: what is in force is what was, or what is wanted, and has its value.
            assert!(now == before || (!puts && now.as_ref() == Some(&version(to))), "{cut:?}: {now:?}");
            if let Some(n) = (1..=3).find(|n| now.as_ref() == Some(&version(*n))) {
                assert!(sure.read(&secret, &version(n)).await.unwrap().expose() == value(n).expose(), "{cut:?}");
            }
            match done {
                Ok(()) => break,
                // Promoted, and the answer lost: a look tells.
                Err(error) if error.class == ErrorClass::Conflict && !puts && now.as_ref() == Some(&version(to)) => break,
                Err(error) => assert!(error.class == ErrorClass::Transient && tries < 3, "{cut:?}: {error}"),
            }
            tries += 1;
        }
    }
    let view = sure.describe(&secret).await.unwrap();
    // Our own label is on one version in AWS; moto may leave it on two.
    let kept = |labels: Vec<String>| labels.into_iter().filter(|label| label != PENDING).collect();
    let labels = view.versions.into_iter().map(|(id, view)| (id.to_string(), kept(view.labels))).collect();
    (labels, proxy.state().calls.clone())
}

#[tokio::test]
async fn what_takes_several_requests_may_be_cut_off_between_any_two_and_is_done_by_doing_it_again() {
    let server = Server::moto();
    let (want, calls) = kept(&server, "whole", None).await;
    for operation in ["CreateSecret", "PutSecretValue", "TagResource", "UpdateSecretVersionStage"] {
        assert!(calls.iter().any(|call| call == operation), "{operation}: {calls:?}");
    }
    for (number, call) in calls.iter().enumerate() {
        for fault in [Fault::RequestLost, Fault::AnswerLost] {
            let name = format!("cut-{number}-{fault:?}");
            let (labels, _) = kept(&server, &name, Some((number, fault))).await;
            assert_eq!(labels, want, "{call} {fault:?}");
        }
    }
    println!("{{\"figure\": \"store.cut.runs\", \"value\": {}, \"unit\": \"runs\"}}", calls.len() * 2);
}

#[tokio::test]
async fn a_creation_is_sent_once_and_a_key_that_is_gone_is_gone() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let rig = Rig::new(&server, &proxy, "once").await;
    let RotatorConfig::AwsIamAccessKey(declared) = &rig.credential.rotator else { unreachable!() };
    // With the retries of every other call.
    let keys = AccessKeys::new(declared, config(&proxy.endpoint, "eu-west-1", None).await);
    proxy.begin(Some((0, Fault::AnswerLost)));
    let Err(error) = keys.create(&"slot".into(), None).await else { panic!("the answer was lost") };
    assert_eq!((error.class, proxy.state().calls.clone()), (ErrorClass::Transient, vec!["CreateAccessKey".to_owned()]));
    let listing = keys.list().await.unwrap();
    assert_eq!(listing.keys.len(), 2, "the one in use, and the one that nobody learned of");
    assert!(listing.keys.iter().all(|key| key.active && key.ours && key.created.is_some()));
    let Err(error) = keys.create(&"slot".into(), None).await else { panic!("a third key was made") };
    assert_ne!(error.class, ErrorClass::Transient, "{error}");
    let spare = &listing.keys.iter().max_by_key(|key| key.created).unwrap().id;
    for change in [KeyChange::Disable, KeyChange::Disable, KeyChange::Enable, KeyChange::Delete, KeyChange::Delete] {
        keys.change(spare, None, change).await.unwrap();
    }
    assert_eq!(keys.change(spare, None, KeyChange::Enable).await.unwrap_err().class, ErrorClass::NotFound);
    assert_eq!(keys.list().await.unwrap().keys.len(), 1);
}

#[tokio::test]
async fn a_key_that_one_region_does_not_know_yet_is_tried_again_and_not_rejected_and_is_old_when_all_refuse_it() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let mut rig = Rig::new(&server, &proxy, "regions").await;
    rig.regions = ["eu-west-1", "us-east-1", "eu-central-1"].map(str::to_owned).into();
    proxy.state().late = Some(("us-east-1", 1));
    proxy.begin(None);
    let outcome = rig.run().await;
    let Fate::Failed(why) = &outcome.fate else { panic!("{:?}", outcome.fate) };
    assert!(why.contains("it is not known everywhere yet, and refused in us-east-1"), "{why}");
    rig.in_use("one region is late").await;
    let slots = || async { rig.secrets.list_secret_version_ids().secret_id("regions").send().await.unwrap().versions().len() };
    assert_eq!((slots().await, rig.active().await.len()), (2, 2), "the new value is kept, and was not closed");
    assert_eq!(rig.converge("every region knows it").await, 1);
    assert_eq!(slots().await, 2, "no second value was made");
    let asked = |proxy: &Proxy| proxy.state().calls.iter().filter(|call| *call == "GetCallerIdentity").count();
    assert_eq!(asked(&proxy), 3 + 3 + 3, "three regions each: refused in one, let in, refused when it was old");

    // An old key that one region still lets in is no proof of its end.
    let RotatorConfig::AwsIamAccessKey(declared) = &rig.credential.rotator else { unreachable!() };
    let keys = AccessKeys::new(declared, rig.config.clone()).in_regions(&rig.regions);
    let fresh = keys.create(&"slot".into(), None).await.unwrap();
    proxy.state().late = Some(("eu-west-1", 1));
    let Err(error) = keys.verify(&fresh.value).await else { panic!("it is let in by two regions") };
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(keys.verify(&fresh.value).await.unwrap(), Trial::Accepted);
    proxy.begin(None);
    assert_eq!(keys.verify(&fresh.value).await.unwrap(), Trial::Accepted);
    assert_eq!(asked(&proxy), 1, "where it was let in once it is not asked for again");
    keys.change(fresh.key.as_ref().unwrap(), None, KeyChange::Disable).await.unwrap();
    assert!(matches!(keys.verify(&fresh.value).await.unwrap(), Trial::Refused(_)));
    assert_eq!(asked(&proxy), 1 + 3, "a refusal is everywhere's");
}

#[tokio::test]
async fn an_old_key_that_is_still_let_in_after_it_was_disabled_is_not_deleted_before_it_is_refused() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let rig = Rig::new(&server, &proxy, "lingers").await;
    let (old, _) = rig.in_use("before").await;
    proxy.state().lingers = 1;
    let fate = rig.run().await.fate;
    assert!(matches!(&fate, Fate::Failed(why) if why.contains("it is still let in")), "{fate:?}");
    let all = rig.iam.list_access_keys().user_name("lingers").send().await.unwrap().access_key_metadata;
    let is_old = |key: &&aws_sdk_iam::types::AccessKeyMetadata| key.access_key_id.as_deref() == Some(&old);
    assert_eq!((all.len(), all.iter().find(is_old).unwrap().status.clone()), (2, Some(StatusType::Inactive)));
    assert_eq!(proxy.state().lingers, 0, "it was shown to AWS");
    assert!(!proxy.state().calls.contains(&"DeleteAccessKey".to_owned()));
    let (new, _) = rig.in_use("it lingers").await;
    assert_eq!(rig.converge("it is refused").await, 1);
    assert_eq!(rig.active().await, [new]);
}

#[tokio::test]
async fn the_key_of_another_user_is_not_taken_for_refused_until_a_person_has_ended_it() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let mut rig = Rig::new(&server, &proxy, "user-x").await;
    rig.iam.create_user().user_name("user-y").send().await.unwrap();
    rig.credential.rotator =
        RotatorConfig::AwsIamAccessKey(IamAccessKey { user: "user-y".to_owned(), source: None, exclusive: true });
    let ended = |outcome: &Outcome| outcome.events.iter().any(|event| ["refused", "done"].contains(&event.step.as_str()));
    for _ in 0..2 {
        let outcome = rig.run().await;
        let Fate::Blocked(said) = &outcome.fate else { panic!("{outcome:?}") };
        assert!(said.contains("it is let in as user-x, and is not a key of user user-y; end it there"), "{said}");
        assert!(!ended(&outcome), "{outcome:?}");
    }
    let [old] = &rig.active().await[..] else { panic!("the key of user-x was touched") };
    // Through the proxy, which knows then that it is gone: moto would let it in.
    Iam::new(&rig.config).delete_access_key().user_name("user-x").access_key_id(old).send().await.unwrap();
    let outcome = rig.run().await;
    assert!(outcome.fate == Fate::Done && ended(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn sixty_old_versions_cost_a_rotation_no_call() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let rig = Rig::new(&server, &proxy, "aged").await;
    for n in 0..60 {
        let old = format!(r#"{{"access_key_id":"AKIA{n}","secret_access_key":"old"}}"#);
        rig.secrets.put_secret_value().secret_id("aged").secret_string(old).version_stages("OLD").send().await.unwrap();
    }
    let listed = rig.secrets.list_secret_version_ids().secret_id("aged").include_deprecated(true).send().await.unwrap();
    assert_eq!(listed.versions().len(), 61);
    proxy.begin(None);
    assert_eq!(rig.converge("old versions").await, 1);
    let calls = proxy.state().calls.clone();
    let read = calls.iter().filter(|call| *call == "GetSecretValue").count();
    assert!(calls.len() <= 60 && read <= 12, "{} calls, {read} of values", calls.len());
}

#[tokio::test]
async fn a_key_is_let_in_by_its_own_user_alone() {
    let server = Server::moto();
    let proxy = Proxy::before(&server.endpoint);
    let (own, other) = (Rig::new(&server, &proxy, "own").await, Rig::new(&server, &proxy, "other").await);
    let through = config(&proxy.endpoint, "eu-west-1", None).await;
    let keys = |rig: &Rig| match &rig.credential.rotator {
        RotatorConfig::AwsIamAccessKey(declared) => AccessKeys::new(declared, through.clone()),
        _ => unreachable!(),
    };
    let fresh = keys(&own).create(&"slot".into(), None).await.unwrap();
    assert_eq!(keys(&own).identify(&fresh.value), fresh.key);
    assert_eq!(keys(&own).verify(&fresh.value).await.unwrap(), Trial::Accepted);
    assert!(
        matches!(keys(&other).verify(&fresh.value).await.unwrap(), Trial::Elsewhere(why) if why.contains("let in as own, and is not a key of user other"))
    );
    keys(&own).change(fresh.key.as_ref().unwrap(), None, KeyChange::Disable).await.unwrap();
    assert!(matches!(keys(&own).verify(&fresh.value).await.unwrap(), Trial::Refused(why) if why.contains("InvalidClientTokenId")));
    let Err(error) = keys(&own).verify(&Secret::new(b"no json CANARY".to_vec())).await else { panic!("it was tried") };
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(!error.to_string().contains("CANARY"));
}
