//! The same period in three formats: what is open in one is open in all.

use serde_json::Value as Json;

use super::*;
use crate::model::assessment::Status;
use crate::model::attestation::Signed;
use crate::model::deviation::tests::{BAD, GOOD, period, span};
use crate::model::period::{Cell, Day, Open, Span};
use crate::report::drift::tests::catalog;

/// What each format says: messages of OCSF, descriptions of the plan of action, and kind and text of SARIF.
struct Said {
    ocsf: Vec<Json>,
    actions: Vec<String>,
    sarif: Vec<(String, String)>,
}

impl Said {
    fn messages(&self) -> Vec<&str> {
        self.ocsf.iter().map(|one| one["message"].as_str().unwrap()).collect()
    }
}

/// What is said of one secret in runs that saw all of it or not.
fn said(whole: &[bool], open: Option<Open>, spans: Vec<Span>) -> Said {
    let mut period = period(whole, open, spans);
    period.controls[0].control = "ROT-01".into();
    let catalog = catalog();
    let told = Told { catalog: &catalog, period: &period, origin: "acme", root: "ab", framework: None, manual: &[], unproven: &[] };
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let documents = oscal(&told);
    let actions = documents.get("plan-of-action-and-milestones.json");
    let items = actions.map(|document| document["plan-of-action-and-milestones"]["poam-items"].as_array().unwrap().clone());
    let results = sarif(&told)["runs"][0]["results"].as_array().unwrap().clone();
    Said {
        ocsf: ocsf(&told),
        actions: items.unwrap_or_default().iter().map(|item| text(&item["description"])).collect(),
        sarif: results.iter().map(|one| (text(&one["kind"]), text(&one["message"]["text"]))).collect(),
    }
}

const BEGINS: &str = "x does not meet ROT-01";

#[test]
fn what_a_run_did_not_see_is_open_in_every_format_and_one_finding() {
    let again = said(&[true, false, true], None, vec![span(0, 1, BAD), span(2, 3, BAD)]);
    assert_eq!((again.messages(), again.actions.len()), (vec![BEGINS], 1));
    assert_eq!(again.sarif, [("fail".to_owned(), "x is non-compliant: no rule permits it".to_owned())]);

    let blind = said(&[true, false, false], None, vec![span(0, 1, BAD)]);
    assert_eq!(blind.messages(), [BEGINS]);
    let since = "since it was seen at 1970-01-01T00:00:00Z. Not seen since 1970-01-02T00:00:00Z. Owner: ";
    assert!(blind.actions.len() == 1 && blind.actions[0].contains(since), "{:?}", blind.actions);
    let text = "x is non-compliant since 1970-01-01T00:00:00Z, and was not seen since 1970-01-02T00:00:00Z: it was not judged";
    assert_eq!(blind.sarif, [("fail".to_owned(), text.to_owned())]);

    let unknown = said(&[true; 2], None, vec![span(0, 1, BAD), span(1, 2, Status::NoEvidence)]);
    assert_eq!((unknown.messages(), unknown.actions.len(), unknown.sarif[0].0.as_str()), (vec![BEGINS], 1, "fail"));
    let never = said(&[true], None, vec![span(0, 1, Status::NoEvidence)]);
    assert_eq!((never.ocsf.len(), never.actions.len(), never.sarif[0].0.as_str()), (0, 0, "open"));
}

#[test]
fn what_was_repaired_after_nobody_saw_it_is_closed_when_that_was_seen() {
    let repaired = said(&[true, false, true], None, vec![span(0, 1, BAD), span(2, 3, GOOD)]);
    assert_eq!(repaired.messages(), [BEGINS, "x meets again ROT-01"]);
    let closed = &repaired.ocsf[1];
    let stands = (&closed["time"], &closed["status_id"], &closed["compliance"]["status"]);
    assert_eq!(stands, (&Json::from(2 * 86_400_000_u64), &Json::from(4), &Json::from("Pass")));
    assert_eq!(closed["finding_info"]["uid"], repaired.ocsf[0]["finding_info"]["uid"]);
    assert_eq!((repaired.actions.len(), repaired.sarif.len()), (0, 0));
}

#[test]
fn who_is_gone_or_excepted_is_not_said_to_meet_a_control() {
    let of = |whole: &[bool], spans| {
        let said = said(whole, None, spans);
        let last = said.ocsf.last().unwrap().clone();
        assert_eq!(said.actions.len(), 0);
        (last["message"].as_str().unwrap().to_owned(), last["status_id"].clone(), last["compliance"]["status"].clone())
    };
    let gone = of(&[true; 2], vec![span(0, 1, BAD)]);
    assert_eq!(gone, ("x is gone, and did not meet ROT-01".to_owned(), 4.into(), "Gone".into()));
    let excepted = of(&[true; 2], vec![span(0, 1, BAD), span(1, 2, Status::Excepted)]);
    assert_eq!(excepted, ("x is excepted from ROT-01".to_owned(), 3.into(), "Excepted".into()));
    let outside = of(&[true; 2], vec![span(0, 1, BAD), span(1, 2, Status::NotApplicable)]);
    assert_eq!(outside, ("x is out of scope of ROT-01".to_owned(), 4.into(), "Not applicable".into()));
}

