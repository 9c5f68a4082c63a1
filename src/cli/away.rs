//! Who was lost from sight before a period: populations that the last run before it did not see whole, as the last that did saw them.

use std::collections::BTreeSet;

use super::Trouble;
use super::past::{broken, run};
use crate::host::history::{History, Kept};
use crate::model::id::{EntityType, SourceId};
use crate::model::period::{RunNote, Seen};
use crate::record::past::{Member, Unreadable, member};
use crate::record::period::Away;
use crate::record::snapshot_path;

/// Members of `entity` that are lost from sight by `before`, the last run before the commit `first`. Goes back no further than to the
/// last run that saw each population whole.
pub(super) fn away(history: &mut History, entity: &EntityType, before: &RunNote, first: usize) -> Result<Away, Trouble> {
    let mut away = Away::default();
    let part = before.seen.iter().filter(|seen| seen.entity == *entity && !seen.completeness.is_complete());
    let mut blind: Vec<(SourceId, String)> = part.map(|seen| (seen.source.clone(), seen.scope.clone())).collect();
    if blind.is_empty() {
        return Ok(away);
    }
    let path = snapshot_path(entity);
    let versions = history.versions(&path)?;
    let now: BTreeSet<_> = lines(history, &path, &versions, first)?.into_iter().map(|member| member.key).collect();
    for place in (0..first).rev() {
        if blind.is_empty() {
            break;
        }
        let recorded = &history.commits()[place];
        if recorded.run.is_none() || recorded.late.is_some() {
            continue;
        }
        let (_, note) = run(history, recorded)?;
        let of = |scope: &(SourceId, String)| {
            note.seen.iter().find(|seen: &&Seen| seen.entity == *entity && seen.source == scope.0 && seen.scope == scope.1)
        };
        // Where no run looked before, nobody was lost.
        blind.retain(|scope| of(scope).is_some());
        let is_whole = |scope: &(SourceId, String)| of(scope).is_some_and(|seen| seen.completeness.is_complete());
        let whole: Vec<(SourceId, String)> = blind.extract_if(.., |scope| is_whole(scope)).collect();
        if whole.is_empty() {
            continue;
        }
        let lost = lines(history, &path, &versions, place + 1)?.into_iter();
        let lost = lost.filter(|Member { key, .. }| whole.iter().any(|(source, scope)| *source == key.0 && *scope == key.1));
        away.members.extend(lost.filter(|member| !now.contains(&member.key)));
        away.whole.extend(whole.into_iter().map(|scope| (scope, note.at)));
    }
    Ok(away)
}

/// The members in the file at `path` by the commit `before`.
fn lines(history: &History, path: &str, versions: &[Kept], before: usize) -> Result<Vec<Member>, Trouble> {
    let last = versions[..versions.partition_point(|one| one.commit < before)].last();
    let text = last.map(|last| history.text(last)).transpose()?.unwrap_or_default();
    let members: Result<Vec<Member>, Unreadable> = text.lines().map(|line| member(path, line)).collect();
    members.map_err(|error| broken(error.to_string()))
}
