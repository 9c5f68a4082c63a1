//! `slm status`: where every control and criterion stands, denominators always shown.

use super::{Exit, Global, Said, Trouble, pipeline};
use crate::model::assessment::Status;
use crate::report;

/// Arguments of `slm status`.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Judge with the config of this git revision
    #[arg(long)]
    rev: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, args.rev.as_deref())?;
    let judged = pipeline::block_on(session.judge(global))??;
    let mut exits = pipeline::exits(&judged);
    let tally = judged.assessment.tally(None);
    if tally.get(&Status::NonCompliant).is_some_and(|count| *count > 0) {
        exits.push(Exit::Changes);
    }
    // What is due and what is held is the plan's to say; nothing that writes is built for it.
    let plan = session.plan(&judged, &[])?;
    exits.extend(super::plan::plan_exits(&plan));
    let seen =
        report::status::Seen { catalog: &session.catalog, snapshot: &judged.snapshot, assessment: &judged.assessment, plan: &plan };
    Ok(Said::new(exits, report::status::human(&seen), report::status::json(&seen)))
}
