//! A run of a workflow that was dispatched with a version. It is found again by its name, so the workflow has to be declared with
//! `run-name: … ${{ inputs.version }}`.

use serde::Deserialize;

use super::reply;
use crate::model::id::VersionId;

/// A run, as GitHub shows it.
#[derive(Clone, Deserialize)]
pub(super) struct Run {
    pub(super) id: u64,
    status: Option<String>,
    conclusion: Option<String>,
    /// Its `run-name`.
    display_title: String,
}

impl Run {
    /// True when its name holds `version`.
    pub(super) fn names(&self, version: &VersionId) -> bool {
        self.display_title.split_whitespace().any(|word| word == version.as_str())
    }

    /// The version in its name: the last word that can be one and is long enough to be none by chance.
    pub(super) fn version(&self) -> Option<VersionId> {
        self.display_title.split_whitespace().rev().filter(|word| word.len() >= 32).find_map(reply::version)
    }

    /// True until it has ended.
    pub(super) fn is_open(&self) -> bool {
        self.status.as_deref() != Some("completed")
    }

    /// True when it ended well.
    pub(super) fn is_good(&self) -> bool {
        self.conclusion.as_deref() == Some("success")
    }
}
