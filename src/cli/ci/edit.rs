//! What the edit of a pull request means.

use super::super::diff::{Asked, Found, compare};
use super::super::{Global, Trouble};
use crate::host::merged;
use crate::model::proposal::Change;
use crate::report::comment::TOLD;
use crate::report::diff::{changes, summary};
use crate::report::words::count;

/// Recorded days that are judged under both texts.
const DAYS: u16 = 90;

/// What it means.
#[derive(Default)]
pub(super) struct Edit {
    /// In one line; empty where nothing was edited.
    pub summary: String,
    /// Part by part.
    pub changes: Vec<Change>,
}

/// What differs between `head` and where it left `base`. Where a text cannot be used, or they mean the same in all that is compared, the files
/// that are other.
pub(super) fn edit(global: &Global, base: &str, head: &str) -> Result<Edit, Trouble> {
    let files = merged::changed(&global.root, base, head)?;
    if files.is_empty() {
        return Ok(Edit::default());
    }
    let parted = merged::parted(&global.root, base, head)?;
    let (summary, all) = match compare(&Asked { base: &parted, head: Some(head), at: None, days: DAYS }, global)? {
        Found::Compared(difference) => (summary(&difference), changes(&difference)),
        Found::Invalid(_) => (format!("{} changed, what they mean is not known", count(files.len() as u64, "file")), Vec::new()),
    };
    if !all.is_empty() {
        return Ok(Edit { summary, changes: all });
    }
    Ok(Edit {
        summary,
        changes: vec![Change {
            about: "files that changed".to_owned(),
            verdict: TOLD.to_owned(),
            lines: files.into_iter().collect(),
        }],
    })
}
