//! Whether somebody other than its author was seen to approve a file of the config repo.

use serde::Serialize;

/// What was seen of the approval of one file. What the file says of it itself is a claim of whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Nobody could look, or it was not shown: as far as is known nobody approved it, and as far as is known somebody did.
    NotSeen,
    /// It was looked at, and nobody but its author did.
    Nobody,
    /// These did.
    By(String),
}
