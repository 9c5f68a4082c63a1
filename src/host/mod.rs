//! This machine: clock, files, process.

pub mod clock;
pub mod files;
