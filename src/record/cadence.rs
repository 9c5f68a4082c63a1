//! Whether there was a run as often as one is due.

use super::verify::Remark;
use crate::model::time::{Limit, Timestamp};

/// Longer than it takes from the beginning of a run to its commit.
const LATE_SECONDS: i64 = 86_400;
/// Runs side by side are recorded in any order: the one that began first may go on the other, as long as that is not long after.
const BESIDE_SECONDS: i64 = 3_600;

/// When a run was recorded at the earliest, where that is so long after `at` that nothing but its own word says it began then: it was
/// `received` more than a day later, or goes on a commit of `before`, more than an hour later.
#[must_use]
pub fn late(at: Timestamp, received: Timestamp, before: Option<Timestamp>) -> Option<Timestamp> {
    let after = |later: Timestamp| later.as_second() - at.as_second();
    let recorded = before.map_or(received, |before| before.max(received));
    let is = after(received) > LATE_SECONDS || before.is_some_and(|before| after(before) > BESIDE_SECONDS);
    is.then_some(recorded)
}

/// From when to when is looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Gaps that ended before are not told; none when all are.
    pub from: Option<Timestamp>,
    /// Until when there must have been one.
    pub until: Timestamp,
    /// That instant in words.
    pub end: String,
}

/// Where none of `runs` began for longer than `cadence` inside of `window`, and that there was none any more until its end. Without a cadence,
/// that nobody can say.
#[must_use]
pub fn judge(runs: &[(String, Timestamp)], cadence: Option<Limit>, window: &Window) -> (Vec<Remark>, Option<Remark>) {
    let Some(cadence) = cadence else {
        let what = "how often a run is due is not known here, so days without one are not looked for: give it with `--cadence`";
        return (vec![Remark { code: "slm::evidence-no-cadence", what: what.to_owned() }], None);
    };
    let mut times: Vec<Timestamp> = runs.iter().map(|(_, at)| *at).collect();
    times.sort_unstable();
    let longer = |from: &Timestamp, to: &Timestamp| to.as_second() - from.as_second() > cadence.as_seconds();
    let told = |from: &Timestamp, to: &str| format!("no run between {from} and {to}: longer than {cadence}");
    let inside = |two: &&[Timestamp]| window.from.is_none_or(|from| two[1] > from) && two[0] < window.until;
    let gaps = times.windows(2).filter(|two| longer(&two[0], &two[1])).filter(inside);
    let gaps = gaps.map(|two| Remark { code: "slm::evidence-gap", what: told(&two[0], &two[1].to_string()) }).collect();
    let last = times.last().filter(|last| longer(last, &window.until));
    (gaps, last.map(|last| Remark { code: "slm::evidence-stale", what: told(last, &window.end) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3_600).unwrap()
    }

    /// Runs at these hours, looked at with a cadence of a day.
    fn judged(hours: &[i64], from: Option<i64>, until: i64) -> Vec<(&'static str, String)> {
        let runs: Vec<_> = hours.iter().map(|hour| (format!("r{hour}"), at(*hour))).collect();
        let window = Window { from: from.map(at), until: at(until), end: "now".to_owned() };
        let (gaps, stale) = judge(&runs, Some(Limit::days(1)), &window);
        gaps.into_iter().chain(stale).map(|remark| (remark.code, remark.what)).collect()
    }

    #[test]
    fn a_run_is_of_the_time_it_says_unless_it_was_recorded_long_after() {
        assert_eq!(late(at(5), at(6), Some(at(4))), None);
        assert_eq!(late(at(5), at(6), Some(at(6))), None, "another began later and was recorded first");
        assert_eq!(late(at(5), at(29), None), None);
        assert_eq!(late(at(5), at(30), None), Some(at(30)), "more than a day later");
        assert_eq!(late(at(5), at(30), Some(at(4))), Some(at(30)));
        assert_eq!(late(at(5), at(7), Some(at(7))), Some(at(7)), "it goes on what came two hours after");
        assert_eq!(late(at(5), at(5), Some(at(99))), Some(at(99)), "a commit without a log is dated as its run");
    }

    #[test]
    fn runs_as_often_as_they_are_due_leave_nothing_to_say() {
        assert_eq!(judged(&[0, 24, 48], None, 72), []);
        assert_eq!(judged(&[48, 0, 24], None, 72), [], "whatever the order in which they were recorded");
        assert_eq!(judged(&[], None, 72), []);
    }

    #[test]
    fn a_longer_time_between_two_is_a_gap_and_one_until_the_end_is_stale() {
        let gap = ("slm::evidence-gap", "no run between 1970-01-01T00:00:00Z and 1970-01-02T01:00:00Z: longer than 1d".to_owned());
        let stale = ("slm::evidence-stale", "no run between 1970-01-02T01:00:00Z and now: longer than 1d".to_owned());
        assert_eq!(judged(&[0, 25], None, 50), [gap, stale]);
        assert_eq!(judged(&[0, 25], None, 49).len(), 1, "a day after the last is not too long");
    }

    #[test]
    fn a_gap_outside_of_the_window_is_not_its_own_and_one_across_its_edge_is() {
        assert_eq!(judged(&[0, 30, 40], Some(30), 50), []);
        assert_eq!(judged(&[0, 30, 40], Some(29), 50).len(), 1);
        assert_eq!(judged(&[0, 20, 90], None, 20), []);
        assert_eq!(judged(&[0, 20, 90], None, 21).len(), 1);
    }

    #[test]
    fn without_a_cadence_it_is_said_that_nobody_looked() {
        let window = Window { from: None, until: at(1), end: String::new() };
        let (told, stale) = judge(&[("r".to_owned(), at(0))], None, &window);
        assert_eq!((told[0].code, stale), ("slm::evidence-no-cadence", None));
    }
}
