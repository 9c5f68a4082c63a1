//! What no collector sees alone: from the catalog, whether a secret is declared, its owner, the limit of its tier, and who is an
//! approved administrator; from all regions of an account, its widest trail. A pure join; collectors stay ignorant of it.

use std::sync::Arc;

use crate::model::catalog::{AwsSource, Catalog, Credential, Settings, SourceKind};
use crate::model::id::SourceId;
use crate::model::snapshot::{Attribute, Population, Resource, Snapshot, Value};
use crate::model::time::Limit;

/// Adds to `snapshot` what only the catalog knows, and what is known of an account from its regions.
#[must_use]
pub fn join(catalog: &Catalog, mut snapshot: Snapshot) -> Snapshot {
    for (source, kind) in &catalog.settings.sources {
        if let SourceKind::Aws(account) = kind {
            add_account_facts(source, account, &mut snapshot.populations);
        }
    }
    for population in &mut snapshot.populations {
        if population.holds_secrets() {
            for at in 0..population.resources.len() {
                let declared = catalog.declared_as(population, &population.resources[at]);
                add_secret_facts(&catalog.settings, &mut population.resources[at], declared);
            }
        }
    }
    snapshot
}

fn add_secret_facts(settings: &Settings, resource: &mut Resource, declared: Option<&Credential>) {
    let tier = resource.text("tier").filter(|tier| !tier.is_empty()).unwrap_or(&settings.default_tier);
    let limit = settings.tiers.get(tier);
    // The tier decides, not the credential's own period: a file may not loosen the control it serves. An unknown tier yields no limit, so the control has no evidence: never a guess.
    let owner = declared.filter(|_| resource.text("owner").is_none_or(str::is_empty)).map(|credential| &credential.owner);
    let known = [
        Some(("declared", Value::Bool(declared.is_some()))),
        limit.map(|limit| ("max_age_days", Value::Long(limit.as_seconds() / Limit::DAY))),
        owner.map(|owner| ("owner", Value::Text(Arc::from(owner.as_str())))),
    ];
    let known: Vec<_> = known.into_iter().flatten().collect();
    resource.share(&known);
}

/// Adds to the account of `source` what its trails say, and to its principals whether they are on the roster.
fn add_account_facts(source: &SourceId, account: &AwsSource, populations: &mut [Population]) {
    let trail = trail_facts(source, account, populations);
    for population in populations.iter_mut().filter(|population| population.source == *source) {
        for resource in &mut population.resources {
            match (population.entity.as_str(), &account.administrators) {
                ("Aws::Account", _) => trail.iter().flatten().for_each(|(name, value)| resource.set(name, value.clone())),
                ("Aws::Principal", Some(roster)) => {
                    let on_roster = roster.iter().any(|arn| arn == resource.id.as_str());
                    resource.set("on_roster", Value::Bool(on_roster));
                }
                _ => {}
            }
        }
    }
}

/// What the trails of every region in scope say of the account; `None` when those of any were not seen whole, for a trail that was not
/// seen may be the one that counts.
fn trail_facts(source: &SourceId, account: &AwsSource, populations: &[Population]) -> Option<Vec<Attribute>> {
    let mut trails = Vec::new();
    for region in &account.regions {
        let seen = populations.iter().find(|population| {
            population.entity.as_str() == "Aws::Trail" && population.source == *source && population.region() == region
        });
        trails.extend(&seen.filter(|population| population.completeness.is_complete())?.resources);
    }
    let mut facts = vec![("has_trail".into(), Value::Bool(!trails.is_empty()))];
    if let Some(widest) = trails.into_iter().max_by_key(|trail| width(trail)) {
        let names = ["global_events", "logging", "multi_region", "read_write"];
        let named = |name: &str| Some((format!("trail_{name}").into(), widest.get(name)?.owned()));
        facts.extend(names.into_iter().filter_map(named));
    }
    Some(facts)
}

/// How much a trail covers: one that covers everything is wider than any other.
fn width(trail: &Resource) -> (bool, u8, bool) {
    let all = trail.text("read_write") == Some("All");
    let covers = [trail.is("multi_region"), trail.is("logging"), trail.is("global_events"), all];
    (!covers.contains(&false), covers.iter().map(|one| u8::from(*one)).sum(), trail.is("logging"))
}
