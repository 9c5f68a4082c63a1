//! Credentials that a vendor's HTTP API issues, by the requests that the config declares. The value is `{"id": …, "value": …}`.
//!
//! What a vendor says is never repeated: an error names the step, the host and the status.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::http_answer::{Answer, origin, text};
use super::http_step::UNEXPECTED;
use super::http_talk::{Known, timeout};
use crate::model::id::{CredentialId, KeyId, VersionId};
use crate::model::rotator::{Capabilities, Http as Declared};
use crate::model::secret::{Secret, without_credentials};
use crate::transport::http::Http;
use crate::world::{ErrorClass, Fresh, KeyChange, Listing, Rotator, Target, Trial, WorldError};

/// The longest answer read: a list of some thousand credentials.
const LIMIT: usize = 4 << 20;
/// Statuses of what is not there.
const GONE: [u16; 2] = [404, 410];

/// The credentials at one vendor.
pub struct Vendor {
    pub(super) config: Declared,
    prefix: String,
    pub(super) auth: BTreeMap<String, Option<Secret>>,
    pub(super) http: Http,
}

/// What is stored.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Value {
    id: String,
    value: String,
}

impl Vendor {
    /// What `config` declares for `credential`; `auth` holds what the variables of `auth-env` held, and files are found from `root`.
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`] when `ca-file` vouches for nobody.
    pub fn new(
        config: &Declared,
        root: &Path,
        credential: &CredentialId,
        auth: BTreeMap<String, Option<Secret>>,
    ) -> Result<Self, WorldError> {
        let prefix = config.prefix.clone().unwrap_or_else(|| format!("slm-{credential}"));
        let http = Http::vouched_for(timeout(config), root, config.ca_file.as_deref()).map_err(|cause| {
            let operation = format!("reach {} for `{credential}`", origin(&config.create.url));
            WorldError { class: ErrorClass::Permanent, operation, cause }
        })?;
        Ok(Self { config: config.clone(), prefix, auth, http: http.up_to(LIMIT) })
    }

    pub(super) fn wrong(&self, class: ErrorClass, step: &str, cause: &str) -> WorldError {
        let origin = origin(&self.config.create.url);
        WorldError { class, operation: format!("do `{step}` at {origin}"), cause: cause.to_owned() }
    }

    /// The name of what is made for `slot`.
    fn name(&self, slot: &VersionId) -> String {
        format!("{}-{slot}", self.prefix)
    }

    /// True for a name that only a run of ours gives: nobody else's begins like it and ends in the id of a slot.
    pub(super) fn is_ours(&self, name: &str) -> bool {
        let slot = name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('-'));
        slot.is_some_and(|slot| slot.len() == 36 && uuid::Uuid::try_parse(slot).is_ok())
    }

    fn parse(&self, value: &Secret) -> Result<Value, WorldError> {
        let cause = "the value is not `{\"id\": …, \"value\": …}`";
        serde_json::from_slice(value.expose()).map_err(|_| self.wrong(ErrorClass::Permanent, "validate", cause))
    }

    /// The credential that `answer` shows.
    fn issued(&self, name: &str, answer: &Answer) -> Result<Fresh, WorldError> {
        let at = |pointer: &str| answer.json.pointer(pointer).and_then(text);
        let missing = || self.wrong(ErrorClass::Permanent, name, "no credential stands in the answer where `issued` says");
        let issued = &self.config.issued;
        let (Some(id), Some(value)) = (at(&issued.id), at(&issued.value)) else { return Err(missing()) };
        let key = KeyId::from(id.as_str());
        let stored = serde_json::to_vec(&Value { id, value }).map_err(|_| missing())?;
        Ok(Fresh { key: Some(key), value: Secret::new(stored) })
    }
}

#[async_trait]
impl Rotator for Vendor {
    fn capabilities(&self) -> Capabilities {
        self.config.capabilities()
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        self.parse(value).ok().map(|value| KeyId::from(value.id.as_str())).filter(|id| !id.as_str().is_empty())
    }

    async fn create(&self, slot: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        let name = self.name(slot);
        let step = &self.config.create;
        let reply = self.act("create", step, Known { name: Some(&name), ..Known::default() }).await?;
        self.issued("create", &self.done("create", step, &reply)?)
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        let (value, step) = (self.parse(value)?, &self.config.validate);
        let known = Known { id: Some(&value.id), value: Some(&value.value), ..Known::default() };
        let reply = self.act("validate", step, known).await?;
        if self.config.refused.contains(&reply.status) {
            return Ok(Trial::Refused(format!("HTTP {}", reply.status)));
        }
        let answer = self.answer("validate", &reply)?;
        if self.config.refused_when.iter().any(|shown| answer.shows(shown)) {
            return Ok(Trial::Refused("the answer shows what `refused-when` says".to_owned()));
        }
        Ok(if answer.shows(&step.expect) { Trial::Accepted } else { Trial::Useless(UNEXPECTED.to_owned()) })
    }

    /// A proxy, a firewall or a list of addresses answers with the statuses of a vendor.
    fn refused_on_the_way(&self) -> bool {
        true
    }

    /// What a vendor refuses may be another's, or another account's of it.
    fn place(&self) -> Option<String> {
        // It is written down, in a register and in what a person is told: an address alone, whatever else stands in it.
        self.config.list.url.split(['?', '#']).next().map(without_credentials)
    }
}

#[async_trait]
impl Target for Vendor {
    async fn list(&self) -> Result<Listing, WorldError> {
        self.all().await
    }

    async fn install(&self, _: &Secret, _: &VersionId, _: Option<&VersionId>) -> Result<(), WorldError> {
        Err(self.wrong(ErrorClass::Permanent, "install", "the vendor issues its values itself"))
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        let step = self.config.read.as_ref();
        let step = step.ok_or_else(|| self.wrong(ErrorClass::Permanent, "read", "no such step is declared"))?;
        let reply = self.act("read", step, Known { id: Some(key.as_str()), ..Known::default() }).await?;
        let fresh = self.issued("read", &self.done("read", step, &reply)?)?;
        if fresh.key.as_ref() == Some(key) {
            return Ok(fresh.value);
        }
        Err(self.wrong(ErrorClass::Permanent, "read", "it shows another credential"))
    }

    async fn change(&self, key: &KeyId, _: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        let (name, step) = match change {
            KeyChange::Disable => ("disable", self.config.disable.as_ref()),
            KeyChange::Enable => ("enable", self.config.enable.as_ref()),
            KeyChange::Delete => ("delete", Some(&self.config.delete)),
        };
        let step = step.ok_or_else(|| self.wrong(ErrorClass::Permanent, name, "no such step is declared"))?;
        let reply = self.act(name, step, Known { id: Some(key.as_str()), ..Known::default() }).await?;
        if change == KeyChange::Enable || !GONE.contains(&reply.status) {
            self.done(name, step, &reply)?;
        }
        // What an address that leads nowhere answers looks the same as what is gone.
        let left = self.all().await?.keys.into_iter().find(|left| left.id == *key);
        let done = match change {
            KeyChange::Delete => left.is_none(),
            KeyChange::Disable => left.is_none_or(|left| !left.active),
            KeyChange::Enable => left.is_some_and(|left| left.active),
        };
        if done { Ok(()) } else { Err(self.wrong(ErrorClass::Transient, name, "the list does not show it yet")) }
    }
}
