//! Which controls serve the criteria of a framework, for the report of a period.

use std::collections::BTreeMap;

use super::period::Collected;
use super::removed::Removed;
use super::{Global, Trouble, attested, past};
use crate::evaluate::approvals::SHOWN_BY;
use crate::evaluate::attestations::{manual, unapproved};
use crate::model::attestation::{About, Attestation, Manual, Stretch};
use crate::model::catalog::{Catalog, ControlKind};
use crate::model::id::{ControlId, FrameworkId};
use crate::model::past::{Noted, Serving};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;

/// What people signed of a period.
#[derive(Default)]
pub(super) struct Signatures {
    /// How each thing that only a person can say stands at its end.
    pub manual: Vec<Manual>,
    /// Whether each of its days is one for which a person signed, by control that a person states.
    pub days: BTreeMap<ControlId, Vec<bool>>,
    /// Signatures over what no run recorded.
    pub unfounded: Vec<Noted>,
}

/// What people signed of what was collected, by `now`.
pub(super) fn signatures(global: &Global, collected: &Collected, catalog: &Catalog, now: Timestamp) -> Result<Signatures, Trouble> {
    let period = &collected.period;
    let at = period.bounds().1.min(now);
    let documents = match collected.recorded.last() {
        Some(last) => past::snapshot(&collected.history, last, &past::run(&collected.history, last)?.0.only(&SHOWN_BY))?,
        None => Snapshot { taken: at, populations: Vec::new(), receipts: Vec::new() },
    };
    let asked = Stretch { from: period.from, to: period.to };
    let wanted = |one: &Attestation| one.covers.meets(&asked) || (one.signed <= at && one.covers.stands(at));
    let unfounded = attested::all_unfounded(&global.root, catalog, wanted);
    let mut manual = manual(catalog, &documents, at);
    attested::take_back(&mut manual, &unfounded);
    let counts = |one: &&Attestation| {
        let known = unfounded.iter().any(|(other, _)| other.place == one.place);
        one.signed <= at && !known && !unapproved(&documents, &one.place.file)
    };
    let stated = catalog.controls.values().filter(|control| control.kind == ControlKind::Attestation);
    let days = stated.map(|control| {
        let about = About::Control(control.id.clone());
        let signed: Vec<Stretch> =
            catalog.attestations.values().filter(|one| one.about == about).filter(counts).map(|one| one.covers).collect();
        let is = |day: &crate::model::period::Day| signed.iter().any(|covers| covers.from <= day.date && day.date <= covers.to);
        (control.id.clone(), period.days.iter().map(is).collect())
    });
    let days = days.collect();
    let unfounded = unfounded.into_iter().map(|(one, why)| attested::noted(one, &why)).collect();
    Ok(Signatures { manual, days, unfounded })
}

/// The framework `id` of `catalog`.
pub(super) fn framework(catalog: Option<&Catalog>, id: &str) -> Result<FrameworkId, Trouble> {
    let Some(catalog) = catalog else {
        return Err(format!("which controls serve `{id}` is not to be known without the config of the last run").into());
    };
    let known: Vec<&str> = catalog.frameworks.keys().map(FrameworkId::as_str).collect();
    if known.contains(&id) {
        return Ok(id.into());
    }
    Err(format!("there is no framework `{id}`; there are `{}`", known.join("`, `")).into())
}

/// Which controls serve each criterion by the config of the last run, which did that it has no more, and whether those of
/// `manual` are signed.
pub(super) fn serving(catalog: &Catalog, removed: &Removed, framework: Option<&FrameworkId>, manual: &[Manual]) -> Vec<Serving> {
    let mut all = BTreeMap::new();
    for one in catalog.frameworks.values().filter(|one| framework.is_none_or(|id| *id == one.id)) {
        for (criterion, text) in &one.criteria {
            let serving = Serving {
                framework: one.id.clone(),
                criterion: criterion.clone(),
                title: text.title.clone(),
                judged: Vec::new(),
                stated: Vec::new(),
                waiting: Vec::new(),
                signatures: Vec::new(),
                signature: None,
                removed: Vec::new(),
            };
            all.insert((one.id.clone(), criterion.clone()), serving);
        }
    }
    let gone = removed.controls.iter().map(|control| (control, true));
    for (control, gone) in catalog.controls.values().map(|control| (control, false)).chain(gone) {
        for (framework, criteria) in &control.criteria {
            for criterion in criteria {
                let Some(serving) = all.get_mut(&(framework.clone(), criterion.clone())) else { continue };
                let place = match (&control.needs, control.kind) {
                    _ if gone => &mut serving.removed,
                    (_, ControlKind::Attestation) => &mut serving.stated,
                    (Some(_), _) => &mut serving.waiting,
                    (None, _) => &mut serving.judged,
                };
                place.push(control.id.clone());
            }
        }
    }
    let mut all: Vec<Serving> = all.into_values().collect();
    for one in &mut all {
        let own = About::Criterion(one.framework.clone(), one.criterion.clone());
        one.signature = manual.iter().find(|manual| manual.about == own).map(|manual| manual.state.clone());
        let stated = |manual: &&Manual| matches!(&manual.about, About::Control(id) if one.stated.contains(id));
        one.signatures = manual.iter().filter(stated).cloned().collect();
    }
    all
}
