//! Since when what did not hold at the beginning of a period had not held: the locker from before it, as far back as it says more.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::Trouble;
use super::past::{broken, run};
use crate::host::history::{History, Kept};
use crate::model::assessment::Subject;
use crate::model::id::{EntityType, ResourceId, SourceId};
use crate::model::period::{Open, RunNote};
use crate::record::changes::lines;
use crate::record::past::{Unreadable, member};
use crate::record::period::Earlier;
use crate::record::snapshot_path;

/// Versions that are read at once.
const TOGETHER: usize = 64;

/// What was open before the commit `first`, by the versions `all` of the decisions at `path` before it, the last of which is `text`. Where
/// the run before did not judge (`judged`) the control, who went since is not in them.
pub(super) fn open(
    history: &mut History,
    path: &str,
    (all, text): (&[Kept], &str),
    (first, judged): (usize, bool),
) -> Result<BTreeMap<Subject, Open>, Trouble> {
    let mut earlier = Earlier::begin(path, text).map_err(unreadable)?;
    'back: for chunk in all.rchunks(TOGETHER) {
        let texts = history.changes(path, chunk)?;
        for (version, text) in chunk.iter().zip(&texts).rev() {
            if earlier.is_done() {
                break 'back;
            }
            earlier.back(history.commits()[version.commit].at, text).map_err(unreadable)?;
        }
    }
    let (mut open, mut absent) = earlier.end();
    if !judged {
        absent.extend(not_there(history, &open, first)?);
    }
    let mut by_entity: BTreeMap<&EntityType, BTreeSet<&ResourceId>> = BTreeMap::new();
    for subject in &absent {
        if let Subject::Resource { entity, id } = subject {
            by_entity.entry(entity).or_default().insert(id);
        }
    }
    for (entity, ids) in by_entity {
        let mut notes = BTreeMap::new();
        for (id, last) in last_seen(history, entity, &ids, first)? {
            let subject = Subject::Resource { entity: entity.clone(), id };
            if last.was_whole_since(history, entity, first, &mut notes)? {
                open.remove(&subject);
            } else if let Some(open) = open.get_mut(&subject) {
                open.place = Some((last.source, last.scope));
            }
        }
    }
    Ok(open)
}

/// Those of `open` that have no line of their own by the commit `first`.
fn not_there(history: &mut History, open: &BTreeMap<Subject, Open>, first: usize) -> Result<BTreeSet<Subject>, Trouble> {
    let mut there: BTreeMap<&EntityType, BTreeSet<ResourceId>> = BTreeMap::new();
    let mut absent = BTreeSet::new();
    for subject in open.keys() {
        let Subject::Resource { entity, id } = subject else { continue };
        let ids = match there.entry(entity) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let path = snapshot_path(entity);
                let last = history.versions(&path)?.into_iter().take_while(|one| one.commit < first).last();
                let text = last.map(|last| history.text(&last)).transpose()?.unwrap_or_default();
                let ids = text.lines().map(|line| member(&path, line).map(|one| one.key.2));
                new.insert(ids.collect::<Result<_, _>>().map_err(unreadable)?)
            }
        };
        if !ids.contains(id) {
            absent.insert(subject.clone());
        }
    }
    Ok(absent)
}

fn unreadable(error: Unreadable) -> Trouble {
    broken(error.to_string())
}

/// Where a resource was seen last.
struct Last {
    source: SourceId,
    scope: String,
    /// The first commit that did not see it there any more.
    gone: usize,
}

impl Last {
    /// True when a run from then on, and before the commit `first`, saw all of its place; `notes` are runs that were read already.
    fn was_whole_since(
        &self,
        history: &History,
        entity: &EntityType,
        first: usize,
        notes: &mut BTreeMap<usize, RunNote>,
    ) -> Result<bool, Trouble> {
        let runs = history.commits().iter().enumerate().take(first).skip(self.gone).filter(|(_, one)| one.run.is_some());
        for (at, recorded) in runs {
            let note = match notes.entry(at) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(run(history, recorded)?.1),
            };
            let mut of =
                note.seen.iter().filter(|seen| seen.entity == *entity && seen.source == self.source && seen.scope == self.scope);
            if of.any(|seen| seen.completeness.is_complete()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Where each of `wanted`, which is not there by the commit `first`, was seen last.
fn last_seen(
    history: &mut History,
    entity: &EntityType,
    wanted: &BTreeSet<&ResourceId>,
    first: usize,
) -> Result<BTreeMap<ResourceId, Last>, Trouble> {
    let path = snapshot_path(entity);
    let all = history.versions(&path)?;
    let before = all.partition_point(|one| one.commit < first);
    let mut found = BTreeMap::new();
    for chunk in all[..before].rchunks(TOGETHER) {
        let texts = history.changes(&path, chunk)?;
        for (version, text) in chunk.iter().zip(&texts).rev() {
            for (_, line) in lines(text).filter(|(came, _)| !came) {
                let (source, scope, id) = member(&path, line).map_err(unreadable)?.key;
                if wanted.contains(&id) {
                    found.entry(id).or_insert(Last { source, scope, gone: version.commit });
                }
            }
        }
        if found.len() == wanted.len() {
            break;
        }
    }
    Ok(found)
}
