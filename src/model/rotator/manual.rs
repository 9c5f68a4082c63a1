//! What a person rotates, as declared: slm asks in time, sees that it was done, and tries the value.

use schemars::JsonSchema;
use serde::Deserialize;

use super::http::Step;
use crate::model::time::Limit;

/// `manual = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manual {
    /// What the person does: where it is written down, or the steps themselves.
    pub steps: String,
    /// How long before it is due its owner is asked.
    #[serde(default = "fortnight")]
    pub remind_before: Limit,
    /// The request that tries the value in force; nothing tries it when absent.
    pub verify: Option<Step>,
}

fn fortnight() -> Limit {
    Limit::days(14)
}

impl Manual {
    /// The steps on one line.
    #[must_use]
    pub fn line(&self) -> String {
        self.steps.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
