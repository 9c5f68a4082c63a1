//! The config repo after loading: everything checked, every name resolved, every item with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attestation::Attestation;
use super::calendar::{Freeze, Window};
pub use super::consumer::{
    AcknowledgedBy, AgentConsumer, Consumer, ConsumerKind, EcsConsumer, ExecConsumer, FileConsumer, GithubSecretConsumer,
    GithubStore, GithubWorkflowConsumer, Health, KubernetesConsumer, LambdaConsumer, Letters, SelfRefreshingConsumer, Send, Stage,
    Visibility, WebhookConsumer, Workload,
};
use super::diagnostic::Place;
pub use super::gate::{GateSettings, OnDeadline, Quiet};
use super::id::{ControlId, CredentialId, CriterionId, EntityType, ExceptionId, FrameworkId, ResourceId, SourceId, VersionId};
use super::locker::{Anchor, LogSettings, ObjectsSettings, SinkSettings};
use super::notify::{AlertSettings, IssuesSettings, NotifySettings};
use super::registers::RegistersSettings;
use super::rotator::RotatorConfig;
use super::snapshot::{Population, Resource, Value};
use super::time::{Limit, Timestamp};

/// The whole config repo.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// `slm.toml`.
    pub settings: Settings,
    /// `controls/**/*.toml`.
    pub controls: BTreeMap<ControlId, Control>,
    /// `controls/frameworks/*.toml`.
    pub frameworks: BTreeMap<FrameworkId, Framework>,
    /// `credentials/*.toml`.
    pub credentials: BTreeMap<CredentialId, Credential>,
    /// `exceptions/*.toml`.
    pub exceptions: BTreeMap<ExceptionId, Exception>,
    /// `attestations/**/*.toml`, by path.
    pub attestations: BTreeMap<String, Attestation>,
    /// `policies/*.cedar`, in path order.
    pub policies: Vec<PolicyFile>,
    /// `policies/schema.cedarschema`.
    pub schema: PolicyFile,
}

impl Catalog {
    /// The credential declared for an observed secret.
    #[must_use]
    pub fn declared_as(&self, population: &Population, resource: &Resource) -> Option<&Credential> {
        let name = resource.text("name")?;
        self.credentials.values().find(|credential| credential.secret.is_in(population) && credential.secret.name == name)
    }
}

impl SecretRef {
    /// True when the secret would be listed in `population`.
    #[must_use]
    pub fn is_in(&self, population: &Population) -> bool {
        population.holds_secrets() && self.source == population.source && (self.region == "." || self.region == population.region())
    }
}

/// A Cedar file as text; module `policy` compiles it.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// Path from the root of the repo.
    pub path: String,
    /// Its whole text.
    pub text: Arc<str>,
}

/// What a control is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ControlKind {
    /// The state of a resource.
    Config,
    /// Events in a period.
    Event,
    /// A statement signed by a person.
    Attestation,
}

/// How much a breach matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Fix when convenient.
    Low,
    /// Fix this quarter.
    Medium,
    /// Fix this week.
    High,
    /// Fix now.
    Critical,
}

/// What slm does about a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Rotate the credential if it is managed; otherwise propose to adopt it.
    Rotate,
    /// Collect the evidence again.
    Collect,
    /// Bring the consumers to the current version.
    Redeploy,
    /// A person must act: escalate to the owner.
    Escalate,
}

/// Lines of a control's file, from 1, that decide about a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlLines {
    /// Its id.
    pub id: u32,
    /// The entity types it speaks about.
    pub entities: u32,
    /// Which of them are meant.
    pub applies_where: u32,
    /// What must have been observed.
    pub requires: u32,
    /// How old evidence may be.
    pub evidence_ttl: u32,
}

