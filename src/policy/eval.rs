//! The native form at work: values that know how they move with time.

use std::sync::Arc;

use super::native::{Arith, Compare, Expr, millis};
use crate::model::snapshot::{Fact, Resource};

/// Why a policy could not be decided; Cedar would report an error as well.
#[derive(Debug)]
pub(super) enum Failure {
    NoAttribute(Arc<str>),
    Type,
    Overflow,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAttribute(name) => write!(f, "attribute `{name}` was not observed"),
            Self::Type => f.write_str("operands of the wrong type"),
            Self::Overflow => f.write_str("arithmetic overflow"),
        }
    }
}

/// A value, with its dependence on `now`: the true value is `number + slope * (now - now_used)`.
#[derive(Clone, Copy)]
pub(super) enum Val<'a> {
    Bool(bool),
    Text(&'a str),
    Long { number: i64, source: Option<Affine> },
    Time(Affine),
    Span(Affine),
}

/// Milliseconds that move with `now` by `slope`; `unit` is the divisor a count was truncated by.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub(super) ms: i64,
    pub(super) slope: i64,
    pub(super) unit: i64,
}

impl Affine {
    const fn fixed(ms: i64) -> Self {
        Self { ms, slope: 0, unit: 1 }
    }
}

/// One look at one resource.
pub(super) struct Eval<'a> {
    /// What was observed.
    pub(super) resource: &'a Resource,
    /// Milliseconds since 1970.
    pub(super) now: i64,
    /// Instants at which a comparison may change, when they are wanted.
    pub(super) instants: Option<&'a mut Vec<i64>>,
}

impl<'a> Eval<'a> {
    /// Whether `expr` holds; anything but a Bool is a failure.
    pub(super) fn truth(&mut self, expr: &'a Expr) -> Result<bool, Failure> {
        match self.value(expr)? {
            Val::Bool(yes) => Ok(yes),
            _ => Err(Failure::Type),
        }
    }

    pub(super) fn value(&mut self, expr: &'a Expr) -> Result<Val<'a>, Failure> {
        Ok(match expr {
            Expr::Bool(yes) => Val::Bool(*yes),
            Expr::Long(number) => Val::Long { number: *number, source: None },
            Expr::Text(text) => Val::Text(text),
            Expr::Time(ms) => Val::Time(Affine::fixed(*ms)),
            Expr::Span(ms) => Val::Span(Affine::fixed(*ms)),
            Expr::Now => Val::Time(Affine { ms: self.now, slope: 1, unit: 1 }),
            Expr::Attr(name) => self.attribute(name)?,
            Expr::Has(name) => Val::Bool(self.resource.get(name).is_some()),
            Expr::Not(inner) => Val::Bool(!self.truth(inner)?),
            Expr::And(left, right) => Val::Bool(self.truth(left)? && self.truth(right)?),
            Expr::Or(left, right) => Val::Bool(self.truth(left)? || self.truth(right)?),
            Expr::If(test, yes, no) => return if self.truth(test)? { self.value(yes) } else { self.value(no) },
            Expr::Compare(how, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Val::Bool(self.compare(*how, left, right)?)
            }
            Expr::Arith(how, left, right) => arith(*how, self.value(left)?, self.value(right)?)?,
            Expr::Since(later, earlier) => match (self.value(later)?, self.value(earlier)?) {
                (Val::Time(a), Val::Time(b)) => {
                    let ms = a.ms.checked_sub(b.ms).ok_or(Failure::Overflow)?;
                    Val::Span(Affine { ms, slope: a.slope - b.slope, unit: 1 })
                }
                _ => return Err(Failure::Type),
            },
            Expr::Offset(start, by) => match (self.value(start)?, self.value(by)?) {
                (Val::Time(a), Val::Span(b)) => {
                    let ms = a.ms.checked_add(b.ms).ok_or(Failure::Overflow)?;
                    Val::Time(Affine { ms, slope: a.slope + b.slope, unit: 1 })
                }
                _ => return Err(Failure::Type),
            },
            Expr::Count(unit, span) => match self.value(span)? {
                Val::Span(span) => Val::Long { number: span.ms / unit, source: Some(Affine { unit: *unit, ..span }) },
                _ => return Err(Failure::Type),
            },
        })
    }

    fn attribute(&self, name: &Arc<str>) -> Result<Val<'a>, Failure> {
        Ok(match self.resource.get(name).ok_or_else(|| Failure::NoAttribute(name.clone()))? {
            Fact::Bool(yes) => Val::Bool(yes),
            Fact::Long(number) => Val::Long { number, source: None },
            Fact::Text(text) => Val::Text(text),
            Fact::Time(instant) => Val::Time(Affine::fixed(millis(instant))),
        })
    }

    fn compare(&mut self, how: Compare, left: Val<'a>, right: Val<'a>) -> Result<bool, Failure> {
        use std::cmp::Ordering;
        let order = match (left, right) {
            (Val::Long { number: a, source: moved }, Val::Long { number: b, source: other }) => {
                self.note_count(moved, b);
                self.note_count(other, a);
                a.cmp(&b)
            }
            (Val::Time(a), Val::Time(b)) | (Val::Span(a), Val::Span(b)) => {
                self.note(a, b);
                a.ms.cmp(&b.ms)
            }
            (Val::Bool(a), Val::Bool(b)) => return equality(how, a == b),
            (Val::Text(a), Val::Text(b)) => return equality(how, a == b),
            // Cedar: values of different types are unequal; ordering them is an error.
            _ => return equality(how, false),
        };
        Ok(match how {
            Compare::Eq => order == Ordering::Equal,
            Compare::Less => order == Ordering::Less,
            Compare::LessEq => order != Ordering::Greater,
        })
    }

    /// Notes when `a` and `b` meet: that millisecond and its neighbours.
    fn note(&mut self, a: Affine, b: Affine) {
        let slope = a.slope - b.slope;
        if slope == 0 {
            return;
        }
        let now = self.now;
        if let (Some(instants), Some(gap)) = (self.instants.as_deref_mut(), b.ms.checked_sub(a.ms)) {
            let meet = now.saturating_add(gap / slope);
            instants.extend([meet.saturating_sub(1), meet, meet.saturating_add(1)]);
        }
    }

    /// Notes when a truncated count reaches or leaves `bound`.
    fn note_count(&mut self, count: Option<Affine>, bound: i64) {
        let Some(span) = count else { return };
        for edge in [bound.saturating_sub(1), bound, bound.saturating_add(1)] {
            self.note(Affine { unit: 1, ..span }, Affine::fixed(edge.saturating_mul(span.unit)));
        }
    }
}

fn equality(how: Compare, equal: bool) -> Result<bool, Failure> {
    match how {
        Compare::Eq => Ok(equal),
        Compare::Less | Compare::LessEq => Err(Failure::Type),
    }
}

fn arith<'a>(how: Arith, left: Val<'a>, right: Val<'a>) -> Result<Val<'a>, Failure> {
    let (Val::Long { number: a, .. }, Val::Long { number: b, .. }) = (left, right) else { return Err(Failure::Type) };
    let number = match how {
        Arith::Add => a.checked_add(b),
        Arith::Sub => a.checked_sub(b),
        Arith::Mul => a.checked_mul(b),
    };
    Ok(Val::Long { number: number.ok_or(Failure::Overflow)?, source: None })
}
