//! A small period as people and programs are told of it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::assessment::{Because, Tally};
use crate::model::attestation::Signed;
use crate::model::past::Otherwise;
use crate::model::period::{Date, Day, Life, Member, Members, Missed, Open, Presence, RunNote, Seen, Span};
use crate::model::segregation::Verdict;
use crate::model::snapshot::Completeness;

fn at(day: usize) -> Timestamp {
    format!("2026-03-{:02}T05:00:00Z", day + 1).parse().unwrap()
}

fn run(day: usize, config: &str) -> RunNote {
    let seen =
        Seen { entity: "A".into(), source: "s".into(), scope: ".".to_owned(), completeness: Completeness::Complete, members: 1 };
    RunNote {
        id: format!("r{day}").into(),
        at: at(day),
        judged: Some(at(day)),
        received: at(day),
        commit: format!("{day:040}"),
        path: format!("runs/2026/03/{:02}/r{day}.json", day + 1),
        verb: "apply".to_owned(),
        slm: "0.1.0".to_owned(),
        config: config.to_owned(),
        callers: BTreeMap::from([("s vault .".to_owned(), Some("vault.age".to_owned()))]),
        seen: vec![seen],
        reconciled: Vec::new(),
        unfinished: Vec::new(),
    }
}

fn subject(id: &str) -> Subject {
    Subject::Resource { entity: "A".into(), id: id.into() }
}

fn span(from: At, until: At, status: Status, because: Because) -> Span {
    Span { from, until, status, because }
}

fn member(id: &str, open: Option<Open>, spans: Vec<Span>) -> Member {
    Member { subject: subject(id), before: open.as_ref().map(|_| Status::NonCompliant), open, spans }
}

/// Runs on the first, second and fourth of March; the third has none.
fn period() -> Period {
    let judged =
        |gravest, counts: &[(Status, u64)]| Cell::Judged { gravest: Some(gravest), tally: Tally::from_iter(counts.to_vec()) };
    let bad = span(0, 2, Status::NonCompliant, Because::NothingPermits);
    let good = |from, until| span(from, until, Status::Compliant, Because::Permitted(vec!["r".into()]));
    let excepted = |from, until, id: &str| span(from, until, Status::Excepted, Because::Exception(id.into()));
    let members = vec![
        member(
            "x",
            Some(Open { exception: None, since: at(0).checked_sub(jiff::SignedDuration::from_hours(240)).unwrap(), place: None }),
            vec![bad, good(2, 3)],
        ),
        member("y", None, vec![good(0, 1), excepted(1, 3, "slow")]),
        member("z", None, vec![excepted(0, 3, "late")]),
    ];
    let days = vec![
        judged(Status::NonCompliant, &[(Status::NonCompliant, 1), (Status::Compliant, 1)]),
        judged(Status::NonCompliant, &[(Status::NonCompliant, 1), (Status::Excepted, 1)]),
        Cell::NoRun,
        judged(Status::Excepted, &[(Status::Compliant, 1), (Status::Excepted, 1)]),
    ];
    let date = |day: &str| -> Date { day.parse().unwrap() };
    let change =
        |run, id: &str, came, explained| Change { run, source: "s".into(), scope: ".".to_owned(), id: id.into(), came, explained };
    Period {
        from: date("2026-03-01"),
        to: date("2026-03-04"),
        runs: vec![run(0, "aaaa"), run(1, "bbbb"), run(3, "bbbb")],
        days: [("2026-03-01", vec![0]), ("2026-03-02", vec![1]), ("2026-03-03", vec![]), ("2026-03-04", vec![2])]
            .map(|(day, runs)| Day { date: date(day), runs })
            .to_vec(),
        late: Vec::new(),
        missed: vec![Missed { after: at(1), before: at(3), reason: NoRun::NothingRecorded }],
        controls: vec![Series { control: "A-1".into(), path: "decisions/A-1.jsonl".to_owned(), days, members }],
        populations: vec![Members {
            entity: "A".into(),
            path: "snapshot/A.jsonl".to_owned(),
            sizes: vec![Some(1), Some(2), None, Some(2)],
            seen: vec![Presence { source: "s".into(), scope: ".".to_owned(), id: "x".into(), spans: vec![(0, 3)] }],
            changes: vec![change(1, "y", true, Some(Explanation::Created(at(1)))), change(2, "w", false, None)],
        }],
        rotations: Vec::new(),
    }
}

