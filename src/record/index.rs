//! The form of the index that says which commit of a locker changed which file, and how. A cache: git alone is the evidence, and an
//! index that is missing or wrong is made anew from it.
//!
//! Three kinds of files: `heads.json` says of which tip it is and how much of the others counts; `commits` has a record a commit; and for each
//! file of decisions or of a snapshot there is one with a record a version, and one with what each version changed, compressed. Only what
//! [`Heads`] counts is read, so that writing `heads.json` is what makes everything before it true at once.
//!
//! Nothing is kept of files that are written once: their path says of which day and run they are, and `commits` where that run is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layout::{DECISIONS, EXCEPTIONS, SNAPSHOT};

/// Of the format as it is.
pub const FORMAT: u32 = 5;

/// Which tip an index is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// [`FORMAT`].
    pub format: u32,
    /// The commit.
    pub tip: String,
    /// How many commits lead to it.
    pub count: u32,
    /// Bytes of their records.
    pub commits: u64,
    /// By path in the locker: bytes of the records of its versions, and of what they changed.
    pub paths: BTreeMap<String, (u64, u64)>,
}

/// A name in git; all zeros is none.
pub type Name = [u8; 20];

/// One commit of a locker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name.
    pub commit: Name,
    /// Its author's date, which is when its run began: seconds since 1970.
    pub at: i64,
    /// Its committer's date.
    pub received: i64,
    /// The file of its run.
    pub run: Option<&'a str>,
}

/// One version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The place of the commit that wrote it, the oldest is 0.
    pub commit: u32,
    /// The file, as git names it; none when it was taken away.
    pub blob: Name,
    /// Bytes of what it changed, as they are kept behind those of the version before.
    pub kept: u32,
    /// And as they are when they are unpacked.
    pub plain: u32,
    /// The CRC of those that are kept.
    pub crc: u32,
}

/// Files of which every version is in the index; exceptions may stand in folders of their own.
#[must_use]
pub fn is_indexed(path: &str) -> bool {
    let right_in =
        |folder: &str, end: &str| path.strip_prefix(folder).is_some_and(|name| name.ends_with(end) && !name.contains('/'));
    let exception = path.starts_with(EXCEPTIONS) && path.ends_with(".toml");
    right_in(DECISIONS, ".jsonl") || right_in(SNAPSHOT, ".jsonl") || exception
}

/// CRC-32.
#[must_use]
pub fn crc(bytes: &[u8]) -> u32 {
    sum(&[bytes])
}

fn sum(parts: &[&[u8]]) -> u32 {
    let mut crc = flate2::Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}

/// The CRC that the record `number` of `file` is read by, so that it counts nowhere else.
fn seal(file: &str, number: u32, record: &[u8]) -> [u8; 4] {
    sum(&[file.as_bytes(), &number.to_be_bytes(), record]).to_be_bytes()
}

/// Takes the next bytes off the front.
fn next<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

impl Heads {
    /// Its file: a line of JSON with its CRC.
    ///
    /// # Errors
    /// Never; passed on from JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let text = serde_json::to_string(self)?;
        Ok(format!("{text} {:08x}\n", crc(text.as_bytes())))
    }

    /// Reads a file of this format; `None` when it is not as it was written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (text, sum) = text.trim_end().rsplit_once(' ')?;
        let heads: Self = serde_json::from_str(text).ok().filter(|_| sum == format!("{:08x}", crc(text.as_bytes())))?;
        (heads.format == FORMAT).then_some(heads)
    }
}

const COMMITS: &str = "commits";

impl<'a> Entry<'a> {
    /// Appends the record of commit `number` to `out`.
    pub fn write(&self, number: u32, out: &mut Vec<u8>) {
        let Self { commit, at, received, run } = self;
        let start = out.len();
        out.extend_from_slice(commit);
        out.extend_from_slice(&at.to_be_bytes());
        out.extend_from_slice(&received.to_be_bytes());
        // Longer than any path that git takes; one that is longer all the same is none.
        let (run, length) = run.and_then(|run| Some((run, u16::try_from(run.len()).ok()?))).unwrap_or_default();
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(run.as_bytes());
        let seal = seal(COMMITS, number, &out[start..]);
        out.extend_from_slice(&seal);
    }

    /// Reads the record of commit `number` off the front of `bytes`; `None` when it is not as it was written.
    #[must_use]
    pub fn read(number: u32, bytes: &mut &'a [u8]) -> Option<Self> {
        let whole = *bytes;
        let (commit, at, received) = (next(bytes)?, i64::from_be_bytes(next(bytes)?), i64::from_be_bytes(next(bytes)?));
        let length = u16::from_be_bytes(next(bytes)?);
        let (run, rest) = bytes.split_at_checked(length.into())?;
        *bytes = rest;
        let record = &whole[..whole.len() - bytes.len()];
        let run = std::str::from_utf8(run).ok().filter(|_| next(bytes) == Some(seal(COMMITS, number, record)))?;
        Some(Self { commit, at, received, run: Some(run).filter(|run| !run.is_empty()) })
    }
}

/// Bytes of the record of a version.
const VERSION: usize = 40;

