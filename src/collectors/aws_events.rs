//! The event history of `CloudTrail`: calls that made or ended members of populations, which explain that these changed. Read where a
//! source asks for it, page by page and no resource by itself: one lookup for each name of a call, in each region and once for IAM.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use aws_sdk_cloudtrail::{Client, config, primitives::DateTime};
use serde_json::{Value as Json, json};

use super::aws::{Collection, Kept, Place};
use crate::model::catalog::AwsSource;
use crate::model::events::{EVENT_ENTITY, KINDS, Kind};
use crate::model::id::SourceId;
use crate::model::receipt::Redacted;
use crate::model::snapshot::{Resource, Unseen, Value};
use crate::model::time::{Limit, Timestamp};
use crate::transport::aws::{Failure, Tokens, Wire};
use crate::transport::budget::Budget;
use crate::transport::cloudtrail::{plain, principal, whole};
use crate::world::{Clock, Collected, Collector};

/// Pages of one lookup at most; one has 50 events.
const PAGES: u64 = 20;
/// Attempts for one request: the service lets an account have two a second and region, whoever asks.
const ATTEMPTS: u32 = 3;
/// Where what an event is about stands in it, the surest first: what the source answered, then what the caller named.
const NAMES: [&str; 15] = [
    "/responseElements/aRN",
    "/responseElements/arn",
    "/responseElements/user/arn",
    "/responseElements/role/arn",
    "/responseElements/policy/arn",
    "/responseElements/trailARN",
    "/responseElements/accessKey/userName",
    "/responseElements/loginProfile/userName",
    "/requestParameters/secretId",
    "/requestParameters/policyArn",
    "/requestParameters/userName",
    "/requestParameters/roleName",
    "/requestParameters/groupName",
    "/requestParameters/name",
    // Who names no user means themselves.
    "/userIdentity/userName",
];
/// The name of a policy that is put into what the others name.
const INLINE: &str = "/requestParameters/policyName";
/// What is kept of an event; the rest may hold anything.
const KEPT: [&str; 5] = ["EventId", "EventName", "EventSource", "EventTime", "ReadOnly"];

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[(EVENT_ENTITY, &["at", "by", "event", "of"])];

/// Reads the event history of one account and region, or what it has of a whole account.
pub struct Events {
    place: Place,
    global: bool,
    back: Limit,
    pace: Budget,
}

/// The region whose log has the calls to IAM of a whole account.
pub const GLOBAL_REGION: &str = "us-east-1";

impl Events {
    /// A collector of what the log of `region` of `aws`, named `source`, has of the last `back`; without a region of what it has of the
    /// whole account. It calls with `config` at `pace`.
    #[must_use]
    pub fn new(source: SourceId, aws: &AwsSource, region: Option<&str>, (back, pace): (Limit, Budget), config: SdkConfig) -> Self {
        let place = Place::new(source, aws, region.unwrap_or("global"), config);
        Self { place, global: region.is_none(), back, pace }
    }

    async fn read(&self, collection: &mut Collection<'_>, from: Timestamp) -> Vec<Resource> {
        let wire = Wire::keeping();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(500));
        let config = config::Builder::from(&self.place.config).retry_config(retries).interceptor(wire.clone()).build();
        let client = Client::from_conf(config);
        let mut found = Vec::new();
        for kind in KINDS.iter().filter(|kind| kind.global == self.global) {
            let before = found.len();
            if let Some(gap) = self.lookup(&client, &wire, collection, (kind, from), &mut found).await {
                collection.miss(gap);
            }
            let parameters = json!({ "EventName": kind.name, "StartTime": from });
            collection.log("cloudtrail:LookupEvents", parameters, (found.len() - before) as u64, wire.take());
        }
        found.sort_by(|a: &Resource, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        found
    }

