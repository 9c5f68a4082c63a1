//! The pages of a large year: small enough for a telephone, reachable by keyboard, and asking nobody anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan as _;

use super::*;
use crate::model::assessment::{Because, Status, Subject, Tally};
use crate::model::period::{Cell, Date, Day, Member, RunNote, Series, Span};
use crate::report::drift::tests::catalog;

const MEMBERS: usize = 2_000;
const DAYS: usize = 365;
static NONE: BTreeSet<ControlId> = BTreeSet::new();

fn date(day: usize) -> Date {
    let first: Date = "2026-01-01".parse().unwrap();
    first.checked_add(i64::try_from(day).unwrap().days()).unwrap()
}

fn run(day: usize) -> RunNote {
    let at: Timestamp = format!("{}T05:00:00Z", date(day)).parse().unwrap();
    RunNote {
        id: format!("r{day}").into(),
        at,
        judged: Some(at),
        received: at,
        commit: format!("{day:040}"),
        path: format!("runs/r{day}.json"),
        verb: "apply".to_owned(),
        slm: "0.1.0".to_owned(),
        config: "c".to_owned(),
        callers: BTreeMap::new(),
        seen: Vec::new(),
        reconciled: Vec::new(),
        unfinished: Vec::new(),
    }
}

fn name(at: usize) -> String {
    format!("vault:local/app/{at:05}")
}

/// Members each of which failed on a day of its own and ends well, but for the first ten; the last thirty failed for two.
fn members() -> Vec<Member> {
    let span = |from, until, status| Span { from, until, status, because: Because::NothingPermits };
    let one = |at: usize| {
        let bad = at % (DAYS - 2) + 1;
        let good = if at < 10 { DAYS } else { bad + 1 + usize::from(at >= MEMBERS - 30) };
        let mut spans = vec![span(0, bad, Status::Compliant), span(bad, good, Status::NonCompliant)];
        spans.extend((good < DAYS).then(|| span(good, DAYS, Status::Compliant)));
        Member {
            subject: Subject::Resource { entity: "Vault::Secret".into(), id: name(at).into() },
            before: None,
            open: None,
            spans,
        }
    };
    (0..MEMBERS).map(one).collect()
}

fn period() -> Period {
    let tally = Tally::from_iter([(Status::NonCompliant, 10), (Status::Compliant, MEMBERS as u64 - 10)]);
    let cell = Cell::Judged { gravest: Some(Status::NonCompliant), tally };
    Period {
        from: date(0),
        to: date(DAYS - 1),
        runs: (0..DAYS).map(run).collect(),
        days: (0..DAYS).map(|day| Day { date: date(day), runs: vec![day] }).collect(),
        late: Vec::new(),
        missed: Vec::new(),
        controls: vec![Series {
            control: "ROT-01".into(),
            path: "decisions/ROT-01.jsonl".to_owned(),
            days: vec![cell; DAYS],
            members: members(),
        }],
        populations: Vec::new(),
        rotations: Vec::new(),
    }
}

fn log() -> Log {
    Log {
        origin: "acme.example/slm".to_owned(),
        entries: 9,
        root: "ab".repeat(32),
        received: run(DAYS - 1).at,
        keys: vec!["acme.example/slm+0a64f3a1+AZxk".to_owned()],
    }
}

/// A version of the decisions for every run.
fn versions() -> BTreeMap<ControlId, Vec<Version>> {
    let one = |from: usize| {
        let folder = format!("controls/ROT-01/decisions/{}T050000Z", date(from));
        let (file, page) = (format!("{folder}/ROT-01.jsonl"), format!("{folder}/index.html"));
        Version { from, file, page, sha256: "cd".repeat(32), entry: Some(from as u64) }
    };
    [("ROT-01".into(), (0..DAYS).map(one).collect())].into()
}

/// A bundle of all of these, of which nobody signed anything and nothing was left out.
fn made_of<'a>(
    catalog: &'a Catalog,
    period: &'a Period,
    log: &'a Log,
    versions: &'a BTreeMap<ControlId, Vec<Version>>,
) -> Made<'a> {
    Made { catalog, period, log, versions, manual: &[], unproven: &[], framework: None, removed: &NONE }
}