impl Version {
    /// Appends the record of version `number` of `path` to `out`.
    pub fn write(&self, path: &str, number: u32, out: &mut Vec<u8>) {
        let Self { commit, blob, kept, plain, crc } = self;
        let start = out.len();
        out.extend_from_slice(&commit.to_be_bytes());
        out.extend_from_slice(blob);
        [kept, plain, crc].iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
        let seal = seal(path, number, &out[start..]);
        out.extend_from_slice(&seal);
    }

    /// Reads the record of version `number` of `path` off the front of `bytes`; `None` when it is not as it was written.
    #[must_use]
    pub fn read(path: &str, number: u32, bytes: &mut &[u8]) -> Option<Self> {
        let record = bytes.get(..VERSION - 4)?;
        let (commit, blob) = (u32::from_be_bytes(next(bytes)?), next(bytes)?);
        let [kept, plain, crc] = [next(bytes)?, next(bytes)?, next(bytes)?].map(u32::from_be_bytes);
        (next(bytes)? == seal(path, number, record)).then_some(Self { commit, blob, kept, plain, crc })
    }

    /// How many versions so many bytes of records are.
    #[must_use]
    pub fn count(bytes: u64) -> u32 {
        u32::try_from(bytes / VERSION as u64).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name = [0x5b; 20];

    #[test]
    fn a_commit_that_was_written_is_read_and_nothing_else() {
        let entry = Entry { commit: NAME, at: -5, received: 7, run: Some("runs/2026/03/31/r1.json") };
        let none = Entry { run: None, ..entry.clone() };
        let mut bytes = Vec::new();
        entry.write(3, &mut bytes);
        let first = bytes.len();
        none.write(4, &mut bytes);
        let mut rest = &bytes[..];
        assert_eq!((Entry::read(3, &mut rest), Entry::read(4, &mut rest)), (Some(entry), Some(none)));
        assert_eq!((rest, Entry::read(5, &mut rest)), (&[][..], None));
        assert_eq!(Entry::read(4, &mut &bytes[..]), None, "as another commit");
        for at in 0..first {
            assert_eq!(Entry::read(3, &mut &bytes[..at]), None, "cut after {at}");
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(Entry::read(3, &mut &other[..]), None, "byte {at} is another");
        }
    }

    #[test]
    fn a_version_that_was_written_is_read_and_nothing_else() {
        let version = Version { commit: 3, blob: NAME, kept: 10, plain: 20, crc: 0xff };
        let mut bytes = Vec::new();
        version.write("decisions/A-1.jsonl", 0, &mut bytes);
        version.write("decisions/A-1.jsonl", 1, &mut bytes);
        assert_eq!((bytes.len(), Version::count(bytes.len() as u64)), (2 * VERSION, 2));
        let mut rest = &bytes[..];
        let read = |path, number, bytes: &mut &[u8]| Version::read(path, number, bytes);
        assert_eq!(read("decisions/A-1.jsonl", 0, &mut rest), Some(version.clone()));
        assert_eq!(read("decisions/A-1.jsonl", 1, &mut rest), Some(version));
        assert_eq!(read("decisions/A-1.jsonl", 2, &mut rest), None);
        assert_eq!(read("decisions/A-2.jsonl", 0, &mut &bytes[..]), None, "as a version of another file");
        assert_eq!(read("decisions/A-1.jsonl", 1, &mut &bytes[..]), None, "as another version");
        for at in 0..VERSION {
            assert_eq!(read("decisions/A-1.jsonl", 0, &mut &bytes[..at]), None, "cut after {at}");
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(read("decisions/A-1.jsonl", 0, &mut &other[..]), None, "byte {at} is another");
        }
    }

    #[test]
    fn heads_are_read_as_they_were_written_or_not_at_all() {
        let paths = BTreeMap::from([("decisions/A-1.jsonl".to_owned(), (80, 300))]);
        let heads = Heads { format: FORMAT, tip: "5b1e".to_owned(), count: 3, commits: 200, paths };
        let text = heads.text().unwrap();
        assert_eq!(Heads::parse(&text), Some(heads.clone()));
        for other in [text.replace("300", "301"), text[1..].to_owned(), text.replace(' ', ""), String::new()] {
            assert_eq!(Heads::parse(&other), None, "{other}");
        }
        let older = Heads { format: FORMAT - 1, ..heads };
        assert_eq!(Heads::parse(&older.text().unwrap()), None);
    }

    #[test]
    fn only_files_that_stay_are_indexed() {
        let yes = ["decisions/A-1.jsonl", "snapshot/Aws.Secret.jsonl", "exceptions/slow.toml", "exceptions/x/y.toml"];
        let no = ["runs/2026/03/31/r.json", "decisions/x/y.jsonl", "log/checkpoint", "exceptions/x/y.md", "exceptions/y.md"];
        assert_eq!((yes.map(is_indexed), no.map(is_indexed)), ([true; 4], [false; 5]));
        assert!(is_indexed(&format!("exceptions/{}.toml", "x/".repeat(199))), "also what cannot be the name of a file");
    }
}
