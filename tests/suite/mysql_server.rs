//! A MySQL server of a test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, OptsBuilder};
use slm::model::rotator::{MysqlServer, SslMode};

/// The password of everybody who sets things up.
const ADMIN: &str = "admin-canary-3f1c";
/// What an administrator needs for every kind, and nothing else.
const GRANTS: [&str; 3] = [
    "grant create user, role_admin, connection_admin on *.* to slm",
    "grant select on mysql.user to slm",
    "grant select on performance_schema.threads to slm",
];

/// A server on a port of its own, ended on drop.
pub struct Database {
    child: Child,
    folder: tempfile::TempDir,
    pub port: u16,
}

fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/mysql")
}

impl Database {
    /// A server that logs every statement as it came, with `more` settings; `None`, and a word about it, when there is none to be had.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn start(more: &[&str]) -> Option<Self> {
        let made = installed().join("data");
        if !made.is_dir() {
            eprintln!("skipped: there is no MySQL; `scripts/emulators.sh install` unpacks it where there are Debian's packages");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        assert!(Command::new("cp").arg("-R").arg(made).arg(at("data")).status().unwrap().success());
        let users = format!(
            "create user slm identified by '{ADMIN}';\ncreate user boss identified by '{ADMIN}';\ngrant all on *.* to boss with grant option;\n\
             {};\ncreate database shop;\ncreate role app_rw;\ngrant all on shop.* to app_rw;\n",
            GRANTS.join(";\n")
        );
        fs::write(at("users"), users).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(installed().join("mysqld"));
        command.args(["--bind-address=127.0.0.1", "--general-log=ON", "--log-raw=ON", "--innodb-flush-log-at-trx-commit=0"]);
        command.args(["--innodb-redo-log-capacity=8M", "--innodb-buffer-pool-size=16M", "--log-error-verbosity=3"]);
        for (name, value) in [("datadir", "data"), ("socket", "s"), ("pid-file", "pid"), ("init-file", "users")] {
            command.arg(format!("--{name}={}", at(value)));
        }
        command.args([
            format!("--port={port}"),
            format!("--general-log-file={}", at("log")),
            format!("--log-error={}", at("server.err")),
        ]);
        let child = command.args(more).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, folder, port };
        let began = Instant::now();
        let errors = || fs::read_to_string(server.folder.path().join("server.err")).unwrap_or_default();
        while !errors().contains("ready for connections") || TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(90), "{}", errors());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// Everything the server wrote down: statements, complaints, and what replicas are told.
    pub fn log(&self) -> String {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        let names = files.filter(|path| path.is_file() && !path.ends_with("users"));
        names.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()).collect()
    }

    /// What the environment variable of the administrator holds.
    pub fn admin(&self) -> String {
        format!("mysql://slm:{ADMIN}@127.0.0.1:{}?sslmode=disable", self.port)
    }

    pub fn declared(&self) -> MysqlServer {
        MysqlServer {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            dbname: "shop".to_owned(),
            sslmode: SslMode::Disable,
            admin_env: "SLM_MYSQL_ADMIN".to_owned(),
        }
    }

    async fn as_boss(&self) -> Conn {
        let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(self.port).user(Some("boss")).pass(Some(ADMIN));
        Conn::new(opts.prefer_socket(false)).await.unwrap()
    }

    /// Runs `sql` as somebody who may do anything.
    pub async fn run(&self, sql: &str) {
        let mut conn = self.as_boss().await;
        conn.query_drop(sql).await.unwrap();
        conn.disconnect().await.unwrap();
    }

    /// The one text that `sql` brings back.
    pub async fn told(&self, sql: &str) -> String {
        let mut conn = self.as_boss().await;
        let told: Option<String> = conn.query_first(sql).await.unwrap();
        conn.disconnect().await.unwrap();
        told.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Logs in with a stored value.
pub async fn connect(value: &[u8]) -> Result<Conn, Error> {
    let value: serde_json::Value = serde_json::from_slice(value).unwrap();
    let text = |name: &str| value[name].as_str().unwrap().to_owned();
    let port = u16::try_from(value["port"].as_u64().unwrap()).unwrap();
    let opts = OptsBuilder::default().ip_or_hostname(text("host")).tcp_port(port).db_name(Some(text("dbname")));
    Conn::new(opts.user(Some(text("username"))).pass(Some(text("password"))).prefer_socket(false)).await
}

/// Logs in with a stored value, and out again.
pub async fn enter(value: Vec<u8>) -> bool {
    match connect(&value).await {
        Ok(conn) => conn.disconnect().await.is_ok(),
        Err(_) => false,
    }
}
