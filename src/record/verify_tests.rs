//! What only somebody with the key can do, and what a chain says of it.

use super::super::keys::handover;
use super::super::ledger::{Changes, FOLDER, Ledger};
use super::super::log::Signer;
use super::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

fn signer(seed: u8) -> Signer {
    Signer::new("log", &[seed; 32]).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

/// A locker whose keeper holds the key and may write what they like.
struct World {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    chain: Chain,
    commits: usize,
}

/// A commit of one run, as its keeper would have it.
struct Run<'a> {
    id: &'a str,
    file: &'a str,
    began: i64,
    author: i64,
    recorded: i64,
    committer: i64,
    message: &'a str,
}

const RUN: Run<'static> = Run {
    id: "r1",
    file: "runs/r1.json",
    began: 0,
    author: 0,
    recorded: 60,
    committer: 60,
    message: "run r1: 0 of 0 actions done",
};

impl World {
    fn new() -> Self {
        Self { files: RefCell::default(), chain: Chain::default(), commits: 0 }
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.borrow().get(&format!("{FOLDER}{path}")).cloned())
    }

    fn commit(&mut self, run: &Run<'_>, ledger: &Ledger) -> Result<(), &'static str> {
        let Run { id, file, began, author, recorded, committer, message } = *run;
        let text = format!("{{\"run\":{{\"at\":\"{}\",\"id\":\"{id}\"}}}}\n", at(began));
        let leaf = Leaf::of(file, text.as_bytes());
        let how = if self.files.borrow().contains_key(file) { How::Modified } else { How::Added };
        let (changes, _): (Changes, _) = ledger.extend(|path| self.read(path), std::slice::from_ref(&leaf), at(recorded)).unwrap();
        let mut log = Vec::new();
        for (path, blob) in changes {
            let below = path[FOLDER.len()..].to_owned();
            let had = match blob {
                Some(blob) => self.files.borrow_mut().insert(path, blob.bytes().unwrap().into_owned()).map(|_| How::Modified),
                None => self.files.borrow_mut().remove(&path).map(|_| How::Deleted),
            };
            log.push((had.unwrap_or(How::Added), below));
        }
        self.files.borrow_mut().insert(file.to_owned(), text.clone().into_bytes());
        let commit = format!("{:040}", self.commits);
        let files = &self.files;
        let read = |path: &str| Ok(files.borrow().get(&format!("{FOLDER}{path}")).cloned());
        let step = Step {
            commit: &commit,
            message,
            author: at(author),
            committer: at(committer),
            parents: usize::from(self.commits > 0),
            changed: vec![Changed { how, leaf }],
            run: message.contains(run_id(file).unwrap_or("none")).then(|| (file.to_owned(), text.into_bytes())),
            log,
            is: &|path, bytes| read(path).is_ok_and(|file| file.as_deref() == Some(bytes)),
            read: &read,
        };
        self.commits += 1;
        self.chain.follow(&step).map_err(|finding| finding.code)
    }
}

fn ledger() -> Ledger {
    Ledger::new("log".to_owned(), Some(signer(1)), None)
}

fn second() -> Run<'static> {
    Run {
        id: "r2",
        file: "runs/r2.json",
        began: 100,
        author: 100,
        recorded: 160,
        committer: 160,
        message: "run r2: 0 of 0 actions done",
    }
}

#[test]
fn runs_that_are_as_they_should_be_hold() {
    let mut world = World::new();
    assert_eq!(world.commit(&RUN, &ledger()), Ok(()));
    assert_eq!(world.commit(&second(), &ledger()), Ok(()));
    assert_eq!(world.chain.counts().0, 2);
    assert_eq!(world.chain.received(), Some(at(160)));
    assert_eq!(world.chain.runs(), [("r1".to_owned(), at(0)), ("r2".to_owned(), at(100))]);
    assert_eq!(world.chain.remarks(), []);
}

#[test]
fn dates_that_contradict_each_other_are_found_whoever_signed_them() {
    for run in [
        Run { author: 99, ..second() },
        Run { began: 99, ..second() },
        Run { committer: 161, ..second() },
        Run { began: 170, author: 170, ..second() },
    ] {
        let mut world = World::new();
        world.commit(&RUN, &ledger()).unwrap();
        assert_eq!(world.commit(&run, &ledger()), Err("slm::evidence-bad-date"));
    }
}

