//! `slm agent` beside an application: it reads the value where it lives, renders files, reloads, checks health, and proves to a fresh
//! nonce that it has the version it says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;

use super::several::Several;
use crate::model::catalog::{AgentConsumer, SecretRef};
use crate::model::id::{ConsumerId, CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::attest::{Checked, Event, Key, Question, SIGNATURE};
use crate::transport::http::{Http, Sent};
use crate::world::{Consumer, ConsumerView, ErrorClass, Member, SecretStore, Shared, WorldError};

/// How long one answer may take unless the config says otherwise: a reload and a health check are in it.
const TIMEOUT: Duration = Duration::from_mins(2);

/// One secret of one agent.
pub struct Agent {
    http: Http,
    config: AgentConsumer,
    key: Key,
    credential: CredentialId,
    secret: SecretRef,
    consumer: ConsumerId,
    store: Option<Arc<dyn SecretStore>>,
}

impl Agent {
    /// The agent of `config` as consumer `consumer` of `credential`, whose value is in `secret`; `key` is the one it shares with slm.
    /// With `store`, what it says it runs is believed only with a proof of the value there; without, on its signature.
    ///
    /// # Errors
    /// [`ErrorClass::Permanent`] when its address is none; [`ErrorClass::Denied`] when there is no key or a short one.
    pub fn new(
        credential: CredentialId,
        secret: SecretRef,
        consumer: ConsumerId,
        config: AgentConsumer,
        key: Option<&Secret>,
        store: Option<Arc<dyn SecretStore>>,
    ) -> Result<Self, WorldError> {
        let wrong = |class, cause: String| WorldError { class, operation: format!("use agent `{consumer}`"), cause };
        if !["http://", "https://"].iter().any(|scheme| config.url.len() > scheme.len() && config.url.starts_with(scheme)) {
            return Err(wrong(ErrorClass::Permanent, "its address is neither `http` nor `https`".to_owned()));
        }
        let key = key.and_then(Key::new);
        let cause = || format!("variable `{}` does not hold a key of 16 bytes or more", config.key_env);
        let key = key.ok_or_else(|| wrong(ErrorClass::Denied, cause()))?;
        let timeout = config.timeout.map_or(TIMEOUT, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()));
        Ok(Self { http: Http::new(timeout), config, key, credential, secret, consumer, store })
    }

    fn failed(&self, what: &str, class: ErrorClass, cause: &str) -> WorldError {
        let operation = format!("{what} agent `{}` of `{}`", self.consumer, self.credential);
        WorldError { class, operation, cause: cause.to_owned() }
    }

    async fn ask(&self, event: Event, version: Option<&VersionId>) -> Result<Checked, WorldError> {
        let question = Question::new(event, &self.credential, &self.consumer, version);
        let (body, signature) = self.key.ask(&question);
        let headers = [("content-type", "application/json".to_owned()), (SIGNATURE, signature)];
        let sent = Sent { method: "POST", url: &self.config.url, headers: &headers, body: body.into_bytes() };
        let answer = self.http.send(sent, &format!("ask agent `{}` of `{}`", self.consumer, self.credential)).await?;
        self.key.check(&question, &answer).map_err(|cause| self.failed("believe", ErrorClass::Denied, cause))
    }

    /// Whether `value` is what the agent has as the version it names.
    fn proven(&self, checked: &Checked, value: &Secret) -> Result<bool, WorldError> {
        match self.key.proves(checked, value) {
            Some(false) => Err(self.failed("believe", ErrorClass::Denied, "it has another value under this version")),
            proven => Ok(proven == Some(true)),
        }
    }

    async fn seen(&self, checked: &Checked) -> Result<ConsumerView, WorldError> {
        let said = &checked.statement;
        let (Some(stored), Some(store)) = (&said.stored, &self.store) else {
            return Ok(ConsumerView { stored: said.stored.clone(), running: said.running.clone(), ..ConsumerView::default() });
        };
        let proven = match store.read(&self.secret, stored).await {
            Ok(value) => self.proven(checked, &value)?,
            // Nobody can tell what that version was.
            Err(error) if error.class == ErrorClass::NotFound => false,
            Err(error) => return Err(error),
        };
        // The proof is of the stored version, and so of the running one only when it is the same.
        let running = said.running.clone().filter(|running| proven && running == stored);
        Ok(ConsumerView { stored: Some(stored.clone()), running, ..ConsumerView::default() })
    }

    fn accepted(&self, what: &str, checked: &Checked, version: &VersionId) -> Result<(), WorldError> {
        if checked.statement.refused.as_ref() == Some(version) {
            let cause = format!("its application was not healthy with version {version}, and it went back");
            return Err(self.failed(what, ErrorClass::Denied, &cause));
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for Agent {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.seen(&self.ask(Event::Observe, None).await?).await
    }

    /// Has it read `version` by itself; the value is not sent.
    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let checked = self.ask(Event::Deliver, Some(version)).await?;
        self.accepted("deliver to", &checked, version)?;
        if checked.statement.stored.as_ref() == Some(version) && self.proven(&checked, value)? {
            return Ok(());
        }
        Err(self.failed("deliver to", ErrorClass::Transient, "it has another version"))
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        let checked = self.ask(Event::Observe, None).await?;
        self.accepted("activate", &checked, version)?;
        if self.seen(&checked).await?.running.as_ref() == Some(version) {
            return Ok(());
        }
        Err(self.failed("activate", ErrorClass::Transient, "its application does not run this version"))
    }
}

#[async_trait]
impl Shared for Several<Agent> {
    /// Has it read all of them at once, so that it tells an application once. What came of each is told by itself.
    async fn begin(&self, members: &[(Member, VersionId)]) -> Result<(), WorldError> {
        join_all(self.among(members).map(|(one, version)| one.ask(Event::Deliver, Some(version)))).await;
        Ok(())
    }
}
