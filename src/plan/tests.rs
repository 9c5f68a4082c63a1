//! Plans over built worlds.

use std::sync::Arc;

use super::lint::lint;
use super::*;
use crate::model::assessment::{Because, Decision, Gap, Status, Subject};
use crate::model::catalog::*;
use crate::model::id::{ConsumerId, ControlId, ResourceId, VersionId};
use crate::model::made::{self, ago, consumer, now};
use crate::model::plan::{Action, ActionKind, HeldBecause, Reason, rotation_id};
use crate::model::receipt::Receipt;
use crate::model::rotator::{Alphabet, RandomValue, RotatorConfig};
use crate::model::snapshot::{CONSUMER_ENTITY, Completeness, Population, ROTATION_ENTITY, Resource, Unseen, VALUE_ENTITY, Value};
use crate::model::standing::Standing;
use crate::model::time::{Limit, Timestamp};

const GUARDS: &str = r#"
@id("may-rotate") permit (principal, action == Slm::Action::"rotate", resource) when { !context.incomplete };
@id("may-deliver") permit (principal, action == Slm::Action::"deliver", resource);
"#;

fn text(value: &str) -> Value {
    Value::Text(Arc::from(value))
}

/// A config repo, what was seen and what was judged.
struct World {
    catalog: Catalog,
    vault: Population,
    consumers: Population,
    rotations: Option<Resource>,
    values: Population,
    others: Vec<Population>,
    receipts: Vec<Receipt>,
    facts: Facts,
    decisions: Vec<Decision>,
    gaps: Vec<Gap>,
    forced: Vec<CredentialId>,
}

fn population(entity: &str) -> Population {
    Population {
        source: "local".into(),
        scope: ".".to_owned(),
        entity: entity.into(),
        completeness: Completeness::Complete,
        resources: Arc::default(),
    }
}

fn control(id: &str) -> Control {
    let criteria = [("soc2".into(), vec!["CC6.1".into()]), ("hipaa".into(), vec!["164.312(d)".into()])].into();
    Control { criteria, ..made::control(id) }
}

fn credential(id: &str) -> Credential {
    Credential { consumers: ["app", "worker"].map(consumer).into(), ..made::credential(id) }
}

/// The receipt of a collection of `source` that called as `caller`.
fn called_as(source: &str, caller: &str) -> Receipt {
    Receipt {
        source: source.into(),
        collector: "iam".to_owned(),
        scope: ".".to_owned(),
        caller: Some(caller.to_owned()),
        completeness: Completeness::Complete,
        operations: Vec::new(),
        independent_count: None,
        source_clock: None,
        effective: None,
        started: now(),
        ended: now(),
        raw: Vec::new(),
    }
}

fn world() -> World {
    let settings = Settings { limits: RunLimits { rotate_percent: 100, ..RunLimits::default() }, ..made::settings() };
    let file = |path: &str, text: &str| PolicyFile { path: path.to_owned(), text: Arc::from(text) };
    let catalog = Catalog {
        settings,
        controls: [("ROT-01".into(), control("ROT-01"))].into(),
        frameworks: [].into(),
        credentials: [].into(),
        exceptions: [].into(),
        attestations: [].into(),
        policies: vec![file("policies/guards.cedar", GUARDS)],
        schema: file("policies/schema.cedarschema", "namespace Slm { entity Runner; }"),
    };
    World {
        catalog,
        vault: population("Vault::Secret"),
        consumers: population(CONSUMER_ENTITY),
        rotations: None,
        values: population(VALUE_ENTITY),
        others: Vec::new(),
        receipts: Vec::new(),
        facts: Facts::default(),
        decisions: Vec::new(),
        gaps: Vec::new(),
        forced: Vec::new(),
    }
}

impl World {
    /// Declares `id`; it has no value.
    fn declared(mut self, id: &str) -> Self {
        self.catalog.credentials.insert(id.into(), credential(id));
        self
    }

    /// Declares `id` with a value `days` old, and the version `v-<id>`.
    fn aged(self, id: &str, days: i64) -> Self {
        let facts = [("last_rotated", Value::Time(ago(days))), ("version", text(&format!("v-{id}")))];
        self.declared(id).secret(&format!("app/{id}"), &facts).fact(id, "declared", Value::Bool(true))
    }

    fn secret(mut self, name: &str, facts: &[(&str, Value)]) -> Self {
        let mut facts: Vec<_> = facts.iter().map(|(name, value)| (Arc::from(*name), value.clone())).collect();
        facts.push((Arc::from("name"), text(name)));
        Arc::make_mut(&mut self.vault.resources).push(Resource::new(name.into(), facts));
        self
    }

    fn fact(mut self, id: &str, name: &str, value: Value) -> Self {
        let resource = format!("app/{id}");
        Arc::make_mut(&mut self.vault.resources).iter_mut().find(|it| it.id.as_str() == resource).unwrap().set(name, value);
        self
    }

