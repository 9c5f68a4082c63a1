//! The update of a function of AWS Lambda: how far it is, and awaiting its end.

use std::time::Duration;

use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput as Read;
use aws_sdk_lambda::types::{LastUpdateStatus, State};
use tokio::time::Instant;

use super::lambda::Function;
use super::plain;
use crate::model::id::VersionId;
use crate::world::{ErrorClass, WorldError};

/// How long an update is awaited unless the config says otherwise.
const TIMEOUT: Duration = Duration::from_mins(5);

/// How far an update is.
pub(super) enum Update {
    /// What was read is what runs.
    Done,
    /// It goes on.
    Going,
    /// It will not get there by itself, for this reason.
    Failed(String),
}

impl Function {
    /// When an update that begins now is awaited no longer.
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.config.timeout.map_or(TIMEOUT, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()))
    }

    /// Awaits that what was published, or what is not published, runs with `version`.
    pub(super) async fn settled(&self, published: Option<&str>, version: &VersionId, until: Instant) -> Result<Read, WorldError> {
        loop {
            let read = self.read(published, "await").await?;
            if self.version(&read, "await")?.as_ref() != Some(version) {
                return Err(self.refused(ErrorClass::Conflict, "await", "its variable names another version"));
            }
            match update(&read) {
                Update::Done => return Ok(read),
                Update::Failed(why) => return Err(self.refused(ErrorClass::Permanent, "update", why)),
                Update::Going => self.sleep(until, "its update goes on still").await?,
            }
        }
    }

    /// Waits before the next look, if there is one.
    pub(super) async fn sleep(&self, until: Instant, why: &str) -> Result<(), WorldError> {
        if Instant::now() >= until {
            return Err(self.refused(ErrorClass::Transient, "await", why));
        }
        tokio::time::sleep(self.pause).await;
        Ok(())
    }
}

/// How far the last update of what was `read` is. What is not told is not done.
pub(super) fn update(read: &Read) -> Update {
    let failed = |what: &str, code: Option<&str>| {
        Update::Failed(format!("{what}: {}", code.and_then(plain).unwrap_or("no reason was given")))
    };
    match (read.state(), read.last_update_status()) {
        (Some(State::Failed), _) => failed("it cannot run", read.state_reason_code().map(|code| code.as_str())),
        (_, Some(LastUpdateStatus::Failed)) => {
            failed("its update failed", read.last_update_status_reason_code().map(|code| code.as_str()))
        }
        (Some(State::Active | State::Inactive), Some(LastUpdateStatus::Successful)) => Update::Done,
        _ => Update::Going,
    }
}
