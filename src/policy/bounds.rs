//! Bounds that a rule sets to what was observed, as they are with the values it reads.

use std::sync::Arc;

use serde::Serialize;

use super::eval::{Eval, Val};
use super::native::{Compare, Expr};

/// A bound of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Bound {
    /// The attribute that is bounded.
    pub attribute: Arc<str>,
    /// What of it.
    pub measure: Measure,
    /// On which side of the limit it must be.
    pub sense: Sense,
    /// Milliseconds of an age or of time left, else the number itself.
    pub limit: i64,
}

/// What of an attribute is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The time since it.
    Age,
    /// The time until it.
    Left,
    /// Its number.
    Number,
}

/// On which side of a limit something must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sense {
    /// The limit or less.
    AtMost,
    /// Less than the limit.
    Under,
    /// The limit or more.
    AtLeast,
    /// More than the limit.
    Over,
}

impl Sense {
    /// Of `a <= b` (`or_equal`) or `a < b`, when that must hold or must not.
    const fn of(or_equal: bool, holds: bool) -> Self {
        match (or_equal, holds) {
            (true, true) => Self::AtMost,
            (false, true) => Self::Under,
            (true, false) => Self::Over,
            (false, false) => Self::AtLeast,
        }
    }

    /// The same, seen from the limit.
    const fn mirrored(self) -> Self {
        match self {
            Self::AtMost => Self::AtLeast,
            Self::Under => Self::Over,
            Self::AtLeast => Self::AtMost,
            Self::Over => Self::Under,
        }
    }
}

impl<'a> Eval<'a> {
    /// Adds the bounds of `expr`, which must hold or must not, as far as what they are made of was observed.
    pub(super) fn bounds(&mut self, expr: &'a Expr, holds: bool, out: &mut Vec<Bound>) {
        match expr {
            Expr::Not(inner) => self.bounds(inner, !holds, out),
            Expr::And(left, right) | Expr::Or(left, right) => {
                self.bounds(left, holds, out);
                self.bounds(right, holds, out);
            }
            Expr::If(test, yes, no) => match self.truth(test) {
                Ok(true) => self.bounds(yes, holds, out),
                Ok(false) => self.bounds(no, holds, out),
                Err(_) => {}
            },
            Expr::Compare(how, left, right) => {
                let sense = match how {
                    Compare::Eq => return,
                    Compare::LessEq => Sense::of(true, holds),
                    Compare::Less => Sense::of(false, holds),
                };
                if let (Ok(a), Ok(b)) = (self.value(left), self.value(right)) {
                    out.extend(bound((left, a), sense, b).or_else(|| bound((right, b), sense.mirrored(), a)));
                }
            }
            _ => {}
        }
    }
}

/// The bound of an expression and its value by `limit`, if that is one.
fn bound((of, value): (&Expr, Val<'_>), sense: Sense, limit: Val<'_>) -> Option<Bound> {
    let (measure, unit) = match value {
        Val::Span(span) | Val::Long { source: Some(span), .. } if span.slope != 0 => {
            (if span.slope > 0 { Measure::Age } else { Measure::Left }, span.unit)
        }
        Val::Long { .. } if matches!(of, Expr::Attr(_)) => (Measure::Number, 1),
        _ => return None,
    };
    let limit = match limit {
        Val::Span(span) if span.slope == 0 => span.ms,
        Val::Long { number, source } if source.is_none_or(|span| span.slope == 0) => number.checked_mul(unit)?,
        _ => return None,
    };
    let mut names = Vec::new();
    of.reads(&mut names);
    Some(Bound { attribute: names.into_iter().next()?, measure, sense, limit })
}
