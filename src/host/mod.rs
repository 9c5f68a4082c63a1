//! This machine: clock, settings, git, output, process.

pub mod git;
mod locker;
mod pack;
mod tree;
