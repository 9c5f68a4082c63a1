//! Everything that can be done to evidence with git and an editor, and that `slm verify` finds each of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use slm::host::git::Locker;
use slm::model::catalog::LockerSettings;
use slm::model::time::Timestamp;
use slm::record::ledger::Ledger;
use slm::record::log::compose;

use crate::verify::{
    At, BRANCH, DAY, RUNS, Signs, at, commits, evidence_of, git, ledger, record, record_as, repo as new_repo, run_of, signer, slm,
};

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
pub struct Made {
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
    pub fn of(like: &str) -> Self {
        let (edits, who) = (Vec::new(), ("slm", "+0000"));
        Self { like: like.to_owned(), edits, dates: None, message: None, who, also: None, empty: None }
    }

    fn edited(mut self, path: &str, edit: Edit) -> Self {
        self.edits.push((path.to_owned(), edit));
        self
    }

    pub fn with(self, path: &str, text: Option<&str>) -> Self {
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
pub fn rebuild(repo: &Path, history: Vec<Made>) {
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

pub fn all(commits: &[String]) -> Vec<Made> {
    commits.iter().map(|commit| Made::of(commit)).collect()
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
    of(Signs::TwoLater, "with a retired key, date anew what it signed", dated_anew, "slm::evidence-forked", None),
    tamper("with the key, date the newest anew", newest_dated_anew, "slm::evidence-forked", None),
    tamper("call a tag like the branch", tag, "slm::evidence-replaced", None),
    tamper("call another ref like the branch", alike, "slm::evidence-replaced", None),
    tamper("call a tag of what is genuine like the branch, and forge the branch", genuine_tag, "slm::evidence-replaced", None),
    tamper("forge what git keeps of the newest commit", graph, "slm::evidence-replaced", None),
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
pub fn forget(repo: &Path) {
    git(repo, &["update-ref", "-d", "refs/slm/verified/slm/evidence"]);
    forget_appended(repo);
}

/// Nor appended anything.
pub fn forget_appended(repo: &Path) {
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
    let other = new_repo();
    (0..RUNS).for_each(|number| drop(record(other.path(), number, None, ledger(Some(2), None))));
    let theirs = |path: &str| git(other.path(), &["show", &format!("{BRANCH}:{path}")]) + "\n";
    let mut history = all(commits);
    history[4] = Made::of(&commits[4])
        .with("log/checkpoint", Some(&theirs("log/checkpoint")))
        .with("log/keys/2", Some(&theirs("log/keys/1")));
    rebuild(repo, history);
}

/// Has the history be `runs` runs in which everything is compliant, as `signs` has it, and the last one have the file `copied` of what was there.
pub fn made_anew(repo: &Path, runs: usize, ledger: impl Fn(usize) -> Ledger, copied: Option<&str>) {
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

/// The history with the commit `number` recorded a second before it was, by somebody who has key `seed`.
pub fn dated(repo: &Path, commits: &[String], number: usize, seed: u8) {
    let note = git(repo, &["show", &format!("{}:log/checkpoint", commits[number])]);
    let times = git(repo, &["log", "-1", "--format=%at %ct", &commits[number]]);
    let (author, committer) = times.split_once(' ').map(|(one, two)| (one.parse().unwrap(), two.parse::<i64>().unwrap())).unwrap();
    let (text, _) = note.split_once("\n\n").unwrap();
    let (rest, _) = text.rsplit_once('\n').unwrap();
    let text = format!("{rest}\nreceived {}\n", Timestamp::from_second(committer - 1).unwrap());
    let note = compose(&text, &[signer(seed).sign(&text).unwrap()]).unwrap();
    one(repo, commits, number, |made| Made { dates: Some((author, committer - 1)), ..made }.with("log/checkpoint", Some(&note)));
}

fn dated_anew(repo: &Path, commits: &[String]) {
    dated(repo, commits, 1, 1);
}

fn newest_dated_anew(repo: &Path, commits: &[String]) {
    dated(repo, commits, 4, 1);
}

/// Another history of the same runs, as whoever has no key makes it; the branch stays as it is.
fn beside(repo: &Path, commits: &[String]) -> String {
    edit(repo, commits);
    let forged = git(repo, &["rev-parse", BRANCH]);
    git(repo, &["update-ref", BRANCH, &commits[4]]);
    forged
}

fn tag(repo: &Path, commits: &[String]) {
    let forged = beside(repo, commits);
    git(repo, &["update-ref", "refs/tags/slm/evidence", &forged]);
}

fn alike(repo: &Path, commits: &[String]) {
    let forged = beside(repo, commits);
    git(repo, &["update-ref", "refs/slm/evidence", &forged]);
}

fn genuine_tag(repo: &Path, commits: &[String]) {
    git(repo, &["update-ref", "refs/tags/slm/evidence", &commits[4]]);
    edit(repo, commits);
}

fn graph(repo: &Path, commits: &[String]) {
    git(repo, &["commit-graph", "write", "--reachable"]);
    let tree = |at: usize| {
        let id = git(repo, &["rev-parse", &format!("{}^{{tree}}", commits[at])]);
        (0..20).map(|byte| u8::from_str_radix(&id[2 * byte..2 * byte + 2], 16).unwrap()).collect::<Vec<u8>>()
    };
    let path = repo.join(".git/objects/info/commit-graph");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(20).position(|part| part == tree(4)).unwrap();
    bytes[at..at + 20].copy_from_slice(&tree(1));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(path, bytes).unwrap();
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
