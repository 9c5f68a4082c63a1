//! Children of this test binary that are killed at random instants. `SLM_SEED` repeats a run, `SLM_KILLS` says how many.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, SystemTime};

/// `SLM_SEED`, or what the clock makes of it.
pub fn seed() -> u64 {
    let clock = || u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    std::env::var("SLM_SEED").ok().map_or_else(clock, |text| text.parse().expect("SLM_SEED is a number"))
}

/// Random numbers from a seed that is said, so that a failure shows it.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Self::of(seed())
    }

    /// Those of `seed`.
    pub fn of(seed: u64) -> Self {
        say(format_args!("SLM_SEED={seed}"));
        Self(seed)
    }

    /// Splitmix64, below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A pause shorter than `micros` microseconds.
    pub fn pause(&mut self, micros: u64) -> Duration {
        Duration::from_micros(self.below(micros))
    }
}

/// How many kills: `SLM_KILLS`, or `few`.
pub fn kills(few: u64) -> u64 {
    std::env::var("SLM_KILLS").map_or(few, |text| text.parse().expect("SLM_KILLS is a number"))
}

/// A running child.
pub struct Victim {
    child: Child,
    said: Receiver<String>,
}

impl Victim {
    /// Runs the ignored test `name` of this binary, which gets `folder` and `order` from [`told`].
    pub fn start(name: &str, folder: &Path, order: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--ignored", "--nocapture"]).env("SLM_TEST_FOLDER", folder).env("SLM_TEST_ORDER", order);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, said }
    }

    /// Kills it this long after the first thing it said; everything it said.
    pub fn kill_after(mut self, pause: Duration) -> Vec<String> {
        let first = self.said.recv_timeout(Duration::from_secs(60)).expect("the child says something");
        std::thread::sleep(pause);
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.code().is_none(), "the child ended by itself: {status} {:?}", self.said.iter().collect::<Vec<_>>());
        std::iter::once(first).chain(self.said.iter()).collect()
    }

    /// Waits until it ended well; everything it said.
    pub fn finish(mut self) -> Vec<String> {
        let said: Vec<_> = self.said.iter().collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status} {said:?}");
        said
    }
}

/// What a child was started with; `None` when nobody started this test as a child.
pub fn told() -> Option<(PathBuf, String)> {
    Some((PathBuf::from(std::env::var_os("SLM_TEST_FOLDER")?), std::env::var("SLM_TEST_ORDER").ok()?))
}

/// Tells the parent one line, in one write.
pub fn say(line: impl Display) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Temporary files of atomic writes in `folder`.
pub fn partial(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".slm-")).collect()
}
