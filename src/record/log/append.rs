//! Appending: the right edge of the log in, the files that change and the new root out.

use std::collections::BTreeMap;
use std::io;

use super::merkle::{Hash, Head, ProofError, leaf_hash, node_hash, root_of};
use super::tiles::{FULL, LogError, Tiles, bundle_entry, bundle_path, partials, tile_path};

/// A log being appended to.
pub struct Appender {
    old: u64,
    size: u64,
    /// The hashes of the partial tile of each level, lowest first.
    edge: Vec<Vec<Hash>>,
    /// The partial bundle.
    bundle: Vec<u8>,
    write: BTreeMap<String, Vec<u8>>,
}

/// What appending comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The log from now on.
    pub head: Head,
    /// The files to write: path, bytes.
    pub write: BTreeMap<String, Vec<u8>>,
    /// The partial files of the old size that a wider or full file now stands for, sorted.
    ///
    /// Nothing here reads them again. tlog-tiles lets a log drop them once the full file is there, so a log that is served
    /// over HTTP keeps them until then; one in git has them in its history.
    pub superseded: Vec<String>,
}

impl Appender {
    /// Opens the log at `old`. Reads one tile a level and one bundle at most: those on the right edge, which hold the whole root.
    ///
    /// # Errors
    /// When a file on the edge cannot be read or is malformed, or they do not hash to the root of `old`: what is signed next
    /// continues what was signed before.
    pub fn open(old: &Head, read: impl FnMut(&str) -> io::Result<Option<Vec<u8>>>) -> Result<Self, LogError> {
        let mut tiles = Tiles::new(old.size, read);
        let mut log = Self { old: old.size, size: old.size, edge: Vec::new(), bundle: Vec::new(), write: BTreeMap::new() };
        for (level, index, _) in partials(old.size) {
            (log.edge.len()..=level as usize).for_each(|_| log.edge.push(Vec::new()));
            log.edge[level as usize] = tiles.tile(level, index)?;
        }
        if log.root() != old.root {
            return Err(LogError::Root);
        }
        if let Some((0, index, width)) = partials(old.size).next() {
            for (entry, hash) in tiles.bundle(index)?.iter().zip(&log.edge[0]) {
                if leaf_hash(entry) != *hash {
                    return Err(LogError::Wrong(bundle_path(index, width)));
                }
                bundle_entry(&mut log.bundle, entry)?;
            }
        }
        Ok(log)
    }

    /// Appends `entry`, and gives its index.
    ///
    /// # Errors
    /// When the entry is too long, or the log is full; then nothing was appended.
    pub fn push(&mut self, entry: &[u8]) -> Result<u64, LogError> {
        let index = self.size;
        let size = index.checked_add(1).ok_or(ProofError::OutOfRange)?;
        bundle_entry(&mut self.bundle, entry)?;
        self.size = size;
        if size.is_multiple_of(FULL.into()) {
            let bundle = std::mem::take(&mut self.bundle);
            self.write.insert(bundle_path(index / u64::from(FULL), FULL), bundle);
        }
        self.rise(index, leaf_hash(entry));
        Ok(index)
    }

    /// Puts the hash of leaf `index` on the edge, and that of every tile it fills one level up.
    fn rise(&mut self, index: u64, leaf: Hash) {
        let (mut hash, mut index) = (leaf, index);
        for level in 0.. {
            if self.edge.len() <= level as usize {
                self.edge.push(Vec::new());
            }
            let tile = &mut self.edge[level as usize];
            tile.push(hash);
            if tile.len() < usize::from(FULL) {
                return;
            }
            index /= u64::from(FULL);
            hash = root_of(tile);
            self.write.insert(tile_path(level, index, FULL), tile.concat());
            tile.clear();
        }
    }

    /// What there is to write. Of no new entries, nothing.
    #[must_use]
    pub fn finish(mut self) -> Appended {
        let head = Head { size: self.size, root: self.root() };
        let (old, new): (Vec<_>, Vec<_>) = (partials(self.old).collect(), partials(self.size).collect());
        for &(level, index, width) in new.iter().filter(|tile| !old.contains(tile)) {
            self.write.insert(tile_path(level, index, width), self.edge[level as usize].concat());
            if level == 0 {
                self.write.insert(bundle_path(index, width), std::mem::take(&mut self.bundle));
            }
        }
        let mut superseded = Vec::new();
        for &(level, index, width) in old.iter().filter(|tile| !new.contains(tile)) {
            superseded.push(tile_path(level, index, width));
            if level == 0 {
                superseded.push(bundle_path(index, width));
            }
        }
        superseded.sort_unstable();
        Appended { head, write: self.write, superseded }
    }

    /// The root, from the edge alone: a partial tile of level `n` stands for the digit of the size that 256 to the `n` has.
    fn root(&self) -> Hash {
        let mut root = None;
        for tile in &self.edge {
            let mut end = tile.len();
            while end > 0 {
                let start = end - (1 << end.trailing_zeros());
                let left = root_of(&tile[start..end]);
                root = Some(root.map_or(left, |right| node_hash(&left, &right)));
                end = start;
            }
        }
        root.unwrap_or_else(|| root_of(&[]))
    }
}

#[cfg(test)]
#[path = "append_tests.rs"]
mod tests;
