//! The text of the index that says which commit of a locker changed which file, and how. A cache: git alone is the evidence, and an
//! index that is missing or wrong is made anew from it.
//!
//! Three kinds of files: `heads.json` says of which tip it is and how much of the others counts; `commits` has a line a commit; and for each
//! file of decisions or of a snapshot there is one with a line a version, and one with what each version changed. Only what [`Heads`] counts is
//! read, so that writing `heads.json` is what makes everything before it true at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layout::{DECISIONS, SNAPSHOT};

/// Of the format as it is.
pub const FORMAT: u32 = 1;

/// Which tip an index is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// [`FORMAT`].
    pub format: u32,
    /// The commit.
    pub tip: String,
    /// How many commits lead to it.
    pub count: u64,
    /// Bytes of their lines.
    pub commits: u64,
    /// By path in the locker: bytes of the lines of its versions, and of what they changed.
    pub paths: BTreeMap<String, (u64, u64)>,
}

/// One commit of a locker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name.
    pub commit: &'a str,
    /// Its author's date, which is when its run began: seconds since 1970.
    pub at: i64,
    /// Its committer's date.
    pub received: i64,
    /// The file of its run.
    pub run: Option<&'a str>,
}

/// One version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// The place of the commit that wrote it, the oldest is 0.
    pub commit: u64,
    /// The file, as git names it.
    pub blob: &'a str,
    /// Where in the file of changes it stands what this version changed.
    pub offset: u64,
    /// How long that is.
    pub length: u64,
    /// Its CRC.
    pub crc: u32,
}

/// Files of which every version is in the index.
#[must_use]
pub fn is_indexed(path: &str) -> bool {
    let name = path.strip_prefix(DECISIONS).or_else(|| path.strip_prefix(SNAPSHOT));
    name.is_some_and(|name| name.ends_with(".jsonl") && !name.contains('/'))
}

/// CRC-32.
#[must_use]
pub fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// `line` with the CRC that it is read by: also of `file`, so that a line counts nowhere else.
fn sealed(file: &str, line: &str) -> String {
    format!("{line} {:08x}\n", crc(format!("{file} {line}").as_bytes()))
}

fn unsealed<'a>(file: &str, line: &'a str) -> Option<&'a str> {
    let (line, seal) = line.rsplit_once(' ')?;
    let mut crc = flate2::Crc::new();
    [file, " ", line].iter().for_each(|part| crc.update(part.as_bytes()));
    (u32::from_str_radix(seal, 16).ok()? == crc.sum()).then_some(line)
}

impl Heads {
    /// Its file.
    ///
    /// # Errors
    /// Never; passed on from JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(sealed("heads", &serde_json::to_string(self)?))
    }

    /// Reads a file of this format; `None` when it is not as it was written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let heads: Self = serde_json::from_str(unsealed("heads", text.trim_end())?).ok()?;
        (heads.format == FORMAT).then_some(heads)
    }
}

impl<'a> Entry<'a> {
    /// Its line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { commit, at, received, run } = self;
        sealed("commits", &format!("{commit} {at} {received} {}", run.unwrap_or("-")))
    }

    /// Reads a line; `None` when it is not as it was written.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut parts = unsealed("commits", line)?.splitn(4, ' ');
        let commit = parts.next()?;
        let (at, received) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let run = parts.next().filter(|run| *run != "-");
        Some(Self { commit, at, received, run })
    }
}

impl<'a> Version<'a> {
    /// Its line in the file of `path`.
    #[must_use]
    pub fn line(&self, path: &str) -> String {
        let Self { commit, blob, offset, length, crc } = self;
        sealed(path, &format!("{commit} {blob} {offset} {length} {crc:08x}"))
    }

    /// Reads a line of the file of `path`; `None` when it is not as it was written.
    #[must_use]
    pub fn parse(path: &str, line: &'a str) -> Option<Self> {
        let mut parts = unsealed(path, line)?.split(' ');
        let (commit, blob) = (parts.next()?.parse().ok()?, parts.next()?);
        let (offset, length) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { commit, blob, offset, length, crc: u32::from_str_radix(parts.next()?, 16).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "5b1e0fd1c0ffee00000000000000000000000001";

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let entry = Entry { commit: COMMIT, at: -5, received: 7, run: Some("runs/2026/03/31/r1.json") };
        let line = entry.line();
        assert_eq!(Entry::parse(line.trim_end()), Some(entry.clone()));
        assert_eq!(Entry::parse(Entry { run: None, ..entry }.line().trim_end()).map(|entry| entry.run), Some(None));
        let version = Version { commit: 3, blob: COMMIT, offset: 10, length: 20, crc: 0xff };
        let written = version.line("decisions/A-1.jsonl");
        assert_eq!(Version::parse("decisions/A-1.jsonl", written.trim_end()), Some(version));
        assert_eq!(Version::parse("decisions/A-2.jsonl", written.trim_end()), None);
        for other in [line.replace(" 7 ", " 8 "), line.replace("r1", "r2"), line[3..].to_owned(), String::new()] {
            assert_eq!(Entry::parse(other.trim_end()), None, "{other}");
        }
    }

    #[test]
    fn only_files_of_lines_that_stay_are_indexed() {
        let all =
            ["decisions/A-1.jsonl", "snapshot/Aws.Secret.jsonl", "runs/2026/03/31/r.json", "decisions/x/y.jsonl", "log/checkpoint"];
        assert_eq!(all.map(is_indexed), [true, true, false, false, false]);
    }
}
