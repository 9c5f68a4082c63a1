//! The script of the action: what it fetches, and which end of slm is a failure of the job.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};
use slm::record::leaf::hex;

/// A folder with a program `slm` that ends with the code in `SLM_ENDS`, and a `curl` that gives the file `served`, telling that it was asked.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("slm", "#!/bin/sh\necho \"slm $*\"\nexit \"${SLM_ENDS:-0}\"\n"),
        ("served", "#!/bin/sh\necho \"fetched $*\"\n"),
        (
            "curl",
            "#!/bin/sh\necho asked >>\"${0%/*}/asked\"\nwhile [ \"$1\" != --output ]; do shift; done\ncp \"${0%/*}/served\" \"$2\"\n",
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// Runs the script with `more` of its variables.
fn run(at: &Path, more: &[(&str, &str)]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/action/run.sh");
    let mut command = Command::new("bash");
    command.arg(script).current_dir(at).env_clear();
    command.env("PATH", format!("{}:{}", at.display(), std::env::var("PATH").unwrap())).env("RUNNER_TEMP", at);
    command.env("GITHUB_OUTPUT", at.join("outputs")).env("SLM_BINARY", "slm").env("SLM_ENVIRONMENT", "production");
    for name in ["SLM_URL", "SLM_SHA256", "SLM_COMMAND", "SLM_ARTEFACT"] {
        command.env(name, "");
    }
    command.envs(more.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_program_is_fetched_with_its_checksum_alone_and_run_when_it_is_the_one_that_it_names() {
    let folder = folder();
    let at = folder.path();
    let right = hex(&Sha256::digest(fs::read(at.join("served")).unwrap()));
    let fetch = |sha256: &str| run(at, &[("SLM_URL", "https://example.com/slm"), ("SLM_SHA256", sha256), ("SLM_COMMAND", "plan")]);
    let without = fetch("");
    assert!(!without.status.success() && said(&without).contains("`url` is given without `sha256`"), "{}", said(&without));
    assert!(!at.join("asked").exists(), "something was fetched");
    let wrong = fetch(&"0".repeat(64));
    assert!(!wrong.status.success() && said(&wrong).contains("is not what `sha256` names"), "{}", said(&wrong));
    assert!(!said(&wrong).contains("fetched"), "{}", said(&wrong));
    let fine = fetch(&right);
    assert!(fine.status.success() && said(&fine).contains("fetched ci plan --environment production"), "{}", said(&fine));
}

#[test]
fn what_is_only_told_fails_no_job_and_what_nobody_approved_does() {
    let folder = folder();
    let at = folder.path();
    let fine = |command: &str, ends: &str| run(at, &[("SLM_COMMAND", command), ("SLM_ENDS", ends)]).status.success();
    let of = |command: &str| {
        ["0", "1", "2", "3", "4", "5", "6", "7", "64"].into_iter().filter(|ends| fine(command, ends)).collect::<Vec<_>>()
    };
    fs::write(at.join("outputs"), "").unwrap();
    assert_eq!(of("plan"), ["0", "2", "3", "5"]);
    assert_eq!(of("comment"), ["0"]);
    assert_eq!(of("apply"), ["0", "2", "3"]);
    assert_eq!(of("drift"), ["0", "2", "3"]);
    // What was applied, and what a guard holds of it.
    fs::write(at.join("outputs"), "applied=true\n").unwrap();
    assert_eq!(of("apply"), ["0", "2", "3", "5"]);
    let unknown = run(at, &[("SLM_COMMAND", "plan; id")]);
    assert!(!unknown.status.success() && said(&unknown).contains("there is no command `plan; id`"), "{}", said(&unknown));
}
