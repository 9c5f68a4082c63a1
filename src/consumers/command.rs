//! Commands of an operator: started without a shell, with few variables of our environment, and waited for.

#![expect(clippy::disallowed_methods, reason = "commands of their operator, with a few variables of the environment")]

use std::fmt;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::transport::programs;

/// Variables of ours that a command gets by itself; tokens and keys are not among them.
const KEPT: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// How a command failed.
pub enum Failed {
    /// It could not be started.
    Start(io::ErrorKind),
    /// It was still at it when its time was up.
    Late,
    /// It ended otherwise than with 0.
    Ended(ExitStatus),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(kind) => write!(f, "did not start: {kind}"),
            Self::Late => f.write_str("took too long"),
            Self::Ended(status) => write!(f, "ended with {status}"),
        }
    }
}

/// `words` to be started in `folder` with `more` variables of ours; `None` when they name no program.
pub(super) fn command(words: &[String], folder: &Path, more: &[String]) -> Option<Command> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear();
    let kept = KEPT.into_iter().chain(more.iter().map(String::as_str));
    command.envs(kept.filter_map(|name| Some((name, std::env::var_os(name)?))));
    Some(command)
}

/// Runs `words` in `folder` for `limit` at most; what names no program is done. One that is late, or not waited for to its end, is killed
/// with all it started.
///
/// # Errors
/// How it failed.
pub async fn run(words: &[String], folder: &Path, limit: Duration) -> Result<(), Failed> {
    let Some(mut command) = command(words, folder, &[]) else { return Ok(()) };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (mut child, group) = programs::start(&mut command).map_err(|cause| Failed::Start(cause.kind()))?;
    match timeout(limit, child.wait()).await {
        Err(_) => Err(Failed::Late),
        Ok(Err(cause)) => Err(Failed::Start(cause.kind())),
        Ok(Ok(status)) => {
            group.ended();
            if status.success() { Ok(()) } else { Err(Failed::Ended(status)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).into()
    }

    /// The names of variables that a command sees, those aside that a shell sets itself.
    async fn seen(more: &[String]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(&words("env"), folder.path(), more).unwrap();
        let said = String::from_utf8(command.output().await.unwrap().stdout).unwrap();
        let names = said.lines().filter_map(|line| line.split_once('=').map(|(name, _)| name.to_owned()));
        names.filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str())).collect()
    }

    #[tokio::test]
    async fn a_command_sees_few_variables_and_those_that_were_named() {
        // What every test is started with by cargo, as a token would be.
        let planted = "CARGO_MANIFEST_DIR";
        assert!(std::env::var_os(planted).is_some());
        assert!(seen(&[]).await.iter().all(|name| KEPT.contains(&name.as_str())));
        assert!(seen(&[planted.to_owned()]).await.contains(&planted.to_owned()));
    }

    /// Whether the child of a program that is run for `limit` still writes, some time after.
    async fn writes(script: &str, limit: Duration) -> (bool, bool) {
        let folder = tempfile::tempdir().unwrap();
        let done = run(&words(script), folder.path(), limit).await.is_ok();
        tokio::time::sleep(Duration::from_secs(2)).await;
        (done, folder.path().join("late").exists())
    }

    #[tokio::test]
    async fn a_program_that_is_late_is_killed_with_all_it_started_and_what_one_leaves_running_goes_on() {
        let late = "(sleep 1; touch late) & sleep 60";
        assert_eq!(writes(late, Duration::from_millis(200)).await, (false, false));
        assert_eq!(writes("sh -c 'sleep 1; touch late'; true", Duration::from_millis(200)).await, (false, false));
        assert_eq!(writes("(sleep 1; touch late) & true", Duration::from_mins(1)).await, (true, true));
    }

    #[tokio::test]
    async fn a_program_that_nobody_waits_for_any_more_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let words = words("sh -c 'sleep 1; touch late'; true");
        let run = run(&words, folder.path(), Duration::from_mins(1));
        assert!(timeout(Duration::from_millis(200), run).await.is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!folder.path().join("late").exists());
    }

    #[tokio::test]
    async fn how_it_failed_is_told_in_words_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let run = async |words: &[String], limit| run(words, folder.path(), Duration::from_millis(limit)).await;
        let told = async |words: &[String], limit| run(words, limit).await.map_err(|failed| failed.to_string());
        assert_eq!(told(&words("exit 0"), 60_000).await, Ok(()));
        assert_eq!(told(&[], 60_000).await, Ok(()));
        assert_eq!(told(&words("exit 3"), 60_000).await, Err("ended with exit status: 3".to_owned()));
        assert_eq!(told(&words("sleep 60"), 20).await, Err("took too long".to_owned()));
        assert_eq!(told(&["./no-such-program".to_owned()], 60_000).await, Err("did not start: entity not found".to_owned()));
    }
}