#[test]
fn what_was_open_before_has_the_identifier_that_it_had_then() {
    let before = said(&[true; 2], None, vec![span(0, 2, BAD)]);
    let open = Open { exception: None, since: "1970-01-01T00:00:00Z".parse().unwrap(), place: None };
    let after = said(&[false, true, true], Some(open), vec![span(1, 3, BAD)]);
    assert_eq!(after.ocsf[0]["finding_info"], before.ocsf[0]["finding_info"]);
}

/// A line for each way in which a finding of OCSF is made or closed: `tests/suite/bundle.rs` has the published schema judge them.
const EVERY: &str = include_str!("../../../fixtures/ocsf/every-ending.jsonl");

#[test]
fn the_findings_that_the_published_schema_judges_are_every_one_that_is_made() {
    let mut findings = said(&[true; 2], None, vec![span(0, 2, BAD)]).ocsf;
    for ended in [GOOD, Status::Excepted, Status::NotApplicable] {
        findings.extend(said(&[true; 2], None, vec![span(0, 1, BAD), span(1, 2, ended)]).ocsf.pop());
    }
    findings.extend(said(&[true; 2], None, vec![span(0, 1, BAD)]).ocsf.pop());
    let stands = |one: &Json| (one["compliance"]["status"].clone(), one["compliance"]["status_id"].clone());
    let of = |word: &str, number: u32| (Json::from(word), Json::from(number));
    let all = [of("Fail", 3), of("Pass", 1), of("Excepted", 99), of("Not applicable", 99), of("Gone", 99)];
    assert_eq!(findings.iter().map(stands).collect::<Vec<_>>(), all);
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let lines: String =
        findings.iter().map(|one| format!("{}\n", one.to_string().replace(&version, "\"version\":\"0\""))).collect();
    assert_eq!(lines, EVERY);
}

