//! Days on which a control had not enough evidence, in any run of them: a graver or a later word of the same day hides none.

use std::collections::BTreeMap;

use super::Report;
use crate::model::assessment::Status;
use crate::model::id::ControlId;
use crate::model::period::{Date, Day, Period, Series};
use crate::report::words::count;

/// The places of the days of `period` on which any run said of any subject of `series` that there was no evidence.
fn days(period: &Period, series: &Series) -> Vec<usize> {
    // How many more subjects have no evidence since each run: what did not change is walked once a span.
    let mut since = vec![0_i64; period.runs.len() + 1];
    for span in series.members.iter().flat_map(|member| &member.spans).filter(|span| span.status == Status::NoEvidence) {
        since[span.from.min(period.runs.len())] += 1;
        since[span.until.min(period.runs.len())] -= 1;
    }
    let mut now = 0;
    let unseen: Vec<bool> = since
        .iter()
        .map(|more| {
            now += more;
            now > 0
        })
        .collect();
    let any = |day: &Day| day.runs.iter().any(|run| unseen.get(*run).copied().unwrap_or(false));
    period.days.iter().enumerate().filter(|(_, day)| any(day)).map(|(place, _)| place).collect()
}

/// Every control with its days, where it has any; what a person signed for has its evidence.
pub(super) fn all<'a>(report: &Report<'a>) -> Vec<(&'a ControlId, Vec<Date>)> {
    let of = |series: &Series| {
        let places = days(report.period, series).into_iter().filter(|place| report.signed(series, *place) != Some(true));
        places.filter_map(|place| report.period.days.get(place)).map(|day| day.date).collect::<Vec<_>>()
    };
    let each = report.period.controls.iter().map(|series| (&series.control, of(series)));
    each.filter(|(_, days)| !days.is_empty()).collect()
}

/// A line for all controls that lack the same days.
pub(super) fn lines(report: &Report<'_>) -> Vec<String> {
    let mut same: BTreeMap<Vec<Date>, Vec<&str>> = BTreeMap::new();
    for (control, days) in all(report) {
        same.entry(days).or_default().push(control.as_str());
    }
    let line = |(days, controls): (&Vec<Date>, &Vec<&str>)| {
        format!("{} without evidence, {}: {}", count(days.len() as u64, "day"), stretches(days), controls.join(" "))
    };
    same.iter().map(line).collect()
}

/// Stretches at most; what is more is counted, and is in the JSON.
const STRETCHES: usize = 8;

/// Days one after another as their first and their last.
fn stretches(days: &[Date]) -> String {
    let mut all: Vec<(Date, Date)> = Vec::new();
    for day in days {
        match all.last_mut() {
            Some((_, last)) if last.tomorrow().ok() == Some(*day) => *last = *day,
            _ => all.push((*day, *day)),
        }
    }
    let told = |(from, to): &(Date, Date)| if from == to { from.to_string() } else { format!("{from} to {to}") };
    let mut parts: Vec<String> = all.iter().take(STRETCHES).map(told).collect();
    let more = all.len().saturating_sub(STRETCHES);
    parts.extend((more > 0).then(|| format!("and {more} times more")));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_one_after_another_are_told_by_their_first_and_their_last() {
        let days = |all: &[&str]| all.iter().map(|day| day.parse().unwrap()).collect::<Vec<Date>>();
        let told = stretches(&days(&["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-03"]));
        assert_eq!(told, "2026-02-27 to 2026-03-01, 2026-03-03");
        let odd: Vec<String> = (1..20).step_by(2).map(|day| format!("2026-03-{day:02}")).collect();
        let told = stretches(&days(&odd.iter().map(String::as_str).collect::<Vec<_>>()));
        assert!(told.ends_with("2026-03-15, and 2 times more"), "{told}");
    }
}
