//! Checkpoints that somebody kept elsewhere: whether one is believed, and whether a log goes on from it.

use std::fmt;

use super::keys::Key;
use super::ledger::{self, LedgerError, Standing};
use super::log::{Head, Verifier};
use super::verify::Finding;
use crate::model::time::Timestamp;

/// Why a checkpoint from elsewhere is not believed.
#[derive(Debug)]
pub enum Unbelieved {
    /// It is no checkpoint.
    Form(LedgerError),
    /// Nobody signed it who is known here.
    Strange,
}

impl fmt::Display for Unbelieved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(_) => f.write_str("it is no checkpoint as slm writes it"),
            Self::Strange => f.write_str(
                "no key of the log and none that is trusted signed it: it is of another log, or this one ends before a key took over",
            ),
        }
    }
}

impl std::error::Error for Unbelieved {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Form(error) => Some(error),
            Self::Strange => None,
        }
    }
}

/// Reads `note`, which any of `pins` or of `keys` may have signed: each key of a log that is trusted vouches for the others, so that what was
/// kept before a key took over counts as much as what was kept after it. Without a pin no signature is asked for. Nothing more is let
/// through by this than must be: a checkpoint from elsewhere never makes a log believed, it only holds it to what it was.
///
/// # Errors
/// When it is no checkpoint, or none of them signed it.
pub fn believed(note: &[u8], keys: &[Key], pins: &[Verifier]) -> Result<Standing, Unbelieved> {
    let claimed = ledger::standing(note, &[]).map_err(Unbelieved::Form)?;
    let (_, signed) = ledger::text_of(note).map_err(Unbelieved::Form)?;
    // Before the first key nobody signs.
    let before = !signed && keys.first().is_some_and(|first| claimed.head.size < first.from);
    if pins.is_empty() || before {
        return Ok(claimed);
    }
    let known: Vec<Verifier> = pins.iter().chain(keys.iter().map(|key| &key.verifier)).cloned().collect();
    ledger::standing(note, &known).map_err(|_| Unbelieved::Strange)
}

/// Whether the log `origin`, which is at `head` now, goes on from `seen`; `at` gives what it was at a size, when it ever was of that size, and when it
/// says that it came to be, as far as that is known.
///
/// # Errors
/// When it is shorter by now, or another, or dated otherwise.
pub fn goes_on(
    origin: &str,
    head: &Head,
    at: impl Fn(u64) -> Option<(Head, Option<Timestamp>)>,
    seen: &Standing,
) -> Result<(), Finding> {
    if origin != seen.origin {
        let what = format!("the log is `{origin}`, and what was seen before is `{}`", seen.origin);
        return Err(Finding::of_all("slm::evidence-other-log", what));
    }
    let size = seen.head.size;
    if size > head.size {
        let what = format!("the log has {} entries, and had {size} when it was seen at {}", head.size, seen.received);
        return Err(Finding::of_all("slm::evidence-truncated", what));
    }
    if size == 0 {
        return Ok(());
    }
    let Some((_, received)) = at(size).filter(|(was, _)| *was == seen.head) else {
        let what = format!("the log is not the one whose {size} entries were seen at {}", seen.received);
        return Err(Finding::of_all("slm::evidence-forked", what));
    };
    // No entry says when it came into the log: who has the key in force by then can date a commit anew, and the entries stay as they are.
    if let Some(received) = received.filter(|received| *received != seen.received) {
        let what = format!("the log came to {size} entries at {} when that was seen, and at {received} by now", seen.received);
        return Err(Finding::of_all("slm::evidence-forked", what));
    }
    Ok(())
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
