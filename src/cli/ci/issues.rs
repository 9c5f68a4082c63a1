//! `slm ci issues`: an issue for each thing that only a person can do, opened, edited and closed as things stand.

use serde_json::json;

use super::super::tasks::reconcile;
use super::super::{Exit, Global, Said, Trouble, ahead, past, pipeline};
use super::job::Job;
use crate::host::history::History;
use crate::model::outcome::Outcome;
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
    let outcomes = outcomes(global, &session.catalog.settings.locker.branch)?;
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

/// What became of the actions of the last recorded run; nothing when there is none.
fn outcomes(global: &Global, branch: &str) -> Result<Vec<Outcome>, Trouble> {
    let Ok(history) = History::open(&global.root, branch) else { return Ok(Vec::new()) };
    let Some(last) = history.commits().iter().rev().find(|one| one.run.is_some()) else { return Ok(Vec::new()) };
    let (file, _) = past::run(&history, last)?;
    let Some(path) = &file.outcomes else { return Ok(Vec::new()) };
    let bytes = history.file(last.commit, path)?.unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|error| past::broken(format!("`{path}`: {error}")))
}
