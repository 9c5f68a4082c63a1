//! The text of a config repo becomes the catalog, or everything that is wrong with it.
//!
//! `text` reads one TOML file with places, `raw` is its exact shape, `rules` is the Cedar side, `checks` compares files with each
//! other, `compile` makes the model.

mod anchors;
mod attestations;
mod by_hand;
mod cedar;
mod checks;
mod compile;
mod consumers;
mod databases;
mod deadlines;
mod deployed;
mod deployed_aws;
mod exceptions;
mod http;
mod in_time;
mod locker;
mod managed;
mod near;
mod notify;
mod objects;
mod observed;
mod order;
mod people;
mod plain_schema;
pub mod raw;
mod raw_managed;
mod raw_notify;
mod readers;
mod registers;
mod rotators;
mod rules;
mod segregation;
mod shared;
mod sinks;
mod terraform;
mod terraform_owned;
mod text;
mod tokens;
mod traps;

use std::collections::BTreeMap;

use crate::model::attestation::Attestation;
use crate::model::catalog::{Catalog, Exception};
use crate::model::diagnostic::{Diagnostic, Place, Severity};
use crate::model::time::Timestamp;
use crate::policy::parse::Parsed;
use checks::Repo;
pub use observed::Observed;
use text::{Item, error};

/// The files of a config repo: path from its root with `/`, and text. Only `slm.toml` and what stands under `controls/`, `policies/`,
/// `credentials/`, `exceptions/` and `attestations/` matters, and `*.tf` anywhere.
#[derive(Clone, Debug, Default)]
pub struct Files(pub BTreeMap<String, String>);

/// What loading came to.
pub struct Loaded {
    /// Everything, checked; `None` when there is an error among the diagnostics.
    pub catalog: Option<Catalog>,
    /// The policy files of the catalog, parsed, in its order.
    pub policies: Vec<Parsed>,
    /// Everything wrong, sorted by file, place and code.
    pub diagnostics: Vec<Diagnostic>,
}

/// Loads the config repo. `at` decides which exceptions have expired.
#[must_use]
pub fn load(files: &Files, at: Timestamp) -> Loaded {
    load_against(files, at, None)
}

/// The same, and says which controls read what nothing of `observed` is.
#[must_use]
pub fn load_against(files: &Files, at: Timestamp, observed: Option<&Observed>) -> Loaded {
    let mut diagnostics = Vec::new();
    let repo = read(files, at, observed, &mut diagnostics);
    for (_, check) in checks::CHECKS {
        check(&repo, &mut diagnostics);
    }
    diagnostics.sort_by(|a, b| key(a).cmp(&key(b)));
    diagnostics.dedup();
    let usable = diagnostics.iter().all(|found| found.severity != Severity::Error);
    Loaded { catalog: usable.then(|| compile::catalog(&repo, files)).flatten(), policies: repo.rules.parsed, diagnostics }
}

/// One exception as its file says it, whatever the checks of today make of that; `None` when it is none.
#[must_use]
pub fn exception(path: &str, text: &str) -> Option<Exception> {
    let read: Option<text::Item<'_, raw::Exception>> =
        text::read(path, text, &text::schema_of::<raw::Exception>(), &mut Vec::new());
    read.map(|item| compile::exception(&item))
}

/// One attestation as its file says it, whatever the checks of today make of that; `None` when it is none.
#[must_use]
pub fn attestation(path: &str, text: &str) -> Option<Attestation> {
    let read: Option<text::Item<'_, raw::Attestation>> =
        text::read(path, text, &text::schema_of::<raw::Attestation>(), &mut Vec::new());
    read.and_then(|item| attestations::attestation(&item))
}

fn key(found: &Diagnostic) -> (&str, usize, &'static str, &str) {
    (&found.place.file, found.place.span.start, found.code, &found.message)
}

