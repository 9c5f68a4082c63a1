//! Where GitHub keeps the secrets of one place and the variables beside them.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use rand_core::OsRng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::model::catalog::{GithubSecretConsumer, GithubStore, Visibility};
use crate::model::time::Timestamp;
use crate::transport::github::{Failure, Github, segment};

/// Pages of one list at most; GitHub ends long before.
const PAGES: usize = 50;

/// Secrets and variables of a repository, an environment or an organisation.
pub(super) struct Home {
    pub(super) github: Github,
    /// Route of its secrets, without a slash at the end.
    pub(super) secrets: String,
    /// Route of its variables; Dependabot and Codespaces have none, so theirs are those of Actions.
    variables: String,
    /// True for an organisation's, which says who may see it.
    pub(super) shared: bool,
    pub(super) declared: Option<(Visibility, Vec<String>)>,
}

#[derive(Deserialize)]
struct Key {
    key_id: String,
    key: String,
}

/// A variable as GitHub shows it.
#[derive(Deserialize)]
pub(super) struct Variable {
    pub(super) value: String,
    /// When it was last written, by GitHub's clock.
    pub(super) updated_at: Timestamp,
}

/// Route of repository `repo`, written `owner/name`.
pub(super) fn repo_route(repo: &str) -> String {
    format!("/repos/{}", repo.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

/// Name of `store` in a route.
pub(super) fn route_of(store: GithubStore) -> &'static str {
    match store {
        GithubStore::Actions => "actions",
        GithubStore::Dependabot => "dependabot",
        GithubStore::Codespaces => "codespaces",
    }
}

/// Every page of `route`, which asks for a hundred a page.
pub(super) async fn pages<T: DeserializeOwned>(github: &Github, route: String) -> Result<Vec<T>, Failure> {
    let (mut all, mut followed, mut next) = (Vec::new(), BTreeSet::new(), Some(route));
    while let Some(page) = next {
        // One that leads back has no end.
        if all.len() == PAGES || !followed.insert(page.clone()) {
            return Err(Failure::Shape);
        }
        let answer = github.get(&page).await?;
        all.push(answer.read::<T>()?);
        next = answer.next.transpose()?;
    }
    Ok(all)
}

impl Home {
    /// The home of `config`, in organisation `org` when it names no repository.
    pub(super) fn new(github: Github, org: &str, config: &GithubSecretConsumer) -> Self {
        let owner = config.repo.as_deref().map_or_else(|| format!("/orgs/{}", segment(org)), repo_route);
        let [secrets, variables] = match &config.environment {
            Some(name) => [format!("{owner}/environments/{}", segment(name)), format!("{owner}/environments/{}", segment(name))],
            None => [format!("{owner}/{}", route_of(config.store)), format!("{owner}/actions")],
        };
        Self {
            github,
            secrets: format!("{secrets}/secrets"),
            variables: format!("{variables}/variables"),
            shared: config.repo.is_none(),
            declared: config.visibility.map(|visibility| (visibility, config.repos.clone())),
        }
    }

    /// Seals `value` to the key of today and stores it; a key that was replaced meanwhile is read again once.
    pub(super) async fn put(&self, name: &str, value: &[u8], audience: &Map<String, Value>) -> Result<(), Failure> {
        match self.put_once(name, value, audience).await {
            Err(Failure::Status(422)) => self.put_once(name, value, audience).await,
            ended => ended,
        }
    }

    async fn put_once(&self, name: &str, value: &[u8], audience: &Map<String, Value>) -> Result<(), Failure> {
        let key = self.github.get(&format!("{}/public-key", self.secrets)).await?.read::<Key>()?;
        let bytes: Option<[u8; 32]> = STANDARD.decode(&key.key).ok().and_then(|bytes| bytes.try_into().ok());
        let sealed = PublicKey::from(bytes.ok_or(Failure::Shape)?).seal(&mut OsRng, value).map_err(|_| Failure::Shape)?;
        let mut body = audience.clone();
        body.insert("encrypted_value".to_owned(), STANDARD.encode(sealed).into());
        body.insert("key_id".to_owned(), key.key_id.into());
        self.github.write("PUT", &format!("{}/{name}", self.secrets), &body).await.map(drop)
    }

    /// Reads the variable `name`.
    pub(super) async fn variable(&self, name: &str) -> Result<Option<Variable>, Failure> {
        match self.github.get(&format!("{}/{name}", self.variables)).await {
            Ok(answer) => answer.read().map(Some),
            Err(Failure::Status(404)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Writes `value` into the variable `name`, which may or may not exist; a new one is seen by `audience`.
    pub(super) async fn note(&self, name: &str, value: &str, audience: &Map<String, Value>) -> Result<(), Failure> {
        let mut body = json!({ "name": name, "value": value });
        let route = format!("{}/{name}", self.variables);
        if let (Value::Object(body), true) = (&mut body, self.declared.is_some()) {
            body.extend(audience.clone());
        }
        match self.github.write("PATCH", &route, &body).await {
            Err(Failure::Status(404)) => {}
            ended => return ended.map(drop),
        }
        if let Value::Object(body) = &mut body {
            body.extend(audience.clone());
        }
        match self.github.write("POST", &self.variables, &body).await {
            // Made by a lost answer or another run; the last word is ours.
            Err(Failure::Status(409)) => self.github.write("PATCH", &route, &body).await.map(drop),
            ended => ended.map(drop),
        }
    }
}
