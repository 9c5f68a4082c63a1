//! What is special about secrets that AWS rotates itself.

use crate::model::catalog::Credential;
use crate::model::plan::{ActionKind, HeldBecause};
use crate::model::snapshot::Resource;
use crate::model::time::Timestamp;

/// Why AWS cannot be asked to rotate `credential`, if so.
pub(super) fn held(credential: &Credential, kind: &ActionKind, seen: Option<&Resource>) -> Option<HeldBecause> {
    if credential.rotator.aws_managed().is_none() || !matches!(kind, ActionKind::Rotate { .. }) {
        return None;
    }
    let detail = match seen {
        None => "AWS rotates only a secret that is there",
        Some(secret) if secret.text("version").is_none() => "AWS rotates only a secret that has a value",
        Some(secret) if !secret.is("rotation_enabled") => {
            "AWS is not set up to rotate it: enable its rotation, or declare another kind"
        }
        Some(_) => return None,
    };
    Some(HeldBecause::NoWriter(detail.to_owned()))
}

/// Since when a rotation that the store began is under way, when that is too long.
pub(super) fn stuck(rotation: &Resource) -> Option<Timestamp> {
    rotation.instant("pending_since").filter(|_| rotation.is("stuck"))
}
