//! What is done to the application: it is told, then watched until it is well.

#![expect(
    clippy::disallowed_methods,
    reason = "an application is told by a signal to the process of its pid file, or by a command of its operator, with few variables"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, kill_process};
use tokio::time::{Instant, sleep, timeout};

use super::config::{Config, Health, Reload, SecretConfig, Signal};
use crate::transport::http::{Http, Sent};

/// How long a command may take that reloads.
const RELOAD: Duration = Duration::from_mins(1);
/// How long an application may take to become well unless the config says otherwise.
const WITHIN: Duration = Duration::from_secs(30);
/// Pause between two looks at its health.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(5);
/// Variables of ours that a command gets; keys are not among them.
const KEPT: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

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

    /// Tells it that its files changed; the error is a few words of ours.
    pub(super) async fn reload(&self) -> Result<(), String> {
        let Some(reload) = &self.reload else { return Ok(()) };
        match (&reload.command, reload.signal, &reload.pid_file) {
            (Some(command), _, _) => self.command(command, RELOAD).await.map_err(|cause| format!("its reload command {cause}")),
            (None, Some(signal), Some(path)) => send(signal, &self.folder.join(path)),
            _ => Ok(()),
        }
    }

    /// Waits until it is well.
    pub(super) async fn healthy(&self) -> Result<(), String> {
        let Some(health) = &self.health else { return Ok(()) };
        let within = health.within.map_or(WITHIN, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()));
        let end = Instant::now() + within;
        let http = health.url.is_some().then(|| Http::new(LOOK));
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(LOOK).max(PAUSE);
            let look = match (&health.command, &health.url, &http) {
                (Some(command), _, _) => self.command(command, left).await.map_err(|cause| format!("its health command {cause}")),
                (None, Some(url), Some(http)) => ask(http, url, left).await,
                _ => Ok(()),
            };
            if look.is_ok() || Instant::now() + PAUSE >= end {
                return look;
            }
            sleep(PAUSE).await;
        }
    }

    async fn command(&self, words: &[String], limit: Duration) -> Result<(), String> {
        let Some((program, arguments)) = words.split_first() else { return Ok(()) };
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).current_dir(&self.folder).kill_on_drop(true).env_clear();
        command.envs(KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match timeout(limit, command.status()).await {
            Err(_) => Err("took too long".to_owned()),
            Ok(Err(cause)) => Err(format!("did not start: {}", cause.kind())),
            Ok(Ok(status)) if !status.success() => Err(format!("ended with {status}")),
            Ok(Ok(_)) => Ok(()),
        }
    }
}

async fn ask(http: &Http, url: &str, limit: Duration) -> Result<(), String> {
    let sent = Sent { method: "GET", url, headers: &[], body: Vec::new() };
    match timeout(limit, http.send(sent, "ask its health address")).await {
        Err(_) => Err("its health address gives no answer in time".to_owned()),
        Ok(answer) => answer.map(drop).map_err(|error| format!("its health address says {}", error.cause)),
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
