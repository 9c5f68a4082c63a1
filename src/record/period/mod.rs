//! A stretch of days from what its runs left behind: what was there before it, and what each run changed. Takes time in what changed, not
//! in runs times resources.

mod earlier;
mod members;
mod series;

use jiff::ToSpan as _;

pub use earlier::Earlier;
pub use members::{Away, members};
pub use series::series;

use super::past::Unreadable;
use crate::model::period::{At, Date, Day, Life, Missed, NoRun, RunNote, day};
use crate::model::time::{Limit, Timestamp};

/// The longest stretch that is told at once.
pub const MOST_DAYS: usize = 3_700;

/// Runs of a stretch, and the one before it.
pub struct Stretch<'a> {
    /// The last run before it.
    pub before: Option<&'a RunNote>,
    /// Its runs, in the order of their commits.
    pub runs: &'a [RunNote],
    /// Its days.
    pub days: &'a [Day],
}

/// The versions of one file in a stretch.
pub struct Versions<'a> {
    /// The file.
    pub path: &'a str,
    /// Its text before the stretch; empty when it was not there.
    pub before: &'a str,
    /// What each run that wrote it changed, in order.
    pub changes: &'a [(At, String)],
}

/// Something told, and the runs of which it contradicts what they say of it themselves.
pub struct Told<T> {
    /// What is told.
    pub told: T,
    /// Runs whose own count is another, with both in words.
    pub contradicted: Vec<(At, String)>,
}

/// Every day from `from` to `to`, with the runs that began on it.
#[must_use]
pub fn days(from: Date, to: Date, runs: &[RunNote]) -> Vec<Day> {
    let dates = from.series(1.day()).take_while(|date| *date <= to).take(MOST_DAYS);
    let mut days: Vec<Day> = dates.map(|date| Day { date, runs: Vec::new() }).collect();
    for (at, run) in runs.iter().enumerate() {
        if let Ok(found) = days.binary_search_by_key(&day(run.at), |day| day.date) {
            days[found].runs.push(at);
        }
    }
    days
}

/// Where there was no run for longer than `cadence`, from `bounds.0` to `bounds.1`.
#[must_use]
pub fn missed(before: Option<&RunNote>, runs: &[RunNote], bounds: (Timestamp, Timestamp), cadence: Limit) -> Vec<Missed> {
    let mut sorted: Vec<&RunNote> = before.into_iter().chain(runs).collect();
    sorted.sort_by_key(|run| run.at);
    let mut missed = Vec::new();
    let mut look = |last: Option<&RunNote>, next: Option<&RunNote>| {
        let after = last.map_or(bounds.0, |run| run.at);
        let until = next.map_or(bounds.1, |run| run.at);
        if until.as_second() - after.as_second() <= cadence.as_seconds() || until < bounds.0 {
            return;
        }
        let reason = match (last, next) {
            (None, _) => NoRun::BeforeTheFirst,
            (Some(last), _) if !last.unfinished.is_empty() => NoRun::AfterUnfinished,
            (Some(_), None) => NoRun::AfterTheLast,
            (Some(_), Some(_)) => NoRun::NothingRecorded,
        };
        missed.push(Missed { after, before: until, reason });
    };
    let mut last = None;
    for run in sorted {
        look(last, Some(run));
        last = Some(run);
    }
    look(last, None);
    missed
}

/// Instants in the life of a version that place it in a stretch.
const LIVED: [&str; 6] = ["made", "promoted", "last", "disabled", "refused", "done"];

/// The version whose life `file` at `path` tells, when something of it happened in `bounds`.
///
/// # Errors
/// When it is not as slm writes it.
pub fn life(path: &str, file: &[u8], bounds: (Timestamp, Timestamp)) -> Result<Option<Life>, Unreadable> {
    let told: serde_json::Value = serde_json::from_slice(file).map_err(|_| Unreadable::new(path))?;
    let text = |name: &str| told[name].as_str();
    let (Some(credential), Some(version)) = (text("credential"), text("version")) else { return Err(Unreadable::new(path)) };
    let instants = LIVED.iter().filter_map(|name| text(name)?.parse::<Timestamp>().ok());
    let lived = instants.into_iter().any(|at| bounds.0 <= at && at <= bounds.1);
    let (credential, version) = (credential.into(), version.into());
    Ok(lived.then(|| Life { credential, version, path: path.to_owned(), told }))
}

#[cfg(test)]
#[path = "../period_tests.rs"]
mod tests;
