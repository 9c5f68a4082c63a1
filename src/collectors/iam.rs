//! AWS IAM: the account, its users, credentials and policies, from the credential report, the authorization details, the summary and
//! the password policy. No call per user.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_iam::types::SummaryKeyType;
use aws_sdk_iam::{Client, config};
use serde_json::json;

use super::iam_details;
use crate::model::blob::Blob;
use crate::model::catalog::AwsSource;
use crate::model::id::SourceId;
use crate::model::receipt::{Operation, RawRef, Receipt};
use crate::model::snapshot::{Attribute, Completeness, Population, Resource, Unseen, Value};
use crate::model::time::Timestamp;
use crate::transport::aws::{Failure, Wire, WireLog, identity};
use crate::world::{Clock, Collected, Collector, ErrorClass};

/// Milliseconds between asking for the report; after the last ask it counts as not ready.
const WAITS: [u64; 6] = [0, 250, 500, 1000, 1000, 2000];
/// What AWS requires of a password in an account without a policy of its own.
const DEFAULT_PASSWORD_LENGTH: i64 = 8;

/// Reads the users and credentials of one account.
pub struct Iam {
    source: SourceId,
    account: String,
    scope: String,
    config: SdkConfig,
}

/// One call's answer, or why there is none.
type Answer<T> = Result<T, (Unseen, String)>;

/// What was read so far.
#[derive(Default)]
struct Seen {
    account: Vec<Attribute>,
    users: Vec<Resource>,
    keys: Vec<Resource>,
    credentials: Vec<Resource>,
    policies: Vec<Resource>,
    operations: Vec<Operation>,
    raw: Vec<Blob>,
    refs: Vec<RawRef>,
    /// Users, by the account summary.
    count: Option<u64>,
    /// The first thing that was not seen.
    gap: Option<(Unseen, String)>,
}

impl Iam {
    /// A collector of `aws`, named `source`, that calls with `config`.
    #[must_use]
    pub fn new(source: SourceId, aws: &AwsSource, config: SdkConfig) -> Self {
        Self { source, account: aws.account.clone(), scope: format!("{}/global", aws.account), config }
    }

    fn failed(&self, doing: &str, failure: &Failure) -> (Unseen, String) {
        (failure.unseen(), format!("could not {doing} of {}: {failure}", self.scope))
    }

    async fn summary(&self, client: &Client) -> Answer<HashMap<SummaryKeyType, i32>> {
        let answer = client.get_account_summary().send().await;
        let answer = answer.map_err(|error| self.failed("read the account summary", &Failure::of(&error)))?;
        Ok(answer.summary_map.unwrap_or_default())
    }

    /// Minimum length and passwords remembered.
    async fn password_policy(&self, client: &Client) -> Answer<(i64, i64)> {
        match client.get_account_password_policy().send().await {
            Ok(answer) => {
                let policy = answer.password_policy.as_ref();
                let length = policy.and_then(|policy| policy.minimum_password_length()).map(i64::from);
                let reuse = policy.and_then(|policy| policy.password_reuse_prevention()).map(i64::from);
                Ok((length.unwrap_or(DEFAULT_PASSWORD_LENGTH), reuse.unwrap_or_default()))
            }
            Err(error) => match Failure::of(&error) {
                failure if failure.class() == ErrorClass::NotFound => Ok((DEFAULT_PASSWORD_LENGTH, 0)),
                failure => Err(self.failed("read the password policy", &failure)),
            },
        }
    }

    async fn report(&self, client: &Client) -> Answer<Vec<u8>> {
        for wait in WAITS {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let failure = match client.get_credential_report().send().await {
                Ok(answer) => return Ok(answer.content.map(|content| content.into_inner()).unwrap_or_default()),
                Err(error) => Failure::of(&error),
            };
            if !failure
                .code
                .as_deref()
                .is_some_and(|code| code.starts_with("ReportInProgress") || code.starts_with("ReportNotPresent"))
            {
                return Err(self.failed("read the credential report", &failure));
            }
        }
        Err((Unseen::NotReady, format!("the credential report of {} is still being made", self.scope)))
    }

    fn folder(&self) -> String {
        format!("{}/iam/{}", self.source, self.scope)
    }

