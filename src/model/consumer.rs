//! Consumers: where a new value must arrive. One variant and one shape a kind.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::catalog::SecretRef;
use super::id::{ConsumerId, SourceId};
use super::time::Limit;

/// A place where a new value must arrive and be taken into use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Unique in its credential.
    pub id: ConsumerId,
    /// What it is.
    pub kind: ConsumerKind,
    /// It gets a new value before anybody else, and its refusal rejects the value.
    pub canary: bool,
    /// How long it may go on with a value it has read before.
    pub max_staleness: Limit,
    /// Letters it can take where the secret part of a value is put; any when absent.
    pub letters: Option<Letters>,
    /// ARNs of the roles and users that read the value in its store for it.
    pub principals: Vec<String>,
}

impl Consumer {
    /// True for one that counts as running a version when it was seen to read it.
    #[must_use]
    pub fn is_seen_to_read(&self) -> bool {
        matches!(&self.kind, ConsumerKind::SelfRefreshing(reader) if reader.acknowledged_by.is_some())
    }

    /// How long it goes on with what it had, from when it takes a version; nothing for one that reads what is in force by itself, whose
    /// `max_staleness` counts from the promotion.
    #[must_use]
    pub fn lingers(&self) -> Limit {
        let reads = match &self.kind {
            ConsumerKind::SelfRefreshing(_) => true,
            ConsumerKind::Lambda(function) => function.extension_ttl.is_some(),
            _ => false,
        };
        if reads { Limit::seconds(0) } else { self.max_staleness }
    }

    /// True for one that may read the value in its store as somebody who is not declared.
    #[must_use]
    pub const fn reads_unnamed(&self) -> bool {
        let reads = matches!(self.kind, ConsumerKind::EcsService(_) | ConsumerKind::Lambda(_) | ConsumerKind::SelfRefreshing(_));
        reads && self.principals.is_empty()
    }
}

/// Letters that a consumer can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Letters {
    /// `A-Z a-z 0-9`.
    Alnum,
    /// `A-Z a-z 0-9 - _`.
    Base64url,
    /// `A-Z a-z 0-9 + / =`.
    Base64,
}

impl Letters {
    /// Its word in TOML.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alnum => "alnum",
            Self::Base64url => "base64url",
            Self::Base64 => "base64",
        }
    }

    /// True when every letter of `text` is one of them.
    #[must_use]
    pub fn spell(self, text: &str) -> bool {
        let more = match self {
            Self::Alnum => "",
            Self::Base64url => "-_",
            Self::Base64 => "+/=",
        };
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    }

    /// True when each of them is one of `others`.
    #[must_use]
    pub fn are_in(self, others: Self) -> bool {
        self == Self::Alnum || self == others
    }
}

/// What a consumer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerKind {
    /// A file rendered on this machine.
    File(FileConsumer),
    /// An Actions secret of a repository, environment or organisation.
    GithubActionsSecret(GithubSecretConsumer),
    /// A service that is told by a signed request.
    Webhook(WebhookConsumer),
    /// A program run on this machine.
    Exec(ExecConsumer),
    /// A workflow that is dispatched and awaited.
    GithubWorkflowDispatch(GithubWorkflowConsumer),
    /// `slm agent` beside an application.
    Agent(AgentConsumer),
    /// A workload of Kubernetes with the Secret it reads.
    KubernetesWorkload(KubernetesConsumer),
    /// A service of Amazon ECS.
    EcsService(EcsConsumer),
    /// A function of AWS Lambda.
    Lambda(LambdaConsumer),
    /// A reader of the current version; nothing is delivered.
    SelfRefreshing(SelfRefreshingConsumer),
}

/// What is restarted when a consumer takes a version. Consumers that restart the same one are restarted once for all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// What it is and where, for people as well.
    pub name: String,
    /// When it is restarted.
    pub at: Stage,
}

/// A part of bringing a version to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is given the version.
    Deliver,
    /// It takes it into use.
    Activate,
}

impl ConsumerKind {
    /// What it restarts, when others can restart the same with it; `secret` is that of its credential.
    #[must_use]
    pub fn workload(&self, secret: &SecretRef) -> Option<Workload> {
        let place = |source: &Option<SourceId>, region: &Option<String>| {
            format!("{} of source `{}`", region.as_ref().unwrap_or(&secret.region), source.as_ref().unwrap_or(&secret.source))
        };
        let (name, at) = match self {
            Self::KubernetesWorkload(one) => (
                format!("{} of namespace `{}` at {}", one.workload, one.namespace, one.server.trim_end_matches('/')),
                Stage::Activate,
            ),
            Self::EcsService(one) => {
                let place = place(&one.source, &one.region);
                (format!("service `{}` of cluster `{}` in {place}", one.service, one.cluster), Stage::Deliver)
            }
            Self::Lambda(one) if one.extension_ttl.is_none() => {
                (format!("function `{}` in {}", one.function, place(&one.source, &one.region)), Stage::Deliver)
            }
            Self::File(one) => (format!("`{}`", one.reload.as_ref()?.join(" ")), Stage::Activate),
            // Which of its secrets are of one application the agent knows alone.
            Self::Agent(one) => (format!("what agent `{}` reloads", one.url.trim_end_matches('/')), Stage::Deliver),
            _ => return None,
        };
        Some(Workload { name, at })
    }
}

