//! `slm apply`: carry out a saved plan exactly, or plan and apply; every run is recorded in the locker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{Exit, Global, Said, Trouble, pipeline, wire};
use crate::apply::engine::drive;
use crate::apply::job::{Budget, Job};
use crate::host::clock::SystemClock;
use crate::host::locker::{Locker, Signer};
use crate::host::registers::GitRegisters;
use crate::host::repo;
use crate::model::catalog::LockerSettings;
use crate::model::outcome::{Fate, Outcome};
use crate::model::plan::{Action, ActionKind, Plan};
use crate::record::{RunRecord, artefacts};
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
    let session = pipeline::open(global, None)?;
    let forced = super::plan::known(&session, &args.force)?;
    let saved = args.plan.as_ref().map(|path| saved(path, &session)).transpose()?;
    let plan = match saved {
        Some(plan) => plan,
        None => session.plan(&pipeline::block_on(session.judge(global))??, &forced)?,
    };
    if args.plan.is_none() && !args.auto_approve {
        let mut human = report::plan::human(&plan);
        human.push_str(
            "Nothing was applied. Save it with `slm plan --out FILE` and run `slm apply FILE`, or pass `--auto-approve`.\n",
        );
        return Ok(Said::new(vec![Exit::Held], human, json!({ "plan": plan, "applied": false })));
    }
    // Nothing is changed that could not be recorded beside what was recorded before.
    repo::intact(&global.root, &session.catalog.settings.locker.branch)
        .map_err(|error| Trouble { exit: Exit::Integrity, error: error.into() })?;
    let stop = stop_on_ctrl_c();
    let outcomes = pipeline::block_on(carry_out(&session, global, &plan, &stop))?;
    // What is recorded is the world after the run: the same look a later plan would take.
    let after = pipeline::block_on(session.judge_now(global))??;
    let result = json!({ "outcomes": outcomes });
    let commit = record(&session, global, &after, &plan, &outcomes, &result)?;
    let mut exits = pipeline::exits(&after);
    exits.extend(outcome_exits(&outcomes));
    if !plan.held.is_empty() {
        exits.push(Exit::Held);
    }
    let human = format!(
        "{}\nRecorded as {} on {}.\n",
        tell(&outcomes, &plan),
        &commit[..12.min(commit.len())],
        session.catalog.settings.locker.branch
    );
    Ok(Said::new(exits, human, json!({ "outcomes": outcomes, "held": plan.held, "commit": commit })))
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

/// Ctrl-C asks the run to stop at the next safe point; a second one ends it at once, which is safe as well.
fn stop_on_ctrl_c() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = pipeline::block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                flag.store(true, Ordering::Relaxed);
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
    stop
}

async fn carry_out(session: &pipeline::Session, global: &Global, plan: &Plan, stop: &AtomicBool) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for action in &plan.actions {
        outcomes.push(one(session, global, action, stop).await);
    }
    outcomes
}

async fn one(session: &pipeline::Session, global: &Global, action: &Action, stop: &AtomicBool) -> Outcome {
    let say = |fate| Outcome { action: action.kind.clone(), fate, events: Vec::new() };
    let credential = match &action.kind {
        ActionKind::Rotate { credential, .. } | ActionKind::Deliver { credential, .. } | ActionKind::Finish { credential, .. } => {
            credential
        }
        // Collecting again is what the look after the run does; people are asked by what this run prints and records.
        ActionKind::Collect { .. } => return say(Fate::Done),
        ActionKind::Escalate { owner, .. } => return say(Fate::Waiting(format!("for {owner}"))),
        ActionKind::Adopt { .. } => return say(Fate::Waiting("for a file under credentials/".to_owned())),
    };
    let Some(credential) = session.catalog.credentials.get(credential) else {
        return say(Fate::Stale("the credential is not declared any more".to_owned()));
    };
    let store = match wire::store(&session.catalog, credential, &global.root, &session.sessions).await {
        Ok(store) => store,
        Err(error) => return say(Fate::Failed(error.to_string())),
    };
    let lease = Duration::from_secs(u64::try_from(credential.policy.lease.as_seconds()).unwrap_or(0));
    let begun = Instant::now();
    let fence = move || begun.elapsed() < lease;
    let (catalog, root, sessions) = (&session.catalog, global.root.as_path(), &session.sessions);
    let reach = wire::Reach { catalog, root, access: wire::Access::Apply, sessions };
    let consumers = wire::consumers_of(&reach, credential).await;
    let rotator = wire::rotator(credential);
    let registers = match GitRegisters::open(&global.root, session.catalog.settings.locker.remote.clone()) {
        Ok(registers) => registers,
        Err(error) => return say(Fate::Failed(error.to_string())),
    };
    let job = Job {
        action: &action.kind,
        credential,
        store: store.as_ref(),
        rotator: rotator.as_ref(),
        target: None,
        registers: &registers,
        consumers: &consumers,
        fence: &fence,
        retire_held: None,
        leak: false,
        budget: Budget::default(),
    };
    drive(&job, &SystemClock, stop).await
}

