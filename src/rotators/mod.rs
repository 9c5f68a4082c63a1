//! Rotators: one file a kind.

pub mod random;
