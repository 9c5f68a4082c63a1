//! Which criteria of two frameworks have controls in common. It is derived from what each control says it serves and is nobody's own
//! word; nothing is judged by it: a criterion stands by its own controls alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::{Catalog, Control};
use crate::model::id::{ControlId, CriterionId, FrameworkId};

/// A criterion of a framework.
pub type Place<'a> = (&'a FrameworkId, &'a CriterionId);

/// Two criteria, and what connects them.
pub struct Pair<'a> {
    /// That of the framework whose id comes first.
    pub one: Place<'a>,
    /// That of the other.
    pub other: Place<'a>,
    /// Controls that serve both, by id.
    pub by: Vec<&'a Control>,
}

/// Every two criteria of two frameworks that a control serves both, in order; none by what is declared no more.
pub fn crosswalk<'a>(catalog: &'a Catalog, removed: &BTreeSet<ControlId>) -> Vec<Pair<'a>> {
    let mut pairs: BTreeMap<(Place<'a>, Place<'a>), Vec<&'a Control>> = BTreeMap::new();
    for control in catalog.controls.values().filter(|control| !removed.contains(&control.id)) {
        let served: Vec<Place<'a>> =
            control.criteria.iter().flat_map(|(framework, ids)| ids.iter().map(move |id| (framework, id))).collect();
        for one in &served {
            for other in served.iter().filter(|other| one.0 < other.0) {
                pairs.entry((*one, *other)).or_default().push(control);
            }
        }
    }
    pairs.into_iter().map(|((one, other), by)| Pair { one, other, by }).collect()
}
