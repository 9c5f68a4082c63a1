//! The Cedar side of a config repo: every policy parsed, validated strictly, and tied to the control it judges.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cedar_policy::{ActionConstraint, Effect, PolicyId, PolicySet, ResourceConstraint, Schema, ValidationMode, Validator};
use cedar_policy_core::validator::ValidatorSchema;
use miette::Diagnostic as Located;

use super::text::{error, one_line, printable, visible, warning};
use super::{cedar, near, observed, plain_schema, tokens, traps};
use crate::model::diagnostic::{Diagnostic, Place};
use crate::policy::parse::{Parsed, parse, parse_all};

/// Where the schema stands.
pub const SCHEMA: &str = "policies/schema.cedarschema";
/// Entity type of the actions that are controls.
const CONTROL: &str = "Control::Action";
/// Entity type of the actions that are guarded.
const GUARD: &str = "Slm::Action";

/// One policy that judges a control.
pub struct Rule {
    /// The id of the control in its action.
    pub control: String,
    /// True for `permit`: without one, nothing meets the control.
    pub permits: bool,
    /// The whole policy.
    pub place: Place,
    /// The one entity type it is limited to.
    pub only: Option<String>,
    /// Attributes of the resource it reads, and where.
    pub reads: Vec<(String, Range<usize>)>,
}

/// Names the schema declares.
pub struct Names {
    /// Attributes by entity type.
    pub entities: BTreeMap<String, BTreeSet<String>>,
    /// Entity types judged, by the id of the action that is a control.
    pub controls: BTreeMap<String, BTreeSet<String>>,
}

/// Everything Cedar in the repo.
pub struct Rules {
    /// Names of the schema; `None` when it is missing or wrong.
    pub names: Option<Names>,
    /// Policies that judge a control.
    pub rules: Vec<Rule>,
    /// What was parsed, file by file.
    pub parsed: Vec<Parsed>,
    /// True when every policy file parsed: only then may the absence of a rule be concluded.
    pub complete: bool,
}

/// Reads the schema and the policy files, and says everything Cedar has to say about them.
pub fn read<'a>(schema: Option<&str>, files: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<Diagnostic>) -> Rules {
    let schema = schema.and_then(|text| read_schema(text, out));
    let mut rules = Rules { names: None, rules: Vec::new(), parsed: Vec::new(), complete: true };
    let mut ids = BTreeSet::new();
    let mut light = Vec::new();
    for (path, text) in files {
        match too_heavy(path, text) {
            None => light.push((path, text)),
            Some(heavy) => {
                rules.complete = false;
                out.push(heavy);
            }
        }
    }
    let texts: Vec<&str> = light.iter().map(|(_, text)| *text).collect();
    for ((path, text), parsed) in light.into_iter().zip(parse_all(&texts)) {
        match parsed {
            Ok(parsed) => {
                let file = File { path, text, policies: tokens::policies(text) };
                file.ties(&parsed, &mut ids, &mut rules.rules, out);
                if let Some((schema, _)) = schema.as_ref().filter(|(schema, _)| !cedar::surely_valid(&parsed.set, text, schema))
                    && let Ok(alone) = parse(text)
                {
                    file.validate(&Validator::new(schema.clone()), &alone.set, out);
                }
                rules.parsed.push(parsed);
            }
            Err(wrong) => {
                rules.complete = false;
                out.extend(wrong.iter().map(|wrong| complaint("slm::cedar-syntax", (path, text), wrong, 0..0)));
            }
        }
    }
    rules.names = schema.map(|(_, names)| names);
    rules
}

/// The schema as Cedar reads it, with all that it has to say.
fn cedars(text: &str, out: &mut Vec<Diagnostic>) -> Option<Schema> {
    match Schema::from_cedarschema_str(text) {
        Ok((schema, warnings)) => {
            out.extend(warnings.map(|wrong| warning("slm::cedar-schema", whole(SCHEMA), one_line(&wrong.to_string()), None)));
            Some(schema)
        }
        Err(wrong) => {
            out.push(complaint("slm::cedar-schema", (SCHEMA, text), &wrong, 0..0));
            None
        }
    }
}

fn read_schema(text: &str, out: &mut Vec<Diagnostic>) -> Option<(Schema, Names)> {
    if let Some(heavy) = too_heavy(SCHEMA, text) {
        out.push(heavy);
        return None;
    }
    let schema = match plain_schema::schema(text) {
        Some(schema) => schema,
        None => cedars(text, out)?,
    };
    let kinds = AsRef::<ValidatorSchema>::as_ref(&schema).entity_types();
    let attributes = kinds.map(|kind| (kind.name().to_string(), kind.attributes().keys().map(ToString::to_string).collect()));
    let entities = attributes.collect();
    let actions = schema.actions().filter(|uid| uid.type_name().to_string() == CONTROL);
    let judged = |uid| schema.resources_for_action(uid).into_iter().flatten().map(ToString::to_string).collect();
    let controls = actions.map(|uid| (uid.id().unescaped().to_owned(), judged(uid))).collect();
    Some((schema, Names { entities, controls }))
}

/// Complains about text that Cedar cannot parse without risking the stack.
fn too_heavy(path: &str, text: &str) -> Option<Diagnostic> {
    let span = tokens::too_heavy(text, path == SCHEMA)?;
    let help = Some("split it into several policies, or take brackets away".to_owned());
    Some(error(
        "slm::too-deep",
        Place { file: path.to_owned(), span: visible(text, span) },
        "this nests too deep to be read safely",
        help,
    ))
}

struct File<'a> {
    path: &'a str,
    text: &'a str,
    policies: Vec<Range<usize>>,
}

