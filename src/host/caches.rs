//! What git keeps to find objects faster, held to what it was made of: which pack has an object, and what commits go on.
//!
//! It is made from packs and is no part of what a fetch brings, so only a clone that is handed over as a folder can hold another. Then git shows what
//! it says, whatever the packs hold.

#![expect(clippy::disallowed_methods, reason = "what git keeps are files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};

use super::packs::Packs;
use crate::record::verify::Remark;

/// Folders that borrow from folders, and no more of them than this.
const DEEPEST: usize = 5;
/// The bytes of a commit in a graph: its tree, two commits that it goes on, its place and its date.
const COMMIT: usize = 36;
/// A commit goes on no other.
const NONE: u32 = 0x7000_0000;

/// The folders of objects that git looks into: that of `repo`, and those that it borrows from.
pub(super) fn folders(repo: &Repository) -> Vec<PathBuf> {
    let mut all = vec![repo.commondir().join("objects")];
    let mut from = 0;
    for _ in 0..DEEPEST {
        let new: Vec<PathBuf> = all[from..].iter().flat_map(|folder| borrowed(folder)).collect();
        from = all.len();
        all.extend(new);
    }
    all.sort();
    all.dedup();
    all
}

fn borrowed(folder: &Path) -> Vec<PathBuf> {
    let lines = fs::read_to_string(folder.join("info/alternates")).unwrap_or_default();
    lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| folder.join(line)).collect()
}

/// An index of a pack as one of version 2, whichever of the two it is; `None` when it is neither.
pub(super) fn index(bytes: Vec<u8>) -> Option<Vec<u8>> {
    if bytes.starts_with(b"\xfftOc") {
        return (bytes.get(4..8)? == [0, 0, 0, 2]).then_some(bytes);
    }
    // Of version 1: how many names begin with a byte up to each, then each name behind its place.
    let count = word(&bytes, 4 * 255)? as usize;
    let entries = bytes.get(1_024..1_024 + count.checked_mul(24)?)?.as_chunks::<24>().0;
    let mut all = [b"\xfftOc\0\0\0\x02", &bytes[..1_024]].concat();
    entries.iter().for_each(|entry| all.extend_from_slice(&entry[4..]));
    all.resize(all.len() + 4 * count, 0);
    let mut longer = Vec::new();
    for entry in entries {
        let place = word(entry, 0)?;
        if place < 1 << 31 {
            all.extend_from_slice(&place.to_be_bytes());
            continue;
        }
        all.extend_from_slice(&(1 << 31 | u32::try_from(longer.len()).ok()?).to_be_bytes());
        longer.push(u64::from(place));
    }
    longer.iter().for_each(|place| all.extend_from_slice(&place.to_be_bytes()));
    Some(all)
}

/// What is other than it was made of; `None` when nothing is. `line` are the commits of the evidence.
pub(super) fn wrong(repo: &Repository, line: &[Oid]) -> Option<String> {
    folders(repo).iter().find_map(|folder| places(&folder.join("pack")).or_else(|| graph(repo, folder, line)))
}

/// What is there and is compared with nothing.
pub(super) fn notes(repo: &Repository) -> Vec<Remark> {
    let filtered = folders(repo).into_iter().find_map(|folder| {
        graphs(&folder)
            .into_iter()
            .find(|path| fs::read(path).is_ok_and(|file| Chunks::of(&file, 8).is_some_and(|all| all.has(*b"BDAT"))))
    });
    let note = |path: PathBuf| {
        let what = format!(
            "`{}` says which files a commit changes, and nobody compared that; `git -c commitGraph.readChangedPaths=false log` does not ask it",
            path.display()
        );
        Remark { code: "slm::evidence-unread-filter", what }
    };
    filtered.map(note).into_iter().collect()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The parts of a file of git's that begins with a list of them.
struct Chunks<'a>(BTreeMap<[u8; 4], &'a [u8]>);

impl<'a> Chunks<'a> {
    /// Of `file`, whose list begins at byte `list`; byte 6 says how many there are.
    fn of(file: &'a [u8], list: usize) -> Option<Self> {
        let mut all = BTreeMap::new();
        for number in 0..usize::from(*file.get(6)?) {
            let at = list + 12 * number;
            let name = file.get(at..at + 4)?.try_into().ok()?;
            let [from, to] = [long(file, at + 4)?, long(file, at + 16)?];
            all.insert(name, file.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)?);
        }
        Some(Self(all))
    }

    fn has(&self, name: [u8; 4]) -> bool {
        self.0.contains_key(&name)
    }

    fn get(&self, name: [u8; 4]) -> Option<&'a [u8]> {
        self.0.get(&name).copied()
    }

    /// The names of objects, in their order.
    fn names(&self) -> Option<&'a [[u8; 20]]> {
        Some(self.get(*b"OIDL")?.as_chunks::<20>().0)
    }
}

/// What the index over all packs in `folder` says otherwise than each of them.
fn places(folder: &Path) -> Option<String> {
    let chain = folder.join("multi-pack-index.d");
    if chain.join("multi-pack-index-chain").exists() {
        return Some(format!(
            "`{}` is compared with nothing, and git goes by it; without that folder it does not",
            chain.display()
        ));
    }
    let path = folder.join("multi-pack-index");
    let file = fs::read(&path).ok()?;
    let of = |what: String| format!("`{}` {what}; `git multi-pack-index write` makes it anew", path.display());
    match moved(&file, folder) {
        None => Some(of("is not as git writes it".to_owned())),
        Some(None) => None,
        Some(Some(id)) => Some(of(format!("says that `{id}` is elsewhere than its pack does"))),
    }
}

