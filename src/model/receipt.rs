//! The receipt of a collection: what was asked, of whom, as whom, and what came back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::id::SourceId;
use super::snapshot::Completeness;
use super::time::Timestamp;

/// One list or report that was read to its end, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Service and operation as the vendor names it: `secretsmanager:ListSecrets`.
    pub name: String,
    /// Full parameters, without credentials, in the vendor's names.
    pub parameters: serde_json::Value,
    /// Answers received.
    pub pages: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Items in all pages.
    pub items: u64,
    /// The vendor's request ids, in order.
    pub request_ids: Vec<String>,
}

/// What was removed of an answer, and how many times.
pub type Redacted = BTreeMap<String, u64>;

/// Bytes kept as received, less what was redacted, named inside their run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRef {
    /// Path below the run's raw folder.
    pub name: String,
    /// SHA-256 of the bytes as received, lower-case hex.
    pub sha256: String,
    /// Length of the bytes as received.
    pub bytes: u64,
    /// What was removed before keeping: JSON pointers, `*` for any index, or element names, and how many values each; empty when nothing was.
    /// The pointer to the whole, which is empty, stands for an answer that could not be read: nobody knows what is in it.
    pub redacted: Redacted,
    /// SHA-256 of the bytes as kept, which a verifier can recompute; equal to `sha256` when nothing was redacted.
    pub kept_sha256: String,
}

impl RawRef {
    /// The reference to `kept`, which is `received` without `redacted`.
    #[must_use]
    pub fn new(name: String, received: &[u8], kept: &[u8], redacted: Redacted) -> Self {
        Self::hashed(name, (hash(received), received.len() as u64), kept, redacted)
    }

    /// The same of an answer that was hashed as it came: its SHA-256 and length.
    #[must_use]
    pub fn hashed(name: String, (sha256, bytes): (String, u64), kept: &[u8], redacted: Redacted) -> Self {
        let kept_sha256 = if redacted.is_empty() { sha256.clone() } else { hash(kept) };
        Self { name, sha256, bytes, redacted, kept_sha256 }
    }

    /// What is removed of an answer that could not be read: all of it. Its digest stays.
    #[must_use]
    pub fn unread() -> Redacted {
        Redacted::from([(String::new(), 1)])
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Proof of one collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The source read.
    pub source: SourceId,
    /// The collector that read it.
    pub collector: String,
    /// Account and region, organisation, or `.`.
    pub scope: String,
    /// The identity the source saw: an ARN, a login, a path.
    pub caller: Option<String>,
    /// Whether everything in scope was seen.
    pub completeness: Completeness,
    /// What was called, in order.
    pub operations: Vec<Operation>,
    /// A count from somewhere other than the list itself, where the source has one.
    pub independent_count: Option<u64>,
    /// The source's own clock at the first answer.
    pub source_clock: Option<Timestamp>,
    /// The instant as of which what was read was so, where the source says one that is older than its answer: the credential report of
    /// IAM is made anew every four hours. As of the answers when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Timestamp>,
    /// Our clock before the first request.
    pub started: Timestamp,
    /// Our clock after the last answer: when it was collected. When the locker received it is in the checkpoint of its commit.
    pub ended: Timestamp,
    /// Raw bytes kept.
    pub raw: Vec<RawRef>,
}

impl Receipt {
    /// Requests over all operations.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.operations.iter().map(|operation| operation.requests).sum()
    }
}
