//! A workflow that is dispatched with the version and awaited: it deploys, and the version of its last successful run is what runs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::github_actions_secret::ActionsSecret;
use super::github_dispatched::{Deployed, Run};
use super::github_home::repo_route;
use crate::model::catalog::GithubWorkflowConsumer;
use crate::model::id::VersionId;
use crate::model::secret::Secret;
use crate::transport::github::{Failure, Github, segment};
use crate::world::{Consumer, ConsumerView, ErrorClass, WorldError};

/// How long a run is awaited unless the config says otherwise.
const TIMEOUT: Duration = Duration::from_mins(10);
/// Pages of runs that are looked at: GitHub lists the last thousand.
const PAGES: usize = 10;
/// How long a run that was dispatched may take to be listed.
const LISTED: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

/// One workflow.
pub struct WorkflowDispatch {
    github: Github,
    pub(super) config: GithubWorkflowConsumer,
    /// Secrets of the same credential that it may read: each has to hold the version before a run for it begins.
    pub(super) reads: Vec<ActionsSecret>,
    /// The run this process dispatched; it may not be listed yet.
    started: Mutex<Option<(VersionId, u64)>>,
    /// Pause between two looks at a run.
    pause: Duration,
}

#[derive(Deserialize)]
struct Page {
    workflow_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Started {
    workflow_run_id: u64,
}

impl WorkflowDispatch {
    /// The workflow of `config`.
    #[must_use]
    pub fn new(github: Github, config: GithubWorkflowConsumer) -> Self {
        Self { github, config, reads: Vec::new(), started: Mutex::default(), pause: Duration::from_secs(5) }
    }

    /// The same, whose runs read `secrets`.
    #[must_use]
    pub fn reading(mut self, secrets: Vec<ActionsSecret>) -> Self {
        self.reads = secrets;
        self
    }

    /// Looks at a run every `pause`.
    #[must_use]
    pub fn looking_every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    fn failed(&self, what: &str, failure: Failure) -> WorldError {
        failure.during(self.operation(what))
    }

    fn operation(&self, what: &str) -> String {
        format!("{what} workflow `{}` of `{}`", self.config.workflow, self.config.repo)
    }

    pub(super) fn refused(&self, class: ErrorClass, what: &str, cause: String) -> WorldError {
        WorldError { class, operation: self.operation(what), cause }
    }

    fn route(&self, end: &str) -> String {
        format!("{}/actions/workflows/{}/{end}", repo_route(&self.config.repo), segment(&self.config.workflow))
    }

    /// Its dispatched runs, newest first, a hundred at least and no more pages than it takes to find one that `is_it`.
    pub(super) async fn runs(&self, what: &str, is_it: impl Fn(&Run) -> bool) -> Result<Vec<Run>, WorldError> {
        let (mut all, mut next) = (Vec::new(), Some(self.route("runs?event=workflow_dispatch&per_page=100")));
        for _ in 0..PAGES {
            let Some(route) = next else { break };
            let answer = self.github.get(&route).await.map_err(|failure| self.failed(what, failure))?;
            let page = answer.read::<Page>().map_err(|failure| self.failed(what, failure))?.workflow_runs;
            next = answer.next.transpose().map_err(|failure| self.failed(what, failure))?;
            let found = page.iter().any(&is_it);
            all.extend(page);
            if found {
                break;
            }
        }
        Ok(all)
    }

    /// Dispatches; the id of the run when the server tells it. Never sent again by itself: a lost answer is looked for.
    async fn dispatch(&self, version: &VersionId) -> Result<Option<u64>, Failure> {
        let route = self.route("dispatches");
        let mut body = json!({ "ref": self.config.branch, "inputs": { &self.config.input: version.as_str() } });
        body["return_run_details"] = true.into();
        let answer = match self.github.write_once("POST", &route, &body).await {
            // GitHub Enterprise Server before it could tell the run.
            Err(Failure::Status(400 | 422)) => {
                body.as_object_mut().map(|body| body.remove("return_run_details"));
                self.github.write_once("POST", &route, &body).await
            }
            ended => ended,
        };
        Ok(answer?.read::<Started>().ok().map(|started| started.workflow_run_id))
    }

    fn remembered(&self, version: &VersionId) -> Option<u64> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.as_ref().filter(|(of, _)| of == version).map(|(_, id)| *id)
    }

    async fn read(&self, id: u64) -> Result<Run, WorldError> {
        let route = format!("{}/actions/runs/{id}", repo_route(&self.config.repo));
        self.github.get(&route).await.and_then(|answer| answer.read()).map_err(|failure| self.failed("await", failure))
    }
}

#[async_trait]
impl Consumer for WorkflowDispatch {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let Deployed { last, running, draining } = self.deployed("observe").await?;
        Ok(ConsumerView { stored: last.as_ref().and_then(Run::version), running, draining, readers: None })
    }

    /// Starts a run for `version`, unless one goes on or went well. The workflow reads the value where it lives.
    async fn deliver(&self, version: &VersionId, _: &Secret) -> Result<(), WorldError> {
        // Only the newest counts: an older run for this version was followed by one for another.
        if self.observe().await?.stored.as_ref() == Some(version) {
            return Ok(());
        }
        self.readable(version).await?;
        let id = self.dispatch(version).await.map_err(|failure| self.failed("dispatch", failure))?;
        if let Some(id) = id {
            *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some((version.clone(), id));
        }
        let until = Instant::now() + LISTED;
        while self.observe().await?.stored.as_ref() != Some(version) {
            if Instant::now() >= until {
                let cause = "no run is named after the version; its `run-name` has to hold `${{ inputs.version }}`".to_owned();
                return Err(self.refused(ErrorClass::Permanent, "find the run of", cause));
            }
            tokio::time::sleep(self.pause).await;
        }
        Ok(())
    }

    /// Awaits the run for `version`.
    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        let id = match self.remembered(version) {
            Some(id) => id,
            None => match self.deployed("await").await?.last.filter(|run| run.version().as_ref() == Some(version)) {
                Some(run) => run.id,
                None => return Err(self.refused(ErrorClass::Conflict, "await", "it has no run for the version".to_owned())),
            },
        };
        let timeout = self.config.timeout.map_or(TIMEOUT, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()));
        let until = Instant::now() + timeout;
        loop {
            let run = self.read(id).await?;
            if run.is_good() {
                return Ok(());
            }
            if !run.is_open() {
                *self.started.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return Err(self.refused(ErrorClass::Transient, "await", format!("run {id} did not go well")));
            }
            if Instant::now() >= until {
                return Err(self.refused(ErrorClass::Transient, "await", format!("run {id} goes on still")));
            }
            tokio::time::sleep(self.pause).await;
        }
    }
}
