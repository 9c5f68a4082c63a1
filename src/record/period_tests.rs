//! Small stretches: what runs wrote, and what is told of it.

use std::collections::BTreeMap;

use super::*;
use crate::model::assessment::{Status, Tally};
use crate::model::period::{Cell, Explanation, Members, Seen, Series};
use crate::model::snapshot::{Completeness, Unseen};

const DAY: i64 = 86_400;
const CONTROL: &str = "decisions/A-1.jsonl";
const ENTITY: &str = "snapshot/A.jsonl";

fn at(second: i64) -> Timestamp {
    "2026-03-01T05:00:00Z".parse::<Timestamp>().unwrap().checked_add(jiff::SignedDuration::from_secs(second)).unwrap()
}

fn run(day: i64, seen: Option<(bool, u64)>) -> RunNote {
    let part = Completeness::Incomplete { cause: Unseen::Denied, detail: String::new() };
    let seen = seen.map(|(whole, members)| Seen {
        entity: "A".into(),
        source: "s".into(),
        scope: ".".to_owned(),
        completeness: if whole { Completeness::Complete } else { part },
        members,
    });
    RunNote {
        id: format!("r{day}").into(),
        at: at(day * DAY),
        judged: None,
        received: at(day * DAY),
        commit: String::new(),
        path: String::new(),
        verb: "apply".to_owned(),
        slm: String::new(),
        config: "c".to_owned(),
        callers: BTreeMap::new(),
        seen: seen.into_iter().collect(),
        reconciled: Vec::new(),
        unfinished: Vec::new(),
    }
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn line(id: &str, status: &str) -> String {
    format!(
        "{{\"because\":\"nothing-permits\",\"entity\":\"A\",\"flips_at\":null,\"observed\":{{}},\"resource\":\"{id}\",\"status\":\"{status}\"}}"
    )
}

/// The series of a stretch of a run a day; each change is of its run.
fn told(before: &str, changes: &[(At, String)], recorded: &[Option<&[(Status, u64)]>]) -> Told<Series> {
    let runs: Vec<RunNote> = (0..i64::try_from(recorded.len()).unwrap()).map(|day| run(day, None)).collect();
    let days = days(date("2026-03-01"), date("2026-03-05"), &runs);
    let recorded: Vec<Option<Tally>> = recorded.iter().map(|one| one.map(|counts| counts.iter().copied().collect())).collect();
    let stretch = Stretch { before: None, runs: &runs, days: &days };
    series(&"A-1".into(), &stretch, &Versions { path: CONTROL, before, changes }, &recorded, !before.is_empty()).unwrap()
}

/// Subject, what was said before, and what was said from which run until which.
type Spans = (String, Option<Status>, Vec<(At, At, Status)>);

fn spans(series: &Series) -> Vec<Spans> {
    let one = |member: &crate::model::period::Member| {
        let subject = match &member.subject {
            crate::model::assessment::Subject::Resource { id, .. } => id.to_string(),
            crate::model::assessment::Subject::Population { scope, .. } => scope.clone(),
        };
        (subject, member.before, member.spans.iter().map(|span| (span.from, span.until, span.status)).collect())
    };
    series.members.iter().map(one).collect()
}

#[test]
fn what_a_control_says_is_told_by_the_runs_that_said_so() {
    let before = format!("{}\n{}\n", line("x", "compliant"), line("y", "non-compliant"));
    let changes = [
        (1, format!("-{}\n+{}\n", line("x", "compliant"), line("x", "non-compliant"))),
        (2, format!("-{}\n+{}\n", line("y", "non-compliant"), line("z", "compliant"))),
    ];
    let (good, bad) = (Status::Compliant, Status::NonCompliant);
    let told = told(&before, &changes, &[Some(&[(good, 1), (bad, 1)]), Some(&[(bad, 2)]), Some(&[(good, 1), (bad, 1)])]);
    assert_eq!(told.contradicted, []);
    assert_eq!(
        spans(&told.told),
        [
            ("x".to_owned(), Some(good), vec![(0, 1, good), (1, 3, bad)]),
            ("y".to_owned(), Some(bad), vec![(0, 2, bad)]),
            ("z".to_owned(), None, vec![(2, 3, good)]),
        ]
    );
    let tally = |counts: &[(Status, u64)]| counts.iter().copied().collect::<Tally>();
    let day = |counts: &[(Status, u64)]| Cell::Judged { gravest: Some(bad), tally: tally(counts) };
    let days = [day(&[(good, 1), (bad, 1)]), day(&[(bad, 2)]), day(&[(good, 1), (bad, 1)]), Cell::NoRun, Cell::NoRun];
    assert_eq!(told.told.days, days);
}

#[test]
fn a_run_that_does_not_judge_a_control_says_nothing_of_its_members() {
    let good = Status::Compliant;
    let before = format!("{}\n", line("x", "compliant"));
    let told = told(&before, &[], &[Some(&[(good, 1)]), None, Some(&[(good, 1)])]);
    assert_eq!(spans(&told.told), [("x".to_owned(), Some(good), vec![(0, 1, good), (2, 3, good)])]);
    assert_eq!(told.told.days[1], Cell::NotJudged);
    let empty = self::told("", &[], &[Some(&[])]);
    assert_eq!((empty.told.days[0].clone(), empty.contradicted), (Cell::Judged { gravest: None, tally: Tally::new() }, vec![]));
}

#[test]
fn a_run_that_counted_otherwise_is_told() {
    let changes = [(0, format!("+{}\n", line("x", "compliant")))];
    let told = told("", &changes, &[Some(&[(Status::NonCompliant, 1)])]);
    let what = "`decisions/A-1.jsonl` has 1 compliant, and its run counted 1 non-compliant";
    assert_eq!(told.contradicted, [(0, what.to_owned())]);
}

#[test]
fn of_a_resource_that_two_sources_list_the_graver_counts() {
    let (good, bad) = (Status::Compliant, Status::NonCompliant);
    let changes = [
        (0, format!("+{}\n+{}\n", line("x", "compliant"), line("x", "non-compliant"))),
        (1, format!("-{}\n", line("x", "non-compliant"))),
    ];
    let told = told("", &changes, &[Some(&[(good, 1), (bad, 1)]), Some(&[(good, 1)])]);
    assert_eq!(spans(&told.told), [("x".to_owned(), None, vec![(0, 1, bad), (1, 2, good)])]);
}

#[test]
fn a_line_that_goes_and_was_not_there_is_no_history() {
    let changes = [(0, format!("-{}\n", line("x", "compliant")))];
    let runs = [run(0, None)];
    let stretch = Stretch { before: None, runs: &runs, days: &[] };
    let versions = Versions { path: CONTROL, before: "", changes: &changes };
    let wrong = series(&"A-1".into(), &stretch, &versions, &[None], false).err().unwrap();
    assert_eq!(wrong.to_string(), "`decisions/A-1.jsonl` is not as slm writes it");
}

fn resource(id: &str, created: Option<Timestamp>, deleting: bool) -> String {
    let created = created.map_or_else(String::new, |at| format!("\"created\":{{\"time\":\"{at}\"}},"));
    format!("{{\"attributes\":{{{created}\"deleting\":{{\"bool\":{deleting}}}}},\"id\":\"{id}\",\"scope\":\".\",\"source\":\"s\"}}")
}

fn people(before: Option<(RunNote, &str)>, changes: &[(At, String)], runs: &[RunNote]) -> Told<Members> {
    people_of("A", before, changes, runs, Away::default())
}

fn people_of(
    entity: &str,
    before: Option<(RunNote, &str)>,
    changes: &[(At, String)],
    runs: &[RunNote],
    away: Away,
) -> Told<Members> {
    let days = days(date("2026-03-01"), date("2026-03-05"), runs);
    let (before, text) = before.map_or((None, ""), |(run, text)| (Some(run), text));
    let stretch = Stretch { before: before.as_ref(), runs, days: &days };
    members(&entity.into(), &stretch, &Versions { path: ENTITY, before: text, changes }, &[], away).unwrap()
}

fn changes(told: &Told<Members>) -> Vec<(At, String, bool, Option<Explanation>)> {
    told.told.changes.iter().map(|one| (one.run, one.id.to_string(), one.came, one.explained.clone())).collect()
}

#[test]
fn who_comes_and_goes_is_explained_by_a_call_of_the_time_between_that_names_them() {
    use crate::model::events::Event;
    let id = |name: &str| format!("arn:aws:secretsmanager:eu-west-1:1:secret:{name}-AbCdEf");
    let line = |name: &str| resource(&id(name), None, false);
    let changes =
        [(0, format!("+{}\n+{}\n", line("a"), line("b"))), (1, format!("-{}\n+{}\n+{}\n", line("a"), line("c"), line("d")))];
    let event = |name: &str, of: &str, second| Event {
        source: "s".into(),
        scope: ".".to_owned(),
        at: at(second),
        name: name.to_owned(),
        of: of.to_owned(),
        by: "arn:aws:iam::1:user/ada".to_owned(),
    };
    let events = [
        event("DeleteSecret", "a", DAY / 2),
        event("CreateSecret", &id("c"), DAY / 2),
        // Of another time, and of another name.
        event("CreateSecret", "d", -DAY),
        event("CreateSecret", "e", DAY / 2),
    ];
    let runs = [run(0, Some((true, 2))), run(1, Some((true, 3)))];
    let seen = |mut run: RunNote| {
        run.seen[0].entity = "Aws::Secret".into();
        run
    };
    let runs = runs.map(seen);
    let stretch = Stretch { before: None, runs: &runs, days: &[] };
    let versions = Versions { path: ENTITY, before: "", changes: &changes };
    let told = members(&"Aws::Secret".into(), &stretch, &versions, &events, Away::default()).unwrap();
    let called = |name: &str| {
        Some(Explanation::Called { event: name.to_owned(), at: at(DAY / 2), by: "arn:aws:iam::1:user/ada".to_owned() })
    };
    let all: Vec<_> = told.told.changes.iter().map(|one| (one.id.as_str().to_owned(), one.came, one.explained.clone())).collect();
    assert_eq!(all, [(id("a"), false, called("DeleteSecret")), (id("c"), true, called("CreateSecret")), (id("d"), true, None)]);
}

#[test]
fn who_comes_and_goes_is_explained_by_what_the_source_says_or_flagged() {
    let old = at(-90 * DAY);
    let (fresh, slow) = (at(DAY / 2), at(DAY - 200));
    let all = [
        (0, format!("+{}\n+{}\n", resource("a", Some(old), false), resource("b", Some(old), false))),
        (
            1,
            format!(
                "+{}\n-{}\n+{}\n",
                resource("c", Some(fresh), false),
                resource("b", Some(old), false),
                resource("b", Some(old), true)
            ),
        ),
        (
            2,
            format!(
                "-{}\n+{}\n+{}\n",
                resource("b", Some(old), true),
                resource("d", Some(old), false),
                resource("e", Some(slow), false)
            ),
        ),
        (3, format!("-{}\n", resource("a", Some(old), false))),
    ];
    let runs = [run(0, Some((true, 2))), run(1, Some((true, 3))), run(2, Some((true, 4))), run(3, Some((true, 3)))];
    let told = people(None, &all, &runs);
    assert_eq!(told.contradicted, []);
    assert_eq!(
        changes(&told),
        [
            (1, "c".to_owned(), true, Some(Explanation::Created(fresh))),
            (2, "b".to_owned(), false, Some(Explanation::Deleting)),
            (2, "d".to_owned(), true, None),
            (2, "e".to_owned(), true, Some(Explanation::Created(slow))),
            (3, "a".to_owned(), false, None),
        ]
    );
    assert_eq!(told.told.sizes, [Some(2), Some(3), Some(4), Some(3), None]);
    let spans: Vec<_> = told.told.seen.iter().map(|one| (one.id.as_str(), one.spans.clone())).collect();
    let expected = [("a", vec![(0, 3)]), ("b", vec![(0, 2)]), ("c", vec![(1, 4)]), ("d", vec![(2, 4)]), ("e", vec![(2, 4)])];
    assert_eq!(spans, expected);
}

#[test]
fn nothing_is_concluded_from_an_absence_that_was_not_seen() {
    let text = format!("{}\n", resource("a", None, false));
    let all = [(0, format!("-{}", text)), (1, format!("+{}", text))];
    let runs = [run(0, Some((false, 0))), run(1, Some((true, 1)))];
    let told = people(Some((run(-1, Some((true, 1))), &text)), &all, &runs);
    let expected = [
        (0, "a".to_owned(), false, Some(Explanation::NotSeenWhole)),
        (1, "a".to_owned(), true, Some(Explanation::NotSeenWholeBefore)),
    ];
    assert_eq!(changes(&told), expected);
    assert_eq!(told.told.seen[0].spans, [(1, 2)], "it was there before the stretch, and from its second run on");
}

#[test]
fn who_went_while_nobody_could_look_is_flagged_by_the_first_run_that_can() {
    let (text, other) = (format!("{}\n", resource("a", None, false)), format!("{}\n", resource("b", None, false)));
    let all = [(1, format!("-{text}-{other}")), (2, format!("+{other}"))];
    let runs = [run(0, Some((true, 2))), run(1, Some((false, 0))), run(2, Some((true, 1))), run(3, Some((true, 1)))];
    let before = Some((run(-1, Some((true, 2))), format!("{text}{other}")));
    let told = people(before.as_ref().map(|(run, text)| (run.clone(), text.as_str())), &all, &runs);
    let expected = [
        (1, "a".to_owned(), false, Some(Explanation::NotSeenWhole)),
        (1, "b".to_owned(), false, Some(Explanation::NotSeenWhole)),
        (2, "b".to_owned(), true, Some(Explanation::NotSeenWholeBefore)),
        (2, "a".to_owned(), false, None),
    ];
    assert_eq!(changes(&told), expected);
    assert_eq!(told.told.sizes, [Some(2), None, Some(1), Some(1), None], "nobody counted on the second day");

    // The same where the stretch begins after the look that was denied; `c` was not there before, and came without a date.
    let late = [(0, format!("+{}\n", resource("c", None, false)))];
    let lost = |deleting| Away {
        whole: BTreeMap::from([(("s".into(), ".".to_owned()), at(-2 * DAY))]),
        members: vec![crate::record::past::member(ENTITY, &resource("a", None, deleting)).unwrap()],
    };
    let runs = [run(0, Some((true, 1)))];
    for (deleting, why) in [(false, None), (true, Some(Explanation::Deleting))] {
        let told = people_of("A", Some((run(-1, Some((false, 0))), "")), &late, &runs, lost(deleting));
        assert_eq!(changes(&told), [(0, "c".to_owned(), true, None), (0, "a".to_owned(), false, why)]);
    }
    let still = people_of("A", Some((run(-1, Some((false, 0))), "")), &[], &[run(0, Some((false, 0)))], lost(false));
    assert_eq!(changes(&still), [], "nobody can look yet");
}

#[test]
fn what_comes_and_goes_with_the_config_that_declares_it_is_explained_by_it() {
    let line = |id: &str| format!("{}\n", resource(id, None, false));
    let all = [(1, format!("+{}", line("app/new"))), (2, format!("-{}", line("app/new")))];
    let told = |entity: &str, configs: [&str; 3]| {
        let note = |(day, config): (i64, &str)| {
            let mut note = RunNote { config: config.to_owned(), ..run(day, Some((true, u64::from(day == 1)))) };
            note.seen[0].entity = entity.into();
            note
        };
        let runs: Vec<RunNote> = (0..).zip(configs).map(note).collect();
        changes(&people_of(entity, None, &all, &runs, Away::default())).into_iter().map(|(_, _, _, why)| why).collect::<Vec<_>>()
    };
    let other = Some(Explanation::OtherConfig);
    assert_eq!(told("Slm::Consumer", ["c", "d", "e"]), [other.clone(), other.clone()]);
    assert_eq!(told("Slm::Consumer", ["c", "c", "d"]), [None, other], "it did not come with another config");
    assert_eq!(told("Aws::Secret", ["c", "d", "e"]), [None, None], "a secret of AWS is made by nobody's config");
}

#[test]
fn a_source_that_the_config_takes_in_or_leaves_out_explains_its_members() {
    let text = format!("{}\n", resource("a", None, false));
    let other = |day, seen, config: &str| RunNote { config: config.to_owned(), ..run(day, seen) };
    let runs = [run(0, Some((true, 1))), other(1, None, "d"), other(2, Some((true, 1)), "e"), other(3, None, "e")];
    let told = people(Some((run(-1, Some((true, 1))), &text)), &[], &runs);
    let explained: Vec<_> = changes(&told).into_iter().map(|(at, _, came, why)| (at, came, why)).collect();
    assert_eq!(
        explained,
        [
            (1, false, Some(Explanation::OtherConfig)),
            (2, true, Some(Explanation::OtherConfig)),
            (3, false, Some(Explanation::NotSeenWhole)),
        ]
    );
    assert_eq!(told.told.sizes, [Some(1), None, Some(1), None, None]);
}

#[test]
fn a_population_that_is_not_as_large_as_its_run_counted_is_told() {
    let told = people(None, &[(0, format!("+{}\n", resource("a", None, false)))], &[run(0, Some((true, 2)))]);
    assert_eq!(told.contradicted, [(0, "`snapshot/A.jsonl` has 1 members, and its run counted 2".to_owned())]);
}

#[test]
fn times_without_a_run_are_told_with_what_is_known_of_their_reason() {
    let cadence = Limit::seconds(26 * 3_600);
    let bounds = (at(0), at(12 * DAY));
    let unfinished = RunNote { unfinished: vec!["db failed: denied".to_owned()], ..run(5, None) };
    let runs = [run(2, None), run(3, None), unfinished, run(8, None), run(11, None)];
    let told = |before: Option<&RunNote>, runs: &[RunNote]| {
        let all = missed(before, runs, bounds, cadence);
        all.into_iter().map(|one| (one.after, one.before, one.reason)).collect::<Vec<_>>()
    };
    assert_eq!(
        told(None, &runs),
        [
            (at(0), at(2 * DAY), NoRun::BeforeTheFirst),
            (at(3 * DAY), at(5 * DAY), NoRun::NothingRecorded),
            (at(5 * DAY), at(8 * DAY), NoRun::AfterUnfinished),
            (at(8 * DAY), at(11 * DAY), NoRun::NothingRecorded),
        ]
    );
    assert_eq!(told(Some(&run(1, None)), &runs)[0], (at(3 * DAY), at(5 * DAY), NoRun::NothingRecorded));
    assert_eq!(told(Some(&run(-1, None)), &[]), [(at(-DAY), at(12 * DAY), NoRun::AfterTheLast)]);
    assert_eq!(told(None, &[]), [(at(0), at(12 * DAY), NoRun::BeforeTheFirst)]);
}

#[test]
fn the_life_of_a_version_belongs_to_the_stretch_in_which_something_of_it_happened() {
    let file = |made: &str| format!("{{\"credential\":\"db\",\"made\":\"{made}\",\"version\":\"v2\",\"run_by\":[]}}");
    let bounds = (at(0), at(DAY));
    let path = "rotations/db/v2.json";
    let of = |made| life(path, file(made).as_bytes(), bounds).unwrap().map(|life| (life.credential, life.version));
    assert_eq!(of("2026-03-01T06:00:00Z"), Some(("db".into(), "v2".into())));
    assert_eq!(of("2026-02-01T06:00:00Z"), None);
    assert!(life(path, b"{}", bounds).is_err());
}

#[test]
fn days_have_the_runs_that_began_on_them() {
    let runs = [run(0, None), run(2, None), RunNote { at: at(2 * DAY + 60), ..run(2, None) }, run(9, None)];
    let days: Vec<_> = days(date("2026-03-01"), date("2026-03-03"), &runs).into_iter().map(|day| (day.date, day.runs)).collect();
    assert_eq!(days, [(date("2026-03-01"), vec![0]), (date("2026-03-02"), vec![]), (date("2026-03-03"), vec![1, 2])]);
}
