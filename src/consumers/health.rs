//! Whether whoever was given a value goes on well with it: a program or an address is asked until it says so, or time is up.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::command;
use crate::model::catalog::Health;
use crate::transport::http::{Http, class};

/// How long it may take to become well unless the config says otherwise.
const WITHIN: Duration = Duration::from_secs(30);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(5);

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
            (Some(words), _, _) => command::run(words, folder, left).await.map_err(|failed| format!("its health command {failed}")),
            (None, Some(url), Some(http)) => ask(http, url, health.expect, left).await,
            _ => Ok(()),
        };
        if look.is_ok() || Instant::now() + PAUSE >= end {
            return look;
        }
        sleep(PAUSE).await;
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
