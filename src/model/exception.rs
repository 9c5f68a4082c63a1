//! How exceptions stand at one instant: what each lifts, and what is wrong with it.

use serde::Serialize;

use super::approval::Approval;
use super::id::{ControlId, ExceptionId, ResourceId};
use super::time::Timestamp;

/// One exception as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// Which.
    pub id: ExceptionId,
    /// The control it lifts.
    pub control: ControlId,
    /// The resource it lifts it for.
    pub resource: ResourceId,
    /// Who asked.
    pub requester: String,
    /// Who approved, as its file says.
    pub approver: String,
    /// Who was seen to.
    pub approval: Approval,
    /// The ticket it was discussed in.
    pub ticket: String,
    /// When it lapses.
    pub expires: Timestamp,
    /// How often it was approved, the first time included.
    pub approvals: usize,
    /// Decisions that it made excepted; each is still one of its population.
    pub lifts: u64,
    /// What is wrong with it.
    pub finding: Option<Finding>,
}

/// What is wrong with an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It lapsed, and its resource still does not meet the control: somebody goes on as if it were in force.
    ExpiredInUse,
    /// It lapsed and nothing needs it.
    Expired,
    /// It counts from an instant that is still to come.
    Ahead,
    /// It is in force and decides nothing.
    Unused,
    /// It lifts the control for more than one resource.
    OverBroad,
    /// The branch says that whoever asked approved it.
    SelfApproved,
    /// It was brought in without anybody but its author approving it, whatever its file says.
    Unapproved,
    /// The locker has approvals of it that its file does not tell of: it was renewed as if for the first time.
    RenewedUntold,
}

/// A control of whose population exceptions lift more than half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hollow {
    /// Which.
    pub control: ControlId,
    /// Members that are excepted.
    pub excepted: u64,
    /// Members that it applies to, those excepted included.
    pub population: u64,
}

/// All exceptions at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exceptions {
    /// Each, by id.
    pub standings: Vec<Standing>,
    /// Controls of which little is left.
    pub hollow: Vec<Hollow>,
}

impl Exceptions {
    /// True when nothing is wrong with any.
    #[must_use]
    pub fn fine(&self) -> bool {
        self.hollow.is_empty() && self.standings.iter().all(|one| one.finding.is_none())
    }
}
