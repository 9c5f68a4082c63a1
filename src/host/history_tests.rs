//! The index against git: what it tells is what git has, however it came about and whatever became of it.

#![expect(clippy::disallowed_methods, reason = "tests damage the files of an index")]

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::host::locker::Locker;
use crate::host::scratch;
use crate::model::catalog::LockerSettings;
use crate::record::changes::lines;

const BRANCH: &str = "slm/evidence";
const CONTROL: &str = "decisions/A-1.jsonl";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self(scratch::with_work_tree())
    }

    /// Records a run in which the control says `decisions`.
    fn run(&self, number: i64, decisions: &str) {
        let began = at(number * 86_400);
        let id = format!("r{number}");
        let files = BTreeMap::from([
            (format!("runs/{}/{id}.json", began.strftime("%Y/%m/%d")), format!("{number}\n").into_bytes()),
            (CONTROL.to_owned(), decisions.as_bytes().to_vec()),
            ("snapshot/A.jsonl".to_owned(), b"x\n".to_vec()),
        ]);
        let locker = Locker::open(self.0.path(), &LockerSettings::default(), None).unwrap();
        locker.append(|_| files.clone(), &format!("run {id}: 0 of 0 actions done"), began).unwrap();
    }

    fn open(&self) -> History {
        History::open(self.0.path(), BRANCH).unwrap()
    }

    /// The files of the index.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let all = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        all.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join(".git/slm/index-5/slm+evidence")
    }
}

/// Run and change of each version of the control, as text.
fn told(history: &mut History) -> Vec<(String, String)> {
    let versions = history.versions(CONTROL).unwrap();
    let changes = history.changes(CONTROL, &versions).unwrap();
    let run = |version: &Kept| history.commits()[version.commit].run.clone().unwrap();
    versions.iter().map(run).zip(changes).collect()
}

fn expected() -> Vec<(String, String)> {
    let all = [("17/r0", "+a\n+b\n"), ("19/r1", "-b\n+c\n"), ("21/r3", "-a\n")];
    let day = |at: &str| {
        let number: i64 = at.rsplit('r').next().unwrap().parse().unwrap();
        format!("runs/{}/r{number}.json", self::at(number * 86_400).strftime("%Y/%m/%d"))
    };
    all.map(|(run, change)| (day(run), change.to_owned())).to_vec()
}

fn recorded() -> World {
    let world = World::new();
    for (number, decisions) in ["a\nb\n", "a\nc\n", "a\nc\n", "c\n"].iter().enumerate() {
        world.run(i64::try_from(number).unwrap(), decisions);
    }
    world
}

#[test]
fn the_history_of_a_control_is_the_runs_that_changed_it() {
    let world = recorded();
    let mut history = world.open();
    assert_eq!(told(&mut history), expected());
    assert_eq!(history.paths().collect::<Vec<_>>(), [CONTROL, "snapshot/A.jsonl"]);
    assert_eq!(history.commits().len(), 4);
    assert_eq!((history.commits()[1].at, history.commits()[1].received), (at(86_400), at(86_400)));
    assert_eq!(history.versions("decisions/none.jsonl").unwrap(), []);
    let versions = history.versions(CONTROL).unwrap();
    assert_eq!(history.text(&versions[1]).unwrap(), "a\nc\n");
    let last = history.commits()[3].commit;
    assert_eq!(history.file(last, CONTROL).unwrap().as_deref(), Some(&b"c\n"[..]));
    assert_eq!(history.file(last, "decisions/none.jsonl").unwrap(), None);
    assert_eq!(history.files(last, "runs/").unwrap().len(), 4);
}

#[test]
fn an_index_that_follows_run_by_run_is_the_one_that_is_made_at_once() {
    let world = World::new();
    for (number, decisions) in ["a\nb\n", "a\nc\n", "a\nc\n", "c\n"].iter().enumerate() {
        world.run(i64::try_from(number).unwrap(), decisions);
        assert_eq!(world.open().commits().len(), number + 1);
    }
    let followed = world.files();
    assert_eq!(followed.len(), 7, "{:?}", followed.keys());
    fs::remove_dir_all(world.folder()).unwrap();
    assert_eq!(told(&mut world.open()), expected());
    assert_eq!(world.files(), followed);
}