/// A promise that must hold.
#[derive(Clone, Debug)]
pub struct Control {
    /// The stem of its file.
    pub id: ControlId,
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
    /// How old evidence may be.
    pub evidence_ttl: Limit,
    /// The entity types it speaks about; never empty.
    pub entities: Vec<EntityType>,
    /// Which resources are meant, in words.
    pub population: String,
    /// Attribute values a resource must have for the control to apply; others are not-applicable.
    pub applies_where: Vec<(Arc<str>, Value)>,
    /// Attributes without which there is no evidence.
    pub requires: Vec<Arc<str>>,
    /// Criteria served, by framework.
    pub criteria: BTreeMap<FrameworkId, Vec<CriterionId>>,
    /// Who checked that it serves them; `None` when nobody put their name to it.
    pub criteria_reviewer: Option<String>,
    /// The evidence in words.
    pub artefact: String,
    /// The calls that yield it.
    pub api: Vec<String>,
    /// Names of audit events that touch it, by source kind (`cloudtrail`, `github`, `datadog`).
    pub events: BTreeMap<String, Vec<String>>,
    /// What is still missing before it can be judged; `None` when a collector observes its population.
    pub needs: Option<String>,
    /// Its file.
    pub place: Place,
    /// Where it says what.
    pub lines: ControlLines,
}

/// A framework and its criteria.
#[derive(Clone, Debug)]
pub struct Framework {
    /// The stem of its file.
    pub id: FrameworkId,
    /// Full name.
    pub name: String,
    /// In file order.
    pub criteria: BTreeMap<CriterionId, Criterion>,
    /// Its file.
    pub place: Place,
}

/// One criterion, in our own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// Our paraphrase, short.
    pub title: String,
    /// The group it belongs to in its framework, or empty.
    pub group: String,
    /// Our paraphrase in one sentence, or empty.
    pub summary: String,
    /// True when only a person can attest it.
    pub manual: bool,
}

/// How a source is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// One AWS account.
    Aws(AwsSource),
    /// One GitHub organisation.
    Github(GithubSource),
    /// The local vault.
    Vault(VaultSource),
    /// A git repository on this machine.
    Git(GitSource),
}

/// One AWS account and the regions in scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AwsSource {
    /// Twelve digits.
    pub account: String,
    /// Regions in scope; never empty.
    pub regions: Vec<String>,
    /// Role assumed for reading.
    pub read_role: Option<String>,
    /// Role assumed for applying.
    pub apply_role: Option<String>,
    /// Named profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// Endpoint for every service, for emulators and private endpoints.
    pub endpoint: Option<String>,
    /// ARNs of the users and roles approved as administrators; without it nobody can say who is one too many.
    pub administrators: Option<Vec<String>>,
    /// How far back the log of calls is asked who made and ended members of populations; it is not asked when absent.
    pub events: Option<Limit>,
}

/// One GitHub organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubSource {
    /// Its login.
    pub org: String,
    /// Environment variable that holds the token; exactly one of this and `app`.
    pub token_env: Option<String>,
    /// The GitHub App that reads and writes; exactly one of this and `token-env`.
    pub app: Option<GithubApp>,
    /// API root for GitHub Enterprise Server or an emulator.
    pub base_url: Option<String>,
    /// Reads the secrets of every repository and environment too: three calls a repository and one an environment.
    #[serde(default)]
    pub repo_secrets: bool,
    /// `owner/name` of repositories where a merge needs two approvals.
    #[serde(default)]
    pub critical_repos: Vec<String>,
    /// Names of environments that are production; `production` when absent.
    pub production_environments: Option<Vec<String>>,
    /// What was approved by whoever reviewed it here.
    #[serde(default)]
    pub approved: GithubApproved,
    /// Where it holds this config repo and its evidence; neither is looked at there when absent.
    pub config: Option<GithubConfig>,
}

/// The repositories of an organisation that hold policy and evidence.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubConfig {
    /// `owner/name` of the one with the config repo.
    pub repo: String,
    /// Its branch that pull requests are merged into.
    #[serde(default = "default_branch")]
    pub branch: String,
    /// `owner/name` of the one with the evidence; the same when absent.
    pub evidence_repo: Option<String>,
    /// Full names of commits that no pull request brought in, and `#7` of pull requests whose merge the branch has no more: each with what
    /// explains it.
    #[serde(default)]
    pub explained: BTreeMap<String, String>,
}

impl GithubConfig {
    /// Where the evidence is.
    #[must_use]
    pub fn evidence_repo(&self) -> &str {
        self.evidence_repo.as_deref().unwrap_or(&self.repo)
    }
}

