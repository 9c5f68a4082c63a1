//! Logs of a few runs, and what of them belongs to some days.

use super::super::bundle_told::lacking;
use super::super::verify::Remark;
use super::*;

const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The name of the run of that second.
fn id(second: i64, name: &str) -> String {
    format!("{}-{name}", at(second).strftime("%Y%m%dT%H%M%SZ"))
}

/// The entries of a commit: a run of that second, and files that it wrote, each with its bytes.
fn commit(second: i64, name: &str, files: &[(&str, &str)]) -> Vec<Leaf> {
    let mut all: Vec<Leaf> = files.iter().map(|(path, bytes)| Leaf::of(path, bytes.as_bytes())).collect();
    let day = at(second).strftime("%Y/%m/%d").to_string();
    all.push(Leaf::of(&format!("runs/{day}/{}.json", id(second, name)), name.as_bytes()));
    all.sort();
    all
}

/// Checkpoints that say when each of `commits` was recorded.
fn sealed(commits: &[Vec<Leaf>], received: &[i64]) -> Vec<Sealed> {
    let mut size = 0;
    let sizes = commits.iter().map(|commit| {
        size += commit.len() as u64;
        size
    });
    sizes.zip(received).map(|(size, second)| Sealed { size, sha256: [0; 32], received: at(*second) }).collect()
}

fn manifest(from: i64, to: i64) -> Manifest {
    let (from, to) = (day(at(from)), day(at(to)));
    Manifest { format: 1, from, to, framework: None, controls: vec!["A".to_owned()], raw: false, anchors: true, files: Vec::new() }
}

fn packed(file: &str, path: &str, entry: Option<u64>, bytes: &str) -> Packed {
    let leaf = Leaf::of(path, bytes.as_bytes());
    Packed { bytes: leaf.bytes, entry, file: file.to_owned(), path: path.to_owned(), sha256: hex(&leaf.sha256) }
}

const A: &str = "decisions/A.jsonl";

#[test]
fn the_order_of_paths_tells_where_the_commit_of_a_run_ends() {
    let commits = [
        commit(0, "a", &[(A, "1"), ("snapshot/S.jsonl", "1"), ("snapshot/T.jsonl", "1")]),
        commit(DAY, "b", &[]),
        commit(2 * DAY, "c", &[]),
        commit(3 * DAY, "d", &[("raw/x", "1"), ("snapshot/S.jsonl", "2")]),
    ];
    let entries = commits.concat();
    let told: Vec<_> = runs(&entries, &[]).into_iter().map(|run| (run.at, run.entries, run.older)).collect();
    assert_eq!(told, [(1, 0..4, false), (4, 4..5, false), (5, 5..6, false), (7, 6..9, false)]);
}

#[test]
fn runs_from_before_the_log_are_all_in_its_first_commit() {
    let mut first = [commit(0, "a", &[(A, "1")]), commit(DAY, "b", &[("snapshot/S.jsonl", "1")])].concat();
    first.sort();
    let entries = [first, commit(2 * DAY, "c", &[(A, "2")])].concat();
    let told: Vec<_> = runs(&entries, &[]).into_iter().map(|run| (run.at, run.entries, run.older)).collect();
    assert_eq!(told, [(1, 0..4, true), (2, 0..4, true), (5, 4..6, false)]);
    // The version of the first commit may be that of any of them, and so may one that has no entry.
    let extent = Extent::of(&manifest(0, 2 * DAY), &entries, &runs(&entries, &[]));
    let place = |second: i64, name: &str| format!("controls/A/decisions/{}/A.jsonl", folders(&id(second, name), at(second))[0]);
    for file in [place(0, "a"), place(DAY, "b")] {
        assert_eq!(extent.misplaced(&packed(&file, A, Some(0), "1")), None);
        assert_eq!(extent.misplaced(&packed(&file, A, None, "0")), None);
        assert_eq!(extent.misplaced(&packed(&file, A, Some(4), "2")).unwrap().code, "slm::bundle-misplaced");
    }
    assert_eq!(extent.misplaced(&packed(&place(2 * DAY, "c"), A, Some(4), "2")), None);
    let file = place(2 * DAY, "c");
    assert_eq!(extent.misplaced(&packed(&file, A, None, "0")).unwrap().code, "slm::bundle-misplaced", "by then all have one");
    // Nothing tells what stood when the period ended before.
    let before = Extent::of(&manifest(0, DAY), &entries, &runs(&entries, &[]));
    assert_eq!(before.last("snapshot/S.jsonl"), None);
}

