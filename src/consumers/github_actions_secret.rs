//! A secret of a repository, an environment or an organisation, acknowledged by a variable beside it.
//!
//! Nobody can read a secret back, so `SLM_<NAME>` names the version it holds. A run takes a repository's or an organisation's secret
//! up when it is queued, an environment's when its job starts: there is nothing to activate, and older runs keep the older value.

use std::collections::BTreeSet;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::github_home::{Home, Variable, repo_route};
use super::github_secret_set::SLOTS;
use super::github_shadow::{Looked, Wanted};
use super::{github_runs, reply};
use crate::model::catalog::{GithubSecretConsumer, GithubStore};
use crate::model::id::VersionId;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::transport::github::{Failure, Github};
use crate::world::{Consumer, ConsumerView, ErrorClass, WorldError};

/// The most a secret may hold.
const LIMIT: usize = 48 * 1024;

/// One secret, or a set of them from one value.
pub struct ActionsSecret {
    pub(super) home: Home,
    pub(super) config: GithubSecretConsumer,
    pub(super) shown: String,
    /// What was found to override it; asked once a run.
    shadows: OnceCell<Looked>,
}

/// Version in force, and since when.
pub(super) struct Held {
    pub(super) version: Option<VersionId>,
    pub(super) since: Timestamp,
    pub(super) slot: Option<&'static str>,
}

impl ActionsSecret {
    /// The secret of `config`, in organisation `org` when it names no repository.
    #[must_use]
    pub fn new(github: Github, org: &str, config: &GithubSecretConsumer) -> Self {
        let place = [Some(config.repo.as_deref().unwrap_or(org)), config.environment.as_deref(), Some(&config.name)];
        Self {
            home: Home::new(github, org, config),
            config: config.clone(),
            shown: place.into_iter().flatten().collect::<Vec<_>>().join("/"),
            shadows: OnceCell::new(),
        }
    }

    fn operation(&self, what: &str) -> String {
        let store = match self.config.store {
            GithubStore::Actions => "Actions",
            GithubStore::Dependabot => "Dependabot",
            GithubStore::Codespaces => "Codespaces",
        };
        format!("{what} {store} secret `{}`", self.shown)
    }

    pub(super) fn failed(&self, what: &str, failure: Failure) -> WorldError {
        failure.during(self.operation(what))
    }

    pub(super) fn refused(&self, class: ErrorClass, what: &str, cause: &str) -> WorldError {
        WorldError { class, operation: self.operation(what), cause: cause.to_owned() }
    }

    /// What is in force; for a set, what the chosen names hold.
    pub(super) async fn held(&self) -> Result<Option<Held>, Failure> {
        let name = self.config.variable();
        let Some(variable) = self.home.variable(&name).await? else { return Ok(None) };
        if self.config.set.is_empty() {
            return Ok(Some(Held { version: version(&variable), since: variable.updated_at, slot: None }));
        }
        let Some(slot) = SLOTS.into_iter().find(|slot| *slot == variable.value) else { return Ok(None) };
        let named = self.home.variable(&format!("{name}_{slot}")).await?;
        Ok(Some(Held { version: named.as_ref().and_then(version), since: variable.updated_at, slot: Some(slot) }))
    }

    /// Every name a workflow may read it by.
    fn names(&self) -> Vec<String> {
        if self.config.set.is_empty() {
            return vec![self.config.name.clone()];
        }
        self.config.set.keys().flat_map(|name| SLOTS.map(|slot| format!("{name}_{slot}"))).collect()
    }

    /// The repositories that see an organisation's secret as far as they are known: those it was given to, else those declared.
    async fn readers(&self, slot: Option<&str>) -> Result<BTreeSet<String>, Failure> {
        let names = match slot {
            None => vec![self.config.name.clone()],
            Some(slot) => self.config.set.keys().map(|name| format!("{name}_{slot}")).collect(),
        };
        let mut all = BTreeSet::new();
        for name in names {
            all.extend(self.home.readers(&name).await?.unwrap_or_else(|| self.config.repos.clone()));
        }
        Ok(all)
    }

