//! `slm ci issues`: an issue for each thing that only a person can do, opened, edited and closed as things stand.

use serde_json::json;

use super::super::tasks::reconcile;
use super::super::{Exit, Global, Said, Trouble, ahead, past, pipeline};
use super::job::Job;
use crate::host::history::History;
use crate::host::locker::Locker;
use crate::model::catalog::LockerSettings;
use crate::model::outcome::Outcome;
use crate::record::ledger::{CHECKPOINT, FOLDER};
use crate::report::plan::markdown;
use crate::report::tasks::tasks;
use crate::transport::github_issues::Done;

/// Arguments of `slm ci issues`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    job: Job,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "plan", None)?;
    let mut judged = pipeline::block_on(session.judge(global))??;
    let plan = ahead::plan(&session, global, &mut judged, &ahead::For { forced: &[], wanted: &[], applies: false })?;
    let outcomes = outcomes(global, &session.catalog.settings.locker)?;
    let environment = &args.job.environment;
    let wanted = tasks(&plan, &outcomes, environment);
    let left = !wanted.is_empty();
    let issues = args.job.issues()?;
    let done = reconcile(&issues, environment, wanted, (&session.catalog, &judged))?;
    let Done { opened, edited, closed, kept } = done;
    let requests = issues.requests();
    args.job.summarise(&markdown(&plan)?)?;
    let human = format!(
        "Issues: {opened} opened, {edited} edited, {closed} closed, {kept} as they were.\nRequests to GitHub: {requests}.\n"
    );
    let json = json!({ "opened": opened, "edited": edited, "closed": closed, "kept": kept, "api_calls": requests });
    let mut exits = pipeline::exits(&judged);
    exits.extend(left.then_some(Exit::Changes));
    Ok(Said::new(exits, human, json))
}

/// What became of the actions of the last recorded run; nothing when there is none. Evidence that is not here, or cannot be read, is not none:
/// what it says a person has to do would be closed.
fn outcomes(global: &Global, settings: &LockerSettings) -> Result<Vec<Outcome>, Trouble> {
    let Some(history) = History::where_there(&global.root, &settings.branch)? else {
        let elsewhere = Locker::open(&global.root, settings, None)?.standing(&format!("{FOLDER}{CHECKPOINT}"))?;
        return if elsewhere.is_some() { Err(not_here(&settings.branch)) } else { Ok(Vec::new()) };
    };
    let Some(last) = history.commits().iter().rev().find(|one| one.run.is_some()) else { return Ok(Vec::new()) };
    let (file, _) = past::run(&history, last)?;
    let Some(path) = &file.outcomes else { return Ok(Vec::new()) };
    let missing = || past::broken(format!("`{path}` is not in its commit"));
    let bytes = history.file(last.commit, path)?.ok_or_else(missing)?;
    serde_json::from_slice(&bytes).map_err(|error| past::broken(format!("`{path}`: {error}")))
}

fn not_here(branch: &str) -> Trouble {
    let error =
        format!("the remote has evidence on `{branch}` and this clone has none; `git fetch origin {branch}:{branch}` brings it");
    Trouble { exit: Exit::Incomplete, error: error.into() }
}
