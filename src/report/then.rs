//! What was said of a control or a resource on a past day, and what it rests on.

use std::cmp::Reverse;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::explain::{self, Explained};
use super::words;
use crate::model::assessment::Subject;
use crate::model::catalog::Exception;
use crate::model::past::{Artefact, Authored, Held, Noted, Said, Signature};
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
    /// What later runs of the day asked for said, where that is not this one.
    pub later: Option<&'a str>,
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
    if let Some(later) = then.later {
        let _ = writeln!(text, "  {later}");
    }
    change(&mut text, config, then.authored);
    text.push('\n');
    match &then.explained {
        Some(explained) if then.findings.is_empty() => text.push_str(&explain::human(explained)),
        Some(explained) => {
            // What the rules say again is not what was recorded, and must not be taken for it.
            text.push_str("  recorded then:\n");
            recorded(&mut text, then.said);
            text.push_str("\n  what the rules of then say again of what was seen then, which is not evidence:\n\n");
            text.push_str(&explain::human(explained));
        }
        None => recorded(&mut text, then.said),
    }
    for exception in words::bounded(exceptions(then).into_iter().map(told).collect(), "exception") {
        let _ = writeln!(text, "\n  {exception}");
    }
    let _ = writeln!(text, "\n  rests on, in {short}:");
    for artefact in words::bounded(then.artefacts.iter().map(kept).collect(), "file") {
        let _ = writeln!(text, "    {artefact}");
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

fn told(exception: &Exception) -> String {
    let Exception { id, control, resource, requester, approver, approved, expires, ticket, reason, compensating, .. } = exception;
    format!(
        "exception {id}  for {control} of {resource}\n    asked for by {requester}, by its file approved by {approver} at {approved}, until {expires}; \
         ticket {ticket}\n    because {reason}; meanwhile {compensating}"
    )
}

fn kept(artefact: &Artefact) -> String {
    let Artefact { path, sha256, bytes, object } = artefact;
    let mut text = format!("{sha256}  {path}  {bytes} bytes");
    if let Some(Held { name, sha256, bytes }) = object {
        let _ = write!(text, "\n      points to {sha256}  object {name}  {bytes} bytes");
    }
    text
}

fn change(text: &mut String, config: &str, authored: Option<&Authored>) {
    let Some(authored) = authored else {
        let _ = writeln!(text, "  config {config}");
        return;
    };
    let Authored { commit, author, authored, committer, committed, subject, signature, observed } = authored;
    let _ = writeln!(text, "  config {commit}  {subject}");
    let _ = writeln!(text, "    by {author} at {authored}; committed by {committer} at {committed}");
    let _ = writeln!(text, "    {}", sealed(signature));
    for (name, value) in observed {
        let _ = writeln!(text, "    {name} = {value}");
    }
}

fn sealed(signature: &Signature) -> String {
    match signature {
        Signature::None => "not signed".to_owned(),
        Signature::Unchecked => "signature not checked".to_owned(),
        Signature::Good(who) => format!("signed by {who}, and the signature holds"),
        Signature::UnknownKey => "signed by a key that is none of the allowed signers".to_owned(),
        Signature::Bad => "signature does not hold".to_owned(),
    }
}

/// What was recorded: the gravest first where there is much of it.
fn recorded(text: &mut String, said: &[Said]) {
    if said.is_empty() {
        text.push_str("  nothing\n");
    }
    let mut said: Vec<&Said> = said.iter().collect();
    said.sort_by_key(|one| (&one.control, Reverse(one.status)));
    let line = |Said { control, subject, status, because }: &Said| {
        format!("{control}  {:<13} {}  {}", status.word(), words::subject(subject), words::reason_of(because))
    };
    for line in words::bounded(said.into_iter().map(line).collect(), "decision") {
        let _ = writeln!(text, "  {line}");
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
    let Then { asked, branch, run, said, explained, later, artefacts, authored, unproven, findings } = then;
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
        "asked": asked, "branch": branch, "run": run, "recorded": said, "later": later, "again": again, "exceptions": exceptions,
        "artefacts": artefacts, "config": authored, "findings": findings, "unproven": unproven,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_called_what_was_found_of_it() {
        for (signature, told) in [
            (Signature::None, "not signed"),
            (Signature::Unchecked, "signature not checked"),
            (Signature::Good("bo@localhost".to_owned()), "signed by bo@localhost, and the signature holds"),
            (Signature::UnknownKey, "signed by a key that is none of the allowed signers"),
            (Signature::Bad, "signature does not hold"),
        ] {
            assert_eq!(sealed(&signature), told);
        }
    }
}
