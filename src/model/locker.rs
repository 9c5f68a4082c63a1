//! How the locker keeps its log.

use schemars::JsonSchema;
use serde::Deserialize;

use super::id::SourceId;
use super::time::Limit;

/// `[locker.log]` of `slm.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LogSettings {
    /// Name of the log, in each of its checkpoints and on its key: `acme.example/slm`. `slm` when absent.
    pub origin: String,
    /// The secret that checkpoints are signed with; without one they are not signed and prove no more than that they agree.
    pub key: Option<LogKey>,
    /// Verifier keys of the log, as `slm verify` prints them: any of them is enough to follow the others.
    pub trust: Vec<String>,
    /// A run is due this often; `slm verify` tells where there was none for longer, and that there is none now.
    pub cadence: Option<Limit>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { origin: "slm".to_owned(), key: None, trust: Vec::new(), cadence: None }
    }
}

/// The secret whose value a signing key is made of: any text of 32 characters or more that nobody can guess.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogKey {
    /// A source that stores secrets: an AWS account or a vault.
    pub source: SourceId,
    /// Region, in an AWS account.
    pub region: Option<String>,
    /// Its name there.
    pub name: String,
}
