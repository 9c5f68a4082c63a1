//! `slm verify` on evidence as it was recorded: its keys, who signs commits, and logs that began later than their locker.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use slm::host::git::Locker;
use slm::model::catalog::LockerSettings;
use slm::model::time::Timestamp;
use slm::record::ledger::Ledger;
use slm::record::log::Signer;
use slm::world::{Clock, ErrorClass, WorldError};

use crate::support::{Ran, git as git_bytes};
use crate::tampers::{Made, all, forget, forget_appended, made_anew, rebuild};

pub const BRANCH: &str = "refs/heads/slm/evidence";
pub const RUNS: usize = 5;
/// The folder of the day that all of them begin on.
pub const DAY: &str = "2026/11/18";
/// Enough for a second bundle and a second tile level.
const RAW_EACH: usize = 70;

pub fn git(at: &Path, arguments: &[&str]) -> String {
    String::from_utf8(git_bytes(at, arguments)).unwrap().trim_end().to_owned()
}

pub struct At(pub i64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        at(self.0)
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

pub fn signer(seed: u8) -> Signer {
    Signer::new("acme.example/slm", &[seed; 32]).unwrap()
}

pub fn vkey(seed: u8) -> String {
    signer(seed).verifier().vkey()
}

pub fn ledger(seed: Option<u8>, before: Option<u8>) -> Ledger {
    Ledger::new("acme.example/slm".to_owned(), seed.map(signer), before.map(signer))
}

/// Records run `number` in `repo`, recorded a minute after it began.
pub fn record(repo: &Path, number: usize, remote: Option<&str>, ledger: Ledger) -> String {
    record_as(repo, number, remote, ledger, ["0", "1", "2"][number % 3])
}

/// The same, with the decision that `status` is.
pub fn record_as(repo: &Path, number: usize, remote: Option<&str>, ledger: Ledger, status: &str) -> String {
    appended(repo, number, remote, ledger, status).unwrap()
}

/// Records run `number` while the remote at `url` is away: it is kept here, and said not to be there.
pub fn not_pushed(repo: &Path, number: usize, url: &str) {
    let error = appended(repo, number, Some(url), ledger(Some(1), None), ["0", "1", "2"][number % 3]).unwrap_err();
    assert_eq!((error.class, error.operation.as_str()), (ErrorClass::Transient, "push the locker branch"), "{error}");
}

/// A repository with a remote and a clone of that, in one folder: where it is, its address, and who writes.
pub fn with_remote() -> (tempfile::TempDir, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "--bare", "locker.git"]);
    let url = format!("file://{}", folder.path().join("locker.git").display());
    (folder, url, repo())
}

fn appended(repo: &Path, number: usize, remote: Option<&str>, ledger: Ledger, status: &str) -> Result<String, WorldError> {
    let began = number as i64 * 3_600;
    let settings = LockerSettings { remote: remote.map(str::to_owned), ..LockerSettings::default() };
    let locker = Locker::open(repo, &settings, None).unwrap().logged(ledger, Arc::new(At(began + 60)));
    let id = format!("20261118T0{number}0000Z-aaaa{number:04}");
    let mut files = BTreeMap::from([
        (format!("runs/{DAY}/{id}.json"), format!("{{\"format\":1,\"run\":{{\"at\":\"{}\",\"id\":\"{id}\"}}}}\n", at(began))),
        ("decisions/ROT-01.jsonl".to_owned(), format!("{{\"resource\":\"a\",\"status\":\"{status}\"}}\n")),
        ("snapshot/Aws.Secret.jsonl".to_owned(), "{}\n".to_owned()),
    ]);
    files.extend((0..RAW_EACH).map(|page| (format!("raw/{DAY}/{id}/page-{page:03}.json"), format!("[{number},{page}]"))));
    let files: BTreeMap<String, Vec<u8>> = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done"), at(began))
}

pub fn repo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "-b", "main"]);
    git(folder.path(), &["config", "gc.auto", "0"]);
    folder
}

/// Who signs what in a locker of five runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// Key 1, everything; whoever verifies trusts it.
    One,
    /// Nobody the first two, then key 1.
    OneLater,
    /// Key 1 the first three, then key 2; whoever verifies trusts key 2, and key 1 is somebody's by now.
    TwoLater,
}

