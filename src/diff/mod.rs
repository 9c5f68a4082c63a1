//! Comparing two texts of the config repo: what an edit asks for, and what follows from it. Pure: whatever a solver or a locker has to
//! say is a parameter.
//!
//! Three layers, each as strong as it is: what rules allow is proved or not ([`questions`]); what recorded days would have read is
//! [replayed](replay); the rest is compared as numbers and planned for what was seen last ([`diff`]).

mod columns;
mod controls;
mod criteria;
mod edits;
mod exceptions;
mod guards;
mod plans;
pub mod replay;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluate::join::again;
use crate::model::catalog::Catalog;
use crate::model::difference::{Difference, Proof, Side};
use crate::model::id::RunId;
use crate::model::plan::Plan;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::policy::{Likeness, Rules};

/// What was proved of the policies of an action, by that action.
pub type Proofs = BTreeMap<String, Proof>;

/// One of the two texts.
pub struct Text<'a> {
    /// What it is called.
    pub side: Side,
    /// The config repo.
    pub catalog: &'a Catalog,
    /// Its policies, compiled.
    pub rules: &'a Rules,
}

/// What was seen last, as it was recorded.
pub struct Seen<'a> {
    /// The run that saw it.
    pub run: &'a RunId,
    /// What it saw.
    pub snapshot: &'a Snapshot,
    /// The instant that both texts are judged and planned at.
    pub at: Timestamp,
    /// What was planned then.
    pub plan: Option<&'a Plan>,
}

/// Everything a comparison is made from.
pub struct Input<'a> {
    /// The old text.
    pub base: &'a Text<'a>,
    /// The new text.
    pub head: &'a Text<'a>,
    /// As of when: exceptions are compared from here on, and guards asked.
    pub at: Timestamp,
    /// What was proved of policies that are other.
    pub proofs: &'a Proofs,
    /// What was seen last, if anything was recorded.
    pub seen: Option<Seen<'a>>,
}

/// What the edit means. Days of the past and what could not be seen are added by whoever reads the locker.
#[must_use]
pub fn diff(input: &Input<'_>) -> Difference {
    let Input { base, head, at, proofs, seen } = input;
    let exceptions = exceptions::exceptions(base.catalog, head.catalog, *at);
    let controls = controls::controls(base, head, &exceptions, proofs);
    let planned = seen.as_ref().and_then(|seen| seen.plan);
    let mut difference = Difference {
        base: base.side.clone(),
        head: head.side.clone(),
        controls,
        settings: settings::settings(&base.catalog.settings, &head.catalog.settings),
        credentials: settings::credentials(base.catalog, head.catalog),
        exceptions,
        criteria_lost: criteria::lost(base.catalog, head.catalog),
        criteria_gained: criteria::gained(base.catalog, head.catalog),
        guards: guards::guards(base, head, proofs, planned, *at),
        consequences: None,
        replay: None,
        unseen: Vec::new(),
        files: Vec::new(),
    };
    if !difference.is_equal() {
        difference.consequences = seen.as_ref().map(|seen| plans::consequences(base, head, seen));
    }
    difference
}

/// Actions of both texts whose policies are other, so that only a proof says how they compare, sorted.
#[must_use]
pub fn questions(base: &Text<'_>, head: &Text<'_>) -> Vec<String> {
    let actions: BTreeSet<&str> = base.rules.actions().chain(head.rules.actions()).collect();
    let (old, new) = (judged(base.catalog), judged(head.catalog));
    let other = |action: &&str| {
        old.contains(*action) == new.contains(*action)
            && Rules::likeness(base.rules.slice(action), head.rules.slice(action)) == Likeness::Other
    };
    actions.into_iter().filter(other).map(str::to_owned).collect()
}

/// Actions of the controls of `catalog`.
fn judged(catalog: &Catalog) -> BTreeSet<String> {
    catalog.controls.keys().map(controls::action).collect()
}

/// What was seen as either text joins it; `None` when both do as it was recorded.
#[must_use]
pub fn joined(base: &Text<'_>, head: &Text<'_>, seen: &Snapshot) -> Option<(Snapshot, Snapshot)> {
    let with = |text: &Text<'_>| again(base.catalog, text.catalog, seen.clone());
    joins(base.catalog, head.catalog).then(|| (with(base), with(head)))
}

/// True when what the two texts add to what was seen is not the same.
fn joins(base: &Catalog, head: &Catalog) -> bool {
    let (old, new) = (&base.settings, &head.settings);
    let declared = |catalog: &Catalog| -> Vec<_> {
        let all = catalog.credentials.values();
        all.map(|one| (one.id.clone(), one.secret.clone(), one.owner.clone(), one.rotator.by_hand().is_some())).collect()
    };
    old.tiers != new.tiers || old.default_tier != new.default_tier || old.sources != new.sources || declared(base) != declared(head)
}

#[cfg(test)]
mod tests;
