//! Clients shared by two plug-ins or more: sessions, the rate of requests, retries, error classes, the local vault.

pub mod atomic;
pub mod aws;
mod aws_failure;
mod aws_session;
pub mod budget;
//! Clients of what plug-ins touch: sessions, retries, error classes, the local vault, git.

pub mod atomic;
pub mod aws;
pub mod git;
pub mod git_signature;
pub mod github;
mod github_failure;
pub mod secrets_manager_store;
pub mod vault;
