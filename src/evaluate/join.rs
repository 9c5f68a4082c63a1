//! What the catalog knows about observed resources: whether a secret is declared, its owner, the limit of its tier. A pure
//! join; collectors stay ignorant of the catalog.

use std::sync::Arc;

use crate::model::catalog::{Catalog, Credential, Settings};
use crate::model::snapshot::{Resource, Snapshot, Value};
use crate::model::time::Limit;

/// Adds to `snapshot` what only the catalog knows.
#[must_use]
pub fn join(catalog: &Catalog, mut snapshot: Snapshot) -> Snapshot {
    for population in &mut snapshot.populations {
        if population.holds_secrets() {
            for at in 0..population.resources.len() {
                let declared = catalog.declared_as(population, &population.resources[at]).cloned();
                add_secret_facts(&catalog.settings, &mut population.resources[at], declared.as_ref());
            }
        }
    }
    snapshot
}

fn add_secret_facts(settings: &Settings, resource: &mut Resource, declared: Option<&Credential>) {
    let tier = resource.text("tier").filter(|tier| !tier.is_empty()).unwrap_or(&settings.default_tier).to_owned();
    let limit = settings.tiers.get(&tier).copied();
    // The tier decides, not the credential's own period: a file may not loosen the control it serves. An unknown tier yields no limit, so the control has no evidence: never a guess.
    if let Some(limit) = limit {
        resource.set("max_age_days", Value::Long(limit.as_seconds() / Limit::DAY));
    }
    resource.set("declared", Value::Bool(declared.is_some()));
    if let Some(credential) = declared
        && resource.text("owner").is_none_or(str::is_empty)
    {
        resource.set("owner", Value::Text(Arc::from(credential.owner.as_str())));
    }
}
