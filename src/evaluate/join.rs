//! What no collector sees alone: from the catalog, whether a secret is declared, its owner, the limit of its tier, and who is an
//! approved administrator; from the store, when a person stored a value; from all regions of an account, its widest trail; from the rotation
//! of a secret, since when AWS is at it, and whether those who read it for a consumer did so since. A pure join; collectors stay ignorant of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::readers;
use crate::model::catalog::{AwsSource, Catalog, Credential, Settings, SourceKind};
use crate::model::id::{CredentialId, SourceId};
use crate::model::snapshot::{Attribute, Population, ROTATION_ENTITY, Resource, Snapshot, VALUE_ENTITY, Value};
use crate::model::time::{Limit, Timestamp};

/// Attributes that [`join`] adds, by entity type.
pub const EMITS: &[(&str, &[&str])] = &[
    ("Aws::Account", &["has_trail", "trail_global_events", "trail_logging", "trail_multi_region", "trail_read_write"]),
    ("Aws::Principal", &["on_roster"]),
    ("Aws::Secret", &["declared", "max_age_days", "owner", "pending_since"]),
    ("Slm::Consumer", &["unread", "unread_since"]),
    ("Vault::Secret", &["declared", "max_age_days", "owner"]),
];

/// Adds to `snapshot` what only the catalog knows, and what is known of an account from its regions.
#[must_use]
pub fn join(catalog: &Catalog, mut snapshot: Snapshot) -> Snapshot {
    readers::join(&mut snapshot.populations);
    declare(catalog, &mut snapshot);
    snapshot
}

/// What a catalog has of its own to say of a snapshot.
fn declare(catalog: &Catalog, snapshot: &mut Snapshot) {
    for (source, kind) in &catalog.settings.sources {
        if let SourceKind::Aws(account) = kind {
            add_account_facts(source, account, &mut snapshot.populations);
        }
    }
    let begun = begun(&snapshot.populations);
    let dates = dates(snapshot);
    for population in &mut snapshot.populations {
        if population.holds_secrets() {
            let mut resources = std::mem::take(&mut population.resources);
            for resource in Arc::make_mut(&mut resources) {
                let declared = catalog.declared_as(population, resource);
                add_secret_facts(&catalog.settings, resource, declared);
                if let Some(since) = declared.and_then(|credential| begun.get(credential.id.as_str())) {
                    resource.set("pending_since", Value::Time(*since));
                }
                // A value that is in force nowhere has no age, whenever its secret was made.
                if declared.is_some() && resource.text("version").is_none() {
                    resource.forget(&["created", "last_rotated"]);
                }
                if let Some(credential) = declared.filter(|credential| credential.rotator.by_hand().is_some()) {
                    date(resource, dates.get(&credential.id));
                }
            }
            population.resources = resources;
        }
    }
}

/// What was seen and joined with `was`, joined with `now` instead; what `now` does not look at any more is left out. An owner that a tag of
/// the secret and the file of its credential name alike is taken for that of the file; what was forgotten of a value that a person stored
/// is not known again.
#[must_use]
pub fn again(was: &Catalog, now: &Catalog, mut snapshot: Snapshot) -> Snapshot {
    snapshot.populations.retain(|population| !looked_at(was, population) || looked_at(now, population));
    for population in &mut snapshot.populations {
        let mut resources = std::mem::take(&mut population.resources);
        match population.entity.as_str() {
            _ if population.holds_secrets() => {
                for resource in Arc::make_mut(&mut resources) {
                    let owner = was.declared_as(population, resource).is_some_and(|one| resource.text("owner") == Some(&one.owner));
                    resource.forget(&["declared", "max_age_days"]);
                    if owner {
                        // What every store says of a secret without such a tag.
                        resource.set("owner", Value::Text("".into()));
                    }
                }
            }
            "Aws::Account" => Arc::make_mut(&mut resources).iter_mut().for_each(|resource| resource.forget(&OF_TRAILS)),
            "Aws::Principal" => Arc::make_mut(&mut resources).iter_mut().for_each(|resource| resource.forget(&["on_roster"])),
            _ => {}
        }
        population.resources = resources;
    }
    declare(now, &mut snapshot);
    snapshot
}

/// What is known of an account by its trails.
const OF_TRAILS: [&str; 5] = ["has_trail", "trail_global_events", "trail_logging", "trail_multi_region", "trail_read_write"];

