//! The same as tables for spreadsheets.

use super::Made;
use super::crosswalk::crosswalk;
use super::strips::{Sight, stretches};
use super::view::{View, named};
use crate::model::deviation::Look;
use crate::report::words;

/// One row of CSV. A cell that a spreadsheet would take for a formula is told apart by an apostrophe.
fn row(cells: &[&str]) -> String {
    let cell = |text: &&str| {
        let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { (*text).to_owned() };
        if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A row a control: how it stands, and what its days said.
#[must_use]
pub fn summary_csv(view: &View<'_>) -> String {
    let words = ["compliant", "excepted", "non-compliant", "no evidence", "no run"];
    let mut text = row(&[
        "control",
        "title",
        "owner",
        "severity",
        "at the end",
        "applies to",
        "days compliant",
        "days excepted",
        "days non-compliant",
        "days without evidence",
        "days without a run",
        "deviations",
        "open",
        "criteria",
    ]);
    for control in &view.controls {
        let days = |word: &str| control.spent.iter().find(|(_, said, _)| *said == word).map_or(0, |(.., days)| *days).to_string();
        let open = control.deviations.iter().filter(|one| one.open).count();
        let (judged, deviations, open) = (control.judged.to_string(), control.deviations.len().to_string(), open.to_string());
        let spent = words.map(days);
        let criteria = control.serves.join("; ");
        let mut cells = vec![&*control.id, &control.title, &control.owner, &control.severity, &control.word, &judged];
        cells.extend(spent.iter().map(String::as_str));
        cells.extend([&*deviations, &open, &criteria]);
        text.push_str(&row(&cells));
    }
    text
}

/// A row a deviation.
#[must_use]
pub fn deviations_csv(view: &View<'_>) -> String {
    let mut text = row(&["control", "what", "detected", "ended", "lasted", "then", "packet"]);
    for one in view.controls.iter().flat_map(|control| &control.deviations) {
        text.push_str(&row(&[&one.control, &one.subject, &one.detected, &one.ended, &one.lasted, &one.then, &one.href]));
    }
    text
}

/// A row for each stretch of days in which a control said the same of a member: any member on any day.
#[must_use]
pub fn members_csv(made: &Made<'_>) -> String {
    let mut text = row(&["control", "entity", "member", "from", "to", "days", "said", "because", "packet"]);
    let look = Look::at(made.period);
    for series in &made.period.controls {
        let sight = Sight::of(&look, series, made.period.runs.len());
        if made
            .framework
            .is_some_and(|id| made.catalog.controls.get(&series.control).is_none_or(|one| !one.criteria.contains_key(id)))
        {
            continue;
        }
        for member in &series.members {
            let (entity, name) = named(&member.subject);
            let shown = sight.days_of(member, &made.period.days);
            for part in stretches(made, &series.control, &shown, "") {
                let days = &made.period.days[part.start - 1..part.start - 1 + part.days];
                let (Some(first), Some(last)) = (days.first(), days.last()) else { continue };
                let because = part.run.and_then(|run| sight.because(member, run));
                let because = because.map_or_else(String::new, words::reason_of);
                let (from, to, length) = (first.date.to_string(), last.date.to_string(), part.days.to_string());
                text.push_str(&row(&[
                    series.control.as_str(),
                    entity,
                    &name,
                    &from,
                    &to,
                    &length,
                    part.class,
                    &because,
                    &part.href,
                ]));
            }
        }
    }
    text
}

/// A row for each two criteria of two frameworks that have controls in common.
#[must_use]
pub fn crosswalk_csv(made: &Made<'_>) -> String {
    let mut text = row(&["framework", "criterion", "other framework", "other criterion", "served by", "checked by"]);
    for pair in crosswalk(made.catalog, made.removed) {
        let ((framework, criterion), (other, its)) = (pair.one, pair.other);
        if made.framework.is_some_and(|wanted| wanted != framework && wanted != other) {
            continue;
        }
        let served: Vec<&str> = pair.by.iter().map(|control| control.id.as_str()).collect();
        let checked: Vec<&str> = pair.by.iter().map(|control| control.criteria_reviewer.as_deref().unwrap_or("nobody")).collect();
        let (served, checked) = (served.join("; "), checked.join("; "));
        text.push_str(&row(&[framework.as_str(), criterion.as_str(), other.as_str(), its.as_str(), &served, &checked]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn a_cell_is_one_cell_and_never_a_formula() {
        assert_eq!(row(&["a,b", "say \"x\"", "=1+1", "plain"]), "\"a,b\",\"say \"\"x\"\"\",'=1+1,plain\r\n");
    }
}
