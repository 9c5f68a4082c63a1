//! What people approved, by the versions of the files of exceptions that the locker kept: how often, and what one said when it was in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Trouble;
use super::period::Collected;
use crate::host::history::{History, Recorded};
use crate::load;
use crate::model::assessment::Because;
use crate::model::catalog::{Catalog, Exception};
use crate::model::exception::{Exceptions, Finding};
use crate::model::id::{ControlId, ExceptionId, ResourceId};
use crate::model::period::At;
use crate::model::time::Timestamp;
use crate::record::EXCEPTIONS;
use crate::world::WorldError;

/// What an exception permits: whom, and of what.
type Permit = (ControlId, ResourceId);

/// Counts in `exceptions` every approval of what each permits that a run recorded on `branch` saw, under whatever name, and finds those that
/// the file does not tell of. A locker that is not there yet, or cannot be read, has seen none.
pub(super) fn count(root: &Path, branch: &str, catalog: &Catalog, exceptions: &mut Exceptions) {
    if catalog.exceptions.is_empty() {
        return;
    }
    let Ok(mut history) = History::open(root, branch) else { return };
    let last = history.commits().len();
    let Ok(kept) = kept(&mut history, last) else { return };
    for standing in &mut exceptions.standings {
        let Some(file) = catalog.exceptions.get(&standing.id) else { continue };
        let told = told(file);
        let all = approvals(&kept, file);
        standing.approvals = all.len();
        if all != told {
            standing.finding.get_or_insert(Finding::RenewedUntold);
        }
    }
}

/// Exceptions that decided something in a run of `collected`, as their files were in the last run that they did; each with every approval of
/// what it permits until the end of it. One whose file that run did not keep is left as `known` has it.
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
    let place = |run: &Recorded| collected.history.commits().iter().position(|one| one.commit == run.commit);
    let end = collected.recorded.last().and_then(place).map_or(0, |end| end + 1);
    let places: Vec<Option<usize>> = collected.recorded.iter().map(place).collect();
    let mut all = known.clone();
    for (id, at) in last {
        let Some(place) = places.get(at).copied().flatten() else { continue };
        all.extend(file(&mut collected.history, &id, place)?.map(|file| (id, file)));
    }
    let kept = kept(&mut collected.history, end)?;
    for file in all.values_mut() {
        file.earlier = approvals(&kept, file).into_iter().filter(|at| *at < file.approved).collect();
    }
    Ok(all)
}

/// The exception `id` as the commit in `place` has it, in whatever folder; where several have that name, the one that was written last.
fn file(history: &mut History, id: &ExceptionId, place: usize) -> Result<Option<Exception>, WorldError> {
    let mut newest: Option<(usize, Exception)> = None;
    for path in files(history) {
        let of_it = path.rsplit('/').next().and_then(|name| name.strip_suffix(".toml")) == Some(id.as_str());
        let version = if of_it { history.versions(&path)?.into_iter().rfind(|one| one.commit <= place) } else { None };
        let Some(version) = version.filter(|one| newest.as_ref().is_none_or(|(commit, _)| *commit < one.commit)) else { continue };
        newest = load::exception(&path, &history.text(&version)?).map(|file| (version.commit, file)).or(newest);
    }
    Ok(newest.map(|(_, file)| file))
}

/// Files of exceptions that runs kept.
fn files(history: &History) -> Vec<String> {
    history.paths().filter(|path| path.starts_with(EXCEPTIONS)).map(str::to_owned).collect()
}

/// Approvals of what `file` permits: its own, those of versions of it, and those of other files from before it was approved. One that was
/// approved later in another file renews this, which cannot know.
fn approvals(kept: &Kept, file: &Exception) -> BTreeSet<Timestamp> {
    let all = kept.get(&(file.control.clone(), file.resource.clone())).into_iter().flatten();
    let counted = all.filter(|(at, path)| *path == file.place.file || *at < file.approved);
    counted.map(|(at, _)| *at).chain(told(file)).collect()
}

/// When `file` says that it was approved.
fn told(file: &Exception) -> BTreeSet<Timestamp> {
    file.earlier.iter().copied().chain([file.approved]).collect()
}

/// When what is permitted was approved, and in which file.
type Kept = BTreeMap<Permit, BTreeSet<(Timestamp, String)>>;

/// Approvals that versions of the files of exceptions in the first `end` commits tell of.
fn kept(history: &mut History, end: usize) -> Result<Kept, WorldError> {
    let mut all = Kept::new();
    for path in files(history) {
        for version in history.versions(&path)?.iter().filter(|version| version.commit < end) {
            let Some(file) = load::exception(&path, &history.text(version)?) else { continue };
            let told = told(&file).into_iter().map(|at| (at, path.clone()));
            all.entry((file.control, file.resource)).or_default().extend(told);
        }
    }
    Ok(all)
}
