//! Workflow runs that were begun with an older value.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde::Deserialize;

use super::github_home::{pages, repo_route};
use crate::model::time::Timestamp;
use crate::transport::github::{Failure, Github};

/// States of a run that has not ended.
const OPEN: [&str; 5] = ["queued", "in_progress", "waiting", "pending", "requested"];

/// Repositories looked at for one secret of an organisation, each by one request a state.
const REPOS: usize = 50;
/// Repositories looked at together.
const TOGETHER: usize = 5;

#[derive(Deserialize)]
struct Page {
    workflow_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    path: String,
    /// Stays when a run is run again, and a run that is run again may take up the old value.
    created_at: Timestamp,
}

/// Runs of the repository at `route` that were created by `pushed` and have not ended, one line each. When they cannot be listed,
/// the line says so: what cannot be seen has not ended.
pub(super) async fn draining(github: &Github, route: &str, shown: &str, pushed: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for state in OPEN {
        match listed(github, format!("{route}/actions/runs?status={state}&per_page=100")).await {
            Ok(runs) => {
                let old = runs.iter().filter(|run| run.created_at <= pushed);
                lines.extend(old.map(|run| format!("run {} of `{}` in `{shown}` is {state}", run.id, plain(&run.path))));
            }
            Err(failure) => lines.push(format!("the {state} runs of `{shown}` cannot be listed: {failure}")),
        }
    }
    lines
}

/// The same for `repos`, written `owner/name`; when they are too many, a line says how many were not looked at.
pub(super) async fn draining_in(github: &Github, repos: &BTreeSet<String>, pushed: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let looked: Vec<(String, &String)> = repos.iter().take(REPOS).map(|repo| (repo_route(repo), repo)).collect();
    for some in looked.chunks(TOGETHER) {
        lines.extend(join_all(some.iter().map(|(route, repo)| draining(github, route, repo, pushed))).await.concat());
    }
    if repos.len() > REPOS {
        lines.push(format!("the runs of {} of the repositories that see it are not looked at", repos.len() - REPOS));
    }
    lines
}

async fn listed(github: &Github, route: String) -> Result<Vec<Run>, Failure> {
    Ok(pages::<Page>(github, route).await?.into_iter().flat_map(|page| page.workflow_runs).collect())
}

/// The file of a workflow: whoever may push names it, so nothing but plain characters is shown.
fn plain(path: &str) -> String {
    let path = path.rsplit('/').next().unwrap_or_default();
    path.chars().filter(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_')).take(60).collect()
}
