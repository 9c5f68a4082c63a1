//! What one control said over time: each run in which anything of it changed, and what.

use std::fmt::Write as _;

use serde::Serialize;

use super::words::{bounded, count, reason_of, subject};
use crate::model::assessment::{Because, Status, Subject};
use crate::model::id::ControlId;
use crate::model::time::Timestamp;

/// The newest of what changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// Of which control.
    pub control: ControlId,
    /// The branch of the evidence.
    pub branch: String,
    /// How many runs are recorded on it.
    pub runs: usize,
    /// How many of them changed anything.
    pub changes: usize,
    /// The newest of those, the newest first.
    pub steps: Vec<Step>,
}

/// What one run changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When it began.
    pub at: Timestamp,
    /// Its name, as far as its commit has one.
    pub run: Option<String>,
    /// Its commit.
    pub commit: String,
    /// What is said otherwise since.
    pub turns: Vec<Turn>,
    /// How many were judged the same by other facts.
    pub same: usize,
}

/// What is said of one subject, before and since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// What it is about.
    pub subject: Subject,
    /// What was said; `None` when it came.
    pub before: Option<(Status, Because)>,
    /// What is said; `None` when it went.
    pub after: Option<(Status, Because)>,
}

/// The history for a terminal.
#[must_use]
pub fn human(history: &History) -> String {
    let History { control, branch, runs, changes, steps } = history;
    let mut text = format!("{control} was changed by {} of {runs} on {branch}, the newest first.\n", count(*changes as u64, "run"));
    for Step { at, run, commit, turns, same } in steps {
        let run = run.as_deref().unwrap_or("no run");
        let _ = writeln!(text, "\n{at}  {run}  {}", &commit[..12.min(commit.len())]);
        for line in bounded(turns.iter().map(turn).collect(), "subject") {
            let _ = writeln!(text, "  {line}");
        }
        if *same > 0 {
            let _ = writeln!(text, "  judged the same by other facts: {same}");
        }
    }
    let more = changes.saturating_sub(steps.len());
    if more > 0 {
        let _ = writeln!(text, "\nand {more} before: `--newest {changes}` has all");
    }
    text
}

fn turn(Turn { subject: of, before, after }: &Turn) -> String {
    let said = |(status, because): &(Status, Because)| format!("{}, {}", status.word(), reason_of(because));
    let of = subject(of);
    match (before, after) {
        (Some(before), Some(after)) => format!("{of}  {}; before {}", said(after), said(before)),
        (None, Some(after)) => format!("{of}  came: {}", said(after)),
        (Some(before), None) => format!("{of}  went: was {}", said(before)),
        (None, None) => of,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_says_what_it_was_before_and_what_is_more_is_counted() {
        let of = |id: &str| Subject::Resource { entity: "Vault::Secret".into(), id: id.into() };
        let (well, bad) =
            ((Status::Compliant, Because::Permitted(vec!["ROT-01".into()])), (Status::NonCompliant, Because::NothingPermits));
        let turns = vec![
            Turn { subject: of("a"), before: Some(well.clone()), after: Some(bad.clone()) },
            Turn { subject: of("b"), before: None, after: Some(well) },
            Turn { subject: of("c"), before: Some(bad), after: None },
        ];
        let at = "2026-03-31T05:00:00Z".parse().unwrap();
        let step = Step { at, run: Some("r7".to_owned()), commit: "c0ffeec0ffeec0ffee".to_owned(), turns, same: 2 };
        let history =
            History { control: "ROT-01".into(), branch: "slm/evidence".to_owned(), runs: 9, changes: 3, steps: vec![step] };
        assert_eq!(
            human(&history),
            "ROT-01 was changed by 3 runs of 9 on slm/evidence, the newest first.\n\n\
             2026-03-31T05:00:00Z  r7  c0ffeec0ffee\n\
             \x20 a  non-compliant, no rule permits it; before compliant, permitted by ROT-01\n\
             \x20 b  came: compliant, permitted by ROT-01\n\
             \x20 c  went: was non-compliant, no rule permits it\n\
             \x20 judged the same by other facts: 2\n\n\
             and 2 before: `--newest 3` has all\n"
        );
    }
}
