//! One file a collector; each reads facts from one scope of one source.

pub mod consumers;
pub mod iam;
pub mod secrets_manager;
pub mod vault;
