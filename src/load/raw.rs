//! The exact TOML shapes of the config repo: kebab-case, unknown keys refused, nothing resolved yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use super::raw_managed::{Attestation, Consumer, Credential, Exception, Policy, Rotator, Secret};
pub use super::raw_notify::{Alert, Notify};
use crate::model::catalog::{
    AwsSource, ControlKind, GitSource, GithubSource, LockerSettings, Remedy, RunLimits, Severity, VaultSource,
};
use crate::model::registers::RegistersSettings;
use crate::model::time::Limit;

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
    /// Who checked that it serves its criteria; nobody when absent.
    pub criteria_reviewer: Option<String>,
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
    /// Who writes the secrets of this repo, kept as the tag `slm:owner` on each: `acme/security`, `acme/security:prod`.
    pub owner: Option<String>,
    /// Where evidence is kept.
    #[serde(default)]
    pub locker: LockerSettings,
    /// How much one run may do.
    #[serde(default)]
    pub limits: RunLimits,
    /// Greatest ages by tier.
    #[serde(default)]
    pub tiers: Tiers,
    /// Where is written, once, what rotations decided.
    #[serde(default)]
    pub registers: RegistersSettings,
    /// Sources by name.
    #[serde(default)]
    pub source: BTreeMap<String, Source>,
    /// Who is told, by name.
    #[serde(default)]
    pub notify: BTreeMap<String, Notify>,
    /// What they are told at once.
    #[serde(default)]
    pub alert: Vec<Alert>,
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
    /// The people file: names of users that are people, as the source has them; whoever else is there must be explained.
    pub people: Option<Vec<String>>,
    /// Users that are not people, each with what explains it.
    #[serde(default)]
    pub not_people: BTreeMap<String, String>,
}
