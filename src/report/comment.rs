//! The one comment on a pull request: what it proposes, folded by control, never longer than GitHub takes, and nothing in it but text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::markdown::{code, html, prose, spans};
use super::{outlook, words};
use crate::model::assessment::Status;
use crate::model::id::ControlId;
use crate::model::plan::{Action, ActionKind, Plan};
use crate::model::proposal::{Change, Complaint, Proposal, Sight};

/// What GitHub takes as a comment: 65,536 characters. Bytes are counted, which are never fewer.
pub const LIMIT: usize = 65_536;
/// Lines of one section; the rest is in the artefact.
const LINES: usize = 40;
/// The verdict of a part that has none.
pub const TOLD: &str = "told below";
/// What stands first in a comment of slm, and before the environment.
const MARK: &str = "<!-- slm:plan:";
/// What stands before the digest that an approval of it approves.
const DIGEST: &str = "<!-- slm:digest:";

/// What is told beside the proposal.
pub struct About<'a> {
    /// SHA-256 of the artefact, when an approval of the pull request is one of it.
    pub digest: Option<&'a str>,
    /// Where the whole artefact is to be had.
    pub link: &'a str,
}

/// The first line of the comment of `environment`, by which it is found again.
#[must_use]
pub fn marker(environment: &str) -> String {
    format!("{MARK}{environment} -->")
}

/// The digest and the commit that the comment `body` of `environment` asks to approve.
#[must_use]
pub fn asks(body: &str, environment: &str) -> Option<(String, String)> {
    let mut lines = body.lines();
    if lines.next()? != marker(environment) {
        return None;
    }
    let (digest, head) = lines.next()?.strip_prefix(DIGEST)?.strip_suffix(" -->")?.split_once(" head:")?;
    let hex = |text: &str| text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex(digest) && hex(head)).then(|| (digest.to_owned(), head.to_owned()))
}

/// The comment that says that nothing of what was said before holds any more: nothing that was seen.
#[must_use]
pub fn nothing(proposal: &Proposal, about: &About<'_>) -> String {
    let head = short(&proposal.head);
    let mut text = format!("{}\n### slm: {}\n\n", marker(&proposal.environment), prose(&proposal.environment));
    let what = if proposal.unseen.is_empty() { "Nothing changes" } else { "Nothing that was seen changes" };
    let _ = writeln!(text, "{what} any more as of `{head}`.");
    let foot = foot(proposal, about);
    // Whoever wrote the artefact of a fork may have written any length.
    let unseen = unseen(&proposal.unseen).map(|section| section.render()).unwrap_or_default();
    if text.len() + unseen.len() + foot.len() <= LIMIT {
        text.push_str(&unseen);
    } else {
        let _ = writeln!(text, "\n- not seen: {}", proposal.unseen.len());
    }
    text + &foot
}

