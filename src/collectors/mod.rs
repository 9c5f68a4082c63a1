//! Collectors: one file a kind.

pub mod vault;