#[test]
fn a_run_that_is_recorded_late_is_remarked_and_fills_no_gap() {
    let mut world = World::new();
    world.commit(&RUN, &ledger()).unwrap();
    let late = Run { recorded: 100 + 90_000, committer: 100 + 90_000, ..second() };
    assert_eq!(world.commit(&late, &ledger()), Ok(()));
    assert_eq!(world.chain.remarks()[0].code, "slm::evidence-late");
    assert!(world.chain.remarks()[0].what.contains("25 hours later"), "{}", world.chain.remarks()[0].what);
    assert_eq!(world.chain.runs(), [("r1".to_owned(), at(0))]);
    // Within a day, and on a commit that came two hours after it says it began.
    let mut world = World::new();
    world.commit(&Run { recorded: 7_300, committer: 7_300, ..RUN }, &ledger()).unwrap();
    assert_eq!(world.commit(&Run { recorded: 7_400, committer: 7_400, ..second() }, &ledger()), Ok(()));
    let what = format!("run `r2` of {} was recorded at {}, 2 hours later: it fills no gap", at(100), at(7_400));
    assert_eq!(world.chain.remarks(), [Remark { code: "slm::evidence-late", what }]);
    assert_eq!(world.chain.runs(), [("r1".to_owned(), at(0))]);
}

#[test]
fn a_run_is_recorded_once_under_its_own_name() {
    for (run, code) in [
        (Run { message: "run r9", ..second() }, "slm::evidence-no-run"),
        (Run { file: "runs/r3.json", message: "run r3: 0 of 0 actions done", ..second() }, "slm::evidence-bad-run"),
        (Run { file: "elsewhere/r2.json", ..second() }, "slm::evidence-no-run"),
        (Run { message: "run r2: 1 of 1 actions done", ..second() }, "slm::evidence-bad-run"),
        (Run { message: "run r2: 0 of 0 actions done\n\nand more", ..second() }, "slm::evidence-bad-run"),
        (
            Run { id: "r1", file: "runs/again/r1.json", message: "run r1: 0 of 0 actions done", ..second() },
            "slm::evidence-run-twice",
        ),
        (Run { id: "r1", file: "runs/r1.json", message: "run r1", ..second() }, "slm::evidence-rewritten"),
    ] {
        let mut world = World::new();
        world.commit(&RUN, &ledger()).unwrap();
        assert_eq!(world.commit(&run, &ledger()), Err(code));
    }
}

#[test]
fn a_key_is_followed_when_the_one_before_signed_that() {
    let handed = Ledger::new("log".to_owned(), Some(signer(2)), Some(signer(1)));
    let mut world = World::new();
    world.commit(&RUN, &ledger()).unwrap();
    assert_eq!(world.commit(&second(), &handed), Ok(()));
    let keys: Vec<u64> = world.chain.keys().iter().map(|key| key.from).collect();
    assert_eq!(keys, [0, 2]);

    // Signed by the new key alone, the note is worth nothing.
    let mut world = World::new();
    world.commit(&RUN, &ledger()).unwrap();
    let alone = handover("log", 1, &signer(2), 0, None).unwrap();
    world.files.borrow_mut().insert("log/keys/2".to_owned(), alone.into_bytes());
    let failed = Ledger::new("log".to_owned(), Some(signer(2)), None).extend(|path| world.read(path), &[], at(0));
    assert!(matches!(failed, Err(LedgerError::Keys(_))));
}

#[test]
fn a_key_comes_with_the_entry_from_which_on_it_signs() {
    // Of another log of the same keys, and of the right size there.
    for from in [1, 3, 7] {
        let mut world = World::new();
        world.commit(&RUN, &ledger()).unwrap();
        let note = handover("log", 2, &signer(2), from, Some(&signer(1))).unwrap();
        world.files.borrow_mut().insert("log/keys/2".to_owned(), note.into_bytes());
        let read = |path: &str| world.read(path);
        let keys = keys::read_all("log", read).unwrap();
        let error = world.chain.handed_over(&keys, 2).unwrap_err();
        assert_eq!(error.0, "slm::evidence-bad-key");
        assert_eq!(error.1, format!("`log/keys/2` takes over from entry {from}, and comes with entry 2"));
    }
    // A log that was begun without a key says so once.
    let mut world = World::new();
    world.commit(&RUN, &Ledger::new("log".to_owned(), None, None)).unwrap();
    world.commit(&second(), &ledger()).unwrap();
    let codes: Vec<&str> = world.chain.remarks().iter().map(|remark| remark.code).collect();
    assert_eq!(codes, ["slm::evidence-unsigned"]);
}

