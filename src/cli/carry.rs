//! Carries out a plan and records the run: what `apply`, `rotate`, `resume`, `rollback` and `retire` share.

#![expect(clippy::disallowed_methods, reason = "the second Ctrl-C ends the process at once")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value as Json, json};

use super::{Exit, Global, Said, Trouble, anchor, derived, gaps, lease, notify, objects, pipeline, ready, tasks, together, wire};
use crate::apply::engine::stopped;
use crate::host::clock::SystemClock;
use crate::host::history::History;
use crate::host::locker::{GOES_ON, Locker, Signer};
use crate::host::repo;
use crate::model::blob::Blob;
use crate::model::catalog::{Credential, LockerSettings};
use crate::model::outcome::{Fate, Outcome};
use crate::model::plan::{Action, Plan};
use crate::record::ledger::Ledger;
use crate::record::{RunRecord, artefacts, unvalidated};
use crate::report::{self, words::count};
use crate::world::WorldError;

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

/// What is carried out.
pub(super) struct Work<'a> {
    pub plan: &'a Plan,
    pub haste: Haste,
    /// Requests sent to make the plan.
    pub requests: u64,
}

/// Carries out a plan and records the run.
pub(super) fn out(session: &pipeline::Session, global: &Global, work: &Work<'_>) -> Result<Said, Trouble> {
    out_noted(session, global, work, &Json::Null)
}

/// The same, with who approved it in what is recorded.
pub(super) fn out_noted(session: &pipeline::Session, global: &Global, work: &Work<'_>, approved: &Json) -> Result<Said, Trouble> {
    let plan = work.plan;
    // Whoever made it, and whatever was taken from it or added to it since.
    pipeline::refuse_bad(plan, &session.catalog)?;
    // Nothing is changed that could not be recorded beside what was recorded before.
    sound(session, global).inspect_err(|trouble| {
        if trouble.exit == Exit::Integrity {
            notify::evidence_broken(session, global, &trouble.error.to_string());
        }
    })?;
    let stop = stop_on_ctrl_c();
    let outcomes = pipeline::block_on(carry_out(session, global, plan, work.haste, &stop))?;
    // What is recorded is the world after the run: the same look a later plan would take.
    let after = pipeline::block_on(session.judge(global))??;
    let gaps = gaps::of(session, &outcomes);
    let mut result = json!({
        "outcomes": outcomes, "gaps": gaps.iter().map(gaps::Found::json).collect::<Vec<_>>(),
        "exceptions": after.exceptions, "manual": after.manual,
        "unfounded": after.unfounded, "reconciled": after.reconciled,
        "segregation": after.segregation,
    });
    if !approved.is_null() {
        result["approved"] = approved.clone();
    }
    let Recorded { commit, left, strange } = record(session, global, &after, plan, &outcomes, &mut result)?;
    let mut exits = pipeline::exits(&after);
    let anchored = anchor::keep(session, global, &commit, after.snapshot.is_whole(), strange);
    exits.extend(anchor::exits(&anchored));
    let (left_told, left_exit) = objects::told(left.as_ref());
    exits.extend(left_exit);
    let mut notified = notify::after_run(session, global, &anchored);
    notified.extend(tasks::after_run(session, global, &after, &outcomes));
    exits.extend(notify::exits(&notified));
    exits.extend(outcome_exits(&outcomes));
    exits.extend(gaps.iter().filter(|found| found.gap.exceeds(found.allowed)).map(|_| Exit::Changes));
    if !plan.held.is_empty() {
        exits.push(Exit::Held);
    }
    exits.extend(super::plan::unseen(plan));
    let human = format!(
        "{}{}\nRecorded as {} on {}.\n{left_told}{}{}",
        tell(&outcomes, plan),
        gaps.iter().map(|found| format!("          {}: {}\n", found.credential, found.gap.told(found.allowed))).collect::<String>(),
        &commit[..12.min(commit.len())],
        session.catalog.settings.locker.branch,
        anchor::told(&anchored),
        notify::said(&notified)
    );
    Ok(Said::new(
        exits,
        human,
        json!({
            "outcomes": outcomes, "gaps": result["gaps"], "held": plan.held, "preflight": plan.preflight, "commit": commit,
            "anchors": anchored, "notified": notified, "left_in_git": left,
            "requests": work.requests + after.requests(), "sent": session.sent(),
        }),
    ))
}

/// Whether what was recorded holds, and can be gone on with.
fn sound(session: &pipeline::Session, global: &Global) -> Result<(), Trouble> {
    let broken = |error: WorldError| Trouble { exit: Exit::Integrity, error: error.into() };
    repo::intact(&global.root, &session.catalog.settings.locker.branch).map_err(broken)?;
    locker(session, global, ledger(session, global)?)?.continues().map_err(broken)
}

