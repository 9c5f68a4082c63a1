//! AWS Secrets Manager: the list of secrets of one region, with their metadata and never a value.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::SecretListEntry;
use aws_sdk_secretsmanager::{Client, config};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::aws::{Collection, Kept, Place, Tokens};
use crate::model::catalog::AwsSource;
use crate::model::id::{ResourceId, SourceId};
use crate::model::snapshot::{Fact, Resource, Unseen, Value};
use crate::transport::aws::{Failure, ROTATED_TAG, Wire, instant};
use crate::world::{Clock, Collected, Collector, PENDING};

/// Secrets a page: the most that `ListSecrets` gives.
const PAGE: i32 = 100;
/// Tags whose values are kept; all others may hold anything.
const TAGS: [&str; 3] = ["owner", "tier", ROTATED_TAG];

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[(
    "Aws::Secret",
    &[
        "created",
        "deleting",
        "has_pending",
        "is_replica",
        "last_changed",
        "last_rotated",
        "managed_by",
        "name",
        "owner",
        "pending_since",
        "rotation_enabled",
        "rotation_rule",
        "slm_pending",
        "tier",
        "version",
    ],
)];

/// Reads the secrets of one account and region.
pub struct SecretsManager {
    place: Place,
    region: String,
}

impl SecretsManager {
    /// A collector of `region` of `aws`, named `source`, that calls with `config`.
    #[must_use]
    pub fn new(source: SourceId, aws: &AwsSource, region: &str, config: SdkConfig) -> Self {
        Self { place: Place::new(source, aws, region, config), region: region.to_owned() }
    }

    async fn read(&self, collection: &mut Collection<'_>) -> Vec<Resource> {
        let wire = Wire::default();
        let client = Client::from_conf(config::Builder::from(&self.place.config).interceptor(wire.clone()).build());
        let scope = &self.place.scope;
        let (mut found, mut items, mut number) = (Vec::new(), 0, 0);
        let (mut token, mut tokens) = (None, Tokens::default());
        let gap = loop {
            number += 1;
            let request = client.list_secrets().max_results(PAGE).include_planned_deletion(true).set_next_token(token);
            let page = match request.send().await {
                Ok(page) => page,
                Err(error) => {
                    let failure = Failure::of(&error);
                    break Some((failure.unseen(), format!("could not list secrets of {scope}, page {number}: {failure}")));
                }
            };
            collection.keep(&wire, &format!("{number:04}.json"), redact);
            let before = found.len();
            found.extend(page.secret_list().iter().filter_map(|entry| resource(entry, &self.region)));
            items += page.secret_list().len();
            if found.len() - before < page.secret_list().len() {
                let detail = format!("page {number} of the secrets of {scope} names a secret without an ARN");
                break Some((Unseen::Inconsistent, detail));
            }
            match tokens.next(page.next_token().is_some(), page.next_token()) {
                Ok(None) => break None,
                Ok(next) => token = next,
                Err(wrong) => break Some((Unseen::Inconsistent, format!("the secrets of {scope}, page {number}: {wrong}"))),
            }
        };
        gap.into_iter().for_each(|gap| collection.miss(gap));
        let parameters = json!({ "IncludePlannedDeletion": true, "MaxResults": PAGE });
        collection.log("secretsmanager:ListSecrets", parameters, items as u64, wire.take());
        sorted(found)
    }
}

#[async_trait]
impl Collector for SecretsManager {
    fn name(&self) -> &'static str {
        "secrets-manager"
    }

    fn source(&self) -> &SourceId {
        &self.place.source
    }

    fn scope(&self) -> &str {
        &self.place.scope
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let mut collection = self.place.begin(self.name(), clock).await;
        let secrets = if collection.may_read() { self.read(&mut collection).await } else { Vec::new() };
        collection.end(clock, vec![("Aws::Secret", secrets)])
    }
}

