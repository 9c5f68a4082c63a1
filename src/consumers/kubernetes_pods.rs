//! Pods of a workload that are ending: in their grace period they go on with the values that they were started with.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::kubernetes_rollout::Object;
use crate::model::catalog::KubernetesConsumer;
use crate::transport::github::segment;
use crate::transport::kubernetes::Kubernetes;
use crate::world::{ErrorClass, WorldError};

/// Pods of one page.
const PAGE: usize = 500;
/// Pages at most.
const PAGES: usize = 20;

/// Which pods belong to a workload.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Debug, Deserialize)]
struct Expression {
    key: String,
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: Page,
    /// `null` where there are none.
    #[serde(default)]
    items: Option<Vec<Pod>>,
}

#[derive(Default, Deserialize)]
struct Page {
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Life,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Life {
    deletion_timestamp: Option<String>,
}

impl Selector {
    /// As the `labelSelector` of a list; `None` when it selects nothing, or in a way that is not known here.
    fn text(&self) -> Option<String> {
        let mut all: Vec<String> = self.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        for Expression { key, operator, values } in &self.match_expressions {
            all.push(match operator.as_str() {
                "In" => format!("{key} in ({})", values.join(",")),
                "NotIn" => format!("{key} notin ({})", values.join(",")),
                "Exists" => key.clone(),
                "DoesNotExist" => format!("!{key}"),
                _ => return None,
            });
        }
        (!all.is_empty()).then(|| all.join(","))
    }
}

/// What is said of pods of the workload of `config` that are ending, or were not seen to have ended. Those that cannot be seen to end have
/// ended where they are `bounded`: it is declared how long they may take.
pub(super) async fn draining(api: &Kubernetes, config: &KubernetesConsumer, object: &Object, bounded: bool) -> Option<String> {
    let (workload, namespace) = (&config.workload, &config.namespace);
    let pods = match object.ending() {
        Some(pods) => pods,
        None => match ending(api, namespace, object.selector(), &format!("list the pods of {workload} of namespace `{namespace}`"))
            .await
        {
            Ok(pods) => i64::try_from(pods).unwrap_or(i64::MAX),
            Err(_) if bounded => 0,
            Err(error) => {
                let next = "let its token `list` pods, or declare `max-staleness`, no less than their grace period";
                return Some(format!("whether pods of {workload} are ending is not seen ({}): {next}", error.cause));
            }
        },
    };
    (pods > 0).then(|| format!("{pods} pods of {workload} are ending"))
}

/// How many pods of `selector` in `namespace` are ending. Of each pod the metadata alone is asked for.
async fn ending(api: &Kubernetes, namespace: &str, selector: &Selector, what: &str) -> Result<usize, WorldError> {
    let wrong = |cause: &str| WorldError { class: ErrorClass::Permanent, operation: what.to_owned(), cause: cause.to_owned() };
    let selector = selector.text().ok_or_else(|| wrong("its selector is not understood"))?;
    let route = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={}&limit={PAGE}", segment(&selector));
    let (mut count, mut next) = (0, String::new());
    for _ in 0..PAGES {
        let path = if next.is_empty() { route.clone() } else { format!("{route}&continue={}", segment(&next)) };
        let list: List = api.list(&path, what).await?.ok_or_else(|| wrong("the server lists no pods"))?;
        count += list.items.iter().flatten().filter(|pod| pod.metadata.deletion_timestamp.is_some()).count();
        if list.metadata.next.is_empty() {
            return Ok(count);
        }
        next = list.metadata.next;
    }
    Err(wrong("it has too many pods to look at"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_selector_is_what_a_list_is_asked_for() {
        let text = |selector: Value| serde_json::from_value::<Selector>(selector).unwrap().text();
        let whole = json!({ "matchLabels": { "app": "shop", "tier": "api" }, "matchExpressions": [
            { "key": "track", "operator": "In", "values": ["stable", "canary"] },
            { "key": "old", "operator": "DoesNotExist" },
            { "key": "env", "operator": "NotIn", "values": ["test"] },
            { "key": "team", "operator": "Exists" },
        ] });
        let said = "app=shop,tier=api,track in (stable,canary),!old,env notin (test),team";
        assert_eq!(text(whole).as_deref(), Some(said));
        assert_eq!(text(json!({})), None, "every pod of the namespace is not of it");
        assert_eq!(text(json!({ "matchExpressions": [{ "key": "a", "operator": "Gt", "values": ["1"] }] })), None);
    }
}
