//! Object stores: one file a kind of place for bytes that are too long for git.

pub mod folder;
pub mod s3;
