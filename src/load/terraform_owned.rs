//! Which resources of Terraform hold a value that slm manages, or write what it writes.

use hcl_edit::expr::Expression;

use super::checks::Repo;
use super::raw;
use super::terraform::{Found, Module, Started, name, references};
use super::text::{Item, warning};
use crate::model::catalog::{GithubSecretConsumer, GithubStore};
use crate::model::diagnostic::Diagnostic;

/// A version of a secret, and what of it is its value.
const VERSION: &str = "aws_secretsmanager_secret_version";
const VALUES: [&str; 2] = ["secret_string", "secret_binary"];
const PASSWORD: &str = "random_password";

/// Passwords that are written once and left alone from then on: slm replaces what the state has seen.
pub(super) fn started(module: &Module<'_>) -> Started {
    let left = module.iter().filter(|found| found.kind == VERSION).flat_map(|found| {
        VALUES.into_iter().filter(|key| found.ignores(key)).filter_map(|key| found.value(key)).collect::<Vec<_>>()
    });
    left.flat_map(references).filter_map(|words| password(&words).map(str::to_owned)).collect()
}

/// The label of the password that `words` refer to.
fn password(words: &[String]) -> Option<&str> {
    match words {
        [kind, label, ..] if kind == PASSWORD => Some(label),
        _ => None,
    }
}

/// What is wrong with `found` for the credential of `item`.
pub(super) fn one(
    repo: &Repo<'_>,
    module: &Module<'_>,
    started: &Started,
    found: &Found<'_>,
    item: &Item<'_, raw::Credential>,
    out: &mut Vec<Diagnostic>,
) {
    let id = item.doc.stem;
    let secret = in_aws(repo, &item.raw).then_some(item.raw.secret.name.as_str());
    let is = |key: &str, of: &str, wanted: Option<&str>| {
        let named = found.value(key).and_then(|value| name(module, value, of));
        wanted.is_some() && named.as_deref().map(short) == wanted
    };
    let managed = item.raw.rotator.aws_managed.is_some();
    match found.kind.as_str() {
        VERSION if is("secret_id", "name", secret) => version(module, found, id, out),
        "aws_secretsmanager_secret_rotation" if !managed && is("secret_id", "name", secret) => owned(found, None, id, out),
        "aws_secretsmanager_secret" if !managed && rotates(found) && is("name", "name", secret) => {
            owned(found, Some("rotation_lambda_arn"), id, out);
        }
        "aws_iam_access_key" => {
            let user = item.raw.rotator.aws_iam_access_key.as_ref().map(|key| key.user.as_str());
            match is("user", "name", user) {
                true if found.value("pgp_key").is_some() => owned(found, None, id, out),
                true => kept(found, None, id, out),
                false => {}
            }
        }
        PASSWORD
            if !started.contains(&found.label) && [Some(id), secret].into_iter().flatten().any(|own| same(own, &found.label)) =>
        {
            kept(found, None, id, out);
        }
        kind if kind.starts_with("github_") => {
            let all = item.raw.consumer.iter().filter_map(|consumer| consumer.github_actions_secret.as_ref());
            if all.filter(|secret| place(kind, secret)).any(|secret| github(module, found, secret)) {
                github_value(found, id, out);
            }
        }
        _ => {}
    }
}

/// True for a secret that was declared to rotate by itself, as it could before rotations were resources of their own.
fn rotates(found: &Found<'_>) -> bool {
    found.value("rotation_lambda_arn").is_some() || found.has_block("rotation_rules")
}

fn in_aws(repo: &Repo<'_>, credential: &raw::Credential) -> bool {
    let source = repo.settings.as_ref().and_then(|settings| settings.raw.source.get(credential.secret.source.as_str()));
    source.is_some_and(|source| source.aws.is_some())
}

