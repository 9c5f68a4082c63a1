//! Carries out a plan and records the run: what `apply`, `rotate`, `resume`, `rollback` and `retire` share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::rotate::about;
use super::{Exit, Global, Said, Trouble, gaps, lease, pipeline, wire};
use crate::apply::engine::drive;
use crate::apply::job::{Budget, Job};
use crate::apply::managed;
use crate::apply::stored::Stored;
use crate::host::clock::SystemClock;
use crate::host::locker::{Locker, Signer};
use crate::host::repo;
use crate::model::catalog::{Credential, LockerSettings};
use crate::model::outcome::{Fate, Outcome};
use crate::model::plan::{Action, ActionKind, Plan};
use crate::plan::guard;
use crate::record::{RunRecord, artefacts};
use crate::report;
use crate::world::Clock as _;

/// What stands above the courtesy between runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// Nothing: what another run works on is left to it.
    Usual,
    /// A person, or the step after a run that was cut off, wants what was begun to go on.
    GoesOn,
    /// The old values are in wrong hands and are ended at once.
    Leaked,
}

/// Carries out `plan` and records the run.
pub(super) fn out(session: &pipeline::Session, global: &Global, plan: &Plan, haste: Haste) -> Result<Said, Trouble> {
    // Nothing is changed that could not be recorded beside what was recorded before.
    repo::intact(&global.root, &session.catalog.settings.locker.branch)
        .map_err(|error| Trouble { exit: Exit::Integrity, error: error.into() })?;
    let stop = stop_on_ctrl_c();
    let outcomes = pipeline::block_on(carry_out(session, global, plan, haste, &stop))?;
    // What is recorded is the world after the run: the same look a later plan would take.
    let after = pipeline::block_on(session.judge_now(global))??;
    let gaps = gaps::of(session, &outcomes);
    let result = json!({ "outcomes": outcomes, "gaps": gaps.iter().map(gaps::Found::json).collect::<Vec<_>>() });
    let commit = record(session, global, &after, plan, &outcomes, &result)?;
    let mut exits = pipeline::exits(&after);
    exits.extend(outcome_exits(&outcomes));
    exits.extend(gaps.iter().filter(|found| found.gap.exceeds(found.allowed)).map(|_| Exit::Changes));
    if !plan.held.is_empty() {
        exits.push(Exit::Held);
    }
    exits.extend(super::plan::unseen(plan));
    let human = format!(
        "{}{}\nRecorded as {} on {}.\n",
        tell(&outcomes, plan),
        gaps.iter().map(|found| format!("          {}: {}\n", found.credential, found.gap.told(found.allowed))).collect::<String>(),
        &commit[..12.min(commit.len())],
        session.catalog.settings.locker.branch
    );
    Ok(Said::new(
        exits,
        human,
        json!({ "outcomes": outcomes, "gaps": result["gaps"], "held": plan.held, "preflight": plan.preflight, "commit": commit }),
    ))
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

async fn carry_out(session: &pipeline::Session, global: &Global, plan: &Plan, haste: Haste, stop: &AtomicBool) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for action in &plan.actions {
        outcomes.push(leased(session, global, action, haste, stop).await);
    }
    outcomes
}

/// Carries out `action`, unless another run works on its credential.
async fn leased(session: &pipeline::Session, global: &Global, action: &Action, haste: Haste, stop: &AtomicBool) -> Outcome {
    let credential = about(&action.kind).and_then(|id| session.catalog.credentials.get(id));
    let lease = match credential {
        Some(credential) => lease::take(session, global, credential, haste != Haste::Usual).await,
        None => None,
    };
    if let Some(lease::Taken::Theirs(holder)) = lease {
        let why = format!("until {}: run {} works on it; `slm resume` goes on at once", holder.until, holder.run);
        return Outcome { action: action.kind.clone(), fate: Fate::Waiting(why), events: Vec::new() };
    }
    let outcome = one(session, global, action, haste == Haste::Leaked, stop).await;
    if let (Some(lease::Taken::Ours(ours)), Some(credential)) = (lease, credential) {
        lease::give_back(session, global, credential, ours).await;
    }
    outcome
}

