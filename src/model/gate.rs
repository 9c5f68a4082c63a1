//! What must hold before a superseded credential is disabled, and then deleted.

use std::borrow::Cow;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::time::{BadLimit, Limit, Timestamp};

/// `[gate]` of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GateSettings {
    /// It was not used for this long, as far as its target tells; or `auto`.
    pub quiet: Quiet,
    /// The longest that `quiet = "auto"` may come to.
    pub quiet_max: Limit,
    /// Work begun with it has ended.
    pub drain: bool,
    /// It stays disabled for this long before it is deleted.
    pub soak: Limit,
    /// A consumer that goes without the new one for longer, while others run it, is to be given a credential of its own.
    pub adopt_within: Limit,
    /// By when after the promotion it should be ended.
    pub deadline: Option<Limit>,
    /// What happens when it is not.
    pub on_deadline: OnDeadline,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            quiet: Quiet::Fixed(Quiet::SHORTEST),
            quiet_max: Limit::days(7),
            drain: true,
            soak: Limit::days(1),
            adopt_within: Limit::days(1),
            deadline: None,
            on_deadline: OnDeadline::Hold,
        }
    }
}

impl GateSettings {
    /// How long it must be unused when nothing was learnt of its uses.
    #[must_use]
    pub const fn longest_quiet(&self) -> Limit {
        match self.quiet {
            Quiet::Fixed(limit) => limit,
            Quiet::Auto => self.quiet_max,
        }
    }

    /// How long it must be unused when its uses are `seen`: the longest rest between two of them, or why that is not known.
    #[must_use]
    pub fn quieted(&self, seen: Result<Limit, String>) -> Quieted {
        let Quiet::Auto = self.quiet else { return Quieted { limit: self.longest_quiet(), why: Learnt::Declared } };
        let longest = match seen {
            Ok(longest) => longest,
            Err(why) => return Quieted { limit: self.quiet_max, why: Learnt::Unknown(why) },
        };
        // A half is rounded up.
        let wanted = Limit::seconds(longest.as_seconds().saturating_add(longest.as_seconds().saturating_add(1) / 2));
        let limit = wanted.max(Quiet::SHORTEST);
        if limit > self.quiet_max {
            return Quieted { limit: self.quiet_max, why: Learnt::Capped { longest } };
        }
        Quieted { limit, why: Learnt::Rest { longest } }
    }

    /// True when what was `promoted` should have been followed by the end of the value before by `now`; both by one clock.
    #[must_use]
    pub fn overdue(&self, promoted: Timestamp, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline.after(promoted) <= now)
    }
}

/// How long a superseded credential must be unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// This long.
    Fixed(Limit),
    /// Half as long again as the longest rest that was seen between two uses.
    Auto,
}

impl Quiet {
    /// What is learnt is never shorter: sources tell of a use up to so long afterwards.
    pub const SHORTEST: Limit = Limit::seconds(4 * 3_600);
    const AUTO: &str = "auto";
}

impl From<Limit> for Quiet {
    fn from(limit: Limit) -> Self {
        Self::Fixed(limit)
    }
}

impl FromStr for Quiet {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        if text == Self::AUTO { Ok(Self::Auto) } else { text.parse().map(Self::Fixed) }
    }
}

impl std::fmt::Display for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(limit) => limit.fmt(f),
            Self::Auto => f.write_str(Self::AUTO),
        }
    }
}

impl<'de> Deserialize<'de> for Quiet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Quiet {
    fn schema_name() -> Cow<'static, str> {
        "Quiet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "pattern": "^(auto|[0-9]+[smhd])$", "description": "`auto`, or a whole number and one of s m h d"
        })
    }
}

/// What happens when a superseded credential is not ended in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDeadline {
    /// It goes on waiting.
    #[default]
    Hold,
    /// Its owner is asked.
    Escalate,
    /// It is ended whoever was seen to use it and whatever was begun with it; nothing else is given up.
    Retire,
}

impl OnDeadline {
    /// As written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Escalate => "escalate",
            Self::Retire => "retire",
        }
    }
}

/// How long a superseded credential must be unused, as decided for one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quieted {
    /// This long.
    pub limit: Limit,
    /// Why.
    pub why: Learnt,
}

/// Why it must be unused for that long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Learnt {
    /// It is declared.
    Declared,
    /// Half as long again as the longest rest between two uses, and four hours at least.
    Rest {
        /// The longest rest seen.
        longest: Limit,
    },
    /// That would be longer than it may be.
    Capped {
        /// The longest rest seen.
        longest: Limit,
    },
    /// Its uses were not seen whole, for this reason: as long as it may be.
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto() -> GateSettings {
        GateSettings { quiet: Quiet::Auto, ..GateSettings::default() }
    }

    #[test]
    fn auto_is_half_as_long_again_as_the_longest_rest_between_four_hours_and_the_cap() {
        let hours = |hours: i64| Limit::seconds(hours * 3_600);
        let of = |longest: Limit| auto().quieted(Ok(longest));
        assert_eq!(of(hours(4)), Quieted { limit: hours(6), why: Learnt::Rest { longest: hours(4) } });
        assert_eq!(of(Limit::seconds(1)).limit, hours(4));
        assert_eq!(of(Limit::seconds(20_001)).limit, Limit::seconds(30_002), "a half is rounded up");
        assert_eq!(of(Limit::days(30)), Quieted { limit: Limit::days(7), why: Learnt::Capped { longest: Limit::days(30) } });
        assert_eq!(of(Limit::seconds(403_200)).limit, Limit::days(7));
        assert!(matches!(of(Limit::seconds(403_200)).why, Learnt::Rest { .. }), "the cap itself is not above the cap");
        assert_eq!(of(Limit::seconds(i64::MAX)).limit, Limit::days(7));
    }

    #[test]
    fn uses_that_were_not_seen_whole_take_the_cap_and_what_is_declared_is_taken_as_it_is() {
        let why = "denied".to_owned();
        let capped = auto().quieted(Err(why.clone()));
        assert_eq!(capped, Quieted { limit: Limit::days(7), why: Learnt::Unknown(why.clone()) });
        let fixed = GateSettings { quiet: Limit::days(9).into(), ..GateSettings::default() };
        for seen in [Ok(Limit::days(30)), Err(why)] {
            assert_eq!(fixed.quieted(seen), Quieted { limit: Limit::days(9), why: Learnt::Declared });
        }
        assert_eq!((auto().longest_quiet(), fixed.longest_quiet()), (Limit::days(7), Limit::days(9)));
    }

    #[test]
    fn quiet_is_a_length_of_time_or_auto() {
        assert_eq!("auto".parse(), Ok(Quiet::Auto));
        assert_eq!("4h".parse(), Ok(Quiet::Fixed(Limit::seconds(14_400))));
        for text in ["Auto", "", "soon", "4"] {
            assert!(text.parse::<Quiet>().is_err_and(|error| error.to_string().contains(&format!("`{text}`"))), "{text}");
        }
        assert_eq!((Quiet::Auto.to_string(), Quiet::from(Limit::days(2)).to_string()), ("auto".to_owned(), "2d".to_owned()));
    }

    #[test]
    fn it_is_overdue_from_the_deadline_on_and_never_without_one() {
        let at = |second| Timestamp::new(second, 0).unwrap();
        let of = |deadline| GateSettings { deadline, ..GateSettings::default() };
        assert!(!of(Some(Limit::seconds(10))).overdue(at(5), at(14)));
        assert!(of(Some(Limit::seconds(10))).overdue(at(5), at(15)));
        assert!(!of(None).overdue(at(5), Timestamp::MAX));
    }
}
