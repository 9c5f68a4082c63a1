//! `slm plan`: observe, judge and print what is due. It cannot write to the world: nothing that writes is built.

#![expect(clippy::disallowed_methods, reason = "it saves a plan where it is told")]

use std::path::PathBuf;

use serde_json::json;

use super::by_hand::{self, Asked};
use super::{Exit, Global, Said, Trouble, ahead, pipeline};
use crate::model::id::CredentialId;
use crate::model::plan::{Plan, Reason};
use crate::record::canonical;
use crate::report;

/// Arguments of `slm plan`.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Save the plan for `slm apply`
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print markdown for a pull request
    #[arg(long)]
    markdown: bool,
    /// Plan with the config of this git revision
    #[arg(long)]
    rev: Option<String>,
    /// Rotate this credential although it is not due; may be given more than once
    #[arg(long, value_name = "CREDENTIAL")]
    force: Vec<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "plan", args.rev.as_deref())?;
    let forced = known(&session, &args.force)?;
    by_hand::refuse(&session, &forced, Asked::Rotate)?;
    let mut judged = pipeline::block_on(session.judge(global))??;
    let plan = ahead::plan(&session, global, &mut judged, &ahead::For { forced: &forced, wanted: &[], applies: false })?;
    let plan = ahead::with_usage(&session, global, &mut judged, (&forced, plan))?;
    if let Some(path) = &args.out {
        std::fs::write(path, canonical::json(&plan)?)?;
    }
    let mut exits = pipeline::exits(&judged);
    exits.extend(plan_exits(&plan));
    let mut human = if args.markdown { report::plan::markdown(&plan)? } else { report::plan::human(&plan) };
    let blind = pipeline::blind_spots(&judged, session.catalog.controls.len());
    let notes = blind
        + &report::segregation::findings(&judged.segregation)
        + &report::exception::findings(&judged.exceptions, judged.assessment.at);
    if args.markdown && !notes.is_empty() {
        human.push_str("\n\n");
    }
    human.push_str(&notes);
    let (gaps, receipts) = (&judged.assessment.gaps, &judged.snapshot.receipts);
    let unused = &judged.assessment.unused_exceptions;
    Ok(Said::new(
        exits,
        human,
        json!({
            "plan": plan, "gaps": gaps, "unused-exceptions": unused, "exceptions": judged.exceptions,
            "segregation": judged.segregation,
            "requests": judged.requests(), "sent": session.sent(), "receipts": receipts,
        }),
    ))
}

pub(super) fn plan_exits(plan: &Plan) -> Vec<Exit> {
    let mut exits = Vec::new();
    if !plan.actions.is_empty() {
        exits.push(Exit::Changes);
    }
    if !plan.held.is_empty() {
        exits.push(Exit::Held);
    }
    exits.extend(unseen(plan));
    exits
}

/// Incomplete, when `plan` rests on something that was not seen.
pub(super) fn unseen(plan: &Plan) -> Option<Exit> {
    plan.actions.iter().any(|action| matches!(action.reason, Reason::NoEvidence(_))).then_some(Exit::Incomplete)
}

pub(super) fn known(session: &pipeline::Session, names: &[String]) -> Result<Vec<CredentialId>, Trouble> {
    let ids: Vec<CredentialId> = names.iter().map(CredentialId::from).collect();
    match ids.iter().find(|id| !session.catalog.credentials.contains_key(*id)) {
        Some(unknown) => Err(format!("credential `{unknown}` is not declared under credentials/").into()),
        None => Ok(ids),
    }
}
