//! The CI job that slm runs in: what set it going, whom it calls as, and where it leaves what it has to say.

#![expect(clippy::disallowed_methods, reason = "the runner names its files, and a token is in a variable")]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::super::Trouble;
use crate::model::proposal::PROPOSAL_LIMIT;
use crate::model::secret::Secret;
use crate::model::trigger::{Trigger, parse};
use crate::transport::github::{Github, Login};
use crate::transport::github_issues::Issues;
use crate::transport::github_pulls::Pulls;

/// The longest payload of an event that is read; GitHub caps its webhooks there.
const PAYLOAD: usize = 25 << 20;

/// What the runner says, each as an option for where there is none.
#[derive(clap::Args)]
pub(super) struct Job {
    /// Repository of the pull requests
    #[arg(long, value_name = "OWNER/NAME", env = "GITHUB_REPOSITORY")]
    pub repository: String,
    /// Name of the event
    #[arg(long, env = "GITHUB_EVENT_NAME")]
    event: String,
    /// File with the payload of the event
    #[arg(long, value_name = "FILE", env = "GITHUB_EVENT_PATH")]
    event_path: PathBuf,
    /// Root of GitHub's API; of an Enterprise Server `https://HOST/api/v3`
    #[arg(long, value_name = "URL", env = "GITHUB_API_URL", default_value = "https://api.github.com")]
    api: String,
    /// Root of GitHub's pages
    #[arg(long, value_name = "URL", env = "GITHUB_SERVER_URL", default_value = "https://github.com")]
    server: String,
    /// The workflow run, for links
    #[arg(long, value_name = "ID", env = "GITHUB_RUN_ID")]
    pub run_id: Option<u64>,
    /// What is planned for: it names the comment, the check run and the lease
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = environment)]
    pub environment: String,
    /// Variable that holds the token
    #[arg(long, value_name = "NAME", default_value = "GITHUB_TOKEN")]
    token_env: String,
    /// Call as this GitHub App and installation instead
    #[arg(long, value_name = "ID:INSTALLATION", value_parser = app)]
    app: Option<(u64, u64)>,
    /// Variable that holds the App's private key
    #[arg(long, value_name = "NAME", default_value = "SLM_APP_KEY")]
    key_env: String,
    /// File that outputs of the step are added to
    #[arg(long, value_name = "FILE", env = "GITHUB_OUTPUT")]
    output: Option<PathBuf>,
    /// File that the summary of the step is added to
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY")]
    summary: Option<PathBuf>,
}

/// A name that stands in a comment, in a check run and in a git ref.
fn environment(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=40).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') {
        return Ok(text.to_owned());
    }
    Err("write at most 40 of `a-z`, `0-9` and `-`".to_owned())
}

fn app(text: &str) -> Result<(u64, u64), String> {
    let numbers = text.split_once(':').and_then(|(id, installation)| Some((id.parse().ok()?, installation.parse().ok()?)));
    numbers.ok_or_else(|| "write the App's number and its installation's as `4242:100`".to_owned())
}

impl Job {
    /// What set it going.
    pub(super) fn trigger(&self) -> Result<Trigger, Trouble> {
        let bytes = bounded(&self.event_path, PAYLOAD)?;
        let text = String::from_utf8(bytes).map_err(|_| "the payload of the event is no text")?;
        Ok(parse(&self.event, &text)?)
    }

    /// The pull requests of the repository, as whom the job is.
    pub(super) fn pulls(&self) -> Result<Pulls, Trouble> {
        Ok(Pulls::new(self.github(), &self.repository)?)
    }

    /// Its issues.
    pub(super) fn issues(&self) -> Result<Issues, Trouble> {
        Ok(Issues::new(self.github(), &self.repository)?)
    }

    fn github(&self) -> Github {
        let held = |name: &str| std::env::var(name).ok().map(|text| Secret::new(text.into_bytes()));
        let login = match self.app {
            Some((id, installation)) => Login::App { id, installation, key: held(&self.key_env) },
            None => Login::Token(held(&self.token_env)),
        };
        Github::new(Some(&self.api), login)
    }

    /// Where the log and the artefacts of `run` are.
    pub(super) fn link(&self, run: Option<u64>) -> String {
        self.page(&run.map(|run| format!("/actions/runs/{run}")).unwrap_or_default())
    }

    /// A page of the repository. What is no address of GitHub's is none in a comment either.
    fn page(&self, path: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
        let server = self.server.trim_end_matches('/');
        let server = if server.len() <= 200 && server.bytes().all(plain) { server } else { "https://github.com" };
        format!("{server}/{}{path}", self.repository)
    }

    /// The name of the check run.
    pub(super) fn check(&self, verb: &str) -> String {
        format!("slm {verb} ({})", self.environment)
    }

    /// Adds outputs of the step, each on a line.
    pub(super) fn outputs(&self, outputs: &[(&str, String)]) -> Result<(), Trouble> {
        let Some(path) = &self.output else { return Ok(()) };
        let mut text = String::new();
        for (name, value) in outputs {
            // A line end would begin an output of somebody else's choice.
            let value: String = value.chars().filter(|character| !character.is_control()).collect();
            text.push_str(&format!("{name}={value}\n"));
        }
        append(path, &text)
    }

    /// Adds markdown to the summary of the step.
    pub(super) fn summarise(&self, markdown: &str) -> Result<(), Trouble> {
        self.summary.as_ref().map_or(Ok(()), |path| append(path, markdown))
    }
}

fn append(path: &Path, text: &str) -> Result<(), Trouble> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// The file at `path`, when it has `limit` bytes at most.
fn bounded(path: &Path, limit: usize) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| format!("could not read `{}`: {error}", path.display()))?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(format!("`{}` has more than {limit} bytes", path.display()).into()) } else { Ok(bytes) }
}

/// The bytes of an artefact that anybody may have written; no more than are read.
pub(super) fn artefact(path: &Path) -> Result<Vec<u8>, Trouble> {
    bounded(path, PROPOSAL_LIMIT)
}

/// Makes the folder that files are left in.
pub(super) fn folder(path: &Path) -> Result<(), Trouble> {
    Ok(std::fs::create_dir_all(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_a_plain_name_and_an_app_two_numbers() {
        assert_eq!(environment("prod-eu1"), Ok("prod-eu1".to_owned()));
        for wrong in ["", "Prod", "a b", "-->", "a/b", "-x", &"a".repeat(41)] {
            assert_eq!(environment(wrong), Err("write at most 40 of `a-z`, `0-9` and `-`".to_owned()), "{wrong}");
        }
        assert_eq!(app("4242:100"), Ok((4242, 100)));
        for wrong in ["4242", "x:1", "1:2:3"] {
            assert_eq!(app(wrong), Err("write the App's number and its installation's as `4242:100`".to_owned()), "{wrong}");
        }
    }
}
