//! Recorded days as `slm diff` needs them: what each day's last run saw, read by what changed from one to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::past::{self, broken};
use super::{Exit, Trouble};
use crate::diff::replay::{Day, Replayer};
use crate::diff::{Text, joined};
use crate::host::history::{History, Kept, Recorded};
use crate::model::difference::Replay;
use crate::model::id::EntityType;
use crate::model::period::{Date, day};
use crate::model::snapshot::Snapshot;
use crate::model::time::{Limit, Timestamp};
use crate::record::past::RunFile;
use crate::record::reread::Reader;
use crate::record::snapshot_path;

/// What the days before `last`, at most `days` of them, would have read by either text; `None` when no control can read differently.
pub(super) fn replay(
    history: &mut History,
    (base, head): (&Text<'_>, &Text<'_>),
    last: Timestamp,
    days: u16,
) -> Result<Option<Replay>, Trouble> {
    let mut replayer = Replayer::new(base, head);
    if replayer.controls().is_empty() {
        return Ok(None);
    }
    let recorded = by_day(history.commits(), last, days);
    // What a text adds to one kind of resource may come from another.
    let joins = joined(base, head, &nothing(last)).is_some();
    let entities = if joins { None } else { Some(replayer.entities().clone()) };
    let mut files = Files::of(history, entities.as_ref())?;
    for (date, (place, one)) in &recorded {
        let (file, note) = past::run(history, one)?;
        files.up_to(history, *place)?;
        let seen = files.reader.snapshot(&file, entities.as_ref());
        let at = file.judged.unwrap_or(note.at);
        match joined(base, head, &seen) {
            Some((old, new)) => replayer.day(&Day { date: *date, at, base: &old, head: &new }),
            None => replayer.day(&Day { date: *date, at, base: &seen, head: &seen }),
        }
        if recorded.keys().next_back() == Some(date) {
            agrees(history, one, &file, &seen)?;
        }
    }
    let without = u64::from(days).saturating_sub(recorded.len() as u64);
    Ok(replayer.finish(without))
}

fn nothing(taken: Timestamp) -> Snapshot {
    Snapshot { taken, populations: Vec::new(), receipts: Vec::new() }
}

/// The last run of each of the `days` up to `last`, with the place of its commit.
fn by_day(commits: &[Recorded], last: Timestamp, days: u16) -> BTreeMap<Date, (usize, Recorded)> {
    let first = day(Limit::days(1 - i64::from(days)).after(last));
    let runs = commits.iter().enumerate().filter(|(_, one)| one.run.is_some() && one.at <= last && day(one.at) >= first);
    runs.map(|(place, one)| (day(one.at), (place, one.clone()))).collect()
}

/// Files of what was seen, followed commit by commit.
struct Files {
    reader: Reader,
    versions: Vec<(String, Vec<Kept>, usize)>,
}

impl Files {
    fn of(history: &mut History, entities: Option<&BTreeSet<EntityType>>) -> Result<Self, Trouble> {
        let wanted: Option<BTreeSet<String>> = entities.map(|entities| entities.iter().map(snapshot_path).collect());
        let is_wanted =
            |path: &&str| path.starts_with(crate::record::SNAPSHOT) && wanted.as_ref().is_none_or(|wanted| wanted.contains(*path));
        let paths: Vec<String> = history.paths().filter(is_wanted).map(str::to_owned).collect();
        let mut versions = Vec::new();
        for path in paths {
            let all = history.versions(&path)?;
            versions.push((path, all, 0));
        }
        Ok(Self { reader: Reader::default(), versions })
    }

    /// Reads on, up to the commit at `place`: the first time the whole, then what changed. A run that says it began on a later day than one
    /// that was recorded after it is read whole again.
    fn up_to(&mut self, history: &mut History, place: usize) -> Result<(), Trouble> {
        for (path, all, done) in &mut self.versions {
            let until = all.partition_point(|one| one.commit <= place);
            if until == *done {
                continue;
            }
            let unreadable = |error: crate::record::past::Unreadable| broken(error.to_string());
            if *done == 0 || until < *done {
                let last = until.checked_sub(1).map(|last| history.text(&all[last])).transpose()?;
                self.reader.begin(path, &last.unwrap_or_default()).map_err(unreadable)?;
            } else {
                for changed in history.changes(path, &all[*done..until])? {
                    self.reader.change(path, &changed).map_err(unreadable)?;
                }
            }
            *done = until;
        }
        Ok(())
    }
}

/// What was read by the index must be what git has of the last run.
fn agrees(history: &History, one: &Recorded, file: &RunFile, seen: &Snapshot) -> Result<(), Trouble> {
    let whole = past::snapshot(history, one, file)?;
    for population in &seen.populations {
        if !whole.populations.contains(population) {
            let what = format!("what the index says of `{}` does not lead to what git has", snapshot_path(&population.entity));
            return Err(Trouble { exit: Exit::Integrity, error: what.into() });
        }
    }
    Ok(())
}
