//! Checked raw shapes become the model. Nothing is judged here: a shape that cannot be compiled was complained about before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checks::Repo;
use super::text::{Doc, Item};
use super::{Files, attestations, is_policy, notify, raw, rules};
use crate::model::catalog::{
    Catalog, Consumer, ConsumerKind, Control, ControlLines, Credential, Criterion, Exception, Framework, People, PolicyFile,
    RotationPolicy, SecretRef, Settings, SourceKind,
};
use crate::model::notify::NotifyKind;
use crate::model::snapshot::Value;
use crate::model::time::Limit;

/// The catalog; `None` when something is missing that the checks complain about.
pub fn catalog(repo: &Repo<'_>, files: &Files) -> Option<Catalog> {
    let file = |path: &String, text: &String| PolicyFile { path: path.clone(), text: Arc::from(text.as_str()) };
    let (path, text) = files.0.get_key_value(rules::SCHEMA)?;
    Some(Catalog {
        settings: settings(&repo.settings.as_ref()?.raw)?,
        controls: repo.controls.iter().map(|item| (item.raw.id.as_str().into(), control(item))).collect(),
        frameworks: repo.frameworks.iter().map(|item| (item.raw.id.as_str().into(), framework(item))).collect(),
        credentials: repo.credentials.iter().map(|item| Some((item.doc.stem.into(), credential(item)?))).collect::<Option<_>>()?,
        exceptions: repo.exceptions.iter().map(|item| (item.doc.stem.into(), exception(item))).collect(),
        attestations: repo
            .attestations
            .iter()
            .filter_map(|item| Some((item.doc.path.to_owned(), attestations::attestation(item)?)))
            .collect(),
        policies: files.0.iter().filter(|(path, _)| is_policy(path)).map(|(path, text)| file(path, text)).collect(),
        schema: file(path, text),
    })
}

fn settings(raw: &raw::Settings) -> Option<Settings> {
    let source = |source: &raw::Source| match source {
        raw::Source { aws: Some(aws), .. } => Some(SourceKind::Aws(aws.clone())),
        raw::Source { github: Some(github), .. } => Some(SourceKind::Github(github.clone())),
        raw::Source { vault: Some(vault), .. } => Some(SourceKind::Vault(vault.clone())),
        raw::Source { git, .. } => git.clone().map(SourceKind::Git),
    };
    Some(Settings {
        owner: raw.owner.clone(),
        locker: raw.locker.clone(),
        limits: raw.limits.clone(),
        tiers: raw.tiers.limits.clone(),
        default_tier: raw.tiers.default.clone(),
        registers: raw.registers.clone(),
        people: raw.source.iter().filter_map(|(name, source)| Some((name.into(), people(source)?))).collect(),
        sources: raw.source.iter().map(|(name, kind)| Some((name.into(), source(kind)?))).collect::<Option<_>>()?,
        notify: of_kind(raw, NotifyKind::Slack, notify::compiled)?,
        issues: of_kind(raw, NotifyKind::Github, notify::compiled_issues)?,
        alerts: raw.alert.iter().map(notify::compiled_alert).collect(),
    })
}

/// The notifiers of one kind.
fn of_kind<T>(raw: &raw::Settings, kind: NotifyKind, compiled: fn(&raw::Notify) -> Option<T>) -> Option<BTreeMap<String, T>> {
    let named = raw.notify.iter().filter(|(_, one)| one.kind == kind);
    named.map(|(name, one)| Some((name.clone(), compiled(one)?))).collect()
}

fn people(source: &raw::Source) -> Option<People> {
    let people = source.people.as_ref()?.iter().cloned().collect();
    Some(People { people, not_people: source.not_people.clone() })
}

fn control(Item { doc, raw }: &Item<'_, raw::Control>) -> Control {
    let raw = raw.clone();
    let scalar = |scalar| match scalar {
        raw::Scalar::Bool(yes) => Value::Bool(yes),
        raw::Scalar::Long(number) => Value::Long(number),
        raw::Scalar::Text(text) => Value::Text(text.into()),
    };
    let events = [("cloudtrail", raw.events.cloudtrail), ("github", raw.events.github), ("datadog", raw.events.datadog)];
    Control {
        id: raw.id.into(),
        title: raw.title,
        statement: raw.statement,
        kind: raw.kind,
        severity: raw.severity,
        owner: raw.owner,
        remedy: raw.remedy,
        collect_every: raw.collect_every,
        evidence_ttl: raw.evidence_ttl,
        entities: raw.population.entities.into_iter().map(Into::into).collect(),
        population: raw.population.definition,
        applies_where: raw.population.applies_where.into_iter().map(|(name, value)| (name.into(), scalar(value))).collect(),
        requires: raw.rule.requires.into_iter().map(Into::into).collect(),
        criteria: raw
            .criteria
            .into_iter()
            .map(|(framework, criteria)| (framework.into(), criteria.into_iter().map(Into::into).collect()))
            .collect(),
        criteria_reviewer: raw.criteria_reviewer.filter(|name| !name.trim().is_empty()),
        artefact: raw.artefact,
        api: raw.api,
        events: events.into_iter().filter(|(_, names)| !names.is_empty()).map(|(kind, names)| (kind.to_owned(), names)).collect(),
        needs: raw.needs,
        place: doc.whole(),
        lines: lines(doc),
    }
}