/// A file rendered on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileConsumer {
    /// Where the file stands; relative paths count from the root of the config repo.
    pub path: String,
    /// minijinja text with `value`, `json` (the fields of a JSON value), `version`, `credential`; default `{{ value }}`.
    pub template: Option<String>,
    /// Octal, default `0600`.
    pub mode: Option<String>,
    /// User by name or number; that of the file it replaces, or slm's own, when absent.
    pub owner: Option<String>,
    /// Group by name or number.
    pub group: Option<String>,
    /// Command run after the file changed; no shell.
    pub reload: Option<Vec<String>>,
    /// How it is seen that whoever reads the file goes on well with it.
    pub health: Option<Health>,
}

/// How whoever was given a value is seen to be well: exactly one of `command` and `url`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Health {
    /// A program that ends with 0; no shell.
    pub command: Option<Vec<String>>,
    /// An address that answers.
    pub url: Option<String>,
    /// The status it answers with; any 2xx when absent.
    pub expect: Option<u16>,
    /// How long it may take to become well; 30 s when absent.
    pub within: Option<Limit>,
}

/// A secret that GitHub keeps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubSecretConsumer {
    /// The GitHub source that holds it.
    pub source: SourceId,
    /// `owner/name`; `None` for an organisation secret.
    pub repo: Option<String>,
    /// Environment of the repository.
    pub environment: Option<String>,
    /// Name of the secret, `[A-Z0-9_]+`; with `set`, the name that the variables about it are made of.
    pub name: String,
    /// Who reads it.
    #[serde(default)]
    pub store: GithubStore,
    /// Which repositories see an organisation secret; as it is when absent, `private` when it is new.
    pub visibility: Option<Visibility>,
    /// `owner/name` of those that see it under `selected`; otherwise of those whose runs and secrets are looked at.
    #[serde(default)]
    pub repos: Vec<String>,
    /// What the one secret holds: minijinja text with `value`, `json` (the fields of a JSON value), `version`; default `{{ value }}`.
    pub template: Option<String>,
    /// Several secrets from one JSON value, by name: minijinja text with `value`, `version`.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Environments, or `owner/name` of repositories, that may override it with a secret of their own.
    #[serde(default)]
    pub overridden_in: Vec<String>,
}

impl GithubSecretConsumer {
    /// The variable that names what it holds: the version, or for a `set` the half that is read.
    #[must_use]
    pub fn variable(&self) -> String {
        match self.store {
            GithubStore::Actions => format!("SLM_{}", self.name),
            GithubStore::Dependabot => format!("SLM_DEPENDABOT_{}", self.name),
            GithubStore::Codespaces => format!("SLM_CODESPACES_{}", self.name),
        }
    }

    /// True when runs of `workflow` may read it.
    #[must_use]
    pub fn is_read_by(&self, workflow: &GithubWorkflowConsumer) -> bool {
        let there = self.repo.as_ref().is_none_or(|repo| repo.eq_ignore_ascii_case(&workflow.repo));
        // One of an organisation may be of fewer repositories.
        let given = self.repo.is_some() || self.visibility != Some(Visibility::Selected) || self.repos.contains(&workflow.repo);
        self.store == GithubStore::Actions && self.source == workflow.source && there && given
    }
}

/// Who reads a secret that GitHub keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GithubStore {
    /// Workflows.
    #[default]
    Actions,
    /// Dependabot.
    Dependabot,
    /// Codespaces.
    Codespaces,
}

/// Which repositories see an organisation secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Every one.
    All,
    /// Those that are not public.
    Private,
    /// Those that are named.
    Selected,
}

/// A service that is told by a signed request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookConsumer {
    /// Where requests go; `https`.
    pub url: String,
    /// Where it says which versions it stores and runs; the replies of `url` say so when absent.
    pub status_url: Option<String>,
    /// Environment variable that holds the key of the signature.
    pub sign_env: String,
    /// What it is sent.
    #[serde(default)]
    pub send: Send,
    /// How long one request may take; 20 s when absent.
    pub timeout: Option<Limit>,
    /// File with the certificates of the authorities that vouch for it, PEM, from the root of the repo; those of this machine when
    /// absent.
    pub ca_file: Option<String>,
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Send {
    /// Where the value lives and which version it is.
    #[default]
    Reference,
    /// The value as well.
    Value,
}

