//! Keys of two versions of a file, compared one by one, each with the sense of its limit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::model::difference::{Edit, Way};

/// What is other, in the order in which it was looked at.
#[derive(Default)]
pub(super) struct Edits(pub(super) Vec<Edit>);

/// What it means that a limit is not there.
#[derive(Clone, Copy)]
pub(super) enum Absent {
    /// No limit at all: more than any.
    Greatest,
    /// Nothing is let through: less than any.
    Least,
}

impl Edits {
    /// A key on which no verdict rests.
    pub(super) fn word<T: Display + PartialEq>(&mut self, what: &str, before: &T, after: &T) {
        self.turned(what, before, after, None);
    }

    /// A key whose two values cannot be compared.
    pub(super) fn turned<T: Display + PartialEq>(&mut self, what: &str, before: &T, after: &T, way: Option<Way>) {
        if before != after {
            self.push(what, Some(before.to_string()), Some(after.to_string()), way);
        }
    }

    /// A limit of which a greater value asks for less or more, as `more` says.
    pub(super) fn limit<T: Display + PartialOrd>(&mut self, what: &str, before: &T, after: &T, more: Way) {
        if before != after {
            let way = if before < after { more } else { more.reversed() };
            self.push(what, Some(before.to_string()), Some(after.to_string()), Some(way));
        }
    }

    /// The same where it may be left out.
    pub(super) fn optional<T: Display + PartialOrd>(
        &mut self,
        what: &str,
        (before, after): (Option<&T>, Option<&T>),
        more: Way,
        absent: Absent,
    ) {
        let grows = match (before, after, absent) {
            (None, None, _) => return,
            (Some(before), Some(after), _) => return self.limit(what, before, after, more),
            (Some(_), None, Absent::Greatest) | (None, Some(_), Absent::Least) => true,
            (None, Some(_), Absent::Greatest) | (Some(_), None, Absent::Least) => false,
        };
        let way = if grows { more } else { more.reversed() };
        self.push(what, before.map(ToString::to_string), after.map(ToString::to_string), Some(way));
    }

    /// Members of a set, each of which asks for more or less, as `more` says; `None` when no verdict rests on them.
    pub(super) fn set<T: Display + Ord>(
        &mut self,
        what: &str,
        before: impl IntoIterator<Item = T>,
        after: impl IntoIterator<Item = T>,
        more: Option<Way>,
    ) {
        let (before, after): (BTreeSet<T>, BTreeSet<T>) = (before.into_iter().collect(), after.into_iter().collect());
        for gone in before.difference(&after) {
            self.push(what, Some(gone.to_string()), None, more.map(Way::reversed));
        }
        for new in after.difference(&before) {
            self.push(what, None, Some(new.to_string()), more);
        }
    }

    /// Values by name: one that came asks for more or less, as `more` says, and one that is another cannot be compared.
    pub(super) fn map<T: Display + PartialEq>(
        &mut self,
        what: &str,
        (before, after): (&BTreeMap<String, T>, &BTreeMap<String, T>),
        more: Option<Way>,
    ) {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (old, new) = (before.get(name), after.get(name));
            if old == new {
                continue;
            }
            let way = match (old, new) {
                (None, _) => more,
                (_, None) => more.map(Way::reversed),
                _ => more.map(|_| Way::Incomparable),
            };
            self.push(&format!("{what}.{name}"), old.map(ToString::to_string), new.map(ToString::to_string), way);
        }
    }

    /// Something of which is only told that it is another.
    pub(super) fn other<T: PartialEq>(&mut self, what: &str, before: &T, after: &T, way: Option<Way>) {
        if before != after {
            self.push(what, None, None, way);
        }
    }

    pub(super) fn push(&mut self, what: &str, before: Option<String>, after: Option<String>, way: Option<Way>) {
        self.0.push(Edit { what: what.to_owned(), before, after, way });
    }

    /// All of them together; those on which no verdict rests do not count.
    pub(super) fn way(&self) -> Way {
        self.0.iter().filter_map(|edit| edit.way).fold(Way::Equal, Way::and)
    }
}
