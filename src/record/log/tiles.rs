//! The files of a log as C2SP tlog-tiles lays them out: their paths, what is in them, and hashes read from them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::{fmt, io};

use super::merkle::{self, Hash, ProofError, root_of};

/// The most bytes an entry may have: its length is written in two.
pub const MAX_ENTRY: usize = u16::MAX as usize;
/// Hashes in a full tile, entries in a full bundle.
pub(super) const FULL: u16 = 256;
/// Tree levels in a tile.
pub(super) const HEIGHT: u32 = 8;

/// Why a log cannot be read, continued or believed.
#[derive(Debug)]
pub enum LogError {
    /// A file could not be read.
    Read(String, io::Error),
    /// A file is not there.
    Missing(String),
    /// A file is no tile or bundle of the size it must have.
    Malformed(String),
    /// A file does not hold what the rest of the log says it holds.
    Wrong(String),
    /// The files hash to another root than the one given.
    Root,
    /// An entry has this many bytes, more than [`MAX_ENTRY`].
    TooLong(usize),
    /// A leaf or a size outside the log.
    Proof(ProofError),
}

impl LogError {
    /// The file that is wrong, below the log's folder, when it is one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Read(path, _) | Self::Missing(path) | Self::Malformed(path) | Self::Wrong(path) => Some(path),
            Self::Root | Self::TooLong(_) | Self::Proof(_) => None,
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, _) => write!(f, "cannot read `{path}` of the log"),
            Self::Missing(path) => write!(f, "the log lacks `{path}`"),
            Self::Malformed(path) => write!(f, "`{path}` of the log has the wrong size or shape"),
            Self::Wrong(path) => write!(f, "`{path}` of the log was changed"),
            Self::Root => f.write_str("the log does not hash to the given root"),
            Self::TooLong(bytes) => write!(f, "an entry of {bytes} bytes is too long for the log, which takes {MAX_ENTRY}"),
            Self::Proof(_) => f.write_str("cannot look that far into the log"),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::Proof(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ProofError> for LogError {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

/// The path of a hash tile: `width` hashes of level `level`, which counts tiles.
#[must_use]
pub fn tile_path(level: u32, index: u64, width: u16) -> String {
    format!("tile/{level}/{}", place(index, width))
}

/// The path of a bundle of `width` entries.
#[must_use]
pub fn bundle_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", place(index, width))
}

fn place(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < FULL {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

/// How many hashes tile `index` of `level` has in a log of `size` entries.
pub(super) fn width(size: u64, level: u32, index: u64) -> u16 {
    let hashes = size.checked_shr(HEIGHT * level).unwrap_or(0);
    let before = index.saturating_mul(FULL.into());
    u16::try_from(hashes.saturating_sub(before)).unwrap_or(FULL).min(FULL)
}

/// The tiles a log of `size` entries has in part: level, index, width, lowest level first.
pub(super) fn partials(size: u64) -> impl Iterator<Item = (u32, u64, u16)> {
    (0..u64::BITS / HEIGHT)
        .map(move |level| (level, size.checked_shr(HEIGHT * (level + 1)).unwrap_or(0)))
        .map(move |(level, index)| (level, index, width(size, level, index)))
        .filter(|(.., width)| *width > 0)
}

/// The files that come, and those that go, when a log of `from` entries grows to `to`.
#[must_use]
pub fn grown(from: u64, to: u64) -> (BTreeSet<String>, BTreeSet<String>) {
    let both = |level: u32, index: u64, width: u16| {
        [Some(tile_path(level, index, width)), (level == 0).then(|| bundle_path(index, width))].into_iter().flatten()
    };
    let (old, new): (Vec<_>, Vec<_>) = (partials(from).collect(), partials(to).collect());
    let only = |of: &[(u32, u64, u16)], not: &[(u32, u64, u16)]| -> BTreeSet<String> {
        of.iter().filter(|part| !not.contains(part)).flat_map(|&(level, index, width)| both(level, index, width)).collect()
    };
    let mut come = only(&new, &old);
    for level in 0..u64::BITS / HEIGHT {
        let full = |size: u64| size.checked_shr(HEIGHT * (level + 1)).unwrap_or(0);
        come.extend((full(from)..full(to)).flat_map(|index| both(level, index, FULL)));
    }
    (come, only(&old, &new))
}

/// Puts `entry` at the end of `bundle`.
pub(super) fn bundle_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), LogError> {
    let length = u16::try_from(entry.len()).map_err(|_| LogError::TooLong(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a whole bundle; none when it ends inside one.
fn split_bundle(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let (entry, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        entries.push(entry);
        bundle = rest;
    }
    bundle.is_empty().then_some(entries)
}

/// A log of a known size, read from its files. A tile is read once and kept, as many as a path from leaf to root needs.
pub struct Tiles<R> {
    size: u64,
    read: R,
    kept: BTreeMap<(u32, u64), Vec<Hash>>,
}

impl<R: FnMut(&str) -> io::Result<Option<Vec<u8>>>> Tiles<R> {
    /// A log of `size` entries. `read` gives a file by its path below the log's folder, or that there is none.
    pub fn new(size: u64, read: R) -> Self {
        Self { size, read, kept: BTreeMap::new() }
    }

    /// The hash of the complete subtree `(level, index)`, over the leaves `index << level .. (index + 1) << level`.
    ///
    /// # Errors
    /// When the log is not that large, or the tile that holds it cannot be read or is malformed.
    pub fn hash(&mut self, level: u32, index: u64) -> Result<Hash, LogError> {
        if index >= self.size.checked_shr(level).unwrap_or(0) {
            return Err(ProofError::OutOfRange.into());
        }
        let (tile_level, below) = (level / HEIGHT, level % HEIGHT);
        let first = index << below;
        let at = (tile_level, first / u64::from(FULL));
        if !self.kept.contains_key(&at) {
            let tile = self.tile(at.0, at.1)?;
            self.kept.insert(at, tile);
        }
        let start = usize::from(first.to_le_bytes()[0]);
        // Always there: a complete subtree is inside its tile, and `tile` checked the width.
        let hashes = self.kept.get(&at).and_then(|tile| tile.get(start..start + (1 << below)));
        Ok(root_of(hashes.ok_or(ProofError::OutOfRange)?))
    }

    /// The root of the log.
    ///
    /// # Errors
    /// As [`Tiles::hash`].
    pub fn root(&mut self) -> Result<Hash, LogError> {
        self.root_at(self.size)
    }

    /// The root the log had at `size` entries: what a checkpoint of then must say.
    ///
    /// # Errors
    /// As [`Tiles::hash`].
    pub fn root_at(&mut self, size: u64) -> Result<Hash, LogError> {
        merkle::root(size, |level, index| self.hash(level, index))
    }

    /// The proof that entry `index` is in the log.
    ///
    /// # Errors
    /// As [`Tiles::hash`].
    pub fn prove_inclusion(&mut self, index: u64) -> Result<Vec<Hash>, LogError> {
        merkle::prove_inclusion(index, self.size, |level, index| self.hash(level, index))
    }

    /// The proof that the log continues what it was at `old` entries.
    ///
    /// # Errors
    /// As [`Tiles::hash`].
    pub fn prove_consistency(&mut self, old: u64) -> Result<Vec<Hash>, LogError> {
        merkle::prove_consistency(old, self.size, |level, index| self.hash(level, index))
    }

    /// The hashes of a tile, not kept.
    pub(super) fn tile(&mut self, level: u32, index: u64) -> Result<Vec<Hash>, LogError> {
        let width = width(self.size, level, index);
        let (path, bytes, found) = self.file(width, |width| tile_path(level, index, width))?;
        match bytes.as_chunks() {
            (hashes, []) if hashes.len() == usize::from(found) => Ok(hashes.iter().take(width.into()).copied().collect()),
            _ => Err(LogError::Malformed(path)),
        }
    }

    /// The entries of a bundle.
    pub(super) fn bundle(&mut self, index: u64) -> Result<Vec<Vec<u8>>, LogError> {
        let width = width(self.size, 0, index);
        let (path, bytes, found) = self.file(width, |width| bundle_path(index, width))?;
        match split_bundle(&bytes) {
            Some(entries) if entries.len() == usize::from(found) => {
                Ok(entries.into_iter().take(width.into()).map(<[u8]>::to_vec).collect())
            }
            _ => Err(LogError::Malformed(path)),
        }
    }

    /// The file of `width`, or the full one that took its place: path, bytes, width of what was found.
    fn file(&mut self, width: u16, path: impl Fn(u16) -> String) -> Result<(String, Vec<u8>, u16), LogError> {
        for found in [width, FULL].into_iter().skip(usize::from(width == FULL)) {
            let path = path(found);
            match (self.read)(&path) {
                Ok(Some(bytes)) => return Ok((path, bytes, found)),
                Ok(None) => {}
                Err(error) => return Err(LogError::Read(path, error)),
            }
        }
        Err(LogError::Missing(path(width)))
    }
}

/// The root of the log of `size` entries.
///
/// # Errors
/// As [`Tiles::hash`].
pub fn root(size: u64, read: impl FnMut(&str) -> io::Result<Option<Vec<u8>>>) -> Result<Hash, LogError> {
    Tiles::new(size, read).root()
}

/// The entries `range` of the log of `size` entries, in order; it ends after an error. They are as the files have them:
/// [`check`](super::check()) is what compares them with the tree.
///
/// # Errors
/// When the log is not that large.
pub fn entries<R: FnMut(&str) -> io::Result<Option<Vec<u8>>>>(
    size: u64,
    range: Range<u64>,
    read: R,
) -> Result<Entries<R>, LogError> {
    if range.start > range.end || range.end > size {
        return Err(ProofError::OutOfRange.into());
    }
    Ok(Entries { tiles: Tiles::new(size, read), left: range, bundle: Vec::new().into_iter() })
}

/// What [`entries`] gives.
pub struct Entries<R> {
    tiles: Tiles<R>,
    left: Range<u64>,
    bundle: std::vec::IntoIter<Vec<u8>>,
}

impl<R: FnMut(&str) -> io::Result<Option<Vec<u8>>>> Iterator for Entries<R> {
    type Item = Result<Vec<u8>, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.left.next()?;
        if let Some(entry) = self.bundle.next() {
            return Some(Ok(entry));
        }
        match self.tiles.bundle(at / u64::from(FULL)) {
            Ok(entries) => {
                self.bundle = entries.into_iter();
                self.bundle.nth(usize::from(at.to_le_bytes()[0])).map(Ok)
            }
            Err(error) => {
                self.left = 0..0;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
#[path = "tiles_tests.rs"]
mod tests;
