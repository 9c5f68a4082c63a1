//! Consumers: one file a kind, and what several of them share.

pub mod agent;
pub mod exec;
pub mod file;
pub mod github_actions_secret;
mod github_home;
mod github_runs;
mod github_shadow;
pub mod github_workflow_dispatch;
mod kubernetes_rollout;
pub mod kubernetes_workload;
mod reply;
pub mod self_refreshing;
pub mod webhook;

use crate::transport::template;
