//! What the consumers of the declared credentials acknowledge: `Slm::Consumer`.

use std::sync::Arc;

use async_trait::async_trait;

use super::asked::Asked;
use crate::model::id::{ConsumerId, CredentialId, ResourceId, SourceId};
use crate::model::readers::Readers;
use crate::model::snapshot::{CONSUMER_ENTITY, Resource, Value};
use crate::world::{Clock, Collected, Collector, Consumer};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] = &[(
    "Slm::Consumer",
    &["consumer", "credential", "overridden", "overridden_unseen", "read_by", "read_unseen", "running", "stored"],
)];

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

/// Who was seen to read what it runs. Whether that was in time is to be held against the rotation.
fn read(readers: &Readers) -> Vec<(&'static str, Value)> {
    let unseen = Some(readers.unseen.join("; ")).filter(|why| !why.is_empty());
    let by = ("read_by", text(&readers.to_text()));
    std::iter::once(by).chain(unseen.map(|why| ("read_unseen", text(&why)))).collect()
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
                    let unsearched = consumer.overridden().await.err().map(|error| ("overridden_unseen", text(&error.cause)));
                    let facts = facts.chain(unsearched);
                    resources.push(resource(credential, id, facts.chain(view.readers.iter().flat_map(read))));
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

    /// A consumer that runs v1 and is read for by these.
    struct Read(Readers);

    #[async_trait]
    impl Consumer for Read {
        async fn observe(&self) -> Result<ConsumerView, WorldError> {
            Ok(ConsumerView { running: Some("v1".into()), readers: Some(self.0.clone()), ..ConsumerView::default() })
        }

        async fn deliver(&self, _: &VersionId, _: &Secret) -> Result<(), WorldError> {
            hidden()
        }

        async fn activate(&self, _: &VersionId) -> Result<(), WorldError> {
            hidden()
        }
    }

    #[tokio::test]
    async fn who_was_seen_to_read_is_told_with_what_was_not_looked_at() {
        let last = [("arn:a".to_owned(), Some(Timestamp::UNIX_EPOCH)), ("arn:b".to_owned(), None)].into();
        let readers = Readers { last, unseen: vec!["denied".to_owned(), "cut".to_owned()] };
        let consumers = vec![("db".into(), "app".into(), Box::new(Read(readers.clone())) as Box<dyn Consumer>)];
        let seen = Consumers::new(consumers).collect(&Fixed).await.populations.remove(0);
        assert!(seen.completeness.is_complete());
        let told = &seen.resources[0];
        assert_eq!((told.text("running"), told.text("read_by")), (Some("v1"), Some("1970-01-01T00:00:00Z arn:a, never arn:b")));
        assert_eq!(told.text("read_unseen"), Some("denied; cut"));
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