    async fn read(&self, client: &Client, wire: &Wire, seen: &mut Seen) {
        self.read_account(client, wire, seen).await;
        self.read_report(client, wire, seen).await;
        let (details, gap) = iam_details::read(client, wire, &self.scope, &self.folder()).await;
        let items = (details.users.len() + details.policies.len()) as u64;
        let parameters = json!({ "Filter": ["User", "Group", "Role", "LocalManagedPolicy"], "MaxItems": iam_details::PAGE });
        seen.operations.push(wire.take().operation("iam:GetAccountAuthorizationDetails", parameters, details.pages, items));
        for user in &mut seen.users {
            if let Some(direct) = details.users.get(user.id.as_str()) {
                user.set("direct_policies", Value::Long(*direct));
            }
        }
        let users = details.users.len() as u64;
        if let Some(gap) = gap {
            seen.miss(gap);
        } else if seen.count.is_some_and(|count| count != users) {
            let detail =
                format!("the authorization details of {} have {users} users, the account summary another number", self.scope);
            seen.miss((Unseen::Inconsistent, detail));
        }
        seen.policies = details.policies;
        seen.raw.extend(details.raw);
        seen.refs.extend(details.refs);
    }

    async fn read_account(&self, client: &Client, wire: &Wire, seen: &mut Seen) {
        let summary = self.summary(client).await;
        let count = summary.as_ref().ok().and_then(|all| all.get(&SummaryKeyType::Users));
        seen.count = count.and_then(|count| u64::try_from(*count).ok());
        seen.log("iam:GetAccountSummary", u64::from(summary.is_ok()), u64::from(summary.is_ok()), wire.take());
        match summary {
            Ok(all) => seen.summary(&all),
            Err(gap) => seen.miss(gap),
        }
        let policy = self.password_policy(client).await;
        seen.log("iam:GetAccountPasswordPolicy", u64::from(policy.is_ok()), u64::from(policy.is_ok()), wire.take());
        match policy {
            Ok((length, reuse)) => seen.account.extend([
                ("min_password_length".into(), Value::Long(length)),
                ("password_reuse_prevention".into(), Value::Long(reuse)),
            ]),
            Err(gap) => seen.miss(gap),
        }
    }

    async fn read_report(&self, client: &Client, wire: &Wire, seen: &mut Seen) {
        let ordered = client.generate_credential_report().send().await;
        seen.log("iam:GenerateCredentialReport", u64::from(ordered.is_ok()), 0, wire.take());
        let report = match ordered {
            Ok(_) => self.report(client).await,
            Err(error) => Err(self.failed("order the credential report", &Failure::of(&error))),
        };
        let whole = report.as_ref().is_ok_and(|bytes| seen.rows(&String::from_utf8_lossy(bytes)));
        let users = seen.users.len() as u64;
        seen.log("iam:GetCredentialReport", u64::from(report.is_ok()), users, wire.take());
        let bytes = match report {
            Ok(bytes) => bytes,
            Err(gap) => return seen.miss(gap),
        };
        seen.refs.push(RawRef::new(format!("{}/credential-report.csv", self.folder()), &bytes, &bytes, Vec::new()));
        seen.raw.push(Blob::compressed(&bytes));
        if !whole {
            seen.miss((Unseen::Inconsistent, format!("a row of the credential report of {} cannot be read", self.scope)));
        } else if seen.count.is_some_and(|count| count != users) {
            // The report may be up to four hours old.
            let detail = format!("the credential report of {} has {users} users, the account summary another number", self.scope);
            seen.miss((Unseen::Inconsistent, detail));
        }
    }

    fn populations(&self, seen: &mut Seen, completeness: &Completeness) -> Vec<Population> {
        let account = Resource::new(self.account.as_str().into(), std::mem::take(&mut seen.account));
        let kinds = [
            ("Aws::AccessKey", std::mem::take(&mut seen.keys)),
            ("Aws::Account", vec![account]),
            ("Aws::Credential", std::mem::take(&mut seen.credentials)),
            ("Aws::Policy", std::mem::take(&mut seen.policies)),
            ("Aws::User", std::mem::take(&mut seen.users)),
        ];
        let population = |(entity, mut resources): (&str, Vec<Resource>)| {
            resources.sort_by(|a, b| a.id.cmp(&b.id));
            let (source, scope) = (self.source.clone(), self.scope.clone());
            Population { source, scope, entity: entity.into(), completeness: completeness.clone(), resources }
        };
        kinds.into_iter().map(population).collect()
    }
}

impl Seen {
    fn log(&mut self, name: &str, pages: u64, items: u64, log: WireLog) {
        self.operations.push(log.operation(name, json!({}), pages, items));
    }

    fn miss(&mut self, gap: (Unseen, String)) {
        self.gap.get_or_insert(gap);
    }

    fn summary(&mut self, all: &HashMap<SummaryKeyType, i32>) {
        let get = |key| all.get(&key).copied().map(i64::from);
        let facts = [
            ("root_access_keys", get(SummaryKeyType::AccountAccessKeysPresent).map(Value::Long)),
            ("root_mfa", get(SummaryKeyType::AccountMfaEnabled).map(|on| Value::Bool(on > 0))),
            ("has_iam_users", get(SummaryKeyType::Users).map(|users| Value::Bool(users > 0))),
        ];
        self.account.extend(facts.into_iter().filter_map(|(name, value)| Some((name.into(), value?))));
    }

