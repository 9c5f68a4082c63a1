//! Statements that a person signed: what no collector can see is manual until somebody does.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Serialize;

use super::approval::Approval;
use super::diagnostic::Place;
use super::id::{ControlId, CriterionId, FrameworkId};
use super::period::{before_midnight, day, midnight};
use super::time::Timestamp;

/// A statement that a person signed for a stretch of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// What it is about.
    pub about: About,
    /// The days that it covers.
    pub covers: Stretch,
    /// What is attested.
    pub statement: String,
    /// Who looked, and wrote it.
    pub author: String,
    /// Who signed it; never the author.
    pub approver: String,
    /// When it was signed.
    pub signed: Timestamp,
    /// The root of the population that was looked at, lower-case hex.
    pub population_root: Option<String>,
    /// Where evidence is kept that is not in the locker.
    pub evidence: Vec<String>,
    /// Its file.
    pub place: Place,
}

/// What an attestation is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A control.
    Control(ControlId),
    /// A criterion of a framework that only a person can attest.
    Criterion(FrameworkId, CriterionId),
}

impl Attestation {
    /// The last day that it says something of: of what came after it was signed, whoever signed could know nothing.
    #[must_use]
    pub fn until(&self) -> Date {
        self.covers.to.min(day(self.signed))
    }

    /// True when it says something of `date`.
    #[must_use]
    pub fn speaks_of(&self, date: Date) -> bool {
        self.covers.from <= date && date <= self.until()
    }
}

/// The first and the last day of a stretch, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// The first.
    pub from: Date,
    /// The last, which is part of it.
    pub to: Date,
}

impl Stretch {
    /// Reads `2026`, `2026-H1`, `2026-Q1`, `2026-03`, `2026-03-31` or `2026-01-15_2026-03-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((from, to)) = text.split_once('_') {
            let (from, to) = (date(from)?, date(to)?);
            return (from <= to).then_some(Self { from, to });
        }
        if let Some(date) = date(text) {
            return Some(Self { from: date, to: date });
        }
        let (year, rest) = match text.split_once('-') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (text, ""),
        };
        let year = (year.len() == 4).then(|| number(year)).flatten()?;
        let (first, months) = match rest.as_bytes() {
            [] => (1, 12),
            [b'H', half @ b'1'..=b'2'] => (i8::try_from(half - b'1').ok()? * 6 + 1, 6),
            [b'Q', quarter @ b'1'..=b'4'] => (i8::try_from(quarter - b'1').ok()? * 3 + 1, 3),
            [_, _] => (i8::try_from(number(rest)?).ok()?, 1),
            _ => return None,
        };
        let from = Date::new(year, first, 1).ok()?;
        let to = from.checked_add(months.months()).and_then(|next| next.checked_sub(1.day())).ok()?;
        Some(Self { from, to })
    }

    /// True while it, or the stretch of the same length after it, lasts: until then the next one is not due.
    #[must_use]
    pub fn stands(&self, at: Timestamp) -> bool {
        let length = before_midnight(self.to).duration_since(midnight(self.from));
        let until = before_midnight(self.to).checked_add(length).unwrap_or(Timestamp::MAX);
        midnight(self.from) <= at && at <= until
    }

    /// True when it and `other` have a day in common.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// The stretch of the one day of `at`.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self { from: day(at), to: day(at) }
    }
}

/// Ten characters and no other spelling: what is looked up by its name must have one.
fn date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}

fn number(text: &str) -> Option<i16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.from, self.to)
    }
}

impl Serialize for Stretch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What only a person can say, and whether one did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manual {
    /// What it is about.
    pub about: About,
    /// Whether it is signed.
    pub state: Signed,
}

/// Whether something manual is signed at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signed {
    /// Nobody signed it yet.
    Never,
    /// The last signature is of a time too long ago.
    Lapsed {
        /// The days that it covers.
        covers: Stretch,
    },
    /// The branch shows that nobody but its author approved it.
    Unapproved {
        /// The days that it covers.
        covers: Stretch,
    },
    /// It names a population that the evidence does not have.
    Unfounded {
        /// The days that it covers.
        covers: Stretch,
        /// What was found, and what to do.
        why: String,
    },
    /// It was signed before what it covers was over: of later days nobody has said anything yet.
    Partly {
        /// The days that it covers.
        covers: Stretch,
        /// Who signed, as its file says.
        approver: String,
        /// The last day that counts: the one on which it was signed.
        until: Date,
    },
    /// It is.
    For {
        /// The days that it covers.
        covers: Stretch,
        /// Who signed, as its file says.
        approver: String,
        /// Who was seen to.
        approval: Approval,
        /// When.
        at: Timestamp,
    },
}

impl Signed {
    /// True while a signature stands.
    #[must_use]
    pub fn stands(&self) -> bool {
        matches!(self, Self::For { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_has_the_days_that_its_name_says() {
        for (text, days) in [
            ("2026", "2026-01-01/2026-12-31"),
            ("2026-H2", "2026-07-01/2026-12-31"),
            ("2026-Q1", "2026-01-01/2026-03-31"),
            ("2028-02", "2028-02-01/2028-02-29"),
            ("2026-11-29", "2026-11-29/2026-11-29"),
            ("2025-11-29_2026-02-28", "2025-11-29/2026-02-28"),
        ] {
            assert_eq!(Stretch::parse(text).map(|stretch| stretch.to_string()).as_deref(), Some(days), "{text}");
        }
        for text in [
            "",
            "26",
            "2026-",
            "2026-Q5",
            "2026-Q0",
            "2026-H3",
            "2026-13",
            "2026-1",
            "2026-02-30",
            "2026-03-31_2026-01-01",
            "Q1",
            "+026",
        ] {
            assert_eq!(Stretch::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_signature_says_nothing_of_days_that_were_still_to_come() {
        let signed = |at: &str| Attestation {
            about: About::Control("VEN-01".into()),
            covers: Stretch::parse("2026-Q1").unwrap(),
            statement: String::new(),
            author: String::new(),
            approver: String::new(),
            signed: at.parse().unwrap(),
            population_root: None,
            evidence: Vec::new(),
            place: Place { file: String::new(), span: 0..0 },
        };
        let says = |at: &str| {
            let one = signed(at);
            ["2025-12-31", "2026-01-01", "2026-02-10", "2026-02-11", "2026-03-31", "2026-04-01"]
                .map(|date| one.speaks_of(date.parse().unwrap()))
        };
        assert_eq!(says("2026-02-10T00:00:01Z"), [false, true, true, false, false, false]);
        assert_eq!(says("2026-04-02T09:00:00Z"), [false, true, true, true, true, false], "all of it once it is over");
    }

    #[test]
    fn an_attestation_stands_until_the_next_of_its_length_would_be_over() {
        let quarter = Stretch::parse("2026-Q1").unwrap();
        let stands = |at: &str| quarter.stands(at.parse().unwrap());
        assert_eq!(["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-06-29T12:00:00Z"].map(stands), [false, true, true]);
        assert!(!stands("2026-07-01T00:00:00Z"));
    }
}
