//! What the shipped controls say they serve is what docs/catalogue-review.md says was judged.

use std::collections::BTreeSet;
use std::path::Path;

use slm::host::files::read_work_tree;
use slm::load::{Files, load};
use slm::model::catalog::{Catalog, Framework};
use slm::model::id::{ControlId, CriterionId};

const PAGE: &str = include_str!("../../docs/catalogue-review.md");

fn shipped() -> Catalog {
    let files = Files(read_work_tree(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap());
    let loaded = load(&files, "2026-11-24T00:00:00Z".parse().unwrap());
    let complaints = loaded.diagnostics;
    loaded.catalog.unwrap_or_else(|| panic!("{complaints:#?}"))
}

/// The criteria of `framework` that a control serves.
fn served<'a>(catalog: &'a Catalog, framework: &Framework) -> BTreeSet<&'a CriterionId> {
    catalog.controls.values().filter_map(|control| control.criteria.get(&framework.id)).flatten().collect()
}

#[test]
fn every_control_names_who_judged_its_criteria_and_each_of_them_once() {
    let catalog = shipped();
    for control in catalog.controls.values() {
        assert_eq!(control.criteria_reviewer.as_deref(), Some("slm maintainers"), "{}", control.id);
        assert!(!control.criteria.is_empty(), "{} serves nothing", control.id);
        for (framework, ids) in &control.criteria {
            let once: BTreeSet<&CriterionId> = ids.iter().collect();
            assert!(!ids.is_empty() && once.len() == ids.len(), "{} of {framework}: {ids:?}", control.id);
        }
    }
    let pairs: usize = catalog.controls.values().flat_map(|control| control.criteria.values()).map(Vec::len).sum();
    assert!(PAGE.contains(&format!("added: {pairs} are left, in")), "{pairs} pairs");
}

#[test]
fn what_the_review_says_of_a_criterion_and_a_control_is_so() {
    let catalog = shipped();
    let serves = |control: &str, criterion: &str| {
        let control = catalog.controls.get(&ControlId::from(control)).unwrap_or_else(|| panic!("no control `{control}`"));
        control.criteria.values().flatten().any(|id| id.as_str() == criterion)
    };
    let section = PAGE.split("\n## ").find(|part| part.starts_with("Review of the criteria\n")).unwrap();
    let mut looked = 0;
    for row in section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [criterion, controls, change, _why] = cells[..] else { continue };
        let (was, now) = match change {
            "removed" => (Some(criterion), None),
            "added" => (None, Some(criterion)),
            other => match other.strip_prefix("changed to ") {
                Some(to) => (Some(criterion), Some(to)),
                None => continue,
            },
        };
        for control in controls.split(", ") {
            assert!(was.is_none_or(|id| !serves(control, id)), "{control} serves {criterion}, which was {change}");
            assert!(now.is_none_or(|id| serves(control, id)), "{control}: {criterion} {change}, which it does not serve");
            looked += 1;
        }
    }
    assert_eq!(looked, 137 + 14 + 15);
}

#[test]
fn a_criterion_without_a_control_is_manual_or_a_gap_that_the_review_names() {
    let catalog = shipped();
    assert_eq!(catalog.frameworks.len(), 3);
    for framework in catalog.frameworks.values() {
        let served = served(&catalog, framework);
        let manual: BTreeSet<&CriterionId> =
            framework.criteria.iter().filter(|(_, criterion)| criterion.manual).map(|(id, _)| id).collect();
        let both: Vec<&&CriterionId> = served.intersection(&manual).collect();
        assert!(both.is_empty(), "what a control answers for needs no signature: {both:?}");
        let gaps: BTreeSet<&str> =
            framework.criteria.keys().filter(|id| !served.contains(id) && !manual.contains(id)).map(CriterionId::as_str).collect();
        let (id, all) = (&framework.id, framework.criteria.len());
        let row = format!("| `{id}` | {all} | {} | {} | {} |", served.len(), manual.len(), gaps.len());
        assert!(PAGE.lines().any(|line| line == row), "{row}");
        let list = PAGE.lines().find_map(|line| line.strip_prefix(&format!("- Gaps of `{id}`: "))?.strip_suffix('.'));
        assert_eq!(list.map(|list| list.split(", ").collect::<BTreeSet<&str>>()), Some(gaps));
    }
}

#[test]
fn a_new_config_repo_serves_with_a_control_what_the_shipped_one_of_its_name_does_and_says_who_judged_it() {
    let catalog = shipped();
    let scaffold = [include_str!("../../src/cli/starter/ROT-01.toml"), include_str!("../../src/cli/starter/ROT-02.toml")];
    for text in scaffold {
        let control: toml::Table = toml::from_str(text).unwrap();
        let shipped = &catalog.controls[&ControlId::from(control["id"].as_str().unwrap())];
        assert_eq!(control["criteria-reviewer"].as_str(), shipped.criteria_reviewer.as_deref());
        for (framework, ids) in control["criteria"].as_table().unwrap() {
            let served = &shipped.criteria[framework.as_str()];
            assert!(ids.as_array().unwrap().iter().all(|id| served.iter().any(|one| Some(one.as_str()) == id.as_str())), "{ids}");
        }
    }
}
