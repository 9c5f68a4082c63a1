//! Checks on what slm acts on: settings, sources and credentials.

use std::collections::BTreeMap;

use super::checks::Repo;
use super::text::{Doc, Item, error};
use super::{near, raw};
use crate::model::catalog::GithubSource;
use crate::model::diagnostic::Diagnostic;
use crate::model::time::Limit;

/// Complains about an owner of no characters.
pub fn owner(doc: &Doc<'_>, owner: &str, out: &mut Vec<Diagnostic>) {
    if owner.trim().is_empty() {
        out.push(error(
            "slm::missing-owner",
            doc.at(&["owner"]),
            "owner is empty",
            Some("name the team that answers for it".to_owned()),
        ));
    }
}

/// Limits and tiers are in range.
pub fn settings(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    if let Some(owner) = raw.owner.as_ref().filter(|owner| !is_owner(owner)) {
        let help = "use 1 to 256 of `A-Z a-z 0-9 + - = . _ : / @`, which a tag of AWS takes".to_owned();
        out.push(error("slm::bad-owner", doc.at(&["owner"]), format!("`{owner}` cannot be written as a tag"), Some(help)));
    }
    if raw.limits.rotate_percent > 100 {
        let place = doc.at(&["limits", "rotate-percent"]);
        out.push(error("slm::bad-limit", place, format!("`{}` is more than 100 percent", raw.limits.rotate_percent), None));
    }
    for (key, value) in [("concurrency", raw.limits.concurrency), ("requests-per-second", raw.limits.requests_per_second)] {
        if value == 0 {
            out.push(error("slm::bad-limit", doc.at(&["limits", key]), format!("`{key}` of 0 lets nothing happen"), None));
        }
    }
    if !raw.tiers.limits.contains_key(&raw.tiers.default) {
        let message = format!("default tier `{}` has no limit", raw.tiers.default);
        let help = near::did_you_mean(&raw.tiers.default, raw.tiers.limits.keys().map(String::as_str));
        out.push(error("slm::unknown-tier", doc.at(&["tiers", "default"]), message, help));
    }
}

fn is_owner(owner: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-=._:/@".contains(&byte);
    (1..=256).contains(&owner.len()) && owner.bytes().all(plain)
}

/// Every source is of one kind and says what is in scope.
pub fn sources(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let Some(Item { doc, raw }) = &repo.settings else { return };
    for (name, source) in &raw.source {
        let given = [source.aws.is_some(), source.github.is_some(), source.vault.is_some(), source.git.is_some()];
        one_kind(doc, &["source", name], &given, "`aws`, `github`, `vault` or `git`", out);
        if let Some(git) = &source.git {
            for (key, zero) in [("window", git.window <= Limit::seconds(0)), ("max-commits", git.max_commits == 0)] {
                if zero {
                    out.push(error(
                        "slm::bad-limit",
                        doc.at(&["source", name, "git", key]),
                        format!("`{key}` of 0 sees nothing"),
                        None,
                    ));
                }
            }
        }
        if let Some(github) = &source.github {
            github_source(doc, name, github, out);
        }
        let Some(aws) = &source.aws else { continue };
        if aws.account.len() != 12 || !aws.account.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("`{}` is not an AWS account id", aws.account);
            out.push(error(
                "slm::bad-account",
                doc.at(&["source", name, "aws", "account"]),
                message,
                Some("write its twelve digits".to_owned()),
            ));
        }
        if aws.events.is_some_and(|back| back < Limit::days(1) || back > Limit::days(90)) {
            let help = "write what is longer than any time between two runs, as in `7d`; the log keeps 90 days".to_owned();
            let message = "`events` looks back from 1 to 90 days".to_owned();
            out.push(error("slm::bad-limit", doc.at(&["source", name, "aws", "events"]), message, Some(help)));
        }
        if aws.regions.is_empty() {
            let help = "name every region in scope, as in `regions = [\"eu-west-1\"]`".to_owned();
            let place = doc.at(&["source", name, "aws", "regions"]);
            out.push(error("slm::no-regions", place, format!("source `{name}` has no region in scope"), Some(help)));
        }
    }
}

/// There is one way to log in, and repositories named are of the organisation: a name misspelt would weaken a rule in silence.
fn github_source(doc: &Doc<'_>, name: &str, github: &GithubSource, out: &mut Vec<Diagnostic>) {
    let given = [github.token_env.is_some(), github.app.is_some()];
    one_kind(doc, &["source", name, "github"], &given, "`token-env` or `app`", out);
    let owned = format!("{}/", github.org);
    let own = |repo: &str| {
        let end = repo.get(owned.len()..).filter(|end| !end.is_empty() && !end.contains('/'));
        end.is_some() && repo.get(..owned.len()).is_some_and(|owner| owner.eq_ignore_ascii_case(&owned))
    };
    if let Some(config) = &github.config {
        let named = [(Some(&config.repo), "repo"), (config.evidence_repo.as_ref(), "evidence-repo")];
        for (repo, key) in named.into_iter().filter_map(|(repo, key)| Some((repo.filter(|repo| !own(repo))?, key))) {
            let place = doc.at(&["source", name, "github", "config", key]);
            let help = Some(format!("write `{owned}NAME`"));
            out.push(error("slm::bad-repo", place, format!("`{repo}` is not a repository of `{}`", github.org), help));
        }
        explained(doc, &["source", name, "github", "config", "explained"], &config.explained, out);
    }
    let lists = [(&github.critical_repos, &["critical-repos"][..]), (&github.approved.public_repos, &["approved", "public-repos"])];
    for (repos, keys) in lists {
        for (index, repo) in repos.iter().enumerate().filter(|(_, repo)| !own(repo)) {
            let place = doc.at(&[&["source", name, "github"], keys, &[&index.to_string()]].concat());
            let help = Some(format!("write `{owned}NAME`"));
            out.push(error("slm::bad-repo", place, format!("`{repo}` is not a repository of `{}`", github.org), help));
        }
    }
}

