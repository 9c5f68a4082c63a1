//! One TOML file of the config repo with the place of every key, so that a complaint can point at it.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::near;
use crate::model::diagnostic::{Diagnostic, Place, Severity};

/// A TOML file that parsed.
pub struct Doc<'a> {
    /// Path from the root of the repo.
    pub path: &'a str,
    /// The name of the file without its extension.
    pub stem: &'a str,
    text: &'a str,
    table: DeTable<'a>,
}

/// A file of shape `T`.
pub struct Item<'a, T> {
    /// Where everything stands.
    pub doc: Doc<'a>,
    /// What it says.
    pub raw: T,
}

impl Doc<'_> {
    /// The file as a whole.
    pub fn whole(&self) -> Place {
        Place { file: self.path.to_owned(), span: 0..0 }
    }

    /// The value at `keys` (array positions as numbers), or the key of the nearest thing around it that is there.
    pub fn at(&self, keys: &[&str]) -> Place {
        let mut place = 0..0;
        let Some((first, rest)) = keys.split_first() else { return self.whole() };
        if let Some((key, value)) = self.table.get_key_value(*first) {
            place = if rest.is_empty() { narrow(key.span(), value) } else { key.span() };
            let mut value = value;
            for (depth, key) in rest.iter().enumerate() {
                let last = depth + 1 == rest.len();
                match value.get_ref() {
                    DeValue::Table(table) => {
                        let Some((name, next)) = table.get_key_value(*key) else { break };
                        place = if last { narrow(name.span(), next) } else { name.span() };
                        value = next;
                    }
                    DeValue::Array(array) => {
                        let Some(next) = key.parse::<usize>().ok().and_then(|index| array.get(index)) else { break };
                        place = next.span();
                        value = next;
                    }
                    _ => break,
                }
            }
        }
        Place { file: self.path.to_owned(), span: place }
    }

    /// The line of [`Self::at`], from 1.
    pub fn line(&self, keys: &[&str]) -> u32 {
        let before = self.text.as_bytes().get(..self.at(keys).span.start).unwrap_or_default();
        before.iter().map(|byte| u32::from(*byte == b'\n')).sum::<u32>() + 1
    }

    /// The key itself at the end of `keys`.
    pub fn key(&self, keys: &[&str]) -> Place {
        let mut table = &self.table;
        let mut span = 0..0;
        for key in keys {
            let Some((name, value)) = table.get_key_value(*key) else { break };
            span = name.span();
            match value.get_ref() {
                DeValue::Table(next) => table = next,
                _ => break,
            }
        }
        Place { file: self.path.to_owned(), span }
    }
}

/// The span of a scalar or array value; tables are pointed at by their key.
fn narrow(key: Range<usize>, value: &Spanned<DeValue<'_>>) -> Range<usize> {
    if value.get_ref().is_table() { key } else { value.span() }
}

/// The keys a file of type `T` may have, with nothing referred to; made once for all files of a kind.
pub fn schema_of<T: schemars::JsonSchema>() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

/// Reads `text` as `T`, whose `schema` it is, or says everything that is wrong with its shape.
pub fn read<'a, T: DeserializeOwned>(
    path: &'a str,
    text: &'a str,
    schema: &schemars::Schema,
    out: &mut Vec<Diagnostic>,
) -> Option<Item<'a, T>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        out.extend(errors.iter().map(|wrong| {
            let place = Place { file: path.to_owned(), span: visible(text, wrong.span().unwrap_or(0..0)) };
            error("slm::toml-syntax", place, one_line(wrong.message()), None)
        }));
        return None;
    }
    let before = out.len();
    shape(schema.as_value(), table.get_ref(), &(0..0), path, out);
    if out.len() > before {
        return None;
    }
    match T::deserialize(toml::de::Deserializer::from(table.clone())) {
        Ok(raw) => Some(Item { doc: Doc { path, stem: stem(path), text, table: table.into_inner() }, raw }),
        Err(wrong) => {
            let message = one_line(wrong.message());
            let help = unknown_variant(&message);
            let place = Place { file: path.to_owned(), span: wrong.span().unwrap_or(0..0) };
            out.push(error("slm::bad-value", place, message, help));
            None
        }
    }
}

