//! AWS IAM: the account, its users, credentials, policies and roles, from the credential report, the authorization details, the summary
//! and the password policy. No call per user.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_iam::types::{FeatureType, SummaryKeyType};
use aws_sdk_iam::{Client, config};
use serde_json::json;

use super::aws::{Collection, Place, all_of};
use super::iam_details::{self, Details};
use super::iam_report::Report;
use crate::model::catalog::AwsSource;
use crate::model::id::SourceId;
use crate::model::snapshot::{Attribute, Resource, Unseen, Value};
use crate::model::time::Timestamp;
use crate::transport::aws::{Failure, Wire};
use crate::world::{Clock, Collected, Collector, ErrorClass};

/// Milliseconds between asking for the report; after the last ask it counts as not ready.
const WAITS: [u64; 6] = [0, 250, 500, 1000, 1000, 2000];
/// What AWS requires of a password in an account without a policy of its own.
const DEFAULT_PASSWORD_LENGTH: i64 = 8;
/// What an account outside an organization is told, or one whose organization cannot remove root credentials.
const NOT_CENTRAL: [&str; 3] = ["OrganizationNotFound", "OrganizationNotInAllFeaturesMode", "ServiceAccessNotEnabled"];

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[
    ("Aws::AccessKey", &["active", "created"]),
    (
        "Aws::Account",
        &[
            "has_iam_users",
            "min_password_length",
            "password_reuse_prevention",
            "root_access_keys",
            "root_credentials_removed",
            "root_ever_used",
            "root_last_used",
            "root_mfa",
        ],
    ),
    ("Aws::Credential", &["created", "enabled", "last_activity"]),
    ("Aws::OidcRole", &["aud_pinned", "max_session_seconds", "sub_pinned"]),
    ("Aws::Policy", &["allows_star_star"]),
    ("Aws::Principal", &["is_admin"]),
    ("Aws::User", &["active_keys", "console_access", "direct_policies", "mfa_active", "newest_key_created", "quarantine"]),
];

/// Reads the users and credentials of one account.
pub struct Iam {
    place: Place,
}

/// What the account summary counts.
type Summary = HashMap<SummaryKeyType, i32>;

impl Iam {
    /// A collector of `aws`, named `source`, that calls with `config`.
    #[must_use]
    pub fn new(source: SourceId, aws: &AwsSource, config: SdkConfig) -> Self {
        Self { place: Place::new(source, aws, "global", config) }
    }

    async fn read(&self, collection: &mut Collection<'_>) -> (Vec<Attribute>, Report, Details) {
        let wire = Wire::keeping();
        let client = Client::from_conf(config::Builder::from(&self.place.config).interceptor(wire.clone()).build());
        let mut reader = Reader { client, wire, collection, account: Vec::new() };
        let summary = reader.summary().await;
        reader.root_credentials(&summary).await;
        reader.password_policy().await;
        let report = reader.report().await;
        let Reader { client, wire, collection, account } = reader;
        let details = iam_details::read(&client, &wire, collection).await;
        collection.count = summary.get(&SummaryKeyType::Users).and_then(|count| u64::try_from(*count).ok());
        // The report may be up to four hours old.
        for (what, users) in [("credential report", report.users.len()), ("authorization details", details.users.len())] {
            if collection.count.is_some_and(|count| count != users as u64) {
                collection.doubt(&format!("{what} and account summary differ: {users} users against another number"));
            }
        }
        (account, report, details)
    }
}

/// What is asked of one account.
struct Reader<'c, 'p> {
    client: Client,
    wire: Wire,
    collection: &'c mut Collection<'p>,
    account: Vec<Attribute>,
}

impl Reader<'_, '_> {
    fn log(&mut self, name: &str, items: u64) {
        self.collection.log(name, json!({}), items, self.wire.take());
    }

    /// What the summary says; empty, and noted as not seen, when it says nothing.
    async fn summary(&mut self) -> Summary {
        let answer = self.client.get_account_summary().send().await;
        self.collection.keep(&self.wire, "account-summary.xml", answer.is_ok(), all_of);
        let all = match answer {
            Ok(answer) => {
                if answer.summary_map().is_none_or(|all| !all.contains_key(&SummaryKeyType::Users)) {
                    self.collection.doubt("the account summary does not count the users");
                }
                answer.summary_map
            }
            Err(error) => {
                self.collection.failed("read the account summary", &Failure::of(&error));
                None
            }
        };
        let all = all.unwrap_or_default();
        self.log("iam:GetAccountSummary", all.len() as u64);
        let get = |key| all.get(&key).copied().map(i64::from);
        let facts = [
            ("root_access_keys", get(SummaryKeyType::AccountAccessKeysPresent).map(Value::Long)),
            ("root_mfa", get(SummaryKeyType::AccountMfaEnabled).map(|on| Value::Bool(on > 0))),
            ("has_iam_users", get(SummaryKeyType::Users).map(|users| Value::Bool(users > 0))),
        ];
        self.account.extend(facts.into_iter().filter_map(|(name, value)| Some((name.into(), value?))));
        all
    }

