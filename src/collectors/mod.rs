//! One file a collector; each reads facts from one scope of one source.

pub mod cloudtrail;
pub mod consumers;
pub mod github;
mod github_bodies;
mod github_branch;
mod github_graph;
mod github_repos;
mod github_run;
mod github_secrets;
pub mod iam;
mod iam_details;
pub mod secrets_manager;
pub mod vault;
