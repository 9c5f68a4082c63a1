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
    /// The key before, while `key` is to take over from it and is not the next value of the same secret.
    pub before: Option<LogKey>,
    /// Verifier keys of the log, as `slm verify` prints them: any of them is enough to follow the others.
    pub trust: Vec<String>,
    /// A run is due this often; `slm verify` tells where there was none for longer, and that there is none now.
    pub cadence: Option<Limit>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { origin: "slm".to_owned(), key: None, before: None, trust: Vec::new(), cadence: None }
    }
}

/// A secret whose value a signing key is made of, any text of 32 characters or more that nobody can guess; or a key that KMS keeps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogKey {
    /// A source that stores secrets: an AWS account or a vault; for `kms` an AWS account.
    pub source: SourceId,
    /// Region, in an AWS account.
    pub region: Option<String>,
    /// The name of the secret there; one of this and `kms`.
    pub name: Option<String>,
    /// Id, ARN or alias of a KMS key of the kind `ECC_NIST_EDWARDS25519`, which never leaves KMS.
    pub kms: Option<String>,
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

/// `[locker.objects]`: where raw bytes go that are too long for git; exactly one of `folder` and `s3`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ObjectsSettings {
    /// Raw answers of more bytes than this go there, and a pointer stands in their place.
    #[serde(default = "over")]
    pub over: u64,
    /// A folder on this machine, a path from the root of the config repo and outside of it.
    pub folder: Option<String>,
    /// A bucket.
    pub s3: Option<S3Objects>,
}

/// A million bytes: git keeps text of that size well, and much larger files badly.
fn over() -> u64 {
    1_000_000
}

/// Objects of a bucket, each named by SHA-256 of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct S3Objects {
    /// The AWS source that owns the bucket.
    pub source: SourceId,
    /// The region of the bucket.
    pub region: String,
    /// Its name.
    pub bucket: String,
    /// What the keys begin with; `slm/objects/` when absent.
    #[serde(default = "objects")]
    pub prefix: String,
}

fn objects() -> String {
    "slm/objects/".to_owned()
}

/// `[[locker.sink]]`: a place that mirrors the evidence, commit by commit, so that it can be rebuilt from there; exactly one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SinkSettings {
    /// Its name, as `slm restore` takes it; no anchor has it as well.
    pub id: String,
    /// A bucket with Object Lock.
    pub s3: Option<S3Sink>,
    /// A table.
    pub dynamodb: Option<DynamodbSink>,
}

impl SinkSettings {
    /// The word for its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.s3.is_some() { "s3-sink" } else { "dynamodb-sink" }
    }
}

/// Each commit is an object of its own, put once, locked and encrypted by a key of KMS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct S3Sink {
    /// The AWS source that owns the bucket.
    pub source: SourceId,
    /// The region of the bucket.
    pub region: String,
    /// Its name; it has Object Lock.
    pub bucket: String,
    /// What the keys begin with; `slm/mirror/` when absent.
    #[serde(default = "mirror")]
    pub prefix: String,
    /// How long nobody can remove what is put there.
    pub retention: Limit,
    /// Id or ARN of the KMS key that encrypts it; the key that AWS keeps for S3 when absent.
    pub kms_key: Option<String>,
}

fn mirror() -> String {
    "slm/mirror/".to_owned()
}

/// Items of a table with the text keys `pk` (partition) and `sk` (sort).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DynamodbSink {
    /// The AWS source that owns the table.
    pub source: SourceId,
    /// The region of the table.
    pub region: String,
    /// Its name.
    pub table: String,
}
