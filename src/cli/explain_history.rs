//! `slm explain --history`: every run that changed what one control says, by the index of the locker.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Exit, Global, Said, Trouble, past, verify};
use crate::host::history::History;
use crate::model::assessment::{Because, Status, Subject};
use crate::record::changes::lines;
use crate::record::past::said;
use crate::record::verify::run_id;
use crate::record::{DECISIONS, decisions_path};
use crate::report::history::{self, Step, Turn};

/// What was said of one subject, before and since.
type Both = (Option<(Status, Because)>, Option<(Status, Because)>);

pub(super) fn run(control: &str, newest: usize, global: &Global) -> Result<Said, Trouble> {
    let branch = verify::settings(global)?.branch;
    let mut history = History::open(&global.root, &branch)?;
    let path = decisions_path(&control.into());
    let versions = history.versions(&path)?;
    if versions.is_empty() {
        let known = history.paths().filter_map(|path| path.strip_prefix(DECISIONS)?.strip_suffix(".jsonl"));
        let near = known.map(|id| (strsim::damerau_levenshtein(id, control), id)).filter(|(far, _)| *far <= 2).min();
        let hint = near.map_or_else(String::new, |(_, id)| format!("; did you mean `{id}`?"));
        return Err(format!("no run on {branch} judged a control `{control}`{hint}").into());
    }
    let shown = versions.len().saturating_sub(newest);
    let changes = history.changes(&path, &versions[shown..])?;
    let mut steps = Vec::new();
    for (version, change) in versions[shown..].iter().zip(&changes).rev() {
        let recorded = &history.commits()[version.commit];
        let run = recorded.run.as_deref().and_then(run_id).map(str::to_owned);
        let (turns, same) = turns(&path, change)?;
        steps.push(Step { at: recorded.at, run, commit: recorded.commit.to_string(), turns, same });
    }
    let runs = history.commits().iter().filter(|one| one.run.is_some()).count();
    let told = history::History { control: control.into(), branch, runs, changes: versions.len(), steps };
    Ok(Said::new(vec![Exit::Clean], history::human(&told), json!(told)))
}

/// What is said otherwise since `change`, and how many are judged the same by other facts.
fn turns(path: &str, change: &str) -> Result<(Vec<Turn>, usize), Trouble> {
    let mut all = BTreeMap::<Subject, Both>::new();
    for (came, line) in lines(change) {
        let one = said(path, line).map_err(|error| past::broken(error.to_string()))?;
        let both = all.entry(one.subject).or_default();
        let place = if came { &mut both.1 } else { &mut both.0 };
        *place = Some((one.status, one.because));
    }
    let count = all.len();
    let other = all.into_iter().filter(|(_, (before, after))| before != after);
    let turns: Vec<Turn> = other.map(|(subject, (before, after))| Turn { subject, before, after }).collect();
    let same = count - turns.len();
    Ok((turns, same))
}
