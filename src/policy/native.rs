//! The shapes rules commonly have, decided without Cedar: attributes, `has`, comparisons, logic, whole-number and time arithmetic.
//!
//! A policy with anything else has no native form and goes to Cedar. The two must agree; `tests/suite/rules.rs` and
//! `benches/judge.rs` compare them.

use std::sync::Arc;

use cedar_policy::{Policy, ResourceConstraint};
use cedar_policy_core::ast::{self, BinaryOp, ExprKind, Literal, UnaryOp, Var};

use super::bounds::Bound;
use super::eval::{Eval, Failure};
use crate::model::id::EntityType;
use crate::model::snapshot::Resource;
use crate::model::time::Timestamp;

/// A policy in native form.
pub(super) struct Native {
    head: Head,
    condition: Option<Expr>,
    /// Attributes it may read, sorted.
    pub(super) reads: Vec<Arc<str>>,
}

enum Head {
    Any,
    Is(String),
    One(String, String),
}

/// A part of a condition.
pub(super) enum Expr {
    Bool(bool),
    Long(i64),
    Text(Arc<str>),
    Time(i64),
    Span(i64),
    Now,
    Attr(Arc<str>),
    Has(Arc<str>),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Compare(Compare, Box<Expr>, Box<Expr>),
    Arith(Arith, Box<Expr>, Box<Expr>),
    Since(Box<Expr>, Box<Expr>),
    Offset(Box<Expr>, Box<Expr>),
    Count(i64, Box<Expr>),
}

impl Expr {
    /// Adds the attributes it may read, in order.
    pub(super) fn reads(&self, names: &mut Vec<Arc<str>>) {
        match self {
            Self::Attr(name) | Self::Has(name) => names.push(name.clone()),
            Self::Not(inner) | Self::Count(_, inner) => inner.reads(names),
            Self::And(a, b)
            | Self::Or(a, b)
            | Self::Compare(_, a, b)
            | Self::Arith(_, a, b)
            | Self::Since(a, b)
            | Self::Offset(a, b) => {
                a.reads(names);
                b.reads(names);
            }
            Self::If(a, b, c) => [a, b, c].iter().for_each(|part| part.reads(names)),
            Self::Bool(_) | Self::Long(_) | Self::Text(_) | Self::Time(_) | Self::Span(_) | Self::Now => {}
        }
    }
}

/// A comparison; Cedar has the others as the negation of one of these.
#[derive(Clone, Copy)]
pub(super) enum Compare {
    Eq,
    Less,
    LessEq,
}

/// An operation on whole numbers.
#[derive(Clone, Copy)]
pub(super) enum Arith {
    Add,
    Sub,
    Mul,
}

impl Native {
    /// The native form of `policy`, if it has one.
    pub(super) fn compile(policy: &Policy) -> Option<Self> {
        let head = match policy.resource_constraint() {
            ResourceConstraint::Any => Head::Any,
            ResourceConstraint::Is(name) => Head::Is(name.to_string()),
            ResourceConstraint::Eq(uid) => Head::One(uid.type_name().to_string(), uid.id().unescaped().to_owned()),
            ResourceConstraint::In(_) | ResourceConstraint::IsIn(..) => return None,
        };
        let body = AsRef::<ast::Policy>::as_ref(policy).non_scope_constraints();
        let condition = body.map(|body| expr(body).ok_or(())).transpose().ok()?;
        let mut reads = Vec::new();
        condition.iter().for_each(|condition| condition.reads(&mut reads));
        reads.sort();
        reads.dedup();
        Some(Self { head, condition, reads })
    }

    fn matches(&self, entity: &EntityType, resource: &Resource) -> bool {
        match &self.head {
            Head::Any => true,
            Head::Is(name) => name == entity.as_str(),
            Head::One(name, id) => name == entity.as_str() && id == resource.id.as_str(),
        }
    }

    /// Whether the policy is satisfied at `now` (milliseconds since 1970).
    pub(super) fn holds(&self, entity: &EntityType, resource: &Resource, now: i64) -> Result<bool, Failure> {
        if !self.matches(entity, resource) {
            return Ok(false);
        }
        self.condition.as_ref().map_or(Ok(true), |condition| Eval { resource, now, instants: None }.truth(condition))
    }

    /// The bounds it sets to what was observed of `resource`.
    pub(super) fn bounds(&self, entity: &EntityType, resource: &Resource, now: i64) -> Vec<Bound> {
        let mut bounds = Vec::new();
        if self.matches(entity, resource)
            && let Some(condition) = &self.condition
        {
            Eval { resource, now, instants: None }.bounds(condition, true, &mut bounds);
        }
        bounds
    }

