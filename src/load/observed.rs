//! What controls and their rules read, against what the collectors of this version observe.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::checks::Repo;
use super::text::warning;
use super::{near, raw, text::Item};
use crate::model::diagnostic::{Diagnostic, Place};

/// Attributes that something observes, by entity type.
pub type Observed = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// The attributes of `resource` that `policy` reads, each with its first place in it. Comments and strings are passed over.
pub fn reads(policy: &str) -> BTreeMap<&str, Range<usize>> {
    let mut found = BTreeMap::new();
    let mut words = Words { text: policy, at: 0 };
    let mut before = "";
    let mut resource = false;
    while let Some((word, span)) = words.next() {
        match word {
            "." | "has" | "[" if before == "resource" => resource = true,
            _ if resource => {
                resource = false;
                let name = word.trim_matches('"');
                let method = before == "." && words.text[span.end..].trim_start().starts_with('(');
                let inner = span.start + (word.len() - word.trim_start_matches('"').len());
                if !method {
                    found.entry(name).or_insert(inner..inner + name.len());
                }
            }
            _ => {}
        }
        before = word;
    }
    found
}

/// Names, strings and single other characters of Cedar text.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<(&'a str, Range<usize>)> {
        loop {
            let rest = &self.text[self.at..];
            let start = self.at + rest.find(|one: char| !one.is_whitespace())?;
            let rest = &self.text[start..];
            if rest.starts_with("//") {
                self.at = start + rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            let length = match rest.chars().next()? {
                '"' => quoted(rest),
                one if one.is_alphanumeric() || one == '_' => {
                    rest.find(|one: char| !one.is_alphanumeric() && one != '_').unwrap_or(rest.len())
                }
                one => one.len_utf8(),
            };
            self.at = start + length;
            return Some((&rest[..length], start..self.at));
        }
    }
}

/// The length of the string that `text` begins with.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, one) in text.char_indices().skip(1) {
        match one {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// One attribute that a control reads of one entity type.
struct Read<'a> {
    entity: &'a str,
    attribute: &'a str,
    place: Place,
}

/// Every attribute that a control without `needs` reads is observed by something, and one with `needs` reads something that is not.
pub fn observed(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let (Some(observed), Some(names)) = (repo.observed, &repo.rules.names) else { return };
    for item in &repo.controls {
        let known = |read: &Read<'_>| names.entities.get(read.entity).is_some_and(|all| all.contains(read.attribute));
        let unobserved: Vec<Read<'_>> = all(repo, item)
            .into_iter()
            .filter(known)
            .filter(|read| !observed.get(read.entity).is_some_and(|all| all.contains(read.attribute)))
            .collect();
        match &item.raw.needs {
            None => out.extend(unobserved.iter().map(|read| complaint(read, observed))),
            Some(_) if unobserved.is_empty() && repo.rules.complete => {
                let message = format!("all that control `{}` reads is observed", item.raw.id);
                out.push(warning("slm::needless-needs", item.doc.at(&["needs"]), message, Some("delete `needs`".to_owned())));
            }
            Some(_) => {}
        }
    }
}

fn all<'a>(repo: &'a Repo<'_>, Item { doc, raw }: &'a Item<'_, raw::Control>) -> Vec<Read<'a>> {
    let mut all = Vec::new();
    let entities = || raw.population.entities.iter().map(String::as_str);
    for rule in repo.rules.rules.iter().filter(|rule| rule.control == raw.id) {
        for entity in entities().filter(|entity| rule.only.as_deref().is_none_or(|only| only == *entity)) {
            for (attribute, span) in &rule.reads {
                let place = Place { file: rule.place.file.clone(), span: span.clone() };
                all.push(Read { entity, attribute, place });
            }
        }
    }
    let required = raw.rule.requires.iter().enumerate().map(|(at, name)| (name, doc.at(&["rule", "requires", &at.to_string()])));
    let filtered = raw.population.applies_where.keys().map(|name| (name, doc.key(&["population", "where", name])));
    for (attribute, place) in required.chain(filtered) {
        for entity in entities() {
            // What a rule reads as well is pointed at there.
            if !all.iter().any(|read: &Read<'_>| (read.entity, read.attribute) == (entity, attribute.as_str())) {
                all.push(Read { entity, attribute, place: place.clone() });
            }
        }
    }
    all
}

fn complaint(read: &Read<'_>, observed: &Observed) -> Diagnostic {
    let Read { entity, attribute, place } = read;
    let near = observed.get(entity).and_then(|all| near::did_you_mean(attribute, all.iter().copied()));
    let help = near.unwrap_or_else(|| "say in `needs` of the control what is missing".to_owned());
    warning("slm::unobserved-attribute", place.clone(), format!("nothing observes `{attribute}` of `{entity}`"), Some(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_out_of_a_rule_and_not_out_of_its_words() {
        let rule = "// resource.no\npermit (principal, action, resource is A) when { resource has a && resource . b == \"resource.no\" && \
                    resource[\"c\"] && !(context.resource.d) && resource has \"e\" && \"\\\"resource.no\" != resource.f.g() && resource.hasTag(\"x\") };";
        let found = reads(rule);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["a", "b", "c", "d", "e", "f"]);
        for (name, span) in found {
            assert_eq!(&rule[span], name);
        }
    }
}
