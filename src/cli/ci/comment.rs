//! `slm ci comment`: comments on the pull request of a fork, from an artefact that anybody may have written.

use std::path::PathBuf;

use serde_json::json;

use super::super::{Exit, Global, Said, Trouble, pipeline};
use super::job::{self, Job};
use crate::model::proposal::Proposal;
use crate::model::trigger::{Ended, Trigger};
use crate::report::comment::{About, LIMIT, compose, marker, nothing};
use crate::transport::github_pulls::{Found, Pulls};

/// Arguments of `slm ci comment`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    job: Job,
    /// What the job of the fork left: it is not trusted
    #[arg(long, value_name = "FILE")]
    artefact: PathBuf,
}

pub(super) fn run(args: &Args, _: &Global) -> Result<Said, Trouble> {
    let Trigger::Ended(ended) = args.job.trigger()? else {
        return Err("`slm ci comment` is for `workflow_run`, which says whose artefact it is".into());
    };
    let proposal = Proposal::read(&job::artefact(&args.artefact)?)?;
    let proposal = believed(proposal, &ended, &args.job)?;
    // Which pull request it is the event says and GitHub; of the artefact nothing decides where anything is written.
    let pulls = args.job.pulls()?;
    let (number, body, became) = pipeline::block_on(comment(&pulls, &ended, &args.job, &proposal))??;
    let requests = pulls.requests();
    let human = format!(
        "The comment on pull request {number}: {}; it has {} bytes.\nRequests to GitHub: {requests}.\n",
        became,
        body.len()
    );
    let json = json!({ "pull": number, "comment_bytes": body.len(), "api_calls": requests });
    Ok(Said::new(vec![Exit::Clean], human, json))
}

/// The artefact, when it says to be of what the run was for; what it says beside is only shown.
fn believed(proposal: Proposal, ended: &Ended, job: &Job) -> Result<Proposal, Trouble> {
    if ended.event != "pull_request" {
        return Err(format!("the run was set going by `{}` and not by a pull request", ended.event).into());
    }
    let parts = [
        ("repository", &proposal.repository, &job.repository),
        ("environment", &proposal.environment, &job.environment),
        ("commit", &proposal.head, &ended.head),
    ];
    if let Some((what, _, is)) = parts.iter().find(|(_, said, is)| said != is) {
        return Err(format!("the artefact is of another {what} than `{is}`").into());
    }
    Ok(Proposal { run: Some(ended.run), ..proposal })
}

async fn comment(pulls: &Pulls, ended: &Ended, job: &Job, proposal: &Proposal) -> Result<(u64, String, &'static str), Trouble> {
    let number = number(pulls, ended).await?;
    let quiet = proposal.is_quiet();
    let link = job.link(proposal.run);
    let about = About { digest: None, link: &link };
    let body = if quiet { nothing(proposal, &about) } else { compose(proposal, &about, LIMIT) };
    let became = pulls.say(number, &marker(&job.environment), &body, quiet).await?;
    Ok((number, body, became.word()))
}

/// The open pull request of the commit that the run was for.
async fn number(pulls: &Pulls, ended: &Ended) -> Result<u64, Trouble> {
    let found = match ended.pulls[..] {
        [number] => vec![pulls.pull(number).await?],
        _ => pulls.of_branch(&ended.owner, &ended.branch).await?,
    };
    let of_it: Vec<&Found> = found.iter().filter(|pull| pull.head == ended.head).collect();
    match of_it[..] {
        [pull] => Ok(pull.number),
        [] => Err("no open pull request proposes the commit any more that the run was for".into()),
        _ => Err("several pull requests propose the commit that the run was for; which one is meant is not said".into()),
    }
}
