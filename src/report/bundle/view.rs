//! What is to be seen of a period, in words and numbers, before anything is drawn.

use std::collections::BTreeMap;

use serde::Serialize;

use super::strips::{Said, Stretch, days_of, days_of_all, stretches, version};
use super::{Log, Made};
use crate::model::assessment::Subject;
use crate::model::attestation::{About, Attestation};
use crate::model::catalog::{Control, ControlKind, Framework};
use crate::model::id::{ControlId, EntityType, ExceptionId};
use crate::model::period::{At, Cell, Deviation, Members, Missed, NoRun, Series};
use crate::model::time::Timestamp;
use crate::report::{attestation, words};

/// Members of a control that are drawn by themselves; the rest is counted, and is in the tables.
const DRAWN: usize = 60;

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
    /// Its days.
    pub strip: Vec<Stretch>,
    /// Members that are drawn, the gravest first.
    pub members: Vec<MemberView>,
    /// How many members are not drawn, and what they have in common.
    pub rest: String,
    /// Who came and who went.
    pub populations: Vec<PopulationView>,
    /// What did not meet it.
    pub deviations: Vec<DeviationView>,
    /// What exceptions permitted.
    pub waivers: Vec<WaiverView>,
}

/// One member of a population.
#[derive(Serialize)]
pub struct MemberView {
    /// Its name.
    pub name: String,
    /// Its last part, for narrow places.
    pub short: String,
    /// Its days.
    pub strip: Vec<Stretch>,
}

