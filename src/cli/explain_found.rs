//! What runs of the past said of a control or a resource: the lines that are about it, and what they rest on.

use std::collections::BTreeSet;

use serde_json::json;

use super::past::{self, Past, When};
use super::{Global, Trouble};
use crate::host::history::History;
use crate::model::assessment::Subject;
use crate::model::id::{ControlId, EntityType, SourceId};
use crate::model::past::{Artefact, Held, Noted, Said as Recorded};
use crate::model::period::{Seen, day};
use crate::model::snapshot::Completeness;
use crate::record::objects::{Pointer, SUFFIX};
use crate::record::past::{RawFile, member, said};
use crate::record::{decisions_path, snapshot_path};

/// What is asked for: a control, or a resource.
pub(super) struct Asked<'a> {
    pub name: &'a str,
    /// The population that the resource was in, where the run did not see that to its end: what it said of all of it, it said of each.
    hidden: Option<(EntityType, SourceId)>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        Self { name, hidden: None }
    }

    /// True when what `control` said of `subject` is about it.
    pub(super) fn is_about(&self, control: &str, subject: &Subject) -> bool {
        let one = match subject {
            Subject::Resource { id, .. } => id.as_str() == self.name,
            Subject::Population { entity, source, .. } => {
                let all = |(of, at): &(EntityType, SourceId)| of == entity && source.as_ref().is_none_or(|source| source == at);
                self.hidden.as_ref().is_some_and(all)
            }
        };
        one || control == self.name
    }
}

/// Lines of one control that are about what is asked for.
pub(super) struct Lines {
    pub path: String,
    pub text: String,
    pub said: Vec<Recorded>,
}

/// What a run said of what is asked for.
pub(super) struct Found<'a, 'h> {
    pub asked: Asked<'a>,
    pub past: Past<'h>,
    /// By control; none where the run should have spoken of it and has nothing recorded.
    pub recorded: Vec<Lines>,
    /// What was not seen of it, and runs that say they are of then and stand for no time.
    pub unproven: Vec<Noted>,
    /// That later runs of the day asked for said nothing of it, if so.
    pub later: Option<String>,
}

/// The run that stood at `when`, or of a day the last of its runs that speaks of `name`, and what it said.
pub(super) fn find<'a, 'h>(
    global: &Global,
    history: &'h History,
    branch: &str,
    (name, when): (&'a str, When),
) -> Result<Found<'a, 'h>, Trouble> {
    let (standing, mut unproven) = past::stood(history, branch, when)?;
    let asked = Asked::of(name);
    let recorded = recorded(&standing, &asked)?;
    if !recorded.is_empty() {
        return Ok(Found { asked, past: standing, recorded, unproven, later: None });
    }
    if let Some((asked, unseen)) = hidden(&standing, name)? {
        let recorded = self::recorded(&standing, &asked)?;
        unproven.insert(0, unseen);
        return Ok(Found { asked, past: standing, recorded, unproven, later: None });
    }
    if left_out(global, &standing, &asked)? {
        return Ok(Found { asked, past: standing, recorded, unproven, later: None });
    }
    if let Some((past, recorded)) = earlier(&standing, &asked, when)? {
        let later = Some(format!("run {} of {}, the last of that day, said nothing of it", standing.note.id, standing.note.at));
        return Ok(Found { asked, past, recorded, unproven, later });
    }
    let snapshot = standing.snapshot()?;
    let seen = snapshot.populations.iter().flat_map(|population| population.resources.iter()).map(|one| one.id.as_str());
    let next = next(name, standing.file.controls.keys().map(String::as_str), seen);
    Err(format!("run {} of {} said nothing of `{name}`; {next}", standing.note.id, standing.note.at).into())
}

/// Resources that are named where many have an end in common.
const NAMED: usize = 3;

/// What to write in place of `name`, which is neither one of `controls` nor one of `resources`.
pub(super) fn next<'a>(
    name: &str,
    mut controls: impl Iterator<Item = &'a str>,
    resources: impl Iterator<Item = &'a str>,
) -> String {
    let is_end = |id: &&str| id.strip_suffix(name).is_some_and(|rest| rest.ends_with(['/', ':']));
    let ends: BTreeSet<&str> = if name.is_empty() { BTreeSet::new() } else { resources.filter(is_end).collect() };
    let quoted = |id: &&str| format!("`{id}`");
    match ends.len() {
        0 => {}
        1 => return format!("did you mean {}?", ends.iter().map(quoted).collect::<String>()),
        many => {
            let named: Vec<String> = ends.iter().take(NAMED).map(quoted).collect();
            let more = if many > NAMED { format!(" and {} more", many - NAMED) } else { String::new() };
            return format!("{}{more} end so: write the whole id of one", named.join(", "));
        }
    }
    match controls.find(|id| *id != name && strsim::damerau_levenshtein(id, name) <= 2) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write the id of a control, or the whole id of a resource as `slm explain <control>` shows it".to_owned(),
    }
}

