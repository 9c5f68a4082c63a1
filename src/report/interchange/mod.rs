//! A period in the words of others: OSCAL for assessments, SARIF for scanners, OCSF for event lakes. Identifiers are made of what they are
//! of, so that the same evidence has the same ones.

mod ocsf;
mod oscal;
mod sarif;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::model::attestation::{About, Manual};
use crate::model::catalog::{Catalog, Control, Severity};
use crate::model::deviation::Deviation;
use crate::model::id::{ControlId, FrameworkId};
use crate::model::past::Noted;
use crate::model::period::{Period, Series};
use crate::report::attestation;

pub use ocsf::ocsf;
pub use oscal::{ACTIONS, oscal};
pub use sarif::sarif;

/// Namespace of every identifier below; it was drawn once, and changing it makes every finding a new one.
const NAMESPACE: Uuid = Uuid::from_u128(0x1f0b_7a52_86e4_4c0d_9b1a_72d9_5c3e_8f44);

/// What is told.
pub struct Told<'a> {
    /// The config repo.
    pub catalog: &'a Catalog,
    /// What the locker says.
    pub period: &'a Period,
    /// The log that vouches for it.
    pub origin: &'a str,
    /// Its root, in hex.
    pub root: &'a str,
    /// Only what serves this framework.
    pub framework: Option<&'a FrameworkId>,
    /// What only a person can say.
    pub manual: &'a [Manual],
    /// What is not shown.
    pub unproven: &'a [Noted],
}

impl<'a> Told<'a> {
    /// Controls that were judged and serve what was asked for.
    fn series(&self) -> impl Iterator<Item = (&'a Control, &'a Series)> {
        let (catalog, framework) = (self.catalog, self.framework);
        let known = self.period.controls.iter().filter_map(move |series| Some((catalog.controls.get(&series.control)?, series)));
        known.filter(move |(control, _)| framework.is_none_or(|id| control.criteria.contains_key(id)))
    }

    /// What did not hold, of those controls.
    fn deviations(&self) -> Vec<(&'a Control, Deviation)> {
        let wanted: BTreeMap<&ControlId, &Control> = self.series().map(|(control, _)| (&control.id, control)).collect();
        let all = self.period.deviations().into_iter();
        all.filter_map(|one| Some((*wanted.get(&one.control)?, one))).collect()
    }

    /// What no run says: days that nobody looked on, what waits for a person, and what is not shown; a clause each.
    fn caveats(&self) -> Vec<String> {
        let blind: Vec<String> =
            self.period.days.iter().filter(|day| day.runs.is_empty()).map(|day| day.date.to_string()).collect();
        let judged: BTreeSet<&ControlId> = self.series().map(|(control, _)| &control.id).collect();
        let manual = self.manual.iter().filter_map(|one| {
            let (name, told) = match &one.about {
                About::Control(id) => (id.to_string(), judged.contains(id)),
                About::Criterion(of, id) => (format!("{of}:{id}"), self.framework.is_none_or(|wanted| wanted == of)),
            };
            told.then(|| format!("only a person can say {name}: {}", attestation::words(&one.state)))
        });
        let days = (!blind.is_empty()).then(|| format!("no run began on {}", blind.join(", ")));
        let unproven = self.unproven.iter().map(|noted| format!("not shown: {}", noted.what));
        days.into_iter().chain(manual).chain(unproven).collect()
    }

    /// The identifier of what is made anew for each period, and for each framework: what is of another one is something else.
    fn document(&self, kind: &str, parts: &[&str]) -> String {
        let framework = self.framework.map(|id| format!("framework {id}"));
        let parts: Vec<&str> = [kind].into_iter().chain(parts.iter().copied()).chain(framework.as_deref()).collect();
        self.id(&parts)
    }

    /// The identifier of what `parts` name, of this log.
    fn id(&self, parts: &[&str]) -> String {
        let name: Vec<&str> = [self.origin].into_iter().chain(parts.iter().copied()).collect();
        // A part has no unit separator of its own, or it would be another identifier only.
        Uuid::new_v5(&NAMESPACE, name.join("\u{1f}").as_bytes()).to_string()
    }
}

/// The criteria of a control, in one word each.
fn criteria(control: &Control) -> Vec<String> {
    control.criteria.iter().flat_map(|(framework, ids)| ids.iter().map(move |id| format!("{framework}:{id}"))).collect()
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
mod tests;
