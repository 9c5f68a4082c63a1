//! What a run leaves behind in the locker: paths and canonical bytes, without touching anything.

pub mod canonical;
mod layout;
mod lives;

pub use layout::{RunRecord, artefacts};