#[test]
fn decisions_stand_at_the_first_run_of_the_period_that_had_them() {
    let commits = [
        commit(0, "a", &[(A, "1"), ("snapshot/S.jsonl", "1")]),
        commit(DAY, "b", &[]),
        commit(2 * DAY, "c", &[(A, "2")]),
        commit(3 * DAY, "d", &[]),
        commit(4 * DAY, "e", &[(A, "1")]),
    ];
    let entries = commits.concat();
    let sealed = sealed(&commits, &[0, DAY, 2 * DAY, 3 * DAY, 4 * DAY]);
    let extent = Extent::of(&manifest(DAY, 3 * DAY), &entries, &runs(&entries, &sealed));
    assert_eq!(extent.decided(A, Some(0)), folders(&id(DAY, "b"), at(DAY)));
    assert_eq!(extent.decided(A, Some(4)), folders(&id(2 * DAY, "c"), at(2 * DAY)));
    assert_eq!(extent.decided(A, Some(7)), [""; 0], "the same bytes again, after the period");
    let mut all = manifest(DAY, 3 * DAY);
    let run = |second: i64, name: &str, entry: u64| {
        let path = entries[usize::try_from(entry).unwrap()].path.clone();
        assert!(path.contains(&id(second, name)), "{path}");
        packed(&format!("evidence/{path}"), &path, Some(entry), name)
    };
    all.files = vec![run(DAY, "b", 3), run(2 * DAY, "c", 5), run(3 * DAY, "d", 6), packed("x", A, Some(0), "1")];
    let found = extent.withheld(&all, &Looked::default());
    assert_eq!(
        found.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(),
        ["entry 4, `decisions/A.jsonl`, is of the period and was left out"]
    );
}

#[test]
fn two_runs_of_one_second_have_a_folder_each() {
    let commits = [commit(0, "a", &[(A, "1")]), commit(0, "b", &[(A, "2")])];
    let entries = commits.concat();
    let extent = Extent::of(&manifest(0, 0), &entries, &runs(&entries, &sealed(&commits, &[0, 0])));
    let file = |folder: &str| format!("controls/A/decisions/{folder}/A.jsonl");
    assert_eq!(extent.misplaced(&packed(&file("1970-01-01T000000Z"), A, Some(0), "1")), None);
    assert_eq!(extent.misplaced(&packed(&file("1970-01-01T000000Z-b"), A, Some(2), "2")), None);
    assert!(extent.misplaced(&packed(&file("1970-01-01T000000Z-b"), A, Some(0), "1")).is_some());
}

