//! A list compared with something that counts it independently.

use serde::{Deserialize, Serialize};

use super::id::{EntityType, SourceId};

/// One list, and what counts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reconciled {
    /// Where it was read.
    pub source: SourceId,
    /// Account and region, organisation, or `.`.
    pub scope: String,
    /// What is listed.
    pub entity: EntityType,
    /// What counts it.
    pub by: Counter,
    /// How many were listed.
    pub listed: u64,
    /// How many there should be; `None` when that was not told.
    pub counted: Option<u64>,
    /// Names that one has and the other has not, each in words.
    pub differ: Vec<String>,
    /// Names that only the list has and that are explained, each in words.
    pub explained: Vec<String>,
    /// True when both agree, or what differs is explained.
    pub agrees: bool,
}

/// What counts a list independently of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counter {
    /// The summary of the AWS account.
    AccountSummary,
    /// What the organisation says of itself.
    Organisation,
    /// The people file of the config repo.
    PeopleFile,
    /// Pull requests that were merged into the branch.
    PullRequests,
}

impl Counter {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AccountSummary => "the account summary",
            Self::Organisation => "the organisation",
            Self::PeopleFile => "the people file",
            Self::PullRequests => "merged pull requests",
        }
    }
}
