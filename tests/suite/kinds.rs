//! Whole rotations of a kind of rotator through the engine over a vault and a file, and every effect lost once: for kinds whose target
//! is a server of somebody else or a program (`deploy_key`, `http_kind`, `exec_kind`). Kinds that need their own server for that are cut
//! off after every call in their own files: `postgres`, `mysql`, `rotation_faults` (access keys), `keyset`, `aws_managed`, `manual`.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use slm::apply::engine::{StopFlag, drive};
use slm::apply::job::{Budget, Job};
use slm::consumers::file::RenderedFile;
use slm::host::clock::SystemClock;
use slm::host::registers::GitRegisters;
use slm::model::catalog::{Consumer as Declared, ConsumerKind, Credential, FileConsumer, GateSettings, RotationPolicy, SecretRef};
use slm::model::diagnostic::Place;
use slm::model::id::{ConsumerId, KeyId, RegisterName, RotationId, VersionId};
use slm::model::outcome::{Fate, Outcome};
use slm::model::plan::{ActionKind, rotation_id};
use slm::model::rotator::{Capabilities, Issuer, RotatorConfig};
use slm::model::secret::Secret;
use slm::model::time::Limit;
use slm::transport::vault::Vault;
use slm::world::{
    Consumer, ConsumerView, ErrorClass, Fresh, KeyChange, Listing, Registers, Rotator, SecretStore, SecretView, Target, Trial,
    WorldError,
};

use crate::support::git;

/// A kind that is under test.
pub trait Kind: Rotator + Target {}
impl<T: Rotator + Target> Kind for T {}

/// Ends a run at one effect, as a kill does: it is lost on the way or the answer is, and nothing after it happens.
pub struct Fault {
    left: AtomicI64,
    answer: bool,
    /// Only effects on the target are counted.
    target: bool,
    dead: AtomicBool,
}

impl Fault {
    /// At effect `number` from 0; `answer` when it takes effect all the same.
    pub fn at(number: i64, answer: bool) -> Self {
        Self { left: AtomicI64::new(number), answer, target: false, dead: AtomicBool::new(false) }
    }

    /// The same, counting effects on the target alone.
    pub fn at_target(number: i64, answer: bool) -> Self {
        Self { target: true, ..Self::at(number, answer) }
    }

    pub fn never() -> Self {
        Self::at(i64::MAX, false)
    }

    /// True once it was met.
    pub fn met(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn lost() -> WorldError {
        WorldError { class: ErrorClass::Transient, operation: "reach anybody".to_owned(), cause: "the run is over".to_owned() }
    }

    async fn read<T>(&self, call: impl Future<Output = Result<T, WorldError>>) -> Result<T, WorldError> {
        if self.dead.load(Ordering::SeqCst) { Err(Self::lost()) } else { call.await }
    }

    /// An effect that is not on the target.
    async fn aside<T>(&self, call: impl Future<Output = Result<T, WorldError>>) -> Result<T, WorldError> {
        if self.target { self.read(call).await } else { self.effect(call).await }
    }

    async fn effect<T>(&self, call: impl Future<Output = Result<T, WorldError>>) -> Result<T, WorldError> {
        if self.dead.load(Ordering::SeqCst) {
            return Err(Self::lost());
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) != 0 {
            return call.await;
        }
        self.dead.store(true, Ordering::SeqCst);
        if self.answer {
            let _ = call.await;
        }
        Err(Self::lost())
    }
}

/// Anything, reached through a fault.
pub struct Through<'a, T: ?Sized>(pub &'a T, pub &'a Fault);

#[async_trait]
impl SecretStore for Through<'_, Vault> {
    async fn describe(&self, secret: &SecretRef) -> Result<SecretView, WorldError> {
        self.1.read(self.0.describe(secret)).await
    }

    async fn read(&self, secret: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        self.1.read(self.0.read(secret, version)).await
    }

    async fn put(&self, secret: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.1.aside(self.0.put(secret, version, value)).await
    }

    async fn promote(&self, secret: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        self.1.aside(self.0.promote(secret, from, to)).await
    }
}

