//! Any result as text. Pure: a value goes in, text comes out, nothing is written.

pub mod annotations;
pub mod attestation;
pub mod bundle;
mod by_hand;
pub mod codeowners;
pub mod comment;
pub mod credential;
pub mod diagnostics;
pub mod diff;
pub mod exception;
pub mod explain;
pub mod gap;
pub mod interchange;
pub mod markdown;
mod outlook;
pub mod period;
pub mod plan;
pub mod reconcile;
pub mod sample;
pub mod segregation;
pub mod status;
pub mod tasks;
pub mod then;
pub mod usage;
pub mod words;
