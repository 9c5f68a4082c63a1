//! `slm check`: every problem of the config repo at once.

use serde_json::json;

use super::{Exit, Global, Said, Trouble, pipeline};
use crate::host::history::History;
use crate::model::catalog::{Catalog, SourceKind};
use crate::model::diagnostic::Severity;
use crate::model::id::RunId;
use crate::model::segregation::{Segregation, Verdict};
use crate::model::time::Timestamp;
use crate::record::past::RunFile;
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
    let observed = loaded.catalog.as_ref().and_then(|catalog| observed(global, catalog));
    let together = observed.as_ref().is_some_and(|seen| seen.writers.iter().any(|one| one.verdict != Verdict::Apart));
    let exits = vec![if has(Severity::Error) {
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
    if let Some(Observed { run, at, writers }) = &observed {
        if together {
            human.push_str(&format!(
                "As {run} saw it on {at}, the newest run that is recorded here:\n{}",
                segregation::findings(writers)
            ));
        }
        json["observed"] = json!({ "run": run, "at": at, "segregation": writers });
    }
    // The process ends with it: taking it apart piece by piece is a twentieth of the whole.
    std::mem::forget(loaded);
    Ok(Said::new(exits, human, json))
}

/// What the newest run that is recorded here saw of who may change policy and evidence.
struct Observed {
    run: RunId,
    at: Timestamp,
    writers: Vec<Segregation>,
}

/// Nothing is asked of GitHub: `None` where no source says that it holds the config, and where no run is recorded that can be read.
fn observed(global: &Global, catalog: &Catalog) -> Option<Observed> {
    let held = |kind: &SourceKind| matches!(kind, SourceKind::Github(org) if org.config.is_some());
    let branch = &catalog.settings.locker.branch;
    if !catalog.settings.sources.values().any(held) {
        return None;
    }
    let history = History::open(&global.root, branch).ok()?;
    let newest = history.commits().iter().rev().find(|one| one.run.is_some())?;
    let path = newest.run.as_deref()?;
    let file = RunFile::parse(path, &history.file(newest.commit, path).ok()??).ok()?;
    Some(Observed { run: file.run.id.clone(), at: file.run.at, writers: file.segregation().to_vec() })
}
