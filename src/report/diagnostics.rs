//! Complaints about a config repo as text and as JSON.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use crate::model::diagnostic::{Diagnostic, Severity};

/// Every complaint with the lines that caused it, and a count at the end; empty when there is nothing to say.
/// `files` holds the texts by path; a complaint about a file that is not there is shown without lines.
#[must_use]
pub fn human(diagnostics: &[Diagnostic], files: &BTreeMap<String, String>, color: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for found in diagnostics {
        text.push_str(&one(found, files, &renderer));
        text.push_str("\n\n");
    }
    text.push_str(&count(diagnostics));
    text.push('\n');
    text
}

fn one(found: &Diagnostic, files: &BTreeMap<String, String>, renderer: &Renderer) -> String {
    let Diagnostic { code, severity, place, message, help } = found;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(message.as_str()).id(*code);
    let source = files.get(&place.file).filter(|text| !text.is_empty() && !place.span.is_empty());
    let mut group = match source {
        Some(source) => {
            let mark = AnnotationKind::Primary.span(first_line(source, &place.span));
            title.element(Snippet::source(source.as_str()).path(place.file.as_str()).annotation(mark))
        }
        None => title.element(Origin::path(place.file.as_str())),
    };
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// `span` inside `source`, on character bounds, and no longer than its first line: a whole policy is pointed at by its head.
fn first_line(source: &str, span: &Range<usize>) -> Range<usize> {
    let (start, end) = (floor(source, span.start), floor(source, span.end.max(span.start)));
    let line = source[start..end].find('\n').map_or(end, |length| start + length);
    start..line
}

/// The greatest character bound not above `at`.
fn floor(source: &str, at: usize) -> usize {
    (0..=at.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0)
}

/// `2 errors, 1 warning`.
fn count(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let of = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", of(errors, "error"), of(diagnostics.len() - errors, "warning"))
}

/// An array with one object per complaint; `line` and `column` count from 1, columns in characters.
#[must_use]
pub fn json(diagnostics: &[Diagnostic], files: &BTreeMap<String, String>) -> serde_json::Value {
    let object = |found: &Diagnostic| {
        let Diagnostic { code, severity, place, message, help } = found;
        let source = files.get(&place.file).map(String::as_str).unwrap_or_default();
        let before = &source[..floor(source, place.span.start)];
        serde_json::json!({
            "code": code,
            "severity": severity,
            "file": place.file,
            "span": [place.span.start, place.span.end],
            "line": before.matches('\n').count() + 1,
            "column": before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
            "message": message,
            "help": help,
        })
    };
    diagnostics.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::diagnostic::Place;

    fn world() -> (Vec<Diagnostic>, BTreeMap<String, String>) {
        let text = "id = \"ROT-01\"\nowner = \"é\"\ncritera = 1\n".to_owned();
        let place = |span| Place { file: "controls/rot/ROT-01.toml".to_owned(), span };
        let unknown = Diagnostic {
            code: "slm::unknown-key",
            severity: Severity::Error,
            place: place(27..34),
            message: "unknown key `critera`".to_owned(),
            help: Some("did you mean `criteria`?".to_owned()),
        };
        let missing = Diagnostic {
            code: "slm::missing-key",
            place: place(0..0),
            message: "missing key `title`".to_owned(),
            help: None,
            ..unknown.clone()
        };
        let warning = Diagnostic {
            severity: Severity::Warning,
            place: Place { file: "slm.toml".to_owned(), span: 5..900 },
            ..missing.clone()
        };
        (vec![missing, unknown, warning], BTreeMap::from([("controls/rot/ROT-01.toml".to_owned(), text)]))
    }

    #[test]
    fn complaints_show_their_line_help_and_count() {
        let (diagnostics, files) = world();
        insta::assert_snapshot!(human(&diagnostics, &files, false), @r#"
        error[slm::missing-key]: missing key `title`
        --> controls/rot/ROT-01.toml

        error[slm::unknown-key]: unknown key `critera`
         --> controls/rot/ROT-01.toml:3:1
          |
        3 | critera = 1
          | ^^^^^^^
          |
          = help: did you mean `criteria`?

        warning[slm::missing-key]: missing key `title`
        --> slm.toml

        2 errors, 1 warning
        "#);
    }

    #[test]
    fn json_counts_lines_and_characters_from_one() {
        let (diagnostics, files) = world();
        let json = json(&diagnostics, &files);
        assert_eq!((json[1]["line"].as_u64(), json[1]["column"].as_u64()), (Some(3), Some(1)));
        assert_eq!(json[1]["help"], "did you mean `criteria`?");
        assert_eq!(json[2]["line"], 1);
    }

    #[test]
    fn nothing_to_say_is_no_text() {
        assert_eq!(human(&[], &BTreeMap::new(), true), "");
    }

    proptest::proptest! {
        #[test]
        fn any_span_of_any_text_can_be_shown(text in "[a-zé\\n\t\r ]{0,30}", start in 0_usize..40, length in 0_usize..40) {
            let (mut diagnostics, mut files) = world();
            files.insert("slm.toml".to_owned(), text);
            diagnostics[2].place.span = start..start + length;
            proptest::prop_assert!(human(&diagnostics, &files, true).ends_with("2 errors, 1 warning\n"));
            proptest::prop_assert!(json(&diagnostics, &files)[2]["line"].is_u64());
        }
    }
}
