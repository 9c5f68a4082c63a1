//! What a pull request proposes, as one artefact: what is wrong with it, what it means, and the plan it leads to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::assessment::Status;
use super::id::ControlId;
use super::plan::Plan;
use super::time::Timestamp;

/// Format version; a proposal of another one is refused.
pub const PROPOSAL_FORMAT: u32 = 2;
/// The longest that is read: a plan of some thousand actions. What is longer was not made by slm.
pub const PROPOSAL_LIMIT: usize = 4 << 20;

/// Everything that is said about one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// [`PROPOSAL_FORMAT`].
    pub format: u32,
    /// `owner/name` it is for.
    pub repository: String,
    /// Which environment it speaks of.
    pub environment: String,
    /// The commit that is proposed.
    pub head: String,
    /// The workflow run that made it.
    pub run: Option<u64>,
    /// What the world was taken from.
    pub sight: Sight,
    /// How `slm ci plan` ended, by its codes.
    pub exit: u8,
    /// What `slm check` says, in its order.
    pub complaints: Vec<Complaint>,
    /// What the edit means, in one line; empty where nothing was edited.
    pub edit: String,
    /// What the edit means, sorted.
    pub changes: Vec<Change>,
    /// Controls that do not hold everywhere, or could not be judged: decisions by status.
    pub standing: BTreeMap<ControlId, BTreeMap<Status, u64>>,
    /// What was not seen, one clause each.
    pub unseen: Vec<String>,
    /// What is due; `None` when the config cannot be used.
    pub plan: Option<Plan>,
}

/// What the world was taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sight {
    /// The sources were asked.
    Live,
    /// A run of the locker: nothing was asked and no secret was at hand.
    Recorded {
        /// Its id.
        run: String,
        /// When it judged.
        at: Timestamp,
    },
    /// There was nothing to look at.
    Nothing,
}

/// A complaint of `slm check`, with its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complaint {
    /// Its stable code.
    pub code: String,
    /// True when the repo cannot be used with it.
    pub error: bool,
    /// Path from the root of the config repo.
    pub file: String,
    /// The first line it is about, from 1.
    pub line: u64,
    /// The last one.
    pub end_line: u64,
    /// What is wrong.
    pub message: String,
    /// The next step.
    pub help: Option<String>,
}

/// What the edit means for one thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// A control, a credential or whatever else was changed.
    pub about: String,
    /// In one clause: `looser`, `tighter`, `equal`.
    pub verdict: String,
    /// What shows it, a line each.
    pub lines: Vec<String>,
}

/// Why bytes are no [`Proposal`].
#[derive(Debug, PartialEq, Eq)]
pub struct NoProposal(String);

impl std::fmt::Display for NoProposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it is no plan artefact of slm: {}", self.0)
    }
}

impl std::error::Error for NoProposal {}

impl Proposal {
    /// Reads what anybody may have written.
    ///
    /// # Errors
    /// When it is over [`PROPOSAL_LIMIT`], of another format or of another shape.
    pub fn read(bytes: &[u8]) -> Result<Self, NoProposal> {
        if bytes.len() > PROPOSAL_LIMIT {
            return Err(NoProposal(format!("it has {} bytes, over {PROPOSAL_LIMIT}", bytes.len())));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|error| NoProposal(error.to_string()))?;
        if read.format == PROPOSAL_FORMAT {
            Ok(read)
        } else {
            Err(NoProposal(format!("its format is {}, this slm reads {PROPOSAL_FORMAT}", read.format)))
        }
    }

    /// True when nothing is to be said: no error, no change, nothing due and nothing held. What is warned of where nothing changed was so
    /// before.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let due = self.plan.as_ref().is_some_and(|plan| !plan.actions.is_empty() || !plan.held.is_empty());
        !self.complaints.iter().any(|one| one.error) && self.changes.is_empty() && !due && self.plan.is_some()
    }

    /// True when `other` says the same of the same commit and would do the same: instants and what is foreseen may differ.
    #[must_use]
    pub fn promises(&self, other: &Self) -> bool {
        let kinds = |plan: &Option<Plan>| {
            let plan = plan.as_ref()?;
            let held: Vec<_> = plan.held.iter().map(|held| (held.kind.clone(), held.because.clone())).collect();
            Some((plan.actions.iter().map(|action| action.kind.clone()).collect::<Vec<_>>(), held))
        };
        let said =
            |one: &Self| (one.environment.clone(), one.head.clone(), one.complaints.clone(), one.edit.clone(), one.changes.clone());
        said(self) == said(other)
            && self.repository == other.repository
            && self.exit == other.exit
            && self.standing == other.standing
            && self.unseen == other.unseen
            && kinds(&self.plan) == kinds(&other.plan)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn proposal() -> Proposal {
        Proposal {
            format: PROPOSAL_FORMAT,
            repository: "acme/slm".to_owned(),
            environment: "production".to_owned(),
            head: "a".repeat(40),
            run: None,
            sight: Sight::Live,
            exit: 0,
            complaints: Vec::new(),
            edit: String::new(),
            changes: Vec::new(),
            standing: BTreeMap::new(),
            unseen: Vec::new(),
            plan: None,
        }
    }

    #[test]
    fn what_slm_wrote_is_read_and_anything_else_is_refused_with_its_reason() {
        let written = serde_json::to_string(&proposal()).unwrap();
        assert_eq!(Proposal::read(written.as_bytes()), Ok(proposal()));
        let said = |text: &str| Proposal::read(text.as_bytes()).unwrap_err().to_string();
        assert!(said(&written.replacen('{', "{\"more\":1,", 1)).contains("unknown field `more`"));
        let newer = said(&written.replace("\"format\":2", "\"format\":3"));
        assert_eq!(newer, "it is no plan artefact of slm: its format is 3, this slm reads 2");
        assert!(said("[]").starts_with("it is no plan artefact of slm: "));
        let long = vec![b' '; PROPOSAL_LIMIT + 1];
        assert!(Proposal::read(&long).unwrap_err().to_string().contains("over 4194304"));
    }

    #[test]
    fn a_config_that_cannot_be_used_is_never_quiet_and_the_same_promise_needs_the_same_commit() {
        let broken = proposal();
        assert!(!broken.is_quiet());
        let later = Proposal { head: "b".repeat(40), ..proposal() };
        assert!(broken.promises(&proposal()) && !broken.promises(&later));
    }
}