#[test]
fn a_file_with_a_name_that_means_something_in_a_uri_is_encoded_in_sarif() {
    let mut catalog = catalog();
    let control = catalog.controls.values_mut().find(|control| control.id == "ROT-01".into()).unwrap();
    control.place.file = "controls/my rot/100%.toml".to_owned();
    let mut period = period(&[true], None, vec![span(0, 1, BAD)]);
    period.controls[0].control = "ROT-01".into();
    let told = Told { catalog: &catalog, period: &period, origin: "acme", root: "ab", framework: None, manual: &[], unproven: &[] };
    let place = &sarif(&told)["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "controls/my%20rot/100%25.toml");
}

/// What is told beside a period.
#[derive(Default)]
struct Beside {
    manual: Vec<Manual>,
    unproven: Vec<Noted>,
    framework: Option<FrameworkId>,
}

/// The assessment results, the assessment plan and the log of SARIF of one secret in three runs.
fn documents(id: &str, spans: Vec<Span>, beside: &Beside, change: impl FnOnce(&mut Period)) -> (Json, Json, Json) {
    let mut catalog = catalog();
    let mut control = catalog.controls.remove(&ControlId::from("ROT-01")).unwrap();
    control.id = id.into();
    catalog.controls = [(id.into(), control)].into();
    let mut period = period(&[true; 3], None, spans);
    period.controls[0].control = id.into();
    change(&mut period);
    let Beside { manual, unproven, framework } = beside;
    let framework = framework.as_ref();
    let told = Told { catalog: &catalog, period: &period, origin: "acme", root: "ab", framework, manual, unproven };
    let mut all = oscal(&told);
    let mut take = |name: &str, root: &str| all.remove(name).unwrap()[root].take();
    let results = take("assessment-results.json", "assessment-results");
    (results, take("assessment-plan.json", "assessment-plan"), sarif(&told))
}

/// How the finding of the first run stands, when it said `status` of its one member.
fn stands(status: Status) -> (Json, Json) {
    let (results, ..) = documents("ROT-01", vec![span(0, 1, status)], &Beside::default(), |_| ());
    let status =
        |name: &str| results["results"][0].pointer(&format!("/findings/0/target/status/{name}")).cloned().unwrap_or_default();
    (status("state"), status("reason"))
}

#[test]
fn a_finding_is_satisfied_by_a_rule_alone_and_passes_only_where_something_met_it() {
    let of = |state: &str, reason: &str| (Json::from(state), Json::from(reason));
    assert_eq!(stands(GOOD), of("satisfied", "pass"));
    assert_eq!(stands(Status::NotApplicable), (Json::Null, Json::Null), "nobody met it");
    assert_eq!(stands(Status::Excepted), of("not-satisfied", "other"));
    assert_eq!(stands(Status::NoEvidence), of("not-satisfied", "other"));
    assert_eq!(stands(BAD), of("not-satisfied", "fail"));
}

#[test]
fn a_result_reviewed_what_its_run_judged_and_ends_no_sooner_than_it_began() {
    let (results, plan, _) = documents("ROT-01", vec![span(1, 2, GOOD)], &Beside::default(), |_| ());
    let reviewed = |result: &Json| result["reviewed-controls"]["control-selections"][0].clone();
    let named = serde_json::json!([{ "control-id": "ROT-01" }]);
    let nothing = serde_json::json!({ "description": "No control was judged.", "include-all": {}, "exclude-controls": named });
    let results = &results["results"];
    assert_eq!([reviewed(&results[0]), reviewed(&results[2])], [nothing.clone(), nothing]);
    for judged in [&results[1], &plan] {
        assert_eq!(reviewed(judged), serde_json::json!({ "include-controls": named }));
    }
    // It was recorded in the second in which it began, or a clock was behind.
    assert_eq!((&results[1]["start"], &results[1]["end"]), (&"1970-01-02T00:00:00Z".into(), &"1970-01-02T00:00:00Z".into()));
}

#[test]
fn a_control_that_nothing_was_there_for_was_judged_and_has_no_finding() {
    let (results, ..) = documents("ROT-01", Vec::new(), &Beside::default(), |period| {
        let cell = |gravest: Option<Status>| Cell::Judged { gravest, tally: Default::default() };
        period.days = (0..2).map(|at| Day { date: period.from, runs: vec![at] }).collect();
        period.controls[0].days = vec![cell(None), Cell::NotJudged];
    });
    let (first, second) = (&results["results"][0], &results["results"][1]);
    assert_eq!(first["observations"][0]["description"], "ROT-01: nothing that it speaks about was there.");
    assert!(first["findings"].is_null() && second["findings"].is_null(), "nothing is satisfied by nobody");
    assert!(second["observations"].is_null(), "{second}");
}

#[test]
fn what_no_run_says_is_told_in_oscal_and_sarif() {
    let of = |about: About| Manual { about, state: Signed::Never };
    let manual = [
        of(About::Criterion("soc2".into(), "CC1.1".into())),
        of(About::Criterion("iso27001".into(), "A.5.1".into())),
        of(About::Control("OTHER-01".into())),
    ];
    let unproven = vec![Noted { code: "slm::x", what: "the text of run r1 is not to be had".to_owned() }];
    let beside = Beside { manual: manual.into(), unproven, framework: Some("soc2".into()) };
    let (results, plan, sarif) = documents("ROT-01", vec![span(0, 1, GOOD)], &beside, |period| {
        period.days = vec![Day { date: period.from, runs: vec![0] }, Day { date: period.to, runs: Vec::new() }];
    });
    let told = [
        "no run began on 1970-01-10",
        "only a person can say soc2:CC1.1: manual, not signed",
        "not shown: the text of run r1 is not to be had",
    ];
    let notes = sarif["runs"][0]["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
    assert_eq!(notes.iter().map(|one| one["message"]["text"].as_str().unwrap()).collect::<Vec<_>>(), told);
    let listed = told.map(|one| format!("- {one}")).join("\n");
    assert_eq!((&results["metadata"]["remarks"], &plan["metadata"]["remarks"]), (&listed.as_str().into(), &listed.as_str().into()));
}

#[test]
fn what_is_made_for_another_framework_is_another_document() {
    let soc2 = Beside { framework: Some("soc2".into()), ..Beside::default() };
    let (all, of_all, log_of_all) = documents("ROT-01", vec![span(0, 1, GOOD)], &Beside::default(), |_| ());
    let (one, of_one, log_of_one) = documents("ROT-01", vec![span(0, 1, GOOD)], &soc2, |_| ());
    for (all, one) in [(&all, &one), (&of_all, &of_one), (&all["results"][0], &one["results"][0])] {
        assert_ne!(all["uuid"], one["uuid"]);
    }
    let title = |document: &Json| document["metadata"]["title"].clone();
    assert_eq!(
        (title(&all), title(&one)),
        ("Assessment results, 1970-01-01 to 1970-01-10".into(), "Assessment results, 1970-01-01 to 1970-01-10, for soc2".into(),)
    );
    let id = |log: &Json| log["runs"][0]["automationDetails"]["id"].clone();
    assert_eq!((id(&log_of_all), id(&log_of_one)), ("acme/1970-01-01/1970-01-10".into(), "acme/1970-01-01/1970-01-10/soc2".into()));
}

#[test]
fn a_control_that_is_no_token_of_oscal_is_written_as_one_and_its_evidence_has_an_address() {
    let (results, ..) =
        documents("2 Ü#1", vec![span(0, 1, GOOD)], &Beside::default(), |period| period.runs[0].commit = "4fcd".to_owned());
    let result = &results["results"][0];
    assert_eq!(result["findings"][0]["target"]["target-id"], "_2_20_dc_231");
    assert_eq!(result["reviewed-controls"]["control-selections"][0]["include-controls"][0]["control-id"], "_2_20_dc_231");
    let observation = &result["observations"][0];
    assert_eq!(observation["description"], "2 Ü#1: 1 compliant.");
    assert_eq!(observation["relevant-evidence"][0]["href"], "git:4fcd:decisions/2%20%C3%9C%231.jsonl");
}
