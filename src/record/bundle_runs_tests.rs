//! A log of three runs, as a bundle has it, and what can be done to what is beside the files.

use super::super::bundle::Packed;
use super::super::bundle_whole::runs;
use super::super::leaf::hex;
use super::super::ledger::{CHECKPOINT, FOLDER, Ledger};
use super::super::log::{Signer, leaf_hash};
use super::*;

const RUNS: [&str; 3] = ["20260330T050000Z-aaaaaaaa", "20260331T050000Z-bbbbbbbb", "20260402T050000Z-cccccccc"];

/// What the log and its checkpoints are.
struct Made {
    entries: Vec<Leaf>,
    leaves: Vec<Hash>,
    keys: Vec<Key>,
    checkpoints: BTreeMap<String, Vec<u8>>,
}

impl Made {
    /// Each run logs the token over the checkpoint before it, and what became of that; `signer` signs.
    fn by(signer: u8) -> Self {
        let signer = Signer::new("log", &[signer; 32]).unwrap();
        let ledger = Ledger::new("log".to_owned(), Some(signer), None);
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let (mut entries, mut checkpoints) = (Vec::new(), BTreeMap::new());
        for (number, run) in RUNS.iter().enumerate() {
            let mut leaves = vec![Leaf::of(&format!("runs/2026/{run}.json"), run.as_bytes())];
            if let Some(before) = number.checked_sub(1) {
                let token = format!("anchors/tsa/2026/03/30/{}-aaaaaaaa.tsr", entries.len());
                leaves.insert(0, Leaf::of(&token, b"token"));
                leaves.insert(0, Leaf::of(&format!("anchors/2026/03/30/{}.json", RUNS[before]), b"{}"));
            }
            let read = |path: &str| Ok(files.get(&format!("{FOLDER}{path}")).cloned());
            let at = began(run).unwrap().checked_add(jiff::SignedDuration::from_secs(60)).unwrap();
            let (changes, _) = ledger.extend(read, &leaves, at).unwrap();
            for (path, file) in changes {
                match file {
                    Some(file) => drop(files.insert(path, file.bytes().unwrap().into_owned())),
                    None => drop(files.remove(&path)),
                }
            }
            entries.extend(leaves);
            checkpoints.insert(entries.len().to_string(), files[&format!("{FOLDER}{CHECKPOINT}")].clone());
        }
        let keys = keys::read_all("log", |path| Ok(files.get(&format!("{FOLDER}{path}")).cloned())).unwrap();
        let leaves = entries.iter().map(|leaf: &Leaf| leaf_hash(&leaf.entry())).collect();
        Self { entries, leaves, keys, checkpoints }
    }

    fn sealed(&self, checkpoints: &BTreeMap<String, Vec<u8>>) -> Result<Vec<Sealed>, Finding> {
        let newest = &self.checkpoints["7"];
        let standing = ledger::standing(newest, &[]).unwrap();
        let log = Log { keys: &self.keys, standing: &standing, newest: Sha256::digest(newest).into(), leaves: &self.leaves };
        sealed(&log, checkpoints)
    }

    /// The manifest of the second and the third run, with all of it but the entries `without`.
    fn manifest(&self, without: &[u64]) -> Manifest {
        let packed = |(at, leaf): (u64, &Leaf)| Packed {
            bytes: leaf.bytes,
            entry: Some(at),
            file: leaf.path.clone(),
            path: leaf.path.clone(),
            sha256: hex(&leaf.sha256),
        };
        let files = (0..).zip(&self.entries).filter(|(at, _)| !without.contains(at)).map(packed).collect();
        let (from, to) = ("2026-03-31".parse().unwrap(), "2026-04-02".parse().unwrap());
        Manifest { format: 1, from, to, framework: None, controls: Vec::new(), raw: false, anchors: true, files }
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, Finding>) -> &'static str {
    result.unwrap_err().code
}

#[test]
fn each_checkpoint_is_one_that_the_entries_led_to_and_the_newest_is_among_them() {
    let made = Made::by(1);
    let sizes = |checkpoints: &BTreeMap<String, Vec<u8>>| -> Vec<u64> {
        made.sealed(checkpoints).unwrap().iter().map(|one| one.size).collect()
    };
    assert_eq!(sizes(&made.checkpoints), [1, 4, 7]);
    assert_eq!(sizes(&BTreeMap::new()), [7]);
    let all = made.sealed(&made.checkpoints).unwrap();
    assert_eq!(all[1].sha256, <Hash>::from(Sha256::digest(&made.checkpoints["4"])));
    assert_eq!([0, 1, 3, 6].map(|at| logged(&all, at).unwrap().to_string()[8..10].to_owned()), ["30", "31", "31", "02"]);
    assert_eq!(logged(&all, 7), None);
    assert_eq!(runs(&made.entries, &all).iter().map(|run| run.at).collect::<Vec<_>>(), [0, 3, 6]);
}

