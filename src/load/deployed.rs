//! Checks on consumers that are deployed: a workload of Kubernetes.

use super::checks::Repo;
use super::raw_managed::Consumer;
use super::text::{Doc, error};
use crate::model::catalog::KubernetesConsumer;
use crate::model::diagnostic::Diagnostic;

/// What is wrong with `consumer`, if it is deployed.
pub(super) fn one(repo: &Repo<'_>, doc: &Doc<'_>, index: &str, consumer: &Consumer, out: &mut Vec<Diagnostic>) {
    if let Some(workload) = &consumer.kubernetes_workload {
        kubernetes(repo, doc, index, workload, out);
    }
}

fn kubernetes(repo: &Repo<'_>, doc: &Doc<'_>, index: &str, workload: &KubernetesConsumer, out: &mut Vec<Diagnostic>) {
    let kind = "kubernetes-workload";
    let at = |key| doc.at(&["consumer", index, kind, key]);
    let local = ["http://127.0.0.1:", "http://localhost:"].iter().any(|at| workload.server.starts_with(at));
    if !local && workload.server.strip_prefix("https://").is_none_or(str::is_empty) {
        let help = "use `https`; only this machine may be reached by `http`".to_owned();
        out.push(error("slm::unsafe-address", at("server"), format!("`{}` can be read on the way", workload.server), Some(help)));
    }
    if workload.workload.split_once('/').is_none_or(|(kind, name)| !WORKLOADS.contains(&kind) || !is_name(name)) {
        let help = "write `deployment/NAME`, `statefulset/NAME` or `daemonset/NAME`".to_owned();
        out.push(error("slm::bad-workload", at("workload"), format!("`{}` is not a workload", workload.workload), Some(help)));
    }
    for (key, name) in [("namespace", &workload.namespace), ("secret", &workload.secret)] {
        if !is_name(name) || name.len() + "-version".len() > LABEL {
            let help = format!("use `a-z 0-9 - .`, at most {} characters", LABEL - "-version".len());
            out.push(error("slm::bad-object-name", at(key), format!("`{name}` cannot be used as a name"), Some(help)));
        }
    }
    if workload.keys.is_empty() {
        out.push(error("slm::empty-secret", at("keys"), "the Secret would hold nothing", Some("name its keys".to_owned())));
    }
    for key in workload.keys.keys().filter(|key| !is_key(key)) {
        let help = "use `A-Z a-z 0-9 - _ .`".to_owned();
        out.push(error("slm::bad-secret-key", at("keys"), format!("`{key}` cannot be a key of a Secret"), Some(help)));
    }
    if other_owner(repo, doc, workload) {
        let message = format!("Secret `{}` is filled in another way as well", workload.secret);
        let help = "give each credential a Secret of its own, with the same `keys` in all its consumers".to_owned();
        out.push(error("slm::shared-secret", at("secret"), message, Some(help)));
    }
}

/// Kinds of workload, as `workload` begins.
const WORKLOADS: [&str; 3] = ["deployment", "statefulset", "daemonset"];

/// Longest name of an annotation, and so of `SECRET-version`.
const LABEL: usize = 63;

/// True when another consumer writes the same Secret, with other keys or for another credential: each would undo the other.
fn other_owner(repo: &Repo<'_>, doc: &Doc<'_>, workload: &KubernetesConsumer) -> bool {
    let same = |other: &&KubernetesConsumer| {
        (&other.server, &other.namespace, &other.secret) == (&workload.server, &workload.namespace, &workload.secret)
    };
    repo.credentials.iter().any(|item| {
        let mut others = item.raw.consumer.iter().filter_map(|consumer| consumer.kubernetes_workload.as_ref()).filter(same);
        others.any(|other| item.doc.stem != doc.stem || other.keys != workload.keys)
    })
}

/// True for a DNS subdomain, which most names are.
fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    name.bytes().all(good) && ends(name.as_bytes().first()) && ends(name.as_bytes().last())
}

fn is_key(key: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !key.is_empty() && key.len() <= 253 && key.bytes().all(good) && !key.starts_with("..") && key != "."
}
