//! ZIP files: written so that the same files give the same bytes, read without trusting what they say of themselves.

#![expect(clippy::disallowed_methods, reason = "it reads the bundle that a verb was told of")]

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read as _, Seek as _, Write as _};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::zip_shape;

/// The most bytes that are unpacked of one file: one that claims to be longer is not read.
const MOST: u64 = 4 << 30;

/// `files` as a ZIP: sorted, all of 1980, which is where its dates begin.
///
/// # Errors
/// When one of them is longer than the format takes.
pub fn pack(files: &BTreeMap<String, Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(6))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    for (name, bytes) in files {
        zip.start_file(name.as_str(), options.large_file(bytes.len() as u64 >= u64::from(u32::MAX)))?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A ZIP that was opened.
pub struct Zipped {
    zip: RefCell<ZipArchive<std::fs::File>>,
    /// Why others may unpack something else than is read here, where they may.
    pub doubt: Option<String>,
}

impl Zipped {
    /// Opens the one at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let shape = zip_shape::names(&mut file);
        file.rewind()?;
        let zip = ZipArchive::new(file)?;
        let doubt = match shape {
            Ok(names) if all(&zip).as_ref() == Some(&names) => None,
            Ok(_) => Some("its list is not read as the same by every program".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(Self { zip: RefCell::new(zip), doubt })
    }

    /// Names of its files.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let zip = self.zip.borrow();
        let names = zip.file_names().filter_map(Result::ok).filter(|name| !name.ends_with('/'));
        names.map(Cow::into_owned).collect()
    }

    /// The file `name`; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be unpacked, or is too long.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut zip = self.zip.borrow_mut();
        let file = match zip.by_name(name) {
            Ok(file) => file,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(MOST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST { Err(io::Error::other("it is too long")) } else { Ok(Some(bytes)) }
    }
}

/// All names in `zip`, folders included; `None` when one of them is none.
fn all(zip: &ZipArchive<std::fs::File>) -> Option<BTreeSet<String>> {
    zip.file_names().map(|name| name.ok().map(Cow::into_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_bytes_and_are_read_again() {
        let files = BTreeMap::from([("b/x.txt".to_owned(), vec![7_u8; 100_000]), ("a.txt".to_owned(), b"a".to_vec())]);
        let packed = pack(&files).unwrap();
        assert_eq!(packed, pack(&files).unwrap());
        assert!(packed.len() < 2_000, "{} bytes", packed.len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip");
        std::fs::write(&path, &packed).unwrap();
        let zipped = Zipped::open(&path).unwrap();
        assert_eq!(zipped.names().into_iter().collect::<Vec<_>>(), ["a.txt", "b/x.txt"]);
        assert_eq!(zipped.read("b/x.txt").unwrap().unwrap(), files["b/x.txt"]);
        assert_eq!(zipped.read("c").unwrap(), None);
        assert_eq!(zipped.doubt, None);
    }

    #[test]
    fn a_zip_that_others_may_unpack_as_something_else_is_opened_with_that_doubt() {
        let files = BTreeMap::from([("one".to_owned(), b"forged".to_vec()), ("two".to_owned(), b"genuine".to_vec())]);
        let packed = pack(&files).unwrap();
        let mut changed = packed;
        while let Some(at) = changed.windows(3).position(|part| part == b"two") {
            changed[at..at + 3].copy_from_slice(b"one");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip");
        std::fs::write(&path, &changed).unwrap();
        let doubt = Zipped::open(&path).unwrap().doubt;
        assert_eq!(doubt.as_deref(), Some("it has `one` twice: which of the two is unpacked is for the program to choose"));
    }
}
