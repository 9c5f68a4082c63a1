//! Files of git, read straight from its packs, and many at once on every core.
//!
//! A pack is read in the order in which its objects lie there, and each file is compared with its name. What is in no pack, or not as it
//! should be, is left to libgit2, whose word counts.

#![expect(clippy::disallowed_methods, reason = "packs are files")]

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{ScopedJoinHandle, available_parallelism, scope};

use flate2::{Decompress, FlushDecompress, Status};
use git2::{Oid, Repository};

use super::caches::{folders, index};
use super::git::failed;
use super::pack::{Kind, raw_id};
use super::twice::{Copies, name_of};
use crate::model::blob;
use crate::world::{ErrorClass, WorldError};

const OPERATION: &str = "read the objects of git";
/// The names of an index of version 2 begin here: after eight bytes and 256 counts.
const NAMES: usize = 8 + 4 * 256;
/// Objects beyond this are left to libgit2: a length that is wrong asks for no memory.
const LARGEST: usize = 1 << 28;
/// Read at once where objects lie one after another.
const AHEAD: usize = 1 << 18;
/// Read at once elsewhere.
const APART: usize = 1 << 12;
/// The most bytes that a type, a length and a base take before an object.
const HEADER: usize = 64;
/// Bytes of objects that are kept because others are told as differences to them; git keeps as many.
const KEPT: usize = 96 << 20;
/// More differences to each other than git makes.
const DEEPEST: usize = 5_000;

/// Longer ones are not kept as spare.
const SPARE: usize = 1 << 20;

/// Objects that one core reads before it asks for more.
const TOGETHER: usize = 2_048;

/// A pack, and where in it an object begins.
pub(super) type Place = (usize, u64);

/// The packs of a repository, as they were when they were looked at.
pub(super) struct Packs {
    all: Vec<Indexed>,
}

/// A pack with its index.
struct Indexed {
    path: PathBuf,
    index: Vec<u8>,
    count: usize,
}

impl Packs {
    /// The packs of `repo` and of whatever it borrows from; those whose index git cannot read either are left out.
    pub(super) fn open(repo: &Repository) -> Self {
        let folders = folders(repo).into_iter().filter_map(|folder| fs::read_dir(folder.join("pack")).ok());
        let paths = folders.flatten().flatten().map(|entry| entry.path());
        let mut all: Vec<Indexed> = paths.filter_map(|path| Indexed::open(&path)).collect();
        // The largest first: most is in there.
        all.sort_by(|one, two| (two.count, &one.path).cmp(&(one.count, &two.path)));
        Self { all }
    }

    /// Which pack has `id`, and where in it; `near` is looked into first.
    pub(super) fn find(&self, id: &Oid, near: usize) -> Option<Place> {
        let at = |pack: usize| self.all.get(pack)?.find(id.as_bytes()).map(|offset| (pack, offset));
        at(near).or_else(|| (0..self.all.len()).filter(|pack| *pack != near).find_map(at))
    }

    /// The one in the file at `path`, as its index is now.
    pub(super) fn one(path: &Path) -> Option<Self> {
        Indexed::open(&path.with_extension("idx")).map(|pack| Self { all: vec![pack] })
    }

    /// Whether the pack of `place` is still there.
    pub(super) fn is_there(&self, place: Place) -> bool {
        self.all.get(place.0).is_some_and(|pack| pack.path.exists())
    }

    /// Every place of each name that is in more than one pack.
    pub(super) fn twice(&self) -> Copies {
        let mut copies = Vec::new();
        let mut names: Vec<(&[u8; 20], usize)> = Vec::new();
        // By their first byte, so that the names of no more than a part are sorted at once.
        for first in 0..=255 {
            names.clear();
            let all = self.all.iter().enumerate();
            names.extend(all.flat_map(|(pack, indexed)| indexed.names(first).iter().map(move |name| (name, pack))));
            names.sort_unstable();
            for same in names.chunk_by(|(one, _), (two, _)| one == two).filter(|same| same.len() > 1) {
                let place = |(name, pack): &(&[u8; 20], usize)| {
                    Some((Oid::from_bytes(*name).ok()?, (*pack, self.all.get(*pack)?.find(*name)?)))
                };
                copies.extend(same.iter().filter_map(place));
            }
        }
        copies
    }
}

