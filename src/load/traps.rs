//! Two ways to compare instants in Cedar that look right and are not.
//!
//! `toDays() <= 90` drops the rest of the day, so 90 d 23 h passes. `context.now.durationSince(x) <= duration("90d")` is negative,
//! and so passes, when `x` lies in the future.

use cedar_policy::Policy;
use cedar_policy_core::ast::{self, BinaryOp, Expr, ExprKind, UnaryOp, Var};

use super::text::error;
use crate::model::diagnostic::{Diagnostic, Place};

/// Depth at which looking stops; people nest less, and the stack is finite.
const DEPTH: usize = 200;
/// What counts a duration in whole units.
const COUNTS: [&str; 5] = ["toDays", "toHours", "toMinutes", "toSeconds", "toMilliseconds"];

/// False when `policy` has none of the words that make a trap, so that there is nothing to walk.
pub fn may_be_in(policy: &str) -> bool {
    ["durationSince", "toDays", "toHours"].iter().any(|word| policy.contains(word))
}

/// The traps in `policy`, which is `place` in `text`.
pub fn find(policy: &Policy, text: &str, place: &Place) -> Vec<Diagnostic> {
    let tree: &ast::Policy = policy.as_ref();
    let mut walk = Walk { text, place, permits: tree.effect() == ast::Effect::Permit, found: Vec::new() };
    if let Some(condition) = tree.non_scope_constraints() {
        walk.expr(condition, &[], true, 0);
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
    fn expr(&mut self, expr: &Expr, facts: &[&Expr], positive: bool, depth: usize) {
        if depth > DEPTH {
            return;
        }
        if let Some(order) = Order::of(expr) {
            self.compare(&order, facts, positive);
            [order.lesser, order.greater].iter().for_each(|side| self.expr(side, facts, positive, depth + 1));
            return;
        }
        match expr.expr_kind() {
            ExprKind::And { left, right } => {
                self.expr(left, facts, positive, depth + 1);
                let mut known = facts.to_vec();
                conjuncts(left, &mut known, depth);
                self.expr(right, &known, positive, depth + 1);
            }
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.expr(test_expr, facts, positive, depth + 1);
                let mut known = facts.to_vec();
                conjuncts(test_expr, &mut known, depth);
                self.expr(then_expr, &known, positive, depth + 1);
                self.expr(else_expr, facts, positive, depth + 1);
            }
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => self.expr(arg, facts, !positive, depth + 1),
            kind => parts(kind).into_iter().for_each(|part| self.expr(part, facts, positive, depth + 1)),
        }
    }

    fn compare(&mut self, order: &Order<'_>, facts: &[&Expr], positive: bool) {
        self.truncates(order.lesser, order.or_equal);
        self.truncates(order.greater, !order.or_equal);
        if !(self.permits && positive) {
            return;
        }
        let counted = COUNTS.iter().find_map(|unit| call(order.lesser, unit)?.first());
        let Some([now, then]) = call(counted.unwrap_or(order.lesser), "durationSince") else { return };
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
    fn truncates(&mut self, side: &Expr, bound_is_met: bool) {
        let unit = COUNTS[..2].iter().find(|unit| call(side, unit).is_some());
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

/// One of the four ways to say which of two is not the greater.
struct Order<'e> {
    lesser: &'e Expr,
    greater: &'e Expr,
    or_equal: bool,
}

impl<'e> Order<'e> {
    /// Cedar has `a > b` as `!(a <= b)`.
    fn of(expr: &'e Expr) -> Option<Self> {
        match expr.expr_kind() {
            ExprKind::BinaryApp { op: BinaryOp::Less, arg1, arg2 } => Some(Self { lesser: arg1, greater: arg2, or_equal: false }),
            ExprKind::BinaryApp { op: BinaryOp::LessEq, arg1, arg2 } => Some(Self { lesser: arg1, greater: arg2, or_equal: true }),
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } if matches!(arg.expr_kind(), ExprKind::BinaryApp { .. }) => {
                Self::of(arg).map(|not| Self { lesser: not.greater, greater: not.lesser, or_equal: !not.or_equal })
            }
            _ => None,
        }
    }
}

/// What an expression without logic of its own is made of.
fn parts(kind: &ExprKind) -> Vec<&Expr> {
    match kind {
        ExprKind::Or { left, right } | ExprKind::BinaryApp { arg1: left, arg2: right, .. } => vec![left, right],
        ExprKind::UnaryApp { arg: part, .. }
        | ExprKind::GetAttr { expr: part, .. }
        | ExprKind::HasAttr { expr: part, .. }
        | ExprKind::ExtHasAttr { expr: part, .. }
        | ExprKind::Like { expr: part, .. }
        | ExprKind::Is { expr: part, .. } => vec![part],
        ExprKind::ExtensionFunctionApp { args: parts, .. } | ExprKind::Set(parts) => parts.iter().collect(),
        ExprKind::Record(parts) => parts.values().collect(),
        _ => Vec::new(),
    }
}

/// Adds what is known to hold when `expr` does.
fn conjuncts<'e>(expr: &'e Expr, known: &mut Vec<&'e Expr>, depth: usize) {
    match expr.expr_kind() {
        ExprKind::And { left, right } if depth <= DEPTH => {
            conjuncts(left, known, depth + 1);
            conjuncts(right, known, depth + 1);
        }
        _ => known.push(expr),
    }
}

/// True when `fact` says that `then` is not after `now`.
fn not_after(fact: &Expr, then: &Expr, now: &Expr) -> bool {
    Order::of(fact).is_some_and(|order| order.lesser.eq_shape(then) && order.greater.eq_shape(now))
}

/// The arguments of `expr`, if it is a call of `wanted`; what a method is called on comes first.
fn call<'e>(expr: &'e Expr, wanted: &str) -> Option<&'e [Expr]> {
    match expr.expr_kind() {
        ExprKind::ExtensionFunctionApp { fn_name, args } if fn_name.basename_as_ref().as_ref() == wanted => Some(args),
        _ => None,
    }
}

/// An attribute path as people write it: `resource.created`.
fn name(expr: &Expr) -> Option<String> {
    match expr.expr_kind() {
        ExprKind::Var(variable @ (Var::Principal | Var::Action | Var::Resource | Var::Context)) => Some(variable.to_string()),
        ExprKind::GetAttr { expr, attr } => Some(format!("{}.{attr}", name(expr)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(condition: &str) -> Vec<&'static str> {
        let text = format!("permit (principal, action, resource) {condition};");
        let policy = cedar_policy::Policy::parse(None, &text).unwrap();
        let place = Place { file: "policies/a.cedar".to_owned(), span: 0..text.len() };
        find(&policy, &text, &place).into_iter().map(|found| found.code).collect()
    }

    #[test]
    fn whole_days_compared_with_a_bound_are_a_trap() {
        let safe = "resource.t <= context.now && ";
        for trap in [
            "d.toDays() <= 90",
            "d.toHours() <= 90",
            "90 >= d.toDays()",
            "d.toDays() > 90",
            "90 < d.toDays()",
            "!(d.toDays() <= 90)",
        ] {
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
