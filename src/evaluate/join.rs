//! What the catalog knows about observed resources: whether a secret is declared, its owner, the limit of its tier, and whether a
//! consumer runs the current version. A pure join; collectors stay ignorant of the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::catalog::{Catalog, Credential, Settings};
use crate::model::id::CredentialId;
use crate::model::snapshot::{CONSUMER_ENTITY, Resource, Snapshot, Value};
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
    let current = current_versions(catalog, &snapshot);
    for population in snapshot.populations.iter_mut().filter(|population| population.entity.as_str() == CONSUMER_ENTITY) {
        for resource in &mut population.resources {
            add_consumer_facts(&current, resource);
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

type Current = BTreeMap<CredentialId, (String, Option<Value>)>;

fn current_versions(catalog: &Catalog, snapshot: &Snapshot) -> Current {
    let secrets = snapshot.populations.iter().filter(|population| population.holds_secrets());
    let mut current = Current::new();
    for population in secrets {
        for resource in &population.resources {
            if let (Some(credential), Some(version)) = (catalog.declared_as(population, resource), resource.text("version")) {
                current.insert(credential.id.clone(), (version.to_owned(), resource.get("last_rotated").cloned()));
            }
        }
    }
    current
}

fn add_consumer_facts(current: &Current, resource: &mut Resource) {
    let Some((version, rotated)) = resource.text("credential").and_then(|id| current.get(id)) else { return };
    let runs = resource.text("running") == Some(version.as_str());
    let rotated = rotated.clone();
    resource.set("current", Value::Bool(runs));
    if let Some(rotated) = rotated {
        resource.set("rotated_at", rotated);
    }
}
