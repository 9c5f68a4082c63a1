//! `slm explain`: one control or resource in depth, now, on a past day, or all that a control said over time.

use super::past::When;
use super::{Exit, Global, Said, Trouble, explain_at, explain_found, explain_history, pipeline};
use crate::model::assessment::Status;
use crate::report::explain;

/// Arguments of `slm explain`.
#[derive(clap::Args)]
pub struct Args {
    /// A control id, or a resource id such as an ARN
    name: String,
    /// Explain with the config of this git revision
    #[arg(long)]
    rev: Option<String>,
    /// Explain what was recorded then: a day of UTC, which means its end, or an instant
    #[arg(long, value_name = "DAY|INSTANT", conflicts_with = "rev")]
    at: Option<When>,
    /// Show each recorded run that changed what this control says, the newest first
    #[arg(long, conflicts_with_all = ["rev", "at"])]
    history: bool,
    /// How many of those runs
    #[arg(long, value_name = "COUNT", default_value_t = 20, requires = "history")]
    newest: usize,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    if args.history {
        return explain_history::run(&args.name, args.newest, global);
    }
    if let Some(when) = args.at {
        return explain_at::run(&args.name, when, global);
    }
    let session = pipeline::open(global, "explain", args.rev.as_deref())?;
    let judged = pipeline::block_on(session.judge(global))??;
    let decisions = explain::matching(&judged.assessment, &args.name);
    if decisions.is_empty() {
        let seen = judged.snapshot.populations.iter().flat_map(|population| population.resources.iter()).map(|one| one.id.as_str());
        let next = explain_found::next(&args.name, session.catalog.controls.keys().map(|id| id.as_str()), seen);
        return Err(format!("nothing was judged about `{}`; {next}", args.name).into());
    }
    let (catalog, rules, assessment) = (&session.catalog, &session.rules, &judged.assessment);
    let explained = explain::Explained { catalog, rules, assessment, decisions: &decisions, manual: &judged.manual };
    let mut json = explain::json(&explained);
    (json["requests"], json["sent"]) = (judged.requests().into(), session.sent().into());
    let has = |status| decisions.iter().any(|decision| decision.status == status);
    let mut exits = vec![Exit::Clean];
    exits.extend(has(Status::NoEvidence).then_some(Exit::Incomplete));
    exits.extend(has(Status::NonCompliant).then_some(Exit::Changes));
    Ok(Said::new(exits, explain::human(&explained), json))
}
