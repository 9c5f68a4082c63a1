//! Planning: what an assessment asks for, in order, within limits, as far as the guards permit. Same input, same plan.

pub mod approved;
pub mod broken;
mod by_hand;
mod choose;
pub mod consent;
mod fit;
pub mod github;
pub mod guard;
pub mod leak;
mod left;
pub mod lint;
mod managed;
pub mod needs;
mod order;
pub mod outlook;
mod preflight;
mod reach;
mod rights;
mod spent;
mod stages;
pub mod standing;
pub mod together;
pub mod usage;

use crate::model::assessment::Assessment;
use crate::model::catalog::Catalog;
use crate::model::id::CredentialId;
use crate::model::plan::{PLAN_FORMAT, Plan};
use crate::model::preflight::Facts;
use crate::model::snapshot::Snapshot;
use crate::policy::Rules;

/// Everything a plan is made from.
pub struct Input<'a> {
    /// The config repo.
    pub catalog: &'a Catalog,
    /// Its policies, compiled.
    pub rules: &'a Rules,
    /// What was observed, joined with the catalog.
    pub snapshot: &'a Snapshot,
    /// What was judged.
    pub assessment: &'a Assessment,
    /// The commit of the config repo, or `work-tree-` and a digest of its files.
    pub config: String,
    /// SHA-256 of the canonical snapshot as observed.
    pub digest: String,
    /// Credentials a person asked to rotate now.
    pub forced: &'a [CredentialId],
    /// What sources were asked ahead of the rotations.
    pub facts: &'a Facts,
}

/// Makes the plan. Rotations come first, the half-done ones before the rest, then deliveries, trials, collections, escalations and
/// adoptions.
#[must_use]
pub fn plan(input: &Input<'_>) -> Plan {
    let mut held = Vec::new();
    let mut preflight = Vec::new();
    let mut actions = choose::credentials(input, &mut held, &mut preflight);
    actions.extend(by_hand::actions(input));
    actions.extend(outlook::late(input));
    actions.extend(broken::findings(input));
    actions.extend(spent::findings(input));
    actions.extend(left::findings(input));
    actions.extend(choose::findings(input));
    order::order(&mut actions, input.catalog);
    held.extend(leak::suspected(input));
    held.sort_by(|a, b| a.kind.cmp(&b.kind));
    preflight.sort();
    preflight.dedup();
    let usage = usage::of_plan(input, &actions, &held);
    let together = together::told(input, &actions);
    Plan {
        format: PLAN_FORMAT,
        at: input.assessment.at,
        config: input.config.clone(),
        snapshot: input.digest.clone(),
        actions,
        held,
        together,
        preflight,
        usage,
    }
}

#[cfg(test)]
mod tests;
