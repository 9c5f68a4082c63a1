//! Runs every collector.
