//! A sample that whoever draws it cannot choose: its order is made of the frozen population and of a number that the auditor brings.
//!
//! ```text
//! root = SHA-256(population.jsonl)        the list, a line each, sorted
//! seed = SHA-256(control \n period \n root \n nonce)
//! rank = SHA-256(seed line)               in hex; the lowest are drawn
//! ```

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest, Sha256};

use super::canonical;
use super::leaf::hex;
use crate::model::assessment::{Status, Subject};
use crate::model::attestation::Stretch;
use crate::model::id::{ControlId, EntityType, ResourceId};
use crate::model::period::{At, Series};

/// One member of a population.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its type.
    pub entity: EntityType,
    /// Its id.
    pub resource: ResourceId,
}

impl Item {
    /// Its line in the list, without the newline.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { entity, resource } = self;
        let line = canonical::json(&serde_json::json!({ "entity": entity, "resource": resource })).unwrap_or_default();
        String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
    }
}

/// A population that no later run changes: everything that a control applied to in any run of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    items: Vec<Item>,
    root: String,
}

impl Frozen {
    /// The union over the period of `series`: a member that came or went in it can be drawn as any other.
    #[must_use]
    pub fn of(series: &Series) -> Self {
        let applied = series.members.iter().filter(|member| member.spans.iter().any(|span| span.status != Status::NotApplicable));
        let items = applied.filter_map(|member| match &member.subject {
            Subject::Resource { entity, id } => Some(Item { entity: entity.clone(), resource: id.clone() }),
            Subject::Population { .. } => None,
        });
        Self::from(items.collect::<Vec<_>>())
    }

    /// The same as it stood after each run of the period that added to it, the first first, with that run.
    #[must_use]
    pub fn growing(series: &Series) -> Vec<(At, Self)> {
        let mut came: Vec<(At, Item)> = Vec::new();
        for member in &series.members {
            let Subject::Resource { entity, id } = &member.subject else { continue };
            let first = member.spans.iter().filter(|span| span.status != Status::NotApplicable).map(|span| span.from).min();
            came.extend(first.map(|at| (at, Item { entity: entity.clone(), resource: id.clone() })));
        }
        let runs: BTreeSet<At> = came.iter().map(|(at, _)| *at).collect();
        let by = |run: At| came.iter().filter(|(at, _)| *at <= run).map(|(_, item)| item.clone()).collect::<Vec<_>>();
        runs.into_iter().map(|run| (run, Self::from(by(run)))).collect()
    }

    /// Its members, sorted as their lines are.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// SHA-256 of its list, in hex.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Its list: a line each.
    #[must_use]
    pub fn list(&self) -> String {
        self.items.iter().map(|item| item.line() + "\n").collect()
    }

    /// The `count` members of lowest rank, the lowest first: all of them when there are fewer.
    #[must_use]
    pub fn draw(&self, seed: &Seed, count: usize) -> Vec<(String, &Item)> {
        let mut ranked: Vec<(String, &Item)> = self.items.iter().map(|item| (seed.rank(&item.line()), item)).collect();
        ranked.sort();
        ranked.truncate(count);
        ranked
    }
}

impl From<Vec<Item>> for Frozen {
    fn from(mut items: Vec<Item>) -> Self {
        items.sort_by_cached_key(Item::line);
        items.dedup();
        let mut frozen = Self { items, root: String::new() };
        frozen.root = hex(&Sha256::digest(frozen.list()));
        frozen
    }
}

/// What decides the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed(String);

/// Why there is no seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNonce;

impl fmt::Display for BadNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the nonce is empty or has a control character; let the auditor choose a line of text that nobody knew before")
    }
}

impl std::error::Error for BadNonce {}

impl Seed {
    /// The seed of a draw from `population`, with a `nonce` that its auditor chose after it was frozen.
    ///
    /// # Errors
    /// When the nonce is no line of text.
    pub fn new(control: &ControlId, period: &Stretch, population: &Frozen, nonce: &str) -> Result<Self, BadNonce> {
        if nonce.is_empty() || nonce.contains(char::is_control) {
            return Err(BadNonce);
        }
        Ok(Self(hex(&Sha256::digest(format!("{control}\n{period}\n{}\n{nonce}", population.root)))))
    }

    /// In hex.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn rank(&self, line: &str) -> String {
        hex(&Sha256::digest(format!("{}{line}", self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: usize) -> Item {
        Item { entity: "Aws::Secret".into(), resource: format!("arn:{number:04}").as_str().into() }
    }

    fn population(count: usize) -> Frozen {
        Frozen::from((0..count).map(item).collect::<Vec<_>>())
    }

    fn seed(population: &Frozen, nonce: &str) -> Seed {
        Seed::new(&"ROT-01".into(), &Stretch::parse("2026-Q1").unwrap(), population, nonce).unwrap()
    }

    fn drawn(population: &Frozen, nonce: &str, count: usize) -> Vec<String> {
        population.draw(&seed(population, nonce), count).into_iter().map(|(_, item)| item.resource.to_string()).collect()
    }

    #[test]
    fn a_draw_is_what_sha256sum_says() {
        // printf '{"entity":"Aws::Secret","resource":"arn:0000"}\n{"entity":"Aws::Secret","resource":"arn:0001"}\n' | sha256sum
        let two = population(2);
        assert_eq!(two.root(), "d57468c4c09acf776d6894703ea9e657c489a343738f66a5b27ffd1c232047c5");
        // printf 'ROT-01\n2026-01-01/2026-03-31\n%s\nblue' ROOT | sha256sum
        assert_eq!(seed(&two, "blue").as_str(), "d33756e914c81254572f8f886795400ac5678571f0c87de5e7f90f8a6ec49b38");
        // printf '%s{"entity":"Aws::Secret","resource":"arn:0000"}' SEED | sha256sum
        assert_eq!(seed(&two, "blue").rank(&item(0).line()), "a8005dd319fef09747ce492675fc353168886d3bf12e5a47a76b7e77245dd6b5");
    }

    #[test]
    fn the_same_draw_twice_is_the_same_and_a_longer_one_goes_on_from_it() {
        let all = population(1_000);
        let (five, ten) = (drawn(&all, "blue", 5), drawn(&all, "blue", 10));
        assert_eq!(five, drawn(&all, "blue", 5));
        assert_eq!(five, ten[..5]);
        assert_ne!(five, drawn(&all, "green", 5));
        assert_eq!(drawn(&population(3), "blue", 25).len(), 3, "never more than there are");
    }

    #[test]
    fn the_order_of_the_list_and_doubles_in_it_make_no_difference() {
        let mut shuffled: Vec<Item> = (0..50).rev().map(item).collect();
        shuffled.push(item(7));
        assert_eq!(Frozen::from(shuffled), population(50));
    }

    #[test]
    fn one_member_more_is_another_draw() {
        assert_ne!(seed(&population(50), "blue"), seed(&population(51), "blue"));
    }

    #[test]
    fn every_member_is_drawn_as_often_as_any_other() {
        let all = population(20);
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        for nonce in 0..2_000 {
            drawn(&all, &nonce.to_string(), 5).into_iter().for_each(|id| *counts.entry(id).or_default() += 1);
        }
        // 500 expected of each, with a deviation of 19: six of those are never seen by chance.
        assert!(counts.len() == 20 && counts.values().all(|count| (384..=616).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_nonce_is_a_line_of_text() {
        for nonce in ["", "a\nb", "\t"] {
            let stretch = Stretch::parse("2026").unwrap();
            assert_eq!(Seed::new(&"C".into(), &stretch, &population(1), nonce), Err(BadNonce), "{nonce:?}");
        }
    }
}
