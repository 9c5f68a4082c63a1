//! The exact TOML shapes of what slm acts on: credentials, their consumers, exceptions, attestations.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::model::calendar::{Freeze, Window};
use crate::model::catalog::{
    AgentConsumer, EcsConsumer, ExecConsumer, FileConsumer, GateSettings, GithubSecretConsumer, GithubWorkflowConsumer,
    KubernetesConsumer, LambdaConsumer, LeakSettings, Letters, SelfRefreshingConsumer, WebhookConsumer,
};
use crate::model::rotator::{
    AwsManaged, Exec, GithubDeployKey, Http, IamAccessKey, Keyset, Manual, MysqlAccount, MysqlAlternating, Observe,
    PostgresAlternating, PostgresPassword, RandomValue, RotatorConfig,
};
use crate::model::time::{Limit, Timestamp};

/// `credentials/<id>.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Credential {
    /// What it is, in words.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// Controls it is rotated for.
    #[serde(default)]
    pub satisfies: Vec<String>,
    /// Credentials that its value is made of: it is rotated after each of them.
    #[serde(default)]
    pub after: Vec<String>,
    /// Where its value lives.
    pub secret: Secret,
    /// How a new value comes about.
    pub rotator: Rotator,
    /// When it is due.
    pub policy: Policy,
    /// What must hold before the old one is disabled.
    pub gate: Option<GateSettings>,
    /// What counts as a sign that its value is in wrong hands.
    #[serde(default)]
    pub leak: LeakSettings,
    /// Where a new value must arrive, in order of delivery.
    #[serde(default)]
    pub consumer: Vec<Consumer>,
}

/// `[secret]` of a credential.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Secret {
    /// The source that stores it.
    pub source: String,
    /// Its name in the store.
    pub name: String,
    /// Required for AWS, absent for a vault.
    pub region: Option<String>,
}

/// `[rotator]` of a credential: exactly one kind.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rotator {
    /// A value we choose and nobody else validates.
    pub random: Option<RandomValue>,
    /// Keys with which an application signs, and by which it accepts.
    pub keyset: Option<Keyset>,
    /// An access key of an IAM user.
    pub aws_iam_access_key: Option<IamAccessKey>,
    /// A deploy key of a GitHub repository.
    pub github_deploy_key: Option<GithubDeployKey>,
    /// A secret that AWS rotates itself when asked.
    pub aws_managed: Option<AwsManaged>,
    /// What a program of the config repo's own carries out.
    pub exec: Option<Exec>,
    /// What a vendor's HTTP API issues.
    pub http: Option<Http>,
    /// Two login roles of PostgreSQL, in turn.
    pub postgres_alternating: Option<PostgresAlternating>,
    /// The password of one login role of PostgreSQL, in place.
    pub postgres_password: Option<PostgresPassword>,
    /// Two accounts of MySQL, in turn.
    pub mysql_alternating: Option<MysqlAlternating>,
    /// Two passwords of one account of MySQL.
    pub mysql_dual: Option<MysqlAccount>,
    /// The password of one account of MySQL, in place.
    pub mysql_password: Option<MysqlAccount>,
    /// What a person rotates.
    pub manual: Option<Manual>,
    /// What slm never acts on.
    pub observe: Option<Observe>,
}

impl Rotator {
    /// Every kind by name, with what was given of it.
    #[must_use]
    pub fn kinds(&self) -> Vec<(&'static str, Option<RotatorConfig>)> {
        vec![
            ("random", self.random.clone().map(RotatorConfig::Random)),
            ("keyset", self.keyset.map(RotatorConfig::Keyset)),
            ("aws-iam-access-key", self.aws_iam_access_key.clone().map(RotatorConfig::AwsIamAccessKey)),
            ("github-deploy-key", self.github_deploy_key.clone().map(RotatorConfig::GithubDeployKey)),
            ("aws-managed", self.aws_managed.clone().map(RotatorConfig::AwsManaged)),
            ("exec", self.exec.clone().map(RotatorConfig::Exec)),
            ("http", self.http.clone().map(|http| RotatorConfig::Http(Box::new(http)))),
            ("postgres-alternating", self.postgres_alternating.clone().map(RotatorConfig::PostgresAlternating)),
            ("postgres-password", self.postgres_password.clone().map(RotatorConfig::PostgresPassword)),
            ("mysql-alternating", self.mysql_alternating.clone().map(RotatorConfig::MysqlAlternating)),
            ("mysql-dual", self.mysql_dual.clone().map(RotatorConfig::MysqlDual)),
            ("mysql-password", self.mysql_password.clone().map(RotatorConfig::MysqlPassword)),
            ("manual", self.manual.clone().map(|manual| RotatorConfig::Manual(Box::new(manual)))),
            ("observe", self.observe.clone().map(RotatorConfig::Observe)),
        ]
    }

    /// The one kind that was given.
    #[must_use]
    pub fn kind(&self) -> Option<RotatorConfig> {
        self.kinds().into_iter().find_map(|(_, kind)| kind)
    }
}

