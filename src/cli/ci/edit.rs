//! What the edit of a pull request means.

use super::super::diff::{Asked, Found, compare};
use super::super::{Global, Trouble};
use crate::host::merged;
use crate::model::proposal::Change;
use crate::report::diff::changes as parts;

/// Recorded days that are judged under both texts.
const DAYS: u16 = 90;

/// What differs between `head` and where it left `base`. Where a text cannot be used, or they mean the same in all that is compared, the files
/// that are other.
pub(super) fn changes(global: &Global, base: &str, head: &str) -> Result<Vec<Change>, Trouble> {
    let files = merged::changed(&global.root, base, head)?;
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let parted = merged::parted(&global.root, base, head)?;
    let all = match compare(&Asked { base: &parted, head: Some(head), at: None, days: DAYS }, global)? {
        Found::Compared(difference) => parts(&difference),
        Found::Invalid(_) => Vec::new(),
    };
    if !all.is_empty() {
        return Ok(all);
    }
    Ok(files.into_iter().map(|about| Change { about, verdict: "changed".to_owned(), lines: Vec::new() }).collect())
}
