//! What a bundle has of each run of its period beside the files: the checkpoint of its commit, and what anchors said of that.

use std::collections::{BTreeMap, BTreeSet};

use super::super::gather::{self, Artefact};
use super::super::{Global, Trouble, verify};
use crate::host::archive::Archive;
use crate::host::history::History;
use crate::host::verify::beside;
use crate::model::period::Period;
use crate::record::anchored::{self, attempted, place};
use crate::record::ledger;

/// That of every run of the period.
pub(super) struct Sealed {
    /// Checkpoints, by how many entries each covers; runs from before the log have none.
    pub checkpoints: BTreeMap<u64, Vec<u8>>,
    /// What anchors said, as far as it is in the log.
    pub logged: Vec<Artefact>,
    /// Tokens that the next run is to log, by path.
    pub waiting: BTreeMap<String, Vec<u8>>,
}

pub(super) fn read(global: &Global, archive: &Archive<'_>, history: &History, period: &Period) -> Result<Sealed, Trouble> {
    let mut checkpoints = BTreeMap::new();
    for run in period.recorded() {
        let Some(commit) = archive.place(&run.commit).and_then(|at| history.commits().get(at)) else { continue };
        let Some(file) = history.file(commit.commit, &format!("{}{}", ledger::FOLDER, ledger::CHECKPOINT))? else { continue };
        let standing = ledger::standing(&file, &[]).map_err(|error| format!("the checkpoint of run `{}`: {error}", run.id))?;
        checkpoints.insert(standing.head.size, file);
    }
    let runs: BTreeSet<&str> = period.recorded().map(|run| run.id.as_str()).collect();
    let of_period = |path: &str| match (place(path), attempted(path)) {
        (Some((_, size)), _) => checkpoints.contains_key(&size),
        (_, Some(run)) => runs.contains(run),
        _ => false,
    };
    let newest = history.commits().last().map(|last| last.commit.to_string()).unwrap_or_default();
    let mut logged = Vec::new();
    for leaf in archive.leaves.iter().filter(|leaf| leaf.path.starts_with(anchored::FOLDER) && of_period(&leaf.path)) {
        logged.extend(gather::once(archive, history, &newest, &leaf.path)?);
    }
    let known: BTreeSet<&str> = logged.iter().map(|one| one.path.as_str()).collect();
    let waiting = beside(&global.root, &verify::settings(global)?.anchors_branch())?.into_iter();
    let waiting =
        waiting.filter(|file| place(&file.path).is_some() && of_period(&file.path) && !known.contains(file.path.as_str()));
    let waiting = waiting.map(|file| (file.path, file.bytes)).collect();
    Ok(Sealed { checkpoints, logged, waiting })
}
