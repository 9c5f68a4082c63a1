//! Cedar's own parser and type checker, one door behind its public interface, which does the same work several times over.
//!
//! The public interface parses a policy again to give its JSON form, and checks every policy against every action of the schema:
//! together they are half of what a check costs. What is found here is only ever that nothing is wrong; complaints are Cedar's.

use std::collections::HashMap;

use cedar_policy::{ParseErrors, PolicyId, PolicySet, Schema};
use cedar_policy_core::ast::{self, ActionConstraint, PrincipalOrResourceConstraint};
use cedar_policy_core::est;
use cedar_policy_core::parser::parse_policyset_to_ests_and_pset;
use cedar_policy_core::validator::typecheck::{PolicyCheck, Typechecker};
use cedar_policy_core::validator::{ValidationMode, Validator, ValidatorSchema};
use serde_json::Value;

use super::tokens;

/// The policies of one text.
pub struct Parsed {
    /// Named `policy0…` by position.
    pub set: PolicySet,
    trees: HashMap<ast::PolicyID, est::Policy>,
}

/// Parses policies.
///
/// # Errors
/// Everything wrong with the text.
#[expect(clippy::result_large_err, reason = "Cedar's own error; there is one a file at most")]
pub fn parse(text: &str) -> Result<Parsed, ParseErrors> {
    let (trees, set) = parse_policyset_to_ests_and_pset(text)?;
    Ok(Parsed { set: set.into(), trees })
}

/// Parses policies file by file, and at once where that is the same: Cedar makes its lexer anew for every text. A file that is
/// complained about is parsed alone for the places of the complaints.
#[expect(clippy::result_large_err, reason = "Cedar's own error; there is one a file at most")]
pub fn parse_all(texts: &[&str]) -> Vec<Result<Parsed, ParseErrors>> {
    match together(texts) {
        Some(all) => all.into_iter().map(Ok).collect(),
        None => texts.iter().map(|text| parse(text)).collect(),
    }
}

fn together(texts: &[&str]) -> Option<Vec<Parsed>> {
    let counts = texts.iter().map(|text| tokens::whole_policies(text)).collect::<Option<Vec<_>>>()?;
    let (mut trees, set) = parse_policyset_to_ests_and_pset(&texts.join("\n")).ok()?;
    let name = |position: usize| ast::PolicyID::from_string(format!("policy{position}"));
    let mut from = 0;
    let mut part = |count: usize| {
        let (mut own, mut own_trees) = (ast::PolicySet::new(), HashMap::new());
        for position in 0..count {
            let there = name(from + position);
            own.add(set.get(&there)?.new_id(name(position))).ok()?;
            own_trees.insert(name(position), trees.remove(&there)?);
        }
        from += count;
        Some(Parsed { set: own.into(), trees: own_trees })
    };
    let parts = counts.into_iter().map(&mut part).collect::<Option<Vec<_>>>()?;
    trees.is_empty().then_some(parts)
}

impl Parsed {
    /// A policy in Cedar's JSON form.
    pub fn json(&self, policy: &PolicyId) -> Option<Value> {
        serde_json::to_value(self.trees.get(AsRef::<ast::PolicyID>::as_ref(policy))?).ok()
    }

    /// True when strict validation has nothing to say. A policy that names one action can only apply to requests for it; what may
    /// be wrong elsewhere, and everything unusual, is left to the validator.
    pub fn surely_valid(&self, text: &str, schema: &Schema) -> bool {
        let schema: &ValidatorSchema = schema.as_ref();
        let set: &ast::PolicySet = self.set.as_ref();
        // Characters that look like others are complained about.
        text.is_ascii()
            && schema.is_complete()
            && set.templates().next().is_none()
            && set.all_templates().all(|policy| surely_valid(policy, schema))
    }
}

