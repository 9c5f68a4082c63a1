//! Several secrets of GitHub from one value, none of which is ever seen beside an older one.
//!
//! They would be torn for a run queued between two writes. So each has two names, `<SECRET>_A` and `<SECRET>_B`: those that nobody
//! reads are written, `SLM_<NAME>_A` or `_B` names their version, and then the one variable `SLM_<NAME>` is set to `A` or `B`, by which
//! workflows choose.

use minijinja::context;
use zeroize::Zeroizing;

use super::github_actions_secret::ActionsSecret;
use super::template;
use crate::model::id::VersionId;
use crate::model::secret::Secret;
use crate::world::{ErrorClass, WorldError};

/// Names of the two places of a set.
pub(super) const SLOTS: [&str; 2] = ["A", "B"];

impl ActionsSecret {
    /// Stores `values` under the names that nobody reads, then has them read.
    pub(super) async fn deliver_set(&self, version: &VersionId, values: &[(&String, Zeroizing<String>)]) -> Result<(), WorldError> {
        let held = self.held().await.map_err(|failure| self.failed("observe", failure))?;
        if held.as_ref().is_some_and(|held| held.version.as_ref() == Some(version)) {
            return Ok(());
        }
        let slot = if held.and_then(|held| held.slot) == Some(SLOTS[0]) { SLOTS[1] } else { SLOTS[0] };
        let mut audience = serde_json::Map::new();
        for (name, value) in values {
            let name = format!("{name}_{slot}");
            audience = self.home.audience(&name).await.map_err(|failure| self.failed("see who may use", failure))?;
            let put = self.home.put(&name, value.as_bytes(), &audience).await;
            put.map_err(|failure| self.failed("write", failure))?;
        }
        let choice = self.config.variable();
        for (name, value) in [(format!("{choice}_{slot}"), version.as_str()), (choice, slot)] {
            let noted = self.home.note(&name, value, &audience).await;
            noted.map_err(|failure| self.failed("acknowledge", failure))?;
        }
        Ok(())
    }

    /// What the one secret is to hold, when that is not the value as it is.
    pub(super) fn filled(&self, version: &VersionId, value: &Secret) -> Result<Option<Zeroizing<String>>, WorldError> {
        let Some(template) = &self.config.template else { return Ok(None) };
        let wrong = |cause: &str| self.refused(ErrorClass::Permanent, "render", cause);
        let text = value.expose_text().map_err(|_| wrong("the value is not text"))?;
        let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
        let json = minijinja::value::Serde(&json);
        let filled = template::render(template, context! { value => text, json => json, version => version.as_str() });
        filled.map(Some).map_err(|cause| wrong(&cause))
    }

    /// What each secret of the set is to hold.
    pub(super) fn rendered(&self, version: &VersionId, value: &Secret) -> Result<Vec<(&String, Zeroizing<String>)>, WorldError> {
        let wrong = |cause: &str| self.refused(ErrorClass::Permanent, "render", cause);
        let json: serde_json::Value = serde_json::from_slice(value.expose()).map_err(|_| wrong("the value is not JSON"))?;
        let fill = |(name, text): (_, &String)| {
            let filled = template::render(text, context! { value => minijinja::value::Serde(&json), version => version.as_str() });
            Ok((name, filled.map_err(|cause| wrong(&cause))?))
        };
        self.config.set.iter().map(fill).collect()
    }
}
