//! What runs saw one after another, where each line is read once: from one run to the next most of them stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::changes::lines;
use super::layout::snapshot_path;
use super::past::{Line, RunFile, Unreadable};
use crate::model::id::{EntityType, ResourceId, SourceId};
use crate::model::snapshot::{Population, Resource, Snapshot};

/// One population: source and scope in the file of its entity type.
type Place = (SourceId, String);

/// What was read up to one run.
#[derive(Default)]
pub struct Reader {
    files: BTreeMap<String, File>,
}

#[derive(Default)]
struct File {
    members: BTreeMap<Place, BTreeMap<ResourceId, Resource>>,
    /// As a run saw them last; what a change touched is made anew.
    made: BTreeMap<Place, Arc<Vec<Resource>>>,
}

impl Reader {
    /// Begins the file at `path` with `text`.
    ///
    /// # Errors
    /// When a line is not as slm writes it.
    pub fn begin(&mut self, path: &str, text: &str) -> Result<(), Unreadable> {
        let mut file = File::default();
        for line in text.lines() {
            file.came(path, line)?;
        }
        self.files.insert(path.to_owned(), file);
        Ok(())
    }

    /// Goes on with what a run `changed` in the file at `path`.
    ///
    /// # Errors
    /// When a line is not as slm writes it.
    pub fn change(&mut self, path: &str, changed: &str) -> Result<(), Unreadable> {
        let file = self.files.entry(path.to_owned()).or_default();
        // A member that is another is a line that went and one that came.
        for (_, line) in lines(changed).filter(|(came, _)| !came) {
            let line = Line::parse(path, line)?;
            let place = (line.source, line.scope);
            file.made.remove(&place);
            if let Some(members) = file.members.get_mut(&place) {
                members.remove(&line.id);
            }
        }
        lines(changed).filter(|(came, _)| *came).try_for_each(|(_, line)| file.came(path, line))
    }

    /// What `run` saw of `entities`, or of everything when `None`.
    #[must_use]
    pub fn snapshot(&mut self, run: &RunFile, entities: Option<&BTreeSet<EntityType>>) -> Snapshot {
        let wanted = run.seen().filter(|seen| entities.is_none_or(|entities| entities.contains(&seen.entity)));
        let populations = wanted.map(|seen| {
            let resources =
                self.files.get_mut(&snapshot_path(&seen.entity)).map(|file| file.made((seen.source.clone(), seen.scope.clone())));
            Population {
                source: seen.source,
                scope: seen.scope,
                entity: seen.entity,
                completeness: seen.completeness,
                resources: resources.unwrap_or_default(),
            }
        });
        Snapshot { taken: run.taken, populations: populations.collect(), receipts: Vec::new() }
    }
}

impl File {
    fn came(&mut self, path: &str, line: &str) -> Result<(), Unreadable> {
        let line = Line::parse(path, line)?;
        let place = (line.source.clone(), line.scope.clone());
        self.made.remove(&place);
        let resource = line.resource();
        self.members.entry(place).or_default().insert(resource.id.clone(), resource);
        Ok(())
    }

    fn made(&mut self, place: Place) -> Arc<Vec<Resource>> {
        let members = &self.members;
        let make = |place: &Place| Arc::new(members.get(place).map(|all| all.values().cloned().collect()).unwrap_or_default());
        self.made.entry(place).or_insert_with_key(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::changes::between;
    use super::*;

    const PATH: &str = "snapshot/Vault.Secret.jsonl";

    fn text(members: &[(&str, i64)]) -> String {
        let line = |(id, number): &(&str, i64)| {
            format!("{{\"attributes\":{{\"n\":{{\"long\":{number}}}}},\"id\":\"{id}\",\"scope\":\".\",\"source\":\"local\"}}\n")
        };
        members.iter().map(line).collect()
    }

    fn run() -> RunFile {
        let file = r#"{"run":{"id":"r","verb":"apply","slm":"0","config":"c","at":"2026-03-31T05:00:00Z"},"taken":"2026-03-31T05:00:00Z",
            "receipts":[],"populations":[{"source":"local","scope":".","entity":"Vault::Secret","completeness":"complete","resources":2}],"raw":[]}"#;
        RunFile::parse("runs/r.json", file.as_bytes()).unwrap()
    }

    #[test]
    fn what_runs_saw_is_read_by_what_changed_as_it_is_read_whole() {
        let days = [vec![("a", 1), ("b", 2)], vec![("a", 1), ("b", 2)], vec![("a", 3), ("c", 4)], vec![("c", 4)], vec![]];
        let mut reader = Reader::default();
        reader.begin(PATH, &text(&days[0])).unwrap();
        let mut before = reader.snapshot(&run(), None).populations[0].resources.clone();
        for pair in days.windows(2) {
            let (old, new) = (text(&pair[0]), text(&pair[1]));
            reader.change(PATH, &between(&old, &new)).unwrap();
            let now = reader.snapshot(&run(), None).populations[0].resources.clone();
            let whole = run().snapshot(&[(PATH.to_owned(), new.clone().into_bytes())].into()).unwrap();
            assert_eq!(now, whole.populations[0].resources);
            assert_eq!(Arc::ptr_eq(&before, &now), old == new, "what did not change is the same in memory");
            before = now;
        }
        // Begun again, it is what it was then and nothing of what came after.
        reader.begin(PATH, &text(&days[2])).unwrap();
        let whole = run().snapshot(&[(PATH.to_owned(), text(&days[2]).into_bytes())].into()).unwrap();
        assert_eq!(reader.snapshot(&run(), None).populations, whole.populations);
        let none = BTreeSet::from([EntityType::from("Aws::User")]);
        assert_eq!(reader.snapshot(&run(), Some(&none)).populations, []);
        let wrong = reader.change(PATH, "+{}\n").unwrap_err();
        assert_eq!(wrong.to_string(), "`snapshot/Vault.Secret.jsonl` is not as slm writes it");
    }
}
