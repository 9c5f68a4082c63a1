//! Decisions of a past run by what a report of drift wants of them: what is not met, what is lifted, what flips soon.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::changes::lines;
use super::past::{Unreadable, said};
use crate::model::assessment::{Decision, Status, Subject};
use crate::model::past::Said;
use crate::model::time::Timestamp;

/// What of a line is looked at before the rest.
#[derive(Deserialize)]
struct Head {
    status: Status,
    flips_at: Option<Timestamp>,
}

/// The decisions of the file at `path` that somebody may have to do something about: not met, without evidence, lifted, or flipping by
/// `until`; and those that `wanted` asks for. What was observed is in the snapshot and not read.
///
/// # Errors
/// When a line is not as slm writes it.
pub fn decisions(path: &str, text: &str, until: Timestamp, wanted: impl Fn(&Said) -> bool) -> Result<Vec<Decision>, Unreadable> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Head { status, flips_at } = serde_json::from_str(line).map_err(|_| Unreadable::new(path))?;
        let told = said(path, line)?;
        let grave = matches!(status, Status::NonCompliant | Status::NoEvidence | Status::Excepted);
        if grave || flips_at.is_some_and(|at| at <= until) || wanted(&told) {
            let Said { control, subject, status, because } = told;
            found.push(Decision { control, subject, status, because, observed: Vec::new(), flips_at });
        }
    }
    Ok(found)
}

/// Since when each subject has the status that it has, by what runs changed of the file at `path`, the oldest first; all of them from
/// its beginning.
///
/// # Errors
/// When a line is not as slm writes it.
pub fn since(path: &str, changes: &[(Timestamp, String)]) -> Result<BTreeMap<Subject, (Status, Timestamp)>, Unreadable> {
    let mut known: BTreeMap<Subject, (Status, Timestamp)> = BTreeMap::new();
    for (at, text) in changes {
        let (mut came, mut went) = (Vec::new(), Vec::new());
        for (is_new, line) in lines(text) {
            let told = said(path, line)?;
            if is_new { came.push(told) } else { went.push(told) }
        }
        // A line that is written anew with the same status, because something observed moved, is no change of it.
        let before: BTreeMap<Subject, (Status, Timestamp)> =
            went.into_iter().filter_map(|told| known.remove_entry(&told.subject)).collect();
        for Said { subject, status, .. } in came {
            let begun = before.get(&subject).filter(|(was, _)| *was == status).map_or(*at, |(_, begun)| *begun);
            known.insert(subject, (status, begun));
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assessment::{Because, Subject};

    fn line(status: &str, resource: &str, flips: Option<&str>) -> String {
        serde_json::json!({
            "because": "nothing-permits", "entity": "Aws::Secret", "flips_at": flips, "observed": {}, "resource": resource, "status": status,
        })
        .to_string()
    }

    #[test]
    fn only_what_somebody_may_have_to_do_something_about_is_kept() {
        let lines = [
            line("compliant", "calm", Some("2026-12-31T00:00:00Z")),
            line("compliant", "soon", Some("2026-12-01T00:00:00Z")),
            line("compliant", "asked", None),
            line("non-compliant", "bad", None),
            line("no-evidence", "unseen", None),
            line("excepted", "lifted", None),
            line("not-applicable", "out", None),
        ];
        let until = "2026-12-01T00:00:00Z".parse().unwrap();
        let is_asked = |said: &Said| matches!(&said.subject, Subject::Resource { id, .. } if id.as_str() == "asked");
        let found = decisions("decisions/A-1.jsonl", &lines.join("\n"), until, is_asked).unwrap();
        let names: Vec<String> = found
            .iter()
            .map(|one| match &one.subject {
                Subject::Resource { id, .. } => id.to_string(),
                Subject::Population { .. } => String::new(),
            })
            .collect();
        assert_eq!(names, ["soon", "asked", "bad", "unseen", "lifted"]);
        assert_eq!((found[0].flips_at, &found[2].because), (Some(until), &Because::NothingPermits));
        let wrong = decisions("decisions/A-1.jsonl", "{}", until, |_| false).unwrap_err();
        assert_eq!(wrong.to_string(), "`decisions/A-1.jsonl` is not as slm writes it");
    }

    #[test]
    fn a_status_counts_since_the_run_that_changed_it_and_not_since_what_was_observed_moved() {
        let at = |second| Timestamp::new(second, 0).unwrap();
        let with = |sign: char, status: &str, flips: Option<&str>| format!("{sign}{}\n", line(status, "x", flips));
        let moved = Some("2026-12-01T00:00:00Z");
        let changes = [
            (at(1), with('+', "compliant", None)),
            (at(2), with('-', "compliant", None) + &with('+', "non-compliant", None)),
            (at(3), with('-', "non-compliant", None) + &with('+', "non-compliant", moved)),
        ];
        let subject = Subject::Resource { entity: "Aws::Secret".into(), id: "x".into() };
        let known = since("decisions/A-1.jsonl", &changes).unwrap();
        assert_eq!(known, BTreeMap::from([(subject, (Status::NonCompliant, at(2)))]));
        let gone = [&changes[..], &[(at(4), with('-', "non-compliant", moved))]].concat();
        assert_eq!(since("decisions/A-1.jsonl", &gone).unwrap(), BTreeMap::new());
    }
}
