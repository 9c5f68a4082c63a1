//! One file a collector; each reads facts from one scope of one source.

mod asked;
mod aws;
pub mod aws_events;
pub mod by_hand;
#[cfg(test)]
mod by_hand_tests;
pub mod cloudtrail;
pub mod consumers;
pub mod git;
mod git_facts;
pub mod github;
mod github_bodies;
mod github_branch;
pub mod github_config;
mod github_graph;
pub mod github_leaks;
mod github_repos;
pub mod github_rights;
mod github_run;
mod github_secrets;
mod github_writers;
pub mod iam;
mod iam_details;
mod iam_policy;
mod iam_report;
mod left;
pub mod preflight;
pub mod rights;
pub mod rotations;
pub mod secrets_manager;
mod secrets_manager_bodies;
pub mod usage;
pub mod vault;

/// Entity types and the attributes of them that collectors observe: one line a collector, which declares its own.
pub const EMITS: &[&[(&str, &[&str])]] = &[
    aws_events::EMITS,
    by_hand::EMITS,
    cloudtrail::EMITS,
    consumers::EMITS,
    git::EMITS,
    github::EMITS,
    github_config::EMITS,
    github_leaks::EMITS,
    iam::EMITS,
    rotations::EMITS,
    secrets_manager::EMITS,
    vault::EMITS,
];