/// `slm agent` beside an application.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AgentConsumer {
    /// Where it answers; `http` will do, since what is said is signed and no value is in it.
    pub url: String,
    /// Environment variable that holds the key it shares with slm, 16 bytes or more.
    pub key_env: String,
    /// How long one answer may take, a reload and a health check included; two minutes when absent.
    pub timeout: Option<Limit>,
}

/// A program run on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExecConsumer {
    /// Program and arguments; no shell.
    pub command: Vec<String>,
    /// Environment variables it gets beside `PATH`, `HOME`, `LANG`, `TZ`, `TMPDIR`.
    #[serde(default)]
    pub env: Vec<String>,
    /// How long it may take; a minute when absent.
    pub timeout: Option<Limit>,
}

/// A workflow that is dispatched with the version and awaited.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubWorkflowConsumer {
    /// The GitHub source it belongs to.
    pub source: SourceId,
    /// `owner/name`.
    pub repo: String,
    /// File name of the workflow: `deploy.yml`.
    pub workflow: String,
    /// Branch or tag it runs on.
    pub branch: String,
    /// Its input that takes the version; `version` when absent.
    #[serde(default = "version_input")]
    pub input: String,
    /// How long one run is awaited; ten minutes when absent.
    pub timeout: Option<Limit>,
}

fn version_input() -> String {
    "version".to_owned()
}

/// A Secret of Kubernetes, and the workload that reads it when its pods start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KubernetesConsumer {
    /// Address of the API server; `https`.
    pub server: String,
    /// Environment variable that holds the bearer token.
    pub token_env: String,
    /// PEM file of who vouches for the server; the roots of this machine when absent. Relative paths count from the root of the config
    /// repo.
    pub ca_file: Option<String>,
    /// Namespace of both.
    pub namespace: String,
    /// `deployment/NAME`, `statefulset/NAME` or `daemonset/NAME`.
    pub workload: String,
    /// Name of the Secret.
    pub secret: String,
    /// Its keys: minijinja text with `value`, `json`, `version`, `credential`; `value = "{{ value }}"` when absent.
    #[serde(default = "whole_value")]
    pub keys: BTreeMap<String, String>,
    /// How long a roll-out is awaited; ten minutes when absent.
    pub timeout: Option<Limit>,
}

fn whole_value() -> BTreeMap<String, String> {
    BTreeMap::from([("value".to_owned(), "{{ value }}".to_owned())])
}

/// A service of Amazon ECS, whose tasks are started with the version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EcsConsumer {
    /// The AWS source it is in; the one that stores the secret when absent.
    pub source: Option<SourceId>,
    /// Its region; that of the secret when absent.
    pub region: Option<String>,
    /// Name of its cluster.
    pub cluster: String,
    /// Its name.
    pub service: String,
    /// The one container that is given the version; every one that takes the secret when absent.
    pub container: Option<String>,
    /// The environment variable that names the version; without it the `secrets` of the containers do.
    pub variable: Option<String>,
    /// How long a roll-out is awaited; twenty minutes when absent.
    pub timeout: Option<Limit>,
}

/// A function of AWS Lambda, whose environment names the version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LambdaConsumer {
    /// The AWS source it is in; the one that stores the secret when absent.
    pub source: Option<SourceId>,
    /// Its region; that of the secret when absent.
    pub region: Option<String>,
    /// Its name.
    pub function: String,
    /// The environment variable that names the version.
    #[serde(default = "version_variable")]
    pub variable: String,
    /// The alias that is moved to it; only what is not published changes when absent.
    pub alias: Option<String>,
    /// How long an update is awaited; five minutes when absent.
    pub timeout: Option<Limit>,
    /// It reads through the extension for secrets, which keeps a value for this long: nothing of it is changed.
    pub extension_ttl: Option<Limit>,
}

fn version_variable() -> String {
    "SLM_SECRET_VERSION".to_owned()
}

/// A reader of the current version; how long it may go on with an earlier one is `max-staleness`, which every consumer has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SelfRefreshingConsumer {
    /// What must have seen each of its `principals` read the version, besides; `max-staleness` alone will do when absent.
    pub acknowledged_by: Option<AcknowledgedBy>,
}

/// What tells who read a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AcknowledgedBy {
    /// The event history of `CloudTrail`.
    Cloudtrail,
}
