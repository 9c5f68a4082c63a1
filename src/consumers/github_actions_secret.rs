//! An Actions secret of a repository, an environment or an organisation, acknowledged by a variable beside it.
//!
//! Nobody can read a secret back, so `SLM_<NAME>` names the version it holds. A run takes a repository's or an organisation's secret
//! up when it is queued, an environment's when its job starts: there is nothing to activate, and older runs keep the older value.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use rand_core::OsRng;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::model::catalog::GithubSecretConsumer;
use crate::model::id::VersionId;
use crate::model::secret::Secret;
use crate::transport::github::{Answer, Failure, Github, segment};
use crate::world::{Consumer, ConsumerView, ErrorClass, WorldError};

/// The most a secret may hold.
const LIMIT: usize = 48 * 1024;
/// The longest version id taken for one.
const VERSION_LIMIT: usize = 64;

/// One Actions secret.
pub struct ActionsSecret {
    github: Github,
    /// Route of its secrets, without a slash at the end.
    secrets: String,
    /// Route of its variables.
    variables: String,
    /// True for an organisation's, which says who may see it.
    shared: bool,
    name: String,
    shown: String,
}

#[derive(Deserialize)]
struct Key {
    key_id: String,
    key: String,
}

#[derive(Deserialize)]
struct Variable {
    value: String,
}

#[derive(Deserialize)]
struct Shared {
    visibility: String,
}

#[derive(Deserialize)]
struct Chosen {
    repositories: Vec<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

impl ActionsSecret {
    /// The secret of `config`, in organisation `org` when it names no repository.
    #[must_use]
    pub fn new(github: Github, org: &str, config: &GithubSecretConsumer) -> Self {
        let owner = config.repo.as_deref().map_or_else(
            || format!("/orgs/{}", segment(org)),
            |repo| format!("/repos/{}", repo.split('/').map(segment).collect::<Vec<_>>().join("/")),
        );
        let home = match &config.environment {
            Some(environment) => format!("{owner}/environments/{}", segment(environment)),
            None => format!("{owner}/actions"),
        };
        let place = [Some(config.repo.as_deref().unwrap_or(org)), config.environment.as_deref(), Some(&config.name)];
        Self {
            github,
            secrets: format!("{home}/secrets"),
            variables: format!("{home}/variables"),
            shared: config.repo.is_none(),
            name: config.name.clone(),
            shown: place.into_iter().flatten().collect::<Vec<_>>().join("/"),
        }
    }

    fn variable(&self) -> String {
        format!("SLM_{}", self.name)
    }

    fn failed(&self, what: &str, failure: Failure) -> WorldError {
        failure.during(format!("{what} Actions secret `{}`", self.shown))
    }

    fn refused(&self, class: ErrorClass, what: &str, cause: &str) -> WorldError {
        WorldError { class, operation: format!("{what} Actions secret `{}`", self.shown), cause: cause.to_owned() }
    }

    /// Seals `value` to the key of today and stores it.
    async fn put(&self, value: &Secret, rest: &Map<String, Value>) -> Result<Result<Answer, Failure>, WorldError> {
        let route = format!("{}/public-key", self.secrets);
        let answer = self.github.get(&route).await.and_then(|answer| answer.read::<Key>());
        let key = answer.map_err(|failure| self.failed("read the public key for", failure))?;
        let bytes: Option<[u8; 32]> = STANDARD.decode(&key.key).ok().and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or_else(|| self.failed("read the public key for", Failure::Shape))?;
        let sealed = PublicKey::from(bytes).seal(&mut OsRng, value.expose());
        let sealed = sealed.map_err(|_| self.refused(ErrorClass::Permanent, "seal", "the public key does not seal"))?;
        let mut body = rest.clone();
        body.insert("encrypted_value".to_owned(), STANDARD.encode(sealed).into());
        body.insert("key_id".to_owned(), key.key_id.into());
        Ok(self.github.write("PUT", &format!("{}/{}", self.secrets, self.name), &body).await)
    }

    /// Who may see an organisation's secret: whoever may see it now, private repositories when it is new.
    async fn audience(&self) -> Result<Map<String, Value>, Failure> {
        let mut audience = Map::new();
        if !self.shared {
            return Ok(audience);
        }
        let route = format!("{}/{}", self.secrets, self.name);
        let visibility = match self.github.get(&route).await {
            Ok(answer) => answer.read::<Shared>()?.visibility,
            Err(Failure::Status(404)) => "private".to_owned(),
            Err(failure) => return Err(failure),
        };
        if visibility == "selected" {
            let mut ids = Vec::new();
            let mut next = Some(format!("{route}/repositories?per_page=100"));
            while let Some(page) = next {
                let answer = self.github.get(&page).await?;
                ids.extend(answer.read::<Chosen>()?.repositories.iter().map(|repository| repository.id));
                let following = answer.next.transpose()?;
                if following.as_ref() == Some(&page) {
                    return Err(Failure::Shape);
                }
                next = following;
            }
            audience.insert("selected_repository_ids".to_owned(), ids.into());
        }
        audience.insert("visibility".to_owned(), visibility.into());
        Ok(audience)
    }

    /// Notes `version` in the variable, which may or may not exist.
    async fn acknowledge(&self, version: &VersionId) -> Result<(), Failure> {
        let name = self.variable();
        let mut body = json!({ "name": name, "value": version.as_str() });
        let route = format!("{}/{name}", self.variables);
        match self.github.write("PATCH", &route, &body).await {
            Err(Failure::Status(404)) => {}
            ended => return ended.map(drop),
        }
        if self.shared {
            body["visibility"] = "private".into();
        }
        match self.github.write("POST", &self.variables, &body).await {
            // Made by a lost answer or another run; the last word is ours.
            Err(Failure::Status(409)) => self.github.write("PATCH", &route, &body).await.map(drop),
            ended => ended.map(drop),
        }
    }
}

#[async_trait]
impl Consumer for ActionsSecret {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        let value = match self.github.get(&format!("{}/{}", self.variables, self.variable())).await {
            Ok(answer) => answer.read::<Variable>().map_err(|failure| self.failed("observe", failure))?.value,
            Err(Failure::Status(404)) => return Ok(ConsumerView::default()),
            Err(failure) => return Err(self.failed("observe", failure)),
        };
        // Anybody may write into a variable: what cannot be a version id is none.
        let plain = value.len() <= VERSION_LIMIT && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let version = (plain && !value.is_empty()).then(|| VersionId::from(value));
        Ok(ConsumerView { stored: version.clone(), running: version, ..ConsumerView::default() })
    }

    /// Writes every time it is asked: the variable alone does not prove that the secret still holds what it names.
    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        if value.expose().len() > LIMIT {
            return Err(self.refused(ErrorClass::Permanent, "write", "the value is longer than 48 KB"));
        }
        let audience = self.audience().await.map_err(|failure| self.failed("see who may use", failure))?;
        let mut stored = self.put(value, &audience).await?;
        if matches!(stored, Err(Failure::Status(422))) {
            // The key was replaced between reading it and using it.
            stored = self.put(value, &audience).await?;
        }
        stored.map_err(|failure| self.failed("write", failure))?;
        // INVARIANT: the acknowledgement is written after the secret, so it never names a version that did not arrive.
        self.acknowledge(version).await.map_err(|failure| self.failed("acknowledge", failure))
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        match self.observe().await?.stored {
            Some(stored) if stored == *version => Ok(()),
            _ => Err(self.refused(ErrorClass::Conflict, "activate", "its variable names another version")),
        }
    }
}
