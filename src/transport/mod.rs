//! Clients shared by two plug-ins or more: sessions, retries, error classes, the local vault.

pub mod atomic;
pub mod aws;
pub mod github;
mod github_failure;
pub mod secrets_manager_store;
pub mod vault;
mod vault_file;
