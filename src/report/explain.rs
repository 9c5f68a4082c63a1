//! One control or one resource in depth: status, observed values, the rule's text, the lines that decide it, when it will change.

use std::fmt::Write as _;

use super::words;
use crate::model::assessment::{Assessment, Decision, Subject};
use crate::model::catalog::{Catalog, Control};
use crate::policy::Rules;

/// Decisions about `name`, a control id or a resource id.
#[must_use]
pub fn matching(assessment: &Assessment, name: &str) -> Vec<Decision> {
    let about = |decision: &Decision| {
        decision.control.as_str() == name || matches!(&decision.subject, Subject::Resource { id, .. } if id.as_str() == name)
    };
    assessment.decisions.iter().filter(about).collect()
}

/// The explanation for a terminal.
#[must_use]
pub fn human(catalog: &Catalog, rules: &Rules, assessment: &Assessment, decisions: &[Decision]) -> String {
    let mut text = String::new();
    let mut last: Option<&Control> = None;
    for decision in decisions {
        let Some(control) = catalog.controls.get(&decision.control) else { continue };
        if last.is_none_or(|shown| shown.id != control.id) {
            head(&mut text, catalog, rules, control);
            last = Some(control);
        }
        one(&mut text, assessment, decision);
    }
    text
}

fn head(text: &mut String, catalog: &Catalog, rules: &Rules, control: &Control) {
    let _ = writeln!(text, "{}  {}\n  {}\n  {}", control.id, control.title, control.statement, control.place.file);
    let criteria: Vec<String> =
        control.criteria.iter().flat_map(|(framework, ids)| ids.iter().map(move |id| format!("{framework}:{id}"))).collect();
    let _ = writeln!(text, "  owner {}  severity {:?}  serves {}", control.owner, control.severity, criteria.join(" "));
    if let Some(needs) = &control.needs {
        let _ = writeln!(text, "  still needs {needs}");
    }
    for rule in rules.slice(&format!("Control::Action::{:?}", control.id.as_str())) {
        let _ = writeln!(text, "\n  rule {}  {}", rule.id, place(catalog, &rule.file, rule.id.as_str()));
        for line in rule.text.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text.push('\n');
}

/// `policies/rot.cedar:12`: the line that names the rule.
fn place(catalog: &Catalog, file: &str, id: &str) -> String {
    let Some(policy) = catalog.policies.iter().find(|policy| policy.path == file) else { return "(from an exception)".to_owned() };
    let needle = format!("@id({id:?})");
    let line = policy.text.lines().position(|line| line.contains(&needle)).map_or(1, |at| at + 1);
    format!("{file}:{line}")
}

fn one(text: &mut String, assessment: &Assessment, decision: &Decision) {
    let _ = writeln!(text, "  {:<13} {}  {}", decision.status.word(), words::subject(&decision.subject), words::because(decision));
    for (name, value) in &decision.observed {
        let _ = writeln!(text, "    {name} = {}", words::value(value, assessment.at));
    }
    if let Some(instant) = decision.flips_at {
        let _ = writeln!(text, "    changes at {instant}, in {}", words::age(assessment.at, instant));
    }
}
