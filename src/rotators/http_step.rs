//! One declared request, filled in: its headers and its body.

use serde_json::Value as Json;

use super::http_answer::{fill, wipe};
use crate::model::rotator::HttpStep;
use crate::transport::github::segment;
use crate::transport::template::render;

/// Why an answer of 2xx does not count.
pub(super) const UNEXPECTED: &str = "the answer does not show what `expect` says";

/// The body of `step` and its type; the error is one line of cause, without what was filled in.
pub(super) fn body(step: &HttpStep, filled: &minijinja::Value) -> Result<Option<(&'static str, Vec<u8>)>, String> {
    if let Some(json) = &step.json {
        let mut json: Json = fill(json, filled)?;
        let body = json.to_string().into_bytes();
        wipe(&mut json);
        return Ok(Some(("application/json", body)));
    }
    let Some(form) = &step.form else { return Ok(None) };
    let mut body = String::new();
    for (field, text) in form {
        let text = render(text, filled.clone())?;
        let and = if body.is_empty() { "" } else { "&" };
        body.push_str(&format!("{and}{}={}", segment(field), segment(&text)));
    }
    Ok(Some(("application/x-www-form-urlencoded", body.into_bytes())))
}

/// `declared` headers, and that the answer is wanted as JSON.
pub(super) fn headers<'a>(
    declared: impl Iterator<Item = (&'a String, &'a String)>,
    filled: &minijinja::Value,
) -> Result<Vec<(String, String)>, String> {
    let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
    for (header, text) in declared {
        headers.push((header.to_lowercase(), render(text, filled.clone())?.to_string()));
    }
    Ok(headers)
}