/// A population in the period.
#[derive(Serialize)]
pub struct PopulationView {
    /// Its entity type.
    pub entity: String,
    /// Members at the beginning and at the end.
    pub sizes: String,
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
    /// What it was then.
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
    let found = Found { deviations: period.deviations(), waivers: period.waivers() };
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
fn ends(made: &Made<'_>, control: &Control, series: Option<&Series>) -> (String, &'static str) {
    let last =
        series.and_then(|series| days_of_all(series).into_iter().rev().find(|said| *said != Said::NoRun && *said != Said::Absent));
    let said = last.unwrap_or(if series.is_some() { Said::NotApplicable } else { Said::NoEvidence });
    let signature = made.manual.iter().find(|one| one.about == About::Control(control.id.clone()));
    match signature.filter(|_| control.kind == ControlKind::Attestation && said == Said::NoEvidence) {
        Some(manual) if manual.state.stands() => ("signed".to_owned(), "signed"),
        Some(_) => ("manual".to_owned(), "manual"),
        None => (said.word().to_owned(), said.class()),
    }
}

/// What did not hold in the period, and what was permitted by exceptions.
struct Found {
    deviations: Vec<Deviation>,
    waivers: Vec<(ExceptionId, Deviation)>,
}

fn control_view(made: &Made<'_>, control: &Control, found: &Found) -> ControlView {
    let period = made.period;
    let series = period.controls.iter().find(|series| series.control == control.id);
    let (word, class) = ends(made, control, series);
    let said = series.map(days_of_all).unwrap_or_default();
    let (members, rest) = series.map(|series| members(made, series)).unwrap_or_default();
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
        spent: spent(&said),
        strip: stretches(made, &control.id, &said, ""),
        members,
        rest,
        populations: period
            .populations
            .iter()
            .filter(|one| speaks_of(control, &one.entity))
            .map(|one| population(made, one))
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

fn spent(said: &[Said]) -> Vec<(&'static str, &'static str, usize)> {
    let mut counts = BTreeMap::<Said, usize>::new();
    said.iter().for_each(|one| *counts.entry(*one).or_default() += 1);
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

/// Those that are drawn: whoever was ever anything but compliant, the gravest first, then others while there is room.
fn members(made: &Made<'_>, series: &Series) -> (Vec<MemberView>, String) {
    let mut all: Vec<(Said, usize, String, Vec<Said>, &Subject)> = Vec::new();
    for member in &series.members {
        let days = days_of(member, &made.period.days);
        let gravest = days.iter().copied().filter(|said| *said != Said::NoRun).max().unwrap_or(Said::Absent);
        if gravest > Said::NotApplicable {
            let bad = days.iter().filter(|said| **said == gravest).count();
            all.push((gravest, bad, words::subject(&member.subject), days, &member.subject));
        }
    }
    all.sort_by(|a, b| (b.0, b.1, &a.2).cmp(&(a.0, a.1, &b.2)));
    let rest = &all[DRAWN.min(all.len())..];
    let worse = rest.iter().filter(|(gravest, ..)| *gravest > Said::Compliant).count();
    let told = match (rest.len(), worse) {
        (0, _) => String::new(),
        (rest, 0) => format!("{rest} more were compliant on every day they were judged"),
        (rest, worse) => format!("{rest} more, of which {worse} were not compliant at some time"),
    };
    let draw = |(_, _, name, days, subject): &(Said, usize, String, Vec<Said>, &Subject)| MemberView {
        short: match subject {
            // Without account and region, which all have in common.
            Subject::Resource { .. } => name.rsplit(':').next().unwrap_or(name).to_owned(),
            Subject::Population { .. } => name.clone(),
        },
        strip: stretches(made, &series.control, days, &format!("#{}", anchor(name))),
        name: name.clone(),
    };
    (all.iter().take(DRAWN).map(draw).collect(), told)
}

/// A subject as the name of a place in a page.
pub fn anchor(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
    format!("m-{}", name.chars().map(plain).collect::<String>())
}

fn population(made: &Made<'_>, members: &Members) -> PopulationView {
    let sizes: Vec<u64> = members.sizes.iter().copied().flatten().collect();
    let (came, went) =
        members.changes.iter().fold((0, 0), |(came, went), one| if one.came { (came + 1, went) } else { (came, went + 1) });
    let bare = members.changes.iter().filter(|change| change.explained.is_none());
    let unexplained: Vec<String> = bare
        .map(|change| {
            let verb = if change.came { "came" } else { "went" };
            format!("{} {verb}, seen {}", change.id, made.period.runs.get(change.run).map(|run| minute(run.at)).unwrap_or_default())
        })
        .collect();
    let changes = match (came, went, unexplained.len()) {
        (0, 0, _) => "nobody came or went".to_owned(),
        (came, went, 0) => format!("{came} came and {went} went, each explained by what the source says"),
        (came, went, bare) => format!("{came} came and {went} went; {bare} of these changes nothing explains"),
    };
    let sizes = match (sizes.first(), sizes.last()) {
        (Some(first), Some(last)) => format!("{first} at the beginning, {last} at the end"),
        _ => "never seen".to_owned(),
    };
    PopulationView { entity: members.entity.to_string(), sizes, changes, unexplained }
}

fn deviation(made: &Made<'_>, one: &Deviation) -> DeviationView {
    let subject = words::subject(&one.subject);
    let instant = |at: At| made.period.runs.get(at).map(|run| run.at);
    let (from, until) = (instant(one.detected), one.ended.and_then(instant));
    let end = until.unwrap_or(made.period.bounds().1);
    let detected = from.map(minute).unwrap_or_default();
    DeviationView {
        control: one.control.to_string(),
        detected: if one.before { format!("before the period, seen {detected}") } else { detected },
        ended: until.map_or_else(|| "open at the end".to_owned(), minute),
        lasted: from.map(|from| words::age(from, end)).unwrap_or_default(),
        then: one.then.map_or_else(String::new, |status| Said::from(status).word().to_owned()),
        open: one.ended.is_none(),
        href: version(made, &one.control, one.detected).map_or_else(String::new, |v| format!("{}#{}", v.page, anchor(&subject))),
        subject,
    }
}

fn waiver(made: &Made<'_>, id: &str, one: &Deviation) -> WaiverView {
    let instant = |at: At| made.period.runs.get(at).map(|run| minute(run.at)).unwrap_or_default();
    let until = one.ended.map_or_else(|| "the end of the period".to_owned(), instant);
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
        when: format!("{} until {until}", instant(one.detected)),
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

/// A criterion is as good as the gravest of its controls; one without any is manual, or a gap.
fn framework_view(made: &Made<'_>, framework: &Framework, controls: &[ControlView]) -> FrameworkView {
    let by_id: BTreeMap<&str, &ControlView> = controls.iter().map(|one| (one.id.as_str(), one)).collect();
    let criterion = |(id, criterion): (&crate::model::id::CriterionId, &crate::model::catalog::Criterion)| {
        let serves = |control: &&Control| control.criteria.get(&framework.id).is_some_and(|ids| ids.contains(id));
        let ids: Vec<&ControlId> = made.catalog.controls.values().filter(serves).map(|control| &control.id).collect();
        let about = About::Criterion(framework.id.clone(), id.clone());
        let signature = made.manual.iter().find(|manual| manual.about == about);
        let gravity = ["not-applicable", "compliant", "signed", "excepted", "manual", "no-evidence", "non-compliant"];
        let rank = |class: &str| gravity.iter().position(|one| *one == class);
        let gravest = ids.iter().filter_map(|id| by_id.get(id.as_str())).max_by_key(|one| rank(one.class));
        let (word, class) = match (gravest, signature) {
            (Some(control), _) => (control.word.clone(), control.class),
            (None, Some(manual)) if manual.state.stands() => ("signed".to_owned(), "signed"),
            (None, Some(_)) => ("manual".to_owned(), "manual"),
            (None, None) => ("no control".to_owned(), "gap"),
        };
        CriterionView {
            id: id.to_string(),
            title: criterion.title.clone(),
            word,
            class,
            controls: ids.into_iter().map(ToString::to_string).collect(),
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