/// The first object that `file` places elsewhere than its pack; `None` when it cannot be read.
fn moved(file: &[u8], folder: &Path) -> Option<Option<Oid>> {
    if file.get(..6)? != b"MIDX\x01\x01" {
        return None;
    }
    let chunks = Chunks::of(file, 12)?;
    let listed = chunks.get(*b"PNAM")?.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let listed: Vec<PathBuf> =
        listed.map(|name| folder.join(String::from_utf8_lossy(name).as_ref()).with_extension("pack")).collect();
    let known: Vec<Option<Packs>> = listed.iter().map(|path| Packs::one(path)).collect();
    let (names, offsets) = (chunks.names()?, chunks.get(*b"OOFF")?.as_chunks::<8>().0);
    if names.len() != offsets.len() {
        return None;
    }
    for (name, entry) in names.iter().zip(offsets) {
        let (pack, short) = (word(entry, 0)? as usize, word(entry, 4)?);
        let offset = match (short.checked_sub(1 << 31), chunks.get(*b"LOFF")) {
            (Some(at), Some(longer)) => long(longer, 8 * at as usize)?,
            _ => u64::from(short),
        };
        let is = match known.get(pack)? {
            Some(pack) => Oid::from_bytes(name).is_ok_and(|id| pack.find(&id, 0) == Some((0, offset))),
            // Of a pack that is gone git asks nothing.
            None => !listed.get(pack)?.exists(),
        };
        if !is {
            return Some(Oid::from_bytes(name).ok());
        }
    }
    Some(None)
}

/// The files of the graph of commits below `folder`, the oldest first.
fn graphs(folder: &Path) -> Vec<PathBuf> {
    let one = folder.join("info/commit-graph");
    let parts = folder.join("info/commit-graphs");
    let chain = fs::read_to_string(parts.join("commit-graph-chain")).unwrap_or_default();
    let chain: Vec<PathBuf> = chain.lines().map(|hash| parts.join(format!("graph-{hash}.graph"))).collect();
    // Git asks for the one file first.
    if one.exists() { vec![one] } else { chain }
}

/// What the graph below `folder` says of a commit of `line` otherwise than that commit.
fn graph(repo: &Repository, folder: &Path, line: &[Oid]) -> Option<String> {
    let paths = graphs(folder);
    let place = paths.last()?.parent()?.to_owned();
    let of = |what: String| {
        format!("the graph of commits in `{}` {what}; `git commit-graph write --reachable` makes it anew", place.display())
    };
    // What is not there is asked by nobody.
    let files: Vec<Vec<u8>> = paths.iter().map_while(|path| fs::read(path).ok()).collect();
    let unread = || of("is not as git writes it".to_owned());
    let Some(chunks) = files.iter().map(|file| Graph::of(file)).collect::<Option<Vec<_>>>() else { return Some(unread()) };
    let names: Vec<&[u8; 20]> = chunks.iter().flat_map(|one| one.names).collect();
    let mut said: BTreeMap<&[u8; 20], (&[u8; COMMIT], &Graph<'_>)> = BTreeMap::new();
    for one in &chunks {
        said.extend(one.names.iter().zip(one.commits.iter().map(|commit| (commit, one))));
    }
    for id in line {
        let Some((commit, graph)) = <&[u8; 20]>::try_from(id.as_bytes()).ok().and_then(|id| said.get(id)) else { continue };
        if same(repo, *id, commit, graph, &names) != Some(true) {
            return Some(of(format!("says something else of `{id}` than that commit")));
        }
    }
    None
}

/// One file of a graph.
struct Graph<'a> {
    names: &'a [[u8; 20]],
    commits: &'a [[u8; COMMIT]],
    /// Where the commits are that one goes on beyond the second.
    more: &'a [u8],
}

impl<'a> Graph<'a> {
    fn of(file: &'a [u8]) -> Option<Self> {
        if file.get(..6)? != b"CGPH\x01\x01" {
            return None;
        }
        let chunks = Chunks::of(file, 8)?;
        let (names, commits) = (chunks.names()?, chunks.get(*b"CDAT")?.as_chunks::<COMMIT>().0);
        let more = chunks.get(*b"EDGE").unwrap_or_default();
        (names.len() == commits.len()).then_some(Self { names, commits, more })
    }

    /// The places of those that `commit` goes on.
    fn parents(&self, commit: &[u8; COMMIT]) -> Option<Vec<u32>> {
        let mut all: Vec<u32> = [word(commit, 20)?, word(commit, 24)?].into_iter().filter(|place| *place != NONE).collect();
        let Some(mut at) = all.get(1).and_then(|second| second.checked_sub(1 << 31)) else { return Some(all) };
        all.truncate(1);
        loop {
            let place = word(self.more, 4 * at as usize)?;
            all.push(place & !(1 << 31));
            if place >= 1 << 31 {
                return Some(all);
            }
            at += 1;
        }
    }
}

/// Whether `said` is what the commit `id` is; `None` when either cannot be read.
fn same(repo: &Repository, id: Oid, said: &[u8; COMMIT], graph: &Graph<'_>, names: &[&[u8; 20]]) -> Option<bool> {
    let commit = repo.find_commit(id).ok()?;
    let parents = graph.parents(said)?.into_iter().map(|place| names.get(place as usize).map(|name| name.as_slice()));
    let parents: Vec<&[u8]> = parents.collect::<Option<_>>()?;
    let is: Vec<Oid> = commit.parent_ids().collect();
    let date = long(said, 28)? & ((1 << 34) - 1);
    Some(
        said.starts_with(commit.tree_id().as_bytes())
            && parents.iter().copied().eq(is.iter().map(Oid::as_bytes))
            && i64::try_from(date).ok()? == commit.time().seconds(),
    )
}

#[cfg(test)]
#[path = "caches_tests.rs"]
mod tests;
