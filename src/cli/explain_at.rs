//! `slm explain --at`: what was said of a control or a resource on a past day, by what evidence and which text, and whether that text says
//! the same again.

use super::explain_found::{Asked, Found, Lines, artefacts, find};
use super::past::{Again, Past, When};
use super::{Exit, Global, Said, Trouble, verify};
use crate::host::history::History;
use crate::model::assessment::{Decision, Status};
use crate::model::past::{Noted, Said as Recorded};
use crate::model::period::day;
use crate::record::changes::{between, lines};
use crate::record::line;
use crate::report::explain::Explained;
use crate::report::then::{self, Then};

pub(super) fn run(name: &str, when: When, global: &Global) -> Result<Said, Trouble> {
    let branch = verify::settings(global)?.branch;
    let history = History::open(&global.root, &branch)?;
    let Found { asked, past, recorded, unproven: mut noted, later } = find(&history, &branch, name, when)?;
    let on_day = day(past.note.at) == when.date();
    if !on_day {
        let what = format!("no run began on {}; the last before it is told", when.date());
        noted.push(Noted { code: "slm::past-no-run", what });
    }
    let again = past.judge_again(global, &past.note.config)?;
    let (again, mut findings) = match again {
        Ok(again) => {
            let findings = compare(&past, &asked, &recorded, &again)?;
            (Some(again), findings)
        }
        Err(why) => {
            noted.push(why);
            (None, Vec::new())
        }
    };
    let (artefacts, wrong) = artefacts(&past, &recorded)?;
    findings.extend(wrong);
    let authored = past.authored(global)?;
    let all: Vec<Recorded> = recorded.iter().flat_map(|lines| lines.said.clone()).collect();
    let about = |one: &Decision| asked.is_about(one.control.as_str(), &one.subject);
    let decisions = again.iter().flat_map(|again| again.assessment.decisions.iter()).filter(about).collect::<Vec<_>>();
    let explained = again.as_ref().map(|again| Explained {
        catalog: &again.catalog,
        rules: &again.rules,
        assessment: &again.assessment,
        decisions: &decisions,
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

/// Where the rules of then say something else of what was seen then.
fn compare(past: &Past<'_>, asked: &Asked<'_>, recorded: &[Lines], again: &Again) -> Result<Vec<Noted>, Trouble> {
    let mut findings = Vec::new();
    for Lines { path, text, .. } in recorded {
        let control = path.trim_start_matches("decisions/").trim_end_matches(".jsonl");
        let same = |id: &crate::model::id::ControlId| id.as_str() == control;
        let mut replayed = String::new();
        for decision in again.assessment.decisions.select(|id, _, _| same(id)) {
            if asked.is_about(control, &decision.subject) {
                replayed.push_str(&String::from_utf8_lossy(&line(&decision)?));
            }
        }
        let difference = between(text, &replayed);
        let (then, now): (Vec<_>, Vec<_>) = lines(&difference).partition(|(came, _)| !came);
        if then.is_empty() && now.is_empty() {
            continue;
        }
        let show = |all: &[(bool, &str)]| all.first().map_or("nothing", |(_, line)| line).to_owned();
        let by = if past.note.slm == env!("CARGO_PKG_VERSION") {
            String::new()
        } else {
            format!(" (recorded by slm {}, judged again by {})", past.note.slm, env!("CARGO_PKG_VERSION"))
        };
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
