//! A small period as people and programs are told of it.

use std::collections::BTreeMap;

use super::*;
use crate::model::assessment::{Because, Tally};
use crate::model::past::Otherwise;
use crate::model::period::{Date, Day, Member, Members, Missed, Presence, RunNote, Seen, Span};
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
        unfinished: Vec::new(),
    }
}

fn subject(id: &str) -> Subject {
    Subject::Resource { entity: "A".into(), id: id.into() }
}

fn span(from: At, until: At, status: Status, because: Because) -> Span {
    Span { from, until, status, because }
}

/// Runs on the first, second and fourth of March; the third has none.
fn period() -> Period {
    let judged =
        |gravest, counts: &[(Status, u64)]| Cell::Judged { gravest: Some(gravest), tally: Tally::from_iter(counts.to_vec()) };
    let bad = span(0, 2, Status::NonCompliant, Because::NothingPermits);
    let good = |from, until| span(from, until, Status::Compliant, Because::Permitted(vec!["r".into()]));
    let excepted = |from, until, id: &str| span(from, until, Status::Excepted, Because::Exception(id.into()));
    let members = vec![
        Member { subject: subject("x"), before: Some(Status::NonCompliant), spans: vec![bad, good(2, 3)] },
        Member { subject: subject("y"), before: None, spans: vec![good(0, 1), excepted(1, 3, "slow")] },
        Member { subject: subject("z"), before: None, spans: vec![excepted(0, 3, "late")] },
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
    }
}

fn with<T>(look: impl FnOnce(&Report<'_>) -> T) -> T {
    let period = period();
    let serving = [serving("CC6.1", &["A-1"]), serving("CC6.2", &[])];
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
        period: &period,
        branch: "slm/evidence",
        cadence: Limit::seconds(26 * 3_600),
        framework: Some(&framework),
        serving: &serving,
        texts: &texts,
        exceptions: Vec::new(),
        head: None,
        segregation: &segregation,
        findings: &[],
        unproven: &[],
    })
}

const SHOWN: &str = "\
2026-03-01 to 2026-03-04 on slm/evidence, soc2: 4 days, 3 runs

  A-1      ##_e  1 excepted, 2 non-compliant, 1 no run
           . compliant  e excepted  # non-compliant  ? no-evidence  o without a member  - not judged  _ no run

1. Any member, any day
  3 subjects of 1 control with every change of what was said, by run and commit: `--format json`
  `slm explain <resource|control> --at <day>` judges any of them again, with the digests of what it rests on

2. The population, its completeness, its change
  A  1 to 2, 1 came, 1 went (1 made, says the source, 1 not explained); seen whole by every run
  ! w of s . went by 2026-03-04T05:00:00Z: NOT EXPLAINED by any event that was observed

3. Deviations, detection, repair, exceptions, days without evidence
  A-1 x  before the period, seen again 2026-03-01T05:00:00Z until 2026-03-04T05:00:00Z, 3d (fixed)
  exception late: A-1 z  2026-03-01T05:00:00Z, open; neither the config of the last run nor the run that it decided has its file
  exception slow: A-1 y  2026-03-02T05:00:00Z, open; neither the config of the last run nor the run that it decided has its file
  exceptions late and slow were in use at once from 2026-03-02T05:00:00Z until the end
  1 day without a run: 2026-03-03
  no run from 2026-03-02T05:00:00Z until 2026-03-04T05:00:00Z, longer than 26h: nothing was recorded, and nothing says why

4. Which text applied, and what the text before would have said
  2 configs applied; `slm explain <control> --at <day>` shows the rule of a day
  2026-03-02T05:00:00Z  aaaa to bbbb
    changed policies/a.cedar
    A-1: before 2 compliant; since 1 compliant, 1 non-compliant

5. Criteria: controls, manual, gaps
  soc2:CC6.1 t  A-1
  soc2:CC6.2 t  GAP

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
            "control": "A-1", "subject": { "resource": { "entity": "A", "id": "x" } }, "detected": "2026-03-01T05:00:00Z",
            "before": true, "fixed": "2026-03-04T05:00:00Z", "seconds": 3 * 86_400, "ending": "fixed", "run": "r0",
        }])
    );
    let days = json!({ "excepted": 1, "non-compliant": 2, "no run": 1 });
    assert_eq!(told["summary"], json!([{ "control": "A-1", "days": days }]));
    assert_eq!((&told["unexplained"], &told["criteria"][1]["gap"]), (&json!(1), &json!(true)));
    assert_eq!(serde_json::from_value::<Period>(told["period"].clone()).unwrap(), period());
}

#[test]
fn markdown_has_a_row_a_control_and_every_section() {
    let told = with(|report| markdown(report).unwrap());
    assert!(told.starts_with("### 2026-03-01 to 2026-03-04, soc2\n\n3 runs on `slm/evidence`.\n"), "{told}");
    assert!(told.contains("\n| A-1 | 0 | 1 | 2 | 0 | 1 | 0 | 1 |\n"), "{told}");
    assert_eq!(told.matches("\n#### ").count(), 9, "{told}");
    assert!(told.contains("\n- 1 day without a run: 2026-03-03\n"), "{told}");
}
