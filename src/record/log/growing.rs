//! A log that grows in memory by the entries that are pushed: its head, and its files, each as soon as it is full.

use std::io;

use super::merkle::{Hash, Head, leaf_hash, node_hash, root_of};
use super::tiles::{FULL, HEIGHT, LogError, Tiles, bundle_entry, bundle_path, partials, tile_path};

/// A tree by its complete subtrees.
#[derive(Clone, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<(u32, Hash)>,
}

impl Frontier {
    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.rise(leaf, |_, _| {});
    }

    /// Adds a leaf, and shows each complete subtree that it is the last leaf of: its level and its hash, the lowest first.
    fn rise(&mut self, leaf: Hash, mut complete: impl FnMut(u32, &Hash)) {
        let (mut level, mut hash) = (0, leaf);
        complete(level, &hash);
        while let Some((_, left)) = self.peaks.pop_if(|(height, _)| *height == level) {
            hash = node_hash(&left, &hash);
            level += 1;
            complete(level, &hash);
        }
        self.peaks.push((level, hash));
        self.size += 1;
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many leaves it has, and what they hash to.
    #[must_use]
    pub fn head(&self) -> Head {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        let root = peaks.next().map(|last| peaks.fold(last, |right, left| node_hash(&left, &right)));
        Head { size: self.size, root: root.unwrap_or_else(|| root_of(&[])) }
    }
}

/// A log that grows. What it holds is what is not full yet, and what was not taken.
#[derive(Default)]
pub struct Growing {
    tree: Frontier,
    /// The hashes of the tile of each level that is not full, the lowest first.
    edge: Vec<Vec<u8>>,
    /// The entries of the bundle that is not full.
    bundle: Vec<u8>,
    full: Vec<(String, Vec<u8>)>,
}

impl Growing {
    /// The log as it was at `head`; `read` gives its files, of which those on its right edge are read: they hash to the whole root.
    ///
    /// # Errors
    /// When one of them cannot be read or is malformed, or they do not hash to the root of `head`.
    pub fn at(head: &Head, read: impl FnMut(&str) -> io::Result<Option<Vec<u8>>>) -> Result<Self, LogError> {
        let mut tiles = Tiles::new(head.size, read);
        let mut log = Self::default();
        for (level, index, _) in partials(head.size) {
            let tile = tiles.tile(level, index)?;
            log.edge.resize(level as usize + 1, Vec::new());
            log.edge[level as usize] = tile.concat();
            // Of each tile the smallest subtree stands last.
            let mut end = tile.len();
            while end > 0 {
                let height = end.trailing_zeros();
                let start = end - (1 << height);
                log.tree.peaks.push((level * HEIGHT + height, root_of(&tile[start..end])));
                end = start;
            }
        }
        log.tree.peaks.reverse();
        log.tree.size = head.size;
        if log.tree.head() != *head {
            return Err(LogError::Root);
        }
        if let Some((0, index, width)) = partials(head.size).next() {
            let hashes = log.edge[0].chunks_exact(size_of::<Hash>());
            for (entry, hash) in tiles.bundle(index)?.iter().zip(hashes) {
                if leaf_hash(entry) != *hash {
                    return Err(LogError::Wrong(bundle_path(index, width)));
                }
                bundle_entry(&mut log.bundle, entry)?;
            }
        }
        Ok(log)
    }

    /// Adds `entry`.
    pub fn push(&mut self, entry: &[u8]) {
        // One that no bundle takes stands in none: whoever compares the bundles finds it.
        let _ = bundle_entry(&mut self.bundle, entry);
        let Self { tree, edge, full, .. } = self;
        let size = tree.size + 1;
        tree.rise(leaf_hash(entry), |level, hash| {
            if !level.is_multiple_of(HEIGHT) {
                return;
            }
            let level = level / HEIGHT;
            let at = level as usize;
            if edge.len() <= at {
                edge.resize(at + 1, Vec::new());
            }
            edge[at].extend_from_slice(hash);
            if edge[at].len() == usize::from(FULL) * hash.len() {
                let index = size.checked_shr(HEIGHT * (level + 1)).unwrap_or(0).saturating_sub(1);
                full.push((tile_path(level, index, FULL), std::mem::take(&mut edge[at])));
            }
        });
        if size.is_multiple_of(FULL.into()) {
            self.full.push((bundle_path(size / u64::from(FULL) - 1, FULL), std::mem::take(&mut self.bundle)));
        }
    }

