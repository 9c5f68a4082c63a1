//! Cedar: rules and guards compiled once, sliced by action, decided natively where the shape is common, with Cedar as the oracle.

mod bounds;
mod compare;
mod compile;
mod eval;
mod native;
pub mod oracle;
pub mod parse;
pub mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::Policy;

use crate::model::catalog::Catalog;
use crate::model::id::{EntityType, ExceptionId, RuleId};
use crate::model::snapshot::Resource;
use crate::model::time::Timestamp;
use native::{Native, millis};
use parse::Parsed;

pub use bounds::{Bound, Measure, Sense};
pub use compare::Likeness;

/// Instants looked at before a verdict is taken never to change; two moving counts could meet without end.
const FLIP_STEPS: usize = 100;

/// Why policies could not be compiled; `slm check` reports the same with places, so this is one line.
#[derive(Debug)]
pub struct RulesError(pub String);

impl std::fmt::Display for RulesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "could not compile the policies: {}", self.0)
    }
}

impl std::error::Error for RulesError {}

/// Whether a policy permits or forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It permits.
    Permit,
    /// It forbids.
    Forbid,
}

/// One compiled policy.
pub struct Rule {
    /// Its `@id`.
    pub id: RuleId,
    /// The exception it was generated from, if any.
    pub exception: Option<ExceptionId>,
    /// Permit or forbid.
    pub effect: Effect,
    /// Its file; empty for a generated one.
    pub file: String,
    /// Its own text.
    pub text: Arc<str>,
    native: Option<Native>,
    policy: Policy,
}

/// Every policy of a catalog, sliced by action.
pub struct Rules {
    slices: BTreeMap<String, Vec<Rule>>,
}

/// What the policies of one action say of one resource. Rule ids are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These permit.
    Permitted(Vec<RuleId>),
    /// Only this exception permits.
    Excepted(ExceptionId),
    /// These forbid; no exception lifts it.
    Forbidden(Vec<RuleId>),
    /// Nothing permits.
    NothingPermits,
    /// A policy failed; nothing may be concluded.
    Error(String),
}

/// What a guard knows of a credential.
#[derive(Clone, Debug)]
pub struct GuardFacts {
    /// Its id.
    pub credential: String,
    /// Who answers for it.
    pub owner: String,
    /// The kind of its rotator, as in TOML.
    pub kind: String,
    /// Who chooses its values: `client` or `server`.
    pub issuer: String,
    /// Values valid at once.
    pub overlap: i64,
    /// Whether a value can be tried before promotion.
    pub verifiable: bool,
    /// Whether a superseded value can be disabled and enabled again.
    pub disable: bool,
    /// Whether a superseded value can be deleted.
    pub delete: bool,
    /// Whether its target hands out again what it issued.
    pub reread: bool,
    /// The source that stores it.
    pub source: String,
    /// Number of consumers.
    pub consumers: i64,
    /// Share of the managed credentials that the run rotates before this one, in percent, rounded down.
    pub share_percent: i64,
    /// Whether the credential's store was not seen to its end.
    pub incomplete: bool,
}

impl Rules {
    /// Parses and compiles the policies of `catalog`.
    ///
    /// # Errors
    /// As [`Rules::of`], and when a policy does not parse.
    pub fn compile(catalog: &Catalog) -> Result<Self, RulesError> {
        let files: Vec<_> = catalog.policies.iter().map(|file| (file.path.as_str(), &*file.text)).collect();
        Self::of(catalog, &compile::parse(&files)?)
    }

    /// Compiles the policy files of `catalog`, which are `parsed` in the same order, and a permit for each exception in force at no
    /// particular time: exceptions carry their own dates.
    ///
    /// # Errors
    /// When a policy does not name one action.
    pub fn of(catalog: &Catalog, parsed: &[Parsed]) -> Result<Self, RulesError> {
        compile::compile(catalog, parsed)
    }

