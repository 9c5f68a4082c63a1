//! AWS IAM: the account, its users, credentials, policies and roles, from the credential report, the authorization details, the summary
//! and the password policy. No call per user.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_iam::types::{FeatureType, SummaryKeyType};
use aws_sdk_iam::{Client, config};
use serde_json::json;

use super::aws::{Collection, Place};
use super::iam_details::{self, Details};
use super::iam_report::Report;
use crate::model::catalog::AwsSource;
use crate::model::id::SourceId;
use crate::model::snapshot::{Attribute, Resource, Unseen, Value};
use crate::transport::aws::{Failure, Wire};
use crate::world::{Clock, Collected, Collector, ErrorClass};

/// Milliseconds between asking for the report; after the last ask it counts as not ready.
const WAITS: [u64; 6] = [0, 250, 500, 1000, 1000, 2000];
/// What AWS requires of a password in an account without a policy of its own.
const DEFAULT_PASSWORD_LENGTH: i64 = 8;
/// What an account outside an organization is told, or one whose organization cannot remove root credentials.
const NOT_CENTRAL: [&str; 3] = ["OrganizationNotFound", "OrganizationNotInAllFeaturesMode", "ServiceAccessNotEnabled"];

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
        let wire = Wire::default();
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
        let all = match answer {
            Ok(answer) => {
                let map = answer.summary_map.filter(|all| !all.is_empty());
                if map.is_none() {
                    self.collection.doubt("the account summary is empty");
                }
                map
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
        let parts = [
            SummaryKeyType::AccountPasswordPresent,
            SummaryKeyType::AccountAccessKeysPresent,
            SummaryKeyType::AccountSigningCertificatesPresent,
        ]
        .map(|part| summary.get(&part).map(|count| *count > 0));
        if parts.contains(&Some(true)) {
            return self.account.push(("root_credentials_removed".into(), Value::Bool(false)));
        }
        let central = match self.client.list_organizations_features().send().await {
            Ok(answer) => answer.enabled_features.map(|all| all.contains(&FeatureType::RootCredentialsManagement)),
            Err(error) => {
                let failure = Failure::of(&error);
                let told = failure.code.as_deref().is_some_and(|code| NOT_CENTRAL.iter().any(|known| code.starts_with(known)));
                // A refusal leaves one attribute unseen; anything else may have cut off more.
                if !told && failure.unseen() != Unseen::Denied {
                    self.collection.failed("list the organization's features", &failure);
                }
                told.then_some(false)
            }
        };
        self.log("iam:ListOrganizationsFeatures", u64::from(central == Some(true)));
        let removed = match central {
            Some(true) => parts.iter().all(|part| *part == Some(false)).then_some(true),
            other => other,
        };
        self.account.extend(removed.map(|removed| ("root_credentials_removed".into(), Value::Bool(removed))));
    }

    async fn password_policy(&mut self) {
        let (length, reuse) = match self.client.get_account_password_policy().send().await {
            Ok(answer) => match answer.password_policy {
                // A policy that does not remember passwords leaves the number out.
                Some(policy) => {
                    (policy.minimum_password_length.map(i64::from), Some(policy.password_reuse_prevention.map_or(0, i64::from)))
                }
                None => {
                    self.collection.doubt("the answer about the password policy is empty");
                    (None, None)
                }
            },
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
        if let Some(text) = text {
            self.collection.keep_as("credential-report.csv", text.as_bytes(), |text| Some((text.to_vec(), Vec::new())));
        }
        if let Some(wrong) = wrong {
            self.collection.doubt(&wrong);
        }
        report
    }

    async fn report_text(&mut self) -> Option<String> {
        for wait in WAITS {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let failure = match self.client.get_credential_report().send().await {
                Ok(answer) => {
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
                user.set("direct_policies", Value::Long(*direct));
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
