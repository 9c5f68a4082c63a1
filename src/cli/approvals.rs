//! What people approved, by the versions of the files of exceptions that the locker kept: how often, and what one said when it was in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Trouble;
use super::period::Collected;
use crate::host::history::History;
use crate::load;
use crate::model::assessment::Because;
use crate::model::catalog::{Catalog, Exception};
use crate::model::exception::{Exceptions, Finding};
use crate::model::id::ExceptionId;
use crate::model::period::At;
use crate::model::time::Timestamp;
use crate::world::WorldError;

/// Counts in `exceptions` every approval that a run recorded on `branch` saw, and finds those that the file does not tell of any more. A
/// locker that is not there yet, or cannot be read, has seen none.
pub(super) fn count(root: &Path, branch: &str, catalog: &Catalog, exceptions: &mut Exceptions) {
    if catalog.exceptions.is_empty() {
        return;
    }
    let Ok(mut history) = History::open(root, branch) else { return };
    let last = history.commits().len();
    for standing in &mut exceptions.standings {
        let Some(file) = catalog.exceptions.get(&standing.id) else { continue };
        let told = told(file);
        let Ok(mut all) = kept(&mut history, &file.place.file, last) else { continue };
        all.extend(&told);
        standing.approvals = all.len();
        if all != told {
            standing.finding.get_or_insert(Finding::RenewedUntold);
        }
    }
}

/// Exceptions that decided something in a run of `collected`, as their files were in the last run that they did; each with every approval
/// until the end of it. One whose file that run did not keep is left as `known` has it.
pub(super) fn in_force(
    collected: &mut Collected,
    known: &BTreeMap<ExceptionId, Exception>,
) -> Result<BTreeMap<ExceptionId, Exception>, Trouble> {
    let mut last = BTreeMap::<ExceptionId, At>::new();
    for span in collected.period.controls.iter().flat_map(|series| &series.members).flat_map(|member| &member.spans) {
        if let Because::Exception(id) = &span.because {
            let at = last.entry(id.clone()).or_default();
            *at = (*at).max(span.until.saturating_sub(1));
        }
    }
    let commits = collected.history.commits();
    let end = collected.recorded.last().and_then(|last| commits.iter().position(|one| one.commit == last.commit));
    let mut all = known.clone();
    for (id, at) in last {
        let path = known.get(&id).map_or_else(|| format!("exceptions/{id}.toml"), |file| file.place.file.clone());
        let Some(run) = collected.recorded.get(at) else { continue };
        let bytes = collected.history.file(run.commit, &path)?.unwrap_or_default();
        all.extend(load::exception(&path, &String::from_utf8_lossy(&bytes)).map(|file| (id, file)));
    }
    for file in all.values_mut() {
        let mut approvals = kept(&mut collected.history, &file.place.file, end.map_or(0, |end| end + 1))?;
        approvals.extend(told(file));
        file.earlier = approvals.into_iter().filter(|at| *at < file.approved).collect();
    }
    Ok(all)
}

/// When `file` says that it was approved.
fn told(file: &Exception) -> BTreeSet<Timestamp> {
    file.earlier.iter().copied().chain([file.approved]).collect()
}

/// When the versions of the file at `path` say that it was approved, of those that are in one of the first `end` commits.
fn kept(history: &mut History, path: &str, end: usize) -> Result<BTreeSet<Timestamp>, WorldError> {
    let mut all = BTreeSet::new();
    for version in history.versions(path)?.iter().filter(|version| version.commit < end) {
        let file = load::exception(path, &history.text(version)?);
        all.extend(file.iter().flat_map(told));
    }
    Ok(all)
}
