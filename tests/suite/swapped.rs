//! One file of a branch that is compared and swapped: only who saw what stands there writes it, and what was not pushed never stood.

use git2::Repository;
use slm::host::git::Locker;
use slm::model::catalog::LockerSettings;
use slm::model::time::Timestamp;
use slm::world::{ErrorClass, WorldError};

fn repo(bare: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = if bare { Repository::init_bare(folder.path()) } else { Repository::init(folder.path()) };
    made.unwrap();
    folder
}

fn open(at: &tempfile::TempDir, remote: Option<&tempfile::TempDir>) -> Locker {
    let remote = remote.map(|remote| remote.path().to_string_lossy().into_owned());
    Locker::open(at.path(), &LockerSettings { remote, ..LockerSettings::default() }, None).unwrap()
}

const PATH: &str = "notify/ops.json";

fn swap(locker: &Locker, from: Option<&str>, to: &str) -> Result<bool, WorldError> {
    locker.swap(PATH, [from.map(str::as_bytes), Some(to.as_bytes())], "told", Timestamp::UNIX_EPOCH)
}

fn stands(locker: &Locker) -> Option<String> {
    locker.standing(PATH).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn only_who_saw_what_stands_there_writes_it() {
    let (here, there, away) = (repo(false), repo(false), repo(true));
    let shared = [open(&here, Some(&away)), open(&there, Some(&away))];
    let local = repo(false);
    for [one, other] in [shared, [open(&local, None), open(&local, None)]] {
        assert_eq!(stands(&one), None);
        assert!(swap(&one, None, "a").unwrap());
        assert_eq!(stands(&other).as_deref(), Some("a"));
        assert!(!swap(&other, None, "b").unwrap(), "it did not see `a`");
        assert!(swap(&other, Some("a"), "b").unwrap());
        assert!(!swap(&one, Some("a"), "c").unwrap(), "`a` does not stand any more");
        assert_eq!((stands(&one), stands(&other)), (Some("b".to_owned()), Some("b".to_owned())));
        let beside = [None, Some(b"x".as_slice())];
        assert!(one.swap("notify/sec.json", beside, "told", Timestamp::UNIX_EPOCH).unwrap(), "another file is another register");
        let all: Vec<String> = other.below("notify/").unwrap().into_keys().collect();
        assert_eq!(all, ["notify/ops.json", "notify/sec.json"]);
    }
}

#[test]
fn what_could_not_be_pushed_never_stood_and_what_is_at_the_remote_is_not_written_over_by_it() {
    let (here, there, away) = (repo(false), repo(false), repo(true));
    let (one, other) = (open(&here, Some(&away)), open(&there, Some(&away)));
    assert!(swap(&one, None, "0").unwrap() && swap(&one, Some("0"), "a").unwrap());
    let gone = away.path().with_extension("gone");
    std::fs::rename(away.path(), &gone).unwrap();
    assert_eq!(swap(&one, Some("a"), "lost").unwrap_err().class, ErrorClass::Transient);
    assert_eq!(one.standing(PATH).unwrap_err().class, ErrorClass::Transient);
    let seen = one.below("notify/").unwrap();
    assert_eq!(seen[PATH], b"a", "what was seen last");
    std::fs::rename(&gone, away.path()).unwrap();
    assert!(swap(&other, Some("a"), "b").unwrap());
    assert_eq!(stands(&one).as_deref(), Some("b"));
    assert!(swap(&one, Some("b"), "c").unwrap());
    assert_eq!(stands(&other).as_deref(), Some("c"));
}

#[test]
fn a_remote_that_is_new_gets_what_stood_here() {
    let (here, there, away) = (repo(false), repo(false), repo(true));
    assert!(swap(&open(&here, None), None, "a").unwrap());
    assert!(swap(&open(&here, Some(&away)), Some("a"), "b").unwrap());
    assert_eq!(stands(&open(&there, Some(&away))).as_deref(), Some("b"));
}
