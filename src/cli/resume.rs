//! `slm resume`: go on with what was begun, and begin nothing.

use super::carry::Haste;
use super::rotate::{about, only};
use super::{Global, Said, Trouble, carry, pipeline};
use crate::model::plan::{ActionKind, Plan, Reason};

/// Arguments of `slm resume`.
#[derive(clap::Args)]
pub struct Args {
    /// Only these credentials; all when absent
    #[arg(value_name = "CREDENTIAL")]
    credentials: Vec<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, None)?;
    let wanted = super::plan::known(&session, &args.credentials)?;
    let judged = pipeline::block_on(session.judge(global))??;
    let plan = begun(session.plan(&judged, &[])?);
    let plan = only(plan, |kind| about(kind).is_some_and(|id| wanted.is_empty() || wanted.contains(id)));
    carry::out(&session, global, &plan, Haste::GoesOn)
}

/// What of `plan` was begun by an earlier run.
fn begun(mut plan: Plan) -> Plan {
    let begun = |reason: &Reason| matches!(reason, Reason::HalfDone | Reason::Stuck { .. });
    let is = |kind: &ActionKind, reason: &Reason| !matches!(kind, ActionKind::Rotate { .. }) || begun(reason);
    plan.actions.retain(|action| is(&action.kind, &action.reason));
    plan.held.retain(|held| is(&held.kind, &held.reason));
    plan.preflight.clear();
    plan
}
