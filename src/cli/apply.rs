//! `slm apply`: carry out a saved plan exactly, or plan and apply; every run is recorded in the locker.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::by_hand::{self, Asked};
use super::carry::{Haste, Work};
use super::{Exit, Global, Said, Trouble, ahead, carry, pipeline};
use crate::model::plan::Plan;
use crate::report;

/// Arguments of `slm apply`.
#[derive(clap::Args)]
pub struct Args {
    /// A plan saved with `slm plan --out`
    plan: Option<PathBuf>,
    /// Apply without a saved plan
    #[arg(long, conflicts_with = "plan")]
    auto_approve: bool,
    /// Rotate this credential although it is not due; may be given more than once
    #[arg(long, value_name = "CREDENTIAL", requires = "auto_approve")]
    force: Vec<String>,
}

impl Args {
    /// `slm apply --auto-approve`.
    pub(super) fn approved() -> Self {
        Self { plan: None, auto_approve: true, force: Vec::new() }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "apply", None)?;
    let forced = super::plan::known(&session, &args.force)?;
    by_hand::refuse(&session, &forced, Asked::Rotate)?;
    let saved = args.plan.as_ref().map(|path| saved(path, &session)).transpose()?;
    let (plan, requests) = match saved {
        Some(plan) => (plan, 0),
        None => {
            let mut judged = pipeline::block_on(session.judge(global))??;
            let of = ahead::For { forced: &forced, wanted: &[], applies: args.auto_approve };
            let plan = ahead::plan(&session, global, &mut judged, &of)?;
            (plan, judged.requests())
        }
    };
    if args.plan.is_none() && !args.auto_approve {
        let mut human = report::plan::human(&plan);
        human.push_str(
            "Nothing was applied. Save it with `slm plan --out FILE` and run `slm apply FILE`, or pass `--auto-approve`.\n",
        );
        return Ok(Said::new(
            vec![Exit::Held],
            human,
            json!({ "plan": plan, "applied": false, "requests": requests, "sent": session.sent() }),
        ));
    }
    carry::out(&session, global, &Work { plan: &plan, haste: Haste::Usual, requests })
}

fn saved(path: &Path, session: &pipeline::Session) -> Result<Plan, Trouble> {
    let plan: Plan = serde_json::from_slice(&std::fs::read(path)?)?;
    if plan.config != session.config {
        let error = format!("the plan was made for config {}, which is {} now; plan again", plan.config, session.config);
        return Err(Trouble { exit: Exit::Failed, error: error.into() });
    }
    pipeline::refuse_bad(&plan, &session.catalog)?;
    Ok(plan)
}