impl File<'_> {
    /// Ties every policy to its control or guard.
    fn ties(&self, parsed: &Parsed, ids: &mut BTreeSet<String>, rules: &mut Vec<Rule>, out: &mut Vec<Diagnostic>) {
        for template in parsed.set.templates() {
            let message = "a policy with slots is a template, and templates are never linked";
            out.push(error(
                "slm::cedar-template",
                self.place(template.id()),
                message,
                Some("write the entity in place of the slot".to_owned()),
            ));
        }
        let mut policies: Vec<_> = parsed.set.policies().collect();
        policies.sort_by_key(|policy| self.span(policy.id()).start);
        for policy in policies {
            let place = self.place(policy.id());
            match policy.annotations().find_map(|(key, id)| (key == "id").then_some(id)) {
                None | Some("") => {
                    let help = "annotate it as in `@id(\"ROT-01\")`".to_owned();
                    out.push(error("slm::policy-without-id", place.clone(), "policy without `@id`", Some(help)));
                }
                Some(id) if !ids.insert(id.to_owned()) => {
                    out.push(error("slm::duplicate-rule", place.clone(), format!("`@id(\"{id}\")` is already taken"), None));
                }
                Some(_) => {}
            }
            let actions = match policy.action_constraint() {
                ActionConstraint::Any => Vec::new(),
                ActionConstraint::Eq(action) => vec![action],
                ActionConstraint::In(actions) => actions,
            };
            let kind = |wanted: &str| !actions.is_empty() && actions.iter().all(|uid| uid.type_name().to_string() == wanted);
            if kind(CONTROL) {
                let permits = policy.effect() == Effect::Permit;
                let only = match policy.resource_constraint() {
                    ResourceConstraint::Is(only) | ResourceConstraint::IsIn(only, _) => Some(only.to_string()),
                    ResourceConstraint::Any | ResourceConstraint::Eq(_) | ResourceConstraint::In(_) => None,
                };
                let (text, from) = (self.text.get(place.span.clone()).unwrap_or_default(), place.span.start);
                let reads = observed::reads(text).into_iter();
                let reads: Vec<_> = reads.map(|(name, span)| (name.to_owned(), from + span.start..from + span.end)).collect();
                rules.extend(actions.iter().map(|uid| {
                    let control = uid.id().unescaped().to_owned();
                    Rule { control, permits, place: place.clone(), only: only.clone(), reads: reads.clone() }
                }));
            } else if !kind(GUARD) {
                let help = format!("name one action, as in `action == {CONTROL}::\"ROT-01\"` or `action == {GUARD}::\"rotate\"`");
                out.push(error(
                    "slm::policy-without-action",
                    place.clone(),
                    "policy is neither a rule of one control nor a guard",
                    Some(help),
                ));
            }
            if traps::may_be_in(self.text.get(place.span.clone()).unwrap_or_default()) {
                out.extend(traps::find(policy, self.text, &place));
            }
        }
    }

    /// Strict validation, errors and warnings.
    fn validate(&self, validator: &Validator, set: &PolicySet, out: &mut Vec<Diagnostic>) {
        let result = validator.validate(set, ValidationMode::Strict);
        for wrong in result.validation_errors() {
            out.push(self.named(
                set,
                wrong.policy_id(),
                complaint("slm::cedar-type", (self.path, self.text), wrong, self.span(wrong.policy_id())),
            ));
        }
        for wrong in result.validation_warnings() {
            let found = complaint("slm::cedar-warning", (self.path, self.text), wrong, self.span(wrong.policy_id()));
            let found = Diagnostic { severity: crate::model::diagnostic::Severity::Warning, ..found };
            out.push(self.named(set, wrong.policy_id(), found));
        }
    }

    /// Names a policy by its `@id` where Cedar names it by its position.
    fn named(&self, set: &PolicySet, policy: &PolicyId, mut found: Diagnostic) -> Diagnostic {
        if let Some(id) = set.annotation(policy, "id") {
            found.message = found.message.replace(&format!("policy `{policy}`"), &format!("rule `{}`", printable(id.to_owned())));
        }
        found
    }

    /// The policy at the position that Cedar put in its name: `policy3`.
    fn span(&self, policy: &PolicyId) -> Range<usize> {
        let name: &str = policy.as_ref();
        let position = name.strip_prefix("policy").and_then(|position| position.parse::<usize>().ok());
        position.and_then(|position| self.policies.get(position)).cloned().unwrap_or(0..0)
    }

    fn place(&self, policy: &PolicyId) -> Place {
        Place { file: self.path.to_owned(), span: self.span(policy) }
    }
}

fn whole(path: &str) -> Place {
    Place { file: path.to_owned(), span: 0..0 }
}

/// What Cedar says, at the first place it names.
fn complaint(code: &'static str, (path, text): (&str, &str), wrong: &dyn Located, otherwise: Range<usize>) -> Diagnostic {
    let label = wrong.labels().and_then(|mut labels| labels.next());
    let span = label.map_or(otherwise, |label| visible(text, label.offset()..label.offset().saturating_add(label.len())));
    let help = wrong.help().map(|help| one_line(&help.to_string()));
    error(code, Place { file: path.to_owned(), span }, one_line(&wrong.to_string()), help)
}

/// A next step for a name that the schema does not have.
pub fn help<'a>(wrong: &str, names: impl Iterator<Item = &'a String> + Clone) -> Option<String> {
    near::did_you_mean(wrong, names.clone().map(String::as_str))
        .or_else(|| Some(format!("declare it in `{SCHEMA}`, or use one of {}", near::list(names.take(12).map(String::as_str)))))
}
