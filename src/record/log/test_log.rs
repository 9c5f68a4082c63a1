//! A log in memory, for the tests.

use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;

use super::{Appended, Appender, Hash, Head, leaf_hash, root_of};

/// The files of a log and its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestLog {
    pub(super) head: Head,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl TestLog {
    pub(super) fn new() -> Self {
        Self { head: Head { size: 0, root: root_of(&[]) }, files: BTreeMap::new() }
    }

    /// A log of the entries `0..size`.
    pub(super) fn of(size: u64) -> Self {
        let mut log = Self::new();
        log.append(0..size);
        log
    }

    /// A log of 65,534 entries, two before its first full tile of level one; made once.
    pub(super) fn large() -> Self {
        static LARGE: LazyLock<TestLog> = LazyLock::new(|| TestLog::of(65_534));
        LARGE.clone()
    }

    /// This log, grown to `size` entries.
    pub(super) fn grown_to(mut self, size: u64) -> Self {
        self.append(self.head.size..size);
        self
    }

    /// Appends the entries `numbers`, and does what that comes to.
    pub(super) fn append(&mut self, numbers: std::ops::Range<u64>) -> Appended {
        let mut appender = Appender::open(&self.head, self.reader()).unwrap();
        for number in numbers {
            assert_eq!(appender.push(&entry(number)).unwrap(), number);
        }
        let appended = appender.finish();
        self.head = appended.head;
        appended.superseded.iter().for_each(|path| assert!(self.files.remove(path).is_some(), "{path} was not there"));
        for (path, bytes) in &appended.write {
            assert!(self.files.insert(path.clone(), bytes.clone()).is_none(), "{path} was written twice");
        }
        appended
    }

    pub(super) fn reader(&self) -> impl FnMut(&str) -> io::Result<Option<Vec<u8>>> {
        |path| Ok(self.files.get(path).cloned())
    }
}

/// The bytes of entry `number`: each is another.
pub(super) fn entry(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The leaf hashes of the entries `0..size`.
pub(super) fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|number| leaf_hash(&entry(number))).collect()
}
