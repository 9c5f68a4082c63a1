//! This machine: clock, files, git, a solver.

pub mod archive;
pub mod beside;
mod caches;
pub mod clock;
mod digests;
pub mod files;
pub mod git;
pub mod history;
mod index;
pub mod lease;
pub mod locker;
mod logged;
pub mod merged;
pub mod mirror;
mod onward;
pub mod pack;
mod packs;
pub mod registers;
pub mod repo;
#[cfg(test)]
mod scratch;
mod seen;
pub mod solver;
mod swapped;
mod tiles;
pub mod tips;
pub mod tree;
mod twice;
pub mod verify;
mod zip_shape;
pub mod zipped;
