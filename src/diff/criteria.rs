//! Criteria that controls answer for by one text only.

use std::collections::BTreeMap;

use crate::model::catalog::{Catalog, ControlKind};
use crate::model::difference::CriterionChange;
use crate::model::id::{ControlId, CriterionId, FrameworkId};

type Answers = BTreeMap<(FrameworkId, CriterionId), Vec<ControlId>>;

/// Criteria of `base` that no control of `head` answers for, though one of `base` did. One that waits for a collector answers for nothing.
pub(super) fn lost(base: &Catalog, head: &Catalog) -> Vec<CriterionChange> {
    let (before, after) = (answers(base), answers(head));
    let gone = before.into_iter().filter(|(key, _)| !after.contains_key(key));
    gone.map(|((framework, criterion), before)| {
        let title = title(base, &framework, &criterion);
        CriterionChange { framework, criterion, title, before, after: Vec::new() }
    })
    .collect()
}

/// The reverse.
pub(super) fn gained(base: &Catalog, head: &Catalog) -> Vec<CriterionChange> {
    let turned = lost(head, base).into_iter();
    turned.map(|one| CriterionChange { before: one.after, after: one.before, ..one }).collect()
}

fn answers(catalog: &Catalog) -> Answers {
    let mut all = Answers::new();
    for control in catalog.controls.values() {
        if control.kind != ControlKind::Attestation && control.needs.is_some() {
            continue;
        }
        for (framework, criteria) in &control.criteria {
            for criterion in criteria {
                all.entry((framework.clone(), criterion.clone())).or_default().push(control.id.clone());
            }
        }
    }
    all
}

fn title(catalog: &Catalog, framework: &FrameworkId, criterion: &CriterionId) -> String {
    let found = catalog.frameworks.get(framework).and_then(|one| one.criteria.get(criterion));
    found.map(|one| one.title.clone()).unwrap_or_default()
}
