//! Lists and what counts them, as lines.

use std::fmt::Write as _;

use crate::model::reconcile::Reconciled;

/// A line each; nothing when nothing is counted independently.
#[must_use]
pub fn lines(all: &[Reconciled]) -> String {
    let mut text = String::new();
    for one in all {
        let Reconciled { source, scope, entity, by, listed, counted, differ, explained, agrees } = one;
        let counted = counted.map_or_else(|| "no number".to_owned(), |counted| counted.to_string());
        let sign = if *agrees { ' ' } else { '!' };
        let _ = write!(text, "count{sign} {source} {scope} {entity}: {listed} listed, {counted} by {}", by.words());
        let notes: Vec<&str> = differ.iter().chain(explained).map(String::as_str).collect();
        let _ = writeln!(text, "{}{}", if notes.is_empty() { "" } else { "; " }, notes.join("; "));
    }
    text
}
