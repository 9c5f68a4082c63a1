//! What a run leaves behind in the locker: paths and canonical bytes, without touching anything.

pub mod anchored;
pub mod bundle;
mod bundle_names;
pub mod bundle_runs;
mod bundle_told;
pub mod bundle_whole;
pub mod cadence;
pub mod canonical;
pub mod changes;
pub mod findings;
pub mod index;
pub mod keys;
mod layout;
pub mod leaf;
pub mod ledger;
mod lives;
pub mod log;
pub mod objects;
pub mod past;
pub mod period;
pub mod reread;
pub mod sample;
pub mod seen;
pub mod timestamp;
pub mod verify;
pub mod waiting;

pub use layout::{DECISIONS, EXCEPTIONS, RunRecord, SNAPSHOT, artefacts, decisions_path, line, snapshot_path};
pub use lives::unvalidated;