/// What becomes of an action that touches no credential.
fn asked(kind: &ActionKind) -> Fate {
    match kind {
        ActionKind::Escalate { owner, .. } | ActionKind::EscalateCredential { owner, .. } => Fate::Waiting(format!("for {owner}")),
        ActionKind::Adopt { .. } => Fate::Waiting("for a file under credentials/".to_owned()),
        // Collecting again is what the look after the run does; people are asked by what this run prints and records.
        _ => Fate::Done,
    }
}

async fn one(session: &pipeline::Session, global: &Global, action: &Action, leak: bool, stop: &AtomicBool) -> Outcome {
    let say = |fate| Outcome { action: action.kind.clone(), fate, events: Vec::new() };
    let Some(credential) = about(&action.kind) else {
        return say(asked(&action.kind));
    };
    let Some(credential) = session.catalog.credentials.get(credential) else {
        return say(Fate::Stale("the credential is not declared any more".to_owned()));
    };
    // A saved plan may be older than a freeze.
    if !leak
        && let Some(because) = guard::shut(&session.catalog.settings, credential, &action.kind, &action.reason, SystemClock.now())
    {
        return say(Fate::Waiting(report::words::held(&because)));
    }
    let name = session_name(&action.kind);
    let access = wire::Access::Apply(&name);
    let reach = wire::Reach { catalog: &session.catalog, root: &global.root, access, sessions: &session.sessions };
    let store = match wire::store(&reach, credential).await {
        Ok(store) => store,
        Err(error) => return say(Fate::Failed(error.to_string())),
    };
    let lease = Duration::from_secs(u64::try_from(credential.policy.lease.as_seconds()).unwrap_or(0));
    let begun = Instant::now();
    let fence = move || begun.elapsed() < lease;
    let consumers = wire::consumers_of(&reach, credential).await;
    let kind = match wire::kind(&session.catalog, credential, &global.root, &session.sessions, &name).await {
        Ok(kind) => kind,
        Err(error) => return say(Fate::Failed(error.to_string())),
    };
    let registers = wire::registers(&reach).await;
    let stored = Stored { credential, store: store.as_ref(), rotator: kind.rotator.as_ref(), registers: registers.as_ref() };
    match &action.kind {
        ActionKind::Verify { generation, .. } => return stored.verify(&action.kind, generation, &SystemClock).await,
        ActionKind::Deliver { generation, .. } => {
            if let Some(fate) = stored.withheld(generation).await {
                return say(fate);
            }
        }
        _ => {}
    }
    let job = Job {
        action: &action.kind,
        credential,
        store: store.as_ref(),
        rotator: kind.rotator.as_ref(),
        target: kind.target.as_deref(),
        registers: registers.as_ref(),
        consumers: &consumers,
        fence: &fence,
        retire_held: if leak { None } else { may_retire(session, credential) },
        leak,
        budget: Budget::default(),
    };
    if credential.rotator.aws_managed().is_none() || !matches!(action.kind, ActionKind::Rotate { .. }) {
        return drive(&job, &SystemClock, stop).await;
    }
    match wire::keeper(&session.catalog, credential, &session.sessions, &name).await {
        Ok(keeper) => managed::drive(&job, keeper.as_ref(), &SystemClock, stop).await,
        Err(error) => say(Fate::Failed(error.to_string())),
    }
}

/// Names the rotation in the logs of the sources: `slm-9f2c41d07ab3`.
fn session_name(kind: &ActionKind) -> String {
    match kind {
        ActionKind::Rotate { rotation, .. } | ActionKind::Finish { rotation, .. } => format!("slm-{rotation}"),
        _ => "slm-apply".to_owned(),
    }
}

/// Why the guards do not permit to end what `credential` left behind, if so; asked again here, for the plan may be old.
fn may_retire(session: &pipeline::Session, credential: &Credential) -> Option<String> {
    let at = SystemClock.now();
    let freezes = session.catalog.settings.limits.freeze.iter().chain(&credential.policy.freeze);
    if let Some(until) = freezes.filter_map(|freeze| freeze.ends(at)).max() {
        return Some(format!("a freeze lasts until {until}"));
    }
    guard::guard(&session.rules, credential, "retire", guard::Share::default(), at)
        .err()
        .map(|because| report::words::held(&because))
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
    for (_, line) in plan.preflight.iter().map(report::words::looked).filter(|(sign, _)| *sign == '!') {
        text.push_str(&format!("! preflight {line}\n"));
    }
    if !plan.held.is_empty() {
        text.push_str(&format!("{} held; see `slm plan`.\n", plan.held.len()));
    }
    text
}
