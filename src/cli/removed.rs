//! Controls that were judged in a period and are declared no more: taking the text of a promise away undoes nothing that was seen.

use std::collections::BTreeSet;

use super::Global;
use super::past::config_at;
use super::period::Collected;
use crate::model::catalog::{Catalog, Control, ControlKind, ControlLines, Remedy, Severity};
use crate::model::diagnostic::Place;
use crate::model::id::ControlId;
use crate::model::past::Noted;
use crate::model::period::{At, Cell, Period, RunNote, Series};
use crate::model::time::Limit;

/// Configs that are asked for the text of one control; the last that had it is among the first of them.
const CONFIGS: usize = 4;

/// What the config of the last run has no more.
#[derive(Default)]
pub(super) struct Removed {
    /// As the last config that had it says; of what none says, an empty text under its id.
    pub controls: Vec<Control>,
    /// Those of which no config is to be had.
    pub unknown: Vec<Noted>,
}

impl Removed {
    pub(super) fn ids(&self) -> BTreeSet<ControlId> {
        self.controls.iter().map(|control| control.id.clone()).collect()
    }
}

/// The controls that `collected` tells of and `catalog`, the config of its last run, has not.
pub(super) fn removed(global: &Global, collected: &Collected, catalog: &Catalog) -> Removed {
    let period = &collected.period;
    let mut removed = Removed::default();
    for series in period.controls.iter().filter(|series| !catalog.controls.contains_key(&series.control)) {
        let runs = match collected.unjudged.get(&series.control) {
            Some(last) => std::slice::from_ref(last),
            None => period.runs.get(..=last_judged(period, series)).unwrap_or_default(),
        };
        removed.controls.push(text(global, runs, &series.control).unwrap_or_else(|| {
            let at = runs.last().map(|run| run.at.to_string()).unwrap_or_default();
            let what =
                format!("control {} was judged until {at}, is declared no more, and its text is not to be had", series.control);
            removed.unknown.push(Noted { code: "slm::past-config-unseen", what });
            unknown(&series.control, catalog)
        }));
    }
    removed
}

/// The last run that judged it.
fn last_judged(period: &Period, series: &Series) -> At {
    let spans = series.members.iter().flat_map(|member| &member.spans).map(|span| span.until.saturating_sub(1)).max();
    let judged = |(_, cell): &(usize, &Cell)| matches!(cell, Cell::Judged { .. });
    let day = series.days.iter().enumerate().rev().find(judged).and_then(|(day, _)| period.days.get(day)?.runs.last().copied());
    spans.max(day).unwrap_or(0)
}

/// What the newest config of `runs` says that has `control`.
fn text(global: &Global, runs: &[RunNote], control: &ControlId) -> Option<Control> {
    let mut asked: Vec<&str> = Vec::new();
    for run in runs.iter().rev() {
        if asked.len() == CONFIGS {
            break;
        }
        if asked.contains(&run.config.as_str()) {
            continue;
        }
        asked.push(&run.config);
        if let Ok((mut catalog, _)) = config_at(global, &run.config, run.judged.unwrap_or(run.at))
            && let Some(control) = catalog.controls.remove(control)
        {
            return Some(control);
        }
    }
    None
}

/// A control of which the id alone is known. Whom it served is not, so that it is left out of no framework.
fn unknown(id: &ControlId, catalog: &Catalog) -> Control {
    Control {
        id: id.clone(),
        title: "its text is not to be had".to_owned(),
        statement: "It was judged, and no config that had it is here.".to_owned(),
        kind: ControlKind::Config,
        severity: Severity::High,
        owner: "nobody that is known".to_owned(),
        remedy: Remedy::Escalate,
        collect_every: Limit::days(1),
        evidence_ttl: Limit::days(1),
        entities: Vec::new(),
        population: String::new(),
        applies_where: Vec::new(),
        requires: Vec::new(),
        criteria: catalog.frameworks.keys().map(|id| (id.clone(), Vec::new())).collect(),
        criteria_reviewer: None,
        artefact: String::new(),
        api: Vec::new(),
        events: std::collections::BTreeMap::new(),
        needs: None,
        place: Place { file: format!("controls/{id}.toml"), span: 0..0 },
        lines: ControlLines::default(),
    }
}