impl Indexed {
    fn open(path: &Path) -> Option<Self> {
        if path.extension()? != "idx" {
            return None;
        }
        let index = index(fs::read(path).ok()?)?;
        let count = word(&index, NAMES - 4)?;
        (index.len() >= NAMES + count * 28).then(|| Self { path: path.with_extension("pack"), index, count })
    }

    fn find(&self, id: &[u8]) -> Option<u64> {
        let first = usize::from(*id.first()?);
        let low = first.checked_sub(1).map_or(Some(0), |one| self.fan(one))?;
        let at = low + self.names(first).binary_search_by(|name| name.as_slice().cmp(id)).ok()?;
        let short = word(&self.index, NAMES + self.count * 24 + at * 4)?;
        // With its highest bit it is a place in the list of longer ones.
        let Some(large) = short.checked_sub(1 << 31) else { return u64::try_from(short).ok() };
        let from = NAMES + self.count * 28 + large * 8;
        Some(u64::from_be_bytes(self.index.get(from..from + 8)?.try_into().ok()?))
    }

    /// The names that begin with this byte.
    fn names(&self, first: usize) -> &[[u8; 20]] {
        let part = || {
            let low = first.checked_sub(1).map_or(Some(0), |one| self.fan(one))?;
            let names = self.index.get(NAMES..NAMES + self.count * 20)?.as_chunks::<20>().0;
            names.get(low..self.fan(first)?)
        };
        part().unwrap_or_default()
    }

    /// How many names begin with a byte up to this one.
    fn fan(&self, byte: usize) -> Option<usize> {
        word(&self.index, 8 + 4 * byte)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok()
}

/// Objects that others are told as differences to; the oldest go first.
#[derive(Default)]
struct Bases {
    known: HashMap<Place, (u8, Rc<Vec<u8>>)>,
    order: VecDeque<Place>,
    bytes: usize,
}

impl Bases {
    fn keep(&mut self, place: Place, kind: u8, bytes: &Rc<Vec<u8>>) {
        if self.known.insert(place, (kind, Rc::clone(bytes))).is_none() {
            self.order.push_back(place);
            self.bytes += bytes.len();
        }
        while self.bytes > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.known.remove(&oldest).map_or(0, |(_, bytes)| bytes.len());
        }
    }
}

/// What stands before an object.
struct Header {
    kind: u8,
    size: usize,
    /// Where its stream begins.
    body: u64,
    /// Where the object is that it is a difference to.
    base: Option<u64>,
}

/// Reads objects of packs, one after another.
pub(super) struct Reader<'p> {
    packs: &'p Packs,
    /// The pack that is open, and how long it is.
    file: Option<(usize, File, u64)>,
    window: Vec<u8>,
    /// Where the window begins.
    start: u64,
    inflate: Decompress,
    /// Taken for the next object, so that not each asks for memory.
    spare: Vec<u8>,
    bases: Bases,
    /// Whether the object that was read last is told as a difference to itself, however many lie between.
    endless: bool,
}

impl<'p> Reader<'p> {
    pub(super) fn new(packs: &'p Packs) -> Self {
        let inflate = Decompress::new(true);
        Self {
            packs,
            file: None,
            window: Vec::new(),
            start: 0,
            inflate,
            spare: Vec::new(),
            bases: Bases::default(),
            endless: false,
        }
    }

    /// The pack that is looked into first.
    fn near(&self) -> usize {
        self.file.as_ref().map_or(0, |(pack, ..)| *pack)
    }

    /// The object at `place`, when it is of this kind and what `id` says.
    fn named(&mut self, (kind, id): (Kind, Oid), place: Place) -> Option<Rc<Vec<u8>>> {
        let (found, bytes) = self.object(place)?;
        // SHA-256 of files is in the log as well. But whoever clones has each object by the name that its bytes have, so one that is not what
        // its name says is in no clone, and `git fsck` finds it where `slm verify` would not.
        (found == kind as u8 && raw_id(kind, &bytes).as_slice() == id.as_bytes()).then_some(bytes)
    }

