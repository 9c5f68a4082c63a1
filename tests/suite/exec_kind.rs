//! Plugins: a python program with a target of its own, well-behaved and not.

use std::path::{Path, PathBuf};

use slm::model::names;
use slm::model::rotator::{DeclaredIssuer, DeclaredOverlap, Exec, ExecCaps, RotatorConfig};
use slm::model::secret::Secret;
use slm::model::time::Limit;
use slm::rotators::exec::Plugin;
use slm::world::{ErrorClass, KeyChange, Rotator, Target, Trial, WorldError};

use crate::aws_proxy::Fault;
use crate::faults::{Before, Met, OF_PROGRAMS, REPLIED, thrown_at_kind};
use crate::kinds::{self, Rig, target_sweep};

/// The interpreter itself: what stands for it in `PATH` may take ten times as long to start.
fn python() -> &'static str {
    static FOUND: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    FOUND.get_or_init(|| {
        let ran = std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    })
}

pub fn declared(ledger: &Path, issuer: DeclaredIssuer, mood: &str) -> Exec {
    let who = if issuer == DeclaredIssuer::Server { "server" } else { "client" };
    let mood = (!mood.is_empty()).then(|| format!("MOOD={mood}"));
    let words = [python(), "-IS", "fixtures/plugins/ledger.py", ledger.to_str().unwrap(), who].map(str::to_owned);
    let command = match mood {
        Some(mood) => ["env".to_owned(), mood].into_iter().chain(words).collect(),
        None => words.to_vec(),
    };
    let caps = ExecCaps { issuer, overlap: DeclaredOverlap::Dual, max: 3, disable: true, delete: true, reread: false };
    Exec { command, timeout: Limit::seconds(20), env: Vec::new(), caps }
}

pub fn plugin(config: &Exec) -> Plugin {
    Plugin::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")), config)
}

async fn swept(issuer: DeclaredIssuer, effects: i64) {
    let folder = tempfile::tempdir().unwrap();
    let config = declared(&folder.path().join("ledger"), issuer, "");
    let (met, told) = target_sweep(&RotatorConfig::Exec(config.clone()), &plugin(&config)).await;
    assert_eq!(met, effects);
    assert!(!told.contains("password"));
}

#[tokio::test]
async fn a_rotation_of_a_chosen_value_that_loses_an_effect_ends_with_one_key() {
    swept(DeclaredIssuer::Client, 3).await; // install, disable, delete
}

#[tokio::test]
async fn a_rotation_of_an_issued_value_that_loses_an_effect_ends_with_one_key() {
    swept(DeclaredIssuer::Server, 3).await; // create, disable, delete
}

/// A plugin behind another program, and `faults` at each step of it that changes something and at every `every`th other.
async fn thrown(issuer: DeclaredIssuer, faults: &[Fault], every: usize) -> Met {
    let folder = tempfile::tempdir().unwrap();
    let before = Before::new(folder.path());
    let config = declared(&folder.path().join("ledger"), issuer, "");
    let config = Exec { command: before.command(&config.command), ..config };
    let (met, told) = thrown_at_kind(&RotatorConfig::Exec(config.clone()), &before, &plugin(&config), faults, every).await;
    assert!(!told.contains("password"));
    let install = (issuer == DeclaredIssuer::Client).then_some("install");
    assert_eq!(Vec::from_iter(&met.changes), Vec::from_iter(["create", "delete", "disable"].into_iter().chain(install)));
    for fault in faults {
        if let Fault::Refused(0, _) = fault {
            assert!(told.contains("it says `so-it-is`"), "a reply was told");
        }
    }
    met
}

#[tokio::test]
async fn a_call_of_a_program_that_is_lost_refused_or_late_loses_no_key() {
    // Whatever other status it ends with is the same to a rotator as the one of a lost request.
    let faults = [Fault::RequestLost, Fault::AnswerLost, Fault::Late(30)];
    for issuer in [DeclaredIssuer::Client, DeclaredIssuer::Server] {
        let met = thrown(issuer, &faults, 9).await;
        assert!(met.ended > 0, "what is late is in time: {met:?}");
        assert!(met.ended + met.again >= faults.len() * 3, "{met:?}");
    }
}

