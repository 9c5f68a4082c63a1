//! What belongs to the period of a bundle by the entries of its log, and where in the bundle each version of a file stands.
//!
//! Entries of a commit are sorted by path, and each commit but the first holds one run. So the entries alone tell which version of a file was in
//! force in which run: nobody needs the word of whoever packed it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::bundle::{Manifest, Packed};
use super::bundle_runs::began;
use super::cadence;
use super::leaf::{Leaf, hex};
use super::verify::{Finding, ONCE, Sealed, run_id};
use super::{DECISIONS, EXCEPTIONS, snapshot_path};
use crate::model::attestation::Stretch;
use crate::model::id::EntityType;
use crate::model::period::{Date, day};
use crate::model::time::Timestamp;

/// The folder of what sources answered.
const RAW: &str = "raw/";
/// The folder of lives of versions.
const ROTATIONS: &str = "rotations/";
/// The folder of what people signed.
pub const SIGNED: &str = "attestations/";

/// One run in the log.
#[derive(Clone, Debug)]
pub(super) struct Run<'a> {
    /// Its name.
    pub id: &'a str,
    /// Where its file stands in the locker.
    pub path: &'a str,
    /// The entry of that.
    pub at: u64,
    /// When it began, as its name says.
    pub began: Timestamp,
    /// The entries of its commit.
    pub entries: Range<u64>,
    /// True when it is from before the log, so that the entries do not tell what was in force in it.
    pub older: bool,
    /// When it was recorded at the earliest, when nothing but its own word says that it began then.
    pub late: Option<Timestamp>,
    /// True when the checkpoints that are here leave no doubt whether it was.
    pub dated: bool,
}

impl Run<'_> {
    /// Whether it is sure that it is of the time that it says.
    fn in_time(&self) -> bool {
        self.dated && self.late.is_none()
    }

    /// Names that the folder of decisions that came with it may have.
    fn folders(&self) -> Vec<String> {
        let [plain, told] = folders(self.id, self.began);
        let late = (!self.in_time()).then(|| format!("late/{}", self.id));
        [plain, told].into_iter().chain(late).collect()
    }
}

/// The name of the folder of decisions that came with the run `id`: its instant, and where another run began then as well the rest of its name
/// besides.
#[must_use]
pub fn folders(id: &str, began: Timestamp) -> [String; 2] {
    let plain = began.strftime("%Y-%m-%dT%H%M%SZ").to_string();
    let told = format!("{plain}{}", id.get(16..).unwrap_or_default());
    [plain, told]
}

/// How many entries the first commit of a log has: those of everything that was there, sorted by path.
pub(super) fn first_commit(entries: &[Leaf]) -> usize {
    entries.len().min(1 + entries.windows(2).take_while(|two| two[0].path < two[1].path).count())
}

/// Whether runs were recorded before the log began.
pub(super) fn begins_later(entries: &[Leaf]) -> bool {
    entries.iter().take(first_commit(entries)).filter(|leaf| run_id(&leaf.path).is_some()).count() > 1
}

/// The entry after the last of the commit in which `at` is the entry of the run.
fn end(entries: &[Leaf], at: usize) -> usize {
    let goes_on = |two: &&[Leaf]| two[0].path < two[1].path && run_id(&two[1].path).is_none();
    at + 1 + entries.get(at..).unwrap_or_default().windows(2).take_while(goes_on).count()
}

/// Every run in the log, and by the checkpoints `sealed` which of them were recorded late.
pub(super) fn runs<'a>(entries: &'a [Leaf], sealed: &[Sealed]) -> Vec<Run<'a>> {
    let older = if begins_later(entries) { first_commit(entries) } else { 0 };
    let received = |size: u64| sealed.get(sealed.binary_search_by_key(&size, |one| one.size).ok()?).map(|one| one.received);
    let mut runs: Vec<Run<'a>> = Vec::new();
    let mut before: Option<Timestamp> = None;
    for (at, leaf) in entries.iter().enumerate() {
        let Some((id, began)) = run_id(&leaf.path).and_then(|id| Some((id, began(id)?))) else { continue };
        let older = at < older;
        let until = if older { first_commit(entries) } else { end(entries, at) } as u64;
        let from = if older { 0 } else { runs.last().map_or(0, |last| last.entries.end) };
        let (own, prior) = (received(until), received(from));
        let late = if older { None } else { cadence::late(began, own.unwrap_or(began), before.max(prior)) };
        // Whatever the commit before is dated, it is not after its own.
        let soon = own.is_some_and(|own| cadence::late(began, own, Some(own)).is_none());
        let dated = !older && (late.is_some() || soon || (own.is_some() && (prior.is_some() || from == 0)));
        before = before.max(own).max(Some(began)).filter(|_| !older);
        runs.push(Run { id, path: &leaf.path, at: at as u64, began, entries: from..until, older, late, dated });
    }
    runs
}

