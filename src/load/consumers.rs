//! Checks on the consumers of credentials.

use std::collections::BTreeSet;

use super::checks::Repo;
use super::managed::{one_kind, source};
use super::raw_managed::Consumer;
use super::text::{Doc, Item, error};
use super::{deployed, deployed_aws, readers};
use crate::model::catalog::{
    AgentConsumer, FileConsumer, GithubSecretConsumer, GithubStore, Health, Send, Visibility, WebhookConsumer,
};
use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::time::Limit;

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
            let given = [
                consumer.file.is_some(),
                consumer.github_actions_secret.is_some(),
                consumer.webhook.is_some(),
                consumer.exec.is_some(),
                consumer.agent.is_some(),
                consumer.github_workflow_dispatch.is_some(),
                consumer.kubernetes_workload.is_some(),
                consumer.ecs_service.is_some(),
                consumer.lambda.is_some(),
                consumer.self_refreshing.is_some(),
            ];
            one_kind(doc, &["consumer", &index], &given, KINDS, out);
            one(repo, doc, &index, consumer, out);
        }
    }
}

/// The kinds, as a complaint lists them.
const KINDS: &str = "`file`, `github-actions-secret`, `webhook`, `exec`, `agent`, `github-workflow-dispatch`, `kubernetes-workload`, `ecs-service`, `lambda` or `self-refreshing`";

fn one(repo: &Repo<'_>, doc: &Doc<'_>, index: &str, consumer: &Consumer, out: &mut Vec<Diagnostic>) {
    if let Some(file) = &consumer.file {
        file_consumer(doc, index, file, out);
    }
    if let Some(secret) = &consumer.github_actions_secret {
        github_consumer(repo, doc, index, secret, out);
    }
    if let Some(hook) = &consumer.webhook {
        webhook(doc, index, hook, out);
    }
    if let Some(program) = &consumer.exec {
        command(&program.command, doc.at(&["consumer", index, "exec", "command"]), out);
    }
    if let Some(beside) = &consumer.agent {
        agent(doc, index, beside, out);
    }
    if let Some(workflow) = &consumer.github_workflow_dispatch {
        let kind = "github-workflow-dispatch";
        github_source(repo, doc, &["consumer", index, kind, "source"], workflow.source.as_str(), out);
        repository(&workflow.repo, doc.at(&["consumer", index, kind, "repo"]), out);
    }
    deployed::one(repo, doc, index, consumer, out);
    deployed_aws::one(repo, doc, index, consumer, out);
    readers::one(repo, doc, index, consumer, out);
}

fn webhook(doc: &Doc<'_>, index: &str, hook: &WebhookConsumer, out: &mut Vec<Diagnostic>) {
    let at = |key| doc.at(&["consumer", index, "webhook", key]);
    let local =
        |url: &str| hook.send == Send::Reference && ["http://127.0.0.1:", "http://localhost:"].iter().any(|at| url.starts_with(at));
    let safe = |url: &str| url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty()) || local(url);
    let urls = [("url", Some(&hook.url)), ("status-url", hook.status_url.as_ref())];
    for (key, url) in urls.into_iter().filter_map(|(key, url)| Some((key, url?))).filter(|(_, url)| !safe(url)) {
        let help = "use `https`; only a reference may go to this machine by `http`".to_owned();
        out.push(error("slm::unsafe-address", at(key), format!("`{url}` can be read on the way"), Some(help)));
    }
    if hook.sign_env.is_empty() {
        let help = "name the environment variable that holds the key".to_owned();
        out.push(error("slm::unsigned-webhook", at("sign-env"), "requests would not be signed", Some(help)));
    }
}

fn agent(doc: &Doc<'_>, index: &str, agent: &AgentConsumer, out: &mut Vec<Diagnostic>) {
    let at = |key| doc.at(&["consumer", index, "agent", key]);
    if !["http://", "https://"].iter().any(|scheme| agent.url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
        let help = "write `http://HOST:PORT/`, where `slm agent` listens".to_owned();
        out.push(error("slm::bad-address", at("url"), format!("`{}` is not an address", agent.url), Some(help)));
    }
    if agent.key_env.is_empty() {
        let help = "name the environment variable that holds the key".to_owned();
        out.push(error("slm::unsigned-agent", at("key-env"), "nothing would be signed", Some(help)));
    }
}

