//! What only a person can say, and whether one did: controls that are attested, and criteria that are manual.

use crate::model::attestation::{About, Attestation, Manual, Signed};
use crate::model::catalog::{Catalog, ControlKind};
use crate::model::snapshot::{Resource, Snapshot};
use crate::model::time::Timestamp;

/// The entity type of a file whose approval the branch shows.
pub const DOCUMENT: &str = "Slm::Document";

/// Everything manual in `catalog`, controls first, and how it stands at `at`. What `snapshot` shows of who approved a file counts more
/// than what the file says.
#[must_use]
pub fn manual(catalog: &Catalog, snapshot: &Snapshot, at: Timestamp) -> Vec<Manual> {
    let controls = catalog.controls.values().filter(|control| control.kind == ControlKind::Attestation);
    let controls = controls.map(|control| About::Control(control.id.clone()));
    let criteria = catalog.frameworks.values().flat_map(|framework| {
        let manual = framework.criteria.iter().filter(|(_, criterion)| criterion.manual);
        manual.map(|(id, _)| About::Criterion(framework.id.clone(), id.clone()))
    });
    let all = controls.chain(criteria);
    all.map(|about| Manual { state: state(catalog, snapshot, &about, at), about }).collect()
}

fn state(catalog: &Catalog, snapshot: &Snapshot, about: &About, at: Timestamp) -> Signed {
    let mut all: Vec<&Attestation> = catalog.attestations.values().filter(|one| one.about == *about && one.signed <= at).collect();
    all.sort_by_key(|one| one.covers);
    let Some(last) = all.last() else { return Signed::Never };
    let covers = last.covers;
    if !covers.stands(at) {
        Signed::Lapsed { covers }
    } else if unapproved(snapshot, &last.place.file) {
        Signed::Unapproved { covers }
    } else {
        Signed::For { covers, approver: last.approver.clone(), at: last.signed }
    }
}

/// True when the branch was looked at and shows that nobody but its author approved the file at `path`.
#[must_use]
pub fn unapproved(snapshot: &Snapshot, path: &str) -> bool {
    let seen = snapshot.populations.iter().filter(|population| population.entity.as_str() == DOCUMENT);
    let file = |one: &&Resource| one.id.as_str().strip_prefix("document:") == Some(path);
    seen.flat_map(|population| population.resources.iter()).find(file).is_some_and(|one| one.text("approver") == Some(""))
}
