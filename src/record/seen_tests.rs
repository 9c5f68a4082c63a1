//! Checkpoints of a log that two keys signed one after the other, kept on the way.

use std::collections::BTreeMap;

use super::super::keys;
use super::super::leaf::Leaf;
use super::super::ledger::{CHECKPOINT, FOLDER, Ledger};
use super::super::log::Signer;
use super::*;
use crate::model::time::Timestamp;

fn signer(seed: u8) -> Signer {
    Signer::new("log", &[seed; 32]).unwrap()
}

fn pin(seed: u8) -> Vec<Verifier> {
    vec![signer(seed).verifier().clone()]
}

/// The checkpoints of three runs: the first signed by nobody, the second by key 1, the third by key 2, and the keys.
fn three() -> (Vec<Vec<u8>>, Vec<Key>) {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut notes = Vec::new();
    for (number, signers) in [(1, (None, None)), (2, (Some(1), None)), (3, (Some(2), Some(1)))] {
        let ledger = Ledger::new("log".to_owned(), signers.0.map(signer), signers.1.map(signer));
        let read = |path: &str| Ok(files.get(&format!("{FOLDER}{path}")).cloned());
        let leaf = Leaf::of(&format!("runs/r{number}.json"), b"{}\n");
        let (changes, _) = ledger.extend(read, &[leaf], Timestamp::from_second(number).unwrap()).unwrap();
        for (path, file) in changes {
            match file {
                Some(file) => drop(files.insert(path, file.bytes().unwrap().into_owned())),
                None => drop(files.remove(&path)),
            }
        }
        notes.push(files[&format!("{FOLDER}{CHECKPOINT}")].clone());
    }
    let keys = keys::read_all("log", |path| Ok(files.get(&format!("{FOLDER}{path}")).cloned())).unwrap();
    (notes, keys)
}

#[test]
fn each_key_of_a_trusted_log_vouches_for_what_the_others_signed() {
    let (notes, keys) = three();
    for seed in [1, 2] {
        let sizes: Vec<u64> = notes.iter().map(|note| believed(note, &keys, &pin(seed)).unwrap().head.size).collect();
        assert_eq!(sizes, [1, 2, 3], "by key {seed}");
    }
    assert_eq!(believed(&notes[2], &[], &[]).unwrap().head.size, 3, "without a pin nobody is asked");
}

#[test]
fn what_nobody_known_signed_is_strange_and_what_is_no_checkpoint_is_none() {
    let (notes, keys) = three();
    assert!(matches!(believed(&notes[2], &keys[..1], &pin(1)), Err(Unbelieved::Strange)), "before the second key was known");
    let text = String::from_utf8(notes[1].clone()).unwrap();
    let bare = text.split("\n\n").next().unwrap().to_owned() + "\n";
    assert!(matches!(believed(bare.as_bytes(), &keys, &pin(1)), Err(Unbelieved::Strange)), "its signature was taken away");
    let other = text.replace("2\n", "1\n");
    assert!(matches!(believed(other.as_bytes(), &keys, &pin(1)), Err(Unbelieved::Strange)), "and it was changed");
    assert!(matches!(believed(b"x", &keys, &pin(1)), Err(Unbelieved::Form(_))));
}

#[test]
fn a_log_goes_on_from_what_it_was_and_from_nothing_else() {
    let (notes, keys) = three();
    let all: Vec<Standing> = notes.iter().map(|note| believed(note, &keys, &pin(1)).unwrap()).collect();
    let at = |size: u64| all.iter().find(|one| one.head.size == size).map(|one| (one.head, Some(one.received)));
    let code = |head: &Head, seen: &Standing| goes_on("log", head, at, seen).err().map(|finding| finding.code);
    for seen in &all {
        assert_eq!(code(&all[2].head, seen), None);
    }
    assert_eq!(code(&all[1].head, &all[2]), Some("slm::evidence-truncated"));
    let forked = Standing { head: Head { root: [7; 32], ..all[1].head }, ..all[1].clone() };
    assert_eq!(code(&all[2].head, &forked), Some("slm::evidence-forked"));
    let other = Standing { origin: "another".to_owned(), ..all[1].clone() };
    assert_eq!(code(&all[2].head, &other), Some("slm::evidence-other-log"));
    let redated = Standing { received: Timestamp::from_second(7).unwrap(), ..all[1].clone() };
    assert_eq!(code(&all[2].head, &redated), Some("slm::evidence-forked"));
    // Where nobody knows when it came to that size, nothing contradicts.
    let undated = |size: u64| at(size).map(|(head, _)| (head, None));
    goes_on("log", &all[2].head, undated, &redated).unwrap();
}
