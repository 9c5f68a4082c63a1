//! What was observed: resources grouped in populations, each with the receipt that says whether we saw all of it.

use std::sync::Arc;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fact::Facts;
pub use super::fact::{Fact, Value};
use super::id::{EntityType, ResourceId, SourceId};
use super::receipt::Receipt;
use super::time::Timestamp;

/// Entity types that hold secrets a credential can be declared for.
pub const SECRET_ENTITIES: [&str; 2] = ["Aws::Secret", "Vault::Secret"];

/// The entity type of a consumer's acknowledgement.
pub const CONSUMER_ENTITY: &str = "Slm::Consumer";
/// How far the last rotation of a credential has come.
pub const ROTATION_ENTITY: &str = "Slm::Rotation";
/// The entity type of the value in force of a credential that slm does not rotate.
pub const VALUE_ENTITY: &str = "Slm::Value";

/// A sign that the value of a credential is in wrong hands.
pub const LEAK_ENTITY: &str = "Slm::Leak";

/// One attribute of a resource: its name in the Cedar schema and the observed value.
pub type Attribute = (Arc<str>, Value);

/// Anything observed that a control speaks about. What could not be read is absent, never guessed.
#[derive(Clone)]
pub struct Resource {
    /// Unique inside its entity type.
    pub id: ResourceId,
    facts: Facts,
}

impl Resource {
    /// A resource with `attributes` in any order.
    #[must_use]
    pub fn new(id: ResourceId, mut attributes: Vec<Attribute>) -> Self {
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        let facts: Vec<_> = attributes.iter().map(|(name, value)| (&**name, value.fact())).collect();
        let facts = Facts::new(id.as_str(), &facts);
        Self { id, facts }
    }

    /// A resource with `facts` that are sorted by name.
    #[must_use]
    pub fn of(id: ResourceId, facts: &[(&str, Fact<'_>)]) -> Self {
        let facts = Facts::new(id.as_str(), facts);
        Self { id, facts }
    }

    /// The observed text of `name`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Fact::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The observed instant of `name`.
    #[must_use]
    pub fn instant(&self, name: &str) -> Option<Timestamp> {
        match self.get(name) {
            Some(Fact::Time(instant)) => Some(instant),
            _ => None,
        }
    }

    /// True when `name` was observed to be true.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.get(name) == Some(Fact::Bool(true))
    }

    /// Sets `name`.
    pub fn set(&mut self, name: &str, value: Value) {
        let others = self.facts().filter(|(have, _)| &***have != name).map(|(have, fact)| (have.clone(), fact.owned()));
        *self = Self::new(self.id.clone(), others.chain([(Arc::from(name), value)]).collect());
    }

    /// Forgets `names`.
    pub fn forget(&mut self, names: &[&str]) {
        let others = self.facts().filter(|(have, _)| !names.contains(&have.as_ref()));
        *self = Self::new(self.id.clone(), others.map(|(have, fact)| (have.clone(), fact.owned())).collect());
    }

    /// Sets `known`, which many resources share: they are kept once, and not with each.
    pub fn share(&mut self, known: &[(&str, Value)]) {
        self.facts.share(known);
    }

    /// The observed value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Fact<'_>> {
        self.facts.get(self.id.as_str(), name)
    }

    /// Every attribute, sorted by name.
    pub fn facts(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, Fact<'_>)> {
        self.facts.iter(self.id.as_str())
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.facts().eq(other.facts())
    }
}

impl Eq for Resource {}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resource").field("id", &self.id).field("attributes", &self.facts().collect::<Vec<_>>()).finish()
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Attributes<'a>(&'a Resource);
        impl Serialize for Attributes<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.facts())
            }
        }
        let mut out = serializer.serialize_struct("Resource", 2)?;
        out.serialize_field("id", &self.id)?;
        out.serialize_field("attributes", &Attributes(self))?;
        out.end()
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            id: ResourceId,
            attributes: Vec<Attribute>,
        }
        Raw::deserialize(deserializer).map(|Raw { id, attributes }| Self::new(id, attributes))
    }
}

/// Whether a collection saw everything it set out to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Completeness {
    /// Every page was read and independent counts agree.
    Complete,
    /// Something in scope was not seen; nothing may be concluded from an absence.
    Incomplete {
        /// The class of the cause.
        cause: Unseen,
        /// The operation and the error in one line, without any secret or response body.
        detail: String,
    },
}

impl Completeness {
    /// True for [`Completeness::Complete`].
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete)
    }
}

/// Why something in scope was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unseen {
    /// The source refused us.
    Denied,
    /// Throttled until the retry budget was spent.
    Throttled,
    /// Our own session ended part-way.
    Expired,
    /// The source could not be reached or broke off.
    Unreachable,
    /// The source answered something that contradicts itself: a repeated page token, a count that differs.
    Inconsistent,
    /// The source was still preparing the answer.
    NotReady,
    /// No collector of this version observes it.
    NotCollected,
}

/// Every resource of one type in one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Population {
    /// The source it was read from.
    pub source: SourceId,
    /// Account and region, organisation, or `.`.
    pub scope: String,
    /// The Cedar entity type of every resource in it.
    pub entity: EntityType,
    /// Whether all of it was seen.
    pub completeness: Completeness,
    /// Sorted by id. Decisions about them share them.
    pub resources: Arc<Vec<Resource>>,
}

impl Population {
    /// The region part of the scope: what follows the last `/`.
    #[must_use]
    pub fn region(&self) -> &str {
        self.scope.rsplit('/').next().unwrap_or(".")
    }

    /// True when its resources are secrets a credential can be declared for.
    #[must_use]
    pub fn holds_secrets(&self) -> bool {
        SECRET_ENTITIES.contains(&self.entity.as_str())
    }
}

/// The world as seen by one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When observing began.
    pub taken: Timestamp,
    /// Sorted by (entity, source, scope).
    pub populations: Vec<Population>,
    /// One per collection, sorted by (source, collector, scope).
    pub receipts: Vec<Receipt>,
}

impl Snapshot {
    /// True when every collection came to its end, and nothing that counts a population independently contradicts it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let (receipts, populations) = (self.receipts.iter(), self.populations.iter());
        let mut all = receipts.map(|one| &one.completeness).chain(populations.map(|one| &one.completeness));
        all.all(Completeness::is_complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_whole_when_every_collection_and_every_population_is() {
        let denied = || Completeness::Incomplete { cause: Unseen::Denied, detail: "list: denied".to_owned() };
        let of = |collected: Completeness, listed: Completeness| {
            let receipt = Receipt {
                source: "prod".into(),
                collector: "iam".to_owned(),
                scope: ".".to_owned(),
                caller: None,
                completeness: collected,
                operations: Vec::new(),
                independent_count: None,
                source_clock: None,
                started: Timestamp::UNIX_EPOCH,
                ended: Timestamp::UNIX_EPOCH,
                effective: None,
                raw: Vec::new(),
            };
            let population = Population {
                source: "prod".into(),
                scope: ".".to_owned(),
                entity: "Aws::User".into(),
                completeness: listed,
                resources: Arc::new(Vec::new()),
            };
            Snapshot { taken: Timestamp::UNIX_EPOCH, populations: vec![population], receipts: vec![receipt] }.is_whole()
        };
        assert!(of(Completeness::Complete, Completeness::Complete));
        assert!(!of(denied(), Completeness::Complete) && !of(Completeness::Complete, denied()));
    }
}
