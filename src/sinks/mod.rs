//! Sinks: one file a kind of place that mirrors the evidence.

pub mod dynamodb;
pub mod s3;
