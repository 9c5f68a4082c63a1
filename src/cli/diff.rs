//! `slm diff`: what an edit of the config repo means, by both texts, what was seen and what is recorded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::past::{self, Past, When};
use super::{Exit, Global, Said, Trouble, pipeline, replay};
use crate::diff::{Input, Proofs, Seen, Text, diff, questions};
use crate::host::clock::SystemClock;
use crate::host::history::History;
use crate::host::merged;
use crate::host::solver::{Question, Solver};
use crate::model::catalog::Catalog;
use crate::model::diagnostic::Diagnostic;
use crate::model::difference::{Difference, Proof, Side};
use crate::model::id::RunId;
use crate::model::past::Noted;
use crate::model::plan::Plan;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::policy::Rules;
use crate::report::{self, diagnostics};
use crate::world::Clock as _;

/// What the work tree is called.
const WORK_TREE: &str = "work tree";

/// Arguments of `slm diff`.
#[derive(clap::Args)]
pub struct Args {
    /// Two git revisions; `BASE...HEAD` from where HEAD left BASE, and BASE alone up to the work tree
    #[arg(value_name = "BASE..HEAD")]
    revisions: String,
    /// Recorded days that are judged under both texts
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(0..=3660))]
    days: u16,
    /// As of this day or instant: what was recorded later does not count
    #[arg(long, value_name = "DAY|INSTANT")]
    at: Option<When>,
    /// Print markdown for a pull request
    #[arg(long)]
    markdown: bool,
}

/// What is asked for.
pub(super) struct Asked<'a> {
    /// The old revision.
    pub(super) base: &'a str,
    /// The new one; the work tree when absent.
    pub(super) head: Option<&'a str>,
    /// As of when; now when absent.
    pub(super) at: Option<When>,
    /// Recorded days that are judged under both texts.
    pub(super) days: u16,
}

/// What came of it.
pub(super) enum Found {
    /// Both texts are valid.
    Compared(Box<Difference>),
    /// One or both are not.
    Invalid(Vec<Broken>),
}

/// A text that cannot be used.
pub(super) struct Broken {
    /// Which.
    pub(super) name: String,
    /// What is wrong with it.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Its files.
    pub(super) files: BTreeMap<String, String>,
}

/// One side, loaded.
pub(super) struct Loaded {
    pub(super) side: Side,
    pub(super) catalog: Catalog,
    pub(super) rules: Rules,
    files: BTreeMap<String, String>,
}

impl Loaded {
    pub(super) fn text(&self) -> Text<'_> {
        Text { side: self.side.clone(), catalog: &self.catalog, rules: &self.rules }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let (base, head) = revisions(global, &args.revisions)?;
    let asked = Asked { base: &base, head: head.as_deref(), at: args.at, days: args.days };
    match compare(&asked, global)? {
        Found::Compared(difference) => {
            let human = if args.markdown { report::diff::markdown(&difference) } else { report::diff::human(&difference) };
            let json = json!({ "difference": &*difference, "summary": report::diff::summary(&difference) });
            Ok(Said::new(exits(&difference), human, json))
        }
        Found::Invalid(broken) => Ok(invalid(&broken, global)),
    }
}

/// The two revisions that `text` names.
fn revisions(global: &Global, text: &str) -> Result<(String, Option<String>), Trouble> {
    let named = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
    if let Some((base, head)) = text.split_once("...") {
        let (base, head) = (named(base), named(head));
        return Ok((merged::parted(&global.root, &base, &head)?, Some(head)));
    }
    Ok(match text.split_once("..") {
        Some((base, head)) => (named(base), Some(named(head))),
        None => (named(text), None),
    })
}

/// How a comparison ended.
pub(super) fn exits(difference: &Difference) -> Vec<Exit> {
    let mut exits = vec![Exit::Clean];
    exits.extend((!difference.is_equal()).then_some(Exit::Changes));
    exits.extend((!difference.unseen.is_empty()).then_some(Exit::Incomplete));
    exits
}

fn invalid(broken: &[Broken], global: &Global) -> Said {
    let mut human = String::new();
    let mut sides = Vec::new();
    for Broken { name, diagnostics, files } in broken {
        human.push_str(&format!(
            "The config of `{name}` is invalid.\n\n{}",
            diagnostics::human(diagnostics, files, global.colored())
        ));
        sides.push(json!({ "side": name, "diagnostics": diagnostics::json(diagnostics, files) }));
    }
    Said::new(vec![Exit::Invalid], human, json!({ "invalid": sides })).painted()
}

