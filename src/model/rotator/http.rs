//! What a vendor's HTTP API can do with the credentials it issues, as declared.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Capabilities, Issuer, Overlap};
use crate::model::time::Limit;

/// `http = { .. }` of a rotator. What it can do follows from the steps that are declared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Http {
    /// Environment variables of secrets that let slm in, by the name after `auth.` in headers and bodies.
    #[serde(default)]
    pub auth_env: BTreeMap<String, String>,
    /// Headers of every step but `validate`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How long one step may take, waiting included when the vendor asks for it.
    #[serde(default = "half_minute")]
    pub timeout: Limit,
    /// File with the certificates of the authorities that vouch for the vendor, PEM, from the root of the repo; those of this
    /// machine when absent.
    pub ca_file: Option<String>,
    /// What names of our own begin with; `slm-` and the id of the credential when absent.
    pub prefix: Option<String>,
    /// How many credentials the vendor lets be, everybody's included.
    #[serde(default = "many")]
    pub max: u8,
    /// Statuses with which `validate` says that a value is refused.
    #[serde(default = "refusals")]
    pub refused: Vec<u16>,
    /// What stands in an answer of 2xx with which `validate` says that a value is refused, by JSON pointer: all of one entry.
    #[serde(default)]
    pub refused_when: Vec<BTreeMap<String, Json>>,
    /// Has a credential issued; says `{{ name }}` where the vendor keeps a name of it.
    pub create: Step,
    /// Shows `{{ value }}` to the vendor.
    pub validate: Step,
    /// Lists every credential.
    pub list: Step,
    /// Ends `{{ id }}` for good.
    pub delete: Step,
    /// Has `{{ id }}` refused until it is enabled.
    pub disable: Option<Step>,
    /// Has `{{ id }}` let in again.
    pub enable: Option<Step>,
    /// Shows `{{ id }}` again as `create` did.
    pub read: Option<Step>,
    /// What is in the answers of `create` and `read`.
    pub issued: Issued,
    /// What is in the answers of `list`.
    pub listed: Listed,
}

fn half_minute() -> Limit {
    Limit::seconds(30)
}

fn many() -> u8 {
    u8::MAX
}

fn refusals() -> Vec<u16> {
    vec![401, 403]
}

/// One request. Texts are minijinja templates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// How.
    #[serde(default)]
    pub method: Method,
    /// Where; `https`. What is filled in is encoded.
    pub url: String,
    /// Headers beside those of every step.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as JSON, each text in it a template.
    pub json: Option<Json>,
    /// The body as fields of a form.
    pub form: Option<BTreeMap<String, String>>,
    /// What must stand in an answer of 2xx, by JSON pointer, for the step to have happened.
    #[serde(default)]
    pub expect: BTreeMap<String, Json>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// It changes nothing.
    #[default]
    Get,
    /// It has a body.
    Post,
    /// It has a body.
    Put,
    /// It has a body.
    Patch,
    /// It may have a body.
    Delete,
}

impl Method {
    /// As it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// JSON pointers into an answer that shows a credential.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Issued {
    /// Its id, no secret.
    pub id: String,
    /// Its value.
    pub value: String,
}

/// JSON pointers into an answer that lists credentials.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Listed {
    /// The array of them; empty when the answer is one.
    pub items: String,
    /// In an item: its id.
    pub id: String,
    /// In an item: the name that `create` gave it.
    pub name: String,
    /// In an item: when it was made. Without it what was made and lost waits for a person.
    pub created: Option<String>,
    /// In an item: when it was used last; null says never.
    pub last_used: Option<String>,
    /// In an item, by pointer: what stands there while it is let in.
    #[serde(default)]
    pub active: BTreeMap<String, Json>,
    /// The address of the next page, or what `{{ next }}` of the address stands for; null or empty on the last.
    pub next: Option<String>,
    /// The number of `{{ page }}` of the first page.
    #[serde(default)]
    pub first_page: u32,
    /// How many there are.
    pub total: Option<String>,
    /// One answer lists them all.
    #[serde(default)]
    pub whole: bool,
}