/// Lives of versions that runs of the days `from` to `to` wrote.
#[must_use]
pub fn rotated(entries: &[Leaf], (from, to): (Date, Date)) -> BTreeSet<String> {
    let all = runs(entries, &[]);
    let inside = all.iter().filter(|run| !run.older && (from..=to).contains(&day(run.began)));
    let paths = inside.flat_map(|run| of(entries, &run.entries)).map(|leaf| &leaf.path);
    paths.filter(|path| path.starts_with(ROTATIONS)).cloned().collect()
}

/// Whether people signed in `path` of days until `to`: most of that comes when they are over, so that the newest version counts.
#[must_use]
pub fn is_signed_of(path: &str, to: Date) -> bool {
    let stem = path.rsplit('/').next().and_then(|name| name.strip_suffix(".toml"));
    path.starts_with(SIGNED) && stem.and_then(Stretch::parse).is_some_and(|covers| covers.from <= to)
}

/// The entries in `range`.
fn of<'a>(entries: &'a [Leaf], range: &Range<u64>) -> &'a [Leaf] {
    let at = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    entries.get(at(range.start)..at(range.end)).unwrap_or_default()
}

/// What runs of a period say that they looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// Controls that they judged.
    pub controls: BTreeSet<String>,
    /// Types that they saw.
    pub entities: BTreeSet<EntityType>,
}

/// The period of a bundle, in the entries of its log.
pub(super) struct Extent<'a> {
    entries: &'a [Leaf],
    days: (Date, Date),
    by_path: BTreeMap<&'a str, Vec<u64>>,
    /// Its runs, in the order of the log.
    pub runs: Vec<Run<'a>>,
}