    /// Adds the calls of `kind` since `from` to `found`; gives why they are not all.
    async fn lookup(
        &self,
        client: &Client,
        wire: &Wire,
        collection: &mut Collection<'_>,
        (kind, from): (&Kind, Timestamp),
        found: &mut Vec<Resource>,
    ) -> Option<(Unseen, String)> {
        let (scope, name) = (&self.place.scope, kind.name);
        let unseen = |cause, why: String| Some((cause, format!("could not look up {name} of {scope}: {why}")));
        let attribute = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName).attribute_value(name).build();
        let Ok(attribute) = attribute else { return unseen(Unseen::Inconsistent, "it is no name".to_owned()) };
        let (mut token, mut tokens) = (None, Tokens::default());
        for number in 1..=PAGES {
            self.pace.take().await;
            let request = client.lookup_events().lookup_attributes(attribute.clone()).set_next_token(token);
            let answer = request.start_time(DateTime::from_secs(from.as_second())).send().await;
            collection.keep(wire, &format!("{name}-{number:04}.json"), answer.is_ok(), redact);
            let page = match answer {
                Ok(page) => page,
                Err(error) => {
                    let failure = Failure::of(&error);
                    return unseen(failure.unseen(), format!("page {number}: {failure}"));
                }
            };
            for event in page.events() {
                match resource(event, kind) {
                    Some(resource) => found.extend(resource),
                    None => {
                        return unseen(Unseen::Inconsistent, format!("page {number} has an event that does not say when it was"));
                    }
                }
            }
            let next = page.next_token().filter(|token| !token.is_empty());
            match tokens.next(next.is_some(), next) {
                Ok(None) => return None,
                Ok(next) => token = next,
                Err(wrong) => return unseen(Unseen::Inconsistent, format!("page {number}: {wrong}")),
            }
        }
        unseen(Unseen::Unreachable, format!("there are more than {PAGES} pages; look back less far in `events`"))
    }
}

/// What `event` says: `None` when it cannot be read, `Some(None)` when it is another call or did not come about.
fn resource(event: &Event, kind: &Kind) -> Option<Option<Resource>> {
    let name = kind.name;
    let at = event.event_time().and_then(|at| Timestamp::from_second(at.secs()).ok())?;
    let (id, record) = (event.event_id()?, event.cloud_trail_event()?);
    let told: Json = serde_json::from_str(record).ok()?;
    if event.event_name() != Some(name) || told.get("errorCode").is_some_and(|code| !code.is_null()) {
        return Some(None);
    }
    let own = matches!(name, "CreateAccessKey" | "DeleteAccessKey");
    let places = NAMES.iter().filter(|place| own || !place.starts_with("/userIdentity"));
    let of = places.filter_map(|place| told.pointer(place)?.as_str()).find(|of| !of.is_empty());
    let mut facts = vec![
        ("at".into(), Value::Time(at)),
        ("event".into(), Value::Text(name.into())),
        ("by".into(), Value::Text(principal(event)?.as_str().into())),
    ];
    let part = told.pointer(INLINE).and_then(Json::as_str).filter(|_| kind.is_inline());
    let of = of.map(|of| part.map_or_else(|| of.to_owned(), |part| format!("{of}#{part}")));
    facts.extend(of.map(|of| ("of".into(), Value::Text(whole(&of).as_str().into()))));
    Some(Some(Resource::new(format!("event:{}", plain(id)).as_str().into(), facts)))
}

/// `body` with the fields of [`KEPT`] of each event alone.
fn redact(body: &[u8]) -> Kept<'_> {
    let mut page: Json = serde_json::from_slice(body).ok()?;
    let mut removed = Redacted::new();
    for event in page.get_mut("Events").and_then(Json::as_array_mut).into_iter().flatten() {
        event.as_object_mut()?.retain(|name, _| {
            let keep = KEPT.contains(&name.as_str());
            if !keep {
                *removed.entry(format!("/Events/*/{}", name.replace('~', "~0").replace('/', "~1"))).or_default() += 1;
            }
            keep
        });
    }
    if removed.is_empty() { Some((body.into(), removed)) } else { Some((serde_json::to_vec(&page).ok()?.into(), removed)) }
}

#[async_trait]
impl Collector for Events {
    fn name(&self) -> &'static str {
        "cloudtrail-events"
    }

    fn source(&self) -> &SourceId {
        &self.place.source
    }

    fn scope(&self) -> &str {
        &self.place.scope
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let from = clock.now().as_second().saturating_sub(self.back.as_seconds());
        let from = Timestamp::from_second(from).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut collection = self.place.begin(self.name(), clock).await;
        let events = if collection.may_read() { self.read(&mut collection, from).await } else { Vec::new() };
        collection.end(clock, vec![(EVENT_ENTITY, events)])
    }
}
