//! Consumers: one file a kind.

pub mod file;
