//! Clients shared by two plug-ins or more.

pub mod atomic;
pub mod vault;
