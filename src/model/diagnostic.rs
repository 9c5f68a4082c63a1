//! A complaint about a config repo: stable code, place, next step.

use std::ops::Range;

use serde::Serialize;

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The repo cannot be used.
    Error,
    /// The repo can be used; something in it does not do what it seems to.
    Warning,
}

/// A place in a file of the config repo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Path from the root of the repo, with `/`.
    pub file: String,
    /// Byte range in that file; empty when the whole file is meant.
    pub span: Range<usize>,
}

/// One complaint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable: `slm::unknown-criterion`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// Lower case, no full stop, the user's words in backticks, one line.
    pub message: String,
    /// The next step: the near-miss name, the command to type.
    pub help: Option<String>,
}