/// `resources` by id; of one that was listed twice, as when it moved between pages, what was listed last.
fn sorted(mut resources: Vec<Resource>) -> Vec<Resource> {
    // In place: a stable sort of the resources themselves wants room for all of them once more, just when most is held.
    let mut order: Vec<usize> = (0..resources.len()).collect();
    order.sort_by(|a, b| resources[*a].id.cmp(&resources[*b].id));
    for at in 0..order.len() {
        let mut from = order[at];
        while from < at {
            // What was there has been swapped away since.
            from = order[from];
        }
        resources.swap(at, from);
    }
    resources.dedup_by(|later, kept| {
        let same = later.id == kept.id;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    resources.shrink_to_fit();
    resources
}

fn moment(at: Option<&DateTime>) -> Option<Fact<'static>> {
    match instant(at) {
        Some(Value::Time(at)) => Some(Fact::Time(at)),
        _ => None,
    }
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
    let noted = noted.and_then(|(_, at)| at.parse().ok()).map(Fact::Time);
    // By name, as `Resource::of` wants them.
    let facts = [
        ("created", moment(entry.created_date())),
        ("deleting", Some(Fact::Bool(entry.deleted_date().is_some()))),
        ("has_pending", pending.map(Fact::Bool)),
        ("is_replica", Some(Fact::Bool(entry.primary_region().is_some_and(|primary| primary != region)))),
        ("last_changed", moment(entry.last_changed_date())),
        ("last_rotated", noted.or_else(|| moment(entry.last_rotated_date()))),
        ("managed_by", Some(Fact::Text(entry.owning_service().unwrap_or_default()))),
        ("name", entry.name().map(Fact::Text)),
        ("owner", Some(Fact::Text(tag("owner")))),
        ("rotation_enabled", Some(Fact::Bool(entry.rotation_enabled().unwrap_or_default()))),
        ("rotation_rule", rule.as_deref().map(Fact::Text)),
        ("slm_pending", ours.map(Fact::Bool)),
        ("tier", Some(Fact::Text(tag("tier")))),
        ("version", current.map(|id| Fact::Text(id))),
    ];
    let known: Vec<_> = facts.into_iter().filter_map(|(name, fact)| fact.map(|fact| (name, fact))).collect();
    Some(Resource::of(id, &known))
}

/// The parts of a page that may hold anything, where they stand in it.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(rename = "SecretList", borrow)]
    list: Option<Vec<Listed<'a>>>,
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(rename = "Description", borrow)]
    description: Option<&'a RawValue>,
    #[serde(rename = "Tags", borrow)]
    tags: Option<Vec<Tag<'a>>>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "Key", borrow, default)]
    key: Cow<'a, str>,
    #[serde(rename = "Value", borrow)]
    value: Option<&'a RawValue>,
}

/// `body` without descriptions and without the values of tags other than [`TAGS`], and the pointers of what was removed, `*` for
/// any index. What is kept is kept byte by byte; a body that is no page is not kept at all.
fn redact(body: &[u8]) -> Kept<'_> {
    let page: Page<'_> = serde_json::from_slice(body).ok()?;
    let mut removed = BTreeSet::new();
    let mut cuts = Vec::new();
    for secret in page.list.iter().flatten() {
        if let Some(value) = secret.description {
            removed.insert("/SecretList/*/Description");
            cuts.push(member(body, value)?);
        }
        for value in secret.tags.iter().flatten().filter(|tag| !TAGS.contains(&&*tag.key)).filter_map(|tag| tag.value) {
            removed.insert("/SecretList/*/Tags/*/Value");
            cuts.push(member(body, value)?);
        }
    }
    if cuts.is_empty() {
        return Some((Cow::Borrowed(body), Vec::new()));
    }
    cuts.sort_unstable_by_key(|cut| cut.start);
    let mut kept = Vec::with_capacity(body.len());
    let mut at = 0;
    for cut in cuts {
        kept.extend_from_slice(body.get(at..cut.start)?);
        at = cut.end;
    }
    kept.extend_from_slice(body.get(at..)?);
    Some((Cow::Owned(kept), removed.into_iter().map(str::to_owned).collect()))
}