impl<'a> Extent<'a> {
    /// The part of `runs` that began on the days of `manifest`.
    pub fn of(manifest: &Manifest, entries: &'a [Leaf], runs: &[Run<'a>]) -> Self {
        let mut by_path = BTreeMap::<&str, Vec<u64>>::new();
        for (at, leaf) in (0..).zip(entries) {
            by_path.entry(&leaf.path).or_default().push(at);
        }
        let inside = |run: &&Run<'_>| (manifest.from..=manifest.to).contains(&day(run.began));
        Self { entries, days: (manifest.from, manifest.to), by_path, runs: runs.iter().filter(inside).cloned().collect() }
    }

    fn leaf(&self, at: u64) -> Option<&'a Leaf> {
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// The newest entry of `path` among the first `end`.
    fn newest(&self, path: &str, end: u64) -> Option<u64> {
        let all = self.by_path.get(path)?;
        all.get(all.partition_point(|at| *at < end).checked_sub(1)?).copied()
    }

    /// Paths in `folder`, each with all its entries.
    fn below(&self, folder: &str) -> impl Iterator<Item = (&'a str, &Vec<u64>)> {
        let folder = folder.to_owned();
        let from = self.by_path.range::<str, _>((std::ops::Bound::Included(folder.as_str()), std::ops::Bound::Unbounded));
        let from: Vec<_> = from.take_while(|(path, _)| path.starts_with(&folder)).map(|(path, all)| (*path, all)).collect();
        from.into_iter()
    }

    /// What the newest entry of `path` was in the last run; where that may have been recorded late, in the ones before it as well. `None` when
    /// the entries do not tell.
    fn last(&self, path: &str) -> Option<Vec<Option<u64>>> {
        let mut all = Vec::new();
        for run in self.runs.iter().rev() {
            if run.older {
                return None;
            }
            all.push(self.newest(path, run.entries.end));
            if run.in_time() {
                break;
            }
        }
        Some(all)
    }

    /// Why `one`, which is what its entry says, does not belong where it stands.
    pub fn misplaced(&self, one: &Packed) -> Option<Finding> {
        let wrong = |what: String| Some(Finding::of_all("slm::bundle-misplaced", what));
        let Packed { file, path, .. } = one;
        if let Some(control) = path.strip_prefix(DECISIONS).and_then(|name| name.strip_suffix(".jsonl")) {
            let folders = self.decided(path, one.entry);
            let place = |folder: &String| format!("controls/{control}/decisions/{folder}/{control}.jsonl");
            return match folders.first() {
                None => wrong(format!("`{file}` is a version of `{path}` that was in force in no run of the period")),
                Some(_) if folders.iter().any(|folder| place(folder) == *file) => None,
                Some(first) => wrong(format!("`{file}` is what belongs at `{}`", place(first))),
            };
        }
        if *file != format!("evidence/{path}") {
            return wrong(format!("`{file}` is what belongs at `evidence/{path}`"));
        }
        let (Some(entry), false) = (one.entry, ONCE.iter().any(|folder| path.starts_with(folder))) else { return None };
        let sha256 = |at: u64| self.leaf(at).map(|leaf| leaf.sha256);
        let is = |at: Option<u64>| at.is_some_and(|at| sha256(at) == sha256(entry));
        if path.starts_with(SIGNED) {
            let newest = is(self.newest(path, u64::MAX));
            return if newest { None } else { wrong(format!("`{file}` is not the newest version of `{path}`")) };
        }
        let in_force = self.last(path).is_none_or(|all| all.into_iter().any(is));
        if in_force {
            None
        } else {
            wrong(format!("`{file}` is another version of `{path}` than was in force in the last run of the period"))
        }
    }

    /// Folders in which the version of `path` with `entry` may stand: that of the first run of the period in which it was in force.
    fn decided(&self, path: &str, entry: Option<u64>) -> Vec<String> {
        let mut all = Vec::new();
        let from = entry.map_or(0, |entry| self.runs.partition_point(|run| run.entries.end <= entry));
        for run in self.runs.iter().skip(from) {
            let in_force = match entry {
                None => run.older,
                Some(entry) if run.older => entry < run.entries.end,
                Some(entry) => self.newest(path, run.entries.end) == Some(entry),
            };
            if in_force {
                all.extend(run.folders());
            }
            if run.in_time() || !(in_force || run.older) {
                break;
            }
        }
        all
    }

    /// What is of the period and not in `manifest`: runs, decisions of its controls, what sources answered where it says that it has that, what
    /// was seen last, lives of versions, and what people declared.
    pub fn withheld(&self, manifest: &Manifest, looked: &Looked) -> Vec<Finding> {
        let here: BTreeSet<u64> = manifest.files.iter().filter_map(|one| one.entry).collect();
        let mut gone: BTreeSet<u64> = self.runs.iter().map(|run| run.at).collect();
        for run in self.runs.iter().filter(|run| !run.older) {
            let decided = manifest.controls.iter().map(|id| format!("{DECISIONS}{id}.jsonl"));
            gone.extend(decided.filter_map(|path| self.newest(&path, run.entries.end)));
        }
        if manifest.raw {
            gone.extend(self.answers());
        }
        gone.retain(|at| !here.contains(at));
        gone.extend(self.standing(manifest, looked));
        let left_out = |at: u64| {
            let what = format!("entry {at}, `{}`, is of the period and was left out", self.leaf(at)?.path);
            Some(Finding::of_all("slm::bundle-withheld", what))
        };
        gone.into_iter().filter_map(left_out).collect()
    }

    /// Entries of what sources answered in the runs of the period.
    pub fn answers(&self) -> Vec<u64> {
        let folder = |run: &Run<'_>| run.path.replacen("runs/", RAW, 1).replacen(".json", "/", 1);
        self.runs.iter().flat_map(|run| self.below(&folder(run)).flat_map(|(_, all)| all.clone()).collect::<Vec<_>>()).collect()
    }

    /// Entries that stood in the last run, and of which `manifest` has no file with those bytes.
    fn standing(&self, manifest: &Manifest, looked: &Looked) -> Vec<u64> {
        let bytes: BTreeSet<(&str, &str)> = manifest.files.iter().map(|one| (one.path.as_str(), one.sha256.as_str())).collect();
        let seen = looked.entities.iter().map(snapshot_path);
        let declared = self.below(EXCEPTIONS).map(|(path, _)| path.to_owned());
        let lives = rotated(self.entries, self.days);
        let mut gone = Vec::new();
        for path in seen.chain(declared).chain(lives) {
            let Some(all) = self.last(&path).and_then(|all| all.into_iter().collect::<Option<Vec<u64>>>()) else { continue };
            let packed = |at: &u64| self.leaf(*at).is_some_and(|leaf| bytes.contains(&(path.as_str(), hex(&leaf.sha256).as_str())));
            if !all.iter().any(packed) {
                gone.extend(all.first());
            }
        }
        let signed = self.below(SIGNED).filter(|(path, _)| is_signed_of(path, self.days.1));
        gone.extend(signed.filter_map(|(path, all)| {
            let newest = all.last().copied()?;
            let sha256 = hex(&self.leaf(newest)?.sha256);
            (!bytes.contains(&(path, sha256.as_str()))).then_some(newest)
        }));
        gone
    }
}

#[cfg(test)]
#[path = "bundle_whole_tests.rs"]
mod tests;
