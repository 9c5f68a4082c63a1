//! A program of ours as a consumer: a shell script with state in a folder.

use std::fs;
use std::path::Path;

use slm::consumers::exec::Program;
use slm::model::catalog::ExecConsumer;
use slm::model::secret::Secret;
use slm::world::{Consumer, ErrorClass};

use crate::faults::{Before, OF_PROGRAMS, thrown};
use crate::support::at;

const CANARY: &str = "canary-value-77cd-never-shown";

/// Keeps what it was asked, stores and runs what it is told.
pub const SCRIPT: &str = r#"
read -r request
printf '%s\n' "$request" >> requests
env > environment
version=$(printf '%s' "$request" | sed -n 's/.*"version":"\([^"]*\)".*/\1/p')
case $request in
*'"do":"deliver"'*) printf '%s' "$version" > stored ;;
*'"do":"activate"'*) cp stored running ;;
esac
echo "to the log: $request" >&2
[ -e lost ] && { rm lost; exit 1; }
said() { if [ -e "$1" ]; then printf '"%s"' "$(cat "$1")"; else printf null; fi; }
printf '{"stored":%s,"running":%s,"draining":%s}' "$(said stored)" "$(said running)" "$(cat draining 2>/dev/null || echo 0)"
"#;

fn program(root: &Path, script: &str) -> Program {
    fs::write(root.join("bring.sh"), script).unwrap();
    let config: ExecConsumer = toml::from_str("command = [\"sh\", \"bring.sh\"]\ntimeout = \"2s\"").unwrap();
    Program::new(root.to_owned(), "db".into(), "vm".into(), config)
}

fn value() -> Secret {
    Secret::new(CANARY.as_bytes().to_vec())
}

#[tokio::test]
async fn a_program_stores_then_runs_a_version_and_twice_is_the_same() {
    let root = tempfile::tempdir().unwrap();
    let program = program(root.path(), SCRIPT);
    assert_eq!(program.observe().await.unwrap(), at(None, None));
    for _ in 0..2 {
        program.deliver(&"v1".into(), &value()).await.unwrap();
        assert_eq!(program.observe().await.unwrap(), at(Some("v1"), None));
    }
    for _ in 0..2 {
        program.activate(&"v1".into()).await.unwrap();
        assert_eq!(program.observe().await.unwrap(), at(Some("v1"), Some("v1")));
    }
    fs::write(root.path().join("draining"), "3").unwrap();
    assert_eq!(program.observe().await.unwrap().draining, ["3 pieces of work begun before"]);
    let requests = fs::read_to_string(root.path().join("requests")).unwrap();
    let with_value: Vec<&str> = requests.lines().filter(|line| line.contains(CANARY)).collect();
    assert!(with_value.len() == 2 && with_value.iter().all(|line| line.contains(r#""do":"deliver""#)), "{requests}");
    let environment = fs::read_to_string(root.path().join("environment")).unwrap();
    assert!(environment.contains("PATH=") && !environment.contains("CARGO_MANIFEST_DIR"), "{environment}");
}

#[tokio::test]
async fn a_reply_that_got_lost_is_seen_by_the_next_look() {
    let root = tempfile::tempdir().unwrap();
    let program = program(root.path(), SCRIPT);
    fs::write(root.path().join("lost"), "").unwrap();
    assert_eq!(program.deliver(&"v1".into(), &value()).await.unwrap_err().class, ErrorClass::Transient);
    assert_eq!(program.observe().await.unwrap(), at(Some("v1"), None));
}

#[tokio::test]
async fn any_call_of_a_program_that_is_lost_or_refused_is_made_good_by_the_next_run() {
    let made = async || {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("bring.sh"), SCRIPT).unwrap();
        let before = Before::new(root.path());
        let command = before.command(&["sh", "bring.sh"].map(str::to_owned));
        let config: ExecConsumer = toml::from_str(&format!("command = {command:?}\ntimeout = \"20s\"")).unwrap();
        let program = Program::new(root.path().to_owned(), "db".into(), "vm".into(), config);
        (before, (program, root))
    };
    let run = async |(program, _): &(Program, tempfile::TempDir)| {
        program.deliver(&"v1".into(), &value()).await?;
        program.activate(&"v1".into()).await
    };
    let check = async |(program, root): &(Program, tempfile::TempDir), _, when: &str| {
        assert_eq!(program.observe().await.unwrap(), at(Some("v1"), Some("v1")), "{when}");
        let requests = fs::read_to_string(root.path().join("requests")).unwrap();
        assert!(requests.lines().all(|line| !line.contains(CANARY) || line.contains(r#""do":"deliver""#)), "{when}");
    };
    let met = thrown("exec.consumer", &OF_PROGRAMS, made, run, check).await;
    assert!(met.again >= 8 && met.ended >= 2, "{met:?}");
}

#[tokio::test]
async fn every_way_to_fail_says_its_class_and_no_value() {
    let echo = "read -r request; echo \"$request\"; echo \"$request\" >&2";
    for (script, class, cause) in [
        (format!("{echo}; exit 77"), ErrorClass::Denied, "it ended with 77"),
        (format!("{echo}; exit 78"), ErrorClass::Permanent, "it ended with 78"),
        (format!("{echo}; exit 1"), ErrorClass::Transient, "it ended with 1"),
        ("exit 75".to_owned(), ErrorClass::Transient, "it ended with 75"),
        ("kill -9 $$".to_owned(), ErrorClass::Transient, "it ended with -1"),
        ("sleep 20".to_owned(), ErrorClass::Transient, "it took too long"),
        (format!("{echo}; echo more"), ErrorClass::Permanent, "the reply is not the JSON object agreed on"),
        ("echo '{\"stored\":\"v0\"}'".to_owned(), ErrorClass::Transient, "its reply names another version"),
        (format!("echo '{{\"stored\":\"{CANARY} v1\"}}'"), ErrorClass::Transient, "its reply names another version"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let error = program(root.path(), &script).deliver(&"v1".into(), &value()).await.unwrap_err();
        assert_eq!((error.class, error.cause.as_str()), (class, cause), "{script}");
        assert!(!format!("{error:?} {error}").contains(CANARY), "{script}");
    }
    let config: ExecConsumer = toml::from_str("command = [\"./there-is-none\"]").unwrap();
    let program = Program::new(std::env::temp_dir(), "db".into(), "vm".into(), config);
    assert_eq!(program.observe().await.unwrap_err().class, ErrorClass::Permanent);
}
