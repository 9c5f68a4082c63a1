//! Whether policies say the same, whatever their form, their order and their names.

use cedar_policy::Policy;
use cedar_policy_core::ast;

use super::{Rule, Rules};

/// How two slices compare without asking what their policies mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Every policy of one is one of the other, and is written as it.
    SameText,
    /// Every policy of one is one of the other, after parsing.
    Same,
    /// Every policy that people wrote is; permits of exceptions are not.
    SameButExceptions,
    /// Policies that people wrote are not.
    Other,
}

impl Rules {
    /// Actions that have policies, sorted.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.slices.keys().map(String::as_str)
    }

    /// How two slices of the same action compare.
    #[must_use]
    pub fn likeness(one: &[Rule], other: &[Rule]) -> Likeness {
        let text = |a: &Rule, b: &Rule| a.exception == b.exception && a.text == b.text;
        let both = |one: &[&Rule], other: &[&Rule], same: &dyn Fn(&Rule, &Rule) -> bool| {
            within(one, other, same) && within(other, one, same)
        };
        let (all, others): (Vec<&Rule>, Vec<&Rule>) = (one.iter().collect(), other.iter().collect());
        if both(&all, &others, &text) {
            return Likeness::SameText;
        }
        if both(&all, &others, &same) {
            return Likeness::Same;
        }
        if both(&by_people(one), &by_people(other), &same) { Likeness::SameButExceptions } else { Likeness::Other }
    }

    /// True when no policy of `slice` is left to Cedar.
    #[must_use]
    pub fn is_native(slice: &[Rule]) -> bool {
        slice.iter().all(|rule| rule.native.is_some())
    }
}

/// Policies that people wrote.
fn by_people(slice: &[Rule]) -> Vec<&Rule> {
    slice.iter().filter(|rule| rule.exception.is_none()).collect()
}

/// Every policy of `one` is like one of `other`.
fn within(one: &[&Rule], other: &[&Rule], like: &dyn Fn(&Rule, &Rule) -> bool) -> bool {
    // Of two versions of a file, most policies stand in the same order.
    let mut next = 0;
    one.iter().all(|rule| {
        let found = (next..other.len()).chain(0..next).find(|at| like(rule, other[*at]));
        next = found.map_or(next, |at| at + 1);
        found.is_some()
    })
}

fn same(one: &Rule, other: &Rule) -> bool {
    let exceptions = (one.exception.is_some(), other.exception.is_some());
    exceptions.0 == exceptions.1 && one.effect == other.effect && same_policy(&one.policy, &other.policy)
}

/// Scope and condition alone: places, ids and annotations decide nothing.
fn same_policy(one: &Policy, other: &Policy) -> bool {
    let (tree, other_tree): (&ast::Policy, &ast::Policy) = (one.as_ref(), other.as_ref());
    one.principal_constraint() == other.principal_constraint()
        && one.action_constraint() == other.action_constraint()
        && one.resource_constraint() == other.resource_constraint()
        && tree.non_scope_constraints() == other_tree.non_scope_constraints()
}
