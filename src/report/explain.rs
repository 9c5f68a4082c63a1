//! One control or one resource in depth: status, the lines that decide it, observed values, limits, when it will change.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{attestation, words};
use crate::model::assessment::{Assessment, Because, Decision, Status, Subject};
use crate::model::attestation::{About, Manual, Signed};
use crate::model::catalog::{Catalog, Control};
use crate::model::id::ControlId;
use crate::model::snapshot::Resource;
use crate::policy::{Bound, Rule, Rules};

/// Decisions of one control that are told in depth, ten lines each; of more, these are the gravest.
const IN_DEPTH: usize = 20;

/// Decisions about `name`, a control id or a resource id.
#[must_use]
pub fn matching(assessment: &Assessment, name: &str) -> Vec<Decision> {
    let about = |decision: &Decision| {
        decision.control.as_str() == name || matches!(&decision.subject, Subject::Resource { id, .. } if id.as_str() == name)
    };
    assessment.decisions.iter().filter(about).collect()
}

/// What explanations are made of.
pub struct Explained<'a> {
    /// The config repo.
    pub catalog: &'a Catalog,
    /// Its rules.
    pub rules: &'a Rules,
    /// What was judged.
    pub assessment: &'a Assessment,
    /// The part of it that is explained.
    pub decisions: &'a [Decision],
    /// What only a person can say, and whether one signed it.
    pub manual: &'a [Manual],
}

impl Explained<'_> {
    /// Whether a person signed what `control` promises; `None` of one that no person states.
    fn signature(&self, control: &ControlId) -> Option<&Signed> {
        let of = |one: &&Manual| matches!(&one.about, About::Control(id) if id == control);
        self.manual.iter().find(of).map(|one| &one.state)
    }
}

/// A line of the config repo.
struct Line<'a> {
    file: &'a str,
    line: u32,
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The explanation for a terminal. Of a control that was judged for many, how many had which status and why, and the gravest in depth.
#[must_use]
pub fn human(all: &Explained<'_>) -> String {
    let mut text = String::new();
    for decisions in all.decisions.chunk_by(|one, next| one.control == next.control) {
        let Some(control) = decisions.first().and_then(|one| all.catalog.controls.get(&one.control)) else { continue };
        head(&mut text, all, control);
        let mut shown: Vec<&Decision> = decisions.iter().collect();
        if shown.len() > IN_DEPTH {
            counted(&mut text, decisions);
            shown.sort_by_key(|decision| Reverse(decision.status));
            shown.truncate(IN_DEPTH);
        }
        for decision in &shown {
            one(&mut text, all, control, decision);
        }
        let more = decisions.len().saturating_sub(shown.len());
        if more > 0 {
            let _ = writeln!(text, "  and {more} more: `--format json` has all, and `slm explain` of one by its id has that one");
        }
    }
    text
}

/// How many have which status, and why, the gravest first.
fn counted(text: &mut String, decisions: &[Decision]) {
    let mut counts = BTreeMap::<(Reverse<Status>, String), u64>::new();
    for decision in decisions {
        *counts.entry((Reverse(decision.status), words::because(decision))).or_default() += 1;
    }
    let _ = writeln!(text, "  judged for {}:", decisions.len());
    let line =
        |((Reverse(status), why), count): ((Reverse<Status>, String), u64)| format!("{:<13} {count:>7}  {why}", status.word());
    for line in words::bounded(counts.into_iter().map(line).collect(), "reason") {
        let _ = writeln!(text, "    {line}");
    }
    text.push('\n');
}

fn head(text: &mut String, all: &Explained<'_>, control: &Control) {
    let at = Line { file: &control.place.file, line: control.lines.id };
    let _ = writeln!(text, "{}  {}\n  {}\n  {at}", control.id, control.title, control.statement);
    let criteria: Vec<String> =
        control.criteria.iter().flat_map(|(framework, ids)| ids.iter().map(move |id| format!("{framework}:{id}"))).collect();
    let _ = writeln!(text, "  owner {}  severity {:?}  serves {}", control.owner, control.severity, criteria.join(" "));
    if let Some(needs) = &control.needs {
        let _ = writeln!(text, "  still needs {needs}");
    }
    if let Some(signature) = all.signature(&control.id) {
        let _ = writeln!(text, "  {}", attestation::words(signature));
    }
    for rule in slice(all.rules, control) {
        let _ = writeln!(text, "\n  rule {}  {}", rule.id, place(all.catalog, rule));
        for line in rule.text.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text.push('\n');
}

fn one(text: &mut String, all: &Explained<'_>, control: &Control, decision: &Decision) {
    let now = all.assessment.at;
    let _ = writeln!(text, "  {:<13} {}  {}", decision.status.word(), words::subject(&decision.subject), words::because(decision));
    for rule in deciding(all.rules, control, &decision.because) {
        let _ = writeln!(text, "    rule     {}", place(all.catalog, rule));
    }
    let (key, at) = written(control, &decision.because);
    let _ = writeln!(text, "    control  {at} (`{key}`)");
    for (name, value) in &decision.observed {
        let _ = writeln!(text, "    {name} = {}", words::value(value, now));
    }
    for (_, bound) in limits(all, control, decision) {
        let _ = writeln!(text, "    limit    {}", words::bound(&bound));
    }
    if let Some(instant) = decision.flips_at {
        let _ = writeln!(text, "    changes at {instant}, in {}", words::age(now, instant));
    }
}

/// The rules of every control that is explained.
#[must_use]
pub fn rules<'a>(all: &Explained<'a>) -> Vec<&'a Rule> {
    let mut controls: Vec<&Control> =
        all.decisions.iter().filter_map(|decision| all.catalog.controls.get(&decision.control)).collect();
    controls.dedup_by(|a, b| a.id == b.id);
    controls.into_iter().flat_map(|control| slice(all.rules, control)).collect()
}