    /// Adds the instants (milliseconds) at which a comparison that was looked at may change.
    pub(super) fn thresholds(&self, entity: &EntityType, resource: &Resource, now: Timestamp, instants: &mut Vec<i64>) {
        if self.matches(entity, resource)
            && let Some(condition) = &self.condition
        {
            let _ = Eval { resource, now: millis(now), instants: Some(instants) }.truth(condition);
        }
    }
}

fn expr(tree: &ast::Expr) -> Option<Expr> {
    let boxed = |part| expr(part).map(Box::new);
    match tree.expr_kind() {
        ExprKind::Lit(literal) => match literal {
            Literal::Bool(yes) => Some(Expr::Bool(*yes)),
            Literal::Long(number) => Some(Expr::Long(*number)),
            Literal::String(text) => Some(Expr::Text(Arc::from(text.as_str()))),
            Literal::EntityUID(_) => None,
        },
        ExprKind::GetAttr { expr, attr } if is_var(expr, Var::Resource) => Some(Expr::Attr(Arc::from(attr.as_str()))),
        ExprKind::GetAttr { expr, attr } if is_var(expr, Var::Context) && attr == "now" => Some(Expr::Now),
        ExprKind::HasAttr { expr, attr } if is_var(expr, Var::Resource) => Some(Expr::Has(Arc::from(attr.as_str()))),
        ExprKind::UnaryApp { op: UnaryOp::Not, arg } => Some(Expr::Not(boxed(arg)?)),
        ExprKind::And { left, right } => Some(Expr::And(boxed(left)?, boxed(right)?)),
        ExprKind::Or { left, right } => Some(Expr::Or(boxed(left)?, boxed(right)?)),
        ExprKind::If { test_expr, then_expr, else_expr } => Some(Expr::If(boxed(test_expr)?, boxed(then_expr)?, boxed(else_expr)?)),
        ExprKind::BinaryApp { op, arg1, arg2 } => {
            let pair = || Some((boxed(arg1)?, boxed(arg2)?));
            let compare = |how| pair().map(|(left, right)| Expr::Compare(how, left, right));
            let arith = |how| pair().map(|(left, right)| Expr::Arith(how, left, right));
            match op {
                BinaryOp::Eq => compare(Compare::Eq),
                BinaryOp::Less => compare(Compare::Less),
                BinaryOp::LessEq => compare(Compare::LessEq),
                BinaryOp::Add => arith(Arith::Add),
                BinaryOp::Sub => arith(Arith::Sub),
                BinaryOp::Mul => arith(Arith::Mul),
                _ => None,
            }
        }
        ExprKind::ExtensionFunctionApp { fn_name, args } => call(&fn_name.to_string(), args),
        _ => None,
    }
}

fn is_var(tree: &ast::Expr, wanted: Var) -> bool {
    matches!(tree.expr_kind(), ExprKind::Var(name) if *name == wanted)
}

fn call(name: &str, arguments: &[ast::Expr]) -> Option<Expr> {
    let text = || match arguments.first()?.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let first = || expr(arguments.first()?).map(Box::new);
    let second = || expr(arguments.get(1)?).map(Box::new);
    match name {
        "duration" => duration_ms(text()?).map(Expr::Span),
        "datetime" => text()?.parse::<Timestamp>().ok().map(|instant| Expr::Time(millis(instant))),
        "durationSince" => Some(Expr::Since(first()?, second()?)),
        "offset" => Some(Expr::Offset(first()?, second()?)),
        "toMilliseconds" => Some(Expr::Count(1, first()?)),
        "toSeconds" => Some(Expr::Count(1_000, first()?)),
        "toMinutes" => Some(Expr::Count(60_000, first()?)),
        "toHours" => Some(Expr::Count(3_600_000, first()?)),
        "toDays" => Some(Expr::Count(86_400_000, first()?)),
        _ => None,
    }
}

/// Whole milliseconds since 1970 of the last of them not after `instant`, as Cedar's text form cuts it off.
pub(super) fn millis(instant: Timestamp) -> i64 {
    // Both count towards 1970.
    instant.as_millisecond() - i64::from(instant.subsec_nanosecond() % 1_000_000 < 0)
}

/// Cedar's duration text, one unit at a time: `90d`, `24h`, `1d12h`; `None` for a form we leave to Cedar.
fn duration_ms(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, scale) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total = total.checked_add(count.checked_mul(scale)?)?;
    }
    (!text.is_empty()).then_some(total)
}
