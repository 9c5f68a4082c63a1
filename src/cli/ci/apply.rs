//! `slm ci apply`: on merge, carries out what was approved and nothing more; what is more waits for an approval of its own.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::super::carry::{Haste, Work};
use super::super::{Exit, Global, Said, Trouble, ahead, carry, lease, past, pipeline};
use super::approvals::{Approval, Asked, approvals};
use super::conclusion;
use super::job::{self, Job};
use crate::host::history::History;
use crate::host::{merged, repo};
use crate::model::plan::Plan;
use crate::model::time::Limit;
use crate::model::trigger::Trigger;
use crate::plan::approved::beyond;
use crate::report::{self, markdown, words};
use crate::transport::github_pulls::{Check, Pulls};

/// How long one apply keeps others away, unless it ends before: GitHub ends a job after six hours.
const LEASE: Limit = Limit::seconds(6 * 3_600);
/// Merges that one apply looks back over.
const MERGES: usize = 50;
/// Lines of what it says that its check run shows.
const LINES: usize = 200;
/// Runs of the locker that are looked at for the last apply.
const RUNS: usize = 400;

/// Arguments of `slm ci apply`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    job: Job,
    /// Artefact of a plan that is too long for its check run; may be given more than once
    #[arg(long, value_name = "FILE")]
    artefact: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let Trigger::Push { before, after, branch } = args.job.trigger()? else {
        return Err("`slm ci apply` is for `push`: what was merged is applied".into());
    };
    let here = repo::resolve(&global.root, "HEAD")?;
    if here != after {
        return Err(format!("commit {here} is checked out and {after} was pushed; check out what was pushed").into());
    }
    let session = pipeline::open(global, "apply", None)?;
    let mut hub = Hub { job: &args.job, requests: 0 };
    let tip = hub.ask(async |pulls| pulls.tip(&branch).await)??;
    if tip != after {
        let human = format!("Nothing was applied: `{branch}` is at {tip} by now, and its own run applies this as well.\n");
        return Ok(Said::new(vec![Exit::Clean], human, json!({ "applied": false, "superseded_by": tip })));
    }
    let name = format!("@apply-{}", args.job.environment).into();
    let taken = pipeline::block_on(lease::take_named(&session, global, &name, LEASE))?;
    if let Some(lease::Taken::Theirs(holder)) = &taken {
        let human =
            format!("Nothing was applied: run {} applies until {} at most; run this job again.\n", holder.run, holder.until);
        return Ok(Said::new(vec![Exit::Held], human, json!({ "applied": false, "held_by": holder.run })));
    }
    let done = commits(global, &session, &before, &after).and_then(|commits| {
        approved_only(args, global, &session, &mut hub, &Merged { branch: &branch, after: &after, commits: &commits })
    });
    if let Some(lease::Taken::Ours(ours)) = taken {
        pipeline::block_on(lease::give_back_named(&session, global, &name, ours))?;
    }
    done
}

/// GitHub, as it is asked one thing after another.
struct Hub<'a> {
    job: &'a Job,
    requests: u64,
}

impl Hub<'_> {
    /// Asks with a client of its own: the connections of one end with the runtime that it was first used on.
    fn ask<T>(&mut self, of: impl AsyncFnOnce(&Pulls) -> T) -> Result<T, Trouble> {
        let pulls = self.job.pulls()?;
        let said = pipeline::block_on(of(&pulls))?;
        self.requests += pulls.requests();
        Ok(said)
    }
}

/// What is applied.
struct Merged<'a> {
    branch: &'a str,
    after: &'a str,
    commits: &'a [String],
}

/// The commits since the last apply that was recorded: one that was cut off, or did not come to its turn, is made up for.
fn commits(global: &Global, session: &pipeline::Session, before: &str, after: &str) -> Result<Vec<String>, Trouble> {
    let applied = last_applied(global, &session.catalog.settings.locker.branch);
    let new = before.bytes().all(|byte| byte == b'0');
    let (since, limit) = match &applied {
        Some(applied) => (Some(applied.as_str()), MERGES),
        None if new => (None, 1),
        None => (Some(before), MERGES),
    };
    let commits = merged::first_parents(&global.root, since, after, limit)?;
    // A job that is run again finds itself applied: what it began may still have to come to its end.
    Ok(if commits.is_empty() { vec![after.to_owned()] } else { commits })
}