/// The explanation for programs: the controls with their rules, then a decision each.
#[must_use]
pub fn json(all: &Explained<'_>) -> Json {
    let mut controls: Vec<&Control> =
        all.decisions.iter().filter_map(|decision| all.catalog.controls.get(&decision.control)).collect();
    controls.dedup_by(|a, b| a.id == b.id);
    let controls: Vec<Json> = controls
        .into_iter()
        .map(|control| {
            let rules: Vec<Json> = slice(all.rules, control).iter().map(|rule| rule_json(all.catalog, rule)).collect();
            json!({
                "id": control.id, "title": control.title, "owner": control.owner, "severity": control.severity,
                "file": control.place.file, "line": control.lines.id, "rules": rules, "signature": all.signature(&control.id),
            })
        })
        .collect();
    let decisions: Vec<Json> = all.decisions.iter().map(|decision| decision_json(all, decision)).collect();
    json!({ "controls": controls, "decisions": decisions })
}

fn rule_json(catalog: &Catalog, rule: &Rule) -> Json {
    let at = place(catalog, rule);
    json!({ "id": rule.id, "file": at.file, "line": at.line })
}

fn decision_json(all: &Explained<'_>, decision: &Decision) -> Json {
    let mut json = json!(decision);
    if let Some(control) = all.catalog.controls.get(&decision.control) {
        let rules = deciding(all.rules, control, &decision.because).into_iter();
        let rules: Vec<Json> = rules.map(|rule| rule_json(all.catalog, rule)).collect();
        let limit = |(rule, bound): (&Rule, Bound)| {
            json!({
                "rule": rule.id, "attribute": bound.attribute, "measure": bound.measure, "sense": bound.sense, "limit": bound.limit,
                "text": words::bound(&bound),
            })
        };
        let limits: Vec<Json> = limits(all, control, decision).into_iter().map(limit).collect();
        let (key, at) = written(control, &decision.because);
        json["rules"] = json!(rules);
        json["limits"] = json!(limits);
        json["written"] = json!({ "file": at.file, "line": at.line, "key": key });
    }
    json
}

fn slice<'a>(rules: &'a Rules, control: &Control) -> &'a [Rule] {
    rules.slice(&format!("Control::Action::{:?}", control.id.as_str()))
}

/// The rules by which it was decided; none where it did not come to that.
fn deciding<'a>(rules: &'a Rules, control: &Control, because: &Because) -> Vec<&'a Rule> {
    let all = slice(rules, control).iter();
    match because {
        Because::Permitted(ids) | Because::Forbidden(ids) => all.filter(|rule| ids.contains(&rule.id)).collect(),
        Because::Exception(id) => all.filter(|rule| rule.exception.as_ref() == Some(id)).collect(),
        Because::NothingPermits | Because::EvaluationError(_) => all.filter(|rule| rule.exception.is_none()).collect(),
        Because::Missing(_) | Because::Unseen { .. } | Because::Stale | Because::OutOfScope => Vec::new(),
    }
}

/// The key of the control's file that has a say in it, and its line.
fn written<'a>(control: &'a Control, because: &Because) -> (&'static str, Line<'a>) {
    let lines = &control.lines;
    let (key, line) = match because {
        Because::Missing(names) if names.iter().all(|name| !control.requires.contains(name)) => ("where", lines.applies_where),
        Because::OutOfScope => ("where", lines.applies_where),
        Because::Unseen { .. } => ("entities", lines.entities),
        Because::Stale => ("evidence-ttl", lines.evidence_ttl),
        _ => ("requires", lines.requires),
    };
    (key, Line { file: &control.place.file, line })
}

/// The limits that rules set to what was observed.
fn limits<'a>(all: &Explained<'a>, control: &Control, decision: &Decision) -> Vec<(&'a Rule, Bound)> {
    let Subject::Resource { entity, id } = &decision.subject else { return Vec::new() };
    let resource = Resource::new(id.clone(), decision.observed.clone());
    let rules = deciding(all.rules, control, &decision.because).into_iter();
    let bounds = |rule: &'a Rule| rule.bounds(entity, &resource, all.assessment.at).into_iter().map(move |bound| (rule, bound));
    rules.flat_map(bounds).collect()
}

/// The line that names the rule, or the file of the exception it is made of.
fn place<'a>(catalog: &'a Catalog, rule: &Rule) -> Line<'a> {
    if let Some(exception) = rule.exception.as_ref().and_then(|id| catalog.exceptions.get(id)) {
        return Line { file: &exception.place.file, line: 1 };
    }
    let Some(policy) = catalog.policies.iter().find(|policy| policy.path == rule.file) else { return Line { file: "", line: 0 } };
    let needle = format!("@id({:?})", rule.id.as_str());
    let line = policy.text.lines().zip(1..).find(|(line, _)| line.contains(&needle)).map_or(1, |(_, number)| number);
    Line { file: &policy.path, line }
}
