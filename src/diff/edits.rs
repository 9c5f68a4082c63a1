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

    /// Conditions by name, each of which spares what does not meet it. One that went is only tighter where its attribute is `required` all
    /// the same: whatever lacks it had no evidence, and may be met now.
    pub(super) fn conditions(
        &mut self,
        what: &str,
        (before, after): (&BTreeMap<String, String>, &BTreeMap<String, String>),
        required: impl Fn(&str) -> bool,
    ) {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (old, new) = (before.get(name), after.get(name));
            if old == new {
                continue;
            }
            let way = match (old, new) {
                (None, _) => Way::Looser,
                (_, None) if required(name) => Way::Tighter,
                _ => Way::Incomparable,
            };
            self.push(&format!("{what}.{name}"), old.cloned(), new.cloned(), Some(way));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_went_is_only_tighter_where_its_attribute_is_required_all_the_same() {
        let one = |value: &str| BTreeMap::from([("prod".to_owned(), value.to_owned())]);
        let way = |before: BTreeMap<String, String>, after: BTreeMap<String, String>, required: bool| {
            let mut edits = Edits::default();
            edits.conditions("population.where", (&before, &after), |name| required && name == "prod");
            edits.0.into_iter().map(|edit| (edit.what, edit.way)).collect::<Vec<_>>()
        };
        let told = |way| vec![("population.where.prod".to_owned(), Some(way))];
        assert_eq!(way(one("true"), one("true"), true), []);
        assert_eq!(way(BTreeMap::new(), one("true"), false), told(Way::Looser));
        assert_eq!(way(one("true"), BTreeMap::new(), true), told(Way::Tighter));
        assert_eq!(way(one("true"), BTreeMap::new(), false), told(Way::Incomparable));
        assert_eq!(way(one("true"), one("false"), true), told(Way::Incomparable));
    }
}
