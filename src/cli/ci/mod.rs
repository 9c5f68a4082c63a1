//! `slm ci`: what slm does in a CI job of GitHub: plan on pull requests, apply on merge, and say why AWS lets the job not in.

mod apply;
mod approvals;
mod carried;
mod codeowners;
mod comment;
mod doctor;
mod edit;
mod issues;
mod job;
mod plan;
mod post;
mod propose;

use super::{Exit, Global, Said, Trouble};

/// Arguments of `slm ci`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Check, compare and plan a pull request: one comment, one check run, one artefact
    Plan(plan::Args),
    /// Apply on merge what was approved, and nothing more
    Apply(apply::Args),
    /// Comment on the pull request of a fork from the artefact that its job left
    Comment(comment::Args),
    /// Say why AWS does not let this job in, and what trust policy would
    Doctor(doctor::Args),
    /// Keep an issue open for each thing that only a person can do
    Issues(issues::Args),
    /// Write or check CODEOWNERS, from the owners of controls and credentials
    Codeowners(codeowners::Args),
}

pub(super) fn run(args: &Args, global: &Global) -> Result<Said, Trouble> {
    match &args.what {
        What::Plan(args) => plan::run(args, global),
        What::Apply(args) => apply::run(args, global),
        What::Comment(args) => comment::run(args, global),
        What::Doctor(args) => doctor::run(args, global),
        What::Issues(args) => issues::run(args, global),
        What::Codeowners(args) => codeowners::run(args, global),
    }
}

/// How a check run ends. What is held or was not seen is told and stops no merge; what is wrong does.
fn conclusion(exit: Exit) -> &'static str {
    match exit {
        Exit::Clean => "success",
        Exit::Changes | Exit::Incomplete | Exit::Held => "neutral",
        Exit::Partly | Exit::Invalid | Exit::Failed | Exit::Integrity | Exit::Usage => "failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_run_fails_for_what_is_wrong_and_not_for_what_is_held_or_unseen() {
        let failed: Vec<Exit> = Exit::ALL.into_iter().filter(|exit| conclusion(*exit) == "failure").collect();
        assert_eq!(failed, [Exit::Partly, Exit::Invalid, Exit::Failed, Exit::Integrity, Exit::Usage]);
        assert_eq!(conclusion(Exit::Clean), "success");
    }
}
