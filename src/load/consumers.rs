//! Checks on the consumers of credentials.

use std::collections::BTreeSet;

use super::checks::Repo;
use super::managed::{one_kind, source};
use super::text::{Doc, Item, error};
use crate::model::catalog::{FileConsumer, GithubSecretConsumer, GithubStore, Visibility};
use crate::model::diagnostic::Diagnostic;

/// Consumers are of one kind, have one id, and can be delivered to.
pub fn consumers(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    for Item { doc, raw } in &repo.credentials {
        let mut seen = BTreeSet::new();
        for (index, consumer) in raw.consumer.iter().enumerate() {
            let index = index.to_string();
            if !seen.insert(consumer.id.as_str()) {
                let place = doc.at(&["consumer", &index, "id"]);
                out.push(error("slm::duplicate-id", place, format!("consumer `{}` is declared twice", consumer.id), None));
            }
            let given = [consumer.file.is_some(), consumer.github_actions_secret.is_some()];
            one_kind(doc, &["consumer", &index], &given, "`file` or `github-actions-secret`", out);
            if let Some(file) = &consumer.file {
                file_consumer(doc, &index, file, out);
            }
            if let Some(secret) = &consumer.github_actions_secret {
                github_consumer(repo, doc, &index, secret, out);
            }
        }
    }
}

fn file_consumer(doc: &Doc<'_>, index: &str, file: &FileConsumer, out: &mut Vec<Diagnostic>) {
    let at = |key| doc.at(&["consumer", index, "file", key]);
    if file.path.is_empty() || file.path.split(['/', '\\']).any(|part| part == "..") {
        let help = "write it from the root of the config repo, or as an absolute path".to_owned();
        out.push(error(
            "slm::path-traversal",
            at("path"),
            format!("path `{}` leaves its folder or is empty", file.path),
            Some(help),
        ));
    }
    if let Some(mode) = &file.mode {
        let octal = (3..=4).contains(&mode.len()) && mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        if !octal {
            out.push(error(
                "slm::bad-mode",
                at("mode"),
                format!("`{mode}` is not a file mode"),
                Some("write it in octal, as in `0600`".to_owned()),
            ));
        }
    }
    if file.reload.as_ref().is_some_and(|command| command.first().is_none_or(|program| program.trim().is_empty())) {
        out.push(error(
            "slm::empty-command",
            at("reload"),
            "`reload` names no program",
            Some("delete it, or write `[\"program\", \"argument\"]`".to_owned()),
        ));
    }
}

fn github_consumer(repo: &Repo<'_>, doc: &Doc<'_>, index: &str, secret: &GithubSecretConsumer, out: &mut Vec<Diagnostic>) {
    let kind = "github-actions-secret";
    let at = |key| doc.at(&["consumer", index, kind, key]);
    let found = source(repo, doc, &["consumer", index, kind, "source"], secret.source.as_str(), out);
    if found.is_some_and(|found| found.github.is_none()) {
        let message = format!("source `{}` is not a GitHub organisation", secret.source);
        out.push(error("slm::wrong-source-kind", at("source"), message, Some("use a source of kind `github`".to_owned())));
    }
    for (key, name) in std::iter::once(("name", &secret.name))
        .chain(secret.set.keys().map(|name| ("set", name)))
        .filter(|(_, name)| !can_name(name))
    {
        let help = "use `A-Z 0-9 _`, no digit first, and no `GITHUB_` in front".to_owned();
        out.push(error("slm::bad-secret-name", at(key), format!("`{name}` cannot name an Actions secret"), Some(help)));
    }
    if secret.repo.is_none() && secret.environment.is_some() {
        let help = "add `repo`: environments belong to a repository".to_owned();
        out.push(error("slm::environment-without-repo", at("environment"), "environment without a repository", Some(help)));
    }
    let repos = secret.repo.iter().map(|repo| ("repo", repo)).chain(secret.repos.iter().map(|repo| ("repos", repo)));
    for (key, path) in repos.filter(|(_, path)| !is_repo(path)) {
        let help = Some("write `owner/name`".to_owned());
        out.push(error("slm::bad-repo", at(key), format!("`{path}` is not a repository"), help));
    }
    for (wrong, key, message, help) in contradictions(secret) {
        if wrong {
            out.push(error("slm::impossible-secret", at(key), message, Some(help.to_owned())));
        }
    }
}

/// What cannot be together: whether it is, the key, what is wrong, what to do.
fn contradictions(secret: &GithubSecretConsumer) -> [(bool, &'static str, &'static str, &'static str); 4] {
    let actions = secret.store == GithubStore::Actions;
    let selected = secret.visibility == Some(Visibility::Selected);
    [
        (
            !actions && secret.environment.is_some(),
            "environment",
            "only Actions secrets belong to an environment",
            "delete `environment` or `store`",
        ),
        (
            secret.store == GithubStore::Codespaces && !secret.set.is_empty(),
            "set",
            "a codespace cannot choose between two sets",
            "declare a consumer for each secret",
        ),
        (
            secret.repo.is_some() && (secret.visibility.is_some() || !secret.repos.is_empty()),
            "visibility",
            "only an organisation's secret is seen by repositories",
            "delete `visibility` and `repos`, or `repo`",
        ),
        (
            secret.repo.is_none() && selected == secret.repos.is_empty(),
            "repos",
            "`repos` and `visibility = \"selected\"` belong together",
            "give both or neither",
        ),
    ]
}

fn can_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    starts && name.bytes().all(good) && !name.starts_with("GITHUB_")
}

fn is_repo(path: &str) -> bool {
    path.split('/').count() == 2 && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