    /// Gives back what nobody looks at any more.
    fn done_with(&mut self, bytes: Rc<Vec<u8>>) {
        if let Ok(bytes) = Rc::try_unwrap(bytes)
            && bytes.capacity() <= SPARE
        {
            self.spare = bytes;
        }
    }

    /// The object at `place`, put together where it is told as a difference.
    fn object(&mut self, place: Place) -> Option<(u8, Rc<Vec<u8>>)> {
        let (pack, mut offset) = place;
        let (mut differences, mut held) = (Vec::new(), 0);
        self.endless = false;
        let (kind, mut bytes) = loop {
            if let Some((kind, bytes)) = self.bases.known.get(&(pack, offset)) {
                break (*kind, Rc::clone(bytes));
            }
            let Header { kind, size, body, base } = self.header(pack, offset)?;
            let bytes = self.inflated(pack, body, size)?;
            let Some(base) = base else { break (kind, Rc::new(bytes)) };
            held += bytes.len();
            differences.push((offset, bytes));
            if differences.len() > DEEPEST || held > LARGEST {
                return None;
            }
            // A base that is found by its name may lie anywhere, and libgit2 would look for the end of the round for ever.
            if differences.iter().any(|(at, _)| *at == base) {
                self.endless = true;
                return None;
            }
            offset = base;
        };
        if !differences.is_empty() {
            self.bases.keep((pack, offset), kind, &bytes);
        }
        while let Some((offset, difference)) = differences.pop() {
            bytes = Rc::new(patched(&bytes, &difference)?);
            self.bases.keep((pack, offset), kind, &bytes);
        }
        Some((kind, bytes))
    }

    fn header(&mut self, pack: usize, offset: u64) -> Option<Header> {
        let packs = self.packs;
        let bytes = self.window(pack, offset, HEADER)?;
        let first = *bytes.first()?;
        let (mut size, mut shift, mut at, mut byte) = (usize::from(first & 0x0f), 4, 1, first);
        while byte & 0x80 != 0 {
            byte = *bytes.get(at)?;
            size |= usize::from(byte & 0x7f).checked_shl(shift)?;
            (shift, at) = (shift + 7, at + 1);
        }
        let kind = first >> 4 & 7;
        let base = match kind {
            1..=4 => None,
            6 => {
                let mut back = 0_u64;
                loop {
                    let byte = *bytes.get(at)?;
                    at += 1;
                    back = back.checked_mul(128)? | u64::from(byte & 0x7f);
                    if byte & 0x80 == 0 {
                        break;
                    }
                    back = back.checked_add(1)?;
                }
                offset.checked_sub(back).filter(|base| *base < offset).map(Some)?
            }
            7 => {
                let id = bytes.get(at..at + 20)?;
                let base = packs.all.get(pack)?.find(id)?;
                at += 20;
                Some(base)
            }
            _ => return None,
        };
        (size <= LARGEST).then_some(Header { kind, size, body: offset + at as u64, base })
    }

    /// The stream at `offset`, which must hold `size` bytes.
    fn inflated(&mut self, pack: usize, offset: u64, size: usize) -> Option<Vec<u8>> {
        // No stream is longer by more than a few bytes in each block of what it holds.
        self.window(pack, offset, size + size / 1_000 + HEADER)?;
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let stream = self.window.get(from..)?;
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.clear();
        if let Some(stored) = blob::stored(stream, size) {
            bytes.extend_from_slice(stored);
            return Some(bytes);
        }
        bytes.reserve(size + 1);
        self.inflate.reset(true);
        let status = self.inflate.decompress_vec(stream, &mut bytes, FlushDecompress::Finish).ok()?;
        (matches!(status, Status::StreamEnd) && bytes.len() == size).then_some(bytes)
    }

