//! The exact TOML shapes of the config repo: kebab-case, unknown keys refused, nothing resolved yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::model::catalog::{
    Alphabet, AwsSource, ControlKind, FileConsumer, GateSettings, GitSource, GithubSecretConsumer, GithubSource, LockerSettings, Remedy,
    RunLimits, Severity, VaultSource,
};
use crate::model::time::{Limit, Timestamp};

/// `controls/<family>/<ID>.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Control {
    /// Same as the stem of the file.
    pub id: String,
    /// At most 60 characters.
    pub title: String,
    /// The promise in one sentence.
    pub statement: String,
    /// What it is judged by.
    pub kind: ControlKind,
    /// How much a breach matters.
    pub severity: Severity,
    /// Who answers for it.
    pub owner: String,
    /// What slm does about a breach.
    pub remedy: Remedy,
    /// How often evidence is collected.
    pub collect_every: Limit,
    /// How old evidence may be; not less than `collect-every`.
    pub evidence_ttl: Limit,
    /// What is still missing before it can be judged.
    pub needs: Option<String>,
    /// The evidence in words.
    pub artefact: String,
    /// The calls that yield it.
    #[serde(default)]
    pub api: Vec<String>,
    /// The resources it speaks about.
    pub population: Population,
    /// What its rule needs to know.
    pub rule: Rule,
    /// Criteria served, by framework id.
    pub criteria: BTreeMap<String, Vec<String>>,
    /// Audit events that touch it.
    #[serde(default)]
    pub events: Events,
}

/// `[population]` of a control.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Population {
    /// Cedar entity types; at least one.
    pub entities: Vec<String>,
    /// Which resources are meant, in words.
    pub definition: String,
    /// Attribute values a resource must have for the control to apply.
    #[serde(default, rename = "where")]
    pub applies_where: BTreeMap<String, Scalar>,
}

/// A value of `[population.where]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// Text.
    Text(String),
}

/// `[rule]` of a control.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Attributes without which there is no evidence.
    pub requires: Vec<String>,
}

/// `[events]` of a control: names of audit events by source kind.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Events {
    /// Event names of AWS CloudTrail.
    #[serde(default)]
    pub cloudtrail: Vec<String>,
    /// Actions of the GitHub audit log.
    #[serde(default)]
    pub github: Vec<String>,
    /// Events of the Datadog audit trail.
    #[serde(default)]
    pub datadog: Vec<String>,
}

/// `controls/frameworks/<id>.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Framework {
    /// Same as the stem of the file.
    pub id: String,
    /// Full name.
    pub name: String,
    /// Where the criteria come from.
    pub note: Option<String>,
    /// The criteria.
    pub criterion: Vec<Criterion>,
}

/// `[[criterion]]` of a framework.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Criterion {
    /// Unique in the framework.
    pub id: String,
    /// Our paraphrase, short.
    pub title: String,
    /// The group it belongs to.
    #[serde(default)]
    pub group: String,
    /// Our paraphrase in one sentence.
    pub summary: Option<String>,
    /// True when only a person can attest it.
    pub manual: Option<bool>,
}

/// `slm.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Where evidence is kept.
    #[serde(default)]
    pub locker: LockerSettings,
    /// How much one run may do.
    #[serde(default)]
    pub limits: RunLimits,
    /// Greatest ages by tier.
    #[serde(default)]
    pub tiers: Tiers,
    /// Sources by name.
    #[serde(default)]
    pub source: BTreeMap<String, Source>,
}

/// `[tiers]` of `slm.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tiers {
    /// The tier of a secret without the tag.
    pub default: String,
    /// Greatest age of a secret by its `tier` tag.
    pub limits: BTreeMap<String, Limit>,
}

impl Default for Tiers {
    fn default() -> Self {
        let limits = [("critical", 30), ("standard", 60), ("low", 90)];
        Self {
            default: "standard".to_owned(),
            limits: limits.into_iter().map(|(tier, days)| (tier.to_owned(), Limit::days(days))).collect(),
        }
    }
}

/// `[source.<name>]`: exactly one kind.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// One AWS account.
    pub aws: Option<AwsSource>,
    /// One GitHub organisation.
    pub github: Option<GithubSource>,
    /// The local vault.
    pub vault: Option<VaultSource>,
    /// A git repository on this machine.
    pub git: Option<GitSource>,
}

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
    /// Where its value lives.
    pub secret: Secret,
    /// How a new value comes about.
    pub rotator: Rotator,
    /// When it is due.
    pub policy: Policy,
    /// What must hold before the old one is disabled.
    pub gate: Option<GateSettings>,
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
    pub random: Option<Random>,
}

/// `random = { .. }` of a rotator.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Random {
    /// Characters; at least 16.
    pub length: u16,
    /// Characters a value is made of.
    #[serde(default)]
    pub alphabet: Alphabet,
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
    /// It gets a new value before anybody else, and its refusal rejects the value.
    #[serde(default)]
    pub canary: bool,
    /// How long it may go on with a value it has read before.
    pub max_staleness: Option<Limit>,
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
    /// When it lapses: RFC 3339.
    #[serde(deserialize_with = "instant")]
    #[schemars(with = "String")]
    pub expires: Timestamp,
}

/// An instant as RFC 3339 text or as a TOML offset date-time.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let value = toml::Value::deserialize(deserializer)?;
    let text = match &value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.parse()
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is not an instant; write one as in `2026-01-31T12:00:00Z`")))
}
