//! Figures of the locker: one commit of many artefacts, in CPU seconds, against `git fast-import` of the same.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use slm::host::git::Locker;
use slm::model::catalog::LockerSettings;
use slm::model::time::Timestamp;

#[path = "parts/artefacts.rs"]
mod artefacts;
#[path = "parts/cpu.rs"]
mod cpu;

use artefacts::artefacts;
use cpu::cpu;

/// Best of this many.
const ROUNDS: usize = 3;
/// The run that is recorded.
const RUN: &str = "20261124T050000Z-00000000";
fn init() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("git").args(["init", "-q", "--bare"]).arg(folder.path()).status().unwrap().success());
    folder
}

fn append(files: &BTreeMap<String, Vec<u8>>, rounds: usize) -> f64 {
    let round = || {
        let repo = init();
        let locker = Locker::open(repo.path(), &LockerSettings::default(), None).unwrap();
        let before = cpu().0;
        locker.append(|_| files.clone(), "run", Timestamp::UNIX_EPOCH).unwrap();
        cpu().0 - before
    };
    (0..rounds).map(|_| round()).fold(f64::MAX, f64::min)
}

fn fast_import(files: &BTreeMap<String, Vec<u8>>) -> f64 {
    let mut stream = b"commit refs/heads/slm/evidence\ncommitter slm <slm@localhost> 0 +0000\ndata 3\nrun\n".to_vec();
    for (path, bytes) in files {
        write!(stream, "M 100644 inline {path}\ndata {}\n", bytes.len()).unwrap();
        stream.extend_from_slice(bytes);
        stream.push(b'\n');
    }
    let round = || {
        let repo = init();
        let before = cpu().1;
        import(repo.path(), &stream);
        cpu().1 - before
    };
    (0..ROUNDS).map(|_| round()).fold(f64::MAX, f64::min)
}

fn import(repo: &Path, stream: &[u8]) {
    let mut child =
        Command::new("git").arg("--git-dir").arg(repo).args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stream).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Git itself finds nothing wrong with what one commit of `files` left, and finds all of them.
fn sound(files: &BTreeMap<String, Vec<u8>>) {
    let repo = init();
    let locker = Locker::open(repo.path(), &LockerSettings::default(), None).unwrap();
    locker.append(|_| files.clone(), "run", Timestamp::UNIX_EPOCH).unwrap();
    let git = |arguments: &[&str]| {
        let ran = Command::new("git").arg("--git-dir").arg(repo.path()).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "git {arguments:?}: {said}");
        said
    };
    git(&["symbolic-ref", "HEAD", "refs/heads/slm/evidence"]);
    let said = git(&["fsck", "--full", "--strict", "--no-progress"]);
    assert_eq!(said, "", "git fsck --full");
    let listed = git(&["ls-tree", "-r", "--name-only", "slm/evidence", "raw/"]);
    assert_eq!(listed.lines().count(), files.len(), "every artefact is in the commit");
}

fn main() {
    let files = artefacts(RUN, 0, 10_000);
    sound(&files);
    let (ours, theirs) = (append(&files, ROUNDS), fast_import(&files));
    println!(
        "{{\"figure\":\"record.10k_s\",\"value\":{ours:.2},\"unit\":\"s\",\"against\":\"git fast-import {theirs:.2} s; a goal of 0.3 s; git fsck --full finds nothing\"}}"
    );
    println!(
        "{{\"figure\":\"record.fastimport_ratio\",\"value\":{:.2},\"unit\":\"x\",\"against\":\"git fast-import\"}}",
        theirs / ours
    );
    let seconds: Vec<_> = [5_000, 10_000, 20_000].map(|count| append(&artefacts(RUN, 0, count), ROUNDS)).to_vec();
    println!(
        "{{\"figure\":\"growth.record\",\"value\":{:.2},\"unit\":\"x for 4x\",\"against\":\"5k {:.2} s, 10k {:.2} s, 20k {:.2} s\"}}",
        seconds[2] / seconds[0],
        seconds[0],
        seconds[1],
        seconds[2]
    );
}
