//! Exceptions of two texts: from an instant on, what each permits longer or no more.

use std::collections::BTreeSet;

use super::edits::Edits;
use crate::model::catalog::{Catalog, Exception};
use crate::model::difference::{Edit, ExceptionChange, Fate, Way};
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
                let edits = words(old, new);
                if dates(old) != dates(new) || !edits.is_empty() {
                    changes.push(ExceptionChange { edits, ..change(new, Fate::Changed, (Some(dates(old)), Some(dates(new))), at) });
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

/// What it rests on, apart from its dates: no verdict does.
fn words(before: &Exception, after: &Exception) -> Vec<Edit> {
    let Exception {
        id: _,
        control: _,
        resource: _,
        reason,
        compensating,
        ticket,
        requester,
        approver,
        approved: _,
        earlier,
        expires: _,
        place: _,
    } = before;
    let mut edits = Edits::default();
    edits.word("reason", reason, &after.reason);
    edits.word("compensating", compensating, &after.compensating);
    edits.word("ticket", ticket, &after.ticket);
    edits.word("requester", requester, &after.requester);
    edits.word("approver", approver, &after.approver);
    edits.set("earlier", earlier, &after.earlier, None);
    edits.0
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
        edits: Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::made;

    #[test]
    fn whatever_an_exception_rests_on_is_told_when_it_is_another() {
        let told = |change: fn(&mut Exception)| {
            let mut new = made::exception("e");
            change(&mut new);
            words(&made::exception("e"), &new).into_iter().map(|one| (one.what, one.after, one.way)).collect::<Vec<_>>()
        };
        assert_eq!(told(|_| {}), []);
        let one = |what: &str, after: &str| vec![(what.to_owned(), Some(after.to_owned()), None)];
        assert_eq!(told(|new| new.reason = "another".to_owned()), one("reason", "another"));
        assert_eq!(told(|new| new.compensating = "nothing".to_owned()), one("compensating", "nothing"));
        assert_eq!(told(|new| new.ticket = "T-2".to_owned()), one("ticket", "T-2"));
        assert_eq!(told(|new| new.requester = "eve".to_owned()), one("requester", "eve"));
        assert_eq!(told(|new| new.approver = "eve".to_owned()), one("approver", "eve"));
        assert_eq!(told(|new| new.earlier.push(new.approved)), one("earlier", "2026-11-14T00:00:00Z"));
    }
}
