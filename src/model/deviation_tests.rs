//! When something did not hold, and what ended it.

use std::collections::BTreeMap;

use super::*;
use crate::model::period::{Change, Members, Open};
use crate::model::snapshot::{Completeness, Unseen};

pub(crate) const GOOD: Status = Status::Compliant;
pub(crate) const BAD: Status = Status::NonCompliant;

fn at(run: usize) -> Timestamp {
    Timestamp::from_second(i64::try_from(run).unwrap() * 86_400).unwrap()
}

fn seen(source: &str, whole: bool) -> Seen {
    let part = Completeness::Incomplete { cause: Unseen::Denied, detail: String::new() };
    let completeness = if whole { Completeness::Complete } else { part };
    Seen { entity: "A".into(), source: source.into(), scope: ".".to_owned(), completeness, members: 0 }
}

pub(crate) fn span(from: At, until: At, status: Status) -> Span {
    Span { from, until, status, because: Because::NothingPermits }
}

fn lifted(from: At, until: At, id: &str) -> Span {
    Span { from, until, status: Status::Excepted, because: Because::Exception(id.into()) }
}

/// A period of one run for each of `whole`, which says whether it saw all of the one source, and of one member.
pub(crate) fn period(whole: &[bool], open: Option<Open>, spans: Vec<Span>) -> Period {
    let run = |(number, whole): (usize, &bool)| RunNote {
        id: format!("r{number}").into(),
        at: at(number),
        judged: None,
        received: Timestamp::UNIX_EPOCH,
        commit: String::new(),
        path: String::new(),
        verb: "apply".to_owned(),
        slm: String::new(),
        config: String::new(),
        callers: BTreeMap::new(),
        seen: vec![seen("s", *whole)],
        reconciled: Vec::new(),
        unfinished: Vec::new(),
    };
    let subject = Subject::Resource { entity: "A".into(), id: "x".into() };
    let members = vec![Member { subject, before: None, open, spans }];
    Period {
        from: "1970-01-01".parse().unwrap(),
        to: "1970-01-10".parse().unwrap(),
        runs: whole.iter().enumerate().map(run).collect(),
        days: Vec::new(),
        late: Vec::new(),
        missed: Vec::new(),
        controls: vec![Series { control: "C-1".into(), path: String::new(), days: Vec::new(), members }],
        populations: Vec::new(),
        rotations: Vec::new(),
    }
}

type Told = (At, Option<(At, Ending)>, Option<At>);

fn told(period: &Period) -> Vec<Told> {
    period.deviations().into_iter().map(|one| (one.detected, one.ended, one.unseen)).collect()
}

#[test]
fn a_deviation_lasts_until_it_is_seen_otherwise_whatever_its_reason_meanwhile() {
    let forbidden = Span { because: Because::Forbidden(vec!["r".into()]), ..span(2, 3, BAD) };
    let spans = vec![span(0, 2, BAD), forbidden, span(3, 5, GOOD), span(6, 8, BAD)];
    let period = period(&[true; 8], None, spans);
    assert_eq!(told(&period), [(0, Some((3, Ending::Became(GOOD))), None), (6, None, None)]);
    let first = &period.deviations()[0];
    assert_eq!((first.since(&period), first.until(&period), first.is_open()), (at(0), Some(at(3)), false));
}

#[test]
fn a_run_that_was_denied_a_look_ends_no_deviation() {
    let denied = [true, false, true];
    let again = period(&denied, None, vec![span(0, 1, BAD), span(2, 3, BAD)]);
    assert_eq!(told(&again), [(0, None, None)], "one deviation, and not two");
    let repaired = period(&denied, None, vec![span(0, 1, BAD), span(2, 3, GOOD)]);
    assert_eq!(told(&repaired), [(0, Some((2, Ending::Became(GOOD))), None)], "it was repaired when that was seen");
    let ends = period(&[true, false, false], None, vec![span(0, 1, BAD)]);
    assert_eq!(told(&ends), [(0, None, Some(1))], "it is open, and since when nobody saw it is told");
    let unknown = period(&[true; 4], None, vec![span(0, 1, BAD), span(1, 3, Status::NoEvidence), span(3, 4, GOOD)]);
    assert_eq!(told(&unknown), [(0, Some((3, Ending::Became(GOOD))), None)]);
    let last = period(&[true; 3], None, vec![span(0, 1, BAD), span(1, 3, Status::NoEvidence)]);
    assert_eq!(told(&last), [(0, None, Some(1))]);
}

#[test]
fn an_exception_and_a_scope_without_it_end_a_deviation_under_their_own_names() {
    for (status, word) in [(Status::Excepted, "excepted since"), (Status::NotApplicable, "out of scope since"), (GOOD, "fixed")] {
        let period = period(&[true; 2], None, vec![span(0, 1, BAD), span(1, 2, status)]);
        assert_eq!(told(&period), [(0, Some((1, Ending::Became(status))), None)]);
        assert_eq!(Ending::Became(status).word(), word);
    }
}