fn lines(doc: &Doc<'_>) -> ControlLines {
    ControlLines {
        id: doc.line(&["id"]),
        entities: doc.line(&["population", "entities"]),
        applies_where: doc.line(&["population", "where"]),
        requires: doc.line(&["rule", "requires"]),
        evidence_ttl: doc.line(&["evidence-ttl"]),
    }
}

fn framework(Item { doc, raw }: &Item<'_, raw::Framework>) -> Framework {
    let criterion = |raw: &raw::Criterion| {
        let known = Criterion {
            title: raw.title.clone(),
            group: raw.group.clone(),
            summary: raw.summary.clone().unwrap_or_default(),
            manual: raw.manual.unwrap_or(false),
        };
        (raw.id.as_str().into(), known)
    };
    Framework {
        id: raw.id.as_str().into(),
        name: raw.name.clone(),
        criteria: raw.criterion.iter().map(criterion).collect(),
        place: doc.whole(),
    }
}

/// Seconds that one invocation of a function of Lambda may go on with what it has read.
const INVOCATION: i64 = 15 * 60;

fn credential(Item { doc, raw }: &Item<'_, raw::Credential>) -> Option<Credential> {
    let raw = raw.clone();
    let consumer = |raw: raw::Consumer| {
        let file = raw.file.map(ConsumerKind::File);
        let secret = raw.github_actions_secret.map(ConsumerKind::GithubActionsSecret);
        let workflow = raw.github_workflow_dispatch.map(ConsumerKind::GithubWorkflowDispatch);
        let own =
            raw.webhook.map(ConsumerKind::Webhook).or(raw.exec.map(ConsumerKind::Exec)).or(raw.agent.map(ConsumerKind::Agent));
        let lasts = raw.lambda.as_ref().map(|function| function.extension_ttl.unwrap_or(Limit::seconds(0)));
        let cluster = raw.kubernetes_workload.map(ConsumerKind::KubernetesWorkload);
        let service = raw.ecs_service.map(ConsumerKind::EcsService);
        let deployed = cluster.or(service).or(raw.lambda.map(ConsumerKind::Lambda));
        let reader = raw.self_refreshing.map(ConsumerKind::SelfRefreshing);
        let kind = file.or(secret).or(workflow).or(own).or(deployed).or(reader)?;
        let max_staleness = match (raw.max_staleness, lasts) {
            (given, Some(kept)) => given.map_or(Limit::seconds(kept.as_seconds() + INVOCATION), |given| given.max(kept)),
            (given, None) => given.unwrap_or(Limit::seconds(0)),
        };
        let (canary, letters, principals) = (raw.canary, raw.letters, raw.principals);
        Some(Consumer { id: raw.id.into(), kind, canary, max_staleness, letters, principals })
    };
    let mut consumers: Vec<Consumer> = raw.consumer.into_iter().map(consumer).collect::<Option<_>>()?;
    // A run takes up the secrets that are there when it begins.
    consumers.sort_by_key(|one| matches!(one.kind, ConsumerKind::GithubWorkflowDispatch(_)));
    Some(Credential {
        id: doc.stem.into(),
        title: raw.title,
        owner: raw.owner,
        satisfies: raw.satisfies.into_iter().map(Into::into).collect(),
        secret: SecretRef {
            source: raw.secret.source.into(),
            region: raw.secret.region.unwrap_or_else(|| ".".to_owned()),
            name: raw.secret.name,
        },
        leak: raw.leak.triggers,
        after: raw.after.into_iter().map(Into::into).collect(),
        rotator: raw.rotator.kind()?,
        policy: RotationPolicy {
            rotate_every: raw.policy.rotate_every,
            jitter: raw.policy.jitter,
            attempts: raw.policy.attempts,
            lease: raw.policy.lease,
            allow_gap: raw.policy.allow_gap,
            max_validity: raw.policy.max_validity,
            not_before: raw.policy.not_before,
            windows: raw.policy.windows,
            freeze: raw.policy.freeze,
            ended_elsewhere: raw.policy.ended_elsewhere.into_iter().map(Into::into).collect(),
        },
        gate: raw.gate.unwrap_or_default(),
        consumers,
        place: doc.whole(),
    })
}

/// One exception.
pub fn exception(Item { doc, raw }: &Item<'_, raw::Exception>) -> Exception {
    let raw = raw.clone();
    Exception {
        id: doc.stem.into(),
        control: raw.control.into(),
        resource: raw.resource.into(),
        reason: raw.reason,
        compensating: raw.compensating,
        ticket: raw.ticket,
        requester: raw.requester,
        approver: raw.approver,
        approved: raw.approved,
        earlier: raw.earlier,
        expires: raw.expires,
        place: doc.whole(),
    }
}
