//! What is to be seen of a period, in words and numbers, before anything is drawn.

use std::collections::BTreeMap;

use serde::Serialize;

use super::members::{self, Drawn, MemberView, anchor};
use super::strips::{Said, Shown, Stretch, by_version, by_word, days_of_all, stretches, version};
use super::{Log, Made};
use crate::model::assessment::Subject;
use crate::model::attestation::{About, Attestation};
use crate::model::catalog::{Control, ControlKind, Framework};
use crate::model::deviation::{Deviation, Ending, Look};
use crate::model::id::{ControlId, EntityType, ExceptionId};
use crate::model::period::{Cell, Members, Missed, NoRun, Series};
use crate::model::time::Timestamp;
use crate::report::annotations::uri;
use crate::report::{attestation, population, words};

/// Stretches on a line of the index: beyond that they would be too narrow to choose, and too many for a telephone.
pub const STRETCHES: usize = 60;

/// Everything a reader is shown.
#[derive(Serialize)]
pub struct View<'a> {
    /// Who it is about.
    pub owner: String,
    /// The framework it is limited to, or empty.
    pub framework: String,
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
    /// How many days.
    pub days: usize,
    /// Days with a run.
    pub seen: usize,
    /// How many runs.
    pub runs: usize,
    /// The log that vouches for it.
    pub log: &'a Log,
    /// What is not shown, and why; empty when everything is.
    pub unproven: String,
    /// Months, as columns.
    pub months: Vec<Month>,
    /// Times without a run.
    pub missed: Vec<Absence>,
    /// How many controls ended the period with each word, in the order of gravity.
    pub totals: Vec<(&'static str, &'static str, usize)>,
    /// Frameworks and their criteria.
    pub frameworks: Vec<FrameworkView>,
    /// Controls, by id.
    pub controls: Vec<ControlView>,
    /// Statements that people signed.
    pub attestations: Vec<AttestationView>,
}

/// A month, as columns of a strip.
#[derive(Serialize)]
pub struct Month {
    /// `Jan`, and the year with the first and with each January.
    pub name: String,
    /// Its first column.
    pub start: usize,
    /// How many.
    pub days: usize,
}

/// A time without a run.
#[derive(Serialize)]
pub struct Absence {
    /// From when.
    pub from: String,
    /// Until when.
    pub to: String,
    /// For how long.
    pub lasted: String,
    /// Why, as far as it is known.
    pub reason: &'static str,
}

/// A framework and its criteria.
#[derive(Serialize)]
pub struct FrameworkView {
    /// Its full name.
    pub name: String,
    /// How many criteria it has.
    pub all: usize,
    /// How many of them have a control or a signature.
    pub covered: usize,
    /// In order.
    pub criteria: Vec<CriterionView>,
}

/// One criterion.
#[derive(Serialize)]
pub struct CriterionView {
    /// Its id.
    pub id: String,
    /// In our own words.
    pub title: String,
    /// How it stands at the end.
    pub word: String,
    /// The name of its look.
    pub class: &'static str,
    /// Controls that serve it.
    pub controls: Vec<String>,
    /// Controls that served it and are declared no more.
    pub gone: Vec<String>,
    /// The signature that it has, or waits for; empty when it needs none.
    pub signature: String,
}

/// One control.
#[derive(Serialize)]
pub struct ControlView {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its promise.
    pub statement: String,
    /// Who answers for it.
    pub owner: String,
    /// How much a breach matters.
    pub severity: String,
    /// Which resources are meant.
    pub meant: String,
    /// Criteria it serves.
    pub serves: Vec<String>,
    /// Who checked that it serves them; empty when nobody did.
    pub reviewer: String,
    /// How it stands at the end.
    pub word: String,
    /// The name of its look.
    pub class: &'static str,
    /// What is missing before it can be judged; empty when nothing is.
    pub needs: String,
    /// The signature that it has, or waits for; empty when it needs none.
    pub signature: String,
    /// Members at the end, by status: class, word, number; the whole population, exceptions included.
    pub tally: Vec<(&'static str, &'static str, u64)>,
    /// How many members it applies to at the end.
    pub judged: u64,
    /// Days by what they said: class, word, number.
    pub spent: Vec<(&'static str, &'static str, usize)>,
    /// Its days as they are told on one line: one stretch while the same members are the gravest.
    pub strip: Vec<Stretch>,
    /// Its days, each leading to the decisions of that day.
    #[serde(skip)]
    pub days: Vec<Stretch>,
    /// Members that are drawn, the gravest first.
    pub members: Vec<MemberView>,
    /// The first of them that are on the index too.
    #[serde(skip)]
    pub gravest: Vec<MemberView>,
    /// Others that were anything but compliant, in order: they have pages of their own.
    #[serde(skip)]
    pub more: Vec<MemberView>,
    /// How many members are not drawn, and what they have in common.
    pub rest: String,
    /// Who came and who went.
    pub populations: Vec<PopulationView>,
    /// What did not meet it.
    pub deviations: Vec<DeviationView>,
    /// What exceptions permitted.
    pub waivers: Vec<WaiverView>,
}