fn serving(criterion: &str, judged: &[&str]) -> Serving {
    Serving {
        framework: "soc2".into(),
        criterion: criterion.into(),
        title: "t".to_owned(),
        judged: judged.iter().map(Into::into).collect(),
        stated: Vec::new(),
        waiting: Vec::new(),
        removed: Vec::new(),
        signatures: Vec::new(),
        signature: None,
    }
}

fn with<T>(look: impl FnOnce(&Report<'_>) -> T) -> T {
    of(&period(), look)
}

/// What `look` sees of the report of `period`.
fn of<T>(period: &Period, look: impl FnOnce(&Report<'_>) -> T) -> T {
    let by_hand = Serving { signature: Some(Signed::Never), ..serving("CC1.1", &[]) };
    let serving = [serving("CC6.1", &["A-1"]), serving("CC6.2", &[]), by_hand];
    let texts = [TextChange {
        run: 1,
        before: "aaaa".to_owned(),
        after: "bbbb".to_owned(),
        authored: None,
        files: Some(vec!["policies/a.cedar".to_owned()]),
        otherwise: vec![Otherwise {
            control: "A-1".into(),
            before: Some(Tally::from([(Status::Compliant, 2)])),
            after: Some(Tally::from([(Status::Compliant, 1), (Status::NonCompliant, 1)])),
        }],
        unseen: None,
    }];
    let framework = "soc2".into();
    let segregation = [Segregation {
        source: "org".into(),
        policy: "acme/policy main".to_owned(),
        evidence: "acme/policy slm/evidence".to_owned(),
        verdict: Verdict::Shared(["app slm".to_owned()].into()),
    }];
    look(&Report {
        period,
        branch: "slm/evidence",
        cadence: Limit::seconds(26 * 3_600),
        framework: Some(&framework),
        serving: &serving,
        texts: &texts,
        removed: &NOT_REMOVED,
        signed: &NONE,
        exceptions: Vec::new(),
        head: None,
        segregation: &segregation,
        findings: &[],
        unproven: &[],
    })
}

static NOT_REMOVED: BTreeSet<ControlId> = BTreeSet::new();

/// No control is stated by people.
static NONE: BTreeMap<ControlId, Vec<bool>> = BTreeMap::new();

const SHOWN: &str = "\
2026-03-01 to 2026-03-04 on slm/evidence, soc2: 4 days, 3 runs

  A-1      ##_e  1 excepted, 2 non-compliant, 1 no run
           . compliant  e excepted  # non-compliant  ? no-evidence  o without a member  - not judged  _ no run

1. Any member, any day
  3 subjects of 1 control with every change of what was said, by run and commit: `--format json`
  `slm explain <resource|control> --at <day>` judges any of them again, with the digests of what it rests on

2. The population, its completeness, its change
  A  1 to 2, 1 came, 1 went (1 made, says the source, 1 not explained); seen whole by every run; nothing counts it independently
  ! w of s . went by 2026-03-04T05:00:00Z: NOT EXPLAINED by any event that was observed

3. Deviations, detection, repair, exceptions, days without evidence
  A-1 x  2026-02-19T05:00:00Z (before the period) until 2026-03-04T05:00:00Z, 13d (fixed)
  exception late: A-1 z  2026-03-01T05:00:00Z, open; neither the config of the last run nor the run that it decided has its file
  exception slow: A-1 y  2026-03-02T05:00:00Z, open; neither the config of the last run nor the run that it decided has its file
  exceptions late and slow were in use at once from 2026-03-02T05:00:00Z until the end
  1 day without a run: 2026-03-03
  no run from 2026-03-02T05:00:00Z until 2026-03-04T05:00:00Z, 2d, longer than 26h: nothing was recorded, and nothing says why

4. Which text applied, and what the text before would have said
  2 configs applied; `slm explain <control> --at <day>` shows the rule of a day
  2026-03-02T05:00:00Z  aaaa to bbbb
    changed policies/a.cedar
    A-1: before 2 compliant; since 1 compliant, 1 non-compliant

5. Criteria: controls, manual, gaps
  soc2:CC6.1 t  A-1
  soc2:CC6.2 t  GAP
  soc2:CC1.1 t  manual, not signed

6. A sample that can be drawn again
  `slm sample --control <id> --n 25 --nonce <word> --from 2026-03-01 --to 2026-03-04` draws from the 3 members of 1 by a word of the auditor's; again, it draws the same

7. Proof without a network
  the locker had no log by the last run: nothing of it is proven

8. Who can change collector, policy and store, and did anyone
  collector: slm 0.1.0, as apply
  read s vault . as vault.age
  policy: changed 1 time, by nobody whose commit is here
  store: 0 keys of the log to the end; who may write branches is judged by controls over `GitHub::Repo` and `Git::Repo`
  writers! org policy acme/policy main, evidence acme/policy slm/evidence: both can be changed alone by app slm; let policy need an approval of another, or give the evidence an identity of its own

9. The life of one secret's rotations
  no version that slm made or ended is recorded; values that people rotate by hand are not followed
";

#[test]
fn the_nine_questions_are_answered_in_order() {
    assert_eq!(with(human), SHOWN);
}

#[test]
fn programs_are_told_when_each_deviation_was_seen_and_repaired() {
    let told = with(json);
    assert_eq!(
        told["deviations"],
        json!([{
            "control": "A-1", "subject": { "resource": { "entity": "A", "id": "x" } }, "detected": "2026-02-19T05:00:00Z",
            "before": true, "ended": "2026-03-04T05:00:00Z", "fixed": "2026-03-04T05:00:00Z", "seconds": 13 * 86_400, "ending": "fixed",
            "unseen": null, "run": "r0",
        }])
    );
    let days = json!({ "excepted": 1, "non-compliant": 2, "no run": 1 });
    assert_eq!(told["summary"], json!([{ "control": "A-1", "days": days }]));
    assert_eq!((&told["unexplained"], &told["criteria"][1]["gap"]), (&json!(1), &json!(true)));
    assert_eq!((&told["criteria"][2]["signature"], &told["criteria"][2]["gap"]), (&json!("never"), &json!(false)));
    assert_eq!(serde_json::from_value::<Period>(told["period"].clone()).unwrap(), period());
}

#[test]
fn a_deviation_is_open_while_nobody_sees_it_and_ends_when_that_is_seen() {
    use crate::model::deviation::tests::{BAD, GOOD, period, span};
    let told = |whole: &[bool], spans| {
        let period = period(whole, None, spans);
        let told = of(&period, json)["deviations"].as_array().unwrap().clone();
        assert_eq!(told.len(), 1, "{told:?}");
        let line = of(&period, human).lines().find(|line| line.starts_with("  C-1 x  ")).unwrap().to_owned();
        (["ending", "ended", "fixed", "seconds", "unseen"].map(|name| told[0][name].clone()), line)
    };
    let none = Json::Null;
    let day = |day: u8| json!(format!("1970-01-{day:02}T00:00:00Z"));
    let seen = "  C-1 x  1970-01-01T00:00:00Z";
    let again = told(&[true, false, true], vec![span(0, 1, BAD), span(2, 3, BAD)]);
    assert_eq!(again, ([json!("open"), none.clone(), none.clone(), none.clone(), none.clone()], format!("{seen}, open")));
    let blind = told(&[true, false, false], vec![span(0, 1, BAD)]);
    let line = format!("{seen}, open, not seen since 1970-01-02T00:00:00Z");
    assert_eq!(blind, ([json!("open"), none.clone(), none.clone(), none.clone(), day(2)], line));
    let repaired = told(&[true, false, true], vec![span(0, 1, BAD), span(2, 3, GOOD)]);
    let line = format!("{seen} until 1970-01-03T00:00:00Z, 2d (fixed)");
    assert_eq!(repaired, ([json!("fixed"), day(3), day(3), json!(2 * 86_400), none.clone()], line));
    let gone = told(&[true, false, true], vec![span(0, 1, BAD)]);
    let line = format!("{seen} until 1970-01-03T00:00:00Z, 2d (gone)");
    assert_eq!(gone, ([json!("gone"), day(3), none.clone(), json!(2 * 86_400), none], line), "who is gone was not repaired");
}

#[test]
fn a_day_without_evidence_is_told_whatever_else_was_said_on_it() {
    let mut period = period();
    // The second of two runs of the first day; a graver word of another subject, and of a later run, hides it otherwise.
    let unseen = |from, until| span(from, until, Status::NoEvidence, Because::Stale);
    period.days[0].runs = vec![0, 1];
    period.days[1].runs = vec![];
    period.controls[0].members.push(member("u", None, vec![unseen(0, 1)]));
    let (line, told) = of(&period, |report| (human(report), json(report)["without"].clone()));
    assert!(line.contains("\n  1 day without evidence, 2026-03-01: A-1\n"), "{line}");
    assert_eq!(told, json!([{ "control": "A-1", "days": ["2026-03-01"] }]));
    assert!(of(&period, lacks_evidence));
    period.controls[0].members.pop();
    assert!(!of(&period, lacks_evidence));
}

#[test]
fn days_to_come_are_counted_and_are_no_days_without_a_run() {
    let mut period = period();
    period.to = "2026-04-10".parse().unwrap();
    let said = of(&period, human);
    assert!(said.starts_with("2026-03-01 to 2026-04-10 on slm/evidence, soc2: 4 days, 3 runs, 37 days to come\n"), "{said}");
    assert!(said.contains("\n  1 day without a run: 2026-03-03\n"), "{said}");
    assert_eq!((period.end(), period.to_come()), ("2026-03-04T23:59:59.999999999Z".parse().unwrap(), 37));
    assert_eq!(self::period().to_come(), 0);
}

#[test]
fn of_days_without_any_run_nothing_is_said_but_what_was_open_before() {
    let mut period = period();
    (period.runs, period.missed, period.populations) = (Vec::new(), Vec::new(), Vec::new());
    period.controls[0].days = vec![Cell::NoRun; 4];
    period.controls[0].members.truncate(1);
    period.controls[0].members[0].spans = Vec::new();
    period.days.iter_mut().for_each(|day| day.runs.clear());
    let (said, told) = of(&period, |report| {
        let report = Report { texts: &[], exceptions: Vec::new(), ..*report };
        (human(&report), json(&report))
    });
    assert_eq!(said.matches("  no run began in these days: nothing is known of them\n").count(), 6, "{said}");
    assert!(said.contains("\n  A-1 x  2026-02-19T05:00:00Z (before the period), open\n"), "{said}");
    for lie in ["nothing was seen to be non-compliant", "a run on every day", "policy:", "collector:", "had no log"] {
        assert!(!said.contains(lie), "{said}");
    }
    let one = &told["deviations"][0];
    assert_eq!((&one["ending"], &one["run"], &one["before"]), (&json!("open"), &Json::Null, &json!(true)));
    period.controls.clear();
    period.days.clear();
    let said = of(&period, |report| human(&Report { texts: &[], exceptions: Vec::new(), ..*report }));
    assert!(said.starts_with("2026-03-01 to 2026-03-04 on slm/evidence, soc2: 0 days, 0 runs, 4 days to come\n"), "{said}");
    assert!(!said.contains("nothing was seen to be") && !said.contains("a run on every day"), "{said}");
}

#[test]
fn what_a_person_signs_is_counted_apart_from_what_nobody_answers_for() {
    let told = with(|report| human(&Report { framework: None, exceptions: Vec::new(), ..*report }));
    assert!(
        told.contains(
            "\n  soc2  3 criteria, 1 manual, 1 without a control, 1 waiting for a signature; `--framework soc2` lists them\n"
        ),
        "{told}"
    );
}

#[test]
fn what_people_state_is_manual_until_it_is_signed_and_no_gap() {
    use crate::model::attestation::{About, Manual, Stretch};
    let covers = Stretch::parse("2026-Q1").unwrap();
    let signed = Signed::For { covers, approver: "bo".to_owned(), approval: crate::model::approval::Approval::NotSeen, at: at(3) };
    let manual = |about, state: &Signed| Manual { about, state: state.clone() };
    let stated = |id: &str, state| Serving {
        stated: vec!["VEN-01".into()],
        signatures: vec![manual(About::Control("VEN-01".into()), state)],
        ..serving(id, &[])
    };
    let own = |id: &str, state: &Signed| Serving { signature: Some(state.clone()), ..serving(id, &[]) };
    let all = [
        stated("A1.3", &Signed::Never),
        stated("A1.4", &signed),
        own("CC1.1", &signed),
        own("CC1.2", &Signed::Never),
        Serving { waiting: vec!["NET-01".into()], ..serving("CC1.3", &[]) },
        Serving { removed: vec!["OLD-01".into()], ..serving("CC1.4", &[]) },
    ];
    let mut period = period();
    let unseen = Cell::Judged { gravest: Some(Status::NoEvidence), tally: Tally::from_iter([(Status::NoEvidence, 1)]) };
    period.controls = vec![Series {
        control: "VEN-01".into(),
        path: String::new(),
        days: vec![unseen.clone(), unseen, Cell::NoRun, Cell::NotJudged],
        members: vec![member("v", None, vec![span(0, 2, Status::NoEvidence, Because::Stale)])],
    }];
    let days = BTreeMap::from([("VEN-01".into(), vec![true, false, true, true])]);
    let (said, told) = of(&period, |report| {
        let report = Report { serving: &all, signed: &days, exceptions: Vec::new(), ..*report };
        (human(&report), json(&report))
    });
    for line in [
        "  soc2:A1.3 t  stated by people: VEN-01 (manual, not signed)",
        "  soc2:A1.4 t  stated by people: VEN-01 (signed for 2026-01-01/2026-03-31 by bo as its file says (not seen))",
        "  soc2:CC1.1 t  signed for 2026-01-01/2026-03-31 by bo as its file says (not seen)",
        "  soc2:CC1.2 t  manual, not signed",
        "  soc2:CC1.3 t  GAP; waits for a collector: NET-01",
        "  soc2:CC1.4 t  GAP; declared no more: OLD-01",
        "  VEN-01   sm_-  1 signed by a person, 1 manual, not signed, 1 not judged, 1 no run",
        "           s signed by a person  m manual, not signed",
        "  1 day without evidence, 2026-03-02: VEN-01",
    ] {
        assert!(said.contains(&format!("\n{line}\n")), "`{line}` is not in {said}");
    }
    let gaps: Vec<_> = told["criteria"].as_array().unwrap().iter().map(|one| one["gap"].as_bool().unwrap()).collect();
    assert_eq!(gaps, [false, false, false, false, true, true]);
    let unsigned: Vec<_> = all.iter().map(Serving::is_unsigned).collect();
    assert_eq!(unsigned, [true, false, false, true, false, false]);
}

#[test]
fn markdown_has_a_row_a_control_and_every_section() {
    let told = with(|report| markdown(report).unwrap());
    assert!(told.starts_with("### 2026-03-01 to 2026-03-04, soc2\n\n3 runs on `slm/evidence`.\n"), "{told}");
    assert!(told.contains("\n| A-1 | 0 | 1 | 2 | 0 | 1 | 0 | 1 |\n"), "{told}");
    assert_eq!(told.matches("\n#### ").count(), 9, "{told}");
    assert!(told.contains("\n#### 3. Deviations, ") && told.contains("\n- 1 day without a run\\: 2026-03-03\n"), "{told}");
}

#[test]
fn the_life_of_a_version_ends_when_the_next_is_in_force() {
    let life = |version: &str, told: serde_json::Value| Life {
        credential: "key".into(),
        version: version.into(),
        path: format!("rotations/{version}.json"),
        told,
    };
    let mut period = period();
    period.rotations = vec![
        life("v-9", json!({ "made": at(0) })),
        life("v-2", json!({ "made": at(1), "promoted": at(2), "disabled": at(3) })),
        life("v-5", json!({ "made": at(2) })),
    ];
    let told = of(&period, human);
    for line in [
        "  key v-9  made 2026-03-01T05:00:00Z, gave way to v-2 2026-03-03T05:00:00Z",
        "  key v-2  made 2026-03-02T05:00:00Z, promoted 2026-03-03T05:00:00Z, disabled 2026-03-04T05:00:00Z",
        "  key v-5  made 2026-03-03T05:00:00Z",
    ] {
        assert!(told.contains(&format!("\n{line}\n")), "`{line}` is not in {told}");
    }
    let [first, second, third] = &period.rotations[..] else { panic!() };
    assert_eq!(second.gave_way(third), None, "it was never promoted");
    assert_eq!(
        third.gave_way(&Life { told: json!({ "made": at(3) }), ..first.clone() }),
        Some(at(3)),
        "a kind that does not promote"
    );
    let mut places = [third.place(), first.place(), second.place()];
    places.sort();
    assert_eq!(places.map(|(_, made, _)| made), [Some(at(0)), Some(at(1)), Some(at(2))]);
}

#[test]
fn names_of_others_are_no_markdown() {
    let mut period = period();
    period.controls[0].members[0].subject = subject("[l](http://e)<b>\u{1b}[2J|");
    let told = of(&period, |report| markdown(report).unwrap());
    assert!(told.contains("A-1 \\[l\\]\\(http\\://e\\)&lt;b&gt;\u{fffd}\\[2J\\|"), "{told}");
}
