//! Git objects as one pack and its index (version 2): a loose object a file costs ten times the time and the space.

#![expect(clippy::disallowed_methods, reason = "a pack is written where git looks for it")]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use flate2::Compress;
use git2::{ObjectType, Oid};
use sha1::{Digest, Sha1};

use crate::model::blob::{self, Blob};

/// Type bits of a pack entry.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A commit.
    Commit = 1,
    /// A tree.
    Tree = 2,
    /// A file.
    Blob = 3,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }

    /// The same for libgit2.
    pub(super) fn object(self) -> ObjectType {
        match self {
            Self::Commit => ObjectType::Commit,
            Self::Tree => ObjectType::Tree,
            Self::Blob => ObjectType::Blob,
        }
    }

    /// The same for people.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "folder",
            Self::Blob => "file",
        }
    }
}

struct Entry {
    id: [u8; 20],
    crc: u32,
    offset: u64,
}

/// A pack being written, in memory.
pub struct Pack {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    known: HashSet<[u8; 20]>,
    deflate: Compress,
}

impl Default for Pack {
    fn default() -> Self {
        Self { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), entries: Vec::new(), known: HashSet::new(), deflate: blob::compressor() }
    }
}

/// The id git gives `bytes` as an object of `kind`.
///
/// # Errors
/// Never for twenty bytes; passed on from libgit2.
pub fn id_of(kind: Kind, bytes: &[u8]) -> Result<Oid, git2::Error> {
    Oid::from_bytes(&raw_id(kind, bytes))
}

pub(super) fn raw_id(kind: Kind, bytes: &[u8]) -> [u8; 20] {
    let (head, length) = head(kind, bytes.len());
    Sha1::new().chain_update(&head[..length]).chain_update(bytes).finalize().into()
}

/// What git hashes before an object of so many bytes, and how long it is.
pub(super) fn head(kind: Kind, bytes: usize) -> ([u8; 32], usize) {
    let mut head = [0; 32];
    let mut free = &mut head[..];
    // There is room for any length.
    let _ = write!(free, "{} {bytes}\0", kind.word());
    let length = 32 - free.len();
    (head, length)
}

impl Pack {
    /// Adds one object; the same object again is no change.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub fn add(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<Oid> {
        self.entry(kind, bytes, |pack| blob::deflate(&mut pack.deflate, bytes, &mut pack.bytes))
    }

    /// Adds a file; what is compressed already is taken as it is.
    ///
    /// # Errors
    /// When it cannot be compressed, or its stream is not whole.
    pub fn add_file(&mut self, file: &Blob) -> io::Result<Oid> {
        match file {
            Blob::Plain(bytes) => self.add(Kind::Blob, bytes),
            Blob::Zlib { stream, .. } => self.entry(Kind::Blob, &file.bytes()?, |pack| {
                pack.bytes.extend_from_slice(stream);
                Ok(())
            }),
        }
    }

    fn entry(&mut self, kind: Kind, bytes: &[u8], body: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<Oid> {
        let id = raw_id(kind, bytes);
        if self.known.insert(id) {
            let offset = self.bytes.len();
            self.entry_header(kind, bytes.len());
            body(self)?;
            let mut crc = flate2::Crc::new();
            crc.update(&self.bytes[offset..]);
            self.entries.push(Entry { id, crc: crc.sum(), offset: offset as u64 });
        }
        Oid::from_bytes(&id).map_err(io::Error::other)
    }

    /// Type in three bits, length in 4 + 7n bits, low bits first.
    fn entry_header(&mut self, kind: Kind, length: usize) {
        let mut byte = ((kind as u8) << 4) | (length & 0x0f) as u8;
        let mut rest = length >> 4;
        while rest > 0 {
            self.bytes.push(byte | 0x80);
            byte = (rest & 0x7f) as u8;
            rest >>= 7;
        }
        self.bytes.push(byte);
    }

    /// Writes pack and index into `folder` (`objects/pack`), each flushed to disk, the index last because it makes them visible.
    /// Nothing is written when nothing was added.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(mut self, folder: &Path) -> io::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(self.entries.len()).map_err(io::Error::other)?;
        self.bytes[8..12].copy_from_slice(&count.to_be_bytes());
        let trailer: [u8; 20] = Sha1::digest(&self.bytes).into();
        self.bytes.extend_from_slice(&trailer);
        self.entries.sort_unstable_by_key(|entry| entry.id);
        let index = index(&self.entries, &trailer);
        let name: String = trailer.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::create_dir_all(folder)?;
        let pack = folder.join(format!("pack-{name}.pack"));
        publish(folder, &self.bytes, &pack)?;
        publish(folder, &index, &pack.with_extension("idx"))?;
        File::open(folder)?.sync_all()
    }
}

/// Index version 2: fan-out, sorted ids, CRCs, offsets (64-bit ones aside), trailer of the pack, trailer of its own.
fn index(entries: &[Entry], pack: &[u8; 20]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_072 + entries.len() * 28);
    out.extend_from_slice(b"\xfftOc\0\0\0\x02");
    for first in 0..=255_u8 {
        let upto = entries.partition_point(|entry| entry.id[0] <= first);
        out.extend_from_slice(&u32::try_from(upto).unwrap_or(u32::MAX).to_be_bytes());
    }
    entries.iter().for_each(|entry| out.extend_from_slice(&entry.id));
    entries.iter().for_each(|entry| out.extend_from_slice(&entry.crc.to_be_bytes()));
    let mut large = Vec::new();
    for entry in entries {
        let short = match u32::try_from(entry.offset) {
            Ok(offset) if offset < 1 << 31 => offset,
            _ => {
                large.push(entry.offset);
                (1 << 31) | u32::try_from(large.len() - 1).unwrap_or(0)
            }
        };
        out.extend_from_slice(&short.to_be_bytes());
    }
    large.iter().for_each(|offset| out.extend_from_slice(&offset.to_be_bytes()));
    out.extend_from_slice(pack);
    let own = Sha1::digest(&out);
    out.extend_from_slice(&own);
    out
}

fn publish(folder: &Path, bytes: &[u8], path: &Path) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tmp_pack_");
    // As git does: readable by whoever may read the repository, never changed again.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o444));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
