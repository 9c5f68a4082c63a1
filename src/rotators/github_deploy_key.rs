//! Deploy keys of a GitHub repository: we make the pair, GitHub keeps the public half. The value is an OpenSSH private key.
//!
//! GitHub takes any number of them and changes none: a key is added, and it is deleted.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rand_core::OsRng;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use sha2::{Digest, Sha256};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};

use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, GithubDeployKey};
use crate::model::secret::Secret;
use crate::model::time::{Limit, Timestamp};
use crate::transport::github::{Failure, Github, segment};
use crate::world::{ErrorClass, Fresh, KeyChange, KeyView, LastUse, Listing, Rotator, Target, Trial, WorldError};

/// What titles of our own begin with; the version follows.
const TITLE: &str = "slm ";

/// The deploy keys of one repository.
pub struct DeployKeys {
    github: Github,
    repo: String,
    /// Route of its keys, without a slash at the end.
    route: String,
    read_only: bool,
}

/// A key as GitHub lists it.
#[derive(Deserialize)]
struct Listed {
    id: u64,
    key: String,
    title: String,
    created_at: Timestamp,
    read_only: bool,
    /// False where the organisation does not let deploy keys in.
    #[serde(default = "enabled")]
    enabled: bool,
    /// `None` when the answer has no such field.
    #[serde(default, deserialize_with = "told")]
    last_used: Option<Option<Timestamp>>,
}

fn enabled() -> bool {
    true
}

fn told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Timestamp>>, D::Error> {
    Option::<Timestamp>::deserialize(deserializer).map(Some)
}

impl Listed {
    /// The fingerprint of the key, of whatever algorithm, as `ssh-keygen -l` shows it.
    fn name(&self) -> Result<KeyId, Failure> {
        let blob = self.key.split_whitespace().nth(1).and_then(|text| STANDARD.decode(text).ok()).ok_or(Failure::Shape)?;
        Ok(KeyId::from(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))))
    }

    fn version(&self) -> Option<VersionId> {
        self.title.strip_prefix(TITLE).map(VersionId::from)
    }

    fn view(&self) -> Result<KeyView, Failure> {
        let last_used = match self.last_used {
            None => LastUse::Untold,
            Some(None) => LastUse::Never,
            // GitHub tells the day; it may have been its last second.
            Some(Some(at)) => LastUse::At(end_of_day(at), "somebody: GitHub tells the day alone".to_owned()),
        };
        Ok(KeyView {
            id: self.name()?,
            active: self.enabled,
            version: self.version(),
            created: Some(self.created_at),
            last_used,
            ours: self.version().is_some(),
        })
    }
}

fn end_of_day(at: Timestamp) -> Timestamp {
    let left = Limit::DAY - 1 - at.as_second().rem_euclid(Limit::DAY);
    Limit::seconds(left).after(at)
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
            Some(key) if !key.enabled => Trial::Refused("the organisation does not let deploy keys in".to_owned()),
            Some(key) if key.read_only != self.read_only => {
                let can = if key.read_only { "read only" } else { "write" };
                Trial::Refused(format!("it may {can}, which is not what is declared"))
            }
            Some(_) => Trial::Accepted,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_counts_until_the_end_of_its_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(end_of_day(at("2026-11-24T00:00:00Z")), at("2026-11-24T23:59:59Z"));
        assert_eq!(end_of_day(at("2026-11-24T23:59:59Z")), at("2026-11-24T23:59:59Z"));
    }

    #[test]
    fn a_missing_last_use_is_not_never() {
        let read = |rest: &str| {
            let text = format!(
                r#"{{"id":1,"key":"ssh-rsa AAAA","title":"x","created_at":"2026-01-01T00:00:00Z","read_only":true{rest}}}"#
            );
            serde_json::from_str::<Listed>(&text).unwrap().view().unwrap()
        };
        assert_eq!(read("").last_used, LastUse::Untold);
        assert_eq!(read(r#","last_used":null"#).last_used, LastUse::Never);
        assert!(matches!(read(r#","last_used":"2026-01-02T00:00:00Z""#).last_used, LastUse::At(..)));
        assert!(!read(r#","enabled":false"#).active);
    }
}
