//! AWS Secrets Manager: the list of secrets of one region, with their metadata and never a value.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::types::SecretListEntry;
use aws_sdk_secretsmanager::{Client, config};
use serde_json::json;

use crate::model::blob::Blob;
use crate::model::catalog::AwsSource;
use crate::model::id::{ResourceId, SourceId};
use crate::model::receipt::{RawRef, Receipt};
use crate::model::snapshot::{Completeness, Population, Resource, Unseen, Value};
use crate::transport::aws::{Failure, ROTATED_TAG, Wire, WireLog, identity, instant};
use crate::world::{Clock, Collected, Collector, PENDING};

/// Secrets a page: the most that `ListSecrets` gives.
const PAGE: i32 = 100;
/// Tags whose values are kept; all others may hold anything.
const TAGS: [&str; 3] = ["owner", "tier", ROTATED_TAG];

/// Reads the secrets of one account and region.
pub struct SecretsManager {
    source: SourceId,
    account: String,
    region: String,
    scope: String,
    config: SdkConfig,
}

/// What the pages read so far gave.
#[derive(Default)]
struct Pages {
    resources: BTreeMap<ResourceId, Resource>,
    count: u64,
    items: u64,
    raw: Vec<Blob>,
    refs: Vec<RawRef>,
}

impl SecretsManager {
    /// A collector of `region` of `aws`, named `source`, that calls with `config`.
    #[must_use]
    pub fn new(source: SourceId, aws: &AwsSource, region: &str, config: SdkConfig) -> Self {
        let scope = format!("{}/{region}", aws.account);
        Self { source, account: aws.account.clone(), region: region.to_owned(), scope, config }
    }

    async fn list(&self, pages: &mut Pages) -> (Completeness, WireLog) {
        let wire = Wire::default();
        let client = Client::from_conf(config::Builder::from(&self.config).interceptor(wire.clone()).build());
        let mut token = None;
        let mut seen = BTreeSet::new();
        let completeness = loop {
            let request = client.list_secrets().max_results(PAGE).include_planned_deletion(true).set_next_token(token);
            let page = match request.send().await {
                Ok(page) => page,
                Err(error) => {
                    let failure = Failure::of(&error);
                    let number = pages.count + 1;
                    break incomplete(
                        failure.unseen(),
                        format!("could not list secrets of {}, page {number}: {failure}", self.scope),
                    );
                }
            };
            pages.count += 1;
            if let Some(body) = wire.take_body() {
                self.keep(pages, &body);
            }
            let all = self.add(pages, page.secret_list());
            if !all {
                let detail = format!("page {} of the secrets of {} names a secret without an ARN", pages.count, self.scope);
                break incomplete(Unseen::Inconsistent, detail);
            }
            let Some(next) = page.next_token() else { break Completeness::Complete };
            if !seen.insert(next.to_owned()) {
                let detail = format!("page {} of the secrets of {} repeats a page token", pages.count, self.scope);
                break incomplete(Unseen::Inconsistent, detail);
            }
            token = Some(next.to_owned());
        };
        (completeness, wire.take())
    }

    fn add(&self, pages: &mut Pages, entries: &[SecretListEntry]) -> bool {
        let mut all = true;
        for entry in entries {
            pages.items += 1;
            match resource(entry, &self.region) {
                Some(resource) => _ = pages.resources.insert(resource.id.clone(), resource),
                None => all = false,
            }
        }
        all
    }

    fn keep(&self, pages: &mut Pages, body: &[u8]) {
        let Some((kept, redacted)) = redact(body) else { return };
        let name = format!("{}/secrets-manager/{}/{:04}.json", self.source, self.scope, pages.count);
        pages.refs.push(RawRef::new(name, body, &kept, redacted));
        pages.raw.push(Blob::compressed(&kept));
    }
}

#[async_trait]
impl Collector for SecretsManager {
    fn name(&self) -> &'static str {
        "secrets-manager"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &str {
        &self.scope
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        let (caller, mut completeness, asked) = identity(&self.config, &self.account, &self.scope).await;
        let mut source_clock = asked.clock;
        let answered = u64::from(caller.is_some());
        let mut operations = vec![asked.operation("sts:GetCallerIdentity", json!({}), answered, answered)];
        let mut pages = Pages::default();
        // INVARIANT: another account's secrets are never read as this one's.
        let foreign = matches!(completeness, Completeness::Incomplete { cause: Unseen::Inconsistent, .. });
        if !foreign {
            let (listed, log) = self.list(&mut pages).await;
            source_clock = source_clock.or(log.clock);
            let parameters = json!({ "IncludePlannedDeletion": true, "MaxResults": PAGE });
            operations.push(log.operation("secretsmanager:ListSecrets", parameters, pages.count, pages.items));
            if completeness.is_complete() {
                completeness = listed;
            }
        }
        let population = Population {
            source: self.source.clone(),
            scope: self.scope.clone(),
            entity: "Aws::Secret".into(),
            completeness: completeness.clone(),
            resources: pages.resources.into_values().collect(),
        };
        let receipt = Receipt {
            source: self.source.clone(),
            collector: self.name().to_owned(),
            scope: self.scope.clone(),
            caller,
            completeness,
            operations,
            independent_count: None,
            source_clock,
            started,
            ended: clock.now(),
            raw: pages.refs,
        };
        Collected { populations: vec![population], receipt, raw: pages.raw }
    }
}