impl Signs {
    fn ledger(self, number: usize) -> Ledger {
        match (self, number) {
            (Self::OneLater, 0..=1) => ledger(None, None),
            (Self::TwoLater, 3) => ledger(Some(2), Some(1)),
            (Self::TwoLater, 4..) => ledger(Some(2), None),
            _ => ledger(Some(1), None),
        }
    }

    pub fn trusted(self) -> String {
        vkey(if self == Self::TwoLater { 2 } else { 1 })
    }
}

/// A locker of five runs.
pub fn evidence_of(signs: Signs) -> tempfile::TempDir {
    let repo = repo();
    (0..RUNS).for_each(|number| drop(record(repo.path(), number, None, signs.ledger(number))));
    repo
}

/// A locker of five runs, signed by key 1.
pub fn evidence() -> tempfile::TempDir {
    evidence_of(Signs::One)
}

pub fn slm(at: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_slm")).current_dir(at).arg("verify").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr), processes: String::new() }
}

pub fn verified(at: &Path) -> Ran {
    slm(at, &["--key", &vkey(1)])
}

/// Commits of the evidence, the oldest first.
pub fn commits(repo: &Path) -> Vec<String> {
    git(repo, &["rev-list", "--reverse", BRANCH]).lines().map(str::to_owned).collect()
}

pub fn run_of(number: usize) -> String {
    format!("20261118T0{number}0000Z-aaaa{number:04}")
}

#[test]
fn what_was_not_touched_holds_and_json_says_the_same() {
    let repo = evidence();
    let files = (RUNS * (RAW_EACH + 1) + 1 + RUNS) as u64;
    let said = verified(repo.path()).exits(0).says("Everything on slm/evidence holds: 5 commits");
    assert!(said.out.contains(&vkey(1)), "{}", said.out);
    let json = slm(repo.path(), &["--key", &vkey(1), "--format", "json"]).exits(0).json();
    assert_eq!((&json["commits"], &json["artefacts"], &json["entries"]), (&5.into(), &files.into(), &files.into()), "{json}");
    assert_eq!(
        (&json["compared"], &json["findings"], &json["unproven"]),
        (&1.into(), &serde_json::json!([]), &serde_json::json!([]))
    );
    git(repo.path(), &["fsck", "--full", "--strict", "--no-dangling"]);
    // Of what was there when it was rebuilt as it was, nothing is said.
    rebuild(repo.path(), all(&commits(repo.path())));
    verified(repo.path()).exits(0);
}

#[test]
fn a_key_that_nobody_vouches_for_proves_less_and_one_that_is_another_nothing() {
    let repo = evidence();
    slm(repo.path(), &[]).exits(3).says("! unproven").says("`--key`");
    slm(repo.path(), &["--key", &vkey(2)]).exits(7).says("error[slm::evidence-untrusted-key]");
    slm(repo.path(), &["--key", "nonsense"]).exits(1).says("`nonsense` cannot be trusted");
    let keys = repo.path().join("keys.txt");
    std::fs::write(&keys, format!("{}\n{}\n", vkey(2), vkey(1))).unwrap();
    slm(repo.path(), &["--key", "keys.txt"]).exits(0);
    let plain = super::verify::repo();
    record(plain.path(), 0, None, ledger(None, None));
    slm(plain.path(), &[]).exits(3).says("no key signs the log");
    slm(plain.path(), &["--key", &vkey(1)]).exits(7);
    // Without a log nothing is proven at all.
    let none = super::verify::repo();
    let files = BTreeMap::from([("runs/r0.json".to_owned(), b"{}\n".to_vec())]);
    Locker::open(none.path(), &LockerSettings::default(), None).unwrap().append(|_| files.clone(), "run r0", at(0)).unwrap();
    let said = slm(none.path(), &["--format", "json"]).exits(3).json();
    assert_eq!(said["unproven"][1]["code"], "slm::evidence-without-log", "{said}");
    slm(none.path(), &["--key", &vkey(1)]).exits(7).says("error[slm::evidence-untrusted-key]");
}

