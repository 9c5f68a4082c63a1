//! Clients of what plug-ins touch: sessions, the rate of requests, retries, error classes, the local vault, git,
//! PostgreSQL, MySQL, registers and the event history at AWS.

pub mod actions_oidc;
pub mod atomic;
pub mod attest;
pub mod aws;
mod aws_failure;
mod aws_received;
mod aws_session;
pub mod bucket;
pub mod budget;
pub mod cloudtrail;
pub mod git;
pub mod git_signature;
pub mod github;
mod github_failure;
mod github_graphql;
pub mod github_issues;
mod github_login;
mod github_pace;
pub mod github_pulls;
pub mod http;
pub mod kms_key;
pub mod kubernetes;
pub mod mysql;
mod mysql_verifier;
pub mod patience;
pub mod postgres;
pub mod programs;
pub mod registers_dynamodb;
pub mod registers_s3;
pub mod secrets_manager_store;
pub mod template;
pub mod trust_policy;
pub mod vault;
mod vault_file;