fn default_branch() -> String {
    "main".to_owned()
}

/// A GitHub App and its installation in the organisation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GithubApp {
    /// The App's number.
    pub id: u64,
    /// The installation's number.
    pub installation: u64,
    /// Environment variable that holds the App's private key as PEM text.
    pub key_env: String,
}

/// Approvals on record for one organisation; what is not named is not approved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GithubApproved {
    /// `owner/name` of repositories that may be public.
    pub public_repos: Vec<String>,
    /// Resource ids of deploy keys that may write.
    pub write_keys: Vec<String>,
    /// Outside collaborators by login, each with the end of the approval: RFC 3339 text.
    #[schemars(with = "BTreeMap<String, String>")]
    pub collaborators: BTreeMap<String, Timestamp>,
}

/// The local vault: one age-encrypted file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VaultSource {
    /// The encrypted file, from the root of the config repo.
    pub path: String,
    /// The age identity file that opens it; kept outside the repo.
    pub identity: String,
}

/// A git repository on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GitSource {
    /// Its folder, from the root of the config repo.
    pub path: String,
    /// The branch to look at; what is checked out when absent.
    pub branch: Option<String>,
    /// The remote that must contain it; `origin` when absent and there is one.
    pub remote: Option<String>,
    /// Allowed-signers file, from the root of the config repo: whose SSH signatures count.
    pub allowed_signers: Option<String>,
    /// How far back commits are evidence.
    #[serde(default = "default_window")]
    pub window: Limit,
    /// Commits walked at most; a walk that stops there is incomplete.
    #[serde(default = "default_max_commits")]
    pub max_commits: u32,
    /// Policy documents that people must approve: folders or files, from the root of the config repo.
    #[serde(default)]
    pub documents: Vec<String>,
}

impl GitSource {
    /// How far back commits are evidence where nobody says otherwise.
    pub const WINDOW: Limit = Limit::days(365);
}

fn default_window() -> Limit {
    GitSource::WINDOW
}

fn default_max_commits() -> u32 {
    50_000
}

/// `slm.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who writes the secrets, as tags on them say it; none is written when absent.
    pub owner: Option<String>,
    /// Where evidence is kept.
    pub locker: LockerSettings,
    /// How much one run may do.
    pub limits: RunLimits,
    /// The greatest age of a secret by its `tier` tag.
    pub tiers: BTreeMap<String, Limit>,
    /// The tier of a secret without the tag.
    pub default_tier: String,
    /// Where is written, once, what rotations decided.
    pub registers: RegistersSettings,
    /// Sources by name.
    pub sources: BTreeMap<SourceId, SourceKind>,
    /// Who is known of a source, apart from what it lists itself.
    pub people: BTreeMap<SourceId, People>,
    /// Who is told, by name.
    pub notify: BTreeMap<String, NotifySettings>,
    /// Where issues are kept for people, by the names of notifiers.
    pub issues: BTreeMap<String, IssuesSettings>,
    /// What they are told at once.
    pub alerts: Vec<AlertSettings>,
}

/// The people file of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Names of users that are people.
    pub people: BTreeSet<String>,
    /// Users that are not people, each with what explains it.
    pub not_people: BTreeMap<String, String>,
}

/// Where evidence is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LockerSettings {
    /// Branch of the evidence.
    pub branch: String,
    /// Branch that receives plans and outcomes under `plans/` as well, for people; those in the locker are what is verified.
    pub plans_branch: Option<String>,
    /// Git remote to push to; `None` keeps the locker local.
    pub remote: Option<String>,
    /// SSH private key that signs commits, outside the repo.
    pub signing_key: Option<String>,
    /// The log of everything in it.
    pub log: LogSettings,
    /// Places outside it that are shown each checkpoint.
    pub anchor: Vec<Anchor>,
    /// Where raw bytes go that are too long for git; into git when absent.
    pub objects: Option<ObjectsSettings>,
    /// Places that mirror it.
    pub sink: Vec<SinkSettings>,
}

impl Default for LockerSettings {
    fn default() -> Self {
        Self {
            branch: "slm/evidence".to_owned(),
            plans_branch: None,
            remote: None,
            signing_key: None,
            log: LogSettings::default(),
            anchor: Vec::new(),
            objects: None,
            sink: Vec::new(),
        }
    }
}

