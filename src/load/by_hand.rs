//! Checks on credentials that slm does not rotate: kinds `manual` and `observe`.

use minijinja::Environment;

use super::checks::Repo;
use super::text::{Doc, error};
use super::{http, near, raw};
use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::rotator::{ByHand, HttpStep, Manual, Observe};
use crate::model::time::Limit;

/// The names that a template of `verify` knows.
const KNOWN: [&str; 2] = ["value", "json"];

/// `hand` says what it must and nothing that would be passed over.
pub(super) fn rotator(repo: &Repo<'_>, doc: &Doc<'_>, raw: &raw::Credential, hand: ByHand<'_>, out: &mut Vec<Diagnostic>) {
    match hand {
        ByHand::Manual(manual) => {
            asked(doc, raw, manual, out);
            if let Some(step) = &manual.verify {
                verify(doc, step, out);
            }
        }
        ByHand::Observe(observe) => observed(repo, doc, raw, observe, out),
    }
    needless(doc, raw, out);
}

/// Somebody can be asked, in time.
fn asked(doc: &Doc<'_>, raw: &raw::Credential, manual: &Manual, out: &mut Vec<Diagnostic>) {
    let at = |key: &str| doc.at(&["rotator", "manual", key]);
    if manual.steps.trim().is_empty() {
        let help = "write what the person does, or where that is written, as in `steps = \"docs/runbooks/slack.md\"`".to_owned();
        out.push(error("slm::no-steps", at("steps"), "nobody knows how it is rotated", Some(help)));
    }
    let every = raw.policy.rotate_every;
    if manual.remind_before >= every && every > Limit::seconds(0) {
        let message =
            format!("asked `{}` before it is due, its owner is asked always: it is due every `{every}`", manual.remind_before);
        let help = "write a shorter `remind-before`; it is `14d` when absent".to_owned();
        out.push(error("slm::bad-limit", at("remind-before"), message, Some(help)));
    }
}

/// The request shows the value, to an address where nobody reads along, and nothing else is filled in.
fn verify(doc: &Doc<'_>, step: &HttpStep, out: &mut Vec<Diagnostic>) {
    let at = |keys: &[&str]| doc.at(&[&["rotator", "manual", "verify"], keys].concat());
    http::address(at(&["url"]), &step.url, out);
    if step.json.is_some() && step.form.is_some() {
        out.push(error("slm::two-bodies", at(&["form"]), "`verify` has `json` and `form`", None));
    }
    if !KNOWN.iter().any(|name| step.says(name)) {
        let message = "`verify` does not show the value: `{{ value }}` is nowhere in it";
        out.push(error("slm::missing-variable", at(&[]), message, Some("name it in a header or in the body".to_owned())));
    }
    for (keys, text) in step.templates() {
        template(at(&keys), text, keys.first() == Some(&"url"), out);
    }
    for pointer in step.expect.keys().filter(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
        let help = format!("write it as in `/{}`", pointer.trim_start_matches(['$', '.']).replace('.', "/"));
        out.push(error("slm::bad-pointer", at(&["expect"]), format!("`{pointer}` is no JSON pointer"), Some(help)));
    }
}

fn template(place: Place, text: &str, url: bool, out: &mut Vec<Diagnostic>) {
    let environment = Environment::new();
    let parsed = match environment.template_from_str(text) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            out.push(error("slm::bad-template", place, format!("`{text}` is no template: {}", wrong.kind()), None));
            return;
        }
    };
    let mut names: Vec<String> = parsed.undeclared_variables(false).into_iter().collect();
    names.sort();
    for name in names.into_iter().filter(|name| url || !KNOWN.contains(&name.as_str())) {
        let message = format!("`{{{{ {name} }}}}` is not known here");
        let help = if url {
            "an address is kept in logs: name the value in a header or in the body".to_owned()
        } else {
            near::did_you_mean(&name, KNOWN).unwrap_or_else(|| format!("known here are {}", near::list(KNOWN)))
        };
        out.push(error("slm::unknown-variable", place.clone(), message, Some(help)));
    }
}

/// Its store can tell what is asked of it.
fn observed(repo: &Repo<'_>, doc: &Doc<'_>, raw: &raw::Credential, observe: &Observe, out: &mut Vec<Diagnostic>) {
    let place = || doc.at(&["rotator", "observe", "unused-after"]);
    let sources = repo.settings.as_ref().map(|settings| &settings.raw.source);
    let vault = sources.and_then(|all| all.get(&raw.secret.source)).is_some_and(|source| source.vault.is_some());
    match observe.unused_after {
        Some(limit) if limit < Limit::days(2) => {
            let message = format!("`{limit}` is shorter than a store can tell: it tells the day");
            out.push(error("slm::bad-limit", place(), message, Some("write `2d` or more".to_owned())));
        }
        Some(_) if vault => {
            let message = format!("source `{}` is a vault and does not tell when a value was read", raw.secret.source);
            out.push(error("slm::untold-use", place(), message, Some("delete `unused-after`".to_owned())));
        }
        _ => {}
    }
}

/// Nothing is asked for that only a rotation by slm would heed.
fn needless(doc: &Doc<'_>, raw: &raw::Credential, out: &mut Vec<Diagnostic>) {
    let policy = &raw.policy;
    let given = [
        ("jitter", policy.jitter > Limit::seconds(0)),
        ("windows", !policy.windows.is_empty()),
        ("freeze", !policy.freeze.is_empty()),
    ];
    for (key, _) in given.iter().filter(|(_, given)| *given) {
        let message = format!("slm begins no rotation of it, and `{key}` says nothing");
        out.push(error("slm::needless-key", doc.at(&["policy", key]), message, Some(format!("delete `{key}`"))));
    }
    for (index, consumer) in raw.consumer.iter().enumerate().filter(|(_, consumer)| consumer.canary) {
        let message = format!("consumer `{}` cannot try a value that a person has put in force already", consumer.id);
        let place = doc.at(&["consumer", &index.to_string(), "canary"]);
        out.push(error("slm::no-canary", place, message, Some("delete `canary`".to_owned())));
    }
}
