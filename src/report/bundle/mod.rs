//! A period as something to hand over: pages that open offline, tables, and the files they rest on.
//!
//! `view` says what is to be seen, once; pages, PDF, CSV and the rest are pictures of it.

mod crosswalk;
mod members;
mod packet;
mod pages;
mod pdf;
mod strips;
mod tables;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::attestation::Manual;
use crate::model::catalog::Catalog;
use crate::model::id::{ControlId, FrameworkId};
use crate::model::past::Noted;
use crate::model::period::{At, Period};
use crate::model::time::Timestamp;

pub use packet::{Line, packet};
pub use pages::{control, index, members, path, readme};
pub use pdf::pdf;
pub use tables::{crosswalk_csv, deviations_csv, members_csv, summary_csv};
pub use view::{ControlView, View, view};

/// What a bundle is made of.
pub struct Made<'a> {
    /// The config repo.
    pub catalog: &'a Catalog,
    /// What the locker says of the period.
    pub period: &'a Period,
    /// The log that vouches for it.
    pub log: &'a Log,
    /// Versions of the decisions of each control that were in force in the period, the first first.
    pub versions: &'a BTreeMap<ControlId, Vec<Version>>,
    /// What only a person can say, and whether one did at its end.
    pub manual: &'a [Manual],
    /// What is not shown, and why.
    pub unproven: &'a [Noted],
    /// Only what serves this framework.
    pub framework: Option<&'a FrameworkId>,
    /// Controls that were judged in the period and that the config has no more at its end.
    pub removed: &'a BTreeSet<ControlId>,
}

/// The log of the locker, as its checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Its name.
    pub origin: String,
    /// How many entries it has.
    pub entries: u64,
    /// What they hash to, in hex.
    pub root: String,
    /// When its last commit was made.
    pub received: Timestamp,
    /// Verifier keys that sign it, the first first.
    pub keys: Vec<String>,
}

/// A version of the decisions of one control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The first run of the period in which it was in force.
    pub from: At,
    /// Its file in the bundle, byte for byte as in the locker.
    pub file: String,
    /// The page that shows it.
    pub page: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Its entry in the log, from 0; `None` when the log began later.
    pub entry: Option<u64>,
}
