//! What an edit of the config repo means, for a terminal and for a pull request.

mod changes;
mod lines;
mod sections;

use std::fmt::Write as _;

pub use changes::changes;
pub use lines::code;

use super::words::count;
use crate::model::difference::{Difference, Edit, Fate, Way};

/// The whole in one line, without a full stop.
#[must_use]
pub fn summary(difference: &Difference) -> String {
    let Difference { controls, settings, credentials, exceptions, guards, consequences, replay, .. } = difference;
    let mut parts = Vec::new();
    let changed = controls.iter().filter(|one| one.fate == Fate::Changed).map(|one| one.way);
    parts.extend(ways("control", &changed.collect::<Vec<_>>()));
    for (fate, word) in [(Fate::Added, "added"), (Fate::Removed, "removed")] {
        parts.extend(some(controls.iter().filter(|one| one.fate == fate).count(), "control", word));
    }
    parts.extend(ways("guard", &guards.iter().map(|one| one.proof.way).collect::<Vec<_>>()));
    let of_credentials = credentials.iter().flat_map(|one| &one.edits);
    let limits: Vec<Way> = settings.iter().chain(of_credentials).filter_map(|edit: &Edit| edit.way).collect();
    parts.extend(ways("limit", &limits));
    for (fate, word) in [(Fate::Added, "added"), (Fate::Removed, "removed")] {
        parts.extend(some(credentials.iter().filter(|one| one.fate == fate).count(), "credential", word));
    }
    for (fate, word) in [(Fate::Added, "added"), (Fate::Removed, "removed"), (Fate::Changed, "changed")] {
        parts.extend(some(exceptions.iter().filter(|one| one.fate == fate).count(), "exception", word));
    }
    let lost = difference.criteria_lost.len();
    parts.extend((lost > 0).then(|| format!("{lost} {} without a control", if lost == 1 { "criterion" } else { "criteria" })));
    if let Some(one) = consequences {
        let due = one.due.iter().filter(|due| due.newly_due).count();
        parts.extend((due > 0).then(|| format!("{} due now", count(due as u64, "rotation"))));
    }
    if let Some(replay) = replay {
        let flips: usize = replay.controls.iter().map(|one| one.flips.len()).sum();
        parts.extend((flips > 0).then(|| format!("{} of the last run", count(flips as u64, "other verdict"))));
        let days: std::collections::BTreeSet<_> = replay.controls.iter().flat_map(|one| &one.days).map(|(day, _)| day).collect();
        parts.extend((!days.is_empty()).then(|| format!("{} of {} days read differently", days.len(), replay.days)));
    }
    if parts.is_empty() {
        let files = difference.files.len() as u64;
        return if files == 0 {
            "nothing changed".to_owned()
        } else {
            format!("nothing of what is compared changed in {}", count(files, "file"))
        };
    }
    parts.join("; ")
}

/// `2 controls looser, 1 tighter`; nothing when there are none.
fn ways(one: &str, all: &[Way]) -> Option<String> {
    let mut text = String::new();
    for way in Way::ALL {
        let number = all.iter().filter(|is| **is == way).count() as u64;
        if number > 0 {
            let what = if text.is_empty() { count(number, one) } else { format!(", {number}") };
            let _ = write!(text, "{what} {}", way.word());
        }
    }
    (!text.is_empty()).then_some(text)
}

fn some(number: usize, one: &str, word: &str) -> Option<String> {
    (number > 0).then(|| format!("{} {word}", count(number as u64, one)))
}

/// The difference for a terminal.
#[must_use]
pub fn human(difference: &Difference) -> String {
    let mut text = format!("{} to {}: {}\n", side(&difference.base.name), side(&difference.head.name), summary(difference));
    sections::all(difference).iter().for_each(|section| section.human(&mut text));
    text
}

fn side(name: &str) -> String {
    lines::printable(name)
}

/// The difference as GitHub-flavoured markdown, each section under a heading of its own.
#[must_use]
pub fn markdown(difference: &Difference) -> String {
    let (base, head) = (code(&difference.base.name), code(&difference.head.name));
    let mut text = format!("### slm diff\n\n{}.\n", summary(difference));
    sections::all(difference).iter().for_each(|section| section.markdown(&mut text));
    let _ = writeln!(text, "\n{base} is {}, {head} is {}.", code(&difference.base.config), code(&difference.head.config));
    text
}

#[cfg(test)]
mod tests;
