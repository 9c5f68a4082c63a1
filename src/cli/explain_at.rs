//! `slm explain --at`: what was said of a control or a resource on a past day, by what evidence and which text, and whether that text says
//! the same again.

use std::collections::BTreeMap;

use super::explain_found::{Asked, Found, Lines, artefacts, find, missing};
use super::past::{Again, Past, When};
use super::{Exit, Global, Said, Trouble, serving, verify};
use crate::host::clock::SystemClock;
use crate::host::history::History;
use crate::model::assessment::{Decision, Status};
use crate::model::attestation::Manual;
use crate::model::catalog::{Control, ControlKind};
use crate::model::id::ControlId;
use crate::model::past::{Noted, Said as Recorded};
use crate::model::period::day;
use crate::record::changes::{between, lines};
use crate::record::{decisions_path, line};
use crate::report::explain::Explained;
use crate::report::then::{self, Then};
use crate::report::words;
use crate::world::Clock as _;

pub(super) fn run(name: &str, when: When, global: &Global) -> Result<Said, Trouble> {
    let branch = verify::settings(global)?.branch;
    let history = History::open(&global.root, &branch)?;
    let Found { asked, past, recorded, unproven: mut noted, later } = find(global, &history, &branch, (name, when))?;
    let on_day = day(past.note.at) == when.date();
    if !on_day {
        let until = match when {
            When::Day(_) => String::new(),
            When::Instant(at) => format!(" until {at}"),
        };
        let what = format!("no run began on {}{until}; the last before it is told", when.date());
        noted.push(Noted { code: "slm::past-no-run", what });
    }
    let mut findings = lost(&past)?;
    let again = past.judge_again(global)?.map_err(|why| noted.push(why)).ok();
    if let Some(again) = &again {
        findings.extend(compare(&past, &asked, &recorded, again)?);
    }
    let (artefacts, wrong) = artefacts(&past, &recorded)?;
    findings.extend(wrong);
    let authored = past.authored(global, again.as_ref().map(|again| &again.catalog))?;
    let all: Vec<Recorded> = recorded.iter().flat_map(|lines| lines.said.clone()).collect();
    let about = |one: &Decision| asked.is_about(one.control.as_str(), &one.subject);
    let decisions = again.iter().flat_map(|again| again.assessment.decisions.iter()).filter(about).collect::<Vec<_>>();
    let manual = signed(global, &branch, again.as_ref(), name)?;
    let explained = again.as_ref().map(|again| Explained {
        catalog: &again.catalog,
        rules: &again.rules,
        assessment: &again.assessment,
        decisions: &decisions,
        manual: &manual,
    });
    let told = Then {
        asked: when.instant(),
        branch: &branch,
        run: &past.note,
        said: &all,
        explained,
        later: later.as_deref(),
        artefacts: &artefacts,
        authored: authored.as_ref(),
        unproven: &noted,
        findings: &findings,
    };
    let mut exits = vec![Exit::Clean];
    exits.extend((!findings.is_empty()).then_some(Exit::Integrity));
    let has = |status| all.iter().any(|one| one.status == status);
    exits.extend((!noted.is_empty() || has(Status::NoEvidence)).then_some(Exit::Incomplete));
    exits.extend(has(Status::NonCompliant).then_some(Exit::Changes));
    Ok(Said::new(exits, then::human(&told), then::json(&told)))
}

/// Whether a person signed what `name` promises, where that is a control that people state: by now, since days are signed when they are over.
fn signed(global: &Global, branch: &str, again: Option<&Again>, name: &str) -> Result<Vec<Manual>, Trouble> {
    let Some(again) = again else { return Ok(Vec::new()) };
    let stated = |control: &Control| control.id.as_str() == name && control.kind == ControlKind::Attestation;
    if !again.catalog.controls.values().any(stated) {
        return Ok(Vec::new());
    }
    let mut history = History::open(&global.root, branch)?;
    serving::signed_on(global, &mut history, &again.catalog, (again.assessment.at, SystemClock.now()))
}

fn counted(past: &Past<'_>, control: &ControlId) -> u64 {
    past.file.controls.get(control.as_str()).map_or(0, |tally| tally.values().sum())
}

/// Decisions that the run counted and that are not there.
fn lost(past: &Past<'_>) -> Result<Vec<Noted>, Trouble> {
    let noted = |control: ControlId| {
        let (path, count) = (decisions_path(&control), counted(past, &control));
        let what = format!("`{path}` is not there, and run {} counted {} in it", past.note.id, words::count(count, "decision"));
        Noted { code: "slm::evidence-missing", what }
    };
    Ok(missing(past)?.into_iter().map(noted).collect())
}

/// Where the rules of then say something else of what was seen then: of each control that was recorded, and of each that they judge.
fn compare(past: &Past<'_>, asked: &Asked<'_>, recorded: &[Lines], again: &Again) -> Result<Vec<Noted>, Trouble> {
    let mut both: BTreeMap<String, (&str, String)> =
        recorded.iter().map(|lines| (lines.path.clone(), (lines.text.as_str(), String::new()))).collect();
    for decision in again.assessment.decisions.iter() {
        if asked.is_about(decision.control.as_str(), &decision.subject) {
            let (_, replayed) = both.entry(decisions_path(&decision.control)).or_default();
            replayed.push_str(&String::from_utf8_lossy(&line(&decision)?));
        }
    }
    let by = if past.note.slm == env!("CARGO_PKG_VERSION") {
        String::new()
    } else {
        format!(" (recorded by slm {}, judged again by {})", past.note.slm, env!("CARGO_PKG_VERSION"))
    };
    let mut findings = Vec::new();
    for (path, (text, replayed)) in &both {
        let difference = between(text, replayed);
        let (then, now): (Vec<_>, Vec<_>) = lines(&difference).partition(|(came, _)| !came);
        if then.is_empty() && now.is_empty() {
            continue;
        }
        let show = |all: &[(bool, &str)]| all.first().map_or("nothing", |(_, line)| line).to_owned();
        let what = format!(
            "`{path}` is not what the rules of {} say of what was seen: recorded {}, judged again {}{by}",
            past.note.config,
            show(&then),
            show(&now)
        );
        findings.push(Noted { code: "slm::evidence-not-replayed", what });
    }
    Ok(findings)
}
