//! The application side of a rotation: watches secrets, renders files, has them taken into use, and proves it to slm.
//!
//! What is done next is derived from the source, the files and the stamp beside them, so that a process killed anywhere leaves a
//! whole file and the next one goes on. While a source is down the last good files stay as they are.

mod act;
pub mod config;
mod files;
mod serve;
mod source;
mod supervisor;
mod watched;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rand_core::{OsRng, RngCore};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::act::Application;
use self::config::Config;
use self::files::Files;
use self::serve::{Place, Word};
use self::watched::{Board, Watched};
use crate::model::catalog::SecretRef;
use crate::transport::attest::Key;
use crate::world::{Clock, ErrorClass, WorldError};

/// The longest wait for a source that is down, unless `poll` is longer.
const LONGEST: Duration = Duration::from_mins(5);
/// Words that may wait for the loop of a secret.
const WORDS: usize = 16;
/// Writers save in several steps; a burst is one change.
const SETTLE: Duration = Duration::from_millis(10);

/// Everything `config` asks for, made and not yet begun.
pub struct Agent {
    config: Config,
    watched: Vec<Watched>,
    key: Option<Key>,
}

impl Agent {
    /// What `config` asks for. Templates and the key are read; nothing is changed, and no source is asked.
    ///
    /// # Errors
    /// What is wrong with a file it names.
    pub async fn new(config: Config, clock: &Arc<dyn Clock>) -> Result<Self, WorldError> {
        let key = config.attest.as_ref().map(|attest| source::key(&config, attest)).transpose()?;
        let sources = source::Sources::new(&config, clock).await;
        let mut watched = Vec::new();
        for one in &config.secret {
            let (store, region) = sources.store(&one.source)?;
            let secret = SecretRef { source: one.source.clone(), region, name: one.name.clone() };
            watched.push(Watched::new(secret, store, Files::new(&config, one)?, Application::new(&config, one)));
        }
        Ok(Self { config, watched, key })
    }

    /// Runs until it is asked to end, or once through everything with `once`; gives what is in the way then, one line a secret.
    ///
    /// # Errors
    /// When it cannot listen or take signals.
    pub async fn run(self, once: bool) -> Result<Vec<String>, WorldError> {
        let mut watched = self.watched;
        if once {
            let mut troubles = Vec::new();
            for one in &mut watched {
                troubles.extend(one.pass().await.err().map(|error| error.to_string()));
            }
            return Ok(troubles);
        }
        let boards: Vec<(String, Board)> = watched.iter().map(|one| (one.secret.name.clone(), Arc::clone(&one.board))).collect();
        let (mut ears, mut mouths) = (Vec::new(), Vec::new());
        for _ in &watched {
            let (mouth, ear) = mpsc::channel(WORDS);
            mouths.push(mouth);
            ears.push(ear);
        }
        let mut tasks = JoinSet::new();
        if let (Some(attest), Some(key)) = (&self.config.attest, self.key) {
            let places = self.config.secret.iter().zip(&watched).zip(&mouths).map(|((secret, one), words)| Place {
                credential: secret.credential.clone(),
                consumer: secret.consumer.clone(),
                board: Arc::clone(&one.board),
                words: words.clone(),
            });
            let serving = serve::serve(attest.listen, key, places.collect()).await;
            tasks.spawn(serving.map_err(|cause| failed(&format!("listen at {}", attest.listen), &cause))?);
        }
        // It has to be kept: it stops when it is dropped.
        let _watchers = source::watch(&self.config, &mouths);
        let (passed, mut passes) = mpsc::channel(WORDS);
        for (one, ear) in watched.into_iter().zip(ears) {
            tasks.spawn(keep(one, ear, self.config.poll(), passed.clone()));
        }
        drop(passed);
        let mut signals = supervisor::Signals::new().map_err(|cause| failed("take signals", &cause))?;
        let mut ready = 0;
        loop {
            tokio::select! {
                Some(()) = passes.recv() => {
                    ready += 1;
                    supervisor::tell(ready >= boards.len(), &state(&boards));
                }
                again = signals.next() => {
                    if !again {
                        supervisor::stopping();
                        return Ok(troubles(&boards));
                    }
                    for mouth in &mouths {
                        let _ = mouth.try_send(Word::Again);
                    }
                }
            }
        }
    }
}

