//! Files of an index of a locker: what is appended counts from when `heads.json` says so, and what is beyond is written over.

#![expect(clippy::disallowed_methods, reason = "it is the one module that files of the index belong to")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use zstd::bulk::Compressor;

use crate::record::index::{Entry, FORMAT, Heads, Name, Version, crc};
use crate::record::leaf::hex;

/// Held while files of the index are read, by any number, or written, by one.
const LOCK: &str = "lock";
const HEADS: &str = "heads.json";
const COMMITS: &str = "commits";
/// Slower levels save a tenth of what is a twentieth already.
const LEVEL: i32 = 3;

/// The index of one branch.
pub(super) struct Index {
    folder: PathBuf,
    /// Where nobody may write beside the repository.
    _elsewhere: Option<TempDir>,
    lock: Option<File>,
    pub(super) heads: Heads,
    /// What is to be appended: by path, records of versions and what those changed.
    new: BTreeMap<String, (Vec<u8>, Vec<u8>)>,
    commits: Vec<u8>,
}

/// What a version changed, as it is kept.
pub(super) struct Told {
    plain: u32,
    packed: Vec<u8>,
}

/// Packs what versions changed; what is alike in the lines of one is most of them.
pub(super) struct Packer(Compressor<'static>);

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        Compressor::new(LEVEL).map(Self)
    }

    pub(super) fn pack(&mut self, changes: &[u8]) -> io::Result<Told> {
        Ok(Told { plain: u32::try_from(changes.len()).map_err(io::Error::other)?, packed: self.0.compress(changes)? })
    }
}

/// What was packed; `None` when it is not `plain` bytes.
pub(super) fn unpacked(packed: &[u8], plain: u32) -> Option<Vec<u8>> {
    let plain = usize::try_from(plain).ok()?;
    zstd::bulk::decompress(packed, plain).ok().filter(|bytes| bytes.len() == plain)
}

impl Index {
    /// The index of `branch` below the git folder at `git`; empty when there is none that can be read.
    pub(super) fn open(git: &Path, branch: &str) -> io::Result<Self> {
        // The number of the format is in the name: an older slm beside this one keeps its own.
        let folder = git.join(format!("slm/index-{FORMAT}/{}", branch.replace('/', "+")));
        let (folder, elsewhere) = match fs::create_dir_all(&folder).and_then(|()| locked(&folder)) {
            Ok(_) => (folder, None),
            Err(_) => {
                let elsewhere = tempfile::Builder::new().prefix("slm-index-").tempdir()?;
                (elsewhere.path().to_owned(), Some(elsewhere))
            }
        };
        let mut index =
            Self { folder, _elsewhere: elsewhere, lock: None, heads: Heads::default(), new: BTreeMap::new(), commits: Vec::new() };
        index.share()?;
        index.read_heads();
        Ok(index)
    }

    fn read_heads(&mut self) {
        let text = fs::read_to_string(self.folder.join(HEADS)).ok();
        self.heads = text.and_then(|text| Heads::parse(&text)).unwrap_or_default();
    }

    /// Waits until nobody else reads or writes, and takes in what was written meanwhile.
    pub(super) fn exclusively(&mut self) -> io::Result<()> {
        self.lock_again(File::lock)?;
        self.read_heads();
        Ok(())
    }

    /// Lets others read again.
    pub(super) fn share(&mut self) -> io::Result<()> {
        self.lock_again(File::lock_shared)
    }

    /// A lock that is held cannot be changed without giving it back first.
    fn lock_again(&mut self, lock: fn(&File) -> io::Result<()>) -> io::Result<()> {
        self.lock = None;
        let file = locked(&self.folder)?;
        // Where files cannot be locked, what is read is told by its CRC all the same.
        let _ = lock(&file);
        self.lock = Some(file);
        Ok(())
    }

    /// Begins anew.
    pub(super) fn forget(&mut self) {
        self.heads = Heads { format: FORMAT, ..Heads::default() };
        self.new.clear();
        self.commits.clear();
    }

