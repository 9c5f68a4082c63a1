//! What the consumers of the declared credentials acknowledge: `Slm::Consumer`.

use std::sync::Arc;

use async_trait::async_trait;

use super::asked::Asked;
use crate::model::id::{ConsumerId, CredentialId, ResourceId, SourceId};
use crate::model::snapshot::{CONSUMER_ENTITY, Resource, Value};
use crate::world::{Clock, Collected, Collector, Consumer};

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
        let asked = Asked {
            collector: self.name(),
            operation: "consumer:observe",
            word: "consumer",
            entity: CONSUMER_ENTITY,
            count: self.consumers.len(),
            resources,
            unseen: &unseen,
            started,
        };
        asked.collected(clock.now())
    }
}