/// The comment, of `limit` bytes at most: sections that have no room are left out whole, and that is said.
#[must_use]
pub fn compose(proposal: &Proposal, about: &About<'_>, limit: usize) -> String {
    let mut text = head(proposal, about);
    let foot = foot(proposal, about);
    // Room for the sentence that says what was left out.
    let room = limit.saturating_sub(foot.len() + 200 + about.link.len());
    let (mut left, mut all) = (0_u64, 0_u64);
    for section in sections(proposal) {
        let section = section.render();
        all += 1;
        if text.len() + section.len() <= room {
            text.push_str(&section);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        let _ = write!(
            text,
            "\n{left} of {} had no room here; [all of it is in the artefact]({}).\n",
            words::count(all, "section"),
            about.link
        );
    }
    text.push_str(&foot);
    text
}

fn short(commit: &str) -> &str {
    commit.get(..12).filter(|short| short.bytes().all(|byte| byte.is_ascii_hexdigit())).unwrap_or("?")
}

fn head(proposal: &Proposal, about: &About<'_>) -> String {
    let mut text = marker(&proposal.environment);
    if let Some(digest) = about.digest {
        let _ = write!(text, "\n{DIGEST}{digest} head:{} -->", proposal.head);
    }
    let _ = write!(text, "\n### slm: {}\n\n", prose(&proposal.environment));
    // What the edit means is in words of others where a fork wrote the artefact.
    let _ = writeln!(text, "**{}**", sentences(proposal, prose));
    text
}

/// What matters, in a few sentences of plain text: whoever reads no further knows whether to.
#[must_use]
pub fn glance(proposal: &Proposal) -> String {
    sentences(proposal, str::to_owned)
}

/// What the edit means, by `theirs`, what is wrong, and what is planned.
fn sentences(proposal: &Proposal, theirs: impl Fn(&str) -> String) -> String {
    let errors = proposal.complaints.iter().filter(|one| one.error).count() as u64;
    let warnings = proposal.complaints.len() as u64 - errors;
    let wrong = [(errors, "error"), (warnings, "warning")].into_iter().filter(|(count, _)| *count > 0);
    let wrong: Vec<String> = wrong.map(|(number, one)| words::count(number, one)).collect();
    let mut all = Vec::new();
    all.extend((!proposal.edit.is_empty()).then(|| format!("Edit: {}.", theirs(&proposal.edit))));
    all.extend((!wrong.is_empty()).then(|| format!("Check: {}.", wrong.join(", "))));
    all.push(match &proposal.plan {
        Some(plan) => planned(plan, proposal),
        None if errors > 0 => "Plan: none, the config cannot be used.".to_owned(),
        None => "Plan: none, there is no recorded run.".to_owned(),
    });
    all.join(" ")
}

/// How much is due, without what is not; as of when, where nothing was asked, and of what, where not everything was seen.
fn planned(plan: &Plan, proposal: &Proposal) -> String {
    let of = match &proposal.sight {
        Sight::Recorded { at, .. } => format!("Plan as of {}", words::second(*at)),
        Sight::Live | Sight::Nothing => "Plan".to_owned(),
    };
    let mut verbs: Vec<(&str, u64)> = Vec::new();
    for (verb, _) in plan.actions.iter().map(|action| words::action(&action.kind)) {
        match verbs.iter_mut().find(|(known, _)| *known == verb) {
            Some((_, count)) => *count += 1,
            None => verbs.push((verb, 1)),
        }
    }
    let mut parts: Vec<String> = verbs.iter().map(|(verb, count)| format!("{count} to {verb}")).collect();
    parts.extend((!plan.held.is_empty()).then(|| format!("{} held", plan.held.len())));
    match (parts.is_empty(), proposal.unseen.is_empty()) {
        (true, true) => format!("{of}: nothing is due."),
        (true, false) => format!("{of}: nothing that was seen is due."),
        (false, _) => format!("{of}: {}.", parts.join(", ")),
    }
}

/// What an approval of the pull request approves; with the digest that it asks for, if it asks.
#[must_use]
pub fn approves(proposal: &Proposal, digest: Option<&str>) -> String {
    match digest {
        None => "An approval of this pull request approves no plan: whoever made this one could have made any.".to_owned(),
        _ if proposal.is_quiet() && proposal.unseen.is_empty() => {
            "Nothing changes, so that there is no plan to approve.".to_owned()
        }
        _ if proposal.is_quiet() => "Nothing that was seen changes, so that there is no plan to approve.".to_owned(),
        _ if proposal.plan.is_none() => "There is no plan to approve.".to_owned(),
        Some(digest) => {
            format!("An approval of this pull request approves the plan with the digest `{digest}`, and no larger one.")
        }
    }
}

fn foot(proposal: &Proposal, about: &About<'_>) -> String {
    let head = short(&proposal.head);
    let sight = match &proposal.sight {
        Sight::Live => String::new(),
        Sight::Recorded { run, at } => {
            format!(
                " What it would act on was taken from the recorded run {} of {}; no source was asked.",
                code(run),
                words::second(*at)
            )
        }
        Sight::Nothing => " No source was asked.".to_owned(),
    };
    let approve = approves(proposal, about.digest);
    format!("\n{approve}\n\nMade for `{head}`.{sight} [Artefact and log]({})\n", about.link)
}

/// A part that is folded.
struct Section {
    /// HTML text.
    title: String,
    open: bool,
    /// Markdown, a list item each; one that begins with a space belongs to the one before.
    lines: Vec<String>,
}

impl Section {
    fn render(&self) -> String {
        if self.lines.is_empty() {
            return format!("\n- {}\n", self.title);
        }
        let open = if self.open { " open" } else { "" };
        let mut text = format!("\n<details{open}><summary>{}</summary>\n\n", self.title);
        for line in self.lines.iter().take(LINES) {
            text.push_str(line);
            text.push('\n');
        }
        if let Some(more) = self.lines.len().checked_sub(LINES).filter(|more| *more > 0) {
            let _ = writeln!(text, "- and {} in the artefact", words::count(more as u64, "more line"));
        }
        text.push_str("\n</details>\n");
        text
    }
}

fn sections(proposal: &Proposal) -> Vec<Section> {
    let mut all = Vec::new();
    let (errors, warnings): (Vec<&Complaint>, Vec<&Complaint>) = proposal.complaints.iter().partition(|one| one.error);
    all.extend(complaints("error", &errors));
    all.extend(changes(&proposal.changes));
    // Before what there may be a lot of: it says how much of the rest is known.
    all.extend(unseen(&proposal.unseen));
    all.extend(controls(proposal));
    all.extend(proposal.plan.as_ref().and_then(held));
    // Most of them were there before.
    all.extend(complaints("warning", &warnings));
    all
}

fn complaints(grave: &str, complaints: &[&Complaint]) -> Option<Section> {
    let line = |found: &&Complaint| {
        let Complaint { code: stable, error: _, file, line, end_line: _, message, help } = *found;
        let help = help.as_ref().map(|help| format!(" Help: {}", sentence(help))).unwrap_or_default();
        format!("- {} at {}: {}{help}", code(stable), code(&format!("{file}:{line}")), sentence(message))
    };
    let title = format!("check: {}", words::count(complaints.len() as u64, grave));
    let lines: Vec<String> = complaints.iter().map(line).collect();
    (!lines.is_empty()).then_some(Section { title, open: grave == "error", lines })
}

/// A clause with the end of a sentence.
fn sentence(clause: &str) -> String {
    format!("{}{}", spans(clause), if clause.ends_with(['?', '.']) { "" } else { "." })
}

fn changes(changes: &[Change]) -> Vec<Section> {
    let section = |change: &Change| {
        let Change { about, verdict, lines } = change;
        let lines = lines.iter().map(|line| told(line)).collect();
        let title = if verdict == TOLD { html(about) } else { format!("{}: {}", html(about), html(verdict)) };
        Section { title, open: verdict != "equal", lines }
    };
    changes.iter().map(section).collect()
}

/// A line of a change as an item of a list: what belongs to the one before begins with a space.
fn told(line: &str) -> String {
    format!("{}- {}", if line.starts_with(' ') { "  " } else { "" }, spans(line.trim_start()))
}

/// The plan by the control that asks for it, with what does not hold of each.
fn controls(proposal: &Proposal) -> Vec<Section> {
    let mut all: BTreeMap<String, (Vec<String>, Vec<&Action>)> = BTreeMap::new();
    for (control, tally) in &proposal.standing {
        all.entry(control.to_string()).or_default().0.extend(standing(tally));
    }
    let plan = proposal.plan.as_ref();
    for action in plan.iter().flat_map(|plan| &plan.actions) {
        let control = control_of(action).map_or_else(|| "without a control".to_owned(), ToString::to_string);
        all.entry(control).or_default().1.push(action);
    }
    let at = plan.map(|plan| plan.at).unwrap_or_default();
    let section = |(control, (mut parts, actions)): (String, (Vec<String>, Vec<&Action>))| {
        let mut verbs: BTreeMap<&str, u64> = BTreeMap::new();
        for action in &actions {
            *verbs.entry(words::action(&action.kind).0).or_default() += 1;
        }
        parts.extend(verbs.iter().map(|(verb, count)| format!("{count} to {verb}")));
        let lines = actions.iter().flat_map(|action| acted(action, at)).collect();
        Section { title: format!("{}: {}", html(&control), parts.join(", ")), open: false, lines }
    };
    all.into_iter().map(section).collect()
}

fn control_of(action: &Action) -> Option<&ControlId> {
    match &action.kind {
        ActionKind::Collect { control } | ActionKind::Escalate { control, .. } | ActionKind::Adopt { control, .. } => Some(control),
        _ => action.controls.first(),
    }
}

fn standing(tally: &BTreeMap<Status, u64>) -> Vec<String> {
    let total: u64 = tally.iter().filter(|(status, _)| **status != Status::NotApplicable).map(|(_, count)| *count).sum();
    let told = [Status::NonCompliant, Status::NoEvidence, Status::Excepted];
    let told = told.into_iter().filter_map(|status| Some((status, *tally.get(&status)?))).filter(|(_, count)| *count > 0);
    told.map(|(status, count)| format!("{count} of {total} {}", status.word())).collect()
}

fn acted(action: &Action, at: crate::model::time::Timestamp) -> Vec<String> {
    let (verb, object) = words::action(&action.kind);
    let criteria: Vec<String> = action.criteria.iter().map(|(framework, id)| code(&format!("{framework}:{id}"))).collect();
    let serves = if criteria.is_empty() { String::new() } else { format!(" (serves {})", criteria.join(" ")) };
    let mut lines = vec![format!("- {verb} {}: {}{serves}", code(&object), spans(&words::reason(&action.reason, at)))];
    lines.extend(outlook::of_action(action, at).iter().map(|(label, told)| format!("  - {label}: {}", spans(told))));
    lines
}

fn held(plan: &Plan) -> Option<Section> {
    let mut lines = Vec::new();
    for held in &plan.held {
        let (verb, object) = words::action(&held.kind);
        let why = words::reason(&held.reason, plan.at);
        lines.push(format!("- {verb} {}: {}; {}", code(&object), spans(&why), spans(&words::held(&held.because))));
    }
    let title = format!("held: {}", plan.held.len());
    (!lines.is_empty()).then_some(Section { title, open: false, lines })
}

fn unseen(unseen: &[String]) -> Option<Section> {
    let lines: Vec<String> = unseen.iter().map(|line| format!("- {}", spans(line))).collect();
    let title = format!("not seen: {}", unseen.len());
    (!lines.is_empty()).then_some(Section { title, open: true, lines })
}

#[cfg(test)]
#[path = "comment_tests.rs"]
mod tests;
