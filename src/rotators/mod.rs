//! Rotators: one file a kind.

pub mod aws_iam_access_key;
mod aws_iam_trial;
pub mod aws_managed;
pub mod exec;
mod exec_reply;
pub mod github_deploy_key;
mod github_deploy_key_list;
pub mod http;
mod http_answer;
mod http_list;
mod http_step;
pub mod keyset;
mod login;
pub mod manual;
mod mysql;
pub mod mysql_alternating;
pub mod mysql_dual;
pub mod mysql_password;
mod mysql_way;
mod postgres;
pub mod postgres_alternating;
pub mod postgres_password;
pub mod random;
