//! Rotators: one file a kind.

pub mod aws_iam_access_key;
pub mod exec;
pub mod github_deploy_key;
pub mod random;
