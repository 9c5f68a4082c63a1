//! Which controls serve the criteria of a framework, for the report of a period.

use std::collections::{BTreeMap, BTreeSet};

use super::period::Collected;
use super::removed::Removed;
use super::{Global, Trouble, attested};
use crate::evaluate::attestations::manual_of;
use crate::host::history::History;
use crate::model::approval::Approval;
use crate::model::attestation::{About, Attestation, Manual, Stretch};
use crate::model::catalog::{Catalog, ControlKind};
use crate::model::id::{ControlId, FrameworkId};
use crate::model::past::{Noted, Serving};
use crate::model::period::{Day, Period};
use crate::model::time::Timestamp;

/// What people signed of a period.
#[derive(Default)]
pub(super) struct Signatures {
    /// How each thing that only a person can say stands at its end.
    pub manual: Vec<Manual>,
    /// Whether each of its days is one for which a person signed, by control that a person states.
    pub days: BTreeMap<ControlId, Vec<bool>>,
    /// Signatures over what no run recorded, and from before the days that they cover were over.
    pub unproven: Vec<Noted>,
}

/// What people signed of a stretch of days.
struct Stated {
    /// The config with every attestation that the locker has.
    catalog: Catalog,
    /// How each thing that only a person can say stands at its end.
    manual: Vec<Manual>,
    /// Files of attestations of which nobody but the author approved.
    unapproved: BTreeSet<String>,
    /// Files of those that are founded on nothing, and why.
    unfounded: BTreeMap<String, Noted>,
}

impl Stated {
    /// What people signed by `now` of the days of `asked`, which end at `at`: a statement about days is signed when they are over, and is
    /// kept by a later run.
    fn read(
        global: &Global,
        history: &mut History,
        catalog: &Catalog,
        (asked, at, now): (Stretch, Timestamp, Timestamp),
    ) -> Result<Self, Trouble> {
        let mut catalog = catalog.clone();
        catalog.attestations = attested::kept(history, &catalog)?;
        let wanted = |one: &Attestation| one.signed <= now && (one.covers.meets(&asked) || one.covers.stands(at));
        let (mut approvals, mut seen) = (BTreeMap::new(), BTreeMap::new());
        for one in catalog.attestations.values().filter(|one| wanted(one)) {
            approvals.insert(one.place.file.clone(), attested::approved(history, &mut seen, &one.place.file)?);
        }
        let approved = |path: &str| approvals.get(path).cloned().unwrap_or(Approval::NotSeen);
        let found = attested::all_unfounded(&global.root, &catalog, wanted);
        let mut manual = manual_of(&catalog, &approved, (at, now));
        attested::take_back(&mut manual, &found);
        let unfounded = found.into_iter().map(|(one, why)| (one.place.file.clone(), attested::noted(one, &why))).collect();
        catalog.attestations.retain(|_, one| wanted(one));
        let unapproved = approvals.into_iter().filter(|(_, approval)| *approval == Approval::Nobody);
        Ok(Self { manual, unapproved: unapproved.map(|(path, _)| path).collect(), unfounded, catalog })
    }

    /// Attestations that count.
    fn good(&self) -> impl Iterator<Item = &Attestation> {
        let all = self.catalog.attestations.values();
        all.filter(|one| !self.unapproved.contains(&one.place.file) && !self.unfounded.contains_key(&one.place.file))
    }
}

/// What people signed of what was collected, by `now`.
pub(super) fn signatures(
    global: &Global,
    collected: &mut Collected,
    catalog: &Catalog,
    now: Timestamp,
) -> Result<Signatures, Trouble> {
    let period = &collected.period;
    let asked = Stretch { from: period.from, to: period.to };
    let stated = Stated::read(global, &mut collected.history, catalog, (asked, period.bounds().1.min(now), now))?;
    let by_people = catalog.controls.values().filter(|control| control.kind == ControlKind::Attestation);
    let days = by_people.map(|control| {
        let about = About::Control(control.id.clone());
        let signed: Vec<&Attestation> = stated.good().filter(|one| one.about == about).collect();
        let is = |day: &Day| signed.iter().any(|one| one.speaks_of(day.date));
        (control.id.clone(), period.days.iter().map(is).collect())
    });
    let days = days.collect();
    let early = stated.good().filter_map(|one| early(one, period));
    let unproven = stated.unfounded.values().cloned().chain(early).collect();
    Ok(Signatures { manual: stated.manual, days, unproven })
}

