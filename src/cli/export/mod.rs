//! `slm export`: evidence for others, as they want it.

mod bundle;
mod documents;
mod raw;
mod sealed;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::gather::{self, Days};
use super::{Global, Said, Trouble};
use crate::model::past::Noted;
use crate::transport::atomic;

/// Arguments of `slm export`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// One file for an auditor: pages that open offline, tables, the evidence and what proves it
    Bundle(BundleArgs),
    /// Assessment plan, assessment results and plan of action and milestones as OSCAL
    Oscal(Asked),
    /// What does not hold at the end of a period, as SARIF
    Sarif(Asked),
    /// Findings of a period as OCSF, a line each
    Ocsf(Asked),
}

#[derive(clap::Args)]
struct BundleArgs {
    #[command(flatten)]
    asked: Asked,
    /// Pack what sources answered as well, as it was kept: of a long period that is most of the locker
    #[arg(long)]
    raw: bool,
}

/// What is asked of any export.
#[derive(clap::Args)]
struct Asked {
    #[command(flatten)]
    days: Days,
    /// Only what serves this framework
    #[arg(long, value_name = "FRAMEWORK")]
    framework: Option<String>,
    /// Write it here: a file, and a folder for OSCAL
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    match &args.what {
        What::Bundle(args) => bundle::run(&args.asked, args.raw, global),
        What::Oscal(asked) => documents::oscal(asked, global),
        What::Sarif(asked) => documents::sarif(asked, global),
        What::Ocsf(asked) => documents::ocsf(asked, global),
    }
}

/// Writes `bytes` at `path`, all or nothing.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    Ok(atomic::replace(path, bytes, 0o644)?)
}

/// What was written where, and what is not shown by it.
fn written(what: &str, files: &[(PathBuf, usize)], unproven: &[Noted]) -> Said {
    let mut human = String::new();
    for (path, bytes) in files {
        human.push_str(&format!("Wrote {}: {what}, {bytes} bytes.\n", path.display()));
    }
    let files: Vec<_> = files.iter().map(|(path, bytes)| json!({ "path": path, "bytes": bytes })).collect();
    let (told, exit) = gather::told(unproven);
    Said::new(vec![exit], human + &told, json!({ "written": files, "unproven": unproven }))
}