#[test]
fn a_checkpoint_of_another_log_or_key_or_under_another_name_is_none_of_them() {
    let (made, other) = (Made::by(1), Made::by(2));
    let with = |name: &str, file: &[u8]| {
        let mut all = made.checkpoints.clone();
        all.insert(name.to_owned(), file.to_vec());
        code(made.sealed(&all))
    };
    assert_eq!(with("4", &other.checkpoints["4"]), "slm::evidence-bad-checkpoint");
    assert_eq!(with("5", &made.checkpoints["4"]), "slm::evidence-bad-checkpoint");
    assert_eq!(with("4", b"x"), "slm::evidence-bad-checkpoint");
    let text = String::from_utf8(made.checkpoints["4"].clone()).unwrap();
    assert_eq!(with("4", text.replace("05:01", "05:02").as_bytes()), "slm::evidence-bad-checkpoint");
    // By somebody who has the key: of other entries, or dated before the one that it goes on.
    let signer = Signer::new("log", &[1; 32]).unwrap();
    let signed = |text: &str| super::super::log::compose(text, &[signer.sign(text).unwrap()]).unwrap().into_bytes();
    let text = text.split("\n\n").next().unwrap().to_owned() + "\n";
    let root = text.lines().nth(2).unwrap();
    let first = String::from_utf8(made.checkpoints["1"].clone()).unwrap().lines().nth(2).unwrap().to_owned();
    assert_eq!(with("4", &signed(&text.replace(root, &first))), "slm::evidence-other-root");
    assert_eq!(with("4", &signed(&text.replace("2026-03-31", "2026-03-29"))), "slm::evidence-bad-date");
}

#[test]
fn a_run_that_began_after_it_was_recorded_was_dated_back() {
    let made = Made::by(1);
    let mut sealed = made.sealed(&made.checkpoints).unwrap();
    let runs = runs(&made.entries, &[]);
    assert_eq!(dates(&sealed, &runs), []);
    sealed[1].received = began("20260331T045959Z-x").unwrap();
    let found = dates(&sealed, &runs);
    assert_eq!((found.len(), found[0].code), (1, "slm::evidence-bad-date"));
    assert!(found[0].what.starts_with("run `20260331T050000Z-bbbbbbbb` is of 2026-03-31T05:00:00Z"), "{}", found[0].what);
}

#[test]
fn a_checkpoint_a_token_or_what_became_of_one_cannot_be_left_out() {
    let made = Made::by(1);
    let runs = runs(&made.entries, &[]);
    let found = |checkpoints: &[&str], without: &[u64]| -> Vec<String> {
        let checkpoints =
            made.checkpoints.iter().filter(|(name, _)| checkpoints.contains(&name.as_str())).map(|(a, b)| (a.clone(), b.clone()));
        let sealed = made.sealed(&checkpoints.collect()).unwrap();
        withheld(&made.manifest(without), &sealed, &made.entries, &runs).into_iter().map(|finding| finding.what).collect()
    };
    // Those of the first run are not of the period.
    assert_eq!(found(&["4", "7"], &[1, 2]), [""; 0]);
    assert_eq!(found(&["1", "7"], &[]), ["the checkpoint of run `20260331T050000Z-bbbbbbbb` is of the period and was left out"]);
    assert_eq!(found(&["4", "7"], &[5]), ["entry 5, `anchors/tsa/2026/03/30/4-aaaaaaaa.tsr`, is of the period and was left out"]);
    assert_eq!(
        found(&["4", "7"], &[4]),
        ["entry 4, `anchors/2026/03/30/20260331T050000Z-bbbbbbbb.json`, is of the period and was left out"]
    );
    // One that never said it has them is of an older slm.
    let sealed = made.sealed(&BTreeMap::new()).unwrap();
    let older = Manifest { anchors: false, ..made.manifest(&[4, 5]) };
    assert_eq!(withheld(&older, &sealed, &made.entries, &runs), []);
}

#[test]
fn a_token_over_a_checkpoint_that_is_not_there_says_nothing() {
    let made = Made::by(1);
    let sealed = made.sealed(&made.checkpoints).unwrap();
    let filed = |path: &str| Filed { path: path.to_owned(), bytes: Vec::new(), logged: None };
    let files = [
        filed("anchors/tsa/2026/03/30/4-aaaaaaaa.tsr"),
        filed("anchors/2026/03/30/x.json"),
        filed("anchors/tsa/2026/03/30/3-a.tsr"),
    ];
    let found = over_nothing(&sealed, &files);
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), ["slm::bundle-lacks"]);
    assert_eq!(found[0].what, "there is no `log/checkpoints/3`, which `anchors/tsa/2026/03/30/3-a.tsr` is over");
}