/// `[policy]` of a credential.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Policy {
    /// Greatest age before it is due.
    pub rotate_every: Limit,
    /// It becomes due up to this much earlier.
    #[serde(default = "no_jitter")]
    pub jitter: Limit,
    /// Attempts for one rotation before a person is asked.
    #[serde(default = "five")]
    pub attempts: u8,
    /// Lease of a rotator run.
    #[serde(default = "quarter_hour")]
    pub lease: Limit,
    /// The longest time without a valid value while it is replaced in place; required by kinds that do so.
    pub allow_gap: Option<Limit>,
    /// The longest that a value may be valid, from when it is made until it is refused.
    pub max_validity: Option<Limit>,
    /// Before this instant it is rotated only when a person asks for it: RFC 3339.
    #[serde(default, deserialize_with = "maybe_instant")]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<Timestamp>,
    /// When a rotation may be begun: `Mon-Thu 07:00-15:00 Europe/Berlin`; at any time when absent.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// When nothing is begun: `2026-12-18/2027-01-04`.
    #[serde(default)]
    pub freeze: Vec<Freeze>,
    /// Versions whose credential a person has ended where it was let in, since that is no longer declared.
    #[serde(default)]
    pub ended_elsewhere: Vec<String>,
}

fn no_jitter() -> Limit {
    Limit::seconds(0)
}

fn five() -> u8 {
    5
}

fn quarter_hour() -> Limit {
    Limit::seconds(15 * 60)
}

/// `[[consumer]]` of a credential: an id and exactly one kind.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Consumer {
    /// Unique in its credential.
    pub id: String,
    /// A file rendered on this machine.
    pub file: Option<FileConsumer>,
    /// An Actions secret.
    pub github_actions_secret: Option<GithubSecretConsumer>,
    /// A service that is told by a signed request.
    pub webhook: Option<WebhookConsumer>,
    /// A program run on this machine.
    pub exec: Option<ExecConsumer>,
    /// `slm agent` beside an application.
    pub agent: Option<AgentConsumer>,
    /// A workflow that is dispatched with the version and awaited.
    pub github_workflow_dispatch: Option<GithubWorkflowConsumer>,
    /// A workload of Kubernetes with the Secret it reads.
    pub kubernetes_workload: Option<KubernetesConsumer>,
    /// A service of Amazon ECS.
    pub ecs_service: Option<EcsConsumer>,
    /// A function of AWS Lambda.
    pub lambda: Option<LambdaConsumer>,
    /// A reader of the current version; `max-staleness` is required.
    pub self_refreshing: Option<SelfRefreshingConsumer>,
    /// It gets a new value before anybody else, and its refusal rejects the value.
    #[serde(default)]
    pub canary: bool,
    /// How long it may go on with a value it has read before.
    pub max_staleness: Option<Limit>,
    /// Letters it can take where the secret part of a value is put; any when absent.
    pub letters: Option<Letters>,
    /// ARNs of the roles and users that read the value in its store for it.
    #[serde(default)]
    pub principals: Vec<String>,
}

/// `exceptions/<id>.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exception {
    /// The control it lifts.
    pub control: String,
    /// The one resource it lifts it for.
    pub resource: String,
    /// Why.
    pub reason: String,
    /// What stands in for the control meanwhile.
    pub compensating: String,
    /// The ticket it was discussed in.
    pub ticket: String,
    /// Who asked.
    pub requester: String,
    /// Who approved; never the requester.
    pub approver: String,
    /// When it was approved: RFC 3339.
    #[serde(deserialize_with = "instant")]
    #[schemars(with = "String")]
    pub approved: Timestamp,
    /// When it was approved before, the first time first; a renewal moves `approved` here.
    #[serde(default, deserialize_with = "instants")]
    #[schemars(with = "Vec<String>")]
    pub earlier: Vec<Timestamp>,
    /// When it lapses: RFC 3339.
    #[serde(deserialize_with = "instant")]
    #[schemars(with = "String")]
    pub expires: Timestamp,
}

/// `attestations/<control>/<period>.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Attestation {
    /// What is attested, in one or two sentences.
    pub statement: String,
    /// Who looked, and wrote this.
    pub author: String,
    /// Who signed it; never the author.
    pub approver: String,
    /// When it was signed: RFC 3339.
    #[serde(deserialize_with = "instant")]
    #[schemars(with = "String")]
    pub signed: Timestamp,
    /// The root of the population that was looked at, as `slm sample` prints it: 64 hex digits.
    pub population_root: Option<String>,
    /// Where the evidence that was looked at is kept, when it is not in the locker.
    #[serde(default)]
    pub evidence: Vec<String>,
}

fn maybe_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    instant(deserializer).map(Some)
}

fn instants<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Timestamp>, D::Error> {
    Vec::<toml::Value>::deserialize(deserializer)?.into_iter().map(instant_of).collect()
}

/// An instant as RFC 3339 text or as a TOML offset date-time.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    toml::Value::deserialize(deserializer).and_then(instant_of)
}

fn instant_of<E: serde::de::Error>(value: toml::Value) -> Result<Timestamp, E> {
    let text = match &value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.parse().map_err(|_| E::custom(format!("`{text}` is not an instant; write one as in `2026-01-31T12:00:00Z`")))
}