/// A population in the period.
#[derive(Serialize)]
pub struct PopulationView {
    /// Its entity type.
    pub entity: String,
    /// Members at the beginning and at the end.
    pub sizes: String,
    /// Whether every run saw all of it.
    pub whole: String,
    /// What counts it independently, and whether that came to the same.
    pub counted: Vec<String>,
    /// Who came and went, and what explains it.
    pub changes: String,
    /// Changes that nothing explains: who, and which day.
    pub unexplained: Vec<String>,
}

/// A deviation from a control.
#[derive(Serialize)]
pub struct DeviationView {
    /// Its control.
    pub control: String,
    /// Its subject.
    pub subject: String,
    /// When it was seen first.
    pub detected: String,
    /// When it was seen otherwise, or that it is open.
    pub ended: String,
    /// How long it lasted.
    pub lasted: String,
    /// What it was then; since when nobody saw it, of what is open.
    pub then: String,
    /// True while it is open at the end.
    pub open: bool,
    /// The page that shows it.
    pub href: String,
}

/// What an exception permitted.
#[derive(Serialize)]
pub struct WaiverView {
    /// The exception.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// From when until when.
    pub when: String,
    /// Why, who asked and who approved, as far as its file still says.
    pub why: String,
}

/// A statement that a person signed.
#[derive(Serialize)]
pub struct AttestationView {
    /// What it is about.
    pub about: String,
    /// The days that it covers.
    pub covers: String,
    /// What is attested.
    pub statement: String,
    /// Who wrote it and who signed it, and when.
    pub who: String,
    /// The population that was looked at, or empty.
    pub root: String,
}

/// What is to be seen of `made`.
#[must_use]
pub fn view<'a>(made: &Made<'a>) -> View<'a> {
    let period = made.period;
    let found = Found { deviations: period.deviations(), waivers: period.waivers(), look: Look::at(period) };
    let controls: Vec<ControlView> = wanted(made).map(|control| control_view(made, control, &found)).collect();
    let order = [Said::NonCompliant, Said::NoEvidence, Said::Excepted, Said::Compliant, Said::NotApplicable];
    let mut totals: Vec<_> = order
        .iter()
        .map(|said| (said.class(), said.word(), controls.iter().filter(|one| one.class == said.class()).count()))
        .collect();
    for (class, word) in [("manual", "manual, not signed"), ("signed", "signed by a person")] {
        totals.push((class, word, controls.iter().filter(|one| one.class == class).count()));
    }
    totals.retain(|(_, _, count)| *count > 0);
    let frameworks = made.catalog.frameworks.values();
    let frameworks = frameworks.filter(|one| made.framework.is_none_or(|wanted| *wanted == one.id));
    let attestations = made.catalog.attestations.values().filter(|one| {
        let days = crate::model::attestation::Stretch { from: period.from, to: period.to };
        one.covers.meets(&days)
    });
    View {
        owner: made.catalog.settings.owner.clone().unwrap_or_else(|| made.log.origin.clone()),
        framework: made.framework.and_then(|id| made.catalog.frameworks.get(id)).map_or_else(String::new, |one| one.name.clone()),
        from: period.from.to_string(),
        to: period.to.to_string(),
        days: period.days.len(),
        seen: period.days.iter().filter(|day| !day.runs.is_empty()).count(),
        runs: period.runs.len(),
        log: made.log,
        unproven: made.unproven.iter().map(|noted| noted.what.as_str()).collect::<Vec<_>>().join("; "),
        months: months(made),
        missed: period.missed.iter().map(absence).collect(),
        totals,
        frameworks: frameworks.map(|framework| framework_view(made, framework, &controls)).collect(),
        controls,
        attestations: attestations.map(attestation_view).collect(),
    }
}

