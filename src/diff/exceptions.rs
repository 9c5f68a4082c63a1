//! Exceptions of two texts: from an instant on, what each permits longer or no more.

use std::collections::BTreeSet;

use crate::model::catalog::{Catalog, Exception};
use crate::model::difference::{ExceptionChange, Fate, Way};
use crate::model::id::ExceptionId;
use crate::model::time::Timestamp;

/// Exceptions that came, went or are other, as of `at`: what was permitted before then is no matter. One that is for another control or
/// resource is another exception by the same name.
pub(super) fn exceptions(base: &Catalog, head: &Catalog, at: Timestamp) -> Vec<ExceptionChange> {
    let ids: BTreeSet<&ExceptionId> = base.exceptions.keys().chain(head.exceptions.keys()).collect();
    let mut changes = Vec::new();
    for id in ids {
        match (base.exceptions.get(id), head.exceptions.get(id)) {
            (Some(old), Some(new)) if (&old.control, &old.resource) == (&new.control, &new.resource) => {
                if dates(old) != dates(new) || old.approver != new.approver || old.requester != new.requester {
                    changes.push(change(new, Fate::Changed, (Some(dates(old)), Some(dates(new))), at));
                }
            }
            (old, new) => {
                changes.extend(old.map(|old| change(old, Fate::Removed, (Some(dates(old)), None), at)));
                changes.extend(new.map(|new| change(new, Fate::Added, (None, Some(dates(new))), at)));
            }
        }
    }
    changes
}

/// From when until when an exception permits.
type Dates = (Timestamp, Timestamp);

fn dates(exception: &Exception) -> Dates {
    (exception.approved, exception.expires)
}

fn change(one: &Exception, fate: Fate, (before, after): (Option<Dates>, Option<Dates>), at: Timestamp) -> ExceptionChange {
    ExceptionChange {
        exception: one.id.clone(),
        control: one.control.clone(),
        resource: one.resource.clone(),
        fate,
        way: way(before, after, at),
        before,
        after,
        approver: one.approver.clone(),
    }
}

/// Which way it goes from `at` on.
fn way(before: Option<Dates>, after: Option<Dates>, at: Timestamp) -> Way {
    let ahead = |dates: Option<Dates>| dates.map(|(from, until)| (from.max(at), until)).filter(|(from, until)| from < until);
    match (ahead(before), ahead(after)) {
        (None, None) => Way::Equal,
        (None, Some(_)) => Way::Looser,
        (Some(_), None) => Way::Tighter,
        (Some(old), Some(new)) => Way::by(new.0 < old.0 || new.1 > old.1, old.0 < new.0 || old.1 > new.1),
    }
}