/// True when the run should have spoken of what is asked for: its rules say something of it again, or decisions that it counted are not
/// there, of which nobody knows whom they were about.
fn left_out(global: &Global, past: &Past<'_>, asked: &Asked<'_>) -> Result<bool, Trouble> {
    if past.file.controls.contains_key(asked.name) {
        return Ok(!missing(past)?.is_empty());
    }
    let Ok(again) = past.judge_again(global)? else { return Ok(false) };
    Ok(again.assessment.decisions.iter().any(|one| asked.is_about(one.control.as_str(), &one.subject)))
}

/// Controls of which the run counted decisions that are not there.
pub(super) fn missing(past: &Past<'_>) -> Result<Vec<ControlId>, Trouble> {
    let mut missing = Vec::new();
    let counted = past.file.controls.iter().filter(|(_, tally)| tally.values().any(|count| *count > 0));
    for control in counted.map(|(control, _)| ControlId::from(control.as_str())) {
        if past.history.file(past.recorded.commit, &decisions_path(&control))?.is_none() {
            missing.push(control);
        }
    }
    Ok(missing)
}

/// What the run said of what is asked for, by control.
fn recorded(past: &Past<'_>, asked: &Asked<'_>) -> Result<Vec<Lines>, Trouble> {
    let mut found = Vec::new();
    let quoted = json!(asked.name).to_string();
    for control in past.file.controls.keys() {
        let whole = control == asked.name || asked.hidden.is_some();
        let path = decisions_path(&control.as_str().into());
        let Some((_, bytes)) = past.artefact(&path)? else { continue };
        let bytes = String::from_utf8_lossy(&bytes);
        let (mut text, mut all) = (String::new(), Vec::new());
        for line in bytes.lines().filter(|line| whole || line.contains(&quoted)) {
            let one = said(&path, line).map_err(|error| past::broken(error.to_string()))?;
            if asked.is_about(control, &one.subject) {
                text.push_str(line);
                text.push('\n');
                all.push(one);
            }
        }
        if control == asked.name || !all.is_empty() {
            found.push(Lines { path, text, said: all });
        }
    }
    Ok(found)
}

/// The last run of the day of `when` before `standing` that speaks of what is asked for. Of an instant none stands but the one.
fn earlier<'h>(standing: &Past<'h>, asked: &Asked<'_>, when: When) -> Result<Option<(Past<'h>, Vec<Lines>)>, Trouble> {
    let When::Day(date) = when else { return Ok(None) };
    let history = standing.history;
    let mut runs: Vec<_> =
        history.commits().iter().filter(|one| one.run.is_some() && one.late.is_none() && day(one.at) == date).collect();
    runs.sort_by_key(|one| std::cmp::Reverse(one.at));
    for recorded in runs.into_iter().filter(|one| one.commit != standing.recorded.commit) {
        let (file, note) = past::run(history, recorded)?;
        let past = Past { history, recorded: recorded.clone(), file, note };
        let lines = self::recorded(&past, asked)?;
        if !lines.is_empty() {
            return Ok(Some((past, lines)));
        }
    }
    Ok(None)
}