/// Controls that serve the framework asked for, or all.
fn wanted<'a>(made: &Made<'a>) -> impl Iterator<Item = &'a Control> {
    let framework = made.framework;
    made.catalog.controls.values().filter(move |control| framework.is_none_or(|id| control.criteria.contains_key(id)))
}

fn months(made: &Made<'_>) -> Vec<Month> {
    let mut months: Vec<(i16, i8, Month)> = Vec::new();
    for (at, day) in made.period.days.iter().enumerate() {
        let (year, month) = (day.date.year(), day.date.month());
        match months.last_mut() {
            Some((y, m, last)) if (*y, *m) == (year, month) => last.days += 1,
            last => {
                let named = last.is_none() || month == 1;
                let format = if named { "%b %Y" } else { "%b" };
                months.push((year, month, Month { name: day.date.strftime(format).to_string(), start: at + 1, days: 1 }));
            }
        }
    }
    months.into_iter().map(|(_, _, month)| month).collect()
}

fn absence(missed: &Missed) -> Absence {
    let reason = match missed.reason {
        NoRun::BeforeTheFirst => "the evidence begins here",
        NoRun::NothingRecorded => "nothing was recorded, and nothing says why",
        NoRun::AfterUnfinished => "the run before did not come to its end",
        NoRun::AfterTheLast => "no run came since",
    };
    let lasted = words::age(missed.after, missed.before);
    Absence { from: minute(missed.after), to: minute(missed.before), lasted, reason }
}

/// An instant to the minute, as people read it.
fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// How a control stands at the end: the gravest status of the last day on which it was judged.
fn ends(made: &Made<'_>, control: &Control, series: Option<&Series>, shown: &[Shown]) -> (String, &'static str) {
    let last = shown.iter().map(|one| one.said).rev().find(|said| !matches!(said, Said::NoRun | Said::Absent | Said::NotJudged));
    let empty = series.is_some() && shown.iter().any(|one| one.said == Said::Absent);
    let said = last.unwrap_or(if empty { Said::NotApplicable } else { Said::NoEvidence });
    let signature = made.manual.iter().find(|one| one.about == About::Control(control.id.clone()));
    match signature.filter(|_| control.kind == ControlKind::Attestation && said == Said::NoEvidence) {
        Some(manual) if manual.state.stands() => ("signed".to_owned(), "signed"),
        Some(_) => ("manual".to_owned(), "manual"),
        None if made.removed.contains(&control.id) => (format!("{}, declared no more", said.word()), said.class()),
        None => (said.word().to_owned(), said.class()),
    }
}

/// What did not hold in the period, and what was permitted by exceptions.
struct Found<'a> {
    deviations: Vec<Deviation>,
    waivers: Vec<(ExceptionId, Deviation)>,
    look: Look<'a>,
}

fn control_view(made: &Made<'_>, control: &Control, found: &Found<'_>) -> ControlView {
    let period = made.period;
    let series = period.controls.iter().find(|series| series.control == control.id);
    let shown = series.map(|series| days_of_all(series, &period.days, period.runs.len())).unwrap_or_default();
    let (word, class) = ends(made, control, series, &shown);
    let Drawn { members, gravest, more, rest } = series.map(|series| members::draw(made, series, &found.look)).unwrap_or_default();
    let about = About::Control(control.id.clone());
    let signature = made.manual.iter().find(|manual| manual.about == about);
    let (tally, judged) = series.map(tally).unwrap_or_default();
    ControlView {
        id: control.id.to_string(),
        title: control.title.clone(),
        statement: control.statement.clone(),
        owner: control.owner.clone(),
        severity: format!("{:?}", control.severity).to_lowercase(),
        meant: control.population.clone(),
        serves: control
            .criteria
            .iter()
            .flat_map(|(framework, ids)| ids.iter().map(move |id| format!("{framework} {id}")))
            .collect(),
        reviewer: control.criteria_reviewer.clone().unwrap_or_default(),
        word,
        class,
        needs: control.needs.clone().unwrap_or_default(),
        signature: signature.map_or_else(String::new, |manual| attestation::words(&manual.state)),
        tally,
        judged,
        spent: spent(&shown),
        strip: strip(made, control, &shown),
        days: stretches(made, &control.id, &by_version(made, &control.id, &shown), ""),
        members,
        gravest,
        more,
        rest,
        populations: period
            .populations
            .iter()
            .filter(|one| speaks_of(control, &one.entity))
            .map(|one| population_view(made, one))
            .collect(),
        deviations: found.deviations.iter().filter(|one| one.control == control.id).map(|one| deviation(made, one)).collect(),
        waivers: found
            .waivers
            .iter()
            .filter(|(_, one)| one.control == control.id)
            .map(|(id, one)| waiver(made, id.as_str(), one))
            .collect(),
    }
}

