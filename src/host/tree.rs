//! Trees with some files replaced: only folders on the way to a changed file are written again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;

use git2::{ObjectType, Oid, Repository, Tree, TreeEntry};

use super::pack::{Kind, Pack, id_of};
use crate::model::blob::Blob;
use crate::record::ledger::Changes;
use crate::record::verify::How;

const FOLDER: i32 = 0o040_000;
const FILE: i32 = 0o100_644;
/// Folders in each other; slm writes ten.
const DEEPEST: usize = 200;
/// Files that one commit changes; as many runs of a company leave in a year.
const MOST: usize = if cfg!(test) { 20_000 } else { 5_000_000 };

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
/// When a folder cannot be read, is too deep or too much, or has two files of one name, as git itself writes none.
pub fn files(repo: &Repository, tree: &Tree<'_>) -> Result<BTreeMap<String, Oid>, git2::Error> {
    let mut files = BTreeMap::new();
    let mut folders = vec![(String::new(), 0, tree.clone())];
    while let Some((folder, depth, tree)) = folders.pop() {
        for entry in &tree {
            let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    bounded(depth, files.len() + folders.len())?;
                    folders.push((format!("{path}/"), depth + 1, repo.find_tree(entry.id())?));
                }
                Some(ObjectType::Blob) => {
                    bounded(depth, files.len())?;
                    if files.insert(path.clone(), entry.id()).is_some() {
                        return Err(git2::Error::from_str(&format!("`{path}` is there twice")));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(files)
}

/// Whether another folder or file is looked at. A folder takes no room of its own in git, so that ten of them that each hold the next one ten
/// times are more files than any machine has memory for, and one in another a million times more than the stack has room for.
fn bounded(depth: usize, count: usize) -> Result<(), git2::Error> {
    if depth >= DEEPEST {
        return Err(git2::Error::from_str(&format!("a folder lies below more than {DEEPEST} others")));
    }
    if count >= MOST {
        return Err(git2::Error::from_str(&format!("there are more than {MOST} files")));
    }
    Ok(())
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

/// A file that differs between two trees: how, its path, and its id, of one that is gone the one it had; and a folder that is none for git.
pub type Differs = (How, String, Oid);

/// What differs between `before` and `after`, beside the folder `but`, which ends in `/`. Folders that are the same are not looked into.
///
/// # Errors
/// When a tree cannot be read.
pub fn differences(
    repo: &Repository,
    before: Option<&Tree<'_>>,
    after: Option<&Tree<'_>>,
    but: &str,
) -> Result<Vec<Differs>, git2::Error> {
    let mut all = Vec::new();
    differ(repo, ("", but, 0), [before, after], &mut all)?;
    Ok(all)
}

fn differ(
    repo: &Repository,
    (folder, but, depth): (&str, &str, usize),
    trees: [Option<&Tree<'_>>; 2],
    all: &mut Vec<Differs>,
) -> Result<(), git2::Error> {
    let [before, after] = trees;
    let (mut left, mut right) = (0, 0);
    loop {
        let old = before.and_then(|tree| tree.get(left));
        let new = after.and_then(|tree| tree.get(right));
        let order = match (&old, &new) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => sorted_by(old).cmp(sorted_by(new)),
        };
        left += usize::from(order.is_le());
        right += usize::from(order.is_ge());
        let (old, new) = (old.filter(|_| order.is_le()), new.filter(|_| order.is_ge()));
        let Some(entry) = new.as_ref().or(old.as_ref()) else { continue };
        if let (Some(old), Some(new)) = (&old, &new)
            && (old.id(), old.filemode_raw()) == (new.id(), new.filemode_raw())
        {
            continue;
        }
        bounded(depth, all.len())?;
        let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
        if is_folder(entry) {
            let path = format!("{path}/");
            if path == but {
                continue;
            }
            let tree = |entry: &Option<TreeEntry<'_>>| entry.as_ref().map(|entry| repo.find_tree(entry.id())).transpose();
            let (old, new) = (tree(&old)?, tree(&new)?);
            // Git keeps no folder without a file, and has no other mode for one.
            if new.as_ref().is_some_and(|new| new.is_empty() || entry.filemode_raw() != FOLDER) {
                all.push((How::Strange, path.clone(), entry.id()));
            }
            differ(repo, (&path, but, depth + 1), [old.as_ref(), new.as_ref()], all)?;
            continue;
        }
        let how = match (&old, &new) {
            (_, Some(new)) if new.filemode_raw() != FILE => How::Strange,
            (None, _) => How::Added,
            (Some(_), None) => How::Deleted,
            (Some(_), Some(_)) => How::Modified,
        };
        all.push((how, path, entry.id()));
    }
}

/// Whether `entry` is a folder.
pub fn is_folder(entry: &TreeEntry<'_>) -> bool {
    entry.kind() == Some(ObjectType::Tree)
}

/// As git sorts: a folder as if its name ended in a slash. So a file that becomes a folder of its name is another entry.
fn sorted_by<'e>(entry: &'e TreeEntry<'_>) -> impl Iterator<Item = &'e u8> + use<'e> {
    entry.name_bytes().iter().chain(is_folder(entry).then_some(&b'/'))
}

#[cfg(test)]
mod tests {
    use git2::{Delta, DiffOptions};

    use super::*;

    /// Files of a small world by chance: few names, so that files become folders of the same name and the reverse.
    fn some(dice: &mut impl FnMut(u64) -> u64) -> Changes {
        let mut files = Changes::new();
        for _ in 0..dice(12) {
            let parts: Vec<&str> = (0..=dice(3)).map(|_| ["a", "a.b", "a-", "b", "ab"][dice(5) as usize]).collect();
            let path = parts.join("/");
            let clash =
                files.keys().any(|have: &String| have.starts_with(&format!("{path}/")) || path.starts_with(&format!("{have}/")));
            if !clash {
                files.insert(path, Some(vec![dice(3) as u8].into()));
            }
        }
        files
    }

    /// The same by libgit2.
    fn expected(repo: &Repository, trees: [&Tree<'_>; 2]) -> Vec<Differs> {
        let mut options = DiffOptions::new();
        let diff = repo.diff_tree_to_tree(Some(trees[0]), Some(trees[1]), Some(options.include_typechange(true))).unwrap();
        let one = |delta: git2::DiffDelta<'_>| {
            let (how, file) = match delta.status() {
                Delta::Added => (How::Added, delta.new_file()),
                Delta::Deleted => (How::Deleted, delta.old_file()),
                Delta::Modified => (How::Modified, delta.new_file()),
                other => panic!("{other:?}"),
            };
            (how, file.path().unwrap().to_str().unwrap().to_owned(), file.id())
        };
        diff.deltas().map(one).collect()
    }

    #[test]
    fn what_differs_is_what_libgit2_says_differs() {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init_bare(folder.path()).unwrap();
        let mut state = 7_u64;
        let mut dice = |sides: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % sides
        };
        let mut seen = [0; 3];
        for _ in 0..60 {
            let [before, after] = [(), ()].map(|()| {
                let mut pack = Pack::default();
                let id = with_files(&repo, None, &some(&mut dice), &mut pack).unwrap();
                pack.write(&folder.path().join("objects/pack")).unwrap();
                repo.odb().unwrap().refresh().unwrap();
                repo.find_tree(id).unwrap()
            });
            let mut ours = differences(&repo, Some(&before), Some(&after), "").unwrap();
            let mut theirs = expected(&repo, [&before, &after]);
            ours.sort_by(|one, two| (&one.1, one.0 as u8).cmp(&(&two.1, two.0 as u8)));
            theirs.sort_by(|one, two| (&one.1, one.0 as u8).cmp(&(&two.1, two.0 as u8)));
            assert_eq!(ours, theirs);
            let beside = differences(&repo, Some(&before), Some(&after), "a/").unwrap();
            ours.retain(|(_, path, _)| !path.starts_with("a/"));
            assert_eq!(beside.len(), ours.len());
            assert!(beside.iter().all(|one| ours.contains(one)), "{beside:?}");
            ours.iter().for_each(|(how, ..)| seen[*how as usize] += 1);
        }
        assert!(seen.iter().all(|count| *count > 5), "each way was seen: {seen:?}");
    }

    /// A tree that holds `count` times the one before, as often as `levels`, and one file at the end.
    fn nested(repo: &Repository, levels: usize, count: usize) -> Oid {
        let file = repo.blob(b"x").unwrap();
        let mut entry = (FILE, file);
        for _ in 0..=levels {
            let mut tree = repo.treebuilder(None).unwrap();
            (0..count).for_each(|at| drop(tree.insert(format!("{at:03}"), entry.1, entry.0).unwrap()));
            entry = (FOLDER, tree.write().unwrap());
        }
        entry.1
    }

    #[test]
    fn folders_without_end_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init_bare(folder.path()).unwrap();
        let of = |levels, count| {
            let tree = repo.find_tree(nested(&repo, levels, count)).unwrap();
            let listed = files(&repo, &tree).map(|files| files.len()).map_err(|error| error.message().to_owned());
            let differs =
                differences(&repo, None, Some(&tree), "").map(|all| all.len()).map_err(|error| error.message().to_owned());
            assert_eq!(listed, differs);
            listed
        };
        assert_eq!((of(1, 10), of(150, 1)), (Ok(100), Ok(1)));
        assert_eq!(of(10, 10), Err("there are more than 20000 files".to_owned()));
        assert_eq!(of(5_000, 1), Err("a folder lies below more than 200 others".to_owned()));
    }
}
