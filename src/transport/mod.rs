//! Vendor clients shared by two plug-ins or more: sessions, retries, error classes.

pub mod aws;
pub mod secrets_manager_store;
