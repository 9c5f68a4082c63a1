//! Posts a proposal: the check run that vouches for its digest first, then the comment that asks to approve it.

use super::super::{Exit, Trouble};
use super::job::Job;
use super::{carried, conclusion};
use crate::model::proposal::Proposal;
use crate::report::annotations::annotations;
use crate::report::comment::{About, LIMIT, approves, compose, glance, marker, nothing};
use crate::report::markdown::spans;
use crate::transport::github_pulls::{Check, Pulls, Said};

/// Letters of the title of a check run.
const TITLE: usize = 250;

/// What a job of the merge queue says of approvals, which are of the commits of pull requests.
const QUEUED: &str = "Whether this is more than what was approved is decided when it is merged.";

/// What is posted.
pub(super) struct Post<'a> {
    pub job: &'a Job,
    pub pull: Option<u64>,
    pub proposal: Proposal,
    pub bytes: Vec<u8>,
    pub exit: Exit,
    /// Where the config repo is in its repository.
    pub prefix: &'a str,
}

/// What was posted.
pub(super) struct Posted {
    pub digest: String,
    /// The artefact: that of an earlier run of the same commit, when it says the same.
    pub bytes: Vec<u8>,
    pub proposal: Proposal,
    /// The comment, posted or not.
    pub body: String,
    pub requests: u64,
    /// In full sentences.
    pub told: String,
}

impl Posted {
    /// What the job of a fork leaves.
    pub(super) fn unposted(job: &Job, proposal: Proposal, bytes: Vec<u8>) -> Self {
        let body = compose(&proposal, &About { digest: None, link: &job.link(proposal.run) }, LIMIT);
        let told = "Nothing was posted: the job of a fork has no token; `slm ci comment` comments on it.\n".to_owned();
        Self { digest: carried::digest(&bytes), bytes, proposal, body, requests: 0, told }
    }
}

/// A run that finds the plan of an earlier one of the same commit as it was posts nothing, so that an approval of it stands: the comment
/// links to that run as well.
pub(super) async fn post(pulls: &Pulls, post: Post<'_>) -> Result<Posted, Trouble> {
    let Post { job, pull, proposal, bytes, exit, prefix } = post;
    let name = job.check("plan");
    let last = pulls.last_check(&proposal.head, &name).await?;
    let before = last.as_ref().and_then(|check| carried::unpack(&check.text, &check.external).ok());
    let (kept, bytes, proposal) = match before.filter(|(_, before)| before.promises(&proposal)) {
        Some((bytes, before)) => (true, bytes, before),
        None => (false, bytes, proposal),
    };
    let (digest, link) = (carried::digest(&bytes), job.link(proposal.run));
    let about = About { digest: Some(&digest), link: &link };
    let body = if proposal.is_quiet() { nothing(&proposal, &about) } else { compose(&proposal, &about, LIMIT) };
    let mut told = String::new();
    if kept {
        told.push_str(&format!("The check run `{name}` says so already.\n"));
    } else {
        let text = carried::pack(&bytes);
        if text.is_none() {
            told.push_str("The artefact is too long for its check run; `slm ci apply` needs it as a file.\n");
        }
        let summary = summary(&proposal, pull.is_none(), &digest);
        let check = Check {
            name: &name,
            head: &proposal.head,
            conclusion: conclusion(exit),
            external: &digest,
            link: &link,
            title: &title(&proposal),
            summary: &summary,
            text: text.as_deref().unwrap_or_default(),
            annotations: &annotations(&proposal.complaints, prefix),
        };
        pulls.check(&check).await?;
        told.push_str(&format!("The check run `{name}` is {}.\n", check.conclusion));
    }
    if let Some(number) = pull {
        // Where nothing has to be read nobody is told; but what was said before is not left to stand.
        let became = pulls.say(number, &marker(&job.environment), &body, proposal.is_quiet()).await?;
        told.push_str(&sentence(became, number, proposal.unseen.is_empty()));
    }
    Ok(Posted { digest, bytes, proposal, body, requests: pulls.requests(), told })
}

/// The title of the check run, which GitHub cuts.
fn title(proposal: &Proposal) -> String {
    glance(proposal).chars().take(TITLE).collect()
}

/// What the check run says beside its title: what was not seen, and what an approval approves.
fn summary(proposal: &Proposal, queued: bool, digest: &str) -> String {
    let mut text: String = proposal.unseen.iter().map(|line| format!("- not seen: {}\n", spans(line))).collect();
    if !text.is_empty() {
        text.push('\n');
    }
    let approves = if queued { QUEUED.to_owned() } else { approves(proposal, Some(digest)) };
    text + &format!("{approves}\n\nDigest of the artefact: `{digest}`\n")
}

fn sentence(became: Said, number: u64, whole: bool) -> String {
    match became {
        Said::Nothing if !whole => format!("Nothing is said on pull request {number}: nothing that was seen changes.\n"),
        Said::Nothing => format!("Nothing is said on pull request {number}: nothing changes.\n"),
        Said::Already(_) => format!("The comment on pull request {number} says so already.\n"),
        Said::Posted(_) => format!("The comment on pull request {number} was posted.\n"),
        Said::Edited(_) => format!("The comment on pull request {number} was edited.\n"),
    }
}
