//! Consumers: one file a kind.

pub mod file;
pub mod github_actions_secret;
