//! Checks on the consumers of credentials.

use std::collections::BTreeSet;

use super::checks::Repo;
use super::managed::{one_kind, source};
use super::text::{Doc, Item, error};
use crate::model::catalog::{FileConsumer, GithubSecretConsumer};
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
    let good = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let name = &secret.name;
    let starts = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if !starts || !name.bytes().all(good) || name.starts_with("GITHUB_") {
        let help = "use `A-Z 0-9 _`, no digit first, and no `GITHUB_` in front".to_owned();
        out.push(error("slm::bad-secret-name", at("name"), format!("`{name}` cannot name an Actions secret"), Some(help)));
    }
    match &secret.repo {
        None if secret.environment.is_some() => {
            let help = "add `repo`: environments belong to a repository".to_owned();
            out.push(error("slm::environment-without-repo", at("environment"), "environment without a repository", Some(help)));
        }
        Some(path)
            if path.split('/').count() != 2 || path.split('/').any(|part| part.is_empty() || part == ".." || part == ".") =>
        {
            out.push(error(
                "slm::bad-repo",
                at("repo"),
                format!("`{path}` is not a repository"),
                Some("write `owner/name`".to_owned()),
            ));
        }
        _ => {}
    }
}