fn speaks_of(control: &Control, entity: &EntityType) -> bool {
    control.entities.contains(entity)
}

/// Its days on one line. What changes too often for that leads to the page of the control, where each day leads to its own decisions.
fn strip(made: &Made<'_>, control: &Control, shown: &[Shown]) -> Vec<Stretch> {
    let all = stretches(made, &control.id, shown, "");
    if all.len() <= STRETCHES {
        return all;
    }
    let page = format!("controls/{}/index.html#days", uri(control.id.as_str()));
    let lead = |one: Stretch| Stretch { href: if one.href.is_empty() { one.href } else { page.clone() }, ..one };
    stretches(made, &control.id, &by_word(shown), "").into_iter().map(lead).collect()
}

fn spent(shown: &[Shown]) -> Vec<(&'static str, &'static str, usize)> {
    let mut counts = BTreeMap::<Said, usize>::new();
    shown.iter().for_each(|one| *counts.entry(one.said).or_default() += 1);
    counts.into_iter().rev().map(|(said, days)| (said.class(), said.word(), days)).collect()
}

/// Members by status on the last day that was judged, and how many the control applies to.
fn tally(series: &Series) -> (Vec<(&'static str, &'static str, u64)>, u64) {
    let last = series.days.iter().rev().find_map(|cell| match cell {
        Cell::Judged { tally, .. } => Some(tally),
        Cell::NoRun | Cell::NotJudged => None,
    });
    let all: Vec<_> = last.into_iter().flatten().rev().map(|(status, count)| (Said::from(*status), *count)).collect();
    let judged = all.iter().filter(|(said, _)| *said != Said::NotApplicable).map(|(_, count)| count).sum();
    (all.into_iter().map(|(said, count)| (said.class(), said.word(), count)).collect(), judged)
}

fn population_view(made: &Made<'_>, members: &Members) -> PopulationView {
    let (came, went) = population::moved(&members.changes);
    let bare = members.changes.iter().filter(|change| change.explained.is_none());
    let unexplained: Vec<String> = bare
        .map(|change| {
            let verb = if change.came { "came" } else { "went" };
            format!("{} {verb}, seen {}", change.id, made.period.runs.get(change.run).map(|run| minute(run.at)).unwrap_or_default())
        })
        .collect();
    let changes = if members.changes.is_empty() {
        "nobody came or went".to_owned()
    } else {
        format!("{came} came and {went} went: {}", population::reasons(&members.changes).join(", "))
    };
    let sizes = population::sizes(made.period, members)
        .map_or_else(|| "never seen whole".to_owned(), |(first, last)| format!("{first} at the beginning, {last} at the end"));
    let whole = population::completeness(made.period, &members.entity);
    let counted = population::counted(made.period, &members.entity);
    PopulationView { entity: members.entity.to_string(), sizes, whole, counted, changes, unexplained }
}

fn deviation(made: &Made<'_>, one: &Deviation) -> DeviationView {
    let subject = words::subject(&one.subject);
    let (since, until) = (one.since(made.period), one.until(made.period));
    let unseen = one.unseen.and_then(|at| made.period.runs.get(at)).map(|run| format!("not seen since {}", minute(run.at)));
    DeviationView {
        control: one.control.to_string(),
        detected: format!("{}{}", minute(since), if one.before.is_some() { ", before the period" } else { "" }),
        ended: until.map_or_else(|| "open at the end".to_owned(), minute),
        lasted: words::age(since, until.unwrap_or(made.period.end())),
        then: match one.ended {
            Some((_, Ending::Became(status))) => Said::from(status).word().to_owned(),
            Some((_, Ending::Gone)) => "gone".to_owned(),
            None => unseen.unwrap_or_default(),
        },
        open: one.is_open(),
        href: version(made, &one.control, one.detected)
            .map_or_else(String::new, |v| format!("{}#{}", uri(&v.page), anchor(&subject))),
        subject,
    }
}

