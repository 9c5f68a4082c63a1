//! Deploy keys of a GitHub repository: we make the pair, GitHub keeps the public half. The value is an OpenSSH private key.
//!
//! GitHub takes any number of them and changes none: a key is added, and it is deleted.

use async_trait::async_trait;
use rand_core::OsRng;
use serde_json::json;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};

use super::github_deploy_key_list::{Listed, TITLE};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, GithubDeployKey};
use crate::model::secret::Secret;
use crate::transport::github::{Failure, Github, segment};
use crate::world::{ErrorClass, Fresh, KeyChange, Listing, Rotator, Target, Trial, WorldError};

/// The deploy keys of one repository.
pub struct DeployKeys {
    github: Github,
    repo: String,
    /// Route of its keys, without a slash at the end.
    route: String,
    read_only: bool,
}

impl DeployKeys {
    /// The keys of the repository in `declared`, reached by `github`.
    #[must_use]
    pub fn new(github: Github, declared: &GithubDeployKey) -> Self {
        let repo = declared.repo.split('/').map(segment).collect::<Vec<_>>().join("/");
        Self { github, repo: declared.repo.clone(), route: format!("/repos/{repo}/keys"), read_only: declared.read_only }
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} of repository {}", self.repo)
    }

    fn wrong(&self, class: ErrorClass, what: &str, cause: &str) -> WorldError {
        WorldError { class, operation: self.doing(what), cause: cause.to_owned() }
    }

    fn parse(&self, value: &Secret) -> Result<PrivateKey, WorldError> {
        let wrong =
            || self.wrong(ErrorClass::Permanent, "use a deploy key", "the value is no OpenSSH private key without a passphrase");
        let key = PrivateKey::from_openssh(value.expose()).map_err(|_| wrong())?;
        if key.is_encrypted() { Err(wrong()) } else { Ok(key) }
    }

    /// Every key, to the last page.
    async fn all(&self) -> Result<Vec<Listed>, Failure> {
        let mut keys: Vec<Listed> = Vec::new();
        let mut next = Some(format!("{}?per_page=100", self.route));
        while let Some(page) = next {
            let answer = self.github.get(&page).await?;
            keys.extend(answer.read::<Vec<Listed>>()?);
            let following = answer.next.transpose()?;
            if following.as_ref() == Some(&page) {
                return Err(Failure::Shape);
            }
            next = following;
        }
        Ok(keys)
    }

    async fn find(&self, name: &KeyId) -> Result<Option<Listed>, Failure> {
        for key in self.all().await? {
            if key.name()? == *name {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

fn name(key: &PrivateKey) -> KeyId {
    KeyId::from(key.fingerprint(HashAlg::Sha256).to_string())
}

#[async_trait]
impl Rotator for DeployKeys {
    fn capabilities(&self) -> Capabilities {
        GithubDeployKey::CAPABILITIES
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.parse(value).ok().map(|key| name(&key))
    }

    async fn create(&self, _: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        let failed = |_| self.wrong(ErrorClass::Transient, "make a deploy key", "the key could not be made");
        let key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(failed)?;
        let text = key.to_openssh(LineEnding::LF).map_err(failed)?;
        Ok(Fresh { key: Some(name(&key)), value: Secret::new(text.as_bytes().to_vec()) })
    }

    /// Reads the list: the key is there, is let in, and may do as much as it was declared to.
    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        let key = name(&self.parse(value)?);
        let found = self.find(&key).await.map_err(|failure| failure.during(self.doing("read the deploy keys")))?;
        Ok(match found {
            None => Trial::Refused("it is not among the deploy keys".to_owned()),
            Some(key) if !key.enabled => Trial::Useless("the organisation does not let deploy keys in".to_owned()),
            Some(key) if key.read_only != self.read_only => {
                let can = if key.read_only { "read only" } else { "write" };
                Trial::Useless(format!("it may {can}, which is not what is declared"))
            }
            Some(_) => Trial::Accepted,
        })
    }

    /// The list is of one repository.
    fn place(&self) -> Option<String> {
        Some(format!("repository {}", self.repo))
    }
}

#[async_trait]
impl Target for DeployKeys {
    async fn list(&self) -> Result<Listing, WorldError> {
        let _ = self.github.take_log();
        let keys = self.all().await.and_then(|keys| keys.iter().map(Listed::view).collect::<Result<_, _>>());
        let keys = keys.map_err(|failure| failure.during(self.doing("list the deploy keys")))?;
        let clock = self.github.take_log().clock;
        let now = clock.ok_or_else(|| self.wrong(ErrorClass::Transient, "list the deploy keys", "an answer without a date"))?;
        Ok(Listing { now, keys })
    }

    /// Adds the public half; the same key there already is what was asked for, unless it stands for another version.
    async fn install(&self, value: &Secret, version: &VersionId, _: Option<&VersionId>) -> Result<(), WorldError> {
        let doing = || self.doing(&format!("add the deploy key of version {version}"));
        let key = self.parse(value)?;
        let public = key.public_key().to_openssh().map_err(|_| Failure::Shape.during(doing()))?;
        let body = json!({ "title": format!("{TITLE}{version}"), "key": public, "read_only": self.read_only });
        match self.github.write("POST", &self.route, &body).await {
            Ok(_) => return Ok(()),
            // In use: here, by a lost answer or another run, or in another repository.
            Err(Failure::Status(422)) => {}
            Err(failure) => return Err(failure.during(doing())),
        }
        let wrong = |class, cause: &str| Err(WorldError { class, operation: doing(), cause: cause.to_owned() });
        match self.find(&name(&key)).await.map_err(|failure| failure.during(doing()))? {
            Some(there) if there.version().is_none_or(|there| there == *version) => Ok(()),
            Some(_) => wrong(ErrorClass::Conflict, "the key is there for another version"),
            None => wrong(ErrorClass::Permanent, "HTTP 422: the repository takes no deploy keys, or the key is used elsewhere"),
        }
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        Err(self.wrong(ErrorClass::Permanent, &format!("read deploy key {key}"), "GitHub has the public half alone"))
    }

    async fn change(&self, key: &KeyId, _: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        if change != KeyChange::Delete {
            return Err(self.wrong(ErrorClass::Permanent, &format!("change deploy key {key}"), "GitHub can only delete it"));
        }
        let failed = |failure: Failure| failure.during(self.doing(&format!("delete deploy key {key}")));
        let Some(there) = self.find(key).await.map_err(failed)? else { return Ok(()) };
        match self.github.delete(&format!("{}/{}", self.route, there.id)).await {
            Ok(_) | Err(Failure::Status(404)) => Ok(()),
            Err(failure) => Err(failed(failure)),
        }
    }
}