fn command(words: &[String], place: Place, out: &mut Vec<Diagnostic>) {
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        let help = "write `[\"program\", \"argument\"]`".to_owned();
        out.push(error("slm::empty-command", place, "the command names no program", Some(help)));
    }
}

fn github_source(repo: &Repo<'_>, doc: &Doc<'_>, keys: &[&str], name: &str, out: &mut Vec<Diagnostic>) {
    if source(repo, doc, keys, name, out).is_some_and(|found| found.github.is_none()) {
        let message = format!("source `{name}` is not a GitHub organisation");
        out.push(error("slm::wrong-source-kind", doc.at(keys), message, Some("use a source of kind `github`".to_owned())));
    }
}

fn repository(path: &str, place: Place, out: &mut Vec<Diagnostic>) {
    if path.split('/').count() != 2 || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        out.push(error("slm::bad-repo", place, format!("`{path}` is not a repository"), Some("write `owner/name`".to_owned())));
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
    if let Some(well) = &file.health {
        health(doc, &["consumer", index, "file", "health"], well, out);
    }
}

/// There is one way to see that somebody is well, and it can be taken.
fn health(doc: &Doc<'_>, keys: &[&str], health: &Health, out: &mut Vec<Diagnostic>) {
    let at = |key| doc.at(&[keys, &[key]].concat());
    if health.command.is_some() == health.url.is_some() {
        let help = "write `{ url = \"http://127.0.0.1:8080/healthz\" }` or `{ command = [\"program\"] }`".to_owned();
        out.push(error("slm::not-one-kind", doc.at(keys), "`health` is to be one of `url` and `command`", Some(help)));
    }
    if let Some(words) = &health.command {
        command(words, at("command"), out);
    }
    let local = |url: &str| ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|at| url.starts_with(at));
    if let Some(url) = health.url.as_ref().filter(|url| !url.starts_with("https://") && !local(url)) {
        let help = "use `https`, or an address of this machine".to_owned();
        out.push(error("slm::unsafe-address", at("url"), format!("`{url}` can be answered on the way"), Some(help)));
    }
    if health.expect.is_some_and(|status| health.url.is_none() || !(100..=599).contains(&status)) {
        out.push(error("slm::bad-value", at("expect"), "`expect` is the HTTP status of a `url`, as in `200`", None));
    }
    if health.within.is_some_and(|within| within <= Limit::seconds(0)) {
        out.push(error("slm::bad-limit", at("within"), "a `within` of 0 lets nobody become well", None));
    }
}

fn github_consumer(repo: &Repo<'_>, doc: &Doc<'_>, index: &str, secret: &GithubSecretConsumer, out: &mut Vec<Diagnostic>) {
    let kind = "github-actions-secret";
    let at = |key| doc.at(&["consumer", index, kind, key]);
    github_source(repo, doc, &["consumer", index, kind, "source"], secret.source.as_str(), out);
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
    for (key, path) in repos {
        repository(path, at(key), out);
    }
    for (wrong, key, message, help) in contradictions(secret) {
        if wrong {
            out.push(error("slm::impossible-secret", at(key), message, Some(help.to_owned())));
        }
    }
}

/// What cannot be together: whether it is, the key, what is wrong, what to do.
fn contradictions(secret: &GithubSecretConsumer) -> [(bool, &'static str, &'static str, &'static str); 5] {
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
            "declare a consumer for each secret, with a `template` that takes its field, as in `{{ json.access_key_id }}`",
        ),
        (
            secret.template.is_some() && !secret.set.is_empty(),
            "template",
            "a `set` has a template for each of its secrets",
            "delete `template`, or `set`",
        ),
        (
            secret.repo.is_some() && (secret.visibility.is_some() || !secret.repos.is_empty()),
            "visibility",
            "only an organisation's secret is seen by repositories",
            "delete `visibility` and `repos`, or `repo`",
        ),
        (
            secret.repo.is_none() && selected && secret.repos.is_empty(),
            "visibility",
            "`selected` repositories are not named",
            "name them in `repos`",
        ),
    ]
}

fn can_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    starts && name.bytes().all(good) && !name.starts_with("GITHUB_")
}