/// Ctrl-C asks the run to stop at the next safe point. A second one ends it at once and unrecorded, with the code of a run that resume
/// goes on with: that is safe as well, as a kill is.
fn stop_on_ctrl_c() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = pipeline::block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                flag.store(true, Ordering::Relaxed);
                tracing::warn!("stopping at the next safe point; Ctrl-C again ends it at once");
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(Exit::Partly.code().into());
            }
        });
    });
    stop
}

/// Carries out the actions of `plan`; the outcomes are in its order, though what restarts a workload together is taken together.
async fn carry_out(session: &pipeline::Session, global: &Global, plan: &Plan, haste: Haste, stop: &AtomicBool) -> Vec<Outcome> {
    let mut outcomes = BTreeMap::new();
    let progress = global.progress(format!("applying {}", count(plan.actions.len() as u64, "action")), plan.actions.len());
    for group in together::groups(session, plan, haste) {
        if stop.load(Ordering::Relaxed) {
            outcomes.extend(group.numbers.iter().map(|number| (*number, not_begun(&plan.actions[*number]))));
            continue;
        }
        match group.alone() {
            Some(number) => {
                let action = &plan.actions[number];
                let outcome = match derived::before(session, action, outcomes.values()) {
                    Some(first) => Outcome { action: action.kind.clone(), fate: first, events: Vec::new() },
                    None => leased(session, global, action, haste, stop).await,
                };
                outcomes.insert(number, outcome);
            }
            None => outcomes.extend(together::carry_out(session, global, plan, &group, haste, stop).await),
        }
        progress.tick(group.numbers.len());
    }
    outcomes.into_values().collect()
}

/// What becomes of an action that comes after the run was asked to stop.
fn not_begun(action: &Action) -> Outcome {
    Outcome { action: action.kind.clone(), fate: stopped(), events: Vec::new() }
}

/// The lease on the credential of `action`, unless another run works on it.
pub(super) async fn take<'a>(
    session: &'a pipeline::Session,
    global: &Global,
    action: &Action,
    haste: Haste,
) -> Result<Option<(&'a Credential, lease::Lease)>, Outcome> {
    let Some(credential) = action.kind.credential().and_then(|id| session.catalog.credentials.get(id)) else { return Ok(None) };
    match lease::take(session, global, credential, haste != Haste::Usual).await {
        Some(lease::Taken::Theirs(holder)) => {
            let why = format!("until {}: run {} works on it; `slm resume` goes on at once", holder.until, holder.run);
            Err(Outcome { action: action.kind.clone(), fate: Fate::Waiting(why), events: Vec::new() })
        }
        Some(lease::Taken::Ours(ours)) => Ok(Some((credential, ours))),
        None => Ok(None),
    }
}

/// Carries out `action`, unless another run works on its credential.
async fn leased(session: &pipeline::Session, global: &Global, action: &Action, haste: Haste, stop: &AtomicBool) -> Outcome {
    let lease = match take(session, global, action, haste).await {
        Ok(lease) => lease,
        Err(outcome) => return outcome,
    };
    let outcome = match ready::make(session, global, action, haste == Haste::Leaked).await {
        Ok(ready) => ready.drive(session, stop).await,
        Err(outcome) => *outcome,
    };
    if let Some((credential, ours)) = lease {
        lease::give_back(session, global, credential, ours).await;
    }
    outcome
}

/// A run that was recorded.
pub(super) struct Recorded {
    commit: String,
    /// Why something stays in git that is too long for it.
    left: Option<String>,
    /// What stood beside the evidence to be logged, and was not put there by slm.
    strange: Vec<String>,
}

