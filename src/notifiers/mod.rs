//! What people are told by, and how messages are sent so that a crash loses none and shows none twice.

pub mod slack;
pub mod slack_webhook;
pub mod tell;
