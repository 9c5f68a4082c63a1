//! Versions of decisions, walked back from the beginning of a stretch.

use std::collections::BTreeMap;

use super::*;
use crate::record::changes::between;

const PATH: &str = "decisions/A-1.jsonl";

fn at(version: usize) -> Timestamp {
    Timestamp::from_second(i64::try_from(version).unwrap() * 86_400).unwrap()
}

fn line(id: &str, status: &str) -> String {
    let because = if status == "excepted" { "{\"exception\":\"slow\"}" } else { "\"nothing-permits\"" };
    format!(
        "{{\"because\":{because},\"entity\":\"A\",\"flips_at\":null,\"observed\":{{}},\"resource\":\"{id}\",\"status\":\"{status}\"}}\n"
    )
}

/// What a run writes that was denied a look at the population.
fn denied() -> String {
    let why = "{\"unseen\":{\"cause\":\"denied\",\"detail\":\"list: denied\"}}";
    format!(
        "{{\"because\":{why},\"entity\":\"A\",\"flips_at\":null,\"observed\":{{}},\"scope\":\".\",\"source\":\"s\",\"status\":\"no-evidence\"}}\n"
    )
}

/// What was open after `texts`, a version a day: id, exception, the day since when, and whether it had no line at the end.
fn open(texts: &[String]) -> Vec<(String, Option<String>, usize, bool)> {
    let mut earlier = Earlier::begin(PATH, texts.last().unwrap()).unwrap();
    for (version, text) in texts.iter().enumerate().rev() {
        if earlier.is_done() {
            break;
        }
        let before = version.checked_sub(1).map_or("", |before| texts[before].as_str());
        earlier.back(at(version), &between(before, text)).unwrap();
    }
    let (open, absent) = earlier.end();
    let day = |since: Timestamp| (0..texts.len()).find(|version| at(*version) == since).unwrap();
    let told = |(subject, open): (&Subject, &Open)| {
        let Subject::Resource { id, .. } = subject else { panic!("a population is not open") };
        (id.to_string(), open.exception.as_ref().map(ToString::to_string), day(open.since), absent.contains(subject))
    };
    open.iter().map(told).collect()
}

fn bad() -> String {
    line("x", "non-compliant")
}

fn good() -> String {
    line("x", "compliant")
}

#[test]
fn what_is_open_is_so_since_the_version_that_said_so_first() {
    assert_eq!(open(&[good(), bad(), bad() + &line("y", "compliant")]), [("x".to_owned(), None, 1, false)]);
    assert_eq!(open(&[bad(), good(), bad()]), [("x".to_owned(), None, 2, false)], "what was repaired meanwhile began anew");
    assert_eq!(open(&[bad(), good()]), []);
    let lifted = line("x", "excepted");
    assert_eq!(open(&[bad(), lifted.clone(), lifted]), [("x".to_owned(), Some("slow".to_owned()), 1, false)]);
    assert_eq!(open(&[String::new(), bad(), line("y", "compliant"), bad()]), [("x".to_owned(), None, 3, false)]);
}

#[test]
fn what_nobody_saw_meanwhile_was_open_all_the_time() {
    assert_eq!(open(&[bad(), denied(), bad()]), [("x".to_owned(), None, 0, false)]);
    assert_eq!(open(&[bad(), line("x", "no-evidence"), bad()]), [("x".to_owned(), None, 0, false)]);
    assert_eq!(open(&[bad(), line("x", "no-evidence")]), [("x".to_owned(), None, 0, false)]);
    assert_eq!(open(&[good(), bad(), denied(), denied()]), [("x".to_owned(), None, 1, true)]);
    assert_eq!(open(&[bad(), good(), denied()]), [], "it was repaired before nobody saw it");
}

#[test]
fn who_was_not_there_when_all_was_seen_was_gone() {
    let other = line("y", "compliant");
    assert_eq!(open(&[bad(), denied(), other.clone(), denied(), bad()]), [("x".to_owned(), None, 4, false)]);
    assert_eq!(open(&[bad(), other.clone(), denied()]), []);
    assert_eq!(open(&[bad(), denied(), other]), []);
}

#[test]
fn no_version_is_read_that_cannot_say_more() {
    let mut earlier = Earlier::begin(PATH, &(good() + &line("y", "compliant"))).unwrap();
    assert!(earlier.is_done(), "nothing is open, and everything was seen");
    assert_eq!(earlier.back(at(0), "-{}\n").unwrap_err().to_string(), format!("`{PATH}` is not as slm writes it"));
    let mut earlier = Earlier::begin(PATH, &bad()).unwrap();
    assert!(!earlier.is_done());
    earlier.back(at(3), &between(&good(), &bad())).unwrap();
    assert!(earlier.is_done(), "it is known since when");
    let (open, _) = earlier.end();
    assert_eq!(open.into_values().collect::<Vec<_>>(), [Open { exception: None, since: at(3), place: None }]);
    assert_eq!(Earlier::begin(PATH, "").unwrap().end().0, BTreeMap::new());
}