/// The name in an ARN of a secret, without the six letters that AWS adds; any other text as it is.
fn short(name: &str) -> &str {
    let Some((_, full)) = name.strip_prefix("arn:").and_then(|rest| rest.split_once(":secret:")) else { return name };
    full.rsplit_once('-').filter(|(_, letters)| letters.len() == 6).map_or(full, |(name, _)| name)
}

/// Labels have no `/`, `.` or `-` where names have.
fn same(name: &str, label: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['/', '.', '-'], "_");
    plain(name) == plain(label)
}

fn version(module: &Module<'_>, found: &Found<'_>, id: &str, out: &mut Vec<Diagnostic>) {
    for key in VALUES {
        let Some(value) = found.value(key).filter(|_| !found.ignores(key)) else { continue };
        kept(found, Some(key), id, out);
        let used = references(value);
        let made = |found: &&Found<'_>| found.kind == PASSWORD && used.iter().any(|words| password(words) == Some(&found.label));
        module.iter().filter(made).for_each(|made| kept(made, None, id, out));
    }
    if found.value("secret_string_wo").is_some() {
        owned(found, Some("secret_string_wo"), id, out);
    }
}

/// True when resources of `kind` are where `secret` is kept.
fn place(kind: &str, secret: &GithubSecretConsumer) -> bool {
    let store = match secret.store {
        GithubStore::Actions => "github_actions",
        GithubStore::Dependabot => "github_dependabot",
        GithubStore::Codespaces => "github_codespaces",
    };
    let rest = match (&secret.repo, &secret.environment) {
        (None, _) => "_organization_secret",
        (Some(_), Some(_)) => "_environment_secret",
        (Some(_), None) => "_secret",
    };
    kind.strip_prefix(store) == Some(rest)
}

fn github(module: &Module<'_>, found: &Found<'_>, secret: &GithubSecretConsumer) -> bool {
    let given = |key: &str, of: &str| found.value(key).and_then(|value| name(module, value, of));
    let names = || secret.set.keys().flat_map(|name| ["_A", "_B"].map(|slot| format!("{name}{slot}")));
    let named = given("secret_name", "secret_name").is_some_and(|given| match secret.set.is_empty() {
        true => given.eq_ignore_ascii_case(&secret.name),
        false => names().any(|name| given.eq_ignore_ascii_case(&name)),
    });
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let repo = secret.repo.as_ref().is_none_or(|repo| given("repository", "name").is_some_and(|given| last(&given) == last(repo)));
    let environment = secret.environment.as_ref();
    named && repo && environment.is_none_or(|name| given("environment", "environment").as_ref() == Some(name))
}

fn github_value(found: &Found<'_>, id: &str, out: &mut Vec<Diagnostic>) {
    let given = |key: &&str| found.value(key).is_some_and(|value| !matches!(value, Expression::Null(_))) && !found.ignores(key);
    if let Some(key) = ["plaintext_value", "value"].into_iter().find(given) {
        kept(found, Some(key), id, out);
    } else if let Some(key) = ["encrypted_value", "value_encrypted"].into_iter().find(given) {
        owned(found, Some(key), id, out);
    }
}

/// Terraform keeps a value in its state.
fn kept(found: &Found<'_>, key: Option<&str>, id: &str, out: &mut Vec<Diagnostic>) {
    let message =
        format!("`{}` keeps a value of credential `{id}` in the state of Terraform, for whoever reads that", found.address());
    let help = "leave the value to slm: let go of the resource by a `removed` block, then run `slm rotate`".to_owned();
    out.push(warning("slm::terraform-state", found.place(key), message, Some(help)));
}

/// Terraform writes what slm writes.
fn owned(found: &Found<'_>, key: Option<&str>, id: &str, out: &mut Vec<Diagnostic>) {
    let message = format!("`{}` has Terraform rotate credential `{id}`, which slm rotates", found.address());
    let help = "let one of both: delete the resource, or declare the credential as `observe` or `aws-managed`".to_owned();
    out.push(warning("slm::terraform-owner", found.place(key), message, Some(help)));
}