#[async_trait]
impl<'k> Rotator for Through<'_, dyn Kind + 'k> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.0.identify(value)
    }

    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        match self.0.capabilities().issuer {
            Issuer::Client => self.1.read(self.0.create(slot, current)).await,
            Issuer::Server => self.1.effect(self.0.create(slot, current)).await,
        }
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.1.read(self.0.verify(value)).await
    }

    fn place(&self) -> Option<String> {
        self.0.place()
    }

    fn refused_on_the_way(&self) -> bool {
        self.0.refused_on_the_way()
    }
}

#[async_trait]
impl<'k> Target for Through<'_, dyn Kind + 'k> {
    async fn list(&self) -> Result<Listing, WorldError> {
        self.1.read(self.0.list()).await
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.1.effect(self.0.install(value, version, over)).await
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        self.1.read(self.0.reread(key)).await
    }

    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        self.1.effect(self.0.change(key, seen, change)).await
    }
}

#[async_trait]
impl Registers for Through<'_, GitRegisters> {
    async fn read(
        &self,
        rotation: &RotationId,
        names: &[RegisterName],
    ) -> Result<std::collections::BTreeMap<RegisterName, String>, WorldError> {
        self.1.read(self.0.read(rotation, names)).await
    }

    async fn write_once(&self, rotation: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        self.1.aside(self.0.write_once(rotation, name, value)).await
    }
}

/// A consumer owns what it is reached through.
pub struct Spot(pub RenderedFile, pub Arc<Fault>);

#[async_trait]
impl Consumer for Spot {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.1.read(self.0.observe()).await
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.1.aside(self.0.deliver(version, value)).await
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        self.1.aside(self.0.activate(version)).await
    }
}

/// A credential in a vault, with a file that consumes it.
pub struct Rig {
    pub folder: tempfile::TempDir,
    pub vault: Vault,
    pub credential: Credential,
    /// Every error and event that was told, to be searched for values.
    pub told: Mutex<String>,
}

fn file() -> FileConsumer {
    FileConsumer { path: "run/value".to_owned(), ..FileConsumer::default() }
}

/// The action that replaces `generation` of `credential`, whose consumer is `app`.
pub fn replaces(credential: &Credential, generation: Option<&VersionId>) -> ActionKind {
    ActionKind::Rotate {
        credential: credential.id.clone(),
        secret: credential.secret.clone(),
        rotation: rotation_id(&credential.id, generation),
        generation: generation.cloned(),
        consumers: vec!["app".into()],
    }
}

