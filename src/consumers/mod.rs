//! Consumers: one file a kind, and what several of them share.

pub mod agent;
pub mod cloudtrail_readers;
pub mod command;
mod ecs_definition;
mod ecs_rollout;
pub mod ecs_service;
mod ecs_tasks;
pub mod exec;
pub mod file;
mod file_sidecar;
pub mod github_actions_secret;
mod github_audience;
mod github_dispatched;
mod github_home;
mod github_runs;
mod github_secret_set;
mod github_shadow;
pub mod github_workflow_dispatch;
pub mod health;
mod kubernetes_pods;
mod kubernetes_rollout;
mod kubernetes_secret;
pub mod kubernetes_workload;
pub mod lambda;
mod lambda_alias;
mod lambda_update;
mod reply;
pub mod self_refreshing;
pub mod several;
pub mod webhook;

use crate::transport::template;

/// `code`, when it can be one: a vendor's word for what happened, and no text.
fn plain(code: &str) -> Option<&str> {
    (!code.is_empty() && code.len() <= 80 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}