/// How each thing that only a person can say stands on the day of `at`, by what people signed of it until `now`.
pub(super) fn signed_on(
    global: &Global,
    history: &mut History,
    catalog: &Catalog,
    (at, now): (Timestamp, Timestamp),
) -> Result<Vec<Manual>, Trouble> {
    Ok(Stated::read(global, history, catalog, (Stretch::of(at), at, now))?.manual)
}

/// That `one` was signed before days of `period` that it covers.
fn early(one: &Attestation, period: &Period) -> Option<Noted> {
    let over = |day: &&Day| one.covers.from <= day.date && day.date <= one.covers.to && !one.speaks_of(day.date);
    let last = period.days.iter().rfind(over)?.date;
    let what = format!(
        "`{}` was signed on {}: what came after that, until {last}, is not yet signed; sign when the days are over",
        one.place.file,
        one.until()
    );
    Some(Noted { code: "slm::attestation-early", what })
}

/// The framework `id` of `catalog`.
pub(super) fn framework(catalog: Option<&Catalog>, id: &str) -> Result<FrameworkId, Trouble> {
    let Some(catalog) = catalog else {
        return Err(format!("which controls serve `{id}` is not to be known without the config of the last run").into());
    };
    let known: Vec<&str> = catalog.frameworks.keys().map(FrameworkId::as_str).collect();
    if known.contains(&id) {
        return Ok(id.into());
    }
    Err(format!("there is no framework `{id}`; there are `{}`", known.join("`, `")).into())
}

/// Which controls serve each criterion by the config of the last run, which did that it has no more, and whether those of
/// `manual` are signed.
pub(super) fn serving(catalog: &Catalog, removed: &Removed, framework: Option<&FrameworkId>, manual: &[Manual]) -> Vec<Serving> {
    let mut all = BTreeMap::new();
    for one in catalog.frameworks.values().filter(|one| framework.is_none_or(|id| *id == one.id)) {
        for (criterion, text) in &one.criteria {
            let serving = Serving {
                framework: one.id.clone(),
                criterion: criterion.clone(),
                title: text.title.clone(),
                judged: Vec::new(),
                stated: Vec::new(),
                waiting: Vec::new(),
                signatures: Vec::new(),
                signature: None,
                removed: Vec::new(),
            };
            all.insert((one.id.clone(), criterion.clone()), serving);
        }
    }
    let gone = removed.controls.iter().map(|control| (control, true));
    for (control, gone) in catalog.controls.values().map(|control| (control, false)).chain(gone) {
        for (framework, criteria) in &control.criteria {
            for criterion in criteria {
                let Some(serving) = all.get_mut(&(framework.clone(), criterion.clone())) else { continue };
                let place = match (&control.needs, control.kind) {
                    _ if gone => &mut serving.removed,
                    (_, ControlKind::Attestation) => &mut serving.stated,
                    (Some(_), _) => &mut serving.waiting,
                    (None, _) => &mut serving.judged,
                };
                place.push(control.id.clone());
            }
        }
    }
    let mut all: Vec<Serving> = all.into_values().collect();
    for one in &mut all {
        let own = About::Criterion(one.framework.clone(), one.criterion.clone());
        one.signature = manual.iter().find(|manual| manual.about == own).map(|manual| manual.state.clone());
        let stated = |manual: &&Manual| matches!(&manual.about, About::Control(id) if one.stated.contains(id));
        one.signatures = manual.iter().filter(stated).cloned().collect();
    }
    all
}
