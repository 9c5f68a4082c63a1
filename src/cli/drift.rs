//! `slm report drift`: what changed since the last report, and whether anybody must act, by what runs recorded.

use std::collections::{BTreeMap, BTreeSet};

use super::gather::CADENCE;
use super::past::{When, broken, config_at, run, snapshot};
use super::{Exit, Global, Said, Trouble, anchor, notify, pipeline, verify};
use crate::evaluate::exceptions::exceptions;
use crate::host::clock::SystemClock;
use crate::host::history::{History, Recorded};
use crate::host::repo;
use crate::model::assessment::{Assessment, Decision, Status, Subject};
use crate::model::catalog::{Catalog, LockerSettings};
use crate::model::drift::{Compared, Drift};
use crate::model::id::{ControlId, CredentialId, RunId};
use crate::model::outcome::{Fate, Outcome};
use crate::model::period::RunNote;
use crate::model::preflight::Facts;
use crate::model::snapshot::Snapshot;
use crate::model::standing::{Phase, Standing};
use crate::model::time::{Limit, Timestamp};
use crate::plan::Input;
use crate::plan::standing::standing;
use crate::policy::Rules;
use crate::record::findings;
use crate::record::past::RunFile;
use crate::record::{DECISIONS, decisions_path};
use crate::report::drift::{self, AHEAD, Before, Seen};
use crate::world::Clock as _;

/// How far back a report looks for what became of a rotation.
const BEHIND: Limit = Limit::days(30);

/// Arguments of `slm report drift`.
#[derive(clap::Args)]
pub struct Args {
    /// Compare with the run that stood then, instead of the one that was told last
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Tell this notifier of `slm.toml`, by its name, or by its kind where there is one of it
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Print markdown
    #[arg(long, conflicts_with = "to")]
    markdown: bool,
}

pub(super) fn run_verb(args: &Args, global: &Global) -> Result<Said, Trouble> {
    if let Some(name) = &args.to {
        return notify::told_by_hand(global, name, args.since);
    }
    let settings = verify::settings(global)?;
    let since = match args.since {
        Some(when) => Since::When(when),
        None => notify::last_told(global, &settings)?.map_or(Since::RunBefore, Since::Run),
    };
    let drift = read(global, &settings, &since)?;
    let human = if args.markdown { drift::markdown(&drift) } else { drift::human(&drift) };
    Ok(Said::new(exits(&drift), human, drift::json(&drift)))
}

/// How it ended: as a report of a period does.
pub(super) fn exits(drift: &Drift) -> Vec<Exit> {
    let mut exits = vec![Exit::Clean];
    exits.extend((!drift.broken.is_empty()).then_some(Exit::Integrity));
    exits.extend(drift.is_blind().then_some(Exit::Incomplete));
    let changed = !drift.new.is_empty() || !drift.open.is_empty() || !drift.must().is_empty();
    exits.extend(changed.then_some(Exit::Changes));
    exits
}

/// What the last run is compared with.
pub(super) enum Since {
    /// The run before it.
    RunBefore,
    /// The run that stood then.
    When(When),
    /// This run; the one before the last when it is not there.
    Run(RunId),
}

/// A run as it was recorded.
struct Read {
    recorded: Recorded,
    file: RunFile,
    note: RunNote,
}

impl Read {
    fn new(history: &History, recorded: &Recorded) -> Result<Self, Trouble> {
        let (file, note) = run(history, recorded)?;
        Ok(Self { recorded: recorded.clone(), file, note })
    }

    fn compared(&self) -> Compared {
        let RunNote { id, at, config, path, commit, .. } = &self.note;
        Compared { id: id.clone(), at: *at, config: config.clone(), path: path.clone(), commit: commit.clone() }
    }

    /// Files of the decisions it made, by control.
    fn decisions(&self, history: &History) -> Result<Vec<(String, String)>, Trouble> {
        let files = history.files(self.recorded.commit, DECISIONS)?;
        let own: BTreeSet<String> = self.file.controls.keys().map(|id| decisions_path(&ControlId::from(id))).collect();
        let text = |(path, bytes): (String, Vec<u8>)| match String::from_utf8(bytes) {
            Ok(text) => Ok((path, text)),
            Err(_) => Err(broken(format!("`{path}` is not text"))),
        };
        files.into_iter().filter(|(path, _)| own.contains(path)).map(text).collect()
    }

