//! A population in a period: whether it was seen whole, what counts it independently, and what explains that somebody came or went.

use std::collections::BTreeMap;

use super::words::count;
use crate::model::id::EntityType;
use crate::model::period::{Change, Explanation, Members, Period, RunNote};
use crate::model::reconcile::{Counter, Reconciled};

/// How many came and how many went: who was lost from sight, and found again, did neither.
#[must_use]
pub fn moved(changes: &[Change]) -> (usize, usize) {
    let unseen = |why: &Explanation| matches!(why, Explanation::NotSeenWhole | Explanation::NotSeenWholeBefore);
    let seen = || changes.iter().filter(|one| !one.explained.as_ref().is_some_and(unseen));
    let came = seen().filter(|one| one.came).count();
    (came, seen().count() - came)
}

/// How many there were before the first of the changes that are told, and by the last run that saw all of them; `None` when none did. What
/// came makes the one the other, less what went.
#[must_use]
pub fn sizes(period: &Period, members: &Members) -> Option<(u64, u64)> {
    let known = || members.sizes.iter().flatten().copied();
    let (first, last) = (known().next()?, known().next_back()?);
    // The first run tells what it saw, and what is another since the run before it.
    let since = &members.changes[..members.changes.partition_point(|change| change.run == 0)];
    let there = members.seen.iter().filter(|one| one.spans.iter().any(|(from, _)| *from == 0)).count();
    let lost = since.iter().filter(|change| change.explained == Some(Explanation::NotSeenWhole)).count();
    let (came, went) = moved(since);
    let of_it = |run: &RunNote| {
        run.seen.iter().filter(|seen| seen.entity == members.entity).map(|seen| seen.completeness.is_complete()).collect()
    };
    let whole: Vec<bool> = period.runs.first().map(of_it).unwrap_or_default();
    // Of whom neither it nor the run before saw all, the number is that of whoever did first.
    let is_known = lost > 0 || (!whole.is_empty() && whole.into_iter().all(|whole| whole));
    Some((if is_known { (there + went + lost).saturating_sub(came) as u64 } else { first }, last))
}

/// What explains each of `changes`, counted.
#[must_use]
pub fn reasons(changes: &[Change]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for change in changes {
        let reason = match &change.explained {
            Some(Explanation::Created(_)) => "made, says the source",
            Some(Explanation::Deleting) => "being deleted, said the source",
            Some(Explanation::Called { .. }) => "by a call that was logged",
            Some(Explanation::OtherConfig) => "by another config",
            Some(Explanation::NotSeenWhole | Explanation::NotSeenWholeBefore) => "not seen whole",
            None => "not explained",
        };
        *reasons.entry(reason).or_default() += 1;
    }
    reasons.into_iter().map(|(reason, number)| format!("{number} {reason}")).collect()
}

/// Whether every run of `period` saw all of `entity`.
#[must_use]
pub fn completeness(period: &Period, entity: &EntityType) -> String {
    let looked = |run: &&RunNote| run.seen.iter().any(|seen| seen.entity == *entity);
    let part = |run: &&RunNote| run.seen.iter().any(|seen| seen.entity == *entity && !seen.completeness.is_complete());
    let (looked, part) = (period.runs.iter().filter(looked).count(), period.runs.iter().filter(part).count());
    let all = period.runs.len();
    let mut told = match (looked, part) {
        (0, _) => return "no run looked at it".to_owned(),
        (_, 0) if looked == all => return "seen whole by every run".to_owned(),
        (_, 0) => format!("seen whole by {}", count(looked as u64, "run")),
        (_, part) => format!("not seen whole by {}", count(part as u64, "run")),
    };
    if looked < all {
        told.push_str(&format!(", and {} did not look", all - looked));
    }
    told
}

/// Source and scope of a list, and what counts it.
type Counted<'a> = (&'a str, &'a str, Counter);