    /// Whether the credentials of root are gone and its organization keeps them so: unknown to a member account, which may not ask.
    async fn root_credentials(&mut self, summary: &Summary) {
        // A device is a credential too: removing them takes it away.
        let parts = [
            SummaryKeyType::AccountMfaEnabled,
            SummaryKeyType::AccountPasswordPresent,
            SummaryKeyType::AccountAccessKeysPresent,
            SummaryKeyType::AccountSigningCertificatesPresent,
        ]
        .map(|part| summary.get(&part).map(|count| *count > 0));
        let removed = if parts.contains(&Some(true)) {
            Some(false)
        } else if parts.contains(&None) {
            None
        } else {
            self.kept_away().await
        };
        self.account.extend(removed.map(|removed| ("root_credentials_removed".into(), Value::Bool(removed))));
    }

    /// Whether the organization keeps root credentials away. Nothing but one attribute rests on the answer, so that its want is no gap.
    async fn kept_away(&mut self) -> Option<bool> {
        let answer = self.client.list_organizations_features().send().await;
        self.collection.keep(&self.wire, "organization-features.xml", answer.is_ok(), all_of);
        let kept = match &answer {
            Ok(answer) => answer.enabled_features.as_ref().map(|all| all.contains(&FeatureType::RootCredentialsManagement)),
            Err(error) => {
                let code = Failure::of(error).code;
                code.is_some_and(|code| NOT_CENTRAL.iter().any(|known| code.starts_with(known))).then_some(false)
            }
        };
        let features = answer.ok().and_then(|answer| answer.enabled_features).map_or(0, |all| all.len() as u64);
        self.log("iam:ListOrganizationsFeatures", features);
        kept
    }

    async fn password_policy(&mut self) {
        let answer = self.client.get_account_password_policy().send().await;
        self.collection.keep(&self.wire, "password-policy.xml", answer.is_ok(), all_of);
        let (length, reuse) = match answer {
            Ok(answer) => {
                let policy = answer.password_policy.and_then(|policy| Some((policy.minimum_password_length?, policy)));
                if policy.is_none() {
                    self.collection.doubt("the password policy does not say how long a password is");
                }
                // A policy that does not remember passwords leaves the number out.
                let facts = policy.map(|(length, policy)| (length.into(), policy.password_reuse_prevention.map_or(0, i64::from)));
                facts.unzip()
            }
            Err(error) => match Failure::of(&error) {
                failure if failure.class() == ErrorClass::NotFound => (Some(DEFAULT_PASSWORD_LENGTH), Some(0)),
                failure => {
                    self.collection.failed("read the password policy", &failure);
                    (None, None)
                }
            },
        };
        self.log("iam:GetAccountPasswordPolicy", u64::from(length.is_some()));
        let facts = [("min_password_length", length), ("password_reuse_prevention", reuse)];
        self.account.extend(facts.into_iter().filter_map(|(name, value)| Some((name.into(), Value::Long(value?)))));
    }

    /// Orders the credential report, waits for it and reads it.
    async fn report(&mut self) -> Report {
        let ordered = self.client.generate_credential_report().send().await;
        self.log("iam:GenerateCredentialReport", 0);
        if let Err(error) = ordered {
            self.collection.failed("order the credential report", &Failure::of(&error));
            return Report::default();
        }
        let text = self.report_text().await;
        let (report, wrong) = text.as_deref().map(Report::read).unwrap_or_default();
        self.log("iam:GetCredentialReport", report.users.len() as u64);
        if let Some(wrong) = wrong {
            self.collection.doubt(&wrong);
        }
        report
    }

    async fn report_text(&mut self) -> Option<String> {
        for wait in WAITS {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let answer = self.client.get_credential_report().send().await;
            self.collection.keep(&self.wire, "credential-report.xml", answer.is_ok(), all_of);
            let failure = match answer {
                Ok(answer) => {
                    let made = answer.generated_time.and_then(|at| Timestamp::new(at.secs(), 0).ok());
                    self.collection.effective = made;
                    let text = answer.content.and_then(|content| String::from_utf8(content.into_inner()).ok());
                    if text.is_none() {
                        self.collection.doubt("the credential report has no content that is text");
                    }
                    return text;
                }
                Err(error) => Failure::of(&error),
            };
            let waiting = |code: &str| code.starts_with("ReportInProgress") || code.starts_with("ReportNotPresent");
            if !failure.code.as_deref().is_some_and(waiting) {
                self.collection.failed("read the credential report", &failure);
                return None;
            }
        }
        self.collection.miss((Unseen::NotReady, "the credential report is still being made".to_owned()));
        None
    }
}

#[async_trait]
impl Collector for Iam {
    fn name(&self) -> &'static str {
        "iam"
    }

    fn source(&self) -> &SourceId {
        &self.place.source
    }

    fn scope(&self) -> &str {
        &self.place.scope
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let mut collection = self.place.begin(self.name(), clock).await;
        let (mut account, mut report, mut details) = Default::default();
        if collection.may_read() {
            (account, report, details) = self.read(&mut collection).await;
        }
        account.append(&mut report.root);
        for user in &mut report.users {
            if let Some(direct) = details.users.get(user.id.as_str()) {
                user.set("direct_policies", Value::Long(direct.count));
                user.set("quarantine", Value::Text(Arc::from(direct.quarantine.as_str())));
            }
        }
        let found = vec![
            ("Aws::AccessKey", report.keys),
            ("Aws::Account", vec![Resource::new(self.place.account.as_str().into(), account)]),
            ("Aws::Credential", report.credentials),
            ("Aws::OidcRole", details.oidc_roles()),
            ("Aws::Policy", std::mem::take(&mut details.policies)),
            ("Aws::Principal", details.principals()),
            ("Aws::User", report.users),
        ];
        collection.end(clock, found)
    }
}