impl Http {
    /// Issued by the vendor; what can be done to it is what is declared.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            issuer: Issuer::Server,
            overlap: Overlap::Dual { max: self.max },
            reread: self.read.is_some(),
            follows: false,
            disable: self.disable.is_some() && self.enable.is_some(),
            delete: true,
        }
    }

    /// Every step that is declared, by name.
    #[must_use]
    pub fn steps(&self) -> Vec<(&'static str, &Step)> {
        let always = [("create", &self.create), ("validate", &self.validate), ("list", &self.list), ("delete", &self.delete)];
        let maybe = [("disable", &self.disable), ("enable", &self.enable), ("read", &self.read)];
        always.into_iter().chain(maybe.into_iter().filter_map(|(name, step)| Some((name, step.as_ref()?)))).collect()
    }

    /// What cannot be so together: the key, and why.
    #[must_use]
    pub fn contradictions(&self) -> Vec<(&'static [&'static str], &'static str)> {
        let listed = &self.listed;
        let (numbered, next) = (self.list.says("page"), listed.next.is_some());
        let ways = [listed.whole, numbered, next, listed.total.is_some()];
        let all: [(bool, &[&str], &str); 10] = [
            (self.max < 2, &["max"], "`max` is at least 2: the old value works until nobody needs it"),
            (self.disable.is_some() != self.enable.is_some(), &["disable"], "`disable` and `enable` belong together"),
            (
                self.disable.is_some() && listed.active.is_empty(),
                &["listed"],
                "what is disabled must be seen to be: add `active` to `listed`",
            ),
            (!ways.contains(&true), &["listed"], "nobody can tell a whole list from one page of it"),
            (listed.whole && (numbered || next), &["listed", "whole"], "a list that is whole has no further page"),
            (numbered && next, &["listed", "next"], "pages are numbered or lead to each other, not both"),
            (self.list.says("next") && !next, &["list", "url"], "`{{ next }}` is nothing without `next` of `listed`"),
            (listed.first_page != 0 && !numbered, &["listed", "first-page"], "the address has no `{{ page }}`"),
            (
                self.refused_when.iter().any(BTreeMap::is_empty),
                &["refused-when"],
                "an entry that names nothing would call every value refused",
            ),
            (!self.create.says("name"), &["create"], "without `{{ name }}` nobody can tell what slm made"),
        ];
        all.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, key, why)| (key, why)).collect()
    }
}

impl Step {
    /// Every text of it that is a template, with the keys that lead there.
    #[must_use]
    pub fn templates(&self) -> Vec<(Vec<&str>, &str)> {
        let mut all = vec![(vec!["url"], self.url.as_str())];
        all.extend(self.headers.iter().map(|(name, text)| (vec!["headers", name.as_str()], text.as_str())));
        all.extend(self.form.iter().flatten().map(|(name, text)| (vec!["form", name.as_str()], text.as_str())));
        let mut texts = Vec::new();
        if let Some(json) = &self.json {
            collect(json, &mut texts);
        }
        all.extend(texts.into_iter().map(|text| (vec!["json"], text)));
        all
    }

    /// True when one of its templates names `variable`.
    #[must_use]
    pub fn says(&self, variable: &str) -> bool {
        let names = |text: &str| {
            let mut parts = text.split("{{").skip(1).filter_map(|part| part.split("}}").next());
            parts.any(|inside| inside.split(|one: char| !one.is_alphanumeric() && one != '_').any(|word| word == variable))
        };
        self.templates().into_iter().any(|(_, text)| names(text))
    }
}

/// The texts in `json`.
fn collect<'a>(json: &'a Json, into: &mut Vec<&'a str>) {
    match json {
        Json::String(text) => into.push(text),
        Json::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Json::Object(fields) => fields.values().for_each(|item| collect(item, into)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
