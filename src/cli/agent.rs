//! `slm agent`: the process beside an application that takes new versions into use and proves it.

#![expect(clippy::disallowed_methods, reason = "it reads the settings of the agent")]

use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Exit, Global, Said, Trouble};
use crate::agent::Agent;
use crate::agent::config::Config;
use crate::host::clock::SystemClock;
use crate::world::Clock;

/// Looks at a lock that is held, before it counts as held by another agent.
const LOCK_TRIES: u32 = 20;
/// Pause between two of them.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Arguments of `slm agent`.
#[derive(clap::Args)]
pub struct Args {
    /// The agent's own file; it needs no config repo
    #[arg(long, default_value = "/etc/slm/agent.toml", env = "SLM_AGENT_CONFIG")]
    config: PathBuf,
    /// Go through everything once, say what is in the way, and end
    #[arg(long)]
    once: bool,
    /// Only check the file and what it names
    #[arg(long, conflicts_with = "once")]
    check: bool,
}

pub(super) fn run(args: &Args, _: &Global) -> Result<Said, Trouble> {
    let (config, _lock) = read(&args.config, !args.check)?;
    // One thread: the application's machine is not ours.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let troubles = runtime.block_on(async {
        let agent = Agent::new(config, &clock).await?;
        if args.check { Ok(Vec::new()) } else { agent.run(args.once).await }
    })?;
    let exits = vec![if troubles.is_empty() { Exit::Clean } else { Exit::Partly }];
    let human = troubles.iter().map(|trouble| format!("{trouble}\n")).collect();
    Ok(Said::new(exits, human, json!({ "troubles": troubles })))
}

/// Locks `file`. What an agent that was killed had just started may hold its lock until it runs a program of its own.
fn locked(file: &File) -> bool {
    for _ in 0..LOCK_TRIES {
        if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return true;
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    false
}

/// The config at `path`, and the lock that keeps a second agent from the same files.
fn read(path: &Path, alone: bool) -> Result<(Config, File), Trouble> {
    let invalid =
        |cause: String| Trouble { exit: Exit::Invalid, error: format!("could not use `{}`: {cause}", path.display()).into() };
    let mut file = File::open(path).map_err(|cause| invalid(cause.to_string()))?;
    if alone && !locked(&file) {
        let error = format!("another agent runs with `{}`", path.display());
        return Err(Trouble { exit: Exit::Failed, error: error.into() });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|cause| invalid(cause.to_string()))?;
    let folder = path.canonicalize()?.parent().map(Path::to_owned).unwrap_or_default();
    Ok((Config::parse(&text, &folder).map_err(invalid)?, file))
}
