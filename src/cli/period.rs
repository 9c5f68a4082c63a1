//! A stretch of days as verbs need it: read by the index of the locker, so that what did not change is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::path::Path;

use super::away::away;
use super::past::{broken, run};
use super::{Trouble, earlier};
use crate::host::history::{History, Kept, Recorded};
use crate::model::assessment::Tally;
use crate::model::events::{EVENT_ENTITY, Event};
use crate::model::id::{ControlId, EntityType};
use crate::model::past::{LogHead, Noted};
use crate::model::period::{At, Date, Late, Life, Period, RunNote, Series, before_midnight, day, midnight};
use crate::model::segregation::Segregation;
use crate::model::time::{Limit, Timestamp};
use crate::record::changes::lines;
use crate::record::leaf::hex;
use crate::record::ledger::{CHECKPOINT, FOLDER, standing};
use crate::record::past::{RunFile, event};
use crate::record::period::{MOST_DAYS, Stretch, Told, Versions, days, life, members, missed, series};
use crate::record::{DECISIONS, decisions_path, snapshot_path};

/// What is asked for.
pub(super) struct Asked {
    pub(super) from: Date,
    pub(super) to: Date,
    /// Longer without a run is told.
    pub(super) cadence: Limit,
    pub(super) now: Timestamp,
}

/// A stretch of days, read.
pub(super) struct Collected {
    pub(super) history: History,
    pub(super) period: Period,
    /// The last run before it, with its commit.
    pub(super) before: Option<(Recorded, RunNote)>,
    /// The commits of its runs.
    pub(super) recorded: Vec<Recorded>,
    /// What contradicts itself.
    pub(super) findings: Vec<Noted>,
    /// The log after its last run.
    pub(super) head: Option<LogHead>,
    /// Who could change both policy and evidence, as its last run saw it.
    pub(super) segregation: Vec<Segregation>,
    /// Controls that none of its runs judged and of which something was open before, with the run that changed last what is said of each.
    pub(super) unjudged: BTreeMap<ControlId, RunNote>,
}

/// Runs of a stretch, with where they stand.
struct Runs {
    /// Places of their commits.
    places: Vec<usize>,
    /// The place of the first of them, or the one that it would have.
    first: usize,
    recorded: Vec<Recorded>,
    files: Vec<RunFile>,
    notes: Vec<RunNote>,
    before: Option<(Recorded, RunFile, RunNote)>,
    /// Those that nothing but their own word puts there: what they changed is told of the run after.
    late: Vec<Late>,
    /// Controls that none of them judged and that are told all the same, with the run that changed last what is said of each.
    unjudged: BTreeMap<ControlId, RunNote>,
}

impl Runs {
    /// Whether the last run before them judged `control`.
    fn judged_before(&self, control: &ControlId) -> bool {
        self.before.as_ref().is_some_and(|(_, file, _)| file.controls.contains_key(control.as_str()))
    }
}

/// One file in a stretch.
struct Changed {
    path: String,
    before: String,
    changes: Vec<(At, String)>,
    /// Versions before the runs.
    older: Vec<Kept>,
}

/// What the evidence on `branch` says of what is asked for.
pub(super) fn collect(root: &Path, branch: &str, asked: &Asked) -> Result<Collected, Trouble> {
    let Asked { from, to, .. } = asked;
    if to < from {
        return Err(format!("a period from {from} to {to} has no day; write the earlier day first").into());
    }
    let longest = i64::try_from(MOST_DAYS).unwrap_or(i64::MAX) * Limit::DAY;
    if midnight(*to).as_second() - midnight(*from).as_second() >= longest {
        return Err(format!("a period of more than {MOST_DAYS} days is not told at once; ask for its parts").into());
    }
    let mut history = History::open(root, branch)?;
    let (mut period, mut runs, mut findings) = tell(&mut history, asked)?;
    if !findings.is_empty() {
        // The index may be at fault, and is made anew from what is not.
        history.rebuild()?;
        (period, runs, findings) = tell(&mut history, asked)?;
    }
    let head = runs.recorded.last().map(|last| head(&history, last)).transpose()?.flatten();
    let before = runs.before.map(|(recorded, _, note)| (recorded, note));
    let segregation = runs.files.last().map(|file| file.segregation().to_vec()).unwrap_or_default();
    Ok(Collected { history, period, before, recorded: runs.recorded, findings, head, segregation, unjudged: runs.unjudged })
}