#[test]
fn what_people_declared_lives_of_versions_and_answers_cannot_be_left_out() {
    let commits = [
        commit(0, "a", &[("exceptions/old.toml", "1"), ("rotations/db/old.json", "1")]),
        commit(DAY, "b", &[("attestations/A/1970-Q1.toml", "1"), ("exceptions/new.toml", "1"), ("rotations/db/new.json", "1")]),
        commit(2 * DAY, "c", &[("exceptions/later.toml", "1"), ("exceptions/new.toml", "2"), ("rotations/db/later.json", "1")]),
    ];
    let mut entries = commits.concat();
    let extent = |entries: &[Leaf], manifest: &Manifest| -> Vec<String> {
        let sealed = sealed(&commits, &[0, DAY, 2 * DAY]);
        let extent = Extent::of(manifest, entries, &runs(entries, &sealed));
        extent.withheld(manifest, &Looked::default()).into_iter().map(|one| one.what).collect()
    };
    let left_out =
        |paths: &[&str]| -> Vec<String> { paths.iter().map(|path| format!("{path} is of the period and was left out")).collect() };
    let run = entries[6].path.clone();
    let mut one = manifest(DAY, DAY);
    one.files = vec![packed("x", &run, Some(6), "b")];
    let wanted = [
        "entry 0, `exceptions/old.toml`,",
        "entry 3, `attestations/A/1970-Q1.toml`,",
        "entry 4, `exceptions/new.toml`,",
        "entry 5, `rotations/db/new.json`,",
    ];
    assert_eq!(extent(&entries, &one), left_out(&wanted), "as of its last run, and of lives those that it wrote");
    one.files.push(packed("x", "exceptions/new.toml", Some(8), "2"));
    assert_eq!(extent(&entries, &one), left_out(&wanted), "another version is not the one that stood");
    one.files.extend([
        packed("x", "exceptions/old.toml", Some(0), "1"),
        packed("x", "exceptions/new.toml", Some(4), "1"),
        packed("x", "attestations/A/1970-Q1.toml", Some(3), "1"),
        packed("x", "rotations/db/new.json", Some(5), "1"),
    ]);
    assert_eq!(extent(&entries, &one), [""; 0]);
    // What sources answered, once it says that it has that.
    let answer = run.replacen("runs/", "raw/", 1).replacen(".json", "/main/list.json", 1);
    entries.splice(6..6, [Leaf::of(&answer, b"1")]);
    one.files[0].entry = Some(7);
    let all = runs(&entries, &[]);
    assert_eq!(Extent::of(&one, &entries, &all).answers(), [6]);
    let withheld = |one: &Manifest| Extent::of(one, &entries, &all).withheld(one, &Looked::default()).len();
    assert_eq!(withheld(&one), 0);
    one.raw = true;
    assert_eq!(withheld(&one), 1);
}

#[test]
fn a_run_that_was_recorded_long_after_it_says_it_began_is_late() {
    let commits = [
        commit(0, "a", &[("snapshot/S.jsonl", "1")]),
        commit(DAY, "b", &[]),
        commit(20 * DAY, "c", &[]),
        commit(3 * DAY, "d", &[(A, "1")]),
        commit(21 * DAY, "e", &[]),
    ];
    let entries = commits.concat();
    let late = |sealed: &[Sealed]| -> Vec<(String, Option<Timestamp>)> {
        runs(&entries, sealed).into_iter().map(|run| (run.id.to_owned(), run.late)).collect()
    };
    let with = |recorded: i64| {
        let second = [0, DAY, 20 * DAY, 3 * DAY, 21 * DAY];
        let names = ["a", "b", "c", "d", "e"].iter().zip(second).map(|(name, second)| id(second, name));
        names.zip([None, None, None, Some(at(recorded)), None]).collect::<Vec<_>>()
    };
    let all = sealed(&commits, &[60, DAY + 60, 20 * DAY + 60, 20 * DAY + 90, 21 * DAY]);
    assert_eq!(late(&all), with(20 * DAY + 90));
    // As a bundle of these days has it: the checkpoint of the commit before is of another day.
    assert_eq!(late(&[all[1].clone(), all[3].clone()]), with(20 * DAY + 90));
    // By the order of the log alone: what it goes on began later.
    assert_eq!(late(&[]), with(20 * DAY));
    // Its decisions stand beside those of days.
    let extent = Extent::of(&manifest(2 * DAY, 4 * DAY), &entries, &runs(&entries, &all));
    let name = id(3 * DAY, "d");
    assert_eq!(extent.decided(A, Some(4)).last(), Some(&format!("late/{name}")));
    assert_eq!(extent.last(A), Some(vec![Some(4)]));
    let told = lacking(&manifest(2 * DAY, 4 * DAY), &extent, &Looked::default(), &[]);
    let what = format!(
        "run {name} says that it began at 1970-01-04T00:00:00Z, and was recorded no sooner than 1970-01-21T00:01:30Z: it stands for no day"
    );
    assert_eq!(told.unproven, [Remark { code: "slm::evidence-late", what }]);
}