    /// Reads the report; false when a row has another number of cells than the head.
    fn rows(&mut self, report: &str) -> bool {
        let mut lines = report.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let mut whole = head.contains(&"arn");
        for line in lines.filter(|line| !line.is_empty()) {
            let cells: Vec<&str> = line.split(',').collect();
            if cells.len() == head.len() {
                let row: Row<'_> = head.iter().copied().zip(cells).collect();
                if row.get("user") == Some(&"<root_account>") { self.root(&row) } else { self.user(&row) }
            } else {
                whole = false;
            }
        }
        whole
    }

    fn root(&mut self, row: &Row<'_>) {
        let uses = ["password_last_used", "access_key_1_last_used_date", "access_key_2_last_used_date"];
        let last = uses.iter().filter_map(|column| time(row, column)).max();
        self.account.push(("root_ever_used".into(), Value::Bool(last.is_some())));
        self.account.extend(last.map(|at| ("root_last_used".into(), Value::Time(at))));
    }

    fn user(&mut self, row: &Row<'_>) {
        let arn = row.get("arn").copied().unwrap_or_default();
        let console = is_true(row, "password_enabled");
        let mut newest = None;
        let mut active_keys = 0;
        if console {
            self.credential(&format!("{arn}#password"), true, time(row, "password_last_changed"), time(row, "password_last_used"));
        }
        for slot in ["access_key_1", "access_key_2"] {
            // A slot without a date holds no key.
            let Some(created) = time(row, &format!("{slot}_last_rotated")) else { continue };
            let active = is_true(row, &format!("{slot}_active"));
            let id = format!("{arn}#{slot}");
            self.credential(&id, active, Some(created), time(row, &format!("{slot}_last_used_date")));
            let key = vec![("active".into(), Value::Bool(active)), ("created".into(), Value::Time(created))];
            self.keys.push(Resource::new(id.into(), key));
            active_keys += i64::from(active);
            newest = newest.max(Some(created));
        }
        let mut user = vec![
            ("active_keys".into(), Value::Long(active_keys)),
            ("console_access".into(), Value::Bool(console)),
            ("mfa_active".into(), Value::Bool(is_true(row, "mfa_active"))),
        ];
        user.extend(newest.map(|at| ("newest_key_created".into(), Value::Time(at))));
        self.users.push(Resource::new(arn.into(), user));
    }

    fn credential(&mut self, id: &str, enabled: bool, created: Option<Timestamp>, used: Option<Timestamp>) {
        let mut facts: Vec<Attribute> = vec![("enabled".into(), Value::Bool(enabled))];
        facts.extend(created.map(|at| ("created".into(), Value::Time(at))));
        facts.extend(used.map(|at| ("last_activity".into(), Value::Time(at))));
        self.credentials.push(Resource::new(id.into(), facts));
    }
}

/// One row of the report by column name.
type Row<'a> = HashMap<&'a str, &'a str>;

fn is_true(row: &Row<'_>, column: &str) -> bool {
    row.get(column).is_some_and(|cell| cell.eq_ignore_ascii_case("true"))
}

fn time(row: &Row<'_>, column: &str) -> Option<Timestamp> {
    row.get(column)?.parse().ok()
}

#[async_trait]
impl Collector for Iam {
    fn name(&self) -> &'static str {
        "iam"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &str {
        &self.scope
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        let (caller, who, asked) = identity(&self.config, &self.account, &self.scope).await;
        let mut seen = Seen::default();
        let source_clock = asked.clock;
        let answered = u64::from(caller.is_some());
        seen.log("sts:GetCallerIdentity", answered, answered, asked);
        let wire = Wire::default();
        let client = Client::from_conf(config::Builder::from(&self.config).interceptor(wire.clone()).build());
        // INVARIANT: another account is never read as this one.
        let foreign = matches!(who, Completeness::Incomplete { cause: Unseen::Inconsistent, .. });
        if !foreign {
            self.read(&client, &wire, &mut seen).await;
        }
        let completeness = match (who, seen.gap.take()) {
            (Completeness::Complete, Some((cause, detail))) => Completeness::Incomplete { cause, detail },
            (who, _) => who,
        };
        let populations = self.populations(&mut seen, &completeness);
        let receipt = Receipt {
            source: self.source.clone(),
            collector: self.name().to_owned(),
            scope: self.scope.clone(),
            caller,
            completeness,
            operations: seen.operations,
            independent_count: seen.count,
            source_clock,
            started,
            ended: clock.now(),
            raw: seen.refs,
        };
        Collected { populations, receipt, raw: seen.raw }
    }
}
