//! What was said of a control or a resource on a past day, and what it rests on.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::explain::{self, Explained};
use super::words;
use crate::model::assessment::{Decision, Subject};
use crate::model::catalog::Exception;
use crate::model::past::{Artefact, Authored, Noted, Said};
use crate::model::period::RunNote;
use crate::model::time::Timestamp;

/// Everything a past day is explained by.
pub struct Then<'a> {
    /// The instant asked for.
    pub asked: Timestamp,
    /// The branch of the evidence.
    pub branch: &'a str,
    /// The run that stood then.
    pub run: &'a RunNote,
    /// What it said.
    pub said: &'a [Said],
    /// What its rules say again of what it saw; `None` when they are not to be had.
    pub explained: Option<Explained<'a>>,
    /// Files that it rests on.
    pub artefacts: &'a [Artefact],
    /// Who made its config; `None` when that commit is not here.
    pub authored: Option<&'a Authored>,
    /// What could not be shown.
    pub unproven: &'a [Noted],
    /// What does not hold.
    pub findings: &'a [Noted],
}

/// The explanation for a terminal.
#[must_use]
pub fn human(then: &Then<'_>) -> String {
    let mut text = String::new();
    let RunNote { id, at, commit, config, verb, slm, received, .. } = then.run;
    let short = &commit[..12.min(commit.len())];
    let _ = writeln!(text, "As of {}, by run {id} ({verb}, slm {slm})", then.asked);
    let _ = writeln!(text, "  began {at}, recorded {received} as {short} on {}", then.branch);
    change(&mut text, config, then.authored);
    text.push('\n');
    match &then.explained {
        Some(explained) => text.push_str(&explain::human(explained)),
        None => recorded(&mut text, then.said),
    }
    for exception in exceptions(then) {
        let _ = writeln!(
            text,
            "\n  exception {}  for {} of {}\n    asked for by {}, approved by {} at {}, until {}; ticket {}\n    because {}; meanwhile {}",
            exception.id,
            exception.control,
            exception.resource,
            exception.requester,
            exception.approver,
            exception.approved,
            exception.expires,
            exception.ticket,
            exception.reason,
            exception.compensating
        );
    }
    let _ = writeln!(text, "\n  rests on, in {short}:");
    for Artefact { path, sha256, bytes } in then.artefacts {
        let _ = writeln!(text, "    {sha256}  {path}  {bytes} bytes");
    }
    for Noted { code, what } in then.findings {
        let _ = writeln!(text, "error[{code}]: {what}");
    }
    for Noted { what, .. } in then.unproven {
        let _ = writeln!(text, "! unproven    {what}");
    }
    if then.explained.is_some() && then.findings.is_empty() {
        text.push_str("  judged again: the rules of then say the same of what was seen then.\n");
    }
    text
}

fn change(text: &mut String, config: &str, authored: Option<&Authored>) {
    let Some(authored) = authored else {
        let _ = writeln!(text, "  config {config}");
        return;
    };
    let Authored { commit, author, authored, committer, committed, subject, signed, observed } = authored;
    let _ = writeln!(text, "  config {commit}  {subject}");
    let _ = writeln!(text, "    by {author} at {authored}; committed by {committer} at {committed}");
    let _ = writeln!(text, "    {}", if *signed { "signed" } else { "not signed" });
    for (name, value) in observed {
        let _ = writeln!(text, "    {name} = {value}");
    }
}

/// What was recorded, where the rules are not to be had.
fn recorded(text: &mut String, said: &[Said]) {
    for Said { control, subject, status, because } in said {
        let decision = Decision {
            control: control.clone(),
            subject: subject.clone(),
            status: *status,
            because: because.clone(),
            observed: Vec::new(),
            flips_at: None,
        };
        let (subject, why) = (words::subject(subject), words::because(&decision));
        let _ = writeln!(text, "  {control}  {:<13} {subject}  {why}", status.word());
    }
}

/// Exceptions that were in force for what is explained.
fn exceptions<'a>(then: &Then<'a>) -> Vec<&'a Exception> {
    let Some(explained) = &then.explained else { return Vec::new() };
    let now = explained.assessment.at;
    let speaks = |exception: &Exception, one: &Said| {
        exception.control == one.control && matches!(&one.subject, Subject::Resource { id, .. } if *id == exception.resource)
    };
    let all = explained.catalog.exceptions.values();
    all.filter(|exception| exception.approved <= now && now < exception.expires)
        .filter(|exception| then.said.iter().any(|one| speaks(exception, one)))
        .collect()
}

/// The explanation for programs.
#[must_use]
pub fn json(then: &Then<'_>) -> Json {
    let Then { asked, branch, run, said, explained, artefacts, authored, unproven, findings } = then;
    let exception = |one: &Exception| {
        json!({
            "id": one.id, "control": one.control, "resource": one.resource, "reason": one.reason, "compensating": one.compensating,
            "ticket": one.ticket, "requester": one.requester, "approver": one.approver, "approved": one.approved,
            "expires": one.expires, "file": one.place.file,
        })
    };
    let exceptions: Vec<Json> = exceptions(then).into_iter().map(exception).collect();
    let again = explained.as_ref().map(|explained| {
        let mut again = explain::json(explained);
        let texts: Vec<Json> =
            explain::rules(explained).into_iter().map(|rule| json!({ "id": rule.id, "text": &*rule.text })).collect();
        again["rules"] = json!(texts);
        again
    });
    json!({
        "asked": asked, "branch": branch, "run": run, "recorded": said, "again": again, "exceptions": exceptions,
        "artefacts": artefacts, "config": authored, "findings": findings, "unproven": unproven,
    })
}
