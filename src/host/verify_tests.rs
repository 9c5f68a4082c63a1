//! What is read of a locker whose objects are not as git wrote them, by a file system's power.

#![expect(clippy::disallowed_methods, reason = "tests damage packs, and have git repack them")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::host::locker::Locker;
use crate::model::blob::Blob;
use crate::model::catalog::LockerSettings;
use crate::record::ledger::Ledger;
use crate::world::Clock;

const BRANCH: &str = "slm/evidence";

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn at(run: usize) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + 3_600 * i64::try_from(run).unwrap()).unwrap()
}

/// A locker of `runs` runs with `pages` pages each; its folder and its commits.
fn locker(runs: usize, pages: usize) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    Repository::init_bare(folder.path()).unwrap();
    let record = |run: usize| {
        let text = format!("{{\"format\":1,\"run\":{{\"at\":\"{}\",\"id\":\"r{run}\"}}}}\n", at(run));
        let mut files = BTreeMap::from([(format!("runs/r{run}.json"), text.into_bytes())]);
        files.extend((0..pages).map(|page| (format!("raw/r{run}/{page:05}.json"), format!("[{run},{page}]").into_bytes())));
        files.insert("decisions/A-1.jsonl".to_owned(), format!("{run}\n").into_bytes());
        let ledger = Ledger::new("acme.example/slm".to_owned(), None, None);
        let locker = Locker::open(folder.path(), &LockerSettings::default(), None).unwrap().logged(ledger, Arc::new(At(at(run))));
        locker.append(|_| files.clone(), &format!("run r{run}: 0 of 0 actions done"), at(run)).unwrap()
    };
    let commits = (0..runs).map(record).collect();
    (folder, commits)
}

fn packs(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|ending| ending == "pack")).collect()
}

fn stream(bytes: &[u8]) -> Vec<u8> {
    match Blob::compressed(bytes) {
        Blob::Zlib { stream, .. } => stream.to_vec(),
        Blob::Plain(_) => panic!("not compressed"),
    }
}

/// Has the one pack with the stream `is` have `other` in its place, which is as long.
fn replace(folder: &Path, is: &[u8], other: &[u8]) {
    assert_eq!(is.len(), other.len());
    let mut replaced = 0;
    for path in packs(folder) {
        let mut bytes = fs::read(&path).unwrap();
        let Some(at) = bytes.windows(is.len()).position(|part| part == is) else { continue };
        bytes[at..at + is.len()].copy_from_slice(other);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        replaced += 1;
    }
    assert_eq!(replaced, 1);
}

fn git(folder: &Path, arguments: &[&str]) {
    assert!(Command::new("git").arg("--git-dir").arg(folder).args(arguments).status().unwrap().success(), "{arguments:?}");
}

#[test]
fn whoever_repacks_a_locker_changes_nothing_of_what_is_read() {
    let (folder, commits) = locker(4, 300);
    let read = || {
        let read = history(folder.path(), BRANCH, None).unwrap();
        assert_eq!((read.finding, &read.tip), (None, &commits[3]));
        read.chain.counts()
    };
    let first = read();
    assert_eq!((first.0, first.1), (4, 4 * 302));
    git(folder.path(), &["repack", "-q", "-a", "-d", "-f", "--depth=50"]);
    assert_eq!((packs(folder.path()).len(), read()), (1, first));
    // And as objects that are files of their own.
    let pack = packs(folder.path()).remove(0);
    let away = folder.path().join("away.pack");
    fs::rename(&pack, &away).unwrap();
    fs::remove_file(pack.with_extension("idx")).unwrap();
    let mut unpack = Command::new("git");
    unpack.arg("--git-dir").arg(folder.path()).args(["unpack-objects", "-q"]).stdin(fs::File::open(&away).unwrap());
    assert!(unpack.status().unwrap().success());
    assert_eq!((packs(folder.path()).len(), read()), (0, first));
}

#[test]
fn bytes_that_are_not_what_their_name_says_are_found_with_their_commit() {
    for repacked in [false, true] {
        let (folder, commits) = locker(3, 40);
        if repacked {
            git(folder.path(), &["repack", "-q", "-a", "-d"]);
        }
        replace(folder.path(), &stream(b"[1,3]"), &stream(b"[1,4]"));
        let finding = history(folder.path(), BRANCH, None).unwrap().finding.unwrap();
        assert_eq!((finding.code, finding.what.as_str()), ("slm::evidence-damaged", "git cannot read `raw/r1/00003.json`"));
        assert_eq!((finding.commit.as_ref(), finding.since), (Some(&commits[1]), Some(at(1))), "repacked: {repacked}");
    }
}