/// The loop of one secret: a pass, then a wait that a word ends early.
async fn keep(mut one: Watched, mut words: mpsc::Receiver<Word>, poll: Duration, passed: mpsc::Sender<()>) {
    let (mut failures, mut said, mut done) = (0_u32, None, None);
    loop {
        let result = one.pass().await;
        failures = if result.is_ok() { 0 } else { failures.saturating_add(1) };
        say(&one, result.as_ref().err(), &mut said);
        if let Some(done) = done.take() {
            let _: Result<(), ()> = tokio::sync::oneshot::Sender::send(done, ());
        }
        if passed.send(()).await.is_err() {
            return;
        }
        let end = Instant::now() + spread(wait(poll, failures));
        let word = tokio::select! {
            word = words.recv() => word,
            () = sleep_until(end) => Some(Word::Look),
        };
        let told = match word {
            None => return,
            Some(Word::Look) => {
                tokio::time::sleep(SETTLE).await;
                Ok(())
            }
            Some(Word::Again) => one.again(None),
            Some(Word::Take(version, sender)) => {
                done = Some(sender);
                one.tell(version)
            }
        };
        if let Err(error) = told {
            tracing::warn!("{error}");
        }
    }
}

/// Says what changed since it was said last, and no more.
fn say(one: &Watched, error: Option<&WorldError>, said: &mut Option<String>) {
    let now = error.map(ToString::to_string);
    match (&now, said.is_some()) {
        (Some(trouble), _) if now != *said => tracing::warn!(secret = %one.secret.name, "{trouble}; its files stay"),
        (None, true) => tracing::info!(secret = %one.secret.name, "well again"),
        _ => {}
    }
    *said = now;
}

/// The wait after `failures` in a row: twice as long each time, and never shorter than `poll`.
fn wait(poll: Duration, failures: u32) -> Duration {
    let doubled = poll.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(LONGEST.max(poll))
}

/// `wait`, up to a tenth longer or shorter, so that many agents do not ask at once.
fn spread(wait: Duration) -> Duration {
    wait.mul_f64(0.9 + 0.2 * f64::from(OsRng.next_u32()) / f64::from(u32::MAX))
}

fn troubles(boards: &[(String, Board)]) -> Vec<String> {
    boards.iter().filter_map(|(_, board)| board.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()).collect()
}

/// One line for who supervises: how many are watched, and what is wrong with the first that is not well.
fn state(boards: &[(String, Board)]) -> String {
    let mut text = format!("{} secrets", boards.len());
    for (name, board) in boards {
        let known = board.lock().unwrap_or_else(PoisonError::into_inner);
        match (&known.trouble, known.seen.filter(|_| known.down)) {
            (Some(_), Some(seen)) => text.push_str(&format!("; `{name}` not seen for {} s", seen.elapsed().as_secs())),
            (Some(_), None) if known.down => text.push_str(&format!("; `{name}` never seen")),
            (Some(_), None) => text.push_str(&format!("; `{name}` not in use as it is in force")),
            (None, _) => {}
        }
    }
    text
}

fn failed(operation: &str, cause: &std::io::Error) -> WorldError {
    WorldError { class: ErrorClass::Permanent, operation: operation.to_owned(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_down_is_asked_ever_less_often() {
        let poll = Duration::from_secs(60);
        let waits: Vec<u64> = (0..6).map(|failures| wait(poll, failures).as_secs()).collect();
        assert_eq!(waits, [60, 60, 120, 240, 300, 300]);
        assert_eq!(wait(Duration::from_hours(1), 40), Duration::from_hours(1));
        assert!((0..100).all(|_| (54..=66).contains(&spread(poll).as_secs())));
    }
}