/// Commits the run to the locker.
pub(super) fn record(
    session: &pipeline::Session,
    global: &Global,
    judged: &pipeline::Judged,
    plan: &Plan,
    outcomes: &[Outcome],
    result: &mut Json,
) -> Result<Recorded, Trouble> {
    let _progress = global.progress("recording the run".to_owned(), 0);
    let settings = &session.catalog.settings.locker;
    let ledger = ledger(session, global)?;
    if let Some(shown) = anchor::shown_to(settings, ledger.verifiers().next().is_some()) {
        result["shown"] = json!(shown);
    }
    let run = session.run();
    let mut files = artefacts(&RunRecord {
        run: &run,
        snapshot: &judged.snapshot,
        raw: &judged.raw,
        assessment: Some(&judged.assessment),
        plan: Some(plan),
        outcomes,
        result,
    })?;
    files.extend(unvalidated(&judged.snapshot, &session.catalog.credentials)?);
    files.extend(session.declared.clone());
    let message = message(run.id.as_str(), outcomes);
    if let Some(branch) = &settings.plans_branch {
        // For people; what is verified is in the locker all the same.
        let plans: BTreeMap<_, _> =
            files.iter().filter(|(path, _)| path.starts_with("plans/")).map(|(p, f)| (p.clone(), f.clone())).collect();
        let elsewhere = LockerSettings { branch: branch.clone(), ..settings.clone() };
        Locker::open(&global.root, &elsewhere, signer(settings, global)?)?.append(|_| plans.clone(), &message, session.at)?;
    }
    let left = objects::put(session, global, &mut files);
    let waiting = anchor::waiting(session, global);
    let locker = locker(session, global, ledger)?;
    let all = |new: BTreeMap<String, Blob>| new.into_iter().chain(files.clone()).collect::<BTreeMap<_, _>>();
    let commit = locker.append(|tree| all(waiting.not_in(tree)), &message, session.at).map_err(unrecorded)?;
    // Whoever asks for the past finds the index ready; without it they make it.
    if let Err(error) = History::open(&global.root, &settings.branch) {
        tracing::debug!(%error, "the index of the locker is not up to date");
    }
    if let Err(error) = repo::tidy(&global.root) {
        tracing::debug!(%error, "the packs of the locker are as many as before");
    }
    Ok(Recorded { commit, left, strange: waiting.strange })
}

/// Evidence that was set back or rewritten since the run began is as broken as before.
fn unrecorded(error: WorldError) -> Trouble {
    let exit = if error.operation == GOES_ON { Exit::Integrity } else { Exit::Failed };
    Trouble { exit, error: error.into() }
}

/// The log of the locker, as its key is now.
pub(super) fn ledger(session: &pipeline::Session, global: &Global) -> Result<Ledger, Trouble> {
    Ok(pipeline::block_on(wire::ledger(&session.catalog, &global.root, &session.sessions))??)
}

/// The locker with its log.
fn locker(session: &pipeline::Session, global: &Global, ledger: Ledger) -> Result<Locker, Trouble> {
    let settings = &session.catalog.settings.locker;
    Ok(Locker::open(&global.root, settings, signer(settings, global)?)?.logged(ledger, Arc::new(SystemClock)))
}

pub(super) fn signer(settings: &LockerSettings, global: &Global) -> Result<Option<Signer>, Trouble> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Color, Format, init};
    use crate::model::time::Timestamp;

    #[test]
    fn a_plan_that_was_made_unsound_after_it_was_made_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("config");
        init::scaffold(&root).ok().unwrap();
        repo::init_and_commit(&root, "config", Timestamp::UNIX_EPOCH).unwrap();
        let global =
            Global { root: root.clone(), format: Format::Human, color: Color::Never, quiet: true, verbose: 0, log_json: false };
        let session = pipeline::open(&global, "rotate", None).ok().unwrap();
        let judged = pipeline::block_on(session.judge(&global)).ok().unwrap().ok().unwrap();
        let plan = session.plan(&judged, &[]).ok().unwrap();
        let before = std::fs::read(root.join("vault.age")).unwrap();
        let refused = |change: &dyn Fn(&mut Action)| {
            let mut plan = plan.clone();
            change(&mut plan.actions[0]);
            let trouble = out(&session, &global, &Work { plan: &plan, haste: Haste::Leaked, requests: 0 }).err().unwrap();
            assert_eq!(trouble.exit, Exit::Failed);
            trouble.error.to_string()
        };
        let nobody = refused(&|action| action.permitted_by.clear());
        assert_eq!(nobody, "the plan is not sound: the action on `session-key` names no guard rule that permits it");
        let other = refused(&|action| {
            if let crate::model::plan::ActionKind::Rotate { consumers, .. } = &mut action.kind {
                consumers.push("nobody".into());
            }
        });
        assert_eq!(other, "the plan is not sound: consumer `nobody` of `session-key` is not declared");
        assert_eq!(std::fs::read(root.join("vault.age")).unwrap(), before);
        assert!(!root.join("run").exists() && !root.join(".git/refs/heads/slm").exists(), "nothing is recorded of it");
        let said = out(&session, &global, &Work { plan: &plan, haste: Haste::Usual, requests: 0 }).ok().unwrap();
        assert_eq!(said.all(), [Exit::Clean]);
        assert!(root.join("run/session.env").exists() && root.join(".git/refs/heads/slm/evidence").exists());
    }
}
