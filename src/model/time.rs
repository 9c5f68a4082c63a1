//! Limits as people write them: `30d`, `26h`, `90m`; whole seconds, one unit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use jiff::Timestamp;

/// A length of time in whole seconds. Days are 86 400 s: limits count elapsed time, not calendar days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limit(i64);

impl Limit {
    /// Seconds in a day of elapsed time.
    pub const DAY: i64 = 86_400;

    /// The longest limit: a century. A longer one is a slip of the pen.
    pub const LONGEST: i64 = 36_525 * Self::DAY;

    /// A limit of `seconds`.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// A limit of `days` days of 86 400 s.
    #[must_use]
    pub const fn days(days: i64) -> Self {
        Self(days * Self::DAY)
    }

    /// The length in seconds.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// The instant this long after `start`; the latest representable instant when that overflows.
    #[must_use]
    pub fn after(self, start: Timestamp) -> Timestamp {
        start.checked_add(jiff::SignedDuration::from_secs(self.0)).unwrap_or(Timestamp::MAX)
    }
}

/// Why a text is not a [`Limit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLimit(String);

impl fmt::Display for BadLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a length of time; write a whole number and one of `s m h d`, as in `30d`, at most a century", self.0)
    }
}

impl std::error::Error for BadLimit {}

impl FromStr for Limit {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        let bad = || BadLimit(text.to_owned());
        let unit = text.chars().last().ok_or_else(bad)?;
        let scale = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => Self::DAY,
            _ => return Err(bad()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        let count: i64 = digits.parse().map_err(|_| bad())?;
        count.checked_mul(scale).filter(|seconds| *seconds <= Self::LONGEST).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self.0 {
            seconds if seconds != 0 && seconds % Self::DAY == 0 => (seconds / Self::DAY, 'd'),
            seconds if seconds != 0 && seconds % 3_600 == 0 => (seconds / 3_600, 'h'),
            seconds if seconds != 0 && seconds % 60 == 0 => (seconds / 60, 'm'),
            seconds => (seconds, 's'),
        };
        write!(f, "{count}{unit}")
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Limit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+[smhd]$", "description": "a whole number and one of s m h d" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_round_trip_in_their_largest_unit() {
        for (text, seconds, printed) in [("30d", 2_592_000, "30d"), ("24h", 86_400, "1d"), ("90m", 5_400, "90m"), ("7s", 7, "7s")] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!((limit.as_seconds(), limit.to_string().as_str()), (seconds, printed));
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in ["", "d", "-1d", "1.5h", "30", "30 d", "99999999999999d", "1w", "30é"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }
}
