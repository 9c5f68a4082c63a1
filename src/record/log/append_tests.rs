//! However the entries are cut, the files are the same; and nothing is appended to an edge that does not hold.

use proptest::prelude::*;

use super::super::test_log::{TestLog, entry, leaves};
use super::super::tiles::MAX_ENTRY;
use super::*;

fn paths(log: &TestLog) -> Vec<&str> {
    log.files.keys().map(String::as_str).collect()
}

fn refused(log: &TestLog) -> LogError {
    Appender::open(&log.head, log.reader()).err().unwrap()
}

#[test]
fn one_at_a_time_gives_the_files_of_all_at_once() {
    let (mut log, leaves) = (TestLog::new(), leaves(600));
    for size in 1..=600 {
        log.append(size - 1..size);
        if size < 20 || [254, 255, 256, 257, 511, 512, 513, 600].contains(&size) {
            assert_eq!(log, TestLog::of(size), "size {size}");
            assert_eq!(log.head.root, root_of(&leaves[..size as usize]), "size {size}");
        }
    }
}

#[test]
fn the_step_to_a_third_level_gives_the_files_of_all_at_once() {
    let log = TestLog::large().grown_to(65_535).grown_to(65_536).grown_to(65_537);
    assert_eq!(log, TestLog::large().grown_to(65_537));
    assert_eq!(log.head.root, root_of(&leaves(65_537)));
    let above: Vec<_> = paths(&log).into_iter().filter(|path| path.contains(".p/") || path.starts_with("tile/1")).collect();
    assert_eq!(above, ["tile/0/256.p/1", "tile/1/000", "tile/2/000.p/1", "tile/entries/256.p/1"]);
}

/// The example of the specification: a tree of size 70,000.
#[test]
fn seventy_thousand_entries_are_the_files_the_specification_lists() {
    let log = TestLog::large().grown_to(70_000);
    let count = |prefix: &str| {
        let (partial, full): (Vec<_>, Vec<_>) =
            paths(&log).into_iter().filter(|path| path.starts_with(prefix)).partition(|path| path.contains(".p/"));
        (full.len(), partial)
    };
    assert_eq!(count("tile/0/"), (273, vec!["tile/0/273.p/112"]));
    assert_eq!(count("tile/1/"), (1, vec!["tile/1/001.p/17"]));
    assert_eq!(count("tile/2/"), (0, vec!["tile/2/000.p/1"]));
    assert_eq!(count("tile/entries/"), (273, vec!["tile/entries/273.p/112"]));
    assert_eq!(log.files.len(), 273 + 1 + 1 + 1 + 1 + 273 + 1);
}

#[test]
fn what_is_written_and_what_it_replaces() {
    let mut log = TestLog::new();
    let paths = |appended: &Appended| appended.write.keys().cloned().collect::<Vec<_>>();
    let first = log.append(0..2);
    assert_eq!(paths(&first), ["tile/0/000.p/2", "tile/entries/000.p/2"]);
    assert_eq!(first.write["tile/entries/000.p/2"], b"\0\x010\0\x011");
    assert_eq!(first.superseded, [""; 0]);
    let second = log.append(2..256);
    assert_eq!(paths(&second), ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]);
    assert_eq!(second.superseded, ["tile/0/000.p/2", "tile/entries/000.p/2"]);
    // The partial tile of level one stays as it is.
    let third = log.append(256..257);
    assert_eq!(paths(&third), ["tile/0/001.p/1", "tile/entries/001.p/1"]);
    assert_eq!(third.superseded, [""; 0]);
    let none = log.append(257..257);
    assert_eq!((none.head, paths(&none), none.superseded), (log.head, vec![], vec![]));
}

#[test]
fn only_the_right_edge_is_read() {
    let large = TestLog::large();
    for (size, files) in [(0, 0), (1, 2), (255, 2), (256, 1), (257, 3), (65_536, 1), (65_537, 3), (65_793, 4)] {
        let log = if size < large.head.size { TestLog::of(size) } else { large.clone().grown_to(size) };
        let mut read = 0;
        let mut reader = log.reader();
        let counted = |path: &str| {
            read += 1;
            reader(path)
        };
        assert_eq!(Appender::open(&log.head, counted).unwrap().finish().head, log.head);
        assert_eq!(read, files, "size {size}");
    }
}

#[test]
fn an_edge_that_does_not_hold_is_not_continued() {
    let log = TestLog::of(300);
    for path in ["tile/0/001.p/44", "tile/1/000.p/1"] {
        let mut spoilt = log.clone();
        spoilt.files.get_mut(path).unwrap()[0] ^= 1;
        assert!(matches!(refused(&spoilt), LogError::Root), "{path}");
    }
    let mut spoilt = log.clone();
    spoilt.files.get_mut("tile/entries/001.p/44").unwrap()[2] ^= 1;
    assert!(matches!(refused(&spoilt), LogError::Wrong(path) if path == "tile/entries/001.p/44"));
    let mut spoilt = log.clone();
    spoilt.head.root[0] ^= 1;
    assert!(matches!(refused(&spoilt), LogError::Root));
    for path in ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"] {
        let mut spoilt = log.clone();
        spoilt.files.get_mut(path).unwrap().pop();
        assert!(matches!(refused(&spoilt), LogError::Malformed(named) if named == path), "{path}");
        spoilt.files.remove(path);
        assert!(matches!(refused(&spoilt), LogError::Missing(named) if named == path), "{path}");
    }
    let failing = |_: &str| Err(io::Error::other("disk"));
    assert!(matches!(Appender::open(&log.head, failing).err(), Some(LogError::Read(path, _)) if path == "tile/0/001.p/44"));
}

#[test]
fn an_append_that_was_cut_short_can_be_done_again() {
    let (old, new) = (TestLog::of(250), TestLog::of(260));
    // The files of the new size are there, and the partial ones of the old are gone; the checkpoint is the old one.
    let mut log = TestLog { head: old.head, files: new.files.clone() };
    let mut appender = Appender::open(&log.head, log.reader()).unwrap();
    for number in 250..260 {
        appender.push(&entry(number)).unwrap();
    }
    let appended = appender.finish();
    log.files.extend(appended.write);
    log.head = appended.head;
    assert_eq!(log, new);
}

#[test]
fn an_entry_has_at_most_65535_bytes_and_may_have_none() {
    let mut log = TestLog::of(3);
    let mut appender = Appender::open(&log.head, log.reader()).unwrap();
    assert!(matches!(appender.push(&vec![0; MAX_ENTRY + 1]), Err(LogError::TooLong(65_536))));
    let unchanged = appender.finish();
    assert_eq!((unchanged.head, unchanged.write.len()), (log.head, 0));
    let mut appender = Appender::open(&log.head, log.reader()).unwrap();
    assert_eq!((appender.push(&vec![7; MAX_ENTRY]).unwrap(), appender.push(b"").unwrap()), (3, 4));
    let appended = appender.finish();
    (log.head, log.files) = (appended.head, appended.write);
    let read: Vec<_> = super::super::entries(5, 3..5, log.reader()).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, [vec![7; MAX_ENTRY], vec![]]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn however_the_entries_are_cut(cuts in prop::collection::vec(0u64..400, 1..6)) {
        let mut log = TestLog::new();
        for cut in cuts {
            log.append(log.head.size..log.head.size + cut);
        }
        prop_assert_eq!(&log, &TestLog::of(log.head.size));
        prop_assert_eq!(log.head.root, root_of(&leaves(log.head.size)));
    }
}
