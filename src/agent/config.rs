//! The agent's own TOML file, and what is checked in it before anything is touched.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::catalog::{Health, VaultSource};
use crate::model::id::{ConsumerId, CredentialId, SourceId};
use crate::model::time::Limit;
use crate::transport::http::is_safe;

/// How often a source is asked unless the file says otherwise.
const POLL: Limit = Limit::seconds(60);
/// Writers save in several steps; a burst is one change.
pub(super) const BURST: Duration = Duration::from_millis(10);

/// The whole file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// How often a source is asked for the version in force.
    #[serde(default = "poll")]
    pub poll: Limit,
    /// How long is waited after a change of a vault for others, which the same application is then told of at once; a moment when absent.
    pub settle: Option<Limit>,
    /// Where values live.
    pub source: BTreeMap<SourceId, Source>,
    /// How slm asks what is taken into use; nobody can when absent.
    pub attest: Option<Attest>,
    /// What is watched.
    pub secret: Vec<SecretConfig>,
    /// The folder of the file; relative paths count from there.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Where values live: exactly one kind.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// A local vault.
    pub vault: Option<VaultSource>,
    /// Secrets Manager in one region.
    pub aws: Option<AwsPlace>,
}

/// Secrets Manager in one region.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AwsPlace {
    /// `eu-west-1`.
    pub region: String,
    /// A role to assume.
    pub role: Option<String>,
    /// A profile of the shared config files.
    pub profile: Option<String>,
    /// Another address than that of AWS.
    pub endpoint: Option<String>,
}

/// How slm asks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Attest {
    /// Address and port it listens at.
    pub listen: SocketAddr,
    /// File with the key that is shared with slm.
    pub key_file: Option<PathBuf>,
    /// Environment variable with the key that is shared with slm.
    pub key_env: Option<String>,
}

/// One secret and what is done with it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecretConfig {
    /// The credential, as slm calls it.
    pub credential: CredentialId,
    /// The consumer of it that this application is.
    pub consumer: ConsumerId,
    /// Where its value lives.
    pub source: SourceId,
    /// Its name there.
    pub name: String,
    /// What is rendered.
    pub file: Vec<FileConfig>,
    /// How the application is told.
    pub reload: Option<Reload>,
    /// How it is seen that it goes on well.
    pub health: Option<Health>,
}

/// One rendered file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileConfig {
    /// Where it stands.
    pub path: PathBuf,
    /// minijinja text with `value`, `json`, `version`, `credential`; `{{ value }}` when absent.
    pub template: Option<String>,
    /// A file with that text.
    pub template_file: Option<PathBuf>,
    /// Octal; `0600` when absent.
    pub mode: Option<String>,
    /// User by name or number; the agent's own, or that of the file it replaces, when absent.
    pub owner: Option<String>,
    /// Group by name or number.
    pub group: Option<String>,
}

/// How an application is told: exactly one way.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reload {
    /// Program and arguments; no shell.
    pub command: Option<Vec<String>>,
    /// A signal to the process in `pid-file`.
    pub signal: Option<Signal>,
    /// The file in which the application keeps its process id.
    pub pid_file: Option<PathBuf>,
}

/// A signal that applications reload on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Signal {
    /// `SIGHUP`.
    #[serde(rename = "HUP")]
    Hup,
    /// `SIGUSR1`.
    #[serde(rename = "USR1")]
    Usr1,
    /// `SIGUSR2`.
    #[serde(rename = "USR2")]
    Usr2,
}

fn poll() -> Limit {
    POLL
}

