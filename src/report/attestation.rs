//! Signatures of people as clauses.

use super::exception;
use crate::model::attestation::Signed;

/// Whether it is signed, after a semicolon; nothing when it needs no signature.
#[must_use]
pub fn clause(signature: Option<&Signed>) -> String {
    signature.map_or_else(String::new, |signature| format!("; {}", words(signature)))
}

/// Whether it is signed.
#[must_use]
pub fn words(signature: &Signed) -> String {
    match signature {
        Signed::Never => "manual, not signed".to_owned(),
        Signed::Lapsed { covers } => format!("manual, signed last for {covers}"),
        Signed::Unapproved { covers } => format!("manual, for {covers} approved by nobody but its author"),
        Signed::Unfounded { covers, why } => format!("manual, signed for {covers} over what no run recorded: {why}"),
        Signed::Partly { covers, approver, until } => {
            format!("manual, signed for {covers} by {approver} on {until}: the days after it are not yet signed")
        }
        Signed::For { covers, approver, approval, .. } => format!("signed for {covers} by {approver}{}", exception::seen(approval)),
    }
}
