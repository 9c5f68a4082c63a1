//! What bundles and samples are made of: a period, the config it was judged by last, and where each version of its decisions has its
//! proof.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::past::{When, config_at};
use super::period::{Asked, Collected, collect, late};
use super::removed::removed;
use super::{Exit, Global, Trouble, approvals, attested, serving, unkept, verify};
use crate::host::archive::Archive;
use crate::host::clock::SystemClock;
use crate::host::history::{History, Kept, Recorded};
use crate::model::attestation::Manual;
use crate::model::catalog::{Catalog, LockerSettings};
use crate::model::id::{ControlId, FrameworkId};
use crate::model::past::Noted;
use crate::model::period::{At, Date, Period, RunNote, day};
use crate::model::time::Limit;
use crate::record::leaf::hex;
use crate::record::log::Hash;
use crate::world::Clock as _;

/// Without a cadence of its own: what a daily run keeps, with two hours to spare.
pub(super) const CADENCE: Limit = Limit::seconds(26 * 3_600);

/// Which days.
#[derive(clap::Args, Clone)]
pub(super) struct Days {
    /// The first day, in UTC; that of the first run when absent
    #[arg(long, value_name = "DAY", value_parser = whole_day)]
    pub from: Option<Date>,
    /// The last day; that of the last run when absent
    #[arg(long, value_name = "DAY", value_parser = whole_day)]
    pub to: Option<Date>,
}

/// A day of UTC; an instant would be taken for all of its day.
fn whole_day(text: &str) -> Result<Date, String> {
    match text.parse()? {
        When::Day(date) => Ok(date),
        When::Instant(at) => Err(format!("`{text}` is an instant, and a period has whole days of UTC; write `{}`", day(at))),
    }
}

/// A period with what it was judged by.
pub(super) struct Gathered {
    pub collected: Collected,
    /// The config of its last run, or the newest before that is to be had, and the controls that were judged and that it has no more.
    pub catalog: Catalog,
    /// Which those are.
    pub removed: BTreeSet<ControlId>,
    /// What is not shown: that it is not the config of its last run, what sinks and anchors did not keep.
    pub unproven: Vec<Noted>,
}

/// One version of a file of the locker.
#[derive(Clone, Debug)]
pub(super) struct Artefact {
    /// The first run of the period in which it was in force.
    pub from: At,
    /// Where it stands in the locker.
    pub path: String,
    /// The commit that wrote it.
    pub commit: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of them.
    pub sha256: Hash,
    /// Its entry in the log.
    pub entry: Option<u64>,
}

impl Artefact {
    /// SHA-256 in hex.
    pub fn digest(&self) -> String {
        hex(&self.sha256)
    }
}

/// Reads `days` of the locker, with the words that they were judged by.
pub(super) fn gather(global: &Global, days: &Days) -> Result<Gathered, Trouble> {
    let mut collected = read(global, days)?;
    let (mut catalog, unproven) = config(global, &collected.period)?;
    catalog.exceptions = approvals::in_force(&mut collected, &catalog.exceptions)?;
    catalog.attestations = attested::kept(&collected.history, &catalog)?;
    let mut unproven = Vec::from_iter(unproven);
    unproven.extend(late(&collected.period));
    unproven.extend(unkept::of_period(global, &verify::settings(global)?, &collected)?);
    let removed = removed(global, &collected, &catalog);
    unproven.extend(removed.unknown.iter().cloned());
    let ids = removed.ids();
    catalog.controls.extend(removed.controls.into_iter().map(|control| (control.id.clone(), control)));
    Ok(Gathered { collected, catalog, removed: ids, unproven })
}

/// Reads `days` of the locker.
pub(super) fn read(global: &Global, days: &Days) -> Result<Collected, Trouble> {
    let settings = verify::settings(global)?;
    let (from, to) = bounds(global, &settings, days)?;
    let cadence = settings.log.cadence.unwrap_or(CADENCE);
    let _progress = global.progress("reading the evidence".to_owned(), 0);
    let collected = collect(&global.root, &settings.branch, &Asked { from, to, cadence, now: SystemClock.now() })?;
    if let Some(noted) = collected.findings.first() {
        let error = format!("the evidence contradicts itself: {}; `slm verify` says since when", noted.what);
        return Err(Trouble { exit: Exit::Integrity, error: error.into() });
    }
    if collected.period.runs.is_empty() {
        let late: String = collected.period.late.iter().map(|late| format!("; {}", late.told())).collect();
        let error = format!("no run is recorded on {} from {from} to {to}{late}", settings.branch);
        return Err(Trouble { exit: Exit::Incomplete, error: error.into() });
    }
    Ok(collected)
}

/// The config of the last run of `period`; where that is not to be had, the newest before it that is, and why. What the work tree says
/// now is no text of the period.
pub(super) fn config(global: &Global, period: &Period) -> Result<(Catalog, Option<Noted>), Trouble> {
    let mut unseen: Option<Noted> = None;
    let mut tried = BTreeSet::new();
    for run in period.runs.iter().rev().filter(|run| tried.insert(&run.config)) {
        let noted = match config_at(global, &run.config, run.judged.unwrap_or(run.at)) {
            Ok((catalog, _)) => {
                let older = |Noted { code, what }: Noted| Noted {
                    code,
                    what: format!("{what}; titles and criteria are those of the config {}, by run {}", run.config, run.id),
                };
                return Ok((catalog, unseen.map(older)));
            }
            Err(noted) => noted,
        };
        unseen.get_or_insert(noted);
    }
    let why = unseen.map(|noted| noted.what).unwrap_or_default();
    let error = format!(
        "the text that {} to {} was judged by is not to be had: {why}; `slm report period` tells of these days without it",
        period.from, period.to
    );
    Err(Trouble { exit: Exit::Incomplete, error: error.into() })
}

