//! One run over two accounts of AWS and an organisation of GitHub, each played by a server of somebody else's making. The one of GitHub lacks
//! most lists: what it has is counted right, and what it lacks is never compliant.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::scale::{self, FIRST, KEYS, SECOND, count};
use crate::support::{Server, slm};

const SEED: &str = "tokens:\n  gho_admin: {login: admin, scopes: [repo, user, 'admin:org']}\ngithub:\n  users:\n    - {login: admin, name: Admin, \
    email: admin@example.test, site_admin: true}\n  orgs:\n    - {login: acme, name: Acme, members: [{login: admin, role: admin}]}\n  repos:\n    \
    - {owner: acme, name: one, private: true, auto_init: true}\n    - {owner: acme, name: two, private: true, auto_init: true}\n";
/// Secrets of the organisation. The emulator gives them all on one page, whatever is asked for.
const CI_SECRETS: usize = 130;

/// The emulator on a port of its own, ended on drop.
struct Emulate(Child, String);

impl Emulate {
    /// `None` when it is not installed.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn start(folder: &Path) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/emulators.sh");
        let path = Command::new(script).args(["path", "emulate"]).output().unwrap();
        if !path.status.success() {
            eprintln!("skipped: the emulator of GitHub is not installed");
            return None;
        }
        let (file, seed) = (String::from_utf8(path.stdout).unwrap(), folder.join("seed.yaml"));
        fs::write(&seed, SEED).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut command = Command::new("node");
        command.args([file.trim(), "start", "--service", "github", "--port", &port, "--seed"]).arg(&seed);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let emulate = Self(child, format!("http://127.0.0.1:{port}"));
        let began = Instant::now();
        while emulate.ask("GET", "/rate_limit", "").0 != 200 {
            assert!(began.elapsed() < Duration::from_secs(60), "emulate did not start listening");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(emulate)
    }

    /// Status and body, by curl: no code of ours is between.
    fn ask(&self, method: &str, route: &str, body: &str) -> (u16, Json) {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-g", "-X", method, "-w", "\n%{http_code}", "-H", "authorization: Bearer gho_admin", "-d", body]);
        let said = curl.arg(format!("{}{route}", self.1)).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }
}

impl Drop for Emulate {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_run_over_two_accounts_and_an_organisation_counts_what_is_there_and_believes_nothing_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(github) = Emulate::start(folder.path()) else { return };
    for number in 0..CI_SECRETS {
        let body = r#"{"encrypted_value":"c2VhbGVk","key_id":"1","visibility":"all"}"#;
        let (status, said) = github.ask("PUT", &format!("/orgs/acme/actions/secrets/S{number}"), body);
        assert!(matches!(status, 201 | 204), "{status} {said}");
    }
    let (_, listed) = github.ask("GET", "/orgs/acme/actions/secrets?per_page=100", "");
    assert_eq!(listed["secrets"].as_array().unwrap().len(), CI_SECRETS, "an independent count");
    let moto = Server::moto();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        scale::make_secrets(&scale::session(FIRST, "us-east-1", &moto.endpoint).await, 30).await;
        scale::make_secrets(&scale::session(SECOND, "eu-west-1", &moto.endpoint).await, 20).await;
    });
    let (endpoint, _) = scale::refusing(&moto.endpoint);
    let repo = scale::config(&endpoint);
    let settings = fs::read_to_string(repo.path().join("slm.toml")).unwrap();
    let org = format!("[source.org]\ngithub = {{ org = \"acme\", token-env = \"GITHUB_TOKEN\", base-url = \"{}\" }}\n", github.1);
    fs::write(repo.path().join("slm.toml"), settings + &org).unwrap();
    let env = [KEYS.as_slice(), &[("GITHUB_TOKEN", "gho_admin"), ("NO_PROXY", "127.0.0.1")]].concat();
    let said = slm(repo.path(), &["status", "--format", "json"], &env).exits(3).json();

    assert_eq!(count(&said, "ROT-02", "non-compliant"), 50, "secrets of both accounts, none declared");
    assert_eq!(count(&said, "ROT-09", "compliant"), CI_SECRETS as u64, "every secret of the organisation was made just now");
    let receipts = said["receipts"].as_array().unwrap();
    let receipt = receipts.iter().find(|one| one["collector"] == "github").unwrap();
    assert_eq!(receipt["caller"], "admin");
    assert!(receipt["completeness"]["incomplete"].is_object(), "{receipt}");
    let operation =
        |name: &str| receipt["operations"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
    let secrets = operation("github:GET /orgs/{org}/actions/secrets");
    assert_eq!((&secrets["pages"], &secrets["items"]), (&1.into(), &CI_SECRETS.into()), "{receipt}");

    // What it does not list: repositories, what GraphQL says of them, and who is no member.
    for id in UNLISTED {
        let control = said["controls"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap();
        assert_eq!(control["decisions"], json!({ "no-evidence": 1 }), "{control}");
    }
}

/// Shipped controls over repositories, environments, deploy keys and collaborators.
const UNLISTED: [&str; 10] = ["ACC-05", "CHG-01", "CHG-02", "CHG-03", "CHG-04", "CHG-08", "ROT-10", "SCM-04", "SCM-06", "VUL-01"];
