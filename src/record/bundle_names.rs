//! Names of the files in a bundle: where evidence stands, nothing else may.

use std::collections::{BTreeMap, BTreeSet};

use super::anchored;
use super::bundle::{CHECKPOINT, DIGEST, ENTRIES, Manifest, OBJECTS};
use super::bundle_runs::CHECKPOINTS;
use super::keys;
use super::ledger;
use super::verify::Finding;

/// Folders in which whoever opens a bundle looks for evidence and for what proves it.
const FOLDERS: [&str; 5] = ["anchors/", "controls/", "evidence/", "log/", OBJECTS];

/// Names that slm gives to nothing, and files where evidence stands that `manifest` does not name, or that are named twice. Of a log with `keys`
/// keys, and evidence that points to `objects`.
pub(super) fn strange(names: &BTreeSet<String>, manifest: &Manifest, keys: usize, objects: &BTreeSet<String>) -> Vec<Finding> {
    let mut named = BTreeMap::<&str, usize>::new();
    manifest.files.iter().for_each(|one| *named.entry(&one.file).or_default() += 1);
    let mut findings = Vec::new();
    for (file, _) in named.iter().filter(|(_, times)| **times > 1) {
        findings.push(Finding::of_all("slm::evidence-unlogged", format!("`{file}` is named twice, and is one file")));
    }
    for name in names.iter().filter(|name| !named.contains_key(name.as_str()) && *name != DIGEST) {
        let folder = FOLDERS.iter().find(|folder| under(name, folder));
        let known = match folder.copied() {
            Some("anchors/") => anchored::place(name).is_some(),
            Some("controls/") => name.ends_with(".html"),
            Some("evidence/") => false,
            Some("log/") => of_log(name, keys),
            Some(_) => objects.contains(name),
            None => true,
        };
        let exact = folder.is_none_or(|folder| name.starts_with(folder));
        if !plain(name) || !exact {
            findings.push(Finding::of_all("slm::bundle-strange", format!("`{}` is no name that slm gives", name.escape_debug())));
        } else if !known {
            let what = format!("`{name}` stands where evidence does, and is none: nothing in the log is of it");
            findings.push(Finding::of_all("slm::evidence-unlogged", what));
        }
    }
    findings
}

/// Whether `name` is below `folder`, as those see it too to whom large and small letters are the same.
fn under(name: &str, folder: &str) -> bool {
    name.get(..folder.len()).is_some_and(|start| start.eq_ignore_ascii_case(folder))
}

/// Whether it leads to the same place wherever it is unpacked.
fn plain(name: &str) -> bool {
    !name.contains('\\') && !name.contains(char::is_control) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether slm packs a file of that name to prove the rest.
fn of_log(name: &str, keys: usize) -> bool {
    let key = |path: &str| (1..).take(keys).any(|number| keys::path(number) == path);
    [CHECKPOINT, ENTRIES].contains(&name) || name.starts_with(CHECKPOINTS) || name.strip_prefix(ledger::FOLDER).is_some_and(key)
}

#[cfg(test)]
#[path = "bundle_names_tests.rs"]
mod tests;
