//! Plain Cedar: decides what the native form does not cover, and is what the native form is tested against.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicySet, Request, Response,
    RestrictedExpression,
};

use super::{GuardFacts, Rules, Verdict};
use crate::model::id::{EntityType, RuleId};
use crate::model::snapshot::{Fact, Resource};
use crate::model::time::Timestamp;

fn expression(fact: Fact<'_>) -> RestrictedExpression {
    match fact {
        Fact::Bool(yes) => RestrictedExpression::new_bool(yes),
        Fact::Long(number) => RestrictedExpression::new_long(number),
        Fact::Text(text) => RestrictedExpression::new_string(text.to_string()),
        Fact::Time(instant) => datetime(instant),
    }
}

fn datetime(instant: Timestamp) -> RestrictedExpression {
    RestrictedExpression::new_datetime(instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn uid(entity: &str, id: &str) -> Result<EntityUid, String> {
    let name = EntityTypeName::from_str(entity).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}

/// What Cedar itself answers for `resource` under the whole `slice` of `action`; any error is an error.
///
/// # Errors
/// When a name does not parse, or a policy fails.
pub fn authorize(
    rules: &Rules,
    action: &str,
    entity: &EntityType,
    resource: &Resource,
    now: Timestamp,
) -> Result<Decision, String> {
    let (request, entities) = question(action, entity, resource, now)?;
    answer(&Authorizer::new().is_authorized(&request, &policies(rules, action)?, &entities)).map(|(decision, _)| decision)
}

/// The policies of `action` as Cedar takes them.
///
/// # Errors
/// When two have the same id.
pub fn policies(rules: &Rules, action: &str) -> Result<PolicySet, String> {
    PolicySet::from_policies(rules.slice(action).iter().map(|rule| rule.policy.clone())).map_err(|error| error.to_string())
}

/// What Cedar is asked about `resource`.
///
/// # Errors
/// When a name does not parse.
pub fn question(action: &str, entity: &EntityType, resource: &Resource, now: Timestamp) -> Result<(Request, Entities), String> {
    let context = [("now".to_owned(), datetime(now))];
    request("Slm::Collector", action, uid(entity.as_str(), resource.id.as_str())?, attributes(resource), context)
}

/// The decision and the ids of the policies that made it; any error is an error.
///
/// # Errors
/// When a policy failed.
pub fn answer(response: &Response) -> Result<(Decision, Vec<String>), String> {
    if let Some(first) = response.diagnostics().errors().map(ToString::to_string).min() {
        return Err(first);
    }
    let mut reasons: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
    reasons.sort();
    Ok((response.decision(), reasons))
}

fn attributes(resource: &Resource) -> HashMap<String, RestrictedExpression> {
    resource.facts().map(|(name, fact)| (name.to_string(), expression(fact))).collect()
}

fn request(
    principal: &str,
    action: &str,
    resource: EntityUid,
    attributes: HashMap<String, RestrictedExpression>,
    context: impl IntoIterator<Item = (String, RestrictedExpression)>,
) -> Result<(Request, Entities), String> {
    let entity = Entity::new(resource.clone(), attributes, HashSet::new()).map_err(|error| error.to_string())?;
    let entities = Entities::from_entities([entity], None).map_err(|error| error.to_string())?;
    let context = Context::from_pairs(context).map_err(|error| error.to_string())?;
    let action = EntityUid::from_str(action).map_err(|error| error.to_string())?;
    let request = Request::new(uid(principal, "slm")?, action, resource, context, None).map_err(|error| error.to_string())?;
    Ok((request, entities))
}

/// Whether one policy is satisfied, permit or forbid alike.
pub(super) fn holds(policy: &Policy, entity: &EntityType, resource: &Resource, now: Timestamp) -> Result<bool, String> {
    let action = match policy.action_constraint() {
        cedar_policy::ActionConstraint::Eq(action) => action.to_string(),
        _ => return Err("the policy does not name one action".to_owned()),
    };
    let set = PolicySet::from_policies([policy.clone()]).map_err(|error| error.to_string())?;
    let (request, entities) = question(&action, entity, resource, now)?;
    answer(&Authorizer::new().is_authorized(&request, &set, &entities)).map(|(_, reasons)| !reasons.is_empty())
}

/// A credential as guards see it.
fn credential(facts: &GuardFacts) -> HashMap<String, RestrictedExpression> {
    let text = |value: &String| RestrictedExpression::new_string(value.clone());
    let attributes = [
        ("owner", text(&facts.owner)),
        ("kind", text(&facts.kind)),
        ("issuer", text(&facts.issuer)),
        ("overlap", RestrictedExpression::new_long(facts.overlap)),
        ("verifiable", RestrictedExpression::new_bool(facts.verifiable)),
        ("disable", RestrictedExpression::new_bool(facts.disable)),
        ("delete", RestrictedExpression::new_bool(facts.delete)),
        ("reread", RestrictedExpression::new_bool(facts.reread)),
        ("source", text(&facts.source)),
        ("consumers", RestrictedExpression::new_long(facts.consumers)),
    ];
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn guard(rules: &Rules, action: &str, facts: &GuardFacts, now: Timestamp) -> Verdict {
    let action = format!("Slm::Action::{action:?}");
    let attributes = credential(facts);
    let context = [
        ("now".to_owned(), datetime(now)),
        ("share_percent".to_owned(), RestrictedExpression::new_long(facts.share_percent)),
        ("incomplete".to_owned(), RestrictedExpression::new_bool(facts.incomplete)),
    ];
    let answered = policies(rules, &action).and_then(|set| {
        let credential = uid("Slm::Credential", &facts.credential)?;
        let (request, entities) = request("Slm::Runner", &action, credential, attributes, context)?;
        answer(&Authorizer::new().is_authorized(&request, &set, &entities))
    });
    match answered {
        Err(error) => Verdict::Error(error),
        Ok((Decision::Allow, reasons)) => Verdict::Permitted(reasons.iter().map(RuleId::from).collect()),
        Ok((Decision::Deny, reasons)) if reasons.is_empty() => Verdict::NothingPermits,
        Ok((Decision::Deny, reasons)) => Verdict::Forbidden(reasons.iter().map(RuleId::from).collect()),
    }
}