/// What is not shown, for people and how it ends.
pub(super) fn told(unproven: &[Noted]) -> (String, Exit) {
    let told = unproven.iter().map(|noted| format!("! unproven    {}\n", noted.what)).collect();
    (told, if unproven.is_empty() { Exit::Clean } else { Exit::Incomplete })
}

/// What only a person can say, as of the end of the period: by what was signed of it until now, who was seen to approve that, and the
/// populations that the evidence has, as `slm report period` says it.
pub(super) fn signatures(global: &Global, gathered: &mut Gathered) -> Result<Vec<Manual>, Trouble> {
    Ok(serving::signatures(global, &mut gathered.collected, &gathered.catalog, SystemClock.now())?.manual)
}

/// From the first run to the last where nobody said otherwise.
pub(super) fn bounds(global: &Global, settings: &LockerSettings, days: &Days) -> Result<(Date, Date), Trouble> {
    if let (Some(from), Some(to)) = (days.from, days.to) {
        return Ok((from, to));
    }
    let history = History::open(&global.root, &settings.branch)?;
    let in_time = |one: &&Recorded| one.run.is_some() && one.late.is_none();
    let mut runs = history.commits().iter().filter(in_time).map(|one| day(one.at));
    let (first, last) = runs.by_ref().fold((None, None), |(first, last): (Option<Date>, Option<Date>), day| {
        (Some(first.map_or(day, |first| first.min(day))), Some(last.map_or(day, |last| last.max(day))))
    });
    let none = || Trouble::from(format!("no run is recorded on {}", settings.branch));
    let from = days.from.or(first).ok_or_else(none)?;
    Ok((from, days.to.or(last).ok_or_else(none)?))
}

/// The framework `id` of `catalog`.
pub(super) fn framework(catalog: &Catalog, id: &str) -> Result<FrameworkId, Trouble> {
    if catalog.frameworks.contains_key(id) {
        return Ok(id.into());
    }
    let known: Vec<String> = catalog.frameworks.keys().map(|id| format!("`{id}`")).collect();
    Err(format!("unknown framework `{id}`; there are {}", known.join(", ")).into())
}

/// Every version of the file at `path` that was in force in one of `runs`, the first first.
pub(super) fn versions<'a>(
    history: &mut History,
    runs: impl IntoIterator<Item = &'a RunNote>,
    path: &str,
) -> Result<Vec<(At, usize, Kept)>, Trouble> {
    let all = history.versions(path)?;
    let places: BTreeMap<String, usize> =
        history.commits().iter().enumerate().map(|(at, one)| (one.commit.to_string(), at)).collect();
    let mut in_force: Vec<(At, usize, Kept)> = Vec::new();
    for (at, run) in runs.into_iter().enumerate() {
        let Some(place) = places.get(&run.commit) else { continue };
        let newest = all.partition_point(|one| one.commit <= *place);
        let Some(number) = newest.checked_sub(1) else { continue };
        if all[number].blob.is_some() && in_force.last().is_none_or(|(_, last, _)| *last != number) {
            in_force.push((at, number, all[number]));
        }
    }
    Ok(in_force.into_iter().map(|(at, number, kept)| (at, all.len() - 1 - number, kept)).collect())
}

/// The same with their bytes and their entries.
pub(super) fn artefacts(
    archive: &Archive<'_>,
    history: &History,
    path: &str,
    versions: &[(At, usize, Kept)],
) -> Result<Vec<Artefact>, Trouble> {
    let artefact = |(from, newer, kept): &(At, usize, Kept)| {
        let commit = history.commits()[kept.commit].commit;
        let bytes = history.file(commit, path)?.unwrap_or_default();
        let sha256: Hash = Sha256::digest(&bytes).into();
        let entry = archive.entry(path, *newer, &sha256);
        Ok(Artefact { from: *from, path: path.to_owned(), commit: commit.to_string(), bytes, sha256, entry })
    };
    versions.iter().map(artefact).collect()
}

/// A file that is written once, or its state in `commit`, with its entry.
pub(super) fn once(archive: &Archive<'_>, history: &History, commit: &str, path: &str) -> Result<Option<Artefact>, Trouble> {
    let Some(at) = archive.place(commit) else { return Ok(None) };
    let Some(bytes) = history.file(history.commits()[at].commit, path)? else { return Ok(None) };
    let sha256: Hash = Sha256::digest(&bytes).into();
    let entry = archive.last_with(path, &sha256);
    Ok(Some(Artefact { from: 0, path: path.to_owned(), commit: commit.to_owned(), bytes, sha256, entry }))
}

/// Controls that serve `framework`, or all: those that are declared, and those that were judged and are declared no more.
pub(super) fn controls(catalog: &Catalog, framework: Option<&FrameworkId>) -> Vec<ControlId> {
    let serves = catalog.controls.values().filter(|control| framework.is_none_or(|id| control.criteria.contains_key(id)));
    serves.map(|control| control.id.clone()).collect()
}