/// Runs of `period` that stand for no day, a note each.
pub(super) fn late(period: &Period) -> impl Iterator<Item = Noted> {
    period.late.iter().map(|late| Noted { code: "slm::evidence-late", what: late.told() })
}

/// The stretch, its runs, and what in it contradicts itself.
fn tell(history: &mut History, asked: &Asked) -> Result<(Period, Runs, Vec<Noted>), Trouble> {
    let bounds = (midnight(asked.from), before_midnight(asked.to));
    let mut runs = runs(history, bounds)?;
    // A day that is to come is no day without a run.
    let begun = runs.notes.iter().map(|run| day(run.at)).fold(day(asked.now), Date::max);
    let days = days(asked.from, asked.to.min(begun), &runs.notes);
    let before = runs.before.as_ref().map(|(_, _, note)| note);
    let stretch = Stretch { before, runs: &runs.notes, days: &days };
    let mut findings = Vec::new();
    let mut controls = Vec::new();
    let judged = control_ids(&runs);
    for control in &judged {
        let Some(changed) = changed(history, &runs, &decisions_path(control), &mut findings)? else { continue };
        let recorded: Vec<Option<Tally>> = runs.files.iter().map(|file| file.controls.get(control.as_str()).cloned()).collect();
        let told = series(control, &stretch, &versions(&changed), &recorded, runs.judged_before(control));
        let mut told = take(told, &runs, &mut findings)?;
        told.carry(earlier::open(history, &changed.path, (&changed.older, &changed.before), (runs.first, true))?);
        controls.push(told);
    }
    let mut unjudged = BTreeMap::new();
    for (told, last) in carried(history, &runs, &stretch, &judged)? {
        unjudged.extend(last.map(|last| (told.control.clone(), last)));
        controls.push(told);
    }
    controls.sort_by(|one, other| one.control.cmp(&other.control));
    let mut populations = Vec::new();
    let events = events(history, &runs, &mut findings)?;
    for entity in entities(&runs) {
        let Some(changed) = changed(history, &runs, &snapshot_path(&entity), &mut findings)? else { continue };
        let away = before.map(|before| away(history, &entity, before, runs.first)).transpose()?.unwrap_or_default();
        let told = members(&entity, &stretch, &versions(&changed), &events, away);
        populations.push(take(told, &runs, &mut findings)?);
    }
    let ends = (bounds.0, bounds.1.min(asked.now));
    let missed = missed(before, &runs.notes, ends, asked.cadence);
    let rotations = rotations(history, &runs, bounds)?;
    let (notes, late) = (runs.notes.clone(), runs.late.clone());
    let period = Period { from: asked.from, to: asked.to, runs: notes, late, days, missed, controls, populations, rotations };
    runs.unjudged = unjudged;
    Ok((period, runs, findings))
}

/// What the runs of some days said of one control, and nothing else of them.
pub(super) struct One {
    history: History,
    /// `None` when none of them judged it.
    pub(super) series: Option<Series>,
    pub(super) runs: Vec<RunNote>,
    recorded: Vec<Recorded>,
}

impl One {
    /// Reads it of `control` in the runs from `from` to the last instant `until`.
    pub(super) fn read(
        root: &Path,
        branch: &str,
        (from, until): (Timestamp, Timestamp),
        control: &ControlId,
    ) -> Result<Self, Trouble> {
        let mut history = History::open(root, branch)?;
        let runs = runs(&history, (from, until))?;
        // Which day a run was of says nothing here: every one counts by itself.
        let stretch = Stretch { before: None, runs: &runs.notes, days: &[] };
        let judged = control_ids(&runs).contains(control);
        let changed = if judged { changed(&mut history, &runs, &decisions_path(control), &mut Vec::new())? } else { None };
        let recorded: Vec<Option<Tally>> = runs.files.iter().map(|file| file.controls.get(control.as_str()).cloned()).collect();
        let told = changed.map(|changed| series(control, &stretch, &versions(&changed), &recorded, false)).transpose();
        let told = told.map_err(|error| broken(error.to_string()))?.map(|told| told.told);
        Ok(Self { history, series: told, runs: runs.notes, recorded: runs.recorded })
    }