fn incomplete(cause: Unseen, detail: String) -> Completeness {
    Completeness::Incomplete { cause, detail }
}

fn text(of: &str) -> Option<Value> {
    Some(Value::Text(of.into()))
}

/// The resource `entry` describes in `region`; `None` without an ARN.
fn resource(entry: &SecretListEntry, region: &str) -> Option<Resource> {
    let id = ResourceId::from(entry.arn()?);
    let tag = |key| entry.tags().iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value()).unwrap_or_default();
    let rule = entry.rotation_rules().and_then(|rules| {
        let days = || rules.automatically_after_days().map(|days| format!("rate({days} days)"));
        rules.schedule_expression().map(str::to_owned).or_else(days)
    });
    let stages = entry.secret_versions_to_stages();
    let has = |labels: &[String], label: &str| labels.iter().any(|have| have == label);
    let pending = stages.map(|all| all.values().any(|labels| has(labels, "AWSPENDING") && !has(labels, "AWSCURRENT")));
    let current = stages.and_then(|all| all.iter().find(|(_, labels)| has(labels, "AWSCURRENT")).map(|(id, _)| id));
    let ours = stages.map(|all| all.values().any(|labels| has(labels, PENDING) && !has(labels, "AWSCURRENT")));
    // A rotation that AWS did not drive leaves no date in the list; ours leaves a tag, true only for the version it names.
    let noted = tag(ROTATED_TAG).split_once(' ').filter(|(version, _)| Some(*version) == current.map(String::as_str));
    let noted = noted.and_then(|(_, at)| at.parse().ok()).map(Value::Time);
    let attributes = [
        ("created", instant(entry.created_date())),
        ("deleting", Some(Value::Bool(entry.deleted_date().is_some()))),
        ("has_pending", pending.map(Value::Bool)),
        ("is_replica", Some(Value::Bool(entry.primary_region().is_some_and(|primary| primary != region)))),
        ("last_changed", instant(entry.last_changed_date())),
        ("last_rotated", noted.or_else(|| instant(entry.last_rotated_date()))),
        ("managed_by", text(entry.owning_service().unwrap_or_default())),
        ("name", entry.name().and_then(text)),
        ("owner", text(tag("owner"))),
        ("rotation_enabled", Some(Value::Bool(entry.rotation_enabled().unwrap_or_default()))),
        ("rotation_rule", rule.as_deref().and_then(text)),
        ("slm_pending", ours.map(Value::Bool)),
        ("tier", text(tag("tier"))),
        ("version", current.and_then(|id| text(id))),
    ];
    let known = attributes.into_iter().filter_map(|(name, value)| value.map(|value| (name.into(), value))).collect();
    Some(Resource::new(id, known))
}

/// `body` without descriptions and without the values of tags other than [`TAGS`], and the pointers of what was removed, `*` for
/// any index. A body with nothing to remove is kept byte by byte; one that is not JSON is not kept.
fn redact(body: &[u8]) -> Option<(Vec<u8>, Vec<String>)> {
    let mut page: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut removed = BTreeSet::new();
    for secret in page.get_mut("SecretList").and_then(|list| list.as_array_mut()).into_iter().flatten() {
        if secret.as_object_mut().is_some_and(|secret| secret.remove("Description").is_some()) {
            removed.insert("/SecretList/*/Description");
        }
        for tag in secret.get_mut("Tags").and_then(|tags| tags.as_array_mut()).into_iter().flatten() {
            let kept = tag.get("Key").and_then(|key| key.as_str()).is_some_and(|key| TAGS.contains(&key));
            if !kept && tag.as_object_mut().is_some_and(|tag| tag.remove("Value").is_some()) {
                removed.insert("/SecretList/*/Tags/*/Value");
            }
        }
    }
    let kept = if removed.is_empty() { body.to_vec() } else { serde_json::to_vec(&page).ok()? };
    Some((kept, removed.into_iter().map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_anything_is_removed_and_named() {
        let body =
            br#"{"SecretList":[{"Name":"a","Description":"x1","Tags":[{"Key":"owner","Value":"ops"},{"Key":"k","Value":"x2"}]}]}"#;
        let (kept, redacted) = redact(body).unwrap();
        assert_eq!(
            String::from_utf8(kept).unwrap(),
            r#"{"SecretList":[{"Name":"a","Tags":[{"Key":"owner","Value":"ops"},{"Key":"k"}]}]}"#
        );
        assert_eq!(redacted, ["/SecretList/*/Description", "/SecretList/*/Tags/*/Value"]);
    }

    #[test]
    fn a_page_with_nothing_to_remove_is_kept_byte_by_byte() {
        let body = br#"{ "SecretList" : [] }"#;
        assert_eq!(redact(body).unwrap(), (body.to_vec(), vec![]));
    }

    #[test]
    fn what_the_list_does_not_say_is_absent() {
        let entry = SecretListEntry::builder().arn("arn:x").build();
        let seen = resource(&entry, "eu-west-1").unwrap();
        for name in ["created", "last_rotated", "last_changed", "rotation_rule", "has_pending", "version", "pending_since"] {
            assert_eq!(seen.get(name), None, "{name}");
        }
    }
}