/// Where the member of an object that ends in `value` stands in `body`: its name, the value and one comma. `value` is a part of
/// `body`, and its name has no quote in it.
fn member(body: &[u8], value: &RawValue) -> Option<Range<usize>> {
    let first = (value.get().as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let before = |end: usize| body.get(..end)?.iter().rposition(|byte| !blank(byte));
    let colon = before(first).filter(|at| body[*at] == b':')?;
    let closing = before(colon).filter(|at| body[*at] == b'"')?;
    let opening = body[..closing].iter().rposition(|byte| *byte == b'"')?;
    let last = first + value.get().len();
    let next = last + body.get(last..)?.iter().position(|byte| !blank(byte))?;
    if body[next] == b',' {
        return Some(opening..next + 1);
    }
    let previous = before(opening)?;
    Some(if body[previous] == b',' { previous..last } else { opening..last })
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
            String::from_utf8_lossy(&kept),
            r#"{"SecretList":[{"Name":"a","Tags":[{"Key":"owner","Value":"ops"},{"Key":"k"}]}]}"#
        );
        assert_eq!(redacted, ["/SecretList/*/Description", "/SecretList/*/Tags/*/Value"]);
    }

    #[test]
    fn what_stays_of_a_page_stays_byte_by_byte() {
        for (body, wanted) in [
            (r#"{ "SecretList" : [] }"#, r#"{ "SecretList" : [] }"#),
            (r#"{"SecretList":[{"Description":"\"}, x"}]}"#, r#"{"SecretList":[{}]}"#),
            (r#"{"SecretList":[{"CreatedDate":1.70E9 , "Description" : "x" }]}"#, r#"{"SecretList":[{"CreatedDate":1.70E9  }]}"#),
            (r#"{"SecretList":[{ "Description" :{"a":[1]}, "Name":"é"}]}"#, r#"{"SecretList":[{  "Name":"é"}]}"#),
            (
                r#"{"SecretList":[{"Tags":[{"Value":"x","Key":"k"},{"Value":"x"}]}]}"#,
                r#"{"SecretList":[{"Tags":[{"Key":"k"},{}]}]}"#,
            ),
            (r#"{"SecretList":[{"Tags":null,"D\u0065scription":"x"}]}"#, r#"{"SecretList":[{"Tags":null}]}"#),
        ] {
            assert_eq!(String::from_utf8_lossy(&redact(body.as_bytes()).unwrap().0), wanted);
        }
    }

    #[test]
    fn what_is_no_page_is_not_kept() {
        for body in ["", "{", r#"{"SecretList":[{"Description":"x","Description":"y"}]}"#, r#"{"SecretList":"x"}"#] {
            assert!(redact(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn of_a_secret_listed_twice_the_last_is_kept() {
        let secret =
            |arn: &str, name: &str| resource(&SecretListEntry::builder().arn(arn).name(name).build(), "eu-west-1").unwrap();
        let all = sorted(vec![secret("b", "one"), secret("a", "two"), secret("b", "three")]);
        assert_eq!(
            all.iter().map(|it| (it.id.as_str(), it.text("name").unwrap())).collect::<Vec<_>>(),
            [("a", "two"), ("b", "three")]
        );
    }

    #[test]
    fn any_order_of_pages_comes_out_by_id() {
        let secret = |number: u32| resource(&SecretListEntry::builder().arn(format!("{number:04}")).build(), "eu-west-1").unwrap();
        let shuffled = (0..1_000_u32).map(|at| secret(at * 7_919 % 1_000)).collect();
        let wanted: Vec<String> = (0..1_000).map(|at| format!("{at:04}")).collect();
        assert_eq!(sorted(shuffled).iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), wanted);
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