#[test]
fn with_allowed_signers_every_commit_must_be_signed_by_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ours", "theirs"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(folder.path().join(name))
            .status();
        assert!(made.unwrap().success());
        let public = std::fs::read_to_string(folder.path().join(format!("{name}.pub"))).unwrap();
        std::fs::write(folder.path().join(format!("{name}.allowed")), format!("slm@localhost {public}")).unwrap();
    }
    let repo = repo();
    let signed = |number: usize, key: Option<&str>| {
        let signer = key.map(|name| slm::host::git::Signer::open(&folder.path().join(name)).unwrap());
        let id = run_of(number);
        let began = number as i64 * 3_600;
        let locker = Locker::open(repo.path(), &LockerSettings::default(), signer).unwrap();
        let run = format!("{{\"format\":1,\"run\":{{\"at\":\"{}\",\"id\":\"{id}\"}}}}\n", at(began)).into_bytes();
        let files = BTreeMap::from([(format!("runs/{DAY}/{id}.json"), run)]);
        let locker = locker.logged(ledger(Some(1), None), Arc::new(At(began + 60)));
        locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done"), at(began)).unwrap()
    };
    (0..2).for_each(|number| drop(signed(number, Some("ours"))));
    let by = |name: &str| {
        slm(repo.path(), &["--key", &vkey(1), "--signers", folder.path().join(format!("{name}.allowed")).to_str().unwrap()])
    };
    by("ours").exits(0).says("2 commits");
    let named = |said: Ran, commit: &str, held: &str, why: &str| {
        let said = said.exits(7);
        said.says(&format!(
            "error[slm::evidence-bad-commit-signature]: the signature of the commit is: {why}\n  first in {} of ",
            &commit[..12]
        ))
        .says(&format!("what came before holds: {held}\n"));
    };
    named(by("theirs"), &commits(repo.path())[0], "0 commits", "unknown-key");
    let third = signed(2, Some("theirs"));
    named(by("ours"), &third, "2 commits", "unknown-key");
    git(repo.path(), &["update-ref", BRANCH, &commits(repo.path())[1]]);
    forget_appended(repo.path());
    let third = signed(2, None);
    named(by("ours"), &third, "2 commits", "none");
    verified(repo.path()).exits(0).says("3 commits");
}

#[test]
fn a_key_hands_over_to_the_next_and_either_is_enough_to_follow() {
    let repo = repo();
    record(repo.path(), 0, None, ledger(None, None));
    record(repo.path(), 1, None, ledger(Some(1), None));
    record(repo.path(), 2, None, ledger(Some(1), None));
    record(repo.path(), 3, None, ledger(Some(2), Some(1)));
    record(repo.path(), 4, None, ledger(Some(2), None));
    for seed in [1, 2] {
        let said = slm(repo.path(), &["--key", &vkey(seed)]).exits(0);
        assert!(said.out.contains(&vkey(1)) && said.out.contains(&vkey(2)), "{}", said.out);
    }
    slm(repo.path(), &["--key", &vkey(3)]).exits(7).says("untrusted-key");
    slm(repo.path(), &["--key", &vkey(1)])
        .says("note        nobody signed before entry 145: until then the dates of commits are the word of");
    // Both are trusted, and the older one handed over to a third.
    let other = super::verify::repo();
    made_anew(other.path(), 4, |number| if number < 3 { ledger(Some(1), None) } else { ledger(Some(9), Some(1)) }, None);
    slm(other.path(), &["--key", &vkey(1)]).exits(0);
    let said = slm(other.path(), &["--key", &vkey(1), "--key", &vkey(2)]).exits(7);
    said.says(&format!("error[slm::evidence-untrusted-key]: the log was handed over to another key than `{}`", vkey(2)));
}

#[test]
fn a_log_that_is_signed_is_not_gone_on_with_by_another_key_or_by_none() {
    let repo = evidence();
    for ledger in [ledger(None, None), ledger(Some(2), None), ledger(Some(2), Some(3))] {
        let locker = Locker::open(repo.path(), &LockerSettings::default(), None).unwrap().logged(ledger, Arc::new(At(99_999)));
        let error = locker.continues().unwrap_err();
        assert!(error.cause.contains(&vkey(1)), "{error}");
    }
    let other = Ledger::new("another".to_owned(), Some(signer(1)), None);
    let locker = Locker::open(repo.path(), &LockerSettings::default(), None).unwrap().logged(other, Arc::new(At(99_999)));
    assert_eq!(locker.continues().unwrap_err().operation, "continue the log of the locker");
}

