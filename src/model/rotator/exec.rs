//! What a program of the config repo's own can do.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Capabilities, Issuer, Overlap};
use crate::model::time::Limit;

/// `exec = { .. }` of a rotator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments, run in the root of the config repo; no shell reads them.
    pub command: Vec<String>,
    /// How long one step may take.
    #[serde(default = "minute")]
    pub timeout: Limit,
    /// Names of environment variables it is given beside `PATH`.
    #[serde(default)]
    pub env: Vec<String>,
    /// What it can do.
    pub caps: ExecCaps,
}

fn minute() -> Limit {
    Limit::seconds(60)
}

/// What a program says that it can do; nobody else can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExecCaps {
    /// Who chooses the value.
    pub issuer: DeclaredIssuer,
    /// Whether two values are let in at once.
    pub overlap: DeclaredOverlap,
    /// With `overlap = "dual"`: how many, the current one included.
    #[serde(default = "two")]
    pub max: u8,
    /// It has the steps `disable` and `enable`.
    #[serde(default)]
    pub disable: bool,
    /// It has the step `delete`.
    #[serde(default)]
    pub delete: bool,
    /// It has the step `reread`.
    #[serde(default)]
    pub reread: bool,
}

fn two() -> u8 {
    2
}

/// Who chooses a value, as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeclaredIssuer {
    /// slm has it made and keeps it before it takes effect.
    Client,
    /// The target does, and shows it once.
    Server,
}

/// How many values are let in at once, as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeclaredOverlap {
    /// `max` of them.
    Dual,
    /// One: a new value ends the old one at once.
    Single,
}

impl ExecCaps {
    /// What the engine looks at.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            issuer: match self.issuer {
                DeclaredIssuer::Client => Issuer::Client,
                DeclaredIssuer::Server => Issuer::Server,
            },
            overlap: match self.overlap {
                DeclaredOverlap::Dual => Overlap::Dual { max: self.max },
                DeclaredOverlap::Single => Overlap::Single,
            },
            reread: self.reread,
            follows: false,
            disable: self.disable,
            delete: self.delete,
        }
    }

    /// Why the protocol cannot hold for these, if so.
    #[must_use]
    pub fn contradiction(&self) -> Option<&'static str> {
        let single = self.overlap == DeclaredOverlap::Single;
        match self.issuer {
            DeclaredIssuer::Server if single => Some("a target that issues values must let two in at once"),
            DeclaredIssuer::Server if !self.delete => {
                Some("what a target issued and nobody recorded must be deleted: add `delete`")
            }
            DeclaredIssuer::Client if self.reread => Some("`reread` is for targets that issue values"),
            _ if !single && self.max < 2 => Some("`max` is at least 2"),
            _ if !single && !self.disable && !self.delete => Some("nothing ends an old value: add `disable` or `delete`"),
            _ if single && (self.disable || self.delete) => Some("nothing is left to disable or delete where one value is let in"),
            _ => None,
        }
    }
}