#[tokio::test]
async fn whatever_class_a_program_replies_a_refusal_with_it_loses_no_key() {
    // A value is declined where it is installed, which is where it was chosen.
    let (chosen, issued) = REPLIED.split_at(3);
    for (issuer, faults) in [(DeclaredIssuer::Client, chosen), (DeclaredIssuer::Server, issued)] {
        let met = thrown(issuer, faults, 12).await;
        assert!(met.again >= faults.len() && met.ended + met.again >= faults.len() * 3, "{met:?}");
    }
}

#[tokio::test]
#[ignore = "minutes: each call, where the tests above take what changes something and few questions; `scripts/figures faults` runs it"]
async fn each_call_of_a_program_that_is_lost_refused_or_late_loses_no_key() {
    let all = [OF_PROGRAMS.as_slice(), &REPLIED].concat();
    for (issuer, name) in [(DeclaredIssuer::Client, "exec.chosen"), (DeclaredIssuer::Server, "exec.issued")] {
        let met = thrown(issuer, &all, 1).await;
        assert!(met.ended + met.again >= all.len() * 8, "{met:?}");
        met.tell(name);
    }
}

#[tokio::test]
async fn a_value_that_a_program_declines_is_tried_rejected_and_replaced_by_the_next_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let config = declared(&folder.path().join("ledger"), DeclaredIssuer::Client, "declines-the-first");
    let rig = Rig::new(RotatorConfig::Exec(config.clone()));
    let (outcome, _) = rig.run(&plugin(&config), None, kinds::Fault::never()).await;
    let told = |step: &str| outcome.events.iter().filter(|event| event.step == step).count();
    assert_eq!((told("prepared"), told("rejected"), told("installed"), told("promoted")), (2, 1, 1, 1), "{outcome:?}");
    assert_eq!(rig.current().await, Some(names::slot(&rig.credential.secret, None, 1)));
    assert_eq!(plugin(&config).verify(&rig.value().await).await.unwrap(), Trial::Accepted);
}

#[tokio::test]
async fn only_a_value_that_is_to_be_let_in_can_be_declined() {
    let folder = tempfile::tempdir().unwrap();
    let command = ["echo", r#"{"error":{"class":"unfit","code":"too-simple"}}"#].map(str::to_owned).to_vec();
    let program = plugin(&Exec { command, ..declared(folder.path(), DeclaredIssuer::Client, "") });
    let value = Secret::new(br#"{"key":"k1","password":"x"}"#.to_vec());
    let declined = program.install(&value, &"v".into(), None).await.unwrap_err();
    assert_eq!((declined.class, declined.cause.as_str()), (ErrorClass::Unfit, "it says `too-simple`"));
    assert_eq!(program.verify(&value).await.unwrap_err().class, ErrorClass::Permanent);
    assert_eq!(program.list().await.unwrap_err().class, ErrorClass::Permanent);
}

/// What each step of a plugin in `mood` ends with, against one that has a key.
async fn error(mood: &str, step: &str, seconds: i64) -> WorldError {
    let folder = tempfile::tempdir().unwrap();
    let config = declared(&folder.path().join("ledger"), DeclaredIssuer::Client, mood);
    let bad = plugin(&Exec { timeout: Limit::seconds(seconds), ..config });
    let value = Secret::new(br#"{"key":"k1","password":"CANARY-of-a-value"}"#.to_vec());
    let error = match step {
        "create" => bad.create(&"slot".into(), None).await.err(),
        "verify" => bad.verify(&value).await.err(),
        "install" => bad.install(&value, &"v".into(), None).await.err(),
        "list" => bad.list().await.err(),
        "reread" => bad.reread(&"k1".into()).await.err(),
        _ => bad.change(&"k1".into(), None, KeyChange::Enable).await.err(),
    };
    let error = error.unwrap();
    assert!(!format!("{error:?} {error}").contains("CANARY"), "{error}");
    error
}

#[tokio::test]
async fn a_plugin_that_hangs_is_ended() {
    let began = std::time::Instant::now();
    assert_eq!(error("hangs-at-verify", "verify", 1).await.class, ErrorClass::Transient);
    assert!(began.elapsed().as_secs() < 30);
}

#[tokio::test]
async fn what_a_plugin_babbles_is_not_repeated() {
    let error = error("babbles-at-verify", "verify", 20).await;
    assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Permanent, "its reply has another shape than agreed"));
}

#[tokio::test]
async fn a_code_that_is_no_plain_word_is_not_repeated() {
    let error = error("refuses-install", "install", 20).await;
    assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Denied, "it says `no code`"));
}

