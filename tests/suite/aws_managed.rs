//! Secrets that AWS rotates itself: asked for once, watched, and brought to the consumers, whatever is lost, refused or killed between.
//! What stands in for AWS, and why, is said in `aws_rotation`.

use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_secretsmanager::Client as Secrets;
use slm::apply::engine::StopFlag;
use slm::apply::job::{Budget, Job};
use slm::apply::managed;
use slm::consumers::file::RenderedFile;
use slm::host::clock::SystemClock;
use slm::host::registers::GitRegisters;
use slm::model::catalog::{Consumer as Declared, ConsumerKind, Credential, FileConsumer, GateSettings, RotationPolicy, SecretRef};
use slm::model::diagnostic::Place;
use slm::model::id::{ConsumerId, VersionId};
use slm::model::names;
use slm::model::outcome::{Fate, Outcome};
use slm::model::plan::ActionKind;
use slm::model::rotator::{AwsManaged, RotatorConfig};
use slm::model::time::Limit;
use slm::rotators::aws_managed::RotatedByAws;
use slm::transport::secrets_manager_store::SecretsManagerStore;
use slm::world::Consumer;

use crate::aws::config;
use crate::aws_proxy::{Fault, Proxy, asks};
use crate::aws_rotation::{Function, Rotating, value};
use crate::kinds::replaces;
use crate::support::{Server, git};

fn file() -> FileConsumer {
    FileConsumer { path: "run/db".to_owned(), ..FileConsumer::default() }
}

fn credential(name: &str) -> Credential {
    let none = Limit::seconds(0);
    Credential {
        id: name.into(),
        title: name.to_owned(),
        owner: "platform".to_owned(),
        satisfies: Vec::new(),
        secret: SecretRef { source: "prod".into(), region: "eu-west-1".to_owned(), name: name.to_owned() },
        rotator: RotatorConfig::AwsManaged(AwsManaged::default()),
        policy: RotationPolicy {
            rotate_every: Limit::days(30),
            jitter: none,
            attempts: 3,
            lease: none,
            allow_gap: None,
            max_validity: None,
            not_before: None,
            windows: Vec::new(),
            freeze: Vec::new(),
            ended_elsewhere: Vec::new(),
        },
        gate: GateSettings { quiet: none.into(), drain: true, soak: none, ..GateSettings::default() },
        consumers: vec![Declared {
            id: "app".into(),
            kind: ConsumerKind::File(file()),
            canary: false,
            max_staleness: none,
            letters: None,
            principals: Vec::new(),
        }],
        leak: Vec::new(),
        after: Vec::new(),
        place: Place { file: String::new(), span: 0..0 },
    }
}

/// One secret with a value, that AWS rotates, and a rotation of it.
struct Rig {
    aws: Rotating,
    proxy: Proxy,
    credential: Credential,
    action: ActionKind,
    generation: VersionId,
    folder: tempfile::TempDir,
    /// Through the proxy, without retries: every loss is the run's to survive.
    config: SdkConfig,
}

/// Gives up at the first failure, and pauses nowhere.
const ONE_TRY: Budget = Budget { retries: 0, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 };

impl Rig {
    async fn new(moto: &Server, name: &str, function: Function) -> Self {
        let secrets = Secrets::new(&config(&moto.endpoint, "eu-west-1", None).await);
        let made = secrets.create_secret().name(name).secret_string("old").send().await.unwrap();
        let generation = VersionId::from(made.version_id.unwrap());
        let aws = Rotating::before(&moto.endpoint, name, function);
        let proxy = Proxy::before(&aws.endpoint);
        let credential = credential(name);
        let action = replaces(&credential, Some(&generation));
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q"]);
        let through = config(&proxy.endpoint, "eu-west-1", None).await;
        let config = through.into_builder().retry_config(RetryConfig::disabled()).build();
        Self { aws, proxy, credential, action, generation, folder, config }
    }

    /// One run, as a process of its own would take it.
    async fn run(&self, budget: Budget) -> Outcome {
        let store = SecretsManagerStore::new().with("prod".into(), "eu-west-1", &self.config);
        let keeper = RotatedByAws::new(&self.config);
        let registers = GitRegisters::open(self.folder.path(), None).unwrap();
        let consumer = RenderedFile::new(self.folder.path().to_owned(), self.credential.id.clone(), file()).unwrap();
        let consumers: Vec<(ConsumerId, Box<dyn Consumer>)> = vec![("app".into(), Box::new(consumer))];
        let job = Job {
            action: &self.action,
            credential: &self.credential,
            store: &store,
            rotator: &keeper,
            target: None,
            registers: &registers,
            consumers: &consumers,
            fence: &|| true,
            retire_held: None,
            leak: false,
            budget,
        };
        managed::drive(&job, &keeper, &SystemClock, &StopFlag::new(false)).await
    }

