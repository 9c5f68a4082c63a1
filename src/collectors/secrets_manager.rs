//! AWS Secrets Manager: the list of secrets of one region, with their metadata and never a value.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::SecretListEntry;
use aws_sdk_secretsmanager::{Client, config};
use serde_json::json;

use super::aws::{Collection, Place};
use super::secrets_manager_bodies::redact;
use crate::model::catalog::AwsSource;
use crate::model::id::{ResourceId, SourceId};
use crate::model::names;
use crate::model::snapshot::{Fact, Resource, Unseen, Value};
use crate::transport::aws::{Failure, OWNER_TAG, ROTATED_TAG, Tokens, Wire, instant};
use crate::world::{Clock, Collected, Collector, PENDING};

/// Secrets a page: the most that `ListSecrets` gives.
const PAGE: i32 = 100;

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[(
    "Aws::Secret",
    &[
        "created",
        "deleting",
        "has_pending",
        "is_replica",
        "kms_key",
        "last_changed",
        "last_rotated",
        "managed_by",
        "name",
        "owner",
        "pending_since",
        "rotation_days",
        "rotation_enabled",
        "rotation_rule",
        "slm_owner",
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
        let wire = Wire::keeping();
        let client = Client::from_conf(config::Builder::from(&self.place.config).interceptor(wire.clone()).build());
        let scope = &self.place.scope;
        let (mut found, mut items, mut number) = (Vec::new(), 0, 0);
        let (mut token, mut tokens) = (None, Tokens::default());
        let gap = loop {
            number += 1;
            let request = client.list_secrets().max_results(PAGE).include_planned_deletion(true).set_next_token(token);
            let answer = request.send().await;
            collection.keep(&wire, &format!("{number:04}.json"), answer.is_ok(), redact);
            let page = match answer {
                Ok(page) => page,
                Err(error) => {
                    let failure = Failure::of(&error);
                    break Some((failure.unseen(), format!("could not list secrets of {scope}, page {number}: {failure}")));
                }
            };
            let Some(list) = &page.secret_list else {
                break Some((Unseen::Inconsistent, format!("page {number} of the secrets of {scope} holds no list")));
            };
            let before = found.len();
            found.extend(list.iter().filter_map(|entry| resource(entry, &self.region)));
            items += list.len();
            if found.len() - before < list.len() {
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
    let owner = Some(tag(OWNER_TAG)).filter(|owner| !owner.is_empty());
    let rule = entry.rotation_rules().and_then(|rules| {
        let days = || rules.automatically_after_days().map(|days| format!("rate({days} days)"));
        rules.schedule_expression().map(str::to_owned).or_else(days)
    });
    let stages = entry.secret_versions_to_stages();
    let has = |labels: &[String], label: &str| labels.iter().any(|have| have == label);
    let pending = stages.map(|all| all.values().any(|labels| has(labels, "AWSPENDING") && !has(labels, "AWSCURRENT")));
    let current = stages.and_then(|all| all.iter().find(|(_, labels)| has(labels, "AWSCURRENT")).map(|(id, _)| id));
    // What only holds the place of a first value is none.
    let current = current.filter(|id| id.as_str() != names::placeholder().as_str());
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
        ("kms_key", entry.kms_key_id().map(Fact::Text)),
        ("last_changed", moment(entry.last_changed_date())),
        ("last_rotated", noted.or_else(|| moment(entry.last_rotated_date()))),
        ("managed_by", Some(Fact::Text(entry.owning_service().unwrap_or_default()))),
        ("name", entry.name().map(Fact::Text)),
        ("owner", Some(Fact::Text(tag("owner")))),
        ("rotation_days", rule.as_deref().and_then(days_between).map(Fact::Long)),
        ("rotation_enabled", Some(Fact::Bool(entry.rotation_enabled().unwrap_or_default()))),
        ("rotation_rule", rule.as_deref().map(Fact::Text)),
        ("slm_owner", owner.map(Fact::Text)),
        ("slm_pending", ours.map(Fact::Bool)),
        ("tier", Some(Fact::Text(tag("tier")))),
        ("version", current.map(|id| Fact::Text(id))),
    ];
    let known: Vec<_> = facts.into_iter().filter_map(|(name, fact)| fact.map(|fact| (name, fact))).collect();
    Some(Resource::of(id, &known))
}

/// Days between two rotations of the schedule `rule`, rounded up; `None` of a calendar (`cron(…)`), whose gaps differ.
fn days_between(rule: &str) -> Option<i64> {
    let (count, unit) = rule.strip_prefix("rate(")?.strip_suffix(')')?.trim().split_once(' ')?;
    let count: u32 = count.parse().ok()?;
    match unit.trim() {
        "day" | "days" => Some(count.into()),
        "hour" | "hours" => Some(count.div_ceil(24).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::types::RotationRulesType;

    use super::*;

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

    #[test]
    fn a_secret_in_which_only_the_place_of_a_first_value_is_held_has_no_version_in_force() {
        let place = names::placeholder();
        let labels = |all: &[&str]| all.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        let seen = |slot: &[&str], held: &[&str]| {
            let entry = SecretListEntry::builder().arn("arn:x").secret_versions_to_stages(place.as_str(), labels(held));
            let seen = resource(&entry.secret_versions_to_stages("slot", labels(slot)).build(), "eu-west-1").unwrap();
            (seen.text("version").map(str::to_owned), seen.is("slm_pending"), seen.get("last_rotated").is_some())
        };
        assert_eq!(seen(&[PENDING], &["AWSCURRENT", "SLM-PLACEHOLDER"]), (None, true, false));
        let after = seen(&["AWSCURRENT", PENDING], &["AWSPREVIOUS", "SLM-PLACEHOLDER"]);
        assert_eq!(after, (Some("slot".to_owned()), false, false));
    }

    #[test]
    fn a_schedule_is_kept_as_aws_wrote_it_and_says_no_age() {
        let seen = |rules: RotationRulesType| {
            let entry = SecretListEntry::builder().arn("arn:x").rotation_enabled(true).rotation_rules(rules);
            let seen = resource(&entry.build(), "eu-west-1").unwrap();
            for name in ["created", "last_rotated"] {
                assert_eq!(seen.get(name), None, "{name} is what happened, not what was promised");
            }
            (seen.text("rotation_rule").map(str::to_owned), seen.get("rotation_days").map(Fact::owned))
        };
        let rules = RotationRulesType::builder;
        for (expression, days) in [
            ("rate(10 days)", Some(10)),
            ("rate(1 day)", Some(1)),
            ("rate(4 hours)", Some(1)),
            ("rate(25 hours)", Some(2)),
            ("cron(0 16 1,15 * ? *)", None),
            ("rate(1 fortnight)", None),
            ("rate(-1 days)", None),
        ] {
            let of = seen(rules().schedule_expression(expression).build());
            assert_eq!(of, (Some(expression.to_owned()), days.map(Value::Long)), "{expression}");
        }
        assert_eq!(seen(rules().automatically_after_days(30).build()), (Some("rate(30 days)".to_owned()), Some(Value::Long(30))));
        // AWS fills in both: the expression is what was asked for.
        let both = rules().automatically_after_days(1).schedule_expression("rate(4 hours)").build();
        assert_eq!(seen(both), (Some("rate(4 hours)".to_owned()), Some(Value::Long(1))));
        assert_eq!(seen(rules().duration("2h").build()), (None, None));
    }
}