/// What is explained is a commit by its full name, or a pull request by its number, and a reason is given.
fn explained(doc: &Doc<'_>, keys: &[&str], all: &BTreeMap<String, String>, out: &mut Vec<Diagnostic>) {
    let hex = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let number = |text: &str| text.strip_prefix('#').is_some_and(|digits| digits.parse::<u64>().is_ok());
    for (what, why) in all {
        let place = || doc.at(&[keys, &[what.as_str()]].concat());
        if !hex(what) && !number(what) {
            let help = "write all letters of a commit's name, as `git rev-parse` prints it, or `#7`".to_owned();
            out.push(error("slm::bad-commit", place(), format!("`{what}` names no commit and no pull request"), Some(help)));
        } else if why.trim().is_empty() {
            let help = "say why it came without one, and where that was agreed".to_owned();
            out.push(error("slm::bad-commit", place(), format!("nothing explains `{what}`"), Some(help)));
        }
    }
}

/// Complains unless exactly one of `given` is there.
pub(super) fn one_kind(doc: &Doc<'_>, keys: &[&str], given: &[bool], kinds: &str, out: &mut Vec<Diagnostic>) {
    let count = given.iter().filter(|given| **given).count();
    if count != 1 {
        let what = keys.join(".");
        let message = format!("`{what}` has {} kinds", if count == 0 { "no".to_owned() } else { count.to_string() });
        out.push(error("slm::not-one-kind", doc.at(keys), message, Some(format!("give exactly one of {kinds}"))));
    }
}

/// The source `name`, or a complaint; `None` without complaint when the settings could not be read.
pub(super) fn source<'r>(
    repo: &'r Repo<'_>,
    doc: &Doc<'_>,
    keys: &[&str],
    name: &str,
    out: &mut Vec<Diagnostic>,
) -> Option<&'r raw::Source> {
    let sources = &repo.settings.as_ref()?.raw.source;
    let found = sources.get(name);
    if found.is_none() {
        let names = || sources.keys().map(String::as_str);
        let help =
            near::did_you_mean(name, names()).or_else(|| Some(format!("the sources in `slm.toml` are {}", near::list(names()))));
        out.push(error("slm::unknown-source", doc.at(keys), format!("unknown source `{name}`"), help));
    }
    found
}

/// Every credential lives in one place that can store it, and no two in the same.
pub fn secrets(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let known = repo.control_ids();
    let mut taken = BTreeMap::new();
    for Item { doc, raw } in &repo.credentials {
        owner(doc, &raw.owner, out);
        for (index, control) in raw.satisfies.iter().enumerate().filter(|(_, control)| !known.contains(control.as_str())) {
            let place = doc.at(&["satisfies", &index.to_string()]);
            out.push(error(
                "slm::unknown-control",
                place,
                format!("unknown control `{control}`"),
                near::did_you_mean(control, known.iter().copied()),
            ));
        }
        let region = raw.secret.region.as_deref().unwrap_or(".");
        if let Some(first) = taken.insert((raw.secret.source.as_str(), region, raw.secret.name.as_str()), doc.path) {
            let message = format!("secret `{}` already belongs to `{first}`", raw.secret.name);
            let help = "give each secret one owner: two would rotate it against each other".to_owned();
            out.push(error("slm::secret-owned-twice", doc.at(&["secret", "name"]), message, Some(help)));
        }
        place_of_secret(repo, doc, &raw.secret, out);
    }
}

fn place_of_secret(repo: &Repo<'_>, doc: &Doc<'_>, secret: &raw::Secret, out: &mut Vec<Diagnostic>) {
    if secret.name.trim().is_empty() {
        out.push(error("slm::bad-secret-name", doc.at(&["secret", "name"]), "name of the secret is empty", None));
    }
    let Some(found) = source(repo, doc, &["secret", "source"], &secret.source, out) else { return };
    let name = &secret.source;
    match (&found.aws, &found.vault, &secret.region) {
        (Some(aws), _, Some(region)) if !aws.regions.contains(region) => {
            let regions = || aws.regions.iter().map(String::as_str);
            let help = near::did_you_mean(region, regions()).or_else(|| Some(format!("its regions are {}", near::list(regions()))));
            let message = format!("region `{region}` is not in scope of source `{name}`");
            out.push(error("slm::unknown-region", doc.at(&["secret", "region"]), message, help));
        }
        (Some(aws), _, None) => {
            let help = format!("add `region`, one of {}", near::list(aws.regions.iter().map(String::as_str)));
            out.push(error(
                "slm::missing-region",
                doc.key(&["secret"]),
                format!("secret in source `{name}` has no region"),
                Some(help),
            ));
        }
        (None, Some(_), Some(_)) => {
            let message = format!("source `{name}` is a vault and has no regions");
            out.push(error("slm::needless-region", doc.at(&["secret", "region"]), message, Some("delete `region`".to_owned())));
        }
        (None, None, _) if found.github.is_some() || found.git.is_some() => {
            let help = "use a source of kind `aws` or `vault`".to_owned();
            let place = doc.at(&["secret", "source"]);
            out.push(error(
                "slm::cannot-store-secrets",
                place,
                format!("source `{name}` cannot store secrets that are read again"),
                Some(help),
            ));
        }
        _ => {}
    }
}
