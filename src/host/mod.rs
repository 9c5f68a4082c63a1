//! This machine: clock, files, git.

pub mod clock;
pub mod files;
pub mod git;
pub mod pack;
pub mod repo;
pub mod tree;
