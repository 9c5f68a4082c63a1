//! The time for which a value replaced in place let nobody in: from its installation until the last consumer ran it.

use crate::model::outcome::Outcome;
use crate::model::time::{Limit, Timestamp};

/// What is known of it from one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// It lasted so many seconds.
    Lasted(i64),
    /// It goes on since.
    Open(Timestamp),
}

impl Gap {
    /// The gap of `outcome`, if a value was installed in it.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Option<Self> {
        let installed = outcome.events.iter().find(|event| event.step == "installed")?;
        let last = outcome.events.iter().rfind(|event| matches!(event.step.as_str(), "promoted" | "delivered" | "activated"));
        let promoted = outcome.events.iter().any(|event| event.step == "promoted");
        Some(match last.filter(|last| promoted && last.at >= installed.at) {
            Some(last) => Self::Lasted(last.at.as_second() - installed.at.as_second()),
            None => Self::Open(installed.at),
        })
    }

    /// True when more than `allowed`, or nobody knows how much.
    #[must_use]
    pub fn exceeds(self, allowed: Limit) -> bool {
        match self {
            Self::Lasted(seconds) => seconds > allowed.as_seconds(),
            Self::Open(_) => true,
        }
    }

    /// One clause.
    #[must_use]
    pub fn told(self, allowed: Limit) -> String {
        match self {
            Self::Lasted(seconds) if self.exceeds(allowed) => {
                format!("nobody could log in for {seconds}s; `allow-gap` is {allowed}")
            }
            Self::Lasted(seconds) => format!("nobody could log in for {seconds}s of the {allowed} allowed"),
            Self::Open(since) => format!("nobody can log in since {since}; run `slm resume`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Event, Fate};
    use crate::model::plan::ActionKind;

    fn outcome(steps: &[(&str, i64)]) -> Outcome {
        let event = |(step, second): &(&str, i64)| Event {
            at: Timestamp::new(*second, 0).unwrap(),
            credential: "db".into(),
            rotation: "r".into(),
            step: (*step).to_owned(),
            version: None,
            consumer: String::new(),
            readings: None,
        };
        let action = ActionKind::Collect { control: "ROT-01".into() };
        Outcome { action, fate: Fate::Done, events: steps.iter().map(event).collect() }
    }

    #[test]
    fn it_lasts_from_the_installation_until_the_last_consumer_runs_the_value() {
        let whole = [("prepared", 0), ("installed", 5), ("approved", 6), ("promoted", 7), ("activated", 65), ("done", 90)];
        let gap = Gap::of(&outcome(&whole)).unwrap();
        assert_eq!(gap, Gap::Lasted(60));
        assert_eq!((gap.exceeds(Limit::seconds(60)), gap.exceeds(Limit::seconds(59))), (false, true));
        assert_eq!(gap.told(Limit::seconds(60)), "nobody could log in for 60s of the 1m allowed");
        assert_eq!(gap.told(Limit::seconds(59)), "nobody could log in for 60s; `allow-gap` is 59s");
    }

    #[test]
    fn it_is_open_until_the_promotion_and_none_without_an_installation() {
        let gap = Gap::of(&outcome(&[("delivered", 1), ("installed", 5)])).unwrap();
        assert_eq!((gap, gap.exceeds(Limit::days(1))), (Gap::Open(Timestamp::new(5, 0).unwrap()), true));
        assert_eq!(gap.told(Limit::seconds(60)), "nobody can log in since 1970-01-01T00:00:05Z; run `slm resume`");
        assert_eq!(Gap::of(&outcome(&[("prepared", 1), ("promoted", 2)])), None);
    }
}
