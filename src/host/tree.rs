//! Trees with some files replaced: only folders on the way to a changed file are written again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

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

/// Gives a folder as git keeps it, by its name in git.
pub type ReadFolder<'a> = &'a mut dyn FnMut(Oid) -> Result<Rc<Vec<u8>>, git2::Error>;

/// Reads folders with libgit2.
pub fn by(repo: &Repository) -> impl FnMut(Oid) -> Result<Rc<Vec<u8>>, git2::Error> {
    |id| {
        let odb = repo.odb()?;
        let object = odb.read(id)?;
        if object.kind() != ObjectType::Tree {
            return Err(git2::Error::from_str(&format!("`{id}` is no folder")));
        }
        Ok(Rc::new(object.data().to_vec()))
    }
}

/// What differs between the folders `before` and `after`, beside the folder `but`, which ends in `/`. Folders that are the same are not
/// looked into.
///
/// # Errors
/// When one cannot be read.
pub fn differences(read: ReadFolder<'_>, before: Option<Oid>, after: Option<Oid>, but: &str) -> Result<Vec<Differs>, git2::Error> {
    let mut all = Vec::new();
    let before = before.map(&mut *read).transpose()?;
    let after = after.map(&mut *read).transpose()?;
    differ(read, ("", but, 0), [before, after], &mut all)?;
    Ok(all)
}

/// What a folder says of one that is in it.
#[derive(Clone, Copy)]
struct Entry<'t> {
    mode: i32,
    name: &'t [u8],
    id: Oid,
}

impl<'t> Entry<'t> {
    /// Takes the first one off `rest`, what is left of a folder.
    fn next(rest: &mut &'t [u8]) -> Result<Option<Self>, git2::Error> {
        let all = *rest;
        if all.is_empty() {
            return Ok(None);
        }
        let taken = || {
            let space = all.iter().take(8).position(|byte| *byte == b' ')?;
            let mode = i32::from_str_radix(std::str::from_utf8(&all[..space]).ok()?, 8).ok()?;
            let named = &all[space + 1..];
            let length = named.iter().position(|byte| *byte == 0)?;
            let (id, left) = named[length + 1..].split_at_checked(20)?;
            let entry = Self { mode, name: &named[..length], id: Oid::from_bytes(id).ok()? };
            (all[0].is_ascii_digit() && mode <= 0xffff && length > 0).then_some((entry, left))
        };
        let (entry, left) = taken().ok_or_else(|| git2::Error::from_str("a folder is not as git keeps one"))?;
        *rest = left;
        Ok(Some(entry))
    }

    fn is_folder(&self) -> bool {
        self.mode & 0o170_000 == FOLDER
    }

    /// As git sorts: a folder as if its name ended in a slash. So a file that becomes a folder of its name is another entry.
    fn sorted_by(&self) -> impl Iterator<Item = &u8> {
        self.name.iter().chain(self.is_folder().then_some(&b'/'))
    }
}

fn differ(
    read: ReadFolder<'_>,
    (folder, but, depth): (&str, &str, usize),
    folders: [Option<Rc<Vec<u8>>>; 2],
    all: &mut Vec<Differs>,
) -> Result<(), git2::Error> {
    let [mut before, mut after] = folders.each_ref().map(|bytes| bytes.as_ref().map_or(&[][..], |bytes| bytes));
    let (mut left, mut right) = (Entry::next(&mut before)?, Entry::next(&mut after)?);
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.sorted_by().cmp(new.sorted_by()),
        };
        let (old, new) = (left.filter(|_| order.is_le()), right.filter(|_| order.is_ge()));
        if old.is_some() {
            left = Entry::next(&mut before)?;
        }
        if new.is_some() {
            right = Entry::next(&mut after)?;
        }
        let Some(entry) = new.or(old) else { continue };
        if let (Some(old), Some(new)) = (&old, &new)
            && (old.id, old.mode) == (new.id, new.mode)
        {
            continue;
        }
        bounded(depth, all.len())?;
        let mut path = String::with_capacity(folder.len() + entry.name.len() + 1);
        path.push_str(folder);
        path.push_str(&String::from_utf8_lossy(entry.name));
        if entry.is_folder() {
            path.push('/');
            if path == but {
                continue;
            }
            let old = old.map(|entry| read(entry.id)).transpose()?;
            let new = new.map(|entry| read(entry.id)).transpose()?;
            // Git keeps no folder without a file, and has no other mode for one.
            if new.as_ref().is_some_and(|new| new.is_empty() || entry.mode != FOLDER) {
                all.push((How::Strange, path.clone(), entry.id));
            }
            differ(read, (&path, but, depth + 1), [old, new], all)?;
            continue;
        }
        let how = match (&old, &new) {
            (_, Some(new)) if new.mode != FILE => How::Strange,
            (None, _) => How::Added,
            (Some(_), None) => How::Deleted,
            (Some(_), Some(_)) => How::Modified,
        };
        all.push((how, path, entry.id));
    }
}

