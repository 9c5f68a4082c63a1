//! `slm explain --at`: what was said of a control or a resource on a past day, by what evidence and which text, and whether that text says
//! the same again.

use serde_json::json;

use super::past::{self, Again, Past, When};
use super::{Exit, Global, Said, Trouble, verify};
use crate::host::history::History;
use crate::model::assessment::{Status, Subject};
use crate::model::past::{Artefact, Noted, Said as Recorded};
use crate::model::period::day;
use crate::record::changes::{between, lines};
use crate::record::past::said;
use crate::record::{decisions_path, line, snapshot_path};
use crate::report::explain::{self, Explained};
use crate::report::then::{self, Then};

/// Lines of one control that are about what is asked for.
struct Lines {
    path: String,
    text: String,
    said: Vec<Recorded>,
}

pub(super) fn run(name: &str, when: When, global: &Global) -> Result<Said, Trouble> {
    let branch = verify::settings(global)?.branch;
    let history = History::open(&global.root, &branch)?;
    let past = past::at(&history, &branch, when)?;
    let recorded = recorded(&past, name)?;
    if recorded.is_empty() {
        let near = past.file.controls.keys().find(|id| strsim::damerau_levenshtein(id, name) <= 2);
        let hint = near.map_or_else(String::new, |id| format!("; did you mean `{id}`?"));
        return Err(format!("run {} of {} said nothing of `{name}`{hint}", past.note.id, past.note.at).into());
    }
    let mut noted = Vec::new();
    let on_day = day(past.note.at) == when.date();
    if !on_day {
        let what = format!("no run began on {}; the last before it is told", when.date());
        noted.push(Noted { code: "slm::past-no-run", what });
    }
    let again = past.judge_again(global, &past.note.config)?;
    let (again, mut findings) = match again {
        Ok(again) => {
            let findings = compare(&past, name, &recorded, &again)?;
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
    let decisions = again.as_ref().map(|again| explain::matching(&again.assessment, name)).unwrap_or_default();
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

/// What the run said of `name`, a control or a resource, by control.
fn recorded(past: &Past<'_>, name: &str) -> Result<Vec<Lines>, Trouble> {
    let mut found = Vec::new();
    let quoted = json!(name).to_string();
    for control in past.file.controls.keys() {
        let whole = control == name;
        let path = decisions_path(&control.as_str().into());
        let Some((_, bytes)) = past.artefact(&path)? else { continue };
        let bytes = String::from_utf8_lossy(&bytes);
        let (mut text, mut all) = (String::new(), Vec::new());
        for line in bytes.lines().filter(|line| whole || line.contains(&quoted)) {
            let one = said(&path, line).map_err(|error| past::broken(error.to_string()))?;
            if whole || is_about(&one.subject, name) {
                text.push_str(line);
                text.push('\n');
                all.push(one);
            }
        }
        if whole || !all.is_empty() {
            found.push(Lines { path, text, said: all });
        }
    }
    Ok(found)
}

fn is_about(subject: &Subject, name: &str) -> bool {
    matches!(subject, Subject::Resource { id, .. } if id.as_str() == name)
}

/// Where the rules of then say something else of what was seen then.
fn compare(past: &Past<'_>, name: &str, recorded: &[Lines], again: &Again) -> Result<Vec<Noted>, Trouble> {
    let mut findings = Vec::new();
    for Lines { path, text, .. } in recorded {
        let control = path.trim_start_matches("decisions/").trim_end_matches(".jsonl");
        let same = |id: &crate::model::id::ControlId| id.as_str() == control;
        let mut replayed = String::new();
        for decision in again.assessment.decisions.select(|id, _, _| same(id)) {
            if control == name || is_about(&decision.subject, name) {
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

/// What the decisions rest on, with digests; and raw artefacts that are not what their run says.
fn artefacts(past: &Past<'_>, recorded: &[Lines]) -> Result<(Vec<Artefact>, Vec<Noted>), Trouble> {
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
        match past.artefact(&raw.path)? {
            Some((artefact, _)) if artefact.sha256 == raw.sha256 => all.push(artefact),
            Some(_) => {
                findings.push(Noted { code: "slm::evidence-edited", what: format!("`{}` is not what its run kept", raw.path) })
            }
            None => findings.push(Noted { code: "slm::evidence-missing", what: format!("`{}` is not there", raw.path) }),
        }
    }
    all.sort();
    all.dedup();
    Ok((all, findings))
}
