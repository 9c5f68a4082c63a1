//! Rotations that take several values, one after the other: what the next one does, and not before when.

use crate::model::catalog::Credential;
use crate::model::plan::{ActionKind, HeldBecause, Reason};
use crate::model::rotator::{Next, RotatorConfig};
use crate::model::snapshot::Resource;
use crate::model::time::{Limit, Timestamp};

/// What the value after the one in force does, when a rotation is on its way; and the instant before which it is not made.
pub(super) fn coming(credential: &Credential, rotation: &Resource) -> Option<(Next, Option<Timestamp>)> {
    match Next::read(rotation.text("next")?)? {
        Next::Publish => None,
        Next::Sign => Some((Next::Sign, None)),
        // What was signed with the key before may have been signed until every consumer ran this value.
        Next::Drop => Some((Next::Drop, dropped(credential, rotation))),
    }
}

/// The instant before which no key is left out.
fn dropped(credential: &Credential, rotation: &Resource) -> Option<Timestamp> {
    let RotatorConfig::Keyset(keyset) = &credential.rotator else { return None };
    rotation.instant("done").map(|done| keyset.drop_after.after(done))
}

/// Why the next value of `credential` is not made `at` this instant, whoever asks, if so.
pub(super) fn held(
    credential: &Credential,
    kind: &ActionKind,
    reason: &Reason,
    rotation: Option<&Resource>,
    at: Timestamp,
) -> Option<HeldBecause> {
    let replaces = matches!(kind, ActionKind::Rotate { generation: Some(_), .. }) && *reason != Reason::HalfDone;
    if !replaces || !credential.rotator.capabilities().staged() {
        return None;
    }
    let Some(rotation) = rotation else {
        return Some(HeldBecause::Unseen("how far its last rotation has come".to_owned()));
    };
    // What a person stored may sign with a key that everybody accepts, and leave out one that still signed before.
    let stored = rotation.text("next").is_none();
    let not_before = if stored { dropped(credential, rotation) } else { coming(credential, rotation)?.1 };
    not_before.filter(|instant| at < *instant).map(|until| HeldBecause::Early { until })
}

/// How long a key is accepted when runs are on time: as many periods as keys are kept, and what it takes to publish it, to sign with
/// the next one, and to drop it. `settles` is what every consumer takes to run a value.
pub(super) fn max_validity(credential: &Credential, settles: Limit) -> Option<Limit> {
    let RotatorConfig::Keyset(keyset) = &credential.rotator else { return None };
    let periods = credential.policy.rotate_every.as_seconds().saturating_mul(i64::from(keyset.keep));
    Some(Limit::seconds(periods + 2 * settles.as_seconds() + keyset.drop_after.as_seconds()))
}