/// Commits the run to the locker.
pub(super) fn record(
    session: &pipeline::Session,
    global: &Global,
    judged: &pipeline::Judged,
    plan: &Plan,
    outcomes: &[Outcome],
    result: &Json,
) -> Result<String, Trouble> {
    let settings = &session.catalog.settings.locker;
    let locker = Locker::open(&global.root, settings, signer(settings, global)?)?;
    let run = session.run("apply");
    let files = artefacts(&RunRecord {
        run: &run,
        snapshot: &judged.snapshot,
        raw: &judged.raw,
        assessment: Some(&judged.assessment),
        plan: Some(plan),
        outcomes,
        result,
    })?;
    let message = message(run.id.as_str(), outcomes);
    let (plans, evidence) = match &settings.plans_branch {
        Some(_) => files.into_iter().partition(|(path, _)| path.starts_with("plans/")),
        None => (BTreeMap::new(), files),
    };
    if let Some(branch) = &settings.plans_branch {
        let elsewhere = LockerSettings { branch: branch.clone(), ..settings.clone() };
        Locker::open(&global.root, &elsewhere, signer(settings, global)?)?.append(|_| plans.clone(), &message, session.at)?;
    }
    Ok(locker.append(|_| evidence.clone(), &message, session.at)?)
}

fn signer(settings: &LockerSettings, global: &Global) -> Result<Option<Signer>, Trouble> {
    Ok(settings.signing_key.as_ref().map(|path| Signer::open(&global.root.join(path))).transpose()?)
}

fn message(id: &str, outcomes: &[Outcome]) -> String {
    let done = outcomes.iter().filter(|outcome| matches!(outcome.fate, Fate::Done)).count();
    format!("run {id}: {done} of {} actions done\n", outcomes.len())
}

fn outcome_exits(outcomes: &[Outcome]) -> Vec<Exit> {
    let exit = |outcome: &Outcome| match &outcome.fate {
        Fate::Done | Fate::AlreadySo => Exit::Clean,
        Fate::Waiting(_) => Exit::Changes,
        Fate::Stale(_) | Fate::Stopped(_) | Fate::Blocked(_) | Fate::Failed(_) => Exit::Partly,
    };
    outcomes.iter().map(exit).collect()
}

fn tell(outcomes: &[Outcome], plan: &Plan) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let (verb, object) = report::words::action(&outcome.action);
        let fate = match &outcome.fate {
            Fate::Done => "done".to_owned(),
            Fate::AlreadySo => "so already".to_owned(),
            Fate::Stale(why) => format!("stale: {why}"),
            Fate::Waiting(what) => format!("waits {what}"),
            Fate::Stopped(why) => format!("stopped: {why}"),
            Fate::Blocked(why) => format!("blocked: {why}"),
            Fate::Failed(why) => format!("failed: {why}"),
        };
        let steps: Vec<&str> = outcome.events.iter().map(|event| event.step.as_str()).collect();
        let steps = if steps.is_empty() { String::new() } else { format!("  ({})", steps.join(", ")) };
        text.push_str(&format!("{verb:<8}  {object}  {fate}{steps}\n"));
    }
    if outcomes.is_empty() {
        text.push_str("Nothing was due.\n");
    }
    if !plan.held.is_empty() {
        text.push_str(&format!("{} held; see `slm plan`.\n", plan.held.len()));
    }
    text
}
