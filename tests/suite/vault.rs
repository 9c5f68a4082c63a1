//! The local vault under writers that are killed: it always opens, and what was acknowledged is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use slm::host::clock::SystemClock;
use slm::model::catalog::SecretRef;
use slm::model::id::VersionId;
use slm::model::secret::Secret;
use slm::transport::vault::Vault;
use slm::world::{CURRENT, ErrorClass, PENDING, SecretStore, SecretView};

use crate::killed::{Dice, Victim, kills, partial, say, told};

const CHILD: &str = "vault::writes_until_it_is_killed";
/// Longest time a child lives after its first word, in microseconds: some ten writes.
const LIFE: u64 = 60_000;
/// Kills on one vault before the next is made, so that the files stay small and the kills many.
const EACH: u64 = 10;

fn open(folder: &Path) -> Vault {
    Vault::open(folder.join("vault.age"), folder.join("id"), Arc::new(SystemClock))
}

fn create(folder: &Path) -> Vault {
    Vault::create(folder.join("vault.age"), folder.join("id"), Arc::new(SystemClock)).unwrap()
}

fn secret() -> SecretRef {
    SecretRef { source: "v".into(), region: ".".to_owned(), name: "db".to_owned() }
}

/// The value that belongs to `version`.
fn value(version: &str) -> Secret {
    Secret::new(version.repeat(100).into_bytes())
}

/// Puts `version` and makes it current, whatever was current before; says both when they are done.
fn write(vault: &Vault, version: &str) {
    let id = VersionId::from(version);
    block_on(vault.put(&secret(), &id, &value(version))).unwrap();
    say(format_args!("put {version}"));
    loop {
        let before = block_on(vault.describe(&secret())).unwrap().current().cloned();
        match block_on(vault.promote(&secret(), before.as_ref(), &id)) {
            Ok(()) => break say(format_args!("promoted {version}")),
            Err(error) => assert_eq!(error.class, ErrorClass::Conflict, "{error}"),
        }
    }
}

#[test]
#[ignore = "a child of the other tests"]
fn writes_until_it_is_killed() {
    let Some((folder, order)) = told() else { return };
    let mut order = order.split(' ');
    let (worker, first, last) = (order.next().unwrap(), order.next().unwrap(), order.next().unwrap());
    let vault = open(&folder);
    for n in first.parse::<u32>().unwrap()..last.parse().unwrap() {
        write(&vault, &format!("{worker}-{n}"));
    }
}

/// Words behind `verb` in what a child said.
fn acknowledged<'a>(said: &'a [String], verb: &'a str) -> impl Iterator<Item = &'a str> {
    said.iter().filter_map(move |line| line.strip_prefix(verb)?.strip_prefix(' '))
}

/// Opens the vault, and asserts that it has every version of `put` with its value, at most `extra` more, also whole, and one of each
/// label.
fn whole(folder: &Path, put: &BTreeSet<String>, extra: usize) -> SecretView {
    let vault = open(folder);
    let view = vault.list().unwrap().into_iter().next().map(|listed| listed.view).unwrap_or_default();
    let have: BTreeSet<_> = view.versions.keys().map(|id| id.as_str().to_owned()).collect();
    assert!(have.is_superset(put), "lost {:?}", put.difference(&have));
    assert!(have.len() <= put.len() + extra, "{:?} were put by nobody", have.difference(put));
    for id in view.versions.keys() {
        assert_eq!(block_on(vault.read(&secret(), id)).unwrap().expose(), value(id.as_str()).expose());
    }
    for label in [CURRENT, PENDING] {
        let holders = view.versions.values().filter(|version| version.labels.iter().any(|have| have == label)).count();
        assert!(holders <= 1, "{holders} versions are {label}");
    }
    view
}

/// Asserts that one more write leaves nothing beside the vault.
fn tidy(folder: &Path) {
    write(&open(folder), "last");
    assert_eq!(partial(folder), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_killed_writer_loses_nothing_and_the_next_goes_on() {
    let mut dice = Dice::new();
    let (mut caught, mut written, total) = (0, 0, kills(40));
    for _ in 0..total.div_ceil(EACH) {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path());
        let (mut next, mut put) = (0, BTreeSet::new());
        for _ in 0..EACH {
            let said = Victim::start(CHILD, folder.path(), &format!("a {next} 9999")).kill_after(dice.pause(LIFE));
            put.extend(acknowledged(&said, "put").map(str::to_owned));
            let number = |version: &str| version.strip_prefix("a-").unwrap().parse::<u32>().unwrap();
            let view = whole(folder.path(), &put, 1);
            let current = view.current().map(|id| number(id.as_str()));
            let promoted = acknowledged(&said, "promoted").map(number).last();
            assert!(promoted.is_none_or(|last| current == Some(last) || current == Some(last + 1)), "{current:?} {promoted:?}");
            // The next child begins with what this one may have done without saying so.
            next = promoted.map_or(next, |last| last + 1);
            caught += partial(folder.path()).len();
        }
        tidy(folder.path());
        written += put.len();
    }
    say(format_args!("{total} kills, {caught} temporary files met, {written} versions acknowledged, none lost"));
}

#[test]
fn a_writer_goes_on_beside_one_that_is_killed_and_both_keep_what_they_wrote() {
    let mut dice = Dice::new();
    let total = kills(40).div_ceil(4);
    let mut written = 0;
    for _ in 0..total {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path());
        let steady = Victim::start(CHILD, folder.path(), "b 0 12");
        let killed = Victim::start(CHILD, folder.path(), "a 0 9999").kill_after(dice.pause(LIFE));
        let steady = steady.finish();
        let both = acknowledged(&killed, "put").chain(acknowledged(&steady, "put"));
        let put: BTreeSet<_> = both.map(str::to_owned).collect();
        let view = whole(folder.path(), &put, 1);
        assert_eq!(acknowledged(&steady, "promoted").count(), 12);
        assert!(view.current().is_some());
        tidy(folder.path());
        written += put.len();
    }
    say(format_args!("{total} kills beside a second writer, {written} versions acknowledged, none lost"));
}
