//! This machine: clock, settings, git, output, process.

pub mod git;
pub mod pack;
pub mod tree;
