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
pub fn parse(text: &str) -> Result<Parsed, ParseErrors> {
    let (trees, set) = parse_policyset_to_ests_and_pset(text)?;
    Ok(Parsed { set: set.into(), trees })
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
