//! Any text as `policies/x.cedar` of a small valid config repo.

#![no_main]

mod repo;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| repo::load_with("policies/x.cedar", text));