/// Compares two texts; what is recorded is read where the old one says, so that an edit cannot choose its own evidence.
pub(super) fn compare(asked: &Asked<'_>, global: &Global) -> Result<Found, Trouble> {
    let at = asked.at.map_or_else(|| SystemClock.now(), When::instant);
    let (base, head) = match (side(global, Some(asked.base), at)?, side(global, asked.head, at)?) {
        (Ok(base), Ok(head)) => (base, head),
        (base, head) => return Ok(Found::Invalid(base.err().into_iter().chain(head.err()).collect())),
    };
    let files = files(&base.files, &head.files);
    let texts = (base.text(), head.text());
    let proofs = proofs(&texts.0, &texts.1)?;
    let (mut unseen, mut recorded) = (Vec::new(), None);
    if !files.is_empty() {
        match open(global, &base.catalog.settings.locker.branch, at)? {
            Ok(found) => recorded = Some(found),
            Err(noted) => unseen.push(noted),
        }
    }
    let last = recorded.as_ref().map(|(history, branch)| last(history, branch, at)).transpose()?;
    let run = last.as_ref().map(|last| last.run.clone());
    let seen = last.as_ref().zip(run.as_ref()).map(|(last, run)| Seen {
        run,
        snapshot: &last.snapshot,
        at: last.at,
        plan: last.plan.as_ref(),
    });
    let mut difference = diff(&Input { base: &texts.0, head: &texts.1, at, proofs: &proofs, seen });
    difference.files = files;
    // Of texts that mean the same, nothing would be read differently.
    if difference.is_equal() {
        return Ok(Found::Compared(Box::new(difference)));
    }
    difference.unseen = unseen;
    if let Some(((history, _), last)) = recorded.as_mut().zip(last.as_ref()).filter(|_| asked.days > 0) {
        difference.replay = replay::replay(history, (&texts.0, &texts.1), last.began, asked.days)?;
    }
    Ok(Found::Compared(Box::new(difference)))
}

/// What can be proved of policies that are other; of each, why not, where there is no solver.
fn proofs(base: &Text<'_>, head: &Text<'_>) -> Result<Proofs, Trouble> {
    let actions = questions(base, head);
    if actions.is_empty() {
        return Ok(Proofs::new());
    }
    let solver = match Solver::find() {
        Ok(solver) => solver,
        Err(why) => return Ok(actions.into_iter().map(|action| (action, Proof::unproved(why.clone()))).collect()),
    };
    let text =
        |rules: &Rules, action: &str| -> String { rules.slice(action).iter().map(|rule| format!("{}\n", rule.text)).collect() };
    let question = |action: String| {
        let (base, head) = (text(base.rules, &action), text(head.rules, &action));
        Question { action, base, head }
    };
    let questions: Vec<Question> = actions.into_iter().map(question).collect();
    pipeline::block_on(solver.prove(&head.catalog.schema.text, &questions))
}

/// One side; what is wrong with it when it cannot be used.
fn side(global: &Global, rev: Option<&str>, at: Timestamp) -> Result<Result<Loaded, Broken>, Trouble> {
    let name = rev.unwrap_or(WORK_TREE).to_owned();
    let files = pipeline::files(global, rev)?;
    let config = pipeline::name(global, rev, &files)?;
    let checked = pipeline::load_at(files, at);
    let (files, diagnostics) = (checked.files, checked.diagnostics);
    let Some(catalog) = checked.catalog else { return Ok(Err(Broken { name, diagnostics, files })) };
    let rules = Rules::of(&catalog, &checked.policies)?;
    Ok(Ok(Loaded { side: Side { name, config }, catalog, rules, files }))
}

/// Files that are other, sorted.
fn files(base: &BTreeMap<String, String>, head: &BTreeMap<String, String>) -> Vec<String> {
    let paths: BTreeSet<&String> = base.keys().chain(head.keys()).collect();
    paths.into_iter().filter(|path| base.get(*path) != head.get(*path)).cloned().collect()
}

/// The history of the locker, with its branch, when a run is recorded there by `at`; else why nothing is known.
fn open(global: &Global, branch: &str, at: Timestamp) -> Result<Result<(History, String), Noted>, Trouble> {
    let unseen = |what: String| Ok(Err(Noted { code: "slm::diff-nothing-recorded", what }));
    let history = match History::open(&global.root, branch) {
        Ok(history) => history,
        Err(error) => return unseen(format!("nothing was replayed: {}: {}", error.operation, error.cause)),
    };
    if history.commits().iter().any(|one| one.run.is_some() && one.at <= at) {
        return Ok(Ok((history, branch.to_owned())));
    }
    unseen(format!("nothing was replayed: no run is recorded on {branch} until {at}"))
}

/// What the last run saw and planned.
struct Last {
    run: RunId,
    snapshot: Snapshot,
    began: Timestamp,
    at: Timestamp,
    plan: Option<Plan>,
}

fn last(history: &History, branch: &str, at: Timestamp) -> Result<Last, Trouble> {
    let past = past::at(history, branch, When::Instant(at))?;
    let snapshot = past.snapshot()?;
    let plan = planned(&past)?;
    let (run, began) = (past.note.id.clone(), past.note.at);
    Ok(Last { run, snapshot, began, at: past.note.judged.unwrap_or(began), plan })
}

/// What a run planned; `None` when it planned nothing, or is of a version whose plans are read no more.
fn planned(past: &Past<'_>) -> Result<Option<Plan>, Trouble> {
    let Some(rest) = past.note.path.strip_prefix("runs/") else { return Ok(None) };
    let bytes = past.artefact(&format!("plans/{rest}"))?;
    Ok(bytes.and_then(|(_, bytes)| serde_json::from_slice(&bytes).ok()))
}
