//! What is done to the application: it is told, then watched until it is well.

#![expect(
    clippy::disallowed_methods,
    reason = "an application is told by a signal to the process of its pid file, or by a command of its operator, with few variables"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, kill_process};

use super::config::{Config, Reload, SecretConfig, Signal};
use crate::consumers::{command, health};
use crate::model::catalog::Health;

/// How long a command may take that reloads.
const RELOAD: Duration = Duration::from_mins(1);

/// The application.
pub(super) struct Application {
    folder: PathBuf,
    reload: Option<Reload>,
    health: Option<Health>,
}

impl Application {
    /// The application of `secret`, by `config`.
    pub(super) fn new(config: &Config, secret: &SecretConfig) -> Self {
        Self { folder: config.folder.clone(), reload: secret.reload.clone(), health: secret.health.clone() }
    }

    /// How it is told, when it is; what is told in the same way is the same application.
    pub(super) fn told(&self) -> Option<&Reload> {
        self.reload.as_ref()
    }

    /// Tells it that its files changed; the error is a few words of ours.
    pub(super) async fn reload(&self) -> Result<(), String> {
        let Some(reload) = &self.reload else { return Ok(()) };
        match (&reload.command, reload.signal, &reload.pid_file) {
            (Some(words), _, _) => {
                command::run(words, &self.folder, RELOAD).await.map_err(|failed| format!("its reload command {failed}"))
            }
            (None, Some(signal), Some(path)) => send(signal, &self.folder.join(path)),
            _ => Ok(()),
        }
    }

    /// Waits until it is well.
    pub(super) async fn healthy(&self) -> Result<(), String> {
        match &self.health {
            Some(health) => health::well(health, &self.folder).await,
            None => Ok(()),
        }
    }
}

/// Sends `signal` to the process whose id is in the file `path`.
fn send(signal: Signal, path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|cause| format!("its pid file cannot be read: {}", cause.kind()))?;
    // Zero and one are everybody and the init process.
    let pid = text.trim().parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    let signal = match signal {
        Signal::Hup => rustix::process::Signal::HUP,
        Signal::Usr1 => rustix::process::Signal::USR1,
        Signal::Usr2 => rustix::process::Signal::USR2,
    };
    let pid = pid.ok_or("its pid file holds no process id")?;
    kill_process(pid, signal).map_err(|cause| format!("it cannot be sent a signal: {}", cause.kind()))
}
