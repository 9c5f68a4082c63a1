//! The Secret of a workload: which version it holds, and the Secret with another one, to be applied over what was seen.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::kubernetes_workload::Workload;
use super::{reply, template};
use crate::model::id::VersionId;
use crate::model::secret::Secret;
use crate::world::{ErrorClass, WorldError};

/// The manager of the fields of the Secret; those of a template are managed for each Secret apart, since what a manager does not
/// apply again is taken away.
pub(super) const MANAGER: &str = "slm";
/// Annotation of the Secret: the version it holds.
const HELD: &str = "slm.dev/version";

/// The metadata of the Secret.
#[derive(Deserialize)]
pub(super) struct Held {
    metadata: HeldMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeldMetadata {
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    managed_fields: Vec<Managed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Managed {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    fields_v1: serde_json::Value,
}

impl Workload {
    /// Where the Secret is.
    pub(super) fn secret_path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/{}", self.config.namespace, self.config.secret)
    }

    /// An operation on it, for complaints.
    pub(super) fn of_secret(&self, what: &str) -> String {
        format!("{what} Secret `{}/{}`", self.config.namespace, self.config.secret)
    }

    /// What is said of the Secret, never what is in it; `None` when there is none.
    pub(super) async fn held(&self) -> Result<Option<Held>, WorldError> {
        self.api.metadata(&self.secret_path(), &self.of_secret("observe")).await
    }

    /// The version the Secret holds; none when anybody else has written one of its keys since.
    pub(super) fn version(&self, held: &Held) -> Option<VersionId> {
        let ours = |one: &&Managed| one.manager == MANAGER && one.operation == "Apply";
        let fields = &held.metadata.managed_fields.iter().find(ours)?.fields_v1["f:data"];
        let all = self.config.keys.keys().all(|key| fields.get(format!("f:{key}")).is_some());
        held.metadata.annotations.get(HELD).filter(|_| all).and_then(|text| reply::version(text))
    }

    /// The Secret with `value`, over what was seen as `held`.
    pub(super) fn rendered(
        &self,
        version: &VersionId,
        value: &Secret,
        held: Option<&Held>,
    ) -> Result<Zeroizing<String>, WorldError> {
        let wrong = |cause: String| WorldError { class: ErrorClass::Permanent, operation: self.of_secret("fill"), cause };
        let text = value.expose_text().map_err(|error| wrong(error.to_string()))?;
        let parsed = serde_json::from_str::<serde_json::Value>(text).ok().map(Serde);
        let known = context! {
            value => text, json => parsed, version => version.as_str(), credential => self.credential.as_str(),
        };
        let mut data = Vec::new();
        for (key, text) in &self.config.keys {
            let filled = template::render(text, known.clone()).map_err(wrong)?;
            // Neither a key nor base64 needs escaping.
            data.push(format!("\"{key}\":\"{}\"", STANDARD.encode(filled.as_bytes())));
        }
        let data = Zeroizing::new(data.join(","));
        let mut metadata = json!({
            "name": self.config.secret, "namespace": self.config.namespace, "annotations": { HELD: version.as_str() },
        });
        if let Some(held) = held {
            // Applied over what was seen or not at all.
            metadata["resourceVersion"] = held.metadata.resource_version.as_str().into();
        }
        Ok(Zeroizing::new(format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{metadata},\"data\":{{{}}}}}",
            data.as_str()
        )))
    }
}
