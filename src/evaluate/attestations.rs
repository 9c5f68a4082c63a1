//! What only a person can say, and whether one did: controls that are attested, and criteria that are manual.

use super::approvals::approval;
use crate::model::approval::Approval;
use crate::model::attestation::{About, Attestation, Manual, Signed};
use crate::model::catalog::{Catalog, ControlKind};
use crate::model::period::{day, midnight};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;

/// Everything manual in `catalog`, controls first, and how it stands at `at`. What `snapshot` shows of who approved a file counts more
/// than what the file says.
#[must_use]
pub fn manual(catalog: &Catalog, snapshot: &Snapshot, at: Timestamp) -> Vec<Manual> {
    all(catalog, &|about| state(catalog, &|path| approval(snapshot, path), about, (at, at)))
}

/// The same for a stretch that ends at `at`, by what people signed until `by`, which may be later: what is over is signed when it is over.
/// `approved` says who was seen to approve the file at a path.
#[must_use]
pub fn manual_of(catalog: &Catalog, approved: &dyn Fn(&str) -> Approval, (at, by): (Timestamp, Timestamp)) -> Vec<Manual> {
    all(catalog, &|about| match state(catalog, approved, about, (at, by)) {
        Signed::For { covers, approver, at: signed, .. } if day(signed) < covers.to.min(day(at)) => {
            Signed::Partly { covers, approver, until: day(signed) }
        }
        state => state,
    })
}

fn all(catalog: &Catalog, state: &dyn Fn(&About) -> Signed) -> Vec<Manual> {
    let controls = catalog.controls.values().filter(|control| control.kind == ControlKind::Attestation);
    let controls = controls.map(|control| About::Control(control.id.clone()));
    let criteria = catalog.frameworks.values().flat_map(|framework| {
        let manual = framework.criteria.iter().filter(|(_, criterion)| criterion.manual);
        manual.map(|(id, _)| About::Criterion(framework.id.clone(), id.clone()))
    });
    controls.chain(criteria).map(|about| Manual { state: state(&about), about }).collect()
}

fn state(catalog: &Catalog, approved: &dyn Fn(&str) -> Approval, about: &About, (at, by): (Timestamp, Timestamp)) -> Signed {
    let begun = |one: &&Attestation| one.signed <= by && midnight(one.covers.from) <= at;
    let mut all: Vec<&Attestation> = catalog.attestations.values().filter(|one| one.about == *about).filter(begun).collect();
    all.sort_by_key(|one| one.covers);
    let Some(last) = all.last() else { return Signed::Never };
    let covers = last.covers;
    if !covers.stands(at) {
        return Signed::Lapsed { covers };
    }
    match approved(&last.place.file) {
        Approval::Nobody => Signed::Unapproved { covers },
        approval => Signed::For { covers, approver: last.approver.clone(), approval, at: last.signed },
    }
}
