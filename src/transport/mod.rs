//! Clients shared by two plug-ins or more: sessions, retries, error classes, the local vault.

pub mod atomic;
pub mod aws;
pub mod github;
mod github_failure;
mod github_graphql;
mod github_login;
mod github_pace;
pub mod secrets_manager_store;
pub mod vault;