#[test]
fn an_index_is_the_same_whether_git_keeps_versions_whole_or_as_differences() {
    let world = World::new();
    let line = |run: usize, line: usize| {
        format!("{{\"resource\":\"r-{line:04}\",\"seen\":{}}}\n", if line % 7 == run % 7 { run } else { 0 })
    };
    for run in 0..30 {
        let came = if run > 20 { 3 } else { 0 };
        let text: String = (came..400 + run).map(|at| line(run, at)).collect();
        world.run(i64::try_from(run).unwrap(), &text);
    }
    assert_eq!(told(&mut world.open()).len(), 30);
    let whole = world.files();
    fs::remove_dir_all(world.folder()).unwrap();
    let mut git = std::process::Command::new("git");
    git.arg("-C").arg(world.0.path()).args(["repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=20"]);
    assert!(git.status().unwrap().success());
    assert_eq!(told(&mut world.open()).len(), 30);
    assert_eq!(world.files(), whole);
    let last = &whole["decisions+A-1.jsonl.changes"];
    assert!(last.len() < 60_000, "a quarter of what changed at most: {} bytes", last.len());
}

#[test]
fn whatever_becomes_of_its_files_what_is_told_is_what_git_has() {
    let world = recorded();
    assert_eq!(told(&mut world.open()), expected());
    let names: Vec<String> =
        fs::read_dir(world.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for name in names.iter().filter(|name| *name != "lock") {
        let path = world.folder().join(name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        let middle = whole.len() / 2;
        flipped[middle] ^= 1;
        let damages = [Vec::new(), whole[..middle].to_vec(), flipped, [&whole[..], b"more"].concat(), b"{}".to_vec()];
        for damaged in damages {
            fs::write(&path, &damaged).unwrap();
            assert_eq!(told(&mut world.open()), expected(), "{name}: {}", String::from_utf8_lossy(&damaged));
            world.run(4, "c\n");
            fs::write(&path, &damaged).unwrap();
            let mut history = world.open();
            assert_eq!((told(&mut history), history.commits().len()), (expected(), 5), "{name}, gone on with");
            let repo = Repository::open(world.0.path()).unwrap();
            let before =
                repo.refname_to_id("refs/heads/slm/evidence").and_then(|id| repo.find_commit(id)).unwrap().parent_id(0).unwrap();
            repo.reference("refs/heads/slm/evidence", before, true, "test").unwrap();
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(told(&mut world.open()), expected(), "{name} is gone");
    }
}

#[test]
fn another_history_has_another_index() {
    let (world, other) = (recorded(), World::new());
    assert_eq!(world.open().commits().len(), 4);
    other.run(7, "z\n");
    let source = other.0.path().to_str().unwrap().to_owned();
    let repo = Repository::open(world.0.path()).unwrap();
    repo.remote_anonymous(&source).unwrap().fetch(&["+refs/heads/slm/evidence:refs/heads/slm/evidence"], None, None).unwrap();
    let mut history = world.open();
    let changes: Vec<String> = told(&mut history).into_iter().map(|(_, change)| change).collect();
    assert_eq!(changes, ["+z\n"]);
    assert_eq!(lines(&changes[0]).collect::<Vec<_>>(), [(true, "z")]);
}

#[test]
fn what_was_begun_and_not_finished_is_written_over() {
    let world = recorded();
    let _ = world.open();
    let path = world.folder().join("decisions+A-1.jsonl.versions");
    let torn = [fs::read(&path).unwrap(), b"half a record".to_vec()].concat();
    fs::write(&path, torn).unwrap();
    world.run(4, "c\nd\n");
    let told = told(&mut world.open());
    assert_eq!(told.last().map(|(_, change)| change.as_str()), Some("+d\n"));
    assert_eq!(told[..3], expected());
}

#[test]
fn exceptions_in_folders_of_their_own_have_their_versions_too() {
    let world = World::new();
    let locker = Locker::open(world.0.path(), &LockerSettings::default(), None).unwrap();
    let steps =
        [("exceptions/a.toml", "1"), ("exceptions/b/a.toml", "2"), ("exceptions/b+a.toml", "3"), ("exceptions/b/a.toml", "4")];
    for (number, (path, text)) in (0..).zip(steps) {
        let files = BTreeMap::from([(path.to_owned(), text.as_bytes().to_vec())]);
        locker.append(|_| files.clone(), &format!("run r{number}: 0 of 0 actions done"), at(number * 86_400)).unwrap();
    }
    let mut history = world.open();
    let mut of = |path: &str| {
        let versions = history.versions(path).unwrap();
        versions.iter().map(|one| (one.commit, history.text(one).unwrap())).collect::<Vec<_>>()
    };
    let told = |all: &[(usize, &str)]| all.iter().map(|(at, text)| (*at, (*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(of("exceptions/a.toml"), told(&[(0, "1")]));
    assert_eq!(of("exceptions/b/a.toml"), told(&[(1, "2"), (3, "4")]));
    assert_eq!(of("exceptions/b+a.toml"), told(&[(2, "3")]));
}
