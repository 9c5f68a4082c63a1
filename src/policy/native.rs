//! The shapes rules commonly have, decided without Cedar: attributes, `has`, comparisons, logic, whole-number and time arithmetic.
//!
//! A policy with anything else has no native form and goes to Cedar. The two must agree; `tests/suite/rules.rs` and
//! `benches/judge.rs` compare them.

use std::sync::Arc;

use cedar_policy::{Policy, ResourceConstraint};
use serde_json::Value as Json;

use crate::model::id::EntityType;
use crate::model::snapshot::{Fact, Resource};
use crate::model::time::Timestamp;

/// A policy in native form.
pub(super) struct Native {
    head: Head,
    conditions: Vec<Expr>,
    /// Attributes it may read, sorted.
    pub(super) reads: Vec<Arc<str>>,
}

enum Head {
    Any,
    Is(String),
    One(String, String),
}

enum Expr {
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
    fn reads(&self, names: &mut Vec<Arc<str>>) {
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

#[derive(Clone, Copy)]
enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy)]
enum Arith {
    Add,
    Sub,
    Mul,
}

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
enum Val<'a> {
    Bool(bool),
    Text(&'a str),
    Long { number: i64, source: Option<Affine> },
    Time(Affine),
    Span(Affine),
}

/// Milliseconds that move with `now` by `slope`; `unit` is the divisor a count was truncated by.
#[derive(Clone, Copy)]
struct Affine {
    ms: i64,
    slope: i64,
    unit: i64,
}

impl Affine {
    const fn fixed(ms: i64) -> Self {
        Self { ms, slope: 0, unit: 1 }
    }
}

struct Eval<'a> {
    resource: &'a Resource,
    now: i64,
    /// Instants at which a comparison may change, when they are wanted.
    instants: Option<&'a mut Vec<i64>>,
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
        let json = policy.to_json().ok()?;
        let conditions = json.get("conditions")?.as_array()?;
        let conditions = conditions.iter().map(condition).collect::<Option<Vec<_>>>()?;
        let mut reads = Vec::new();
        conditions.iter().for_each(|condition| condition.reads(&mut reads));
        reads.sort();
        reads.dedup();
        Some(Self { head, conditions, reads })
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
        let mut eval = Eval { resource, now, instants: None };
        for condition in &self.conditions {
            if !eval.truth(condition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds the instants (milliseconds) at which a comparison that was looked at may change.
    pub(super) fn thresholds(&self, entity: &EntityType, resource: &Resource, now: Timestamp, instants: &mut Vec<i64>) {
        if self.matches(entity, resource) {
            let mut eval = Eval { resource, now: millis(now), instants: Some(instants) };
            for condition in &self.conditions {
                let _ = eval.truth(condition);
            }
        }
    }
}

impl<'a> Eval<'a> {
    fn truth(&mut self, expr: &'a Expr) -> Result<bool, Failure> {
        match self.value(expr)? {
            Val::Bool(yes) => Ok(yes),
            _ => Err(Failure::Type),
        }
    }

    fn value(&mut self, expr: &'a Expr) -> Result<Val<'a>, Failure> {
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
            Compare::Ne => order != Ordering::Equal,
            Compare::Lt => order == Ordering::Less,
            Compare::Le => order != Ordering::Greater,
            Compare::Gt => order == Ordering::Greater,
            Compare::Ge => order != Ordering::Less,
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
        Compare::Ne => Ok(!equal),
        _ => Err(Failure::Type),
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

fn condition(json: &Json) -> Option<Expr> {
    let body = expr(json.get("body")?)?;
    match json.get("kind")?.as_str()? {
        "when" => Some(body),
        "unless" => Some(Expr::Not(Box::new(body))),
        _ => None,
    }
}

/// One node of Cedar's JSON policy format: an object with a single key.
fn expr(json: &Json) -> Option<Expr> {
    let object = json.as_object()?;
    let (key, body) = object.iter().next().filter(|_| object.len() == 1)?;
    let pair = || Some((Box::new(expr(body.get("left")?)?), Box::new(expr(body.get("right")?)?)));
    let compare = |how| pair().map(|(left, right)| Expr::Compare(how, left, right));
    let arith = |how| pair().map(|(left, right)| Expr::Arith(how, left, right));
    let is_var = |name: &str| body.get("left").and_then(|left| left.get("Var")).and_then(Json::as_str) == Some(name);
    let attr = || body.get("attr").and_then(Json::as_str);
    match key.as_str() {
        "Value" => literal(body),
        "." if is_var("resource") => Some(Expr::Attr(Arc::from(attr()?))),
        "." if is_var("context") && attr() == Some("now") => Some(Expr::Now),
        "has" if is_var("resource") => Some(Expr::Has(Arc::from(attr()?))),
        "!" => Some(Expr::Not(Box::new(expr(body.get("arg")?)?))),
        "&&" => pair().map(|(left, right)| Expr::And(left, right)),
        "||" => pair().map(|(left, right)| Expr::Or(left, right)),
        "==" => compare(Compare::Eq),
        "!=" => compare(Compare::Ne),
        "<" => compare(Compare::Lt),
        "<=" => compare(Compare::Le),
        ">" => compare(Compare::Gt),
        ">=" => compare(Compare::Ge),
        "+" => arith(Arith::Add),
        "-" => arith(Arith::Sub),
        "*" => arith(Arith::Mul),
        "if-then-else" => {
            let part = |name: &str| expr(body.get(name)?).map(Box::new);
            Some(Expr::If(part("if")?, part("then")?, part("else")?))
        }
        name => call(name, body.as_array()?),
    }
}

fn call(name: &str, arguments: &[Json]) -> Option<Expr> {
    let text = || arguments.first()?.get("Value")?.as_str();
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

fn literal(json: &Json) -> Option<Expr> {
    match json {
        Json::Bool(yes) => Some(Expr::Bool(*yes)),
        Json::Number(number) => number.as_i64().map(Expr::Long),
        Json::String(text) => Some(Expr::Text(Arc::from(text.as_str()))),
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
