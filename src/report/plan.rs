//! A plan as people expect it: one line an action, then what was held, then totals.

use std::fmt::Write as _;

use serde::Serialize;

use super::{outlook, usage, words};
use crate::model::plan::{Action, Plan};

/// The template of the pull-request comment.
const MARKDOWN: &str = include_str!("templates/plan.md.j2");

/// What the template sees.
#[derive(Serialize)]
struct Page<'a> {
    rows: Vec<Row>,
    held: Vec<(String, String)>,
    ahead: Vec<(String, Vec<outlook::Line>)>,
    together: Vec<String>,
    looked: Vec<String>,
    usage: Vec<String>,
    totals: String,
    config: &'a str,
    at: String,
}

/// One row of a plan in any rendering.
#[derive(Serialize)]
struct Row {
    sign: &'static str,
    verb: &'static str,
    object: String,
    why: String,
    criteria: String,
}

fn row(action: &Action, plan: &Plan) -> Row {
    let (verb, object) = words::action(&action.kind);
    let sign = match verb {
        "rotate" | "deliver" => "~",
        "collect" | "verify" => "?",
        "escalate" => "!",
        _ => "+",
    };
    let criteria = action.criteria.iter().map(|(framework, id)| format!("{framework}:{id}")).collect::<Vec<_>>().join(" ");
    Row { sign, verb, object, why: words::reason(&action.reason, plan.at), criteria }
}

/// How much of what is due, in one sentence.
fn totals(plan: &Plan) -> String {
    let verbs = ["rotate", "deliver", "collect", "escalate", "adopt"];
    let of = |verb: &str| plan.actions.iter().filter(|action| words::action(&action.kind).0 == verb).count();
    let mut parts: Vec<String> = verbs.iter().map(|verb| format!("{} to {verb}", of(verb))).collect();
    parts.extend(Some(of("verify")).filter(|count| *count > 0).map(|count| format!("{count} to verify")));
    format!("Plan: {}, {} held.", parts.join(", "), plan.held.len())
}

/// The plan for a terminal.
#[must_use]
pub fn human(plan: &Plan) -> String {
    let mut text = String::new();
    if plan.actions.is_empty() && plan.held.is_empty() {
        return "Nothing is due.\n".to_owned();
    }
    let width = plan.actions.iter().map(|action| words::action(&action.kind).1.len()).max().unwrap_or(0).min(72);
    for action in &plan.actions {
        let Row { sign, verb, object, why, criteria } = row(action, plan);
        let _ =
            writeln!(text, "{sign} {verb:<8}  {object:<width$}  {why}{}{criteria}", if criteria.is_empty() { "" } else { "  " });
        ahead(&outlook::of_action(action, plan.at), &mut text);
    }
    for held in &plan.held {
        let (verb, object) = words::action(&held.kind);
        let why = words::reason(&held.reason, plan.at);
        let _ = writeln!(text, "- held      {verb} {object}  {why}; {}", words::held(&held.because));
        ahead(&outlook::of_held(held, plan.at), &mut text);
    }
    for line in plan.together.iter().map(words::together) {
        let _ = writeln!(text, "  together  {line}");
    }
    for (sign, line) in plan.preflight.iter().map(words::looked) {
        let _ = writeln!(text, "{sign} preflight {line}");
    }
    for line in plan.usage.iter().flat_map(usage::lines) {
        let _ = writeln!(text, "{} {}", line.sign, line.told());
    }
    let _ = writeln!(text, "\n{}", totals(plan));
    text
}

/// What lies ahead, indented below its line.
fn ahead(lines: &[outlook::Line], text: &mut String) {
    for (label, told) in lines {
        let _ = writeln!(text, "    {label:<8}  {told}");
    }
}

/// The plan as GitHub-flavoured markdown.
///
/// # Errors
/// When the template fails, which is a defect of slm.
pub fn markdown(plan: &Plan) -> Result<String, minijinja::Error> {
    let mut environment = minijinja::Environment::new();
    environment.set_debug(false);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.add_filter("cell", |text: String| text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " "));
    let rows: Vec<Row> = plan.actions.iter().map(|action| row(action, plan)).collect();
    let held: Vec<(String, String)> = plan
        .held
        .iter()
        .map(|held| {
            let (verb, object) = words::action(&held.kind);
            (format!("{verb} {object}"), words::held(&held.because))
        })
        .collect();
    let together = plan.together.iter().map(words::together).collect();
    let looked = plan.preflight.iter().map(|one| words::looked(one).1).collect();
    let usage = plan.usage.iter().flat_map(usage::lines).map(|line| line.told()).collect();
    let of_actions = plan.actions.iter().map(|action| (words::action(&action.kind), outlook::of_action(action, plan.at)));
    let of_held = plan.held.iter().map(|held| (words::action(&held.kind), outlook::of_held(held, plan.at)));
    let ahead = of_actions.chain(of_held).filter(|(_, lines)| !lines.is_empty());
    let ahead = ahead.map(|((verb, object), lines)| (format!("{verb} {object}"), lines)).collect();
    let page =
        Page { rows, held, ahead, together, looked, usage, totals: totals(plan), config: &plan.config, at: plan.at.to_string() };
    environment.render_str(MARKDOWN, minijinja::value::Serde(&page))
}
