//! The report of drift for a terminal and as markdown: first what changed and whether somebody must act, then the rest.

use std::fmt::Write as _;

use super::{against, next, span};
use crate::model::drift::{Breach, Drift, Ending, Failed, Finding, Gone, HalfDone, Seen, Share, Stale};
use crate::model::standing::Phase;
use crate::model::time::Timestamp;
use crate::report::words::{age, count};

/// Lines of one section; what is more is counted, and is in the JSON.
const SHOWN: usize = 20;

/// A title and its lines.
type Section = (&'static str, Vec<String>);

/// What changed, and whether the reader must act. What was not seen is in one of the two.
#[must_use]
pub fn headline(drift: &Drift) -> (String, String) {
    let (new, gone, open) = (drift.new.len(), drift.resolved.len(), drift.open.len());
    let what = match &drift.before {
        Some(before) => {
            format!("+{new} new, -{gone} resolved, ={open} open since {}, {} ago.", before.at, age(before.at, drift.at))
        }
        None => format!("{} open; there is no report before this one.", count((new + open) as u64, "finding")),
    };
    let must = drift.must();
    let unseen = not_seen(drift);
    let act = match (must.is_empty(), unseen.is_empty()) {
        (false, true) => format!("You must act: {}.", must.join(", ")),
        (false, false) => format!("You must act: {}. NOT SEEN: {}.", must.join(", "), unseen.join(", ")),
        (true, false) => format!("NOT SEEN: {}; what is there may not be fine.", unseen.join(", ")),
        (true, true) if new + open > 0 => format!("Nothing must be done today; {} open.", count((new + open) as u64, "finding")),
        (true, true) => "Nothing must be done: everything in scope was seen, and no finding is open.".to_owned(),
    };
    (what, act)
}

/// What is not known, a clause each.
fn not_seen(drift: &Drift) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(silent) = drift.silent {
        all.push(format!("no run for {}", span(silent)));
    }
    let sources: std::collections::BTreeSet<&str> = drift.unseen.iter().map(|blind| blind.source.as_str()).collect();
    match sources.iter().next() {
        Some(one) if sources.len() == 1 => all.push(format!("source {one}")),
        Some(one) => all.push(format!("{} sources, {one} among them", sources.len())),
        None => {}
    }
    let numbers = [
        (drift.unseen_rotations.len(), "rotation"),
        (drift.stale.len(), "control with stale evidence"),
        (drift.lost.len(), "earlier finding"),
        (drift.notes.len(), "part of this report"),
    ];
    for (number, one) in numbers.into_iter().filter(|(number, _)| *number > 0) {
        let many = match one {
            "control with stale evidence" => "controls with stale evidence".to_owned(),
            "part of this report" => "parts of this report".to_owned(),
            one => format!("{one}s"),
        };
        all.push(format!("{number} {}", if number == 1 { one } else { &many }));
    }
    all
}

/// The report for a terminal.
#[must_use]
pub fn human(drift: &Drift) -> String {
    let (what, act) = headline(drift);
    let mut text = format!("{what}\n{act}\n");
    for (title, lines) in sections(drift) {
        let _ = writeln!(text, "\n{title}");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// The report as GitHub-flavoured markdown.
#[must_use]
pub fn markdown(drift: &Drift) -> String {
    let (what, act) = headline(drift);
    let mut text = format!("**{}**\n\n**{}**\n", plain(&what), plain(&act));
    for (title, lines) in sections(drift) {
        let _ = writeln!(text, "\n#### {}\n", plain(title));
        for line in lines {
            let _ = writeln!(text, "- {}", plain(&line));
        }
    }
    text
}

/// `text` as markdown takes it for itself: nothing in it is a tag, a link, a mention or emphasis. What stands in backticks stays code.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut code = false;
    // Of single backticks each second one ends what the one before began; of longer runs only markdown knows.
    let even = text.matches('`').count().is_multiple_of(2) && !text.contains("``");
    for letter in text.chars() {
        match letter {
            '`' if even => {
                code = !code;
                out.push('`');
            }
            letter if letter.is_control() => out.push(' '),
            letter if code => out.push(letter),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            ':' => out.push_str("&#58;"),
            letter if "*_[]()~|!`\\".contains(letter) => {
                out.push('\\');
                out.push(letter);
            }
            letter => out.push(letter),
        }
    }
    out
}

/// Every section that has something to say.
fn sections(drift: &Drift) -> Vec<Section> {
    let now = drift.at;
    let all: Vec<Section> = vec![
        ("The evidence does not hold", bounded(&drift.broken, |why| format!("{why}; next `slm verify`"))),
        ("New", bounded(&drift.new, |one| finding(one, now))),
        ("Resolved", bounded(&drift.resolved, |one| gone(one, ""))),
        ("Not known any more", bounded(&drift.lost, |one| gone(one, "; next `slm status`"))),
        ("Top, by severity and by how long overdue", bounded(&drift.findings(), |one| finding(one, now))),
        ("Rotations that did not end", bounded(&drift.failed, failed)),
        ("Rotations half done", bounded(&drift.half_done, |one| half_done(one, now))),
        ("Breaches ahead", ahead(drift)),
        (
            "Sources that were not seen whole",
            bounded(&drift.unseen, |one| {
                format!("{} {} {}: {}; next `slm status`", one.source, one.collector, one.scope, one.detail)
            }),
        ),
        ("Credentials whose rotation was not seen", bounded(&drift.unseen_rotations, |id| format!("{id}; next `slm status`"))),
        ("Stale evidence", bounded(&drift.stale, |one| stale(one, now))),
        ("Exceptions that end", bounded(&drift.exceptions, |one| ending(one, now))),
        ("Credentials that nobody declared", unmanaged(drift)),
        ("Coverage", coverage(drift)),
        ("Age of what is known", bounded(&drift.sources, |one| source(one, now))),
        ("Not looked at", drift.notes.clone()),
    ];
    all.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

fn bounded<T>(items: &[T], line: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<String> = items.iter().take(SHOWN).map(line).collect();
    let more = items.len().saturating_sub(SHOWN);
    lines.extend((more > 0).then(|| format!("and {more} more: `--format json` has all")));
    lines
}

/// A finding with its owner, its age against the limit and what to do.
fn finding(one: &Finding, now: Timestamp) -> String {
    let severity = severity(one.severity);
    let (identity, owner) = (&one.identity, &one.owner);
    let (status, age, next) = (identity.status.word(), against(one, now), next(&one.next));
    format!("{severity:<8} {} {}  {status}, {age}; owner {owner}; next {next}", identity.control, identity.resource)
}

/// The word for a severity.
pub(crate) const fn severity(severity: crate::model::catalog::Severity) -> &'static str {
    use crate::model::catalog::Severity;
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

fn gone(one: &Gone, next: &str) -> String {
    format!(
        "{} {}  was {}, now: {}; owner {}{next}",
        one.identity.control,
        one.identity.resource,
        one.identity.status.word(),
        one.now,
        one.owner
    )
}

fn failed(one: &Failed) -> String {
    format!("{}  {}: {}; owner {}; next {}", one.credential, one.how, one.why, one.owner, next(&one.next))
}

/// How far a rotation is.
pub(crate) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Prepared => "a new value is kept and not in force",
        Phase::Spent => "no attempt at a new value is left",
        Phase::Rotating => "its store rotates it",
        Phase::Stuck => "its store has not finished in time",
        Phase::Delivering => "a consumer does not run the version in force",
        Phase::Retiring => "the value before waits to be unused",
        Phase::Soaking => "the value before is disabled and waits to be deleted",
        Phase::Staged => "the next of several values is to come",
        Phase::Returning => "the value before comes back",
        _ => "not begun",
    }
}

