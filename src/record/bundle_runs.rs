//! What a bundle has of each run of its period beside the files: the checkpoint of its commit, and what anchors said of that.
//!
//! A run in a bundle has no commit, so what a clone shows by its commits is shown by checkpoints: each is one that the entries led to, signed by the
//! key that was in force by then, dated after the one before and after its run.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::anchored::{self, Filed};
use super::bundle::Manifest;
use super::bundle_whole::Run;
use super::keys::{self, Key};
use super::leaf::Leaf;
use super::ledger::{self, Standing};
use super::log::{Frontier, Hash, Verifier};
use super::verify::{Finding, Sealed};
use crate::model::period::day;
use crate::model::time::Timestamp;

/// The folder of the checkpoint of each run of the period, by how many entries it covers.
pub const CHECKPOINTS: &str = "log/checkpoints/";

/// The log that checkpoints are compared with.
pub(super) struct Log<'a> {
    pub keys: &'a [Key],
    pub standing: &'a Standing,
    /// SHA-256 of the file of the newest checkpoint.
    pub newest: Hash,
    /// The hash of each entry.
    pub leaves: &'a [Hash],
}

/// The checkpoints in `files`, by the name of each below [`CHECKPOINTS`], and the newest, the shortest first.
pub(super) fn sealed(log: &Log<'_>, files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<Sealed>, Finding> {
    let mut all = Vec::new();
    for (name, file) in files {
        let bad = |why: &str| Finding::of_all("slm::evidence-bad-checkpoint", format!("`{CHECKPOINTS}{name}` {why}"));
        let claimed = ledger::standing(file, &[]).map_err(|_| bad("is not as slm writes it"))?;
        if claimed.head.size.to_string() != *name || claimed.origin != log.standing.origin {
            return Err(bad("is not the one that its name says"));
        }
        let signer: Vec<Verifier> =
            keys::in_force(log.keys, claimed.head.size).map(|key| key.verifier.clone()).into_iter().collect();
        let standing = ledger::standing(file, &signer).map_err(|_| bad("is not signed by the key in force"))?;
        if standing.head.size == log.standing.head.size && standing != *log.standing {
            return Err(bad("is another than the newest, of as many entries"));
        }
        all.push((standing, Sha256::digest(file).into()));
    }
    if !all.iter().any(|(one, _)| one.head.size == log.standing.head.size) {
        all.push((log.standing.clone(), log.newest));
    }
    all.sort_by_key(|(one, _)| one.head.size);
    let mut grown = Frontier::default();
    let mut sealed: Vec<Sealed> = Vec::new();
    for (Standing { head, received, .. }, sha256) in all {
        let more = usize::try_from(grown.size()).unwrap_or(usize::MAX)..usize::try_from(head.size).unwrap_or(usize::MAX);
        log.leaves.get(more).unwrap_or_default().iter().for_each(|leaf| grown.push(*leaf));
        if grown.head() != head {
            let what = format!("the entries do not hash to the root of the checkpoint of {}", head.size);
            return Err(Finding::of_all("slm::evidence-other-root", what));
        }
        if let Some(before) = sealed.last().filter(|before| before.received > received) {
            let what = format!("the checkpoint of {} entries is dated {received}, before that of {}", head.size, before.size);
            return Err(Finding::of_all("slm::evidence-bad-date", what));
        }
        sealed.push(Sealed { size: head.size, sha256, received });
    }
    Ok(sealed)
}

/// When a run began, as its name says: `20261124T050000Z-…`.
pub(super) fn began(id: &str) -> Option<Timestamp> {
    id.get(..16)?.parse().ok()
}

/// The date of the checkpoint that covers entry `at` first.
pub(super) fn logged(sealed: &[Sealed], at: u64) -> Option<Timestamp> {
    sealed.get(sealed.partition_point(|one| one.size <= at)).map(|one| one.received)
}

/// Runs that began after they were recorded.
pub(super) fn dates(sealed: &[Sealed], runs: &[Run<'_>]) -> Vec<Finding> {
    let early = runs.iter().filter_map(|run| Some((run, logged(sealed, run.at)?)));
    let early = early.filter(|(run, received)| run.began.as_second() > received.as_second());
    early
        .map(|(Run { id, began, .. }, received)| {
            let what = format!("run `{id}` is of {began}, and was recorded by {received}");
            Finding::of_all("slm::evidence-bad-date", what)
        })
        .collect()
}

/// Checkpoints of runs of the period that are not among `sealed`, and files of anchors about them that are not in `manifest`.
pub(super) fn withheld(manifest: &Manifest, sealed: &[Sealed], entries: &[Leaf], runs: &[Run<'_>]) -> Vec<Finding> {
    if !manifest.anchors {
        return Vec::new();
    }
    let left_out = |what: String| Finding::of_all("slm::bundle-withheld", format!("{what} is of the period and was left out"));
    let inside = |began: &Timestamp| (manifest.from..=manifest.to).contains(&day(*began));
    let sizes: BTreeSet<u64> = sealed.iter().map(|one| one.size).collect();
    // The first commit of a log may hold runs from before it, which have none.
    let lacks = runs.iter().filter(|run| inside(&run.began) && !run.older && !sizes.contains(&run.entries.end));
    let mut findings: Vec<Finding> = lacks.map(|run| left_out(format!("the checkpoint of run `{}`", run.id))).collect();
    let here: BTreeSet<u64> = manifest.files.iter().filter_map(|one| one.entry).collect();
    for (at, leaf) in (0..).zip(entries) {
        let wanted = match (anchored::place(&leaf.path), anchored::attempted(&leaf.path).and_then(began)) {
            (Some((_, size)), _) => sizes.contains(&size),
            (_, Some(began)) => inside(&began),
            _ => false,
        };
        if wanted && !here.contains(&at) {
            findings.push(left_out(format!("entry {at}, `{}`,", leaf.path)));
        }
    }
    findings
}

/// A token over a checkpoint that is not here says nothing.
pub(super) fn over_nothing(sealed: &[Sealed], filed: &[Filed]) -> Vec<Finding> {
    let sizes: BTreeSet<u64> = sealed.iter().map(|one| one.size).collect();
    let strange = filed.iter().filter_map(|file| Some((&file.path, anchored::place(&file.path)?.1)));
    let strange = strange.filter(|(_, size)| !sizes.contains(size));
    let lacks = |(path, size): (&String, u64)| {
        let what = format!("there is no `{CHECKPOINTS}{size}`, which `{path}` is over");
        Finding::of_all("slm::bundle-lacks", what)
    };
    strange.map(lacks).collect()
}

#[cfg(test)]
#[path = "bundle_runs_tests.rs"]
mod tests;