/// What `look` sees of the pages: the index, each control, and the last packet of ROT-01.
fn pages(look: impl Fn(&View<'_>, &BTreeMap<String, String>)) {
    let (catalog, period, log, versions) = (catalog(), period(), log(), versions());
    let made = made_of(&catalog, &period, &log, &versions);
    let view = view(&made);
    let mut all = BTreeMap::from([("index.html".to_owned(), index(&view).unwrap())]);
    for one in &view.controls {
        all.insert(path(one), control(&view, one).unwrap());
        all.extend(super::members(&view, one).unwrap());
    }
    let lines: Vec<String> = (0..MEMBERS)
        .map(|at| {
            let status = if at < 10 { "non-compliant" } else { "compliant" };
            format!(r#"{{"status":"{status}","because":"nothing-permits","entity":"Vault::Secret","resource":"{}"}}"#, name(at))
        })
        .collect();
    let last = versions[&ControlId::from("ROT-01")].last().unwrap();
    let about = (&catalog.controls["ROT-01"], &view.controls[0]);
    all.insert(last.page.clone(), packet(&made, about, last, &lines.join("\n")).unwrap().replace("&#x2f;", "/"));
    let all = all.into_iter().map(|(name, text)| (name, text.replace("&#x2f;", "/"))).collect();
    look(&view, &all);
}

#[test]
fn the_index_does_not_grow_with_the_population_and_says_what_it_leaves_out() {
    pages(|view, all| {
        let index = &all["index.html"];
        assert!(index.len() < 60_000, "{} bytes", index.len());
        assert_eq!(index.matches("<tr class=\"open\">").count(), 10, "what is open is not left out");
        assert_eq!(index.matches("data-label=\"First seen\"").count(), 50);
        assert!(index.contains(&format!("50 of {MEMBERS} times that something did not meet its control")), "{index}");
        let page = &all["controls/ROT-01/index.html"];
        assert!(page.len() < 350_000, "{} bytes", page.len());
        assert_eq!(page.matches("data-label=\"First seen\"").count(), 200);
        assert!(page.contains(&format!("200 of {MEMBERS} times")), "{page}");
        assert_eq!(view.controls[0].rest, "", "nobody was always compliant");
    });
}

#[test]
fn every_cell_of_a_control_and_of_its_members_leads_to_a_packet() {
    pages(|view, all| {
        let page = &all["controls/ROT-01/index.html"];
        let strips: Vec<&str> =
            page.split("<div class=\"strip\"").skip(1).map(|strip| strip.split("</div>").next().unwrap()).collect();
        assert_eq!(strips.len(), 1 + view.controls[0].members.len());
        for strip in &strips {
            assert!(strip.contains("href=\"decisions/") && !strip.contains("<span"), "{strip}");
            assert_eq!(strip.matches("aria-label=").count(), strip.matches("<a ").count() + 1, "{strip}");
        }
        let days = strips[0].matches("href=\"decisions/").count();
        assert_eq!(days, DAYS, "of the control itself, each day leads to the decisions of that day");
        let index = &all["index.html"];
        assert!(index.contains("href=\"controls/ROT-01/index.html#days\""), "what changes every day leads to where each day does");
        assert!(page.contains("<h2 id=\"days\">"), "{page}");
    });
}

#[test]
fn whoever_is_drawn_day_by_day_is_found_in_a_packet_that_has_not_room_for_all() {
    pages(|view, all| {
        let packet = all.iter().find(|(name, _)| name.contains("/decisions/")).unwrap().1;
        for member in &view.controls[0].members {
            assert!(packet.contains(&format!("<tr id=\"{}\">", super::members::anchor(&member.name))), "{}", member.name);
        }
        assert_eq!(packet.matches("<tr id=").count(), 230, "two hundred, and the thirty at the other end of the list");
        assert!(packet.contains(&format!("230 of {MEMBERS}, the gravest first")));
    });
}

#[test]
fn every_page_has_a_language_a_title_one_heading_and_a_way_past_what_comes_first() {
    pages(|_, all| {
        assert_eq!(all.len(), 4 + (MEMBERS - 60).div_ceil(200), "with the pages of more members");
        let mut titles = BTreeSet::new();
        for (name, text) in all {
            assert!(text.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}: {}", &text[..80]);
            let title = text.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
            assert!(title.len() > 10 && titles.insert(title.to_owned()), "{name}: `{title}`");
            for once in [
                "<h1>",
                "<a class=\"skip\" href=\"#main\">",
                "<main id=\"main\">",
                "name=\"viewport\"",
                "prefers-color-scheme: dark",
            ] {
                assert_eq!(text.matches(once).count(), 1, "{name}: {once}");
            }
            for outside in ["<script", "<img", "src=", "@import", "url(", "http://", "https://", "tabindex=\"-1\""] {
                assert!(!text.contains(outside), "{name} has {outside}");
            }
            assert!(text.contains("default-src 'none'"), "{name} may ask others");
        }
    });
}

#[test]
fn criteria_of_two_frameworks_are_connected_by_controls_that_are_named_and_no_evidence_goes_from_one_to_the_other() {
    let (mut catalog, period, log, versions) = (catalog(), period(), log(), versions());
    let mut other = catalog.frameworks["soc2"].clone();
    other.id = "iso27001".into();
    catalog.frameworks.insert("iso27001".into(), other);
    let serve = |catalog: &mut crate::model::catalog::Catalog, id: &str, criteria: &[&str], reviewer: Option<&str>| {
        let control = catalog.controls.get_mut(id).unwrap();
        control.criteria.insert("iso27001".into(), criteria.iter().map(|&id| id.into()).collect());
        control.criteria_reviewer = reviewer.map(str::to_owned);
    };
    serve(&mut catalog, "ROT-01", &["CC6.1"], Some("grace"));
    serve(&mut catalog, "ROT-02", &["CC6.1"], None);
    let made = made_of(&catalog, &period, &log, &versions);
    let rows = crosswalk_csv(&made);
    let head = "framework,criterion,other framework,other criterion,served by,checked by";
    assert_eq!(rows, format!("{head}\r\niso27001,CC6.1,soc2,CC6.1,ROT-01; ROT-02,grace; nobody\r\n"));
    let view = view(&made);
    assert!(control(&view, &view.controls[0]).unwrap().contains("; checked by grace."));
    assert!(control(&view, &view.controls[1]).unwrap().contains("; nobody has put their name to that yet."));

    catalog.controls.values_mut().for_each(|control| drop(control.criteria.remove("iso27001")));
    let made = made_of(&catalog, &period, &log, &versions);
    let told = super::view(&made);
    let stands = |name: &str| {
        let at = catalog.frameworks.keys().position(|id| id.as_str() == name).unwrap();
        told.frameworks[at].criteria.iter().map(|one| (one.id.clone(), one.word.clone())).collect::<Vec<_>>()
    };
    assert_eq!(stands("soc2")[0], ("CC6.1".to_owned(), "non-compliant".to_owned()));
    assert_eq!(stands("iso27001")[0], ("CC6.1".to_owned(), "no control".to_owned()), "what it stands by is its own");
    assert_eq!(crosswalk_csv(&made), format!("{head}\r\n"));
}

/// How bright a colour is, as WCAG 2 counts.
fn brightness(hex: &str) -> f64 {
    let hex = hex.trim_start_matches('#');
    let wide: String = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
    let part = |at: usize| {
        let share = f64::from(u8::from_str_radix(&wide[at..at + 2], 16).unwrap()) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}

#[test]
fn text_and_statuses_stand_out_from_the_paper_by_day_and_by_night() {
    let css = include_str!("../templates/bundle.css");
    let (day, night) = (css.split(":root {").nth(1).unwrap(), css.split(":root {").nth(2).unwrap());
    for theme in [day, night] {
        let theme = theme.split('}').next().unwrap();
        let of = |name: &str| theme.split(&format!("--{name}: ")).nth(1).unwrap().split(';').next().unwrap();
        let contrast = |name: &str| {
            let (a, b) = (brightness(of(name)) + 0.05, brightness(of("paper")) + 0.05);
            if a > b { a / b } else { b / a }
        };
        for (name, least) in [("ink", 7.0), ("soft", 4.5), ("link", 4.5)] {
            assert!(contrast(name) >= least, "{name} {}: {:.2}", of(name), contrast(name));
        }
        for name in ["compliant", "non-compliant", "excepted", "no-evidence", "manual"] {
            assert!(contrast(name) >= 3.0, "{name} {}: {:.2}", of(name), contrast(name));
        }
    }
}

#[test]
fn the_pages_on_paper_do_not_grow_with_what_did_not_hold() {
    pages(|view, _| {
        let first = pdf(view).unwrap();
        assert!(first == pdf(view).unwrap(), "the same view gives the same bytes");
        assert!(first.len() < 120_000, "{} bytes", first.len());
    });
}

#[test]
fn what_nobody_saw_since_is_open_in_the_pages_and_in_the_tables() {
    use crate::model::deviation::tests::{BAD, GOOD, period, span};
    let (catalog, log, versions) = (catalog(), log(), BTreeMap::new());
    let told = |whole: &[bool], spans| {
        let mut period = period(whole, None, spans);
        period.controls[0].control = "ROT-01".into();
        let made = made_of(&catalog, &period, &log, &versions);
        let view = view(&made);
        let summary = summary_csv(&view).lines().find(|line| line.starts_with("ROT-01,")).unwrap().to_owned();
        let one = deviations_csv(&view).lines().nth(1).unwrap().to_owned();
        let open = summary.split(',').rev().nth(1).unwrap().to_owned();
        (open, one, view.controls[0].deviations.iter().map(|one| one.open).collect::<Vec<_>>())
    };
    let blind = told(&[true, false], vec![span(0, 1, BAD)]);
    let line = "ROT-01,x,1970-01-01 00:00 UTC,open at the end,9d,not seen since 1970-01-02 00:00 UTC,";
    assert_eq!(blind, ("1".to_owned(), line.to_owned(), vec![true]));
    let repaired = told(&[true, false, true], vec![span(0, 1, BAD), span(2, 3, GOOD)]);
    let line = "ROT-01,x,1970-01-01 00:00 UTC,1970-01-03 00:00 UTC,2d,compliant,";
    assert_eq!(repaired, ("0".to_owned(), line.to_owned(), vec![false]));
    let gone = told(&[true, true], vec![span(0, 1, BAD)]);
    assert_eq!(gone.1, "ROT-01,x,1970-01-01 00:00 UTC,1970-01-02 00:00 UTC,1d,gone,");
}

#[test]
fn a_control_that_is_declared_no_more_keeps_its_page_and_its_deviations_and_serves_nothing() {
    use crate::model::deviation::tests::{BAD, period, span};
    let (catalog, log, versions) = (catalog(), log(), BTreeMap::new());
    let mut period = period(&[true, false], None, vec![span(0, 1, BAD)]);
    period.controls[0].control = "ROT-01".into();
    let removed = BTreeSet::from(["ROT-01".into()]);
    let of = |removed| {
        let made = Made { removed, ..made_of(&catalog, &period, &log, &versions) };
        let view = view(&made);
        let criterion = view.frameworks[0].criteria.iter().find(|one| one.id == "CC6.1").unwrap();
        (view.controls[0].deviations.len(), view.controls[0].word.clone(), criterion.controls.contains(&"ROT-01".to_owned()))
    };
    assert_eq!((of(&NONE).0, of(&NONE).2), (1, true));
    let (deviations, word, serves) = of(&removed);
    assert_eq!((deviations, serves), (1, false));
    assert!(word.ends_with(", declared no more"), "{word}");
}

#[test]
fn a_criterion_that_waits_for_a_signature_is_manual_at_best_and_names_what_served_it() {
    use crate::model::attestation::{About, Manual, Signed};
    use crate::model::deviation::tests::{BAD, GOOD, period, span};
    let (mut catalog, log, versions) = (catalog(), log(), BTreeMap::new());
    catalog.controls.retain(|id, _| *id == "ROT-01".into());
    let unsigned = [Manual { about: About::Criterion("soc2".into(), "CC6.1".into()), state: Signed::Never }];
    let of = |status, manual, removed| {
        let mut period = period(&[true], None, vec![span(0, 1, status)]);
        period.controls[0].control = "ROT-01".into();
        period.controls[0].days = vec![Cell::Judged { gravest: Some(status), tally: Tally::default() }];
        period.days = vec![Day { date: period.from, runs: vec![0] }];
        let made = Made { manual, removed, ..made_of(&catalog, &period, &log, &versions) };
        let view = view(&made);
        let one = view.frameworks[0].criteria.iter().find(|one| one.id == "CC6.1").unwrap();
        let html = index(&view).unwrap();
        (one.word.clone(), one.gone.clone(), html.contains("declared no more: <a href=\"controls/ROT-01/index.html\">ROT-01</a>"))
    };
    let without = Vec::<String>::new();
    assert_eq!(of(GOOD, &[], &NONE), ("compliant".to_owned(), without.clone(), false));
    assert_eq!(of(GOOD, &unsigned, &NONE), ("manual".to_owned(), without.clone(), false));
    assert_eq!(of(BAD, &unsigned, &NONE), ("non-compliant".to_owned(), without, false));
    let removed = BTreeSet::from(["ROT-01".into()]);
    let (word, gone, told) = of(BAD, &unsigned, &removed);
    assert_eq!((word.as_str(), gone, told), ("manual", vec!["ROT-01".to_owned()], true));
}

#[test]
fn a_control_whose_id_means_something_in_an_address_is_found_by_every_link() {
    let (mut catalog, mut period, log, mut versions) = (catalog(), period(), log(), versions());
    let id = "2 \u{dc}#1?";
    let mut one = catalog.controls.remove(&ControlId::from("ROT-01")).unwrap();
    one.id = id.into();
    catalog.controls = [(id.into(), one)].into();
    period.controls[0].control = id.into();
    let mut all = versions.remove(&ControlId::from("ROT-01")).unwrap();
    all.iter_mut().for_each(|one| one.page = one.page.replace("ROT-01", id));
    versions.insert(id.into(), all);
    let made = made_of(&catalog, &period, &log, &versions);
    let view = view(&made);
    let plain = |text: String| text.replace("&#x2f;", "/");
    let (index, page) = (plain(index(&view).unwrap()), plain(control(&view, &view.controls[0]).unwrap()));
    let encoded = "controls/2%20%C3%9C%231%3F/";
    let links =
        |text: &str| text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>();
    let of_it: Vec<String> = links(&index).into_iter().filter(|link| link.starts_with("controls/")).collect();
    assert!(of_it.len() > 60 && of_it.iter().all(|link| link.starts_with(encoded)), "{of_it:?}");
    let decisions = links(&page).into_iter().filter(|link| link.starts_with("decisions/")).count();
    assert!(decisions > DAYS && !page.contains("href=\"controls/"), "{page}");
    assert!(deviations_csv(&view).contains(encoded));
}

#[test]
fn a_row_of_the_table_of_members_is_of_the_run_and_the_reason_that_it_tells() {
    use crate::model::deviation::tests::{BAD, GOOD, period, span};
    let (catalog, log) = (catalog(), log());
    // Two runs on the first day, of which the first failed; on the second day it failed for another reason.
    let other = Span { because: Because::Forbidden(vec!["r".into()]), ..span(2, 4, BAD) };
    let mut period = period(&[true; 4], None, vec![span(0, 1, BAD), span(1, 2, GOOD), other]);
    period.controls[0].control = "ROT-01".into();
    let day = |day: i64, runs: &[usize]| Day { date: period.from.checked_add(day.days()).unwrap(), runs: runs.to_vec() };
    period.days = vec![day(0, &[0, 1]), day(1, &[2]), day(2, &[3])];
    let version = |from: usize| {
        let page = format!("controls/ROT-01/decisions/{from}/index.html");
        Version { from, file: String::new(), page, sha256: String::new(), entry: None }
    };
    let versions = BTreeMap::from([("ROT-01".into(), (0..4).map(version).collect())]);
    let made = made_of(&catalog, &period, &log, &versions);
    let rows = members_csv(&made);
    let rows: Vec<&str> = rows.lines().skip(1).collect();
    let first = "ROT-01,A,x,1970-01-01,1970-01-01,1,non-compliant,no rule permits it,controls/ROT-01/decisions/0/index.html";
    let then = "ROT-01,A,x,1970-01-02,1970-01-03,2,non-compliant,forbidden by r,controls/ROT-01/decisions/2/index.html";
    assert_eq!(rows, [first, then]);
}

#[test]
fn a_member_whom_a_run_could_not_see_has_no_evidence_on_that_day_and_leads_to_what_kept_it() {
    use crate::model::deviation::tests::{GOOD, period, span};
    use crate::model::snapshot::Unseen;
    let (catalog, log) = (catalog(), log());
    // Seen and denied on the first day, denied on the second, not judged on the third.
    let mut period = period(&[true, false, false, true], None, vec![span(0, 1, GOOD)]);
    let unseen = Because::Unseen { cause: Unseen::Denied, detail: "list: denied".to_owned() };
    let of = Subject::Population { entity: "A".into(), source: Some("s".into()), scope: ".".to_owned() };
    let spans = vec![Span { because: unseen, ..span(1, 3, Status::NoEvidence) }];
    period.controls[0].members.push(Member { subject: of, before: None, open: None, spans });
    period.controls[0].control = "ROT-01".into();
    let day = |day: i64, runs: &[usize]| Day { date: period.from.checked_add(day.days()).unwrap(), runs: runs.to_vec() };
    period.days = vec![day(0, &[0, 1]), day(1, &[2]), day(2, &[3])];
    let judged = Cell::Judged { gravest: Some(Status::NoEvidence), tally: Tally::new() };
    period.controls[0].days = vec![judged.clone(), judged, Cell::NotJudged];
    let version = |from: usize| {
        let page = format!("controls/ROT-01/decisions/{from}/index.html");
        Version { from, file: String::new(), page, sha256: String::new(), entry: None }
    };
    let versions = BTreeMap::from([("ROT-01".into(), vec![version(0), version(1)])]);
    let made = made_of(&catalog, &period, &log, &versions);
    let rows = members_csv(&made);
    let rows: Vec<&str> = rows.lines().filter(|row| row.starts_with("ROT-01,A,x,")).collect();
    let page = "controls/ROT-01/decisions/1/index.html";
    let blind = format!("ROT-01,A,x,1970-01-01,1970-01-02,2,no-evidence,list: denied,{page}");
    assert_eq!(rows, [blind.as_str(), "ROT-01,A,x,1970-01-03,1970-01-03,1,not-judged,,"]);
    let view = view(&made);
    let one = &view.controls[0];
    let drawn = one.members.iter().find(|member| member.name == "x").unwrap();
    let labels: Vec<_> = drawn.strip.iter().map(|part| (part.label.as_str(), part.href.as_str())).collect();
    let told = [("no evidence, 1970-01-01 to 1970-01-02, 2 days", page), ("not judged, 1970-01-03, 1 day", "")];
    assert_eq!((labels, one.word.as_str()), (told.to_vec(), "no evidence"));
}

#[test]
fn on_a_telephone_nothing_in_a_card_is_wider_than_the_card() {
    let css = include_str!("../templates/bundle.css");
    let (wide, narrow) = css.split_once("@media (max-width: 40rem) {").unwrap();
    // What is kept on one line on a desk, in a cell that is a card on a telephone, is broken there by a rule that is as specific.
    let rule = "table.stack td { display: block; border: 0; padding: .05rem 0; white-space: normal; overflow-wrap: anywhere; }";
    assert!(narrow.contains(rule), "{narrow}");
    let cells = wide.lines().filter(|line| line.starts_with("td") && line.contains("white-space: nowrap"));
    let cells: Vec<&str> = cells.map(|line| line.split(" {").next().unwrap()).collect();
    assert_eq!(cells, ["td:first-child a:not(:has(code))", "td.n"], "each of them is undone");
    assert!(narrow.contains("table.stack td.n, table.stack td:first-child a { white-space: normal; }"), "{narrow}");
}

#[test]
fn whoever_was_ever_anything_but_compliant_is_drawn_day_by_day_and_the_gravest_are_on_the_index() {
    pages(|view, all| {
        let strips = |page: &str| page.matches("class=\"name mono\"").count();
        let page = &all["controls/ROT-01/index.html"];
        let more: Vec<&String> = all.iter().filter(|(name, _)| name.contains("/members-")).map(|(_, text)| text).collect();
        assert_eq!((strips(page), more.iter().map(|page| strips(page)).sum::<usize>()), (60, MEMBERS - 60));
        for text in &more {
            assert!(text.len() < 400_000, "{} bytes", text.len());
            assert!(text.contains("href=\"decisions/") && !text.contains("href=\"controls/"), "links are from where it is");
        }
        let steps = |word: &str| more.iter().filter(|text| text.contains(word)).count();
        assert_eq!((steps(">Page before<"), steps(">Next page<")), (more.len() - 1, more.len() - 1));
        assert!(page.contains("href=\"members-1.html\"") && page.contains("href=\"members-10.html\""), "{page}");
        let index = &all["index.html"];
        assert_eq!(index.matches("<div class=\"row of\">").count(), 3);
        for member in &view.controls[0].members[..3] {
            let what = format!("aria-label=\"ROT-01, {}\"", member.name);
            let strip = index.split(&what).nth(1).unwrap().split("</div>").next().unwrap();
            assert!(strip.contains("href=\"controls/ROT-01/decisions/") && !strip.contains("<span"), "{strip}");
        }
    });
}