/// Reads every file by itself.
fn read<'a>(files: &'a Files, at: Timestamp, observed: Option<&'a Observed>, out: &mut Vec<Diagnostic>) -> Repo<'a> {
    let files = &files.0;
    let toml = |folder: &'static str| {
        let all = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(move |(path, _)| path.starts_with(folder) && path.ends_with(".toml"))
    };
    let mut broken = Vec::new();
    let settings = files.get(SETTINGS).and_then(|text| text::read(SETTINGS, text, &text::schema_of::<raw::Settings>(), out));
    if !files.contains_key(SETTINGS) {
        let place = Place { file: SETTINGS.to_owned(), span: 0..0 };
        out.push(error(
            "slm::missing-file",
            place,
            format!("no `{SETTINGS}` at the root of the config repo"),
            Some("run `slm init`".to_owned()),
        ));
    }
    let schema = files.get(rules::SCHEMA).map(String::as_str);
    if schema.is_none() {
        let place = Place { file: rules::SCHEMA.to_owned(), span: 0..0 };
        out.push(error(
            "slm::missing-file",
            place,
            format!("no `{}` in the config repo", rules::SCHEMA),
            Some("run `slm init`".to_owned()),
        ));
    }
    let cedar = files.iter().filter(|(path, _)| is_policy(path)).map(|(path, text)| (path.as_str(), text.as_str()));
    let rules = rules::read(schema, cedar, out);
    Repo {
        at,
        observed,
        settings,
        frameworks: all(toml(FRAMEWORKS), &mut broken, out),
        controls: all(toml(CONTROLS).filter(|(path, _)| !path.starts_with(FRAMEWORKS)), &mut broken, out),
        credentials: all(toml("credentials/"), &mut broken, out),
        exceptions: all(toml("exceptions/"), &mut broken, out),
        attestations: all(toml(ATTESTATIONS), &mut broken, out),
        rules,
        terraform: files
            .iter()
            .filter(|(path, _)| path.ends_with(".tf"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect(),
        broken,
    }
}

/// JSON Schemas of the TOML files, by kind: `slm`, `control`, `framework`, `credential`, `exception`, `attestation`.
#[must_use]
pub fn json_schemas() -> BTreeMap<&'static str, serde_json::Value> {
    BTreeMap::from([
        ("slm", schemars::schema_for!(raw::Settings).to_value()),
        ("control", schemars::schema_for!(raw::Control).to_value()),
        ("framework", schemars::schema_for!(raw::Framework).to_value()),
        ("credential", schemars::schema_for!(raw::Credential).to_value()),
        ("exception", schemars::schema_for!(raw::Exception).to_value()),
        ("attestation", schemars::schema_for!(raw::Attestation).to_value()),
    ])
}

const SETTINGS: &str = "slm.toml";
const ATTESTATIONS: &str = "attestations/";
const CONTROLS: &str = "controls/";
const FRAMEWORKS: &str = "controls/frameworks/";

/// True for a Cedar policy file.
fn is_policy(path: &str) -> bool {
    path.starts_with("policies/") && path.ends_with(".cedar")
}

fn all<'a, T>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    broken: &mut Vec<&'a str>,
    out: &mut Vec<Diagnostic>,
) -> Vec<Item<'a, T>>
where
    T: serde::de::DeserializeOwned + schemars::JsonSchema,
{
    let mut items = Vec::new();
    let schema = text::schema_of::<T>();
    for (path, text) in files {
        match text::read(path, text, &schema, out) {
            Some(item) => items.push(item),
            None => broken.push(path),
        }
    }
    items
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_attestations;
#[cfg(test)]
mod tests_aws_managed;
#[cfg(test)]
mod tests_by_hand;
#[cfg(test)]
mod tests_consumers;
#[cfg(test)]
mod tests_deadlines;
#[cfg(test)]
mod tests_exceptions;
#[cfg(test)]
mod tests_github_config;
#[cfg(test)]
mod tests_http;
#[cfg(test)]
mod tests_iam;
#[cfg(test)]
mod tests_in_time;
#[cfg(test)]
mod tests_keyset;
#[cfg(test)]
mod tests_mutation;
#[cfg(test)]
mod tests_order;
#[cfg(test)]
mod tests_shared;
#[cfg(test)]
mod tests_terraform;
