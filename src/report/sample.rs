//! A sample in words, and the page that says how to check it by hand.

use std::fmt::Write as _;

use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::Value as Json;

/// A sample for a terminal.
#[must_use]
pub fn human(sample: &Json) -> String {
    let text = |name: &str| sample[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| sample[name].as_u64().unwrap_or_default();
    let mut out = format!(
        "Drew {} of {} for {} in {}.\n  population  root {}\n  seed        {}\n",
        number("drawn"),
        number("population"),
        text("control"),
        text("period"),
        text("population_root"),
        text("seed")
    );
    for one in sample["items"].as_array().into_iter().flatten() {
        let said = &one["evidence"][0];
        let status = said["line"]["status"].as_str().unwrap_or("not judged");
        let entry = said["entry"].as_u64().map_or_else(|| "older than the log".to_owned(), |entry| format!("entry {entry}"));
        let (resource, at) = (one["resource"].as_str().unwrap_or_default(), one["at"].as_str().unwrap_or_default());
        let path = said["path"].as_str().unwrap_or_default();
        let _ = writeln!(out, "  {status:<13} {resource}  {at}  {path} {entry}");
    }
    let unseen = number("runs_that_did_not_see_it_whole");
    if unseen > 0 {
        let _ = writeln!(
            out,
            "! unproven    {unseen} of {} runs did not see the population whole: who was never seen cannot be drawn",
            number("runs")
        );
    }
    out
}

/// The page that says how to check it by hand.
///
/// # Errors
/// When the template does not fit.
pub fn readme(sample: &Json) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("README.md", include_str!("templates/sample.md.j2"))?;
    environment.get_template("README.md")?.render(Serde(serde_json::json!({ "sample": sample })))
}