fn waiver(made: &Made<'_>, id: &str, one: &Deviation) -> WaiverView {
    let until = one.until(made.period).map_or_else(|| "the end of the period".to_owned(), minute);
    let why = made.catalog.exceptions.get(id).map_or_else(
        || "its file is gone by now; the locker has it".to_owned(),
        |file| {
            let times = if file.earlier.is_empty() { String::new() } else { format!(", renewed {} times", file.earlier.len()) };
            format!(
                "{}; instead: {}; {}; asked for by {}, by its file approved by {} until {}{times}",
                file.reason, file.compensating, file.ticket, file.requester, file.approver, file.expires
            )
        },
    );
    WaiverView {
        id: id.to_owned(),
        subject: words::subject(&one.subject),
        when: format!("{} until {until}", minute(one.since(made.period))),
        why,
    }
}

fn attestation_view(one: &Attestation) -> AttestationView {
    let about = match &one.about {
        About::Control(id) => id.to_string(),
        About::Criterion(framework, id) => format!("{framework} {id}"),
    };
    let who = format!("written by {}, signed by {} on {}", one.author, one.approver, minute(one.signed));
    let root = one.population_root.clone().unwrap_or_default();
    AttestationView { about, covers: one.covers.to_string(), statement: one.statement.clone(), who, root }
}

/// A criterion is as good as the gravest of its controls, and manual at best while it waits for a signature; one without either is a gap.
fn framework_view(made: &Made<'_>, framework: &Framework, controls: &[ControlView]) -> FrameworkView {
    let by_id: BTreeMap<&str, &ControlView> = controls.iter().map(|one| (one.id.as_str(), one)).collect();
    let criterion = |(id, criterion): (&crate::model::id::CriterionId, &crate::model::catalog::Criterion)| {
        let serves = |control: &&Control| control.criteria.get(&framework.id).is_some_and(|ids| ids.contains(id));
        let served = made.catalog.controls.values().filter(serves).map(|control| &control.id);
        let (gone, ids): (Vec<&ControlId>, Vec<&ControlId>) = served.partition(|id| made.removed.contains(*id));
        let about = About::Criterion(framework.id.clone(), id.clone());
        let signature = made.manual.iter().find(|manual| manual.about == about);
        let gravity = ["not-applicable", "compliant", "signed", "excepted", "manual", "no-evidence", "non-compliant"];
        let rank = |class: &str| gravity.iter().position(|one| *one == class);
        let signed = signature.map(|manual| if manual.state.stands() { ("signed", "signed") } else { ("manual", "manual") });
        let judged = ids.iter().filter_map(|id| by_id.get(id.as_str())).map(|one| (one.word.as_str(), one.class));
        let signed = signed.filter(|(_, class)| *class == "manual" || ids.is_empty());
        let gravest = judged.chain(signed).max_by_key(|(_, class)| rank(class));
        let (word, class) = gravest.unwrap_or(("no control", "gap"));
        CriterionView {
            id: id.to_string(),
            title: criterion.title.clone(),
            word: word.to_owned(),
            class,
            controls: ids.into_iter().map(ToString::to_string).collect(),
            gone: gone.into_iter().map(ToString::to_string).collect(),
            signature: signature.map_or_else(String::new, |manual| attestation::words(&manual.state)),
        }
    };
    let criteria: Vec<CriterionView> = framework.criteria.iter().map(criterion).collect();
    let covered = criteria.iter().filter(|one| !one.controls.is_empty() || one.class == "signed").count();
    FrameworkView { name: framework.name.clone(), all: criteria.len(), covered, criteria }
}

/// What a subject is, for tables: entity type and name.
pub fn named(subject: &Subject) -> (&str, String) {
    match subject {
        Subject::Resource { entity, .. } | Subject::Population { entity, .. } => (entity.as_str(), words::subject(subject)),
    }
}
