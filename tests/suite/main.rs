//! One integration binary, so that it links once: real counterparts, or servers that answer recorded shapes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise and may read the clock"
)]

mod agent;
mod agent_faults;
mod anchors;
mod aws;
mod aws_access;
mod aws_events;
mod aws_iam;
mod aws_managed;
mod aws_managed_cli;
mod aws_proxy;
mod aws_rotation;
mod aws_script;
mod aws_trail;
mod broken;
mod bundle;
mod ci;
mod cli;
mod cli_aws;
mod cli_stop;
mod cli_verbs;
mod config_repo;
mod consumer_ecs;
mod consumer_exec;
mod consumer_kubernetes;
mod consumer_lambda;
mod consumer_webhook;
mod consumers_together;
mod deploy;
mod deploy_key;
mod derived;
mod diff;
mod ecs_front;
mod exec_kind;
mod explain;
mod faults;
mod file_consumer;
mod github;
mod github_app;
mod github_config;
mod github_contract;
mod github_controls;
mod github_dispatch;
mod github_leaks;
mod github_org;
mod github_rights;
mod github_server;
mod http_kind;
mod keyset;
mod killed;
mod kinds;
mod kinds_cli;
mod kms_key;
mod kubernetes_server;
mod lambda_front;
mod layers;
mod leaks;
mod manual;
mod mysql;
mod mysql_cli;
mod mysql_server;
mod objects;
mod one_run;
mod past;
mod postgres;
mod postgres_cli;
mod postgres_server;
mod preflight;
mod preflight_moto;
mod pulls_server;
mod readers;
mod readme;
mod record;
mod registers;
mod registers_answers;
mod rotation;
mod rotation_faults;
mod rules;
mod scale;
mod sinks;
mod slack;
mod slack_server;
mod support;
mod terraform;
mod tls;
mod tsa;
mod usage;
mod vault;
mod verify;
mod workflows;