    /// Adds the version of `path` that the commit in place `commit` wrote, in the order of the commits.
    pub(super) fn version(&mut self, path: &str, commit: u32, blob: Name, told: &Told) {
        let kept = self.heads.paths.get(path).map_or(0, |(versions, _)| *versions);
        let (versions, changes) = self.new.entry(path.to_owned()).or_default();
        let number = Version::count(kept + versions.len() as u64);
        let length = u32::try_from(told.packed.len()).unwrap_or(u32::MAX);
        let version = Version { commit, blob, kept: length, plain: told.plain, crc: crc(&told.packed) };
        version.write(path, number, versions);
        changes.extend_from_slice(&told.packed);
    }

    /// Adds a commit; gives its place.
    pub(super) fn commit(&mut self, entry: &Entry<'_>, name: String) -> u32 {
        let place = self.heads.count;
        entry.write(place, &mut self.commits);
        self.heads.count += 1;
        self.heads.tip = name;
        place
    }

    /// Keeps what was added.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        self.heads.format = FORMAT;
        for (path, (versions, changes)) in std::mem::take(&mut self.new) {
            let kept = self.heads.paths.entry(path.clone()).or_default();
            kept.0 = append(&self.folder.join(versions_of(&path)), kept.0, &versions)?;
            kept.1 = append(&self.folder.join(changes_of(&path)), kept.1, &changes)?;
        }
        let commits = std::mem::take(&mut self.commits);
        self.heads.commits = append(&self.folder.join(COMMITS), self.heads.commits, &commits)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(self.heads.text()?.as_bytes())?;
        file.persist(self.folder.join(HEADS)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Records of all commits.
    pub(super) fn commits(&self) -> io::Result<Vec<u8>> {
        read(&self.folder.join(COMMITS), 0, self.heads.commits)
    }

    /// Records of all versions of `path`.
    pub(super) fn versions(&self, path: &str) -> io::Result<Vec<u8>> {
        let length = self.heads.paths.get(path).map_or(0, |(length, _)| *length);
        read(&self.folder.join(versions_of(path)), 0, length)
    }

    /// What versions of `path` changed, from byte `from` to byte `to`.
    pub(super) fn changes(&self, path: &str, from: u64, to: u64) -> io::Result<Vec<u8>> {
        read(&self.folder.join(changes_of(path)), from, to)
    }
}

fn locked(folder: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK))
}

fn versions_of(path: &str) -> String {
    format!("{}.versions", flat(path))
}

fn changes_of(path: &str) -> String {
    format!("{}.changes", flat(path))
}

/// Bytes of a name beyond which it is that of a digest: with its ending a file has 255 at most.
const LONGEST: usize = 200;

/// A path as the name of one file, that of no other path.
fn flat(path: &str) -> String {
    let name = path.replace('%', "%25").replace('+', "%2B").replace('/', "+");
    // No path begins with a `%`.
    if name.len() <= LONGEST { name } else { format!("%{}", hex(&Sha256::digest(path))) }
}

/// Writes `bytes` behind the first `kept` of the file at `path`, over what is there; gives how many there are then.
fn append(path: &Path, kept: u64, bytes: &[u8]) -> io::Result<u64> {
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.set_len(kept)?;
    file.seek(SeekFrom::Start(kept))?;
    file.write_all(bytes)?;
    Ok(kept + bytes.len() as u64)
}

fn read(path: &Path, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let length = to.checked_sub(from).ok_or(io::ErrorKind::InvalidData)?;
    if length == 0 {
        return Ok(Vec::new());
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    // No more than is there: a length that is wrong asks for no memory.
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_file_of_its_own_however_long_it_is() {
        let long = |last: &str| format!("exceptions/{}{last}.toml", "a folder with a long name/".repeat(12));
        let paths = ["decisions/A-1.jsonl", "decisions/A+1.jsonl", "decisions/A%2B1.jsonl", &long("one"), &long("two")];
        let names: std::collections::BTreeSet<String> = paths.iter().map(|path| versions_of(path)).collect();
        assert_eq!(names.len(), paths.len());
        assert!(names.iter().all(|name| name.len() <= 255 && !name.contains('/')), "{names:?}");
        assert_eq!(versions_of(paths[1]), "decisions+A%2B1.jsonl.versions");
    }
}