#[test]
fn the_first_thing_that_is_wrong_is_named_however_much_is_hashed_ahead() {
    let (folder, commits) = locker(5, BATCH * 3 / 5);
    let repo = Repository::open_bare(folder.path()).unwrap();
    let tree = repo.find_commit(Oid::from_str(&commits[4]).unwrap()).unwrap().tree_id();
    let tree = stream(repo.odb().unwrap().read(tree).unwrap().data());
    // While it is open, libgit2 goes on with the pack as it was.
    drop(repo);
    let mut other = tree.clone();
    other[tree.len() / 2] ^= 1;
    replace(folder.path(), &tree, &other);
    let found = || {
        let finding = history(folder.path(), BRANCH, None).unwrap().finding.unwrap();
        (finding.code, finding.what, finding.commit.unwrap())
    };
    let (code, what, commit) = found();
    assert!(what.starts_with("git cannot read it: "), "{what}");
    assert_eq!((code, &commit), ("slm::evidence-damaged", &commits[4]));
    replace(folder.path(), &stream(b"[2,17]"), &stream(b"[2,18]"));
    assert_eq!(found(), ("slm::evidence-damaged", "git cannot read `raw/r2/00017.json`".to_owned(), commits[2].clone()));
    replace(folder.path(), &stream(b"[0,17]"), &stream(b"[0,18]"));
    assert_eq!(found(), ("slm::evidence-damaged", "git cannot read `raw/r0/00017.json`".to_owned(), commits[0].clone()));
}

/// A tree like `tree`, in which `name` is there twice, or as `other` where one is given.
fn changed(repo: &Repository, tree: &Tree<'_>, name: &str, other: Option<Oid>) -> Oid {
    let mut bytes = Vec::new();
    for entry in tree {
        let is_it = entry.name_bytes() == name.as_bytes();
        for _ in 0..if is_it && other.is_none() { 2 } else { 1 } {
            bytes.extend_from_slice(format!("{:o} ", entry.filemode_raw()).as_bytes());
            bytes.extend_from_slice(entry.name_bytes());
            bytes.push(0);
            bytes.extend_from_slice(other.filter(|_| is_it).unwrap_or(entry.id()).as_bytes());
        }
    }
    repo.odb().unwrap().write(git2::ObjectType::Tree, &bytes).unwrap()
}

#[test]
fn a_name_that_a_folder_has_twice_hides_nothing() {
    let (folder, commits) = locker(2, 3);
    let repo = Repository::open_bare(folder.path()).unwrap();
    let last = repo.find_commit(Oid::from_str(&commits[1]).unwrap()).unwrap();
    let root = last.tree().unwrap();
    let log = repo.find_tree(root.get_name("log").unwrap().id()).unwrap();
    let with_two = changed(&repo, &log, CHECKPOINT, None);
    for (tree, code, want) in [
        (changed(&repo, &root, "log", None), "slm::evidence-damaged", "git cannot read it: `log` is there twice"),
        (changed(&repo, &root, "log", Some(with_two)), "slm::evidence-strange-file", "`log/checkpoint` is no file of the log"),
    ] {
        let (tree, parent) = (repo.find_tree(tree).unwrap(), last.parent(0).unwrap());
        let commit = repo.commit(None, &last.author(), &last.committer(), last.message().unwrap(), &tree, &[&parent]).unwrap();
        repo.reference(&format!("refs/heads/{BRANCH}"), commit, true, "test").unwrap();
        let finding = history(folder.path(), BRANCH, None).unwrap().finding.unwrap();
        assert_eq!((finding.code, finding.what.as_str()), (code, want));
        assert_eq!(finding.commit, Some(commit.to_string()));
    }
}

#[test]
fn a_commit_from_before_the_log_that_the_log_does_not_begin_with_is_found() {
    let (folder, commits) = locker(2, 3);
    let repo = Repository::open_bare(folder.path()).unwrap();
    let commit = |id: &str| repo.find_commit(Oid::from_str(id).unwrap()).unwrap();
    let first = commit(&commits[0]);
    let text = b"{\"format\":1,\"run\":{\"at\":\"2020-01-01T00:00:00Z\",\"id\":\"r9\"}}\n".to_vec();
    let files = BTreeMap::from([("runs/r9.json".to_owned(), Some(Blob::from(text)))]);
    let mut pack = super::super::pack::Pack::default();
    let tree = tree::with_files(&repo, None, &files, &mut pack).unwrap();
    pack.write(&folder.path().join("objects/pack")).unwrap();
    repo.odb().unwrap().refresh().unwrap();
    let tree = repo.find_tree(tree).unwrap();
    let made = |parents: &[&Commit<'_>], tree: &Tree<'_>, message: &str| {
        let id = repo.commit(None, &first.author(), &first.committer(), message, tree, parents).unwrap();
        repo.find_commit(id).unwrap()
    };
    let made_up = made(&[], &tree, "run r9: 0 of 0 actions done");
    let begins = made(&[&made_up], &first.tree().unwrap(), first.message().unwrap());
    let second = commit(&commits[1]);
    let last = made(&[&begins], &second.tree().unwrap(), second.message().unwrap());
    repo.reference(&format!("refs/heads/{BRANCH}"), last.id(), true, "test").unwrap();
    let read = history(folder.path(), BRANCH, None).unwrap();
    let finding = read.finding.unwrap();
    assert_eq!((finding.code, finding.what.as_str()), ("slm::evidence-deleted", "`runs/r9.json` is gone"));
    assert_eq!((finding.commit, read.unlogged, read.held), (Some(begins.id().to_string()), 1, 0));
}
