//! What lies ahead of one rotation: what will be done in which order, how long it takes, and how long values were valid.

use serde::{Deserialize, Serialize};

use super::gate::{OnDeadline, Quieted};
use super::id::ConsumerId;
use super::time::{Limit, Timestamp};

/// What lies ahead of a rotation, or of the end of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Outlook {
    /// What is done, in this order.
    pub will: Vec<Stride>,
    /// How long what is replaced must be unused; `None` when nothing is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quieted>,
    /// By when it should be ended, and what happens when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// What is restarted, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<String>,
    /// The last use of what is ended or replaced, as far as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used: Option<LastUsed>,
    /// Nothing is ended before this instant, by what was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// For how long values are valid.
    pub validity: Validity,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Stride {
    /// AWS is asked to rotate it, and awaited.
    Ask,
    /// A key that no version holds is deleted, if nobody has ever used it: nothing can be kept for it any more then.
    Lost,
    /// A new value is made and kept.
    Create,
    /// The target is told to let it in.
    LetIn,
    /// It is tried.
    Verify {
        /// Where, when that is several places.
        regions: Vec<String>,
    },
    /// These get it before anybody else.
    Canary(Vec<ConsumerId>),
    /// It is put in force.
    Promote,
    /// These are brought to it.
    Consumers(Vec<ConsumerId>),
    /// Everybody who may still hold the value before is waited for.
    Settle(Limit),
    /// The value before must be unused.
    Quiet(Limit),
    /// It is disabled.
    Disable,
    /// It stays disabled for this long.
    Soak(Limit),
    /// It is deleted.
    Delete,
}

/// By when a superseded credential should be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Deadline {
    /// So long after the promotion.
    pub limit: Limit,
    /// What happens then.
    pub then: OnDeadline,
    /// When that is; `None` before the promotion was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The last use of a credential, as its target tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LastUsed {
    /// When, by the target's clock.
    pub at: Timestamp,
    /// By what.
    pub by: String,
}

/// For how long the values of a credential are valid: from when a version was made until its value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Validity {
    /// When the version in force was made, by the store's clock; `None` when that was not seen.
    pub made: Option<Timestamp>,
    /// The value before it, when slm replaced that.
    pub before: Option<Ended>,
    /// How often it is rotated.
    pub period: Limit,
    /// How long a value may be valid; `None` when nothing is declared.
    pub allowed: Option<Limit>,
}

/// A value that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ended {
    /// When its version was made, by the store's clock.
    pub made: Timestamp,
    /// By when it was refused, or else disabled; `None` while it may still be let in.
    pub at: Option<Timestamp>,
}

impl Ended {
    /// For how long it was valid, or has been at `now`.
    #[must_use]
    pub fn lasted(&self, now: Timestamp) -> Limit {
        span(self.made, self.at.unwrap_or(now))
    }
}

impl Validity {
    /// The longest for which a value has been valid at `now` that still is; `None` when none was seen.
    #[must_use]
    pub fn today(&self, now: Timestamp) -> Option<Limit> {
        self.oldest().map(|made| span(made, now))
    }

    /// When the oldest value was made that may still be let in.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        let before = self.before.filter(|before| before.at.is_none()).map(|before| before.made);
        before.into_iter().chain(self.made).min()
    }

    /// Since when the oldest value is valid that still is, when that is longer at `now` than any may be.
    #[must_use]
    pub fn exceeded(&self, now: Timestamp) -> Option<(Timestamp, Limit)> {
        let (made, allowed) = (self.oldest()?, self.allowed?);
        (allowed.after(made) < now).then_some((made, allowed))
    }
}

/// Whole seconds from `start` to `end`; none when it ends before.
fn span(start: Timestamp, end: Timestamp) -> Limit {
    Limit::seconds(end.as_second().saturating_sub(start.as_second()).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    #[test]
    fn the_oldest_value_that_is_still_let_in_counts_and_one_that_was_refused_does_not() {
        let before = |end: Option<i64>| Some(Ended { made: at(10), at: end.map(at) });
        let of = |before| Validity { made: Some(at(100)), before, period: Limit::seconds(40), allowed: Some(Limit::seconds(50)) };
        assert_eq!(of(before(None)).today(at(130)), Some(Limit::seconds(120)));
        assert_eq!(of(before(None)).exceeded(at(130)), Some((at(10), Limit::seconds(50))));
        assert_eq!(of(before(Some(120))).today(at(130)), Some(Limit::seconds(30)));
        assert_eq!(of(before(Some(120))).exceeded(at(150)), None, "the limit itself is allowed");
        assert_eq!(of(before(Some(120))).exceeded(at(151)), Some((at(100), Limit::seconds(50))));
        assert_eq!(
            (before(Some(120)).unwrap().lasted(at(999)), before(None).unwrap().lasted(at(999))),
            (Limit::seconds(110), Limit::seconds(989))
        );
        assert_eq!(Validity { made: None, ..of(None) }.today(at(130)), None, "what was not seen has no age");
        assert_eq!(Validity { allowed: None, ..of(before(None)) }.exceeded(at(999)), None);
    }
}