impl Config {
    /// The file with `text` in `folder`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in one line.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let line = |error: &toml::de::Error| error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let mut config: Self =
            toml::from_str(text).map_err(|error| format!("line {}: {}", line(&error), error.message().replace('\n', " ")))?;
        folder.clone_into(&mut config.folder);
        config.check()?;
        Ok(config)
    }

    /// A path of the file, from its folder when it is relative.
    #[must_use]
    pub fn at(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// How long is waited between two looks.
    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_secs(self.poll.as_seconds().unsigned_abs().max(1))
    }

    /// How long a change is waited out.
    #[must_use]
    pub fn settle(&self) -> Duration {
        self.settle.map_or(BURST, |limit| Duration::from_secs(limit.as_seconds().unsigned_abs())).max(BURST)
    }

    fn check(&self) -> Result<(), String> {
        for (id, source) in &self.source {
            if source.vault.is_some() == source.aws.is_some() {
                return Err(format!("source `{id}` is to be one of `vault` and `aws`"));
            }
        }
        if let Some(attest) = &self.attest
            && attest.key_file.is_some() == attest.key_env.is_some()
        {
            return Err("`attest` is to have one of `key-file` and `key-env`".to_owned());
        }
        if self.secret.is_empty() {
            return Err("there is no `[[secret]]` to watch".to_owned());
        }
        let (mut names, mut paths) = (Vec::new(), Vec::new());
        for secret in &self.secret {
            self.one(secret).map_err(|wrong| format!("secret `{}`: {wrong}", secret.name))?;
            names.push((&secret.credential, &secret.consumer));
            paths.extend(secret.file.iter().map(|file| self.at(&file.path)));
        }
        let (secrets, files) = (names.len(), paths.len());
        names.sort();
        names.dedup();
        paths.sort();
        paths.dedup();
        if names.len() < secrets {
            return Err("two secrets have the same `credential` and `consumer`".to_owned());
        }
        if paths.len() < files { Err("two files have the same `path`".to_owned()) } else { Ok(()) }
    }

    fn one(&self, secret: &SecretConfig) -> Result<(), String> {
        if !self.source.contains_key(&secret.source) {
            return Err(format!("there is no source `{}`", secret.source));
        }
        if secret.credential.as_str().contains('|') || secret.consumer.as_str().contains('|') {
            return Err("`|` is in `credential` or `consumer`".to_owned());
        }
        if secret.file.is_empty() {
            return Err("there is no `[[secret.file]]` to render".to_owned());
        }
        for file in &secret.file {
            if file.template.is_some() && file.template_file.is_some() {
                return Err(format!("`{}` has both `template` and `template-file`", file.path.display()));
            }
        }
        let empty = |words: &Option<Vec<String>>| words.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty));
        if let Some(reload) = &secret.reload {
            let signal = reload.signal.is_some() && reload.pid_file.is_some();
            if reload.command.is_some() == signal
                || (reload.signal.is_some() != reload.pid_file.is_some())
                || empty(&reload.command)
            {
                return Err("`reload` is to be a `command`, or a `signal` and a `pid-file`".to_owned());
            }
        }
        if let Some(health) = &secret.health {
            if health.command.is_some() == health.url.is_some() || empty(&health.command) {
                return Err("`health` is to be one of `command` and `url`".to_owned());
            }
            if health.url.as_ref().is_some_and(|url| !is_safe(url)) {
                return Err("the `url` of `health` is neither `https` nor of this machine".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[source.local.vault]
path = "vault.age"
identity = "id"

[attest]
listen = "127.0.0.1:8420"
key-file = "key"

[[secret]]
credential = "db"
consumer = "web"
source = "local"
name = "app/db"
reload = { signal = "HUP", pid-file = "/run/app.pid" }
health = { command = ["true"] }

[[secret.file]]
path = "db.env"
"#;

    fn wrong(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        Config::parse(&GOOD.replace(from, to), Path::new("/etc/slm")).unwrap_err()
    }

    #[test]
    fn a_file_says_everything_once() {
        let config = Config::parse(GOOD, Path::new("/etc/slm")).unwrap();
        assert_eq!(config.settle(), BURST);
        let patient = Config::parse(&format!("settle = \"5s\"\n{GOOD}"), Path::new("/")).unwrap();
        assert_eq!(patient.settle(), Duration::from_secs(5));
        assert_eq!((config.poll(), config.at(&config.secret[0].file[0].path)), (Duration::from_secs(60), "/etc/slm/db.env".into()));
        for (from, to, says) in [
            ("consumer =", "consumers =", "line 12: unknown field `consumers`"),
            ("[source.local.vault]", "[source.local.vault2]", "vault2"),
            ("key-file = \"key\"", "", "one of `key-file` and `key-env`"),
            ("source = \"local\"", "source = \"else\"", "secret `app/db`: there is no source `else`"),
            ("pid-file = \"/run/app.pid\"", "command = [\"x\"]", "`reload`"),
            (", pid-file = \"/run/app.pid\"", "", "`reload`"),
            ("{ command = [\"true\"] }", "{}", "`health`"),
            ("{ command = [\"true\"] }", "{ url = \"http://app.example.com\" }", "https"),
            ("path = \"db.env\"", "path = \"db.env\"\n[[secret.file]]\npath = \"/etc/slm/db.env\"", "the same `path`"),
            ("\"db\"", "\"d|b\"", "`|`"),
            ("HUP", "KILL", "unknown variant `KILL`"),
        ] {
            assert!(wrong(from, to).contains(says), "{}", wrong(from, to));
        }
    }
}