    /// Policies of `action` (`Control::Action::"ROT-01"`), in file order; empty when there are none.
    #[must_use]
    pub fn slice(&self, action: &str) -> &[Rule] {
        self.slices.get(action).map_or(&[], Vec::as_slice)
    }

    /// How many policies are decided natively, and how many there are.
    #[must_use]
    pub fn native_share(&self) -> (usize, usize) {
        let all = self.slices.values().flatten();
        (all.clone().filter(|rule| rule.native.is_some()).count(), all.count())
    }

    /// Judges `resource` under `slice` at `now`.
    #[must_use]
    pub fn judge(slice: &[Rule], entity: &EntityType, resource: &Resource, now: Timestamp) -> Verdict {
        let mut permits = Vec::new();
        let mut forbids = Vec::new();
        let mut exception = None;
        for rule in slice {
            match rule.holds(entity, resource, now) {
                Ok(false) => {}
                Ok(true) if rule.effect == Effect::Forbid => forbids.push(rule.id.clone()),
                Ok(true) => match &rule.exception {
                    Some(id) => exception = exception.or_else(|| Some(id.clone())),
                    None => permits.push(rule.id.clone()),
                },
                Err(error) => return Verdict::Error(format!("{}: {error}", rule.id)),
            }
        }
        permits.sort();
        forbids.sort();
        match (forbids.is_empty(), permits.is_empty(), exception) {
            (false, _, _) => Verdict::Forbidden(forbids),
            (true, false, _) => Verdict::Permitted(permits),
            (true, true, Some(id)) => Verdict::Excepted(id),
            (true, true, None) => Verdict::NothingPermits,
        }
    }

    /// The first instant after `now` at which the verdict's kind changes if nothing but time does; `None` when it never does, or
    /// when a policy of the slice is not decided natively.
    #[must_use]
    pub fn flips_at(slice: &[Rule], entity: &EntityType, resource: &Resource, now: Timestamp) -> Option<Timestamp> {
        let kind = |at| std::mem::discriminant(&Self::judge(slice, entity, resource, at));
        let before = kind(now);
        let mut at = now;
        let mut instants = BTreeSet::new();
        // Behind an instant that changes nothing, other parts of a rule are looked at.
        for _ in 0..FLIP_STEPS {
            let mut noted = Vec::new();
            for rule in slice {
                rule.native.as_ref()?.thresholds(entity, resource, at, &mut noted);
            }
            let seen = millis(at);
            instants.extend(noted);
            instants.retain(|instant| *instant > seen);
            at = Timestamp::from_millisecond(instants.pop_first()?).ok()?;
            if kind(at) != before {
                return Some(at);
            }
        }
        None
    }

    /// Asks the guards whether `action` (`rotate`, `deliver`, …) may be done.
    #[must_use]
    pub fn guard(&self, action: &str, facts: &GuardFacts, now: Timestamp) -> Verdict {
        oracle::guard(self, action, facts, now)
    }
}

impl Rule {
    /// Attributes of the resource it may read, sorted; empty when it is left to Cedar.
    #[must_use]
    pub fn reads(&self) -> &[Arc<str>] {
        self.native.as_ref().map_or(&[], |native| native.reads.as_slice())
    }

    /// The bounds it sets to what was observed of `resource`, in its own order; empty when it is left to Cedar.
    #[must_use]
    pub fn bounds(&self, entity: &EntityType, resource: &Resource, now: Timestamp) -> Vec<Bound> {
        self.native.as_ref().map_or_else(Vec::new, |native| native.bounds(entity, resource, millis(now)))
    }

    fn holds(&self, entity: &EntityType, resource: &Resource, now: Timestamp) -> Result<bool, String> {
        match &self.native {
            Some(native) => native.holds(entity, resource, millis(now)).map_err(|error| error.to_string()),
            None => oracle::holds(&self.policy, entity, resource, now),
        }
    }
}

#[cfg(test)]
mod tests;
