//! Clients shared by two plug-ins or more: sessions, the rate of requests, retries, error classes, the local vault.

pub mod atomic;
pub mod aws;
mod aws_failure;
mod aws_session;
pub mod budget;
pub mod github;
mod github_failure;
pub mod secrets_manager_store;
pub mod vault;