    fn acknowledged(mut self, id: &str, consumer: &str, stored: &str, running: &str) -> Self {
        let facts = [("credential", id), ("consumer", consumer), ("stored", stored), ("running", running)];
        let facts = facts.map(|(name, value)| (Arc::from(name), text(value)));
        Arc::make_mut(&mut self.consumers.resources).push(Resource::new(format!("{id}/{consumer}").into(), facts.into()));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn guards(self, text: &str) -> Self {
        self.with(|world| world.catalog.policies[0].text = Arc::from(text))
    }

    fn judged(mut self, control: &str, resource: &str, status: Status, because: Because) -> Self {
        self.decisions.push(Decision {
            control: control.into(),
            subject: Subject::Resource { entity: self.vault.entity.clone(), id: resource.into() },
            status,
            because,
            observed: Vec::new(),
            flips_at: None,
        });
        self
    }

    fn breached(self, control: &str, resource: &str) -> Self {
        self.judged(control, resource, Status::NonCompliant, Because::NothingPermits)
    }

    fn gap(self, control: &str, because: Because) -> Self {
        let gap = Gap { control: control.into(), reason: "why".to_owned() };
        self.judged(control, "app/db", Status::NoEvidence, because).with(|world| world.gaps.push(gap))
    }

    /// Has `look` see the world as a plan is made from it.
    fn seen<T>(mut self, look: impl FnOnce(&Input<'_>) -> T) -> T {
        Arc::make_mut(&mut self.vault.resources).sort_by(|a, b| a.id.cmp(&b.id));
        Arc::make_mut(&mut self.consumers.resources).sort_by(|a, b| a.id.cmp(&b.id));
        let rules = Rules::compile(&self.catalog).unwrap();
        let mut rotations = population(ROTATION_ENTITY);
        rotations.resources = self.rotations.into_iter().collect::<Vec<_>>().into();
        let populations = [self.others, vec![self.consumers, rotations, self.values, self.vault]].concat();
        let snapshot = Snapshot { taken: now(), populations, receipts: self.receipts };
        let assessment = Assessment { at: now(), decisions: self.decisions.into(), gaps: self.gaps, unused_exceptions: Vec::new() };
        look(&Input {
            catalog: &self.catalog,
            rules: &rules,
            snapshot: &snapshot,
            assessment: &assessment,
            config: "work-tree".to_owned(),
            digest: "00".to_owned(),
            forced: &self.forced,
            facts: &self.facts,
        })
    }

    fn plan(self) -> Plan {
        self.seen(|input| {
            let plan = plan(input);
            assert_eq!(lint(&plan, input.catalog), Vec::<String>::new());
            plan
        })
    }

    /// How `id` stands when its rotation was seen as `rotation`.
    fn standing(mut self, id: &str, rotation: Resource) -> Standing {
        self.rotations = Some(rotation);
        self.seen(|input| standing::standing(input, &input.catalog.credentials[&CredentialId::from(id)]))
    }
}

/// A kind in one line: `rotate db v-db`.
fn line(kind: &ActionKind) -> String {
    let names = |ids: &[ConsumerId]| ids.iter().map(ConsumerId::as_str).collect::<Vec<_>>().join("+");
    match kind {
        ActionKind::Rotate { credential, generation, .. } => {
            format!("rotate {credential} {}", generation.as_ref().map_or("none", VersionId::as_str))
        }
        ActionKind::Deliver { credential, generation, consumers, .. } => {
            format!("deliver {credential} {generation} {}", names(consumers))
        }
        ActionKind::Finish { credential, generation, .. } => format!("finish {credential} {generation}"),
        ActionKind::Collect { control } => format!("collect {control}"),
        ActionKind::Escalate { control, resource, owner } => {
            format!("escalate {control} {} {owner}", resource.as_ref().map_or("all", ResourceId::as_str))
        }
        ActionKind::EscalateCredential { credential, owner } => format!("ask {owner} {credential}"),
        ActionKind::Verify { credential, generation, .. } => format!("verify {credential} {generation}"),
        ActionKind::Adopt { resource, control } => format!("adopt {resource} {control}"),
    }
}

fn actions(plan: &Plan) -> Vec<String> {
    plan.actions.iter().map(|action| line(&action.kind)).collect()
}

fn held(plan: &Plan) -> Vec<(String, HeldBecause)> {
    plan.held.iter().map(|held| (line(&held.kind), held.because.clone())).collect()
}

mod aws_managed;
mod broken;
mod by_hand;
mod derived;
mod findings;
mod github;
mod leak;
mod lints;
mod managed;
mod needs;
mod outlook;
mod preflight;
mod readers;
mod rights;
mod spent;
mod stages;
mod usage;
