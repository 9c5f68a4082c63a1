//! `slm ci doctor`: why AWS does not let the CI job in, condition by condition, and a trust policy that will.

#![expect(clippy::disallowed_methods, reason = "it reads the policy and the claims that it is given")]

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::super::{Exit, Global, Said, Trouble, pipeline, wire};
use crate::model::catalog::AwsSource;
use crate::policy::trust::{Claims, Explained, Line, explain, wanted};
use crate::transport::trust_policy::Role;
use crate::world::{ErrorClass, WorldError};

/// The account that is proposed where none is named: that of AWS' own examples.
const ACCOUNT: &str = "123456789012";
/// The name of the session that asks.
const SESSION: &str = "slm-doctor";

/// Arguments of `slm ci doctor`.
#[derive(clap::Args)]
pub struct Args {
    /// Trust policy of the role as JSON: `aws iam get-role --query Role.AssumeRolePolicyDocument`
    #[arg(long, value_name = "FILE")]
    trust_policy: Option<PathBuf>,
    /// Role whose trust policy is asked of IAM, which takes the right `iam:GetRole`
    #[arg(long, value_name = "ARN", value_parser = role, conflicts_with = "trust_policy")]
    role: Option<Role>,
    /// Profile of the AWS configuration to ask with
    #[arg(long, value_name = "NAME", requires = "role")]
    profile: Option<String>,
    /// Endpoint to ask, where it is another than that of AWS
    #[arg(long, value_name = "URL", requires = "role")]
    endpoint: Option<String>,
    /// Claims of a token as JSON; those of the token of this job when absent
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// Account of the role that is proposed; that of `--role` when absent
    #[arg(long, value_name = "DIGITS", value_parser = account, conflicts_with = "role")]
    account: Option<String>,
}

fn account(text: &str) -> Result<String, String> {
    let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { Ok(text.to_owned()) } else { Err("write the twelve digits of an AWS account".to_owned()) }
}

fn role(text: &str) -> Result<Role, String> {
    Role::of(text).ok_or_else(|| "write the ARN of a role as `arn:aws:iam::123456789012:role/slm-ci`".to_owned())
}

/// What is known of the trust policy.
enum Policy {
    /// Nobody asked for it.
    Unasked,
    Seen(Explained),
    /// IAM did not tell it.
    Unseen(WorldError),
}

pub(super) fn run(args: &Args, _: &Global) -> Result<Said, Trouble> {
    let claims = Claims::of(&claims(args)?);
    let mut human = "The token says:\n".to_owned();
    for (name, value) in &claims.0 {
        human.push_str(&format!("  {name:<24}  {value}\n"));
    }
    let policy = policy(args, &claims)?;
    human.push_str(&told(&policy, args.role.as_ref()));
    let (partition, account) = match &args.role {
        Some(role) => (role.partition.as_str(), role.account.as_str()),
        None => ("aws", args.account.as_deref().unwrap_or(ACCOUNT)),
    };
    let proposed = wanted(partition, account, &claims);
    let (exit, lines) = match &policy {
        Policy::Unasked => (Exit::Clean, Json::Null),
        Policy::Seen(explained) => (if explained.matches { Exit::Clean } else { Exit::Changes }, lines(explained)),
        Policy::Unseen(error) => (Exit::Incomplete, json!({ "unseen": error.to_string() })),
    };
    if !matches!(&policy, Policy::Seen(explained) if explained.matches) {
        human.push_str(&one_that_will(&proposed, &claims));
    }
    Ok(Said::new(vec![exit], human, json!({ "claims": claims.0, "trust_policy": lines, "proposed": proposed })))
}

fn policy(args: &Args, claims: &Claims) -> Result<Policy, Trouble> {
    if let Some(path) = &args.trust_policy {
        return Ok(Policy::Seen(explain(&document(path)?, claims)));
    }
    let Some(role) = &args.role else { return Ok(Policy::Unasked) };
    let source = AwsSource {
        account: role.account.clone(),
        regions: vec![role.region().to_owned()],
        profile: args.profile.clone(),
        endpoint: args.endpoint.clone(),
        ..AwsSource::default()
    };
    let asked = pipeline::block_on(async {
        let config = wire::asking().get(&source, role.region(), None, SESSION).await;
        role.trust_policy(&config).await
    })?;
    Ok(match asked {
        Ok(policy) => Policy::Seen(explain(&policy, claims)),
        Err(error) => Policy::Unseen(error),
    })
}

fn told(policy: &Policy, role: Option<&Role>) -> String {
    let explained = match policy {
        Policy::Unasked => return String::new(),
        Policy::Unseen(error) => return unseen(error, role),
        Policy::Seen(explained) => explained,
    };
    let of = role.map(|role| format!(" of `{}`", role.arn)).unwrap_or_default();
    let mut text = format!("\nThe trust policy{of}:\n");
    for line in &explained.lines {
        text.push_str(&format!("{} {}\n", if line.matches { " " } else { "!" }, line.what));
    }
    text.push_str(if explained.matches { "It lets this job in.\n" } else { "It does not let this job in.\n" });
    text
}

/// That IAM did not tell the policy, and how it is to be had all the same.
fn unseen(error: &WorldError, role: Option<&Role>) -> String {
    let next = match (error.class, role) {
        (ErrorClass::NotFound, Some(role)) => {
            format!("If these credentials are of account {}, the role has to be made: the policy below is for it.", role.account)
        }
        (_, Some(role)) => format!(
            "Whoever may read it writes it to a file with `aws iam get-role --role-name {} > role.json`; give that with \
             `--trust-policy role.json`.",
            role.name
        ),
        (_, None) => String::new(),
    };
    format!("\nThe trust policy was not seen: {error}.\n{next}\n")
}

fn one_that_will(proposed: &Json, claims: &Claims) -> String {
    if !claims.has_both_forms() {
        return format!("\nOne that lets it in:\n{proposed:#}\n");
    }
    let advice = "Take out the form without numbers once your tokens carry them: somebody else can take a name, and no number.";
    format!("\nOne that lets it in, in both forms of `sub`:\n{proposed:#}\n{advice}\n")
}

fn lines(explained: &Explained) -> Json {
    let line = |line: &Line| json!({ "matches": line.matches, "what": line.what });
    json!({ "matches": explained.matches, "lines": explained.lines.iter().map(line).collect::<Vec<_>>() })
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
