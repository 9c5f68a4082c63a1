//! `slm check`: every problem of the config repo at once.

use serde_json::json;

use super::{Exit, Global, Said, Trouble, pipeline};
use crate::model::diagnostic::Severity;
use crate::report::diagnostics;

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
    let exits = vec![if has(Severity::Error) {
        Exit::Invalid
    } else if has(Severity::Warning) {
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
    let json = json!({ "diagnostics": diagnostics::json(&loaded.diagnostics, &loaded.files), "checked": summary });
    // The process ends with it: taking it apart piece by piece is a twentieth of the whole.
    std::mem::forget(loaded);
    Ok(Said::new(exits, human, json))
}
