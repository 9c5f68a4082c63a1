//! The nine questions of an auditor and their answers, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Counts, Lasting, Overlap, Report, no_run, overlaps, subject, unexplained, unseen, why};
use crate::model::assessment::{Status, Tally};
use crate::model::attestation::About;
use crate::model::past::{LogHead, Noted, Serving, TextChange};
use crate::model::period::{Cell, Life, Members, Series};
use crate::report::words::{self, count};
use crate::report::{attestation, population};

/// Lines of one section; what is more is counted, and is in the JSON.
const SHOWN: usize = 40;

/// Said where no run tells anything.
const NO_RUN: &str = "no run began in these days: nothing is known of them";

/// A question and the lines of its answer.
pub(super) type Section = (&'static str, Vec<String>);

/// The report for a terminal.
#[must_use]
pub fn human(report: &Report<'_>) -> String {
    let mut text = String::new();
    let period = report.period;
    let framework = report.framework.map_or_else(String::new, |id| format!(", {id}"));
    let (runs, days) = (count(period.runs.len() as u64, "run"), count(period.days.len() as u64, "day"));
    let come = period.to_come();
    let come = if come == 0 { String::new() } else { format!(", {} to come", count(come as u64, "day")) };
    let _ = writeln!(text, "{} to {} on {}{framework}: {days}, {runs}{come}\n", period.from, period.to, report.branch);
    for series in &period.controls {
        let _ = writeln!(text, "  {:<8} {}  {}", series.control, strip(report, series), Counts::of(report, series).text());
    }
    if !period.controls.is_empty() {
        text.push_str(
            "           . compliant  e excepted  # non-compliant  ? no-evidence  o without a member  - not judged  _ no run\n",
        );
    }
    if !report.signed.is_empty() {
        text.push_str("           s signed by a person  m manual, not signed\n");
    }
    for (title, lines) in sections(report) {
        let _ = writeln!(text, "\n{title}");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    for Noted { code, what } in report.findings {
        let _ = writeln!(text, "error[{code}]: {what}");
    }
    for Noted { what, .. } in report.unproven {
        let _ = writeln!(text, "! unproven    {what}");
    }
    text
}

/// A letter a day; of a long period only its last days.
fn strip(report: &Report<'_>, series: &Series) -> String {
    const WIDE: usize = 92;
    let skipped = series.days.len().saturating_sub(WIDE);
    let dots = if skipped > 0 { "…" } else { "" };
    dots.to_owned()
        + &series
            .days
            .iter()
            .enumerate()
            .skip(skipped)
            .map(|(day, cell)| letter(cell, report.signed(series, day)))
            .collect::<String>()
}

fn letter(cell: &Cell, signed: Option<bool>) -> char {
    match cell {
        Cell::NoRun => '_',
        Cell::NotJudged => '-',
        Cell::Judged { gravest, .. } => match gravest {
            Some(Status::Compliant) => '.',
            Some(Status::Excepted) => 'e',
            Some(Status::NonCompliant) => '#',
            Some(Status::NoEvidence) => match signed {
                Some(true) => 's',
                Some(false) => 'm',
                None => '?',
            },
            Some(Status::NotApplicable) | None => 'o',
        },
    }
}

/// Every question with its answer.
pub(super) fn sections(report: &Report<'_>) -> Vec<Section> {
    vec![
        ("1. Any member, any day", members(report)),
        ("2. The population, its completeness, its change", populations(report)),
        ("3. Deviations, detection, repair, exceptions, days without evidence", deviations(report)),
        ("4. Which text applied, and what the text before would have said", texts(report)),
        ("5. Criteria: controls, manual, gaps", criteria(report)),
        ("6. A sample that can be drawn again", sample(report)),
        ("7. Proof without a network", proof(report)),
        ("8. Who can change collector, policy and store, and did anyone", changes(report)),
        ("9. The life of one secret's rotations", rotations(report)),
    ]
}

/// No more than [`SHOWN`] of `lines`.
fn bounded(mut lines: Vec<String>, one: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    lines.extend((more > 0).then(|| format!("and {}: `--format json` has all", count(more as u64, one))));
    lines
}

fn members(report: &Report<'_>) -> Vec<String> {
    let subjects: usize = report.period.controls.iter().map(|series| series.members.len()).sum();
    let told = format!(
        "{} of {} with every change of what was said, by run and commit: `--format json`",
        count(subjects as u64, "subject"),
        count(report.period.controls.len() as u64, "control")
    );
    vec![
        told,
        "`slm explain <resource|control> --at <day>` judges any of them again, with the digests of what it rests on".to_owned(),
    ]
}

fn populations(report: &Report<'_>) -> Vec<String> {
    if report.period.runs.is_empty() {
        return vec![NO_RUN.to_owned()];
    }
    let mut lines = Vec::new();
    for one in report.period.populations.iter().filter(|one| !one.seen.is_empty()) {
        lines.push(population(report, one));
    }
    let empty = report.period.populations.iter().filter(|one| one.seen.is_empty()).count();
    lines.extend((empty > 0).then(|| format!("{} without a member", count(empty as u64, "population"))));
    let flagged = unexplained(report.period);
    let told = flagged.iter().map(|change| {
        let at = report.period.runs.get(change.run).map(|run| run.at.to_string()).unwrap_or_default();
        let moved = if change.came { "came" } else { "went" };
        format!("! {} of {} {} {moved} by {at}: {}", change.id, change.source, change.scope, why(None))
    });
    lines.extend(bounded(told.collect(), "change"));
    lines
}

fn population(report: &Report<'_>, one: &Members) -> String {
    let sizes = population::sizes(report.period, one);
    let sizes = sizes.map_or_else(|| "no size".to_owned(), |(first, last)| format!("{first} to {last}"));
    let (came, went) = population::moved(&one.changes);
    let reasons = population::reasons(&one.changes);
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let whole = population::completeness(report.period, &one.entity);
    let counted = population::counted(report.period, &one.entity).join("; ");
    format!("{}  {sizes}, {came} came, {went} went{reasons}; {whole}; {counted}", one.entity)
}

fn deviations(report: &Report<'_>) -> Vec<String> {
    let period = report.period;
    let told = |one: &crate::model::deviation::Deviation| {
        format!("{} {}  {}", one.control, subject(&one.subject), Lasting::of(period, one).told(one.before.is_some()))
    };
    let all = period.deviations();
    let mut lines = bounded(all.iter().map(told).collect(), "deviation");
    if period.runs.is_empty() {
        lines.push(NO_RUN.to_owned());
    } else if all.is_empty() {
        lines.push("nothing was seen to be non-compliant".to_owned());
    }
    let waivers = period.waivers().into_iter().map(|(id, one)| {
        let who = report.exceptions.iter().find(|exception| exception.id == id);
        let who = who.map_or_else(
            || "neither the config of the last run nor the run that it decided has its file".to_owned(),
            |who| {
                let times = if who.earlier.is_empty() { String::new() } else { format!(", {} approvals", who.earlier.len() + 1) };
                format!("asked for by {}, by its file approved by {}{times}, until {}", who.requester, who.approver, who.expires)
            },
        );
        format!("exception {id}: {}; {who}", told(&one))
    });
    lines.extend(bounded(waivers.collect(), "exception"));
    let overlapping = overlaps(period).into_iter().map(|Overlap { one, other, from, until }| {
        let until = until.map_or_else(|| "the end".to_owned(), |until| until.to_string());
        format!("exceptions {one} and {other} were in use at once from {from} until {until}")
    });
    lines.extend(bounded(overlapping.collect(), "overlap"));
    let without: Vec<_> = period.days.iter().filter(|day| day.runs.is_empty()).map(|day| day.date.to_string()).collect();
    lines.extend(if period.days.is_empty() {
        None
    } else if without.is_empty() {
        Some("a run on every day".to_owned())
    } else {
        let (some, more) = without.split_at(without.len().min(SHOWN));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        Some(format!("{} without a run: {}{more}", count(without.len() as u64, "day"), some.join(", ")))
    });
    lines.extend(bounded(unseen::lines(report), "set of days"));
    let missed = period.missed.iter().map(|one| {
        let lasted = words::age(one.after, one.before);
        let reason = no_run(one.reason);
        format!("no run from {} until {}, {lasted}, longer than {}: {reason}", one.after, one.before, report.cadence)
    });
    lines.extend(bounded(missed.collect(), "gap"));
    let unfinished =
        period.runs.iter().flat_map(|run| run.unfinished.iter().map(move |what| format!("run {} did not end: {what}", run.id)));
    lines.extend(bounded(unfinished.collect(), "action"));
    lines
}

fn tally(tally: Option<&Tally>) -> String {
    let Some(tally) = tally else { return "no such control".to_owned() };
    let each: Vec<String> = tally.iter().map(|(status, number)| format!("{number} {}", status.word())).collect();
    if each.is_empty() { "no member".to_owned() } else { each.join(", ") }
}

fn texts(report: &Report<'_>) -> Vec<String> {
    if report.period.runs.is_empty() {
        return vec![NO_RUN.to_owned()];
    }
    let mut lines = Vec::new();
    let configs: BTreeSet<&str> = report.period.runs.iter().map(|run| run.config.as_str()).collect();
    lines.push(format!(
        "{} applied; `slm explain <control> --at <day>` shows the rule of a day",
        count(configs.len() as u64, "config")
    ));
    for TextChange { run, before, after, authored, files, otherwise, unseen } in report.texts {
        let at = report.period.runs.get(*run).map(|run| run.at.to_string()).unwrap_or_default();
        let who = authored.as_ref().map_or_else(String::new, |who| format!(": {} by {}", who.subject, who.author));
        lines.push(format!("{at}  {} to {}{who}", short(before), short(after)));
        lines.extend(files.as_ref().map(|files| format!("  changed {}", files.join(", "))));
        for one in otherwise {
            lines.push(format!("  {}: before {}; since {}", one.control, tally(one.before.as_ref()), tally(one.after.as_ref())));
        }
        match unseen {
            Some(Noted { what, .. }) => lines.push(format!("  what the text before would have said: {what}")),
            None if otherwise.is_empty() => lines.push("  the text before would have said the same".to_owned()),
            None => {}
        }
    }
    lines.extend(
        report.removed.iter().map(|id| format!("{id} was judged, and is declared no more: what it said is told all the same")),
    );
    bounded(lines, "line")
}

fn short(config: &str) -> &str {
    let length = if config.starts_with("work-tree-") { 22 } else { 12 };
    &config[..length.min(config.len())]
}

fn criteria(report: &Report<'_>) -> Vec<String> {
    if report.serving.is_empty() {
        return vec!["not known without the config of the last run".to_owned()];
    }
    if report.framework.is_some() {
        return report.serving.iter().map(criterion).collect();
    }
    let mut frameworks: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for one in report.serving {
        let [all, manual, gaps, unsigned] = frameworks.entry(one.framework.as_str()).or_default();
        *all += 1;
        *manual += usize::from(one.signature.is_some());
        *gaps += usize::from(one.is_gap());
        *unsigned += usize::from(one.is_unsigned());
    }
    let told = |(id, [all, manual, gaps, unsigned]): (&str, [usize; 4])| {
        let all = if all == 1 { "1 criterion".to_owned() } else { format!("{all} criteria") };
        let manual = if manual > 0 { format!(", {manual} manual") } else { String::new() };
        let unsigned = if unsigned > 0 { format!(", {unsigned} waiting for a signature") } else { String::new() };
        format!("{id}  {all}{manual}, {gaps} without a control{unsigned}; `--framework {id}` lists them")
    };
    frameworks.into_iter().map(told).collect()
}

/// A criterion: what judges it, what people state and whether they signed, or that it is a gap.
fn criterion(one: &Serving) -> String {
    let list = |word: &str, ids: &[crate::model::id::ControlId]| {
        let ids: Vec<&str> = ids.iter().map(crate::model::id::ControlId::as_str).collect();
        (!ids.is_empty()).then(|| format!("{word}{}", ids.join(" ")))
    };
    let signature = |id: &crate::model::id::ControlId| {
        one.signatures.iter().find(|manual| matches!(&manual.about, About::Control(of) if of == id))
    };
    let stated: Vec<String> = one
        .stated
        .iter()
        .map(|id| match signature(id) {
            Some(manual) => format!("{id} ({})", attestation::words(&manual.state)),
            None => id.to_string(),
        })
        .collect();
    let parts = [
        one.signature.as_ref().map(attestation::words),
        one.is_gap().then(|| "GAP".to_owned()),
        list("", &one.judged),
        (!stated.is_empty()).then(|| format!("stated by people: {}", stated.join(", "))),
        list("waits for a collector: ", &one.waiting),
        list("declared no more: ", &one.removed),
    ];
    format!("{}:{} {}  {}", one.framework, one.criterion, one.title, parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

fn sample(report: &Report<'_>) -> Vec<String> {
    let members: usize = report.period.controls.iter().map(|series| series.members.len()).sum();
    let draw = format!("slm sample --control <id> --n 25 --nonce <word> --from {} --to {}", report.period.from, report.period.to);
    vec![format!(
        "`{draw}` draws from the {} of 1 by a word of the auditor's; again, it draws the same",
        count(members as u64, "member")
    )]
}

fn proof(report: &Report<'_>) -> Vec<String> {
    if report.period.runs.is_empty() {
        return vec![NO_RUN.to_owned()];
    }
    let Some(LogHead { origin, size, root, received, commit, .. }) = report.head else {
        return vec!["the locker had no log by the last run: nothing of it is proven".to_owned()];
    };
    vec![
        format!("log {origin}: {size} entries, root {root}, received {received}, in {}", short(commit)),
        "`slm verify` checks all of it from a clone, and docs/verify.md does so without slm".to_owned(),
    ]
}

fn changes(report: &Report<'_>) -> Vec<String> {
    let runs = &report.period.runs;
    let versions: BTreeSet<&str> = runs.iter().map(|run| run.slm.as_str()).collect();
    let verbs: BTreeSet<&str> = runs.iter().map(|run| run.verb.as_str()).collect();
    let list = |all: &BTreeSet<&str>| all.iter().copied().collect::<Vec<_>>().join(", ");
    if runs.is_empty() {
        return vec![NO_RUN.to_owned()];
    }
    let mut lines = vec![format!("collector: slm {}, as {}", list(&versions), list(&verbs))];
    let mut callers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (source, caller) in runs.iter().flat_map(|run| &run.callers) {
        callers.entry(source).or_default().insert(caller.as_deref().unwrap_or("nobody that the source names"));
    }
    lines.extend(bounded(callers.iter().map(|(source, who)| format!("read {source} as {}", list(who))).collect(), "source"));
    let authors: BTreeSet<&str> =
        report.texts.iter().filter_map(|text| text.authored.as_ref()).map(|who| who.author.as_str()).collect();
    let times = count(report.texts.len() as u64, "time");
    lines.push(if report.texts.is_empty() {
        "policy: not changed".to_owned()
    } else {
        format!(
            "policy: changed {times}, by {}",
            if authors.is_empty() { "nobody whose commit is here".to_owned() } else { list(&authors) }
        )
    });
    let keys = report.head.map_or(0, |head| head.keys.len());
    lines.push(format!(
        "store: {} of the log to the end; who may write branches is judged by controls over `GitHub::Repo` and `Git::Repo`",
        count(keys as u64, "key")
    ));
    lines.extend(crate::report::segregation::lines(report.segregation).lines().map(str::to_owned));
    lines
}

fn rotations(report: &Report<'_>) -> Vec<String> {
    let lives = &report.period.rotations;
    let line = |(place, life): (usize, &Life)| {
        let text = |name: &str| life.told[name].as_str();
        let told =
            ["made", "promoted", "disabled", "refused", "done"].iter().filter_map(|name| Some(format!("{name} {}", text(name)?)));
        let next = lives.get(place + 1).filter(|next| next.credential == life.credential);
        let way = next.and_then(|next| Some(format!("gave way to {} {}", next.version, life.gave_way(next)?)));
        format!("{} {}  {}", life.credential, life.version, told.chain(way).collect::<Vec<_>>().join(", "))
    };
    let lines: Vec<String> = lives.iter().enumerate().map(line).collect();
    if report.period.runs.is_empty() {
        vec![NO_RUN.to_owned()]
    } else if lines.is_empty() {
        vec!["no version that slm made or ended is recorded; values that people rotate by hand are not followed".to_owned()]
    } else {
        bounded(lines, "version")
    }
}
