//! `slm ci codeowners`: writes or checks who has to review controls, rules, credentials and exceptions.

#![expect(clippy::disallowed_methods, reason = "CODEOWNERS is a file of the repository")]

use std::path::PathBuf;

use serde_json::json;

use super::super::{Exit, Global, Said, Trouble, pipeline};
use super::job;
use crate::host::merged;
use crate::report::codeowners::{Of, codeowners};
use crate::transport::atomic;

/// Arguments of `slm ci codeowners`.
#[derive(clap::Args)]
pub struct Args {
    /// Organisation whose teams the owners are
    #[arg(long)]
    org: String,
    /// Owner of settings, guards, the schema, workflows and the action
    #[arg(long, value_name = "OWNER", default_value = "security")]
    default: String,
    /// The file, from the root of the repository
    #[arg(long, value_name = "FILE", default_value = ".github/CODEOWNERS")]
    file: PathBuf,
    /// Write nothing, and fail when it is not as it would be written
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    let session = pipeline::open(global, "codeowners", None)?;
    let prefix = merged::inside(&global.root)?;
    let mut path = global.root.clone();
    path.extend(prefix.split('/').filter(|part| !part.is_empty()).map(|_| ".."));
    let path = path.join(&args.file);
    let there = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("could not read `{}`: {error}", args.file.display()).into()),
    };
    let wanted = codeowners(&there, &session.catalog, &Of { org: &args.org, default: &args.default, prefix: &prefix })?;
    let same = there == wanted;
    let file = args.file.display();
    let (exit, human) = match (same, args.check) {
        (true, _) => (Exit::Clean, format!("`{file}` is as the owners say.\n")),
        (false, true) => {
            let human = format!("`{file}` is not as the owners say; write it with `slm ci codeowners --org {}`.\n", args.org);
            (Exit::Changes, human)
        }
        (false, false) => {
            if let Some(folder) = path.parent() {
                job::folder(folder)?;
            }
            atomic::replace(&path, wanted.as_bytes(), 0o644)?;
            (Exit::Clean, format!("Wrote `{file}`.\n"))
        }
    };
    Ok(Said::new(vec![exit], human, json!({ "file": args.file, "same": same, "written": !same && !args.check })))
}
