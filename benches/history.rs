//! Figures of the history of a locker: opening that of one control over 10,000 runs, in CPU time, beside git walking the same history.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use git2::{Oid, Repository};
use slm::host::history::History;
use slm::host::pack::{Kind, Pack};
use slm::model::time::Timestamp;

#[path = "parts/cpu.rs"]
mod cpu;

use cpu::cpu;

/// Runs that a locker of a decade of three runs a day has.
const RUNS: usize = 10_000;
/// The figure is the mean of this many openings.
const ROUNDS: u32 = 200;
/// Changes that are shown where nobody asks for more.
const SHOWN: usize = 20;
/// Controls beside the one that is asked for.
const CONTROLS: usize = 20;
/// Subjects of a control.
const SUBJECTS: usize = 20;
const CONTROL: &str = "decisions/ROT-01.jsonl";

/// A folder in git.
type Folder = BTreeMap<String, Oid>;

/// A tree of `entries`, which are all folders or all files.
fn tree(pack: &mut Pack, mode: &str, entries: &Folder) -> Oid {
    let mut bytes = Vec::new();
    for (name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        bytes.extend_from_slice(id.as_bytes());
    }
    pack.add(Kind::Tree, &bytes).unwrap()
}

/// The files of runs by their days, as far as they were written.
#[derive(Default)]
struct Dated {
    at: [String; 3],
    /// All of them, those of the year, of the month and of the day.
    folders: [Folder; 4],
}

impl Dated {
    /// The tree of all runs, with one more.
    fn with(&mut self, pack: &mut Pack, day: [String; 3], name: String, file: Oid) -> Oid {
        if let Some(level) = (0..3).find(|level| self.at[*level] != day[*level]) {
            self.folders[level + 1..].iter_mut().for_each(Folder::clear);
        }
        self.folders[3].insert(name, file);
        let mut id = tree(pack, "100644", &self.folders[3]);
        for level in (0..3).rev() {
            self.folders[level].insert(day[level].clone(), id);
            id = tree(pack, "40000", &self.folders[level]);
        }
        self.at = day;
        id
    }
}

/// A locker of `runs` runs, each of which changed one line of the control that is asked for and of one other. One pack, as `git gc` leaves
/// it, without looking for what is alike.
fn locker(runs: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let repo = Repository::init(folder.path()).unwrap();
    let mut pack = Pack::default();
    let (mut decisions, mut dated) = (Folder::new(), Dated::default());
    let mut parent: Option<Oid> = None;
    for run in 0..runs {
        let at = 1_500_000_000 + i64::try_from(run).unwrap() * 28_800;
        let id = format!("r{run:06}");
        let said = (0..SUBJECTS)
            .map(|line| format!("{{\"resource\":\"{line}\",\"seen\":{}}}\n", if line == run % SUBJECTS { run } else { 0 }));
        let said = pack.add(Kind::Blob, said.collect::<String>().as_bytes()).unwrap();
        decisions.insert("ROT-01.jsonl".to_owned(), said);
        decisions.insert(format!("OTH-{:02}.jsonl", run % CONTROLS), said);
        let file = pack.add(Kind::Blob, format!("{{\"run\":{{\"id\":\"{id}\"}}}}\n").as_bytes()).unwrap();
        let day = ["%Y", "%m", "%d"].map(|part| Timestamp::from_second(at).unwrap().strftime(part).to_string());
        let all = [
            ("decisions".to_owned(), tree(&mut pack, "100644", &decisions)),
            ("runs".to_owned(), dated.with(&mut pack, day, format!("{id}.json"), file)),
        ];
        let root = tree(&mut pack, "40000", &Folder::from(all));
        let before = parent.map_or_else(String::new, |parent| format!("parent {parent}\n"));
        let who = format!("slm <slm@localhost> {at} +0000");
        let text = format!("tree {root}\n{before}author {who}\ncommitter {who}\n\nrun {id}: 0 of 0 actions done\n");
        parent = Some(pack.add(Kind::Commit, text.as_bytes()).unwrap());
    }
    pack.write(&repo.path().join("objects/pack")).unwrap();
    repo.odb().unwrap().refresh().unwrap();
    repo.reference("refs/heads/slm/evidence", parent.unwrap(), true, "bench").unwrap();
    folder
}

/// What `slm explain --history` shows: the newest changes, and the text of the newest version.
fn shown(root: &Path) {
    let mut history = History::open(root, "slm/evidence").unwrap();
    let versions = history.versions(CONTROL).unwrap();
    let newest = &versions[versions.len() - SHOWN..];
    let changes = history.changes(CONTROL, newest).unwrap();
    assert!(changes.len() == SHOWN && changes.iter().all(|change| change.lines().count() >= 2));
    assert_eq!(history.text(&newest[SHOWN - 1]).unwrap().lines().count(), SUBJECTS);
}

/// What one locker took.
struct Took {
    /// CPU milliseconds of one opening.
    open: f64,
    /// CPU milliseconds of one showing.
    shown: f64,
    /// CPU seconds of making the index.
    made: f64,
    /// Megabytes of the index.
    index: f64,
    /// CPU milliseconds of git walking the history.
    git: f64,
}

fn open(root: &Path, runs: usize) {
    let mut history = History::open(root, "slm/evidence").unwrap();
    let versions = history.versions(CONTROL).unwrap();
    assert_eq!((history.commits().len(), versions.len()), (runs, runs));
}

fn measured(runs: usize) -> Took {
    let folder = locker(runs);
    let root = folder.path();
    let before = cpu().0;
    open(root, runs);
    let made = cpu().0;
    (0..ROUNDS).for_each(|_| open(root, runs));
    let opened = cpu();
    (0..ROUNDS).for_each(|_| shown(root));
    let told = cpu();
    let output =
        Command::new("git").arg("-C").arg(root).args(["log", "--format=%H", "slm/evidence", "--", CONTROL]).output().unwrap();
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), runs);
    Took {
        open: (opened.0 - made) * 1_000.0 / f64::from(ROUNDS),
        made: made - before,
        index: megabytes(&root.join(".git/slm")),
        shown: (told.0 - opened.0) * 1_000.0 / f64::from(ROUNDS),
        git: (cpu().1 - told.1) * 1_000.0,
    }
}

fn megabytes(folder: &Path) -> f64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let sizes = entries.map(|entry| {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { megabytes(&entry.path()) } else { meta.len() as f64 / 1e6 }
    });
    sizes.sum()
}

fn main() {
    let [once, twice, four] = [RUNS, 2 * RUNS, 4 * RUNS].map(measured);
    let Took { open, shown, made, index, git } = once;
    println!(
        r#"{{"figure":"history.cpu_ms","value":{open:.2},"unit":"ms","against":"a goal of 10 ms; git log of the same file {git:.0} ms; {RUNS} runs","index_mb":{index:.1},"index_made_cpu_s":{made:.2}}}"#
    );
    println!(
        r#"{{"figure":"history.shown_cpu_ms","value":{shown:.2},"unit":"ms","against":"a goal of 10 ms; opening it without any text {open:.2} ms; the newest {SHOWN} changes and the newest version, of {RUNS} runs"}}"#
    );
    println!(
        r#"{{"figure":"growth.history","value":{:.2},"unit":"x for 4x","against":"10k {open:.2} ms, 20k {:.2} ms, 40k {:.2} ms; the index made anew {made:.1} s, {:.1} s, {:.1} s"}}"#,
        four.open / open,
        twice.open,
        four.open,
        twice.made,
        four.made
    );
}