    /// At least `length` bytes of the pack from `offset` on, or as many as there are.
    fn window(&mut self, pack: usize, offset: u64, length: usize) -> Option<&[u8]> {
        if self.file.as_ref().is_none_or(|(open, ..)| *open != pack) {
            let file = File::open(&self.packs.all.get(pack)?.path).ok()?;
            let end = file.metadata().ok()?.len();
            self.file = Some((pack, file, end));
            self.window.clear();
            self.start = 0;
        }
        let (_, file, end) = self.file.as_mut()?;
        let have = self.start + self.window.len() as u64;
        let wanted = (offset.checked_add(length as u64)?).min(*end);
        if offset < self.start || wanted > have {
            let goes_on = (self.start..=have).contains(&offset);
            let length = length.max(if goes_on { AHEAD } else { APART });
            file.seek(SeekFrom::Start(offset)).ok()?;
            self.window.clear();
            self.start = offset;
            file.take(length as u64).read_to_end(&mut self.window).ok()?;
        }
        self.window.get(usize::try_from(offset - self.start).ok()?..)
    }
}

/// What `difference` makes of `base`.
fn patched(base: &[u8], difference: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    let mut next = || {
        at += 1;
        difference.get(at - 1).copied()
    };
    let mut length = || {
        let (mut size, mut shift) = (0_usize, 0);
        loop {
            let byte = next()?;
            size |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(size);
            }
        }
    };
    let (old, new) = (length()?, length()?);
    if old != base.len() || new > LARGEST {
        return None;
    }
    let mut bytes = Vec::with_capacity(new);
    while let Some(&instruction) = difference.get(at) {
        at += 1;
        if instruction & 0x80 == 0 {
            // So many bytes that stand here; none is reserved.
            let length = usize::from(instruction);
            bytes.extend_from_slice(difference.get(at..at + length).filter(|part| !part.is_empty())?);
            at += length;
            continue;
        }
        let mut part = |bits: std::ops::Range<u32>| {
            let mut value = 0_usize;
            for (place, bit) in bits.enumerate() {
                if instruction >> bit & 1 == 1 {
                    value |= usize::from(*difference.get(at)?) << (8 * place);
                    at += 1;
                }
            }
            Some(value)
        };
        let (from, length) = (part(0..4)?, part(4..7)?);
        let length = if length == 0 { 0x1_0000 } else { length };
        bytes.extend_from_slice(base.get(from..from.checked_add(length)?)?);
        if bytes.len() > new {
            return None;
        }
    }
    (bytes.len() == new).then_some(bytes)
}

/// Files of a repository, from its packs where they are there.
pub(super) struct Files<'p> {
    root: &'p Path,
    reader: Reader<'p>,
    /// Opened when something is not in a pack.
    repo: Option<Repository>,
}

impl<'p> Files<'p> {
    /// Files of the repository whose git folder is `root`.
    pub(super) fn new(root: &'p Path, packs: &'p Packs) -> Self {
        Self { root, reader: Reader::new(packs), repo: None }
    }

    /// The file that git calls `id`.
    ///
    /// # Errors
    /// When there is none, or it is not what its name says.
    pub(super) fn read(&mut self, id: Oid) -> Result<Rc<Vec<u8>>, git2::Error> {
        self.of_kind((Kind::Blob, id))
    }

    /// The folder that git calls `id`, as git keeps it.
    ///
    /// # Errors
    /// When there is none, or it is not what its name says.
    pub(super) fn folder(&mut self, id: Oid) -> Result<Rc<Vec<u8>>, git2::Error> {
        self.of_kind((Kind::Tree, id))
    }

    fn of_kind(&mut self, named: (Kind, Oid)) -> Result<Rc<Vec<u8>>, git2::Error> {
        let place = self.reader.packs.find(&named.1, self.reader.near());
        match place.and_then(|place| self.reader.named(named, place)) {
            Some(bytes) => Ok(bytes),
            None => self.loose(named, place),
        }
    }

    /// Whether what lies at `place`, of whatever kind, is what `id` says.
    pub(super) fn is_named(&mut self, id: Oid, place: Place) -> bool {
        self.reader.object(place).is_some_and(|(kind, bytes)| name_of(kind, &bytes) == Some(id))
    }

