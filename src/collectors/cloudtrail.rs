//! AWS `CloudTrail`: the trails whose home is one region: one `DescribeTrails`, then `GetTrailStatus` and `GetEventSelectors` once for
//! each trail, of which a region has at most five.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use aws_sdk_cloudtrail::types::{AdvancedEventSelector, EventSelector, ReadWriteType, Trail};
use aws_sdk_cloudtrail::{Client, config};
use serde_json::json;

use super::aws::{Collection, Kept, Place};
use crate::model::catalog::AwsSource;
use crate::model::id::SourceId;
use crate::model::receipt::Redacted;
use crate::model::snapshot::{Resource, Value};
use crate::transport::aws::{Failure, Wire, instant};
use crate::world::{Clock, Collected, Collector, ErrorClass};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[(
    "Aws::Trail",
    &[
        "delivery_error",
        "global_events",
        "kms_encrypted",
        "last_delivery",
        "logging",
        "multi_region",
        "read_write",
        "validation_enabled",
    ],
)];

/// Reads the trails of one account and region.
pub struct CloudTrail {
    place: Place,
    region: String,
    /// Every region in scope; the first also reads the trails whose home is none of them.
    regions: Vec<String>,
}

/// A trail by its ARN, and what is known of it.
type Known = (String, Resource);

impl CloudTrail {
    /// A collector of `region` of `aws`, named `source`, that calls with `config`.
    #[must_use]
    pub fn new(source: SourceId, aws: &AwsSource, region: &str, config: SdkConfig) -> Self {
        Self { place: Place::new(source, aws, region, config), region: region.to_owned(), regions: aws.regions.clone() }
    }

    async fn read(&self, collection: &mut Collection<'_>) -> Vec<Resource> {
        let wire = Wire::keeping();
        let client = Client::from_conf(config::Builder::from(&self.place.config).interceptor(wire.clone()).build());
        let mut trails = self.trails(&client, &wire, collection).await;
        let mut answered = 0;
        for (at, (arn, trail)) in trails.iter_mut().enumerate() {
            let answer = client.get_trail_status().name(arn.as_str()).send().await;
            collection.keep(&wire, &format!("status-{:04}.json", at + 1), answer.is_ok(), redact);
            match answer {
                Ok(answer) => {
                    answered += 1;
                    status(trail, &answer, collection);
                }
                Err(error) => failed(collection, "read the status of a trail", &Failure::of(&error)),
            }
        }
        collection.log("cloudtrail:GetTrailStatus", json!({}), answered, wire.take());
        let mut answered = 0;
        for (at, (arn, trail)) in trails.iter_mut().enumerate() {
            let answer = client.get_event_selectors().trail_name(arn.as_str()).send().await;
            collection.keep(&wire, &format!("selectors-{:04}.json", at + 1), answer.is_ok(), redact);
            match answer {
                Ok(answer) => {
                    answered += 1;
                    match read_write(&answer) {
                        Some(kind) => trail.set("read_write", Value::Text(kind.into())),
                        None => collection.doubt("a trail has no event selectors"),
                    }
                }
                Err(error) => failed(collection, "read the event selectors of a trail", &Failure::of(&error)),
            }
        }
        collection.log("cloudtrail:GetEventSelectors", json!({}), answered, wire.take());
        trails.into_iter().map(|(_, trail)| trail).collect()
    }

    /// The trails that are ours to read here. Copies are asked for too: the list of a member account has its organization's trail, and
    /// that of any region each trail of many regions, as a copy alone.
    async fn trails(&self, client: &Client, wire: &Wire, collection: &mut Collection<'_>) -> Vec<Known> {
        let mut known = Vec::new();
        let answer = client.describe_trails().include_shadow_trails(true).send().await;
        collection.keep(wire, "trails.json", answer.is_ok(), redact);
        match answer {
            Ok(answer) => {
                if answer.trail_list.is_none() {
                    collection.doubt("the answer has no list of trails");
                }
                for trail in answer.trail_list() {
                    match self.known(trail) {
                        Some(ours) => known.extend(ours),
                        None => collection.doubt("a trail is listed without its ARN, its home or its settings"),
                    }
                }
            }
            Err(error) => failed(collection, "list trails", &Failure::of(&error)),
        }
        let parameters = json!({ "IncludeShadowTrails": true });
        collection.log("cloudtrail:DescribeTrails", parameters, known.len() as u64, wire.take());
        known
    }