    fn outcomes(&self, history: &History) -> Result<Vec<Outcome>, Trouble> {
        let Some(path) = &self.file.outcomes else { return Ok(Vec::new()) };
        let missing = || broken(format!("`{path}` is not in its commit"));
        let bytes = history.file(self.recorded.commit, path)?.ok_or_else(missing)?;
        serde_json::from_slice(&bytes).map_err(|_| broken(format!("`{path}` is not as slm writes it")))
    }
}

/// What the evidence that `settings` name says of the last run, compared with the one that `since` names.
pub(super) fn read(global: &Global, settings: &LockerSettings, since: &Since) -> Result<Drift, Trouble> {
    let branch = &settings.branch;
    let nothing = || {
        let error = format!("no run is recorded on {branch}; `slm apply` makes one");
        Trouble { exit: Exit::Incomplete, error: error.into() }
    };
    let broken = repo::intact(&global.root, branch).err().map(|error| error.to_string());
    let mut history = History::open(&global.root, branch).map_err(|error| match &broken {
        Some(_) => Trouble { exit: Exit::Integrity, error: error.into() },
        None => nothing(),
    })?;
    let runs: Vec<Recorded> = history.commits().iter().filter(|one| one.run.is_some()).cloned().collect();
    let last = runs.last().ok_or_else(nothing)?;
    let last = Read::new(&history, last)?;
    let before = base(&runs, since).map(|recorded| Read::new(&history, recorded)).transpose()?;
    let (now, judged) = (SystemClock.now(), last.file.judged.unwrap_or(last.note.at));
    let mut notes = Vec::new();
    let (catalog, rules) = config(global, &last, judged, &mut notes)?;
    let before = before.map(|read| told_before(&history, &read)).transpose()?;
    let decisions = decisions(&history, &last, before.as_ref(), AHEAD.after(now))?;
    let snapshot = snapshot(&history, &last.recorded, &last.file)?;
    let assessment =
        Assessment { at: judged, decisions: decisions.clone().into(), gaps: Vec::new(), unused_exceptions: Vec::new() };
    let standings = standings(&catalog, &rules, &snapshot, &assessment);
    let (since, outcomes) = (begun(&mut history, &decisions)?, outcomes(&history, &runs, &last, &standings)?);
    let exceptions = exceptions(&catalog, &snapshot, &assessment);
    let forks = anchor::forks(global, settings, &last.note.id)?;
    Ok(drift::drift(Seen {
        catalog: &catalog,
        rules: &rules,
        now,
        run: last.compared(),
        judged,
        snapshot: &snapshot,
        decisions: &decisions,
        tallies: &last.file.controls,
        since: &since,
        standings: &standings,
        exceptions: &exceptions,
        outcomes: &outcomes,
        before,
        cadence: settings.log.cadence.unwrap_or(CADENCE),
        broken: broken.into_iter().chain(forks).collect(),
        notes,
    }))
}

/// The run among `runs` that the last of them is compared with: itself, when it was told already.
fn base<'a>(runs: &'a [Recorded], since: &Since) -> Option<&'a Recorded> {
    let (_, earlier) = runs.split_last()?;
    match since {
        Since::RunBefore => earlier.last(),
        Since::When(when) => earlier.iter().rev().find(|one| one.at <= when.instant()),
        Since::Run(id) => {
            let stem = format!("/{id}.json");
            let is_it = |one: &&Recorded| one.run.as_ref().is_some_and(|path| path.ends_with(&stem));
            runs.iter().rev().find(is_it).or(earlier.last())
        }
    }
}