#[test]
fn what_is_not_there_when_its_population_is_seen_whole_is_gone() {
    let gone = period(&[true, false, true, true], None, vec![span(0, 1, BAD)]);
    assert_eq!(told(&gone), [(0, Some((2, Ending::Gone)), None)]);
    let back = period(&[true; 3], None, vec![span(0, 1, BAD), span(2, 3, BAD)]);
    assert_eq!(told(&back), [(0, Some((1, Ending::Gone)), None), (2, None, None)], "who comes again is another deviation");
}

#[test]
fn where_it_was_is_what_must_be_seen_whole_and_a_control_that_nobody_judges_any_more_repairs_nothing() {
    let mut period = period(&[true; 3], None, vec![span(0, 1, BAD)]);
    let presence = |spans| Presence { source: "s".into(), scope: ".".to_owned(), id: "x".into(), spans };
    let there = |spans| Members {
        entity: "A".into(),
        path: String::new(),
        sizes: Vec::new(),
        seen: vec![presence(spans)],
        changes: Vec::new(),
    };
    period.populations = vec![there(vec![(0, 3)])];
    assert_eq!(told(&period), [(0, None, Some(1))], "it is there, and its control was not judged");
    period.populations = vec![there(vec![(0, 1)])];
    period.runs.iter_mut().for_each(|run| run.seen.push(seen("other", false)));
    assert_eq!(told(&period), [(0, Some((1, Ending::Gone)), None)], "another source need not be seen for that");
    period.runs.iter_mut().for_each(|run| drop(run.seen.remove(0)));
    assert_eq!(told(&period), [(0, None, Some(1))], "a source that the config leaves out is not seen");
}

#[test]
fn what_was_so_before_the_period_is_told_from_its_beginning() {
    let since = at(0).checked_sub(jiff::SignedDuration::from_hours(67 * 24)).unwrap();
    let open = || Some(Open { exception: None, since, place: None });
    let lasting = period(&[true; 2], open(), vec![span(0, 1, BAD), span(1, 2, GOOD)]);
    let one = &lasting.deviations()[0];
    assert_eq!((one.detected, one.since(&lasting), one.until(&lasting)), (0, since, Some(at(1))));
    let blind = period(&[false; 2], open(), Vec::new());
    let one = &blind.deviations()[0];
    assert_eq!((one.before, one.ended, one.unseen), (Some(since), None, Some(0)), "a period in which nobody saw it");
    let good = period(&[true; 2], open(), vec![span(0, 2, GOOD)]);
    assert_eq!(told(&good), [(0, Some((0, Ending::Became(GOOD))), None)]);
}

#[test]
fn what_was_there_before_the_period_alone_is_gone_when_its_own_source_is_seen_whole() {
    let open =
        |place: Option<&str>| Open { exception: None, since: at(0), place: place.map(|source| (source.into(), ".".to_owned())) };
    let with = |place, went: bool| {
        let mut period = period(&[true], Some(open(place)), Vec::new());
        period.runs[0].seen.push(seen("other", false));
        let (source, scope, id) = ("s".into(), ".".to_owned(), "x".into());
        let went = went.then(|| Change { run: 0, source, scope, id, came: false, explained: None });
        let (path, changes) = (String::new(), went.into_iter().collect());
        period.populations = vec![Members { entity: "A".into(), path, sizes: Vec::new(), seen: Vec::new(), changes }];
        told(&period)
    };
    let gone = [(0, Some((0, Ending::Gone)), None)];
    assert_eq!((with(Some("s"), false), with(None, true)), (gone.to_vec(), gone.to_vec()));
    assert_eq!(with(Some("other"), false), [(0, None, Some(0))]);
    assert_eq!(with(None, false), [(0, None, Some(0))], "where nobody knows where it was, all must be seen");
}

#[test]
fn a_waiver_is_told_by_its_exception() {
    let spans = vec![lifted(0, 1, "a"), lifted(1, 3, "b")];
    let told = |whole: &[bool]| {
        let waivers = period(whole, None, spans.clone()).waivers();
        waivers.into_iter().map(|(id, one)| (id.to_string(), one.detected, one.ended, one.unseen)).collect::<Vec<_>>()
    };
    let a = ("a".to_owned(), 0, Some((1, Ending::Became(Status::Excepted))), None);
    assert_eq!(told(&[true; 4]), [a.clone(), ("b".to_owned(), 1, Some((3, Ending::Gone)), None)]);
    assert_eq!(told(&[true, true, true, false]), [a, ("b".to_owned(), 1, None, Some(3))]);
}
