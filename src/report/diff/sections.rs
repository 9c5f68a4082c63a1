//! The sections of a difference, line by line.

use super::lines::{Line, Section, at_most};
use crate::model::assessment::Status;
use crate::model::difference::{
    Consequences, ControlChange, CredentialChange, CriterionChange, Difference, DueChange, Edit, Example, ExceptionChange, Fate,
    Flip, GuardChange, Guarded, Means, Proof, Replay, Replayed, Step, StepChange,
};
use crate::model::past::Noted;
use crate::model::time::Timestamp;
use crate::report::words::{self, count, second};

/// Lines of a list; what is more is counted, and is in the JSON.
const SHOWN: usize = 20;
/// What is said where nothing follows.
pub(super) const SAME_PLAN: &str = "both plan the same";

/// Every section that has something to say.
pub(super) fn all(difference: &Difference) -> Vec<Section> {
    let Difference { controls, settings, credentials, exceptions, guards, consequences, replay, unseen, .. } = difference;
    let mut sections = vec![
        Section { title: "Controls", lines: controls.iter().map(control).collect() },
        Section { title: "Guards", lines: guards.iter().map(guard).collect() },
        Section { title: "Exceptions", lines: exceptions.iter().map(exception).collect() },
        Section { title: "Settings", lines: settings.iter().map(edit).collect() },
        Section { title: "Credentials", lines: credentials.iter().map(credential).collect() },
        Section { title: "Criteria", lines: criteria(&difference.criteria_lost, &difference.criteria_gained) },
        Section { title: "What follows", lines: consequences.as_ref().map(follows).unwrap_or_default() },
        Section { title: "Recorded days", lines: replay.as_ref().map(days).unwrap_or_default() },
        Section { title: "Not seen", lines: unseen.iter().map(|Noted { what, .. }| Line::theirs_first(what)).collect() },
    ];
    sections.retain(|section| !section.lines.is_empty());
    sections
}

fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Added => "added",
        Fate::Removed => "removed",
        Fate::Changed => "changed",
    }
}

fn control(one: &ControlChange) -> Line {
    let word = if one.fate == Fate::Changed { one.way.word() } else { fate(one.fate) };
    let line = Line::theirs_first(&one.control).ours(format!("  {word}  ")).theirs(&one.title);
    line.with(one.proof.iter().flat_map(proof)).with(one.edits.iter().map(edit))
}

/// What rules allow, and what shows it.
fn proof(proof: &Proof) -> Vec<Line> {
    let Proof { way, means, newly_allowed, newly_denied } = proof;
    let first = match means {
        Means::SamePolicies => Line::new("rules equal: the same policies in another form"),
        Means::Dates => Line::new(format!("rules {}: only exceptions are other, by their dates", way.word())),
        Means::Solver => Line::new(format!("rules {}: proved for everything that the schema allows", way.word())),
        Means::Unproved(why) => Line::new("rules not proved: ").theirs(why),
    };
    let example = |word: &str, one: &Example| {
        let line = Line::new(format!("{word}: ")).theirs(&one.resource);
        one.facts.iter().fold(line, |line, (name, value)| line.ours(" ").theirs(format!("{name} = {value}")))
    };
    let more = newly_allowed.iter().map(|one| example("met now and not before", one));
    let less = newly_denied.iter().map(|one| example("met before and not now", one));
    [first].into_iter().chain(more).chain(less).collect()
}

fn edit(edit: &Edit) -> Line {
    let Edit { what, before, after, way } = edit;
    let line = Line::theirs_first(what);
    let line = match (before, after) {
        (Some(before), Some(after)) => line.ours(" ").theirs(before).ours(" -> ").theirs(after),
        (Some(before), None) => line.ours(" without ").theirs(before),
        (None, Some(after)) => line.ours(" with ").theirs(after),
        (None, None) => line.ours(" is another"),
    };
    line.ours(way.map_or_else(String::new, |way| format!("  {}", way.word())))
}

fn guard(one: &GuardChange) -> Line {
    let line = Line::theirs_first(&one.action).ours(format!("  {}", one.proof.way.word()));
    let permits = one.permits.iter().map(|asked| guarded("permits now, held before: ", asked)).collect();
    let holds = one.holds.iter().map(|asked| guarded("holds now, permitted before: ", asked)).collect();
    line.with(proof(&one.proof)).with(at_most(SHOWN, permits)).with(at_most(SHOWN, holds))
}

fn guarded(word: &str, one: &Guarded) -> Line {
    let Guarded { credential, incomplete, share: (from, to), rules, planned } = one;
    let share = if from == to { format!(" at a share of {from} %") } else { format!(" at shares of {from} to {to} %") };
    let unseen = if *incomplete { ", its store not seen whole" } else { "" };
    let planned = if *planned { ", which the last plan had" } else { "" };
    Line::new(word).theirs(credential).ours(format!("{share}{unseen}{planned}, by ")).list(rules)
}

fn exception(one: &ExceptionChange) -> Line {
    let ExceptionChange { exception, control, resource, fate: is, way, before, after, approver, edits } = one;
    let line = Line::theirs_first(exception).ours(format!("  {}, {}  lifts ", fate(*is), way.word()));
    let line = line.theirs(control).ours(" for ").theirs(resource);
    let line = match (before, after) {
        (Some((_, before)), Some((_, after))) if before != after => {
            line.ours(format!(", until {} and not {}", second(*after), second(*before)))
        }
        (_, Some((_, until))) => line.ours(format!(", until {}", second(*until))),
        (Some((_, until)), None) => line.ours(format!(", which it did until {}", second(*until))),
        (None, None) => line,
    };
    line.ours(", approved by ").theirs(approver).with(edits.iter().map(edit))
}