/// How often something else counted `entity`, and whether it came to the same; a line each.
#[must_use]
pub fn counted(period: &Period, entity: &EntityType) -> Vec<String> {
    let mut all: BTreeMap<Counted<'_>, Vec<(&RunNote, &Reconciled)>> = BTreeMap::new();
    for run in &period.runs {
        for one in run.reconciled.iter().filter(|one| one.entity == *entity) {
            all.entry((one.source.as_str(), one.scope.as_str(), one.by)).or_default().push((run, one));
        }
    }
    let told = |(source, scope, by): Counted<'_>, counts: &[(&RunNote, &Reconciled)]| {
        let head = format!("{source} {scope} is counted by {} too", by.words());
        let runs = count(counts.len() as u64, "run");
        let differ: Vec<_> = counts.iter().filter(|(_, one)| !one.agrees).collect();
        let Some((run, last)) = differ.last() else { return format!("{head}: they agree in each of {runs}") };
        let number = last.counted.map_or_else(|| "no number was told".to_owned(), |counted| format!("{counted} counted"));
        format!("{head}: they DIFFER in {} of {runs}, last at {}: {} listed, {number}", differ.len(), run.at, last.listed)
    };
    let lines: Vec<String> = all.iter().map(|(what, counts)| told(*what, counts)).collect();
    if lines.is_empty() { vec!["nothing counts it independently".to_owned()] } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::deviation::tests::period;
    use crate::model::period::Presence;

    fn counts(listed: u64, counted: u64) -> Reconciled {
        Reconciled {
            source: "s".into(),
            scope: "1/eu".to_owned(),
            entity: "A".into(),
            by: Counter::AccountSummary,
            listed,
            counted: Some(counted),
            differ: Vec::new(),
            explained: Vec::new(),
            agrees: listed == counted,
        }
    }

    #[test]
    fn what_counts_a_population_independently_is_told_and_where_it_differs() {
        let mut period = period(&[true, false, true], None, Vec::new());
        let entity = "A".into();
        assert_eq!(counted(&period, &entity), ["nothing counts it independently"]);
        period.runs[0].reconciled = vec![counts(2, 2)];
        period.runs[2].reconciled = vec![counts(2, 2)];
        assert_eq!(counted(&period, &entity), ["s 1/eu is counted by the account summary too: they agree in each of 2 runs"]);
        period.runs[2].reconciled = vec![counts(2, 3)];
        let told = "s 1/eu is counted by the account summary too: they DIFFER in 1 of 2 runs, last at 1970-01-03T00:00:00Z: 2 listed, 3 counted";
        assert_eq!(counted(&period, &entity), [told]);
    }

    #[test]
    fn what_came_and_went_leads_from_the_first_number_to_the_last() {
        let change = |run, id: &str, came, explained| Change {
            run,
            source: "s".into(),
            scope: "1/eu".to_owned(),
            id: id.into(),
            came,
            explained,
        };
        let of = |whole: &[bool], sizes: Vec<Option<u64>>, spans: &[(&str, usize, usize)], changes: Vec<Change>| {
            let one = |(id, from, until): &(&str, usize, usize)| Presence {
                source: "s".into(),
                scope: "1/eu".to_owned(),
                id: (*id).into(),
                spans: vec![(*from, *until)],
            };
            let seen = spans.iter().map(one).collect();
            let members = Members { entity: "A".into(), path: String::new(), sizes, seen, changes };
            super::sizes(&period(whole, None, Vec::new()), &members)
        };
        let went = change(0, "z", false, None);
        let all = [("x", 0, 2), ("y", 1, 2)];
        // One came on the day of the first run, after it; one came with it and one went since the run before.
        assert_eq!(of(&[true; 2], vec![Some(2)], &all, vec![change(1, "y", true, None)]), Some((1, 2)));
        assert_eq!(of(&[true; 2], vec![Some(2)], &all, vec![change(0, "x", true, None), went.clone()]), Some((1, 2)));
        // The first run saw nobody: who was lost was there, and who was found was.
        let lost = change(0, "x", false, Some(Explanation::NotSeenWhole));
        let found = change(1, "x", true, Some(Explanation::NotSeenWholeBefore));
        assert_eq!(of(&[false, true], vec![None, Some(1)], &[("x", 1, 2)], vec![lost, found]), Some((1, 1)));
        // Nobody saw all of them before.
        assert_eq!(of(&[false, true], vec![None, Some(2)], &all, Vec::new()), Some((2, 2)));
        // Who was lost before the first run, and is gone by it, had been there.
        let found = change(0, "x", true, Some(Explanation::NotSeenWholeBefore));
        assert_eq!(of(&[true], vec![Some(1)], &[("x", 0, 1)], vec![found, went]), Some((2, 1)));
        assert_eq!(of(&[false], vec![None], &[], Vec::new()), None);
    }

    #[test]
    fn who_was_lost_from_sight_neither_came_nor_went() {
        let change =
            |came, explained| Change { run: 0, source: "s".into(), scope: ".".to_owned(), id: "x".into(), came, explained };
        let (lost, found) = (Some(Explanation::NotSeenWhole), Some(Explanation::NotSeenWholeBefore));
        let all = [change(false, lost.clone()), change(false, lost), change(true, found), change(false, None)];
        assert_eq!(moved(&all), (0, 1));
        assert_eq!(reasons(&all), ["1 not explained", "3 not seen whole"]);
    }

    #[test]
    fn whether_a_population_was_seen_whole_is_told_of_every_run() {
        let of = |whole: &[bool]| completeness(&period(whole, None, Vec::new()), &"A".into());
        assert_eq!(of(&[true; 2]), "seen whole by every run");
        assert_eq!(of(&[true, false, true]), "not seen whole by 1 run");
        let mut period = period(&[true; 3], None, Vec::new());
        period.runs[1].seen.clear();
        assert_eq!(completeness(&period, &"A".into()), "seen whole by 2 runs, and 1 did not look");
        assert_eq!(completeness(&period, &"B".into()), "no run looked at it");
    }
}
