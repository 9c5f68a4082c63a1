//! What waits on the branch beside the evidence for the next run to log it, and whether it is what slm put there. That branch is in no log, and
//! whoever may push writes it: a token is believed for what it is over and who signed it, what became of a run by the key of the log.

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::anchored::{self, Attempt, Filed, Shown, attempt_path, attempted, place, token_path};
use super::canonical;
use super::keys::{self, Key};
use super::verify::Sealed;
use crate::world;

/// Whom the checkpoint of a run is shown to, as the file of the run has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownTo {
    /// The anchors and the sinks.
    pub to: Vec<Place>,
    /// Whether what becomes of that is signed.
    pub signed: bool,
}

/// An anchor or a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its name.
    pub id: String,
    /// What it is, as in [`anchored::Tried`].
    pub kind: String,
}

#[derive(Deserialize)]
struct RunFile {
    #[serde(default)]
    result: RunResult,
}

#[derive(Default, Deserialize)]
struct RunResult {
    shown: Option<ShownTo>,
}

/// Whom the run shows its checkpoint to whose file is `run`; nobody knows of one that an older slm made.
#[must_use]
pub fn shown_to(run: &[u8]) -> Option<ShownTo> {
    serde_json::from_slice::<RunFile>(run).ok()?.result.shown
}

/// A run in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its name.
    pub run: String,
    /// Its checkpoint, as it is shown.
    pub shown: world::Sealed,
    /// The same, as it is looked for.
    pub sealed: Sealed,
    /// Whether what becomes of that must be signed.
    pub signed: bool,
}

/// The log, as far as what waits is about it.
#[derive(Default)]
pub struct Log {
    /// Its name.
    pub origin: String,
    /// Its keys.
    pub keys: Vec<Key>,
    /// How many entries it has.
    pub entries: u64,
    /// The runs that were asked for, by the size of their checkpoints.
    pub runs: Vec<Logged>,
    /// Whether there are runs before that are not here.
    pub cut_off: bool,
}

/// What one file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// What slm put there.
    Ours,
    /// Of something that is not known here, not yet or not any more: it goes on waiting.
    Unknown,
    /// Something else, for this reason.
    Strange(String),
}

/// Those who vouch for the tokens of an anchor; `None` when nobody is known to.
pub type Trusted<'a> = &'a dyn Fn(&str) -> Option<Vec<CertificateDer<'static>>>;

/// How many entries the checkpoint has that `file` is about, when it says so.
#[must_use]
pub fn size(file: &Filed) -> Option<u64> {
    place(&file.path).map(|(_, size)| size).or_else(|| Some(attempt(file)?.entries))
}

/// What became of a run, as `file` says it in the one spelling that slm writes.
#[must_use]
pub fn attempt(file: &Filed) -> Option<Attempt> {
    let run = attempted(&file.path)?;
    let attempt: Attempt = serde_json::from_slice(&file.bytes).ok()?;
    let is_it = attempt.run == run && canonical::json(&attempt).is_ok_and(|bytes| bytes == file.bytes);
    is_it.then_some(attempt)
}

/// What `file`, which waits, is to `log`.
#[must_use]
pub fn judge(log: &Log, file: &Filed, trusted: Trusted<'_>) -> Fit {
    if let Some((anchor, size)) = place(&file.path) {
        return token(log, file, (anchor, size), trusted);
    }
    match attempt(file) {
        Some(attempt) => of_run(log, file, &attempt),
        None => Fit::Strange("slm writes no such file".to_owned()),
    }
}

fn token(log: &Log, file: &Filed, (anchor, size): (&str, u64), trusted: Trusted<'_>) -> Fit {
    let run = match run(log, size) {
        Ok(run) => run,
        Err(fit) => return fit,
    };
    if file.path != token_path(anchor, size, &run.shown.note, run.shown.received) {
        return Fit::Strange(format!("its name is not that of a token over our checkpoint of {size} entries"));
    }
    let Some(roots) = trusted(anchor) else { return Fit::Unknown };
    let shown = Shown { entries: log.entries, sealed: std::slice::from_ref(&run.sealed) };
    anchored::wrong(shown, file, &roots).map_or(Fit::Ours, Fit::Strange)
}

fn of_run(log: &Log, file: &Filed, attempt: &Attempt) -> Fit {
    let key = keys::in_force(&log.keys, attempt.entries);
    let signed = key.is_some_and(|key| attempt.is_signed_by(&log.origin, &key.verifier));
    if attempt.signature.is_some() && !signed && attempt.entries <= log.entries {
        return Fit::Strange("its signature is not of the key that signed its checkpoint".to_owned());
    }
    let run = match run(log, attempt.entries) {
        Ok(run) => run,
        // What we signed was so, whatever became of that history.
        Err(_) if signed => return Fit::Unknown,
        Err(fit) => return fit,
    };
    let about = attempt.run == run.run && attempt.commit == run.shown.commit;
    if !about || file.path != attempt_path(&attempt.run, run.shown.received) {
        return if signed { Fit::Unknown } else { Fit::Strange("it is about no run in the log".to_owned()) };
    }
    if run.signed && !signed {
        return Fit::Strange("nobody signed it, and slm signed what became of that run".to_owned());
    }
    Fit::Ours
}

/// The run whose checkpoint has `size` entries.
fn run(log: &Log, size: u64) -> Result<&Logged, Fit> {
    let run = log.runs.iter().find(|run| run.sealed.size == size);
    run.ok_or_else(|| {
        let unknown = size > log.entries || log.cut_off;
        if unknown { Fit::Unknown } else { Fit::Strange(format!("no checkpoint of the log has {size} entries")) }
    })
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
