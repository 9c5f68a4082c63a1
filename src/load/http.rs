//! Checks on credentials that a vendor's HTTP API issues.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Environment;

use super::checks::Repo;
use super::text::{Doc, Item, error};
use super::{near, raw};
use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::rotator::{Http, RotatorConfig};
use crate::model::time::Limit;

/// The rotator `vendor` can work, as far as its file tells.
pub(super) fn rotator(doc: &Doc<'_>, raw: &raw::Credential, vendor: &Http, out: &mut Vec<Diagnostic>) {
    let at = |keys: &[&str]| doc.at(&[&["rotator", "http"], keys].concat());
    for (keys, why) in vendor.contradictions() {
        out.push(error("slm::bad-capabilities", at(keys), why, None));
    }
    if vendor.timeout <= Limit::seconds(0) || vendor.timeout >= raw.policy.lease {
        let message = format!("a step of up to `{}` does not fit into the lease of `{}`", vendor.timeout, raw.policy.lease);
        out.push(error("slm::bad-limit", at(&["timeout"]), message, Some("use a shorter `timeout`, as in `30s`".to_owned())));
    }
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    if let Some(prefix) = vendor.prefix.as_ref().filter(|prefix| prefix.is_empty() || !prefix.chars().all(plain)) {
        let help = "use letters, digits, `-`, `_` and `.`".to_owned();
        out.push(error("slm::bad-prefix", at(&["prefix"]), format!("`{prefix}` cannot begin a name"), Some(help)));
    }
    for (name, _) in vendor.auth_env.iter().filter(|(_, variable)| variable.trim().is_empty()) {
        let message = "name of the environment variable is empty";
        out.push(error("slm::bad-variable", at(&["auth-env", name]), message, None));
    }
    pointers(doc, vendor, out);
    for (name, step) in vendor.steps() {
        address(at(&[name, "url"]), &step.url, out);
        if step.json.is_some() && step.form.is_some() {
            out.push(error("slm::two-bodies", at(&[name, "form"]), format!("`{name}` has `json` and `form`"), None));
        }
        let must = match name {
            "validate" => Some("value"),
            "read" | "delete" | "disable" | "enable" => Some("id"),
            _ => None,
        };
        if let Some(must) = must.filter(|must| !step.says(must)) {
            let message = format!("`{name}` does not say which credential: `{{{{ {must} }}}}` is nowhere in it");
            out.push(error("slm::missing-variable", at(&[name]), message, None));
        }
        for (keys, text) in step.templates() {
            template(doc, vendor, name, &[&[name], &keys[..]].concat(), text, out);
        }
    }
    for (header, text) in &vendor.headers {
        template(doc, vendor, "", &["headers", header], text, out);
    }
}

/// Nothing is sent where others read along, and a template does not choose the host.
pub(super) fn address(place: Place, url: &str, out: &mut Vec<Diagnostic>) {
    let rest = ["https://", "http://127.0.0.1:", "http://localhost:"].iter().find_map(|safe| url.strip_prefix(safe));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match host {
        None => {
            let help = "use `https`; only this machine may be reached by `http`".to_owned();
            out.push(error("slm::unsafe-address", place, format!("`{url}` can be read on the way"), Some(help)));
        }
        Some(host) if host.is_empty() || host.contains(['{', '}', '%', '@', ' ']) => {
            let help = "write the host as it is".to_owned();
            out.push(error("slm::unsafe-address", place, format!("`{url}` does not say where it leads"), Some(help)));
        }
        Some(_) => {}
    }
}

/// JSON pointers are pointers.
fn pointers(doc: &Doc<'_>, vendor: &Http, out: &mut Vec<Diagnostic>) {
    let (issued, listed) = (&vendor.issued, &vendor.listed);
    let mut all = vec![
        (vec!["issued", "id"], issued.id.as_str()),
        (vec!["issued", "value"], &issued.value),
        (vec!["listed", "items"], &listed.items),
        (vec!["listed", "id"], &listed.id),
        (vec!["listed", "name"], &listed.name),
    ];
    let maybe = [("created", &listed.created), ("last-used", &listed.last_used), ("next", &listed.next), ("total", &listed.total)];
    all.extend(maybe.into_iter().filter_map(|(key, pointer)| Some((vec!["listed", key], pointer.as_deref()?))));
    all.extend(listed.active.keys().map(|pointer| (vec!["listed", "active"], pointer.as_str())));
    all.extend(vendor.refused_when.iter().flat_map(BTreeMap::keys).map(|pointer| (vec!["refused-when"], pointer.as_str())));
    all.extend(
        vendor
            .steps()
            .into_iter()
            .flat_map(|(name, step)| step.expect.keys().map(move |pointer| (vec![name, "expect"], pointer.as_str()))),
    );
    for (keys, pointer) in all.into_iter().filter(|(_, pointer)| !pointer.is_empty() && !pointer.starts_with('/')) {
        let place = doc.at(&[&["rotator", "http"], &keys[..]].concat());
        let help = format!("write it as in `/{}`", pointer.trim_start_matches(['$', '.']).replace('.', "/"));
        out.push(error("slm::bad-pointer", place, format!("`{pointer}` is no JSON pointer"), Some(help)));
    }
}

/// A template is one, and names only what is known in its step. An address is kept in logs, and so it names no secret.
fn template(doc: &Doc<'_>, vendor: &Http, step: &str, keys: &[&str], text: &str, out: &mut Vec<Diagnostic>) {
    let place = || doc.at(&[&["rotator", "http"], keys].concat());
    let environment = Environment::new();
    let parsed = match environment.template_from_str(text) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            out.push(error("slm::bad-template", place(), format!("`{text}` is no template: {}", wrong.kind()), None));
            return;
        }
    };
    let url = keys.last() == Some(&"url");
    let mut known: BTreeSet<String> = match (step, url) {
        ("create", _) => ["name"].as_slice(),
        ("list", _) => &["next", "page"],
        ("validate", true) => &["id"],
        ("validate", false) => &["id", "value"],
        ("", _) => &[],
        _ => &["id"],
    }
    .iter()
    .map(|name| (*name).to_owned())
    .collect();
    if !url {
        known.extend(vendor.auth_env.keys().map(|name| format!("auth.{name}")));
    }
    for name in parsed.undeclared_variables(true).into_iter().filter(|name| !known.contains(name)) {
        let message = format!("`{{{{ {name} }}}}` is not known here");
        let known = || known.iter().map(String::as_str);
        let help = near::did_you_mean(&name, known()).or_else(|| Some(format!("known here are {}", near::list(known()))));
        out.push(error("slm::unknown-variable", place(), message, help));
    }
}

/// No two credentials take each other's for their own.
pub(super) fn named_once(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    let mut taken = BTreeMap::new();
    for Item { doc, raw } in &repo.credentials {
        let Some(RotatorConfig::Http(vendor)) = raw.rotator.kind() else { continue };
        let prefix = vendor.prefix.clone().unwrap_or_else(|| format!("slm-{}", doc.stem));
        let first = *taken.entry(prefix.clone()).or_insert(doc.path);
        if first != doc.path {
            let help = "give each a prefix of its own: each would end what the other made".to_owned();
            let message = format!("names that begin with `{prefix}` already belong to `{first}`");
            out.push(error("slm::prefix-owned-twice", doc.at(&["rotator", "http", "prefix"]), message, Some(help)));
        }
    }
}
