//! What slm never acts on, as declared: its age, its use and its consumers are looked at.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::time::Limit;

/// `observe = { .. }` of a rotator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Observe {
    /// Who or what rotates it, in words; its owner when absent.
    pub rotated_by: Option<String>,
    /// Its owner is asked whether it is needed when nobody has read it for this long.
    pub unused_after: Option<Limit>,
}
