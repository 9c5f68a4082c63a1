//! Access keys of managed users that GitHub's secret scanning has found in an organisation: `Slm::Leak`, one a credential.
//!
//! What an alert found is compared with the ids of the keys that IAM lists, and dropped: it is in no fact and in no body that is kept.

use async_trait::async_trait;
use aws_config::SdkConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use zeroize::Zeroizing;

use super::github_run::{Found, Run, incomplete, known, text};
use super::usage::{Key, keys};
use crate::model::catalog::GithubSource;
use crate::model::id::{CredentialId, SourceId};
use crate::model::receipt::Operation;
use crate::model::snapshot::{LEAK_ENTITY, Unseen, Value};
use crate::model::time::Timestamp;
use crate::transport::github::{Github, segment};
use crate::world::{Clock, Collected, Collector};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[(LEAK_ENTITY, &["alert", "credential", "found_at", "key"])];

/// What GitHub calls the id of an access key.
const KIND: &str = "aws_access_key_id";
/// Letters of a key's id that are shown, its last ones.
const SHOWN: usize = 4;

/// An IAM user whose keys are looked for.
pub struct Watched {
    /// Whose user it is.
    pub credential: CredentialId,
    /// Its name.
    pub user: String,
    /// How IAM is asked for its keys.
    pub config: SdkConfig,
}

/// Reads the open alerts of one organisation.
pub struct SecretScanning {
    source: SourceId,
    config: GithubSource,
    github: Github,
    watched: Vec<Watched>,
}

/// One alert.
#[derive(Deserialize)]
struct Alert {
    number: u64,
    created_at: Timestamp,
    state: String,
    secret_type: String,
    repository: Repository,
    /// `None` when it is not shown to us.
    #[serde(default, deserialize_with = "hidden")]
    secret: Option<Zeroizing<String>>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Zeroizing::new))
}

impl Alert {
    fn name(&self) -> String {
        format!("{}, alert {}", self.repository.full_name, self.number)
    }

    /// True when what it found is the id `of` a key.
    fn is(&self, of: &str) -> bool {
        let Some(secret) = &self.secret else { return false };
        let decoded = || STANDARD.decode(secret.trim()).map(Zeroizing::new);
        let encoded = self.is_base64_encoded == Some(true);
        secret.trim() == of || (encoded && decoded().is_ok_and(|bytes| bytes.trim_ascii() == of.as_bytes()))
    }
}

impl SecretScanning {
    /// A collector of the organisation of `config`, named `source`, that calls with `github` and looks for the keys of `watched`.
    #[must_use]
    pub fn new(source: SourceId, config: &GithubSource, github: Github, watched: Vec<Watched>) -> Self {
        Self { source, config: config.clone(), github, watched }
    }

    async fn alerts(&self, run: &mut Run<'_>, found: &mut Found) -> Vec<Alert> {
        let query = format!("state=open&secret_type={KIND}&per_page=100");
        let route = format!("/orgs/{}/secret-scanning/alerts?{query}", segment(&self.config.org));
        let count = |page: &Vec<Alert>| page.len() as u64;
        let read = run.list::<Vec<Alert>>("GET /orgs/{org}/secret-scanning/alerts", &route, count, true).await;
        found.lacks(&read.seen);
        let open = |alert: &Alert| alert.state == "open" && alert.secret_type == KIND;
        let mut alerts: Vec<Alert> = read.pages.into_iter().flatten().filter(open).collect();
        alerts.sort_by_key(|alert| (alert.created_at, alert.number));
        if let Some(alert) = alerts.iter().find(|alert| alert.secret.is_none()) {
            found.lacks(&incomplete(Unseen::Denied, format!("{} does not show what it found", alert.name())));
        }
        alerts
    }

    /// Compares `alerts` with the keys of each user; IAM is asked for no keys when there is nothing to compare.
    async fn compare(&self, alerts: &[Alert], found: &mut Found) -> Operation {
        let mut asked = Operation {
            name: "iam:ListAccessKeys".to_owned(),
            parameters: json!({ "users": self.watched.len() }),
            pages: 0,
            requests: 0,
            items: 0,
            request_ids: Vec::new(),
        };
        for watched in self.watched.iter().filter(|_| !alerts.is_empty()) {
            asked.requests += 1;
            match keys(&watched.config, &watched.user).await {
                Ok(keys) => {
                    asked.pages += 1;
                    asked.items += keys.len() as u64;
                    found_of(watched, &keys, alerts, found);
                }
                Err(why) => found.lacks(&incomplete(Unseen::Unreachable, why)),
            }
        }
        asked
    }
}

/// Adds the first of `alerts` that found a key of `watched` which is let in.
fn found_of(watched: &Watched, keys: &[Key], alerts: &[Alert], found: &mut Found) {
    let active = || keys.iter().filter(|key| key.active);
    let Some((alert, key)) = alerts.iter().find_map(|alert| Some((alert, active().find(|key| alert.is(&key.id))?))) else { return };
    let tail: String = key.id.chars().skip(key.id.chars().count().saturating_sub(SHOWN)).collect();
    let attributes = known([
        ("alert", Some(text(&alert.name()))),
        ("credential", Some(text(watched.credential.as_str()))),
        ("found_at", Some(Value::Time(alert.created_at))),
        ("key", Some(text(&tail))),
    ]);
    found.add(watched.credential.to_string(), attributes);
}

#[async_trait]
impl Collector for SecretScanning {
    fn name(&self) -> &'static str {
        "secret-scanning"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &str {
        &self.config.org
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        let mut run = Run::new(&self.source, &self.config, &self.github);
        let mut found = Found::new();
        let alerts = self.alerts(&mut run, &mut found).await;
        let asked = self.compare(&alerts, &mut found).await;
        run.operations.push(asked);
        run.end(self.name(), (self.github.app(), None), (started, clock.now()), vec![(LEAK_ENTITY, found)])
    }
}
