//! A program of yours that brings a value where slm does not reach: one JSON request on its standard input, one reply on its standard
//! output. It is started without a shell; the value is in the request of a delivery and nowhere else.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::{command, reply};
use crate::model::catalog::ExecConsumer;
use crate::model::id::{ConsumerId, CredentialId, VersionId};
use crate::model::secret::Secret;
use crate::transport::programs::{self, Group};
use crate::world::{Consumer, ConsumerView, ErrorClass, WorldError};

/// How long the program may take unless the config says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The longest reply read.
const LIMIT: u64 = 64 * 1024;

/// One program.
pub struct Program {
    root: PathBuf,
    credential: CredentialId,
    consumer: ConsumerId,
    config: ExecConsumer,
}

impl Program {
    /// The program of `config`, run in `root`. Nothing is started yet.
    #[must_use]
    pub fn new(root: PathBuf, credential: CredentialId, consumer: ConsumerId, config: ExecConsumer) -> Self {
        Self { root, credential, consumer, config }
    }

    fn failed(&self, what: &str, class: ErrorClass, cause: &str) -> WorldError {
        let operation = format!("{what} through the program of `{}` for `{}`", self.consumer, self.credential);
        WorldError { class, operation, cause: cause.to_owned() }
    }

    fn command(&self) -> Option<Command> {
        let mut command = command::command(&self.config.command, &self.root, &self.config.env)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Some(command)
    }

    async fn ask(&self, what: &str, version: Option<&VersionId>, value: Option<&str>) -> Result<ConsumerView, WorldError> {
        let failed = |class, cause: &str| self.failed(what, class, cause);
        let mut request = json!({ "do": what, "credential": self.credential, "consumer": self.consumer, "version": version });
        if let Some(value) = value {
            request["value"] = value.into();
        }
        let request = Zeroizing::new(format!("{request}\n"));
        let mut command = self.command().ok_or_else(|| failed(ErrorClass::Permanent, "it names no program"))?;
        let started = programs::start(&mut command);
        let (child, group) = started.map_err(|cause| failed(ErrorClass::Permanent, &format!("it did not start: {cause}")))?;
        let timeout = self.config.timeout.map_or(TIMEOUT, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()));
        match tokio::time::timeout(timeout, talk(child, group, request.as_bytes())).await {
            Err(_) => Err(failed(ErrorClass::Transient, "it took too long")),
            Ok(Err(cause)) => Err(failed(ErrorClass::Transient, &format!("it broke off: {}", cause.kind()))),
            Ok(Ok((Some(0), reply))) => reply::view(&reply).map_err(|cause| failed(ErrorClass::Permanent, cause)),
            Ok(Ok((code, _))) => {
                let code = code.unwrap_or(-1);
                Err(failed(class(code), &format!("it ended with {code}")))
            }
        }
    }
}

/// Writes the request, reads the reply, waits for the end.
async fn talk(mut child: Child, group: Group, request: &[u8]) -> std::io::Result<(Option<i32>, Vec<u8>)> {
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut input) = input {
            // A program may end without having read everything.
            let _ = input.write_all(request).await;
        }
    };
    let read = async {
        let mut reply = Vec::new();
        if let Some(output) = output {
            output.take(LIMIT).read_to_end(&mut reply).await?;
        }
        Ok::<_, std::io::Error>(reply)
    };
    let ((), reply) = tokio::join!(write, read);
    let status = child.wait().await?;
    group.ended();
    Ok((status.code(), reply?))
}

/// The codes of `sysexits.h` that say more than "no".
fn class(code: i32) -> ErrorClass {
    match code {
        64 | 78 => ErrorClass::Permanent,
        77 => ErrorClass::Denied,
        _ => ErrorClass::Transient,
    }
}

#[async_trait]
impl Consumer for Program {
    async fn observe(&self) -> Result<ConsumerView, WorldError> {
        self.ask("observe", None, None).await
    }

    async fn deliver(&self, version: &VersionId, value: &Secret) -> Result<(), WorldError> {
        let text = value.expose_text().map_err(|error| self.failed("deliver", ErrorClass::Permanent, &error.to_string()))?;
        let view = self.ask("deliver", Some(version), Some(text)).await?;
        let stored = view.stored.as_ref() == Some(version);
        if stored { Ok(()) } else { Err(self.failed("deliver", ErrorClass::Transient, "its reply names another version")) }
    }

    async fn activate(&self, version: &VersionId) -> Result<(), WorldError> {
        let view = self.ask("activate", Some(version), None).await?;
        let running = view.running.as_ref() == Some(version);
        if running { Ok(()) } else { Err(self.failed("activate", ErrorClass::Transient, "its reply names another version")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Limit;

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let script = "(sleep 2; touch late) & sleep 60";
        let config = ExecConsumer {
            command: ["sh", "-c", script].map(str::to_owned).into(),
            env: Vec::new(),
            timeout: Some(Limit::seconds(1)),
        };
        let program = Program::new(folder.path().to_owned(), "db".into(), "app".into(), config);
        let error = program.activate(&"v".into()).await.unwrap_err();
        assert_eq!((error.class, error.cause.as_str()), (ErrorClass::Transient, "it took too long"));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!folder.path().join("late").exists());
    }
}
