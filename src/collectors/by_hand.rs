//! The values in force of credentials that slm does not rotate: `Slm::Value`, from the store itself.
//!
//! A list of secrets does not tell when a person stored a value: what it dates moves with tags as well.

use std::sync::Arc;

use async_trait::async_trait;

use super::asked::Asked;
use super::left;
use crate::model::catalog::SecretRef;
use crate::model::id::{CredentialId, ResourceId, SourceId};
use crate::model::names;
use crate::model::snapshot::{Attribute, Resource, VALUE_ENTITY, Value};
use crate::world::{Clock, Collected, Collector, LastUse, Registers, SecretStore, WorldError};

/// Entity types and the attributes this collector can observe of them.
pub const EMITS: &[(&str, &[&str])] =
    &[("Slm::Value", &["created", "credential", "generation", "last_used", "left", "used", "verified"])];

/// A credential that slm does not rotate.
pub struct Kept {
    /// Which.
    pub credential: CredentialId,
    /// Where its value lives.
    pub secret: SecretRef,
    /// Whether slm tries its values.
    pub tried: bool,
    /// Opened for reading.
    pub store: Box<dyn SecretStore>,
}

/// Reads versions and registers; it never reads a value.
pub struct ByHand {
    source: SourceId,
    kept: Vec<Kept>,
    registers: Arc<dyn Registers>,
}

impl ByHand {
    /// Reads `kept`, and in `registers` which of their values were tried.
    #[must_use]
    pub fn new(kept: Vec<Kept>, registers: Arc<dyn Registers>) -> Self {
        Self { source: SourceId::from("by-hand"), kept, registers }
    }

    /// `None` when there is no value yet.
    async fn look(&self, one: &Kept) -> Result<Option<Resource>, WorldError> {
        let view = one.store.describe(&one.secret).await?;
        let Some((generation, version)) = view.current().and_then(|id| view.versions.get_key_value(id)) else { return Ok(None) };
        let text = |value: &str| Value::Text(Arc::from(value));
        let mut facts: Vec<Attribute> = vec![
            ("credential".into(), text(one.credential.as_str())),
            ("generation".into(), text(generation.as_str())),
            ("created".into(), Value::Time(version.created)),
        ];
        match view.read {
            LastUse::Untold => {}
            LastUse::Never => facts.push(("used".into(), Value::Bool(false))),
            LastUse::At(at, _) => facts.extend([("used".into(), Value::Bool(true)), ("last_used".into(), Value::Time(at))]),
        }
        let left = left::behind(self.registers.as_ref(), &one.credential, &one.secret, (&view, generation)).await?;
        facts.extend(left.map(|before| (Arc::from("left"), text(before.as_str()))));
        if one.tried {
            let name = names::mark(&one.secret, generation, "verified");
            let rotation = names::rotation(&one.credential, Some(generation));
            let written = self.registers.read(&rotation, std::slice::from_ref(&name)).await?;
            let at = written.get(&name).and_then(|at| at.parse().ok());
            facts.extend(at.map(|at| (Arc::from("verified"), Value::Time(at))));
        }
        Ok(Some(Resource::new(ResourceId::from(one.credential.to_string()), facts)))
    }
}

#[async_trait]
impl Collector for ByHand {
    fn name(&self) -> &'static str {
        "by-hand"
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn scope(&self) -> &'static str {
        "."
    }

    async fn collect(&self, clock: &dyn Clock) -> Collected {
        let mut asked = Asked {
            collector: self.name(),
            operation: "secret:describe",
            word: "value of",
            entity: VALUE_ENTITY,
            count: 0,
            resources: Vec::new(),
            unseen: Vec::new(),
            started: clock.now(),
        };
        for one in &self.kept {
            asked.answered(one.credential.to_string(), self.look(one).await);
        }
        asked.collected(clock.now())
    }
}
