//! What is brought home by collectors that ask each managed thing by itself: one scope, no raw bytes, whatever was not seen named.

use crate::model::id::{EntityType, SourceId};
use crate::model::receipt::{Operation, Receipt};
use crate::model::snapshot::{Completeness, Population, Resource, Unseen};
use crate::model::time::Timestamp;
use crate::world::{Collected, ErrorClass, WorldError};

/// What was asked for, and what came of it.
pub(super) struct Asked {
    /// Name of the collector, and of its source.
    pub collector: &'static str,
    /// As the receipt calls it: `consumer:observe`.
    pub operation: &'static str,
    /// What one of them is called when it was not seen: `consumer`.
    pub word: &'static str,
    /// Type of the resources.
    pub entity: &'static str,
    /// How many were asked for.
    pub count: usize,
    /// Those that were seen.
    pub resources: Vec<Resource>,
    /// Those that were not, and why.
    pub unseen: Vec<(String, WorldError)>,
    /// By our own clock.
    pub started: Timestamp,
}

impl Asked {
    /// Counts an answer about `name`; there may be nothing to tell.
    pub fn answered(&mut self, name: String, answer: Result<Option<Resource>, WorldError>) {
        self.count += 1;
        match answer {
            Ok(found) => self.resources.extend(found),
            Err(error) => self.unseen.push((name, error)),
        }
    }

    /// The collection as it ended at `ended`.
    pub fn collected(self, ended: Timestamp) -> Collected {
        let completeness = self.completeness();
        let mut resources = self.resources;
        resources.sort_by(|a, b| a.id.cmp(&b.id));
        let operation = Operation {
            name: self.operation.to_owned(),
            parameters: serde_json::json!({}),
            pages: 1,
            requests: self.count as u64,
            items: resources.len() as u64,
            request_ids: Vec::new(),
        };
        let (source, scope) = (SourceId::from(self.collector), ".".to_owned());
        let receipt = Receipt {
            source: source.clone(),
            collector: self.collector.to_owned(),
            scope: scope.clone(),
            caller: None,
            completeness: completeness.clone(),
            operations: vec![operation],
            independent_count: Some(self.count as u64),
            source_clock: None,
            effective: None,
            started: self.started,
            ended,
            raw: Vec::new(),
        };
        let entity = EntityType::from(self.entity);
        let population = Population { source, scope, entity, completeness, resources: resources.into() };
        Collected { populations: vec![population], receipt, raw: Vec::new() }
    }

    /// Says which was not seen and why, and how many more were not.
    fn completeness(&self) -> Completeness {
        let Some((name, error)) = self.unseen.first() else { return Completeness::Complete };
        let cause = match error.class {
            ErrorClass::Denied => Unseen::Denied,
            // Looking again does not help: a person must change something.
            ErrorClass::Permanent | ErrorClass::Unfit => Unseen::NotCollected,
            ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::Transient => Unseen::Unreachable,
        };
        let more = if self.unseen.len() > 1 { format!("; {} more were not seen", self.unseen.len() - 1) } else { String::new() };
        Completeness::Incomplete { cause, detail: format!("{} `{name}`: {error}{more}", self.word) }
    }
}
