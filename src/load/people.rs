//! Checks on the people file of a source.

use std::collections::BTreeSet;

use super::checks::Repo;
use super::text::{Item, error};
use crate::model::diagnostic::Diagnostic;

/// Who is named is named once, is in a source whose users are listed, and whoever is no person is explained.
pub fn people(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    for (name, source) in &raw.source {
        let keys = |key: &'static str| ["source", name.as_str(), key];
        if source.people.is_none() && source.not_people.is_empty() {
            continue;
        }
        let Some(people) = &source.people else {
            let help = "add `people = []` with the names of those who are".to_owned();
            let message = format!("source `{name}` says who is no person, and not who is");
            out.push(error("slm::bad-people", doc.at(&keys("not-people")), message, Some(help)));
            continue;
        };
        if source.aws.is_none() && source.github.is_none() {
            let message = format!("nobody lists the users of source `{name}`");
            let help = "give `people` to a source of kind `aws` or `github`".to_owned();
            out.push(error("slm::bad-people", doc.at(&keys("people")), message, Some(help)));
        }
        let mut seen = BTreeSet::new();
        for (index, person) in people.iter().enumerate() {
            let place = || doc.at(&["source", name, "people", &index.to_string()]);
            if !seen.insert(person) {
                out.push(error("slm::bad-people", place(), format!("`{person}` is named twice"), None));
            } else if source.not_people.contains_key(person) {
                let message = format!("`{person}` is a person and is not");
                out.push(error("slm::bad-people", place(), message, Some("name each user in one of the two".to_owned())));
            }
        }
        for (user, _) in source.not_people.iter().filter(|(_, why)| why.trim().is_empty()) {
            let place = doc.at(&["source", name, "not-people", user]);
            let help = "say what uses it, and where that was agreed".to_owned();
            out.push(error("slm::bad-people", place, format!("nothing explains `{user}`"), Some(help)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, world};
    use crate::model::id::SourceId;

    fn with(text: &str) -> World {
        world().with("slm.toml", "[source.org]", &format!("{text}\n[source.org]"))
    }

    #[test]
    fn people_are_named_once_and_whoever_is_none_is_explained() {
        let good = with("people = [\"ada\", \"bo\"]\nnot-people = { ci = \"deploys, SEC-9\" }");
        let catalog = good.load().catalog.unwrap();
        let file = &catalog.settings.people[&SourceId::from("prod")];
        assert_eq!((file.people.len(), file.not_people["ci"].as_str()), (2, "deploys, SEC-9"));
        with("people = [\"ada\", \"ada\"]").says("slm::bad-people", "\"ada\"", "");
        with("people = [\"ada\"]\nnot-people = { ada = \"x\" }").says("slm::bad-people", "\"ada\"", "one of the two");
        with("people = [\"ada\"]\nnot-people = { ci = \" \" }").says("slm::bad-people", "\" \"", "what uses it");
        with("not-people = { ci = \"x\" }").says("slm::bad-people", "not-people", "people = []");
        let org = world().with("slm.toml", "github = { org", "people = [\"ada\"]\ngithub = { org").load();
        assert_eq!(org.catalog.unwrap().settings.people[&SourceId::from("org")].people.len(), 1);
        let vault = world().with("slm.toml", "identity = \"key.txt\" }", "identity = \"key.txt\" }\npeople = []");
        vault.says("slm::bad-people", "[]", "`aws`");
    }
}
