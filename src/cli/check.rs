//! `slm check`: every problem of the config repo at once.

use serde_json::json;

use super::{Exit, Global, Said, Trouble, past, pipeline};
use crate::host::history::History;
use crate::host::repo;
use crate::model::catalog::{Catalog, SourceKind};
use crate::model::diagnostic::Severity;
use crate::model::id::RunId;
use crate::model::segregation::{Segregation, Verdict};
use crate::model::time::Timestamp;
use crate::report::{diagnostics, segregation};

/// Arguments of `slm check`.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Check this git revision instead of the work tree
    #[arg(long)]
    rev: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let files = pipeline::files_and_terraform(global, args.rev.as_deref())?;
    let loaded = pipeline::load(files);
    let has = |severity| loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == severity);
    let observed = loaded.catalog.as_ref().map_or(Ok(None), |catalog| observed(global, catalog));
    let together = matches!(&observed, Ok(Some(seen)) if seen.writers.iter().any(|one| one.verdict != Verdict::Apart));
    let mut exits = vec![if has(Severity::Error) {
        Exit::Invalid
    } else if has(Severity::Warning) || together {
        Exit::Changes
    } else {
        Exit::Clean
    }];
    let mut human = diagnostics::human(&loaded.diagnostics, &loaded.files, global.colored());
    let mut summary = json!({});
    if let Some(catalog) = &loaded.catalog {
        let counts = [
            (catalog.controls.len(), "control"),
            (catalog.policies.len(), "policy file"),
            (catalog.frameworks.len(), "framework"),
            (catalog.credentials.len(), "credential"),
            (catalog.exceptions.len(), "exception"),
            (catalog.attestations.len(), "attestation"),
        ];
        let parts: Vec<String> = counts.iter().map(|(count, word)| crate::report::words::count(*count as u64, word)).collect();
        human.push_str(&format!("Checked {}.\n", parts.join(", ")));
        summary = json!({ "controls": counts[0].0, "policy-files": counts[1].0, "frameworks": counts[2].0, "credentials": counts[3].0, "exceptions": counts[4].0, "attestations": counts[5].0 });
    }
    let mut json = json!({ "diagnostics": diagnostics::json(&loaded.diagnostics, &loaded.files), "checked": summary });
    match &observed {
        Ok(None) => {}
        Ok(Some(Observed { run, at, writers })) => {
            if together {
                let findings = segregation::findings(writers);
                human.push_str(&format!("As {run} saw it on {at}, the newest run that is recorded here:\n{findings}"));
            }
            json["observed"] = json!({ "run": run, "at": at, "segregation": writers });
        }
        Err(Trouble { exit, error }) => {
            human.push_str(&format!(
                "Who may change policy and evidence was NOT SEEN in the newest run that is recorded here: {error}\n"
            ));
            json["observed"] = json!({ "unseen": error.to_string() });
            exits.push(*exit);
        }
    }
    // The process ends with it: taking it apart piece by piece is a twentieth of the whole.
    std::mem::forget(loaded);
    Ok(Said::new(exits, human, json).painted())
}

/// What the newest run that is recorded here saw of who may change policy and evidence.
struct Observed {
    run: RunId,
    at: Timestamp,
    writers: Vec<Segregation>,
}

/// Nothing is asked of GitHub: `None` where no source says that it holds the config, and where no run is recorded.
fn observed(global: &Global, catalog: &Catalog) -> Result<Option<Observed>, Trouble> {
    let held = |kind: &SourceKind| matches!(kind, SourceKind::Github(org) if org.config.is_some());
    let branch = &catalog.settings.locker.branch;
    if !catalog.settings.sources.values().any(held) || repo::resolve(&global.root, &format!("refs/heads/{branch}")).is_err() {
        return Ok(None);
    }
    let history = History::open(&global.root, branch)?;
    let Some(newest) = history.commits().iter().rev().find(|one| one.run.is_some()) else { return Ok(None) };
    let (file, note) = past::run(&history, newest)?;
    Ok(Some(Observed { run: note.id, at: note.at, writers: file.segregation().to_vec() }))
}