impl LockerSettings {
    /// The branch beside that of the evidence where what anchors said waits for the next run.
    #[must_use]
    pub fn anchors_branch(&self) -> String {
        format!("{}-anchors", self.branch)
    }

    /// The branch beside that of the evidence where is kept what notifiers were told.
    #[must_use]
    pub fn notify_branch(&self) -> String {
        format!("{}-notify", self.branch)
    }
}

/// How much one run may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RunLimits {
    /// Greatest share of the managed credentials rotated by one run, in percent; at least one is always allowed.
    pub rotate_percent: u8,
    /// Requests in flight over all sources.
    pub concurrency: u16,
    /// Requests a second over all sources and regions, retries included.
    pub requests_per_second: u16,
    /// When nothing is begun and nothing ended, for all credentials.
    pub freeze: Vec<Freeze>,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self { rotate_percent: 25, concurrency: 8, requests_per_second: 20, freeze: Vec::new() }
    }
}

/// A credential that slm rotates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The stem of its file.
    pub id: CredentialId,
    /// What it is, in words.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// Controls it is rotated for.
    pub satisfies: Vec<ControlId>,
    /// Where its value lives.
    pub secret: SecretRef,
    /// How a new value comes about.
    pub rotator: RotatorConfig,
    /// When it is due.
    pub policy: RotationPolicy,
    /// What must hold before the old one is disabled.
    pub gate: GateSettings,
    /// Where a new value must arrive, in order of delivery.
    pub consumers: Vec<Consumer>,
    /// What counts as a sign that its value is in wrong hands.
    pub leak: Vec<LeakTrigger>,
    /// Credentials that its value is made of: it is rotated after them.
    pub after: Vec<CredentialId>,
    /// Its file.
    pub place: Place,
}

/// `[leak]` of a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LeakSettings {
    /// What counts as a sign that its value is in wrong hands.
    pub triggers: Vec<LeakTrigger>,
}

/// A sign that a value is in wrong hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeakTrigger {
    /// AWS has attached one of its quarantine policies to the IAM user, because it found the key in public.
    AwsQuarantinePolicy,
    /// GitHub's secret scanning has an open alert for an access key of the IAM user, in any organisation of `slm.toml`.
    GithubSecretScanning,
}

/// The one place where a credential's value lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretRef {
    /// The source that stores it: an AWS account or a vault.
    pub source: SourceId,
    /// Region, or `.` for a vault.
    pub region: String,
    /// Its name in the store.
    pub name: String,
}

/// When a credential is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// Greatest age before it is due.
    pub rotate_every: Limit,
    /// It becomes due up to this much earlier, at a point fixed by its id, so that a fleet does not rotate on one day.
    pub jitter: Limit,
    /// Attempts for one rotation before a person is asked.
    pub attempts: u8,
    /// Lease of a rotator run.
    pub lease: Limit,
    /// The longest time for which nothing may be able to log in while a value is replaced in place; `None` forbids such kinds.
    pub allow_gap: Option<Limit>,
    /// The longest that a value may be valid, from when it is made until it is refused.
    pub max_validity: Option<Limit>,
    /// Before this instant it is rotated only when a person asks for it; controls judge its age all the same.
    pub not_before: Option<Timestamp>,
    /// When slm may begin a rotation by itself; at any time when empty.
    pub windows: Vec<Window>,
    /// When nothing is begun, beside the freezes of all.
    pub freeze: Vec<Freeze>,
    /// Versions whose credential a person has ended where it was let in, since that is no longer declared.
    pub ended_elsewhere: Vec<VersionId>,
}

/// An approved, expiring permit for one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The stem of its file.
    pub id: ExceptionId,
    /// The control it lifts.
    pub control: ControlId,
    /// The one resource it lifts it for.
    pub resource: ResourceId,
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
    /// When it was approved.
    pub approved: Timestamp,
    /// When it was approved before, the first time first.
    pub earlier: Vec<Timestamp>,
    /// When it lapses.
    pub expires: Timestamp,
    /// Its file.
    pub place: Place,
}
