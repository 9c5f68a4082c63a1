//! How far a stage has come, for people who wait: a bar on a terminal, plain lines elsewhere, nothing within the first second.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Format, Global};

/// What takes no longer is not told.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pause between two drawings of a bar.
const FRAME: Duration = Duration::from_millis(100);
/// Pause between two plain lines, which stay in a log.
const AGAIN: Duration = Duration::from_secs(30);

/// A stage under way; it is over when this is dropped.
pub(super) struct Progress {
    done: Arc<AtomicU64>,
    teller: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// `count` more of it is done.
    pub(super) fn tick(&self, count: usize) {
        self.done.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((under_way, teller)) = self.teller.take() {
            drop(under_way);
            let _ = teller.join();
        }
    }
}

impl Global {
    /// Tells on standard error how far `what` has come, in `of` parts; 0 when it has none. Nothing is told when asked to be quiet,
    /// and to programs: with `--format json` and `--log-json`.
    pub(super) fn progress(&self, what: String, of: usize) -> Progress {
        let done = Arc::new(AtomicU64::new(0));
        if self.quiet || self.log_json || self.format == Format::Json {
            return Progress { done, teller: None };
        }
        let (under_way, over) = mpsc::channel();
        let stage = Stage { what, of: of as u64, done: Arc::clone(&done), begun: Instant::now() };
        let teller = std::thread::Builder::new().spawn(move || stage.tell(&over));
        Progress { done, teller: teller.ok().map(|teller| (under_way, teller)) }
    }
}

struct Stage {
    what: String,
    of: u64,
    done: Arc<AtomicU64>,
    begun: Instant,
}

impl Stage {
    fn tell(&self, over: &Receiver<()>) {
        let over = |within| over.recv_timeout(within) != Err(RecvTimeoutError::Timeout);
        if over(PATIENCE) {
            return;
        }
        if std::io::stderr().is_terminal() { self.draw(over) } else { self.write(over) }
    }

    fn draw(&self, over: impl Fn(Duration) -> bool) {
        let shape = if self.of == 0 { "{spinner} {msg}  {elapsed}" } else { "{spinner} {msg}  {bar:24} {pos} of {len}  {elapsed}" };
        let style = ProgressStyle::with_template(shape).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(self.of).with_style(style).with_message(self.what.clone()).with_elapsed(self.begun.elapsed());
        loop {
            bar.set_position(self.done.load(Ordering::Relaxed));
            bar.tick();
            if over(FRAME) {
                return bar.finish_and_clear();
            }
        }
    }

    fn write(&self, over: impl Fn(Duration) -> bool) {
        loop {
            let _ = std::io::stderr().write_all(self.line(self.begun.elapsed().as_secs()).as_bytes());
            if over(AGAIN) {
                return;
            }
        }
    }

    fn line(&self, seconds: u64) -> String {
        let Self { what, of, .. } = self;
        match of {
            0 => format!("{what}: {seconds} s so far\n"),
            _ => format!("{what}: {} of {of} done, {seconds} s so far\n", self.done.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn stage(of: u64) -> Stage {
        Stage { what: "applying 3 actions".to_owned(), of, done: Arc::new(AtomicU64::new(2)), begun: Instant::now() }
    }

    #[test]
    fn a_plain_line_says_how_much_is_done_where_that_can_be_counted() {
        assert_eq!(stage(3).line(7), "applying 3 actions: 2 of 3 done, 7 s so far\n");
        assert_eq!(stage(0).line(7), "applying 3 actions: 7 s so far\n");
    }

    #[test]
    fn a_stage_that_is_over_is_drawn_no_more() {
        let frames = Cell::new(0);
        stage(3).draw(|within| {
            assert_eq!(within, FRAME);
            frames.set(frames.get() + 1);
            frames.get() == 3
        });
        assert_eq!(frames.get(), 3);
    }
}
