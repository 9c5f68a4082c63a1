//! Controls over GitHub say `needs` exactly when what their rules read is not collected; others read only what some collector names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use slm::host::files::read_work_tree;
use slm::load::{Files, load};
use slm::model::catalog::{Catalog, Control, GithubSource};

use crate::github_org::{collect_as, everything};
use crate::github_server::TOKEN;

pub fn shipped() -> Catalog {
    let files = Files(read_work_tree(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    load(&files, "2026-11-24T00:00:00Z".parse().unwrap()).catalog.unwrap()
}

/// Attributes the rules of `control` read, and those it names itself.
fn read_by(catalog: &Catalog, control: &Control) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = control.requires.iter().map(ToString::to_string).collect();
    names.extend(control.applies_where.iter().map(|(name, _)| name.to_string()));
    let id = format!("@id(\"{}\")", control.id);
    for policy in &catalog.policies {
        let Some((_, after)) = policy.text.split_once(&id) else { continue };
        let rule = after.split("@id(").next().unwrap();
        for marker in ["resource.", "resource has "] {
            let name = |text: &str| {
                text.split(|character: char| character != '_' && !character.is_alphanumeric()).next().map(str::to_owned)
            };
            names.extend(rule.split(marker).skip(1).filter_map(name).filter(|name| !name.is_empty()));
        }
    }
    names
}

#[tokio::test]
async fn a_control_over_github_needs_something_exactly_when_its_attributes_are_not_collected() {
    let (server, config) = everything();
    let seen = collect_as(&server, Some(TOKEN), &GithubSource { repo_secrets: true, ..config }).await;
    let mut collected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for population in &seen.populations {
        let attributes = population.resources.iter().flat_map(|resource| resource.facts());
        collected.entry(population.entity.to_string()).or_default().extend(attributes.map(|(name, _)| name.to_string()));
    }
    let catalog = shipped();
    let mut wrong = Vec::new();
    let mut judged = 0;
    for control in catalog.controls.values().filter(|control| control.entities[0].as_str().starts_with("GitHub::")) {
        let empty = BTreeSet::new();
        let have = collected.get(control.entities[0].as_str()).unwrap_or(&empty);
        let missing: Vec<String> = read_by(&catalog, control).difference(have).cloned().collect();
        judged += usize::from(control.needs.is_none());
        if control.needs.is_none() != missing.is_empty() {
            wrong.push(format!("{}: needs {:?}, not collected: {missing:?}", control.id, control.needs));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(judged, 16);
}

#[test]
fn a_control_without_needs_reads_only_what_the_sources_name() {
    let mut sources = String::new();
    for folder in ["src/collectors", "src/evaluate", "src/transport"] {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let catalog = shipped();
    let mut wrong = Vec::new();
    for control in catalog.controls.values().filter(|control| control.needs.is_none()) {
        let missing: Vec<_> =
            read_by(&catalog, control).into_iter().filter(|name| !sources.contains(&format!("\"{name}\""))).collect();
        if !missing.is_empty() {
            wrong.push(format!("{}: {missing:?}", control.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
