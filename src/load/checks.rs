//! What must hold between the files of a config repo: a list of checks, each of which reports everything it finds.

use std::collections::{BTreeMap, BTreeSet};

use super::observed::{self, Observed};
use super::text::{Item, error, stem, warning};
use super::{
    CONTROLS, FRAMEWORKS, anchors, attestations, consumers, exceptions, in_time, locker, managed, near, notify, objects, order,
    people, raw, registers, rotators, rules, segregation, shared, sinks, terraform,
};
use crate::model::diagnostic::Diagnostic;
use crate::model::time::Timestamp;

/// The files that could be read, each by itself.
pub struct Repo<'a> {
    /// Decides which exceptions have expired.
    pub at: Timestamp,
    /// What collectors observe; `None` when that is not to be judged.
    pub observed: Option<&'a Observed>,
    /// `slm.toml`.
    pub settings: Option<Item<'a, raw::Settings>>,
    /// `controls/frameworks/*.toml`.
    pub frameworks: Vec<Item<'a, raw::Framework>>,
    /// `controls/**/*.toml`.
    pub controls: Vec<Item<'a, raw::Control>>,
    /// `credentials/*.toml`.
    pub credentials: Vec<Item<'a, raw::Credential>>,
    /// `exceptions/*.toml`.
    pub exceptions: Vec<Item<'a, raw::Exception>>,
    /// `attestations/**/*.toml`.
    pub attestations: Vec<Item<'a, raw::Attestation>>,
    /// The Cedar side.
    pub rules: rules::Rules,
    /// `*.tf` anywhere, path and text.
    pub terraform: Vec<(&'a str, &'a str)>,
    /// Paths of files that could not be read: what they would declare is not complained about as missing.
    pub broken: Vec<&'a str>,
}

impl Repo<'_> {
    /// Ids of all controls, those of unreadable files by their stem.
    pub fn control_ids(&self) -> BTreeSet<&str> {
        let broken = self.broken.iter().filter(|path| path.starts_with(CONTROLS) && !path.starts_with(FRAMEWORKS));
        self.controls.iter().map(|control| control.raw.id.as_str()).chain(broken.map(|path| stem(path))).collect()
    }
}