fn half_done(one: &HalfDone, now: Timestamp) -> String {
    let since = one.since.map_or_else(|| "since when is not known".to_owned(), |since| format!("for {}", age(since, now)));
    let late = if one.late { ", nothing planned explains it" } else { "" };
    format!("{}  {}, {since}{late}; owner {}; next {}", one.credential, phase(one.phase), one.owner, next(&one.next))
}

fn ahead(drift: &Drift) -> Vec<String> {
    if drift.breaches.is_empty() {
        return Vec::new();
    }
    let mut lines =
        vec![format!("{} within 7 days, {} within 14, {} within 30", drift.within(7), drift.within(14), drift.within(30))];
    lines.extend(bounded(&drift.breaches, |one| breach(one, drift.at)));
    lines
}

fn breach(one: &Breach, now: Timestamp) -> String {
    let by = match one.managed {
        true => "slm rotates it before".to_owned(),
        false => format!("nothing is planned; next `slm explain {}`", super::quoted(&one.resource)),
    };
    format!("in {:<4} {} {} {}; owner {}; {by}", age(now, one.at), severity(one.severity), one.control, one.resource, one.owner)
}

fn stale(one: &Stale, now: Timestamp) -> String {
    format!("{}  taken {} ago, may be {} old; owner {}; next `slm apply`", one.control, age(one.taken, now), one.limit, one.owner)
}

fn ending(one: &Ending, now: Timestamp) -> String {
    let when = if one.in_use {
        format!("lapsed {} ago and is still needed", age(one.expires, now))
    } else {
        format!("ends in {}", age(now, one.expires))
    };
    let next = "meet it, or have it approved again";
    format!(
        "{}  {when}: {} for {}; owner {}; asked for by {}; next {next}",
        one.id, one.control, one.resource, one.owner, one.requester
    )
}

fn unmanaged(drift: &Drift) -> Vec<String> {
    let names = &drift.unmanaged.names;
    if names.is_empty() {
        return Vec::new();
    }
    let mut lines =
        vec![format!("{} of {}; `slm adopt` takes one under management", names.len(), count(drift.unmanaged.seen, "secret"))];
    lines.extend(bounded(names, Clone::clone));
    lines
}

/// `199 of 200 (99%)`.
#[must_use]
pub(crate) fn share(share: Share) -> String {
    if share.whole == 0 { "none".to_owned() } else { format!("{} of {} ({}%)", share.part, share.whole, share.percent()) }
}

/// The numbers with their denominators.
pub(crate) fn coverage(drift: &Drift) -> Vec<String> {
    let of = &drift.coverage;
    let mut lines = vec![
        format!("decisions met or lifted: {}", share(of.compliant)),
        format!("controls with evidence for everything in them: {}", share(of.evidenced)),
        format!("secrets under management: {}", share(of.managed)),
    ];
    lines.extend(of.criteria.iter().map(|(framework, part)| format!("criteria of {framework} with a control: {}", share(*part))));
    lines
}

fn source(one: &Seen, now: Timestamp) -> String {
    let whole = if one.whole { "" } else { ", NOT seen whole" };
    format!("{} {} {}: {} old{whole}", one.source, one.collector, one.scope, age(one.as_of, now))
}
