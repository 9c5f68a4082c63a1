//! What a run leaves behind in the locker: paths and canonical bytes, without touching anything.

pub mod anchored;
pub mod canonical;
pub mod keys;
mod layout;
pub mod leaf;
pub mod ledger;
mod lives;
pub mod log;
pub mod objects;
pub mod timestamp;
pub mod verify;

pub use layout::{RunRecord, artefacts};
