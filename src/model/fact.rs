//! Observed values: owned, borrowed, and packed, because a company has a hundred thousand resources with a dozen each.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// One observed value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// Text.
    Text(Arc<str>),
    /// An instant; Cedar sees whole milliseconds.
    Time(Timestamp),
}

impl Value {
    /// The same, borrowed.
    #[must_use]
    pub fn fact(&self) -> Fact<'_> {
        match self {
            Self::Bool(yes) => Fact::Bool(*yes),
            Self::Long(number) => Fact::Long(*number),
            Self::Text(text) => Fact::Text(text),
            Self::Time(instant) => Fact::Time(*instant),
        }
    }
}

/// One observed value where it stands; written as [`Value`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<'a> {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// Text.
    Text(&'a str),
    /// An instant.
    Time(Timestamp),
}

impl Fact<'_> {
    /// A copy of its own.
    #[must_use]
    pub fn owned(self) -> Value {
        match self {
            Self::Bool(yes) => Value::Bool(yes),
            Self::Long(number) => Value::Long(number),
            Self::Text(text) => Value::Text(text.into()),
            Self::Time(instant) => Value::Time(instant),
        }
    }
}

/// What was added to a shape, and the shape it made.
type Derived = (Vec<(Arc<str>, Value)>, Arc<Shape>);

/// Which facts a resource has: names in order, and where each value is. Shared by all resources that have the same.
#[derive(Debug)]
struct Shape {
    places: Vec<(Arc<str>, Place)>,
    /// What was made of it by [`Shape::with`].
    derived: Mutex<Vec<Derived>>,
}

#[derive(Clone, Debug)]
enum Place {
    /// So many packed values come before it.
    Packed(usize),
    /// The same for every resource of the shape.
    Fixed(Value),
}

/// Every shape without fixed values, by the hash of its names; the kinds of resources bound their number.
static SHAPES: LazyLock<Mutex<HashMap<u64, Vec<Arc<Shape>>>>> = LazyLock::new(Mutex::default);

impl Shape {
    /// The shared shape with `names`, sorted, all of them packed.
    fn of(names: &[&str]) -> Arc<Self> {
        let mut hash = DefaultHasher::new();
        names.hash(&mut hash);
        let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = shapes.entry(hash.finish()).or_default();
        let found = alike.iter().find(|shape| shape.places.iter().map(|(name, _)| &**name).eq(names.iter().copied()));
        if let Some(found) = found {
            return found.clone();
        }
        let places = names.iter().enumerate().map(|(at, name)| (Arc::from(*name), Place::Packed(at))).collect();
        let made = Arc::new(Self { places, derived: Mutex::default() });
        alike.push(made.clone());
        made
    }

    /// This shape with `fixed` besides; a fixed value hides a packed one of its name.
    fn with(&self, fixed: &[(&str, Value)]) -> Arc<Self> {
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(name, value): &(Arc<str>, Value), (wanted, other): &(&str, Value)| **name == **wanted && value == other;
        let same = |have: &[(Arc<str>, Value)]| have.len() == fixed.len() && have.iter().zip(fixed).all(|(a, b)| is_it(a, b));
        if let Some((_, found)) = derived.iter().find(|(have, _)| same(have)) {
            return found.clone();
        }
        let mut places = self.places.clone();
        for (name, value) in fixed {
            let place = Place::Fixed(value.clone());
            match places.binary_search_by(|(have, _)| (**have).cmp(name)) {
                Ok(at) => places[at].1 = place,
                Err(at) => places.insert(at, (Arc::from(*name), place)),
            }
        }
        let made = Arc::new(Self { places, derived: Mutex::default() });
        derived.push((fixed.iter().map(|(name, value)| (Arc::from(*name), value.clone())).collect(), made.clone()));
        made
    }
}

/// Named values, sorted by name, in one piece of memory. Text that is a part of `id` is kept as a part of it.
#[derive(Clone)]
pub(super) struct Facts {
    shape: Arc<Shape>,
    packed: Box<[u8]>,
}