    /// What `make` makes of the file `id`, of which it says the name as well; `place` was looked up already.
    fn made<T>(&mut self, id: Oid, place: Option<Place>, make: &impl Fn(&[u8]) -> ([u8; 20], T)) -> Result<T, git2::Error> {
        if let Some((kind, bytes)) = place.and_then(|place| self.reader.object(place))
            && kind == Kind::Blob as u8
        {
            let (name, made) = make(&bytes);
            self.reader.done_with(bytes);
            if name.as_slice() == id.as_bytes() {
                return Ok(made);
            }
        }
        self.loose((Kind::Blob, id), place).map(|bytes| make(&bytes).1)
    }

    /// What git itself has by that name: nothing was found at `place`.
    fn loose(&mut self, (kind, id): (Kind, Oid), place: Option<Place>) -> Result<Rc<Vec<u8>>, git2::Error> {
        if place.is_some() && self.reader.endless {
            return Err(git2::Error::from_str(&format!("`{id}` is told as a difference to itself")));
        }
        let repo = match &mut self.repo {
            Some(repo) => repo,
            none => none.insert(Repository::open(self.root)?),
        };
        let odb = repo.odb()?;
        let object = odb.read(id)?;
        if object.kind() != kind.object() {
            return Err(git2::Error::from_str(&format!("`{id}` is no {}", kind.told())));
        }
        Ok(Rc::new(object.data().to_vec()))
    }
}

/// What `work` makes of each of `items`, in their order, on every core.
///
/// # Errors
/// Where `work` fails.
pub(super) fn on_every_core<T: Sync, R: Send>(
    root: &Path,
    packs: &Packs,
    items: &[T],
    work: impl Fn(&mut Files<'_>, &T) -> Result<R, WorldError> + Sync,
) -> Result<Vec<R>, WorldError> {
    let next = AtomicUsize::new(0);
    let share = || -> Result<Vec<(usize, R)>, WorldError> {
        let mut files = Files::new(root, packs);
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok(done) };
            done.push((at, work(&mut files, item)?));
        }
    };
    let cores = available_parallelism().map_or(1, usize::from).min(items.len());
    let shares: Vec<_> = scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(share)).collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect()
    });
    let mut all = Vec::with_capacity(items.len());
    for share in shares {
        all.extend(share.map_err(|_| failed(ErrorClass::Permanent, OPERATION, "a thread of it ended early"))??);
    }
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, made)| made).collect())
}

/// What `make` makes of each of `ids`, in their order, beside the name that it has in git by its bytes; `None` of what is no file, cannot be read
/// or has another name.
///
/// # Errors
/// When the repository cannot be opened.
pub(super) fn each<T: Clone + Send>(
    root: &Path,
    packs: &Packs,
    ids: &[Oid],
    make: impl Fn(&[u8]) -> ([u8; 20], T) + Sync,
) -> Result<Vec<Option<T>>, WorldError> {
    let mut near = 0;
    let mut placed: Vec<(Option<Place>, Oid, usize)> = Vec::with_capacity(ids.len());
    for (number, id) in ids.iter().enumerate() {
        let place = packs.find(id, near);
        near = place.map_or(near, |(pack, _)| pack);
        placed.push((place, *id, number));
    }
    placed.sort_unstable();
    let parts: Vec<_> = placed.chunks(TOGETHER).collect();
    let made = on_every_core(root, packs, &parts, |files, part| {
        let mut all: Vec<(usize, Option<T>)> = Vec::with_capacity(part.len());
        let mut last = None;
        for (place, id, number) in *part {
            // The same file twice stands beside itself.
            let made = match all.last() {
                Some((_, made)) if last == Some(*id) => made.clone(),
                _ => files.made(*id, *place, &make).ok(),
            };
            last = Some(*id);
            all.push((*number, made));
        }
        Ok(all)
    })?;
    let mut all = vec![None; ids.len()];
    made.into_iter().flatten().for_each(|(number, made)| all[number] = made);
    Ok(all)
}

#[cfg(test)]
#[path = "packs_tests.rs"]
mod tests;
