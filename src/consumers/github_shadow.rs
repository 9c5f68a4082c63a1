//! Secrets and variables of the same name nearer to a workflow: environment before repository before organisation.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::github_home::{pages, repo_route, route_of};
use crate::model::catalog::{GithubSecretConsumer, GithubStore};
use crate::transport::github::{Failure, Github, segment};

/// Repositories looked at for one secret of an organisation.
const REPOS: usize = 50;

#[derive(Deserialize)]
struct Environments {
    environments: Vec<Named>,
}

#[derive(Deserialize)]
struct Secrets {
    secrets: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// What a look at the places nearer to a workflow came to.
pub(super) struct Looked {
    /// Places that override although they may not: `DB_PASSWORD in environment prod`.
    pub(super) found: Vec<String>,
    /// What was not looked at, and why.
    pub(super) unseen: Option<String>,
}

/// What is looked for.
pub(super) struct Wanted<'a> {
    pub(super) github: &'a Github,
    pub(super) config: &'a GithubSecretConsumer,
    /// Names of the secrets that a workflow reads.
    pub(super) secrets: &'a [String],
}

impl Wanted<'_> {
    /// What overrides a secret of the repository itself.
    pub(super) async fn in_repository(&self, repo: &str) -> Result<Looked, Failure> {
        let nearer = self.config.store == GithubStore::Actions && self.config.environment.is_none();
        let found = if nearer { self.environments(repo, |name| name.to_owned(), "").await? } else { Vec::new() };
        Ok(Looked { found, unseen: None })
    }

    /// What overrides a secret of an organisation in the repositories `of` it.
    pub(super) async fn in_organisation(&self, of: &BTreeSet<String>, unlisted: Option<String>) -> Result<Looked, Failure> {
        let mut found = Vec::new();
        for repo in of.iter().filter(|repo| !self.may(repo)).take(REPOS) {
            let (at, place) = (repo_route(repo), format!("repository `{repo}`"));
            let route = format!("{at}/{}/secrets?per_page=100", route_of(self.config.store));
            found.extend(self.same(route, &place).await?);
            found.extend(self.choice(&format!("{at}/actions"), &place).await?);
            if self.config.store == GithubStore::Actions {
                found.extend(self.environments(repo, |name| format!("{repo}/{name}"), &format!(" of `{repo}`")).await?);
            }
        }
        let more = of.iter().filter(|repo| !self.may(repo)).count().saturating_sub(REPOS);
        let unseen = unlisted.or_else(|| {
            if of.is_empty() {
                return Some("nobody lists which repositories read it; name those that do in `repos`".to_owned());
            }
            (more > 0).then(|| format!("{more} of the repositories that see it are not looked at"))
        });
        Ok(Looked { found, unseen })
    }

    fn may(&self, place: &str) -> bool {
        self.config.overridden_in.iter().any(|one| one == place)
    }

    /// What its environments have of the same name, but those that may, by the name that `called` gives them.
    async fn environments(&self, repo: &str, called: impl Fn(&str) -> String, whose: &str) -> Result<Vec<String>, Failure> {
        let repo = repo_route(repo);
        let all = pages::<Environments>(self.github, format!("{repo}/environments?per_page=100")).await?;
        let mut found = Vec::new();
        for Named { name } in all.into_iter().flat_map(|page| page.environments).filter(|one| !self.may(&called(&one.name))) {
            let (at, place) = (format!("{repo}/environments/{}", segment(&name)), format!("environment `{name}`{whose}"));
            found.extend(self.same(format!("{at}/secrets?per_page=100"), &place).await?);
            found.extend(self.choice(&at, &place).await?);
        }
        Ok(found)
    }

    async fn same(&self, route: String, place: &str) -> Result<Vec<String>, Failure> {
        let all = pages::<Secrets>(self.github, route).await?;
        let all = all.into_iter().flat_map(|page| page.secrets).filter(|secret| self.secrets.contains(&secret.name));
        Ok(all.map(|secret| format!("`{}` in {place}", secret.name)).collect())
    }

    /// The variable by which a workflow chooses a half of a set: another one would have it read the half that is being written.
    async fn choice(&self, at: &str, place: &str) -> Result<Option<String>, Failure> {
        if self.config.set.is_empty() {
            return Ok(None);
        }
        let name = self.config.variable();
        match self.github.get(&format!("{at}/variables/{name}")).await {
            Ok(_) => Ok(Some(format!("variable `{name}` in {place}"))),
            Err(Failure::Status(404)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