/// The commit of the last recorded apply.
fn last_applied(global: &Global, branch: &str) -> Option<String> {
    let history = History::open(&global.root, branch).ok()?;
    let runs = history.commits().iter().rev().filter(|one| one.run.is_some()).take(RUNS);
    let mut applied = runs.filter_map(|one| past::run(&history, one).ok()).map(|(_, note)| note);
    applied.find(|note| note.verb == "apply" && !note.config.starts_with("work-tree-")).map(|note| note.config)
}

fn approved_only(
    args: &Args,
    global: &Global,
    session: &pipeline::Session,
    hub: &mut Hub<'_>,
    merged: &Merged<'_>,
) -> Result<Said, Trouble> {
    let files = args.artefact.iter().map(|path| job::artefact(path)).collect::<Result<Vec<_>, _>>()?;
    let asked = Asked { job: &args.job, branch: merged.branch, commits: merged.commits, files: &files };
    let (approved, missing) = hub.ask(async |pulls| approvals(pulls, &asked).await)??;
    // The world may have moved since: what is carried out is what is due now, within what was approved.
    let mut judged = pipeline::block_on(session.judge(global))??;
    let plan = ahead::plan(session, global, &mut judged, &ahead::For { forced: &[], wanted: &[], applies: true })?;
    let plans: Vec<&Plan> = approved.iter().map(|approval| &approval.plan).collect();
    let more = beyond(&plan, &plans);
    let said = if more.is_empty() {
        let note = json!(approved.iter().map(Approval::note).collect::<Vec<_>>());
        let work = Work { plan: &plan, haste: Haste::Usual, requests: judged.requests() };
        carry::out_noted(session, global, &work, &note)?
    } else {
        let kinds: Vec<String> = more.iter().map(|action| told(&action.kind)).collect();
        held(&plan, &kinds, &approved, &missing)
    };
    posted(args, hub, merged.after, said)
}

fn told(kind: &crate::model::plan::ActionKind) -> String {
    let (verb, object) = words::action(kind);
    format!("{verb} {object}")
}

/// Nothing is carried out, not even what was approved: a plan is taken whole or not at all.
fn held(plan: &Plan, more: &[String], approved: &[Approval], missing: &[String]) -> Said {
    let mut human = report::plan::human(plan);
    human.push_str("\nNothing was applied. Nobody approved this:\n");
    for one in more {
        human.push_str(&format!("  {one}\n"));
    }
    if !missing.is_empty() {
        human.push_str("Why not:\n");
    }
    for why in missing {
        human.push_str(&format!("  {why}\n"));
    }
    human.push_str("Open a pull request for it, or apply it by hand with `slm apply --auto-approve`.\n");
    let approved: Vec<Json> = approved.iter().map(Approval::note).collect();
    let json = json!({ "applied": false, "plan": plan, "beyond": more, "approved": approved, "missing": missing });
    Said::new(vec![Exit::Held], human, json)
}

/// The same with its check run on the commit, and the number of requests.
fn posted(args: &Args, hub: &mut Hub<'_>, after: &str, mut said: Said) -> Result<Said, Trouble> {
    let exit = said.exit();
    let link = args.job.link(args.job.run_id);
    let lines: Vec<&str> = said.human.trim().lines().take(LINES).collect();
    let summary = markdown::block(&lines.join("\n"));
    let check = Check {
        name: &args.job.check("apply"),
        head: after,
        conclusion: conclusion(exit),
        external: "",
        link: &link,
        title: exit.meaning(),
        summary: &summary,
        text: "",
        annotations: &[],
    };
    // What was applied is recorded in the locker; that GitHub does not show it is no reason to say it was not.
    if let Err(error) = hub.ask(async |pulls| pulls.check(&check).await)? {
        tracing::warn!("{error}");
    }
    let requests = hub.requests;
    args.job.summarise(&summary)?;
    let applied = said.json["applied"] != json!(false);
    args.job.outputs(&[
        ("exit-code", exit.code().to_string()),
        ("applied", applied.to_string()),
        ("api-calls", requests.to_string()),
    ])?;
    said.human.push_str(&format!("Requests to GitHub for it: {requests}.\n"));
    said.json["api_calls"] = json!(requests);
    Ok(said)
}
