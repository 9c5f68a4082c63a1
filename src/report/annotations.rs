//! Complaints at the lines that caused them: as annotations of a check run, and as SARIF.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::markdown::visible;
use crate::model::diagnostic::{Diagnostic, Severity};
use crate::model::proposal::Complaint;

/// The longest message of an annotation, far below the 64 KB that GitHub takes.
const MESSAGE: usize = 4_000;
/// The schema that the document is of.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// `diagnostics` with their lines in `files`; a whole file is meant by its first line.
#[must_use]
pub fn complaints(diagnostics: &[Diagnostic], files: &BTreeMap<String, String>) -> Vec<Complaint> {
    let complaint = |found: &Diagnostic| {
        let Diagnostic { code, severity, place, message, help } = found;
        let bytes = files.get(&place.file).map(String::as_bytes).unwrap_or_default();
        let line = |at: usize| bytes[..at.min(bytes.len())].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        // The end is the first byte that is not meant.
        let last = if place.span.end > place.span.start { place.span.end - 1 } else { place.span.start };
        Complaint {
            code: (*code).to_owned(),
            error: *severity == Severity::Error,
            file: place.file.clone(),
            line: line(place.span.start),
            end_line: line(last),
            message: message.clone(),
            help: help.clone(),
        }
    };
    diagnostics.iter().map(complaint).collect()
}

/// `complaints` as annotations, with paths from the root of the repository, in which the config repo is below `prefix`.
#[must_use]
pub fn annotations(complaints: &[Complaint], prefix: &str) -> Vec<Json> {
    let annotation = |found: &Complaint| {
        let Complaint { code, error, file, line, end_line, message, help } = found;
        let help = help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        let told: String = visible(&format!("{message}{help}")).chars().take(MESSAGE).collect();
        json!({
            "path": format!("{prefix}{file}"), "start_line": line, "end_line": end_line,
            "annotation_level": if *error { "failure" } else { "warning" },
            "title": code, "message": told,
        })
    };
    complaints.iter().map(annotation).collect()
}

/// `complaints` as a SARIF log, with paths as of [`annotations`].
#[must_use]
pub fn sarif(complaints: &[Complaint], prefix: &str) -> Json {
    let mut codes: Vec<&str> = complaints.iter().map(|found| found.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    let result = |found: &Complaint| {
        let Complaint { code, error, file, line, end_line, message, help } = found;
        let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        json!({
            "ruleId": code,
            "ruleIndex": codes.binary_search(&code.as_str()).unwrap_or_default(),
            "level": if *error { "error" } else { "warning" },
            "message": { "text": visible(&format!("{message}{help}")) },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri(&format!("{prefix}{file}")), "uriBaseId": "%SRCROOT%" },
                "region": { "startLine": line, "endLine": end_line },
            } }],
        })
    };
    let results: Vec<Json> = complaints.iter().map(result).collect();
    let rules: Vec<Json> = codes.iter().map(|code| json!({ "id": code })).collect();
    json!({
        "$schema": SCHEMA, "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "slm", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "automationDetails": { "id": "slm/check/" },
            "results": results,
        }],
    })
}

/// A path as a relative reference: what has a meaning there is encoded.
pub(super) fn uri(path: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::diagnostic::Place;

    fn world() -> (Vec<Diagnostic>, BTreeMap<String, String>) {
        let text = "@id(\"A\")\npermit (\n  principal\n);\n".to_owned();
        let place = Place { file: "policies/a b.cedar".to_owned(), span: 9..text.len() - 1 };
        let wrong = Diagnostic {
            code: "slm::bad-rule",
            severity: Severity::Error,
            place,
            message: "the rule `A` is no rule".to_owned(),
            help: Some("write one".to_owned()),
        };
        let whole = Diagnostic {
            code: "slm::a-warning",
            severity: Severity::Warning,
            place: Place { file: "controls/rot/GONE.toml".to_owned(), span: 0..0 },
            message: "it is gone".to_owned(),
            help: None,
        };
        (vec![wrong, whole], BTreeMap::from([("policies/a b.cedar".to_owned(), text)]))
    }

    #[test]
    fn a_complaint_is_at_the_first_and_last_line_that_it_is_about() {
        let (diagnostics, files) = world();
        let found = complaints(&diagnostics, &files);
        let lines: Vec<_> = found.iter().map(|one| (one.line, one.end_line, one.error)).collect();
        assert_eq!(lines, [(2, 4, true), (1, 1, false)]);
        let annotations = annotations(&found, "config/");
        assert_eq!(annotations[0]["path"], "config/policies/a b.cedar");
        assert_eq!((&annotations[0]["start_line"], &annotations[0]["end_line"]), (&json!(2), &json!(4)));
        assert_eq!(annotations[0]["message"], "the rule `A` is no rule\nhelp: write one");
        assert_eq!(
            (&annotations[0]["annotation_level"], &annotations[1]["annotation_level"]),
            (&json!("failure"), &json!("warning"))
        );
    }

    #[test]
    fn what_hides_or_turns_text_around_is_shown_as_such_at_a_line_too() {
        let (mut diagnostics, files) = world();
        diagnostics[0].message = "the rule `A\u{202e}\u{1b}[2J` is no rule".to_owned();
        let found = complaints(&diagnostics, &files);
        let shown = "the rule `A\u{fffd}\u{fffd}[2J` is no rule";
        assert_eq!(annotations(&found, "")[0]["message"], format!("{shown}\nhelp: write one"));
        assert_eq!(sarif(&found, "")["runs"][0]["results"][0]["message"]["text"], format!("{shown}; write one"));
    }

    #[test]
    fn sarif_names_each_rule_once_and_its_place_is_an_address() {
        let (diagnostics, files) = world();
        let log = sarif(&complaints(&diagnostics, &files), "");
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"], json!([{ "id": "slm::a-warning" }, { "id": "slm::bad-rule" }]));
        assert_eq!(run["results"][0]["ruleIndex"], 1);
        let place = &run["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "policies/a%20b.cedar");
        assert_eq!(place["region"], json!({ "startLine": 2, "endLine": 4 }));
        assert_eq!(sarif(&[], "")["runs"][0]["results"], json!([]));
    }
}