impl Facts {
    /// `facts` of the resource `id`, which must be sorted by name; of two with one name the last holds.
    pub(super) fn new(id: &str, facts: &[(&str, Fact<'_>)]) -> Self {
        let mut names = Vec::with_capacity(facts.len());
        let mut packed = Vec::with_capacity(192);
        for (at, (name, fact)) in facts.iter().enumerate() {
            if facts.get(at + 1).is_none_or(|(next, _)| next != name) {
                names.push(*name);
                pack(&mut packed, id, *fact);
            }
        }
        Self { shape: Shape::of(&names), packed: packed.into() }
    }

    pub(super) fn get<'a>(&'a self, id: &'a str, name: &str) -> Option<Fact<'a>> {
        let names = &self.shape.places;
        let at = names.binary_search_by(|(have, _)| (**have).cmp(name)).ok()?;
        match &names[at].1 {
            Place::Packed(before) => Packed { id, rest: &self.packed }.nth(*before),
            Place::Fixed(value) => Some(value.fact()),
        }
    }

    /// Names and values in the order of the names.
    pub(super) fn iter<'a>(&'a self, id: &'a str) -> impl ExactSizeIterator<Item = (&'a Arc<str>, Fact<'a>)> {
        let mut packed = Packed { id, rest: &self.packed };
        let mut passed = 0;
        self.shape.places.iter().map(move |(name, place)| match place {
            Place::Fixed(value) => (name, value.fact()),
            Place::Packed(before) => {
                let skip = before - passed;
                passed = before + 1;
                // INVARIANT: a shape names no more values than are packed.
                (name, packed.nth(skip).unwrap_or(Fact::Bool(false)))
            }
        })
    }

    /// Adds `fixed`, which many resources share; a fixed value hides an observed one of its name.
    pub(super) fn share(&mut self, fixed: &[(&str, Value)]) {
        self.shape = self.shape.with(fixed);
    }
}

const FALSE: u8 = 0;
const TRUE: u8 = 1;
const LONG: u8 = 2;
/// Whole seconds in five bytes: enough for every instant there is.
const SECONDS: u8 = 3;
const NANOS: u8 = 4;
const SHORT: u8 = 5;
const TEXT: u8 = 6;
const PART: u8 = 7;

fn pack(out: &mut Vec<u8>, id: &str, fact: Fact<'_>) {
    match fact {
        Fact::Bool(yes) => out.push(if yes { TRUE } else { FALSE }),
        Fact::Long(number) => {
            out.push(LONG);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Fact::Time(instant) => {
            let nanos = instant.subsec_nanosecond();
            out.push(if nanos == 0 { SECONDS } else { NANOS });
            out.extend_from_slice(&instant.as_second().to_le_bytes()[..5]);
            if nanos != 0 {
                out.extend_from_slice(&nanos.to_le_bytes());
            }
        }
        Fact::Text(text) => pack_text(out, id, text),
    }
}

fn pack_text(out: &mut Vec<u8>, id: &str, text: &str) {
    let part = (text.len() > 3).then(|| id.find(text)).flatten();
    if let (Some(Ok(start)), Ok(length)) = (part.map(u8::try_from), u8::try_from(text.len())) {
        out.extend_from_slice(&[PART, start, length]);
    } else if let Ok(length) = u8::try_from(text.len()) {
        out.extend_from_slice(&[SHORT, length]);
        out.extend_from_slice(text.as_bytes());
    } else {
        out.push(TEXT);
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

/// Reads what [`pack`] wrote.
struct Packed<'a> {
    id: &'a str,
    rest: &'a [u8],
}

impl<'a> Packed<'a> {
    fn nth(&mut self, skip: usize) -> Option<Fact<'a>> {
        for _ in 0..skip {
            let (tag, rest) = self.rest.split_first()?;
            let length = match *tag {
                FALSE | TRUE => 0,
                LONG => 8,
                SECONDS => 5,
                NANOS => 9,
                SHORT => 1 + usize::from(*rest.first()?),
                PART => 2,
                _ => 8 + length(rest)?,
            };
            self.rest = rest.get(length..)?;
        }
        self.next()
    }

    fn next(&mut self) -> Option<Fact<'a>> {
        Some(match self.take(1)?[0] {
            FALSE => Fact::Bool(false),
            TRUE => Fact::Bool(true),
            LONG => Fact::Long(i64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            SECONDS => Fact::Time(Timestamp::new(seconds(self.take(5)?), 0).ok()?),
            NANOS => {
                let seconds = seconds(self.take(5)?);
                Fact::Time(Timestamp::new(seconds, i32::from_le_bytes(self.take(4)?.try_into().ok()?)).ok()?)
            }
            SHORT => {
                let length = usize::from(self.take(1)?[0]);
                Fact::Text(str::from_utf8(self.take(length)?).ok()?)
            }
            PART => {
                let [start, length] = *self.take(2)? else { return None };
                Fact::Text(self.id.get(usize::from(start)..usize::from(start) + usize::from(length))?)
            }
            _ => {
                let length = length(self.take(8)?)?;
                Fact::Text(str::from_utf8(self.take(length)?).ok()?)
            }
        })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }
}

fn length(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()
}

/// Five bytes, the first the lowest, the sign in the last.
fn seconds(bytes: &[u8]) -> i64 {
    let mut all = [0; 8];
    all[3..].copy_from_slice(bytes);
    i64::from_le_bytes(all) >> 24
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let instant = (-377_705_023_201_i64..=253_402_207_200, prop_oneof![Just(0), 0..1_000_000_000_i32]);
        let text = prop_oneof![".{0,8}", "[ab]{0,3}", ".{250,270}", "part"];
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Long),
            text.prop_map(|text: String| Value::Text(text.into())),
            instant.prop_map(|(seconds, nanos)| Value::Time(Timestamp::new(seconds, nanos).unwrap_or(Timestamp::MAX))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_again(
            all in proptest::collection::btree_map("[a-e]{1,3}", value(), 0..9),
            fixed in proptest::collection::btree_map("[a-e]{1,3}", value(), 0..4),
        ) {
            let id = "the id with a part of it: aabb";
            let borrowed: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.fact())).collect();
            let mut facts = Facts::new(id, &borrowed);
            let fixing: Vec<_> = fixed.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            facts.share(&fixing);
            let mut wanted = all.clone();
            wanted.extend(fixed);
            let read: Vec<_> = facts.iter(id).map(|(name, fact)| (name.to_string(), fact.owned())).collect();
            prop_assert_eq!(&read, &wanted.clone().into_iter().collect::<Vec<_>>());
            for (name, value) in &wanted {
                prop_assert_eq!(facts.get(id, name), Some(value.fact()));
            }
            prop_assert_eq!(facts.get(id, "none"), None);
        }
    }

    #[test]
    fn resources_with_the_same_names_share_their_shape() {
        let facts = |number| Facts::new("id", &[("a", Fact::Long(number)), ("b", Fact::Text("x"))]);
        let (mut one, mut two) = (facts(1), facts(2));
        assert!(Arc::ptr_eq(&one.shape, &two.shape));
        one.share(&[("c", Value::Bool(true))]);
        assert!(!Arc::ptr_eq(&one.shape, &two.shape));
        two.share(&[("c", Value::Bool(true))]);
        assert!(Arc::ptr_eq(&one.shape, &two.shape));
    }
}