/// One check.
pub type Check = fn(&Repo<'_>, &mut Vec<Diagnostic>);

/// Every check by name, in no particular order: the complaints are sorted afterwards.
pub const CHECKS: &[(&str, Check)] = &[
    ("ids are the stems of their files and unique", ids),
    ("criteria exist", criteria),
    ("controls have an owner, a population and evidence that can be fresh", controls),
    ("controls and rules belong together", pairs),
    ("populations and attributes exist in the schema", vocabulary),
    ("attributes are observed, or `needs` says that they are not", observed::observed),
    ("settings are in range", managed::settings),
    ("sources can be reached", managed::sources),
    ("the people of a source can be compared with its users", people::people),
    ("the log of the locker has a name and a key that can be kept", locker::log),
    ("anchors are of one kind and outside the locker", anchors::anchors),
    ("what is too long for git has one place", objects::objects),
    ("sinks are of one kind and could keep the evidence", sinks::sinks),
    ("notifiers can be reached, and alerts have somewhere to go", notify::notify),
    ("registers are in one place that can be written once", registers::registers),
    ("credentials live in one place that can store them", managed::secrets),
    ("values are made of others in an order", order::order),
    ("rotation policies can be followed", rotators::rotators),
    ("limits and durations can be met together", in_time::in_time),
    ("consumers can be delivered to", consumers::consumers),
    ("no two consumers write one place", shared::shared),
    ("no consumer hides a secret of another", shared::hidden),
    ("Terraform neither keeps nor writes what slm manages", terraform::terraform),
    ("exceptions are approved, short and for a control", exceptions::exceptions),
    ("attestations are signed by another person and name what they cover", attestations::attestations),
    ("who writes policy does not write evidence", segregation::segregation),
];

fn ids(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let frameworks = repo.frameworks.iter().map(|item| ("framework", &item.doc, item.raw.id.as_str(), true));
    let controls = repo.controls.iter().map(|item| ("control", &item.doc, item.raw.id.as_str(), true));
    let credentials = repo.credentials.iter().map(|item| ("credential", &item.doc, item.doc.stem, false));
    let exceptions = repo.exceptions.iter().map(|item| ("exception", &item.doc, item.doc.stem, false));
    let mut seen = BTreeMap::new();
    for (kind, doc, id, written) in frameworks.chain(controls).chain(credentials).chain(exceptions) {
        let place = || if written { doc.at(&["id"]) } else { doc.whole() };
        if id != doc.stem {
            let help = format!("name the file `{id}.toml`, or write `id = \"{}\"`", doc.stem);
            out.push(error(
                "slm::id-is-not-stem",
                place(),
                format!("id `{id}` is not the name of its file `{}`", doc.stem),
                Some(help),
            ));
        }
        if let Some(first) = seen.insert((kind, id), doc.path) {
            out.push(error("slm::duplicate-id", place(), format!("{kind} `{id}` is already declared in `{first}`"), None));
        }
    }
    for item in &repo.frameworks {
        let mut seen = BTreeSet::new();
        for (index, criterion) in item.raw.criterion.iter().enumerate().filter(|(_, criterion)| !seen.insert(criterion.id.as_str()))
        {
            let place = item.doc.at(&["criterion", &index.to_string(), "id"]);
            out.push(error("slm::duplicate-id", place, format!("criterion `{}` is declared twice", criterion.id), None));
        }
    }
}

fn criteria(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let known: BTreeMap<&str, Vec<&str>> = repo
        .frameworks
        .iter()
        .map(|item| (item.raw.id.as_str(), item.raw.criterion.iter().map(|criterion| criterion.id.as_str()).collect()))
        .collect();
    let broken: BTreeSet<_> = repo.broken.iter().filter(|path| path.starts_with(FRAMEWORKS)).map(|path| stem(path)).collect();
    for item in &repo.controls {
        for (framework, wanted) in &item.raw.criteria {
            let Some(have) = known.get(framework.as_str()) else {
                if !broken.contains(framework.as_str()) {
                    let help = near::did_you_mean(framework, known.keys().copied())
                        .or_else(|| Some(format!("the frameworks are {}", near::list(known.keys().copied()))));
                    let place = item.doc.key(&["criteria", framework]);
                    out.push(error("slm::unknown-framework", place, format!("unknown framework `{framework}`"), help));
                }
                continue;
            };
            for (index, criterion) in wanted.iter().enumerate().filter(|(_, criterion)| !have.contains(&criterion.as_str())) {
                let help = near::did_you_mean(criterion, have.iter().copied());
                let place = item.doc.at(&["criteria", framework, &index.to_string()]);
                let message = format!("unknown criterion `{criterion}` in framework `{framework}`");
                out.push(error("slm::unknown-criterion", place, message, help));
            }
        }
    }
}

fn controls(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    for Item { doc, raw } in &repo.controls {
        managed::owner(doc, &raw.owner, out);
        if raw.evidence_ttl < raw.collect_every {
            let message =
                format!("evidence expires after `{}` but is collected every `{}` only", raw.evidence_ttl, raw.collect_every);
            let help = format!("raise `evidence-ttl` to `{}` or more", raw.collect_every);
            out.push(error("slm::unmeetable-freshness", doc.at(&["evidence-ttl"]), message, Some(help)));
        }
        if raw.population.entities.is_empty() {
            let help = "name an entity type, as in `entities = [\"Aws::Secret\"]`".to_owned();
            out.push(error(
                "slm::empty-population",
                doc.at(&["population", "entities"]),
                "control speaks about no entity type",
                Some(help),
            ));
        }
        if raw.title.chars().count() > TITLE {
            let message = format!("title is longer than {TITLE} characters");
            out.push(warning("slm::long-title", doc.at(&["title"]), message, Some("move the detail to `statement`".to_owned())));
        }
    }
}

/// Characters of a title that fit a table in a terminal.
const TITLE: usize = 60;

fn pairs(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let known = repo.control_ids();
    for rule in repo.rules.rules.iter().filter(|rule| !known.contains(rule.control.as_str())) {
        let help = near::did_you_mean(&rule.control, known.iter().copied())
            .or_else(|| Some(format!("write `controls/<family>/{}.toml`, or delete the rule", rule.control)));
        out.push(error(
            "slm::rule-without-control",
            rule.place.clone(),
            format!("rule of unknown control `{}`", rule.control),
            help,
        ));
    }
    if !repo.rules.complete {
        return;
    }
    let ruled: BTreeSet<_> = repo.rules.rules.iter().filter(|rule| rule.permits).map(|rule| rule.control.as_str()).collect();
    for Item { doc, raw } in repo.controls.iter().filter(|item| !ruled.contains(item.raw.id.as_str())) {
        let help = format!("write a `permit` with `action == Control::Action::\"{}\"` under `policies/`", raw.id);
        out.push(error("slm::control-without-rule", doc.at(&["id"]), format!("control `{}` has no rule", raw.id), Some(help)));
    }
}

fn vocabulary(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(names) = &repo.rules.names else { return };
    for Item { doc, raw } in &repo.controls {
        let judged = names.controls.get(&raw.id);
        if judged.is_none() {
            let message = format!("the schema has no action `Control::Action::\"{}\"`", raw.id);
            let help = format!("declare it in `{}`", rules::SCHEMA);
            out.push(error("slm::unknown-action", doc.at(&["id"]), message, Some(help)));
        }
        for (index, entity) in raw.population.entities.iter().enumerate() {
            let Some(attributes) = names.entities.get(entity) else {
                let place = doc.at(&["population", "entities", &index.to_string()]);
                let help = rules::help(entity, names.entities.keys());
                out.push(error("slm::unknown-entity", place, format!("unknown entity type `{entity}`"), help));
                continue;
            };
            if judged.is_some_and(|judged| !judged.contains(entity)) {
                let message = format!("action `{}` of the schema does not apply to entity type `{entity}`", raw.id);
                let help = format!("add it to `resource` in the `appliesTo` of that action in `{}`", rules::SCHEMA);
                let place = doc.at(&["population", "entities", &index.to_string()]);
                out.push(error("slm::entity-not-judged", place, message, Some(help)));
            }
            let position: Vec<_> = (0..raw.rule.requires.len()).map(|index| index.to_string()).collect();
            let required = raw.rule.requires.iter().zip(&position).map(|(name, at)| (name, doc.at(&["rule", "requires", at])));
            let filtered = raw.population.applies_where.keys().map(|name| (name, doc.key(&["population", "where", name])));
            for (name, place) in required.chain(filtered).filter(|(name, _)| !attributes.contains(*name)) {
                let message = format!("entity type `{entity}` has no attribute `{name}`");
                out.push(error("slm::unknown-attribute", place, message, rules::help(name, attributes.iter())));
            }
        }
    }
}