    /// What the consumer has.
    fn file(&self) -> Option<String> {
        let path = self.folder.path().join("run/db");
        Path::exists(&path).then(|| std::fs::read_to_string(path).unwrap())
    }

    /// The version that slm asks AWS to make.
    fn asked(&self) -> String {
        names::asked(&self.credential.secret, Some(&self.generation), 0).to_string()
    }

    /// Asserts that AWS was asked for one rotation and no label or value was touched by slm.
    #[track_caller]
    fn begun_once(&self, when: &str) {
        assert_eq!(self.aws.state().begun, [self.asked()], "{when}");
        let touching = ["PutSecretValue", "UpdateSecretVersionStage", "TagResource", "CancelRotateSecret"];
        let calls = self.proxy.state().calls.clone();
        assert!(!calls.iter().any(|call| touching.contains(&call.as_str())), "{when}: {calls:?}");
    }
}

fn steps(outcome: &Outcome) -> Vec<&str> {
    outcome.events.iter().map(|event| event.step.as_str()).collect()
}

#[tokio::test]
async fn a_rotation_is_asked_for_once_awaited_and_its_value_brought_to_the_consumers() {
    let moto = Server::moto();
    let rig = Rig::new(&moto, "app/db", Function::Finishes(3)).await;
    let outcome = rig.run(ONE_TRY).await;
    assert_eq!(
        (&outcome.fate, steps(&outcome)),
        (&Fate::Done, vec!["asked", "rotated", "delivered", "activated", "adopted", "done"])
    );
    rig.begun_once("nothing is lost");
    assert_eq!(rig.file(), Some(value(1)));
    assert_eq!(rig.aws.labelled("AWSCURRENT"), Some(rig.asked()));
    assert_eq!(rig.aws.labelled("AWSPREVIOUS").as_deref(), Some(rig.generation.as_str()));
    let again = rig.run(ONE_TRY).await;
    assert_eq!((again.fate, again.events), (Fate::AlreadySo, vec![]));
    rig.begun_once("run again");
}

