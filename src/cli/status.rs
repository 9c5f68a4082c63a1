//! `slm status`: where every control and criterion stands, denominators always shown; or how one credential stands.

use serde_json::json;

use super::{Exit, Global, Said, Trouble, ahead, pipeline, unkept};
use crate::model::assessment::Status;
use crate::model::standing::Phase;
use crate::plan::standing::standing;
use crate::plan::usage::usage;
use crate::report;

/// Arguments of `slm status`.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Show how far the rotation of this credential has come, what it waits for, and who uses what it ends
    #[arg(value_name = "CREDENTIAL")]
    credential: Option<String>,
    /// Judge with the config of this git revision
    #[arg(long)]
    rev: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "status", args.rev.as_deref())?;
    let mut judged = pipeline::block_on(session.judge(global))??;
    if let Some(name) = &args.credential {
        return one(&session, global, &mut judged, name);
    }
    let mut exits = pipeline::exits(&judged);
    let tally = judged.assessment.tally(None);
    if tally.get(&Status::NonCompliant).is_some_and(|count| *count > 0) {
        exits.push(Exit::Changes);
    }
    // What is due and what is held is the plan's to say; nothing that writes is built for it.
    let plan = session.plan(&judged, &[])?;
    exits.extend(super::plan::plan_exits(&plan));
    let input = session.input(&judged, &[]);
    let credentials = session.catalog.credentials.values();
    let held_up: Vec<_> = credentials.filter_map(|one| Some((one.id.clone(), standing(&input, one).holding?))).collect();
    let seen = report::status::Seen {
        catalog: &session.catalog,
        snapshot: &judged.snapshot,
        assessment: &judged.assessment,
        exceptions: &judged.exceptions,
        manual: &judged.manual,
        unfounded: &judged.unfounded,
        reconciled: &judged.reconciled,
        segregation: &judged.segregation,
        plan: &plan,
        held_up: &held_up,
        sent: session.sent(),
    };
    let unkept = unkept::by_now(global, &session.catalog.settings.locker)?;
    exits.extend((!unkept.is_empty()).then_some(Exit::Incomplete));
    let told: String = unkept.iter().map(|one| format!("! {}\n", one.what)).collect();
    let mut json = report::status::json(&seen);
    json["unkept"] = json!(unkept);
    Ok(Said::new(exits, report::status::human(&seen) + &told, json))
}

/// How the credential `name` stands.
fn one(session: &pipeline::Session, global: &Global, judged: &mut pipeline::Judged, name: &String) -> Result<Said, Trouble> {
    let known = super::plan::known(session, std::slice::from_ref(name))?;
    ahead::uses(session, global, judged, &known)?;
    ahead::health(session, global, judged)?;
    let credential = known.first().and_then(|id| session.catalog.credentials.get(id));
    let credential = credential.ok_or_else(|| format!("credential `{name}` is not declared"))?;
    let standing = standing(&session.input(judged, &[]), credential);
    let exit = match standing.phase {
        Phase::Done if standing.validity.exceeded(judged.assessment.at).is_none() && standing.left.is_none() => Exit::Clean,
        Phase::Unseen => Exit::Incomplete,
        _ => Exit::Changes,
    };
    let usage = usage(&session.input(judged, &[]), credential);
    let human = report::credential::human(credential, &standing, judged.assessment.at) + &report::usage::human(&usage);
    let kind = credential.rotator.kind();
    let (requests, sent) = (judged.requests(), session.sent());
    Ok(Said::new(
        vec![exit],
        human,
        json!({
            "credential": credential.id, "kind": kind, "standing": standing, "usage": usage, "requests": requests, "sent": sent,
        }),
    ))
}