/// The config of the run; where that is not here, the one in the work tree, which is noted.
fn config(global: &Global, last: &Read, judged: Timestamp, notes: &mut Vec<String>) -> Result<(Catalog, Rules), Trouble> {
    match config_at(global, &last.note.config, judged) {
        Ok(found) => Ok(found),
        Err(noted) => {
            // A config that was never committed is most often the one that is still there.
            if !last.note.config.starts_with("work-tree-") {
                notes.push(format!("{}; owners, severities and next steps are those of the work tree", noted.what));
            }
            let session = pipeline::open(global, "report", None)?;
            Ok((session.catalog, session.rules))
        }
    }
}

/// What was a finding in `read`.
fn told_before(history: &History, read: &Read) -> Result<Before, Trouble> {
    let mut all = Vec::new();
    for (path, text) in read.decisions(history)? {
        let found = findings::decisions(&path, &text, Timestamp::MIN, |_| false);
        let found = found.map_err(|error| broken(error.to_string()))?.into_iter();
        let bad = found.filter(|one| matches!(one.status, Status::NonCompliant | Status::NoEvidence));
        all.extend(bad.map(|one| (one.control, one.subject, one.status)));
    }
    Ok(Before { run: read.compared(), findings: all, receipts: read.file.receipts.clone() })
}

/// The decisions of `last` that matter to a report.
fn decisions(history: &History, last: &Read, before: Option<&Before>, until: Timestamp) -> Result<Vec<Decision>, Trouble> {
    let known: BTreeSet<(&ControlId, &Subject)> =
        before.into_iter().flat_map(|before| &before.findings).map(|(control, subject, _)| (control, subject)).collect();
    let mut all = Vec::new();
    for (path, text) in last.decisions(history)? {
        let found = findings::decisions(&path, &text, until, |said| known.contains(&(&said.control, &said.subject)));
        all.extend(found.map_err(|error| broken(error.to_string()))?);
    }
    Ok(all)
}

fn standings(catalog: &Catalog, rules: &Rules, snapshot: &Snapshot, assessment: &Assessment) -> Vec<(CredentialId, Standing)> {
    let facts = Facts::default();
    let input =
        Input { catalog, rules, snapshot, assessment, config: String::new(), digest: String::new(), forced: &[], facts: &facts };
    catalog.credentials.values().map(|credential| (credential.id.clone(), standing(&input, credential))).collect()
}

/// The outcomes of the last run, and of credentials that it did not try and that are not at their end those of the run that did last.
fn outcomes(
    history: &History,
    runs: &[Recorded],
    last: &Read,
    standings: &[(CredentialId, Standing)],
) -> Result<Vec<Outcome>, Trouble> {
    let open = standings.iter().filter(|(_, standing)| standing.phase != Phase::Done).map(|(id, _)| id).collect();
    let begin = Limit::seconds(-BEHIND.as_seconds()).after(last.note.at);
    let earlier = runs.iter().rev().skip(1).take_while(|one| one.at >= begin);
    tried_last(open, last.outcomes(history)?, earlier.map(|one| Read::new(history, one)?.outcomes(history)))
}

/// `last`, and of each credential in `open` that it did not try what became of it `earlier`, the newest first.
fn tried_last(
    mut open: BTreeSet<&CredentialId>,
    last: Vec<Outcome>,
    mut earlier: impl Iterator<Item = Result<Vec<Outcome>, Trouble>>,
) -> Result<Vec<Outcome>, Trouble> {
    let mut all = last;
    close(&mut open, &all);
    while !open.is_empty()
        && let Some(before) = earlier.next()
    {
        let mut before = before?;
        before.retain(|one| one.action.credential().is_some_and(|id| open.contains(id)));
        close(&mut open, &before);
        all.extend(before);
    }
    Ok(all)
}

/// Takes out of `open` what was tried; where the world had moved nothing was.
fn close(open: &mut BTreeSet<&CredentialId>, outcomes: &[Outcome]) {
    let tried = outcomes.iter().filter(|one| !matches!(one.fate, Fate::Stale(_)));
    for id in tried.filter_map(|one| one.action.credential()) {
        open.remove(id);
    }
}

