//! Figures of the history of a locker: opening that of one control, in CPU milliseconds, whatever else was recorded.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and stops at the first surprise"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use slm::host::history::History;
use slm::model::time::Timestamp;

/// Runs that a locker of a decade of three runs a day has.
const RUNS: usize = 10_000;
/// The figure is the mean of this many openings.
const ROUNDS: u32 = 20;
/// Ticks a second in `/proc`; fixed on Linux.
const TICKS: f64 = 100.0;
/// Controls beside the one that is asked for.
const CONTROLS: usize = 20;

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS
}

/// A locker of `runs` runs, each of which changed one line of the control that is asked for and of one other.
fn locker(runs: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("git").args(["init", "-q"]).arg(folder.path()).status().unwrap().success());
    let mut child =
        Command::new("git").arg("-C").arg(folder.path()).args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufWriter::new(child.stdin.take().unwrap());
    for run in 0..runs {
        let at = 1_500_000_000 + run * 28_800;
        let id = format!("r{run:06}");
        let day = Timestamp::from_second(i64::try_from(at).unwrap()).unwrap().strftime("%Y/%m/%d");
        let message = format!("run {id}: 0 of 0 actions done\n");
        write!(
            out,
            "commit refs/heads/slm/evidence\nauthor slm <slm@localhost> {at} +0000\ncommitter slm <slm@localhost> {at} +0000\n"
        )
        .unwrap();
        write!(out, "data {}\n{message}", message.len()).unwrap();
        let decisions =
            (0..20).map(|line| format!("{{\"resource\":\"{line}\",\"seen\":{}}}\n", if line == run % 20 { run } else { 0 }));
        let decisions: String = decisions.collect();
        let file = format!("{{\"run\":{{\"id\":\"{id}\"}}}}\n");
        for (path, text) in [
            ("decisions/ROT-01.jsonl".to_owned(), &decisions),
            (format!("decisions/OTH-{:02}.jsonl", run % CONTROLS), &decisions),
            (format!("runs/{day}/{id}.json"), &file),
        ] {
            write!(out, "M 100644 inline {path}\ndata {}\n{text}\n", text.len()).unwrap();
        }
    }
    drop(out);
    assert!(child.wait().unwrap().success());
    folder
}

/// Milliseconds of CPU that opening the history of the control takes, and of time that making the index took.
fn measured(runs: usize) -> (f64, f64) {
    let folder = locker(runs);
    let open = |root: &Path| {
        let mut history = History::open(root, "slm/evidence").unwrap();
        let versions = history.versions("decisions/ROT-01.jsonl").unwrap();
        assert_eq!((history.commits().len(), versions.len()), (runs, runs));
    };
    let began = Instant::now();
    open(folder.path());
    let made = began.elapsed().as_secs_f64() * 1_000.0;
    let before = cpu();
    (0..ROUNDS).for_each(|_| open(folder.path()));
    ((cpu() - before) * 1_000.0 / f64::from(ROUNDS), made)
}

fn main() {
    let all: Vec<_> = [RUNS, 2 * RUNS, 4 * RUNS].map(measured).to_vec();
    println!(
        "{{\"figure\":\"history.cpu_ms\",\"value\":{:.2},\"unit\":\"ms\",\"against\":\"10 ms; {RUNS} runs, made from git alone in {:.0} ms\"}}",
        all[0].0, all[0].1
    );
    println!(
        "{{\"figure\":\"growth.history\",\"value\":{:.2},\"unit\":\"x for 4x\",\"against\":\"10k {:.1} ms, 20k {:.1} ms, 40k {:.1} ms\"}}",
        all[2].0 / all[0].0,
        all[0].0,
        all[1].0,
        all[2].0
    );
}
