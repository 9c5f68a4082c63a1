//! A kind that a program of the config repo's own carries out: one request on its standard input, one reply on its standard output,
//! values on file descriptor 3 alone. The value is a JSON object whose field `key` names the credential at its target.
//!
//! What a program says is never repeated: of its text only codes of a few plain letters are shown, and its standard error is closed.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::exec_reply::{Class, Key, Listed, Named, Nothing, Refusal, Reply, Tried, code};
use crate::model::id::{KeyId, VersionId};
use crate::model::rotator::{Capabilities, Exec, Overlap};
use crate::model::secret::Secret;
use crate::world::{ErrorClass, Fresh, KeyChange, KeyView, LastUse, Listing, Rotator, Target, Trial, WorldError};

/// Version of the protocol, in each request.
const PROTOCOL: u8 = 1;

/// A program that carries out a kind.
pub struct Plugin {
    pub(super) config: Exec,
    pub(super) root: PathBuf,
}

impl Plugin {
    /// The program of `config`; it runs in `root`.
    #[must_use]
    pub fn new(root: PathBuf, config: &Exec) -> Self {
        Self { config: config.clone(), root }
    }

    fn wrong(&self, class: ErrorClass, step: &str, cause: &str) -> WorldError {
        let program = self.config.command.first().map_or("", String::as_str);
        WorldError { class, operation: format!("have `{program}` do `{step}`"), cause: cause.to_owned() }
    }

    /// Has the program do `step`; gives its reply and the value it handed over.
    async fn ask<T: DeserializeOwned>(&self, step: &str, rest: Json, value: Option<&Secret>) -> Result<(T, Secret), WorldError> {
        let mut request = json!({ "slm": PROTOCOL, "step": step });
        if let (Some(all), Json::Object(rest)) = (request.as_object_mut(), rest) {
            all.extend(rest);
        }
        let seconds = u64::try_from(self.config.timeout.as_seconds()).unwrap_or(0);
        let talked = tokio::time::timeout(Duration::from_secs(seconds), self.talk(&request, value)).await;
        let wrong = |class, cause: &str| self.wrong(class, step, cause);
        let (ended, said, handed) = match talked {
            Err(_) => return Err(wrong(ErrorClass::Transient, "it took too long and was ended")),
            Ok(Err(cause)) => return Err(wrong(ErrorClass::Transient, &format!("it cannot be talked to: {}", cause.kind()))),
            Ok(Ok(talked)) => talked,
        };
        if !ended.success() {
            let class = if matches!(ended.code(), Some(126 | 127)) { ErrorClass::Permanent } else { ErrorClass::Transient };
            return Err(wrong(class, &format!("it ended with {ended}")));
        }
        let garbage = || wrong(ErrorClass::Permanent, "its reply has another shape than agreed");
        match serde_json::from_slice(&said).map_err(|_| garbage())? {
            Reply::Ok(reply) => Ok((serde_json::from_value(reply).map_err(|_| garbage())?, handed)),
            Reply::Error(Refusal { class, code: said }) => {
                let class = match class {
                    Class::Denied => ErrorClass::Denied,
                    Class::NotFound => ErrorClass::NotFound,
                    Class::Conflict => ErrorClass::Conflict,
                    Class::Transient => ErrorClass::Transient,
                    Class::Permanent => ErrorClass::Permanent,
                    // Of another step it is a refusal like any other.
                    Class::Unfit if step == "install" => ErrorClass::Unfit,
                    Class::Unfit => ErrorClass::Permanent,
                };
                Err(wrong(class, &format!("it says `{}`", code(&said))))
            }
        }
    }

    async fn act(&self, step: &str, rest: Json, value: Option<&Secret>) -> Result<(), WorldError> {
        self.ask::<Nothing>(step, rest, value).await.map(drop)
    }
}

#[async_trait]
impl Rotator for Plugin {
    fn capabilities(&self) -> Capabilities {
        self.config.caps.capabilities()
    }

    fn identify(&self, value: &Secret) -> Option<KeyId> {
        let named: Named = serde_json::from_slice(value.expose()).ok()?;
        Some(KeyId::from(named.key.as_str())).filter(|key| !key.as_str().is_empty())
    }

    async fn create(&self, slot: &VersionId, _: Option<&Secret>) -> Result<Fresh, WorldError> {
        let (Nothing {}, value) = self.ask("create", json!({ "slot": slot }), None).await?;
        match self.identify(&value) {
            Some(key) => Ok(Fresh { key: Some(key), value }),
            None => Err(self.wrong(ErrorClass::Permanent, "create", "what it handed over is no JSON object with a `key`")),
        }
    }

    async fn verify(&self, value: &Secret) -> Result<Trial, WorldError> {
        let (tried, _) = self.ask::<Tried>("verify", json!({}), Some(value)).await?;
        Ok(match (tried.accepted, tried.elsewhere) {
            (_, true) => Trial::Elsewhere(format!("it is let in elsewhere: {}", code(&tried.code))),
            (true, false) => Trial::Accepted,
            (false, false) => Trial::Refused(format!("refused: {}", code(&tried.code))),
        })
    }
}

#[async_trait]
impl Target for Plugin {
    async fn list(&self) -> Result<Listing, WorldError> {
        let (listed, _) = self.ask::<Listed>("list", json!({}), None).await?;
        let mut ids: Vec<&str> = listed.keys.iter().map(|key| key.id.as_str()).collect();
        ids.sort_unstable();
        if !listed.complete || ids.windows(2).any(|two| two[0] == two[1]) {
            return Err(self.wrong(ErrorClass::Transient, "list", "the list is incomplete or names a key twice"));
        }
        // Where one value is let in, a new one and the old one have the same name: only the version tells them apart.
        if self.config.caps.capabilities().overlap == Overlap::Single && listed.keys.iter().any(|key| key.version.is_none()) {
            return Err(self.wrong(ErrorClass::Permanent, "list", "where one value is let in, its version must be told"));
        }
        let view = |key: Key| KeyView {
            id: KeyId::from(key.id),
            active: key.active,
            version: key.version.map(VersionId::from),
            created: key.created,
            last_used: key.last_used.map_or(LastUse::Untold, |at| LastUse::At(at, "somebody".to_owned())),
            ours: key.ours,
        };
        Ok(Listing { now: listed.now, keys: listed.keys.into_iter().map(view).collect() })
    }

    async fn install(&self, value: &Secret, version: &VersionId, over: Option<&VersionId>) -> Result<(), WorldError> {
        self.act("install", json!({ "version": version, "over": over }), Some(value)).await
    }

    async fn reread(&self, key: &KeyId) -> Result<Secret, WorldError> {
        let (Nothing {}, value) = self.ask("reread", json!({ "key": key }), None).await?;
        if self.identify(&value).as_ref() == Some(key) {
            return Ok(value);
        }
        Err(self.wrong(ErrorClass::Permanent, "reread", "it handed over another credential"))
    }

    async fn change(&self, key: &KeyId, seen: Option<&VersionId>, change: KeyChange) -> Result<(), WorldError> {
        let step = match change {
            KeyChange::Disable => "disable",
            KeyChange::Enable => "enable",
            KeyChange::Delete => "delete",
        };
        match self.act(step, json!({ "key": key, "version": seen }), None).await {
            Err(error) if error.class == ErrorClass::NotFound && change != KeyChange::Enable => Ok(()),
            ended => ended,
        }
    }
}