#[tokio::test]
async fn a_function_that_stops_is_awaited_and_once_it_is_late_asked_again_by_each_run_and_no_label_is_touched() {
    let moto = Server::moto();
    for (name, function) in [("dies", Function::Dies), ("creates", Function::Creates)] {
        let rig = Rig::new(&moto, name, function).await;
        let waits = |outcome: &Outcome| match &outcome.fate {
            Fate::Waiting(what) => what.starts_with(&format!("for AWS, which has begun version {}", rig.asked())),
            _ => false,
        };
        let first = rig.run(ONE_TRY).await;
        assert!(waits(&first), "{name}: {:?}", first.fate);
        assert_eq!(steps(&first), ["asked"]);
        let second = rig.run(ONE_TRY).await;
        assert!(waits(&second) && second.events.is_empty(), "{name}: {:?}", second.fate);
        assert_eq!(rig.aws.state().again, 0, "{name}: it may take half an hour");
        rig.aws.age(1);
        let late = rig.run(ONE_TRY).await;
        assert!(waits(&late), "{name}: {:?}", late.fate);
        assert_eq!((steps(&late), rig.aws.state().again), (vec!["asked"], 1), "{name}");
        rig.begun_once(name);
        assert_eq!(rig.aws.labelled("AWSCURRENT").as_deref(), Some(rig.generation.as_str()), "{name}");
        assert_eq!(rig.file(), None, "{name}: what is not in force goes nowhere");
        // Somebody mends the function: the version that was begun is the one that comes into force.
        rig.aws.repair(Function::Finishes(1));
        assert_eq!(rig.run(ONE_TRY).await.fate, Fate::Done, "{name}");
        rig.begun_once(name);
        assert_eq!(rig.file(), Some(value(1)), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_is_for_a_person_and_nothing_is_begun() {
    let moto = Server::moto();
    let rig = Rig::new(&moto, "app/db", Function::Finishes(0)).await;
    let asking = 1 + calls_before_asking(&moto).await;
    rig.proxy.begin(Some((asking - 1, Fault::Refused(400, "AccessDeniedException"))));
    let outcome = rig.run(Budget { retries: 5, ..ONE_TRY }).await;
    let Fate::Blocked(why) = &outcome.fate else { panic!("{:?}", outcome.fate) };
    assert!(why.contains("have AWS rotate app/db") && why.contains("AccessDeniedException"), "{why}");
    assert_eq!(rig.proxy.state().calls.iter().filter(|call| *call == "RotateSecret").count(), 1, "it is not tried again");
    assert!(outcome.events.is_empty() && rig.aws.state().begun.is_empty());
    rig.aws.state().enabled = false;
    let outcome = rig.run(ONE_TRY).await;
    assert!(matches!(&outcome.fate, Fate::Blocked(why) if why.contains("not set up to rotate it")), "{:?}", outcome.fate);
    assert!(rig.aws.state().begun.is_empty());
}

/// How many calls a run makes before it asks for a rotation.
async fn calls_before_asking(moto: &Server) -> usize {
    let rig = Rig::new(moto, "counted", Function::Finishes(0)).await;
    rig.run(ONE_TRY).await;
    rig.proxy.state().calls.iter().position(|call| call == "RotateSecret").unwrap()
}

#[tokio::test]
async fn a_rotation_that_is_throttled_is_asked_for_later_and_one_whose_answer_got_lost_is_not_begun_again() {
    let moto = Server::moto();
    let asking = calls_before_asking(&moto).await;
    let throttled = Fault::Refused(400, "ThrottlingException");
    for (name, fault, retries, fate) in [
        ("throttled", throttled, 0, Err("ThrottlingException")),
        ("throttled and patient", throttled, 3, Ok(())),
        ("lost", Fault::AnswerLost, 0, Err("no answer")),
        ("lost and patient", Fault::AnswerLost, 3, Ok(())),
    ] {
        let rig = Rig::new(&moto, name, Function::Finishes(2)).await;
        rig.proxy.begin(Some((asking, fault)));
        let outcome = rig.run(Budget { retries, ..ONE_TRY }).await;
        match fate {
            Ok(()) => assert_eq!(outcome.fate, Fate::Done, "{name}"),
            Err(cause) => {
                assert!(matches!(&outcome.fate, Fate::Failed(why) if why.contains(cause)), "{name}: {:?}", outcome.fate);
                assert_eq!(rig.run(ONE_TRY).await.fate, Fate::Done, "{name}: the next run goes on");
            }
        }
        rig.begun_once(name);
        assert_eq!((rig.aws.state().again, rig.file()), (0, Some(value(1))), "{name}");
    }
}

#[tokio::test]
async fn a_request_that_the_client_library_sends_twice_begins_one_rotation_and_is_understood() {
    let moto = Server::moto();
    let mut rig = Rig::new(&moto, "app/db", Function::Finishes(2)).await;
    // With the retries of a real run, which send the same version id again.
    rig.config = config(&rig.proxy.endpoint, "eu-west-1", None).await;
    rig.proxy.begin(Some((calls_before_asking(&moto).await, Fault::AnswerLost)));
    let outcome = rig.run(ONE_TRY).await;
    assert_eq!((&outcome.fate, steps(&outcome)[0]), (&Fate::Done, "asked"));
    assert_eq!(rig.aws.state().again, 1, "the answer to the first was lost");
    rig.begun_once("sent twice");
}

#[tokio::test]
async fn any_call_lost_repeated_or_refused_ends_in_one_rotation_all_the_same() {
    let moto = Server::moto();
    let whole = Rig::new(&moto, "whole", Function::Finishes(2)).await;
    assert_eq!(whole.run(ONE_TRY).await.fate, Fate::Done);
    let calls = whole.proxy.state().calls.clone();
    let read = calls.iter().position(|call| call == "GetSecretValue").unwrap();
    assert!(read < 15, "it takes {} calls until the new value is read", read + 1);
    let changes: Vec<&String> = calls.iter().filter(|call| !asks(call)).collect();
    assert_eq!(changes, ["RotateSecret"], "nothing else is changed");
    let faults = [
        (Fault::RequestLost, 1),
        (Fault::AnswerLost, 1),
        (Fault::Twice, 3),
        (Fault::Refused(400, "ThrottlingException"), 3),
        (Fault::Refused(403, "AccessDeniedException"), 3),
        (Fault::Refused(500, "InternalServiceError"), 3),
        (Fault::Late(30), 5),
        (Fault::Overtaken, 3),
        (Fault::Stale, 3),
    ];
    for (kind, (fault, every)) in faults.into_iter().enumerate() {
        // What comes after the new value was read is much of the same.
        let taken = |number: usize| if number <= read { number.is_multiple_of(every) } else { number % 7 == kind % 7 };
        for (number, operation) in calls.iter().enumerate().filter(|(number, call)| taken(*number) || !asks(call)) {
            let when = format!("{fault:?} at call {number}, {operation}");
            let rig = Rig::new(&moto, &format!("s{kind}-{number}"), Function::Finishes(2)).await;
            rig.proxy.begin(Some((number, fault)));
            let mut fates = Vec::new();
            while !matches!(fates.last(), Some(Fate::Done | Fate::AlreadySo)) {
                assert!(fates.len() < 4, "{when}: it does not come to its end: {fates:?}");
                fates.push(rig.run(ONE_TRY).await.fate);
            }
            rig.begun_once(&when);
            assert_eq!(rig.file(), Some(value(1)), "{when}");
        }
    }
}
