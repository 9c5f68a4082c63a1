//! Anchors: one file a kind of place that is shown each checkpoint of the log.

pub mod git;
pub mod rfc3161;
pub mod s3;
