//! That a ZIP says the same to everybody: to programs that read it from the list at its end, and to those that read it from its beginning.
//!
//! The list may name a file twice, and then it is for the program to choose; and between the files may be others that are in no list.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
/// Bytes of these, without what is of variable length.
const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: u64 = 22;
const END_64_BYTES: u64 = 56;
const LOCATOR_BYTES: u64 = 20;
/// Extra fields: sizes that have no room in 32 bits, and another name, which some programs go by.
const SIZES: u16 = 1;
const OTHER_NAME: u16 = 0x7075;
/// The length and the checksum of a file come after it.
const AFTERWARDS: u16 = 1 << 3;
/// What comes after it then, in its four forms.
const DESCRIPTORS: [u64; 4] = [12, 16, 20, 24];

/// A file, as the list at the end has it.
struct Listed {
    name: String,
    method: u16,
    packed: u64,
    at: u64,
}

/// Names of the files in `zip`, folders included.
///
/// # Errors
/// When it cannot be read; of [`io::ErrorKind::InvalidData`] when it may be read in two ways.
pub(super) fn names(zip: &mut (impl Read + Seek)) -> io::Result<BTreeSet<String>> {
    let (list, at) = list(zip)?;
    let mut files = listed(&list)?;
    files.sort_by_key(|file| file.at);
    let mut names = BTreeSet::new();
    let mut next = 0;
    for (number, file) in files.iter().enumerate() {
        let until = files.get(number + 1).map_or(at, |file| file.at);
        next = follow(zip, file, (next, until))?;
        if !names.insert(file.name.clone()) {
            return Err(two_ways(format!(
                "it has `{}` twice: which of the two is unpacked is for the program to choose",
                file.name
            )));
        }
    }
    if next == at { Ok(names) } else { Err(two_ways("it has bytes that are of no file in its list".to_owned())) }
}

fn two_ways(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The list at the end, and where it begins.
fn list(zip: &mut (impl Read + Seek)) -> io::Result<(Vec<u8>, u64)> {
    let other = || two_ways("it does not end as a ZIP ends".to_owned());
    let length = zip.seek(SeekFrom::End(0))?;
    let at = length.checked_sub(END_BYTES).ok_or_else(other)?;
    let end = exactly(zip, at, END_BYTES)?;
    if !end.starts_with(END) || number(&end, 20, 2)? != 0 {
        return Err(other());
    }
    let (mut until, mut size, mut begins) = (at, number(&end, 12, 4)?, number(&end, 16, 4)?);
    let locator = at.checked_sub(LOCATOR_BYTES).map(|at| exactly(zip, at, LOCATOR_BYTES)).transpose()?;
    if let Some(locator) = locator.filter(|locator| locator.starts_with(LOCATOR)) {
        until = number(&locator, 8, 8)?;
        let end = exactly(zip, until, END_64_BYTES)?;
        if !end.starts_with(END_64) || until + END_64_BYTES + LOCATOR_BYTES != at {
            return Err(other());
        }
        (size, begins) = (number(&end, 40, 8)?, number(&end, 48, 8)?);
    }
    if begins.checked_add(size) != Some(until) {
        return Err(other());
    }
    Ok((exactly(zip, begins, size)?, begins))
}

/// What is in the list.
fn listed(list: &[u8]) -> io::Result<Vec<Listed>> {
    let mut files = Vec::new();
    let mut at = 0;
    while at < list.len() {
        let one = &list[at..];
        if !one.starts_with(CENTRAL) {
            return Err(two_ways("its list has something that is no file".to_owned()));
        }
        let length = |at| Ok::<_, io::Error>(usize::try_from(number(one, at, 2)?).unwrap_or_default());
        let (named, more, comment) = (length(28)?, length(30)?, length(32)?);
        let name = part(one, CENTRAL_BYTES, named)?;
        let name = std::str::from_utf8(name).ok().filter(|name| name.is_ascii() || one[9] & 8 != 0);
        let name = name.ok_or_else(|| two_ways("it has a name that not every program reads as the same".to_owned()))?;
        let extra = part(one, CENTRAL_BYTES + named, more)?;
        let sizes = [number(one, 24, 4)?, number(one, 20, 4)?, number(one, 42, 4)?];
        let [plain, packed, begins] = in_full(sizes, extra)?;
        if name.ends_with('/') && plain > 0 {
            return Err(two_ways(format!("`{name}` is a folder by its name and has bytes")));
        }
        files.push(Listed { name: name.to_owned(), method: low(number(one, 10, 2)?), packed, at: begins });
        at += CENTRAL_BYTES + named + more + comment;
    }
    Ok(files)
}

/// Sizes and place of a file, those that had no room from `extra`.
fn in_full(mut sizes: [u64; 3], extra: &[u8]) -> io::Result<[u64; 3]> {
    let mut at = 0;
    while at + 4 <= extra.len() {
        let (id, length) = (low(number(extra, at, 2)?), number(extra, at + 2, 2)?);
        let length = usize::try_from(length).unwrap_or_default();
        let field = part(extra, at + 4, length)?;
        if id == OTHER_NAME {
            return Err(two_ways("it has a file with two names".to_owned()));
        }
        if id == SIZES {
            let mut read = 0;
            for size in sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
                *size = number(field, read, 8)?;
                read += 8;
            }
        }
        at += 4 + length;
    }
    Ok(sizes)
}

/// Where `file` ends, which begins where the one before ended; until there is nothing but it.
fn follow(zip: &mut (impl Read + Seek), file: &Listed, (next, until): (u64, u64)) -> io::Result<u64> {
    let Listed { name, method, packed, at } = file;
    if *at != next {
        return Err(two_ways(format!("before `{name}` it has bytes that are of no file in its list")));
    }
    let head = exactly(zip, *at, LOCAL_BYTES)?;
    let (named, more) = (number(&head, 26, 2)?, number(&head, 28, 2)?);
    let there = exactly(zip, at + LOCAL_BYTES, named)?;
    let (flags, size) = (low(number(&head, 6, 2)?), number(&head, 18, 4)?);
    let afterwards = flags & AFTERWARDS != 0;
    let same = [*packed, u64::from(u32::MAX)].contains(&size) || (afterwards && size == 0);
    if !head.starts_with(LOCAL) || there != name.as_bytes() || low(number(&head, 8, 2)?) != *method || !same {
        return Err(two_ways(format!("`{name}` is something else in its list than where it is")));
    }
    let end = at + LOCAL_BYTES + named + more + packed;
    let described = afterwards && until.checked_sub(end).is_some_and(|rest| DESCRIPTORS.contains(&rest));
    Ok(if described { until } else { end })
}

/// `length` bytes from `at`.
fn exactly(zip: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    zip.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    zip.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(two_ways("it ends too early".to_owned())) }
}

/// `length` bytes of `bytes` from `at`.
fn part(bytes: &[u8], at: usize, length: usize) -> io::Result<&[u8]> {
    bytes.get(at..at + length).ok_or_else(|| two_ways("it ends too early".to_owned()))
}

/// The number of `length` bytes at `at`.
fn number(bytes: &[u8], at: usize, length: usize) -> io::Result<u64> {
    Ok(part(bytes, at, length)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// One of two bytes.
fn low(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "zip_shape_tests.rs"]
mod tests;