#[tokio::test]
async fn a_plugin_that_dies_may_have_had_its_effect() {
    for mood in ["dies-at-install", "dies-after-install"] {
        assert_eq!(error(mood, "install", 20).await.class, ErrorClass::Transient, "{mood}");
    }
}

#[tokio::test]
async fn a_plugin_that_lies_is_refused() {
    assert_eq!(error("lies-at-create", "create", 20).await.class, ErrorClass::Permanent);
    assert_eq!(error("lies-at-list", "list", 20).await.class, ErrorClass::Transient);
    assert_eq!(error("lies-at-reread", "reread", 20).await.class, ErrorClass::Permanent);
}

#[tokio::test]
async fn what_is_not_there_is_gone_and_cannot_be_enabled() {
    assert_eq!(error("", "enable", 20).await.class, ErrorClass::NotFound);
    let folder = tempfile::tempdir().unwrap();
    let good = plugin(&declared(&folder.path().join("ledger"), DeclaredIssuer::Client, ""));
    for change in [KeyChange::Disable, KeyChange::Delete] {
        good.change(&"k1".into(), None, change).await.unwrap();
    }
    let value = Secret::new(br#"{"key":"k1","password":"x"}"#.to_vec());
    assert_eq!(good.verify(&value).await.unwrap(), Trial::Refused("refused: no-such-login".to_owned()));
}

#[tokio::test]
async fn a_plugin_is_given_no_environment_but_what_is_named_and_no_shell_reads_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().join("shown; touch $(x)");
    let text = r#"env > "$1"; echo '{"ok":{}}'"#;
    let command = ["sh", "-c", text, "sh", shown.to_str().unwrap()].map(str::to_owned).to_vec();
    let config = Exec { command, env: vec!["CARGO_PKG_NAME".to_owned()], ..declared(folder.path(), DeclaredIssuer::Client, "") };
    plugin(&config).change(&"k".into(), None, KeyChange::Delete).await.unwrap();
    let text = std::fs::read_to_string(&shown).unwrap();
    let names: Vec<&str> = text.lines().map(|line| line.split('=').next().unwrap()).collect();
    assert!(names.contains(&"CARGO_PKG_NAME"), "{names:?}");
    let known = ["CARGO_PKG_NAME", "PATH", "PWD", "SHLVL", "_", "OLDPWD"];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}

#[tokio::test]
async fn where_one_value_is_let_in_its_version_must_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let list = async |overlap: DeclaredOverlap, version: &str| {
        let key = format!(r#"{{"id":"app","active":true,"ours":true{version}}}"#);
        let reply = format!(r#"{{"ok":{{"complete":true,"now":"2026-11-24T06:00:00Z","keys":[{key}]}}}}"#);
        let config = declared(folder.path(), DeclaredIssuer::Client, "");
        let command = ["echo".to_owned(), reply].to_vec();
        plugin(&Exec { command, caps: ExecCaps { overlap, ..config.caps }, ..config }).list().await
    };
    assert_eq!(list(DeclaredOverlap::Single, "").await.unwrap_err().class, ErrorClass::Permanent);
    assert_eq!(list(DeclaredOverlap::Dual, "").await.unwrap().keys[0].version, None);
    let told = list(DeclaredOverlap::Single, r#","version":"v1""#).await.unwrap();
    assert_eq!(told.keys[0].version, Some("v1".into()));
}

#[tokio::test]
async fn a_program_that_is_not_there_asks_for_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let config = Exec { command: vec!["./no-such-plugin".to_owned()], ..declared(folder.path(), DeclaredIssuer::Client, "") };
    let error = plugin(&config).list().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent, "{error}");
}