/// Whether `entry` is a folder.
pub fn is_folder(entry: &TreeEntry<'_>) -> bool {
    entry.kind() == Some(ObjectType::Tree)
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
            let mut ours = differences(&mut by(&repo), Some(before.id()), Some(after.id()), "").unwrap();
            let mut theirs = expected(&repo, [&before, &after]);
            ours.sort_by(|one, two| (&one.1, one.0 as u8).cmp(&(&two.1, two.0 as u8)));
            theirs.sort_by(|one, two| (&one.1, one.0 as u8).cmp(&(&two.1, two.0 as u8)));
            assert_eq!(ours, theirs);
            let beside = differences(&mut by(&repo), Some(before.id()), Some(after.id()), "a/").unwrap();
            ours.retain(|(_, path, _)| !path.starts_with("a/"));
            assert_eq!(beside.len(), ours.len());
            assert!(beside.iter().all(|one| ours.contains(one)), "{beside:?}");
            ours.iter().for_each(|(how, ..)| seen[*how as usize] += 1);
        }
        assert!(seen.iter().all(|count| *count > 5), "each way was seen: {seen:?}");
    }

    #[test]
    fn a_folder_that_is_not_as_git_keeps_one_is_refused_as_libgit2_refuses_it() {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init_bare(folder.path()).unwrap();
        let id = repo.blob(b"x").unwrap();
        let whole = [b"100644 a\0", id.as_bytes()].concat();
        let said = |bytes: &[u8]| {
            let tree = repo.odb().unwrap().write(ObjectType::Tree, bytes).unwrap();
            let ours = differences(&mut by(&repo), None, Some(tree), "").map_err(|error| error.message().to_owned());
            assert_eq!(ours.is_ok(), repo.find_tree(tree).is_ok(), "{}", String::from_utf8_lossy(bytes));
            ours
        };
        assert_eq!(said(&whole), Ok(vec![(How::Added, "a".to_owned(), id)]));
        let longer = [&b"0100644 a\0"[..], id.as_bytes()].concat();
        let cut = [&whole[..whole.len() - 1], &whole[..8], &whole[..3]].map(<[u8]>::to_vec);
        let odd =
            [&b"100644 \0"[..], b"1006x4 a\0", b" a\0", b"200000 a\0", b"100644a\0"].map(|head| [head, id.as_bytes()].concat());
        for bytes in cut.into_iter().chain(odd) {
            assert_eq!(said(&bytes), Err("a folder is not as git keeps one".to_owned()), "{}", String::from_utf8_lossy(&bytes));
        }
        // A mode that is written longer is the same one: it is another name of the folder, and nothing else.
        assert_eq!(said(&longer), Ok(vec![(How::Added, "a".to_owned(), id)]));
        let mut read = by(&repo);
        assert_eq!(read(id).unwrap_err().message(), format!("`{id}` is no folder"));
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
            let differs = differences(&mut by(&repo), None, Some(tree.id()), "")
                .map(|all| all.len())
                .map_err(|error| error.message().to_owned());
            assert_eq!(listed, differs);
            listed
        };
        assert_eq!((of(1, 10), of(150, 1)), (Ok(100), Ok(1)));
        assert_eq!(of(10, 10), Err("there are more than 20000 files".to_owned()));
        assert_eq!(of(5_000, 1), Err("a folder lies below more than 200 others".to_owned()));
    }
}