/// The population that holds `name` as far as an earlier run saw it, when `standing` did not see that to its end; and what kept it.
/// Runs are asked from the newest back, until each that was not seen to its end was once.
fn hidden<'a>(standing: &Past<'_>, name: &'a str) -> Result<Option<(Asked<'a>, Noted)>, Trouble> {
    let mut unseen: Vec<(&Seen, &str)> = Vec::new();
    for seen in &standing.note.seen {
        if let Completeness::Incomplete { detail, .. } = &seen.completeness {
            unseen.push((seen, detail));
        }
    }
    let quoted = json!(name).to_string();
    let commits = standing.history.commits();
    let before = commits.iter().take_while(|one| one.commit != standing.recorded.commit).filter(|one| one.run.is_some());
    for recorded in before.collect::<Vec<_>>().into_iter().rev() {
        if unseen.is_empty() {
            break;
        }
        let (_, note) = past::run(standing.history, recorded)?;
        for (seen, detail) in &unseen {
            let path = snapshot_path(&seen.entity);
            let bytes = standing.history.file(recorded.commit, &path)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            for line in text.lines().filter(|line| line.contains(&quoted)) {
                let one = member(&path, line).map_err(|error| past::broken(error.to_string()))?;
                if one.key.0 == seen.source && one.key.1 == seen.scope && one.key.2.as_str() == name {
                    let asked = Asked { name, hidden: Some((seen.entity.clone(), seen.source.clone())) };
                    let what = format!("`{name}` was seen last by run {} of {}; since then: {detail}", note.id, note.at);
                    return Ok(Some((asked, Noted { code: "slm::past-unseen", what })));
                }
            }
        }
        let whole = |seen: &Seen| {
            let same = |one: &&Seen| one.entity == seen.entity && one.source == seen.source && one.scope == seen.scope;
            note.seen.iter().find(same).is_some_and(|one| one.completeness.is_complete())
        };
        unseen.retain(|(seen, _)| !whole(seen));
    }
    Ok(None)
}

/// What the decisions rest on, with digests; and raw artefacts that are not what their run says.
pub(super) fn artefacts(past: &Past<'_>, recorded: &[Lines]) -> Result<(Vec<Artefact>, Vec<Noted>), Trouble> {
    let mut paths = vec![past.note.path.clone()];
    let mut entities = Vec::new();
    for Lines { path, said, .. } in recorded {
        paths.push(path.clone());
        for one in said {
            let (Subject::Resource { entity, .. } | Subject::Population { entity, .. }) = &one.subject;
            if !entities.contains(entity) {
                entities.push(entity.clone());
            }
        }
    }
    paths.extend(entities.iter().map(snapshot_path));
    let seen: Vec<_> = past.note.seen.iter().filter(|seen| entities.contains(&seen.entity)).collect();
    let of = |source: &str, scope: &str| seen.iter().any(|seen| seen.source.as_str() == source && seen.scope == scope);
    let receipts = past.file.receipts.iter().filter(|receipt| of(receipt.source.as_str(), &receipt.scope));
    let names: Vec<&str> = receipts.flat_map(|receipt| &receipt.raw).map(|raw| raw.name.as_str()).collect();
    let (mut all, mut findings) = (Vec::new(), Vec::new());
    for path in paths {
        all.extend(past.artefact(&path)?.map(|(artefact, _)| artefact));
    }
    for raw in past.file.raw.iter().filter(|raw| names.iter().any(|name| raw.path.ends_with(&format!("/{name}")))) {
        match answer(past, raw)? {
            Ok(artefact) => all.push(artefact),
            Err(wrong) => findings.push(wrong),
        }
    }
    all.sort();
    all.dedup();
    Ok((all, findings))
}

/// What a source answered, as it is kept: its bytes, or the pointer to the object that holds them; or what is wrong with it.
fn answer(past: &Past<'_>, raw: &RawFile) -> Result<Result<Artefact, Noted>, Trouble> {
    let edited = |path: &str| Noted { code: "slm::evidence-edited", what: format!("`{path}` is not what its run kept") };
    if let Some((artefact, _)) = past.artefact(&raw.path)? {
        return Ok(if artefact.sha256 == raw.sha256 { Ok(artefact) } else { Err(edited(&raw.path)) });
    }
    let pointer = format!("{}{SUFFIX}", raw.path);
    let Some((artefact, bytes)) = past.artefact(&pointer)? else {
        return Ok(Err(Noted { code: "slm::evidence-missing", what: format!("`{}` is not there", raw.path) }));
    };
    let held = Pointer::parse(&bytes).filter(|held| held.sha256 == raw.sha256 && held.bytes == raw.bytes);
    let object = held.map(|held| Held { name: held.object(), sha256: held.sha256, bytes: held.bytes });
    Ok(if object.is_some() { Ok(Artefact { object, ..artefact }) } else { Err(edited(&pointer)) })
}
