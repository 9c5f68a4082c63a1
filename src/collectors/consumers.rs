//! What the consumers of the declared credentials acknowledge: `Slm::Consumer`.

use std::sync::Arc;

use async_trait::async_trait;

use super::asked::Asked;
use crate::model::id::{ConsumerId, CredentialId, ResourceId, SourceId};
use crate::model::snapshot::{CONSUMER_ENTITY, Resource, Value};
use crate::world::{Clock, Collected, Collector, Consumer};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[("Slm::Consumer", &["consumer", "credential", "overridden", "running", "stored"])];

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

fn text(value: &str) -> Value {
    Value::Text(Arc::from(value))
}

fn resource(credential: &CredentialId, id: &ConsumerId, facts: impl Iterator<Item = (&'static str, Value)>) -> Resource {
    let whose = [("credential", text(credential.as_str())), ("consumer", text(id.as_str()))];
    let facts = whose.into_iter().chain(facts).map(|(name, value)| (Arc::from(name), value));
    Resource::new(ResourceId::from(format!("{credential}/{id}")), facts.collect())
}

/// A consumer that cannot be seen because another place overrides it; which version it has stays unknown.
async fn overridden(credential: &CredentialId, id: &ConsumerId, consumer: &dyn Consumer) -> Option<Resource> {
    let places = consumer.overridden().await.ok().filter(|places| !places.is_empty())?;
    Some(resource(credential, id, [("overridden", text(&places.join(", ")))].into_iter()))
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
                    let facts = [("stored", view.stored), ("running", view.running)];
                    let facts = facts.into_iter().filter_map(|(name, version)| Some((name, text(version?.as_str()))));
                    resources.push(resource(credential, id, facts));
                }
                Err(error) => {
                    resources.extend(overridden(credential, id, consumer.as_ref()).await);
                    unseen.push((format!("{credential}/{id}"), error));
                }
            }
        }
        let asked = Asked {
            collector: self.name(),
            operation: "consumer:observe",
            word: "consumer",
            entity: CONSUMER_ENTITY,
            count: self.consumers.len(),
            resources,
            unseen,
            started,
        };
        asked.collected(clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::VersionId;
    use crate::model::secret::Secret;
    use crate::model::time::Timestamp;
    use crate::world::{ConsumerView, ErrorClass, WorldError};

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    /// A consumer that cannot be seen, and these override it.
    struct Hidden(&'static [&'static str]);

    fn hidden<T>() -> Result<T, WorldError> {
        Err(WorldError { class: ErrorClass::Permanent, operation: "use it".to_owned(), cause: "hidden".to_owned() })
    }

    #[async_trait]
    impl Consumer for Hidden {
        async fn observe(&self) -> Result<ConsumerView, WorldError> {
            hidden()
        }

        async fn deliver(&self, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
            hidden()
        }

        async fn activate(&self, _: &VersionId) -> Result<(), WorldError> {
            hidden()
        }

        async fn overridden(&self) -> Result<Vec<String>, WorldError> {
            Ok(self.0.iter().map(|&place| place.to_owned()).collect())
        }
    }

    #[tokio::test]
    async fn what_overrides_a_consumer_is_known_though_its_version_is_not() {
        for (places, want) in [(&["`A` in b", "`A` in c"][..], Some("`A` in b, `A` in c")), (&[], None)] {
            let consumers = vec![("db".into(), "app".into(), Box::new(Hidden(places)) as Box<dyn Consumer>)];
            let seen = Consumers::new(consumers).collect(&Fixed).await.populations.remove(0);
            assert!(!seen.completeness.is_complete(), "it was not seen");
            let found = seen.resources.first();
            assert_eq!(found.and_then(|it| it.text("overridden")), want);
            assert!(found.is_none_or(|it| it.get("stored").is_none() && it.get("running").is_none()));
        }
    }
}
