//! A PostgreSQL server of a test, and the world of one rotation on it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use slm::apply::engine::drive;
use slm::apply::job::{Budget, Job};
use slm::consumers::file::RenderedFile;
use slm::host::clock::SystemClock;
use slm::model::catalog::{Consumer as Declared, ConsumerKind, Credential, FileConsumer, GateSettings, RotationPolicy, SecretRef};
use slm::model::diagnostic::Place;
use slm::model::id::{ConsumerId, KeyId, RegisterName, RotationId, VersionId};
use slm::model::names;
use slm::model::outcome::{Fate, Outcome};
use slm::model::plan::ActionKind;
use slm::model::rotator::{Capabilities, PostgresServer, RotatorConfig, SslMode};
use slm::model::secret::Secret;
use slm::model::time::Limit;
use slm::transport::vault::Vault;
use slm::world::{
    Consumer, ConsumerView, ErrorClass, Fresh, KeyChange, Listing, Registers, Rotator, SecretStore, SecretView, Target, Trial,
    WorldError,
};

/// The administrator's password.
const ADMIN: &str = "admin-canary-3f1c";

/// A server on a port of its own, ended on drop.
pub struct Database {
    child: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

fn binary(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.unwrap().path().join("bin").join(name)).collect();
    found.sort();
    found.into_iter().rev().find(|path| path.exists())
}

/// Whom the server runs as, which must not be root.
pub fn account() -> Option<(u32, u32)> {
    let ids = |name: &str| {
        let all = fs::read_to_string("/etc/passwd").unwrap();
        let line = all.lines().find(|line| line.starts_with(&format!("{name}:")))?.to_owned();
        let field = |n: usize| line.split(':').nth(n)?.parse().ok();
        Some((field(2)?, field(3)?))
    };
    let me = Command::new("id").arg("-u").output().unwrap().stdout;
    if me.trim_ascii() == b"0" { ids("postgres") } else { None }
}

