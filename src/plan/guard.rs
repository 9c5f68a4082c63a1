//! Asks the guards whether slm may act on a credential.

use crate::model::calendar::{Shut, opens};
use crate::model::catalog::{Credential, Settings};
use crate::model::id::RuleId;
use crate::model::plan::{ActionKind, HeldBecause, Reason};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::policy::{GuardFacts, Rules, Verdict};

/// Why `action` may not be begun at `at`, if so. What was begun goes on at any time: half done is the worse state. A person may
/// rotate outside the windows, but in no freeze, and roll back at any time. What is in wrong hands is ended at any time.
#[must_use]
pub fn shut(
    settings: &Settings,
    credential: &Credential,
    kind: &ActionKind,
    reason: &Reason,
    at: Timestamp,
) -> Option<HeldBecause> {
    let windows = match (kind, reason) {
        (ActionKind::Rotate { .. }, Reason::HalfDone | Reason::Stuck { .. })
        | (_, Reason::RolledBack | Reason::InWrongHands { .. }) => return None,
        (ActionKind::Rotate { .. }, Reason::Forced | Reason::NoValue | Reason::Staged) | (ActionKind::Finish { .. }, _) => &[][..],
        (ActionKind::Rotate { .. }, _) => credential.policy.windows.as_slice(),
        _ => return None,
    };
    match opens(windows, settings.limits.freeze.iter().chain(&credential.policy.freeze), at)? {
        Shut::Frozen(until) => Some(HeldBecause::Frozen { until }),
        Shut::Outside(opens) => Some(HeldBecause::OutsideWindow { opens }),
    }
}

/// How much of the managed credentials the run touches, and whether it looks where it cannot see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    /// Rotations planned before this one.
    pub rotations: u64,
    /// Managed credentials.
    pub managed: u64,
    /// The store of the credential was not seen to its end.
    pub incomplete: bool,
}

/// True when the store of `credential` was not seen to its end.
#[must_use]
pub fn unseen(snapshot: &Snapshot, credential: &Credential) -> bool {
    let store = snapshot.populations.iter().find(|population| credential.secret.is_in(population));
    store.is_none_or(|population| !population.completeness.is_complete())
}

/// The rules that permit `verb` on `credential`, or why nothing may be done.
///
/// # Errors
/// When no rule permits it, one forbids it, or one fails.
pub fn guard(rules: &Rules, credential: &Credential, verb: &str, share: Share, at: Timestamp) -> Result<Vec<RuleId>, HeldBecause> {
    let can = credential.rotator.capabilities();
    // The share before this action: one rotation is always possible, however few credentials there are.
    let percent = (share.rotations * 100).checked_div(share.managed).unwrap_or(0);
    let facts = GuardFacts {
        credential: credential.id.to_string(),
        owner: credential.owner.clone(),
        kind: credential.rotator.kind().to_owned(),
        issuer: can.issuer.as_str().to_owned(),
        overlap: can.overlap.count(),
        verifiable: can.validated(),
        disable: can.disable,
        delete: can.delete,
        reread: can.reread,
        source: credential.secret.source.to_string(),
        consumers: i64::try_from(credential.consumers.len()).unwrap_or(i64::MAX),
        share_percent: i64::try_from(percent).unwrap_or(100),
        incomplete: share.incomplete,
    };
    match rules.guard(verb, &facts, at) {
        Verdict::Permitted(rules) => Ok(rules),
        Verdict::Forbidden(rules) => Err(HeldBecause::Forbidden(rules)),
        Verdict::Error(error) => Err(HeldBecause::GuardError(error)),
        Verdict::NothingPermits | Verdict::Excepted(_) => Err(HeldBecause::NothingPermits),
    }
}
