//! The event history of `CloudTrail` of one account and region: which calls it logged of a key or a secret. It keeps management events for
//! 90 days, no data events, and each some minutes late.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use aws_sdk_cloudtrail::{Client, config, primitives::DateTime};
use serde::Deserialize;

use super::aws::{Failure, Tokens, Wire};
use super::budget::Budget;
use crate::model::time::Timestamp;
use crate::model::usage::{Call, Calls};
use crate::world::CURRENT;

/// Pages of one lookup of a key, of one of a secret, and of one of its version in force; one has 50 events at most.
const PAGES: [usize; 3] = [4, 2, 4];
/// Attempts for one request: the service lets an account have two a second and region, whoever asks.
const ATTEMPTS: u32 = 3;
/// Letters of a text of the log that are shown, and of a name, which is compared.
const SHOWN: usize = 160;
const NAME: usize = 2_048;
/// Requests a second that `CloudTrail` takes for lookups, in each account and region.
pub const LOOKUPS_PER_SECOND: u16 = 2;

/// The event history of one account and region.
pub struct History {
    client: Client,
    region: String,
    pace: Budget,
    wire: Wire,
}

/// What is looked up.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Calls signed with this key.
    Key(&'a str),
    /// Readings of the secret with this name and ARN.
    Secret(&'a str, &'a str),
    /// Those of them that asked for this version, or for the one in force.
    Version(&'a str, &'a str, &'a str),
}

impl<'a> By<'a> {
    /// The name and the ARN of the secret that is read.
    const fn secret(self) -> Option<(&'a str, &'a str)> {
        match self {
            By::Key(_) => None,
            By::Secret(name, arn) | By::Version(name, arn, _) => Some((name, arn)),
        }
    }
}

/// What lookups have found so far, each event once.
#[derive(Default)]
struct Found {
    all: Calls,
    ids: BTreeSet<String>,
}

/// What an event says of itself.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    user_identity: Identity,
    user_agent: String,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: String,
    aws_region: String,
    error_code: Option<String>,
    request_parameters: Option<Parameters>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Identity {
    arn: Option<String>,
    principal_id: Option<String>,
    invoked_by: Option<String>,
    session_context: Option<Context>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    session_issuer: Option<Issuer>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issuer {
    arn: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parameters {
    /// As AWS writes it, and as a request does.
    #[serde(alias = "SecretId")]
    secret_id: Option<String>,
    #[serde(alias = "VersionId")]
    version_id: Option<String>,
    #[serde(alias = "VersionStage")]
    version_stage: Option<String>,
}

impl Parameters {
    /// True when they ask for `version` by its id, or for whichever is in force, which is what is asked for without a word.
    fn ask_for(&self, version: &str) -> bool {
        let named = self.version_id.as_deref().filter(|id| !id.is_empty());
        let stage = self.version_stage.as_deref().filter(|stage| !stage.is_empty());
        named.map_or_else(|| stage.is_none_or(|stage| stage == CURRENT), |id| id.eq_ignore_ascii_case(version))
    }
}

impl History {
    /// The history of `region`, asked with `config` at `pace`.
    #[must_use]
    pub fn new(config: &SdkConfig, region: &str, pace: Budget) -> Self {
        let wire = Wire::default();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(500));
        let config = config::Builder::from(config).retry_config(retries).interceptor(wire.clone()).build();
        Self { client: Client::from_conf(config), region: region.to_owned(), pace, wire }
    }

    /// Requests sent since it was asked last.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.wire.take().requests
    }

    /// What was logged since `from`, the latest first, as far as it goes.
    pub async fn calls(&self, by: By<'_>, from: Timestamp) -> Calls {
        let mut found = Found::default();
        match by {
            By::Key(id) => self.read(LookupAttributeKey::AccessKeyId, id, by, from, &mut found).await,
            By::Secret(name, arn) | By::Version(name, arn, _) => {
                // An event names a secret as its caller did.
                for named in [arn, name] {
                    self.read(LookupAttributeKey::ResourceName, named, by, from, &mut found).await;
                    if !found.all.unseen.is_empty() {
                        return found.all;
                    }
                }
                if found.all.calls.is_empty() {
                    self.read(LookupAttributeKey::EventName, "GetSecretValue", by, from, &mut found).await;
                }
            }
        }
        found.all
    }

    /// Reads one lookup page by page into `found`.
    async fn read(&self, key: LookupAttributeKey, value: &str, by: By<'_>, from: Timestamp, found: &mut Found) {
        let Found { all: found, ids } = found;
        let unseen = |why: &str| format!("CloudTrail of {}: {why}", self.region);
        let attribute = match LookupAttribute::builder().attribute_key(key).attribute_value(value).build() {
            Ok(attribute) => attribute,
            Err(_) => return found.unseen.push(unseen("what to look up is not clear")),
        };
        let (mut token, mut tokens) = (None, Tokens::default());
        let mut oldest: Option<Timestamp> = None;
        let pages = PAGES[match by {
            By::Key(_) => 0,
            By::Secret(..) => 1,
            By::Version(..) => 2,
        }];
        for _ in 0..pages {
            self.pace.take().await;
            let request = self.client.lookup_events().lookup_attributes(attribute.clone()).set_next_token(token);
            let page = match request.start_time(DateTime::from_secs(from.as_second())).send().await {
                Ok(page) => page,
                Err(error) => return found.unseen.push(unseen(&Failure::of(&error).to_string())),
            };
            for event in page.events() {
                let at = event.event_time().and_then(|at| Timestamp::from_second(at.secs()).ok());
                oldest = [oldest, at].into_iter().flatten().min();
                if event.event_id().is_some_and(|id| !ids.insert(id.to_owned())) {
                    continue;
                }
                match at.and_then(|at| call(event, at, &self.region, by)) {
                    Some(Some(call)) => found.calls.push(call),
                    Some(None) => {}
                    None => found.unseen.push(unseen("an event does not say when it was or what")),
                }
            }
            let next = page.next_token().filter(|token| !token.is_empty());
            match tokens.next(next.is_some(), next) {
                Ok(None) => return,
                Ok(next) => token = next,
                Err(wrong) => return found.unseen.push(unseen(wrong)),
            }
        }
        found.cut.push((self.region.clone(), oldest.unwrap_or(Timestamp::MAX)));
    }
}

/// The call that `event` is: `None` when it cannot be read, `Some(None)` when it is none of those looked for.
fn call(event: &Event, at: Timestamp, region: &str, by: By<'_>) -> Option<Option<Call>> {
    let record: Record = serde_json::from_str(event.cloud_trail_event()?).ok()?;
    let name = event.event_name()?;
    if let Some((secret, arn)) = by.secret() {
        let is_it = |named: &str| named == secret || named == arn || arn.strip_prefix(named).is_some_and(is_suffix);
        let asked = record.request_parameters.as_ref().and_then(|parameters| parameters.secret_id.as_deref());
        let named = event.resources().iter().filter_map(|resource| resource.resource_name()).chain(asked).any(is_it);
        let read = matches!(name, "GetSecretValue" | "BatchGetSecretValue") && record.error_code.is_none();
        // Who asks for many secrets at once is given what is in force of each, and need name none.
        let many = name == "BatchGetSecretValue";
        let it = |version| record.request_parameters.as_ref().map_or(many, |parameters| parameters.ask_for(version));
        if !named || !read || matches!(by, By::Version(_, _, version) if !it(version)) {
            return Some(None);
        }
    }
    let principal = who(event, record.user_identity);
    let region = if record.aws_region.is_empty() { region } else { &record.aws_region };
    Some(Some(Call {
        at,
        principal,
        user_agent: plain(&record.user_agent),
        source_ip: plain(&record.source_ip_address),
        event: plain(name),
        region: plain(region),
    }))
}

/// Who made the call that `event` is; `None` when it cannot be read.
#[must_use]
pub fn principal(event: &Event) -> Option<String> {
    let record: Record = serde_json::from_str(event.cloud_trail_event()?).ok()?;
    Some(who(event, record.user_identity))
}

fn who(event: &Event, identity: Identity) -> String {
    let issuer = identity.session_context.and_then(|context| context.session_issuer).and_then(|issuer| issuer.arn);
    let principal = issuer.or(identity.arn).or(identity.invoked_by).or(identity.principal_id);
    let principal = principal.or_else(|| event.username().map(str::to_owned)).unwrap_or_else(|| "somebody".to_owned());
    letters(&principal, NAME)
}

/// The six letters that AWS adds to the name of a secret.
fn is_suffix(rest: &str) -> bool {
    rest.len() == 7 && rest.starts_with('-')
}

/// `text`, which a caller chose, on one line of plain letters.
#[must_use]
pub fn plain(text: &str) -> String {
    letters(text, SHOWN)
}

/// The same of a name, which is compared with names that were read elsewhere: a long one is not cut.
#[must_use]
pub fn whole(name: &str) -> String {
    letters(name, NAME)
}

fn letters(text: &str, limit: usize) -> String {
    let shown = |letter: char| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' };
    text.chars().take(limit).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::types::Resource;

    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:1:secret:app/key-AbCdEf";

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    fn event(name: &str, record: &str) -> aws_sdk_cloudtrail::types::builders::EventBuilder {
        Event::builder().event_name(name).username("u").cloud_trail_event(record)
    }

    #[test]
    fn a_session_is_told_by_its_role_and_a_text_of_a_caller_stays_on_one_plain_line() {
        let record = r#"{"userIdentity":{"arn":"arn:aws:sts::1:assumed-role/app/i-1","sessionContext":{"sessionIssuer":
            {"arn":"arn:aws:iam::1:role/app"}}},"userAgent":"a\u001b[31m\nb","sourceIPAddress":"203.0.113.7"}"#;
        let seen = call(&event("PutObject", record).build(), at(5), "eu-west-1", By::Key("k")).flatten().unwrap();
        assert_eq!((seen.principal.as_str(), seen.user_agent.as_str()), ("arn:aws:iam::1:role/app", "a?[31m?b"));
        assert_eq!((seen.source_ip.as_str(), seen.region.as_str()), ("203.0.113.7", "eu-west-1"));
        for (record, want) in [
            (r#"{"userIdentity":{"arn":"arn:aws:iam::1:user/a"}}"#, "arn:aws:iam::1:user/a"),
            (r#"{"userIdentity":{"invokedBy":"ecs.amazonaws.com"}}"#, "ecs.amazonaws.com"),
            ("{}", "u"),
        ] {
            let seen = call(&event("PutObject", record).build(), at(5), "eu-west-1", By::Key("k")).flatten().unwrap();
            assert_eq!(seen.principal, want);
        }
        assert!(
            call(&event("PutObject", "no JSON").build(), at(5), "eu-west-1", By::Key("k")).is_none(),
            "it is not taken for none"
        );
    }

    #[test]
    fn only_readings_of_this_secret_that_went_well_are_readings_whatever_the_caller_called_it() {
        let asked = |id: &str, more: &str| format!(r#"{{"requestParameters":{{"secretId":"{id}"}}{more}}}"#);
        let is = |event: Event| matches!(call(&event, at(5), "r", By::Secret("app/key", ARN)), Some(Some(_)));
        for id in ["app/key", ARN, "arn:aws:secretsmanager:eu-west-1:1:secret:app/key"] {
            assert!(is(event("GetSecretValue", &asked(id, "")).build()), "{id}");
            assert!(!is(event("GetSecretValue", &asked(id, r#","errorCode":"AccessDenied""#)).build()), "{id}");
            assert!(!is(event("DescribeSecret", &asked(id, "")).build()), "{id}");
        }
        for id in ["app/key2", "app", "arn:aws:secretsmanager:eu-west-1:1:secret:app"] {
            assert!(!is(event("GetSecretValue", &asked(id, "")).build()), "{id}");
        }
        assert!(!is(event("GetSecretValue", "{}").build()), "it names none");
        let listed = Resource::builder().resource_name(ARN).build();
        assert!(is(event("BatchGetSecretValue", "{}").resources(listed).build()));
    }

    #[test]
    fn of_the_version_in_force_only_what_asked_for_it_is_a_reading_and_nothing_said_asks_for_it() {
        let asked = |more: &str| format!(r#"{{"requestParameters":{{"secretId":"app/key"{more}}}}}"#);
        let by = By::Version("app/key", ARN, "5b1e0000-aaaa");
        let is = |event: Event| matches!(call(&event, at(5), "r", by), Some(Some(_)));
        for (more, want) in [
            ("", true),
            (r#","versionStage":"AWSCURRENT""#, true),
            (r#","versionStage":"AWSPREVIOUS""#, false),
            (r#","versionStage":"SLM-PENDING""#, false),
            (r#","versionId":"5B1E0000-AAAA""#, true),
            (r#","versionId":"0ther000-aaaa""#, false),
            (r#","versionId":"0ther000-aaaa","versionStage":"AWSCURRENT""#, false),
        ] {
            assert_eq!(is(event("GetSecretValue", &asked(more)).build()), want, "{more}");
        }
        let denied = r#"{"requestParameters":{"secretId":"app/key"},"errorCode":"AccessDenied"}"#;
        assert!(!is(event("GetSecretValue", denied).build()), "a refusal reads nothing");
        let silent = Resource::builder().resource_name(ARN).build();
        assert!(!is(event("GetSecretValue", "{}").resources(silent).build()), "it does not say what it asked for");
        let listed = Resource::builder().resource_name(ARN).build();
        assert!(is(event("BatchGetSecretValue", "{}").resources(listed.clone()).build()));
        let denied = r#"{"errorCode":"AccessDenied"}"#;
        assert!(!is(event("BatchGetSecretValue", denied).resources(listed).build()));
    }
}
