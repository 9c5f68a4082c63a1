//! `slm resume`: go on with what was begun, and begin nothing.

use super::carry::{Haste, Work};
use super::rotate::only;
use super::{Global, Said, Trouble, ahead, carry, pipeline};
use crate::model::id::CredentialId;
use crate::model::plan::{ActionKind, Plan, Reason};

/// Arguments of `slm resume`.
#[derive(clap::Args)]
pub struct Args {
    /// Only these credentials; all when absent
    #[arg(value_name = "CREDENTIAL")]
    credentials: Vec<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "resume", None)?;
    let wanted = super::plan::known(&session, &args.credentials)?;
    let mut judged = pipeline::block_on(session.judge(global))??;
    ahead::health(&session, global, &mut judged)?;
    let made = session.plan(&judged, &[])?;
    let plan = ahead::learnt(&session, global, &mut judged, (&[], made))?;
    let begun = begun(&plan);
    let asked = |id: &CredentialId| wanted.is_empty() || wanted.contains(id);
    let mut plan = only(plan, |kind| begun.contains(kind) && kind.credential().is_some_and(asked));
    plan.preflight.clear();
    carry::out(&session, global, &Work { plan: &plan, haste: Haste::GoesOn, requests: judged.requests() })
}

/// What of `plan` was begun by an earlier run.
fn begun(plan: &Plan) -> Vec<ActionKind> {
    let begun =
        |reason: &Reason| matches!(reason, Reason::HalfDone | Reason::InWrongHands { .. } | Reason::Stuck { .. } | Reason::Staged);
    let is = |kind: &ActionKind, reason: &Reason| !matches!(kind, ActionKind::Rotate { .. }) || begun(reason);
    let actions = plan.actions.iter().map(|action| (&action.kind, &action.reason));
    let held = plan.held.iter().map(|held| (&held.kind, &held.reason));
    actions.chain(held).filter(|(kind, reason)| is(kind, reason)).map(|(kind, _)| kind.clone()).collect()
}
