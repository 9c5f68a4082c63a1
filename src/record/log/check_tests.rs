//! A sound log passes; a log with one file spoilt, gone or exchanged is refused, and the file is named.

use super::super::test_log::{TestLog, entry};
use super::*;

fn checked(log: &TestLog) -> Result<(), LogError> {
    check(&log.head, log.reader())
}

fn wrong(log: &TestLog) -> String {
    match checked(log) {
        Err(LogError::Wrong(path)) => path,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sound_log_of_any_size_passes() {
    for size in [0, 1, 2, 255, 256, 257, 512, 700] {
        checked(&TestLog::of(size)).unwrap_or_else(|error| panic!("size {size}: {error}"));
    }
    checked(&TestLog::large().grown_to(65_537)).unwrap();
}

#[test]
fn the_file_that_was_changed_is_named() {
    let log = TestLog::of(600);
    for path in log.files.keys() {
        for at in [2, 40, log.files[path].len() - 1] {
            let mut spoilt = log.clone();
            spoilt.files.get_mut(path).unwrap()[at] ^= 1;
            match checked(&spoilt) {
                Err(LogError::Wrong(named) | LogError::Malformed(named)) => assert_eq!(&named, path, "byte {at}"),
                other => panic!("{path}, byte {at}: {other:?}"),
            }
        }
        let mut short = log.clone();
        short.files.get_mut(path).unwrap().pop();
        assert!(matches!(checked(&short), Err(LogError::Malformed(named)) if &named == path), "{path}");
        short.files.remove(path);
        assert!(matches!(checked(&short), Err(LogError::Missing(named)) if &named == path), "{path}");
    }
}

#[test]
fn a_full_tile_above_that_was_changed_is_named() {
    let mut log = TestLog::large().grown_to(65_536 + 3);
    log.files.get_mut("tile/1/000").unwrap()[32 * 200] ^= 1;
    assert_eq!(wrong(&log), "tile/1/000");
    log.files.get_mut("tile/1/000").unwrap()[32 * 200] ^= 1;
    log.files.get_mut("tile/2/000.p/1").unwrap()[0] ^= 1;
    assert_eq!(wrong(&log), "tile/2/000.p/1");
}

#[test]
fn an_entry_and_its_tile_changed_together_are_found_one_level_up() {
    let mut log = TestLog::of(600);
    let bundle = log.files.get_mut("tile/entries/001").unwrap();
    let at = bundle.windows(3).position(|bytes| bytes == entry(300)).unwrap();
    bundle[at..at + 3].copy_from_slice(b"xyz");
    log.files.get_mut("tile/0/001").unwrap()[32 * 44..32 * 45].copy_from_slice(&leaf_hash(b"xyz"));
    // The tile above is vouched for by the root, so what is below it is wrong.
    assert_eq!(wrong(&log), "tile/0/001");
}

#[test]
fn exchanged_entries_bundles_and_tiles_are_found() {
    let log = TestLog::of(600);
    for (one, other) in [("tile/entries/000", "tile/entries/001"), ("tile/0/000", "tile/0/001")] {
        let mut spoilt = log.clone();
        let moved = spoilt.files.insert(one.to_owned(), log.files[other].clone()).unwrap();
        spoilt.files.insert(other.to_owned(), moved);
        assert_eq!(wrong(&spoilt), one);
    }
}

#[test]
fn another_history_does_not_have_the_root() {
    let (mut log, other) = (TestLog::of(600), TestLog::of(599));
    log.head.root = other.head.root;
    assert!(matches!(checked(&log), Err(LogError::Root)));
    log.head.size = 599;
    assert!(matches!(checked(&log), Err(LogError::Missing(path)) if path == "tile/0/002.p/87"));
    // Two entries fewer, everything recomputed: only the signed head tells.
    let cut = TestLog { head: TestLog::of(600).head, files: TestLog::of(598).files };
    assert!(matches!(checked(&cut), Err(LogError::Missing(_))));
}
