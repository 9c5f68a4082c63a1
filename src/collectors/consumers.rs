//! What the consumers of the declared credentials acknowledge: `Slm::Consumer`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::id::{ConsumerId, CredentialId, EntityType, ResourceId, SourceId};
use crate::model::receipt::{Operation, Receipt};
use crate::model::snapshot::{CONSUMER_ENTITY, Completeness, Population, Resource, Unseen, Value};
use crate::model::time::Timestamp;
use crate::world::{Clock, Collected, Collector, Consumer, ErrorClass, WorldError};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[("Slm::Consumer", &["consumer", "credential", "running", "stored"])];

/// Reads every consumer's acknowledgement; it never delivers.
pub struct Consumers {
    source: SourceId,
    consumers: Vec<(CredentialId, ConsumerId, Box<dyn Consumer>)>,
}

impl Consumers {
    /// Reads `consumers`.
    #[must_use]
    pub fn new(consumers: Vec<(CredentialId, ConsumerId, Box<dyn Consumer>)>) -> Self {
        Self { source: SourceId::from("consumers"), consumers }
    }
}

#[async_trait]
impl Collector for Consumers {
    fn name(&self) -> &'static str {
        "consumers"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &'static str {
        "."
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let started = clock.now();
        let mut resources = Vec::new();
        let mut unseen = Vec::new();
        for (credential, id, consumer) in &self.consumers {
            match consumer.observe().await {
                Ok(view) => {
                    let text = |value: &str| Value::Text(Arc::from(value));
                    let mut attributes =
                        vec![(Arc::from("credential"), text(credential.as_str())), (Arc::from("consumer"), text(id.as_str()))];
                    attributes.extend(view.stored.map(|version| (Arc::from("stored"), text(version.as_str()))));
                    attributes.extend(view.running.map(|version| (Arc::from("running"), text(version.as_str()))));
                    resources.push(Resource::new(ResourceId::from(format!("{credential}/{id}")), attributes));
                }
                Err(error) => unseen.push((format!("{credential}/{id}"), error)),
            }
        }
        let completeness = completeness(&unseen);
        resources.sort_by(|a, b| a.id.cmp(&b.id));
        let receipt = self.receipt(completeness.clone(), resources.len() as u64, started, clock.now());
        let entity = EntityType::from(CONSUMER_ENTITY);
        let population =
            Population { source: self.source.clone(), scope: ".".to_owned(), entity, completeness, resources: resources.into() };
        Collected { populations: vec![population], receipt, raw: Vec::new() }
    }
}

/// Says which consumer was not seen and why, and how many more were not.
fn completeness(unseen: &[(String, WorldError)]) -> Completeness {
    let Some((name, error)) = unseen.first() else { return Completeness::Complete };
    let cause = match error.class {
        ErrorClass::Denied => Unseen::Denied,
        // Looking again does not help: a person must change something.
        ErrorClass::Permanent => Unseen::NotCollected,
        ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Transient => Unseen::Unreachable,
    };
    let more = if unseen.len() > 1 { format!("; {} more were not seen", unseen.len() - 1) } else { String::new() };
    Completeness::Incomplete { cause, detail: format!("consumer `{name}`: {error}{more}") }
}

impl Consumers {
    fn receipt(&self, completeness: Completeness, items: u64, started: Timestamp, ended: Timestamp) -> Receipt {
        let operation = Operation {
            name: "consumer:observe".to_owned(),
            parameters: serde_json::json!({}),
            pages: 1,
            requests: self.consumers.len() as u64,
            items,
            request_ids: Vec::new(),
        };
        Receipt {
            source: self.source.clone(),
            collector: self.name().to_owned(),
            scope: ".".to_owned(),
            caller: None,
            completeness,
            operations: vec![operation],
            independent_count: Some(self.consumers.len() as u64),
            source_clock: None,
            started,
            ended,
            raw: Vec::new(),
        }
    }
}
