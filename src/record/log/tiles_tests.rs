//! Paths and bytes as the specification has them, and what is read back from a log.

use proptest::prelude::*;

use super::super::test_log::{TestLog, entry, leaves};
use super::super::{Head, leaf_hash, verify_consistency, verify_inclusion};
use super::*;

fn read_all(log: &TestLog, range: Range<u64>) -> Vec<Vec<u8>> {
    entries(log.head.size, range, log.reader()).unwrap().map(Result::unwrap).collect()
}

#[test]
fn paths_are_those_of_the_specification() {
    assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(tile_path(0, 1_234_067, 255), "tile/0/x001/x234/067.p/255");
    assert_eq!(tile_path(63, 0, 1), "tile/63/000.p/1");
    assert_eq!(tile_path(1, 999, 256), "tile/1/999");
    assert_eq!(tile_path(1, 1000, 256), "tile/1/x001/000");
    assert_eq!(bundle_path(273, 112), "tile/entries/273.p/112");
    assert_eq!(bundle_path(1_000_000, 256), "tile/entries/x001/x000/000");
    assert_eq!(bundle_path(u64::MAX, 256), "tile/entries/x018/x446/x744/x073/x709/x551/615");
}

#[test]
fn partial_tiles_are_the_digits_of_the_size_in_base_256() {
    let of = |size| partials(size).collect::<Vec<_>>();
    assert_eq!(of(0), []);
    assert_eq!(of(255), [(0, 0, 255)]);
    assert_eq!(of(256), [(1, 0, 1)]);
    assert_eq!(of(70_000), [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
    assert_eq!(of(1 << 63), [(7, 0, 128)]);
    assert_eq!(of(u64::MAX).last(), Some(&(7, 0, 255)));
    assert_eq!((width(70_000, 0, 272), width(70_000, 0, 273), width(70_000, 0, 274), width(70_000, 9, 0)), (256, 112, 0, 0));
}

#[test]
fn a_bundle_is_lengths_and_bytes() {
    let mut bundle = Vec::new();
    for entry in [&b"ab"[..], b"", &[7; 300]] {
        bundle_entry(&mut bundle, entry).unwrap();
    }
    assert_eq!(bundle[..8], [0, 2, b'a', b'b', 0, 0, 1, 44]);
    assert_eq!(split_bundle(&bundle).unwrap(), [&b"ab"[..], b"", &[7; 300]]);
    assert_eq!(split_bundle(&bundle[..7]), None);
    assert_eq!(split_bundle(&bundle[..bundle.len() - 1]), None);
    assert_eq!(split_bundle(&[]), Some(vec![]));
    assert!(matches!(bundle_entry(&mut bundle, &[0; MAX_ENTRY + 1]), Err(LogError::TooLong(65_536))));
}

#[test]
fn the_root_is_that_of_the_leaves() {
    for size in [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1000] {
        let log = TestLog::of(size);
        assert_eq!(root(size, log.reader()).unwrap(), root_of(&leaves(size)), "size {size}");
    }
}

#[test]
fn the_root_of_any_time_before_is_that_of_the_leaves_of_then() {
    let (log, leaves) = (TestLog::of(600), leaves(600));
    let mut tiles = Tiles::new(600, log.reader());
    for size in [0, 1, 7, 255, 256, 257, 300, 511, 512, 599, 600] {
        assert_eq!(tiles.root_at(size).unwrap(), root_of(&leaves[..size as usize]), "size {size}");
    }
    assert!(tiles.root_at(601).is_err());
}

#[test]
fn every_complete_subtree_has_its_hash_and_no_other_has_one() {
    let (size, log, leaves) = (700, TestLog::of(700), leaves(700));
    let mut tiles = Tiles::new(size, log.reader());
    for level in 0..10 {
        let complete = size >> level;
        for index in 0..complete {
            let covered = &leaves[(index as usize) << level..][..1 << level];
            assert_eq!(tiles.hash(level, index).unwrap(), root_of(covered), "{level}, {index}");
        }
        assert!(matches!(tiles.hash(level, complete), Err(LogError::Proof(ProofError::OutOfRange))));
    }
    for level in [10, 63, 64, u32::MAX] {
        assert!(matches!(tiles.hash(level, 0), Err(LogError::Proof(ProofError::OutOfRange))));
    }
}

#[test]
fn proofs_across_three_levels_of_tiles_hold_and_read_little() {
    let log = TestLog::large().grown_to(65_537 + 300);
    let mut read = 0;
    let mut reader = log.reader();
    let mut tiles = Tiles::new(log.head.size, |path: &str| {
        read += 1;
        reader(path)
    });
    for index in [0, 255, 256, 65_535, 65_536, 65_836] {
        let proof = tiles.prove_inclusion(index).unwrap();
        assert_eq!(verify_inclusion(&leaf_hash(&entry(index)), index, &log.head, &proof), Ok(()), "{index}");
    }
    for old in [1, 255, 256, 257, 65_535, 65_536, 65_537] {
        let proof = tiles.prove_consistency(old).unwrap();
        let old = Head { size: old, root: tiles.root_at(old).unwrap() };
        assert_eq!(verify_consistency(&old, &log.head, &proof), Ok(()), "{old:?}");
    }
    assert!(tiles.prove_inclusion(65_837).is_err() && tiles.prove_consistency(65_838).is_err());
    drop(tiles);
    assert!(read <= 10, "{read} files");
}

#[test]
fn a_range_of_entries_is_read_from_its_bundles_alone() {
    let log = TestLog::of(600);
    for range in [0..0, 0..1, 0..600, 255..257, 256..512, 599..600, 600..600, 300..301] {
        assert_eq!(read_all(&log, range.clone()), range.clone().map(entry).collect::<Vec<_>>(), "{range:?}");
    }
    let mut read = Vec::new();
    let mut reader = log.reader();
    let counted = |path: &str| {
        read.push(path.to_owned());
        reader(path)
    };
    assert_eq!(entries(600, 255..257, counted).unwrap().count(), 2);
    assert_eq!(read, ["tile/entries/000", "tile/entries/001"]);
    #[expect(clippy::reversed_empty_ranges, reason = "it is refused")]
    for range in [0..601, 5..4] {
        assert!(matches!(entries(600, range, log.reader()).err(), Some(LogError::Proof(ProofError::OutOfRange))));
    }
}

#[test]
fn a_full_file_stands_for_a_partial_one_that_is_gone() {
    let (old, log) = (TestLog::of(5), TestLog::of(300));
    assert_eq!(root(5, log.reader()).unwrap(), old.head.root);
    let read: Vec<_> = entries(5, 0..5, log.reader()).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, (0..5).map(entry).collect::<Vec<_>>());
    assert!(matches!(root(270, log.reader()), Err(LogError::Missing(path)) if path == "tile/0/001.p/14"));
}

#[test]
fn a_bundle_with_an_entry_too_few_or_too_many_is_malformed() {
    for (path, index) in [("tile/entries/000", 3), ("tile/entries/001.p/44", 260)] {
        let mut log = TestLog::of(300);
        let good = log.files[path].clone();
        for wrong in [&good[2 + usize::from(good[1])..], &[&good[..], &[0, 0]].concat(), &[]] {
            log.files.insert(path.to_owned(), wrong.to_vec());
            let read = entries(300, index..300, log.reader()).unwrap().next();
            assert!(matches!(read, Some(Err(LogError::Malformed(named))) if named == path), "{path}");
        }
    }
}

#[test]
fn a_file_that_is_missing_short_or_unreadable_is_named() {
    let mut log = TestLog::of(600);
    let bundle = log.files.get_mut("tile/entries/001").unwrap();
    bundle.truncate(bundle.len() - 1);
    let mut read = entries(600, 250..600, log.reader()).unwrap();
    assert_eq!(read.by_ref().take_while(Result::is_ok).count(), 6);
    assert!(read.next().is_none());
    drop(read);
    let last = entries(600, 300..301, log.reader()).unwrap().next();
    assert!(matches!(last, Some(Err(LogError::Malformed(path))) if path == "tile/entries/001"));
    for (path, level) in [("tile/0/002.p/88", 0), ("tile/1/000.p/2", 8)] {
        let good = log.files[path].clone();
        for wrong in [&good[1..], &good[32..], &[&good[..], &[0; 32]].concat(), &[&good[..], &[0]].concat(), &[]] {
            log.files.insert(path.to_owned(), wrong.to_vec());
            let (mut tiles, index) = (Tiles::new(600, log.reader()), (600 >> level) - 1);
            assert!(matches!(tiles.hash(level, index), Err(LogError::Malformed(named)) if named == path), "{path}");
        }
        log.files.insert(path.to_owned(), good);
    }
    log.files.remove("tile/0/001");
    assert!(matches!(Tiles::new(600, log.reader()).hash(0, 300), Err(LogError::Missing(path)) if path == "tile/0/001"));
    let error = root(600, |_: &str| Err(io::Error::other("disk"))).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `tile/0/002.p/88` of the log");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_proof_from_the_tiles_holds(size in 1u64..1500, at: prop::sample::Index, old: prop::sample::Index) {
        let log = TestLog::of(size);
        let (index, old) = (at.index(size as usize) as u64, old.index(size as usize) as u64);
        let mut tiles = Tiles::new(size, log.reader());
        let proof = tiles.prove_inclusion(index).unwrap();
        prop_assert_eq!(verify_inclusion(&leaf_hash(&entry(index)), index, &log.head, &proof), Ok(()));
        let proof = tiles.prove_consistency(old).unwrap();
        let old = Head { size: old, root: root_of(&leaves(old)) };
        prop_assert_eq!(verify_consistency(&old, &log.head, &proof), Ok(()));
    }
}
