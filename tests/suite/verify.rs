//! `slm verify` against everything that can be done to evidence with git and an editor.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use slm::host::git::Locker;
use slm::model::catalog::LockerSettings;
use slm::model::time::Timestamp;
use slm::record::ledger::Ledger;
use slm::record::log::Signer;
use slm::world::Clock;

use crate::support::{Ran, git as git_bytes};

pub const BRANCH: &str = "refs/heads/slm/evidence";
const RUNS: usize = 5;
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
fn record_as(repo: &Path, number: usize, remote: Option<&str>, ledger: Ledger, status: &str) -> String {
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
    locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done"), at(began)).unwrap()
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
fn evidence() -> tempfile::TempDir {
    evidence_of(Signs::One)
}

pub fn slm(at: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_slm")).current_dir(at).arg("verify").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr), processes: String::new() }
}

fn verified(at: &Path) -> Ran {
    slm(at, &["--key", &vkey(1)])
}

/// Commits of the evidence, the oldest first.
pub fn commits(repo: &Path) -> Vec<String> {
    git(repo, &["rev-list", "--reverse", BRANCH]).lines().map(str::to_owned).collect()
}

/// What becomes of one path.
#[derive(Clone)]
enum Edit {
    Text(String),
    /// The bytes that it has, in another mode.
    Mode(&'static str),
    /// A repository of its own.
    Repository,
    Gone,
}

/// A commit to be made: the tree of `like`, changed, with its message and its dates unless told otherwise.
#[derive(Clone)]
struct Made {
    like: String,
    edits: Vec<(String, Edit)>,
    dates: Option<(i64, i64)>,
    message: Option<&'static str>,
    /// Who made it, and where.
    who: (&'static str, &'static str),
    /// A commit that it goes on as well.
    also: Option<String>,
    /// A folder without a file.
    empty: Option<&'static str>,
}

impl Made {
    fn of(like: &str) -> Self {
        let (edits, who) = (Vec::new(), ("slm", "+0000"));
        Self { like: like.to_owned(), edits, dates: None, message: None, who, also: None, empty: None }
    }

    fn edited(mut self, path: &str, edit: Edit) -> Self {
        self.edits.push((path.to_owned(), edit));
        self
    }

    fn with(self, path: &str, text: Option<&str>) -> Self {
        self.edited(path, text.map_or(Edit::Gone, |text| Edit::Text(text.to_owned())))
    }
}

/// `git` as `who`, with an index that is nobody's.
fn git_as(repo: &Path, (name, zone): (&str, &str), dates: (i64, i64), arguments: &[&str], input: &str) -> String {
    let file = repo.join(".git/other-input");
    std::fs::write(&file, input).unwrap();
    let mut command = Command::new("git");
    command.current_dir(repo).args(arguments).stdin(std::fs::File::open(file).unwrap());
    command.env("GIT_INDEX_FILE", repo.join(".git/other-index"));
    for (person, date) in [("AUTHOR", dates.0), ("COMMITTER", dates.1)] {
        command.env(format!("GIT_{person}_NAME"), name).env(format!("GIT_{person}_EMAIL"), "slm@localhost");
        command.env(format!("GIT_{person}_DATE"), format!("@{date} {zone}"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Writes the history anew, as whoever may write the repository can.
fn rebuild(repo: &Path, history: Vec<Made>) {
    let mut parent: Option<String> = None;
    for Made { like, edits, dates, message, who, also, empty } in history {
        let told = git(repo, &["log", "-1", "--format=%at %ct", &like]);
        let (author, committer) = told.split_once(' ').unwrap();
        let dates = dates.unwrap_or_else(|| (author.parse().unwrap(), committer.parse().unwrap()));
        let run = |arguments: &[&str], input: &str| git_as(repo, who, dates, arguments, input);
        run(&["read-tree", &like], "");
        for (path, edit) in edits {
            let (mode, id) = match edit {
                Edit::Text(text) => ("100644", run(&["hash-object", "-w", "--stdin"], &text)),
                Edit::Mode(mode) => (mode, git(repo, &["rev-parse", &format!("{like}:{path}")])),
                Edit::Repository => ("160000", like.clone()),
                Edit::Gone => {
                    run(&["update-index", "--force-remove", &path], "");
                    continue;
                }
            };
            run(&["update-index", "--add", "--cacheinfo", &format!("{mode},{id},{path}")], "");
        }
        let mut tree = run(&["write-tree"], "");
        if let Some(name) = empty {
            let none = run(&["mktree"], "");
            tree = run(&["mktree"], &format!("{}\n040000 tree {none}\t{name}\n", git(repo, &["ls-tree", &tree])));
        }
        let message = message.map_or_else(|| git(repo, &["log", "-1", "--format=%B", &like]), str::to_owned);
        let mut arguments = vec!["commit-tree", &tree, "-m", &message];
        parent.iter().chain(&also).for_each(|parent| arguments.extend(["-p", parent.as_str()]));
        parent = Some(run(&arguments, ""));
    }
    git(repo, &["update-ref", BRANCH, &parent.unwrap()]);
}

fn all(commits: &[String]) -> Vec<Made> {
    commits.iter().map(|commit| Made::of(commit)).collect()
}

fn run_of(number: usize) -> String {
    format!("20261118T0{number}0000Z-aaaa{number:04}")
}

/// One way to tamper, and by what it must be found.
pub struct Tamper {
    pub name: &'static str,
    /// With what.
    pub of: Signs,
    pub by: fn(&Path, &[String]),
    code: &'static str,
    /// The commit that must be named, from 0; none where it is no commit that is wrong.
    first: Option<usize>,
}

const fn tamper(name: &'static str, by: fn(&Path, &[String]), code: &'static str, first: Option<usize>) -> Tamper {
    Tamper { name, of: Signs::One, by, code, first }
}

const fn of(of: Signs, name: &'static str, by: fn(&Path, &[String]), code: &'static str, first: Option<usize>) -> Tamper {
    Tamper { name, of, by, code, first }
}

/// What someone does who may write the repository and has no key that is trusted. Whoever verifies has done so before, but for those that
/// forget it: a fresh clone knows nothing.
pub const TAMPERS: &[Tamper] = &[
    tamper("edit", edit, "slm::evidence-edited", Some(1)),
    tamper("edit the newest", edit_newest, "slm::evidence-edited", Some(4)),
    tamper("strip a signature", strip_one, "slm::evidence-bad-signature", Some(4)),
    tamper("strip every signature and the keys", strip_all, "slm::evidence-untrusted-key", None),
    tamper("swap the key of everything", swap_all, "slm::evidence-untrusted-key", None),
    tamper("swap the key from here on", swap_from_here, "slm::evidence-bad-key", Some(4)),
    of(Signs::OneLater, "write what came before the key anew, and copy the key", before_the_key, "slm::evidence-bad-key", Some(1)),
    of(Signs::OneLater, "write more than came before the key anew", past_the_key, "slm::evidence-bad-key", Some(0)),
    of(
        Signs::TwoLater,
        "with a retired key, write anew what it signed, and copy its heir",
        before_the_heir,
        "slm::evidence-bad-key",
        Some(2),
    ),
    of(Signs::TwoLater, "with a retired key, write more than it signed", past_the_heir, "slm::evidence-bad-signature", Some(3)),
    of(Signs::TwoLater, "with a retired key, hand over to another heir", other_heir, "slm::evidence-untrusted-key", None),
    tamper("back-date", back_date, "slm::evidence-bad-date", Some(3)),
    tamper("back-date everything", back_date_all, "slm::evidence-bad-date", Some(0)),
    tamper("another zone of time", other_zone, "slm::evidence-strange-commit", Some(2)),
    tamper("another author", other_author, "slm::evidence-strange-commit", Some(2)),
    tamper("another message", other_message, "slm::evidence-bad-run", Some(2)),
    tamper("more in the message", more_message, "slm::evidence-bad-run", Some(2)),
    tamper("reorder", reorder, "slm::evidence-other-root", Some(2)),
    tamper("delete from the middle", delete_commit, "slm::evidence-other-root", Some(2)),
    tamper("delete an artefact", delete_artefact, "slm::evidence-missing", Some(1)),
    tamper("delete an artefact later", delete_later, "slm::evidence-deleted", Some(3)),
    tamper("double a commit", double, "slm::evidence-no-run", Some(5)),
    tamper("a commit of nothing", nothing, "slm::evidence-no-run", Some(5)),
    tamper("with the key, a second commit of one run", run_twice, "slm::evidence-run-twice", Some(5)),
    tamper("merge another history", merge, "slm::evidence-not-one-line", Some(3)),
    tamper("begin with a merge", begin_with_merge, "slm::evidence-not-one-line", Some(0)),
    tamper("truncate the tail", truncate, "slm::evidence-truncated", None),
    tamper("replay an old checkpoint", replay, "slm::evidence-other-root", Some(4)),
    tamper("duplicate an id", duplicate, "slm::evidence-edited", Some(4)),
    tamper("rename", rename, "slm::evidence-unlogged", Some(4)),
    tamper("fork", fork, "slm::evidence-forked", None),
    tamper("an artefact that is not in the log", unlogged, "slm::evidence-unlogged", Some(5)),
    tamper("a log entry without artefact", without_artefact, "slm::evidence-missing", Some(4)),
    tamper("a file hidden beside the tiles", hidden, "slm::evidence-strange-file", Some(4)),
    tamper("a file hidden in the log for one commit", hidden_once, "slm::evidence-strange-file", Some(2)),
    tamper("a key hidden in the log for one commit", key_once, "slm::evidence-strange-file", Some(2)),
    tamper("a repository in the log", repository_in_log, "slm::evidence-strange-file", Some(4)),
    tamper("a repository", repository, "slm::evidence-strange-file", Some(3)),
    tamper("a file that is a link", link, "slm::evidence-strange-file", Some(0)),
    tamper("a file that is a program", program, "slm::evidence-strange-file", Some(2)),
    tamper("a folder of nothing", empty_folder, "slm::evidence-strange-file", Some(2)),
    tamper("a line more below a checkpoint", more_signatures, "slm::evidence-bad-checkpoint", Some(2)),
    tamper("a line more below a key", more_of_a_key, "slm::evidence-bad-key", Some(2)),
    tamper("a changed tile", tile, "slm::evidence-bad-tile", Some(4)),
    tamper("a changed tile since it was full", full_tile, "slm::evidence-bad-tile", Some(3)),
    tamper("a changed tile for one commit", tile_once, "slm::evidence-bad-tile", Some(2)),
    tamper("every tile taken away", no_tiles, "slm::evidence-bad-tile", Some(0)),
    tamper("drop the log", drop_log, "slm::evidence-no-checkpoint", Some(4)),
];

fn edit(repo: &Path, commits: &[String]) {
    let path = format!("raw/{DAY}/{}/page-003.json", run_of(1));
    let edited = |(at, made): (usize, Made)| if at >= 1 { made.with(&path, Some("[1,4]")) } else { made };
    rebuild(repo, all(commits).into_iter().enumerate().map(edited).collect());
}

fn edit_newest(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    let newest = history.pop().unwrap();
    history.push(newest.with("decisions/ROT-01.jsonl", Some("{\"resource\":\"a\",\"status\":\"compliant\"}\n")));
    rebuild(repo, history);
}

fn unsigned(repo: &Path, commit: &str) -> String {
    let note = git(repo, &["show", &format!("{commit}:log/checkpoint")]);
    note.split_once("\n\n").unwrap().0.to_owned() + "\n"
}

fn strip_one(repo: &Path, commits: &[String]) {
    let bare = unsigned(repo, &commits[4]);
    let mut history = all(commits);
    history[4] = Made::of(&commits[4]).with("log/checkpoint", Some(&bare));
    rebuild(repo, history);
}

/// A fresh clone has verified nothing yet.
fn forget(repo: &Path) {
    git(repo, &["update-ref", "-d", "refs/slm/verified/slm/evidence"]);
    forget_appended(repo);
}

/// Nor appended anything.
fn forget_appended(repo: &Path) {
    git(repo, &["update-ref", "-d", "refs/slm/appended/slm/evidence"]);
}

fn strip_all(repo: &Path, commits: &[String]) {
    forget(repo);
    let bare = |commit: &String| Made::of(commit).with("log/checkpoint", Some(&unsigned(repo, commit))).with("log/keys/1", None);
    rebuild(repo, commits.iter().map(bare).collect());
}

fn swap_all(repo: &Path, _: &[String]) {
    forget(repo);
    git(repo, &["update-ref", "-d", BRANCH]);
    (0..RUNS).for_each(|number| drop(record(repo, number, None, ledger(Some(2), None))));
}

fn swap_from_here(repo: &Path, commits: &[String]) {
    let other = super::verify::repo();
    (0..RUNS).for_each(|number| drop(record(other.path(), number, None, ledger(Some(2), None))));
    let theirs = |path: &str| git(other.path(), &["show", &format!("{BRANCH}:{path}")]) + "\n";
    let mut history = all(commits);
    history[4] = Made::of(&commits[4])
        .with("log/checkpoint", Some(&theirs("log/checkpoint")))
        .with("log/keys/2", Some(&theirs("log/keys/1")));
    rebuild(repo, history);
}

/// Has the history be `runs` runs in which everything is compliant, as `signs` has it, and the last one have the file `copied` of what was there.
fn made_anew(repo: &Path, runs: usize, ledger: impl Fn(usize) -> Ledger, copied: Option<&str>) {
    forget(repo);
    let copy = copied.map(|path| git(repo, &["show", &format!("{BRANCH}:{path}")]) + "\n");
    git(repo, &["update-ref", "-d", BRANCH]);
    (0..runs).for_each(|number| drop(record_as(repo, number, None, ledger(number), &format!("compliant {number}"))));
    if let (Some(path), Some(copy)) = (copied, copy) {
        let mut history = all(&commits(repo));
        let last = history.pop().unwrap();
        history.push(last.with(path, Some(&copy)));
        rebuild(repo, history);
    }
}

fn before_the_key(repo: &Path, _: &[String]) {
    made_anew(repo, 2, |_| ledger(None, None), Some("log/keys/1"));
}

/// Longer than what the key says that it did not sign, and the key there from the beginning.
fn past_the_key(repo: &Path, _: &[String]) {
    let key = git(repo, &["show", &format!("{BRANCH}:log/keys/1")]) + "\n";
    made_anew(repo, 5, |_| ledger(None, None), None);
    rebuild(repo, all(&commits(repo)).into_iter().map(|made| made.with("log/keys/1", Some(&key))).collect());
}

fn before_the_heir(repo: &Path, _: &[String]) {
    made_anew(repo, 3, |_| ledger(Some(1), None), Some("log/keys/2"));
}

/// As many entries as the key says that it takes over at.
fn past_the_heir(repo: &Path, _: &[String]) {
    made_anew(repo, 4, |_| ledger(Some(1), None), Some("log/keys/2"));
}

fn other_heir(repo: &Path, _: &[String]) {
    made_anew(repo, 5, |number| if number < 3 { ledger(Some(1), None) } else { ledger(Some(9), Some(1)) }, None);
}

fn back_date(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    history[3].dates = Some((at(3_600).as_second(), at(3_660 + 3_600).as_second()));
    rebuild(repo, history);
}

/// Each commit of the history as `change` has it.
fn each(repo: &Path, commits: &[String], change: impl Fn(usize, Made) -> Made) {
    rebuild(repo, all(commits).into_iter().enumerate().map(|(at, made)| change(at, made)).collect());
}

/// One commit as `change` has it, and the others as they were.
fn one(repo: &Path, commits: &[String], at: usize, change: impl Fn(Made) -> Made) {
    each(repo, commits, |number, made| if number == at { change(made) } else { made });
}

fn back_date_all(repo: &Path, commits: &[String]) {
    let month = 30 * 86_400;
    each(repo, commits, |number, made| {
        let began = at(number as i64 * 3_600).as_second();
        Made { dates: Some((began - month, began + 60 - month)), ..made }
    });
}

fn other_zone(repo: &Path, commits: &[String]) {
    one(repo, commits, 2, |made| Made { who: ("slm", "+0200"), ..made });
}

fn other_author(repo: &Path, commits: &[String]) {
    one(repo, commits, 2, |made| Made { who: ("the auditor", "+0000"), ..made });
}

fn other_message(repo: &Path, commits: &[String]) {
    one(repo, commits, 2, |made| Made { message: Some("run 20261118T020000Z-aaaa0002: 9 of 9 actions done"), ..made });
}

fn more_message(repo: &Path, commits: &[String]) {
    let message = Some("run 20261118T020000Z-aaaa0002: 0 of 0 actions done\n\nApproved-by: somebody");
    one(repo, commits, 2, |made| Made { message, ..made });
}

fn delete_later(repo: &Path, commits: &[String]) {
    let path = format!("raw/{DAY}/{}/page-003.json", run_of(1));
    each(repo, commits, |number, made| if number >= 3 { made.with(&path, None) } else { made });
}

fn double(repo: &Path, commits: &[String]) {
    rebuild(repo, all(commits).into_iter().chain([Made::of(&commits[4])]).collect());
}

fn nothing(repo: &Path, commits: &[String]) {
    let approved = Made { message: Some("run approved by the auditor"), ..Made::of(&commits[4]) };
    rebuild(repo, all(commits).into_iter().chain([approved]).collect());
}

/// By somebody who has the key: the run is recorded once more, where a run of another day lies.
fn run_twice(repo: &Path, _: &[String]) {
    let (id, began) = (run_of(4), at(4 * 3_600));
    let locker =
        Locker::open(repo, &LockerSettings::default(), None).unwrap().logged(ledger(Some(1), None), Arc::new(At(5 * 3_600)));
    let run = format!("{{\"format\":1,\"run\":{{\"at\":\"{began}\",\"id\":\"{id}\"}}}}\n").into_bytes();
    let files = BTreeMap::from([(format!("runs/2026/11/19/{id}.json"), run)]);
    locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done"), began).unwrap();
}

fn merge(repo: &Path, commits: &[String]) {
    one(repo, commits, 3, |made| Made { also: Some(commits[1].clone()), ..made });
}

fn begin_with_merge(repo: &Path, commits: &[String]) {
    let none = git_as(repo, ("slm", "+0000"), (0, 0), &["mktree"], "");
    let unlogged = git_as(repo, ("slm", "+0000"), (0, 0), &["commit-tree", &none, "-m", "before"], "");
    let other = git_as(repo, ("slm", "+0000"), (0, 0), &["commit-tree", &none, "-m", "beside"], "");
    let history = all(commits).into_iter().enumerate();
    let both = history.map(|(number, made)| if number == 0 { Made { also: Some(other.clone()), ..made } } else { made });
    rebuild(repo, [Made::of(&unlogged)].into_iter().chain(both).collect());
}

fn hidden_once(repo: &Path, commits: &[String]) {
    one(repo, commits, 2, |made| made.with("log/notes.jsonl", Some("{\"approved-by\":\"x\"}\n")));
}

fn key_once(repo: &Path, commits: &[String]) {
    one(repo, commits, 2, |made| made.with("log/keys/3", Some("acme.example/slm\nkey 3\n")));
}

fn repository_in_log(repo: &Path, commits: &[String]) {
    one(repo, commits, 4, |made| made.edited("log/more", Edit::Repository));
}

fn repository(repo: &Path, commits: &[String]) {
    each(repo, commits, |number, made| if number >= 3 { made.edited("raw/more", Edit::Repository) } else { made });
}

fn link(repo: &Path, commits: &[String]) {
    each(repo, commits, |_, made| made.edited("decisions/ROT-01.jsonl", Edit::Mode("120000")));
}

fn program(repo: &Path, commits: &[String]) {
    one(repo, commits, 2, |made| made.edited("decisions/ROT-01.jsonl", Edit::Mode("100755")));
}

fn empty_folder(repo: &Path, commits: &[String]) {
    one(repo, commits, 2, |made| Made { empty: Some("zzz-compliant"), ..made });
}

fn more_signatures(repo: &Path, commits: &[String]) {
    let note = git(repo, &["show", &format!("{}:log/checkpoint", commits[2])]) + "\n\u{2014} the-auditor AAAAAAAAAAAA\n";
    one(repo, commits, 2, |made| made.with("log/checkpoint", Some(&note)));
}

fn more_of_a_key(repo: &Path, commits: &[String]) {
    let note = git(repo, &["show", &format!("{}:log/keys/1", commits[2])]) + "\n\u{2014} the-auditor AAAAAAAAAAAA\n";
    one(repo, commits, 2, |made| made.with("log/keys/1", Some(&note)));
}

/// The first 256 entries are there with the fourth run.
fn full_tile(repo: &Path, commits: &[String]) {
    let other = "0123456789abcdef".repeat(512);
    each(repo, commits, |number, made| if number >= 3 { made.with("log/tile/0/000", Some(&other)) } else { made });
}

fn tile_once(repo: &Path, commits: &[String]) {
    let size: usize = git(repo, &["show", &format!("{}:log/checkpoint", commits[2])]).lines().nth(1).unwrap().parse().unwrap();
    one(repo, commits, 2, |made| made.with(&format!("log/tile/0/000.p/{size}"), Some(&"x".repeat(32 * size))));
}

fn no_tiles(repo: &Path, commits: &[String]) {
    each(repo, commits, |_, mut made| {
        let all = git(repo, &["ls-tree", "-r", "--name-only", &made.like, "log/tile"]);
        made.edits.extend(all.lines().map(|path| (path.to_owned(), Edit::Gone)));
        made
    });
}

fn reorder(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    history.swap(2, 3);
    rebuild(repo, history);
}

fn delete_commit(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    history.remove(2);
    rebuild(repo, history);
}

fn delete_artefact(repo: &Path, commits: &[String]) {
    let path = format!("raw/{DAY}/{}/page-003.json", run_of(1));
    let edited = |(at, made): (usize, Made)| if at >= 1 { made.with(&path, None) } else { made };
    rebuild(repo, all(commits).into_iter().enumerate().map(edited).collect());
}

fn truncate(repo: &Path, commits: &[String]) {
    git(repo, &["update-ref", BRANCH, &commits[2]]);
}

fn replay(repo: &Path, commits: &[String]) {
    let old = git(repo, &["show", &format!("{}:log/checkpoint", commits[2])]) + "\n";
    let mut history = all(commits);
    history[4] = Made::of(&commits[4]).with("log/checkpoint", Some(&old));
    rebuild(repo, history);
}

fn duplicate(repo: &Path, commits: &[String]) {
    let first = git(repo, &["show", &format!("{}:runs/{DAY}/{}.json", commits[1], run_of(1))]) + "\n";
    let mut history = all(commits);
    history[4] = Made::of(&commits[4]).with(&format!("runs/{DAY}/{}.json", run_of(4)), Some(&first));
    rebuild(repo, history);
}

fn rename(repo: &Path, commits: &[String]) {
    let (from, to) = (format!("raw/{DAY}/{}/page-003.json", run_of(4)), format!("raw/{DAY}/{}/page-003b.json", run_of(4)));
    let mut history = all(commits);
    history[4] = Made::of(&commits[4]).with(&from, None).with(&to, Some("[4,3]"));
    rebuild(repo, history);
}

/// By somebody who has the key: another history from the third run on, each commit of it sound by itself.
fn fork(repo: &Path, commits: &[String]) {
    let seen = git(repo, &["rev-parse", "refs/slm/verified/slm/evidence"]);
    forget(repo);
    git(repo, &["update-ref", BRANCH, &commits[2]]);
    for number in [5, 6, 7] {
        record(repo, number, None, ledger(Some(1), None));
    }
    git(repo, &["update-ref", "refs/slm/verified/slm/evidence", &seen]);
}

fn unlogged(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    let newest = Made::of(&commits[4]).with("decisions/ROT-02.jsonl", Some("{}\n"));
    history.push(newest);
    rebuild(repo, history);
}

fn without_artefact(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    history[4] = Made::of(&commits[4]).with(&format!("raw/{DAY}/{}/page-069.json", run_of(4)), None);
    rebuild(repo, history);
}

fn hidden(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    history[4] = Made::of(&commits[4]).with("log/tile/0/notes", Some("x"));
    rebuild(repo, history);
}

fn tile(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    history[4] = Made::of(&commits[4]).with("log/tile/0/000", Some(&"0123456789abcdef".repeat(512)));
    rebuild(repo, history);
}

fn drop_log(repo: &Path, commits: &[String]) {
    let mut history = all(commits);
    history[4] = Made::of(&commits[4]).with("log/checkpoint", None);
    rebuild(repo, history);
}

/// What is wrong with how `slm verify` found `tamper`, which was done to `repo`.
fn missed(tamper: &Tamper, repo: &Path) -> Option<String> {
    let Tamper { name, of, code, first, .. } = tamper;
    let said = slm(repo, &["--key", &of.trusted()]);
    let mut wanted = vec![format!("error[{code}]: ")];
    if let Some(at) = first {
        // What was before the log began is followed by nobody.
        let all = commits(repo);
        let mut logged = all.iter().filter(|commit| !git(repo, &["ls-tree", "--name-only", commit, "log"]).is_empty());
        let commit = logged.nth(*at).unwrap();
        let since = Timestamp::from_second(git(repo, &["log", "-1", "--format=%ct", commit]).parse().unwrap()).unwrap();
        let held = if *at == 1 { "1 commit".to_owned() } else { format!("{at} commits") };
        wanted.push(format!("  first in {} of {since}; what came before holds: {held}\n", &commit[..12]));
    }
    let lacks = wanted.iter().find(|line| !said.out.contains(*line));
    let named = said.out.contains("first in ") == first.is_some();
    (said.code != 7 || lacks.is_some() || !named).then(|| format!("{name}: {} {lacks:?} {}{}", said.code, said.out, said.err))
}

#[test]
fn whatever_is_done_to_evidence_is_found_and_named_with_the_commit_that_has_it_first() {
    let mut unseen = Vec::new();
    for tamper in TAMPERS {
        let repo = evidence_of(tamper.of);
        slm(repo.path(), &["--key", &tamper.of.trusted()]).exits(0);
        (tamper.by)(repo.path(), &commits(repo.path()));
        unseen.extend(missed(tamper, repo.path()));
    }
    let (all, found) = (TAMPERS.len(), TAMPERS.len() - unseen.len());
    println!(r#"{{"figure":"tamper.detected","value":{found},"against":"{all} ways to tamper, each with git alone"}}"#);
    println!(r#"{{"figure":"tamper.total","value":{all}}}"#);
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
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
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("locker.git");
    git(folder.path(), &["init", "-q", "--bare", "locker.git"]);
    let url = format!("file://{}", bare.display());
    let (here, there) = (repo(), repo());
    record(here.path(), 0, Some(&url), ledger(Some(1), None));
    let away = folder.path().join("away.git");
    std::fs::rename(&bare, &away).unwrap();
    let offline = || {
        for number in [1, 2] {
            let kept = std::panic::catch_unwind(|| record(here.path(), number, Some(&url), ledger(Some(1), None)));
            assert!(kept.is_err(), "it cannot be pushed");
        }
    };
    offline();
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

#[test]
fn a_clone_remembers_what_it_saw_and_a_forced_push_is_found_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("locker.git");
    git(folder.path(), &["init", "-q", "--bare", "locker.git"]);
    let url = format!("file://{}", bare.display());
    let writer = repo();
    (0..3).for_each(|number| drop(record(writer.path(), number, Some(&url), ledger(Some(1), None))));
    let auditor = folder.path().join("auditor");
    git(folder.path(), &["clone", "-q", "--no-checkout", &url, "auditor"]);
    verified(&auditor).exits(0);
    let seen = git(&auditor, &["show", "origin/slm/evidence:log/checkpoint"]) + "\n";
    std::fs::write(folder.path().join("seen"), seen).unwrap();

    let tip = git(writer.path(), &["rev-parse", "slm/evidence~1"]);
    git(writer.path(), &["update-ref", BRANCH, &tip]);
    git(writer.path(), &["push", "-q", "--force", &url, "slm/evidence"]);
    git(&auditor, &["fetch", "-q", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
    verified(&auditor).exits(7).says("error[slm::evidence-truncated]: the log has ");
    let fresh = folder.path().join("fresh");
    git(folder.path(), &["clone", "-q", "--no-checkout", &url, "fresh"]);
    verified(&fresh).exits(0).says("2 commits");
    slm(&fresh, &["--key", &vkey(1), "--no-memory", "--checkpoint", "../seen"]).exits(7).says("slm::evidence-truncated");
}

#[test]
fn a_clone_that_has_not_everything_contradicts_nothing_and_says_what_brings_the_rest() {
    let source = evidence();
    git(source.path(), &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", source.path().display());
    let folder = tempfile::tempdir().unwrap();
    for (name, filter, says, fetch) in [
        ("one", &["--depth", "1"][..], "it is shallow, and begins 1 commit before the newest", &["fetch", "-q", "--unshallow"][..]),
        ("two", &["--depth", "2"], "it is shallow, and begins 2 commits before the newest", &["fetch", "-q", "--unshallow"]),
        ("blobs", &["--filter=blob:none"], "it was made with a filter", &["fetch", "-q", "--refetch", "--no-filter"]),
        ("trees", &["--filter=tree:0"], "it was made with a filter", &["fetch", "-q", "--refetch", "--no-filter"]),
        ("large", &["--filter=blob:limit=4k"], "it was made with a filter", &["fetch", "-q", "--refetch", "--no-filter"]),
    ] {
        let clone = [&["clone", "-q", "--no-checkout", "-b", "slm/evidence"], filter, &[&url, name]].concat();
        git(folder.path(), &clone);
        let at = folder.path().join(name);
        let said = verified(&at);
        assert_eq!((said.code, said.out.as_str()), (3, ""), "{name}: {}", said.err);
        let told = format!("could not follow the evidence in a clone that has not all of it: {says}");
        let command = format!("`git {}`", fetch.join(" ").replace(" -q", ""));
        assert!(said.err.contains(&told) && said.err.contains(&command), "{name}: {}", said.err);
        git(&at, fetch);
        verified(&at).exits(0).says("5 commits");
    }
    // Shallow, and none of it below the evidence; and with a filter, but damaged all the same.
    let whole = folder.path().join("two");
    std::fs::write(whole.join(".git/shallow"), format!("{}\n", commits(source.path())[0])).unwrap();
    verified(&whole).exits(0).says("5 commits");
    let mut history = all(&commits(source.path()));
    history[4] = Made::of(&commits(source.path())[4]).with("decisions/ROT-01.jsonl", Some("{}\n"));
    rebuild(source.path(), history);
    git(folder.path(), &["clone", "-q", "--no-checkout", "-b", "slm/evidence", "--filter=blob:limit=1g", &url, "edited"]);
    verified(&folder.path().join("edited")).exits(7).says("error[slm::evidence-edited]");
}

#[test]
fn the_branch_of_a_clone_hides_nothing_of_what_became_of_that_of_its_origin() {
    let source = evidence();
    let all = commits(source.path());
    let url = format!("file://{}", source.path().display());
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("clone");
    git(folder.path(), &["clone", "-q", "--no-checkout", "-b", "slm/evidence", &url, "clone"]);
    let forced = |to: &str| {
        git(source.path(), &["update-ref", BRANCH, to]);
        git(&at, &["fetch", "-q", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
    };
    // Before anything was verified here, either may be the one that is right.
    forced(&all[2]);
    let fresh = slm(&at, &["--key", &vkey(1), "--no-memory"]).exits(0).says("5 commits");
    fresh.says("note        looked at is the branch here, which is 2 commits ahead of that of `origin`: not pushed yet, or taken away there");
    forced(&all[4]);
    verified(&at).exits(0).says("5 commits");
    forced(&all[2]);
    let said = verified(&at).exits(7);
    said.says("error[slm::evidence-truncated]: the log has 217 entries at `origin`, and had 361 when it was seen at ");
    // What origin has more is looked at.
    forced(&all[4]);
    git(&at, &["update-ref", BRANCH, &all[1]]);
    verified(&at).exits(0).says("5 commits");
    verified(&at).says("note        looked at is the branch of `origin`, which is 3 commits ahead of the one here");
    // Another history at origin, each commit of it sound.
    git(&at, &["update-ref", BRANCH, &all[4]]);
    git(source.path(), &["update-ref", BRANCH, &all[2]]);
    forget_appended(source.path());
    let other = record(source.path(), 5, None, ledger(Some(1), None));
    forced(&other);
    let said = verified(&at).exits(7);
    said.says("error[slm::evidence-forked]: the branch here and that of `origin` are two histories, with 2 commits only here and 1 commit only there");
}

#[test]
fn a_run_that_was_not_pushed_yet_may_be_made_anew_and_is_not_what_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("locker.git");
    git(folder.path(), &["init", "-q", "--bare", "locker.git"]);
    let url = format!("file://{}", bare.display());
    let (here, there) = (repo(), repo());
    (0..2).for_each(|number| drop(record(here.path(), number, Some(&url), ledger(Some(1), None))));
    let away = folder.path().join("away.git");
    std::fs::rename(&bare, &away).unwrap();
    assert!(std::panic::catch_unwind(|| record(here.path(), 2, Some(&url), ledger(Some(1), None))).is_err(), "it cannot be pushed");
    verified(here.path()).exits(0).says("3 commits");
    std::fs::rename(&away, &bare).unwrap();
    record(there.path(), 3, Some(&url), ledger(Some(1), None));
    record(here.path(), 4, Some(&url), ledger(Some(1), None));
    verified(here.path()).exits(0).says("5 commits").says("goes on     from 1 checkpoint seen before");
}

/// A repository with a remote and a clone of that, in one folder: where it is, its address, and who writes.
fn with_remote() -> (tempfile::TempDir, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "--bare", "locker.git"]);
    let url = format!("file://{}", folder.path().join("locker.git").display());
    (folder, url, repo())
}

fn refused(repo: &Path, number: usize, remote: Option<&str>) -> String {
    let settings = LockerSettings { remote: remote.map(str::to_owned), ..LockerSettings::default() };
    let locker = || Locker::open(repo, &settings, None).unwrap().logged(ledger(Some(1), None), Arc::new(At(99_999)));
    let before = git(repo, &["rev-parse", BRANCH]);
    let asked = locker().continues().unwrap_err();
    let files = BTreeMap::from([(format!("runs/{DAY}/{}.json", run_of(number)), b"{}\n".to_vec())]);
    let appended = locker().append(|_| files.clone(), "run", at(99_999)).unwrap_err();
    assert_eq!((asked.operation.as_str(), &asked.cause), (slm::host::locker::GOES_ON, &appended.cause));
    assert_eq!(git(repo, &["rev-parse", BRANCH]), before, "nothing was appended");
    asked.cause
}

#[test]
fn what_was_set_back_or_rewritten_is_not_signed_anew_by_the_next_run() {
    // A branch that is only here.
    let repo = evidence();
    let all = commits(repo.path());
    git(repo.path(), &["update-ref", BRANCH, &all[3]]);
    let said = refused(repo.path(), 5, None);
    assert!(
        said.starts_with("the log has 289 entries, and had 361 when it was seen here before; `slm verify` says more"),
        "{said}"
    );
    assert!(said.contains("`git update-ref -d refs/slm/appended/slm/evidence` forgets what was seen"), "{said}");
    git(repo.path(), &["update-ref", "-d", BRANCH]);
    git(repo.path(), &["update-ref", BRANCH, &all[4]]);
    record(repo.path(), 5, None, ledger(Some(1), None));

    // One that others write as well: what was pushed or verified here is in it, or it is another.
    for by in ["refs/slm/pushed/slm/evidence", "refs/slm/verified/slm/evidence"] {
        let (folder, url, here) = with_remote();
        (0..3).for_each(|number| drop(record(here.path(), number, Some(&url), ledger(Some(1), None))));
        verified(here.path()).exits(0);
        for name in ["refs/slm/pushed/slm/evidence", "refs/slm/verified/slm/evidence"] {
            if name != by {
                git(here.path(), &["update-ref", "-d", name]);
            }
        }
        let (bare, there) = (folder.path().join("locker.git"), super::verify::repo());
        let first = git(&bare, &["rev-list", "--reverse", BRANCH]).lines().next().unwrap().to_owned();
        git(&bare, &["update-ref", BRANCH, &first]);
        (4..6).for_each(|number| drop(record(there.path(), number, Some(&url), ledger(Some(1), None))));
        let said = refused(here.path(), 6, Some(&url));
        assert!(said.starts_with("the log is not the one whose 217 entries were seen here before") && said.contains(by), "{said}");
        git(here.path(), &["update-ref", "-d", by]);
        record(here.path(), 6, Some(&url), ledger(Some(1), None));
    }

    // Only set back, the remote gets again what was taken away.
    let (folder, url, here) = with_remote();
    (0..3).for_each(|number| drop(record(here.path(), number, Some(&url), ledger(Some(1), None))));
    let bare = folder.path().join("locker.git");
    git(&bare, &["update-ref", BRANCH, &format!("{BRANCH}~2")]);
    record(here.path(), 3, Some(&url), ledger(Some(1), None));
    assert_eq!(git(&bare, &["rev-list", "--count", BRANCH]), "4");
    // A fresh clone of a writer knows of nothing: it goes on with what is there.
    git(&bare, &["update-ref", BRANCH, &format!("{BRANCH}~2")]);
    let fresh = super::verify::repo();
    record(fresh.path(), 4, Some(&url), ledger(Some(1), None));
    assert_eq!(git(&bare, &["rev-list", "--count", BRANCH]), "3");
}