/// True when `catalog` has the source, and of an AWS account the region, if it is one of those in scope of any.
fn looked_at(catalog: &Catalog, population: &Population) -> bool {
    let region = population.region();
    match catalog.settings.sources.get(&population.source) {
        Some(SourceKind::Aws(account)) if is_region(region) => account.regions.iter().any(|one| one == region),
        source => source.is_some(),
    }
}

/// `eu-west-1`, and not an account or what is read of all regions at once.
fn is_region(text: &str) -> bool {
    text.split('-').count() >= 3 && text.ends_with(|last: char| last.is_ascii_digit())
}

/// Since when the store of a credential is at replacing its value by itself: the list of secrets does not date their versions.
fn begun(populations: &[Population]) -> BTreeMap<String, Timestamp> {
    let rotations = populations.iter().filter(|population| population.entity.as_str() == ROTATION_ENTITY);
    let all = rotations.flat_map(|population| population.resources.iter());
    all.filter_map(|rotation| Some((rotation.text("credential")?.to_owned(), rotation.instant("pending_since")?))).collect()
}

/// Versions in force of credentials that slm does not rotate, and when each came about.
fn dates(snapshot: &Snapshot) -> BTreeMap<CredentialId, (String, Timestamp)> {
    let values = snapshot.populations.iter().filter(|population| population.entity.as_str() == VALUE_ENTITY);
    let date = |value: &Resource| {
        let (credential, generation) = (value.text("credential")?, value.text("generation")?);
        Some((credential.into(), (generation.to_owned(), value.instant("created")?)))
    };
    values.flat_map(|population| population.resources.iter()).filter_map(date).collect()
}

