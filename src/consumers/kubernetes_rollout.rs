//! How far the roll-out of a workload is, by its own status: the rules of `kubectl rollout status`, for all of its pods.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::kubernetes_pods::Selector;
use crate::model::catalog::KubernetesConsumer;

/// A Deployment, a StatefulSet or a DaemonSet, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    /// Who it is.
    pub metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

/// Of an object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    /// Never the same for another object.
    pub uid: String,
    #[serde(default)]
    generation: i64,
    /// Another after every change.
    pub resource_version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    replicas: Option<i64>,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    selector: Selector,
    template: Template,
    update_strategy: Option<UpdateStrategy>,
}

#[derive(Debug, Default, Deserialize)]
struct Template {
    #[serde(default)]
    metadata: TemplateMetadata,
}

#[derive(Debug, Default, Deserialize)]
struct TemplateMetadata {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct UpdateStrategy {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Of all three kinds: what one does not have is absent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
    terminating_replicas: Option<i64>,
    current_revision: Option<String>,
    update_revision: Option<String>,
    desired_number_scheduled: Option<i64>,
    updated_number_scheduled: i64,
    number_available: i64,
    conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
}

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rollout {
    /// Every pod is of the template and available, and there is no other.
    Done,
    /// So many of so many pods are.
    Going(i64, i64),
    /// It will not get there by itself.
    Stuck(&'static str),
}

impl Object {
    /// The annotation `name` of its pods.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.spec.template.metadata.annotations.get(name).map(String::as_str)
    }

    /// Pods that are ending; `None` when its status does not tell: that of a Deployment alone does, and not of every server.
    pub const fn ending(&self) -> Option<i64> {
        self.status.terminating_replicas
    }

    /// Which pods are of it.
    pub const fn selector(&self) -> &Selector {
        &self.spec.selector
    }

    /// Why a changed template would bring about nothing.
    pub fn idle(&self) -> Option<&'static str> {
        let on_delete = self.spec.update_strategy.as_ref().and_then(|strategy| strategy.kind.as_deref()) == Some("OnDelete");
        match (self.spec.paused, on_delete) {
            (true, _) => Some("it is paused"),
            (_, true) => Some("its update strategy is `OnDelete`"),
            _ => None,
        }
    }

    /// How far it is.
    pub fn rollout(&self) -> Rollout {
        let status = &self.status;
        let (want, updated, available, all) = match status.desired_number_scheduled {
            Some(want) => (want, status.updated_number_scheduled, status.number_available, want),
            None => (self.spec.replicas.unwrap_or(1), status.updated_replicas, status.available_replicas, status.replicas),
        };
        if status.observed_generation < self.metadata.generation {
            return Rollout::Going(0, want);
        }
        let settled = status.update_revision.is_none() || status.update_revision == status.current_revision;
        if settled && [updated, available, all] == [want; 3] {
            return Rollout::Done;
        }
        let late =
            |one: &Condition| (&*one.kind, &*one.status, &*one.reason) == ("Progressing", "False", "ProgressDeadlineExceeded");
        match self.idle() {
            _ if status.conditions.iter().any(late) => Rollout::Stuck("its progress deadline is exceeded"),
            Some(why) => Rollout::Stuck(why),
            None => Rollout::Going(updated.min(available), want),
        }
    }
}

/// Path, kind and name of the workload.
pub(super) fn place(config: &KubernetesConsumer) -> Option<(String, &'static str, String)> {
    let (word, name) = config.workload.split_once('/')?;
    let (plural, kind) = match word {
        "deployment" => ("deployments", "Deployment"),
        "statefulset" => ("statefulsets", "StatefulSet"),
        "daemonset" => ("daemonsets", "DaemonSet"),
        _ => return None,
    };
    Some((format!("/apis/apps/v1/namespaces/{}/{plural}/{name}", config.namespace), kind, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rollout(spec: Value, status: Value) -> Rollout {
        let mut spec = spec;
        spec["template"] = json!({ "metadata": { "creationTimestamp": null } });
        let object = json!({ "metadata": { "uid": "u", "generation": 4 }, "spec": spec, "status": status });
        serde_json::from_value::<Object>(object).unwrap().rollout()
    }

    #[test]
    fn a_deployment_is_rolled_out_when_it_has_no_pod_of_another_template() {
        let all = json!({ "observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3 });
        let but = |key: &str, value: i64| {
            let mut status = all.clone();
            status[key] = value.into();
            rollout(json!({ "replicas": 3 }), status)
        };
        assert_eq!(but("replicas", 3), Rollout::Done);
        assert_eq!(but("observedGeneration", 5), Rollout::Done);
        assert_eq!(but("observedGeneration", 3), Rollout::Going(0, 3));
        assert_eq!(but("replicas", 4), Rollout::Going(3, 3));
        assert_eq!(but("updatedReplicas", 2), Rollout::Going(2, 3));
        assert_eq!(but("availableReplicas", 1), Rollout::Going(1, 3));
        assert_eq!(rollout(json!({ "replicas": 0 }), json!({ "observedGeneration": 4 })), Rollout::Done);
        assert_eq!(rollout(json!({}), json!({ "observedGeneration": 4 })), Rollout::Going(0, 1));
    }

    #[test]
    fn what_does_not_go_on_by_itself_is_stuck() {
        let condition = |status: &str, reason: &str| {
            let conditions = json!([
                { "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable" },
                { "type": "Progressing", "status": status, "reason": reason },
            ]);
            let status = json!({ "observedGeneration": 4, "replicas": 4, "updatedReplicas": 1, "availableReplicas": 3, "conditions": conditions });
            rollout(json!({ "replicas": 3 }), status)
        };
        assert_eq!(condition("False", "ProgressDeadlineExceeded"), Rollout::Stuck("its progress deadline is exceeded"));
        assert_eq!(condition("True", "ReplicaSetUpdated"), Rollout::Going(1, 3));
        let part = json!({ "observedGeneration": 4, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 3 });
        assert_eq!(rollout(json!({ "replicas": 3, "paused": true }), part.clone()), Rollout::Stuck("it is paused"));
        let on_delete = json!({ "replicas": 3, "updateStrategy": { "type": "OnDelete" } });
        assert_eq!(rollout(on_delete, part), Rollout::Stuck("its update strategy is `OnDelete`"));
    }

    #[test]
    fn a_stateful_set_has_one_revision_and_a_daemon_set_a_pod_on_each_node() {
        let stateful = |current: &str| {
            let status = json!({
                "observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2,
                "currentRevision": current, "updateRevision": "db-7c9",
            });
            rollout(json!({ "replicas": 2, "updateStrategy": { "type": "RollingUpdate" } }), status)
        };
        assert_eq!((stateful("db-7c9"), stateful("db-5f1")), (Rollout::Done, Rollout::Going(2, 2)));
        let daemon = |updated: i64, available: i64| {
            let status = json!({
                "observedGeneration": 4, "desiredNumberScheduled": 5, "currentNumberScheduled": 5,
                "updatedNumberScheduled": updated, "numberAvailable": available,
            });
            rollout(json!({ "updateStrategy": { "type": "RollingUpdate" } }), status)
        };
        assert_eq!((daemon(5, 5), daemon(4, 5), daemon(5, 4)), (Rollout::Done, Rollout::Going(4, 5), Rollout::Going(4, 5)));
    }
}
