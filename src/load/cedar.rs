//! Cedar's own type checker, one door behind its public interface, which checks every policy against every action of the schema.
//!
//! What is found here is only ever that nothing is wrong; complaints are Cedar's.

use cedar_policy::{PolicySet, Schema};
use cedar_policy_core::ast::{self, ActionConstraint, PrincipalOrResourceConstraint};
use cedar_policy_core::validator::typecheck::{PolicyCheck, Typechecker};
use cedar_policy_core::validator::{ValidationMode, Validator, ValidatorSchema};

/// True when strict validation has nothing to say of `set`, whose text is `text`. A policy that names one action can only apply to
/// requests for it; what may be wrong elsewhere, and everything unusual, is left to the validator.
pub fn surely_valid(set: &PolicySet, text: &str, schema: &Schema) -> bool {
    let schema: &ValidatorSchema = schema.as_ref();
    let set: &ast::PolicySet = set.as_ref();
    // Characters that look like others are complained about.
    text.is_ascii()
        && schema.is_complete()
        && set.templates().next().is_none()
        && set.all_templates().all(|one| is_valid(one, schema))
}

fn is_valid(policy: &ast::Template, schema: &ValidatorSchema) -> bool {
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
            let set: PolicySet = text.parse().unwrap();
            let said = validator.validate(&set, cedar_policy::ValidationMode::Strict);
            assert_eq!(said.validation_passed_without_warnings(), VALID.contains(text), "{text} {said}");
            sure += usize::from(surely_valid(&set, text, &schema));
            assert!(!WRONG.contains(text) || !surely_valid(&set, text, &schema), "{text}");
        }
        assert_eq!(sure, 4, "a principal that is one entity is left to the validator");
    }
}
