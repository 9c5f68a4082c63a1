//! One rate of requests that everything a run sends shares.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A bucket of tokens, one a request: full at first, it holds what one second gives. A clone shares the bucket. A crate would bring
/// keys, quotas and a clock of its own for these twenty lines.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Bucket>);

#[derive(Debug)]
struct Bucket {
    /// How long one token takes to come.
    every: Duration,
    /// How long a whole bucket takes, less one token: what may be sent ahead of an even pace.
    ahead: Duration,
    /// When the next token would be due at an even pace.
    due: Mutex<Instant>,
    /// How many were waited for to the end.
    taken: AtomicU64,
}

impl Budget {
    /// A full bucket that gives `rate` tokens a second; 0 counts as 1.
    #[must_use]
    pub fn per_second(rate: u16) -> Self {
        let rate = rate.max(1);
        Self::new(Duration::from_secs(1) / u32::from(rate), rate)
    }

    /// A full bucket of `size` tokens that gives one `every` so often.
    fn new(every: Duration, size: u16) -> Self {
        Self(Arc::new(Bucket {
            every,
            ahead: every * u32::from(size - 1),
            due: Mutex::new(Instant::now()),
            taken: AtomicU64::new(0),
        }))
    }

    /// Waits for a token, in the order of asking. One that is given up on while it waits is lost.
    pub async fn take(&self) {
        sleep_until(self.turn(Instant::now())).await;
        self.0.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were let go.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Takes a token at `now`: the instant from which the request may be sent.
    fn turn(&self, now: Instant) -> Instant {
        let mut due = self.0.due.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = (*due).max(now);
        *due = mine + self.0.every;
        mine.checked_sub(self.0.ahead).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
impl Budget {
    /// A budget of `size` tokens that are gone for the length of any test once taken.
    pub(super) fn slow(size: u16) -> Self {
        Self::new(Duration::from_secs(3_600), size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of virtual time until each of `count` requests asked for at once may be sent, one worker in turn after the other.
    fn turns(workers: &[Budget], count: usize) -> Vec<f64> {
        let now = Instant::now() + Duration::from_secs(3_600);
        (0..count).map(|at| workers[at % workers.len()].turn(now).duration_since(now).as_secs_f64()).collect()
    }

    #[test]
    fn a_full_bucket_is_spent_at_once_and_then_each_request_waits_its_turn() {
        let turns = turns(&[Budget::per_second(10)], 35);
        assert!(turns[..10].iter().all(|wait| *wait == 0.0), "{turns:?}");
        assert_eq!((turns[10], turns[19], turns[34]), (0.1, 1.0, 2.5));
    }

    #[test]
    fn what_runs_at_once_shares_one_budget() {
        let budget = Budget::per_second(5);
        let workers = vec![budget; 4];
        assert_eq!(turns(&workers, 20)[19], 3.0, "4 × 5 requests, 5 of them at once, at 5 a second");
    }

    #[test]
    fn a_pause_fills_the_bucket_and_no_further() {
        let budget = Budget::per_second(4);
        turns(std::slice::from_ref(&budget), 12);
        let later = Instant::now() + Duration::from_secs(7_200);
        let waits: Vec<f64> = (0..6).map(|_| budget.turn(later).duration_since(later).as_secs_f64()).collect();
        assert_eq!(waits, [0.0, 0.0, 0.0, 0.0, 0.25, 0.5]);
    }

    #[tokio::test]
    async fn a_request_waits_while_the_bucket_is_empty() {
        let budget = Budget::slow(2);
        budget.take().await;
        budget.take().await;
        let third = budget.take();
        assert!(futures::poll!(std::pin::pin!(third)).is_pending());
        assert_eq!(budget.taken(), 2, "what waits is not let go");
    }
}