impl Database {
    /// A server that logs every statement, with `more` settings; `None`, and a word about it, when there is none to be had.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn start(more: &[&str]) -> Option<Self> {
        let (Some(initdb), Some(postgres)) = (binary("initdb"), binary("postgres")) else {
            eprintln!("skipped: there is no PostgreSQL; `scripts/emulators.sh install` as root installs it");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (account, root) = (account(), folder.path());
        fs::write(root.join("password"), ADMIN).unwrap();
        if let Some((uid, gid)) = account {
            chown(root, Some(uid), Some(gid)).unwrap();
        }
        let run = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir(root).env_clear().env("LC_ALL", "C").stdin(Stdio::null());
            if let Some((uid, gid)) = account {
                command.uid(uid).gid(gid);
            }
            command
        };
        let data = root.join("data");
        let made = run(&initdb)
            .args(["-U", "admin", "-A", "scram-sha-256", "--pwfile=password", "-N", "-E", "UTF8", "--wal-segsize=1", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::remove_file(root.join("password")).unwrap();
        // The administrator comes in by a host rule: a password costs an unoptimised client a tenth of a second each time.
        let rules = fs::read_to_string(data.join("pg_hba.conf")).unwrap();
        fs::write(data.join("pg_hba.conf"), format!("host all admin 127.0.0.1/32 trust\n{rules}")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(root.join("log")).unwrap();
        let settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "log_statement=all"];
        let mut command = run(&postgres);
        command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        for setting in settings.iter().chain(more) {
            command.args(["-c", setting]);
        }
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let server = Self { child, folder, port };
        let began = Instant::now();
        while !server.log().contains("ready to accept connections") || TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// Everything the server wrote down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What the environment variable of the administrator holds.
    pub fn admin(&self) -> String {
        format!("host=127.0.0.1 port={} user=admin password={ADMIN} dbname=postgres sslmode=disable", self.port)
    }

    pub fn declared(&self) -> PostgresServer {
        PostgresServer {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            dbname: "postgres".to_owned(),
            sslmode: SslMode::Disable,
            admin_env: "SLM_PG_ADMIN".to_owned(),
        }
    }

    pub async fn as_admin(&self) -> tokio_postgres::Client {
        connect(&self.admin()).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

pub async fn connect(login: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(login, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Logs in, and tells as whom the server takes what follows.
pub async fn logged_in(login: &str) -> String {
    let client = connect(login).await.unwrap();
    client.query_one("select current_user::text", &[]).await.unwrap().get(0)
}

/// The connection string of a stored value.
pub fn login(value: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(value).unwrap();
    let text = |name: &str| value[name].as_str().unwrap();
    let (host, user, dbname, password) = (text("host"), text("username"), text("dbname"), text("password"));
    format!("host={host} port={} user={user} dbname={dbname} password={password} sslmode=disable", value["port"])
}

/// The certificate of a server that is 127.0.0.1, which is its own root, and the file of its key.
pub fn certificate(folder: &Path) -> (String, String) {
    let at = |name: &str| folder.join(name);
    let config = "[req]\ndistinguished_name=dn\n[dn]\n[ext]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
    fs::write(at("config"), config).unwrap();
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key"])
        .args(["-out", "cert", "-subj", "/CN=database", "-days", "2", "-config", "config", "-extensions", "ext"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::set_permissions(at("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    (path("cert"), path("key"))
}

/// Ends a run at its n-th effect, before or after it happened; everything later fails.
#[derive(Default)]
pub struct Cut {
    left: AtomicUsize,
    after: bool,
    armed: bool,
    pub dead: AtomicBool,
}

impl Cut {
    pub fn at(n: usize, after: bool) -> Self {
        Self { left: AtomicUsize::new(n), after, armed: true, dead: AtomicBool::new(false) }
    }

    async fn effect<T>(&self, effect: impl Future<Output = Result<T, WorldError>>) -> Result<T, WorldError> {
        let lost =
            || WorldError { class: ErrorClass::Transient, operation: "go on".to_owned(), cause: "the run was cut".to_owned() };
        if self.dead.load(Ordering::SeqCst) {
            return Err(lost());
        }
        if self.armed && self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.dead.store(true, Ordering::SeqCst);
            if self.after {
                effect.await?;
            }
            return Err(lost());
        }
        effect.await
    }
}

/// A part of the world whose effects may be cut.
struct Cuttable<'a, T: ?Sized>(&'a T, &'a Cut);

#[async_trait]
impl SecretStore for Cuttable<'_, Vault> {
    async fn describe(&self, secret: &SecretRef) -> Result<SecretView, WorldError> {
        self.0.describe(secret).await
    }
    async fn read(&self, secret: &SecretRef, version: &VersionId) -> Result<Secret, WorldError> {
        self.0.read(secret, version).await
    }
    async fn put(&self, secret: &SecretRef, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.1.effect(self.0.put(secret, version, value)).await
    }
    async fn promote(&self, secret: &SecretRef, from: Option<&VersionId>, to: &VersionId) -> Result<(), WorldError> {
        self.1.effect(self.0.promote(secret, from, to)).await
    }
}

#[async_trait]
impl<K: Rotator + ?Sized> Rotator for Cuttable<'_, K> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.0.identify(value)
    }
    async fn create(&self, slot: &VersionId, current: Option<&Secret>) -> Result<Fresh, WorldError> {
        self.1.effect(self.0.create(slot, current)).await
    }
    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        self.1.effect(self.0.verify(value)).await
    }
    fn place(&self) -> Option<String> {
        self.0.place()
    }
}

#[async_trait]
impl<K: Target + ?Sized> Target for Cuttable<'_, K> {
    async fn list(&self) -> Result<Listing, WorldError> {
        self.0.list().await
    }
    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.1.effect(self.0.install(value, version, over)).await
    }
    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        self.0.reread(key).await
    }
    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        self.1.effect(self.0.change(key, seen, change)).await
    }
}

/// Registers in memory.
#[derive(Default)]
pub struct Notes(Mutex<BTreeMap<(RotationId, RegisterName), String>>);

#[async_trait]
impl Registers for Cuttable<'_, Notes> {
    async fn read(&self, rotation: &RotationId, names: &[RegisterName]) -> Result<BTreeMap<RegisterName, String>, WorldError> {
        let notes = self.0.0.lock().unwrap();
        let value = |name: &RegisterName| Some((name.clone(), notes.get(&(rotation.clone(), name.clone()))?.clone()));
        Ok(names.iter().filter_map(value).collect())
    }
    async fn write_once(&self, rotation: &RotationId, name: &RegisterName, value: &str) -> Result<String, WorldError> {
        let write = async {
            let mut notes = self.0.0.lock().unwrap();
            Ok(notes.entry((rotation.clone(), name.clone())).or_insert_with(|| value.to_owned()).clone())
        };
        self.1.effect(write).await
    }
}

struct CuttableFile(RenderedFile, Arc<Cut>);

