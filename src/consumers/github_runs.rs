//! Workflow runs that were begun with an older value.

use serde::Deserialize;

use super::github_home::pages;
use crate::model::time::Timestamp;
use crate::transport::github::{Failure, Github};

/// States of a run that has not ended.
const OPEN: [&str; 5] = ["queued", "in_progress", "waiting", "pending", "requested"];

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

async fn listed(github: &Github, route: String) -> Result<Vec<Run>, Failure> {
    Ok(pages::<Page>(github, route).await?.into_iter().flat_map(|page| page.workflow_runs).collect())
}

/// The file of a workflow: whoever may push names it, so nothing but plain characters is shown.
fn plain(path: &str) -> String {
    let path = path.rsplit('/').next().unwrap_or_default();
    path.chars().filter(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_')).take(60).collect()
}