    /// Roots of the log after each of its runs.
    pub(super) fn roots(&self) -> Result<Vec<String>, Trouble> {
        let heads = self.recorded.iter().map(|one| head(&self.history, one));
        heads.filter_map(|head| head.transpose()).map(|head| head.map(|head| head.root)).collect()
    }
}

fn versions(changed: &Changed) -> Versions<'_> {
    Versions { path: &changed.path, before: &changed.before, changes: &changed.changes }
}

/// What was open before the runs of controls that none of them judged, because it was declared no more or there was no run: what nobody
/// looks at is not repaired by that. With the run that changed last what is said of each.
fn carried(
    history: &mut History,
    runs: &Runs,
    stretch: &Stretch<'_>,
    judged: &BTreeSet<ControlId>,
) -> Result<Vec<(Series, Option<RunNote>)>, Trouble> {
    let paths: Vec<String> = history.paths().map(str::to_owned).collect();
    let mut all = Vec::new();
    for path in paths {
        let Some(id) = path.strip_prefix(DECISIONS).and_then(|name| name.strip_suffix(".jsonl")) else { continue };
        let control = ControlId::from(id);
        let changed = if judged.contains(&control) { None } else { changed(history, runs, &path, &mut Vec::new())? };
        let Some(changed) = changed else { continue };
        let was_judged = runs.judged_before(&control);
        let mut open = earlier::open(history, &path, (&changed.older, &changed.before), (runs.first, was_judged))?;
        // An exception for a control that is declared no more is in use no longer.
        open.retain(|_, open| open.exception.is_none() || was_judged);
        if open.is_empty() {
            continue;
        }
        let none = vec![None; runs.files.len()];
        let told = series(&control, stretch, &versions(&changed), &none, was_judged);
        let mut told = told.map_err(|error| broken(error.to_string()))?.told;
        told.carry(open);
        let last = changed.older.last().and_then(|last| history.commits().get(last.commit)).filter(|one| one.run.is_some());
        let last = last.cloned().map(|one| run(history, &one)).transpose()?;
        all.push((told, last.map(|(_, note)| note)));
    }
    Ok(all)
}

/// What is told, its contradictions among the findings.
fn take<T>(told: Result<Told<T>, crate::record::past::Unreadable>, runs: &Runs, findings: &mut Vec<Noted>) -> Result<T, Trouble> {
    let Told { told, contradicted } = told.map_err(|error| broken(error.to_string()))?;
    findings.extend(contradicted.into_iter().map(|(at, what)| {
        let run = &runs.notes[at].id;
        Noted { code: "slm::evidence-contradicted", what: format!("in run {run}: {what}") }
    }));
    Ok(told)
}

/// Runs that began in `bounds`, and the last one before the first of them.
fn runs(history: &History, bounds: (Timestamp, Timestamp)) -> Result<Runs, Trouble> {
    let commits = history.commits();
    let within = |one: &Recorded| one.run.is_some() && bounds.0 <= one.at && one.at <= bounds.1;
    let all = commits.iter().enumerate().filter(|(_, one)| within(one));
    let (late, all): (Vec<_>, Vec<_>) = all.partition(|(_, one)| one.late.is_some());
    let places: Vec<usize> = all.into_iter().map(|(at, _)| at).collect();
    let late = late.into_iter().filter_map(|(_, one)| Some((one, one.late?)));
    let late = late.map(|(one, recorded)| Ok(Late { run: run(history, one)?.1, recorded })).collect::<Result<_, Trouble>>()?;
    // Without a run in it, what stood at its end is what came before.
    let after = || commits.iter().position(|one| one.late.is_none() && one.at > bounds.1).unwrap_or(commits.len());
    let first = places.first().copied().unwrap_or_else(after);
    let before = commits[..first].iter().rev().find(|one| one.run.is_some() && one.late.is_none());
    let before = before.map(|one| run(history, one).map(|(file, note)| (one.clone(), file, note))).transpose()?;
    let recorded: Vec<Recorded> = places.iter().map(|at| commits[*at].clone()).collect();
    let (mut files, mut notes) = (Vec::with_capacity(recorded.len()), Vec::with_capacity(recorded.len()));
    for one in &recorded {
        let (file, note) = run(history, one)?;
        files.push(file);
        notes.push(note);
    }
    Ok(Runs { places, first, recorded, files, notes, before, late, unjudged: BTreeMap::new() })
}

