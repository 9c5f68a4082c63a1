//! AWS `CloudTrail`: the trails whose home is one region: one `DescribeTrails`, then `GetTrailStatus` and `GetEventSelectors` once for
//! each trail, of which a region has at most five.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::types::Trail;
use aws_sdk_cloudtrail::{Client, config};
use serde_json::json;

use crate::model::blob::Blob;
use crate::model::catalog::AwsSource;
use crate::model::id::SourceId;
use crate::model::receipt::{Operation, RawRef, Receipt};
use crate::model::snapshot::{Completeness, Population, Resource, Unseen, Value};
use crate::transport::aws::{Failure, Wire, identity, instant};
use crate::world::{Clock, Collected, Collector, ErrorClass};

/// Reads the trails of one account and region.
pub struct CloudTrail {
    source: SourceId,
    account: String,
    scope: String,
    config: SdkConfig,
}

/// What was read so far.
#[derive(Default)]
struct Seen {
    trails: Vec<Resource>,
    operations: Vec<Operation>,
    raw: Vec<Blob>,
    refs: Vec<RawRef>,
    /// The first thing that was not seen.
    gap: Option<Completeness>,
}

impl CloudTrail {
    /// A collector of `region` of `aws`, named `source`, that calls with `config`.
    #[must_use]
    pub fn new(source: SourceId, aws: &AwsSource, region: &str, config: SdkConfig) -> Self {
        Self { source, account: aws.account.clone(), scope: format!("{}/{region}", aws.account), config }
    }

    async fn read(&self, seen: &mut Seen) {
        let wire = Wire::default();
        let client = Client::from_conf(config::Builder::from(&self.config).interceptor(wire.clone()).build());
        let listed = client.describe_trails().include_shadow_trails(false).send().await;
        self.keep(seen, &wire, "trails");
        let ok = u64::from(listed.is_ok());
        let trails = listed.map_err(|error| self.miss(seen, "list trails", &error)).map(|list| list.trail_list.unwrap_or_default());
        let trails = trails.unwrap_or_default();
        let parameters = json!({ "IncludeShadowTrails": false });
        seen.operations.push(wire.take().operation("cloudtrail:DescribeTrails", parameters, ok, trails.len() as u64));
        for trail in &trails {
            match resource(trail) {
                Some(resource) => seen.trails.push(resource),
                None => seen.miss(Unseen::Inconsistent, format!("the trails of {} name one without an ARN", self.scope)),
            }
        }
        self.statuses(&client, &wire, seen).await;
        self.selectors(&client, &wire, seen).await;
    }

    async fn statuses(&self, client: &Client, wire: &Wire, seen: &mut Seen) {
        let mut answered = 0;
        for at in 0..seen.trails.len() {
            match client.get_trail_status().name(seen.trails[at].id.as_str()).send().await {
                Ok(status) => {
                    answered += 1;
                    self.keep(seen, wire, &format!("status-{:04}", at + 1));
                    let trail = &mut seen.trails[at];
                    trail.set("delivery_error", Value::Text(status.latest_delivery_error().unwrap_or_default().into()));
                    let facts = [
                        ("last_delivery", instant(status.latest_delivery_time())),
                        ("logging", status.is_logging().map(Value::Bool)),
                    ];
                    facts.into_iter().for_each(|(name, fact)| fact.into_iter().for_each(|fact| trail.set(name, fact)));
                }
                Err(error) => self.miss(seen, "read the status of a trail", &error),
            }
        }
        seen.operations.push(wire.take().operation("cloudtrail:GetTrailStatus", json!({}), answered, answered));
    }

    async fn selectors(&self, client: &Client, wire: &Wire, seen: &mut Seen) {
        let mut answered = 0;
        for at in 0..seen.trails.len() {
            match client.get_event_selectors().trail_name(seen.trails[at].id.as_str()).send().await {
                Ok(answer) => {
                    answered += 1;
                    self.keep(seen, wire, &format!("selectors-{:04}", at + 1));
                    let mut selectors = answer.event_selectors().iter();
                    let management = selectors.find(|selector| selector.include_management_events() == Some(true));
                    if let Some(kind) = management.and_then(|selector| selector.read_write_type()) {
                        seen.trails[at].set("read_write", Value::Text(kind.as_str().into()));
                    }
                }
                Err(error) => self.miss(seen, "read the event selectors of a trail", &error),
            }
        }
        seen.operations.push(wire.take().operation("cloudtrail:GetEventSelectors", json!({}), answered, answered));
    }