fn credential(one: &CredentialChange) -> Line {
    let line = Line::theirs_first(&one.credential).ours(format!("  {}", fate(one.fate)));
    line.with(one.edits.iter().map(edit))
}

fn criteria(lost: &[CriterionChange], gained: &[CriterionChange]) -> Vec<Line> {
    let name =
        |one: &CriterionChange| Line::theirs_first(format!("{}:{}", one.framework, one.criterion)).ours(" ").theirs(&one.title);
    let lost = lost.iter().map(|one| name(one).ours("  no control answers for it any more; did ").list(&one.before));
    let gained = gained.iter().map(|one| name(one).ours("  answered for now by ").list(&one.after));
    lost.chain(gained).collect()
}

/// What both texts plan.
fn follows(one: &Consequences) -> Vec<Line> {
    let Consequences { run, at, due: when, steps, consumers, restarts, spared } = one;
    let mut lines = vec![Line::new("of what run ").theirs(run).ours(format!(" saw, as of {}", second(*at)))];
    lines.extend(at_most(SHOWN, when.iter().map(due).collect()));
    lines.extend(at_most(SHOWN, steps.iter().map(|one| step(one, *at)).collect()));
    let brought = consumers
        .iter()
        .map(|(credential, consumer)| Line::theirs_first(consumer).ours(" gets a new value of ").theirs(credential));
    lines.extend(at_most(SHOWN, brought.collect()));
    lines.extend(at_most(SHOWN, restarts.iter().map(|one| Line::theirs_first(one).ours(" restarts")).collect()));
    lines.extend(at_most(SHOWN, spared.iter().map(|one| Line::theirs_first(one).ours(" does not restart any more")).collect()));
    if lines.len() == 1 {
        lines.push(Line::new(SAME_PLAN));
    }
    lines
}

fn due(one: &DueChange) -> Line {
    let DueChange { credential, before, after, newly_due } = one;
    let at = |due: &Option<Timestamp>| due.map_or_else(|| "not known".to_owned(), second);
    let now = if *newly_due { "  due now" } else { "" };
    Line::new("rotation of ").theirs(credential).ours(format!(" due {} -> {}{now}", at(before), at(after)))
}

fn step(one: &StepChange, at: Timestamp) -> Line {
    let StepChange { kind, reason, before, after } = one;
    let (verb, object) = words::action(kind);
    let line = Line::new(format!("{verb} ")).theirs(object);
    let line = match (before, after) {
        (None, Some(Step::Planned)) => line.ours(" is planned now: "),
        (None, Some(Step::Held(_))) => line.ours(" is due now and held: "),
        (Some(_), None) => line.ours(" is not due any more: it was for "),
        (Some(Step::Held(_)), Some(Step::Planned)) => line.ours(" was held and is planned now: "),
        (Some(Step::Planned), Some(Step::Held(_))) => line.ours(" was planned and is held now: "),
        _ => line.ours(" is held for another reason: "),
    };
    let line = line.theirs(words::reason(reason, at));
    match after {
        Some(Step::Held(because)) => line.ours("; ").theirs(words::held(because)),
        _ => line,
    }
}

/// What recorded days would have read.
fn days(replay: &Replay) -> Vec<Line> {
    let Replay { from, to, days, days_without_run, unknown, judged, controls, effort: _ } = replay;
    let without = if *days_without_run > 0 {
        format!(", nothing is known of {} without a run", count(*days_without_run, "day"))
    } else {
        String::new()
    };
    let control = count(judged.len() as u64, "control");
    let when = if from == to { format!("on {from}") } else { format!("from {from} to {to}") };
    let mut lines = vec![Line::new(format!("{control} judged under both texts for {} {when}{without}", count(*days, "day")))];
    if !unknown.is_empty() {
        lines.push(Line::new("not known is what would have been seen of ").list(unknown));
    }
    if controls.is_empty() {
        lines.push(Line::new("every day reads the same"));
    }
    lines.extend(controls.iter().map(replayed));
    lines
}

fn replayed(one: &Replayed) -> Line {
    let Replayed { control, flips, days } = one;
    let line = Line::theirs_first(control).ours(format!(
        "  {} in the last run, {} read differently",
        count(flips.len() as u64, "other verdict"),
        count(days.len() as u64, "day")
    ));
    let most = days.iter().max_by_key(|(_, number)| *number);
    let span = days.first().zip(days.last()).zip(most).map(|(((first, _), (last, _)), (day, number))| {
        let verdicts = count(*number, "verdict");
        Line::new(if first == last {
            format!("{verdicts} on {first}")
        } else {
            format!("days from {first} to {last}; {verdicts} on {day}, the most")
        })
    });
    line.with(at_most(SHOWN, flips.iter().map(flip).collect())).with(span)
}

fn flip(one: &Flip) -> Line {
    let Flip { entity, resource, before, after } = one;
    let word = |status: &Option<Status>| status.map_or("not judged", Status::word);
    let line = match resource {
        Some(id) => Line::theirs_first(id),
        None => Line::new("all ").theirs(entity),
    };
    line.ours(format!("  {} -> {}", word(before), word(after)))
}
