//! Two ways to compare instants in Cedar that look right and are not.
//!
//! `toDays() <= 90` drops the rest of the day, so 90 d 23 h passes. `context.now.durationSince(x) <= duration("90d")` is negative,
//! and so passes, when `x` lies in the future.

use serde_json::Value;

use super::text::error;
use crate::model::diagnostic::{Diagnostic, Place};

/// Depth at which looking stops; people nest less, and the stack is finite.
const DEPTH: usize = 200;

/// False when `policy` has none of the words that make a trap, so that its JSON form need not be made.
pub fn may_be_in(policy: &str) -> bool {
    ["durationSince", "toDays", "toHours"].iter().any(|word| policy.contains(word))
}

/// The traps in one policy in Cedar's JSON form; `place` is the policy in `text`.
pub fn find(policy: &Value, text: &str, place: &Place) -> Vec<Diagnostic> {
    let mut walk = Walk { text, place, permits: policy["effect"] == "permit", found: Vec::new() };
    let mut facts = Vec::new();
    for condition in policy["conditions"].as_array().into_iter().flatten() {
        let holds = condition["kind"] == "when";
        walk.expr(&condition["body"], &facts, holds, 0);
        if holds {
            conjuncts(&condition["body"], &mut facts, 0);
        }
    }
    walk.found
}

struct Walk<'a> {
    text: &'a str,
    place: &'a Place,
    permits: bool,
    found: Vec<Diagnostic>,
}

impl Walk<'_> {
    /// Looks at `expr`; `facts` hold wherever it is evaluated, and `positive` says that making it true helps the policy to apply.
    fn expr(&mut self, expr: &Value, facts: &[&Value], positive: bool, depth: usize) {
        if depth > DEPTH {
            return;
        }
        let Some((operator, body)) = expr.as_object().and_then(|object| object.iter().next()) else { return };
        match operator.as_str() {
            "&&" => {
                self.expr(&body["left"], facts, positive, depth + 1);
                let mut known = facts.to_vec();
                conjuncts(&body["left"], &mut known, depth);
                self.expr(&body["right"], &known, positive, depth + 1);
                return;
            }
            "if-then-else" => {
                self.expr(&body["if"], facts, positive, depth + 1);
                let mut known = facts.to_vec();
                conjuncts(&body["if"], &mut known, depth);
                self.expr(&body["then"], &known, positive, depth + 1);
                self.expr(&body["else"], facts, positive, depth + 1);
                return;
            }
            "!" => return self.expr(&body["arg"], facts, !positive, depth + 1),
            "<=" | "<" => self.compare(&body["left"], operator == "<=", facts, positive),
            ">=" | ">" => {
                self.compare(&body["right"], operator == ">=", facts, positive);
                self.truncates(&body["left"], operator == ">");
            }
            _ => {}
        }
        match body {
            Value::Array(items) => items.iter().for_each(|item| self.expr(item, facts, positive, depth + 1)),
            Value::Object(parts) => parts.values().for_each(|part| self.expr(part, facts, positive, depth + 1)),
            _ => {}
        }
    }

    /// Looks at the lesser side of a comparison.
    fn compare(&mut self, lesser: &Value, or_equal: bool, facts: &[&Value], positive: bool) {
        self.truncates(lesser, or_equal);
        if !(self.permits && positive) {
            return;
        }
        let inner =
            ["toDays", "toHours", "toMinutes", "toSeconds", "toMilliseconds"].into_iter().find_map(|unit| lesser.get(unit)?.get(0));
        let Some(since) = inner.unwrap_or(lesser).get("durationSince") else { return };
        let (now, then) = (&since[0], &since[1]);
        if name(now).as_deref() != Some("context.now") || facts.iter().any(|fact| not_after(fact, then, now)) {
            return;
        }
        let then = name(then).unwrap_or_else(|| "x".to_owned());
        let place = self.spot(&[&format!("durationSince({then})"), "durationSince"]);
        let message = format!("`{then}` in the future passes: its `durationSince` is negative");
        let help = format!("put `{then} <= context.now &&` before the comparison");
        self.found.push(error("slm::future-passes", place, message, Some(help)));
    }

    /// Complains when `side` counts whole days or hours and the bound is met by what was cut off.
    fn truncates(&mut self, side: &Value, bound_is_met: bool) {
        let unit = ["toDays", "toHours"].into_iter().find(|unit| side.get(unit).is_some());
        if let Some(unit) = unit.filter(|_| bound_is_met) {
            let message = format!("`{unit}()` drops the rest, so a length just short of one more passes");
            let help = "compare with a duration, as in `<= duration(\"90d\")`".to_owned();
            self.found.push(error("slm::truncating-duration", self.spot(&[&format!("{unit}(")]), message, Some(help)));
        }
    }

    /// The first of `words` in the text of the policy, or the whole policy.
    fn spot(&self, words: &[&str]) -> Place {
        let policy = self.text.get(self.place.span.clone()).unwrap_or_default();
        let found = words.iter().find_map(|word| policy.find(word).map(|at| (at, word.len())));
        let span = found.map(|(at, length)| self.place.span.start + at..self.place.span.start + at + length);
        Place { file: self.place.file.clone(), span: span.unwrap_or_else(|| self.place.span.clone()) }
    }
}

