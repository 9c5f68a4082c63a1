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

/// `[[locker.anchor]]`: a place outside the locker that is shown each checkpoint; exactly one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Anchor {
    /// Its name, as in what it said below `anchors/` in the locker: `a-z`, digits and `-`.
    pub id: String,
    /// A second git remote.
    pub git: Option<GitAnchor>,
    /// A bucket with Object Lock.
    pub s3: Option<S3Anchor>,
    /// A timestamp authority.
    pub rfc3161: Option<Rfc3161Anchor>,
}

impl Anchor {
    /// The word for its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (&self.git, &self.s3) {
            (Some(_), _) => "git",
            (_, Some(_)) => "s3",
            _ => "rfc3161",
        }
    }
}

/// The evidence branch is pushed there, forward only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GitAnchor {
    /// Address or name of the remote; another than that of the locker.
    pub remote: String,
}

/// Each checkpoint is an object of its own that nobody can remove or replace until its retention ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct S3Anchor {
    /// The AWS source that owns the bucket.
    pub source: SourceId,
    /// The region of the bucket.
    pub region: String,
    /// Its name; it has Object Lock.
    pub bucket: String,
    /// What the keys begin with; `slm/anchors/` when absent.
    #[serde(default = "anchors")]
    pub prefix: String,
    /// How long nobody can remove a checkpoint, not even the account's root: `2190d` is six years.
    pub retention: Limit,
}

fn anchors() -> String {
    "slm/anchors/".to_owned()
}

/// An authority signs that it saw each checkpoint, and when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rfc3161Anchor {
    /// Where it is asked. Plain `http` will do: what it answers is signed.
    pub url: String,
    /// File with the certificates, in PEM, of whoever vouches for it; a path from the root of the config repo.
    pub ca: String,
}
