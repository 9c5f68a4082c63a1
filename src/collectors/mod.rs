//! One file a collector; each reads facts from one scope of one source.

mod aws;
pub mod cloudtrail;
pub mod consumers;
pub mod git;
mod git_facts;
pub mod github;
mod github_bodies;
pub mod iam;
mod iam_details;
mod iam_policy;
mod iam_report;
pub mod secrets_manager;
pub mod vault;
