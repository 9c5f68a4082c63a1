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
    let judged = pipeline::block_on(session.judge(global))?;
    let mut exits = pipeline::exits(&judged);
    let tally = judged.assessment.tally(None);
    if tally.get(&Status::NonCompliant).is_some_and(|count| *count > 0) {
        exits.push(Exit::Changes);
    }
    let human = report::status::human(&session.catalog, &judged.snapshot, &judged.assessment);
    let json = report::status::json(&session.catalog, &judged.snapshot, &judged.assessment);
    Ok(Said::new(exits, human, json))
}