#[test]
fn a_log_begins_with_what_was_there_and_vouches_for_it_from_then_on() {
    let repo = repo();
    let settings = LockerSettings::default();
    let old =
        BTreeMap::from([("runs/old.json".to_owned(), b"{}\n".to_vec()), ("decisions/A-1.jsonl".to_owned(), b"{}\n".to_vec())]);
    Locker::open(repo.path(), &settings, None).unwrap().append(|_| old.clone(), "run old", at(-1)).unwrap();
    record(repo.path(), 0, None, ledger(Some(1), None));
    record(repo.path(), 1, None, ledger(Some(1), None));
    verified(repo.path()).exits(0).says("1 commit before the log began");
    let commits = commits(repo.path());
    let edited = |commit: &String| Made::of(commit).with("decisions/A-1.jsonl", Some("{\"x\":1}\n"));
    rebuild(repo.path(), commits.iter().map(edited).collect());
    verified(repo.path()).exits(7).says("`decisions/A-1.jsonl` is not what the log says");
}

#[test]
fn no_run_from_before_the_log_can_be_made_up() {
    let repo = repo();
    let unlogged = |id: &str, text: &str| {
        let files = BTreeMap::from([
            (format!("runs/{id}.json"), b"{}\n".to_vec()),
            ("decisions/A-1.jsonl".to_owned(), text.as_bytes().to_vec()),
        ]);
        Locker::open(repo.path(), &LockerSettings::default(), None)
            .unwrap()
            .append(|_| files.clone(), &format!("run {id}"), at(-1))
            .unwrap()
    };
    let old = unlogged("old", "{}\n");
    (0..2).for_each(|number| drop(record(repo.path(), number, None, ledger(Some(1), None))));
    verified(repo.path()).exits(0).says("1 commit before the log began");
    let genuine = commits(repo.path());
    // A run before all others, and one after it that says something else.
    let made_up = Made::of(&old).with("runs/made-up.json", Some("{}\n")).with("decisions/A-1.jsonl", Some("{\"x\":1}\n"));
    let said = |history: Vec<Made>, code: &str, commit: usize| {
        forget(repo.path());
        rebuild(repo.path(), history);
        let said = verified(repo.path()).exits(7);
        let first = commits(repo.path())[commit].clone();
        said.says(&format!("error[slm::evidence-{code}]: "))
            .says(&format!("first in {} of ", &first[..12]))
            .says("holds: 0 commits");
    };
    let genuine = || all(&genuine);
    said([vec![made_up.clone()], genuine()].concat(), "deleted", 1);
    said([genuine()[..1].to_vec(), vec![made_up], genuine()[1..].to_vec()].concat(), "deleted", 2);
    // Without a run of its own.
    let silent = Made::of(&old).with("decisions/A-1.jsonl", Some("{\"x\":1}\n"));
    said([genuine()[..1].to_vec(), vec![silent], genuine()[1..].to_vec()].concat(), "no-run", 1);
    forget(repo.path());
    rebuild(repo.path(), genuine());
    verified(repo.path()).exits(0);
}

#[test]
fn runs_kept_while_the_remote_was_away_join_one_log() {
    let ((folder, url, here), there) = (with_remote(), repo());
    let (bare, away) = (folder.path().join("locker.git"), folder.path().join("away.git"));
    record(here.path(), 0, Some(&url), ledger(Some(1), None));
    std::fs::rename(&bare, &away).unwrap();
    [1, 2].iter().for_each(|number| not_pushed(here.path(), *number, &url));
    std::fs::rename(&away, &bare).unwrap();
    for number in [3, 4] {
        record(there.path(), number, Some(&url), ledger(Some(1), None));
    }
    record(here.path(), 5, Some(&url), ledger(Some(1), None));
    git(here.path(), &["fsck", "--full", "--strict", "--no-dangling"]);
    assert_eq!(git(&bare, &["rev-list", "--count", "--merges", "slm/evidence"]), "0");
    let order = git(&bare, &["log", "--reverse", "--format=%s", "slm/evidence"]);
    let order: Vec<&str> = order.lines().map(|line| &line[14..15]).collect();
    assert_eq!(order, ["0", "3", "4", "1", "2", "5"], "theirs first, then each of ours as it was");
    for at in [here.path(), &bare] {
        verified(at).exits(0).says("6 commits");
    }
}