#[test]
fn what_a_commit_says_is_counted_from_the_outcomes_in_its_run() {
    let says = |run: &str| {
        let RunFile { run: RunHead { id, .. }, result } = serde_json::from_str(run).unwrap();
        super::message(&id, &result)
    };
    let head = r#""run":{"at":"2026-11-18T00:00:00Z","id":"r1"}"#;
    let outcomes = r#"[{"fate":"done"},{"fate":{"failed":"done"}},{"fate":"already-so"},{"fate":"done"}]"#;
    assert_eq!(says(&format!("{{{head},\"result\":{{\"outcomes\":{outcomes}}}}}")), "run r1: 2 of 4 actions done");
    assert_eq!(says(&format!("{{{head},\"result\":{{}}}}")), "run r1: 0 of 0 actions done");
    assert_eq!(says(&format!("{{{head}}}")), "run r1: 0 of 0 actions done");
}

#[test]
fn entries_that_are_not_in_the_order_of_their_paths_are_found_whoever_signed_them() {
    let mut world = World::new();
    world.commit(&RUN, &ledger()).unwrap();
    let leaves = ["runs/r2.json", "raw/r2/1.json"].map(|path| Leaf::of(path, b"{}\n"));
    let (files, _) = ledger().extend(|path| world.read(path), &leaves, at(160)).unwrap();
    let files: BTreeMap<String, Vec<u8>> =
        files.into_iter().filter_map(|(path, blob)| Some((path, blob?.bytes().unwrap().into_owned()))).collect();
    let read = |path: &str| {
        Ok(files.get(&format!("{FOLDER}{path}")).cloned().or(world.files.borrow().get(&format!("{FOLDER}{path}")).cloned()))
    };
    let mut changed: Vec<Changed> = leaves.iter().map(|leaf| Changed { how: How::Added, leaf: leaf.clone() }).collect();
    changed.sort_by(|one, two| one.leaf.path.cmp(&two.leaf.path));
    let step = Step {
        commit: "c2",
        message: "run r2: 0 of 0 actions done",
        author: at(100),
        committer: at(160),
        parents: 1,
        changed,
        run: Some(("runs/r2.json".to_owned(), b"{}\n".to_vec())),
        log: Vec::new(),
        is: &|_, _| true,
        read: &read,
    };
    let finding = world.chain.follow(&step).unwrap_err();
    assert_eq!((finding.code, finding.commit.as_deref(), finding.since), ("slm::evidence-reordered", Some("c2"), Some(at(160))));
}

#[test]
fn a_run_from_before_the_log_is_one_that_the_log_began_with() {
    let told = |changed: &[(How, &str)], begins: bool| before_log(changed, begins).map_err(|(code, _)| code);
    let run = [(How::Added, "runs/old.json"), (How::Modified, "decisions/A-1.jsonl"), (How::Added, "README.md")];
    assert_eq!((told(&run, false), told(&run[1..], true), told(&run[2..], false)), (Ok(()), Ok(()), Ok(())));
    assert_eq!(told(&run[1..], false), Err("slm::evidence-no-run"));
    for begins in [false, true] {
        assert_eq!(told(&[(How::Deleted, "runs/made-up.json")], begins), Err("slm::evidence-deleted"));
        assert_eq!(told(&[(How::Modified, "raw/1.json")], begins), Err("slm::evidence-rewritten"));
        assert_eq!(told(&[(How::Strange, "raw/1.json")], begins), Err("slm::evidence-strange-file"));
    }
}

#[test]
fn what_was_seen_before_must_be_a_beginning_of_what_is_there() {
    let mut world = World::new();
    world.commit(&RUN, &ledger()).unwrap();
    let first = world.chain.head();
    world.commit(&second(), &ledger()).unwrap();
    let seen = |origin: &str, head: Head| Standing { origin: origin.to_owned(), head, received: at(60) };
    assert_eq!(world.chain.extends(&seen("log", first)), Ok(()));
    let newest = Standing { received: at(160), ..seen("log", world.chain.head()) };
    assert_eq!(world.chain.extends(&newest), Ok(()));
    let code = |seen: &Standing| world.chain.extends(seen).unwrap_err().code;
    assert_eq!(code(&seen("log", Head { size: 3, ..first })), "slm::evidence-truncated");
    assert_eq!(code(&seen("log", Head { root: [7; 32], ..first })), "slm::evidence-forked");
    assert_eq!(code(&seen("log", Head { size: 2, ..first })), "slm::evidence-forked");
    assert_eq!(code(&seen("other", first)), "slm::evidence-other-log");
    let dated = world.chain.extends(&Standing { received: at(61), ..seen("log", first) }).unwrap_err();
    assert!(dated.code == "slm::evidence-forked" && dated.what.contains(" entries at 2026-"), "{dated:?}");
}
