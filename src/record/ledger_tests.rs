//! What a commit adds to the log, and when it must not.

use super::super::log::entries;
use super::*;
use std::cell::RefCell;

fn signer(seed: u8) -> Signer {
    Signer::new("log", &[seed; 32]).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

#[derive(Default)]
struct Files(RefCell<BTreeMap<String, Vec<u8>>>);

impl Files {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.borrow().get(&format!("{FOLDER}{path}")).cloned())
    }

    fn extended(&self, ledger: &Ledger, leaves: &[Leaf], now: Timestamp) -> Result<Timestamp, LedgerError> {
        let (changes, received) = ledger.extend(|path| self.read(path), leaves, now)?;
        for (path, file) in changes {
            match file {
                Some(file) => drop(self.0.borrow_mut().insert(path, file.bytes().unwrap().into_owned())),
                None => assert!(self.0.borrow_mut().remove(&path).is_some(), "{path} was not there"),
            }
        }
        Ok(received)
    }

    fn standing(&self) -> Standing {
        standing(&self.read(CHECKPOINT).unwrap().unwrap(), &[signer(1).verifier().clone()]).unwrap()
    }
}

fn leaves(from: usize, count: usize) -> Vec<Leaf> {
    (from..from + count).map(|number| Leaf::of(&format!("raw/{number:05}"), &number.to_be_bytes())).collect()
}

fn signed() -> Ledger {
    Ledger::new("log".to_owned(), Some(signer(1)), None)
}

#[test]
fn leaves_are_entries_in_their_order_and_only_the_files_in_use_stay() {
    let files = Files::default();
    for (from, count) in [(0, 3), (3, 300), (303, 0), (303, 1)] {
        files.extended(&signed(), &leaves(from, count), at(0)).unwrap();
    }
    assert_eq!(files.standing().head.size, 304);
    let read: Vec<Leaf> =
        entries(304, 0..304, |path| files.read(path)).unwrap().map(|entry| Leaf::parse(&entry.unwrap()).unwrap()).collect();
    assert_eq!(read, leaves(0, 304));
    let paths: Vec<String> = files.0.borrow().keys().cloned().collect();
    assert_eq!(
        paths,
        [
            "log/checkpoint",
            "log/keys/1",
            "log/tile/0/000",
            "log/tile/0/001.p/48",
            "log/tile/1/000.p/1",
            "log/tile/entries/000",
            "log/tile/entries/001.p/48",
        ]
    );
}

#[test]
fn a_commit_is_never_dated_before_the_one_it_goes_on() {
    let files = Files::default();
    assert_eq!(files.extended(&signed(), &leaves(0, 1), at(100)).unwrap(), at(100));
    assert_eq!(files.extended(&signed(), &leaves(1, 1), at(40)).unwrap(), at(100));
    assert_eq!(files.extended(&signed(), &leaves(2, 1), at(101)).unwrap(), at(101));
    assert_eq!(files.standing().received, at(101));
}

#[test]
fn a_log_that_was_touched_is_not_gone_on_with() {
    for (path, bytes) in [
        ("log/tile/0/000.p/3", vec![0; 96]),
        ("log/tile/entries/000.p/3", vec![0, 1, 2]),
        ("log/checkpoint", b"log\n3\n".to_vec()),
        ("log/keys/1", b"log\nkey 1\n".to_vec()),
    ] {
        let files = Files::default();
        files.extended(&signed(), &leaves(0, 3), at(0)).unwrap();
        files.0.borrow_mut().insert(path.to_owned(), bytes);
        let error = files.extended(&signed(), &leaves(3, 1), at(1)).unwrap_err();
        assert!(
            matches!(error, LedgerError::Log(_) | LedgerError::Checkpoint(_) | LedgerError::Note(_) | LedgerError::Keys(_)),
            "{path}: {error}"
        );
    }
    // A checkpoint that another key signed is not believed either.
    let files = Files::default();
    files.extended(&signed(), &leaves(0, 3), at(0)).unwrap();
    let note = files.read(CHECKPOINT).unwrap().unwrap();
    let (text, had) = text_of(&note).unwrap();
    assert!(had);
    let forged = compose(text, &[signer(9).sign(text).unwrap()]).unwrap();
    files.0.borrow_mut().insert("log/checkpoint".to_owned(), forged.into_bytes());
    assert!(matches!(files.extended(&signed(), &[], at(1)), Err(LedgerError::Note(NoteError::Unsigned))));
}

