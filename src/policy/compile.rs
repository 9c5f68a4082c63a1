//! Text to compiled policies: ids from `@id`, slices by action, one generated permit for each exception.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Effect as CedarEffect, Policy, PolicyId};

use super::native::Native;
use super::parse::{Parsed, parse_all};
use super::{Effect, Rule, Rules, RulesError};
use crate::model::catalog::{Catalog, Exception};
use crate::model::id::{EntityType, ExceptionId, RuleId};
use crate::model::time::Timestamp;

/// Parses files by path and text.
pub(super) fn parse(files: &[(&str, &str)]) -> Result<Vec<Parsed>, RulesError> {
    let texts: Vec<&str> = files.iter().map(|(_, text)| *text).collect();
    let named = files.iter().zip(parse_all(&texts));
    named.map(|((path, _), parsed)| parsed.map_err(|error| RulesError(format!("{path}: {error}")))).collect()
}

pub(super) fn compile(catalog: &Catalog, parsed: &[Parsed]) -> Result<Rules, RulesError> {
    let mut slices: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    for (file, parsed) in catalog.policies.iter().zip(parsed) {
        add(&mut slices, &file.path, parsed, None)?;
    }
    let mut permits = Vec::new();
    for exception in catalog.exceptions.values() {
        let entities = catalog.controls.get(&exception.control).map_or(&[][..], |control| control.entities.as_slice());
        permits.extend(entities.iter().map(|entity| (&exception.id, permit(exception, entity))));
    }
    let texts: Vec<_> = permits.iter().map(|(_, text)| ("", text.as_str())).collect();
    for ((exception, _), parsed) in permits.iter().zip(parse(&texts)?) {
        add(&mut slices, "", &parsed, Some(exception))?;
    }
    Ok(Rules { slices })
}

fn add(
    slices: &mut BTreeMap<String, Vec<Rule>>,
    file: &str,
    parsed: &Parsed,
    exception: Option<&ExceptionId>,
) -> Result<(), RulesError> {
    let mut policies: Vec<&Policy> = parsed.set.policies().collect();
    policies.sort_by_key(|policy| order(policy));
    for policy in policies {
        let id = policy.annotation("id").map_or_else(|| policy.id().to_string(), str::to_owned);
        let ActionConstraint::Eq(action) = policy.action_constraint() else {
            return Err(RulesError(format!("{file}: policy `{id}` must name one action with `action ==`")));
        };
        slices.entry(action.to_string()).or_default().push(Rule {
            exception: exception.cloned(),
            effect: if policy.effect() == CedarEffect::Permit { Effect::Permit } else { Effect::Forbid },
            file: file.to_owned(),
            text: Arc::from(parsed.text(policy.id()).unwrap_or_default()),
            native: Native::compile(policy),
            policy: policy.new_id(PolicyId::new(&id)),
            id: RuleId::from(id),
        });
    }
    Ok(())
}

/// Cedar numbers policies `policy0…` in file order.
fn order(policy: &Policy) -> u32 {
    policy.id().to_string().trim_start_matches("policy").parse().unwrap_or(u32::MAX)
}

/// The permit an exception stands for: one resource, from approval until it lapses.
fn permit(exception: &Exception, entity: &EntityType) -> String {
    let mut text = String::new();
    let quoted = |raw: &str| format!("{raw:?}");
    let _ = write!(
        text,
        "@id({id})\n@exception({name})\npermit (\n  principal is Slm::Collector,\n  action == Control::Action::{control},\n  resource == {entity}::{resource}\n) when {{\n  \
         context.now >= datetime({from}) && context.now < datetime({until})\n}};\n",
        id = quoted(&format!("exception:{}", exception.id)),
        name = quoted(exception.id.as_str()),
        control = quoted(exception.control.as_str()),
        resource = quoted(exception.resource.as_str()),
        from = quoted(&stamp(exception.approved)),
        until = quoted(&stamp(exception.expires)),
    );
    text
}

/// An instant as Cedar's `datetime()` reads it.
fn stamp(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
