//! Secrets that AWS rotates itself.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Capabilities;
use crate::model::time::Limit;

/// `aws-managed = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AwsManaged {
    /// How long AWS may take for a rotation; one under way for longer is asked for again.
    pub expect_within: Limit,
}

impl Default for AwsManaged {
    fn default() -> Self {
        Self { expect_within: Limit::seconds(30 * 60) }
    }
}

impl AwsManaged {
    /// Nothing of it is done by slm: values are made, let in and ended by AWS.
    pub const CAPABILITIES: Capabilities = Capabilities::UNVALIDATED;
}
