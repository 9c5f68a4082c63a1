//! Whether whoever was given a value goes on well with it: a program or an address is asked until it says so, or time is up.

#![expect(clippy::disallowed_methods, reason = "the program of its operator, with a few variables of the environment")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::model::catalog::Health;
use crate::transport::http::{Http, class};

/// How long it may take to become well unless the config says otherwise.
const WITHIN: Duration = Duration::from_secs(30);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(5);
/// Variables of ours that a command gets; keys are not among them.
const KEPT: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// Waits until `health` is well; commands run in `folder`.
///
/// # Errors
/// What its last look said, in a few words of ours.
pub async fn well(health: &Health, folder: &Path) -> Result<(), String> {
    let within = health.within.map_or(WITHIN, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs()));
    let end = Instant::now() + within;
    let http = health.url.is_some().then(|| Http::new(LOOK));
    loop {
        let left = end.saturating_duration_since(Instant::now()).min(LOOK).max(PAUSE);
        let look = match (&health.command, &health.url, &http) {
            (Some(words), _, _) => command(words, folder, left).await.map_err(|cause| format!("its health command {cause}")),
            (None, Some(url), Some(http)) => ask(http, url, health.expect, left).await,
            _ => Ok(()),
        };
        if look.is_ok() || Instant::now() + PAUSE >= end {
            return look;
        }
        sleep(PAUSE).await;
    }
}

/// Runs `words` in `folder`, with little of our environment, for `limit` at most.
///
/// # Errors
/// How it failed, in a few words of ours.
pub async fn command(words: &[String], folder: &Path, limit: Duration) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(folder).kill_on_drop(true).env_clear();
    command.envs(KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match timeout(limit, command.status()).await {
        Err(_) => Err("took too long".to_owned()),
        Ok(Err(cause)) => Err(format!("did not start: {}", cause.kind())),
        Ok(Ok(status)) if !status.success() => Err(format!("ended with {status}")),
        Ok(Ok(_)) => Ok(()),
    }
}

async fn ask(http: &Http, url: &str, expect: Option<u16>, limit: Duration) -> Result<(), String> {
    match timeout(limit, http.exchange("GET", url, Vec::new(), Vec::new())).await {
        Err(_) => Err("its health address gives no answer in time".to_owned()),
        Ok(Err(cause)) => Err(format!("its health address says {cause}")),
        Ok(Ok(reply)) if expect.map_or(class(reply.status).is_none(), |expect| expect == reply.status) => Ok(()),
        Ok(Ok(reply)) => Err(format!("its health address says HTTP {}", reply.status)),
    }
}
