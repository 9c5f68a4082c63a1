//! The files of a config repo in a work tree.

#![expect(clippy::disallowed_methods, reason = "it reads the files of the config repo")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::world::{ErrorClass, WorldError};

/// Folders of the config repo that hold text we read, with their extensions; `slm.toml` comes on top.
pub const FOLDERS: [(&str, &[&str]); 5] = [
    ("attestations", &["toml"]),
    ("controls", &["toml"]),
    ("credentials", &["toml"]),
    ("exceptions", &["toml"]),
    ("policies", &["cedar", "cedarschema"]),
];

/// Largest file that is read; a control is about 2 KiB.
const MAX_BYTES: u64 = 1 << 20;

/// True for a path that belongs to the config.
#[must_use]
pub fn is_config(path: &str) -> bool {
    if path == "slm.toml" {
        return true;
    }
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    FOLDERS.iter().any(|(folder, extensions)| {
        path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) && extensions.contains(&extension)
    })
}

/// True for a folder that holds files of the config, or may.
#[must_use]
pub fn is_folder(root: &Path, path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    FOLDERS.iter().any(|(folder, _)| *folder == first) && root.join(path).is_dir()
}

/// How names of Terraform's files end.
pub const TERRAFORM: &str = ".tf";

/// True for a file of Terraform, which `slm check` looks at beside the config.
#[must_use]
pub fn is_terraform(path: &str) -> bool {
    path.ends_with(TERRAFORM)
}

/// Reads `paths` below `root`; one that is gone, is no text or is over 1 MiB is left out.
#[must_use]
pub fn read_texts(root: &Path, paths: Vec<String>) -> BTreeMap<String, String> {
    paths.into_iter().filter_map(|path| read(&root.join(&path), &path).ok().map(|text| (path, text))).collect()
}

/// Reads the config files below `root`, by path from `root`.
///
/// # Errors
/// When a folder or file cannot be read, is not UTF-8, or is over 1 MiB.
pub fn read_work_tree(root: &Path) -> Result<BTreeMap<String, String>, WorldError> {
    let mut files = BTreeMap::new();
    if root.join("slm.toml").exists() {
        files.insert("slm.toml".to_owned(), read(&root.join("slm.toml"), "slm.toml")?);
    }
    for (folder, _) in FOLDERS {
        if root.join(folder).is_dir() {
            walk(root, folder, &mut files)?;
        }
    }
    Ok(files)
}

fn walk(root: &Path, folder: &str, files: &mut BTreeMap<String, String>) -> Result<(), WorldError> {
    let entries = fs::read_dir(root.join(folder)).map_err(|error| failed("list", folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", folder, &error))?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(|error| failed("look at", &path, &error))?;
        if kind.is_dir() {
            walk(root, &path, files)?;
        } else if kind.is_file() && is_config(&path) {
            let text = read(&entry.path(), &path)?;
            files.insert(path, text);
        }
    }
    Ok(())
}

fn read(path: &Path, name: &str) -> Result<String, WorldError> {
    let found = fs::metadata(path).map_err(|error| failed("look at", name, &error))?;
    // A pipe would be waited for without end.
    if !found.is_file() {
        return Err(failed("read", name, &std::io::Error::other("it is not a regular file; put one in its place")));
    }
    if found.len() > MAX_BYTES {
        return Err(failed("read", name, &std::io::Error::other("it is over 1 MiB")));
    }
    fs::read_to_string(path).map_err(|error| failed("read", name, &error))
}

fn failed(verb: &str, name: &str, error: &std::io::Error) -> WorldError {
    WorldError { class: ErrorClass::Permanent, operation: format!("{verb} `{name}`"), cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = |path: &str| {
            assert!(Command::new("mkfifo").arg(folder.path().join(path)).status().unwrap().success());
        };
        fs::create_dir(folder.path().join("controls")).unwrap();
        pipe("controls/ROT-01.toml");
        assert!(read_work_tree(folder.path()).unwrap().is_empty(), "a pipe is no control");
        pipe("slm.toml");
        let said = read_work_tree(folder.path()).unwrap_err().to_string();
        assert_eq!(said, "could not read `slm.toml`: it is not a regular file; put one in its place");
    }
}