impl Rig {
    pub fn new(rotator: RotatorConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q"]);
        let vault = Vault::create(folder.path().join("vault.age"), folder.path().join("id.txt"), Arc::new(SystemClock)).unwrap();
        let none = Limit::seconds(0);
        let credential = Credential {
            id: "one".into(),
            title: "One".to_owned(),
            owner: "platform".to_owned(),
            satisfies: Vec::new(),
            secret: SecretRef { source: "vault".into(), region: ".".to_owned(), name: "one".to_owned() },
            rotator,
            // Nothing waits: what is tested is that no effect can be lost to harm, not that leases are kept.
            policy: RotationPolicy {
                rotate_every: Limit::days(30),
                jitter: none,
                attempts: 5,
                lease: none,
                allow_gap: Some(Limit::days(1)),
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
        };
        Self { folder, vault, credential, told: Mutex::default() }
    }

    /// The version in force.
    pub async fn current(&self) -> Option<VersionId> {
        self.vault.describe(&self.credential.secret).await.unwrap().current().cloned()
    }

    pub async fn value(&self) -> Secret {
        let current = self.current().await.unwrap();
        self.vault.read(&self.credential.secret, &current).await.unwrap()
    }

    /// One run at leaving `generation`.
    pub async fn run(&self, kind: &dyn Kind, generation: Option<&VersionId>, fault: Fault) -> (Outcome, bool) {
        let fault = Arc::new(fault);
        let action = replaces(&self.credential, generation);
        let rendered = RenderedFile::new(self.folder.path().to_owned(), "one".into(), file()).unwrap();
        let consumers: Vec<(ConsumerId, Box<dyn Consumer>)> = vec![("app".into(), Box::new(Spot(rendered, Arc::clone(&fault))))];
        let registers = GitRegisters::open(self.folder.path(), None).unwrap();
        let both = Through(kind, fault.as_ref());
        let job = Job {
            action: &action,
            credential: &self.credential,
            store: &Through(&self.vault, fault.as_ref()),
            rotator: &both,
            target: Some(&both),
            registers: &Through(&registers, fault.as_ref()),
            consumers: &consumers,
            fence: &|| true,
            retire_held: None,
            leak: false,
            budget: Budget { retries: 1, pause: Duration::ZERO, trials: 1, between: Duration::ZERO, settle: 0 },
        };
        let outcome = drive(&job, &SystemClock, &StopFlag::new(false)).await;
        self.told.lock().unwrap().push_str(&format!("{outcome:?}\n"));
        let dead = fault.dead.load(Ordering::SeqCst);
        (outcome, dead)
    }

    /// Runs until nothing is left; what is in force then is the only credential there, and the file holds it.
    pub async fn settle(&self, kind: &dyn Kind, generation: Option<&VersionId>, context: &str) {
        for _ in 0..4 {
            let (outcome, _) = self.run(kind, generation, Fault::never()).await;
            if matches!(outcome.fate, Fate::Done | Fate::AlreadySo) {
                let current = self.current().await;
                assert!(current.is_some() && current.as_ref() != generation, "{context}: nothing was rotated");
                return self.alone(kind, context).await;
            }
            assert!(!matches!(outcome.fate, Fate::Blocked(_)), "{context}: {:?}", outcome.fate);
        }
        panic!("{context}: it does not end: {}", self.told.lock().unwrap());
    }

    async fn alone(&self, kind: &dyn Kind, context: &str) {
        let value = self.value().await;
        assert_eq!(kind.verify(&value).await.unwrap(), Trial::Accepted, "{context}");
        let ours: Vec<KeyId> = kind.list().await.unwrap().keys.into_iter().filter(|key| key.ours).map(|key| key.id).collect();
        assert_eq!(ours, [kind.identify(&value).unwrap()], "{context}: left over");
        let have = std::fs::read(self.folder.path().join("run/value")).unwrap();
        assert!(have == value.expose(), "{context}: the file holds another value");
    }

    /// Whatever happened, what is in force and what the file holds is let in.
    pub async fn alive(&self, kind: &dyn Kind, context: &str) {
        if self.current().await.is_some() {
            assert_eq!(kind.verify(&self.value().await).await.unwrap(), Trial::Accepted, "{context}: in force");
        }
        if let Ok(have) = std::fs::read(self.folder.path().join("run/value")) {
            assert_eq!(kind.verify(&Secret::new(have)).await.unwrap(), Trial::Accepted, "{context}: in use");
        }
    }
}

/// Rotates twice from nothing, then loses every effect of a third rotation once on the way and once on the way back, each in a world
/// of its own that `made` makes. Gives how many effects there were, and everything that was told.
pub async fn sweep(config: &RotatorConfig, made: impl AsyncFn() -> Box<dyn Kind>) -> (i64, String) {
    let mut told = String::new();
    for answer in [false, true] {
        for number in 0.. {
            let context = format!("effect {number}, {}", if answer { "answer lost" } else { "request lost" });
            let (rig, kind) = (Rig::new(config.clone()), made().await);
            rig.settle(kind.as_ref(), None, &context).await;
            let generation = rig.current().await;
            let (_, met) = rig.run(kind.as_ref(), generation.as_ref(), Fault::at(number, answer)).await;
            rig.alive(kind.as_ref(), &context).await;
            rig.settle(kind.as_ref(), generation.as_ref(), &context).await;
            told.push_str(&rig.told.lock().unwrap());
            if !met {
                if answer {
                    return (number, told);
                }
                break;
            }
        }
    }
    unreachable!()
}

/// For kinds that take their time: effects on the target alone are lost, each in a further rotation of one world.
pub async fn target_sweep(config: &RotatorConfig, kind: &dyn Kind) -> (i64, String) {
    let rig = Rig::new(config.clone());
    rig.settle(kind, None, "the first").await;
    let mut effects = 0;
    for answer in [false, true] {
        for number in 0.. {
            let context = format!("effect {number}, {}", if answer { "answer lost" } else { "request lost" });
            let generation = rig.current().await;
            let (_, met) = rig.run(kind, generation.as_ref(), Fault::at_target(number, answer)).await;
            rig.alive(kind, &context).await;
            rig.settle(kind, generation.as_ref(), &context).await;
            if !met {
                effects = number;
                break;
            }
        }
    }
    let told = rig.told.lock().unwrap().clone();
    (effects, told)
}
