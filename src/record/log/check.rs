//! The whole log recomputed from its entries, and which file is first found not to agree.

use std::io;

use super::merkle::{Hash, Head, leaf_hash, root_of};
use super::tiles::{FULL, LogError, Tiles, bundle_path, partials, tile_path, width};

/// Recomputes every hash of the log at `head` from its entries, and compares it with the tiles and the root. Reads every file
/// once, and holds one tile a level.
///
/// # Errors
/// The first file that is missing, malformed or wrong, entries in order and each tile after what is below it. Where two
/// files contradict each other, the one that the tile above or the root of `head` vouches for is believed.
pub fn check(head: &Head, read: impl FnMut(&str) -> io::Result<Option<Vec<u8>>>) -> Result<(), LogError> {
    let mut tiles = Tiles::new(head.size, read);
    let edge_holds = tiles.root()? == head.root;
    let mut walk = Walk { size: head.size, tiles, edge_holds, above: Vec::new() };
    for index in 0..head.size.div_ceil(FULL.into()) {
        let leaves = walk.tiles.bundle(index)?.iter().map(|entry| leaf_hash(entry)).collect();
        walk.settle(0, index, leaves)?;
    }
    for (level, index, _) in partials(head.size).filter(|(level, ..)| *level > 0) {
        let hashes = walk.above(level).split_off(0);
        walk.compare(level, index, &hashes)?;
    }
    if edge_holds { Ok(()) } else { Err(LogError::Root) }
}

struct Walk<R> {
    size: u64,
    tiles: Tiles<R>,
    /// Whether the partial tiles hash to the root that was given.
    edge_holds: bool,
    /// The hashes computed so far of the tile under way, of level one and up.
    above: Vec<Vec<Hash>>,
}

impl<R: FnMut(&str) -> io::Result<Option<Vec<u8>>>> Walk<R> {
    fn above(&mut self, level: u32) -> &mut Vec<Hash> {
        let at = level as usize;
        if self.above.len() <= at {
            self.above.resize(at + 1, Vec::new());
        }
        &mut self.above[at]
    }

    /// Compares a tile with its computed `hashes`, and so on upwards while it fills the one above.
    fn settle(&mut self, level: u32, index: u64, hashes: Vec<Hash>) -> Result<(), LogError> {
        let (mut level, mut index, mut hashes) = (level, index, hashes);
        loop {
            self.compare(level, index, &hashes)?;
            if hashes.len() < usize::from(FULL) {
                return Ok(());
            }
            (level, index) = (level + 1, index / u64::from(FULL));
            let above = self.above(level);
            above.push(root_of(&hashes));
            if above.len() < usize::from(FULL) {
                return Ok(());
            }
            hashes = above.split_off(0);
        }
    }

    fn compare(&mut self, level: u32, index: u64, computed: &[Hash]) -> Result<(), LogError> {
        let tile = self.tiles.tile(level, index)?;
        let Some(differs) = tile.iter().zip(computed).position(|(kept, computed)| kept != computed) else { return Ok(()) };
        let path = match (self.vouched(level, index, &tile)?, level.checked_sub(1)) {
            (false, _) => tile_path(level, index, width(self.size, level, index)),
            (true, None) => bundle_path(index, width(self.size, level, index)),
            (true, Some(below)) => tile_path(below, index * u64::from(FULL) + differs as u64, FULL),
        };
        Err(LogError::Wrong(path))
    }

    /// Whether the tile above, or the root, has the hash of `tile`.
    fn vouched(&mut self, level: u32, index: u64, tile: &[Hash]) -> Result<bool, LogError> {
        if tile.len() < usize::from(FULL) {
            return Ok(self.edge_holds);
        }
        let (above, at) = (index / u64::from(FULL), index.to_le_bytes()[0]);
        Ok(self.tiles.tile(level + 1, above)?.get(usize::from(at)) == Some(&root_of(tile)))
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