    /// What the list says of `trail`: `None` when it says too little, `Some(None)` when another region reads it.
    fn known(&self, trail: &Trail) -> Option<Option<Known>> {
        let (arn, home) = (trail.trail_arn()?, trail.home_region()?);
        let elsewhere = !self.regions.iter().any(|region| region == home) && self.regions.first() == Some(&self.region);
        if home != self.region && !elsewhere {
            return Some(None);
        }
        let attributes = vec![
            ("global_events".into(), Value::Bool(trail.include_global_service_events()?)),
            // The key of a trail is always one of the customer's, and left out when there is none.
            ("kms_encrypted".into(), Value::Bool(trail.kms_key_id().is_some_and(|key| !key.is_empty()))),
            ("multi_region".into(), Value::Bool(trail.is_multi_region_trail()?)),
            ("validation_enabled".into(), Value::Bool(trail.log_file_validation_enabled()?)),
        ];
        // The trail of an organization is one more thing to judge in each account that relies on it.
        let own = arn.split(':').nth(4) == Some(self.place.account.as_str());
        let id = if own { arn.to_owned() } else { format!("{arn}#{}", self.place.account) };
        Some(Some((arn.to_owned(), Resource::new(id.into(), attributes))))
    }
}

fn status(trail: &mut Resource, answer: &GetTrailStatusOutput, collection: &mut Collection<'_>) {
    // Left out when the last delivery went well.
    trail.set("delivery_error", Value::Text(answer.latest_delivery_error().unwrap_or_default().into()));
    if let Some(at) = instant(answer.latest_delivery_time()) {
        trail.set("last_delivery", at);
    }
    match answer.is_logging() {
        Some(logging) => trail.set("logging", Value::Bool(logging)),
        None => collection.doubt("the status of a trail does not say whether it logs"),
    }
}

fn failed(collection: &mut Collection<'_>, doing: &str, failure: &Failure) {
    // A trail that was listed and is gone.
    match failure.class() {
        ErrorClass::NotFound => collection.doubt(&format!("could not {doing} that was listed: {failure},")),
        _ => collection.failed(doing, failure),
    }
}

/// Which management events a trail logs, in the words of `ReadWriteType`, `Part` when some of their sources are left out, and `None`;
/// nothing when the answer has no selectors of either kind.
fn read_write(answer: &GetEventSelectorsOutput) -> Option<&'static str> {
    if answer.event_selectors.is_none() && answer.advanced_event_selectors.is_none() {
        return None;
    }
    let basic = answer.event_selectors().iter().filter_map(of_basic);
    let advanced = answer.advanced_event_selectors().iter().filter_map(of_advanced);
    let logged: Vec<Logged> = basic.chain(advanced).collect();
    let has = |events: fn(&Logged) -> bool| logged.iter().any(|selector| !selector.part && events(selector));
    Some(match (has(|selector| selector.reads), has(|selector| selector.writes)) {
        (true, true) => "All",
        (true, false) => "ReadOnly",
        (false, true) => "WriteOnly",
        (false, false) if logged.is_empty() => "None",
        (false, false) => "Part",
    })
}

/// The management events one selector takes.
struct Logged {
    reads: bool,
    writes: bool,
    part: bool,
}

fn of_basic(selector: &EventSelector) -> Option<Logged> {
    // Both default to the wider choice; AWS says so and always answers them.
    if selector.include_management_events() != Some(true) {
        return None;
    }
    let kind = selector.read_write_type()?;
    let part = !selector.exclude_management_event_sources().is_empty();
    Some(Logged { reads: *kind != ReadWriteType::WriteOnly, writes: *kind != ReadWriteType::ReadOnly, part })
}

