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
mod together;
mod watched;

use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::act::Application;
use self::config::Config;
use self::files::Files;
use self::serve::{Place, Word};
use self::watched::{Board, Watched};
use crate::model::catalog::SecretRef;
use crate::transport::attest::Key;
use crate::world::{Clock, ErrorClass, WorldError};

/// Passes that may wait to be counted.
const PASSES: usize = 16;

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
        let boards: Vec<(String, Board)> =
            self.watched.iter().map(|one| (one.secret.name.clone(), Arc::clone(&one.board))).collect();
        let (mut applications, mouths) = together::together(self.watched, self.config.poll());
        if once {
            let mut troubles = Vec::new();
            for (together, _) in &mut applications {
                troubles.extend(together.pass().await.into_iter().map(|error| error.to_string()));
            }
            return Ok(troubles);
        }
        let mut tasks = JoinSet::new();
        if let (Some(attest), Some(key)) = (&self.config.attest, self.key) {
            let places = self.config.secret.iter().zip(&boards).zip(&mouths).map(|((secret, (_, board)), mouth)| Place {
                credential: secret.credential.clone(),
                consumer: secret.consumer.clone(),
                board: Arc::clone(board),
                mouth: mouth.clone(),
            });
            let serving = serve::serve(attest.listen, key, places.collect()).await;
            tasks.spawn(serving.map_err(|cause| failed(&format!("listen at {}", attest.listen), &cause))?);
        }
        // It has to be kept: it stops when it is dropped.
        let _watchers = source::watch(&self.config, &mouths);
        let (passed, mut passes) = mpsc::channel(PASSES);
        let all = applications.len();
        for (together, ear) in applications {
            tasks.spawn(together.keep(ear, self.config.settle(), passed.clone()));
        }
        drop(passed);
        let mut signals = supervisor::Signals::new().map_err(|cause| failed("take signals", &cause))?;
        let mut ready = 0;
        loop {
            tokio::select! {
                Some(()) = passes.recv() => {
                    ready += 1;
                    supervisor::tell(ready >= all, &state(&boards));
                }
                again = signals.next() => {
                    if !again {
                        supervisor::stopping();
                        return Ok(troubles(&boards));
                    }
                    mouths.iter().for_each(|mouth| mouth.hint(Word::Again));
                }
            }
        }
    }
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
