//! Which controls serve the criteria of a framework, for the report of a period.

use std::collections::BTreeMap;

use super::Trouble;
use super::removed::Removed;
use crate::model::attestation::{About, Manual};
use crate::model::catalog::{Catalog, ControlKind};
use crate::model::id::FrameworkId;
use crate::model::past::Serving;

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
pub(super) fn serving(catalog: &Catalog, removed: &Removed, framework: Option<&FrameworkId>, manual: Vec<Manual>) -> Vec<Serving> {
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
                signature: None,
                removed: Vec::new(),
            };
            all.insert((one.id.clone(), criterion.clone()), serving);
        }
    }
    for Manual { about, state } in manual {
        let About::Criterion(framework, criterion) = about else { continue };
        if let Some(serving) = all.get_mut(&(framework, criterion)) {
            serving.signature = Some(state);
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
    all.into_values().collect()
}
