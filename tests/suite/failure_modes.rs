//! The table of failure modes in docs/rotation.md names tests that there are, and leaves none of the modes out.

use std::collections::BTreeSet;
use std::path::Path;

use crate::layers::rust_files;

const PAGE: &str = include_str!("../../docs/rotation.md");
/// How many there are, numbered from 1 on.
const MODES: usize = 66;

/// The names of all tests of this crate: functions with an attribute that makes them one, and searches that a macro makes one.
fn tests() -> BTreeSet<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["src", "tests/suite"].iter().for_each(|folder| rust_files(&here.join(folder), &mut files));
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let function = line.strip_prefix("async fn ").or(line.strip_prefix("fn "));
            names.extend(line.strip_prefix("search!(").and_then(|rest| rest.split(' ').nth(1)).map(str::to_owned));
            if let Some(name) = function.and_then(|rest| rest.split('(').next()) {
                names.extend(is_test.then(|| name.to_owned()));
                is_test = false;
            } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if line.starts_with('}') {
                is_test = false;
            }
        }
    }
    names
}

/// What `text` has in backticks that can be nothing but the name of a test: words of a sentence, with or without their module.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2).map(|name| name.rsplit("::").next().unwrap_or(name));
    let sentence = |name: &&str| {
        name.matches('_').count() >= 3
            && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    };
    quoted.filter(sentence).collect()
}

/// Number, failure and answer of each row, and what is meant by the words that stand for several tests.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| FM-"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [number, what, answer] = cells[..] else { panic!("{line}") };
            (number, what, answer)
        })
        .collect()
}

#[test]
fn each_failure_mode_has_its_row_and_each_row_a_test_or_a_reason() {
    let rows = rows();
    let numbers: Vec<&str> = rows.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=MODES).map(|number| format!("FM-{number:02}")).collect::<Vec<_>>());
    let tests = tests();
    for (number, what, answer) in rows {
        let stands_for_tests = ["sweeps", "*behind*"].iter().any(|word| answer.contains(word));
        let names = named(answer);
        assert!(
            !what.is_empty() && (stands_for_tests || !names.is_empty()),
            "{number} has no test: write one, or why there is none"
        );
        let missing: Vec<_> = names.into_iter().filter(|name| !tests.contains(*name)).collect();
        assert!(missing.is_empty(), "{number} names what is no test: {missing:?}");
    }
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let (tests, names) = (tests(), named(PAGE));
    assert!(names.len() > 200 && tests.len() > 1_000, "{} names, {} tests", names.len(), tests.len());
    let missing: Vec<_> = names.into_iter().filter(|name| !tests.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // A name that nobody bears is noticed.
    assert_eq!(named("`faults::a_test_that_is_not_there`, `slm apply`, `a_b`"), ["a_test_that_is_not_there"]);
    assert!(!tests.contains("a_test_that_is_not_there") && !tests.contains("every_test_there_is"));
}