/// Dates a value that slm did not make by its version, or not at all: when the secret was made says nothing of the value that a
/// person stored in it since.
fn date(resource: &mut Resource, seen: Option<&(String, Timestamp)>) {
    match seen.filter(|(generation, _)| resource.text("version") == Some(generation)) {
        Some((_, at)) => resource.set("last_rotated", Value::Time(*at)),
        None => resource.forget(&["created", "last_rotated"]),
    }
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
        for resource in Arc::make_mut(&mut population.resources) {
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
        trails.extend(seen.filter(|population| population.completeness.is_complete())?.resources.iter());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Completeness, Fact, Unseen};

    const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

    fn account(administrators: Option<&[&str]>) -> AwsSource {
        AwsSource {
            account: "1".to_owned(),
            regions: REGIONS.map(str::to_owned).to_vec(),
            administrators: administrators.map(|all| all.iter().map(|&arn| arn.to_owned()).collect()),
            ..AwsSource::default()
        }
    }

    fn population(source: &str, entity: &str, region: &str, resources: Vec<Resource>) -> Population {
        let (source, scope, completeness) = (source.into(), format!("1/{region}"), Completeness::Complete);
        Population { source, scope, entity: entity.into(), completeness, resources: resources.into() }
    }

    fn trail(id: &str, [multi_region, logging, global_events]: [bool; 3], read_write: &str) -> Resource {
        let facts = [("multi_region", multi_region), ("logging", logging), ("global_events", global_events)];
        let mut trail = Resource::new(id.into(), vec![("read_write".into(), Value::Text(read_write.into()))]);
        facts.into_iter().for_each(|(name, value)| trail.set(name, Value::Bool(value)));
        trail
    }

    /// The account, with `first` and `second` as the trails of its regions, after the join.
    fn joined(first: Vec<Resource>, second: Vec<Resource>, mark: impl FnOnce(&mut Vec<Population>)) -> Resource {
        let mut populations = vec![
            population("prod", "Aws::Account", "global", vec![Resource::new("1".into(), Vec::new())]),
            population("prod", "Aws::Trail", REGIONS[0], first),
            population("prod", "Aws::Trail", REGIONS[1], second),
            population("other", "Aws::Trail", REGIONS[0], vec![trail("foreign", [true; 3], "All")]),
        ];
        mark(&mut populations);
        add_account_facts(&"prod".into(), &account(None), &mut populations);
        populations.swap_remove(0).resources[0].clone()
    }

    #[test]
    fn an_account_is_as_well_covered_as_its_widest_trail() {
        let narrow = || trail("a", [false, true, true], "All");
        let wide = || trail("b", [true, true, true], "All");
        let stopped = || trail("c", [true, false, true], "All");
        for (first, second) in [(vec![narrow()], vec![wide(), stopped()]), (vec![stopped(), wide()], vec![narrow()])] {
            let account = joined(first, second, |_| {});
            for name in ["has_trail", "trail_multi_region", "trail_logging", "trail_global_events"] {
                assert!(account.is(name), "{name}");
            }
            assert_eq!(account.text("trail_read_write"), Some("All"));
        }
        let account = joined(vec![narrow(), stopped()], Vec::new(), |_| {});
        assert!(account.is("trail_logging") && !account.is("trail_multi_region"), "of two that lack one thing, the one that logs");
    }

    #[test]
    fn an_account_seen_whole_without_a_trail_has_none() {
        let account = joined(Vec::new(), Vec::new(), |_| {});
        assert_eq!((account.facts().len(), account.get("has_trail")), (1, Some(Fact::Bool(false))));
    }

    #[test]
    fn a_region_that_was_not_seen_leaves_the_account_unknown_even_beside_a_good_trail() {
        let good = || vec![trail("b", [true; 3], "All")];
        let cut = |all: &mut Vec<Population>| {
            all[2].completeness = Completeness::Incomplete { cause: Unseen::Denied, detail: String::new() };
        };
        assert_eq!(joined(good(), Vec::new(), cut).facts().len(), 0);
        assert_eq!(joined(Vec::new(), Vec::new(), |all| drop(all.remove(2))).facts().len(), 0);
    }

    #[test]
    fn what_a_person_stored_is_dated_by_its_version_and_by_nothing_else() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (made, stored) = (at("2020-01-01T00:00:00Z"), at("2026-11-01T00:00:00Z"));
        let secret = || {
            let facts =
                [("created", Value::Time(made)), ("last_rotated", Value::Time(made)), ("version", Value::Text("v2".into()))];
            Resource::new("arn:x".into(), facts.map(|(name, value)| (name.into(), value)).into())
        };
        let dated = |seen: Option<(&str, Timestamp)>| {
            let mut secret = secret();
            date(&mut secret, seen.map(|(version, at)| (version.to_owned(), at)).as_ref());
            (secret.instant("created"), secret.instant("last_rotated"), secret.text("version").map(str::to_owned))
        };
        let version = Some("v2".to_owned());
        assert_eq!(dated(Some(("v2", stored))), (Some(made), Some(stored), version.clone()));
        assert_eq!(dated(Some(("v1", stored))), (None, None, version.clone()), "the date of another version");
        assert_eq!(dated(None), (None, None, version));
    }

    #[test]
    fn dates_are_those_of_the_values_that_were_seen() {
        let stored: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let value = |facts: &[(&str, Value)]| {
            Resource::new("slack".into(), facts.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
        };
        let whole = [
            ("credential", Value::Text("slack".into())),
            ("generation", Value::Text("v1".into())),
            ("created", Value::Time(stored)),
        ];
        let dates = |resource: Resource| {
            let populations = vec![population("by-hand", VALUE_ENTITY, ".", vec![resource])];
            dates(&Snapshot { taken: stored, populations, receipts: Vec::new() })
        };
        assert_eq!(dates(value(&whole)), BTreeMap::from([("slack".into(), ("v1".to_owned(), stored))]));
        assert_eq!(dates(value(&whole[..2])), BTreeMap::new());
    }

    #[test]
    fn who_is_on_the_roster_is_known_only_where_there_is_one() {
        let principals = || vec![Resource::new("arn:a".into(), Vec::new()), Resource::new("arn:b".into(), Vec::new())];
        let on = |roster| {
            let mut all = vec![population("prod", "Aws::Principal", "global", principals())];
            add_account_facts(&"prod".into(), &account(roster), &mut all);
            all[0].resources.iter().map(|one| one.get("on_roster").map(Fact::owned)).collect::<Vec<_>>()
        };
        assert_eq!(on(Some(&["arn:b"])), [Some(Value::Bool(false)), Some(Value::Bool(true))]);
        assert_eq!(on(Some(&[])), [Some(Value::Bool(false)), Some(Value::Bool(false))]);
        assert_eq!(on(None), [None, None]);
    }
}
