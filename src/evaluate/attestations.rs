//! What only a person can say, and whether one did: controls that are attested, and criteria that are manual.

use super::approvals::approval;
use crate::model::approval::Approval;
use crate::model::attestation::{About, Attestation, Manual, Signed};
use crate::model::catalog::{Catalog, ControlKind};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;

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
        return Signed::Lapsed { covers };
    }
    match approval(snapshot, &last.place.file) {
        Approval::Nobody => Signed::Unapproved { covers },
        approval => Signed::For { covers, approver: last.approver.clone(), approval, at: last.signed },
    }
}

/// True when it was looked at who approved the file at `path`, and nobody but its author did.
#[must_use]
pub fn unapproved(snapshot: &Snapshot, path: &str) -> bool {
    approval(snapshot, path) == Approval::Nobody
}