/// Since when each finding among `decisions` is one, as the history of the files has it.
fn begun(history: &mut History, decisions: &[Decision]) -> Result<BTreeMap<(ControlId, Subject), Timestamp>, Trouble> {
    let bad = |one: &&Decision| matches!(one.status, Status::NonCompliant | Status::NoEvidence);
    let controls: BTreeSet<&ControlId> = decisions.iter().filter(bad).map(|one| &one.control).collect();
    let mut all = BTreeMap::new();
    for control in controls {
        let path = decisions_path(control);
        let versions = history.versions(&path)?;
        let texts = history.changes(&path, &versions)?;
        let dated =
            versions.iter().zip(texts).filter_map(|(version, text)| Some((history.commits().get(version.commit)?.at, text)));
        let dated: Vec<(Timestamp, String)> = dated.collect();
        let since = findings::since(&path, &dated).map_err(|error| broken(error.to_string()))?;
        all.extend(since.into_iter().map(|(subject, (_, at))| ((control.clone(), subject), at)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::SecretRef;
    use crate::model::plan::ActionKind;

    fn recorded(run: &str, day: u32) -> Recorded {
        let at: Timestamp = format!("2026-11-{day:02}T05:00:00Z").parse().unwrap_or_default();
        Recorded {
            commit: git2::Oid::ZERO_SHA1,
            at,
            received: at,
            run: Some(format!("runs/2026/11/{day:02}/{run}.json")),
            late: None,
        }
    }

    #[test]
    fn what_failed_stays_so_until_a_run_tries_it_again() {
        let tried = |id: &str, fate| {
            let secret = SecretRef { source: "local".into(), region: ".".to_owned(), name: id.to_owned() };
            let action = ActionKind::Verify { credential: id.into(), secret, generation: "1".into() };
            Outcome { action, fate, events: Vec::new() }
        };
        let (db, key): (CredentialId, CredentialId) = ("db".into(), "key".into());
        let failed = |id: &str| tried(id, Fate::Failed("denied".to_owned()));
        let of = |open: &[&CredentialId], last: &[Outcome], earlier: &[Vec<Outcome>]| {
            let mut read = 0;
            let runs = earlier.iter().inspect(|_| read += 1).map(|run| Ok(run.clone()));
            let all = tried_last(open.iter().copied().collect(), last.to_vec(), runs).ok().unwrap();
            (all, read)
        };
        let earlier = [vec![tried("key", Fate::Done)], vec![failed("db"), failed("key")], vec![tried("db", Fate::Done)]];
        assert_eq!(of(&[&db, &key], &[], &earlier), (vec![tried("key", Fate::Done), failed("db")], 2), "and no further back");
        let done = tried("db", Fate::Done);
        assert_eq!(of(&[&db], std::slice::from_ref(&done), &earlier), (vec![done], 0));
        let moved = tried("db", Fate::Stale("it moved".to_owned()));
        assert_eq!(of(&[&db], std::slice::from_ref(&moved), &earlier), (vec![moved, failed("db")], 2));
        assert_eq!(of(&[], &[], &earlier), (vec![], 0), "what is at its end is not looked for");
    }

    #[test]
    fn a_run_is_compared_with_the_one_that_was_told_and_with_itself_when_that_is_it() {
        let runs = [recorded("r1", 20), recorded("r2", 21), recorded("r3", 22)];
        let of = |since: Since| base(&runs, &since).and_then(|one| one.run.clone()).map(|path| path[16..18].to_owned());
        assert_eq!(of(Since::RunBefore).as_deref(), Some("r2"));
        assert_eq!(of(Since::Run("r1".into())).as_deref(), Some("r1"));
        assert_eq!(of(Since::Run("r3".into())).as_deref(), Some("r3"), "nothing is new since it was told");
        assert_eq!(of(Since::Run("gone".into())).as_deref(), Some("r2"));
        assert_eq!(of(Since::When("2026-11-20".parse().unwrap())).as_deref(), Some("r1"));
        assert_eq!(of(Since::When("2026-11-19".parse().unwrap())), None);
        assert!(base(&runs[..1], &Since::RunBefore).is_none());
    }
}
