//! Trees with some files replaced: only folders on the way to a changed file are written again.

use std::collections::BTreeMap;
use std::io;

use git2::{ObjectType, Oid, Repository, Tree, TreeWalkMode, TreeWalkResult};

use super::pack::{Kind, Pack, id_of};
use crate::model::blob::Blob;
use crate::record::ledger::Changes;

const FOLDER: i32 = 0o040_000;
const FILE: i32 = 0o100_644;

type Entries = BTreeMap<Vec<u8>, (i32, Oid)>;

/// The id of `base` with `files` put in, and those taken out that are none; what is missing in the repository goes into `pack`.
///
/// # Errors
/// When a path is not fit for git, or a tree cannot be read.
pub fn with_files(repo: &Repository, base: Option<Oid>, files: &Changes, pack: &mut Pack) -> io::Result<Oid> {
    if let Some(path) = files.keys().find(|path| !fit(path)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{path}` is not fit for a path in git")));
    }
    let all: Vec<_> = files.iter().map(|(path, file)| (path.as_str(), file)).collect();
    let entries = put(repo, base, &all, pack)?;
    write(repo, &entries, pack)
}

/// Every file of `tree` with its name in git, by path.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(tree: &Tree<'_>) -> Result<BTreeMap<String, Oid>, git2::Error> {
    let mut files = BTreeMap::new();
    tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() == Some(ObjectType::Blob) {
            files.insert(format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes())), entry.id());
        }
        TreeWalkResult::Ok
    })?;
    Ok(files)
}

fn fit(path: &str) -> bool {
    let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git");
    !path.contains(['\0', '\\']) && !path.split('/').any(bad)
}

/// `files` are sorted and relative to this folder.
fn put(repo: &Repository, base: Option<Oid>, files: &[(&str, &Option<Blob>)], pack: &mut Pack) -> io::Result<Entries> {
    let mut entries = read(repo, base)?;
    let mut folders = BTreeMap::<&str, Vec<(&str, &Option<Blob>)>>::new();
    for (path, file) in files {
        if let Some((folder, rest)) = path.split_once('/') {
            folders.entry(folder).or_default().push((rest, file));
            continue;
        }
        let Some(file) = file else {
            entries.remove(path.as_bytes());
            continue;
        };
        let have = entries.get(path.as_bytes()).filter(|(mode, _)| *mode == FILE).map(|(_, id)| *id);
        if have.is_some() && have == id_of(Kind::Blob, &file.bytes()?).ok() {
            continue;
        }
        let id = pack.add_file(file)?;
        entries.insert(path.as_bytes().to_vec(), (FILE, id));
    }
    for (folder, files) in folders {
        let below = entries.get(folder.as_bytes()).filter(|(mode, _)| *mode == FOLDER).map(|(_, id)| *id);
        let below = put(repo, below, &files, pack)?;
        // Git keeps no folder without a file.
        if below.is_empty() {
            entries.remove(folder.as_bytes());
        } else {
            entries.insert(folder.as_bytes().to_vec(), (FOLDER, write(repo, &below, pack)?));
        }
    }
    Ok(entries)
}

fn read(repo: &Repository, tree: Option<Oid>) -> io::Result<Entries> {
    let Some(id) = tree else { return Ok(Entries::new()) };
    let tree = repo.find_tree(id).map_err(io::Error::other)?;
    Ok(tree.iter().map(|entry| (entry.name_bytes().to_vec(), (mode(&entry), entry.id()))).collect())
}

fn mode(entry: &git2::TreeEntry<'_>) -> i32 {
    if entry.kind() == Some(ObjectType::Tree) { FOLDER } else { entry.filemode() }
}

fn write(repo: &Repository, entries: &Entries, pack: &mut Pack) -> io::Result<Oid> {
    let mut sorted: Vec<_> = entries.iter().collect();
    // Git sorts a folder as if its name ended in a slash.
    sorted.sort_by_cached_key(|(name, (mode, _))| if *mode == FOLDER { [name, &b"/"[..]].concat() } else { (*name).clone() });
    let mut bytes = Vec::with_capacity(sorted.len() * 48);
    for (name, (mode, id)) in sorted {
        bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    let id = id_of(Kind::Tree, &bytes).map_err(io::Error::other)?;
    if repo.find_tree(id).is_err() {
        pack.add(Kind::Tree, &bytes)?;
    }
    Ok(id)
}
