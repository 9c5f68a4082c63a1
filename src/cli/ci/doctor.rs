//! `slm ci doctor`: why AWS does not let the CI job in, condition by condition, and a trust policy that will.

#![expect(clippy::disallowed_methods, reason = "it reads the policy and the claims that it is given")]

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::super::{Exit, Global, Said, Trouble, pipeline, wire};
use crate::policy::trust::{Claims, explain, wanted};

/// Arguments of `slm ci doctor`.
#[derive(clap::Args)]
pub struct Args {
    /// Trust policy of the role as JSON: `aws iam get-role --query Role.AssumeRolePolicyDocument`
    #[arg(long, value_name = "FILE")]
    trust_policy: Option<PathBuf>,
    /// Claims of a token as JSON; those of the token of this job when absent
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// Account of the role that is proposed
    #[arg(long, value_name = "DIGITS", default_value = "123456789012", value_parser = account)]
    account: String,
}

fn account(text: &str) -> Result<String, String> {
    let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { Ok(text.to_owned()) } else { Err("write the twelve digits of an AWS account".to_owned()) }
}

pub(super) fn run(args: &Args, _: &Global) -> Result<Said, Trouble> {
    let claims = Claims::of(&claims(args)?);
    let mut human = "The token says:\n".to_owned();
    for (name, value) in &claims.0 {
        human.push_str(&format!("  {name:<24}  {value}\n"));
    }
    let proposed = wanted(&args.account, &claims);
    let explained = args.trust_policy.as_deref().map(document).transpose()?.map(|policy| explain(&policy, &claims));
    let mut exit = Exit::Clean;
    if let Some(explained) = &explained {
        human.push_str("\nThe trust policy:\n");
        for line in &explained.lines {
            human.push_str(&format!("{} {}\n", if line.matches { " " } else { "!" }, line.what));
        }
        human.push_str(if explained.matches { "It lets this job in.\n" } else { "It does not let this job in.\n" });
        exit = if explained.matches { Exit::Clean } else { Exit::Changes };
    }
    if !explained.as_ref().is_some_and(|explained| explained.matches) {
        human.push_str(&format!("\nOne that lets it in, in both forms of `sub`:\n{proposed:#}\n"));
    }
    let lines = explained.as_ref().map(|explained| {
        let line = |line: &crate::policy::trust::Line| json!({ "matches": line.matches, "what": line.what });
        json!({ "matches": explained.matches, "lines": explained.lines.iter().map(line).collect::<Vec<_>>() })
    });
    Ok(Said::new(vec![exit], human, json!({ "claims": claims.0, "trust_policy": lines, "proposed": proposed })))
}

fn claims(args: &Args) -> Result<Json, Trouble> {
    if let Some(path) = &args.claims {
        return document(path);
    }
    let identity = wire::identity().ok_or(
        "this is no job of GitHub Actions with `id-token: write`; give it that permission, or the claims with `--claims FILE`",
    )?;
    Ok(pipeline::block_on(identity.claims())??)
}

/// The JSON at `path`; what the AWS command line wraps a policy in is taken off.
fn document(path: &Path) -> Result<Json, Trouble> {
    let failed = |error: &dyn std::fmt::Display| format!("could not read `{}`: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let mut read: Json = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    Ok(read.pointer_mut("/Role/AssumeRolePolicyDocument").map(Json::take).unwrap_or(read))
}