    fn keep(&self, seen: &mut Seen, wire: &Wire, what: &str) {
        let Some(body) = wire.take_body() else { return };
        let Some((kept, redacted)) = redact(&body) else { return };
        let name = format!("{}/cloudtrail/{}/{what}.json", self.source, self.scope);
        seen.refs.push(RawRef::new(name, &body, &kept, redacted));
        seen.raw.push(Blob::compressed(&kept));
    }

    fn miss<E: ProvideErrorMetadata + std::error::Error + 'static>(&self, seen: &mut Seen, doing: &str, error: &SdkError<E>) {
        let failure = Failure::of(error);
        // A trail that was listed and is gone.
        let gone = failure.class() == ErrorClass::NotFound;
        let cause = if gone { Unseen::Inconsistent } else { failure.unseen() };
        seen.miss(cause, format!("could not {doing} of {}: {failure}", self.scope));
    }
}

impl Seen {
    fn miss(&mut self, cause: Unseen, detail: String) {
        self.gap.get_or_insert(Completeness::Incomplete { cause, detail });
    }
}

/// What the list says of `trail`; `None` without an ARN.
fn resource(trail: &Trail) -> Option<Resource> {
    let attributes = [
        ("global_events", trail.include_global_service_events()),
        // The key of a trail is always one of the customer's.
        ("kms_encrypted", Some(trail.kms_key_id().is_some_and(|key| !key.is_empty()))),
        ("multi_region", trail.is_multi_region_trail()),
        ("validation_enabled", trail.log_file_validation_enabled()),
    ];
    let known = attributes.into_iter().filter_map(|(name, value)| Some((name.into(), Value::Bool(value?)))).collect();
    Some(Resource::new(trail.trail_arn()?.into(), known))
}

/// `body` without the names of advanced selectors, which may hold anything.
fn redact(body: &[u8]) -> Option<(Vec<u8>, Vec<String>)> {
    let mut answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut removed = false;
    for selector in answer.get_mut("AdvancedEventSelectors").and_then(|all| all.as_array_mut()).into_iter().flatten() {
        removed |= selector.as_object_mut().is_some_and(|selector| selector.remove("Name").is_some());
    }
    if !removed {
        return Some((body.to_vec(), Vec::new()));
    }
    Some((serde_json::to_vec(&answer).ok()?, vec!["/AdvancedEventSelectors/*/Name".to_owned()]))
}

#[async_trait]
impl Collector for CloudTrail {
    fn name(&self) -> &'static str {
        "cloudtrail"
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
        let source_clock = asked.clock;
        let answered = u64::from(caller.is_some());
        let mut seen = Seen::default();
        seen.operations.push(asked.operation("sts:GetCallerIdentity", json!({}), answered, answered));
        // INVARIANT: another account's trails are never read as this one's.
        if !matches!(who, Completeness::Incomplete { cause: Unseen::Inconsistent, .. }) {
            self.read(&mut seen).await;
        }
        let completeness = if who.is_complete() { seen.gap.take().unwrap_or(who) } else { who };
        seen.trails.sort_by(|a, b| a.id.cmp(&b.id));
        let population = Population {
            source: self.source.clone(),
            scope: self.scope.clone(),
            entity: "Aws::Trail".into(),
            completeness: completeness.clone(),
            resources: seen.trails,
        };
        let receipt = Receipt {
            source: self.source.clone(),
            collector: self.name().to_owned(),
            scope: self.scope.clone(),
            caller,
            completeness,
            operations: seen.operations,
            independent_count: None,
            source_clock,
            started,
            ended: clock.now(),
            raw: seen.refs,
        };
        Collected { populations: vec![population], receipt, raw: seen.raw }
    }
}