    /// The tree of it.
    #[must_use]
    pub fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// Takes the files that are full since they were taken last, by their path below the log's folder.
    pub fn take_full(&mut self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.full)
    }

    /// The files that are not full.
    #[must_use]
    pub fn partial(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for (level, index, width) in partials(self.tree.size) {
            files.push((tile_path(level, index, width), self.edge.get(level as usize).cloned().unwrap_or_default()));
            if level == 0 {
                files.push((bundle_path(index, width), self.bundle.clone()));
            }
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::test_log::{TestLog, entry};
    use super::super::tiles::{MAX_ENTRY, grown};
    use super::*;

    #[test]
    fn a_log_that_grows_has_the_files_and_the_head_of_one_that_was_appended_to() {
        let (mut growing, mut full) = (Growing::default(), BTreeMap::new());
        let mut compare = |growing: &mut Growing, log: &TestLog| {
            for (path, bytes) in growing.take_full() {
                assert_eq!(full.insert(path.clone(), bytes), None, "{path} was full twice");
            }
            let mut files = full.clone();
            files.extend(growing.partial());
            assert!(files == log.files, "size {}", log.head.size);
            assert_eq!(growing.tree().head(), log.head);
        };
        compare(&mut growing, &TestLog::new());
        let large = TestLog::large();
        for number in 0..65_540 {
            growing.push(&entry(number));
            let size = number + 1;
            if [1, 2, 255, 256, 257, 511, 512, 700].contains(&size) {
                compare(&mut growing, &TestLog::of(size));
            } else if size >= large.head.size {
                compare(&mut growing, &large.clone().grown_to(size));
            }
        }
    }

    #[test]
    fn the_files_that_are_said_to_come_and_to_go_are_those_that_appending_writes_and_replaces() {
        for (mut log, sizes) in [
            (TestLog::new(), &[1, 3, 3, 255, 256, 257, 511, 1_024, 1_300][..]),
            (TestLog::large(), &[65_535, 65_536, 65_537, 66_400]),
        ] {
            for to in sizes {
                let from = log.head.size;
                let appended = log.append(from..*to);
                let (come, go) = grown(from, *to);
                assert_eq!(
                    (come.iter().collect(), go.iter().collect()),
                    (appended.write.keys().collect::<Vec<_>>(), appended.superseded.iter().collect::<Vec<_>>()),
                    "{from} to {to}"
                );
            }
        }
    }

    #[test]
    fn a_log_that_is_taken_up_at_any_size_grows_as_one_that_was_followed_from_its_beginning() {
        for (from, to) in [(0, 3), (1, 2), (255, 257), (256, 300), (300, 512), (511, 513), (1_000, 1_030), (65_535, 65_540)] {
            let log = if from < 2_000 { TestLog::of(from) } else { TestLog::large().grown_to(from) };
            let read = |path: &str| Ok(log.files.get(path).cloned());
            let mut growing = Growing::at(&log.head, read).unwrap();
            (from..to).for_each(|number| growing.push(&entry(number)));
            let grown = log.clone().grown_to(to);
            assert_eq!(growing.tree().head(), grown.head, "{from} to {to}");
            for (path, bytes) in growing.take_full().into_iter().chain(growing.partial()) {
                assert!(grown.files.get(&path) == Some(&bytes), "{from} to {to}: {path}");
            }
            let other = Head { root: [7; 32], ..log.head };
            assert!(matches!(Growing::at(&other, read), Err(LogError::Root)), "{from}");
        }
    }

    #[test]
    fn an_entry_that_no_bundle_takes_is_in_none() {
        let mut growing = Growing::default();
        growing.push(b"one");
        growing.push(&vec![0; MAX_ENTRY + 1]);
        let files: BTreeMap<_, _> = growing.partial().into_iter().collect();
        assert_eq!(files["tile/entries/000.p/2"], b"\0\x03one");
        assert_eq!((files["tile/0/000.p/2"].len(), growing.tree().head().size), (64, 2));
    }
}