fn surely_valid(policy: &ast::Template, schema: &ValidatorSchema) -> bool {
    use PrincipalOrResourceConstraint::{Any, Is};
    let (ActionConstraint::Eq(action), Any | Is(_)) = (policy.action_constraint(), policy.principal_constraint().as_inner()) else {
        return false;
    };
    if Validator::validate_entity_types_and_literals(schema, policy).next().is_some() {
        return false;
    }
    let checker = Typechecker::new(schema, ValidationMode::Strict);
    let mut applies = false;
    let requests = schema.unlinked_request_envs(ValidationMode::Strict);
    for request in requests.filter(|request| request.action_entity_uid() == Some(&**action)) {
        match checker.typecheck_by_single_request_env(policy, &request) {
            PolicyCheck::Success(_) => applies = true,
            PolicyCheck::Irrelevant(wrong, _) if wrong.is_empty() => {}
            PolicyCheck::Irrelevant(..) | PolicyCheck::Fail(_) => return false,
        }
    }
    applies
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str =
        "entity U; entity G; entity A in [G] { n?: Long, s?: String, t?: datetime }; entity B; entity C enum [\"x\"];
        action a, c appliesTo { principal: [U], resource: [A, B], context: { now: datetime } };
        action b appliesTo { principal: [A], resource: [B], context: {} };";

    /// What the validator has nothing to say about, most of it surely.
    const VALID: [&str; 5] = [
        "permit (principal is U, action == Action::\"a\", resource is A) when { resource has n && resource.n < 3 };",
        "forbid (principal, action == Action::\"b\", resource);",
        "permit (principal, action == Action::\"a\", resource == A::\"x\") when { context.now < datetime(\"2026-01-01\") };",
        "permit (principal, action == Action::\"a\", resource in G::\"x\") unless { principal == U::\"x\" };",
        "permit (principal == U::\"x\", action == Action::\"a\", resource is A) when { resource has s && resource.s like \"*\" };",
    ];

    const WRONG: [&str; 12] = [
        "permit (principal, action == Action::\"a\", resource is A) when { resource.n < 3 };",
        "permit (principal, action == Action::\"a\", resource is A) when { resource has n && resource.n == \"3\" };",
        "permit (principal, action == Action::\"a\", resource) when { resource has n && resource.n + true == 1 };",
        "permit (principal, action == Action::\"a\", resource is U);",
        "permit (principal, action == Action::\"b\", resource is A);",
        "permit (principal is B, action == Action::\"a\", resource);",
        "permit (principal, action == Action::\"z\", resource);",
        "permit (principal, action == Action::\"a\", resource is Z);",
        "permit (principal, action == Action::\"a\", resource) when { false };",
        "permit (principal, action == Action::\"a\", resource) when { principal == C::\"y\" };",
        "permit (principal, action == Action::\"a\", resource is A) when { resource has s && resource.s == \"p\u{0430}y\" };",
        "permit (principal, action == Action::\"b\", resource) when { context.now == principal.t };",
    ];

    #[test]
    fn what_is_surely_valid_is_valid() {
        let schema = Schema::from_cedarschema_str(SCHEMA).unwrap().0;
        let validator = cedar_policy::Validator::new(schema.clone());
        let mut sure = 0;
        for text in VALID.iter().chain(&WRONG) {
            let parsed = parse(text).unwrap();
            let said = validator.validate(&parsed.set, cedar_policy::ValidationMode::Strict);
            assert_eq!(said.validation_passed_without_warnings(), VALID.contains(text), "{text} {said}");
            sure += usize::from(parsed.surely_valid(text, &schema));
            assert!(!WRONG.contains(text) || !parsed.surely_valid(text, &schema), "{text}");
        }
        assert_eq!(sure, 4, "a principal that is one entity is left to the validator");
    }

    #[test]
    fn files_are_parsed_at_once_as_they_are_alone() {
        let texts = [format!("// {{\n{}{}// end;", VALID[0], VALID[1]), String::new(), VALID[2].to_owned()];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert!(together(&texts).is_some());
        for (text, parsed) in texts.iter().zip(parse_all(&texts)) {
            let (parsed, alone) = (parsed.unwrap(), parse(text).unwrap());
            assert_eq!(parsed.set, alone.set);
            assert!(alone.set.policies().all(|policy| parsed.json(policy.id()) == policy.to_json().ok()));
        }
    }

    #[test]
    fn a_policy_does_not_run_into_the_next_file() {
        for halves in
            [["permit (principal, action,", "resource);"], ["permit (principal, action, resource) when { \"", "\" == \"\" };"]]
        {
            assert!(parse(&halves.join("\n")).is_ok(), "{halves:?}");
            assert!(parse_all(&halves).iter().all(Result::is_err), "{halves:?}");
        }
    }
}
