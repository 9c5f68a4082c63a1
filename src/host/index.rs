//! Files of an index of a locker: what is appended counts from when `heads.json` says so, and what is beyond is written over.

#![expect(clippy::disallowed_methods, reason = "it is the one module that files of the index belong to")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::record::index::{Entry, FORMAT, Heads, Version, crc};

/// Held while files of the index are read, by any number, or written, by one.
const LOCK: &str = "lock";
const HEADS: &str = "heads.json";
const COMMITS: &str = "commits";

/// The index of one branch.
pub(super) struct Index {
    folder: PathBuf,
    /// Where nobody may write beside the repository.
    _elsewhere: Option<TempDir>,
    lock: Option<File>,
    pub(super) heads: Heads,
    /// What is to be appended: by path, lines and what they changed.
    new: BTreeMap<String, (String, String)>,
    commits: String,
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
        let mut index = Self {
            folder,
            _elsewhere: elsewhere,
            lock: None,
            heads: Heads::default(),
            new: BTreeMap::new(),
            commits: String::new(),
        };
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

    /// Adds a version of `path` in the commit that is added next.
    pub(super) fn version(&mut self, path: &str, blob: &str, changes: &str) {
        let kept = self.heads.paths.get(path).map_or(0, |(_, changes)| *changes);
        let (lines, changed) = self.new.entry(path.to_owned()).or_default();
        let (offset, length) = (kept + changed.len() as u64, changes.len() as u64);
        let version = Version { commit: self.heads.count, blob, offset, length, crc: crc(changes.as_bytes()) };
        lines.push_str(&version.line(path));
        changed.push_str(changes);
    }

    /// Adds a commit.
    pub(super) fn commit(&mut self, entry: &Entry<'_>) {
        self.commits.push_str(&entry.line());
        self.heads.count += 1;
        entry.commit.clone_into(&mut self.heads.tip);
    }

    /// Bytes that were added and are not kept yet.
    pub(super) fn pending(&self) -> usize {
        self.new.values().map(|(lines, changes)| lines.len() + changes.len()).sum::<usize>() + self.commits.len()
    }

    /// Keeps what was added.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        self.heads.format = FORMAT;
        for (path, (lines, changes)) in std::mem::take(&mut self.new) {
            let kept = self.heads.paths.entry(path.clone()).or_default();
            kept.0 = append(&self.folder.join(versions_of(&path)), kept.0, lines.as_bytes())?;
            kept.1 = append(&self.folder.join(changes_of(&path)), kept.1, changes.as_bytes())?;
        }
        let commits = std::mem::take(&mut self.commits);
        self.heads.commits = append(&self.folder.join(COMMITS), self.heads.commits, commits.as_bytes())?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(self.heads.text()?.as_bytes())?;
        file.persist(self.folder.join(HEADS)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Lines of all commits.
    pub(super) fn commits(&self) -> io::Result<String> {
        text(read(&self.folder.join(COMMITS), 0, self.heads.commits)?)
    }

    /// Lines of all versions of `path`.
    pub(super) fn versions(&self, path: &str) -> io::Result<String> {
        let Some((length, _)) = self.heads.paths.get(path) else { return Ok(String::new()) };
        text(read(&self.folder.join(versions_of(path)), 0, *length)?)
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
    format!("{}.versions", path.replace('/', "+"))
}

fn changes_of(path: &str) -> String {
    format!("{}.changes", path.replace('/', "+"))
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

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(io::Error::other)
}