    async fn shadows(&self) -> Result<&Looked, WorldError> {
        let look = async || {
            let names = self.names();
            let wanted = Wanted { github: &self.home.github, config: &self.config, secrets: &names };
            let looked = match &self.config.repo {
                Some(repo) => wanted.in_repository(repo).await,
                None => {
                    let (of, unlisted) = self.home.searched(&names, &self.config.repos).await;
                    wanted.in_organisation(&of, unlisted).await
                }
            };
            looked.map_err(|failure| self.failed("look for what overrides", failure))
        };
        self.shadows.get_or_try_init(look).await
    }

    async fn check_shadows(&self) -> Result<(), WorldError> {
        match &self.shadows().await?.found[..] {
            [] => Ok(()),
            found => Err(self.refused(ErrorClass::Permanent, "use", &format!("it is overridden by {}", found.join(", ")))),
        }
    }

    /// Stores `value` under the one name.
    async fn deliver_one(&self, version: &VersionId, value: &[u8]) -> Result<(), WorldError> {
        let name = &self.config.name;
        let audience = self.home.audience(name).await.map_err(|failure| self.failed("see who may use", failure))?;
        self.home.put(name, value, &audience).await.map_err(|failure| self.failed("write", failure))?;
        // INVARIANT: the acknowledgement is written after the secret, so it never names a version that did not arrive.
        let noted = self.home.note(&self.config.variable(), version.as_str(), &audience).await;
        noted.map_err(|failure| self.failed("acknowledge", failure))
    }
}

/// Anybody may write into a variable.
fn version(variable: &Variable) -> Option<VersionId> {
    reply::version(&variable.value)
}

#[async_trait]
impl Consumer for ActionsSecret {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.check_shadows().await?;
        let held = self.held().await.map_err(|failure| self.failed("observe", failure))?;
        let Some(Held { version: Some(version), since, slot }) = held else { return Ok(ConsumerView::default()) };
        let draining = match (&self.config.repo, self.config.store) {
            (_, GithubStore::Codespaces) => Vec::new(),
            (Some(repo), _) => github_runs::draining(&self.home.github, &repo_route(repo), repo, since).await,
            (None, _) => match self.readers(slot).await {
                Ok(repos) => github_runs::draining_in(&self.home.github, &repos, since).await,
                Err(failure) => vec![format!("the repositories that see `{}` cannot be listed: {failure}", self.shown)],
            },
        };
        Ok(ConsumerView { stored: Some(version.clone()), running: Some(version), draining, readers: None })
    }

    /// A single secret is written every time: the variable alone does not prove that it still holds what it names.
    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let long = || self.refused(ErrorClass::Permanent, "write", "the value is longer than 48 KB");
        if self.config.set.is_empty() {
            let filled = self.filled(version, value)?;
            let text = filled.as_ref().map_or(value.expose(), |text| text.as_bytes());
            return if text.len() > LIMIT { Err(long()) } else { self.deliver_one(version, text).await };
        }
        let values = self.rendered(version, value)?;
        if values.iter().any(|(_, value)| value.len() > LIMIT) {
            return Err(long());
        }
        self.deliver_set(version, &values).await
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        match self.held().await.map_err(|failure| self.failed("observe", failure))?.and_then(|held| held.version) {
            Some(held) if held == *version => Ok(()),
            _ => Err(self.refused(ErrorClass::Conflict, "activate", "its variable names another version")),
        }
    }

    async fn overridden(&self) -> Result<Vec<String>, WorldError> {
        let Looked { found, unseen } = self.shadows().await?;
        match unseen {
            // What was found stands, whatever was not looked at.
            Some(why) if found.is_empty() => Err(self.refused(ErrorClass::NotFound, "look for what overrides", why)),
            _ => Ok(found.clone()),
        }
    }
}
