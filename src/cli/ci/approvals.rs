//! Which plans of merged pull requests were approved, by whom, and why others were not.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::Trouble;
use super::carried;
use super::job::Job;
use crate::model::plan::Plan;
use crate::model::proposal::{Proposal, Sight};
use crate::plan::consent::{self, Review, Verdict, consent};
use crate::report::comment::{About, LIMIT, asks, compose, marker};
use crate::transport::github_pulls::{Found, Given, Pulls, same};

/// A plan that was approved.
pub(super) struct Approval {
    /// The pull request.
    pub pull: u64,
    /// Who approved it, and may write.
    pub by: Vec<String>,
    /// SHA-256 of its artefact.
    pub digest: String,
    pub plan: Plan,
}

impl Approval {
    /// What the locker keeps of it.
    pub(super) fn note(&self) -> Json {
        json!({ "pull": self.pull, "by": self.by, "digest": self.digest })
    }
}

/// What was merged.
pub(super) struct Asked<'a> {
    pub job: &'a Job,
    pub branch: &'a str,
    pub commits: &'a [String],
    /// Artefacts that were given as files.
    pub files: &'a [Vec<u8>],
}

/// The plans approved of what was merged, and why those of other pull requests are not, a line each.
pub(super) async fn approvals(pulls: &Pulls, asked: &Asked<'_>) -> Result<(Vec<Approval>, Vec<String>), Trouble> {
    let mut found: BTreeMap<u64, Found> = BTreeMap::new();
    let mut missing = Vec::new();
    for commit in asked.commits {
        let of_commit = pulls.of_commit(commit).await?;
        let merged: Vec<Found> = of_commit.into_iter().filter(|pull| pull.merged && pull.base == asked.branch).collect();
        if merged.is_empty() {
            missing.push(format!("commit {commit} came by no pull request"));
        }
        found.extend(merged.into_iter().map(|pull| (pull.number, pull)));
    }
    let mut all = Vec::new();
    for pull in found.into_values() {
        match approval(pulls, asked, &pull).await? {
            Ok(approval) => all.push(approval),
            Err(why) => missing.push(format!("pull request {}: {why}", pull.number)),
        }
    }
    Ok((all, missing))
}

/// The approval of `pull`, or why there is none.
async fn approval(pulls: &Pulls, asked: &Asked<'_>, pull: &Found) -> Result<Result<Approval, String>, Trouble> {
    let job = asked.job;
    let name = job.check("plan");
    let Some(check) = pulls.last_check(&pull.head, &name).await? else {
        return Ok(Err(format!("its commit has no check run `{name}`")));
    };
    let Some(comment) = pulls.comment(pull.number, &marker(&job.environment)).await? else {
        return Ok(Err("no plan was shown on it".to_owned()));
    };
    let shown = asks(&comment.body, &job.environment);
    if shown.as_ref() != Some(&(check.external.clone(), pull.head.clone())) {
        return Ok(Err("its comment does not ask for the plan that its check run vouches for".to_owned()));
    }
    let reviews: Vec<Review> = pulls.reviews(pull.number).await?.into_iter().map(review).collect();
    let wanted = consent::Asked { author: &pull.author, head: &pull.head, digest: &check.external, shown: comment.updated };
    let by = match consent(&reviews, &wanted) {
        Ok(by) => by,
        Err(why) => return Ok(Err(why)),
    };
    let mut may = Vec::new();
    for login in by {
        if pulls.may_write(&login).await? {
            may.push(login);
        }
    }
    if may.is_empty() {
        return Ok(Err("nobody who approved it may write to the repository".to_owned()));
    }
    let file = asked.files.iter().find(|bytes| carried::digest(bytes) == check.external);
    let artefact = match file {
        Some(bytes) => carried::check(bytes.clone(), &check.external),
        None => carried::unpack(&check.text, &check.external),
    };
    let plan = artefact.and_then(|(_, proposal)| {
        // Somebody may have put another text above the digest: what was read is then not what was approved.
        let about = About { digest: Some(&check.external), link: &job.link(proposal.run) };
        if !same(&comment.body, &compose(&proposal, &about, LIMIT)) {
            return Err("its comment does not say what slm says of its plan; run its plan job again and approve again".to_owned());
        }
        plan_of(proposal, job, pull)
    });
    Ok(plan.map(|plan| Approval { pull: pull.number, by: may, digest: check.external, plan }))
}

/// The plan of a proposal that is of this very commit, and was made by looking at the sources.
fn plan_of(proposal: Proposal, job: &Job, pull: &Found) -> Result<Plan, String> {
    let same = proposal.repository == job.repository && proposal.environment == job.environment && proposal.head == pull.head;
    match proposal.plan {
        _ if !same => Err("its artefact is of another commit, environment or repository".to_owned()),
        _ if proposal.sight != Sight::Live => Err("its plan was made without looking at the sources".to_owned()),
        None => Err("its config could not be used".to_owned()),
        Some(plan) => Ok(plan),
    }
}

fn review(given: Given) -> Review {
    let verdict = match given.state.as_str() {
        "APPROVED" => Verdict::Approves,
        "CHANGES_REQUESTED" => Verdict::Refuses,
        "DISMISSED" => Verdict::Dismissed,
        _ => Verdict::Nothing,
    };
    Review { by: given.by, person: given.kind == "User", verdict, commit: given.commit, at: given.at, text: given.text }
}
