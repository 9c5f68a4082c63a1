//! A workload of Kubernetes: its Secret is applied, then the version is written on its pod template, which rolls it out, and the
//! roll-out is awaited. The template says the version and no instant, so that the same version never starts pods twice.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::kubernetes_pods;
use super::kubernetes_rollout::{Object, Rollout, place};
use super::kubernetes_secret::MANAGER;
use super::reply;
use super::several::Several;
use crate::model::catalog::KubernetesConsumer;
use crate::model::id::{CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::http::is_safe;
use crate::transport::kubernetes::{Applied, Kubernetes};
use crate::world::{Consumer, ConsumerView, ErrorClass, Member, Shared, WorldError};

/// How long a roll-out is awaited unless the config says otherwise.
const TIMEOUT: Duration = Duration::from_mins(10);
/// One workload and its Secret.
pub struct Workload {
    pub(super) api: Kubernetes,
    pub(super) credential: CredentialId,
    pub(super) config: KubernetesConsumer,
    /// Where the workload is, its kind and its name.
    place: (String, &'static str, String),
    /// Pause between two looks at a roll-out.
    pause: Duration,
    /// How long pods may go on with a value is declared, so that those that are ending need not be seen.
    bounded: bool,
}

impl Workload {
    /// The workload of `config` for `credential`; the file of certificates counts from `root`, and `token` lets us in.
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`] when the address is not `https`, the workload is none or there are no certificates in the file;
    /// [`ErrorClass::Denied`] when there is no token.
    pub fn new(
        root: &Path,
        credential: CredentialId,
        config: KubernetesConsumer,
        token: Option<Secret>,
    ) -> Result<Self, WorldError> {
        let wrong = |class, cause: String| {
            let operation = format!("use {} of namespace `{}`", config.workload, config.namespace);
            WorldError { class, operation, cause }
        };
        if !is_safe(&config.server) {
            return Err(wrong(ErrorClass::Permanent, "the address of its server is not `https`".to_owned()));
        }
        let place = place(&config).ok_or_else(|| wrong(ErrorClass::Permanent, "it is not a workload".to_owned()))?;
        let token = token.filter(|token| !token.expose().is_empty());
        let token = token.ok_or_else(|| wrong(ErrorClass::Denied, format!("variable `{}` is not set", config.token_env)))?;
        let api = Kubernetes::new(&config.server, root, config.ca_file.as_deref(), token);
        let api = api.map_err(|cause| wrong(ErrorClass::Permanent, cause))?;
        Ok(Self { api, credential, config, place, pause: Duration::from_secs(2), bounded: false })
    }

    /// Looks at a roll-out every `pause`.
    #[must_use]
    pub fn looking_every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Takes pods that cannot be seen to end for ended, when it is declared how long they may take.
    #[must_use]
    pub const fn bounded(mut self, bounded: bool) -> Self {
        self.bounded = bounded;
        self
    }

    fn of_workload(&self, what: &str) -> String {
        format!("{what} {} of namespace `{}`", self.config.workload, self.config.namespace)
    }

    fn refused(&self, class: ErrorClass, cause: impl Into<String>) -> WorldError {
        WorldError { class, operation: self.of_workload("roll out"), cause: cause.into() }
    }

    /// The annotation of the template that says which version of the Secret its pods were started with.
    fn annotation(&self) -> String {
        format!("slm.dev/{}-version", self.config.secret)
    }

    async fn object(&self, what: &str) -> Result<Object, WorldError> {
        let operation = self.of_workload(what);
        let found = self.api.get(&self.place.0, &operation).await?;
        found.ok_or(WorldError { class: ErrorClass::NotFound, operation, cause: "it does not exist".to_owned() })
    }

    /// Writes `version` on the template of the very `object`, never making another one.
    async fn annotate(&self, version: &VersionId, object: &Object) -> Result<(), WorldError> {
        if let Some(why) = object.idle() {
            return Err(self.refused(ErrorClass::Permanent, why));
        }
        let body = json!({
            "apiVersion": "apps/v1", "kind": self.place.1,
            "metadata": { "name": self.place.2, "namespace": self.config.namespace, "uid": object.metadata.uid },
            "spec": { "template": { "metadata": { "annotations": { self.annotation(): version.as_str() } } } },
        });
        let manager = format!("{MANAGER}-{}", self.config.secret);
        // Forced: nothing but our own annotation is applied, and a roll-back by hand takes it over.
        let what = Applied { manager: &manager, force: true, body: Zeroizing::new(body.to_string()) };
        self.api.apply(&self.place.0, what, &self.of_workload("roll out")).await
    }
}

#[async_trait]
impl Shared for Several<Workload> {
    /// Writes the versions of all whose Secrets hold them on the template, over the very object that was read.
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError> {
        let mut written = serde_json::Map::new();
        let mut over: Option<(&Workload, Object)> = None;
        for (one, version) in self.among(members) {
            // What stands in the way of one is told by itself.
            if one.held().await.ok().flatten().and_then(|held| one.version(&held)).as_ref() != Some(version) {
                continue;
            }
            let object = match over.take() {
                Some((_, object)) => object,
                None => one.object("look at").await?,
            };
            if object.annotation(&one.annotation()) != Some(version.as_str()) {
                written.insert(one.annotation(), version.as_str().into());
            }
            over = Some((one, object));
        }
        let Some((one, object)) = over.filter(|(_, object)| !written.is_empty() && object.idle().is_none()) else { return Ok(()) };
        let body = json!({
            "metadata": { "resourceVersion": object.metadata.resource_version },
            "spec": { "template": { "metadata": { "annotations": written } } },
        });
        one.api.merge(&one.place.0, MANAGER, &body.to_string(), &one.of_workload("roll out")).await
    }
}

#[async_trait]
impl Consumer for Workload {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let stored = self.held().await?.and_then(|held| self.version(&held));
        let object = self.object("observe").await?;
        if object.rollout() != Rollout::Done {
            return Ok(ConsumerView { stored, ..ConsumerView::default() });
        }
        let running = object.annotation(&self.annotation()).and_then(reply::version);
        let ending = kubernetes_pods::draining(&self.api, &self.config, &object, self.bounded);
        let draining = if running.is_some() { ending.await } else { None };
        Ok(ConsumerView { stored, running, draining: draining.into_iter().collect(), readers: None })
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let held = self.held().await?;
        if held.as_ref().and_then(|held| self.version(held)).as_ref() == Some(version) {
            return Ok(());
        }
        let body = self.rendered(version, value, held.as_ref())?;
        let what = Applied { manager: MANAGER, force: false, body };
        self.api.apply(&self.secret_path(), what, &self.of_secret("apply")).await
    }

    /// Rolls `version` out, unless that was begun, and awaits its end.
    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        if self.held().await?.and_then(|held| self.version(&held)).as_ref() != Some(version) {
            return Err(self.refused(ErrorClass::Conflict, "its Secret holds another version"));
        }
        let timeout = self.config.timeout.map_or(TIMEOUT, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()));
        let (until, mut begun) = (Instant::now() + timeout, false);
        loop {
            let object = self.object("await").await?;
            if object.annotation(&self.annotation()) != Some(version.as_str()) {
                if begun {
                    return Err(self.refused(ErrorClass::Conflict, "another roll-out took its place"));
                }
                self.annotate(version, &object).await?;
                begun = true;
                continue;
            }
            match object.rollout() {
                Rollout::Done => return Ok(()),
                Rollout::Stuck(why) => return Err(self.refused(ErrorClass::Permanent, why)),
                Rollout::Going(pods, all) if Instant::now() >= until => {
                    return Err(self.refused(ErrorClass::Transient, format!("{pods} of {all} pods are rolled out so far")));
                }
                Rollout::Going(..) => tokio::time::sleep(self.pause).await,
            }
        }
    }
}