#[test]
fn only_the_key_in_force_or_its_heir_goes_on() {
    let files = Files::default();
    files.extended(&signed(), &leaves(0, 1), at(0)).unwrap();
    let other = |signer_: Option<Signer>, before: Option<Signer>| Ledger::new("log".to_owned(), signer_, before);
    let refused = |ledger: &Ledger| files.extended(ledger, &leaves(1, 1), at(1)).unwrap_err();
    assert!(matches!(refused(&other(None, None)), LedgerError::NoKey(_)));
    assert!(matches!(refused(&other(Some(signer(2)), None)), LedgerError::OtherKey(_)));
    assert!(matches!(refused(&other(Some(signer(2)), Some(signer(3)))), LedgerError::OtherKey(_)));
    let elsewhere = Ledger::new("elsewhere".to_owned(), Some(Signer::new("elsewhere", &[1; 32]).unwrap()), None);
    assert!(matches!(refused(&elsewhere), LedgerError::Keys(_)));
    files.extended(&other(Some(signer(2)), Some(signer(1))), &leaves(1, 1), at(1)).unwrap();
    let keys = keys::read_all("log", |path| files.read(path)).unwrap();
    assert_eq!(
        keys.iter().map(|key| (key.verifier.vkey(), key.from)).collect::<Vec<_>>(),
        [(signer(1).verifier().vkey(), 0), (signer(2).verifier().vkey(), 2),]
    );
    assert_eq!(keys::in_force(&keys, 1), keys.first());
    assert_eq!(keys::in_force(&keys, 2), keys.last());
}

#[test]
fn a_key_is_believed_for_what_it_or_one_after_it_signed() {
    let files = Files::default();
    let key = |seed: u8, before: Option<u8>| Ledger::new("log".to_owned(), Some(signer(seed)), before.map(signer));
    files.extended(&key(1, None), &leaves(0, 2), at(0)).unwrap();
    files.extended(&key(2, Some(1)), &leaves(2, 2), at(1)).unwrap();
    files.extended(&key(3, Some(2)), &leaves(4, 2), at(2)).unwrap();
    let keys = keys::read_all("log", |path| files.read(path)).unwrap();
    assert_eq!(keys.iter().map(|key| key.from).collect::<Vec<_>>(), [0, 4, 6]);
    let trusted = |seeds: &[u8], size: u64| {
        let pins: Vec<Verifier> = seeds.iter().map(|seed| signer(*seed).verifier().clone()).collect();
        keys::trusted(&keys, &pins, size).map_err(|error| error.to_string())
    };
    assert_eq!(trusted(&[], 6), Ok(false));
    for pins in [&[1][..], &[2], &[3], &[1, 3], &[3, 1], &[2, 3]] {
        assert_eq!(trusted(pins, 6), Ok(true), "{pins:?}");
    }
    assert_eq!(trusted(&[5], 6), Err("no key of the log is the one that is trusted".to_owned()));
    let unused = "the key that is trusted signs from entry 4 on, and neither it nor one after it signed what is there";
    assert_eq!(trusted(&[2], 3), Err(unused.to_owned()));
    // Of two keys that are trusted, the older handed over to a third, and the newer is nowhere.
    let past = format!("the log was handed over to another key than `{}`, which is trusted", signer(7).verifier().vkey());
    assert_eq!((trusted(&[1, 7], 6), trusted(&[2, 7], 6)), (Err(past.clone()), Err(past)));
    assert_eq!(trusted(&[3, 7], 6), Ok(true), "it may be the next");
    assert_eq!(keys::fits(&keys, 5).unwrap_err().to_string(), "`keys/3` takes over from entry 6, and is kept in a log of 5");
    assert_eq!(keys::fits(&keys, 6).map_err(|error| error.to_string()), Ok(()));
}

