//! What people signed, as the locker kept it; and whether the population that an attestation names is one that the evidence has.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::period::One;
use super::{Trouble, past};
use crate::evaluate::approvals::{SHOWN_BY, approval};
use crate::host::history::History;
use crate::load;
use crate::model::approval::Approval;
use crate::model::attestation::{About, Attestation, Manual, Signed};
use crate::model::catalog::Catalog;
use crate::model::id::ControlId;
use crate::model::past::Noted;
use crate::model::period::{before_midnight, midnight};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::record::sample::Frozen;
use crate::record::snapshot_path;
use crate::report::words::count;
use crate::world::WorldError;

/// Files of attestations.
const FOLDER: &str = "attestations/";
/// What is seen of a file that people declare something with.
const DECLARED: &str = "Slm::Declared";

/// Every attestation that a run on the branch kept, as the newest run kept it: what was signed stays signed when its file is taken away. Those
/// of `catalog` are among them, whoever recorded them or not.
pub(super) fn kept(history: &History, catalog: &Catalog) -> Result<BTreeMap<String, Attestation>, WorldError> {
    let mut all = catalog.attestations.clone();
    let Some(tip) = history.commits().last() else { return Ok(all) };
    for (path, bytes) in history.files(tip.commit, FOLDER)? {
        all.extend(load::attestation(&path, &String::from_utf8_lossy(&bytes)).map(|one| (path, one)));
    }
    Ok(all)
}

/// Who was seen to approve the file at `path`, by the last run that saw it: taking it away makes nobody's approval of it unknown. `known` is
/// what runs saw, by the place of their commits, as far as it was asked for.
pub(super) fn approved(history: &mut History, known: &mut BTreeMap<usize, Snapshot>, path: &str) -> Result<Approval, Trouble> {
    let versions = history.versions(&snapshot_path(&DECLARED.into()))?;
    let quoted = json!(format!("declared:{path}")).to_string();
    let mut end = history.commits().len();
    for version in versions.iter().rev() {
        if history.text(version)?.contains(&quoted) {
            break;
        }
        end = version.commit;
    }
    // The last run of all, where none saw the file by itself: a folder of documents may list it.
    let end = if versions.first().is_none_or(|first| end == first.commit) { history.commits().len() } else { end };
    let Some(place) = history.commits()[..end].iter().rposition(|one| one.run.is_some()) else { return Ok(Approval::NotSeen) };
    if let Some(seen) = known.get(&place) {
        return Ok(approval(seen, path));
    }
    let run = &history.commits()[place];
    let seen = past::snapshot(history, run, &past::run(history, run)?.0.only(&SHOWN_BY))?;
    let approval = approval(&seen, path);
    known.insert(place, seen);
    Ok(approval)
}

/// Attestations that stand at `at` and name a population which no run on the branch of the locker recorded: what `manual` says of them is
/// taken back.
pub(super) fn confirm(root: &Path, catalog: &Catalog, at: Timestamp, manual: &mut [Manual]) -> Vec<Noted> {
    let standing = |one: &Attestation| one.signed <= at && one.covers.stands(at);
    let found = all_unfounded(root, catalog, standing);
    take_back(manual, &found);
    found.into_iter().map(|(one, why)| noted(one, &why)).collect()
}

/// Those of the attestations that are `wanted` which are founded on nothing, and why.
pub(super) fn all_unfounded<'c>(
    root: &Path,
    catalog: &'c Catalog,
    wanted: impl Fn(&Attestation) -> bool,
) -> Vec<(&'c Attestation, String)> {
    let all = catalog.attestations.values().filter(|one| wanted(one));
    all.filter_map(|one| Some((one, unfounded(root, catalog, one)?))).collect()
}

/// Takes back of `manual` what rests on attestations that are `unfounded`.
pub(super) fn take_back(manual: &mut [Manual], unfounded: &[(&Attestation, String)]) {
    for Manual { about, state } in manual {
        let (Signed::For { covers, .. } | Signed::Partly { covers, .. }) = state else { continue };
        if let Some((_, why)) = unfounded.iter().find(|(one, _)| one.about == *about && one.covers == *covers) {
            *state = Signed::Unfounded { covers: *covers, why: why.clone() };
        }
    }
}

/// That `attestation` is founded on nothing, as it is told.
pub(super) fn noted(attestation: &Attestation, why: &str) -> Noted {
    Noted { code: "slm::attestation-unfounded", what: format!("`{}`: {why}", attestation.place.file) }
}

/// What was found in place of the population that `attestation` names; `None` when the evidence has it, or it names none.
fn unfounded(root: &Path, catalog: &Catalog, attestation: &Attestation) -> Option<String> {
    let wanted = attestation.population_root.as_deref()?;
    let branch = &catalog.settings.locker.branch;
    let covers = attestation.covers;
    // What was looked at was there when it was signed.
    let within = (midnight(covers.from), before_midnight(covers.to).min(attestation.signed));
    let mut found = Vec::new();
    for control in controls(catalog, &attestation.about) {
        let one = match One::read(root, branch, within, &control) {
            Ok(one) => one,
            Err(error) => return Some(format!("{branch} cannot be read: {}; fetch it", error.error)),
        };
        if one.runs.is_empty() {
            return Some(format!("{branch} has no run of {covers} from before it was signed; fetch the branch, or sign again"));
        }
        let grown = one.series.as_ref().map(Frozen::growing).unwrap_or_default();
        let known = grown.iter().any(|(_, population)| population.root() == wanted);
        if known || one.roots().is_ok_and(|roots| roots.iter().any(|root| root == wanted)) {
            return None;
        }
        found.push(match grown.last() {
            Some((_, last)) => {
                let members = count(last.items().len() as u64, "member");
                format!("by then {control} was judged for {members}, root {}", last.root())
            }
            None => format!("no run of it judged {control} for anything"),
        });
    }
    let next = "look at what `slm sample` prints for these days, and sign that";
    Some(format!("root {wanted} is neither of a population nor of the log in any run of {covers}; {}; {next}", found.join(", ")))
}

/// The controls that `about` is about, by themselves or by serving the criterion; itself where there are none.
fn controls(catalog: &Catalog, about: &About) -> Vec<ControlId> {
    let serving = |framework, criterion| {
        let serves = |one: &&crate::model::catalog::Control| {
            one.criteria.get(framework).is_some_and(|criteria: &Vec<_>| criteria.contains(criterion))
        };
        catalog.controls.values().filter(serves).map(|one| one.id.clone()).collect::<Vec<_>>()
    };
    match about {
        About::Control(id) => vec![id.clone()],
        About::Criterion(framework, criterion) => {
            let all = serving(framework, criterion);
            // Its log may be named all the same.
            if all.is_empty() { vec![ControlId::from(criterion.as_str())] } else { all }
        }
    }
}
