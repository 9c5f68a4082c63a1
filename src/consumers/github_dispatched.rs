//! A run of a workflow that was dispatched with a version. It is found again by its name, so the workflow has to be declared with
//! `run-name: … ${{ inputs.version }}`.

use std::cmp::Reverse;
use std::time::Duration;

use futures::future::try_join_all;
use serde::Deserialize;
use tokio::time::sleep;

use super::github_actions_secret::Held;
use super::github_workflow_dispatch::WorkflowDispatch;
use super::reply;
use crate::model::id::VersionId;
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, WorldError};

/// What GitHub tells instants by.
const SECOND: Duration = Duration::from_secs(1);

/// A run, as GitHub shows it.
#[derive(Clone, Deserialize)]
pub(super) struct Run {
    pub(super) id: u64,
    status: Option<String>,
    conclusion: Option<String>,
    /// Its `run-name`.
    display_title: String,
    /// Stays when it is run again.
    created_at: Option<Timestamp>,
    /// Of its last attempt.
    run_started_at: Option<Timestamp>,
}

/// What runs of a workflow say of what it has deployed.
#[derive(Default)]
pub(super) struct Deployed {
    /// The run that goes on or went well last.
    pub(super) last: Option<Run>,
    /// The version of the last one that went well.
    pub(super) running: Option<VersionId>,
    /// Runs that go on with something else than the last one, one line each.
    pub(super) draining: Vec<String>,
}

impl Deployed {
    /// What `runs` of `workflow` say. `is_stale` is a run that began before what it is to read was there: it deployed something else than
    /// it is named after. After a run of another version that ended badly, it is not known what runs.
    pub(super) fn of(mut runs: Vec<Run>, workflow: &str, is_stale: impl Fn(&Run, &VersionId) -> bool) -> Self {
        // One that is run again deploys again, and stays where it was in the list.
        runs.sort_by_key(|run| Reverse(run.run_started_at.or(run.created_at)));
        let stands = |run: &&Run| run.version().is_some_and(|version| !is_stale(run, &version));
        let last = runs.iter().filter(stands).find(|run| run.is_open() || run.is_good());
        let good = runs.iter().filter(stands).find(|run| run.is_good());
        let after = |run: &Run| runs.iter().take_while(|other| other.id != run.id).any(|other| other.spoils(run));
        let [last, good] = [last, good].map(|run| run.filter(|run| !after(run)).cloned());
        let is_last = |run: &Run| last.as_ref().is_some_and(|last| stands(&run) && run.version() == last.version());
        let old = runs.iter().filter(|run| run.is_open() && !is_last(run));
        let draining = old.map(|run| format!("run {} of `{workflow}` goes on", run.id)).collect();
        Self { running: good.as_ref().and_then(Run::version), last, draining }
    }
}

impl WorkflowDispatch {
    /// What its secrets hold, and since when.
    async fn held(&self) -> Result<Vec<Option<Held>>, WorldError> {
        let all =
            self.reads.iter().map(|secret| async { secret.held().await.map_err(|failure| secret.failed("observe", failure)) });
        try_join_all(all).await
    }

    /// What its runs say.
    pub(super) async fn deployed(&self, what: &str) -> Result<Deployed, WorldError> {
        // Others may have dispatched it many times since, for what names no version.
        let runs = self.runs(what, |run| run.is_good() && run.version().is_some()).await?;
        let held = self.held().await?;
        let is_stale = |run: &Run, version: &VersionId| {
            held.iter().flatten().any(|held| held.version.as_ref() == Some(version) && run.is_older(held.since))
        };
        Ok(Deployed::of(runs, &self.config.workflow, is_stale))
    }

    /// Fails while a run would read another version than `version`; else waits until one is told from those that did.
    pub(super) async fn readable(&self, version: &VersionId) -> Result<(), WorldError> {
        let held = self.held().await?;
        let behind = |held: &Option<Held>| held.as_ref().and_then(|held| held.version.as_ref()) != Some(version);
        match self.reads.iter().zip(&held).find(|(_, held)| behind(held)) {
            None => {
                // A run of the second of the push cannot be told from one before it.
                if !held.is_empty() {
                    sleep(SECOND).await;
                }
                Ok(())
            }
            Some((secret, _)) => {
                let cause = format!("secret `{}` that it reads does not hold the version", secret.shown);
                Err(self.refused(ErrorClass::Permanent, "dispatch", cause))
            }
        }
    }
}

impl Run {
    /// The version in its name: the last word that can be one and is long enough to be none by chance.
    pub(super) fn version(&self) -> Option<VersionId> {
        self.display_title.split_whitespace().rev().filter(|word| word.len() >= 32).find_map(reply::version)
    }

    /// True when it may have begun before `pushed`; both are GitHub's, which tells seconds.
    pub(super) fn is_older(&self, pushed: Timestamp) -> bool {
        self.created_at.is_none_or(|created| created <= pushed)
    }

    /// True when it ended badly and may have deployed another version than `run` did.
    fn spoils(&self, run: &Self) -> bool {
        !self.is_open() && !self.is_good() && self.version().is_some_and(|version| Some(version) != run.version())
    }

    /// True until it has ended.
    pub(super) fn is_open(&self) -> bool {
        self.status.as_deref() != Some("completed")
    }

    /// True when it ended well.
    pub(super) fn is_good(&self) -> bool {
        self.conclusion.as_deref() == Some("success")
    }
}
