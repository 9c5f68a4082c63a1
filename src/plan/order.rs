//! The order of a plan's actions.

use crate::model::plan::{Action, ActionKind, Reason};

/// Sorts by what must not wait: half-done rotations, first values, due rotations by age, deliveries, then what changes nothing outside.
pub(super) fn order(actions: &mut [Action]) {
    actions.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.kind.cmp(&b.kind)));
}

fn rank(action: &Action) -> (u8, i64) {
    match (&action.kind, &action.reason) {
        (ActionKind::Rotate { .. }, Reason::HalfDone | Reason::Stuck { .. }) => (0, 0),
        // What a person stored is tried before anybody is given it.
        (ActionKind::Verify { .. }, _) => (1, 0),
        (ActionKind::Deliver { .. } | ActionKind::Finish { .. }, _) => (1, 1),
        (ActionKind::Rotate { .. }, Reason::Forced) => (2, 0),
        (ActionKind::Rotate { .. }, Reason::NoValue) => (3, 0),
        (ActionKind::Rotate { .. }, Reason::TooOld { since, .. }) => (4, since.as_second()),
        (ActionKind::Rotate { .. }, _) => (4, i64::MAX),
        (ActionKind::Collect { .. }, _) => (5, 0),
        (ActionKind::EscalateCredential { .. }, _) => (6, 0),
        (ActionKind::Escalate { .. }, _) => (6, 1),
        (ActionKind::Adopt { .. }, _) => (7, 0),
    }
}