/// The name of a file without folders and extension.
pub fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Compares the keys of `table` with those of `schema`, at every depth.
fn shape(schema: &serde_json::Value, table: &DeTable<'_>, around: &Range<usize>, path: &str, out: &mut Vec<Diagnostic>) {
    let schema = not_null(schema);
    let place = |span: Range<usize>| Place { file: path.to_owned(), span };
    let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) else {
        if let Some(inner) = schema.get("additionalProperties").filter(|inner| inner.is_object()) {
            table.iter().for_each(|(key, value)| shape_value(inner, value, &key.span(), path, out));
        }
        return;
    };
    for (key, value) in table {
        match properties.get(key.get_ref().as_ref()) {
            Some(inner) => shape_value(inner, value, &key.span(), path, out),
            None => {
                let message = format!("unknown key `{}`", key.get_ref());
                let help = near::did_you_mean(key.get_ref(), properties.keys().map(String::as_str))
                    .or_else(|| Some(format!("the keys here are {}", near::list(properties.keys().map(String::as_str)))));
                out.push(error("slm::unknown-key", place(key.span()), message, help));
            }
        }
    }
    let required = schema.get("required").and_then(|required| required.as_array()).map(Vec::as_slice).unwrap_or_default();
    for key in required.iter().filter_map(|key| key.as_str()).filter(|key| !table.contains_key(*key)) {
        let described = properties.get(key).and_then(|inner| inner.get("description")).and_then(|text| text.as_str());
        let help = described.map(|text| format!("add `{key}`: {}", one_line(text.trim_end_matches('.'))));
        out.push(error("slm::missing-key", place(around.clone()), format!("missing key `{key}`"), help));
    }
}

fn shape_value(
    schema: &serde_json::Value,
    value: &Spanned<DeValue<'_>>,
    around: &Range<usize>,
    path: &str,
    out: &mut Vec<Diagnostic>,
) {
    match value.get_ref() {
        DeValue::Table(table) => shape(schema, table, around, path, out),
        DeValue::Array(array) => {
            let Some(items) = not_null(schema).get("items") else { return };
            array.iter().for_each(|item| shape_value(items, item, &item.span(), path, out));
        }
        _ => {}
    }
}

/// The schema of an optional key without its `null` alternative.
fn not_null(schema: &serde_json::Value) -> &serde_json::Value {
    let choices = schema.get("anyOf").and_then(|choices| choices.as_array());
    choices.and_then(|choices| choices.iter().find(|choice| choice.get("type").is_none_or(|kind| kind != "null"))).unwrap_or(schema)
}

/// A next step for a word out of a closed list, from what the parser says about it.
fn unknown_variant(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown variant ")?;
    let mut words = rest.split('`').skip(1).step_by(2);
    let wrong = words.next()?;
    near::did_you_mean(wrong, words)
}

/// `span` of `text` on character bounds and of at least one character, where there is one: parsers point between characters.
pub fn visible(text: &str, span: Range<usize>) -> Range<usize> {
    let below = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let above = |at: usize| (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let (start, end) = (below(span.start), above(span.end));
    match (start < end, start < text.len()) {
        (true, _) => start..end,
        (false, true) => start..above(start + 1),
        (false, false) => below(text.len().saturating_sub(1))..text.len(),
    }
}

/// `text` on one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A complaint that makes the repo unusable. Control characters in names are written as escapes: a complaint is one line, and a
/// terminal must not obey it.
pub fn error(code: &'static str, place: Place, message: impl Into<String>, help: Option<String>) -> Diagnostic {
    Diagnostic { code, severity: Severity::Error, place, message: printable(message.into()), help: help.map(printable) }
}

/// `text` with control characters as escapes.
pub fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().map(|one| if one.is_control() { one.escape_default().to_string() } else { one.to_string() }).collect()
}

/// A complaint about something that does not do what it seems to.
pub fn warning(code: &'static str, place: Place, message: impl Into<String>, help: Option<String>) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..error(code, place, message, help) }
}