/// Adds what is known to hold when `expr` does.
fn conjuncts<'e>(expr: &'e Value, known: &mut Vec<&'e Value>, depth: usize) {
    match expr.get("&&") {
        Some(both) if depth <= DEPTH => {
            conjuncts(&both["left"], known, depth + 1);
            conjuncts(&both["right"], known, depth + 1);
        }
        _ => known.push(expr),
    }
}

/// True when `fact` says that `then` is not after `now`.
fn not_after(fact: &Value, then: &Value, now: &Value) -> bool {
    let says = |operator: &str, left: &Value, right: &Value| {
        fact.get(operator).is_some_and(|sides| &sides["left"] == left && &sides["right"] == right)
    };
    says("<=", then, now) || says("<", then, now) || says(">=", now, then) || says(">", now, then)
}

/// An attribute path as people write it: `resource.created`.
fn name(expr: &Value) -> Option<String> {
    if let Some(variable) = expr.get("Var") {
        return variable.as_str().map(str::to_owned);
    }
    let access = expr.get(".")?;
    Some(format!("{}.{}", name(&access["left"])?, access["attr"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(condition: &str) -> Vec<&'static str> {
        let text = format!("permit (principal, action, resource) {condition};");
        let policy = cedar_policy::Policy::parse(None, &text).unwrap();
        let place = Place { file: "policies/a.cedar".to_owned(), span: 0..text.len() };
        find(&policy.to_json().unwrap(), &text, &place).into_iter().map(|found| found.code).collect()
    }

    #[test]
    fn whole_days_compared_with_a_bound_are_a_trap() {
        let safe = "resource.t <= context.now && ";
        for trap in ["d.toDays() <= 90", "d.toHours() <= 90", "90 >= d.toDays()", "d.toDays() > 90"] {
            let trap = trap.replace("d.", "context.now.durationSince(resource.t).");
            assert_eq!(codes(&format!("when {{ {safe}{trap} }}")), ["slm::truncating-duration"], "{trap}");
        }
        for fine in ["d.toDays() < 91", "d.toSeconds() <= 7776000", "d <= duration(\"90d\")"] {
            let fine = fine
                .replace("d.t", "context.now.durationSince(resource.t).t")
                .replace("d <", "context.now.durationSince(resource.t) <");
            assert!(codes(&format!("when {{ {safe}{fine} }}")).is_empty(), "{fine}");
        }
    }

    #[test]
    fn an_instant_that_may_lie_in_the_future_is_a_trap() {
        let since = "context.now.durationSince(resource.t) <= duration(\"90d\")";
        for trap in [
            format!("when {{ {since} }}"),
            format!("when {{ {since} && resource.t <= context.now }}"),
            format!("when {{ resource.u <= context.now && {since} }}"),
            format!("when {{ resource.t <= context.now || {since} }}"),
            "when { duration(\"90d\") >= context.now.durationSince(resource.t) }".to_owned(),
        ] {
            assert_eq!(codes(&trap), ["slm::future-passes"], "{trap}");
        }
        for fine in [
            format!("when {{ resource.t <= context.now && {since} }}"),
            format!("when {{ resource.a || (resource.b && (context.now >= resource.t && {since})) }}"),
            format!("when {{ resource.t <= context.now }} when {{ {since} }}"),
            "when { context.now.durationSince(resource.t) > duration(\"90d\") }".to_owned(),
        ] {
            assert!(codes(&fine).is_empty(), "{fine}");
        }
    }
}
