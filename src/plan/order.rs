//! The order of a plan's actions.

use crate::model::catalog::Catalog;
use crate::model::plan::{Action, ActionKind, Reason};

/// Sorts by what must not wait: half-done rotations, first values, due rotations by age, deliveries, then what changes nothing outside;
/// and what is made of other credentials comes after these.
pub(super) fn order(actions: &mut Vec<Action>, catalog: &Catalog) {
    actions.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.kind.cmp(&b.kind)));
    if catalog.credentials.values().all(|credential| credential.after.is_empty()) {
        return;
    }
    let mut left: Vec<Option<Action>> = std::mem::take(actions).into_iter().map(Some).collect();
    for number in 0..left.len() {
        put(number, &mut left, catalog, actions);
    }
}

/// Moves the action of this number to `done`, and before it what gives those a value that its credential is made of.
fn put(number: usize, left: &mut [Option<Action>], catalog: &Catalog, done: &mut Vec<Action>) {
    let Some(action) = left.get_mut(number).and_then(Option::take) else { return };
    let credential = action.kind.credential().and_then(|id| catalog.credentials.get(id));
    for id in credential.into_iter().flat_map(|credential| &credential.after) {
        let is_on = |one: &Option<Action>| {
            let kind = one.as_ref().map(|action| &action.kind);
            kind.is_some_and(|kind| kind.credential() == Some(id) && !matches!(kind, ActionKind::Finish { .. }))
        };
        while let Some(before) = left.iter().position(is_on) {
            put(before, left, catalog, done);
        }
    }
    done.push(action);
}

fn rank(action: &Action) -> (u8, i64) {
    match (&action.kind, &action.reason) {
        (ActionKind::Rotate { .. }, Reason::HalfDone | Reason::Stuck { .. }) | (_, Reason::InWrongHands { .. }) => (0, 0),
        // What a person stored is tried before anybody is given it.
        (ActionKind::Verify { .. }, _) => (1, 0),
        (ActionKind::Deliver { .. } | ActionKind::Finish { .. }, _) => (1, 1),
        (ActionKind::Rotate { .. }, Reason::Forced | Reason::Staged) => (2, 0),
        (ActionKind::Rotate { .. }, Reason::NoValue) => (3, 0),
        (ActionKind::Rotate { .. }, Reason::TooOld { since, .. }) => (4, since.as_second()),
        (ActionKind::Rotate { .. }, _) => (4, i64::MAX),
        (ActionKind::Collect { .. }, _) => (5, 0),
        (ActionKind::EscalateCredential { .. }, _) => (6, 0),
        (ActionKind::Escalate { .. }, _) => (6, 1),
        (ActionKind::Adopt { .. }, _) => (7, 0),
    }
}
