//! One file a collector; each reads facts from one scope of one source.

pub mod iam;
pub mod secrets_manager;
