//! Figures of `slm verify`: a million artefacts in a hundred runs, in CPU time, beside SHA-256 of the same bytes and git reading them out.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use sha1::Sha1;
use sha2::{Digest, Sha256};
use slm::host::git::Locker;
use slm::host::verify;
use slm::model::catalog::LockerSettings;
use slm::model::time::Timestamp;
use slm::record::leaf::Leaf;
use slm::record::ledger::Ledger;
use slm::record::log::{Signer, leaf_hash, node_hash};
use slm::world::Clock;

#[path = "parts/artefacts.rs"]
mod artefacts;
#[path = "parts/cpu.rs"]
mod cpu;

use artefacts::artefacts;
use cpu::cpu;

/// Artefacts of a run.
const EACH: usize = 10_000;

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn at(run: usize) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + 86_400 * run as i64).unwrap()
}

/// What is in the artefacts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// What hardly compresses, and is kept as it is.
    Digests,
    /// Lines as of decisions, of the same length.
    Lines,
}

/// What run `number` leaves.
fn artefacts_of(number: usize, of: Of) -> BTreeMap<String, Vec<u8>> {
    let id = format!("20261118T{number:06}Z-00000000");
    let mut files = artefacts(&id, number as u64 + 1, EACH);
    if of == Of::Lines {
        for (at, bytes) in files.values_mut().enumerate() {
            let line = |member: usize| {
                format!(
                    r#"{{"because":{{"permitted":["ROT-01"]}},"entity":"Vault::Secret","observed":{{"max_age_days":60}},"resource":"vault:local/app/{number}/{at}/{member}","status":"compliant"}}"#
                )
            };
            *bytes = (0..).flat_map(|member| format!("{}\n", line(member)).into_bytes()).take(bytes.len()).collect();
        }
    }
    let text = format!("{{\"format\":1,\"run\":{{\"at\":\"{}\",\"id\":\"{id}\"}}}}\n", at(number));
    files.insert(format!("runs/{id}.json"), text.into_bytes());
    files
}

/// What reading one locker took.
struct Took {
    bytes: u64,
    cpu: f64,
    wall: f64,
    plain: f64,
    digests: f64,
    git: f64,
    record: f64,
}

/// The digests of one file that nobody who checks it can do without: its name in git, its SHA-256, that of its entry, and one of two nodes.
fn digests(path: &str, bytes: &[u8]) {
    let name = Sha1::new().chain_update(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize();
    let leaf = leaf_hash(&Leaf::of(path, bytes).entry());
    std::hint::black_box((name, node_hash(&leaf, &leaf)));
}

/// What SHA-256 of the files takes, then all of their digests, then recording them.
fn locker(folder: &Path, runs: usize, of: Of) -> [f64; 3] {
    assert!(Command::new("git").args(["init", "-q", "--bare"]).arg(folder).status().unwrap().success());
    let [mut plain, mut due, mut record] = [0.0; 3];
    for run in 0..runs {
        let files = artefacts_of(run, of);
        let before = cpu().0;
        files.values().for_each(|bytes| _ = std::hint::black_box(Sha256::digest(bytes)));
        let hashed = cpu().0;
        files.iter().for_each(|(path, bytes)| digests(path, bytes));
        let begun = cpu().0;
        let signer = Signer::new("acme.example/slm", &[7; 32]).unwrap();
        let ledger = Ledger::new("acme.example/slm".to_owned(), Some(signer), None);
        let locker = Locker::open(folder, &LockerSettings::default(), None).unwrap().logged(ledger, Arc::new(At(at(run))));
        let message = format!("run 20261118T{run:06}Z-00000000: 0 of 0 actions done");
        locker.append(|_| files.clone(), &message, at(run)).unwrap();
        plain += hashed - before;
        due += begun - hashed;
        record += cpu().0 - begun;
    }
    [plain, due, record]
}

/// What git takes to read the same objects out, whole.
fn git(folder: &Path) -> f64 {
    let before = cpu().1;
    let all = ["cat-file", "--batch", "--batch-all-objects", "--unordered"];
    let status = Command::new("git").arg("--git-dir").arg(folder).args(all).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    cpu().1 - before
}

fn measure(runs: usize, of: Of) -> Took {
    let folder = tempfile::tempdir().unwrap();
    let [plain, digests, record] = locker(folder.path(), runs, of);
    let (before, start) = (cpu().0, Instant::now());
    let read = verify::history(folder.path(), "slm/evidence", None).unwrap();
    let (cpu, wall) = (cpu().0 - before, start.elapsed().as_secs_f64());
    assert_eq!(read.finding, None);
    let (commits, artefacts, bytes) = read.chain.counts();
    assert_eq!((commits, artefacts), (runs as u64, (runs * (EACH + 1)) as u64));
    Took { bytes, cpu, wall, plain, digests, git: git(folder.path()), record }
}

fn main() {
    let all = [25, 50, 100].map(|runs| measure(runs, Of::Digests));
    let [quarter, half, Took { bytes, cpu, wall, plain, digests, git, record }] = all;
    let gb = bytes as f64 / 1e9;
    println!(
        r#"{{"figure":"verify.sha256_ratio","value":{:.2},"unit":"CPU over SHA-256 of the same bytes","artefacts":{},"gb_per_cpu_s":{:.2},"gb_per_s":{:.2},"against":"SHA-256 alone {:.2} GB/s; git cat-file of the same {:.2} GB a CPU second; digests, which hardly compress"}}"#,
        cpu / plain,
        100 * (EACH + 1),
        gb / cpu,
        gb / wall,
        gb / plain,
        gb / git
    );
    let lines = measure(100, Of::Lines);
    println!(
        r#"{{"figure":"verify.digests_ratio","value":{:.2},"unit":"CPU over the digests alone","lines_that_compress":{:.2},"against":"of each file SHA-1, by which git names it, SHA-256, SHA-256 of its entry, and one node of the log: {digests:.1} CPU s; the rest is inflating, trees and reading"}}"#,
        cpu / digests,
        lines.cpu / lines.digests
    );
    println!(
        r#"{{"figure":"verify.text_ratio","value":{:.2},"unit":"CPU over SHA-256 of the same bytes","gb_per_s":{:.2},"against":"SHA-256 alone {:.2} GB/s; git cat-file of the same {:.2} GB a CPU second; as many artefacts as long, of lines that compress"}}"#,
        lines.cpu / lines.plain,
        lines.bytes as f64 / 1e9 / lines.wall,
        lines.bytes as f64 / 1e9 / lines.plain,
        lines.bytes as f64 / 1e9 / lines.git
    );
    println!(
        r#"{{"figure":"verify.s","value":{cpu:.1},"unit":"CPU s","wall_s":{wall:.1},"gb":{gb:.2},"recorded_in_cpu_s":{record:.1}}}"#
    );
    println!(
        r#"{{"figure":"growth.verify","value":{:.2},"unit":"x for 4x","against":"25 runs {:.1} s, 50 runs {:.1} s, 100 runs {cpu:.1} s"}}"#,
        cpu / quarter.cpu,
        quarter.cpu,
        half.cpu
    );
}
