//! How long GitHub tells a caller to wait, and how much of that one client is ready to wait.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Waiting for rate limits that one client does over all its calls: twice what a secondary limit asks for when it does not say.
const BUDGET: Duration = Duration::from_secs(120);
/// What GitHub's documentation asks to wait for when an answer does not say.
pub const UNSAID: Duration = Duration::from_secs(60);

/// What is left of the waiting.
pub struct Pace(Mutex<Duration>);

impl Default for Pace {
    fn default() -> Self {
        Self::of(BUDGET)
    }
}

impl Pace {
    /// Waiting of `budget` at most.
    pub fn of(budget: Duration) -> Self {
        Self(Mutex::new(budget))
    }

    /// Takes `wait` from the budget; false when it holds less, and then nothing is taken.
    pub fn take(&self, wait: Duration) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = left.checked_sub(wait);
        *left = rest.unwrap_or(*left);
        rest.is_some()
    }
}

/// The wait that a refusal with the headers `header` asks for, a second at least: `Retry-After`, else the reset of a limit that is spent, by the
/// source's own clock. `None` when it speaks of no limit.
pub fn asked<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Duration> {
    let number = |name: &str| header(name).and_then(|text| text.trim().parse::<u64>().ok());
    let spent = header("x-ratelimit-remaining") == Some("0");
    let date = header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp().as_second());
    let reset = || {
        let until = i64::try_from(number("x-ratelimit-reset")?).ok()?.checked_sub(date?)?;
        Some(u64::try_from(until).unwrap_or(0))
    };
    let seconds = match header("retry-after") {
        Some(_) => number("retry-after").unwrap_or(UNSAID.as_secs()),
        None if spent => reset().unwrap_or(UNSAID.as_secs()),
        None => return None,
    };
    Some(Duration::from_secs(seconds.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_what_the_source_says_by_its_own_clock() {
        let date = ("date", "Tue, 24 Nov 2026 06:00:00 GMT");
        let at = |second: i64| ("2026-11-24T06:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second() + second).to_string();
        for (given, want) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", "0")], Some(1)),
            (vec![("retry-after", "soon")], Some(60)),
            (vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &at(9)), date], Some(9)),
            (vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &at(-9)), date], Some(1)),
            (vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &at(9))], Some(60)),
            (vec![("x-ratelimit-remaining", "0"), ("retry-after", "3"), ("x-ratelimit-reset", &at(9)), date], Some(3)),
            (vec![("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", &at(9)), date], None),
            (vec![date], None),
        ] {
            let wait = asked(|wanted| given.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value));
            assert_eq!(wait.map(|wait| wait.as_secs()), want, "{given:?}");
        }
    }

    #[test]
    fn a_budget_is_spent_once_and_a_wait_beyond_it_takes_nothing() {
        let pace = Pace::of(Duration::from_secs(5));
        let waits = [3, 3, 2, 1].map(|seconds| pace.take(Duration::from_secs(seconds)));
        assert_eq!(waits, [true, false, true, false]);
    }
}
