//! Clients of what plug-ins touch: sessions, retries, error classes, the local vault, git.

pub mod atomic;
pub mod aws;
pub mod git;
pub mod git_signature;
pub mod github;
mod github_failure;
pub mod secrets_manager_store;
pub mod vault;
