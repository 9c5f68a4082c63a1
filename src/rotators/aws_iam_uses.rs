//! When access keys of IAM were last used, as IAM tells: it learns of a use minutes later, so that asking again at once tells nothing new.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_iam::Client;

use crate::model::time::Timestamp;
use crate::transport::aws::Failure;
use crate::world::LastUse;

/// For how long the last use of a key, once read, is not asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Last uses of the keys of one user.
pub(super) struct Uses {
    iam: Client,
    /// By the id of the key: when it was asked for, and what was told.
    known: Mutex<BTreeMap<String, (Instant, LastUse)>>,
}

impl Uses {
    /// As `iam` tells them.
    pub(super) fn of(iam: Client) -> Self {
        Self { iam, known: Mutex::default() }
    }

    /// The last use of key `id`.
    pub(super) async fn last(&self, id: &str) -> Result<LastUse, Failure> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some((_, used)) = known.filter(|(asked, _)| asked.elapsed() < ASK_AGAIN) {
            return Ok(used);
        }
        let used = self.ask(id).await?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), (Instant::now(), used.clone()));
        Ok(used)
    }

    async fn ask(&self, id: &str) -> Result<LastUse, Failure> {
        let asked = self.iam.get_access_key_last_used().access_key_id(id).send().await;
        let answer = asked.map_err(|error| Failure::of(&error))?;
        let Some(used) = answer.access_key_last_used else { return Ok(LastUse::Untold) };
        let at = used.last_used_date.and_then(|at| Timestamp::new(at.secs(), 0).ok());
        let by = format!(
            "{} in {}; `slm status` of its credential names who, where CloudTrail shows it",
            used.service_name, used.region
        );
        Ok(at.map_or(LastUse::Never, |at| LastUse::At(at, by)))
    }
}