fn control_ids(runs: &Runs) -> BTreeSet<ControlId> {
    runs.files.iter().flat_map(|file| file.controls.keys()).map(ControlId::from).collect()
}

/// Types of what runs saw; calls are no population.
fn entities(runs: &Runs) -> BTreeSet<EntityType> {
    let seen = runs.notes.iter().flat_map(|note| &note.seen).map(|seen| seen.entity.clone());
    seen.filter(|entity| entity.as_str() != EVENT_ENTITY).collect()
}

/// Every call that any of the runs observed.
fn events(history: &mut History, runs: &Runs, findings: &mut Vec<Noted>) -> Result<Vec<Event>, Trouble> {
    let path = snapshot_path(&EVENT_ENTITY.into());
    let Some(changed) = changed(history, runs, &path, findings)? else { return Ok(Vec::new()) };
    let before = changed.before.lines().map(|line| (true, line));
    let all = before.chain(changed.changes.iter().flat_map(|(_, text)| lines(text))).filter(|(came, _)| *came);
    let mut events = Vec::new();
    for (_, line) in all {
        events.extend(event(&path, line).map_err(|error| broken(error.to_string()))?);
    }
    Ok(events)
}

/// The file at `path` before the runs, and what each of them changed; `None` when it never was.
fn changed(history: &mut History, runs: &Runs, path: &str, findings: &mut Vec<Noted>) -> Result<Option<Changed>, Trouble> {
    let all = history.versions(path)?;
    let after = runs.places.last().map_or(runs.first, |last| last + 1);
    let Range { start, end } = all.partition_point(|one| one.commit < runs.first)..all.partition_point(|one| one.commit < after);
    let Some(final_version) = all[..end].last() else { return Ok(None) };
    let before = all[..start].last().map(|one| history.text(one)).transpose()?.unwrap_or_default();
    let texts = history.changes(path, &all[start..end])?;
    let is = if start == end { before.clone() } else { history.text(final_version)? };
    if sum(&before, texts.iter().map(String::as_str)) != sum(&is, std::iter::empty()) {
        let what = format!("what the index says of `{path}` does not lead to what git has");
        findings.push(Noted { code: "slm::index-contradicted", what });
    }
    let place = |one: &Kept| runs.places.partition_point(|place| *place < one.commit);
    let changes = all[start..end].iter().map(place).zip(texts).collect();
    Ok(Some(Changed { path: path.to_owned(), before, changes, older: all[..start].to_vec() }))
}

/// The lines of `text` after `changes`, in whatever order, as one number.
fn sum<'a>(text: &str, changes: impl Iterator<Item = &'a str>) -> u64 {
    let hash = |line: &str| {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        hasher.finish()
    };
    let before = text.lines().fold(0_u64, |sum, line| sum.wrapping_add(hash(line)));
    changes.flat_map(lines).fold(
        before,
        |sum, (came, line)| {
            if came { sum.wrapping_add(hash(line)) } else { sum.wrapping_sub(hash(line)) }
        },
    )
}

/// Lives of versions that something happened to in `bounds`.
fn rotations(history: &History, runs: &Runs, bounds: (Timestamp, Timestamp)) -> Result<Vec<Life>, Trouble> {
    let Some(last) = runs.recorded.last() else { return Ok(Vec::new()) };
    let files: BTreeMap<String, Vec<u8>> = history.files(last.commit, "rotations/")?;
    let mut lives = Vec::new();
    for (path, file) in &files {
        lives.extend(life(path, file, bounds).map_err(|error| broken(error.to_string()))?);
    }
    lives.sort_by_cached_key(Life::place);
    Ok(lives)
}

/// What the log said after `last`; `None` while there is none.
fn head(history: &History, last: &Recorded) -> Result<Option<LogHead>, Trouble> {
    let Some(file) = history.file(last.commit, &format!("{FOLDER}{CHECKPOINT}"))? else { return Ok(None) };
    let standing = standing(&file, &[]).map_err(|error| broken(error.to_string()))?;
    let keys = history.files(last.commit, &format!("{FOLDER}keys"))?.into_keys().collect();
    let root = hex(&standing.head.root);
    let (origin, received) = (standing.origin, standing.received);
    Ok(Some(LogHead { origin, size: standing.head.size, root, received, commit: last.commit.to_string(), keys }))
}
