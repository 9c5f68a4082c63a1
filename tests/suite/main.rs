//! One integration binary, so that it links once: real counterparts, or servers that answer recorded shapes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise and may read the clock"
)]

mod aws;
mod cli;
mod cli_aws;
mod config_repo;
mod github;
mod github_app;
mod github_org;
mod github_server;
mod layers;
mod record;
mod rules;
mod scale;
mod support;
