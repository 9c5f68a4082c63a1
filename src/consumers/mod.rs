//! Consumers: one file a kind, and what several of them share.

pub mod file;
pub mod github_actions_secret;
mod github_home;
mod github_runs;
mod github_shadow;
mod template;