fn of_advanced(selector: &AdvancedEventSelector) -> Option<Logged> {
    let fields = selector.field_selectors();
    let is = |name: &str, value: &str| {
        fields.iter().any(|field| field.field() == name && field.equals().iter().any(|one| one.eq_ignore_ascii_case(value)))
    };
    if !is("eventCategory", "Management") {
        return None;
    }
    let part = fields.iter().any(|field| !matches!(field.field(), "eventCategory" | "readOnly"));
    Some(Logged { reads: !is("readOnly", "false"), writes: !is("readOnly", "true"), part })
}

/// `body` without the names of advanced selectors, which may hold anything.
fn redact(body: &[u8]) -> Kept<'_> {
    let mut answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut removed = 0;
    for selector in answer.get_mut("AdvancedEventSelectors").and_then(|all| all.as_array_mut()).into_iter().flatten() {
        removed += u64::from(selector.as_object_mut().is_some_and(|selector| selector.remove("Name").is_some()));
    }
    if removed == 0 {
        return Some((body.into(), Redacted::new()));
    }
    Some((serde_json::to_vec(&answer).ok()?.into(), Redacted::from([("/AdvancedEventSelectors/*/Name".to_owned(), removed)])))
}

#[async_trait]
impl Collector for CloudTrail {
    fn name(&self) -> &'static str {
        "cloudtrail"
    }

    fn source(&self) -> &SourceId {
        &self.place.source
    }

    fn scope(&self) -> &str {
        &self.place.scope
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let mut collection = self.place.begin(self.name(), clock).await;
        let trails = if collection.may_read() { self.read(&mut collection).await } else { Vec::new() };
        collection.end(clock, vec![("Aws::Trail", trails)])
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::types::AdvancedFieldSelector;

    use super::*;

    fn basic(kind: ReadWriteType, management: bool, without: &[&str]) -> EventSelector {
        let without = without.iter().map(|&source| source.to_owned()).collect();
        let selector = EventSelector::builder().read_write_type(kind).include_management_events(management);
        selector.set_exclude_management_event_sources(Some(without)).build()
    }

    fn advanced(fields: &[(&str, &str)]) -> AdvancedEventSelector {
        let field = |(name, value): &(&str, &str)| AdvancedFieldSelector::builder().field(*name).equals(*value).build().unwrap();
        AdvancedEventSelector::builder().set_field_selectors(Some(fields.iter().map(field).collect())).build().unwrap()
    }

    fn logged(basic: Option<Vec<EventSelector>>, advanced: Option<Vec<AdvancedEventSelector>>) -> Option<&'static str> {
        let answer = GetEventSelectorsOutput::builder().set_event_selectors(basic).set_advanced_event_selectors(advanced);
        read_write(&answer.build())
    }

    #[test]
    fn a_trail_logs_all_management_events_only_when_its_selectors_leave_none_out() {
        use ReadWriteType::{All, ReadOnly, WriteOnly};
        for (selectors, want) in [
            (vec![basic(All, true, &[])], "All"),
            (vec![basic(ReadOnly, true, &[]), basic(WriteOnly, true, &[])], "All"),
            (vec![basic(WriteOnly, true, &[])], "WriteOnly"),
            (vec![basic(All, true, &["kms.amazonaws.com"])], "Part"),
            (vec![basic(All, true, &["kms.amazonaws.com"]), basic(ReadOnly, true, &[])], "ReadOnly"),
            (vec![basic(All, false, &[])], "None"),
            (vec![], "None"),
        ] {
            assert_eq!(logged(Some(selectors.clone()), None), Some(want), "{selectors:?}");
        }
        let management = ("eventCategory", "Management");
        for (fields, want) in [
            (vec![management], "All"),
            (vec![management, ("readOnly", "true")], "ReadOnly"),
            (vec![management, ("readOnly", "false")], "WriteOnly"),
            (vec![management, ("eventSource", "s3.amazonaws.com")], "Part"),
            (vec![("eventCategory", "Data")], "None"),
        ] {
            assert_eq!(logged(None, Some(vec![advanced(&fields)])), Some(want), "{fields:?}");
        }
        assert_eq!(logged(None, None), None);
    }
}