#[async_trait]
impl Consumer for CuttableFile {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.0.observe().await
    }
    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        self.1.effect(self.0.deliver(version, value)).await
    }
    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        self.1.effect(self.0.activate(version)).await
    }
}

/// A credential whose value lives in a vault, is let in by a database, and arrives in a file.
pub struct Rig<K> {
    pub folder: tempfile::TempDir,
    pub vault: Vault,
    pub notes: Notes,
    pub kind: K,
    pub credential: Credential,
}

impl<K: Rotator + Target> Rig<K> {
    pub fn new(kind: K, rotator: RotatorConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let vault = Vault::create(at("vault.age"), at("id"), Arc::new(SystemClock)).unwrap();
        let zero = Limit::seconds(0);
        let file = FileConsumer { path: "app.json".to_owned(), ..FileConsumer::default() };
        let credential = Credential {
            id: "pg.shop".into(),
            title: String::new(),
            owner: String::new(),
            satisfies: Vec::new(),
            secret: SecretRef { source: "v".into(), region: ".".to_owned(), name: "shop/db".to_owned() },
            rotator,
            policy: RotationPolicy {
                rotate_every: Limit::days(30),
                jitter: zero,
                attempts: 5,
                lease: zero,
                allow_gap: None,
                max_validity: None,
                not_before: None,
                windows: Vec::new(),
                freeze: Vec::new(),
                ended_elsewhere: Vec::new(),
            },
            gate: GateSettings { quiet: zero.into(), drain: true, soak: zero, ..GateSettings::default() },
            consumers: vec![Declared {
                id: "app".into(),
                kind: ConsumerKind::File(file),
                canary: false,
                max_staleness: zero,
                letters: None,
                principals: Vec::new(),
            }],
            leak: Vec::new(),
            after: Vec::new(),
            place: Place { file: String::new(), span: 0..0 },
        };
        Self { folder, vault, notes: Notes::default(), kind, credential }
    }

    /// The file of the application.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("app.json")
    }

    pub async fn generation(&self) -> Option<VersionId> {
        self.vault.describe(&self.credential.secret).await.unwrap().current().cloned()
    }

    pub async fn value(&self, version: &VersionId) -> Secret {
        self.vault.read(&self.credential.secret, version).await.unwrap()
    }

    /// The rotation that leaves `generation`.
    pub fn rotation(&self, generation: Option<VersionId>) -> ActionKind {
        let (credential, secret) = (self.credential.id.clone(), self.credential.secret.clone());
        let rotation = names::rotation(&credential, generation.as_ref());
        ActionKind::Rotate { credential, secret, generation, rotation, consumers: vec!["app".into()] }
    }

    /// Drives `action` until it is cut or comes to an end.
    pub async fn drive(&self, action: &ActionKind, cut: Cut) -> (Outcome, bool) {
        let cut = Arc::new(cut);
        let ConsumerKind::File(file) = self.credential.consumers[0].kind.clone() else { unreachable!() };
        let file = RenderedFile::new(self.folder.path().to_owned(), self.credential.id.clone(), file).unwrap();
        let consumers: Vec<(ConsumerId, Box<dyn Consumer>)> = vec![("app".into(), Box::new(CuttableFile(file, Arc::clone(&cut))))];
        let retries = if cut.armed { 0 } else { 5 };
        let kind = Cuttable(&self.kind, &cut);
        let job = Job {
            action,
            credential: &self.credential,
            store: &Cuttable(&self.vault, &cut),
            rotator: &kind,
            target: Some(&kind),
            registers: &Cuttable(&self.notes, &cut),
            consumers: &consumers,
            fence: &|| true,
            retire_held: None,
            leak: false,
            budget: Budget { retries, pause: Duration::from_millis(10), trials: 1, between: Duration::ZERO, settle: 0 },
        };
        let outcome = drive(&job, &SystemClock, &AtomicBool::new(false)).await;
        let dead = cut.dead.load(Ordering::SeqCst);
        (outcome, dead)
    }

    /// Rotates to the end, however often it must wait.
    pub async fn rotate(&self) -> VersionId {
        let action = self.rotation(self.generation().await);
        let began = Instant::now();
        loop {
            match self.drive(&action, Cut::default()).await.0.fate {
                Fate::Done => break self.generation().await.unwrap(),
                Fate::Waiting(_) if began.elapsed() < Duration::from_secs(60) => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                fate => panic!("{fate:?}"),
            }
        }
    }
}
