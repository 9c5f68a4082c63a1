//! `slm ci plan`: what a pull request proposes, as one comment edited in place, one check run, SARIF and an artefact.

use std::path::PathBuf;

use serde_json::json;

use super::super::{Exit, Global, Said, Trouble, pipeline};
use super::job::Job;
use super::post::{self, Post, Posted};
use super::propose::{Of, propose};
use super::{edit, job};
use crate::host::{merged, repo};
use crate::model::trigger::Trigger;
use crate::record::canonical;
use crate::report::{annotations, comment};
use crate::transport::atomic;

/// Arguments of `slm ci plan`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    job: Job,
    /// Reach nothing and use no secret: plan on the last recorded run. So is every pull request of a fork
    #[arg(long)]
    from_fork: bool,
    /// Leave the artefact, the SARIF file and the comment in this folder
    #[arg(long, value_name = "FOLDER", default_value = "slm-ci")]
    out: PathBuf,
}

/// What is planned for.
struct For {
    /// The pull request; `None` in the merge queue, where there is nobody to talk to.
    pull: Option<u64>,
    head: String,
    base: String,
    fork: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let of = planned(args.job.trigger()?, args.from_fork)?;
    let job = &args.job;
    let here = repo::resolve(&global.root, "HEAD")?;
    let edit = edit::edit(global, &of.base, &here)?;
    let (proposal, exit) = propose(
        Of { repository: &job.repository, environment: &job.environment, head: &of.head, run: job.run_id, edit, recorded: of.fork },
        global,
    )?;
    let bytes = canonical::json(&proposal)?;
    let prefix = merged::inside(&global.root)?;
    // Nothing that a fork has a hand in comes near a token.
    let posted = if of.fork {
        Posted::unposted(job, proposal, bytes)
    } else {
        pipeline::block_on(post::post(&job.pulls()?, Post { job, pull: of.pull, proposal, bytes, exit, prefix: &prefix }))??
    };
    let files = leave(args, &posted, &prefix)?;
    job.summarise(&posted.body)?;
    said(args, &of, exit, &posted, &files)
}

fn planned(trigger: Trigger, from_fork: bool) -> Result<For, Trouble> {
    match trigger {
        Trigger::Pull(pull) => {
            let fork = from_fork || pull.is_fork();
            Ok(For { pull: Some(pull.number), head: pull.head, base: pull.base, fork })
        }
        Trigger::Queue { head, base } => Ok(For { pull: None, head, base, fork: from_fork }),
        Trigger::Push { .. } | Trigger::Ended(_) => {
            Err("`slm ci plan` is for `pull_request` and `merge_group`; on a push it is `slm ci apply`".into())
        }
    }
}

/// Where everything was left.
struct Files {
    artefact: PathBuf,
    sarif: PathBuf,
    comment: PathBuf,
}

fn leave(args: &Args, posted: &Posted, prefix: &str) -> Result<Files, Trouble> {
    job::folder(&args.out)?;
    let [artefact, sarif, comment] = ["slm-plan.json", "slm-check.sarif", "slm-comment.md"].map(|name| args.out.join(name));
    atomic::replace(&artefact, &posted.bytes, 0o644)?;
    let log = annotations::sarif(&posted.proposal.complaints, prefix);
    atomic::replace(&sarif, &canonical::json(&log)?, 0o644)?;
    atomic::replace(&comment, posted.body.as_bytes(), 0o644)?;
    Ok(Files { artefact, sarif, comment })
}

fn said(args: &Args, of: &For, exit: Exit, posted: &Posted, files: &Files) -> Result<Said, Trouble> {
    let Posted { digest, proposal, body, requests, told, .. } = posted;
    let changed = !proposal.is_quiet();
    let path = |path: &PathBuf| path.display().to_string();
    args.job.outputs(&[
        ("digest", digest.clone()),
        ("exit-code", exit.code().to_string()),
        ("changed", changed.to_string()),
        ("artefact", path(&files.artefact)),
        ("sarif", path(&files.sarif)),
        ("comment", path(&files.comment)),
        ("api-calls", requests.to_string()),
    ])?;
    let human = format!(
        "Planned {} for {}. {}\nDigest {digest}.\n{told}Requests to GitHub: {requests}. The comment has {} bytes.\n",
        of.head,
        args.job.environment,
        comment::glance(proposal),
        body.len()
    );
    let json = json!({
        "head": of.head, "pull": of.pull, "fork": of.fork, "digest": digest, "changed": changed, "proposal": proposal,
        "api_calls": requests, "comment_bytes": body.len(), "artefact": files.artefact, "sarif": files.sarif,
        "comment": files.comment,
    });
    Ok(Said::new(vec![exit], human, json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trigger::Pull;

    fn pull(from: Option<&str>) -> Trigger {
        Trigger::Pull(Pull {
            number: 7,
            head: "a".repeat(40),
            base: "b".repeat(40),
            author: "ada".to_owned(),
            from: from.map(str::to_owned),
            to: "acme/slm".to_owned(),
        })
    }

    #[test]
    fn a_fork_is_planned_without_secrets_whatever_was_asked_and_a_push_not_at_all() {
        let fork = |from, asked| planned(pull(from), asked).ok().unwrap().fork;
        assert_eq!([fork(Some("acme/slm"), false), fork(Some("acme/slm"), true)], [false, true]);
        assert_eq!([fork(Some("eve/slm"), false), fork(None, false)], [true, true]);
        let push = Trigger::Push { before: "a".repeat(40), after: "b".repeat(40), branch: "main".to_owned() };
        let said = planned(push, false).err().unwrap().error.to_string();
        assert_eq!(said, "`slm ci plan` is for `pull_request` and `merge_group`; on a push it is `slm ci apply`");
    }
}
