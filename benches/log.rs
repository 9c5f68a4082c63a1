//! Figures of the log of hashes: what it costs to append to it and to prove from it, in CPU time, as it grows.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::io;

use sha2::{Digest, Sha256};
use slm::record::leaf::Leaf;
use slm::record::log::{Appender, Head, Tiles, leaf_hash, root_of, verify_consistency, verify_inclusion};

/// Sizes of the log, in entries.
const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// What one run of a quiet day adds.
const RUN: u64 = 30;
/// CPU time that a measurement takes at least, in microseconds.
const LEAST: f64 = 200_000.0;

/// CPU time of this process, which has one thread, in microseconds.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1_000.0
}

/// CPU time of one `work`, the mean of as many as it takes.
fn each(mut work: impl FnMut()) -> f64 {
    let (start, mut times) = (cpu_us(), 0.0);
    loop {
        work();
        times += 1.0;
        let spent = cpu_us() - start;
        if spent >= LEAST {
            return spent / times;
        }
    }
}

/// The entry of an artefact, as the locker has them.
fn entry(number: u64) -> Vec<u8> {
    let bytes = number.to_le_bytes();
    Leaf::of(&format!("raw/20261124T050000Z-00000000/{:02}/{number:06}.json", number % 100), &bytes).entry()
}

/// A log in memory.
struct Log {
    head: Head,
    files: BTreeMap<String, Vec<u8>>,
}

impl Log {
    fn empty() -> Self {
        Self { head: Head { size: 0, root: root_of(&[]) }, files: BTreeMap::new() }
    }

    fn read(&self) -> impl FnMut(&str) -> io::Result<Option<Vec<u8>>> {
        |path| Ok(self.files.get(path).cloned())
    }

    /// The log with `entries` at its end, and how many files that wrote.
    fn with(&self, entries: &[Vec<u8>]) -> slm::record::log::Appended {
        let mut log = Appender::open(&self.head, self.read()).unwrap();
        for entry in entries {
            log.push(entry).unwrap();
        }
        log.finish()
    }

    fn take(&mut self, appended: slm::record::log::Appended) {
        appended.superseded.iter().for_each(|path| drop(self.files.remove(path)));
        self.files.extend(appended.write);
        self.head = appended.head;
    }
}

/// What was measured at one size, in microseconds.
struct At {
    entry: f64,
    hashing: f64,
    run: f64,
    again: f64,
    inclusion: f64,
    consistency: f64,
    hashes: usize,
}

fn measure(size: u64) -> At {
    let entries: Vec<_> = (0..size).map(entry).collect();
    let mut log = Log::empty();
    let count = size as f64;
    let whole = each(|| drop(log.with(&entries)));
    let hashing = each(|| entries.iter().for_each(|entry| _ = std::hint::black_box(Sha256::digest(entry))));
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let again = each(|| _ = std::hint::black_box(root_of(&leaves)));
    log.take(log.with(&entries));
    assert_eq!(log.head.root, root_of(&leaves), "the tiles hash to the root of all leaves");
    let next: Vec<_> = (size..size + RUN).map(self::entry).collect();
    let run = each(|| drop(log.with(&next)));
    let (mut state, mut hashes) = (size, 0);
    let inclusion = each(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let index = (state >> 33) % size;
        let proof = Tiles::new(size, log.read()).prove_inclusion(index).unwrap();
        verify_inclusion(&leaves[index as usize], index, &log.head, &proof).unwrap();
        hashes = hashes.max(proof.len());
    });
    let old = log.head;
    log.take(log.with(&next));
    let consistency = each(|| {
        let proof = Tiles::new(log.head.size, log.read()).prove_consistency(old.size).unwrap();
        verify_consistency(&old, &log.head, &proof).unwrap();
    });
    At { entry: whole / count, hashing: hashing / count, run, again, inclusion, consistency, hashes }
}

fn main() {
    let all: Vec<_> = SIZES.into_iter().map(measure).collect();
    let [.., last] = &all[..] else { unreachable!("there are four sizes") };
    let listed = |of: fn(&At) -> f64| {
        SIZES.iter().zip(&all).map(|(size, at)| format!("\"{size}\":{:.2}", of(at))).collect::<Vec<_>>().join(",")
    };
    println!(
        r#"{{"figure":"log.append_us","value":{:.2},"unit":"us an entry","by_size":{{{}}},"against":"SHA-256 of the entry alone {:.2} us"}}"#,
        last.entry,
        listed(|at| at.entry),
        last.hashing
    );
    println!(
        r#"{{"figure":"log.append_run_us","value":{:.0},"unit":"us for {RUN} more","by_size":{{{}}},"against":"all leaves hashed again {:.0} us"}}"#,
        last.run,
        listed(|at| at.run),
        last.again
    );
    println!(
        r#"{{"figure":"log.prove_us","value":{:.0},"unit":"us, made from cold tiles and checked","by_size":{{{}}},"hashes":{},"against":"all leaves hashed again {:.0} us"}}"#,
        last.inclusion,
        listed(|at| at.inclusion),
        last.hashes,
        last.again
    );
    println!(
        r#"{{"figure":"log.consistency_us","value":{:.0},"unit":"us, made from cold tiles and checked","by_size":{{{}}},"against":"all leaves hashed again {:.0} us"}}"#,
        last.consistency,
        listed(|at| at.consistency),
        last.again
    );
}
