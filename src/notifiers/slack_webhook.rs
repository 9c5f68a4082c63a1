//! An incoming webhook of Slack: it can only post. Nothing is edited, nothing is found again.

use std::time::Duration;

use async_trait::async_trait;

use crate::model::notify::Notice;
use crate::model::secret::Secret;
use crate::model::time::Timestamp;
use crate::transport::http::{Http, class, is_safe};
use crate::world::{ErrorClass, Notifier, WorldError};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(20);
/// Slack takes one message a second by one webhook.
const PACE: Duration = Duration::from_millis(1_050);
/// The longest that is waited for because Slack asks for it, for one message.
const PATIENCE: u64 = 60;

/// One webhook; its address is a secret.
pub struct Hook {
    http: Http,
    address: Secret,
}

impl Hook {
    /// The webhook at `address`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorClass::Denied`] without an address, [`ErrorClass::Permanent`] when it is not `https`.
    pub fn new(address: Option<Secret>) -> Result<Self, WorldError> {
        let failed =
            |class, cause: &str| WorldError { class, operation: "reach a webhook of Slack".to_owned(), cause: cause.to_owned() };
        let missing = || failed(ErrorClass::Denied, "there is no address; set the variable or the secret that `slm.toml` names");
        let address = address.filter(|address| !address.expose().is_empty()).ok_or_else(missing)?;
        if !address.expose_text().is_ok_and(|text| is_safe(text.trim())) {
            return Err(failed(ErrorClass::Permanent, "its address is not `https`"));
        }
        Ok(Self { http: Http::new(CALL), address })
    }
}

#[async_trait]
impl Notifier for Hook {
    fn edits(&self) -> bool {
        false
    }

    async fn show(&self, notice: &Notice, _: Option<&str>) -> Result<String, WorldError> {
        let failed = |class, cause: String| WorldError { class, operation: "post by a webhook of Slack".to_owned(), cause };
        let address = self.address.expose_text().unwrap_or_default().trim();
        let mut waited = 0;
        loop {
            let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
            let body = serde_json::to_vec(&notice.body).map_err(|_| failed(ErrorClass::Permanent, "it has no JSON".to_owned()))?;
            let reply =
                self.http.exchange("POST", address, headers, body).await.map_err(|cause| failed(ErrorClass::Transient, cause))?;
            let wait = reply.retry_after.unwrap_or(30).max(1);
            match class(reply.status) {
                None => break,
                Some(_) if reply.status == 429 && waited + wait <= PATIENCE => {
                    waited += wait;
                    tokio::time::sleep(Duration::from_secs(wait)).await;
                }
                Some(class) => return Err(failed(class, format!("HTTP {}", reply.status))),
            }
        }
        // The next one comes later than a second from now, whoever sends it.
        tokio::time::sleep(PACE).await;
        Ok(String::new())
    }

    async fn change(&self, _: &str, _: &Notice) -> Result<(), WorldError> {
        Err(cannot("change a message"))
    }

    async fn find(&self, _: &str, _: Option<&str>, _: Timestamp) -> Result<Option<String>, WorldError> {
        Err(cannot("look for a message"))
    }
}

fn cannot(what: &str) -> WorldError {
    WorldError { class: ErrorClass::Permanent, operation: what.to_owned(), cause: "a webhook of Slack can only post".to_owned() }
}
