//! The exact TOML shapes of who is told of what: `[notify.NAME]` and `[[alert]]` of `slm.toml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::raw_managed::Secret;
use crate::model::catalog::Severity;
use crate::model::notify::{AlertOn, NotifyKind};
use crate::model::time::Limit;

/// `[notify.NAME]` of `slm.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Notify {
    /// What it is.
    pub kind: NotifyKind,
    /// What runs are of: it heads every message; `default` when absent.
    pub environment: Option<String>,
    /// Address of a file of the evidence; `{commit}`, `{path}` and `{control}` are filled in.
    pub link: Option<String>,
    /// Prefixes of names that are shortened in messages.
    #[serde(default)]
    pub confidential: Vec<String>,
    /// When nothing is told that can wait, as in `Mon-Sun 20:00-07:00 Europe/Berlin`.
    #[serde(default)]
    pub quiet: Vec<String>,
    /// The time zone whose day is the day of a message; UTC when absent.
    pub zone: Option<String>,
    /// Whether it gets the state of each day; true when absent.
    pub report: Option<bool>,
    /// Handles to mention, by owner: ids of members (`U…`, `W…`) or of user groups (`S…`).
    #[serde(default)]
    pub mention: BTreeMap<String, String>,
    /// API root other than the vendor's.
    pub base_url: Option<String>,
    /// GitHub: `owner/name` whose issues are kept.
    pub repo: Option<String>,
    /// Slack: the id of the channel that a bot posts to.
    pub channel: Option<String>,
    /// Environment variable that holds the token; one of this and `token`.
    pub token_env: Option<String>,
    /// The secret that is the token.
    pub token: Option<Secret>,
    /// Slack: environment variable that holds the address of an incoming webhook; one of this and `webhook`.
    pub webhook_env: Option<String>,
    /// Slack: the secret that is the address of an incoming webhook.
    pub webhook: Option<Secret>,
}

/// `[[alert]]` of `slm.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Alert {
    /// On what.
    pub on: AlertOn,
    /// Names of the notifiers that give it.
    pub to: Vec<String>,
    /// Only for these owners.
    #[serde(default)]
    pub owner: Vec<String>,
    /// Only of this severity or above.
    pub severity: Option<Severity>,
    /// `half-done`: not before it is so for this long.
    pub after: Option<Limit>,
    /// `expiring`: this far ahead, thirty days at most.
    pub within: Option<Limit>,
    /// `coverage`: under this many percent.
    pub below: Option<u8>,
}