#[test]
fn what_no_trusted_key_signed_is_not_gone_on_with() {
    let key = |seed: Option<u8>, before: Option<u8>| Ledger::new("log".to_owned(), seed.map(signer), before.map(signer));
    let pins = |seed: u8| vec![signer(seed).verifier().clone()];
    // Somebody took every signature away and wrote what they liked; or has a key from before the one that is trusted.
    for (forger, before) in [(key(None, None), None), (key(Some(1), None), Some(1))] {
        let files = Files::default();
        files.extended(&forger, &leaves(0, 2), at(0)).unwrap();
        // Whether what is trusted is the key itself or one that handed over to it long ago.
        for pin in [2, 3] {
            let error = files.extended(&key(Some(2), before).trusted_by(pins(pin)), &leaves(2, 1), at(1)).unwrap_err();
            assert!(matches!(&error, LedgerError::Forgotten(KeysError::Untrusted)), "{error}");
            assert!(error.to_string().contains("take them out of `trust` until one has"), "{error}");
        }
        let size = |ledger: &Ledger, from: usize| files.extended(ledger, &leaves(from, 1), at(1)).map(|_| from).unwrap();
        assert_eq!(size(&key(Some(2), before), 2), 2, "nobody trusts anything yet");
        assert_eq!(size(&key(Some(2), before).trusted_by(pins(2)), 3), 3);
        assert_eq!(size(&key(Some(4), Some(2)).trusted_by(pins(2)), 4), 4, "the next key, which is trusted by the one before");
    }
    let files = Files::default();
    files.extended(&key(Some(2), None).trusted_by(pins(2)), &leaves(0, 1), at(0)).unwrap();
    assert_eq!(standing(&files.read(CHECKPOINT).unwrap().unwrap(), &pins(2)).unwrap().head.size, 1, "an empty log is begun");
}

#[test]
fn that_a_log_goes_on_from_what_was_seen_is_proved_from_its_tiles() {
    let files = Files::default();
    let mut seen = vec![empty()];
    for (from, count) in [(0, 3), (3, 250), (253, 3), (256, 60)] {
        files.extended(&signed(), &leaves(from, count), at(0)).unwrap();
        seen.push(files.standing().head);
    }
    let now = files.standing().head;
    let told = |now: &Head, seen: &Head| goes_on(now, seen, |path| files.read(path)).map_err(|error| error.to_string());
    assert!(seen.iter().all(|seen| told(&now, seen) == Ok(())), "{seen:?}");
    assert_eq!(told(&seen[2], &now), Err("the log has 253 entries, and had 316 when it was seen here before".to_owned()));
    for other in &seen[1..] {
        let other = Head { root: [7; 32], ..*other };
        assert_eq!(told(&now, &other), Err(format!("the log is not the one whose {} entries were seen here before", other.size)));
    }
    // A tile below what was seen that holds other hashes proves nothing.
    files.0.borrow_mut().insert("log/tile/0/000".to_owned(), vec![7; 256 * 32]);
    assert_eq!(told(&now, &seen[2]), Err("the log is not the one whose 253 entries were seen here before".to_owned()));
}

#[test]
fn what_was_taken_away_from_a_signed_log_is_not_taken_for_a_beginning() {
    for path in ["log/checkpoint", "log/keys/1"] {
        let files = Files::default();
        files.extended(&signed(), &leaves(0, 3), at(0)).unwrap();
        files.0.borrow_mut().remove(path).unwrap();
        let error = files.extended(&signed(), &leaves(3, 1), at(1)).unwrap_err();
        assert_eq!(error.to_string(), format!("the log lacks `{path}`"));
    }
}
